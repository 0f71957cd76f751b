# SPDX-License-Identifier: Apache-2.0
"""How long after its deadline a source hears that the target did not answer: many webhooks at once,
whose one call meets a target that says nothing. The histogram of bench_load is too coarse for that,
so this asks by itself: one thread, and a clock read when an answer arrives."""

import json
import math
import selectors
import socket
import time

from processes import BenchError

TOGETHER = 200
DEADLINES_S = (2, 3)  # as Okta and Entra give them; sources of peers/grapnel.yaml
LATE_S = 10  # an answer that has not come by then does not come
BUDGET_MS = 50


def _request(path, number):
    body = json.dumps({"id": f"U{number}"}).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def _judge(answer):
    """It must be the right one: what came early for another reason is no figure."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 424 ") or json.loads(body)["code"] != "timeout":
        raise BenchError(f"a stalled target: {answer.decode('utf-8', 'replace')}")


def _wave(port, path, deadline_s):
    """Milliseconds between the deadline and the answer, of each of TOGETHER webhooks."""
    late_ms = []
    with selectors.DefaultSelector() as ready:
        lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(TOGETHER)]
        try:
            for number, line in enumerate(lines):
                ready.register(line, selectors.EVENT_READ, time.monotonic())
                line.sendall(_request(path, number))
            while ready.get_map():
                found = ready.select(deadline_s + LATE_S)
                if not found:
                    raise BenchError(f"a stalled target: {len(ready.get_map())} of {TOGETHER} "
                                     f"sources were not answered {LATE_S} s after their deadline")
                now = time.monotonic()
                for key, _ in found:
                    late_ms.append((now - key.data - deadline_s) * 1000)
                    ready.unregister(key.fileobj)
            for line in lines:
                _judge(line.recv(65536))
        finally:
            for line in lines:
                line.close()
    return late_ms


def _percentile(values, part):
    return sorted(values)[max(0, math.ceil(len(values) * part) - 1)]


def measure(grapnel, waves, table):
    """Prints what the waves of each deadline gave."""
    rows = []
    for deadline_s in DEADLINES_S:
        late_ms = [ms for _ in range(waves)
                   for ms in _wave(grapnel.port, f"/in/stalled-{deadline_s}s", deadline_s)]
        p99 = _percentile(late_ms, 0.99)
        rows.append([f"{deadline_s} s", f"{len(late_ms):,}",
                     *(f"{ms:.1f}" for ms in (_percentile(late_ms, 0.5), p99, max(late_ms))),
                     "met" if p99 <= BUDGET_MS else "MISSED"])
    table(f"The deadline of a source whose target is silent, {TOGETHER} webhooks at once: "
          "milliseconds from the deadline to the answer",
          ["deadline", "answers", "p50 ms", "p99 ms", "most", f"p99 <= {BUDGET_MS} ms"], rows)
