#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An agent that reports changes of the device's identity to an MQTT broker, as that identity.

    OPENSSL_CONF=/usr/share/idmode/openssl.cnf \\
        python3 agent.py broker.example 8883 broker-ca.pem /var/lib/agent/reported

Publishes the status to devices/NAME/identity (retained, QoS 1), NAME being the certificate's subject, whenever
something in it changes. The last argument is a file with the report that the broker has acknowledged; what
differs from it is reported, at least once, so a change that happened while the agent or the network was down
is not lost. The connection is made anew with each new identity. A device that is held reports that as long
as its connection stands; it cannot make a new one.
"""
import json
import os
import ssl
import sys
import time

import paho.mqtt.client as mqtt

RUN = os.environ.get("IDMODE_ROOT", "") + "/run/idmode/"
WORDS = ("mode", "state", "held", "healthy", "reasons", "epoch", "last_change")


def read_status():
    """The document, or None: idmode has not decided yet in this boot."""
    try:
        with open(RUN + "status.json", encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def report_of(status):
    report = {word: status[word] for word in WORDS}
    if status["identity"]:
        report["cert_sha256"] = status["identity"]["cert_sha256"]
        report["imported"] = status["identity"]["imported"]
    return report


def topic_of(status):
    """MQTT gives +, # and / a meaning of their own."""
    name = status["identity"]["subject"] if status["identity"] else "unknown"
    return "devices/" + "".join("_" if c in "+#/" else c for c in name) + "/identity"


class Reported:
    """The report that the broker has acknowledged; replaced as a whole, so that a power cut keeps it."""

    def __init__(self, path):
        self.path = path

    def read(self):
        """None: nobody knows what the broker has."""
        try:
            with open(self.path, encoding="utf-8") as file:
                report = json.load(file)
        except (FileNotFoundError, ValueError):
            return None
        return report if isinstance(report, dict) else None

    def write(self, report):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(report, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)


class Connection:
    """To the broker, as one identity. OSError, ValueError: not now; close it and try again."""

    def __init__(self, host, port, broker_ca):
        context = ssl.create_default_context(cafile=broker_ca)
        context.load_cert_chain(RUN + "device.cert.pem", RUN + "device.key.pem")
        self.client = mqtt.Client()
        self.client.tls_set_context(context)
        self.client.connect(host, port, keepalive=60)
        self.client.loop_start()

    def publish(self, topic, text):
        try:
            sent = self.client.publish(topic, text, qos=1, retain=True)
            sent.wait_for_publish(timeout=10)
            acknowledged = sent.is_published()
        except RuntimeError as failure:  # what paho raises where the connection is gone
            raise OSError(str(failure)) from failure
        if not acknowledged:
            raise OSError("the broker does not acknowledge")

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


def main(host, port, broker_ca, reported_path):
    reported = Reported(reported_path)
    acknowledged = reported.read()
    connection, connected_as = None, None
    while True:
        status = read_status()
        in_use = status and status["mode"] in ("software", "tpm")
        try:
            if in_use and connected_as != status["epoch"]:
                if connection:
                    connection.close()
                connection, connected_as = None, None
                connection = Connection(host, int(port), broker_ca)
                connected_as = status["epoch"]
            report = report_of(status) if status else None
            if connection and report and report != acknowledged:
                connection.publish(topic_of(status), json.dumps(report))
                reported.write(report)
                acknowledged = report
                print(f"reported: mode {status['mode']}, epoch {status['epoch']}", flush=True)
        except (OSError, ValueError) as failure:
            print(f"not reported: {failure}", file=sys.stderr, flush=True)
            if connection:
                connection.close()
            connection, connected_as = None, None
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
