# SPDX-License-Identifier: Apache-2.0
"""The way through the steps of a flow: what is read together, what waits for what, and what is
taken back when a later step fails."""

import os
import subprocess

import pytest

from harness import GRAPNEL, PATIENCE_S, TO_TARGET, Reply, inside, result_of, wait_until


def flow(steps, more=""):
    """The configuration of one flow with these steps."""
    return TO_TARGET + """
sources: {app: {verify: none}}
flows:
  one:
    on: app
    reply: wait
""" + more + "    steps:\n" + "".join(f"      - {step}\n" for step in steps)


def test_what_only_reads_is_read_together(scene):
    daemon = scene.start(flow([
        "user: {get: 'target:/users/{.event.id}'}",
        "address: {get: 'target:/addresses/{.event.id}'}",
        "company: {find: 'target:/companies?of={.event.id}', pick: .items}",
        "both: {map: '{user: .user.name, city: .address.city, company: .company.name}'}",
        "saved: {post: 'target:/contacts', body: .both}"]))
    answers = {"/users/7": {"name": "Ada"}, "/addresses/7": {"city": "London"},
               "/companies?of=7": {"items": [{"name": "Engines"}]}, "/contacts": {}}

    # Each is held until all three have come: one after the other they would wait for ever.
    def meets(request):
        if request.method == "GET":
            seen = scene.target.requests
            assert wait_until(lambda: sum(one.method == "GET" for one in seen) == 3, PATIENCE_S)
        return Reply(200, answers[request.path])

    scene.target.act = meets
    assert daemon.post("app", {"id": 7}).status == 200
    assert scene.target.requests[-1].json == {"user": "Ada", "city": "London", "company": "Engines"}


def test_what_depends_on_a_step_waits_for_it(scene):
    daemon = scene.start(flow([
        "user: {get: 'target:/users/1'}",
        "boss: {get: 'target:/users/{.user.boss}'}",
        "other: {get: 'target:/other'}",
        "all: {map: .}"]))
    scene.target.act = lambda request: Reply(200, {"boss": 2, "path": request.path})
    assert daemon.post("app", {}).status == 200
    paths = [one.path for one in scene.target.requests]
    assert sorted(paths) == ["/other", "/users/1", "/users/2"]
    assert paths.index("/users/1") < paths.index("/users/2")


def test_who_writes_waits_for_all_before_it_and_is_waited_for(scene):
    daemon = scene.start(flow([
        "slow: {get: 'target:/slow'}",
        "written: {post: 'target:/written'}",
        "later: {get: 'target:/later'}"]))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold if request.path == "/slow" else Reply(200, {})
    answer = inside(daemon.post, "app", {})
    assert wait_until(lambda: hold.came == 1, PATIENCE_S)
    assert [one.path for one in scene.target.requests] == ["/slow"]
    hold.release()
    assert result_of(answer).status == 200
    assert [one.path for one in scene.target.requests] == ["/slow", "/written", "/later"]


def test_after_lets_writes_go_together(scene):
    daemon = scene.start(flow([
        "left: {post: 'target:/left'}",
        "right: {post: 'target:/right', after: none}",
        "end: {post: 'target:/end', after: [left, right]}"]))

    def meets(request):
        seen = scene.target.requests
        if request.path != "/end":
            assert wait_until(lambda: len(seen) == 2, PATIENCE_S)
        return Reply(200, {})

    scene.target.act = meets
    assert daemon.post("app", {}).status == 200
    assert scene.target.requests[-1].path == "/end"


def test_when_one_fails_the_others_are_let_go(scene):
    daemon = scene.start(flow([
        "held: {get: 'target:/held'}",
        "bad: {get: 'target:/bad'}",
        "never: {post: 'target:/never'}"]))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold if request.path == "/held" else Reply(500, {})
    answer = daemon.post("app", {})
    assert answer.status == 424 and answer.json["code"] == "target-failed"
    assert not scene.target.seen(path="/never")


UNDOING = [
    "first: {post: 'target:/first', undo: [{gone: {request: 'target:/first/{.first.id}', "
    "method: DELETE}}]}",
    "second: {post: 'target:/second', undo: [{gone: {request: 'target:/second/{.second.id}', "
    "method: DELETE}}, {told: {post: 'target:/told', body: '{what: .first.id}'}}]}",
    "skipped: {post: 'target:/skipped', when: .event.never, undo: [{gone: {post: 'target:/no'}}]}",
    "third: {post: 'target:/third', undo: [{gone: {post: 'target:/no'}}]}"]


