# SPDX-License-Identifier: Apache-2.0
"""The step upsert, and its smaller relatives put and delete: one entity of the target for one of
the source, whatever else happens there meanwhile."""

import itertools
import os
import subprocess
import urllib.parse

import pytest

from harness import GRAPNEL, PATIENCE_S, TO_TARGET, Reply


def flow(*steps):
    """The configuration of one flow with these steps."""
    return TO_TARGET + """
sources: {app: {verify: none}}
flows:
  one:
    on: app
    reply: wait
    steps:
""" + "".join(f"      - {step}\n" for step in steps)


NUMBERS = itertools.count()


def tell(daemon, event):
    """A webhook with this event, which is no repeat of another."""
    return daemon.post("app", {**event, "number": next(NUMBERS)})


UPSERT = ("contact: {upsert: 'target:/contacts', find: '?external_id={.event.id}', pick: .items, "
          "body: '{external_id: .event.id, email: .event.email}'%s}")
NOTED = "noted: {post: 'target:/noted', body: .contact}"


def upsert(more=""):
    """The configuration of one upsert, and a step that shows its value."""
    return flow(UPSERT % more, NOTED)


class Crm:
    """A target with contacts, for Target.act. `faults` holds answers for the next requests of a
    method and the beginning of a path, each used once."""

    def __init__(self, *contacts):
        self.contacts = {one["id"]: dict(one) for one in contacts}
        self.faults = []
        self.noted = []
        self.asked = []
        self.before = {}  # (method, path) -> what happens first, once

    def fault(self, method, path, act):
        """The next such request is answered so."""
        self.faults.append((method, path, act))

    def __call__(self, request):
        where = urllib.parse.urlsplit(request.path)
        if where.path == "/noted":
            self.noted.append(request.json)
            return Reply(204)
        self.asked.append(f"{request.method} {request.path}")
        self.before.pop((request.method, where.path), lambda: None)()
        for fault in self.faults:
            if request.method == fault[0] and request.path.startswith(fault[1]):
                self.faults.remove(fault)
                return fault[2]
        if where.path == "/contacts":
            return self._collection(request, where.query)
        return self._one(request, urllib.parse.unquote(where.path.removeprefix("/contacts/")))

    def _collection(self, request, query):
        if request.method == "POST":
            key = f"C-{len(self.contacts) + 1}"
            self.contacts[key] = {"id": key, **request.json}
            return Reply(201, self.contacts[key])
        wanted = urllib.parse.parse_qs(query)["external_id"][0]
        return Reply(200, {"items": [one for one in self.contacts.values()
                                     if one["external_id"] == wanted]})

    def _one(self, request, key):
        if key not in self.contacts:
            return Reply(404)
        if request.method == "DELETE":
            del self.contacts[key]
            return Reply(204)
        if request.method == "PATCH":
            self.contacts[key].update(request.json)
        return Reply(200, self.contacts[key])


ADA = {"id": "C-1", "external_id": "ada", "email": "old@example.com", "name": "Ada"}
EVENT = {"id": "ada", "email": "ada@example.com"}


@pytest.fixture(name="crm")
def its_crm(scene):
    """A target with one contact."""
    scene.target.act = Crm(ADA)
    return scene.target.act


def test_one_that_is_not_there_is_created(scene, crm):
    daemon = scene.start(upsert())
    answer = tell(daemon, {"id": "bob/1", "email": "bob@example.com"})
    assert answer.status == 200
    assert crm.asked == ["GET /contacts?external_id=bob%2F1", "POST /contacts"]
    bob = {"id": "C-2", "external_id": "bob/1", "email": "bob@example.com"}
    assert crm.contacts["C-2"] == bob
    assert crm.noted == [{"done": "created", "id": "C-2", "entity": bob}]


