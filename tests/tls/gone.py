# SPDX-License-Identifier: BSD-2-Clause
"""gone.py PORT CERT KEY CA NAME SHA256 - clients of a server of examples/ that go at every moment.

A connection is a row of messages: what the client sends, flight by flight, and what it waits for. For each
of them one client goes before it, one in its middle and one behind it, by an orderly end (FIN) and by a
reset (RST), as a killed process leaves them; then a whole connection must be answered with SHA256, the hash
of the certificate that it showed. Prints how many went.
"""
import socket
import ssl
import struct
import sys

PORT, CERT, KEY, CA, NAME, WANT = sys.argv[1:]
RESET = struct.pack("ii", 1, 0)  # struct linger: on, 0 s


class Gone(Exception):
    """The moment has come."""


class Client:
    """One connection; goes at the moment-th place where it may (None: never)."""

    def __init__(self, ctx, moment, reset):
        self.plain = socket.create_connection(("localhost", int(PORT)), timeout=60)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = ctx.wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)
        self.left, self.reset = moment, reset

    def may_go(self):
        if self.left == 0:
            raise Gone
        if self.left is not None:
            self.left -= 1

    def flush(self):
        out = self.outgoing.read()
        if not out:
            return
        self.may_go()
        self.plain.sendall(out[: len(out) // 2])
        self.may_go()
        self.plain.sendall(out[len(out) // 2 :])
        self.may_go()

    def step(self, function, *arguments):
        while True:
            try:
                result = function(*arguments)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                got = self.plain.recv(65536)
                if not got:
                    raise ConnectionError("the server ended the connection")
                self.incoming.write(got)
                self.may_go()

    def goodbye(self):
        """Ours; the server's comes before or behind it, and then it may be gone itself."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        try:
            self.flush()
        except ConnectionError:
            pass

    def run(self):
        try:
            self.may_go()
            self.step(self.tls.do_handshake)
            self.step(self.tls.write, b"hello\n")
            answer = self.step(self.tls.read, 4096)
            self.goodbye()
            return answer
        finally:
            if self.reset:
                self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.plain.close()


def main():
    gone = 0
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        ctx = ssl.create_default_context(cafile=CA)
        ctx.load_cert_chain(CERT, KEY)
        ctx.minimum_version = ctx.maximum_version = version
        for reset in False, True:
            moment, ended = 0, False
            while not ended:
                try:
                    Client(ctx, moment, reset).run()
                    ended = True
                except Gone:
                    gone += 1
                moment += 1
                answer = Client(ctx, None, False).run().decode()
                assert answer == f"{WANT} hello\n", (version, reset, moment, answer)
    assert gone >= 40, gone
    print(f"{gone} clients are gone, the server is there")


main()
