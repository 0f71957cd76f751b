# SPDX-License-Identifier: Apache-2.0
"""Calls that hold several events, forms, headers and types, said key by key by a source of no kind."""

import base64
import json
import subprocess
import time

import pytest

from harness import GRAPNEL, TO_TARGET, Hold, Reply, ask, signature, wait_until

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
SOURCES = TO_TARGET + """
sources:
  notices: {verify: none, envelope: graph, handshake: graph}
  refusing: {verify: none, envelope: graph, unmatched: refuse}
  keyed: {verify: none, envelope: graph, once: .key}
  waiting: {verify: none, envelope: graph}
  form: {verify: none, forms: fields, type: .kind}
  plain: {verify: none, once: header X-Id, type: header X-Type, time: .at, headers: [X-Shown]}
  always: {verify: none, once: never}
  rewritten: {verify: none, once: .id, changed: repeat}
  bundled: {verify: none, envelope: graph, once: .key, changed: repeat}
  signed: {verify: {scheme: standard, secret: "${SECRET}"}, envelope: graph, once: .key}
flows:
  changed: {on: [notices, keyed, refusing], type: updated, steps: [{sent: {post: 'target:/changed', body: '.event.n'}}]}
  waiting: {on: waiting, reply: wait, steps: [{sent: {post: 'target:/waited', body: '.event.n'}}]}
  form: {on: form, type: order, match: {size: "4"}, steps: [{sent: {post: 'target:/form', body: '.event'}}]}
  plain: {on: plain, steps: [{sent: {post: 'target:/plain', body: '.meta'}}]}
  always: {on: always, steps: [{sent: {post: 'target:/always', body: '.event'}}]}
"""


@pytest.fixture(name="daemon")
def its_daemon(scene):
    """On all of these sources."""
    return scene.start(SOURCES, SECRET=SECRET)


def notices(*items):
    """A call with these."""
    return json.dumps({"value": list(items)}).encode()


def notice(n, **more):
    """One that the flow wants."""
    return {"changeType": "updated", "n": n, **more}


def test_all_events_of_a_call_are_recorded_and_run(daemon, scene):
    answer = daemon.post("notices", notices(*[notice(n) for n in range(256)]))
    assert answer.status == 202 and "256 events" in answer.json["message"]
    assert len(daemon.events()) == 250  # as many as one page shows
    assert wait_until(lambda: len(scene.target.seen("POST", "/changed")) == 256, 20)
    assert sorted(one.json for one in scene.target.seen()) == list(range(256))


def test_none_is_recorded_when_one_cannot_be(daemon):
    too_many = notices(*[notice(n) for n in range(257)])
    assert daemon.post("notices", too_many).status == 413
    assert daemon.post("notices", b'{"value":[{"n":1},7]}').status == 400
    assert daemon.post("notices", b'{"value":[{"changeType":"updated","changeType":"x"}').status == 400
    assert daemon.post("notices", b"[]").json["code"] == "bad-envelope"
    assert daemon.events() == []


def test_a_call_without_events_is_no_failure(daemon):
    answer = daemon.post("notices", notices())
    assert answer.status == 200 and answer.json["message"] == "The call holds no event."
    assert daemon.events() == []


def test_what_looks_the_same_is_not_taken_for_a_repeat_without_an_id(daemon, scene):
    for _ in range(2):
        assert daemon.post("notices", notices(notice(1), notice(1))).status == 202
    assert len(daemon.events()) == 4
    for _ in range(2):
        assert daemon.post("notices", notices(notice(1, id="a"), notice(2, id="b"))).status == 202
    assert len(daemon.events()) == 6
    # Those that are new are recorded beside those that are known.
    assert daemon.post("notices", notices(notice(1, id="a"), notice(3, id="c"))).status == 202
    assert len(daemon.events()) == 7
    # And what is known does not run again.
    assert wait_until(lambda: len(scene.target.seen()) >= 7, 20)
    assert daemon.post("notices", notices(notice(1, id="a"), notice(9, id="z"))).status == 202
    assert wait_until(lambda: any(one.json == 9 for one in scene.target.seen()), 20)
    assert sorted(one.json for one in scene.target.seen()) == [1, 1, 1, 1, 1, 2, 3, 9]


def test_an_id_with_another_body_is_named_and_the_rest_stays(daemon):
    answer = daemon.post("keyed", notices(notice(1, key="a"), notice(2, key="a"), notice(3, key="b")))
    assert answer.status == 422 and "event 2 of this call" in answer.json["detail"]
    assert len(daemon.events()) == 2
    again = notices(notice(1, key="a"), notice(3, key="b"))
    assert daemon.post("keyed", again).status == 202
    assert len(daemon.events()) == 2


def test_a_call_is_refused_when_nobody_wants_any_of_it(daemon):
    unwanted = {"changeType": "deleted", "n": 0}
    assert daemon.post("refusing", notices(unwanted, unwanted)).status == 404
    assert daemon.events() == []
    assert daemon.post("refusing", notices(unwanted, notice(1))).status == 202
    assert len(daemon.events()) == 2


def test_a_call_of_one_may_wait_for_its_result(daemon, scene):
    scene.target.act = Reply(422, {"message": "no"})
    assert daemon.post("waiting", notices(notice(1))).status == 424
    # Several have no single result.
    assert daemon.post("waiting", notices(notice(2), notice(3))).status == 202