def test_the_message_says_what_was_done(scene, crm):
    daemon = scene.start(flow(UPSERT % ""))
    told = [tell(daemon, event).json for event in (
        {"id": "bob", "email": "b@example.com"}, EVENT, EVENT)]
    assert [(one["code"], one["message"]) for one in told] == [
        ("updated", "Created in target: external_id, email."),
        ("updated", "Updated in target: email."),
        ("unchanged", "Nothing to change in target.")]
    assert crm.contacts["C-1"] == {**ADA, **EVENT, "id": "C-1"}


def test_of_one_that_is_there_only_what_differs_is_sent(scene, crm):
    daemon = scene.start(upsert())
    assert tell(daemon, EVENT).status == 200
    assert crm.asked == ["GET /contacts?external_id=ada", "PATCH /contacts/C-1"]
    patch = scene.target.seen("PATCH")[0]
    assert patch.json == {"email": "ada@example.com"}
    assert patch.headers["content-type"] == "application/merge-patch+json"
    assert crm.noted[0]["done"] == "updated" and crm.noted[0]["id"] == "C-1"
    assert crm.noted[0]["entity"] == {**ADA, "email": "ada@example.com"}
    # Once more: nothing differs, nothing is sent.
    assert tell(daemon, EVENT).status == 200
    assert crm.asked[2:] == ["GET /contacts?external_id=ada"]
    assert crm.noted[1] == {**crm.noted[0], "done": "unchanged"}


def test_what_the_target_does_not_tell_is_known_all_the_same(scene, crm):
    daemon = scene.start(upsert())
    crm.fault("PATCH", "/contacts/C-1", Reply(204))
    crm.fault("POST", "/contacts", Reply(201, None, {"Location": "/contacts/C%2D77?x=1"}))
    crm.fault("POST", "/contacts", Reply(204))
    for event in (EVENT, {"id": "bob", "email": "b@example.com"}, {"id": "eve", "email": None}):
        assert tell(daemon, event).status == 200
    assert crm.noted == [
        {"done": "updated", "id": "C-1", "entity": {**ADA, "email": "ada@example.com"}},
        {"done": "created", "id": "C-77", "entity": {"external_id": "bob",
                                                     "email": "b@example.com"}},
        {"done": "created", "id": None, "entity": {"external_id": "eve", "email": None}}]


def test_many_are_an_error_that_names_them(scene, crm):
    crm.contacts = {f"C-{n}": {"id": f"C-{n}", "external_id": "ada"} for n in range(1, 8)}
    daemon = scene.start(upsert())
    answer = tell(daemon, EVENT)
    assert (answer.status, answer.json["code"]) == (409, "ambiguous")
    assert answer.json["detail"] == (
        "target holds 7 entities that match, where there must be one: "
        "C-1, C-2, C-3, C-4, C-5 and others.")
    assert len(crm.asked) == 1 and crm.noted == []


def test_numbers_are_ids_too_and_ids_are_encoded(scene):
    daemon = scene.start(flow(
        "contact: {upsert: 'target:/lists/{.event.list}', find: '/search?q={.event.q}', "
        "id: .meta.key, body: '{a: 1}'}"))
    hits = iter([{"meta": {"key": 12345678901234567890}}, {"meta": {"key": "a/b?c"}}, {"meta": {}},
                 {"meta": {"key": ""}}])
    scene.target.act = lambda request: Reply(200, next(hits)) if request.method == "GET" else \
        Reply(204)
    told = [tell(daemon, {"list": "x/y", "q": n}) for n in range(4)]
    assert [one.path for one in scene.target.requests] == [
        "/search?q=0", "/lists/x%2Fy/12345678901234567890", "/search?q=1",
        "/lists/x%2Fy/a%2Fb%3Fc", "/search?q=2", "/search?q=3"]
    assert [one.status for one in told] == [200, 200, 422, 422]
    assert told[3].json["detail"] == "step contact: what target found has no id at .meta.key"


def test_new_ones_get_more_and_later_it_is_left_alone(scene, crm):
    daemon = scene.start(upsert(", new: '{state: \"fresh\", email: \"first@example.com\"}'"))
    for email in ("b@example.com", "c@example.com"):
        assert tell(daemon, {"id": "bob", "email": email}).status == 200
    assert scene.target.seen("POST", "/contacts")[0].json == {
        "external_id": "bob", "email": "first@example.com", "state": "fresh"}
    assert scene.target.seen("PATCH")[0].json == {"email": "c@example.com"}


