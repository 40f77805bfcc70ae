# SPDX-License-Identifier: BSD-2-Clause
"""Status documents, one a line, against share/idmode/status.schema.json.

status_documents.py SCHEMA FILE…           each document is as the schema says, and has nothing that it lacks
status_documents.py --everything SCHEMA FILE…   and all that may happen is among them

Documents that differ in hashes, times and names alone are one.
"""
import collections
import json
import re
import sys

import jsonschema

STATES = ["none", "blank", "software", "migrating", "tpm-dual", "tpm", "resetting"]
# States that can be held.
HELD = ["none", "blank", "software", "migrating", "tpm-dual", "tpm", "resetting"]
VARIES = re.compile(r'"[0-9a-f]{64}"|"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"|"(boot_id|subject)":"[^"]*"|"epoch":\d+')


def closed(schema):
    """The same schema, saying no to members that it does not name."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        if "properties" in schema and "required" in schema:
            schema["additionalProperties"] = False
        return schema
    return [closed(x) for x in schema] if isinstance(schema, list) else schema


def kind(text):
    """A document without what differs from device to device, but with whether it is there."""
    return VARIES.sub(lambda match: match.group(0)[:11] if match.group(1) else "X" * bool(match.group(0)), text)


def missing(documents, schema):
    seen = {(d["state"], d["held"]) for d in documents}
    for state in STATES:
        if (state, False) not in seen:
            yield f"state {state}, not held"
    for state in HELD:
        if (state, True) not in seen:
            yield f"state {state}, held"
    for member, values in (("mode", schema["$defs"]["mode"]["enum"]),
                           ("hsm_status", schema["properties"]["hsm_status"]["enum"])):
        for value in set(values) - {d[member] for d in documents}:
            yield f"{member} {value}"
    for member, key in (("tpm", "status"), ("legacy", "storage")):
        words = schema["properties"][member]["properties"][key]["enum"]
        for word in set(words) - {d[member][key] for d in documents}:
            yield f"{member}.{key} {word}"
    for reason in set(schema["$defs"]["reason"]["enum"]) - {r for d in documents for r in d["reasons"]}:
        yield f"reason {reason}"


def main(arguments):
    everything = arguments[0] == "--everything"
    schema_path, *paths = arguments[everything:]
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(closed(schema))
    kinds = {}
    lines = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for line in file:
                lines += 1
                kinds.setdefault(kind(line), line)
    documents = [json.loads(line) for line in kinds.values()]
    bad = 0
    for document in documents:
        for error in validator.iter_errors(document):
            bad += 1
            print(f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}\n  in {json.dumps(document)}")
            break
        if bad == 5:
            break
    for what in missing(documents, schema) if everything else ():
        bad += 1
        print(f"never seen: {what}")
    count = collections.Counter((d["state"], d["held"]) for d in documents)
    print(f"{lines} documents, {len(documents)} kinds, {len(count)} of state and held")
    return bool(bad or not lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
