# SPDX-License-Identifier: Apache-2.0
"""for_each: steps for each element of a list, one or a few at a time; and what follows when some of
them fail."""

import itertools
import os
import socket
import subprocess

import pytest

from harness import (GRAPNEL, PATIENCE_S, SANITIZED, TO_TARGET, Reply, inside, result_of,
                     wait_until)

@pytest.fixture(name="deaf")
def a_port_that_never_answers():
    """Its queue is full: whoever connects waits."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for one in waiting:
            one.close()


NUMBERS = itertools.count()
CALLS = 1500
# What they may cost beside what the answers hold.
LIST_MAX_BYTES = 16 * 1024 * 1024
CALL_MAX_BYTES = 4 * 1024


def flow(*steps, more="", source="{verify: none}"):
    """The configuration of one flow with these steps."""
    return TO_TARGET + f"""
sources: {{app: {source}}}
flows:
  one:
    on: app
    reply: wait
{more}    steps:
""" + "".join(f"      - {step}\n" for step in steps)


def each(steps, more="", give=".groups"):
    """A for_each over the event's list, and a step that shows its value."""
    return flow(f"groups: {{for_each: .event.list, steps: [{steps}]{more}}}",
                f"noted: {{post: 'target:/noted', body: '{{value: {give}}}'}}")


PUT = "joined: {put: 'target:/groups/{.item.id}', body: '{n: .index, who: .event.who}'}"


def tell(daemon, items, **more):
    """A webhook with this list, which is no repeat of another."""
    return daemon.post("app", {"list": items, "number": next(NUMBERS), **more})


def ids(*names):
    """A list of groups."""
    return [{"id": name} for name in names]


def paths(scene):
    """What was asked, in its order."""
    return [f"{one.method} {one.path}" for one in scene.target.requests]


def echo(request):
    """An answer that says what was asked."""
    return Reply(200, {"at": request.path})


def test_the_steps_are_done_for_each_in_its_order(scene):
    daemon = scene.start(each(PUT))
    scene.target.act = echo
    answer = tell(daemon, ids("a", "b/c", "d"), who="ada")
    assert answer.status == 200
    assert paths(scene) == ["PUT /groups/a", "PUT /groups/b%2Fc", "PUT /groups/d", "POST /noted"]
    assert [one.json for one in scene.target.requests[:3]] == [
        {"n": n, "who": "ada"} for n in range(3)]
    assert scene.target.requests[3].json == {"value": [
        {"at": "/groups/a"}, {"at": "/groups/b%2Fc"}, {"at": "/groups/d"}]}
    calls = daemon.attempts(daemon.settled(answer.json["event"])["id"])[0]["calls"]
    assert [one.get("item") for one in calls] == [1, 2, 3, None]


def test_each_item_begins_anew(scene):
    """No value of an earlier item is seen by a later one."""
    daemon = scene.start(each(
        "first: {get: 'target:/first/{.item.id}', when: .item.ask}, "
        "last: {map: '[.first, .item.id]'}"))
    scene.target.act = echo
    assert tell(daemon, [{"id": 1, "ask": True}, {"id": 2}, {"id": 3, "ask": True}]).status == 200
    assert scene.target.requests[-1].json == {"value": [
        [{"at": "/first/1"}, 1], [None, 2], [{"at": "/first/3"}, 3]]}


@pytest.mark.parametrize("items", [[], None])
def test_of_nothing_comes_nothing(scene, items):
    daemon = scene.start(each(PUT))
    assert tell(daemon, items).status == 200
    assert paths(scene) == ["POST /noted"] and scene.target.requests[0].json == {"value": []}


@pytest.mark.parametrize("items", [{}, "text", 7, False])
def test_what_is_no_list_is_an_error(scene, items):
    daemon = scene.start(each(PUT))
    answer = tell(daemon, items)
    assert (answer.status, answer.json["code"]) == (422, "mapping-failed")
    assert answer.json["detail"] == "step groups: .event.list gives no list"
    assert scene.target.requests == []


