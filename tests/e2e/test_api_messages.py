# SPDX-License-Identifier: Apache-2.0
"""Messages through the API: sent, kept byte for byte, repeated, listed, forgotten."""

import datetime
import json
import re
import time

import pytest

from api_desk import Desk, unique
from harness import PATIENCE_S, Reply, wait_until


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("messages"))
    yield one
    one.close()


@pytest.fixture
def app(desk):
    desk.target.act = Reply(200, {})
    return desk.app(uid=unique("app"))


def moment(seconds):
    """RFC 3339, so many seconds from now."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.isoformat().replace("+00:00", "Z")


def test_the_payload_arrives_and_is_shown_byte_for_byte(desk, app):
    path = "/" + unique("raw")
    desk.endpoint(app, path)
    payload = '{ "b" : 1.0,\t"a":12345678901234567890123, "\\u0061": "\\ud83d\\ude00é", "e": 1E400 }'
    made = desk.call("POST", f"/api/v1/app/{app}/msg",
                     f'{{"payload":{payload} , "eventType":"a.b"}}'.encode())
    assert made.status == 202 and payload.encode() in made.body
    assert re.fullmatch(r"msg_[0-9a-z]{13}", made.json["id"])
    assert wait_until(lambda: desk.target.seen("POST", path), PATIENCE_S)
    request, = desk.target.seen("POST", path)
    assert request.body == payload.encode()
    assert request.headers["webhook-id"] == made.json["id"]
    for suffix in (f"/{made.json['id']}", ""):
        assert payload.encode() in desk.call("GET", f"/api/v1/app/{app}/msg{suffix}").body
        shown = desk.get(f"/app/{app}/msg{suffix}?with_content=false")
        assert (shown["data"][0] if "data" in shown else shown)["payload"] == {}


def test_what_the_schema_does_not_allow(desk, app):
    good = {"eventType": "a.b", "payload": {}}
    for body, member in (
            ({"payload": {}}, "eventType"), ({"eventType": "a.b"}, "payload"),
            ({**good, "eventType": "a b"}, "eventType"), ({**good, "payload": []}, "payload"),
            ({**good, "payload": None}, "payload"), ({**good, "payload": "x"}, "payload"),
            ({**good, "eventId": "a/b"}, "eventId"), ({**good, "eventId": ""}, "eventId"),
            ({**good, "channels": []}, "channels"), ({**good, "channels": ["a"] * 2}, "channels"),
            ({**good, "channels": list("abcdef")}, "channels"),
            ({**good, "payloadRetentionPeriod": 4}, "payloadRetentionPeriod"),
            ({**good, "deliverAt": "soon"}, "deliverAt"),
            ({**good, "deliverAt": moment(400 * 86400)}, "deliverAt"),
            ({**good, "depth": -1}, "depth"), ({**good, "depth": 17}, "depth"),
            ({**good, "subject": ""}, "subject"), ({**good, "subject": "x" * 1025}, "subject")):
        assert desk.faults("POST", f"/app/{app}/msg", body)[0][:2] == ("body", member), body
    assert desk.faults("POST", f"/app/{app}/msg?wait=60001", good) == [("query", "wait")]
    assert desk.get(f"/app/{app}/msg")["data"] == []


def test_messages_that_caused_each_other_end_somewhere(desk, app):
    good = {"eventType": "a.b", "payload": {}}
    path = "/" + unique("depth")
    desk.endpoint(app, path)
    first = desk.send(app)
    desk.settled(app, first)
    passed = desk.target.seen("POST", path)[0].headers["grapnel-depth"]
    assert passed == "0"
    second = desk.post(f"/app/{app}/msg", good, 202, grapnel_depth=passed)["id"]
    desk.settled(app, second)
    assert desk.target.seen("POST", path)[1].headers["grapnel-depth"] == "1"
    assert desk.send(app, depth=16)
    desk.post(f"/app/{app}/msg", good, 202, grapnel_depth="15")
    for headers in ({"grapnel_depth": "16"}, {"grapnel_depth": "x"}):
        assert desk.faults("POST", f"/app/{app}/msg", good, **headers) == [
            ("header", "grapnel-depth")]


def test_an_event_id_is_sent_once(desk, app):
    event_id = unique("event")
    body = {"eventType": "a.b", "payload": {"n": 1}, "eventId": event_id, "channels": ["x"]}
    first = desk.post(f"/app/{app}/msg", body, 202)
    assert first["eventId"] == event_id and first["channels"] == ["x"]
    for other in (body, {**body, "payload": {"n": 2}}, {**body, "eventType": "c.d"}):
        assert desk.refused("POST", f"/app/{app}/msg", other, 409) == "conflict"
        assert desk.refused("POST", f"/app/{app}/msg", other, 409,
                            idempotency_key=unique("k")) == "conflict"
    assert desk.post(f"/app/{desk.app()}/msg", body, 202)["id"] != first["id"]
    assert [one["id"] for one in desk.get(f"/app/{app}/msg")["data"]] == [first["id"]]
    assert desk.get(f"/app/{app}/msg/{event_id}") == first
    assert desk.refused("GET", f"/app/{desk.app()}/msg/{event_id}") == "not_found"
    assert desk.get(f"/app/{app}/attempt/msg/{event_id}")["data"] == []


def test_a_request_that_is_repeated_under_its_key_hears_the_first_message(desk, app):
    body = {"eventType": "a.b", "payload": {"n": 1}}
    for more in ({}, {"eventId": unique("event")}):
        key = unique("key")
        first = desk.post(f"/app/{app}/msg", {**body, **more}, 202, idempotency_key=key)
        again = desk.post(f"/app/{app}/msg", {**body, **more}, 202, idempotency_key=f'"{key}"')
        assert again == first
        other = {**body, **more, "payload": {"n": 2}}
        if more:
            assert desk.refused("POST", f"/app/{app}/msg", other, 409, idempotency_key=key)
        else:
            assert desk.faults("POST", f"/app/{app}/msg", other, idempotency_key=key) == [
                ("header", "idempotency-key")]
            assert desk.faults("POST", f"/app/{app}/msg", {**body, "eventType": "c.d"},
                               idempotency_key=key) == [("header", "idempotency-key")]
    assert len(desk.get(f"/app/{app}/msg")["data"]) == 2
    # It is the ledger that remembers.
    desk.restart()
    assert desk.post(f"/app/{app}/msg", {**body, **more}, 202, idempotency_key=key) == first


def test_the_application_may_come_along(desk):
    uid = unique("along")
    body = {"eventType": "a.b", "payload": {}, "application": {"name": "n", "uid": uid}}
    assert desk.refused("POST", f"/app/{uid}/msg", {"eventType": "a.b", "payload": {}})
    assert desk.faults("POST", f"/app/{unique('x')}/msg", body) == [("body", "application")]
    assert desk.faults("POST", f"/app/{uid}/msg", {**body, "application": {"uid": uid}}) == [
        ("body", "application", "name")]
    desk.post(f"/app/{uid}/msg", body, 202)
    desk.post(f"/app/{uid}/msg", body, 202)
    assert desk.get(f"/app/{uid}")["name"] == "n"
    assert len(desk.get(f"/app/{uid}/msg")["data"]) == 2


def test_a_raw_payload_goes_as_it_is(desk, app):
    path = "/" + unique("raw")
    desk.endpoint(app, path)
    text = "<x>é</x>"
    made = desk.post(f"/app/{app}/msg", {
        "eventType": "a.b", "payload": {},
        "transformationsParams": {"rawPayload": text, "headers": {"content-type": "text/xml"}}},
        202)
    assert made["payload"] == text
    assert wait_until(lambda: desk.target.seen("POST", path), PATIENCE_S)
    request, = desk.target.seen("POST", path)
    assert request.body.decode() == text and request.headers["content-type"] == "text/xml"


def test_types_and_channels_choose_the_endpoints(desk, app):
    wants = {"/all": {}, "/type": {"eventTypes": ["a.b"]}, "/start": {"filterTypes": ["a.*"]},
             "/other": {"eventTypes": ["b"]}, "/eu": {"channels": ["eu", "us"]},
             "/off": {"disabled": True}}
    ids = {path: desk.endpoint(app, path, **more) for path, more in wants.items()}
    message = desk.send(app, "a.b", channels=["eu"])
    got = {one["id"] for one in desk.settled(app, message, 4)}
    assert got == {ids[path] for path in ("/all", "/type", "/start", "/eu")}
    message = desk.send(app, "a.c")
    assert {one["id"] for one in desk.settled(app, message, 2)} == {ids["/all"], ids["/start"]}


def test_waiting_tells_whether_all_acknowledged(desk, app):
    desk.endpoint(app)
    body = {"eventType": "a.b", "payload": {}}
    assert desk.post(f"/app/{app}/msg?wait=20000", body, 202)["delivered"] is True
    assert "delivered" not in desk.post(f"/app/{app}/msg", body, 202)
    desk.target.act = desk.target.hold()
    assert desk.post(f"/app/{app}/msg?wait=100", body, 202)["delivered"] is False
    desk.target.act.release()
    desk.target.act = Reply(500)
    assert desk.post(f"/app/{app}/msg?wait=20000", body, 202)["delivered"] is False


def test_a_message_may_wait_for_its_moment(desk, app):
    path = "/" + unique("later")
    desk.endpoint(app, path)
    later = desk.send(app, deliverAt=moment(3600))
    sooner = desk.send(app, deliverAt=moment(1.5))
    desk.settled(app, sooner)
    assert [one.headers["webhook-id"] for one in desk.target.seen("POST", path)] == [sooner]
    waiting, = desk.get(f"/app/{app}/msg/{later}/endpoint")["data"]
    assert waiting["statusText"] == "pending" and waiting["nextAttempt"] > moment(3000)


def test_an_expunged_payload_is_gone(desk, app):
    message = desk.send(app, payload={"secret": "word"})
    desk.delete(f"/app/{app}/msg/{message}/content")
    assert desk.get(f"/app/{app}/msg/{message}")["payload"] == {"expired": True}
    assert desk.refused("DELETE", f"/app/{app}/msg/msg_0123456789abc/content") == "not_found"
    assert b"word" not in desk.call("GET", f"/api/v1/app/{app}/msg").body


def test_many_in_one_request_each_have_their_result(desk, app):
    good = {"eventType": "a.b", "payload": {"n": 1}}
    event_id = unique("event")
    items = [good, {**good, "eventId": event_id}, {"eventType": "a b", "payload": {}}, 7,
             {**good, "eventId": event_id}, {**good, "eventId": event_id, "payload": {}}]
    answer = desk.post(f"/app/{app}/msg/batch", items, 202)
    assert [one["status"] for one in answer["data"]] == [202, 202, 422, 422, 409, 409]
    assert (answer["taken"], answer["refused"]) == (2, 4)
    assert answer["data"][2]["detail"][0]["loc"] == ["body", "[2]", "eventType"]
    listed = [one["id"] for one in desk.get(f"/app/{app}/msg")["data"]]
    assert listed[::-1] == [one["id"] for one in answer["data"][:2]]

    lines = b'{"eventType":"a.b","payload":{ "n" : 1.0 }}\r\n\n{"eventType":\n{"x":1}\n'
    answer = desk.post(f"/app/{app}/msg/batch", lines, 202, content_type="application/x-ndjson")
    assert [one["status"] for one in answer["data"]] == [202, 422, 422]
    assert b'{ "n" : 1.0 }' in desk.call("GET", f"/api/v1/app/{app}/msg").body
    assert desk.post(f"/app/{app}/msg/batch", [], 202)["data"] == []
    for bad in ({}, b"[", [good] * 10001):
        assert desk.faults("POST", f"/app/{app}/msg/batch", bad) == [("body",)]


def test_a_batch_that_is_sent_again_under_its_key_makes_nothing_new(desk, app):
    items = [{"eventType": "a.b", "payload": {"n": n}} for n in range(300)]
    key = unique("key")
    first = desk.post(f"/app/{app}/msg/batch?wait=1", items, 202, idempotency_key=key)
    again = desk.post(f"/app/{app}/msg/batch", items, 202, idempotency_key=key)
    assert first["taken"] == again["taken"] == 300
    assert [one["id"] for one in first["data"]] == [one["id"] for one in again["data"]]
    assert sum(len(page["data"]) for page in desk.pages(f"/app/{app}/msg", 250)) == 300


def test_six_hundred_are_paged_through_in_both_directions(desk, app):
    ids = []
    for start in range(0, 600, 100):
        items = [{"eventType": f"t.{n % 3}", "payload": {"n": n},
                  "channels": ["even" if n % 2 == 0 else "odd"]}
                 for n in range(start, start + 100)]
        ids += [one["id"] for one in desk.post(f"/app/{app}/msg/batch", items, 202)["data"]]
    ids = sorted(ids)[::-1]
    other = desk.app()
    desk.send(other)
    path = f"/app/{app}/msg"
    pages = list(desk.pages(path, 250))
    assert [one["id"] for page in pages for one in page["data"]] == ids
    assert pages[-1]["done"] and not pages[0]["done"]
    back = list(desk.pages(path, 240, pages[-1]["prevIterator"]))
    assert [one["id"] for page in reversed(back) for one in page["data"]] == ids[:500]

    def found(query):
        return [one for page in desk.pages(f"{path}?{query}", 200) for one in page["data"]]

    assert {one["eventType"] for one in found("event_types=t.0,t.2")} == {"t.0", "t.2"}
    assert len(found("event_types=t.0&event_types=t.2")) == 400
    assert len(found("channel=even")) == 300
    assert found("channel=none") == [] and found("event_types=none") == []
    tagged = desk.send(app, "t.9", tags=["a", "b"])
    assert [one["id"] for one in found("tag=b")] == [tagged] and found("tag=c") == []
    middle = desk.get(f"{path}/{ids[300]}")["timestamp"]
    older, newer = found(f"before={middle}"), found(f"after={middle}")
    assert len(older) + len(newer) == 601 and older[0]["id"] in ids and ids[300] in {
        one["id"] for one in newer}
    for bad in ("before=x", "channel=a%20b", "event_types=a%20b", "iterator=app_0123456789abc"):
        assert desk.faults("GET", f"{path}?{bad}") == [("query", bad.partition("=")[0])]


def test_large_payloads_have_a_limit(desk, app):
    path = f"/api/v1/app/{app}/msg"
    big = json.dumps({"eventType": "a.b", "payload": {"x": "y" * (3 * 1024 * 1024)}}).encode()
    assert desk.call("POST", path + "?with_content=false", big).status == 202
    started = time.monotonic()
    huge = b'{"eventType":"a.b","payload":{"x":"' + b"y" * (8 * 1024 * 1024) + b'"}}'
    assert desk.call("POST", path, huge).status == 413
    assert time.monotonic() - started < PATIENCE_S
