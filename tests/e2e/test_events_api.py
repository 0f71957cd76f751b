# SPDX-License-Identifier: Apache-2.0
"""POST /api/v1/sources/{source}/events: programs without a webhook say that something changed."""

import json
import signal
import threading

import pytest

from api_desk import CONFIG, TOKEN, Desk, unique
from harness import JSON, PATIENCE_S, ask, wait_until

NDJSON = "application/x-ndjson"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SCHEMA = {"type": "object", "properties": {"mail": {"type": "string"}, "age": {"type": "integer"}}}

SECRET = "whsec_" + "QUJD" * 8
WORLD = CONFIG + """
connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}"}}
sources:
  crm: {verify: internal, type: .what, time: .at, once: .id}
  plain: {verify: internal}
  fresh: {verify: none, once: never}
  bus: {kind: cloudevents, verify: {scheme: bearer, secret: %s}}
  lenient: {verify: internal, once: .id, changed: repeat}
  picky: {verify: internal, unmatched: refuse}
  judged: {verify: internal, schema: schema.json, body_max: 100}
  sums: {verify: internal, once: '.n + 1'}
  quiet: {verify: internal}
flows:
  all:
    on: [crm, plain, fresh, bus, lenient, judged, sums]
    subject: .id
    steps:
      - sent: {post: 'target:/flow', body: '{event: .event, meta: .meta}'}
  some:
    on: picky
    type: wanted
    steps:
      - sent: {post: 'target:/some', body: .event}
endpoints:
  hook: {on: crm, url: "http://127.0.0.1:${TARGET_PORT}/hook", secret: %s}
""" % (SECRET, SECRET)


@pytest.fixture(scope="module", name="desk")
def one_desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    (folder / "daemon0").mkdir()
    (folder / "daemon0" / "schema.json").write_text(json.dumps(SCHEMA))
    desk = Desk(folder, WORLD)
    yield desk
    desk.close()


def where(source):
    return f"/sources/{source}/events"


def tell(desk, source, body, kind="application/json", **headers):
    """Must be taken; the results."""
    answer = desk.post(where(source), body, 202, content_type=kind, **headers)
    assert set(answer) == {"events"}
    return answer["events"]


def event(desk, told):
    return desk.get(f"/events/{told['id']}")


def count(desk, source):
    return len(desk.get(f"/events?source={source}&limit=250")["events"])


def run(desk, told):
    """What the flow sent for an event."""
    def look():
        return [one.json for one in desk.target.seen(path="/flow")
                if one.json["meta"]["id"] == told["id"]]
    assert wait_until(look, PATIENCE_S)
    return look()


def test_one_event_goes_to_flows_and_endpoints_byte_for_byte(desk):
    name = unique("u")
    body = f'{{"id": "{name}",  "what": "moved", "at": "2026-01-02T03:04:05Z", "n": 1.50}}'.encode()
    [told] = tell(desk, "crm", body, traceparent=TRACE)
    assert told["isNew"] is True and told["jobs"] == 2 and set(told) == {"id", "isNew", "jobs"}
    [sent] = run(desk, told)
    meta = sent["meta"]
    assert (meta["source"], meta["type"], meta["subject"]) == ("crm", "moved", name)
    stored = event(desk, told)
    assert stored["source"] == "crm" and stored["type"] == "moved"
    assert stored["time"].startswith("2026-01-02T03:04:05")

    def arrived():
        return [one for one in desk.target.seen(path="/hook") if one.body == body]
    assert wait_until(arrived, PATIENCE_S)
    assert arrived()[0].headers["grapnel-depth"] == "0"
    flow = next(one for one in desk.target.seen(path="/flow")
                if one.json["meta"]["id"] == told["id"])
    assert flow.headers["traceparent"].split("-")[1] == TRACE.split("-")[1]


def test_the_key_of_the_source_makes_a_repeat(desk):
    body = {"id": unique("u"), "what": "moved"}
    [first] = tell(desk, "crm", body)
    assert tell(desk, "crm", body) == [{"id": first["id"], "isNew": False}]
    assert len(run(desk, first)) == 1
    assert desk.faults("POST", where("crm"), {**body, "what": "gone"}) == [("body",)]
    # Without `once`, the bytes are the key, and `once: never` has none.
    body = {"id": unique("u")}
    assert [tell(desk, "plain", body)[0]["isNew"] for _ in range(2)] == [True, False]
    assert [tell(desk, "fresh", body)[0]["isNew"] for _ in range(2)] == [True, True]
    # `changed: repeat`
    [first] = tell(desk, "lenient", body)
    assert tell(desk, "lenient", {**body, "n": 2}) == [{"id": first["id"], "isNew": False}]


