# SPDX-License-Identifier: Apache-2.0
"""Backfills: a flow run for each item of a list, told by command and by API."""

import json
import os
import pathlib
import pty
import re
import signal
import sqlite3
import subprocess
import threading
import urllib.parse

import pytest

from harness import GRAPNEL, JSON, PATIENCE_S, SANITIZED, Reply, ask, wait_until

LONG_S = 6 * PATIENCE_S if SANITIZED else 3 * PATIENCE_S
USERS = 250

CONFIG = """
connections:
  identity: {url: "http://127.0.0.1:${TARGET_PORT}/id"}
  crm: {url: "http://127.0.0.1:${TARGET_PORT}/crm"}
sources: {portal: {verify: none, once: '[.id, .version]'}, other: {verify: none}}
flows:
  user-to-contact:
    on: [portal, other]
    match: {entityType: USER}
    subject: .id
    retry: {base: 100ms, max: 100ms, tries: 1}
    steps:
      - contact: {find: 'crm:/contacts?external_id={.event.id}', pick: .items}
      - saved: {patch: 'crm:/contacts/{.contact.id}', body: '{email: .event.email}'}
  beside:
    on: portal
    steps: [{told: {post: 'crm:/beside'}}]
  unmatched:
    on: other
    steps: [{sent: {post: 'crm:/told', body: '{event: .event, meta: .meta}'}}]
"""
FROM = ("--from", "identity:/users?limit=20", "--offset", "offset")


def key_of(request):
    """The last segment of its path."""
    return urllib.parse.urlsplit(request.path).path.rpartition("/")[2]


class World:
    """Two systems: users, in pages, and the contacts that follow them."""

    def __init__(self, count=USERS):
        self.users = [{"id": f"U{n:04}", "email": f"u{n}@example.com", "version": 1}
                      for n in range(count)]
        self.contacts = {f"U{n:04}": "old@example.com" for n in range(count)}
        self.broken = set()  # users whose contacts cannot be written
        self.hold = None  # to hold the writes with
        self.pages = self.by_offset
        self._lock = threading.Lock()

    def by_offset(self, query, _):
        """Pages as the query asks for them."""
        offset, limit = (int(query.get(name, [usual])[0])
                         for name, usual in (("offset", "0"), ("limit", "100")))
        return Reply(200, {"items": self.users[offset:offset + limit], "total": len(self.users)})

    def __call__(self, request):
        where = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(where.query)
        if where.path == "/id/users":
            return self.pages(query, request)
        if where.path == "/crm/contacts":
            user = query["external_id"][0]
            found = [{"id": user, "email": self.contacts[user]}] if user in self.contacts else []
            return Reply(200, {"items": found})
        if request.method == "PATCH":
            return self.write(request)
        return Reply(204)

    def write(self, request):
        """A contact follows, unless it is broken."""
        with self._lock:
            if key_of(request) in self.broken:
                return Reply(422, {"message": "not this one"})
            self.contacts[key_of(request)] = request.json["email"]
        return self.hold or Reply(200, {})

    @property
    def is_done(self):
        """Does each contact have its user's e-mail?"""
        return all(self.contacts[one["id"]] == one["email"] for one in self.users)


class Office:
    """A daemon between two systems, and who types commands."""

    def __init__(self, scene, count=USERS, config=CONFIG):
        self.world = World(count)
        self.target = scene.target
        self.target.act = self.world
        self.daemon = scene.start(config)

    @property
    def environment(self):
        """Where commands find the daemon."""
        return {**os.environ, "GRAPNEL_SERVER": f"http://127.0.0.1:{self.daemon.admin}"}

    def grapnel(self, *words):
        """`grapnel backfill`."""
        return subprocess.run([GRAPNEL, "backfill", *words], capture_output=True, text=True,
                              timeout=LONG_S, env=self.environment, check=False)

    def call(self, method, path, body=None):
        """Status and document of the API."""
        answer = ask(self.daemon.admin, method, f"/api/v1/backfills{path}",
                     None if body is None else json.dumps(body), JSON)
        return answer.status, answer.json

    def start(self, **more):
        """A backfill by the API: its id."""
        status, one = self.call("POST", "", {
            "flow": "user-to-contact", "from": "identity:/users?limit=20",
            "pages": {"offset": "offset"}, **more})
        assert status == 202, one
        return one["id"]

    def get(self, backfill):
        """How far one is."""
        return self.call("GET", f"/{backfill}")[1]

    def ended(self, backfill):
        """The backfill, once it no longer runs."""
        wait_until(lambda: self.get(backfill)["progress"] != "running", LONG_S)
        return self.get(backfill)

    def recorded(self):
        """How many events the ledger holds."""
        return self.daemon.metrics()["grapnel_ledger_events"]

    def writes(self):
        """The PATCHes that came."""
        return self.target.seen("PATCH")


