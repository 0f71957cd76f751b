#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A million deliveries wait for their retry, in the ledger and not in memory, and whoever else is
due leaves on time.

An endpoint that answers 503, and whose next try is a day away, gets as many messages as asked for.
Then the retries of another one, due in seconds, are looked at: while the many wait, after a restart
and after a kill. At last many messages are delayed to one and the same moment, at which those of
the other endpoint are due as well.

Prints what it measured; exits 1 when something did not happen, never for being slow. Daemon, target
and this program share the cores."""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.request

from api import NDJSON, call, metric
from daemon import Daemon
from progress import fail, tell_ledger, tell_memory, until
from recorder import BUSY, OK, Recorder

BATCH = 10000
DAY_S = 24 * 3600
SOON_S, SOON = 2, 50  # pause and number of the retries that are looked at
HERD = 200000  # at most, due in one moment
MEMORY_MAX_MIB = 192  # what a bounded memory stays under, however many wait


class Busy:
    """A fast target: it answers 503 under /busy/, and 200 elsewhere."""

    def __init__(self, binary):
        program = pathlib.Path(binary).resolve().parent / "tests" / "bench" / "bench_target"
        self._process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        self.port = re.search(r":(\d+)$", self._process.stdout.readline())[1]

    def url(self, path):
        """Of one of its endpoints."""
        return f"http://127.0.0.1:{self.port}/{path}/"

    def count(self, what):
        """How often it was asked so far: `busy`, or `posts`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/summary", timeout=20) as answer:
            return json.load(answer)[what]

    def close(self):
        """It ends."""
        self._process.terminate()
        self._process.communicate(timeout=10)


class Soon:
    """An endpoint that refuses each message once and takes it the second time."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.came = {}  # message -> moments at which it was asked, wall clock
        self._lock = threading.Lock()
        self.target = Recorder(daemon, self._answer)
        self.id, self._sent = None, 0

    def _answer(self, seen, _):
        with self._lock:
            moments = self.came.setdefault(seen.headers["webhook-id"], [])
            moments.append(time.time())
            return 0, BUSY if len(moments) == 1 else OK

    def make(self):
        """In the daemon."""
        self.id = call(self.daemon, "POST", "/app/shop/endpoint", {
            "uid": "soon", "url": f"http://127.0.0.1:{self.target.port}/", "retry": [SOON_S],
            "eventTypes": ["soon"]})["id"]

    def send(self):
        """Messages that are refused; when each of them is due again, in the order of that."""
        lines = [message("soon", self._sent + i) for i in range(SOON)]
        self._sent += SOON
        due = {}

        def look():
            for one in ids:
                job = call(self.daemon, "GET", f"/events/evt_{one[len('msg_'):]}")["jobs"][0]
                if job["state"] == "waiting":
                    due[one] = moment(job["due"])
            return len(due) == len(ids)

        ids = send(self.daemon, lines)
        until(look, "the first tries of the other endpoint", lambda: len(due))
        return due

    def lateness(self, due):
        """Seconds from the moment at which each was due to its arrival, once all have come."""
        until(lambda: all(len(self.came[one]) > 1 for one in due), "the other endpoint's retries",
              lambda: sum(map(len, list(self.came.values()))))
        return sorted(self.came[one][1] - at for one, at in due.items())


def moment(text):
    """Seconds since 1970."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def message(event_type, number, **more):
    """A line of a batch."""
    return json.dumps({"eventType": event_type, "payload": {"n": number, "pad": "x" * 64}, **more})


def send(daemon, lines):
    """Messages, in batches; their ids."""
    ids = []
    for start in range(0, len(lines), BATCH):
        answer = call(daemon, "POST", "/app/shop/msg/batch",
                      "\n".join(lines[start:start + BATCH]).encode(), NDJSON)
        if answer["refused"]:
            fail(f"{answer['refused']} messages of a batch were refused")
        ids += [one["id"] for one in answer["data"]]
    return ids


def send_many(daemon, event_type, count, **more):
    """So many, a batch at a time; the seconds that it took."""
    began = time.monotonic()
    for start in range(0, count, BATCH):
        send(daemon, [message(event_type, start + i, **more)
                      for i in range(min(BATCH, count - start))])
    return time.monotonic() - began


# ---- what is told ----


