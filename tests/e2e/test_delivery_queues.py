# SPDX-License-Identifier: Apache-2.0
"""Each endpoint has a queue of its own: whoever hangs delays nobody else; where order is wanted it
is kept through failures; a rate is not exceeded; and while a secret changes both sign."""

import base64
import collections
import hashlib
import hmac
import json
import threading
import time

import pytest

import rude
from harness import PATIENCE_S, wait_until
from sending import Application

QUEUED, HEALTHY = 2000, 300
SUBJECTS, PER_SUBJECT = 8, 25
RATE, RATED, ENDPOINTS = 20, 70, 7


class Log:
    """What a target was asked, in order, and how many at the same time."""

    def __init__(self, fails=lambda number, times: False):
        self.fails = fails
        self.begun = []  # (subject, number) of each request
        self.arrivals = []  # when
        self.most = collections.Counter()  # of requests at the same time, by subject
        self._now = collections.Counter()
        self._times = collections.Counter()
        self._lock = threading.Lock()

    def act(self, peer):
        """For Rude: refuses what `fails`, a function of the number and of how often it came."""
        while request := peer.read():
            body = json.loads(request.body)
            key = body.get("subject", ""), body["n"]
            with self._lock:
                self.begun.append(key)
                self.arrivals.append(request.began)
                self._times[key] += 1
                self._now[key[0]] += 1
                self.most[key[0]] = max(self.most[key[0]], self._now[key[0]])
                fails = self.fails(key[1], self._times[key])
            time.sleep(0.001)  # for another to come, if it would
            with self._lock:
                self._now[key[0]] -= 1
            peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" if fails else rude.OK)

    def order(self, subject):
        """The numbers of a subject as they came, each once where it came several times in a row."""
        numbers = [number for one, number in self.begun if one == subject]
        return [n for i, n in enumerate(numbers) if i == 0 or n != numbers[i - 1]]


@pytest.fixture(name="listen")
def listeners():
    """Makes targets that end with the test."""
    made = []

    def make(act):
        made.append(rude.Rude(act))
        return made[-1], f"http://127.0.0.1:{made[-1].port}/hook"

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("concurrency", (64, 1000))
def test_one_that_hangs_delays_nobody(scene, listen, concurrency):
    """F-58: with a loop of their own, and as much of it as one can get."""
    shop = Application(scene.start("threads: 1\n"))
    hanging, url = listen(rude.says_nothing)
    shop.endpoint("hanging", url, eventTypes=["hang"], concurrency=concurrency, timeout=60000)
    log = Log()
    _, url = listen(log.act)
    shop.endpoint("healthy", url, eventTypes=["go"])
    shop.send_many([{"eventType": "hang", "payload": {"n": n}} for n in range(QUEUED)])
    # It has taken what it can get.
    assert wait_until(lambda: hanging.open >= min(concurrency, 300), PATIENCE_S)
    shop.send_many([{"eventType": "go", "payload": {"n": n}} for n in range(HEALTHY)])
    assert wait_until(lambda: len(log.begun) == HEALTHY, PATIENCE_S)
    assert len({n for _, n in log.begun}) == HEALTHY
    # None of those has ended meanwhile: nobody was waited for.
    assert hanging.open >= min(concurrency, 300)


def every_third_twice(number, times):
    """Fails at first."""
    return number % 3 == 0 and times < 3


def send_in_turns(shop):
    """Numbered messages of several subjects, mixed."""
    return shop.send_many([
        {"eventType": "t", "subject": f"s{n % SUBJECTS}",
         "payload": {"n": n, "subject": f"s{n % SUBJECTS}"}} for n in range(SUBJECTS * PER_SUBJECT)])


def test_order_of_each_subject_is_kept_through_failures(scene, listen):
    log = Log(every_third_twice)
    _, url = listen(log.act)
    shop = Application(scene.start(""))
    endpoint = shop.endpoint("ordered", url, order="subject", retry=[0] * 10)["id"]
    ids = send_in_turns(shop)
    assert {shop.settled(one, endpoint)["state"] for one in ids} == {"done"}
    for subject in range(SUBJECTS):
        name = f"s{subject}"
        assert log.order(name) == list(range(subject, SUBJECTS * PER_SUBJECT, SUBJECTS))
        assert log.most[name] == 1


def test_one_subject_does_not_hold_the_others(scene, listen):
    held, log = threading.Event(), Log()

    def act(peer):
        while request := peer.read():
            body = json.loads(request.body)
            with peer.target.lock:
                log.begun.append((body["subject"], body["n"]))
            if body["subject"] == "s0":
                held.wait(2 * PATIENCE_S)
            peer.send(rude.OK)

    _, url = listen(act)
    shop = Application(scene.start(""))
    endpoint = shop.endpoint("ordered", url, order="subject")["id"]
    ids = send_in_turns(shop)
    expected = {f"s{subject}": PER_SUBJECT for subject in range(1, SUBJECTS)} | {"s0": 1}
    assert wait_until(lambda: collections.Counter(s for s, _ in log.begun) == expected, PATIENCE_S)
    held.set()
    assert {shop.settled(one, endpoint)["state"] for one in ids} == {"done"}
    assert log.order("s0") == list(range(0, SUBJECTS * PER_SUBJECT, SUBJECTS))


