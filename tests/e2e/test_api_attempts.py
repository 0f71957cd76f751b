# SPDX-License-Identifier: Apache-2.0
"""What became of messages, as the API tells it; and messages that go once more."""

import re

import pytest

from api_desk import Desk, unique
from harness import PATIENCE_S, Reply, wait_until


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("attempts"))
    yield one
    one.close()


@pytest.fixture
def app(desk):
    desk.target.act = Reply(200, {})
    return desk.app(uid=unique("app"))


def ended(desk, app, message, n=1):
    """The attempts of a message, once there are so many."""
    path = f"/app/{app}/attempt/msg/{message}"
    assert wait_until(lambda: len(desk.get(path)["data"]) >= n, PATIENCE_S)
    return desk.get(path)["data"]


def test_an_attempt_tells_what_was_sent_and_heard(desk, app):
    path = "/" + unique("hook")
    endpoint = desk.endpoint(app, path)
    desk.target.act = Reply(201, {"said": "yes"}, {"X-Answer": "a"})
    message = desk.send(app)
    attempt, = ended(desk, app, message)
    assert re.fullmatch(r"atmpt_[0-9a-z]{13}_1", attempt["id"])
    assert (attempt["msgId"], attempt["endpointId"]) == (message, endpoint)
    assert (attempt["status"], attempt["statusText"]) == (0, "success")
    assert attempt["responseStatusCode"] == 201 and attempt["response"] == '{"said": "yes"}'
    assert attempt["url"] == desk.url(path) and attempt["triggerType"] == 0
    assert attempt["responseDurationMs"] >= 0 and attempt["number"] == 1
    detail = attempt["detail"]
    assert detail["request"]["headers"]["webhook-id"] == message
    assert detail["response"]["headers"] and "body" not in detail["response"]
    assert desk.get(f"/app/{app}/msg/{message}/attempt/{attempt['id']}") == attempt
    assert desk.get(f"/app/{app}/attempt/endpoint/{endpoint}")["data"] == [attempt]
    plain, = desk.get(f"/app/{app}/attempt/msg/{message}?with_content=false")["data"]
    assert plain["response"] == "" and plain["detail"] is None

    desk.delete(f"/app/{app}/msg/{message}/attempt/{attempt['id']}/content")
    bare = desk.get(f"/app/{app}/msg/{message}/attempt/{attempt['id']}")
    assert bare["response"] == "" and bare["detail"] is None and bare["status"] == 0
    for wrong in ("atmpt_0123456789abc_1", attempt["id"][:-1] + "2", attempt["id"][:-2], "x"):
        assert desk.refused("GET", f"/app/{app}/msg/{message}/attempt/{wrong}") == "not_found"
        assert desk.refused("DELETE", f"/app/{app}/msg/{message}/attempt/{wrong}/content")


def test_a_failure_waits_and_the_next_attempt_is_told(desk, app):
    endpoint = desk.endpoint(app, retry=[3600])
    desk.target.act = Reply(503, {"no": 1})
    message = desk.send(app)
    attempt, = ended(desk, app, message)
    assert (attempt["status"], attempt["statusText"]) == (2, "fail")
    assert attempt["responseStatusCode"] == 503
    waiting, = desk.get(f"/app/{app}/msg/{message}/endpoint")["data"]
    assert (waiting["status"], waiting["statusText"], waiting["id"]) == (1, "pending", endpoint)
    assert waiting["nextAttempt"] > attempt["timestamp"]
    seen, = desk.get(f"/app/{app}/endpoint/{endpoint}/msg")["data"]
    assert seen["id"] == message and seen["statusText"] == "pending"
    assert seen["payload"] == {"n": 1} and seen["nextAttempt"] == waiting["nextAttempt"]
    stats = desk.get(f"/app/{app}/endpoint/{endpoint}/stats")
    assert stats == {"success": 0, "pending": 1, "sending": 0, "fail": 0, "canceled": 0}


