# SPDX-License-Identifier: Apache-2.0
"""What a source hears, and how it says what it would like to hear."""

import itertools
import json

import pytest

from harness import PATIENCE_S, TO_TARGET, Reply, Scene, inside, result_of, wait_until

CONFIG = TO_TARGET + """
sources:
  waits: {verify: none}
  waits-a-while: {verify: none}
  accepts: {verify: none}
  asks-in-its-body:
    verify: none
    prefer: '{async: .options.background, wait: .options.patience, return: .options.answer}'
  plain: {verify: none, reply: plain}
  short: {verify: none, deadline: 2s}
flows:
  all:
    on: [waits, asks-in-its-body, plain, short]
    reply: wait
    steps:
      - user: {get: 'target:/users/{.event.id}'}
      - sent: {post: 'target:/done', body: '{name: .user.name}'}
  a-while:
    on: waits-a-while
    reply: wait 300ms
    steps:
      - user: {get: 'target:/users/{.event.id}'}
      - sent: {post: 'target:/done', body: '{name: .user.name}'}
  accepted:
    on: accepts
    reply: accepted
    steps:
      - user: {get: 'target:/users/{.event.id}'}
      - sent: {post: 'target:/done', body: '{name: .user.name}'}
"""
USER = {"name": "Aino", "phone": "+358"}


@pytest.fixture(scope="module", name="shared")
def shared_scene(tmp_path_factory):
    """All of these sources, for all tests that need no other file."""
    one = Scene(tmp_path_factory.mktemp("replies"))
    one.daemon = one.start(CONFIG)
    yield one
    one.close()


@pytest.fixture(name="daemon")
def daemon_with_a_user(shared):
    """Its target knows one user; no two webhooks of the tests are the same delivery."""
    shared.target.act = Reply(200, USER)
    return shared.daemon


NUMBERS = itertools.count()


def post(daemon, source, body=None, **headers):
    """A webhook that was not sent before."""
    return daemon.post(source, {"id": 1, "number": next(NUMBERS), **(body or {})}, **headers)


def later(daemon, answer):
    """What the address in a 202 tells, once the work has ended."""
    assert answer.status == 202
    assert answer.headers["Location"] == answer.json["url"]

    def ended():
        document = daemon.get(answer.headers["Location"]).json
        return document if document["jobs"][0]["state"] in ("done", "dead") else None

    document = wait_until(ended, PATIENCE_S)
    assert document and document["event"] == answer.json["event"]
    return document["jobs"][0]


def test_who_waits_hears_the_result(daemon):
    answer = post(daemon, "waits")
    assert answer.status == 200 and answer.json["code"] == "updated"
    assert answer.json["message"] == "Updated in target: name."
    assert set(answer.json) == {"event", "code", "message"}


def test_who_does_not_wait_hears_where_to_look(daemon):
    job = later(daemon, post(daemon, "accepts"))
    assert (job["state"], job["code"], job["attempts"]) == ("done", "updated", 1)
    assert job["flow"] == "accepted" and job["message"] == "Updated in target: name."


def test_patience_ends_and_the_work_goes_on(shared, daemon):
    held = shared.target.hold(Reply(200, USER))
    shared.target.act = held
    answer = post(daemon, "waits-a-while")
    assert answer.status == 202
    assert daemon.get(answer.headers["Location"]).json["jobs"][0]["state"] == "queued"
    shared.target.act = Reply(200, USER)
    held.release()
    assert later(daemon, answer)["state"] == "done"
    # When it comes in time it is told at once.
    assert post(daemon, "waits-a-while").status == 200


def test_a_failure_after_the_patience_is_found_at_the_address(shared, daemon):
    held = shared.target.hold(Reply(409, {"message": "There is another Aino."}))
    shared.target.act = held
    answer = post(daemon, "waits-a-while")
    held.release()
    job = later(daemon, answer)
    assert (job["state"], job["code"], job["status"]) == ("dead", "conflict", 409)
    assert job["message"] == "There is another Aino."


def test_the_deadline_ends_a_run_and_says_that_nothing_is_certain(shared, daemon):
    shared.target.act = shared.target.hold()
    answer = post(daemon, "short")
    assert answer.status == 424 and answer.json["code"] == "timeout"
    assert answer.json["retryable"] and "Nothing is certain" in answer.json["detail"]
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("prefer, status", [
    ("respond-async", 202),
    ("Respond-Async, wait=10", 202),
    ("return=minimal", 204),
    ("return=representation", 200),
    ('return="representation"', 200),
    ("wait=5", 200),
    ("nonsense, return=maximal, wait=soon", 200),
])
def test_the_header_prefer_chooses(daemon, prefer, status):
    answer = post(daemon, "waits", Prefer=prefer)
    assert answer.status == status
    if status == 202:
        assert later(daemon, answer)["state"] == "done"
    if status == 204:
        assert answer.body == b""
    if "representation" in prefer:
        assert answer.json == USER
    elif status == 200:
        assert answer.json["code"] == "updated"


