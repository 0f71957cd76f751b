#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon at random moments under load, and the judge of what is left: messages to
the API, delivered to five endpoints: one that is well, one that fails often, one that is slow, one
that wants the order of each subject and fails now and then, one that takes batches and does too.

What is not acknowledged is sent again under its idempotency key until it is. Then the judge reads
the generator's log, the targets' and the ledger:

- each message acknowledged is there, once, byte for byte, under the id that was told;
- each has a delivery to each endpoint, and each of those has ended well, and was answered 200;
- nothing arrived that was not sent; id, body and signature of every request are right, also when
  it is a repeat; those of a batch's messages too;
- a request whose outcome the ledger does not know was under way at a kill: one at most of each
  delivery at each kill, none without one; and the ledger says of it that it does not know;
- what comes for one subject comes in the order in which it was sent, repeats of the latest aside;
  no two requests of one delivery overlap, nor two of one subject where the order is wanted.

Exits 1 on any violation."""

import argparse
import base64
import collections
import dataclasses
import hashlib
import hmac
import json
import random
import sys
import tempfile
import threading

from api import JSON, call
from daemon import Daemon, kill_often
from drain import drain
from generator import Generator
from ledger_file import DONE, Contents, id_text
from recorder import BUSY, OK, RESET, Recorder

SENDERS, SUBJECTS = 6, 24
AHEAD = 500  # messages acknowledged that the slowest endpoint has not seen
RETRY = [0] * 8 + [1] * 24  # a kill may use up a try
PAD = "x" * 200


def request(number):
    """The message of a number, and its key."""
    payload = {"n": number, "subject": f"s{number % SUBJECTS}", "pad": PAD}
    message = {"eventType": "thing.changed", "subject": payload["subject"], "payload": payload}
    return ("/api/v1/app/shop/msg", {**JSON, "idempotency-key": f"key-{number}"},
            json.dumps(message).encode())


def payload_of(number):
    """The bytes of its payload, as they stand in the request."""
    body = request(number)[2]
    return body[body.index(b'"payload": ') + len(b'"payload": '):-1]


# ---- endpoints ----


class Endpoint:
    """What it is like, what is behind it, and how the daemon knows it."""

    def __init__(self, daemon, uid, answer, **options):
        self.daemon, self.uid, self.options = daemon, uid, options
        self.target = Recorder(daemon, answer)
        self.id = self.secret = None

    def make(self):
        """In the daemon."""
        url = f"http://127.0.0.1:{self.target.port}/{self.uid}"
        self.id = call(self.daemon, "POST", "/app/shop/endpoint", {
            "uid": self.uid, "url": url, "retry": RETRY, **self.options})["id"]
        self.secret = base64.b64decode(call(
            self.daemon, "GET", f"/app/shop/endpoint/{self.uid}/secret")["key"][len("whsec_"):])

    @property
    def seen(self):
        """The messages that came: of a batch each for itself, with the request that brought it."""
        for request in self.target.seen:
            if "batch" not in self.options:
                yield request
                continue
            parts = request.body[1:-1].replace(b"},{", b"}\n{").split(b"\n")
            ids = request.headers["grapnel-ids"].split(",")
            ids += [""] * (len(parts) - len(ids))
            for name, part in zip(ids, parts):
                yield dataclasses.replace(request, body=part, whole=request,
                                          headers={**request.headers, "webhook-id": name})

    def is_signed(self, seen):
        """By its secret."""
        seen = seen.whole or seen
        text = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode()
        mac = hmac.new(self.secret, text + seen.body, hashlib.sha256).digest()
        return seen.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


def make_endpoints(daemon, chance):
    """The five of them."""
    lock = threading.Lock()

    def draw():
        with lock:
            return chance.random()

    def moody(_, is_first):
        luck = draw()
        # Reset while it was kept, a connection is a reason to ask once more at once, and that is
        # one attempt with two requests: only new ones are reset, so that they can be counted.
        return 0, RESET if luck < 0.05 and is_first else BUSY if luck < 0.3 else OK

    return [
        Endpoint(daemon, "well", lambda *_: (0, OK)),
        Endpoint(daemon, "moody", moody),
        Endpoint(daemon, "slow", lambda *_: (0.005 + 0.03 * draw(), OK), concurrency=16),
        Endpoint(daemon, "ordered", lambda *_: (0, BUSY if draw() < 0.1 else OK), order="subject"),
        Endpoint(daemon, "batched", lambda *_: (0.01 * draw(), BUSY if draw() < 0.1 else OK),
                 batch={"events": 20, "wait": 50}),
    ]


# ---- the judge ----


def check_messages(contents, generator):
    """Those that were acknowledged."""
    for number, answer in generator.acknowledged.items():
        events = contents.events.get(number, [])
        told = json.loads(answer)["id"]
        if not events:
            yield f"message {number} was acknowledged and is lost"
        elif len(events) > 1:
            yield f"message {number} is there {len(events)} times"
        elif events[0][1] != payload_of(number):
            yield f"message {number} is altered"
        elif id_text("msg", events[0][0]) != told:
            yield f"message {number} was told as {told} and has another id"
    for number, status, text in generator.refused:
        yield f"message {number} was answered {status}: {text[:200]}"


def check_requests(contents, generator, endpoint):
    """Each for itself."""
    ids = {number: id_text("msg", events[0][0]) for number, events in contents.events.items()}
    for seen in endpoint.seen:
        number = json.loads(seen.body)["n"]
        if number not in generator.sent or seen.body != payload_of(number):
            yield f"{endpoint.uid}: {number} arrived and was not sent so"
        elif seen.headers["webhook-id"] != ids.get(number):
            yield f"{endpoint.uid}: {number} arrived under a strange id"
        elif not endpoint.is_signed(seen):
            yield f"{endpoint.uid}: {number} is not signed"


def life_of(daemon, moment):
    """In which of the daemon's lives that was."""
    began = [life.began for life in daemon.lives]
    return max((k for k, at in enumerate(began) if at <= moment), default=0)


