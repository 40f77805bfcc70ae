# SPDX-License-Identifier: BSD-2-Clause
"""Status documents, one a line, against share/idmode/status.schema.json.

status_documents.py SCHEMA FILE WANTED…

Each document must be as the schema says and have nothing that it lacks. WANTED: what must be among them,
like state=tpm, state=tpm/held, mode=none, mode=tpm/failed, mode=tpm/failed/nameless (no identity in it),
hsm_status=NOTFOUND, tpm=usable, legacy=sealed, reason=clock.

Documents that differ in hashes, times and names alone are one.
"""
import collections
import json
import re
import sys

import jsonschema

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


def words(document):
    """All that can be wanted of a document."""
    yield "state=" + document["state"] + ("/held" if document["held"] else "")
    failed = "/failed" * bool(document["error"])
    yield "mode=" + document["mode"] + failed + "/nameless" * bool(failed and not document["identity"])
    yield "hsm_status=" + document["hsm_status"]
    yield "tpm=" + document["tpm"]["status"]
    yield "legacy=" + document["legacy"]["storage"]
    for reason in document["reasons"]:
        yield "reason=" + reason


def main(schema_path, path, *wanted):
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(closed(schema))
    with open(path, encoding="utf-8") as file:
        lines = list(file)
    documents = [json.loads(line) for line in {kind(line): line for line in lines}.values()]
    bad = 0
    for document in documents:
        wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(document)]
        if not wrong and document["held_for"] not in [None, *document["reasons"]]:
            wrong = ["held_for is none of the reasons"]
        if wrong:
            bad += 1
            print(f"{wrong[0]}\n  in {json.dumps(document)}")
        if bad == 5:
            break
    seen = collections.Counter(word for document in documents for word in words(document))
    for word in set(wanted) - set(seen):
        bad += 1
        print(f"never seen: {word}")
    print(f"{len(lines)} documents of {len(documents)} kinds: {' '.join(sorted(seen))}")
    return bool(bad or not lines)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