@pytest.mark.parametrize("how", ["merge", "scim", "scim-entra", "scim-okta"])
def test_what_is_unassigned_in_scim_is_not_sent_to_a_new_one(scene, crm, how):
    body = "'{external_id: .event.id, title: null, name: {first: .event.first, last: null}}'"
    new = "'{phones: null, team: {lead: null, size: 1.50}}'"
    daemon = scene.start(flow(f"contact: {{upsert: 'target:/contacts', as: {how}, pick: .items, "
                              f"find: '?external_id={{.event.id}}', body: {body}, new: {new}}}"))
    assert tell(daemon, {"id": "bob", "first": "Bob"}).json["code"] == "updated"
    _, created = scene.target.requests
    if how == "merge":
        assert created.json["title"] is None and created.json["name"]["last"] is None
        return
    assert created.json == {"external_id": "bob", "name": {"first": "Bob"}, "team": {"size": 1.5}}
    assert created.headers["content-type"] == "application/scim+json"
    # They are not missed later either.
    assert tell(daemon, {"id": "bob", "first": "Bob"}).json["code"] == "unchanged"
    assert len(crm.contacts) == 2


@pytest.mark.parametrize("missing, status, code, noted", [
    ("null", 200, "updated", [{"done": "skipped", "id": None, "entity": None}]),
    ("{fail: 410, message: 'No {.event.id}'}", 410, "missing", []),
    ("create", 200, "updated", None)])
def test_what_is_missing_need_not_be_created(scene, crm, missing, status, code, noted):
    daemon = scene.start(upsert(f", missing: {missing}"))
    answer = tell(daemon, {"id": "bob", "email": "b@example.com"})
    assert (answer.status, answer.json["code"]) == (status, code)
    if noted is None:
        assert crm.noted[0]["done"] == "created"
    else:
        assert crm.noted == noted and not scene.target.seen("POST", "/contacts")


# ---- gone ----

GONE = ", gone: '.event.gone'"


@pytest.mark.parametrize("more, asked, done, left", [
    ("", ["GET /contacts?external_id=ada", "PATCH /contacts/C-1"], "deactivated",
     {"C-1": {**ADA, "active": False}}),
    (", when_gone: deactivate, inactive: '{state: \"left\"}'",
     ["GET /contacts?external_id=ada", "PATCH /contacts/C-1"], "deactivated",
     {"C-1": {**ADA, "state": "left"}}),
    (", when_gone: delete", ["GET /contacts?external_id=ada", "DELETE /contacts/C-1"], "deleted",
     {}),
    (", when_gone: skip", [], "skipped", {"C-1": ADA})])
def test_what_is_gone_is_dealt_with(scene, crm, more, asked, done, left):
    # The body would fail: nobody looks at it.
    daemon = scene.start(upsert(GONE + more).replace(".event.email", ".event.email.x"))
    answer = tell(daemon, {"id": "ada", "gone": True, "email": "x"})
    assert answer.status == 200
    assert crm.asked == asked and crm.noted[0]["done"] == done and crm.contacts == left


@pytest.mark.parametrize("rule", ["deactivate", "delete"])
def test_what_is_gone_and_not_there_is_not_created(scene, crm, rule):
    daemon = scene.start(flow(UPSERT % f"{GONE}, when_gone: {rule}"))
    answer = tell(daemon, {"id": "bob", "gone": True})
    assert (answer.status, answer.json["code"]) == (200, "unchanged")
    assert crm.asked == ["GET /contacts?external_id=bob"]