@pytest.fixture(name="office")
def its_office(scene):
    """250 users."""
    return Office(scene)


def counts(one, *names):
    """Some numbers of a backfill."""
    return [one[name] for name in names]


# ---- what it does ----

def test_each_item_reaches_the_target_once(office):
    done = office.grapnel("user-to-contact", *FROM)
    assert done.returncode == 0, done
    assert office.world.is_done and len(office.writes()) == USERS
    identity, *_, last = done.stdout.splitlines()
    assert last == "done: 250 seen, 250 succeeded, 0 unchanged, 0 failed"
    pages = [one.path for one in office.target.seen(path="/id/users")]
    assert pages == [f"/id/users?limit=20&offset={n}" for n in [*range(0, 241, 20), 250]]
    # For that flow alone, though others are on the source, and although it does not match.
    assert office.target.seen(path="/crm/beside") == [] and office.recorded() == USERS
    event = office.daemon.events()[0]
    assert event["source"] == "portal"
    assert [job["target"] for job in event["jobs"]] == ["flow:user-to-contact"]
    one = office.get(identity)
    assert counts(one, "progress", "seen", "succeeded", "failed", "open", "total") == [
        "done", USERS, USERS, 0, 0, USERS]

    # Everything is as it should be: a second one finds nothing to write.
    office.world.users[7]["email"] = "new@example.com"
    done = office.grapnel("user-to-contact", *FROM)
    assert done.stdout.endswith("done: 250 seen, 1 succeeded, 249 unchanged, 0 failed\n")
    assert len(office.writes()) == USERS + 1 and office.world.is_done
    assert office.recorded() == 2 * USERS
    listed = office.grapnel("list").stdout.splitlines()
    assert len(listed) == 2 and listed[1].split()[:3] == [identity, "done", "user-to-contact"]


def test_the_demo_services_are_filled(house):
    count = USERS
    with sqlite3.connect(next(house.stack.identity.folder.glob("*.db")), timeout=10) as users:
        users.execute("DELETE FROM users")
        users.executemany("INSERT INTO users VALUES (?, ?, 'Name', ?, '', 1, '2019')", [
            (f"B{n:04}", f"First{n}", f"b{n}@example.com") for n in range(count)])
    with sqlite3.connect(house.stack.contacts_file, timeout=10) as contacts:
        contacts.executemany("INSERT INTO contacts VALUES (?, ?, ?, ?, NULL, 1, '2019', 'x')", [
            (f"C-B{n}", f"B{n:04}", f"old{n}@example.com", f"First{n} Name")
            for n in range(count)])

    def grapnel(*more):
        return subprocess.run(
            [GRAPNEL, "backfill", "user-to-contact", "--from", "identity:/users", "--offset",
             "offset", "--server", f"http://127.0.0.1:{house.stack.admin_port}", *more],
            capture_output=True, text=True, timeout=LONG_S, check=False)

    told = grapnel("--report")
    assert told.stdout.splitlines()[-1] == "250 seen, 250 would change, 0 failed", told
    done = grapnel()
    assert done.returncode == 0 and "250 seen, 250 succeeded" in done.stdout, done
    with sqlite3.connect(house.stack.contacts_file, timeout=10) as contacts:
        rows = contacts.execute("SELECT external_id, email FROM contacts WHERE id LIKE 'C-B%'")
        assert dict(rows.fetchall()) == {f"B{n:04}": f"b{n}@example.com" for n in range(count)}
    told = grapnel("--report")
    assert told.stdout == "250 seen, 0 would change, 0 failed\n"
    assert grapnel().stdout.endswith("done: 250 seen, 0 succeeded, 250 unchanged, 0 failed\n")