def test_a_list_that_is_too_long_is_an_error(scene):
    daemon = scene.start(each(PUT, ", max: 3"))
    assert tell(daemon, ids(*"abc")).status == 200
    before = len(scene.target.requests)
    answer = tell(daemon, ids(*"abcd"))
    assert (answer.status, answer.json["code"]) == (422, "too-many")
    assert "4 items, and at most 3" in answer.json["detail"]
    assert len(scene.target.requests) == before


def test_some_go_together_and_no_more(scene):
    daemon = scene.start(each(PUT, ", together: 3"))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold if request.method == "PUT" else Reply(200, {})
    answer = inside(tell, daemon, ids(*"abcdefg"))
    assert wait_until(lambda: hold.came == 3, PATIENCE_S)
    # The fourth would come before the loop answers this.
    assert daemon.api("/healthz") and hold.came == 3
    hold.release()
    assert result_of(answer).status == 200
    assert sorted(paths(scene)[:7]) == [f"PUT /groups/{name}" for name in "abcdefg"]
    assert paths(scene)[7:] == ["POST /noted"]


def test_values_stand_in_the_order_of_the_list(scene):
    daemon = scene.start(each(PUT, ", together: 4"))
    holds = {name: scene.target.hold(Reply(200, {"name": name})) for name in "abcd"}

    def act(request):
        return holds.get(request.path[-1], Reply(200)) if request.method == "PUT" else Reply(200)

    scene.target.act = act
    answer = inside(tell, daemon, ids(*"abcd"))
    assert wait_until(lambda: all(one.came for one in holds.values()), PATIENCE_S)
    for name in "dbca":
        holds[name].release()
    assert result_of(answer).status == 200
    assert scene.target.requests[-1].json == {"value": [{"name": name} for name in "abcd"]}


def test_one_within_another(scene):
    daemon = scene.start(flow(
        "outer: {for_each: .event.list, together: 2, steps: [outside: {map: .item}, "
        "inner: {for_each: .item.members, together: 2, steps: ["
        "made: {map: '{n: .index, member: .item, of: .outside.id}'}]}]}",
        "noted: {post: 'target:/noted', body: .outer}"))
    assert tell(daemon, [{"id": "a", "members": [1, 2, 3]}, {"id": "b", "members": []},
                         {"id": "c", "members": [4]}]).status == 200
    assert scene.target.requests[0].json == [
        [{"n": n, "member": n + 1, "of": "a"} for n in range(3)], [],
        [{"n": 0, "member": 4, "of": "c"}]]


def test_it_goes_beside_others_where_it_only_reads(scene):
    daemon = scene.start(flow(
        "groups: {for_each: .event.list, steps: [one: {get: 'target:/groups/{.item.id}'}]}",
        "user: {get: 'target:/user'}"))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold
    answer = inside(tell, daemon, ids("a"))
    assert wait_until(lambda: hold.came == 2, PATIENCE_S)
    hold.release()
    assert result_of(answer).status == 200


# ---- failing ----

def refuses(*names, status=422, message="No."):
    """A target that refuses these groups."""
    def act(request):
        if request.method == "PUT" and request.path[-1] in names:
            return Reply(status, {"message": message})
        return Reply(200, {"at": request.path})
    return act


def test_one_that_fails_fails_the_run(scene):
    daemon = scene.start(each(PUT))
    scene.target.act = refuses("b", message="b is full.")
    answer = tell(daemon, ids(*"abc"))
    assert (answer.status, answer.json["code"]) == (424, "target-refused")
    assert answer.json["detail"] == "b is full. (item 2 of 3, step groups)"
    assert paths(scene) == ["PUT /groups/a", "PUT /groups/b"]


def test_the_others_are_let_go(scene):
    daemon = scene.start(each(PUT, ", together: 2"))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold if request.path[-1] == "a" else Reply(500)
    answer = tell(daemon, ids(*"abc"))
    assert (answer.status, answer.json["code"]) == (424, "target-failed")
    assert answer.json["detail"].endswith("(item 2 of 3, step groups)")
    assert "PUT /groups/c" not in paths(scene)


