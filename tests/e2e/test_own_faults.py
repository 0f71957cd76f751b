# SPDX-License-Identifier: Apache-2.0
"""Steps that call nobody fail in their own ways, and so does what every step has to work out before
it can begin: what the source hears, what becomes of the job, what is done and undone around it.
test_fault_matrix.py has the faults of calls. A new step joins by a row."""

import pathlib
import re

import pytest

from harness import PATIENCE_S, TO_TARGET, Reply, Scene, wait_until
from test_fault_matrix import AFTER, FLOW, FLOWS, HEAD, STEP, STEPS, last_attempt

ROOT = pathlib.Path(__file__).resolve().parents[2]

WRONG = "'.event.n | error(\"no\")'"
MAPPING, NOTHING = (422, "mapping-failed"), (422, "nothing-there")
PROGRAM, LOG, GARBAGE = (424, "program-failed"), (424, "log-failed"), (424, "unreadable-answer")
WELL = (200, "updated")
# name: the step, what the source hears, and whether the job is tried again.
WAYS = {
    # what every step works out first
    "a body": ("{post: 'sink:/it', body: %s}" % WRONG, MAPPING, False),
    "when": ("{post: 'sink:/it', when: %s}" % WRONG, MAPPING, False),
    "a hole": ("{post: 'sink:/it/{.event.nothing}'}", NOTHING, False),
    "a hole that is no text": ("{get: 'sink:/it/{.event}'}", MAPPING, False),
    "nothing to put": ("{put: 'sink:/it', body: .event.nothing}", MAPPING, False),
    "a patch that is no object": ("{patch: 'sink:/it', body: .event.n}", MAPPING, False),
    "an upsert that is no object": (
        "{upsert: 'sink:/it', find: '?a=b', body: '[1]'}", MAPPING, False),
    "gone": ("{upsert: 'sink:/it', find: '?a=b', body: .event, gone: %s}" % WRONG, MAPPING, False),
    "a search": ("{find: 'sink:/it?of={.event.nothing}'}", NOTHING, False),
    "a deletion": ("{delete: 'sink:/it/{.event.nothing}'}", NOTHING, False),
    "a request": ("{request: 'sink:/it', method: POST, body: %s}" % WRONG, MAPPING, False),
    # map
    "map": ("{map: %s}" % WRONG, MAPPING, False),
    "map, a number that jq would round": ("{map: '.event.big + 1'}", MAPPING, False),
    "map without end": ("{map: '[range(1e10)] | length'}", (422, "mapping-limit"), False),
    # for_each
    "for_each of what fails": ("{for_each: %s, steps: [a: {post: 'sink:/it'}]}" % WRONG, MAPPING,
                               False),
    "for_each of no list": ("{for_each: .event.n, steps: [a: {post: 'sink:/it'}]}", MAPPING, False),
    "for_each of too many": ("{for_each: .event.few, max: 1, steps: [a: {post: 'sink:/it'}]}",
                             (422, "too-many"), False),
    "for_each, an item, going on": (
        "{for_each: '[1]', on_error: continue, steps: [a: {post: 'sink:/it', body: %s}]}"
        % WRONG.replace(".event.n", ".item"), MAPPING, False),
    # log
    "log to a folder that is not there": ("{log: nowhere/at/all.log}", LOG, True),
    "log to a full disk": ("{log: /dev/full}", LOG, True),
    "log to a folder": ("{log: .}", LOG, True),
    "log to a file that may not be written": ("{log: /proc/version}", LOG, True),
    "log to nobody's syslog": ("{log: syslog, socket: nobody}", LOG, True),
    "log of what fails": ("{log: it.log, body: %s}" % WRONG, MAPPING, False),
    # exec
    "exec that ends with 1": ("{exec: [/bin/sh, -c, 'exit 1']}", PROGRAM, False),
    "exec that ends with 75": ("{exec: [/bin/sh, -c, 'exit 75']}", PROGRAM, True),
    "exec that is killed": ("{exec: [/bin/sh, -c, 'kill -9 $$']}", PROGRAM, True),
    "exec that is too slow": ("{exec: [/bin/sleep, '600'], timeout: 300ms}", (424, "timeout"),
                              True),
    "exec that says too much": ("{exec: [/usr/bin/head, -c, '3000000', /dev/zero], output: text}",
                                (424, "too-large"), False),
    "exec that says garbage": ("{exec: [/bin/echo, '[1,']}", GARBAGE, False),
    "exec that says no text": ("{exec: [/usr/bin/printf, '\\377'], output: text}", GARBAGE,
                               False),
    "exec of what is not there": ("{exec: [/no/such/program]}", PROGRAM, False),
    "exec of what is no program": ("{exec: [/etc/passwd]}", PROGRAM, False),
    "exec in no folder": ("{exec: [/bin/true], folder: /no/such/folder}", PROGRAM, False),
    "exec with a NUL in an argument": ("{exec: [/bin/echo, '{.event.nul}']}", MAPPING, False),
    "exec with an argument that is no text": ("{exec: [/bin/echo, '{.event}']}", MAPPING, False),
    "exec with a body that fails": ("{exec: [/bin/true], body: %s}" % WRONG, MAPPING, False),
    # emit
    "emit to no application": ("{emit: a.b, application: nobody}", (422, "not-emitted"), False),
    "emit of no type": ("{emit: '{.event.nothing}', as: inner}", NOTHING, False),
    "emit of a type that is no text": ("{emit: '{.event}', as: inner}", MAPPING, False),
    "emit of a body that fails": ("{emit: a.b, as: inner, body: %s}" % WRONG, MAPPING, False),
    "emit of a subject that fails": ("{emit: a.b, as: inner, subject: %s}" % WRONG, MAPPING,
                                     False),
    "emit of a subject that is no text": ("{emit: a.b, as: inner, subject: .event}", MAPPING,
                                          False),
    "emit of a subject that is too long": (
        "{emit: a.b, as: inner, subject: '\"long\" * 2000'}", (422, "too-large"), False),
    "emit of what nobody wants": ("{emit: nobody.wants, as: inner}", WELL, False),
    # what ends the flow
    "fail": ("{fail: 418, message: No.}", (418, "refused"), False),
    "fail, with a word of its own": ("{fail: 422, code: too-young, message: No.}",
                                     (422, "too-young"), False),
    "fail that cannot say why": ("{fail: 418, message: '{.event}'}", MAPPING, False),
    "fail with errors that are no list": ("{fail: 418, message: No., errors: .event.n}", MAPPING,
                                          False),
    "skip that cannot say why": ("{skip: '{.event}'}", MAPPING, False),
    "skip, and it is not known whether": ("{skip: Why., when: %s}" % WRONG, MAPPING, False),
    "echo of no id": ("{echo: sink, id: .event.nothing}", NOTHING, False),
    "echo of an id that fails": ("{echo: sink, id: %s}" % WRONG, MAPPING, False),
    "echo of values that fail": ("{echo: sink, id: .event.n, values: %s}" % WRONG, MAPPING, False),
}
NAMES = {name: f"way{n}" for n, name in enumerate(WAYS)}