def by_number(endpoint):
    """What it was asked, by message."""
    found = collections.defaultdict(list)
    for seen in endpoint.seen:
        found[json.loads(seen.body)["n"]].append(seen)
    return found.items()


def check_repeats(daemon, contents, endpoint, jobs, tally):
    """Requests of each delivery in each life, beside what the ledger knows of them."""
    for number, requests in by_number(endpoint):
        if number not in jobs:
            continue  # told already: it was lost, or never sent
        attempts = contents.attempts[jobs[number].id]
        known = collections.Counter(life_of(daemon, attempt.started) for attempt in attempts
                                    if attempt.was_sent)
        asked = collections.Counter(one.life for one in requests)
        unknown = 0
        for life in sorted(asked):
            lost = asked[life] - known[life]
            if lost == 2 and life and daemon.lives[life - 1].was_killed and \
                    asked[life - 1] == known[life - 1]:
                # One of the life before, which its target came to read when the next had begun.
                lost, unknown = 1, unknown + 1
            if lost not in ((0, 1) if daemon.lives[life].was_killed else (0,)):
                yield (f"{endpoint.uid}: {number} was asked {asked[life]} times in life {life}, and "
                       f"{known[life]} of that are on record")
            unknown += lost
        if unknown > sum(attempt.code == "unknown" for attempt in attempts):
            yield f"{endpoint.uid}: {number}: the ledger does not say that it does not know"
        tally["cut by a kill"] += unknown
        answers = [one.status for one in requests]
        first = answers.index(200) if 200 in answers else len(answers) - 1
        tally["came after a success"] += len(answers) - 1 - first
        for earlier, later in zip(requests, requests[1:]):
            if later.came < earlier.went:
                yield f"{endpoint.uid}: two requests of {number} overlap"