def test_several_are_answered_when_they_are_stored(daemon, scene):
    scene.target.act = scene.target.hold()
    assert isinstance(scene.target.act, Hold)
    assert daemon.post("waiting", notices(notice(2), notice(3))).status == 202
    assert len(daemon.events()) == 2


def test_events_of_a_call_survive_being_killed(daemon, scene):
    scene.target.act = scene.target.hold()
    assert daemon.post("notices", notices(*[notice(n) for n in range(50)])).status == 202
    daemon.kill()
    scene.target.act = Reply(200, {})
    scene.target.requests.clear()
    daemon.start()
    assert len(daemon.events()) == 50
    assert wait_until(lambda: {one.json for one in scene.target.seen()} == set(range(50)), 20)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def post_form(daemon, source, body):
    """A form."""
    return ask(daemon.port, "POST", f"/in/{source}", body, FORM)


def test_a_form_is_matched_and_mapped_and_stored_as_it_came(daemon, scene):
    body = b"kind=order&size=4&note=a+%22b%22&tag=1&tag=2&n=%C3%A4"
    event = post_form(daemon, "form", body).json["event"]
    assert wait_until(lambda: scene.target.seen("POST", "/form"), 20)
    assert scene.target.seen()[0].json == {"kind": "order", "size": "4", "note": 'a "b"',
                                           "tag": ["1", "2"], "n": "ä"}
    shown = daemon.event(event)
    assert (shown["bodyText"], shown["type"]) == (body.decode(), "order")
    assert post_form(daemon, "form", b"kind=order&size=5").status == 202
    assert len(scene.target.seen("POST", "/form")) == 1


@pytest.mark.parametrize("body", [b"a=%zz", b"a=%00", b"a=1&&b=2", b"a=\xff"])
def test_what_is_no_form_is_refused(daemon, body):
    answer = post_form(daemon, "form", body)
    assert answer.status == 400 and answer.json["code"] == "bad-form"
    assert daemon.events() == []


def test_forms_are_refused_where_nobody_asked_for_them(daemon):
    assert post_form(daemon, "plain", b"a=1").status == 415
    parts = {"Content-Type": "multipart/form-data; boundary=x"}
    assert ask(daemon.port, "POST", "/in/form", b"--x--", parts).status == 415


def test_headers_tell_the_type_and_the_key(daemon, scene):
    first = daemon.post("plain", {"at": 1714550400}, X_Id="1", X_Type="a\"b", X_Shown="ä", X_Other="no")
    assert first.status == 202
    assert wait_until(lambda: scene.target.seen("POST", "/plain"), 20)
    meta = scene.target.seen()[0].json
    assert meta["type"] == 'a"b' and list(meta["headers"]) == ["x-shown"]
    assert daemon.events()[0]["time"] == "2024-05-01T08:00:00.000Z"
    same = daemon.post("plain", {"at": 1714550400}, X_Id="1")
    assert same.json["event"] == first.json["event"]
    assert daemon.post("plain", {"at": 2}, X_Id="1").status == 422
    assert daemon.post("plain", {"at": 1714550400123}, X_Id="2").status == 202
    assert daemon.events()[0]["time"] == "2024-05-01T08:00:00.123Z"
    # Without the header the body itself is the key.
    assert daemon.post("plain", {"at": 3}).status == 202
    assert daemon.post("plain", {"at": 3}).status == 202
    assert len(daemon.events()) == 3


def test_never_makes_each_a_new_one(daemon, scene):
    for _ in range(3):
        assert daemon.post("always", [1]).status == 202
    assert len(daemon.events()) == 3
    assert wait_until(lambda: len(scene.target.seen("POST", "/always")) == 3, 20)


def test_what_is_written_anew_may_be_known_all_the_same(daemon):
    first = daemon.post("rewritten", {"id": 1, "left": 3})
    again = daemon.post("rewritten", {"id": 1, "left": 2})
    assert (again.status, again.json["event"]) == (202, first.json["event"])
    for n in range(2):
        assert daemon.post("bundled", notices({"key": "a", "n": n}, {"key": "b"})).status == 202
    assert len(daemon.events()) == 3


def test_events_of_one_message_have_keys_of_their_own(daemon):
    body = notices({"key": "a"}, {"key": "b"})
    for message in ("msg_1", "msg_2"):
        now = int(time.time())
        answer = daemon.post("signed", body, webhook_id=message, webhook_timestamp=str(now),
                             webhook_signature=signature(SECRET, message, now, body))
        assert answer.status == 202
        assert len(daemon.events()) == 2


def check(tmp_path, text):
    """What `grapnel check` says of it."""
    (tmp_path / "grapnel.yaml").write_text(text)
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.stderr


@pytest.mark.parametrize("keys, said", [
    ("envelope: grap", "unknown envelope 'grap'; did you mean 'graph'?"),
    ("handshake: slak", "unknown handshake 'slak'; did you mean 'slack'?"),
    ("forms: fields, envelope: graph", "envelope: a form holds one event"),
    ("once: header", "header/0 is not defined"),
    ("once: 'header X Y'", "write header and its name"),
    ("type: 'header '", "write header and its name"),
])
def test_mistakes_are_found_before_they_hurt(tmp_path, keys, said):
    assert said in check(tmp_path, f"sources:\n  a: {{verify: none, {keys}}}\n")
