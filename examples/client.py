#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A TLS client that shows the device's identity. Python takes files only: the reference stands for the key.

    OPENSSL_CONF=/usr/share/idmode/openssl.cnf \\
        python3 client.py controller.example 8443 controller-ca.pem [NAME]

Connects once a second, and loads certificate and key again when the identity's epoch changes. NAME is the
name in the server's certificate, where it is not that of the host.
"""
import json
import os
import socket
import ssl
import sys
import time

RUN = os.environ.get("IDMODE_ROOT", "") + "/run/idmode/"


def identity():
    with open(RUN + "status.json", encoding="utf-8") as status:
        document = json.load(status)
    return document["mode"], document["epoch"]


def context(server_ca):
    ctx = ssl.create_default_context(cafile=server_ca)
    ctx.load_cert_chain(RUN + "device.cert.pem", RUN + "device.key.pem")
    return ctx


def main(host, port, server_ca, name=None):
    loaded = None
    while True:
        mode, epoch = identity()
        if epoch != loaded:
            ctx, loaded = context(server_ca), epoch
        print(f"mode {mode}, epoch {epoch}", flush=True)
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            with ctx.wrap_socket(plain, server_hostname=name or host) as tls:
                tls.sendall(b"hello\n")
                print(tls.makefile("r").readline(), end="", flush=True)
                tls.unwrap()
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