@pytest.fixture(scope="module", name="ways")
def one_daemon_for_all(tmp_path_factory):
    """A daemon with a flow for each row."""
    scene = Scene(tmp_path_factory.mktemp("ways"))
    scene.target.act = lambda request: Reply(200, [] if request.method == "GET" else {})
    flows = [FLOW.format(name=NAMES[name], source="app") + STEP.format(step=f"it: {step}")
             + AFTER.format(name=NAMES[name]) for name, (step, _, _) in WAYS.items()]
    sources = FLOWS.replace("{app:", "{inner: {verify: internal}, app:")
    scene.daemon = scene.start(HEAD + sources + "".join(flows))
    yield scene
    scene.close()


@pytest.mark.parametrize("name", [pytest.param(name, id=name.replace(" ", "_")) for name in WAYS])
def test_what_is_no_call_fails_in_its_own_way(ways, name):
    _, told, retryable = WAYS[name]
    answer = ways.daemon.post("app", {"cell": NAMES[name], "n": 1, "nul": "\0", "few": [1, 2],
                                      "big": 9007199254740993})
    assert (answer.status, answer.json["code"]) == told, answer.json
    job, attempt = last_attempt(ways.daemon, answer)
    assert (attempt["status"], attempt["code"]) == told
    well = told == WELL
    assert job["state"] == ("done" if well else "waiting" if retryable else "dead")
    around = [one.path.rpartition("/")[2] for one in ways.target.seen(path=f"/{NAMES[name]}/")]
    assert around == ["before", "after" if well or "going on" in name else "undone"]
    assert not ways.target.seen(path="/it")
    if not well:
        assert answer.json["retryable"] is retryable
        assert answer.json["detail"] == attempt["message"]


def test_emit_that_goes_in_a_circle_fails_and_is_undone(scene):
    daemon = scene.start(TO_TARGET + """
sources: {app: {verify: none}, inner: {verify: internal}}
flows:
  in: {on: app, steps: [{told: {emit: round, as: inner}}]}
  round:
    on: inner
    retry: none
    steps:
      - before: {post: 'target:/before', undo: [{back: {post: 'target:/undone'}}]}
      - told: {emit: round, as: inner}
      - after: {post: 'target:/after'}
""")
    daemon.post("app", {"n": 1})
    assert wait_until(lambda: scene.target.seen(path="/undone"), PATIENCE_S)
    assert wait_until(lambda: daemon.events("dead"), PATIENCE_S)
    last, = daemon.events("dead")
    attempt, = daemon.attempts(last["id"])
    assert (attempt["status"], attempt["code"]) == (422, "too-deep")
    assert wait_until(lambda: len(scene.target.seen(path="/after")) == 15, PATIENCE_S)
    assert len(scene.target.seen(path="/before")) == 16
    assert len(scene.target.seen(path="/undone")) == 1


def test_every_kind_of_step_has_a_row():
    table = (ROOT / "src" / "flow" / "steps.c").read_text()
    kinds = set(re.findall(r"&step_(\w+),", table.partition("step_kinds[]")[2].partition("}")[0]))
    rows = " ".join([*(step.steps for step in STEPS.values()), *(way[0] for way in WAYS.values())])
    assert len(kinds) >= 16 and kinds <= set(re.findall(r"\{(\w+): ", rows)), kinds