def test_one_that_was_deactivated_already_is_left_alone(scene, crm):
    daemon = scene.start(flow(UPSERT % GONE))
    told = [tell(daemon, {"id": "ada", "gone": 1}).json for _ in range(2)]
    assert [one["message"] for one in told] == [
        "Deactivated in target: active.", "Nothing to change in target."]
    assert len(scene.target.seen("PATCH")) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_one_that_others_delete_first_is_gone(scene, crm, status):
    daemon = scene.start(upsert(GONE + ", when_gone: delete"))
    crm.fault("DELETE", "/contacts/C-1", Reply(status))
    assert tell(daemon, {"id": "ada", "gone": True}).status == 200
    assert crm.noted == [{"done": "unchanged", "id": "C-1", "entity": None}]


def test_what_was_created_can_be_undone_and_what_was_there_left(scene, crm):
    undo = (", undo: [{back: {delete: 'target:/contacts/{.contact.id}', "
            "when: '.contact.done == \"created\"'}}]")
    daemon = scene.start(flow(UPSERT % undo, "bad: {fail: 422, message: No.}"))
    for event in ({"id": "bob", "email": "b@example.com"}, EVENT):
        assert tell(daemon, event).status == 422
    assert crm.asked == ["GET /contacts?external_id=bob", "POST /contacts",
                         "DELETE /contacts/C-2", "GET /contacts?external_id=ada",
                         "PATCH /contacts/C-1"]


# ---- races ----

TAKEN = [Reply(409, {"message": "Somebody was faster."}),
         Reply(422, {"errors": [{"field": "external_id", "message": "has already been Taken"}]}),
         Reply(400, {"message": "DUPLICATES_DETECTED"}),
         Reply(422, {"scimType": "uniqueness"})]


@pytest.mark.parametrize("refusal", TAKEN)
def test_a_race_to_create_is_lost_with_grace(scene, crm, refusal):
    daemon = scene.start(upsert())
    crm.before["POST", "/contacts"] = lambda: crm.contacts.update(
        B={"id": "B", "external_id": "bob", "email": "theirs@example.com"})
    crm.fault("POST", "/contacts", refusal)
    answer = tell(daemon, {"id": "bob", "email": "b@example.com"})
    assert answer.status == 200
    assert crm.asked == ["GET /contacts?external_id=bob", "POST /contacts",
                         "GET /contacts?external_id=bob", "PATCH /contacts/B"]
    assert crm.noted[0]["done"] == "updated" and crm.contacts["B"]["email"] == "b@example.com"


def test_what_is_taken_by_another_is_told(scene, crm):
    """The e-mail address, say: the search does not find that one."""
    daemon = scene.start(upsert())
    for _ in range(2):
        crm.fault("POST", "/contacts", TAKEN[1])
    answer = tell(daemon, {"id": "bob", "email": "b@example.com"})
    assert (answer.status, answer.json["code"]) == (424, "target-refused")
    assert answer.json["errors"] == [{"pointer": "/id", "detail": "has already been Taken",
                                     "field": "external_id"}]
    assert crm.asked == ["GET /contacts?external_id=bob", "POST /contacts",
                         "GET /contacts?external_id=bob"]


def test_another_refusal_is_no_race(scene, crm):
    daemon = scene.start(upsert())
    crm.fault("POST", "/contacts", Reply(422, {"message": "email is not valid"}))
    answer = tell(daemon, {"id": "bob", "email": "b"})
    assert answer.status == 424 and answer.json["detail"] == "email is not valid"
    assert len(crm.asked) == 2


def test_one_that_goes_between_search_and_change_is_searched_once_more(scene, crm):
    daemon = scene.start(upsert())
    crm.before["PATCH", "/contacts/C-1"] = crm.contacts.clear
    assert tell(daemon, EVENT).status == 200
    assert crm.asked == ["GET /contacts?external_id=ada", "PATCH /contacts/C-1",
                         "GET /contacts?external_id=ada", "POST /contacts"]
    assert crm.noted[0]["done"] == "created"


def test_a_target_that_finds_what_it_does_not_have_is_asked_twice(scene, crm):
    daemon = scene.start(upsert())
    for _ in range(9):
        crm.fault("PATCH", "/contacts/C-1", Reply(404))
    answer = tell(daemon, EVENT)
    assert (answer.status, answer.json["code"]) == (404, "missing")
    assert len(crm.asked) == 4


