# SPDX-License-Identifier: Apache-2.0
"""Targets that fail: each way has its own code, in the answer and on record, and none of them is
ever taken for a success."""

import json
import re

import pytest

from harness import HANG_UP, PATIENCE_S, RESET, TO_TARGET, Reply, Scene, one_after_the_other, wait_until

CONFIG = """
connections:
  target: {url: "http://127.0.0.1:${TARGET_PORT}", timeout: 400ms, answer_max: 4K}
  nowhere: {url: "http://nowhere.invalid/"}
sources: {app: {verify: none}}
flows:
  by-get:
    on: app
    match: {do: get}
    reply: wait
    steps:
      - got: {get: 'target:/users/{.event.n}'}
  by-patch:
    on: app
    match: {do: patch}
    reply: wait
    steps:
      - got:   {get: 'target:/have/{.event.n}'}
      - saved: {patch: 'target:/patch/{.event.n}', body: '{mail: .event.mail, name: .got.name}', have: got}
  nowhere:
    on: app
    match: {do: nowhere}
    reply: wait
    steps:
      - got: {get: 'nowhere:/x'}
"""
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"


def raw(body):
    """A whole answer with this body."""
    return ANSWER % (len(body), body)


@pytest.fixture(scope="module", name="scene")
def one_scene(tmp_path_factory):
    """One daemon serves most tests of this file."""
    scene = Scene(tmp_path_factory.mktemp("targets"))
    scene.daemon = scene.start(CONFIG)
    scene.number = 0
    yield scene
    scene.close()


def tell(scene, act, do="get", **more):
    """What the source hears when the target does that, and the last attempt on record."""
    scene.target.act = act
    scene.number += 1
    answer = scene.daemon.post("app", {"do": do, "n": scene.number, **more})
    event = scene.daemon.settled(answer.json["event"])
    attempts = event["jobs"][0]["attempts"]
    assert len(attempts) == 1
    # Between two faults the target is well, or it would be taken for dead after a few.
    scene.target.act = Reply(200, {})
    assert scene.daemon.post("app", {"do": "get", "n": -scene.number}).status == 200
    return answer, attempts[0], event["jobs"][0]["state"]


# What the target does; the code that is told and recorded; how the client's end is called in the
# attempt's list of calls; whether it may help to try again.
FAULTS = [
    ("hangs up", HANG_UP, "broken", "broken", True),
    ("resets", RESET, "broken", "broken", True),
    ("half an answer", HALF, "broken", "broken", True),
    ("half a head", b"HTTP/1.1 200 OK\r\nConte", "unreadable-answer|broken", None, True),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", "unreadable-answer|broken", None, True),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
     "unreadable-answer|broken", None, True),
    ("a length and chunks", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n"
     b"\r\n2\r\n{}\r\n0\r\n\r\n", "unreadable-answer|broken", None, True),
    ("broken chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n",
     "unreadable-answer|broken", None, True),
    ("too much", raw(b'"' + b"x" * 5000 + b'"'), "unreadable-answer", "too_big", True),
    ("garbage for JSON", raw(b"<html>It works!</html>"), "unreadable-answer", "answered", True),
    ("half a JSON", raw(b'{"name": "Ai'), "unreadable-answer", "answered", True),
    ("an empty body", raw(b""), "unreadable-answer", "answered", True),
    ("NaN", raw(b'{"n": NaN}'), "unreadable-answer", "answered", True),
    ("500", Reply(500, {"message": "Ouch."}), "target-failed", "answered", True),
    ("503", Reply(503), "target-failed", "answered", True),
    ("429", Reply(429), "target-busy", "answered", True),
    ("408", Reply(408), "target-failed", "answered", True),
    ("400", Reply(400), "target-refused", "answered", False),
    ("410", Reply(410), "target-refused", "answered", False),
    ("422", Reply(422), "target-refused", "answered", False),
    ("401", Reply(401), "target-denied", "answered", False),
    ("403", Reply(403, {"message": "No."}), "target-denied", "answered", False),
    ("a redirect", Reply(302, {}, {"Location": "/elsewhere"}), "target-refused", "answered", False),
    ("999", Reply(999), "target-failed", "answered", True),
]


@pytest.mark.parametrize("act, code, end, retryable", [pytest.param(*one[1:], id=one[0].replace(
    " ", "-")) for one in FAULTS])
