# SPDX-License-Identifier: Apache-2.0
"""Events that come late, that wait together, and that tell of what Grapnel did itself: what is left
alone says so."""

import datetime
import os
import subprocess

import pytest

from harness import GRAPNEL, PATIENCE_S, TO_TARGET, Reply, inside, result_of, wait_until


def flow(more="", steps=("sent: {post: 'target:/{.event.id}'}",), reply="wait"):
    """A flow by subject."""
    return TO_TARGET + f"""
sources: {{app: {{verify: none}}}}
flows:
  one:
    on: app
    subject: .id
    reply: {reply}
    retry: {{base: 100ms, max: 100ms, tries: 32}}
    {more}
    steps:
""" + "".join(f"      - {step}\n" for step in steps)


def event(second, n=0, **more):
    """A change of subject `n`, made at that second."""
    return {"id": n, "timestamp": f"2026-01-01T00:00:{second:02d}Z", **more}


def codes(daemon):
    """How the jobs ended, in the order in which their events came."""
    return [daemon.attempts(one["id"])[-1]["code"] for one in reversed(daemon.events())]


def settled(daemon, n):
    """All `n` have ended."""
    def look():
        events = daemon.events()
        return len(events) == n and all(one["jobs"][0]["state"] in ("done", "dead") for one in events)
    return wait_until(look, PATIENCE_S)


# ---- superseded ----

def test_what_is_older_than_what_was_applied_is_superseded(scene):
    daemon = scene.start(flow())
    answers = [daemon.post("app", event(s, n)) for s, n in
               ((5, 1), (4, 1), (5, 2), (9, 1), (8, 1), (4, 3))]
    assert [one.status for one in answers] == [200] * 6
    assert [one.json["code"] for one in answers] == [
        "updated", "superseded", "updated", "updated", "superseded", "updated"]
    assert daemon.post("app", {**event(9, 1), "again": True}).json["code"] == "updated"
    assert len(scene.target.requests) == 5


def test_a_time_that_is_yet_to_come_does_not_silence_what_follows(scene):
    daemon = scene.start(flow())
    ahead = {"id": 1, "timestamp": "2100-01-01T00:00:00Z"}
    assert daemon.post("app", ahead).json["code"] == "updated"
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    assert daemon.post("app", {"id": 1, "timestamp": now}).json["code"] == "updated"
    daemon.kill()
    daemon.start()
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    assert daemon.post("app", {"id": 1, "timestamp": now}).json["code"] == "updated"
    assert daemon.post("app", event(9, 1)).json["code"] == "superseded"


def test_only_what_was_applied_counts(scene):
    daemon = scene.start(flow("stale: superseded").replace("tries: 32", "tries: 1"))
    scene.target.act = lambda r: Reply(422 if r.json["timestamp"].endswith(":09Z") else 200, {})
    assert [daemon.post("app", event(s)).status for s in (9, 5, 4)] == [424, 200, 200]
    assert len(scene.target.requests) == 2


def test_what_says_no_time_is_run(scene):
    daemon = scene.start(flow())
    bodies = [event(5), {"id": 0, "n": 1}, {"id": 0, "timestamp": "yesterday"}]
    assert [daemon.post("app", one).json["code"] for one in bodies] == ["updated"] * 3


@pytest.mark.parametrize("more", ["stale: run", "order: none"])
def test_a_flow_may_run_them_all(scene, more):
    daemon = scene.start(flow(more))
    assert [daemon.post("app", event(s)).json["code"] for s in (5, 4)] == ["updated"] * 2


def test_a_restart_remembers(scene):
    daemon = scene.start(flow())
    assert [daemon.post("app", event(5, n)).status for n in range(10)] == [200] * 10
    assert settled(daemon, 10)
    daemon.kill()
    daemon.start()
    assert [daemon.post("app", event(4, n)).json["code"] for n in range(10)] == ["superseded"] * 10


# ---- coalesced ----

def test_of_those_that_wait_in_memory_the_last_is_run(scene):
    daemon = scene.start(flow("coalesce: true"))
    hold = scene.target.hold()
    scene.target.act = hold
    first = inside(daemon.post, "app", event(1))
    assert wait_until(lambda: hold.came == 1, PATIENCE_S)
    others = []
    for n in range(5):
        others.append(inside(daemon.post, "app", event(2 + n)))
        assert wait_until(lambda: len(daemon.events()) == 2 + n, PATIENCE_S)  # pylint: disable=W0640
    apart = inside(daemon.post, "app", event(1, 7))
    hold.release()
    assert result_of(first).json["code"] == result_of(apart).json["code"] == "updated"
    assert [result_of(one).json["code"] for one in others] == ["coalesced"] * 4 + ["updated"]
    assert {one.json["timestamp"][-3:-1] for one in scene.target.seen(path="/0")} == {"01", "06"}