def test_the_header_shortens_the_wait(shared, daemon):
    held = shared.target.hold(Reply(200, USER))
    shared.target.act = held
    answer = post(daemon, "waits", Prefer="wait=1")
    assert answer.status == 202
    held.release()
    shared.target.act = Reply(200, USER)
    assert later(daemon, answer)["state"] == "done"


def test_who_would_be_accepted_may_ask_to_wait(daemon):
    assert post(daemon, "accepts", Prefer="wait=10").status == 200


@pytest.mark.parametrize("options, status", [
    ({"background": True}, 202),
    ({"background": False}, 200),
    ({"answer": "minimal"}, 204),
    ({"answer": "representation"}, 200),
    ({"answer": 7, "patience": "long", "background": "yes"}, 200),
    (None, 200),
])
def test_the_body_may_say_it_in_the_sources_own_words(daemon, options, status):
    answer = post(daemon, "asks-in-its-body", {"options": options})
    assert answer.status == status
    if options and options.get("answer") == "representation":
        assert answer.json == USER


def test_the_header_goes_before_the_body(daemon):
    body = {"options": {"answer": "minimal"}}
    assert post(daemon, "asks-in-its-body", body).status == 204
    answer = post(daemon, "asks-in-its-body", body, Prefer="return=representation")
    assert answer.status == 200 and answer.json == USER


def test_a_preference_that_fails_refuses_the_webhook(daemon):
    stored = daemon.metrics()["grapnel_ledger_events"]
    answer = post(daemon, "asks-in-its-body", {"options": "text"})
    assert answer.status == 422 and answer.json["code"] == "mapping-failed"
    assert daemon.metrics()["grapnel_ledger_events"] == stored


def test_the_plain_dialect_is_text_for_people(shared, daemon):
    answer = post(daemon, "plain")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body == b"Updated in target: name.\n"
    shared.target.act = lambda request: (
        Reply(422, {"errors": [{"field": "name", "message": "is\ntoo short"}]})
        if request.method == "POST" else Reply(200, USER))
    answer = post(daemon, "plain")
    assert answer.status == 424
    assert answer.body == b"is too short\nname: is too short\n"
    answer = daemon.post("plain", b"{")
    assert answer.status == 400 and answer.body.startswith(b"the body is no JSON: ")


def test_an_address_cannot_be_guessed(daemon):
    answer = post(daemon, "accepts")
    later(daemon, answer)
    address = answer.headers["Location"]
    other = address[:-1] + ("0" if address[-1] != "0" else "1")
    for path in (other, address[:-1], address + "x", address.rpartition("-")[0], "/events/"):
        refused = daemon.get(path)
        assert refused.status == 404 and answer.json["event"].encode() not in refused.body


WHEN = TO_TARGET + """
sources: {app: {verify: none}}
flows:
  sorted:
    on: app
    reply: wait
    steps:
      - user:    {get: 'target:/users/{.event.id}', when: '.event.id'}
      - known:   {post: 'target:/known', body: '.user', when: '.user'}
      - unknown: {post: 'target:/unknown', body: '{was: .known}', when: '.user == null'}
      - refused: {fail: 403, message: '{.user.name} is blocked', when: '.user.blocked'}
      - empty:   {post: 'target:/never', when: 'empty'}
      - zero:    {post: 'target:/zero', when: '0'}
"""


@pytest.mark.parametrize("event, user, status, calls", [
    ({"id": 1}, {"name": "Aino"}, 200, ["/users/1", "/known", "/zero"]),
    ({"name": "no id"}, {}, 200, ["/unknown", "/zero"]),
    ({"id": False}, {}, 200, ["/unknown", "/zero"]),
    ({"id": 2}, {"name": "Veikko", "blocked": True}, 403, ["/users/2", "/known"]),
])
def test_when_decides_which_steps_run(scene, event, user, status, calls):
    scene.target.act = Reply(200, user)
    daemon = scene.start(WHEN)
    answer = daemon.post("app", event)
    assert answer.status == status
    assert [one.path for one in scene.target.requests] == calls
    if status == 403:
        assert answer.json["detail"] == "Veikko is blocked"
    for request in scene.target.seen("POST", "/unknown"):
        assert request.json == {"was": None}  # a step that did not run gives null


def test_a_condition_that_fails_ends_the_run(scene):
    daemon = scene.start(WHEN.replace("when: '.user.blocked'", "when: '.event.id | error'"))
    answer = daemon.post("app", {"id": 1})
    assert answer.status == 422 and "step refused" in answer.json["detail"]


