# SPDX-License-Identifier: Apache-2.0
"""How steps read: lists in pages, answers used again, entities that the source has not committed
yet, and entities that change between reading and writing."""

import datetime
import json
import os
import subprocess
import urllib.parse

import pytest

from harness import GRAPNEL, PATIENCE_S, TO_TARGET, Reply, one_after_the_other


def flow(*steps, source="verify: none"):
    """The configuration of one flow with these steps."""
    return TO_TARGET.replace("}}", '}, elsewhere: {url: "http://localhost:${TARGET_PORT}"}}') + """
sources: {app: {%s}}
flows:
  one:
    on: app
    reply: wait
    steps:
""" % source + "".join(f"      - {step}\n" for step in steps)


def numbers(target):
    """What was posted in the end."""
    return target.seen("POST")[-1].json


def paths(target, method="GET"):
    """Who was asked, in order."""
    return [one.path for one in target.seen(method)]


# ---- pages ----

SENT = "sent: {post: 'target:/sent', body: .all}"


def by_link(request):
    """Three pages, each with a link to the next."""
    page = int(urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)["page"][0])
    more = {"Link": f'</other>; rel="prev", <{request.path[:-1]}{page + 1}>; rel="next"'}
    return Reply(200, [page, page * 10], more if page < 3 else {})


def by_url(place):
    """Three pages, each with the URL of the next in its body."""
    def act(request):
        page = int(request.path[-1])
        answer = {"items": [{"n": page}], "next": place(request, page + 1) if page < 3 else None}
        return Reply(200, answer)
    return act