def test_what_fails_is_counted_and_told(scene):
    office = Office(scene, 30)
    office.world.broken = {f"U{n:04}" for n in range(3, 18)}
    done = office.grapnel("user-to-contact", *FROM)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[1] == "done: 30 seen, 15 succeeded, 0 unchanged, 15 failed"
    assert len(lines) == 13 and lines[-1] == "  and 5 more"
    key, event = re.match(r"  (U\d{4}) \((evt_\w+)\): target-refused: ", lines[2]).groups()
    assert key in office.world.broken and office.daemon.event(event)["body"]["id"] == key
    shown = office.grapnel("show", lines[0])
    assert shown.returncode == 1 and shown.stdout.splitlines() == lines[1:]
    one = json.loads(office.grapnel("show", lines[0], "--json").stdout)
    assert counts(one, "failed", "dead") == [15, 15] and len(one["problems"]) == 10
    # A failure is tried again by the flow's own rule, and lies dead in the ledger then.
    assert len(office.daemon.events("dead")) == 15


# ---- items and their events ----

def test_an_expression_makes_the_event(scene):
    office = Office(scene, 5)
    made = ('if .id == "U0003" then empty elif .id == "U0004" then error("odd") else '
            '{id, entityType: "USER", type: "user.filled", who: .email} end')
    done = office.grapnel("unmatched", *FROM, "--event", made)
    assert done.returncode == 1
    assert "done: 5 seen, 3 succeeded, 0 unchanged, 1 failed, 1 left out\n" in done.stdout
    assert "  U0004: mapping-failed: the event's expression failed: odd\n" in done.stdout
    told = [one.json for one in office.target.seen("POST", "/crm/told")]
    assert sorted(one["event"]["id"] for one in told) == ["U0000", "U0001", "U0002"]
    assert told[0]["event"].keys() == {"id", "entityType", "type", "who"}
    assert told[0]["meta"]["type"] == "user.filled" and told[0]["meta"]["source"] == "other"


def test_items_are_told_apart_by_their_key(scene):
    office = Office(scene, 6)
    # The page moves while it is read, so that the last of a page comes again; and two say nothing
    # of themselves, but are different.
    office.world.users[3:5] = [office.world.users[2]]
    office.world.users += [{"n": 1}, {"n": 2}, {"n": 1}]
    office.start(flow="unmatched", source="other", rate=1000)
    done = office.ended(office.start(flow="unmatched", source="other"))
    assert counts(done, "seen", "succeeded", "repeated") == [8, 6, 2]
    done = office.ended(office.start(flow="unmatched", key=".version"))
    assert counts(done, "seen", "succeeded", "repeated") == [8, 3, 5]