def test_each_fault_has_its_code(scene, act, code, end, retryable):
    seen = len(scene.target.requests)
    answer, attempt, state = tell(scene, act)
    assert answer.status == 424 and answer.headers["Content-Type"] == "application/problem+json"
    assert re.fullmatch(code, answer.json["code"])
    assert answer.json["retryable"] is retryable
    assert (answer.headers["Retry-After"] is not None) is retryable
    assert (attempt["status"], attempt["code"]) == (424, answer.json["code"])
    assert attempt["message"] == answer.json["detail"] and state == "dead"
    assert end is None or attempt["calls"][-1]["end"] == end
    assert attempt["calls"][-1]["url"].endswith(f"/users/{scene.number}")
    assert {one.path for one in scene.target.requests[seen:]} == {
        f"/users/{scene.number}", f"/users/-{scene.number}"}


def test_a_conflict_stays_one(scene):
    answer, attempt, _ = tell(scene, Reply(409, {"detail": "Somebody was faster."}))
    assert answer.status == 409 and answer.json["code"] == "conflict"
    assert answer.json["detail"] == attempt["message"] == "Somebody was faster."


def test_what_is_not_there_is_404(scene):
    answer, attempt, _ = tell(scene, Reply(404))
    assert answer.status == 404 and answer.json["code"] == attempt["code"] == "missing"


def test_a_silent_target_is_left_at_its_timeout(scene):
    hold = scene.target.hold()
    answer, attempt, _ = tell(scene, hold)
    hold.release()
    assert answer.status == 424 and answer.json["code"] == "timeout"
    assert attempt["calls"][0]["end"] == "timeout" and attempt["calls"][0]["us"] >= 400_000


def test_a_name_that_does_not_resolve_is_unreachable(scene):
    answer, attempt, _ = tell(scene, Reply(200, {}), do="nowhere")
    assert answer.status == 424 and answer.json["code"] == "unreachable"
    assert attempt["calls"][0]["end"] == "name" and answer.json["retryable"] is True


@pytest.mark.parametrize("after, seconds", [
    ("7", 7), ("0", None), ("86400000", 86400), ("soon", None), ("-5", None)])
def test_the_targets_wish_is_passed_on(scene, after, seconds):
    answer, _, _ = tell(scene, Reply(503, None, {"Retry-After": after}))
    assert answer.json["code"] == "target-failed"
    told = int(answer.headers["Retry-After"])
    assert told == seconds if seconds else 0 < told <= 60


COMPLAINTS = [
    {"field": "mail", "message": "is taken"},
    {"errors": [{"field": "mail", "message": "is taken"}]},
    {"errors": [{"pointer": "/mail", "detail": "is taken"}]},
    {"errors": {"mail": ["is taken", "really"]}},
]


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=json.dumps)
def test_a_complaint_is_traced_to_the_sources_own_field(scene, complaint):
    answer, _, _ = tell(
        scene, lambda r: Reply(200, {"name": "A"}) if r.method == "GET" else Reply(422, complaint),
        do="patch", mail="a@example.com")
    assert answer.status == 424 and answer.json["code"] == "target-refused"
    assert [(one["pointer"], one["detail"]) for one in answer.json["errors"]] == [
        ("/mail", "is taken")]


def test_a_failed_write_is_no_success_and_nothing_to_change_is_no_write(scene):
    def act(request):
        return Reply(200, {"name": "A", "mail": "old@x"}) if request.method == "GET" else written

    written = HANG_UP
    answer, attempt, _ = tell(scene, act, do="patch", mail="new@x")
    assert answer.status == 424 and answer.json["code"] == "broken"
    assert [call["method"] for call in attempt["calls"]] == ["GET", "PATCH"]
    # A PATCH may have worked although no answer came: it is not sent again by itself.
    assert len(scene.target.seen("PATCH", f"/patch/{scene.number}")) == 1
    written = Reply(204)
    answer, _, _ = tell(scene, act, do="patch", mail="new@x")
    assert answer.status == 200 and answer.json["code"] == "updated"
    assert scene.target.seen("PATCH", f"/patch/{scene.number}")[0].json == {"mail": "new@x"}
    answer, _, _ = tell(scene, act, do="patch", mail="old@x")
    assert answer.json["code"] == "unchanged" and not scene.target.seen(
        "PATCH", f"/patch/{scene.number}")


LATER = TO_TARGET + """
sources: {app: {verify: none}}
flows:
  later:
    on: app
    retry: {base: 100ms, max: 200ms, tries: 4}
    steps:
      - sent: {post: 'target:/in', body: '.event'}
"""


@pytest.fixture(name="other")
def another_scene(tmp_path):
    """A scene of its own, for tests that leave a target behind that is away."""
    one = Scene(tmp_path)
    yield one
    one.close()