# ---- ids that are remembered ----

CACHED = upsert(", cache: 1h")


def test_an_id_that_is_remembered_saves_the_search(scene, crm):
    daemon = scene.start(CACHED)
    for n in range(3):
        assert tell(daemon, {"id": "ada", "email": f"{n}@example.com"}).status == 200
    assert tell(daemon, {"id": "ada", "email": "2@example.com"}).status == 200
    assert crm.asked == ["GET /contacts?external_id=ada", "PATCH /contacts/C-1",
                         *["GET /contacts/C-1", "PATCH /contacts/C-1"] * 2, "GET /contacts/C-1"]
    assert [one["done"] for one in crm.noted] == ["updated"] * 3 + ["unchanged"]
    assert scene.target.seen("PATCH")[2].json == {"email": "2@example.com"}


def test_one_that_was_created_is_remembered(scene, crm):
    daemon = scene.start(CACHED)
    for email in ("b@example.com", "c@example.com"):
        assert tell(daemon, {"id": "bob", "email": email}).status == 200
    assert crm.asked == ["GET /contacts?external_id=bob", "POST /contacts", "GET /contacts/C-2",
                         "PATCH /contacts/C-2"]


@pytest.mark.parametrize("status", [404, 410])
def test_an_id_that_is_no_more_is_forgotten(scene, crm, status):
    daemon = scene.start(CACHED)
    assert tell(daemon, EVENT).status == 200
    del crm.asked[:]
    crm.contacts = {"C-9": {**ADA, "id": "C-9"}}
    crm.fault("GET", "/contacts/C-1", Reply(status))
    for _ in range(2):
        assert tell(daemon, EVENT).status == 200
    assert crm.asked == ["GET /contacts/C-1", "GET /contacts?external_id=ada",
                         "PATCH /contacts/C-9", "GET /contacts/C-9"]


def test_a_search_that_is_refused_is_not_the_id_that_was_remembered(scene, crm):
    daemon = scene.start(CACHED)
    assert tell(daemon, EVENT).status == 200
    crm.fault("GET", "/contacts/C-1", Reply(410))
    crm.fault("GET", "/contacts?", Reply(410))
    answer = tell(daemon, EVENT)
    assert (answer.status, answer.json["code"]) == (424, "target-refused")
    assert crm.asked[2:] == ["GET /contacts/C-1", "GET /contacts?external_id=ada"]


def test_one_that_is_wrapped_in_something_is_changed_as_a_whole(scene, crm):
    daemon = scene.start(CACHED)
    assert tell(daemon, EVENT).status == 200
    crm.fault("GET", "/contacts/C-1", Reply(200, {"data": ADA}))
    assert tell(daemon, EVENT).status == 200
    assert scene.target.seen("PATCH")[1].json == {
        "external_id": "ada", "email": "ada@example.com"}


def test_a_deleted_one_is_forgotten(scene, crm):
    daemon = scene.start(upsert(", cache: 1h, gone: .event.gone, when_gone: delete"))
    for more in ({}, {"gone": True}, {}):
        assert tell(daemon, {**EVENT, **more}).status == 200
    assert crm.asked == ["GET /contacts?external_id=ada", "PATCH /contacts/C-1",
                         "GET /contacts/C-1", "DELETE /contacts/C-1",
                         "GET /contacts?external_id=ada", "POST /contacts"]


def test_a_reload_forgets_and_nothing_is_remembered_without_cache(scene, crm):
    daemon = scene.start(CACHED)
    assert tell(daemon, EVENT).status == 200
    daemon.reload(CACHED)
    assert tell(daemon, EVENT).status == 200
    daemon.reload(upsert())
    for _ in range(2):
        assert tell(daemon, EVENT).status == 200
    assert [one for one in crm.asked if one.startswith("GET")] == [
        "GET /contacts?external_id=ada"] * 4


# ---- put and delete ----

