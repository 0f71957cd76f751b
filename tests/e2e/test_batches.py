# SPDX-License-Identifier: Apache-2.0
"""Endpoints that take several messages in one request."""

import json
import time

import pytest

from harness import JSON, PATIENCE_S, Reply, ask, one_after_the_other, signature, wait_until
from sending import Application

FAR = 60000  # milliseconds; what no test waits for


def whole(request):
    """The ids of a batch's messages, with the payload of each."""
    ids, parts = request.headers["grapnel-ids"].split(","), request.json
    assert len(ids) == len(parts)
    return list(zip(ids, parts))


class Shop(Application):
    """An application with one endpoint at the scene's target."""

    def __init__(self, scene, config="", **options):
        super().__init__(scene.start(config))
        self.target = scene.target
        self.hook = self.endpoint("hook", f"http://127.0.0.1:{scene.target.port}/hook",
                                  **options)["id"]

    def many(self, n, **more):
        """Messages with the payloads {"n": 0} and so on; their ids."""
        return self.send_many([{"eventType": "t", "payload": {"n": i}, **more} for i in range(n)])

    def ended(self, ids, state="done"):
        """The deliveries, once all have ended; each so."""
        jobs = [self.settled(one, self.hook) for one in ids]
        assert {job["state"] for job in jobs} == {state}
        return jobs


def test_a_full_batch_goes_at_once_as_one_request(scene):
    shop = Shop(scene, batch={"events": 5, "wait": FAR})
    payloads = [f'{{"n":{n}, "price": {n}.50}}' for n in range(5)]
    body = "[" + ",".join(f'{{"eventType":"t","payload":{one}}}' for one in payloads) + "]"
    ids = [one["id"] for one in shop.call("POST", "/msg/batch", body.encode())["data"]]
    jobs = shop.ended(ids)
    request, = scene.target.requests
    # Each payload byte for byte as it was given.
    assert request.body == ("[" + ",".join(payloads) + "]").encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["grapnel-ids"] == ",".join(ids)
    batch = request.headers["webhook-id"]
    assert batch.startswith("batch_")
    assert request.headers["webhook-signature"] == signature(
        shop.secret("hook"), batch, request.headers["webhook-timestamp"], request.body)
    # Each has its own attempt on record.
    for job in jobs:
        attempt, = job["attempts"]
        assert attempt["code"] == "delivered" and attempt["status"] == 200
        assert attempt["calls"]["batch"] == {"id": batch, "messages": 5}
        assert attempt["calls"]["request"]["headers"]["webhook-id"] == batch


def test_the_largest_number_there_is(scene):
    """Its ids, in one header, are less than what servers take."""
    shop = Shop(scene, batch={"events": 250, "wait": FAR})
    ids = shop.many(250)
    shop.ended(ids)
    request, = scene.target.requests
    assert whole(request) == [(one, {"n": n}) for n, one in enumerate(ids)]
    assert sum(len(name) + len(value) + 4 for name, value in request.headers.items()) < 8192


def test_the_depth_is_that_of_the_deepest(scene):
    shop = Shop(scene, batch={"events": 4, "wait": FAR})
    shop.ended(shop.send_many([{"eventType": "t", "payload": {}, "depth": n} for n in (2, 9, 0, 7)]))
    assert scene.target.requests[0].headers["grapnel-depth"] == "9"


def test_one_that_is_not_full_goes_when_its_first_has_waited(scene):
    shop = Shop(scene, batch={"events": 50, "wait": 300})
    ids = shop.many(3)
    shop.ended(ids)
    request, = scene.target.requests
    assert whole(request) == [(one, {"n": n}) for n, one in enumerate(ids)]
    # Also a single one, and it is an array.
    alone = shop.send("t", {"n": 3})
    shop.ended([alone])
    assert whole(scene.target.requests[1]) == [(alone, {"n": 3})]


def test_a_batch_is_not_larger_than_it_may_be(scene):
    shop = Shop(scene, batch={"events": 50, "wait": 300, "bytes": 1024})
    ids = shop.send_many([{"eventType": "t", "payload": {"much": "x" * size}}
                          for size in (400, 400, 400, 3000, 10)])
    shop.ended(ids)
    sizes = [len(request.body) for request in scene.target.requests]
    assert all(size <= 1024 or len(request.json) == 1
               for size, request in zip(sizes, scene.target.requests))
    assert sorted(one for request in scene.target.requests for one, _ in whole(request)) == \
        sorted(ids)


