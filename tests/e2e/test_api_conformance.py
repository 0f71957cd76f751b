# SPDX-License-Identifier: Apache-2.0
"""The document of the API holds what the Svix API has, but for what the compatibility page says."""

import json
import pathlib
import re

import pytest

from api_desk import Desk

ROOT = pathlib.Path(__file__).resolve().parents[2]
FACTS = json.loads((ROOT / "tests" / "data" / "svix-operations.json").read_text())["operations"]
PAGE = (ROOT / "docs" / "svix-compatibility.md").read_text()


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("conformance"))
    document = desk.get("/openapi.json", key="")
    desk.close()
    return document


def left_out():
    """Operation -> what the page's table "Left out" says that it lacks."""
    section = PAGE.partition("## Left out")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([A-Z]+ /[^`]+)` \| ([^|]*) \|", section, re.M)
    assert rows
    return {operation: set(re.findall(r"`([^`]+)`", cell)) for operation, cell in rows}


def fields(document, schema):
    """Names of its members, and of those of objects in its lists."""
    while "$ref" in schema or "allOf" in schema:
        schema = schema["allOf"][0] if "allOf" in schema else \
            document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = set()
    for name, member in schema.get("properties", {}).items():
        found.add(name)
        items = member.get("items", {})
        if "$ref" in items or "allOf" in items:
            found |= {f"{name}[].{inner}" for inner in fields(document, items)}
    return found


def schema_of(content):
    """Of the JSON that a request or an answer is."""
    return next(iter(content.values())).get("schema", {}) if content else {}


def lacks(document, operation, facts):
    """What our document does not have of this operation."""
    method, _, path = operation.partition(" ")
    ours = document["paths"].get(path, {}).get(method.lower())
    if not ours:
        return {"all"}
    missing = {str(one) for one in facts["statuses"] if str(one) not in ours["responses"]}
    for kind, key in (("query", "query"), ("header", "headers")):
        names = {one["name"] for one in ours["parameters"] if one["in"] == kind}
        missing |= {name for name in facts.get(key, []) if name not in names}
    taken = fields(document, schema_of(ours.get("requestBody", {}).get("content")))
    missing |= {f"takes {name}" for name in facts.get("takes", []) if name not in taken}
    given = set()
    for status, answer in ours["responses"].items():
        if status < "300":
            given |= fields(document, schema_of(answer.get("content")))
    return missing | {f"gives {name}" for name in facts.get("gives", []) if name not in given}


@pytest.mark.parametrize("operation", sorted(FACTS))
def test_the_operation_is_there(document, operation):
    assert lacks(document, operation, FACTS[operation]) == left_out().get(operation, set())


def test_the_page_leaves_out_nothing_else():
    assert set(left_out()) <= set(FACTS)


def test_the_page_names_each_route_beyond(document):
    section = PAGE.partition("## Beyond")[2]
    for path, operations in document["paths"].items():
        for method in operations:
            operation = f"{method.upper()} {path}"
            if path.startswith("/api/v1/") and operation not in FACTS:
                assert f"`{operation}`" in section, operation