def test_put_replaces(scene):
    daemon = scene.start(flow(
        "saved: {put: 'target:/contacts/{.event.id}', body: '{a: .event.a}'}"))
    answer = tell(daemon, {"id": "x/y", "a": 1})
    assert answer.status == 200 and answer.json["message"] == "Updated in target: a."
    sent = scene.target.requests[0]
    assert (sent.method, sent.path, sent.json) == ("PUT", "/contacts/x%2Fy", {"a": 1})
    assert sent.headers["content-type"] == "application/json"


def test_put_puts_the_event_by_default_and_never_nothing(scene):
    daemon = scene.start(flow("saved: {put: 'target:/contacts/1', when: .event.all}",
                              "part: {put: 'target:/contacts/2', body: .event.part}"))
    sent = b'{"all": 12345678901234567890, "part": []}'
    assert daemon.post("app", sent).status == 200
    assert [one.body for one in scene.target.requests] == [sent, b"[]"]
    answer = tell(daemon, {"all": None})
    assert (answer.status, answer.json["code"]) == (422, "mapping-failed")
    assert len(scene.target.requests) == 2


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("missing, told", [
    ("", (200, "unchanged")), (", missing: null", (200, "unchanged")),
    (", missing: {fail: 422, message: 'No {.event.id}'}", (422, "missing"))])
def test_delete_of_what_is_not_there(scene, status, missing, told):
    daemon = scene.start(flow(f"gone: {{delete: 'target:/contacts/{{.event.id}}'{missing}}}"))
    scene.target.act = Reply(status)
    answer = tell(daemon, {"id": 1})
    assert (answer.status, answer.json["code"]) == told
    assert scene.target.requests[0].method == "DELETE"


def test_delete_deletes(scene):
    daemon = scene.start(flow("gone: {delete: 'target:/contacts/{.event.id}'}"))
    scene.target.act = Reply(204)
    answer = tell(daemon, {"id": 1})
    assert answer.status == 200 and answer.json["message"] == "Deleted in target."
    assert scene.target.requests[0].body == b""
    assert "content-type" not in scene.target.requests[0].headers


# ---- what check says ----

@pytest.mark.parametrize("step, complaint", [
    ("one: {find: '?id={.event.id}', upsert: 'target:/c', body: .event}", None),
    ("one: {body: .event, find: '/s?id={.event.id}', upsert: 'target:/c'}", None),
    ("one: {upsert: 'target:/c', body: .event}", "'find'"),
    ("one: {upsert: 'target:/c', find: '?a=b'}", "'body'"),
    ("one: {upsert: 'target:/c', find: 'a=b', body: .event}", "write ?query"),
    ("one: {upsert: 'target:/c?a=b', find: '?a=b', body: .event}", "a collection has no query"),
    ("one: {upsert: 'target:/c', find: '?a=b', body: .event, pick: '.a | .b'}", "pick is a plain"),
    ("one: {upsert: 'target:/c', find: '?a=b', body: .event, id: '.[0] | 1'}", "id is a plain"),
    ("one: {upsert: 'target:/c', find: '?a=b', body: .event, missing: maybe}",
     "missing is create, null, or a map"),
    ("one: {upsert: 'target:/c', find: '?a=b', body: .event, when_gone: skip}", "say with 'gone'"),
    ("one: {upsert: 'target:/c', find: '?a=b', body: .event, gone: .event.g, when_gone: kill}",
     "when_gone"),
    ("one: {upsert: 'tarrget:/c', find: '?a=b', body: .event}", "did you mean 'target'"),
    ("one: {get: 'target:/c', find: 'target:/d'}", "find"),
    ("one: {delete: 'target:/c', body: .event}", "body"),
])
def test_check_says_what_is_wrong(tmp_path, step, complaint):
    (tmp_path / "grapnel.yaml").write_text(flow(step))
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, "TARGET_PORT": "1"})
    assert (done.returncode == 0) == (complaint is None), done.stderr
    assert complaint is None or complaint in done.stderr