def test_what_is_made_larger_is_divided(scene):
    """By its transformation: what has no room is not tried, and comes with the next."""
    shop = Shop(scene, batch={"events": 10, "wait": 300, "bytes": 2048},
                transform='{n: .event.n, much: ("x" * 900)}')
    ids = shop.many(10)
    jobs = shop.ended(ids)
    assert {len(job["attempts"]) for job in jobs} == {1}
    parts = [part for request in scene.target.requests for part in whole(request)]
    assert sorted(one for one, _ in parts) == sorted(ids)
    assert {len(request.json) for request in scene.target.requests} == {2}


def test_a_failure_is_that_of_each_and_they_come_back_together(scene):
    scene.target.act = one_after_the_other(Reply(503), Reply(503), Reply(200, {}))
    shop = Shop(scene, batch={"events": 20, "wait": FAR}, retry=[0, 0, 0])
    ids = shop.many(20)
    jobs = shop.ended(ids)
    for job in jobs:
        assert [one["code"] for one in job["attempts"]] == ["refused", "refused", "delivered"]
    first, second, third = scene.target.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == \
        third.headers["webhook-id"]
    assert first.body == second.body == third.body
    assert first.headers["grapnel-ids"] == third.headers["grapnel-ids"] == ",".join(ids)


def test_a_410_ends_all_of_them(scene):
    scene.target.act = Reply(410)
    shop = Shop(scene, batch={"events": 3, "wait": FAR})
    jobs = shop.ended(shop.many(3), "dead")
    assert {job["attempts"][0]["code"] for job in jobs} == {"gone"}
    assert wait_until(lambda: shop.look("hook")["disabledReason"] == "gone", PATIENCE_S)


def test_filter_and_transformation_are_for_each(scene):
    shop = Shop(scene, batch={"events": 6, "wait": FAR},
                filter='.event.n != 2', transform='{id: .meta.id, half: (4 / (.event.n - 4))}')
    ids = shop.many(6)
    jobs = [shop.settled(one, shop.hook) for one in ids]
    assert [job["attempts"][0]["code"] for job in jobs] == [
        "delivered", "delivered", "filtered", "delivered", "mapping-failed", "delivered"]
    assert [job["state"] for job in jobs] == ["done"] * 4 + ["dead", "done"]
    request, = scene.target.requests
    assert [one for one, _ in whole(request)] == [part["id"] for part in request.json] == \
        [ids[n] for n in (0, 1, 3, 5)]


def test_nothing_is_sent_when_all_are_filtered(scene):
    shop = Shop(scene, batch={"events": 2, "wait": FAR}, filter="false")
    shop.ended(shop.many(2))
    assert not scene.target.requests


def test_cloudevents_have_a_batch_format_of_their_own(scene):
    shop = Shop(scene, batch={"events": 2, "wait": FAR}, format="cloudevents-structured")
    ids = shop.many(2)
    shop.ended(ids)
    request, = scene.target.requests
    assert request.headers["content-type"] == "application/cloudevents-batch+json"
    assert [(one["specversion"], one["id"], one["type"], one["data"]) for one in request.json] == [
        ("1.0", ids[n], "t", {"n": n}) for n in range(2)]


def test_what_is_no_json_cannot_be_in_an_array(scene):
    shop = Shop(scene, batch={"events": 2, "wait": FAR})
    raw = {"eventType": "t", "payload": {},
           "transformationsParams": {"rawPayload": "<a/>", "headers": {"content-type": "text/xml"}}}
    odd, good = shop.send_many([raw, {"eventType": "t", "payload": {"n": 1}}])
    assert shop.settled(odd, shop.hook)["attempts"][0]["code"] == "mapping-failed"
    assert shop.settled(good, shop.hook)["state"] == "done"
    assert whole(scene.target.requests[0]) == [(good, {"n": 1})]


def test_of_one_subject_there_is_one_in_a_batch_and_they_stay_in_order(scene):
    scene.target.act = one_after_the_other(Reply(503), Reply(200, {}))
    shop = Shop(scene, batch={"events": 50, "wait": 50}, order="subject", retry=[0] * 5)
    ids = shop.send_many([{"eventType": "t", "subject": f"s{n % 5}", "payload": {"n": n}}
                          for n in range(20)])
    shop.ended(ids)
    got = {}
    for request in scene.target.requests[1:]:
        subjects = [part["n"] % 5 for part in request.json]
        assert len(subjects) == len(set(subjects))
        for part in request.json:
            got.setdefault(part["n"] % 5, []).append(part["n"])
    assert got == {s: list(range(s, 20, 5)) for s in range(5)}


