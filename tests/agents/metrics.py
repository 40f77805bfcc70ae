# SPDX-License-Identifier: BSD-2-Clause
"""metrics.py METRICS STATUS: the metrics are Prometheus' text format and say what the document says."""
import calendar
import json
import sys
import time

from prometheus_client.parser import text_string_to_metric_families


def only(samples, label):
    """The one label value whose sample is 1; all others are 0."""
    true = [labels[label] for labels, value in samples if value == 1]
    assert len(true) == 1 and all(value in (0, 1) for _, value in samples), samples
    return true[0]


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def main(metrics_path, status_path):
    with open(metrics_path, encoding="utf-8") as file:
        families = list(text_string_to_metric_families(file.read()))
    with open(status_path, encoding="utf-8") as file:
        status = json.load(file)
    found = {}
    for family in families:
        assert family.documentation and family.type == "gauge" and family.name not in found, family
        found[family.name] = [(sample.labels, sample.value) for sample in family.samples]

    def value(name):
        (labels, number), = found["idmode_" + name]
        assert not labels
        return number

    assert value("decided") == 1
    assert only(found["idmode_mode"], "mode") == status["mode"]
    assert only(found["idmode_state"], "state") == status["state"]
    assert only(found["idmode_trial"], "trial") == status["image"]["trial"]
    reasons = {labels["reason"] for labels, number in found["idmode_reason"] if number == 1}
    assert reasons == set(status["reasons"]), reasons
    assert len(found["idmode_reason"]) == 30
    assert value("held") == status["held"] and value("healthy") == status["healthy"]
    assert value("error") == (status["error"] is not None)
    assert value("epoch") == status["epoch"]
    assert value("updated_timestamp_seconds") == seconds(status["updated_at"])
    identity = status["identity"]
    assert ("idmode_certificate_not_after_timestamp_seconds" in found) == bool(identity)
    if identity:
        assert value("certificate_not_after_timestamp_seconds") == seconds(identity["not_after"])
    (labels, one), = found["idmode_info"]
    assert one == 1 and labels["version"] == (status["image"]["version"] or ""), labels


if __name__ == "__main__":
    main(*sys.argv[1:])
