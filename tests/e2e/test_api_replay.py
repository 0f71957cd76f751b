# SPDX-License-Identifier: Apache-2.0
"""Deliveries once more, many at a time: recovered, missing, by filter."""

import time

import pytest

from api_desk import Desk, unique
from harness import PATIENCE_S, Reply, wait_until

LONG_AGO = "2024-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("replay"))
    yield one
    one.close()


@pytest.fixture
def app(desk):
    desk.target.act = Reply(200, {})
    return desk.app(uid=unique("app"))


def batch(desk, app, n, **more):
    """That many messages, their ids."""
    items = [{"eventType": "a.b", "payload": {"n": i}, **more} for i in range(n)]
    return [one["id"] for one in desk.post(f"/app/{app}/msg/batch", items, 202)["data"]]


def stats(desk, app, endpoint):
    """How its deliveries stand."""
    return desk.get(f"/app/{app}/endpoint/{endpoint}/stats")


def ends(desk, replay):
    """The replay, once it has ended."""

    def look():
        one = desk.get(f"/replay/{replay}")
        return one if one["progress"] != "running" else None

    return wait_until(look, PATIENCE_S) or desk.get(f"/replay/{replay}")


def failing(desk, app, n, **more):
    """An endpoint at which that many messages have failed, and they."""
    desk.target.act = Reply(500)
    path = "/" + unique("failing")
    endpoint = desk.endpoint(app, path, retry=[], **more)
    messages = batch(desk, app, n)
    assert wait_until(lambda: stats(desk, app, endpoint)["fail"] == n, PATIENCE_S)
    desk.target.act = Reply(200, {})
    desk.target.requests.clear()
    return endpoint, path, messages


def test_what_failed_is_recovered(desk, app):
    endpoint, path, messages = failing(desk, app, 230)
    other = desk.endpoint(app, "/other")
    task = desk.post(f"/app/{app}/endpoint/{endpoint}/recover", {"since": LONG_AGO}, 202)
    assert (task["status"], task["task"]) == ("running", "endpoint.recover")
    done = ends(desk, task["id"])
    assert (done["progress"], done["done"], done["kind"]) == ("done", 230, "recover")
    assert wait_until(lambda: stats(desk, app, endpoint)["success"] == 230, PATIENCE_S)
    got = [one.headers["webhook-id"] for one in desk.target.seen("POST", path)]
    assert sorted(got) == sorted(messages)
    assert not desk.target.seen("POST", "/other")
    # Nothing failed since: a second time does nothing.
    again = desk.post(f"/app/{app}/endpoint/{endpoint}/recover", {"since": LONG_AGO}, 202)
    assert ends(desk, again["id"])["done"] == 0
    assert stats(desk, app, other)["success"] == 0


def test_only_what_is_within_the_time_goes(desk, app):
    endpoint, path, first = failing(desk, app, 5)
    time.sleep(0.01)
    moment = desk.get(f"/app/{app}/msg/{desk.send(app, 'other')}")["timestamp"]
    assert wait_until(lambda: stats(desk, app, endpoint)["success"] == 1, PATIENCE_S)
    desk.target.requests.clear()
    body = {"since": LONG_AGO, "until": moment}
    task = desk.post(f"/app/{app}/endpoint/{endpoint}/recover", body, 202)
    assert ends(desk, task["id"])["done"] == 5
    desk.target.act = Reply(200, {})
    assert wait_until(lambda: len(desk.target.seen("POST", path)) == 5, PATIENCE_S)
    assert sorted(one.headers["webhook-id"] for one in desk.target.seen("POST", path)) == sorted(
        first)
    for bad in ({}, {"since": "x"}, {"since": "2999-01-01T00:00:00Z"},
                {"since": moment, "until": LONG_AGO}, {"since": LONG_AGO, "rate": 0}):
        assert desk.faults("POST", f"/app/{app}/endpoint/{endpoint}/recover", bad)[0][0] == "body"


def test_what_never_went_to_an_endpoint_is_sent(desk, app):
    old = batch(desk, app, 60, channels=["eu"])
    batch(desk, app, 3, channels=["us"])
    path = "/" + unique("missing")
    endpoint = desk.endpoint(app, path, channels=["eu"])
    new = desk.send(app, channels=["eu"])
    desk.settled(app, new)
    task = desk.post(f"/app/{app}/endpoint/{endpoint}/replay-missing", {"since": LONG_AGO}, 202)
    assert task["task"] == "endpoint.replay"
    assert ends(desk, task["id"])["done"] == 60
    assert wait_until(lambda: len(desk.target.seen("POST", path)) == 61, PATIENCE_S)
    assert sorted(one.headers["webhook-id"] for one in desk.target.seen("POST", path)) == sorted(
        [*old, new])
    again = desk.post(f"/app/{app}/endpoint/{endpoint}/replay-missing", {"since": LONG_AGO}, 202)
    assert ends(desk, again["id"])["done"] == 0
    desk.patch(f"/app/{app}/endpoint/{endpoint}", {"disabled": True})
    assert desk.refused("POST", f"/app/{app}/endpoint/{endpoint}/replay-missing",
                        {"since": LONG_AGO}, 409) == "endpoint_disabled"


