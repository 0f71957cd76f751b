# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: a new configuration as a whole, or none at all."""

import re
import signal

from harness import PATIENCE_S, TO_TARGET, Reply, ask, children, inside, result_of, wait_until

TWO_STEPS = TO_TARGET + """
sources: {app: {verify: none}, later: {verify: none}}
flows:
  first:
    on: app
    reply: wait
    steps:
      - user: {get: 'target:/users/{.event.id}'}
      - sent: {post: 'target:/old', body: '{name: .user.name, was: "old"}'}
"""


def test_the_new_file_holds_for_new_requests_and_work_in_flight_ends_on_the_old(scene):
    daemon = scene.start(TWO_STEPS)
    held = scene.target.hold(Reply(200, {"name": "Aino"}))
    scene.target.act = held
    waiting = inside(daemon.post, "app", {"id": 1})
    assert wait_until(lambda: held.came == 1, PATIENCE_S)

    daemon.reload(TWO_STEPS.replace("/old", "/new").replace('"old"', '"new"'))
    scene.target.act = Reply(200, {"name": "Veikko"})

    def new_runs():
        assert daemon.post("app", {"id": 2}).status == 200
        return scene.target.seen("POST", "/new")

    assert wait_until(new_runs, PATIENCE_S)
    assert {one.json["was"] for one in scene.target.seen("POST", "/new")} == {"new"}
    olds = len(scene.target.seen("POST", "/old"))
    held.release()
    assert result_of(waiting).status == 200
    assert scene.target.seen("POST", "/old")[olds:][0].json == {"name": "Aino", "was": "old"}
    assert len(scene.target.seen("POST", "/old")) == olds + 1


def test_a_broken_file_changes_nothing_and_each_error_has_its_place(scene):
    daemon = scene.start(TWO_STEPS)
    broken = TWO_STEPS.replace("reply: wait", "replly: wait").replace(".user.name,", ".user.name(,")
    daemon.reload(broken)
    assert daemon.facts("reload refused: the running configuration stays")
    assert not daemon.facts("reloaded")
    log = daemon.log.read_text()
    text = daemon.file.read_text().splitlines()
    line = next(i for i, line in enumerate(text, 1) if "replly" in line)
    assert re.search(rf"grapnel\.yaml:{line}:5: .*replly.*did you mean 'reply'", log), log
    line = next(i for i, line in enumerate(text, 1) if ".user.name(" in line)
    assert re.search(rf"grapnel\.yaml:{line}:\d+: jq: ", log), log
    scene.target.act = Reply(200, {"name": "Aino"})
    assert daemon.post("app", {"id": 1}).status == 200
    assert scene.target.seen("POST", "/old")

    daemon.reload(TWO_STEPS)  # and from there it goes on as if nothing had been
    assert daemon.facts("reloaded")
    assert daemon.post("app", {"id": 2}).status == 200


def test_a_missing_file_changes_nothing(scene):
    daemon = scene.start(TWO_STEPS)
    daemon.file.unlink()
    daemon.signal(signal.SIGHUP)
    refused = "reload refused: the running configuration stays"
    assert wait_until(lambda: daemon.facts(refused), PATIENCE_S)
    assert daemon.post("app", {"id": 1}).status == 200


def test_who_waits_for_a_flow_that_is_removed_hears_that_it_is_gone(scene):
    config = "threads: 1\n" + TWO_STEPS.replace("reply: wait\n", "reply: wait\n    subject: .who\n")
    daemon = scene.start(config)
    held = scene.target.hold(Reply(200, {"name": "Aino"}))
    scene.target.act = held
    first = inside(daemon.post, "app", {"id": 1, "who": 1})
    assert wait_until(lambda: held.came == 1, PATIENCE_S)
    second = inside(daemon.post, "app", {"id": 2, "who": 1})
    assert wait_until(lambda: len(daemon.events()) == 2, PATIENCE_S)
    daemon.reload(config.replace("  first:\n", "  other:\n"))

    def is_new():
        event = daemon.post("app", {"id": 3, "who": 3}, prefer="respond-async").json["event"]
        return daemon.event(event)["jobs"][0]["target"] == "flow:other"

    assert wait_until(is_new, PATIENCE_S)
    held.release()
    assert result_of(first).status == 200
    answer = result_of(second)
    assert answer.status == 424 and answer.json["code"] == "no-target", answer
    assert answer.json["retryable"] is False


