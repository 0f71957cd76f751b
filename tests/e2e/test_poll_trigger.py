# SPDX-License-Identifier: Apache-2.0
"""A list of an API that is looked at again and again: what is new, different or gone arrives once,
with what was there before; a list that was not read to its end deletes nothing."""

import json
import pathlib
import re
import sqlite3
import threading
import urllib.parse

import pytest

from databases import FORWARD, Watched, grapnel
from harness import HANG_UP, PATIENCE_S, Reply, Target, wait_until

CONFIG = """
connections:
  crm: {url: "http://127.0.0.1:${API_PORT}"}
sources:
  rows: {trigger: {poll: '%s', every: 100ms, name: contacts, %s}}
""" + FORWARD
# Another one, which goes on whatever becomes of the first: by its looks tests wait.
CLOCK = CONFIG.replace("sources:", """  other: {url: "http://localhost:${API_PORT}"}
sources:
  clock: {trigger: {poll: 'other:/clock', every: 100ms}}""")


class Api(Target):
    """A list in pages of `size` items, with an ETag, or whatever `instead` says."""

    def __init__(self):
        super().__init__()
        self.items = []
        self.size = 1000
        self.has_etag = False
        self.instead = None  # a function from a request to an answer, or to None
        self.act = self.answer

    def answer(self, request):
        """What comes back."""
        if request.path == "/clock":
            return Reply(200, {})
        found = self.instead and self.instead(request)
        if found:
            return found
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.path).query))
        at = int(query.get("at", 0))
        items = list(self.items)
        document = {"items": items[at:at + self.size]}
        headers = {}
        if self.has_etag:
            headers["ETag"] = f'"{hash(json.dumps(document, sort_keys=True))}"'
            if request.headers.get("if-none-match") == headers["ETag"]:
                return Reply(304, None, headers)
        if at + self.size < len(items):
            headers["Link"] = f'</contacts?at={at + self.size}>; rel="next"'
        return Reply(200, document, headers)

    def looked(self, n=2, path=""):
        """Waits for so many looks that begin from now on."""
        begun = len(self.seen("GET", path))
        assert wait_until(lambda: len(self.seen("GET", path)) >= begun + n, PATIENCE_S)


@pytest.fixture(name="api")
def an_api():
    api = Api()
    yield api
    api.close()


@pytest.fixture(name="watch")
def a_watch(scene, api):
    def start(options="items: .items, key: .id", at="crm:/contacts", config=CONFIG):
        return Watched(scene, config % (at, options), installs=False, API_PORT=str(api.port))

    return start


LIST = "items: .items, key: .id"


def told(events):
    return [(e["op"], e["key"]["id"]) for e in events]


def item(key, **more):
    return {"id": key, **more}


def test_what_is_new_different_or_gone(watch, api):
    api.items = [item("a", email="old"), item("b"), item(3)]
    w = watch()
    w.wait_state("working")
    api.items = [item("a", email="new"), item("b"), item(3)]
    [event] = w.wait_for(1)
    assert event["type"] == "contacts.update" and event["key"] == {"id": "a"}
    assert event["previous"] == item("a", email="old") and event["new"] == item("a", email="new")
    assert event["changed"] == ["email"] and event["timeIs"] == "capture"
    assert event["trigger"] == {"kind": "poll", "source": "rows"}
    api.items = [item("a", email="new"), item("b"), item("c")]
    assert sorted(told(w.wait_for(3)[1:])) == [("delete", 3), ("insert", "c")]
    gone = [e for e in w.arrived() if e["op"] == "delete"][0]
    assert gone["new"] is None and gone["previous"] == item(3)
    assert w.status()["known"] == 0 and w.status()["gauges"]["remembered"] == 3


def test_what_is_there_is_sent_if_wished(watch, api):
    api.items = [item("a"), item("b")]
    w = watch(LIST + ", existing: send")
    events = w.wait_for(2)
    assert told(events) == [("snapshot", "a"), ("snapshot", "b")] and events[0]["backfill"] is True
    api.items.append(item("c"))
    assert told(w.wait_for(3))[2] == ("insert", "c")