def test_a_filter_counts_and_sends(desk, app):
    one, path, _ = failing(desk, app, 20)
    two = desk.endpoint(app, "/two", retry=[])
    desk.send(app, "c.d")
    assert wait_until(lambda: stats(desk, app, two)["success"] == 1, PATIENCE_S)
    assert wait_until(lambda: stats(desk, app, one)["success"] == 1, PATIENCE_S)
    ask = {"application": app, "since": LONG_AGO}
    for more, total in (({}, 20), ({"status": "delivered"}, 2), ({"status": "any"}, 22),
                        ({"endpoint": two}, 0), ({"endpoint": two, "status": "any"}, 1),
                        ({"eventTypes": ["c.d"], "status": "any"}, 2),
                        ({"eventTypes": ["none"]}, 0),
                        ({"until": "2024-02-01T00:00:00Z"}, 0)):
        counted = desk.post("/replay", {**ask, **more, "dryRun": True}, 200)
        assert (counted["total"], counted["totalIsExact"], counted["id"]) == (total, True, None)
    desk.target.requests.clear()
    made = desk.post("/replay", {**ask, "endpoint": one, "eventTypes": ["a.b"]}, 202)
    assert made["kind"] == "filter" and made["status"] == "failed" and made["endpoint"] == one
    assert ends(desk, made["id"])["done"] == 20
    assert wait_until(lambda: len(desk.target.seen("POST", path)) == 20, PATIENCE_S)
    assert [r["id"] for r in desk.get(f"/replay?application={app}")["data"]] == [made["id"]]
    for bad, member in (({"application": "x"}, "application"), ({"endpoint": "x"}, "endpoint"),
                        ({"since": None}, "since"), ({"status": "x"}, "status"),
                        ({"to": "x"}, "to")):
        assert desk.faults("POST", "/replay", {**ask, **bad}) == [("body", member)], bad
    assert desk.faults("GET", "/replay") == [("query", "application")]
    assert desk.refused("GET", "/replay?application=x") == "not_found"


def test_one_keeps_its_rate_is_cancelled_and_goes_on_after_a_restart(desk, app):
    endpoint, path, messages = failing(desk, app, 120)
    task = desk.post(f"/app/{app}/endpoint/{endpoint}/recover",
                     {"since": LONG_AGO, "rate": 10}, 202)
    assert wait_until(lambda: len(desk.target.seen("POST", path)) >= 3, PATIENCE_S)
    cancelled = desk.post(f"/replay/{task['id']}/cancel", None, 200)
    assert cancelled["progress"] == "cancelled" and cancelled["done"] < 120
    assert desk.post(f"/replay/{task['id']}/cancel", None, 200)["progress"] == "cancelled"

    task = desk.post(f"/app/{app}/endpoint/{endpoint}/recover",
                     {"since": LONG_AGO, "rate": 40}, 202)
    assert wait_until(lambda: desk.get(f"/replay/{task['id']}")["done"] > 0, PATIENCE_S)
    before = desk.get(f"/replay/{task['id']}")
    assert before["progress"] == "running" and before["position"]
    desk.daemon.kill()
    desk._forget()
    desk.daemon.start()
    done = ends(desk, task["id"])
    assert done["progress"] == "done" and done["done"] >= before["done"]
    assert wait_until(lambda: stats(desk, app, endpoint)["success"] == 120, PATIENCE_S)
    got = [one.headers["webhook-id"] for one in desk.target.seen("POST", path)]
    assert set(got) == set(messages)
    # Those that ended before the kill were not sent again, but for some in flight.
    assert len(got) <= 120 + 60
    for method, suffix in (("GET", ""), ("POST", "/cancel")):
        assert desk.refused(method, f"/replay/rpl_0123456789abc{suffix}") == "not_found"


def test_ended_ones_make_room_for_others(desk, app):
    endpoint = desk.endpoint(app)
    for _ in range(130):
        desk.post(f"/app/{app}/endpoint/{endpoint}/recover", {"since": LONG_AGO}, 202)
    assert wait_until(lambda: not [r for r in desk.get(f"/replay?application={app}&limit=250")[
        "data"] if r["progress"] == "running"], PATIENCE_S)
    desk.post(f"/app/{app}/endpoint/{endpoint}/recover", {"since": LONG_AGO}, 202)
    left = desk.get(f"/replay?application={app}&limit=250")["data"]
    assert 90 <= len(left) <= 130


def test_background_tasks_are_seen_by_those_they_concern(desk, app):
    other = desk.app()
    tasks = {}
    for one in (app, other):
        endpoint = desk.endpoint(one, "/task", retry=[])
        tasks[one] = desk.post(f"/app/{one}/endpoint/{endpoint}/recover",
                               {"since": LONG_AGO}, 202)["id"]
        ends(desk, tasks[one])
    key = desk.key(app)
    mine = desk.get(f"/background-task/{tasks[app]}", key=key)
    assert (mine["status"], mine["task"]) == ("finished", "endpoint.recover")
    assert mine["data"]["appId"] == app and mine["data"]["done"] == 0
    assert [one["id"] for one in desk.get("/background-task", key=key)["data"]] == [tasks[app]]
    assert desk.refused("GET", f"/background-task/{tasks[other]}", key=key) == "not_found"
    assert desk.get(f"/background-task/{tasks[other]}")["data"]["appId"] == other
    every = [one["id"] for one in desk.get("/background-task")["data"]]
    assert every[:2] == [tasks[other], tasks[app]]
    assert desk.get("/background-task?status=running", key=key)["data"] == []
    made = desk.post("/replay", {"application": app, "since": LONG_AGO}, 202)["id"]
    ends(desk, made)
    bulk = desk.get("/background-task?task=endpoint.bulk-replay", key=key)["data"]
    assert [one["id"] for one in bulk] == [made]
    assert desk.faults("GET", "/background-task?status=over") == [("query", "status")]