def test_a_removed_source_is_unknown_and_a_new_one_is_not(scene):
    daemon = scene.start(TWO_STEPS)
    assert daemon.post("later", {"id": 1}).status == 202
    assert daemon.post("fresh", {"id": 1}).status == 404
    daemon.reload(TWO_STEPS.replace("later: {", "fresh: {"))
    assert wait_until(lambda: daemon.post("later", {"id": 2}).status == 404, PATIENCE_S)
    assert wait_until(lambda: daemon.post("fresh", {"id": 2}).status == 202, PATIENCE_S)


WAITING = TO_TARGET + """
sources: {app: {verify: none}}
flows:
  gone:
    on: app
    retry: {base: 300ms, max: 300ms, tries: 32}
    steps:
      - sent: {post: 'target:/in'}
"""


def test_jobs_of_a_removed_flow_end_dead_and_say_why(scene):
    daemon = scene.start(WAITING)
    scene.target.act = Reply(503)
    event = daemon.post("app", {"id": 1}).json["event"]
    assert wait_until(lambda: daemon.event(event)["jobs"][0]["state"] == "waiting", PATIENCE_S)
    daemon.reload(WAITING.replace("gone:", "other:"))
    job = daemon.settled(event)["jobs"][0]
    assert job["state"] == "dead"
    assert job["attempts"][-1]["code"] == "no-target"
    assert [one["code"] for one in job["attempts"][:-1]] == ["target-failed"] * (
        len(job["attempts"]) - 1)
    assert daemon.metrics()["grapnel_jobs_dead"] == 1


def test_the_admin_token_is_that_of_the_file_that_holds(scene):
    tokens = "admin_token: TOKEN\n" + TWO_STEPS
    daemon = scene.start(tokens.replace("TOKEN", "a" * 32))

    def look(token):
        headers = {"authorization": f"Bearer {token * 32}"}
        return ask(daemon.admin, "GET", "/api/v1/events", headers=headers).status

    assert [look("a"), look("b")] == [200, 401]
    daemon.reload(tokens.replace("TOKEN", "a" * 32).replace("/old", "/x"))
    assert [look("a"), look("b")] == [200, 401]
    daemon.reload(tokens.replace("TOKEN", "b" * 32))
    assert wait_until(lambda: look("b") == 200, PATIENCE_S)
    assert look("a") == 401


def test_what_only_a_restart_changes_is_said(scene):
    daemon = scene.start(TWO_STEPS)
    daemon.reload("threads: 1\nlimits: {idle_timeout: 1s}\n" + TWO_STEPS)
    assert wait_until(lambda: len(daemon.facts("this option changes with a restart only")) == 2,
                      PATIENCE_S)
    told = daemon.facts("this option changes with a restart only")
    assert [(one["level"], one["option"]) for one in told] == [
        ("warn", "threads"), ("warn", "limits")]


def test_many_reloads_leave_nothing_behind(scene):
    daemon = scene.start(TWO_STEPS)
    scene.target.act = Reply(200, {"name": "Aino"})
    assert daemon.post("app", {"id": 1}).status == 200

    def at_rest():
        """One nursery with a helper for each of the two loops."""
        nurseries = children(daemon.process.pid)
        return len(nurseries) == 1 and len(children(nurseries[0])) == 2

    assert wait_until(at_rest, PATIENCE_S)
    descriptors = daemon.descriptors()  # and one call's connection that is kept open
    for i in range(10):
        daemon.reload(TWO_STEPS.replace("/old", f"/old{i}"))
        assert daemon.post("app", {"id": i}).status == 200
    assert len(daemon.facts("reloaded")) == 10
    assert wait_until(at_rest, PATIENCE_S)
    assert wait_until(lambda: daemon.descriptors() <= descriptors + 2, PATIENCE_S)
    assert ask(daemon.admin, "GET", "/readyz").status == 200