def test_what_says_the_same_is_the_same(watch, api):
    body = '{"items":[{"id":"a","n":1.50,"b":"ä","seen":1,"deep":{"x":1,"y":[2]}}]}'
    again = '{"items":[{"deep":{"y":[2.0],"x":10e-1},"\\u0062":"\\u00e4","seen":2,"n":1.5,"id":"a"}]}'

    def raw(text):
        sent = text.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(sent), sent)

    api.instead = lambda _: raw(body)
    w = watch(LIST + ", ignore: [seen]")
    w.wait_state("working")
    api.instead = lambda _: raw(again)
    api.looked(3)
    assert w.status()["events"] == 0
    api.instead = lambda _: raw(again.replace("[2.0]", "[2, 3]"))
    assert w.wait_for(1)[0]["changed"]


def test_an_item_that_goes_back_or_returns_is_another_change(watch, api):
    api.items = [item("a", v=1), item("x"), item("y")]
    w = watch(LIST + ", most_gone: 100")
    w.wait_state("working")
    for n, items in enumerate(([item("a", v=2)], [item("a", v=1)], [], [item("a", v=1)], [],
                               [item("a", v=1)], [item("a", v=2)])):
        api.items = [*items, item("x"), item("y")]
        w.wait_for(n + 1)
    assert [e["op"] for e in w.arrived()] == ["update", "update", "delete", "insert", "delete",
                                              "insert", "update"]
    assert len({e["id"] for e in w.arrived()}) == 7 and w.status()["known"] == 0


def test_an_unchanged_list_is_not_sent_again(watch, api):
    api.has_etag = True
    api.items = [item("a"), item("b")]
    w = watch()
    assert wait_until(lambda: api.requests and "if-none-match" in api.requests[-1].headers,
                      PATIENCE_S)
    api.looked()
    assert w.status()["state"] == "working"
    api.items.append(item("c"))
    assert told(w.wait_for(1)) == [("insert", "c")]


def test_a_tag_is_of_one_page_alone(watch, api):
    api.has_etag = True
    api.size = 2
    api.items = [item(i) for i in range(5)]
    w = watch()
    w.wait_state("working")
    api.items[4] = item(4, v=1)
    assert told(w.wait_for(1)) == [("update", 4)]
    assert not [r for r in api.requests if "if-none-match" in r.headers]


def test_a_tag_is_kept_only_when_its_events_are(watch, api):
    """What is held because too much is gone is looked at again."""
    api.has_etag = True
    api.items = [item("a"), item("b"), item("c")]
    w = watch()
    w.wait_state("working")
    api.items = [item("a")]
    assert "2 of 3 items are gone at once" in w.wait_state("failing")["why"]
    w.daemon.reload(CONFIG % ("crm:/contacts", LIST + ", most_gone: 70"))
    assert sorted(told(w.wait_for(2))) == [("delete", "b"), ("delete", "c")]
    w.wait_state("working")


def test_an_empty_list_deletes_nothing(watch, api):
    api.items = [item("a")]
    w = watch()
    w.wait_state("working")
    api.items = []
    assert "1 of 1 items" in w.wait_state("failing")["why"]
    assert w.daemon.api("/healthz")["status"] == "degraded"
    api.items = [item("a")]
    w.wait_state("working")
    assert w.status()["events"] == 0