def test_who_is_let_go_is_not_taken_for_dead(scene):
    """Many calls end without an answer as one fails: that says nothing of the target."""
    daemon = scene.start(each(PUT, ", together: 20"))
    hold = scene.target.hold()

    def act(request):
        if request.path[-1] != "b":
            return hold
        assert wait_until(lambda: hold.came == 19, PATIENCE_S)
        return Reply(422)

    scene.target.act = act
    assert tell(daemon, ids(*"bacdefghijklmnopqrst")).json["code"] == "target-refused"
    hold.release()
    scene.target.act = Reply(200, {})
    assert tell(daemon, ids("a")).status == 200


def test_who_is_let_go_while_it_connects_is_forgotten(scene, deaf):
    """Its descriptor comes back with another connection."""
    daemon = scene.start(flow(
        "one: {for_each: '[1]', steps: [held: {get: 'deaf:/'}]}",
        "bad: {get: 'target:/bad'}").replace(
            TO_TARGET, TO_TARGET.replace("}}\n", "}, deaf: {url: \"http://127.0.0.1:${DEAF}\"}}\n")
            + "threads: 1\n"), DEAF=str(deaf))
    scene.target.act = Reply(500, {}, {"Connection": "close"})
    for _ in range(20):
        assert tell(daemon, []).json["code"] == "target-failed"


UNDONE = PUT.replace("}'}", "}', undo: [{left: {delete: 'target:/groups/{.item.id}'}}]}")


def test_what_was_done_is_undone_latest_first(scene):
    daemon = scene.start(each(UNDONE))
    scene.target.act = refuses("c")
    answer = tell(daemon, ids(*"abcd"))
    assert answer.status == 424
    assert paths(scene) == ["PUT /groups/a", "PUT /groups/b", "PUT /groups/c",
                            "DELETE /groups/b", "DELETE /groups/a"]
    calls = daemon.attempts(daemon.settled(answer.json["event"])["id"])[0]["calls"]
    assert [(one["item"], one.get("undo", False)) for one in calls] == [
        (1, False), (2, False), (3, False), (2, True), (1, True)]


@pytest.mark.parametrize("more", ["", ", on_error: continue"])
def test_a_later_step_that_fails_undoes_the_items(scene, more):
    daemon = scene.start(each(UNDONE, more))
    scene.target.act = lambda request: Reply(422 if request.path == "/noted" else 200, {})
    assert tell(daemon, ids(*"ab")).status == 424
    assert paths(scene)[-2:] == ["DELETE /groups/b", "DELETE /groups/a"]


CONTINUE = ", on_error: continue"


@pytest.mark.parametrize("together", [1, 2])
def test_the_others_are_done_and_the_run_fails_for_all_that(scene, together):
    daemon = scene.start(each(UNDONE, f"{CONTINUE}, together: {together}"))
    scene.target.act = refuses("b", message="b is full.")
    answer = tell(daemon, ids(*"abc"))
    assert (answer.status, answer.json["code"]) == (424, "target-refused")
    assert answer.json["detail"] == "1 of 3 items of step groups failed: item 2: b is full."
    assert sorted(paths(scene)) == ["POST /noted", "PUT /groups/a", "PUT /groups/b",
                                    "PUT /groups/c"]
    assert scene.target.requests[-1].json == {"value": [
        {"at": "/groups/a"},
        {"failed": {"status": 424, "code": "target-refused", "message": "b is full."}},
        {"at": "/groups/c"}]}
    event = daemon.settled(answer.json["event"])
    assert event["jobs"][0]["state"] == "dead"
    calls = event["jobs"][0]["attempts"][0]["calls"]
    assert sorted((one.get("item", 0), one["status"]) for one in calls) == [
        (0, 200), (1, 200), (2, 422), (3, 200)]