def test_a_webhook_and_the_api_are_one_source(desk):
    body = {"id": unique("u")}
    headers = {"authorization": f"Bearer {SECRET}", "ce_specversion": "1.0",
               "ce_id": body["id"], "ce_source": "/there", "ce_type": "a.b"}
    by_webhook = desk.daemon.post("bus", body, **headers).json["event"]
    headers.pop("authorization")
    assert tell(desk, "bus", body, **headers) == [{"id": by_webhook, "isNew": False}]


@pytest.mark.parametrize("kind", ["application/json", NDJSON])
def test_several_are_stored_together(desk, kind):
    names = [unique("u") for _ in range(256)]
    bodies = [json.dumps({"id": name, "what": "moved"}).encode() for name in names]
    whole = b"[" + b",".join(bodies) + b"]" if kind != NDJSON else b"\n\r\n".join(bodies) + b"\n"
    told = tell(desk, "crm", whole, kind)
    assert len({one["id"] for one in told}) == 256 and all(one["isNew"] for one in told)
    assert event(desk, told[255])["body"] == json.loads(bodies[255])
    assert [one["isNew"] for one in tell(desk, "crm", whole, kind)] == [False] * 256
    # The same twice in one request is one event.
    name = unique("u")
    first, second = tell(desk, "crm", [{"id": name}, {"id": name}])
    assert first["id"] == second["id"] and (first["isNew"], second["isNew"]) == (True, False)


@pytest.mark.parametrize("kind, body, places", [
    ("application/json", b"", [("body",)]),
    ("application/json", b"[]", [("body",)]),
    ("application/json", b"{", [("body",)]),
    ("application/json", b"7", [("body",)]),
    ("application/json", b'[{"id":1},7,{"id":2},[]]', [("body", "[1]"), ("body", "[3]")]),
    ("application/json", json.dumps([{"id": n} for n in range(257)]).encode(), [("body",)]),
    (NDJSON, b"\n \n", [("body",)]),
    (NDJSON, b'{"id":1}\n{"id":', [("body", "[1]")]),
    (NDJSON, b'{"id":1}\n"x"\n', [("body", "[1]")]),
    (NDJSON, b'{"id":1}\n' * 257, [("body",)]),
    (STRUCTURED, b"", [("body",)]),
    (STRUCTURED, b'{"specversion":"1.0","id":"1","source":"/s"}', [("body",)]),
    (BATCH, b"[]", [("body",)]),
    (BATCH, b'[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{"id":"2"}]',
     [("body", "[1]")]),
])
def test_what_is_bad_is_refused_where_it_stands_and_nothing_is_stored(desk, kind, body, places):
    before = count(desk, "quiet")
    assert desk.faults("POST", where("quiet"), body, content_type=kind) == places
    assert count(desk, "quiet") == before == 0


def test_the_schema_and_the_size_of_the_source_hold(desk):
    body = [{"mail": "a@b"}, {"mail": 7, "age": "x"}, {"mail": "x" * 100}]
    assert desk.faults("POST", where("judged"), body) == [
        ("body", "[1]", "/mail"), ("body", "[1]", "/age"), ("body", "[2]")]
    assert desk.faults("POST", where("judged"), body[1]) == [("body", "/mail"), ("body", "/age")]
    assert count(desk, "judged") == 0
    assert tell(desk, "judged", body[0])[0]["jobs"] == 1


def test_an_expression_that_fails_names_its_event(desk):
    assert desk.faults("POST", where("sums"), [{"n": 1}, {"n": {}}]) == [("body", "[1]")]
    assert count(desk, "sums") == 0