def test_who_was_not_told_is_tried_again_until_it_works(other):
    other.target.act = one_after_the_other(Reply(500), HANG_UP, Reply(429), Reply(200, {}))
    daemon = other.start(LATER)
    event = daemon.settled(daemon.post("app", {"n": 1}).json["event"])
    job = event["jobs"][0]
    assert job["state"] == "done"
    assert [one["code"] for one in job["attempts"]] == [
        "target-failed", "broken", "target-busy", "updated"]
    assert [one["number"] for one in job["attempts"]] == [1, 2, 3, 4]
    assert {one.body for one in other.target.requests} == {b'{"n": 1}'}  # byte for byte


def test_a_flow_may_try_again_although_the_source_was_told(other):
    other.target.act = one_after_the_other(Reply(500), Reply(200, {}))
    daemon = other.start(LATER.replace("    on: app\n", "    on: app\n    reply: wait\n"))
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "target-failed"
    job = daemon.settled(answer.json["event"])["jobs"][0]
    assert [one["code"] for one in job["attempts"]] == ["target-failed", "updated"]


def test_a_hole_that_gives_nothing_calls_nobody(other):
    daemon = other.start(LATER.replace("target:/in", "target:/in/{.event.who}").replace(
        "    on: app\n", "    on: app\n    reply: wait\n"))
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 422 and answer.json["code"] == "nothing-there"
    assert "{.event.who}" in answer.json["detail"] and not other.target.requests


def test_what_would_fail_again_is_not_tried_again(other):
    other.target.act = Reply(422, {"message": "That is no colour."})
    daemon = other.start(LATER)
    job = daemon.settled(daemon.post("app", {"n": 1}).json["event"])["jobs"][0]
    assert job["state"] == "dead" and len(job["attempts"]) == len(other.target.requests) == 1
    assert job["attempts"][0]["message"] == "That is no colour."
    assert [one["id"] for one in daemon.events("dead")] == [daemon.events()[0]["id"]]


def test_tries_have_an_end(other):
    other.target.act = Reply(500)
    daemon = other.start(LATER)
    job = daemon.settled(daemon.post("app", {"n": 1}).json["event"])["jobs"][0]
    assert job["state"] == "dead" and len(job["attempts"]) == len(other.target.requests) == 5


def test_the_targets_wish_holds_for_the_next_try(other):
    other.target.act = one_after_the_other(Reply(503, None, {"Retry-After": "3600"}))
    daemon = other.start(LATER)
    event = daemon.post("app", {"n": 1}).json["event"]
    assert wait_until(lambda: daemon.event(event)["jobs"][0]["state"] == "waiting", PATIENCE_S)
    shown = daemon.event(event)
    wait_h = (hours(shown["jobs"][0]["due"]) - hours(shown["received"])) % 24
    assert 1 <= wait_h <= 1.3  # with its jitter


def hours(time):
    """Of the day."""
    hour, minute, second = re.search(r"T(\d\d):(\d\d):(\d\d)", time).groups()
    return int(hour) + int(minute) / 60 + int(second) / 3600


def test_an_address_that_nobody_allowed_is_not_dialled(other):
    daemon = other.start("outbound: {allow: [10.0.0.0/8]}\n" + LATER.replace(
        "retry: {base: 100ms, max: 200ms, tries: 4}", "reply: wait"))
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "address-refused"
    assert answer.json["retryable"] is False and "127.0.0.1" in answer.json["detail"]
    assert not other.target.requests


def test_a_slow_target_delays_no_other(other):
    slow = other.target.hold()
    daemon = other.start("""
connections:
  slow: {url: "http://127.0.0.1:${TARGET_PORT}/slow", limit: {concurrency: 2}}
  fast: {url: "http://127.0.0.1:${TARGET_PORT}/fast"}
sources: {slow: {verify: none}, fast: {verify: none}}
flows:
  slow: {on: slow, steps: [{sent: {post: 'slow:/in'}}]}
  fast: {on: fast, reply: wait, steps: [{sent: {post: 'fast:/in'}}]}
""")
    other.target.act = lambda r: slow if r.path.startswith("/slow") else Reply(200, {})
    for n in range(100):
        assert daemon.post("slow", {"n": n}).status == 202
    assert wait_until(lambda: slow.came == 2, PATIENCE_S)
    for n in range(20):
        assert daemon.post("fast", {"n": n}).status == 200
    assert slow.came == 2  # no more than it may have at once
    slow.release()
    assert wait_until(lambda: len(other.target.seen("POST", "/slow")) == 100, PATIENCE_S)
