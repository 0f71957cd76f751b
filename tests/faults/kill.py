#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon at random moments under load, and the judge of what is left: webhooks in,
through a flow, to a target.

A generator logs every acknowledged event, a target logs every request, and the checker reads both
logs and the ledger: nothing acknowledged is lost or altered, every job ends, every event reached
the target, and no two requests for one subject overlap. Exits 1 on any violation."""

import argparse
import json
import random
import sys
import tempfile
import time

from daemon import Daemon, kill_often
from drain import drain
from generator import Generator
from ledger_file import Contents
from recorder import Recorder

CONFIG = """
connections:
  target: {{url: 'http://127.0.0.1:{port}'}}
sources:
  load: {{verify: none}}
flows:
  forward:
    on: load
    subject: .id
    reply: accepted
    retry: {{base: 100ms, max: 500ms, tries: 30}}
    steps:
      - sent: {{post: 'target:/in', body: .event}}
"""
SENDERS, SUBJECTS = 8, 24
AHEAD = 2000  # events acknowledged that the target has not seen: then the senders pause
JSON = {"content-type": "application/json"}


def request(number):
    """The webhook of a number."""
    return "/in/load", JSON, json.dumps({"id": f"s{number % SUBJECTS}", "n": number}).encode()


def check(contents, generator, target):
    """The judge: returns what is wrong."""
    wrong = [] if contents.is_whole else ["the ledger is damaged"]
    wrong += [f"event {number} was answered {status}" for number, status, _ in generator.refused]
    reached = {json.loads(seen.body)["n"] for seen in target.seen}
    for number in generator.acknowledged:
        stored = [body for _, body in contents.events.get(number, [])]
        if stored != [request(number)[2]]:
            wrong.append(f"event {number} was acknowledged and is "
                         f"{'altered or twice there' if stored else 'lost'}")
        elif number not in reached:
            wrong.append(f"event {number} never reached the target")
    last = {}
    for seen in sorted(target.seen, key=lambda one: one.came):
        subject = json.loads(seen.body)["id"]
        if subject in last and seen.came < last[subject].went:
            wrong.append(f"requests {last[subject].body} and {seen.body} overlap")
        last[subject] = seen
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--ahead", type=int, default=AHEAD,
                        help="events that the senders may be ahead of the target")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(options.binary, folder)
        target = Recorder(daemon)
        daemon.write(CONFIG.format(port=target.port))
        daemon.start()
        generator = Generator(
            lambda: daemon.port, request, SENDERS,
            lambda: len(generator.acknowledged) - len(target.seen) > options.ahead)
        generator.start()
        began = time.monotonic()
        kill_often(daemon, options.kills, random.Random(options.seed), target.quiet)
        generator.stop()
        sending_s, so_far = time.monotonic() - began, len(target.seen)
        at_first, left, drain_s = drain(daemon.ledger, lambda: len(target.seen))
        status = daemon.stop()
        contents = Contents(daemon.ledger)
        wrong = check(contents, generator, target)
        if left:
            wrong.append(f"{left} jobs have not ended")
        if status:
            wrong.append(f"the daemon ended with {status}")
        seen = len(target.seen)
        print(f"{options.kills} kills (seed {options.seed}): {len(generator.acknowledged)} events "
              f"acknowledged, {seen} requests at the target, "
              f"{seen - len({one.body for one in target.seen})} of them repeated, "
              f"{len(wrong)} violations")
        print(f"  {so_far / sending_s:.0f} requests/s reached the target between the kills; then "
              f"{at_first} jobs were left, done in {drain_s:.1f} s"
              f" ({(seen - so_far) / drain_s:.0f}/s)")
        for line in wrong[:10]:
            print(f"  {line}")
        target.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
