#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A TLS server with the device's identity. Python takes files only: the reference stands for the key.

    OPENSSL_CONF=/usr/share/idmode/openssl.cnf python3 server.py 8443 clients-ca.pem

Answers each line with the SHA-256 of the client's certificate and the line. Loads certificate and key again
when the identity's epoch changes.
"""
import hashlib
import json
import os
import socket
import ssl
import sys

RUN = os.environ.get("IDMODE_ROOT", "") + "/run/idmode/"


def epoch():
    with open(RUN + "status.json", encoding="utf-8") as status:
        return json.load(status)["epoch"]


def context(clients_ca):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(RUN + "device.cert.pem", RUN + "device.key.pem")
    ctx.load_verify_locations(clients_ca)
    ctx.verify_mode = ssl.CERT_REQUIRED
    return ctx


def main(port, clients_ca):
    loaded, ctx = epoch(), context(clients_ca)
    with socket.create_server(("", port)) as listener:
        while True:
            peer, _ = listener.accept()
            peer.settimeout(10)  # who says nothing must not keep the others waiting
            try:
                now = epoch()
                if now != loaded:
                    ctx, loaded = context(clients_ca), now
                with peer, ctx.wrap_socket(peer, server_side=True) as tls:
                    client = hashlib.sha256(tls.getpeercert(True)).hexdigest()
                    tls.sendall(client.encode() + b" " + tls.recv(4096))
                    tls.unwrap()  # without a goodbye the answer looks cut off
            except (OSError, ValueError) as problem:  # of one connection, or no identity just now
                print("server:", problem, file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