def test_one_that_waits_goes_at_once_by_hand(desk, app):
    """It stays one delivery, and the one behind it in its order follows it."""
    path = "/" + unique("hurry")
    endpoint = desk.endpoint(app, path, retry=[3600, 3600], order="all")
    desk.target.act = Reply(503)
    message = desk.send(app)
    ended(desk, app, message)
    behind = desk.send(app)
    resend = f"/app/{app}/msg/{{}}/endpoint/{endpoint}/resend"
    assert desk.refused("POST", resend.format(behind), None, 409) == "conflict"
    assert desk.post(resend.format(message), None, 202) == {}
    # It fails once more, by its schedule from the beginning.
    again, first = ended(desk, app, message, 2)
    assert (first["triggerType"], again["triggerType"]) == (0, 1)
    assert {first["statusText"], again["statusText"]} == {"fail"}
    assert wait_until(lambda: desk.get(f"/app/{app}/msg/{message}/endpoint")["data"][0]
                      ["nextAttempt"], PATIENCE_S)
    desk.target.act = Reply(200, {})
    desk.post(resend.format(message), None, 202)
    assert desk.settled(app, message)[0]["statusText"] == "success"
    assert desk.settled(app, behind)[0]["statusText"] == "success"
    assert [one.headers["webhook-id"] for one in desk.target.seen("POST", path)] == \
        [message] * 3 + [behind]


def test_one_that_is_under_way_is_not_sent_twice(desk, app):
    path = "/" + unique("slow")
    endpoint = desk.endpoint(app, path)
    held = desk.target.act = desk.target.hold()
    try:
        message = desk.send(app)
        assert wait_until(lambda: desk.target.seen("POST", path), PATIENCE_S)
        assert desk.refused("POST", f"/app/{app}/msg/{message}/endpoint/{endpoint}/resend",
                            None, 409) == "conflict"
    finally:
        held.release()
    assert desk.settled(app, message)[0]["statusText"] == "success"
    assert len(desk.target.seen("POST", path)) == 1


def test_one_goes_once_more_by_hand(desk, app):
    path = "/" + unique("again")
    endpoint = desk.endpoint(app, path, retry=[])
    desk.target.act = Reply(500)
    message = desk.send(app)
    assert desk.settled(app, message)[0]["statusText"] == "fail"
    desk.target.act = Reply(200, {})
    again = f"/app/{app}/msg/{message}/endpoint/{endpoint}/resend"
    assert desk.post(again, None, 202) == {}
    assert [one["statusText"] for one in ended(desk, app, message, 2)] == ["success", "fail"]
    assert desk.settled(app, message)[0]["statusText"] == "success"
    assert desk.post(again, {}, 202) == {}
    ended(desk, app, message, 3)
    ids = {one.headers["webhook-id"] for one in desk.target.seen("POST", path)}
    assert ids == {message}
    # To one that it never went to, too.
    other = desk.endpoint(app, path)
    desk.post(f"/app/{app}/msg/{message}/endpoint/{other}/resend", None, 202)
    assert wait_until(lambda: len(desk.get(f"/app/{app}/msg/{message}/endpoint")["data"]) == 2,
                      PATIENCE_S)
    desk.patch(f"/app/{app}/endpoint/{other}", {"disabled": True})
    assert desk.refused("POST", f"/app/{app}/msg/{message}/endpoint/{other}/resend", None,
                        409) == "endpoint_disabled"
    assert desk.refused("POST", f"/app/{app}/msg/{message}/endpoint/nobody/resend")