def test_who_may(desk):
    app = desk.app()
    for key, status in (("", 401), ("wrong", 401), (desk.key(app), 403),
                        (desk.key(readOnly=True), 403)):
        desk.refused("POST", where("quiet"), {"id": 1}, status, key=key)
    assert desk.refused("POST", where("nobody"), {"id": 1}, 404) == "not_found"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/x", "nonsense"):
        desk.refused("POST", where("quiet"), b"a=b", 415, content_type=kind)
    assert desk.call("GET", "/api/v1" + where("quiet")).status == 405
    assert count(desk, "quiet") == 0
    # The door of webhooks stays closed.
    assert desk.daemon.post("crm", {"id": 1}).status == 401


# ---- CloudEvents ----

def cloudevent(**more):
    return {"specversion": "1.0", "id": unique("ce"), "source": "/there",
            "type": "com.example.moved", "subject": "s1", "data": {"id": "u", "n": 1}, **more}


def test_cloudevents_in_three_modes(desk):
    one = cloudevent()
    attributes = {f"ce_{name}": value for name, value in one.items() if name != "data"}
    [binary] = tell(desk, "plain", one["data"], **attributes)
    [structured] = tell(desk, "plain", cloudevent(), STRUCTURED)
    first, second = tell(desk, "plain", [cloudevent(), cloudevent()], BATCH)
    for told in (binary, structured, first, second):
        assert told["isNew"]
        [sent] = run(desk, told)
        assert sent["event"] == {"id": "u", "n": 1}
        assert sent["meta"]["type"] == "com.example.moved"
        assert sent["meta"]["cloudevent"]["source"] == "/there"
    # The three are one event to the ledger.
    assert tell(desk, "plain", one, STRUCTURED) == [{"id": binary["id"], "isNew": False}]
    assert tell(desk, "plain", [one], BATCH) == [{"id": binary["id"], "isNew": False}]
    # One without data.
    [told] = tell(desk, "plain", b"", "text/x", **{**attributes, "ce_id": unique("ce")})
    assert run(desk, told)[0]["event"] is None


# ---- Idempotency-Key ----

def test_a_key_makes_one_event_of_many_tries(desk):
    key, body = unique("key"), {"id": unique("u")}
    [first] = tell(desk, "fresh", body, idempotency_key=key)
    assert first["isNew"]
    again = [{"id": first["id"], "isNew": False}]
    for _ in range(2):
        assert tell(desk, "fresh", body, idempotency_key=key) == again
    assert len(run(desk, first)) == 1
    assert tell(desk, "fresh", [body], idempotency_key=key) == again  # a list of one is the one
    for other in ({"id": "other"}, [body, body]):
        assert desk.faults("POST", where("fresh"), other, idempotency_key=key) == [
            ("header", "idempotency-key")]
    # It goes before what `once` says, and is no value of that.
    [second] = tell(desk, "crm", {"id": "same"}, idempotency_key=key)
    [third] = tell(desk, "crm", {"id": "same"}, idempotency_key=unique("key"))
    assert second["isNew"] and third["isNew"] and second["id"] != third["id"]
    assert tell(desk, "crm", {"id": f"idem-{key}"})[0]["isNew"]
    assert tell(desk, "crm", {"id": key})[0]["isNew"]


def test_a_key_of_several_holds_for_all_of_them(desk):
    key, bodies = unique("key"), [{"id": unique("u")} for _ in range(3)]
    told = tell(desk, "fresh", bodies, idempotency_key=key)
    assert all(one["isNew"] for one in told)
    before = count(desk, "fresh")
    desk.restart()
    again = tell(desk, "fresh", bodies, idempotency_key=key)
    assert [one["id"] for one in again] == [one["id"] for one in told]
    assert not any(one["isNew"] for one in again)
    lines = "\n".join(map(json.dumps, bodies)).encode()
    assert tell(desk, "fresh", lines, NDJSON, idempotency_key=key) == again
    fault = [("header", "idempotency-key")]
    for other in (bodies[:2], [*bodies, {"id": "x"}], bodies[0], bodies[::-1]):
        assert desk.faults("POST", where("fresh"), other, idempotency_key=key) == fault
    assert count(desk, "fresh") == before
    long = "k" * 256
    assert tell(desk, "fresh", bodies, idempotency_key=long)[2]["isNew"]
    assert tell(desk, "fresh", bodies, idempotency_key=long)[2]["isNew"] is False
    desk.refused("POST", where("fresh"), bodies, 400, idempotency_key="k" * 257)