def by_cursor(request):
    """Three pages, told by cursors that need to be coded."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
    at = {"": 0, "a&b=1": 1, "c/d": 2}[query.get("after", [""])[0]]
    assert query["size"] == ["2"]
    return Reply(200, {"data": {"list": [at]}, "cursor": ["a&b=1", "c/d", ""][at]})


def by_number(request):
    """Pages 5 and 6 have items, the seventh has none."""
    page = int(urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)["p"][0])
    return Reply(200, [page] if page < 7 else [])


def by_place(name, first):
    """Two items in a page, by the place of the first."""
    def act(request):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        at = int(query[name][0]) - first
        return Reply(200, {"Resources": [1, 2, 3, 4, 5][at:at + 2]})
    return act


PAGES = {
    "link": ("{get: 'target:/l?page=1', pages: {next: link}}", by_link, [1, 10, 2, 20, 3, 30]),
    "path": ("{get: 'target:/u/1', pages: {next: .next, list: .items}}",
             by_url(lambda _, n: f"/u/{n}"), [{"n": 1}, {"n": 2}, {"n": 3}]),
    "query": ("{get: 'target:/u?n=1', pages: {next: .next, list: .items}}",
              by_url(lambda _, n: f"?n={n}"), [{"n": 1}, {"n": 2}, {"n": 3}]),
    "url": ("{get: 'target:/u/1', pages: {next: .next, list: .items}}",
            by_url(lambda r, n: f"http://{r.headers['host']}/u/{n}"),
            [{"n": 1}, {"n": 2}, {"n": 3}]),
    "cursor": ("{get: 'target:/c?size=2', pages: {next: .cursor, as: after, list: .data.list}}",
               by_cursor, [0, 1, 2]),
    "offset": ("{get: 'target:/n?size=2', pages: {offset: skip, list: .Resources}}",
               by_place("skip", 0), [1, 2, 3, 4, 5]),
    "index": ("{get: 'target:/n', pages: {index: startIndex, list: .Resources}}",
              by_place("startIndex", 1), [1, 2, 3, 4, 5]),
    "number": ("{get: 'target:/n', pages: {number: p, from: 5}}", by_number, [5, 6]),
}


@pytest.mark.parametrize("name", PAGES)
def test_all_pages_are_one_list(scene, name):
    step, act, wanted = PAGES[name]
    daemon = scene.start(flow(f"all: {step}", SENT))
    scene.target.act = lambda r: Reply(200, {}) if r.method == "POST" else act(r)
    assert daemon.post("app", {}).status == 200
    assert numbers(scene.target) == wanted


def test_an_empty_list_is_empty(scene):
    daemon = scene.start(flow("all: {get: 'target:/l', pages: {next: link}}", SENT))
    scene.target.act = lambda r: Reply(200, [])
    assert daemon.post("app", {}).status == 200
    assert numbers(scene.target) == []


@pytest.mark.parametrize("place", ["http://127.0.0.1:1/x", "https://127.0.0.1/x", "//evil/x",
                                   "http://127.0.0.1.evil.example/", "u/2", 7, "/u\n/2"])
def test_no_page_is_elsewhere(scene, place):
    daemon = scene.start(flow("all: {get: 'target:/u/1', pages: {next: .next, list: .items}}"))
    scene.target.act = by_url(lambda r, n: place)
    answer = daemon.post("app", {})
    assert answer.status == 424 and answer.json["code"] == "unreadable-answer"
    assert "no place in it" in answer.json["detail"] and len(scene.target.requests) == 1


def test_a_list_without_end_is_no_list(scene):
    daemon = scene.start(flow("all: {get: 'target:/u/1', pages: {next: .next, list: .i, max: 7}}"))
    scene.target.act = Reply(200, {"next": "/u/1", "i": [1]})
    answer = daemon.post("app", {})
    assert answer.status == 424 and "more than 7 pages" in answer.json["detail"]
    assert len(scene.target.requests) == 7


@pytest.mark.parametrize("second, code", [
    (Reply(404, {}), "target-refused"), (Reply(500, {}), "target-failed"),
    (Reply(200, {"items": 7}), "unreadable-answer"), (b"garbage", "unreadable-answer")])
def test_a_page_that_cannot_be_read_fails_all(scene, second, code):
    daemon = scene.start(flow("all: {get: 'target:/u/1', pages: {next: .next, list: .items}}", SENT))
    scene.target.act = one_after_the_other(Reply(200, {"items": [1], "next": "/u/2"}), second)
    answer = daemon.post("app", {})
    assert answer.status == 424 and answer.json["code"] == code
    assert not scene.target.seen("POST")


def test_a_first_page_that_is_missing_is_missing(scene):
    daemon = scene.start(flow("all: {get: 'target:/u', pages: {next: link}, missing: null}", SENT))
    scene.target.act = lambda r: Reply(404 if r.method == "GET" else 200, {})
    assert daemon.post("app", {}).status == 200
    assert scene.target.seen("POST")[0].body == b"null"


# ---- cache ----

def test_an_answer_is_used_again(scene):
    daemon = scene.start(flow("one: {get: 'target:/one/{.event.n}', cache: 1h}",
                              "two: {find: 'target:/two?n={.event.n}', pick: .items, cache: 1h}",
                              "sent: {post: 'target:/sent', body: '[.one.v, .two.v]'}"))
    said = iter(range(100))
    scene.target.act = lambda r: Reply(200, {"v": next(said), "items": [{"v": r.path[-1]}]})
    for n in (1, 1, 2, 1):
        assert daemon.post("app", {"n": n, "at": len(scene.target.requests)}).status == 200
    assert sorted(paths(scene.target)) == ["/one/1", "/one/2", "/two?n=1", "/two?n=2"]
    sent = [one.json for one in scene.target.seen("POST")]
    assert sent[0] == sent[1] == sent[3] and sent[2][1] == "2"


def test_only_a_200_is_kept(scene):
    daemon = scene.start(flow("one: {get: 'target:/one', cache: 1h, missing: null}"))
    scene.target.act = one_after_the_other(Reply(404, {}), Reply(500, {}), Reply(200, {}))
    assert [daemon.post("app", {"n": n}).status for n in range(5)] == [200, 424, 200, 200, 200]
    assert len(scene.target.requests) == 3


# ---- what the source has not committed yet ----

def test_the_events_own_values_are_laid_over(scene):
    daemon = scene.start(flow(
        "user: {get: 'target:/u', data: overlay, values: .event.new}",
        "sent: {post: 'target:/sent', body: .user}"))
    old = {"name": "Old", "mail": {"work": "a@example.com", "home": "b@example.com"}, "n": 1}
    scene.target.act = lambda r: Reply(200, old)
    new = {"name": "New", "mail": {"work": "c@example.com"}, "n": None}
    assert daemon.post("app", {"new": new}).status == 200
    assert numbers(scene.target) == {
        "name": "New", "mail": {"work": "c@example.com", "home": "b@example.com"}}
    assert daemon.post("app", {}).status == 200
    assert numbers(scene.target) == old


def test_who_is_not_there_yet_is_what_the_event_says(scene):
    daemon = scene.start(flow("user: {get: 'target:/u', data: overlay}",
                              "sent: {post: 'target:/sent', body: .user}"))
    scene.target.act = lambda r: Reply(404 if r.method == "GET" else 200, {})
    assert daemon.post("app", {"data": {"name": "New"}}).status == 200
    assert numbers(scene.target) == {"name": "New"}
    assert daemon.post("app", {"n": 1}).status == 404


FRESH = ("user: {get: 'target:/u', data: fresh}", "sent: {post: 'target:/sent', body: .user}")


def version(text):
    """A user whose last change was then."""
    return Reply(200, {"meta": {"lastModified": text}})


def test_it_is_fetched_until_it_is_as_new_as_the_event(scene):
    daemon = scene.start(flow(*FRESH))
    late = version("2026-01-01T00:00:01Z")
    scene.target.act = one_after_the_other(
        Reply(404, {}), version("2025-12-31T23:59:59.999Z"), late)
    assert daemon.post("app", {"timestamp": "2026-01-01T01:00:01.500+01:00"}).status == 200
    assert len(scene.target.seen("GET")) == 3
    assert numbers(scene.target) == late.document


@pytest.mark.parametrize("have, want, reached", [
    (3, 3, True), (3, 4, False), ("17", 16, True), (9007199254740993, 9007199254740992, True),
    (9007199254740992, 9007199254740993, False), (1.5, 1.25, True),
    ("2026-01-01T00:00:00.4Z", "2026-01-01T00:00:00.5Z", False)])
def test_versions_are_numbers_or_times(scene, have, want, reached):
    daemon = scene.start(flow(
        "user: {get: 'target:/u', data: fresh, version: .v, reaches: .event.v}",
        source="verify: none, deadline: 1s"))
    scene.target.act = Reply(200, {"v": have})
    answer = daemon.post("app", {"v": want})
    assert answer.status == (200 if reached else 424)
    assert reached or (answer.json["code"], answer.json["retryable"]) == ("stale", True)
    assert (len(scene.target.requests) == 1) == reached


@pytest.mark.parametrize("have, event, code", [
    ({}, {"v": 1}, "mapping-failed"), ({"v": "x"}, {"v": 1}, "mapping-failed"),
    ({"v": {}}, {"v": 1}, "mapping-failed"), ({"v": 1}, {}, "nothing-there")])
def test_what_has_no_order_is_said(scene, have, event, code):
    daemon = scene.start(flow(
        "user: {get: 'target:/u', data: fresh, version: .v, reaches: .event.v}"))
    scene.target.act = Reply(200, have)
    answer = daemon.post("app", event)
    assert answer.status == 422 and answer.json["code"] == code


def test_who_never_comes_is_missing(scene):
    daemon = scene.start(flow(*FRESH, source="verify: none, deadline: 1s"))
    scene.target.act = Reply(404, {})
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    answer = daemon.post("app", {"timestamp": now})
    assert answer.status == 404 and len(scene.target.requests) > 1


# ---- what changes between reading and writing ----

WRITING = ("user: {get: 'target:/user'}", "have: {get: 'target:/contact'}",
           "saved: {patch: 'target:/contact', have: have, body: '{n: (.have.n + 1)}'}")


def test_an_entity_that_changed_is_read_and_mapped_again(scene):
    daemon = scene.start(flow(*WRITING))
    state = {"n": 1}

    def act(request):
        tag = {"ETag": f'"v{state["n"]}"'}
        if request.method == "GET":
            return Reply(200, dict(state), tag)
        if state["n"] < 3:
            state["n"] += 1  # somebody else was first
        if request.headers["if-match"] != f'"v{state["n"]}"':
            return Reply(412, {}, tag)
        state.update(request.json)
        return Reply(200, state)

    scene.target.act = act
    assert daemon.post("app", {}).status == 200
    patches = [(one.headers["if-match"], one.json) for one in scene.target.seen("PATCH")]
    assert patches == [('"v1"', {"n": 2}), ('"v2"', {"n": 3}), ('"v3"', {"n": 4})]
    # What does not lie between is not read again.
    assert len(scene.target.seen("GET", "/user")) == 1


def test_one_that_keeps_changing_is_given_up(scene):
    daemon = scene.start(flow(*WRITING))
    scene.target.act = lambda r: (Reply(200, {"n": 1}, {"ETag": '"x"'}) if r.method == "GET"
                                  else Reply(412, {}))
    answer = daemon.post("app", {})
    assert answer.status == 424 and answer.json["retryable"]
    assert answer.json["code"] == "keeps-changing"
    assert len(scene.target.seen("PATCH")) == 6


def test_without_a_tag_nothing_is_demanded(scene):
    daemon = scene.start(flow(*WRITING))
    scene.target.act = lambda r: (Reply(200, {"n": 1}) if r.method == "GET" else Reply(412, {}))
    answer = daemon.post("app", {})
    assert answer.status == 424 and answer.json["code"] == "target-refused"
    assert "if-match" not in scene.target.seen("PATCH")[0].headers
    assert len(scene.target.requests) == 3


@pytest.mark.parametrize("step, complaint", [
    ("{get: 'target:/x', pages: {}}", "one of next, number, offset and index"),
    ("{get: 'target:/x', pages: {next: link, number: p}}", "one of next, number, offset"),
    ("{get: 'target:/x', pages: {offset: o, as: p}}", "only a cursor"),
    ("{get: 'target:/x', pages: {next: link, as: a}}", "only a cursor"),
    ("{get: 'target:/x', pages: {next: '.a | .b'}}", "plain path"),
    ("{get: 'target:/x', pages: {next: link, list: '.[]'}}", "plain path"),
    ("{get: 'target:/x', data: frsh}", "did you mean 'fresh'"),
    ("{get: 'target:/x', data: fresh, version: '.a + 1'}", "plain path"),
    ("{get: 'target:/x', data: overlay, pages: {next: link}}", "not together"),
    ("{get: 'target:/x', cache: 1ms}", "cache: '1ms'"),
])
def test_check_says_what_is_wrong(tmp_path, step, complaint):
    (tmp_path / "grapnel.yaml").write_text(flow(f"one: {step}"))
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, "TARGET_PORT": "1"})
    assert done.returncode == 1 and complaint in done.stderr, json.dumps(done.stderr)