def test_different_failures_have_a_code_of_their_own_and_the_first_are_told(scene):
    daemon = scene.start(each(PUT, CONTINUE))
    status = {"a": 404, "b": 500, "c": 409, "d": 422, "e": 200}
    scene.target.act = lambda request: Reply(
        status.get(request.path[-1], 200) if request.method == "PUT" else 200, {"message": "No."})
    answer = tell(daemon, ids(*"abcde"))
    assert (answer.status, answer.json["code"]) == (424, "some-failed")
    assert answer.json["retryable"] is True
    assert answer.json["detail"] == (
        "4 of 5 items of step groups failed: item 1: target knows no such entity (step joined). "
        "item 2: target cannot take this now (500). Try again later. item 3: No. And others.")


def test_all_alike_keep_their_status(scene):
    daemon = scene.start(each(PUT, CONTINUE))
    scene.target.act = refuses("a", "b", status=404)
    answer = tell(daemon, ids(*"abc"))
    assert (answer.status, answer.json["code"]) == (404, "missing")


def test_a_run_that_failed_in_part_is_tried_again_as_a_whole(scene):
    daemon = scene.start(flow(f"groups: {{for_each: .event.list, steps: [{PUT}]{CONTINUE}}}",
                              more="    retry: {tries: 3, base: 100ms}\n")
                         .replace("reply: wait", "reply: accepted"))
    asked = itertools.count()
    scene.target.act = lambda request: Reply(503 if next(asked) == 1 else 200, {})
    event = daemon.settled(tell(daemon, ids(*"abc")).json["event"])
    assert event["jobs"][0]["state"] == "done"
    assert [one["status"] for one in event["jobs"][0]["attempts"]] == [424, 200]
    assert paths(scene) == [f"PUT /groups/{name}" for name in "abc"] * 2


def test_failures_of_two_steps_are_both_told(scene):
    steps = [f"{name}: {{for_each: .event.list, steps: [{PUT}]{CONTINUE}}}" for name in ("x", "y")]
    daemon = scene.start(flow(*steps))
    scene.target.act = refuses("b")
    assert tell(daemon, ids(*"ab")).json["detail"] == (
        "1 of 2 items of step x failed: item 2: No. 1 of 2 items of step y failed: item 2: No.")


def test_one_that_fails_within_fails_the_item_around_it(scene):
    """What went beside it is let go for good, though the item's place is taken by the next."""
    daemon = scene.start(flow(
        "outer: {for_each: .event.list, on_error: continue, steps: ["
        "inner: {for_each: .item.members, together: 3, steps: ["
        "made: {put: 'target:/groups/{.item}', body: .}, last: {get: 'target:/last/{.item}'}]}]}"))
    hold = scene.target.hold()
    scene.target.act = lambda request: \
        hold if request.path == "/groups/a" else refuses("b")(request)
    answer = tell(daemon, [{"members": ["a", "b", "c"]}, {"members": ["d"]}])
    hold.release()
    assert answer.status == 424
    assert answer.json["detail"] == ("1 of 2 items of step outer failed: "
                                     "item 1: No. (item 2 of 3, step inner)")
    asked = paths(scene)
    assert {"PUT /groups/d", "GET /last/d"} < set(asked) and "GET /last/a" not in asked


LIST = "groups: {for_each: %s, steps: [%s]}"
INNER = "made: {put: 'target:/groups/1', body: '{mail: .item.email, deep: .item.a.b}'}"


@pytest.mark.parametrize("steps, pointer", [
    ([LIST % (".event.list", INNER)], "/list/1/email"),
    ([LIST % (".event.more.groups", INNER)], "/more/groups/1/email"),
    ([LIST % ("'.event.deep[1].list'", INNER)], "/deep/1/list/1/email"),
    ([LIST % (".event.outer", f"inner: {{for_each: .item.list, steps: [{INNER}]}}")],
     "/outer/0/list/1/email"),
    ([LIST % ("'.event.list | sort'", INNER)], ""),
    (["got: {get: 'target:/got'}", LIST % (".got.list", INNER)], ""),
])
def test_a_complaint_is_traced_to_the_item(scene, steps, pointer):
    daemon = scene.start(flow(*steps))
    two = [{"email": "a"}, {"email": "b"}]
    scene.target.act = lambda request: \
        Reply(200, {"list": two}) if request.method == "GET" else \
        Reply(422, {"field": "mail", "message": "No."}) if request.json["mail"] == "b" else \
        Reply(200, {})
    answer = tell(daemon, two, more={"groups": two}, deep=[0, {"list": two}], outer=[{"list": two}])
    error = answer.json["errors"][0]
    assert (error.get("pointer", ""), error["field"]) == (pointer, "mail")


