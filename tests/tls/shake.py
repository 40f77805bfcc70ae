# SPDX-License-Identifier: BSD-2-Clause
"""shake.py STEP… - a Python program that uses the device's key ($CERT, $KEY) for TLS, in this order of things:

    shake      a handshake in memory, the device as server
    child      the next step in a child that is forked now, which ends with it
    threads    eight threads, five handshakes each
    processes  the same in eight children
    stop       waits until the file `go` is there

Prints each step's name when it is done; whatever fails ends it with a traceback.
"""
import os
import ssl
import sys
import threading
import time
import traceback


def context(side, cert, key):
    ctx = ssl.SSLContext(side)
    ctx.load_cert_chain(os.environ[cert], os.environ[key])
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    return ctx


SERVER = context(ssl.PROTOCOL_TLS_SERVER, "CERT", "KEY")
CLIENT = context(ssl.PROTOCOL_TLS_CLIENT, "PEER_CERT", "PEER_KEY")


def shake(times=1):
    for _ in range(times):
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [CLIENT.wrap_bio(down, up), SERVER.wrap_bio(up, down, server_side=True)]
        while ends:
            try:
                ends[0].do_handshake()
                ends.pop(0)
            except ssl.SSLWantReadError:
                ends.reverse()


def in_child(function, *arguments):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*arguments)
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def reap(pids):
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    assert not any(codes), codes


def threads():
    failed = []

    def work():
        try:
            shake(5)
        except Exception as problem:  # a thread's traceback ends nobody
            failed.append(problem)

    all_of_them = [threading.Thread(target=work) for _ in range(8)]
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()
    assert not failed, failed


def stop():
    while not os.path.exists("go"):
        time.sleep(0.02)


STEPS = {
    "shake": shake,
    "threads": threads,
    "processes": lambda: reap([in_child(shake, 5) for _ in range(8)]),
    "stop": stop,
}

steps = sys.argv[1:]
while steps:
    step = steps.pop(0)
    if step == "child":
        step = steps.pop(0)
        reap([in_child(STEPS[step])])
        step = "child " + step
    else:
        STEPS[step]()
    print(step, flush=True)