def test_a_batch_is_one_request_of_the_endpoints_concurrency(scene):
    held = scene.target.act = scene.target.hold()
    shop = Shop(scene, batch={"events": 3, "wait": 0}, concurrency=1)
    first = shop.send("t", {"n": 0})
    assert wait_until(lambda: scene.target.requests, PATIENCE_S)
    ids = shop.many(5)
    assert len(scene.target.requests) == 1
    scene.target.act = Reply(200, {})
    held.release()
    shop.ended([first] + ids)
    # What had come meanwhile went together, three at a time.
    assert [len(request.json) for request in scene.target.requests] == [1, 3, 2]


def test_what_is_collected_is_in_nobodys_way(scene):
    shop = Shop(scene, batch={"events": 200, "wait": FAR})
    shop.many(100)
    other = shop.endpoint("other", f"http://127.0.0.1:{scene.target.port}/other",
                          filterTypes=["now"])["id"]
    shop.settled(shop.send("now", {}), other)
    assert not scene.target.seen(path="/hook")


@pytest.mark.parametrize("kills", [False, True], ids=["stopped", "killed"])
def test_what_was_collected_is_there_after_a_restart(scene, tmp_path, kills):
    ledger = f"ledger: sqlite:{tmp_path}/kept.db\n"
    shop = Shop(scene, ledger, batch={"events": 10, "wait": FAR})
    ids = shop.many(9)
    if kills:
        shop.daemon.kill()
    else:
        began = time.monotonic()
        shop.daemon.stop()
        assert time.monotonic() - began < FAR / 1000
    assert not scene.target.requests
    shop.daemon = scene.start(ledger)
    ids.append(shop.send("t", {"n": 9}))
    shop.ended(ids)
    request, = scene.target.requests
    assert whole(request) == [(one, {"n": n}) for n, one in enumerate(ids)]


def test_a_batch_that_was_under_way_comes_again_under_the_same_ids(scene, tmp_path):
    """Killed before the answer was written down: twice the same batch, no message lost."""
    ledger = f"ledger: sqlite:{tmp_path}/kept.db\n"
    held = scene.target.act = scene.target.hold()
    shop = Shop(scene, ledger, batch={"events": 4, "wait": FAR})
    ids = shop.many(4)
    assert wait_until(lambda: scene.target.requests, PATIENCE_S)
    shop.daemon.kill()
    scene.target.act = Reply(200, {})
    held.release()
    shop.daemon = scene.start(ledger)
    shop.ended(ids)
    first, again = scene.target.requests
    assert whole(first) == whole(again) == [(one, {"n": n}) for n, one in enumerate(ids)]
    assert first.headers["webhook-id"] == again.headers["webhook-id"]


def test_who_waits_for_a_message_waits_for_its_batch(scene):
    shop = Shop(scene, batch={"events": 2, "wait": 100})
    answer = shop.call("POST", f"/msg?wait={PATIENCE_S * 1000}", {"eventType": "t", "payload": {}})
    assert answer["delivered"] is True


def test_batches_end_when_they_are_taken_off(scene):
    shop = Shop(scene, batch={})
    assert shop.look("hook")["batch"] == {}
    shop.call("PATCH", "/endpoint/hook", {"batch": {"events": 2, "wait": 0}})
    assert shop.look("hook")["batch"] == {"events": 2, "wait": 0}
    shop.call("PATCH", "/endpoint/hook", {"batch": None})
    assert shop.look("hook")["batch"] is None
    one = shop.send("t", {"n": 1})
    shop.ended([one])
    request, = scene.target.requests
    assert request.json == {"n": 1} and request.headers["webhook-id"] == one
    assert "grapnel-ids" not in request.headers


@pytest.mark.parametrize("options, says", [
    ({"profile": "github"}, "profile github"),
    ({"profile": "shopify"}, "profile shopify"),
    ({"format": "cloudevents"}, "cloudevents-structured"),
    ({"order": "all"}, "order all"),
    ({"batch": {"events": 1}}, "2"),
    ({"batch": {"events": 251}}, "250"),
    ({"batch": {"wait": 60001}}, "60000"),
    ({"batch": {"bytes": 1023}}, "1024"),
    ({"batch": {"size": 3}}, "size"),
    ({"headers": {"Grapnel-Ids": "x"}}, "set by Grapnel"),
])
def test_what_makes_no_sense_is_refused(scene, options, says):
    shop = Shop(scene)
    for method, path in (("POST", ""), ("PATCH", "/hook")):
        answer = ask(shop.daemon.admin, method, f"/api/v1/app/shop/endpoint{path}", json.dumps(
            {"url": "http://127.0.0.1:9/", "batch": {}, **options}).encode(), JSON)
        assert answer.status == 422, answer
        assert says in answer.body.decode() and "batch" in answer.body.decode() \
            or says == "set by Grapnel" and says in answer.body.decode(), answer.body