def tell_lateness(late, when):
    """Of the other endpoint's retries."""
    print(f"  {len(late)} retries of another endpoint, due {when}: late by "
          f"{late[len(late) // 2] * 1000:.0f} ms in the middle, {late[-1] * 1000:.0f} ms at most",
          flush=True)
    if late[0] < -0.002:
        fail(f"a retry left {-late[0]:.3f} s too soon")


def tell_start(daemon, how):
    """Until it listens, and until it is ready."""
    began = time.monotonic()
    listens = daemon.start()
    until(daemon.is_ready, "the start")
    print(f"  a start after {how}: listens after {listens:.2f} s, ready after "
          f"{time.monotonic() - began:.2f} s", flush=True)


# ---- the run ----


def wait_for_day(daemon, busy, count):
    """So many that are refused and wait for a day."""
    call(daemon, "POST", "/app/shop/endpoint", {
        "uid": "busy", "url": busy.url("busy"), "retry": [DAY_S], "eventTypes": ["busy"]})
    began = time.monotonic()
    sent_s = send_many(daemon, "busy", count)
    print(f"  {count:,} messages taken in {sent_s:.0f} s ({count / sent_s:,.0f}/s)", flush=True)
    until(lambda: busy.count("busy") == count, "the first tries of the many",
          lambda: busy.count("busy"), 0.2)
    # To count them costs the daemon more than the target.
    until(lambda: metric(daemon, "grapnel_jobs_waiting") == count, "the last of the many")
    all_s = time.monotonic() - began
    print(f"  each of them tried and waiting after {all_s:.0f} s ({count / all_s:,.0f}/s)",
          flush=True)
    if busy.count("busy") != count:
        fail("the target was not asked once for each")


def come_due_together(daemon, busy, soon, count):
    """So many, delayed to one moment, at which retries of another endpoint are due too."""
    call(daemon, "POST", "/app/shop/endpoint", {
        "uid": "herd", "url": busy.url("herd"), "eventTypes": ["herd"]})
    began = time.monotonic()
    send(daemon, [message("herd", n) for n in range(BATCH)])
    lead_s = (time.monotonic() - began) * 2 * count / BATCH + SOON_S + 5
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=lead_s)
    send_many(daemon, "herd", count - BATCH, deliverAt=at.isoformat().replace("+00:00", "Z"))
    if time.time() > at.timestamp() - SOON_S:
        fail("it took too long to send what is to come due together")
    time.sleep(at.timestamp() - SOON_S - 0.2 - time.time())  # the moment is what this is about
    late = soon.lateness(soon.send())
    tell_lateness(late, f"in the moment in which {count - BATCH:,} are due")
    until(lambda: busy.count("posts") == count, "those that were due together",
          lambda: busy.count("posts"))
    all_s = time.time() - at.timestamp()
    print(f"  all of those delivered after {all_s:.0f} s ({(count - BATCH) / all_s:,.0f}/s)",
          flush=True)


def run(options, folder):
    """All of it."""
    daemon = Daemon(options.binary, folder)
    daemon.write("threads: 2\n")
    daemon.start()
    call(daemon, "POST", "/app", {"name": "shop", "uid": "shop"})
    soon = Soon(daemon)
    soon.make()
    tell_lateness(soon.lateness(soon.send()), "alone")
    tell_memory(daemon, "before", options.memory_mib)
    busy = Busy(daemon.binary)
    wait_for_day(daemon, busy, options.count)
    tell_memory(daemon, f"with {options.count:,} that wait", options.memory_mib)
    tell_ledger(daemon)
    tell_lateness(soon.lateness(soon.send()), "while they wait")

    for end, how in ((daemon.stop, "SIGTERM"), (daemon.kill, "SIGKILL")):
        due = soon.send()
        end()
        soon.target.quiet()
        tell_start(daemon, how)
        tell_lateness(soon.lateness(due), f"after {how}")
    come_due_together(daemon, busy, soon, max(2 * BATCH, min(HERD, options.count)))
    tell_memory(daemon, "after that", options.memory_mib)
    status = daemon.stop()
    if status:
        fail(f"the daemon ended with {status}")
    soon.target.close()
    busy.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--count", type=int, default=1000000)
    parser.add_argument("--memory-mib", type=int, default=MEMORY_MAX_MIB,
                        help="what the daemon's memory must stay under")
    options = parser.parse_args()
    print(f"{options.count:,} deliveries that wait, on {os.cpu_count()} cores:")
    with tempfile.TemporaryDirectory() as folder:
        run(options, folder)


if __name__ == "__main__":
    main()