def test_of_those_that_wait_in_the_ledger_the_last_is_run(scene):
    daemon = scene.start(flow("coalesce: true", reply="accepted"))
    scene.target.act = Reply(503, {})
    for n in range(6):
        assert daemon.post("app", event(n)).status == 202
        # The first waits for its retry, the others are blocked behind it.
        state = "waiting" if n == 0 else "blocked"
        if n < 2:
            assert wait_until(lambda: state in {one["jobs"][0]["state"] for one in daemon.events()},
                              PATIENCE_S)  # pylint: disable=W0640
    before = len(scene.target.requests)
    scene.target.act = Reply(200, {})
    assert settled(daemon, 6)
    assert codes(daemon)[-1] == "updated" and "coalesced" in codes(daemon)
    sent = [one.json["timestamp"][-3:-1] for one in scene.target.requests[before:]]
    assert sent[-1] == "05" and len(sent) <= 2


def test_without_it_each_is_run(scene):
    daemon = scene.start(flow(reply="accepted"))
    for n in range(6):
        assert daemon.post("app", event(n)).status == 202
    assert settled(daemon, 6) and codes(daemon) == ["updated"] * 6


# ---- skipped, and echoes ----

def test_what_is_skipped_says_why(scene):
    daemon = scene.start(flow(steps=(
        "robot: {skip: 'Made by {.event.actor}.', when: '.event.actor == \"robot\"'}",
        "each: {get: 'target:/slow', after: none}", "sent: {post: 'target:/sent'}")))
    answer = daemon.post("app", event(1, actor="robot"))
    assert (answer.status, answer.json["code"], answer.json["message"]) == (
        200, "skipped", "Made by robot.")
    assert not scene.target.seen("POST")
    assert daemon.post("app", event(2, actor="Aino")).json["code"] == "updated"


BACK = ("own: {echo: target, id: .event.id%s}", "sent: {post: 'target:/other/{.event.id}'}")


def both_ways(values=""):
    """Two systems that follow each other."""
    there = flow(steps=("saved: {patch: 'target:/there/{.event.id}', body: .event.data}",))
    return there.replace("{app: {verify: none}}", "{app: {verify: none}, back: {verify: none}}") + """
  two:
    on: back
    reply: wait
    steps:
""" + "".join(f"      - {step}\n" for step in BACK) % values


@pytest.mark.parametrize("values, told, code", [
    ("", {}, "echo"), (", values: .event.new", {"new": {"a": 1, "b": "x", "more": 2}}, "echo"),
    (", values: .event.new", {"new": {"a": 2, "b": "x"}}, "updated"),
    (", values: .event.new", {"new": {"a": 1}}, "updated"),
    (", values: .event.new", {}, "updated")])
def test_an_echo_is_left_alone(scene, values, told, code):
    daemon = scene.start(both_ways(values))
    assert daemon.post("app", event(1, "c/1", data={"a": 1.0, "b": "x", "gone": None})).status == 200
    assert daemon.post("back", {"id": "c/1", **told}).json["code"] == code
    assert daemon.post("back", {"id": "c/2", **told}).json["code"] == "updated"


def test_an_echo_may_come_before_the_answer(scene):
    daemon = scene.start(both_ways())
    hold = scene.target.hold()
    scene.target.act = hold
    first = inside(daemon.post, "app", event(1, data={"a": 1}))
    assert wait_until(lambda: hold.came == 1, PATIENCE_S)
    assert daemon.post("back", {"id": 0}).json["code"] == "echo"
    hold.release()
    assert result_of(first).status == 200


def test_what_was_created_has_an_echo_too(scene):
    daemon = scene.start(both_ways(", within: 1h").replace(
        "{patch: 'target:/there/{.event.id}', body: .event.data}",
        "{post: 'target:/there', body: .event.data}").replace("within: 1h", "within: 10m"))
    scene.target.act = Reply(201, {"id": "new-1"})
    assert daemon.post("app", event(1, data={"a": 1})).status == 200
    assert daemon.post("back", {"id": "new-1"}).json["code"] == "echo"


@pytest.mark.parametrize("config, complaint", [
    (flow("coalesce: true").replace("    subject: .id\n", ""), "coalesce: only where events run by"),
    (flow("stale: never"), "stale: "),
    (flow(steps=("a: {echo: targt}",)), "did you mean 'target'?"),
    (flow(steps=("a: {echo: target, within: 1h}",)), "within: '1h'")])
def test_check_says_what_is_wrong(tmp_path, config, complaint):
    (tmp_path / "grapnel.yaml").write_text(config)
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, "TARGET_PORT": "1"})
    assert done.returncode == 1 and complaint in done.stderr, done.stderr