def undone(scene):
    """What was asked behind the third."""
    asked = [f"{one.method} {one.path}" for one in scene.target.requests]
    return asked[asked.index("POST /third") + 1:]


def test_what_was_done_is_undone_latest_first(scene):
    daemon = scene.start(flow(UNDOING))
    scene.target.act = lambda request: Reply(
        422 if request.path == "/third" else 200, {"id": request.path[1:3], "message": "No third."})
    answer = daemon.post("app", {})
    assert answer.status == 424 and answer.json["detail"] == "No third."
    assert undone(scene) == ["DELETE /second/se", "POST /told", "DELETE /first/fi"]
    assert scene.target.seen(path="/told")[0].json == {"what": "fi"}
    daemon.settled(answer.json["event"])
    calls = daemon.attempts(answer.json["event"])[0]["calls"]
    assert [one.get("undo", False) for one in calls] == [False] * 3 + [True] * 3


def test_nothing_is_undone_when_all_went_well(scene):
    daemon = scene.start(flow(UNDOING))
    scene.target.act = lambda request: Reply(200, {"id": 1})
    assert daemon.post("app", {}).status == 200
    assert undone(scene) == []


def test_what_cannot_be_undone_is_said_and_the_others_are_undone(scene):
    daemon = scene.start(flow(UNDOING))
    scene.target.act = lambda request: Reply(
        422 if request.path in ("/third", "/second/se") else 200,
        {"id": request.path[1:3], "message": f"No {request.path}."})
    answer = daemon.post("app", {})
    assert answer.json["detail"] == "No /third. Step second could not be undone: No /second/se."
    assert undone(scene) == ["DELETE /second/se", "DELETE /first/fi"]


def test_there_is_time_for_undoing_before_the_deadline(scene):
    daemon = scene.start(flow(UNDOING).replace("{verify: none}", "{verify: none, deadline: 2s}"))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold if request.path == "/third" else Reply(200, {"id": 1})
    answer = daemon.post("app", {})
    assert answer.status == 424 and answer.json["code"] == "timeout"
    assert undone(scene) == ["DELETE /second/1", "POST /told", "DELETE /first/1"]


def test_time_that_is_over_is_over_for_undoing_too(scene):
    daemon = scene.start(flow(UNDOING).replace("{verify: none}", "{verify: none, deadline: 1s}"))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold if request.path in ("/third", "/second/1") else Reply(
        200, {"id": 1})
    answer = daemon.post("app", {})
    assert answer.status == 424 and "second could not be undone" in answer.json["detail"]
    assert answer.json["detail"].endswith("Step first was not undone: no time was left.")
    assert undone(scene) == ["DELETE /second/1"]


@pytest.mark.parametrize("steps, complaint", [
    (["one: {map: .event}", "two: {map: .event, after: [on]}"], "did you mean 'one'?"),
    (["one: {map: .event, after: one}"], "there is no step 'one' before this one"),
    (["one: {map: .event, after: {a: 1}}"], "names of earlier steps, or none"),
    (["one: {map: .event, undo: []}"], "a list of 1 to 32 steps"),
    (["one: {map: .event, undo: [{one: {map: .event}}]}"], "has the name one already"),
    (["one: {map: .event, undo: [{a: {map: .event, undo: [{b: {map: .event}}]}}]}"],
     "what undoes a step cannot be undone itself"),
    (["one: {map: .event, undo: [{two: {mapp: .event}}]}"], "did you mean 'map'?"),
    ([f"s{n}: {{map: .event}}" for n in range(33)], "a list of 1 to 32 steps"),
    (["a: {for_each: '[1]', steps: [b: {for_each: '[1]', steps: [c: {for_each: '[1]', steps: "
      "[d: {for_each: '[1]', steps: [e: {for_each: '[1]', steps: [f: {map: .item}]}]}]}]}]}"],
     "at most 4 deep"),
])
def test_check_says_what_is_wrong(tmp_path, steps, complaint):
    (tmp_path / "grapnel.yaml").write_text(flow(steps))
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, "TARGET_PORT": "1"})
    assert done.returncode == 1 and complaint in done.stderr
