# SPDX-License-Identifier: Apache-2.0
"""SIGTERM, and those whose turn had not come: who waits for them hears at once that the work goes
on later, and the next start begins them as if nothing had been. Who asks the API is answered."""

import signal
import socket

from harness import PATIENCE_S, TO_TARGET, Reply, inside, result_of, wait_until

CONFIG = TO_TARGET + """
sources: {app: {verify: none, deadline: 60s}}
flows:
  one:
    on: app
    subject: .who
    reply: wait
    steps:
      - sent: {post: 'target:/in'}
"""


def attempts_of(daemon, event):
    """The codes of its attempts, oldest first."""
    jobs = daemon.event(event)["jobs"]
    return [attempt["code"] for job in jobs for attempt in job["attempts"]]


def test_who_waits_for_a_turn_that_will_not_come_hears_it_at_once(scene):
    daemon = scene.start(CONFIG)
    held = scene.target.hold(Reply(200, {}))
    scene.target.act = held
    first = inside(daemon.post, "app", {"who": 1, "n": 1})
    assert wait_until(lambda: held.came == 1, PATIENCE_S)
    others = [inside(daemon.post, "app", {"who": 1, "n": n}) for n in (2, 3)]
    assert wait_until(lambda: len(daemon.events()) == 3, PATIENCE_S)
    daemon.signal(signal.SIGTERM)
    for other in others:  # while the first still runs
        answer = result_of(other)
        assert answer.status == 202 and answer.headers["Location"]
    held.release()
    assert result_of(first).status == 200
    assert daemon.wait() == 0
    scene.target.act = Reply(200, {})
    daemon.start()
    assert wait_until(lambda: len(scene.target.requests) == 3, PATIENCE_S)
    assert sorted(one.json["n"] for one in scene.target.requests) == [1, 2, 3]
    for event in daemon.events():
        assert wait_until(lambda one=event: len(attempts_of(daemon, one["id"])) == 1, PATIENCE_S)
        assert attempts_of(daemon, event["id"]) == ["updated"]


def test_who_has_begun_to_ask_the_api_is_answered(scene):
    # One thread: with two, that of `idle` may hear of the end before the other.
    daemon = scene.start("threads: 1\n" + CONFIG)
    body = b'{"name": "acme"}'
    head = (b"POST /api/v1/app HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body))
    asking = socket.create_connection(("127.0.0.1", daemon.admin), timeout=PATIENCE_S)
    asking.sendall(head + body[:5])
    idle = socket.create_connection(("127.0.0.1", daemon.admin), timeout=PATIENCE_S)
    assert wait_until(lambda: daemon.metrics() is not None, PATIENCE_S)
    daemon.signal(signal.SIGTERM)
    assert idle.recv(1) == b""  # there is nothing else to wait for
    asking.sendall(body[5:])
    answer = b""
    while chunk := asking.recv(65536):
        answer += chunk
    assert answer.startswith(b"HTTP/1.1 201 ") and b"\r\nConnection: close\r\n" in answer
    assert daemon.wait() == 0
    asking.close()
    idle.close()