# ---- limits ----

def test_the_deadline_holds(scene):
    daemon = scene.start(flow(f"groups: {{for_each: .event.list, steps: [{PUT}]{CONTINUE}}}",
                              source="{verify: none, deadline: 1s}"))
    hold = scene.target.hold()
    scene.target.act = lambda request: hold if request.path[-1] == "b" else Reply(200, {})
    answer = tell(daemon, ids(*"abc"))
    hold.release()
    assert (answer.status, answer.json["code"]) == (424, "timeout")
    assert paths(scene) == ["PUT /groups/a", "PUT /groups/b"]


def test_ten_thousand_are_done_in_bounded_memory(scene):
    daemon = scene.start(each("value: {map: .item}", ", max: 10000, together: 16",
                              give=".groups | length"))
    assert tell(daemon, [0]).status == 200
    before = daemon.memory()
    assert tell(daemon, list(range(10000))).status == 200
    assert scene.target.requests[-1].json == {"value": 10000}
    assert SANITIZED or daemon.memory() < before + LIST_MAX_BYTES


def test_calls_for_thousands_are_done_in_bounded_memory(scene):
    daemon = scene.start(each(PUT.replace(".item.id", ".item"), ", max: 10000, together: 16",
                              give=".groups | length")
                         .replace("verify: none", "verify: none, deadline: 60s"))
    scene.target.act = lambda request: Reply(200, {"some": "x" * 100})
    assert tell(daemon, [0]).status == 200
    before = daemon.memory()
    answer = tell(daemon, list(range(CALLS)))
    assert answer.status == 200, answer.json
    assert scene.target.requests[-1].json == {"value": CALLS}
    assert len(scene.target.requests) == 2 + 1 + CALLS
    assert SANITIZED or daemon.memory() < before + CALLS * CALL_MAX_BYTES


def test_answers_that_are_too_large_together_end_the_run(scene):
    daemon = scene.start(each(PUT, ", max: 10000, together: 8", give=".groups | length"))
    scene.target.act = lambda request: Reply(200, {"much": "x" * 900_000})
    answer = tell(daemon, ids(*range(200)))
    assert (answer.status, answer.json["code"]) == (424, "too-large")
    scene.target.act = Reply(200, {})
    assert tell(daemon, ids("a")).status == 200


@pytest.mark.parametrize("step, complaint", [
    ("one: {for_each: .event, steps: []}", "a list of 1 to 32 steps"),
    ("one: {for_each: .event}", "'steps'"),
    ("one: {steps: [a: {map: .item}], for_each: .event}", None),
    ("one: {for_each: .event, max: 10001, steps: [a: {map: .item}]}", "10000"),
    ("one: {for_each: .event, together: 33, steps: [a: {map: .item}]}", "32"),
    ("one: {for_each: .event, on_error: ignore, steps: [a: {map: .item}]}", "on_error"),
    ("one: {for_each: .event, steps: [item: {map: .item}]}", "has the name item already"),
    ("one: {for_each: .event, steps: [a: {mapp: .item}]}", "did you mean 'map'?"),
    ("one: {for_each: '.event |', steps: [a: {map: .item}]}", "jq:"),
])
def test_check_says_what_is_wrong(tmp_path, step, complaint):
    (tmp_path / "grapnel.yaml").write_text(flow(step))
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, "TARGET_PORT": "1"})
    assert (done.returncode == 0) == (complaint is None), done.stderr
    assert complaint is None or complaint in done.stderr
