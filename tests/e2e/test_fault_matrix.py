# SPDX-License-Identifier: Apache-2.0
"""Every step against every fault: what the source hears, what becomes of the job, and what is done
and undone around the step. A step that failed never ends in a success.

A new step or option joins by a row of STEPS, a new fault by a row of FAULTS. Each cell has a target
of its own, so that none is taken for dead because of its neighbours."""

import dataclasses
import itertools
import socket

import pytest

from harness import PATIENCE_S, Reply, Scene, Target, wait_until

MESSAGE = "So says the target."


@dataclasses.dataclass
class Told:
    """What the source hears, and whether the job is tried again."""

    status: int
    code: str
    retryable: bool = False


def raw(body):
    """A whole answer with this body."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


SLOW, REFUSED = object(), object()
# What happens to the call, and what a step makes of it unless its row says otherwise.
FAULTS = {
    "refused": (REFUSED, Told(424, "unreachable", True)),
    "slow": (SLOW, Told(424, "timeout", True)),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":", Told(424, "broken", True)),
    "garbage": (raw(b"<html>It works!</html>"), Told(424, "unreadable-answer", True)),
    "huge": (raw(b'"' + b"x" * 5000 + b'"'), Told(424, "unreadable-answer", True)),
    "401": (Reply(401, {"message": MESSAGE}), Told(424, "target-denied")),
    "403": (Reply(403, {"message": MESSAGE}), Told(424, "target-denied")),
    "404": (Reply(404, {"message": MESSAGE}), Told(404, "missing")),
    "409": (Reply(409, {"message": MESSAGE}), Told(409, "conflict")),
    "410": (Reply(410, {"message": MESSAGE}), Told(424, "target-refused")),
    "412": (Reply(412, {"message": MESSAGE}), Told(424, "target-refused")),
    "422": (Reply(422, {"message": MESSAGE}), Told(424, "target-refused")),
    "429": (Reply(429, {"message": MESSAGE}), Told(424, "target-busy", True)),
    "500": (Reply(500, {"message": MESSAGE}), Told(424, "target-failed", True)),
}


@dataclasses.dataclass
class Step:
    """A step, the one call of it that meets the fault, and what the others are answered."""

    steps: str  # `it: {...}`; TARGET is the connection of the cell
    at: str  # "METHOD /path", the beginning of the call in question
    before: int = 0  # how many calls of its connection come before that one
    answers: dict = dataclasses.field(default_factory=dict)  # as `at`; {} by default
    told: dict = dataclasses.field(default_factory=dict)  # where not as in FAULTS
    goes_on: bool = False  # later steps are done, and earlier ones not undone
    ends: bool = False  # the steps end the flow themselves: nothing behind, and nothing is undone
    source: str = "app"
    says: str = ""  # what every message has to hold


ONE = {"id": 1, "key": "k", "mail": "old"}
TAGGED = {"GET /it": Reply(200, ONE, {"ETag": '"1"'})}
FOUND = {"GET /items?": Reply(200, {"items": [ONE]})}
NONE = {"GET /items?": Reply(200, {"items": []})}
UPSERT = ("it: {upsert: 'TARGET:/items', find: '?key=k', pick: .items, "
          "body: '{key: \"k\", mail: \"new\"}'%s}")
DONE = Told(200, "updated")
ALWAYS_BAD = {fault: Told(422, "refused") for fault in FAULTS}

STEPS = {
    "get": Step("it: {get: 'TARGET:/it'}", "GET /it"),
    "find": Step("it: {find: 'TARGET:/it?a=b', pick: .items}", "GET /it"),
    "get, its second page": Step(
        "it: {get: 'TARGET:/it', pages: {number: page}}", "GET /it?page=2", 1,
        {"GET /it?page=1": Reply(200, [1])}, told={"404": Told(424, "target-refused", True)}),
    "get, and it may be missing": Step("it: {get: 'TARGET:/it', missing: null}", "GET /it",
                                       told={"404": DONE}),
    "get, with a cache": Step("it: {get: 'TARGET:/it', cache: 1h}", "GET /it"),
    "get, the event laid over": Step("it: {get: 'TARGET:/it', data: overlay, values: .event}",
                                     "GET /it", told={"404": DONE}),
    "get, until it is fresh": Step(
        "it: {get: 'TARGET:/it', data: fresh, version: .id, reaches: '2'}", "GET /it",
        source="hasty"),
    "get, asked again for it is old": Step(
        "it: {get: 'TARGET:/it', data: fresh, version: .id, reaches: '2'}", "GET /it? 2", 1,
        {"GET /it": Reply(200, ONE)}, source="hasty"),
    "find, and it may be missing": Step(
        "it: {find: 'TARGET:/it?a=b', pick: .items, missing: null}", "GET /it",
        told={"404": DONE}),
    "find, with a cache": Step("it: {find: 'TARGET:/it?a=b', pick: .items, cache: 1h}", "GET /it"),
    "put": Step("it: {put: 'TARGET:/it'}", "PUT /it"),
    "post": Step("it: {post: 'TARGET:/it'}", "POST /it"),
    "patch": Step("it: {patch: 'TARGET:/it', body: '{a: 1}'}", "PATCH /it"),
    "patch what was fetched": Step(
        "have: {get: 'TARGET:/it'}, it: {patch: 'TARGET:/it', have: have, body: '{a: 1}'}",
        "PATCH /it", 1),
    "patch by SCIM": Step(
        "have: {get: 'TARGET:/it'}, it: {patch: 'TARGET:/it', have: have, as: scim, "
        "body: '{title: \"a\"}'}", "PATCH /it", 1),
    "patch of a version": Step(
        "have: {get: 'TARGET:/it'}, it: {patch: 'TARGET:/it', have: have, body: '{mail: 1}'}",
        "PATCH /it", 1, TAGGED, told={"412": Told(424, "keeps-changing", True)}),
    "patch, reading the next version": Step(
        "have: {get: 'TARGET:/it'}, it: {patch: 'TARGET:/it', have: have, body: '{mail: 1}'}",
        "GET /it? 2", 2, {**TAGGED, "PATCH /it": Reply(412, {})}),
    # That it is not there is what was wanted.
    "delete": Step("it: {delete: 'TARGET:/it'}", "DELETE /it", told={"404": DONE, "410": DONE}),
    "delete, and it must be there": Step(
        "it: {delete: 'TARGET:/it', missing: {fail: 404}}", "DELETE /it",
        told={"410": Told(404, "missing")}),
    "request, reading": Step("it: {request: 'TARGET:/it'}", "GET /it"),
    "request, writing": Step("it: {request: 'TARGET:/it', method: DELETE}", "DELETE /it"),
    "request, posting": Step("it: {request: 'TARGET:/it', method: POST, body: .event}", "POST /it"),
    "request, putting": Step("it: {request: 'TARGET:/it', method: PUT, body: .event}", "PUT /it"),
    "request, patching": Step("it: {request: 'TARGET:/it', method: PATCH, body: .event}",
                              "PATCH /it"),
    # A collection that is not there holds none.
    "upsert, its search": Step(UPSERT % "", "GET /items?", told={"404": DONE}),
    "upsert, and it must be there": Step(UPSERT % ", missing: {fail: 404}", "GET /items?"),
    "upsert, creating": Step(UPSERT % "", "POST /items", 1, NONE),
    "upsert, changing": Step(UPSERT % "", "PATCH /items/1", 1, FOUND),
    "upsert, deactivating": Step(UPSERT % ", gone: 'true'", "PATCH /items/1", 1, FOUND),
    "upsert, deleting": Step(UPSERT % ", gone: 'true', when_gone: delete", "DELETE /items/1", 1,
                             FOUND, told={"404": DONE, "410": DONE}),
    "upsert, by an id that is remembered": Step(
        "it: {for_each: '[1, 2]', steps: [%s]}" % (UPSERT % ", cache: 1h").replace("it:", "one:"),
        "GET /items/1", 2, FOUND, told={"404": DONE, "410": DONE}),
    "upsert, its second search": Step(UPSERT % "", "GET /items? 2", 2,
                                      {**FOUND, "PATCH /items/1": Reply(404)},
                                      told={"404": DONE}),
    "for_each": Step("it: {for_each: '[1, 2]', steps: [one: {put: 'TARGET:/it/{.item}'}]}",
                     "PUT /it/2", 1, says="(item 2 of 2, step it)"),
    "for_each, reading together": Step(
        "it: {for_each: '[1, 2, 3]', together: 3, steps: [one: {get: 'TARGET:/it/{.item}'}]}",
        "GET /it/", says="step it)"),
    "for_each, going on": Step(
        "it: {for_each: '[1, 2, 3]', on_error: continue, "
        "steps: [one: {put: 'TARGET:/it/{.item}'}]}", "PUT /it/2", 1, goes_on=True,
        says=" of 3 items of step it failed: item 2: "),
    "for_each within for_each": Step(
        "it: {for_each: '[[1, 2]]', on_error: continue, steps: [within: {for_each: .item, steps: "
        "[one: {put: 'TARGET:/it/{.item}'}]}]}", "PUT /it/2", 1, goes_on=True,
        says="1 of 1 items of step it failed: item 1: "),
    # That the flow ends well behind it does not make it well.
    "for_each, going on, and a skip behind it": Step(
        "it: {for_each: '[1, 2]', on_error: continue, steps: [one: {put: 'TARGET:/it/{.item}'}]}, "
        "enough: {skip: 'Enough.'}", "PUT /it/2", 1, ends=True,
        says="1 of 2 items of step it failed: item 2: "),
    "for_each, going on, and a skip within": Step(
        "it: {for_each: '[1, 2]', on_error: continue, steps: [one: {put: 'TARGET:/it/{.item}', "
        "when: '.item == 1'}, enough: {skip: 'Enough.', when: '.item == 2'}]}", "PUT /it/1",
        ends=True, says="Item 1 of step it failed: "),
    "for_each of upserts": Step(
        "it: {for_each: '[1, 2]', steps: [%s]}" % (UPSERT % "").replace("it:", "one:"),
        "PATCH /items/1", 1, FOUND, says="(item 1 of 2, step it)"),
    "for_each of finds": Step(
        "it: {for_each: '[1, 2]', steps: [one: {find: 'TARGET:/it?of={.item}'}]}", "GET /it?of=2",
        1, says="(item 2 of 2, step it)"),
    "for_each of deletes": Step(
        "it: {for_each: '[1, 2]', steps: [one: {delete: 'TARGET:/it/{.item}'}]}", "DELETE /it/2",
        1, says="(item 2 of 2, step it)", told={"404": DONE, "410": DONE}),
    # That it cannot be undone is said beside what failed before.
    "undo": Step("it: {post: 'TARGET:/it', undo: [{back: {put: 'TARGET:/it'}}]}, "
                 "bad: {fail: 422, message: 'Bad.'}", "PUT /it", 1, told=ALWAYS_BAD,
                 says="Bad. Step it could not be undone: "),
    "undo, for each": Step(
        "it: {post: 'TARGET:/it', undo: [{all: {for_each: '[1, 2]', on_error: continue, "
        "steps: [back: {put: 'TARGET:/it/{.item}'}]}}]}, bad: {fail: 422, message: 'Bad.'}",
        "PUT /it/2", 2, told=ALWAYS_BAD,
        says="Bad. Step it could not be undone: 1 of 2 items of step all failed: item 2: "),
    "a step that writes beside it": Step(
        "it: {post: 'TARGET:/it'}, other: {put: 'TARGET:/other', after: none}", "POST /it"),
    "a step that reads beside it": Step(
        "other: {get: 'TARGET:/other'}, it: {get: 'TARGET:/it'}", "GET /it"),
}

CELLS = [pytest.param(step, fault, id=f"{step}-{fault}".replace(" ", "_"))
         for step, fault in itertools.product(STEPS, FAULTS)]

HEAD = """
connections:
  sink: {url: "http://127.0.0.1:${TARGET_PORT}"}