LISTS = {
    "link": (lambda q, r: Reply(200, [{"id": q.get("p", ["1"])[0]}], {
        "Link": '</id/users?p=2>; rel="next"'} if "p" not in q else {}), {}, ["1", "2"]),
    "cursor": (lambda q, r: Reply(200, {"data": {"l": [{"id": q.get("c", ["0"])[0]}]}, "c": {
        "0": "a b", "a b": "z", "z": None}[q.get("c", ["0"])[0]]}),
        {"next": ".c", "as": "c", "list": ".data.l"}, ["0", "a b", "z"]),
    "number": (lambda q, r: Reply(200, [{"id": q["p"][0]}] if q["p"][0] < "6" else []),
               {"number": "p", "from": 4}, ["4", "5"]),
    "index": (lambda q, r: Reply(200, {"schemas": ["scim"], "Resources": [
        {"id": n} for n in (1, 2, 3) if int(q["startIndex"][0]) <= n < int(q["startIndex"][0]) + 2]}),
        {"index": "startIndex", "list": ".Resources"}, [1, 2, 3]),
    "whole": (lambda q, r: Reply(200, {"items": [{"id": 1}], "count": 1, "next": None}), {}, [1]),
    "empty": (lambda q, r: Reply(200, []), {}, []),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_go_on_in_many_ways(scene, name):
    act, pages, wanted = LISTS[name]
    office = Office(scene, 0)
    office.world.pages = act
    done = office.ended(office.start(**{"from": "identity:/users"}, flow="unmatched", pages=pages))
    assert (done["progress"], done["error"]) == ("done", None)
    ids = [one.json["event"]["id"] for one in office.target.seen("POST", "/crm/told")]
    assert sorted(ids) == wanted


# ---- lists that cannot be read ----

def endless(query, _):
    """There is always one more."""
    page = int(query.get("p", ["0"])[0])
    return Reply(200, {"items": [{"id": page}], "next": f"/id/users?p={page + 1}"})


BAD = {
    "denied": (lambda q, r: Reply(401), {}, "target-denied", "does not accept Grapnel's credentials"),
    "gone": (lambda q, r: Reply(404), {}, "missing", "has nothing at this address (404)"),
    "garbage": (lambda q, r: b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\n\r\n<htm>", {},
                "unreadable-answer", "gave an answer that is no JSON"),
    "no list": (lambda q, r: Reply(200, {"users": {}}), {}, "unreadable-answer", "holds no list"),
    "two lists": (lambda q, r: Reply(200, {"a": [], "b": []}), {}, "unreadable-answer",
                  "say where in it the list is"),
    "more": (lambda q, r: Reply(200, {"items": [{"id": 1}], "total": 250}), {},
             "unreadable-answer", "gave 1 items, and its page speaks of more (total)"),
    "named": (lambda q, r: Reply(200, {"items": [{"id": 1}], "nextPageToken": "x"}), {},
              "unreadable-answer", "speaks of more (nextPageToken)"),
    "elsewhere": (lambda q, r: Reply(200, [], {"Link": '<http://evil.example/>; rel="next"'}), {},
                  "unreadable-answer", "no place in it"),
    "itself": (lambda q, r: Reply(200, {"items": [], "next": "/id/users"}),
               {"next": ".next", "list": ".items"}, "unreadable-answer", "the one behind itself"),
    "endless": (endless, {"next": ".next", "list": ".items"}, "too-many-pages",
                "The list has more than 4 pages."),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_said(scene, name):
    act, pages, code, said = BAD[name]
    office = Office(scene, 0)
    office.world.pages = act
    words = [word for pair in pages.items() for word in (f"--{pair[0]}", pair[1])]
    done = office.grapnel("unmatched", "--from", "identity:/users", "--max-pages", "4", *words)
    assert done.returncode == 1 and "The list could not be read on: " in done.stdout
    assert said in done.stdout, done.stdout
    one = office.get(done.stdout.splitlines()[0])
    assert (one["progress"], one["error"]["code"]) == ("failed", code)
    # What was read before is done; the report says the same.
    assert one["succeeded"] == len(office.target.seen("POST")) == (4 if name == "endless" else 0)
    told = office.grapnel("unmatched", "--from", "identity:/users", "--max-pages", "4", *words,
                          "--report")
    assert told.returncode == 1
    assert (said if name != "endless" else "more pages than it may have") in told.stderr


def test_a_page_that_is_away_is_waited_for(scene):
    office = Office(scene, 60)
    whole, away = office.world.pages, ["20", "20", "40"]

    def pages(query, request):
        if away and query["offset"] == away[:1]:
            away.pop(0)
            return Reply(503)
        return whole(query, request)

    office.world.pages = pages
    done = office.ended(office.start())
    assert counts(done, "progress", "seen", "succeeded") == ["done", 60, 60] and not away


def test_one_that_failed_goes_on_where_it_was(scene):
    office = Office(scene, 60)
    whole = office.world.pages
    office.world.pages = lambda q, r: whole(q, r) if q["offset"] != ["40"] else Reply(403)
    one = office.start()
    assert counts(office.ended(one), "progress", "seen", "succeeded") == ["failed", 40, 40]
    office.world.pages = whole
    asked = len(office.target.seen(path="/id/users"))
    done = office.grapnel("resume", one)
    assert done.returncode == 0
    assert done.stdout == "done: 60 seen, 60 succeeded, 0 unchanged, 0 failed\n"
    assert [r.path.rpartition("=")[2] for r in office.target.seen(path="/id/users")[asked:]] == [
        "40", "60"]
    assert len(office.writes()) == 60
    assert office.call("POST", f"/{one}/resume")[0] == 409


# ---- restarts, and being told to end ----

def test_a_killed_daemon_goes_on_by_itself(office):
    one = office.start(rate=150)
    assert wait_until(lambda: len(office.writes()) > 50, PATIENCE_S)
    office.daemon.kill()
    office.daemon.start()
    assert wait_until(lambda: office.get(one)["seen"] > 120, PATIENCE_S)
    office.daemon.kill()
    office.daemon.start()
    done = office.ended(one)
    assert counts(done, "progress", "seen", "failed", "open") == ["done", USERS, 0, 0]
    assert done["succeeded"] + done["unchanged"] == USERS
    # Each was run at least once, and recorded once.
    assert office.world.is_done and office.recorded() == USERS


def test_a_stop_in_the_middle_loses_nothing(office):
    one = office.start(rate=300)
    assert wait_until(lambda: len(office.writes()) > 30, PATIENCE_S)
    assert office.daemon.stop() == 0
    office.daemon.start()
    assert counts(office.ended(one), "progress", "seen") == ["done", USERS]
    assert office.world.is_done and office.recorded() == USERS


def test_cancel_ends_it_and_resume_goes_on(scene):
    office = Office(scene, 400)
    office.world.hold = office.target.hold()
    one = office.start()
    assert wait_until(lambda: office.get(one)["open"] == 256, PATIENCE_S)
    done = office.grapnel("cancel", one)
    assert done.returncode == 0 and done.stdout.startswith("cancelled: ")
    assert office.call("POST", f"/{one}/cancel")[1]["progress"] == "cancelled"
    # What was under way comes to its end, and nothing more comes.
    office.world.hold.release()
    assert wait_until(lambda: not [e for e in office.daemon.events() if [
        j for j in e["jobs"] if j["state"] != "done"]], PATIENCE_S)
    assert wait_until(lambda: len(office.writes()) == 256, PATIENCE_S)
    assert office.recorded() == 256 and office.get(one)["progress"] == "cancelled"
    done = office.grapnel("resume", one)
    assert done.returncode == 0 and done.stdout.startswith("done: 400 seen"), done
    assert office.world.is_done and office.recorded() == 400


def test_no_more_is_under_way_than_can_be(scene):
    office = Office(scene, 400)
    office.world.hold = office.target.hold()
    one = office.start(**{"from": "identity:/users?limit=100"})
    assert wait_until(lambda: office.get(one)["open"] == 256, PATIENCE_S)
    assert office.recorded() == 256
    office.world.hold.release()
    assert counts(office.ended(one), "progress", "seen", "failed") == ["done", 400, 0]


def test_the_rate_bounds_it(scene):
    office = Office(scene, 200)
    one = office.start(**{"from": "identity:/users?limit=200"}, rate=2)
    # Without a rate it is first written down when the whole page is through.
    assert wait_until(lambda: office.get(one)["seen"], PATIENCE_S)
    assert office.get(one)["seen"] < 100
    assert office.call("POST", f"/{one}/cancel")[1]["progress"] == "cancelled"


def test_a_flow_that_goes_ends_it(scene):
    office = Office(scene, 400)
    one = office.start(rate=40)
    assert wait_until(lambda: office.writes(), PATIENCE_S)
    office.daemon.reload(CONFIG.replace("user-to-contact:", "renamed:"))
    done = office.ended(one)
    assert (done["progress"], done["error"]["code"]) == ("failed", "gone")
    office.daemon.reload(CONFIG)
    assert office.call("POST", f"/{one}/resume")[0] == 202
    before = office.recorded()
    assert wait_until(lambda: office.recorded() > before, PATIENCE_S)
    assert office.get(one)["error"] is None
    assert office.call("POST", f"/{one}/cancel")[1]["progress"] == "cancelled"


def test_ctrl_c_leaves_it_running(office):
    with subprocess.Popen([GRAPNEL, "backfill", "user-to-contact", *FROM, "--rate", "20"],
                          stdout=subprocess.PIPE, text=True, env=office.environment) as process:
        one = process.stdout.readline().strip()
        assert wait_until(lambda: office.writes(), PATIENCE_S)
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(PATIENCE_S) == 0
    assert said.startswith("running: ") and f"grapnel backfill show {one}" in said
    before = len(office.writes())
    assert wait_until(lambda: len(office.writes()) > before, PATIENCE_S)
    assert office.grapnel("cancel", one).returncode == 0


def test_a_terminal_sees_a_bar(office):
    ours, theirs = pty.openpty()
    with subprocess.Popen([GRAPNEL, "backfill", "user-to-contact", *FROM, "--rate", "100"],
                          stdout=theirs, env=office.environment) as process:
        os.close(theirs)
        seen = b""
        while b"done: " not in seen:
            seen += os.read(ours, 4096)
        assert process.wait(PATIENCE_S) == 0
    os.close(ours)
    assert re.search(rb"\r\[#*-+\] \d+ of 250 items, 0 failed", seen), seen
    assert b"\r[########################] 250 of 250 items, 0 failed" in seen


# ---- the report ----

def test_the_report_tells_the_differences_and_writes_nothing(office):
    office.world.contacts = {one["id"]: one["email"] for one in office.world.users}
    office.world.contacts["U0042"] = "old@example.com"
    del office.world.contacts["U0101"]
    here = f"http://127.0.0.1:{office.target.port}/crm"
    done = office.grapnel("user-to-contact", *FROM, "--report")
    assert done.stdout.splitlines() == [
        "U0042", f"  saved: PATCH {here}/contacts/U0042",
        '    email: "old@example.com" -> "u42@example.com"',
        "U0101 fails: 404 missing: crm knows no such entity (step contact).",
        "250 seen, 1 would change, 1 failed"]
    assert done.returncode == 1
    done = office.grapnel("user-to-contact", *FROM, "--report", "--json")
    change, failure, sums = map(json.loads, done.stdout.splitlines())
    assert change["key"] == "U0042" and change["writes"][0]["changes"] == {
        "email": {"from": "old@example.com", "to": "u42@example.com"}}
    assert (failure["key"], failure["status"], failure["writes"]) == ("U0101", 404, [])
    assert sums == {"seen": 250, "wouldChange": 1, "unchanged": 248, "failed": 1, "skipped": 0}
    assert office.writes() == [] and office.recorded() == 0
    assert office.call("GET", "")[1]["data"] == []
    del office.world.users[101]
    done = office.grapnel("user-to-contact", *FROM, "--report")
    assert done.returncode == 0 and done.stdout.endswith("249 seen, 1 would change, 0 failed\n")


def test_a_page_too_long_for_one_answer_is_told_in_parts(scene):
    office = Office(scene, 1100)
    words = ("--from", "identity:/users?limit=600", "--offset", "offset", "--report", "--event",
             'if .id < "U0002" then empty elif .id == "U0002" then error("odd") else . end')
    done = office.grapnel("user-to-contact", *words)
    lines = done.stdout.splitlines()
    assert lines[0] == "U0002 fails: 422 mapping-failed: the event's expression failed: odd"
    assert lines[-1] == "1,100 seen, 1,097 would change, 1 failed, 2 left out"
    assert lines[1::3][:-1] == [f"U{n:04}" for n in range(3, 1100)]


# ---- what is asked for ----

def test_wrong_words_are_told(scene):
    office = Office(scene, 1)
    for words, code, said in (
            (("user-to-contact",), 2, "it needs --from"),
            ((), 2, "it needs FLOW"),
            (("show",), 2, "show takes an ID"),
            (("list", "x"), 2, "list takes nothing"),
            (("user-to-contact", *FROM, "--rate", "0"), 2, "--rate is a number"),
            (("user-to-contact", *FROM, "--rate", "5", "--report"), 2, "takes no --rate"),
            (("user-to-contact", "x", *FROM), 2, "takes one FLOW"),
            (("nobody", *FROM), 1, "there is no such flow"),
            (("user-to-contact", *FROM, "--source", "x"), 1, "the flow is not on this source"),
            (("user-to-contact", *FROM, "--event", ".a |"), 1, "syntax error"),
            (("user-to-contact", *FROM, "--key", ".[]"), 1, "a plain path"),
            (("user-to-contact", *FROM, "--number", "p"), 1, "one of next, number, offset and"),
            (("user-to-contact", "--from", "nowhere:/x"), 1, "there is no connection 'nowhere'"),
            (("user-to-contact", "--from", "users"), 1, "write connection:/path"),
            (("user-to-contact", "--from", "crm:/x/{.id}"), 1, "fill a hole"),
            (("show", "bfl_0123456789abc"), 1, "404"),
            (("cancel", "x"), 1, "404"), (("resume", "x"), 1, "404")):
        done = office.grapnel(*words)
        assert done.returncode == code and said in done.stderr and not done.stdout, (words, done)
    assert office.call("GET", "")[1]["data"] == [] and office.recorded() == 0
    status, told = office.call("POST", "/report", {
        "flow": "user-to-contact", "from": "identity:/users",
        "after": {"url": "http://127.0.0.1:1/steal", "pages": 1, "items": 1, "skip": 0}})
    assert status == 424 and "no place in the connection" in told["detail"]


# ---- the page ----

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "backfill.md").read_text()


def page_world(request):
    """The five users of the page, and their contacts."""
    where = urllib.parse.urlsplit(request.path)
    query = urllib.parse.parse_qs(where.query)
    names = ("aino", "eero", "sanni", "olli", "kaisa")
    users = [{"id": f"U{n}", "email": f"{name}@example.com", "active": name != "kaisa"}
             for n, name in enumerate(names, 1)]
    if where.path == "/identity/users":
        at = int(query.get("offset", ["0"])[0])
        return Reply(200, {"items": users[at:at + 2], "total": 5})
    if where.path.startswith("/identity/users/"):
        return Reply(200, next(one for one in users if one["id"] == key_of(request)))
    if where.path == "/crm/contacts":
        n = int(query["external_id"][0][1:])
        old = "" if PAGE_WRITTEN else "old."
        email = f"eero@{old}example.com" if n == 2 else f"{names[n - 1]}@example.com"
        return Reply(200, {"items": [{"id": f"C-{n}", "email": email}] if n < 5 else []})
    PAGE_WRITTEN.append(request.path)
    return Reply(204)


PAGE_WRITTEN = []


def test_the_page_says_what_happens(scene):
    PAGE_WRITTEN.clear()
    scene.target.act = page_world
    here = f"http://127.0.0.1:{scene.target.port}"
    (config,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
    config = re.sub(r"^(listen|admin):.*$", r"\1: 127.0.0.1:0", config, flags=re.M)
    config = config.replace("https://id.example.com", f"{here}/identity")
    config = config.replace("https://crm.example.com", f"{here}/crm")
    daemon = scene.start(config, ID_TOKEN="t", CRM_TOKEN="t", PORTAL_SECRET="whsec_" + "QUJD" * 11)
    environment = {**os.environ, "PATH": f"{pathlib.Path(GRAPNEL).parent}:{os.environ['PATH']}",
                   "GRAPNEL_SERVER": f"http://127.0.0.1:{daemon.admin}"}
    last = "none"
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, wanted = part.partition("\n")
            done = subprocess.run(["sh", "-c", command.replace("bfl_ID", last)], text=True,
                                  capture_output=True, timeout=LONG_S, check=False, env=environment)
            last = (re.findall(r"bfl_\w+", done.stdout) or [last])[0]
            told = done.stdout.replace(f"{here}/crm", "https://crm.example.com")
            assert re.sub(r"(bfl|evt)_\w{13}", r"\1_ID", told) == wanted, (command, done)
    assert PAGE_WRITTEN == ["/crm/contacts/C-2"]
