# SPDX-License-Identifier: GPL-2.0
"""usage: schemas.py DIRECTORY <DOCUMENTS

Validates documents, each behind a line "=== COMMAND", by DIRECTORY/COMMAND.json.
Prints "ok WHAT" or "not ok WHAT: WHY"; a schema for which there is no document is
a failure, and so is one that takes anything."""

import json
import os
import sys

import jsonschema


def documents(lines):
    command, text = None, ""
    for line in list(lines) + ["=== "]:
        if line.startswith("=== "):
            if command:
                yield command, text
            command, text = line[4:].strip(), ""
        else:
            text += line


def mutants(document, required):
    """The document with a mistake."""
    key = next(iter(document))
    yield {**document, "more": 1}
    for name, value in document[key][0].items():
        yield {key: [{**document[key][0], name: [value]}]}
    for name in required:
        row = dict(document[key][0])
        del row[name]
        yield {key: [row]}


def check(directory, command, text):
    with open(os.path.join(directory, command + ".json"), encoding="utf-8") as file:
        schema = json.load(file)
    validator = jsonschema.Draft7Validator(schema)
    validator.check_schema(schema)
    document = json.loads(text)
    validator.validate(document)
    if not next(iter(document.values())):
        raise ValueError("no rows")
    key = next(iter(document))
    for mutant in mutants(document, schema["properties"][key]["items"]["required"]):
        if validator.is_valid(mutant):
            raise ValueError("the schema takes a mistake: " + json.dumps(mutant))


def main(directory):
    left = {name[:-5] for name in os.listdir(directory)}
    for command, text in documents(sys.stdin):
        left.discard(command.split()[0])
        try:
            check(directory, command.split()[0], text)
            print("ok", command, "--json is valid")
        except (OSError, ValueError, jsonschema.ValidationError) as error:
            print("not ok", command, "--json:", " ".join(str(error).split()))
    for name in sorted(left):
        print("not ok", name, "--json: nothing was printed")


main(sys.argv[1])
