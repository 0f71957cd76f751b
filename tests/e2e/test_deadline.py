# SPDX-License-Identifier: Apache-2.0
"""A source that waits is answered by its deadline, whatever keeps its job: a target that is silent
or endless, a token that does not come, a place in a queue, an earlier job of the same subject. How
close to the deadline the answer leaves is measured by `make bench`; here it is that it leaves while
whatever keeps the job still does."""

import threading

import pytest

import rude
from harness import PATIENCE_S, Reply, inside, result_of, wait_until

CONFIG = """
connections:
  target: {url: "http://127.0.0.1:${SILENT_PORT}", timeout: 5m}
  ready: {url: "http://127.0.0.1:${TARGET_PORT}"}
  narrow: {url: "http://127.0.0.1:${SILENT_PORT}", timeout: 5m, limit: {concurrency: 1}}
  guarded:
    url: "http://127.0.0.1:${TARGET_PORT}"
    oauth2: {token_url: "http://127.0.0.1:${SILENT_PORT}/token", client_id: me, client_secret: x}
sources:
  app: {verify: none, deadline: 2s}
flows:
  reads:  {on: app, match: {do: read}, reply: wait, steps: [{got: {get: 'target:/x'}}]}
  writes:
    on: app
    match: {do: write}
    reply: wait
    steps:
      - got: {get: 'ready:/have'}
      - saved: {patch: 'target:/x', body: '{name: "new"}', have: got}
  queues: {on: app, match: {do: queue}, reply: wait, steps: [{got: {get: 'narrow:/x'}}]}
  proves: {on: app, match: {do: prove}, reply: wait, steps: [{got: {get: 'guarded:/x'}}]}
  orders:
    on: app
    match: {do: order}
    subject: .id
    reply: wait
    steps: [{sent: {post: 'target:/x', body: '{n: .event.n}'}}]
"""


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
STALLS = {"says nothing": rude.says_nothing, "never ends": rude.drips(HEAD + b" " * 1000)}


@pytest.fixture(name="meet")
def silent_target(scene):
    """Starts the daemon beside a target with this behaviour, which lasts as long as the test."""
    made = []

    def make(act):
        made.append(rude.Rude(act))
        return made[0], scene.start(CONFIG, SILENT_PORT=str(made[0].port))

    scene.target.act = Reply(200, {"name": "old"})
    yield make
    for one in made:
        one.close()


def is_timeout(daemon, answer):
    """The source was told so, and the job is at its end."""
    assert answer.status == 424 and answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json["code"], answer.json["retryable"]) == ("timeout", True)
    assert int(answer.headers["Retry-After"]) > 0
    job = daemon.settled(answer.json["event"])["jobs"][0]
    assert job["state"] == "dead" and len(job["attempts"]) == 1
    attempt = job["attempts"][0]
    assert (attempt["code"], attempt["message"]) == ("timeout", answer.json["detail"])
    return attempt


def is_too_late(daemon, answer):
    """The same for those who had their turn only when others were let go: in the milliseconds that
    were left they could not even connect."""
    assert answer.status == 424 and answer.json["code"] in ("timeout", "unreachable")
    assert daemon.settled(answer.json["event"])["jobs"][0]["state"] == "dead"


@pytest.mark.parametrize("how", STALLS)
@pytest.mark.parametrize("do", ("read", "write"))
def test_a_stalled_target_is_left_at_the_deadline(meet, how, do):
    stalled, daemon = meet(STALLS[how])
    attempt = is_timeout(daemon, daemon.post("app", {"do": do}))
    assert "target did not answer in time" in attempt["message"]
    call = attempt["calls"][-1]
    # The run lets go of it, unless the call itself has noticed first that its time is over.
    assert call["url"].endswith("/x") and call["end"] in ("cancelled", "timeout")
    # It was asked once, and is not held on to.
    assert len(stalled.requests) == 1
    assert wait_until(lambda: stalled.open == 0, PATIENCE_S)


def test_two_hundred_at_once_are_answered(meet):
    stalled, daemon = meet(rude.says_nothing)
    posts = [inside(daemon.post, "app", {"do": "read", "n": n}) for n in range(200)]
    for one in posts:
        is_too_late(daemon, result_of(one))
    assert wait_until(lambda: stalled.open == 0, PATIENCE_S)
    # That this source is impatient says nothing of the target, which is closed to nobody.
    stalled.act = rude.answers(rude.OK)
    assert daemon.post("app", {"do": "read", "n": -1}).status == 200


def test_who_queues_for_a_connection_is_answered(meet):
    """Also those whose turn comes in the last moment, when the one before them is let go."""
    stalled, daemon = meet(rude.says_nothing)
    posts = [inside(daemon.post, "app", {"do": "queue", "n": n}) for n in range(20)]
    assert wait_until(lambda: daemon.metrics()["grapnel_ledger_events"] == 20, PATIENCE_S)
    for one in posts:
        is_too_late(daemon, result_of(one))


def test_who_waits_for_a_token_is_answered(scene, meet):
    stalled, daemon = meet(rude.says_nothing)
    is_timeout(daemon, daemon.post("app", {"do": "prove"}))
    assert len(stalled.requests) == 1 and scene.target.requests == []


def test_who_stands_behind_another_hears_that_it_comes_later(meet):
    """The first is nobody's to wait for, so no deadline ends it; the second could not begin."""
    released = threading.Event()

    def held(peer):
        while peer.read():
            released.wait(PATIENCE_S)
            peer.send(rude.OK)

    stalled, daemon = meet(held)
    first = daemon.post("app", {"do": "order", "id": "A", "n": 1}, Prefer="respond-async")
    assert first.status == 202
    assert wait_until(lambda: len(stalled.requests) == 1, PATIENCE_S)
    second = daemon.post("app", {"do": "order", "id": "A", "n": 2})
    assert second.status == 202 and set(second.json) == {"event", "url", "message"}
    assert daemon.get(second.headers["Location"]).json["jobs"][0]["state"] == "queued"
    # The same delivery again hears the same; another subject is not kept.
    assert daemon.post("app", {"do": "order", "id": "A", "n": 2}).status == 202
    is_timeout(daemon, daemon.post("app", {"do": "order", "id": "B", "n": 1}))
    assert [one.body for one in stalled.requests] == [b'{"n":1}'] * 2
    released.set()
    for answer in (first, second):
        assert daemon.settled(answer.json["event"])["jobs"][0]["state"] == "done"
    assert [one.body for one in stalled.requests if b"2" in one.body] == [b'{"n":2}']
