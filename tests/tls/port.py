# SPDX-License-Identifier: BSD-2-Clause
"""port.py FILE - prints a TCP port for a server that a test is about to start.

Each call that shares FILE gets another one, so that two tests that run at the same time never talk to each
other's servers; all lie below the range from which the kernel takes ports for clients.
"""
import fcntl
import os
import socket
import sys

FIRST, COUNT = 20000, 10000

with open(sys.argv[1], "a+", encoding="ascii") as last:
    fcntl.flock(last, fcntl.LOCK_EX)
    last.seek(0)
    number = int(last.read() or os.getpid()) % COUNT
    for _ in range(COUNT):
        number = (number + 1) % COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("localhost", FIRST + number))
                break
            except OSError:
                continue
    last.truncate(0)
    last.write(str(number))
print(FIRST + number)
