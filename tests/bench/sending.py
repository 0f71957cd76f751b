# SPDX-License-Identifier: Apache-2.0
"""The sending half: messages to the API, deliveries to receivers. Each scene has a daemon, a ledger
and a target of its own, so that what one counts is nobody else's."""

import json
import math
import pathlib
import sys
import time
import urllib.request

from contenders import Grapnel
from processes import BenchError, cpu_s

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "onboarding"))
from stack import wait_until  # noqa: E402  (lives in the example's folder)

BODY_BYTES = 1024
EVERY_S = 60  # a scene that is not through by then is stuck
DELAY_S = 25  # of the backlog: long enough to be stored before it is due
CHUNK = 1000
HANGING_PERCENT = 5


class Scene(Grapnel):
    """A daemon with one application that has `endpoints`, of which some hang."""

    connections = 64

    def __init__(self, build, folder, endpoints, hanging=0, **options):
        super().__init__(build, folder)
        self.target_port = self.environment["TARGET_PORT"]
        self.sent = 0
        self.healthy = endpoints - hanging
        try:
            self.api("/app", {"name": "bench", "uid": "bench"})
            for n in range(endpoints):
                path = f"/hang/{n}" if n < hanging else f"/hook/{n}"
                self.api("/app/bench/endpoint",
                         {"url": f"http://127.0.0.1:{self.target_port}{path}", "uid": f"e{n}",
                          **options})
        except BaseException:
            self.__exit__()
            raise

    def api(self, path, body):
        """POSTs to the admin listener; the answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.environment['ADMIN_PORT']}/api/v1{path}",
            json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=EVERY_S) as answer:
            return json.load(answer)

    def counted(self):
        """What the target has seen."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.target_port}/summary",
                                    timeout=EVERY_S) as answer:
            return json.load(answer)

    def delivered(self):
        """How many messages have been, as the daemon counts them: a batch is many."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.environment['ADMIN_PORT']}/metrics",
                                    timeout=EVERY_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(int(line.split()[1]) for line in lines
                   if line.startswith("grapnel_deliveries_total "))

    def send(self, seconds, **options):
        """Messages to the API until every delivery to a healthy endpoint has arrived. `per_second`
        is what was accepted, `delivered` deliveries a second from the first message to the last
        arrival, `cpu_ms` per delivery, `arrivals` from the sending to the receiver."""
        self.port, port = int(self.environment["ADMIN_PORT"]), self.port
        before, began = cpu_s(self.program.pid), time.monotonic()
        try:
            result = self.load(seconds, "/api/v1/app/bench/msg", message=True, bytes=BODY_BYTES,
                               **options)
        finally:
            self.port = port
        self.sent += result["answered"]
        want = self.sent * self.healthy
        if not wait_until(lambda: self.counted()["posts"] >= want, EVERY_S):
            raise BenchError(f"{self.counted()['posts']} of {want} deliveries arrived")
        took = time.monotonic() - began
        used = sum(cpu_s(self.program.pid)) - sum(before)
        result["delivered"] = result["answered"] * self.healthy / took
        result["cpu_ms"] = used * 1000 / (result["answered"] * self.healthy)
        result["arrivals"] = self.counted()["arrivals"]
        return result

    def drain(self, backlog):
        """Deliveries a second of a backlog that becomes due in one moment."""
        due = math.ceil(time.time() + DELAY_S)  # its text below has no parts of a second
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))
        payload = {"note": "." * (BODY_BYTES - 12)}
        for _ in range(backlog // CHUNK):
            self.api("/app/bench/msg/batch",
                     [{"eventType": "user.updated", "payload": payload, "deliverAt": stamp}] * CHUNK)
        if time.time() > due:
            raise BenchError(f"{backlog} messages took longer than {DELAY_S} s to store")
        want = self.delivered() + backlog
        if not wait_until(lambda: self.delivered() >= want, DELAY_S + EVERY_S):
            raise BenchError(f"{want - self.delivered()} of the backlog did not arrive")
        return backlog / (time.time() - due)

    def finish(self):
        """Ends both; what arrived was counted meanwhile."""
        self.__exit__()


def ms(arrivals, name):
    """A percentile of arrivals, for a cell."""
    return f"{arrivals[f'{name}_us'] / 1000:.2f}"


def measure(build, folder, seconds, backlog, table):
    """Runs the scenes and prints their tables."""
    rows = []
    for endpoints, rate, slow in ((1, None, 1000), (100, None, 20)):
        cells = []
        for pace in (rate, slow):
            own = folder / f"sending-{endpoints}-{pace}"
            own.mkdir()
            with Scene(build, own, endpoints) as scene:
                found = scene.send(seconds, **({"rate": pace} if pace else {}))
                if pace is None:
                    cells += [f"{found['per_second']:,.0f}", f"{found['delivered']:,.0f}",
                              f"{found['cpu_ms']:.3f}"]
                else:
                    cells += [f"{pace:,}"]
                cells += [ms(found["arrivals"], "p50"), ms(found["arrivals"], "p99")]
        rows.append([f"{endpoints} endpoint{'s' * (endpoints > 1)} for each message", *cells])
    table(f"Messages of {BODY_BYTES} bytes: POST to the API, durable, signed, POSTed, recorded",
          ["as fast as it goes; then at a rate", "messages/s", "deliveries/s", "CPU ms", "p50 ms",
           "p99 ms", "at /s", "p50 ms", "p99 ms"], rows)
    rows = []
    for hanging in (0, HANGING_PERCENT):
        own = folder / f"hanging-{hanging}"
        own.mkdir()
        with Scene(build, own, 100, hanging) as scene:
            found = scene.send(2 * seconds, rate=20)["arrivals"]
        rows.append([f"{hanging} of 100 hang", ms(found, "p50"), ms(found, "p99")])
    table("Arrivals at the healthy ones of 100 endpoints, 20 messages/s to each",
          ["", "p50 ms", "p99 ms"], rows)
    for name, options in (("one by one", {}), ("in batches of 100", {"batch": {"wait": 100}})):
        own = folder / name.replace(" ", "-")
        own.mkdir()
        with Scene(build, own, 1, **options) as scene:
            rate = scene.drain(backlog)
        print(f"\n  A backlog of {backlog:,} that becomes due in one moment, {name}: "
              f"{rate:,.0f} deliveries/s")