def test_order_of_all_is_kept_through_failures(scene, listen):
    log = Log(every_third_twice)
    _, url = listen(log.act)
    shop = Application(scene.start(""))
    endpoint = shop.endpoint("ordered", url, order="all", retry=[0] * 10)["id"]
    ids = shop.send_many([{"eventType": "t", "payload": {"n": n}} for n in range(PER_SUBJECT * 4)])
    assert {shop.settled(one, endpoint)["state"] for one in ids} == {"done"}
    assert log.order("") == list(range(PER_SUBJECT * 4))
    assert log.most[""] == 1


def test_one_that_ends_dead_lets_the_next_go(scene, listen):
    log = Log(lambda number, times: number == 1)
    _, url = listen(log.act)
    shop = Application(scene.start(""))
    endpoint = shop.endpoint("ordered", url, order="all", retry=[0, 0])["id"]
    ids = shop.send_many([{"eventType": "t", "payload": {"n": n}} for n in range(4)])
    assert [shop.settled(one, endpoint)["state"] for one in ids] == ["done", "dead", "done", "done"]
    assert [n for _, n in log.begun] == [0, 1, 1, 1, 2, 3]


def test_a_rate_is_not_exceeded(scene, listen):
    log = Log()
    _, url = listen(log.act)
    shop = Application(scene.start(""))
    shop.endpoint("paced", url, throttleRate=RATE)
    shop.send_many([{"eventType": "t", "payload": {"n": n}} for n in range(RATED)])
    assert wait_until(lambda: len(log.begun) == RATED, PATIENCE_S)
    assert rate_holds(log)


def rate_holds(log):
    """One second's share may go at once; what comes behind it has its pace. The target may be late
    to notice an arrival, so half of that is asked for."""
    times = sorted(log.arrivals)
    assert all(later - first >= 0.5 for first, later in zip(times, times[2 * RATE:]))
    return times[-1] - times[0] >= (len(times) - RATE) / RATE / 2


def test_the_rate_of_an_application_is_for_all_its_endpoints(scene, listen):
    """They are on both loops; another application is not in it."""
    log, free = Log(), Log()
    _, url = listen(log.act)
    _, elsewhere = listen(free.act)
    daemon = scene.start("threads: 2\n")
    shop, other = Application(daemon), Application(daemon, "other")
    shop.call("PATCH", "", {"throttleRate": 1})
    for n in range(ENDPOINTS):
        shop.endpoint(f"e{n}", url)
    other.endpoint("free", elsewhere)
    shop.send_many([{"eventType": "t", "payload": {"n": n}} for n in range(10)])
    other.send_many([{"eventType": "t", "payload": {"n": n}} for n in range(RATED)])
    assert wait_until(lambda: len(free.begun) == RATED, PATIENCE_S)
    assert len(log.begun) < 10 * ENDPOINTS
    # A change is heeded at once.
    shop.call("PATCH", "", {"throttleRate": RATE})
    assert wait_until(lambda: len(log.begun) == 10 * ENDPOINTS, PATIENCE_S)
    assert rate_holds(log)
    # By turns: each endpoint had its first before any had its last.
    numbers = [n for _, n in log.begun]
    assert max(i for i, n in enumerate(numbers) if n == 0) < \
        max(i for i, n in enumerate(numbers) if n == 9)
    # Without it all goes at once, also what waited for it.
    shop.call("PATCH", "", {"throttleRate": 1})
    shop.send_many([{"eventType": "t", "payload": {"n": n}} for n in range(100)])
    shop.call("PATCH", "", {"throttleRate": None})
    assert wait_until(lambda: len(log.begun) == 110 * ENDPOINTS, PATIENCE_S)


def test_both_rates_hold(scene, listen):
    slow, quick = Log(), Log()
    shop = Application(scene.start(""))
    shop.call("PATCH", "", {"throttleRate": 4 * RATE})
    shop.endpoint("slow", listen(slow.act)[1], throttleRate=RATE)
    shop.endpoint("quick", listen(quick.act)[1])
    shop.send_many([{"eventType": "t", "payload": {"n": n}} for n in range(RATED)])
    assert wait_until(lambda: len(slow.begun) == len(quick.begun) == RATED, PATIENCE_S)
    assert rate_holds(slow)


def signed(secret, request):
    """Standard Webhooks v1 of what was received."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    return "v1," + base64.b64encode(
        hmac.new(key, text + request.body, hashlib.sha256).digest()).decode()


def test_both_secrets_sign_while_one_is_changed(scene, listen):
    target, url = listen(rude.answers(rude.OK))
    shop = Application(scene.start(""))
    endpoint = shop.endpoint("rotates", url)["id"]

    def signers():
        """Whose signatures the next delivery bears, of all secrets so far."""
        shop.settled(shop.send("t", {"n": 1}), endpoint)
        request = target.requests[-1]
        given = request.headers["webhook-signature"].split()
        names = [name for name, secret in secrets.items() if signed(secret, request) in given]
        assert len(names) == len(given)
        return names

    secrets = {"first": shop.secret("rotates")}
    assert signers() == ["first"]
    shop.call("POST", "/endpoint/rotates/secret/rotate", {})
    secrets["second"] = shop.secret("rotates")
    assert sorted(signers()) == ["first", "second"]
    shop.call("POST", "/endpoint/rotates/secret/rotate", {"gracePeriodSeconds": 0})
    secrets["third"] = shop.secret("rotates")
    # The first has its day still; the second had none.
    assert sorted(signers()) == ["first", "third"]