def check_deliveries(daemon, contents, endpoint, jobs):
    """They have ended well, for what the target says as for the ledger."""
    taken = {json.loads(seen.body)["n"] for seen in endpoint.seen if seen.status == 200}
    for number in contents.events:
        job = jobs.get(number)
        if job is None:
            yield f"{endpoint.uid}: {number} has no delivery"
        elif job.state != DONE:
            yield f"{endpoint.uid}: the delivery of {number} is in state {job.state}"
        elif contents.attempts[job.id][-1].code != "delivered" or number not in taken:
            yield f"{endpoint.uid}: {number} is done and was not delivered"


def check_order(endpoint):
    """By subject."""
    last = {}
    for seen in endpoint.seen:
        payload = json.loads(seen.body)
        number, subject = payload["n"], payload["subject"]
        before = last.get(subject)
        if before and number < before[0]:
            yield f"{endpoint.uid}: {number} came after {before[0]}"
        if before and seen.came < before[1].went:
            yield f"{endpoint.uid}: {number} and {before[0]} overlap"
        last[subject] = number, seen


def check(daemon, contents, generator, endpoints, tally):
    """The judge: yields what is wrong."""
    if not contents.is_whole:
        yield "the ledger is damaged"
    yield from check_messages(contents, generator)
    numbers = {events[0][0]: number for number, events in contents.events.items()}
    for endpoint in endpoints:
        jobs = {numbers[job.event]: job for job in contents.jobs
                if job.target == f"endpoint:{endpoint.id}" and job.event in numbers}
        yield from check_requests(contents, generator, endpoint)
        yield from check_deliveries(daemon, contents, endpoint, jobs)
        yield from check_repeats(daemon, contents, endpoint, jobs, tally)
        if endpoint.options.get("order"):
            yield from check_order(endpoint)


# ---- the run ----


def run(options, folder):
    """One run; what is wrong."""
    chance = random.Random(options.seed)
    daemon = Daemon(options.binary, folder)
    daemon.write("")
    endpoints = make_endpoints(daemon, random.Random(options.seed + 1))
    daemon.start()
    call(daemon, "POST", "/app", {"name": "shop", "uid": "shop"})
    for endpoint in endpoints:
        endpoint.make()
    slowest = endpoints[2].target
    generator = Generator(
        lambda: daemon.admin, request, SENDERS,
        lambda: len(generator.acknowledged) - len(slowest.seen) > options.ahead, again=True)

    def all_quiet():
        for endpoint in endpoints:
            endpoint.target.quiet()

    generator.start()
    kill_often(daemon, options.kills, chance, all_quiet)
    generator.stop()
    at_first, left, drain_s = drain(daemon.ledger,
                                    lambda: sum(len(one.target.seen) for one in endpoints))
    status = daemon.stop()
    tally = collections.Counter()
    contents = Contents(daemon.ledger)
    wrong = list(check(daemon, contents, generator, endpoints, tally))
    if left:
        wrong.append(f"{left} deliveries have not ended")
    if status:
        wrong.append(f"the daemon ended with {status}")
    again = sum(count - 1 for count in generator.sent.values())
    print(f"{options.kills} kills (seed {options.seed}): {len(generator.acknowledged)} messages "
          f"acknowledged ({again} sent again), {len(contents.jobs)} deliveries, "
          f"{sum(len(one.target.seen) for one in endpoints)} requests; {tally['cut by a kill']} of "
          f"them cut by a kill, {tally['came after a success']} of what had arrived already; "
          f"{at_first} deliveries were left at the end and took {drain_s:.1f} s; "
          f"{len(wrong)} violations")
    for line in wrong[:10]:
        print(f"  {line}")
    for endpoint in endpoints:
        endpoint.target.close()
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--ahead", type=int, default=AHEAD,
                        help="messages that the senders may be ahead of the slowest endpoint")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 1 if run(options, folder) else 0


if __name__ == "__main__":
    sys.exit(main())