def test_many_at_once_under_one_key_make_one_event(desk):
    key, body = unique("key"), json.dumps({"id": unique("u")}).encode()
    desks = [Desk.__new__(Desk) for _ in range(8)]
    for one in desks:
        one.daemon, one.token, one._connection = desk.daemon, desk.token, None
    told = []
    threads = [threading.Thread(target=lambda d=one: told.append(
        tell(d, "fresh", body, idempotency_key=key)[0])) for one in desks]
    for one in threads:
        one.start()
    for one in threads:
        one.join(PATIENCE_S)
    assert len(told) == 8 and len({one["id"] for one in told}) == 1
    assert sum(one["isNew"] for one in told) == 1


# ---- nobody wants it, loops, kills ----

def test_what_nobody_wants(desk):
    [told] = tell(desk, "quiet", {"id": unique("u")})
    assert told["isNew"] and told["jobs"] == 0 and event(desk, told)["jobs"] == []
    answer = desk.call("POST", "/api/v1" + where("picky"), {"id": 1, "type": "other"})
    assert answer.status == 422 and answer.json["detail"][0]["type"] == "value_error.unmatched"
    assert count(desk, "picky") == 0
    # Of several, one that is wanted is enough, and the answer says which was.
    told = tell(desk, "picky", [{"id": 1, "type": "other"}, {"id": 2, "type": "wanted"}])
    assert [one["jobs"] for one in told] == [0, 1]


def test_a_circle_ends(desk):
    [told] = tell(desk, "plain", {"id": unique("u")}, grapnel_depth="3")
    assert run(desk, told)[0]["meta"]["depth"] == 4
    assert run(desk, tell(desk, "plain", cloudevent(), STRUCTURED, grapnel_depth="0")[0]
               )[0]["meta"]["depth"] == 1
    for depth in ("16", "many"):
        assert desk.faults("POST", where("plain"), {"id": unique("u")}, grapnel_depth=depth) == [
            ("header", "grapnel-depth")]


def test_what_was_answered_survives_a_kill(desk):
    desk.target.act = desk.target.hold()
    told = tell(desk, "crm", [{"id": unique("u")} for _ in range(20)])
    desk.daemon.kill()
    desk.target.act.release()
    desk.daemon.start()
    assert len(told) == 20
    for one in told:
        def done(told=one):
            try:
                return [job["state"] for job in event(desk, told)["jobs"]] == ["done", "done"]
            except OSError:
                return False  # the connection was to the one that was killed
        assert wait_until(done, PATIENCE_S)


def test_too_large_a_request(desk):
    line = json.dumps({"id": "u", "text": "x" * 900_000}).encode()
    assert desk.faults("POST", where("quiet"), b"[" + line + b"," + line[:-1] + b"]") == [("body",)]
    assert desk.call("POST", "/api/v1" + where("quiet"), b"\n".join([line] * 10),
                     content_type=NDJSON).status == 413
    assert len(tell(desk, "lenient", b"\n".join([line] * 9), NDJSON)) == 9


def test_while_it_stops_nothing_more_is_taken(scene):
    daemon = scene.start(WORLD.replace(", schema: schema.json", ""))
    headers = {**JSON, "authorization": f"Bearer {TOKEN}"}

    def say(n):
        return ask(daemon.admin, "POST", "/api/v1" + where("plain"), json.dumps({"n": n}), headers)

    hold = scene.target.act = scene.target.hold()
    assert say(1).status == 202 and wait_until(lambda: hold.came, PATIENCE_S)
    daemon.signal(signal.SIGTERM)
    assert wait_until(lambda: say(1).status == 503, PATIENCE_S)
    assert say(2).json["code"] == "stopping"
    hold.release()
    assert daemon.wait() == 0


def test_the_document_says_what_is_taken(desk):
    document = desk.get("/openapi.json", key="")
    operation = document["paths"]["/api/v1/sources/{source}/events"]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", NDJSON, STRUCTURED, BATCH}
    either = content["application/json"]["schema"]["oneOf"]
    assert either[1] == {"type": "array", "items": either[0]}
    assert operation["x-role"] == "admin" and "202" in operation["responses"]
    assert {one["name"] for one in operation["parameters"]} == {"source", "idempotency-key"}
    for one in (either[0], content[BATCH]["schema"]["items"]):
        assert one["$ref"].rpartition("/")[2] in document["components"]["schemas"]