@pytest.mark.parametrize("broken", [Reply(500, {}), Reply(404, {}), HANG_UP, Reply(200, {}),
                                    b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n[",
                                    Reply(200, {"items": [{"name": "no key"}]})])
def test_a_list_that_is_not_whole_deletes_nothing(watch, api, broken):
    api.size = 2
    api.items = [item(i) for i in range(4)]
    w = watch()
    w.wait_state("working")
    api.instead = lambda request: broken if "at=2" in request.path else None
    api.items = [item(0), item(1), item(2)]
    assert w.wait_state("failing")["why"]
    api.looked(3)
    assert not w.arrived()
    api.instead = None
    assert told(w.wait_for(1)) == [("delete", 3)]


def test_an_item_that_slips_between_pages_is_not_gone(watch, api):
    api.size = 2
    api.items = [item(i) for i in range(4)]
    w = watch()
    w.wait_state("working")
    looks = []

    def slips(request):
        """In one look item 2 is on neither page: 0 was deleted in between."""
        if "at=" not in request.path:
            looks.append(0)
        elif len(looks) == 1:
            return Reply(200, {"items": [item(3)]})
        return None

    api.instead = slips
    assert wait_until(lambda: len(looks) > 4, PATIENCE_S)
    assert w.status()["events"] == 0
    api.items = [item(0), item(1), item(3)]
    assert told(w.wait_for(1)) == [("delete", 2)]


def test_two_items_with_one_key(watch, api):
    api.items = [item("a", v=1), item("a", v=2)]
    w = watch()
    assert "the same key: a" in w.wait_state("failing")["why"]
    api.size = 1
    api.looked()
    assert "the same key: a" in w.wait_state("failing")["why"]
    api.items = [item("a", v=1), item("a", v=1)]
    w.wait_state("working")


def test_newest_items_only(watch, api):
    api.items = [item(i) for i in range(4)]
    w = watch(LIST + ", deletions: no")
    w.wait_state("working")
    api.items = [item(i) for i in range(3, 6)]
    assert told(w.wait_for(2)) == [("insert", 4), ("insert", 5)]
    api.items = [item(i) for i in range(6)]
    api.looked()
    assert w.status()["events"] == 2


def test_the_other_side_wants_to_be_left_alone(watch, api):
    api.items = [item("a")]
    w = watch(config=CLOCK)
    w.wait_state("working")
    api.instead = lambda _: Reply(429, {}, {"Retry-After": "3600"})
    w.wait_state("failing")
    begun = len(api.seen("GET", "/contacts"))
    api.instead = None
    api.items.append(item("b"))
    api.looked(40, "/clock")
    assert w.status()["state"] == "failing" and len(api.seen("GET", "/contacts")) == begun
    # It waits by itself, and yet hears of what it is to do next.
    w.daemon.reload(CLOCK % ("crm:/contacts", LIST + ", ignore: [x]"))
    assert told(w.wait_for(1)) == [("insert", "b")]


def test_a_short_wish_is_heard(watch, api):
    api.items = [item("a")]
    w = watch()
    w.wait_state("working")
    said = threading.Event()

    def once(_):
        if said.is_set():
            return None
        said.set()
        return Reply(429, {}, {"Retry-After": "1"})

    api.instead = once
    assert wait_until(said.is_set, PATIENCE_S)
    api.items.append(item("b"))
    assert told(w.wait_for(1)) == [("insert", "b")]
    w.wait_state("working")


def test_pages_by_a_number(watch, api):
    pages = {"1": [item("a"), item("b")], "2": [item("c")], "3": []}
    api.instead = lambda request: Reply(200, pages[request.path.rpartition("=")[2]])
    w = watch("key: .id, pages: {number: page}")
    w.wait_state("working")
    pages["2"] = [item("c"), item("d")]
    assert told(w.wait_for(1)) == [("insert", "d")]
    w.daemon.reload(CONFIG % ("crm:/contacts", "key: .id, pages: {number: page, max: 2}"))
    assert "more than 2 pages" in w.wait_state("failing")["why"]


def test_a_page_that_speaks_of_more(watch, api):
    api.instead = lambda _: Reply(200, {"items": [item("a")], "next_cursor": "x"})
    w = watch("key: .id")
    assert "speaks of more (next_cursor)" in w.wait_state("failing")["why"]


def test_a_document(watch, api):
    api.instead = lambda _: Reply(200, {"plan": "free", "at": 1}, {"ETag": '"1"'})
    w = watch("ignore: [at]", "crm:/account")
    w.wait_state("working")
    api.instead = lambda _: Reply(200, {"plan": "paid", "at": 2})
    [event] = w.wait_for(1)
    assert event["op"] == "update" and event["key"] is None and event["changed"] == ["plan", "at"]
    assert event["previous"]["plan"] == "free"
    api.instead = lambda _: Reply(503, {})
    w.wait_state("failing")
    api.instead = lambda _: Reply(404, {})
    assert w.wait_for(2)[1]["op"] == "delete"
    assert wait_until(lambda: "404" in w.status().get("why", ""), PATIENCE_S)
    assert w.status()["state"] == "working"
    api.instead = lambda _: Reply(200, {"plan": "free", "at": 1})
    assert w.wait_for(3)[2]["op"] == "insert"
    api.instead = lambda _: Reply(200, [1])
    assert "no object" in w.wait_state("failing")["why"]


def test_half_a_first_look_is_compared_with_nothing(watch, api):
    api.size = 2
    api.items = [item(i, v=1) for i in range(4)]
    held = api.hold(Reply(500, {}))
    api.instead = lambda request: held if "at=2" in request.path else None
    w = watch()
    assert wait_until(lambda: held.came, PATIENCE_S)
    w.daemon.kill()
    held.release()
    api.instead = None
    api.items = [item(1, v=2), item(2, v=2), item(3, v=2)]
    w.daemon.start()
    w.wait_state("working")
    api.looked(4)
    assert w.status()["events"] == 0 and w.status()["gauges"]["remembered"] == 3


@pytest.mark.parametrize("kills", range(4))
def test_killed_in_the_middle(watch, api, kills):
    """Whatever it had handed in or noted, nothing comes twice and nothing is missing."""
    api.size = 50
    api.items = [item(i, v=0) for i in range(200)]
    w = watch(LIST + ", most_gone: 100")
    w.wait_state("working")
    for v in range(1, 4):
        api.items = [item(i, v=v) for i in range(v * 10, 200 + v * 5)]
        assert wait_until(lambda: len(w.arrived()) > (v - 1) * 150 + kills * 20, PATIENCE_S)
        w.daemon.kill()
        w.daemon.start()
    want = {("delete", i, None) for i in range(30)}
    want |= {("update", i, 3) for i in range(30, 200)}

    def final():
        return {(e["op"], e["key"]["id"], (e["new"] or {}).get("v")) for e in w.arrived()}

    assert wait_until(lambda: want <= final(), PATIENCE_S)
    api.looked(10)
    events = {e["id"]: e for e in w.arrived()}
    chain = {}
    for event in events.values():
        chain.setdefault(event["key"]["id"], []).append(event)
    for changes in chain.values():
        for before, after in zip(changes, changes[1:]):
            assert after["previous"] == before["new"], changes
    last = {key: changes[-1]["new"] for key, changes in chain.items()}
    for one in api.items:
        assert last[one["id"]] == one


def test_killed_between_handing_in_and_noting(watch, api):
    """The same change has the same id: the notebook is put back to what it was before."""
    api.items = [item("a", v=1), item("b"), item("c")]
    w = watch()
    w.wait_state("working")
    w.daemon.stop()
    notes = w.daemon.folder / "grapnel.db-triggers"
    was = notes.read_bytes()
    api.items = [item("a", v=2), item("b"), item("d")]
    w.daemon.start()
    w.wait_for(3)
    w.daemon.stop()
    for more in w.daemon.folder.glob("grapnel.db-triggers-*"):
        more.unlink()
    notes.write_bytes(was)
    w.daemon.start()
    assert wait_until(lambda: w.status()["known"] == 3, PATIENCE_S), w.status()
    assert w.status()["events"] == 0 and len(w.arrived()) == 3


@pytest.mark.parametrize("then, expected", [
    ([item("a", v=2), item("b"), item("c"), item("d")], [("update", "a"), ("insert", "d")]),
    ([item("a", v=1), item("b")], [("delete", "c")]),
])
def test_nothing_is_noted_before_it_is_in_the_ledger(watch, api, then, expected):
    api.items = [item("a", v=1), item("b"), item("c")]
    w = watch(config=CLOCK)
    w.wait_state("working")
    ledger = sqlite3.connect(w.daemon.folder / "grapnel.db", isolation_level=None)
    ledger.execute("BEGIN IMMEDIATE")
    api.items = then
    api.looked(1, "/contacts")
    api.looked(20, "/clock")
    w.daemon.kill()
    ledger.close()
    w.daemon.start()
    assert told(w.wait_for(len(expected))) == expected


def test_a_lost_notebook_makes_no_known_changes(watch, api):
    api.items = [item("a", v=1)]
    w = watch()
    w.wait_state("working")
    api.items = [item("a", v=2)]
    w.wait_for(1)
    w.daemon.stop()
    for note in w.daemon.folder.glob("grapnel.db-triggers*"):
        note.unlink()
    api.items = [item("a", v=1)]
    w.daemon.start()
    w.wait_state("working")
    api.items = [item("a", v=2)]
    assert [e["new"]["v"] for e in w.wait_for(2)] == [2, 2]
    assert w.status()["known"] == 0


def test_a_reload_while_a_page_is_read(watch, api):
    api.items = [item("a")]
    w = watch()
    w.wait_state("working")
    held = api.hold(Reply(200, {"items": []}))
    api.instead = lambda _: held
    assert wait_until(lambda: held.came, PATIENCE_S)
    api.instead = None
    api.items.append(item("b"))
    w.daemon.reload(CONFIG % ("crm:/contacts", LIST + ", existing: send"))
    assert told(w.wait_for(1)) == [("insert", "b")]
    held.release()
    api.looked()
    assert w.wait_state("working") and w.status()["events"] == 1


def test_it_stops_while_a_page_is_read(watch, api):
    held = api.hold()
    api.instead = lambda _: held
    w = watch()
    assert wait_until(lambda: held.came, PATIENCE_S)
    assert w.daemon.stop() == 0


def test_other_members_ignored_is_no_change(watch, api):
    api.items = [item("a", seen=1, v=1), item("b")]
    w = watch()
    w.wait_state("working")
    w.daemon.reload(CONFIG % ("crm:/contacts", LIST + ", ignore: [seen]"))
    api.looked(4)
    api.items = [item("a", seen=1, v=2), item("b")]
    [event] = w.wait_for(1)
    assert event["changed"] == ["v"]


def test_another_list_begins_anew(watch, api):
    api.items = [item("a"), item("b")]
    w = watch()
    w.wait_state("working")
    api.items = [item("c"), item("d")]
    w.daemon.reload(CONFIG % ("crm:/others", LIST))
    assert wait_until(lambda: api.seen("GET", "/others"), PATIENCE_S)
    api.looked()
    w.wait_state("working")
    assert not w.arrived()
    api.items.append(item("e"))
    assert told(w.wait_for(1)) == [("insert", "e")]


def test_long_and_odd_keys(watch, api):
    odd = ["x" * 5000, "x" * 5001, "ä/ö", 10**20]
    api.items = [item(key, v=1) for key in odd]
    w = watch()
    w.wait_state("working")
    api.items = [item(key, v=2) for key in odd]
    assert [e["key"]["id"] for e in w.wait_for(4)] == odd


@pytest.mark.parametrize("at, options, said", [
    ("nowhere:/x", LIST, "poll: there is no connection 'nowhere'"),
    ("crm:contacts", LIST, "poll: write connection:/path"),
    ("crm:/c?x={.event.id}", LIST, "poll: there is no event that could fill a hole"),
    ("crm:/c", "key: id", "key: names behind dots"),
    ("crm:/c", "key: .id, items: '.[] | x'", "items: a plain path"),
    ("crm:/c", "key: .id, pages: {number: a, offset: b}", "pages: one of next, number"),
    ("crm:/c", "key: .id, pages: {next: link, list: .a}", "list: where the items are"),
    ("crm:/c", "key: .id, pages: link", "pages: a map"),
    ("crm:/c", "items: .items", "items: only a list has it"),
    ("crm:/c", "key: .id, ignore: [.a]", "ignore: the name of a member"),
    ("crm:/c", "key: .id, most_gone: 0", "most_gone"),
    ("crm:/c", "key: .id, schedule: '@daily'", "a source has one trigger: 'poll' and 'schedule'"),
])
def test_what_check_says(scene, tmp_path, at, options, said):
    (tmp_path / "grapnel.yaml").write_text(CONFIG % (at, options))
    done = grapnel(tmp_path, {**scene.environment, "API_PORT": "1", "TARGET_PORT": "2"}, "check")
    assert done.returncode == 1 and said in done.stderr, done.stderr


def test_the_page_s_examples(watch, api, scene, tmp_path):
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs/triggers/poll.md").read_text()
    whole, *others = re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)
    config = whole.replace("https://crm.example.com", "http://127.0.0.1:${API_PORT}").replace(
        "https://mirror.example.com", "http://127.0.0.1:${TARGET_PORT}").replace("1m", "100ms")
    scene.environment |= {"MIRROR_SECRET": "whsec_" + "QUJD" * 11, "CRM_TOKEN": "secret"}
    api.size = 2
    api.items = [item(i, last_seen=1) for i in range(5)]
    w = watch(config=config.replace("%", "%%") + "# %s %s\n")
    w.wait_state("working")
    api.items = [item(i, last_seen=2, **({"name": "Ada"} if i == 4 else {})) for i in range(5)]
    [event] = w.wait_for(1)
    assert told([event]) == [("update", 4)] and event["changed"] == ["last_seen", "name"]
    assert api.requests[0].headers["authorization"] == "Bearer secret"
    assert api.requests[0].path == "/contacts?page_size=100"
    assert len(others) == 2
    for other in others:
        (tmp_path / "grapnel.yaml").write_text(other)
        done = w.command("check", folder=tmp_path)
        assert done.returncode == 0, done.stderr