"""
CONNECTION = '  {name}: {{url: "http://127.0.0.1:{port}", timeout: 300ms, answer_max: 4K}}\n'
FLOWS = """\
sources: {app: {verify: none, deadline: 20s}, hasty: {verify: none, deadline: 4s}}
flows:
"""
# What stands before is undone when the run fails; what stands behind is not begun.
FLOW = """\
  {name}:
    on: {source}
    match: {{cell: {name}}}
    reply: wait
    retry: {{tries: 1, base: 1h, max: 1h}}
    steps:
      - before: {{post: 'sink:/{name}/before', undo: [{{undone: {{post: 'sink:/{name}/undone'}}}}]}}
"""
STEP = "      - {step}\n"
CELLS_OF_A_DAEMON = 250
AFTER = "      - after: {{post: 'sink:/{name}/after'}}\n"


def split(steps):
    """`a: {...}, b: {...}` as a list of both."""
    found, depth, begin = [], 0, 0
    for i, char in enumerate(steps):
        depth += (char in "{[") - (char in "}]")
        if char == "," and depth == 0:
            found.append(steps[begin:i].strip())
            begin = i + 1
    return [*found, steps[begin:].strip()]


class Cell:
    """One step before one fault, with a target for it."""

    def __init__(self, number, step, fault):
        self.name, self.step = f"cell{number}", STEPS[step]
        self.fault, told = FAULTS[fault]
        self.told = self.step.told.get(fault, told)
        self.target = Target()
        self.target.act = self.act
        self.hold = self.target.hold()
        self.seen = []
        self.deaf = None
        self.daemon = None  # comes later
        if self.fault is REFUSED and self.step.before == 0:
            self.deafen()

    def deafen(self):
        """From now on connections are refused, and nobody else gets the port."""
        self.target.stop_listening()
        self.deaf = socket.socket()
        self.deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.deaf.bind(("127.0.0.1", self.target.port))

    def close(self):
        """Ends its target."""
        self.hold.release()
        self.target.close()
        if self.deaf:
            self.deaf.close()

    def is_it(self, asked):
        """Is this the call in question?"""
        at, _, nth = self.step.at.partition("? ")
        self.seen.append(asked)
        count = sum(one.startswith(at) for one in self.seen)
        return asked.startswith(at) and (not nth or count >= int(nth))

    def act(self, request):
        """For Target.act."""
        asked = f"{request.method} {request.path}"
        if self.is_it(asked):
            return self.hold if self.fault is SLOW else self.fault
        reply = next((answer for begin, answer in self.step.answers.items()
                      if asked.startswith(begin)), Reply(200, {}))
        if self.fault is not REFUSED:
            return reply
        if len(self.seen) < self.step.before:
            return reply
        self.deafen()
        return bytes(Reply(reply.status, reply.document, {"Connection": "close"}))

    def config(self):
        """Its connection and its flow."""
        steps = [STEP.format(step=one.replace("TARGET", self.name))
                 for one in split(self.step.steps)]
        return (CONNECTION.format(name=self.name, port=self.target.port),
                FLOW.format(name=self.name, source=self.step.source) + "".join(steps)
                + AFTER.format(name=self.name))


@pytest.fixture(scope="module", name="matrix")
def few_daemons_for_all(tmp_path_factory):
    """All cells, and daemons that have a flow for each: a file holds so many values and no more."""
    scene = Scene(tmp_path_factory.mktemp("matrix"))
    scene.cells = {cell.values: Cell(n, *cell.values) for n, cell in enumerate(CELLS)}
    cells = [*scene.cells.values()]
    for some in (cells[i:i + CELLS_OF_A_DAEMON] for i in range(0, len(cells), CELLS_OF_A_DAEMON)):
        connections, flows = zip(*(cell.config() for cell in some))
        daemon = scene.start(HEAD + "".join(connections) + FLOWS + "".join(flows))
        for cell in some:
            cell.daemon = daemon
    yield scene
    for cell in scene.cells.values():
        cell.close()
    scene.close()


def last_attempt(daemon, answer):
    """The job and its attempt, once that is on record."""
    def look():
        job = daemon.event(answer.json["event"])["jobs"][0]
        return job if job["state"] in ("waiting", "done", "dead") and job["attempts"] else None

    job = wait_until(look, PATIENCE_S)
    assert job, daemon.event(answer.json["event"])
    return job, job["attempts"][-1]


@pytest.mark.parametrize("step, fault", CELLS)
def test_a_cell_has_its_reply_and_its_state(matrix, step, fault):
    cell = matrix.cells[step, fault]
    answer = cell.daemon.post(cell.step.source, {"cell": cell.name})
    told = answer.json
    assert (answer.status, told["code"]) == (cell.told.status, cell.told.code), told
    job, attempt = last_attempt(cell.daemon, answer)
    assert (attempt["status"], attempt["code"]) == (answer.status, told["code"])
    well = cell.told.status == 200
    assert job["state"] == ("done" if well else "waiting" if cell.told.retryable else "dead")
    # What stands before and behind.
    around = [one.path.rpartition("/")[2] for one in matrix.target.seen(path=f"/{cell.name}/")]
    if well or cell.step.goes_on:
        assert around == ["before", "after"]
    else:
        assert around == ["before"] if cell.step.ends else ["before", "undone"]
    if well:
        return
    assert told["retryable"] is cell.told.retryable and told["detail"] == attempt["message"]
    assert cell.step.says in told["detail"]
    # The target's own words reach the source where they are for the source.
    if cell.told.code in ("conflict", "target-refused") and fault != "404":
        assert MESSAGE in told["detail"]
    assert any(call["step"] != "before" for call in attempt["calls"])