def test_all_flows_that_want_an_event_get_it_and_the_failure_is_told(scene):
    daemon = scene.start(TO_TARGET + """
sources: {app: {verify: none}, strict: {verify: none, unmatched: refuse}}
flows:
  one: {on: [app, strict], match: {kind: [a, 1, true]}, reply: wait, steps: [{s: {post: 'target:/one'}}]}
  two: {on: app, match: {kind: a, deep.x: 1}, reply: wait, steps: [{s: {post: 'target:/two'}}]}
""")
    assert daemon.post("app", {"kind": "a", "deep": {"x": 1}}).status == 200
    assert sorted(one.path for one in scene.target.requests) == ["/one", "/two"]
    for kind, wanted in ((1, 200), (True, 200), ("1", 404), ("true", 404), (None, 404)):
        assert daemon.post("strict", {"kind": kind}).status == wanted
    answer = daemon.post("app", {"kind": "b"})  # nobody wants it: recorded all the same
    assert answer.status == 202 and daemon.event(answer.json["event"])["jobs"] == []
    scene.target.act = lambda request: Reply(200 if request.path == "/one" else 409)
    answer = daemon.post("app", {"kind": "a", "deep": {"x": 1}, "again": True})
    assert answer.status == 409
    states = {job["target"]: job["state"] for job in daemon.settled(answer.json["event"])["jobs"]}
    assert states == {"flow:one": "done", "flow:two": "dead"}


def test_the_type_and_time_of_an_event_are_where_the_source_says(scene):
    daemon = scene.start("""
sources: {app: {verify: none, type: '.a.kind', time: '.a.at'}, usual: {verify: none}}
""")
    body = {"a": {"kind": "moved", "at": "2020-02-29T12:00:00+02:00"}, "type": "no",
            "eventType": "yes", "timestamp": "2019-01-01T00:00:00Z"}
    event = daemon.event(daemon.post("app", body).json["event"])
    assert (event["type"], event["time"]) == ("moved", "2020-02-29T10:00:00.000Z")
    event = daemon.event(daemon.post("usual", body).json["event"])
    assert (event["type"], event["time"]) == ("yes", "2019-01-01T00:00:00.000Z")
    assert json.loads(json.dumps(event["body"])) == body


def test_once_says_what_a_repeat_is(scene):
    daemon = scene.start(TO_TARGET + """
sources: {app: {verify: none, once: '[.id, .at]'}}
flows: {all: {on: app, reply: wait, steps: [{sent: {post: 'target:/in', body: '.event'}}]}}
""")
    first = daemon.post("app", {"id": 1, "at": 1, "note": "one"})
    assert first.status == 200

    def again():
        answer = daemon.post("app", {"id": 1, "at": 1, "note": "one"})
        return answer if answer.body == first.body else None

    assert wait_until(again, PATIENCE_S)  # the answer is kept in a batch behind it
    assert daemon.post("app", {"id": 1, "at": 2, "note": "one"}).status == 200
    assert [one.json["at"] for one in scene.target.requests] == [1, 2]
    assert len(daemon.events()) == 2
    conflict = daemon.post("app", {"id": 1, "at": 1, "note": "two"})
    assert conflict.status == 422 and conflict.json["code"] == "conflict"


def test_a_hundred_at_once_of_one_delivery_are_one_event(scene):
    held = scene.target.hold()
    scene.target.act = held
    daemon = scene.start(CONFIG)
    posts = [inside(daemon.post, "accepts", {"id": 1}) for _ in range(100)]
    answers = [result_of(one) for one in posts]
    assert {one.status for one in answers} == {202}
    assert len({one.json["event"] for one in answers}) == 1
    assert len(daemon.events()) == 1 and daemon.metrics()["grapnel_webhooks_repeated_total"] == 99
    held.release()


def test_what_differs_is_judged_by_the_same_system(scene):
    """The address names a user of another system: what that holds is no reason to send nothing."""
    daemon = scene.start("""
connections:
  id:  {url: "http://127.0.0.1:${TARGET_PORT}/id"}
  crm: {url: "http://127.0.0.1:${TARGET_PORT}/crm"}
sources: {app: {verify: none}}
flows:
  copy:
    on: app
    reply: wait
    steps:
      - user:  {get: 'id:/users/{.event.id}'}
      - saved: {patch: 'crm:/contacts/{.user.contact}', body: '{mail: .user.mail}'}
""")
    scene.target.act = Reply(200, {"contact": "C1", "mail": "a@example.com"})
    answer = daemon.post("app", {"id": 1})
    assert answer.json["code"] == "updated"
    assert [one.json for one in scene.target.seen("PATCH", "/crm/contacts/C1")] == [
        {"mail": "a@example.com"}]
