# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to any field of any route: an answer below 500, in JSON, and the daemon lives."""

import json
import random
import re
import urllib.parse

import pytest

from api_desk import CONFIG, Desk, unique
from harness import Reply
from test_api_access import BODIES, NONE, filled, required_query, routes

NASTY = [
    None, True, 0, -1, 1.5, 2 ** 31, 2 ** 63, 10 ** 40, "", " ", "x", "x" * 256, "x" * 257,
    "x" * 70000, "\0", "\x07", "\x7f", "é\u202e\ufeff", "\U0001f600", "' OR 1=1 --", "../../etc",
    "%2e%2e%2f", "<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}", "`id`", "a\r\nb: c",
    "http://", "http://[::1", "https://a.example:99999/", "javascript:alert(1)", "9999-99-99",
    "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-02-30T00:00:00Z", [], [None], [[]],
    ["x", "x"], list(range(2000)), {}, {"": ""}, {"a": None}, {"a": {"b": [1]}}, {"x" * 300: "y"},
    {f"k{i}": str(i) for i in range(2000)},
]
RAW = [b"", b" ", b"{", b"}", b"[[[", b"nul", b'"\xff"', b"\xef\xbb\xbf{}", b"{}{}", b"{'a':1}",
       b'{"a":1,}', b'{"a":NaN}', b"[" * 5000, b'{"a":' * 200 + b"1" + b"}" * 200,
       b'{"name":"\\ud800"}', b"\0" * 100, b"a=b&c=d"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("hostile"),
               CONFIG + "sources: {portal: {verify: internal}}\n")
    one.target.act = Reply(200, {})
    yield one
    one.close()


@pytest.fixture(scope="module")
def ids(desk):
    app = desk.app()
    endpoint = desk.endpoint(app, disabled=True)
    desk.post("/event-type", {"name": "hostile", "description": "d"})
    return {**NONE, "app_id": app, "endpoint_id": endpoint, "msg_id": desk.send(app),
            "event_type_name": "hostile", "source": "portal"}


def taken_by(document, operation):
    """Names and schemas of the members that its body may have."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    schema = schema.get("items", schema)
    if "$ref" not in schema:
        return None, {}
    name = schema["$ref"].rpartition("/")[2]
    return name, document["components"]["schemas"][name]["properties"]


def check(answer, *what):
    """Fine, or refused in the API's own words."""
    assert answer.status < 500, (what, answer)
    if answer.status >= 400 and answer.body:
        assert "detail" in answer.json, (what, answer)


def test_every_member_of_every_body_takes_every_value(desk, ids):
    document = desk.get("/openapi.json")
    n = 0
    for method, path, operation, body in routes(desk):
        name, members = taken_by(document, operation)
        for member in members:
            for value in NASTY:
                hostile = {**BODIES[name], member: value}
                hostile = [hostile] if isinstance(body, list) else hostile
                check(desk.call(method, filled(path, ids), hostile), method, path, member, value)
                n += 1
    assert n > 2000
    assert desk.get(f"/app/{ids['app_id']}")["id"] == ids["app_id"]


def test_every_body_is_anything_but_json(desk, ids):
    for method, path, operation, body in routes(desk):
        if body is None:
            continue
        for raw in RAW:
            check(desk.call(method, filled(path, ids), raw), method, path, raw)
            for kind in ("application/x-ndjson", "application/cloudevents+json",
                         "application/cloudevents-batch+json"):
                check(desk.call(method, filled(path, ids), raw, content_type=kind),
                      method, path, kind, raw)


def test_every_query_takes_every_text(desk, ids):
    texts = [text for text in NASTY if isinstance(text, str) and len(text) < 5000]
    for method, path, operation, body in routes(desk):
        if method != "GET":
            continue
        for one in operation["parameters"]:
            for text in [*texts, *("%", "%zz", "%00", "a&b", "=", "-", "-x")]:
                if one["in"] != "query":
                    continue
                coded = text if text.startswith("%") else urllib.parse.quote(text, safe="")
                glue = "&" if required_query(operation) else "?"
                check(desk.call(method, f"{filled(path, ids)}{required_query(operation)}{glue}"
                                        f"{one['name']}={coded}"), method, path, one["name"], text)


def test_every_place_of_every_path_takes_every_text(desk, ids):
    texts = [text for text in NASTY if isinstance(text, str) and 0 < len(text) < 3000]
    for method, path, _, body in routes(desk):
        for name in re.findall(r"\{(\w+)\}", path):
            for text in texts:
                coded = urllib.parse.quote(text, safe="")
                answer = desk.call(method, filled(path, {**ids, name: coded}), body)
                if "%00" in coded:
                    assert answer.status == 400
                    continue
                check(answer, method, path, name, text)
    assert desk.get(f"/app/{ids['app_id']}")["id"] == ids["app_id"]


def test_bodies_that_were_damaged_on_the_way(desk, ids):
    random.seed(5)
    for method, path, _, body in routes(desk):
        if body is None or method == "DELETE":
            continue
        text = json.dumps(body).encode()
        for _ in range(40):
            damaged = bytearray(text)
            for _ in range(random.randint(1, 3)):
                at = random.randrange(len(damaged) + 1)
                damaged[at:at + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
            check(desk.call(method, filled(path, ids), bytes(damaged)), method, path, damaged)


def test_what_was_stored_of_it_can_be_read_again(desk, ids):
    for path in ("/app", f"/app/{ids['app_id']}/endpoint",
                 "/event-type?with_content=true&include_archived=true",
                 f"/app/{ids['app_id']}/msg", "/auth/key"):
        assert all(page["data"] is not None for page in desk.pages(path, 250))
    made = desk.post("/app", {"name": "'; DROP TABLE objects; --<script>", "uid": unique("x")})
    assert desk.get(f"/app/{made['id']}")["name"] == "'; DROP TABLE objects; --<script>"
    desk.restart()
    assert desk.get(f"/app/{made['id']}") == made