def test_attempts_are_filtered_and_paged(desk, app):
    good = desk.endpoint(app, "/good", uid="good")
    bad = desk.endpoint(app, "/bad", retry=[])
    desk.target.act = lambda request: Reply(404 if request.path == "/bad" else 204)
    messages = [desk.send(app, f"t.{n % 2}", channels=["even" if n % 2 == 0 else "odd"])
                for n in range(30)]
    for message in messages:
        ended(desk, app, message, 2)

    def found(path, query=""):
        return [one for page in desk.pages(f"/app/{app}/attempt/{path}?{query}", 7)
                for one in page["data"]]

    assert [one["msgId"] for one in found(f"endpoint/{good}")] == messages[::-1]
    assert [one["msgId"] for one in found("endpoint/good")] == messages[::-1]
    assert len(found(f"endpoint/{bad}", "status=2")) == 30
    assert found(f"endpoint/{bad}", "status=0") == found(f"endpoint/{bad}", "status=1") == []
    assert len(found(f"endpoint/{bad}", "status_code_class=400")) == 30
    assert found(f"endpoint/{bad}", "status_code_class=0") == []
    assert len(found(f"endpoint/{good}", "event_types=t.1")) == 15
    assert len(found(f"endpoint/{good}", "channel=even")) == 15
    one = f"msg/{messages[0]}"
    assert {a["endpointId"] for a in found(one)} == {good, bad}
    assert {a["endpointId"] for a in found(one, "endpoint_id=good")} == {good}
    assert {a["endpointId"] for a in found(one, "status=2")} == {bad}
    assert desk.refused("GET", f"/app/{app}/attempt/{one}?endpoint_id=nobody") == "not_found"
    page = desk.get(f"/app/{app}/attempt/endpoint/{good}?limit=5")
    assert page["prevIterator"] is None and page["iterator"] == page["data"][-1]["id"]
    for query in ("status=4", "status_code_class=x", "iterator=-atmpt_0123456789abc_1",
                  "iterator=x", "before=x"):
        assert desk.faults("GET", f"/app/{app}/attempt/endpoint/{good}?{query}") == [
            ("query", query.partition("=")[0])]
    seen = list(desk.pages(f"/app/{app}/endpoint/{bad}/msg?status=2", 7))
    assert [m["id"] for page in seen for m in page["data"]] == messages[::-1]
    assert desk.get(f"/app/{app}/endpoint/{bad}/msg?status=0")["data"] == []
    first = desk.get(f"/app/{app}/msg/{messages[0]}/endpoint?limit=1")
    assert not first["done"]
    rest = desk.get(f"/app/{app}/msg/{messages[0]}/endpoint?iterator={first['iterator']}")
    assert rest["done"] and {first["data"][0]["id"], rest["data"][0]["id"]} == {good, bad}
    stats = desk.get(f"/app/{app}/endpoint/{bad}/stats?since=2020-01-01T00:00:00Z")
    assert stats["fail"] == 30 and stats["success"] == 0
    assert desk.get(f"/app/{app}/endpoint/{bad}/stats?until=2020-01-01T00:00:00Z")["fail"] == 0


def test_no_answer_has_a_class_of_its_own(desk, app):
    endpoint = desk.post(f"/app/{app}/endpoint", {"url": "http://127.0.0.1:1/", "retry": []})["id"]
    message = desk.send(app)
    attempt, = ended(desk, app, message)
    assert attempt["responseStatusCode"] == 0 and attempt["status"] == 2 and attempt["message"]
    path = f"/app/{app}/attempt/endpoint/{endpoint}"
    assert len(desk.get(f"{path}?status_code_class=0")["data"]) == 1
    assert desk.get(f"{path}?status_code_class=200")["data"] == []


def test_an_example_goes_to_one_endpoint_alone(desk, app):
    path = "/" + unique("example")
    one = desk.endpoint(app, path, eventTypes=["other"])
    desk.endpoint(app, "/not-this")
    name = unique("example.type")
    desk.post("/event-type", {"name": name, "description": "d", "schemas": {
        "1": {"examples": [{"v": 1}]}, "12": {"examples": [{"v": 12}, {"v": 13}]}, "2": {}}})
    sent = desk.post(f"/app/{app}/endpoint/{one}/send-example", {"eventType": name}, 200)
    assert sent["payload"] == {"v": 12}
    assert [e["id"] for e in desk.settled(app, sent["id"])] == [one]
    assert desk.target.seen("POST", path)[-1].json == {"v": 12}
    sent = desk.post(f"/app/{app}/endpoint/{one}/send-example",
                     {"eventType": name, "exampleIndex": 1}, 200)
    assert sent["payload"] == {"v": 13}
    desk.settled(app, sent["id"])
    assert desk.faults("POST", f"/app/{app}/endpoint/{one}/send-example",
                       {"eventType": name, "exampleIndex": 2}) == [("body", "eventType")]
    given = desk.post(f"/app/{app}/endpoint/{one}/send-example",
                      {"eventType": "any", "example": {"v": 3}}, 200)
    desk.settled(app, given["id"])
    assert desk.target.seen("POST", path)[-1].json == {"v": 3}
    assert desk.faults("POST", f"/app/{app}/endpoint/{one}/send-example",
                       {"eventType": "unknown"}) == [("body", "eventType")]
    assert not desk.target.seen("POST", "/not-this")


def test_an_endpoint_that_is_gone_leaves_its_attempts(desk, app):
    endpoint = desk.endpoint(app)
    message = desk.send(app)
    ended(desk, app, message)
    desk.delete(f"/app/{app}/endpoint/{endpoint}")
    assert len(desk.get(f"/app/{app}/attempt/msg/{message}")["data"]) == 1
    assert desk.get(f"/app/{app}/msg/{message}/endpoint")["data"] == []
    assert desk.refused("GET", f"/app/{app}/attempt/endpoint/{endpoint}") == "not_found"
