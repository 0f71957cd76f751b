# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: nothing more is taken, what runs ends, and nothing that was acknowledged is lost."""

import http.client
import json
import signal
import socket

import pytest

from harness import JSON, PATIENCE_S, TO_TARGET, Reply, ask, inside, result_of, wait_until

CONFIG = 'connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}", limit: {concurrency: 1}}}'
CONFIG += """
sources: {now: {verify: none}, later: {verify: none}}
flows:
  now:
    on: now
    reply: wait
    steps:
      - sent: {post: 'target:/now'}
  later:
    on: later
    retry: {base: 100ms, max: 100ms, tries: 32}
    steps:
      - sent: {post: 'target:/later'}
"""


def refused(port):
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
        return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it came in the very moment
        return False


def test_who_waits_is_answered_and_who_comes_later_is_not(scene):
    daemon = scene.start(CONFIG)
    held = scene.target.hold(Reply(200, {"done": True}))
    scene.target.act = held
    idle = socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S)
    waiting = inside(daemon.post, "now", {"id": 1})
    assert wait_until(lambda: held.came == 1, PATIENCE_S)
    # Its head is known, so the daemon reads on; it will not be taken all the same.
    late = socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S)
    late.sendall(b"POST /in/now HTTP/1.1\r\nHost: x\r\n")
    asking = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_S)
    asking.request("GET", "/nothing")
    assert asking.getresponse().read() and asking.sock
    events = len(daemon.events())

    daemon.signal(signal.SIGTERM)
    assert idle.recv(1) == asking.sock.recv(1) == b""  # closed without a word
    assert wait_until(lambda: refused(daemon.port), PATIENCE_S)
    late.sendall(b"Content-Length: 2\r\n\r\n{}")
    answer = b""
    while chunk := late.recv(65536):
        answer += chunk
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in answer
    late.close()
    assert daemon.process.poll() is None  # it waits for the one that is held
    assert len(daemon.events()) == events  # the admin listener tells to the end
    ready = ask(daemon.admin, "GET", "/readyz")
    assert ready.status == 503 and ready.json == {"status": "stopping"}
    assert ask(daemon.admin, "GET", "/healthz").status == 200
    held.release()
    answer = result_of(waiting)
    assert answer.status == 200 and answer.headers["Connection"] == "close"
    assert daemon.wait() == 0
    assert daemon.facts("stopping") and daemon.facts("stopped")
    idle.close()
    asking.close()


def test_what_was_acknowledged_is_there_after_the_restart_and_runs(scene):
    daemon = scene.start(CONFIG)
    held = scene.target.hold()
    scene.target.act = held
    for i in range(20):
        assert daemon.post("later", {"id": i}).status == 202
    assert wait_until(lambda: held.came == 1, PATIENCE_S)  # the others wait for their turn
    daemon.signal(signal.SIGTERM)
    assert wait_until(lambda: refused(daemon.port), PATIENCE_S)
    held.release()
    assert daemon.wait() == 0
    daemon.start()

    def all_done():
        jobs = [job for event in daemon.events() for job in event["jobs"]]
        return len(jobs) == 20 and all(job["state"] == "done" for job in jobs)

    assert wait_until(all_done, PATIENCE_S)
    # In order to end well each had to be sent, and none was sent twice.
    assert sorted(one.json["id"] for one in scene.target.requests) == list(range(20))


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_further_signals_change_nothing(scene, first):
    daemon = scene.start(CONFIG)
    held = scene.target.hold()
    scene.target.act = held
    waiting = inside(daemon.post, "now", {"id": 1})
    assert wait_until(lambda: held.came == 1, PATIENCE_S)
    daemon.signal(first)
    assert wait_until(lambda: refused(daemon.port), PATIENCE_S)
    for again in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        daemon.signal(again)
    assert daemon.events()  # it lives, and has had time to hear them
    held.release()
    assert result_of(waiting).status == 200
    assert daemon.wait() == 0


def guarded(name):
    """A connection whose tokens are fetched, by a loop that its place in the file decides."""
    base = "http://127.0.0.1:${TARGET_PORT}"
    oauth2 = f'{{token_url: "{base}/token", client_id: a, client_secret: b}}'
    return f'  {name}: {{url: "{base}/{name}", oauth2: {oauth2}}}\n'


def test_a_run_gets_from_the_other_loops_what_it_needs_to_end(scene):
    daemon = scene.start("threads: 8\nconnections:\n" + guarded("one") + guarded("two") + """
  slow: {url: "http://127.0.0.1:${TARGET_PORT}/slow"}
sources: {app: {verify: none}}
flows:
  all:
    on: app
    subject: .id
    reply: wait
    steps:
      - first: {get: 'slow:/{.event.id}'}
      - second: {get: 'one:/{.event.id}', after: first}
      - third: {get: 'two:/{.event.id}', after: second}
""")
    held = scene.target.hold()
    token = Reply(200, {"access_token": "t", "token_type": "Bearer", "expires_in": 3600})
    scene.target.act = lambda r: (
        held if r.path.startswith("/slow") else token if r.path == "/token" else Reply(200, {}))
    waiting = inside(daemon.post, "app", {"id": 1})
    assert wait_until(lambda: held.came == 1, PATIENCE_S)
    daemon.signal(signal.SIGTERM)
    assert wait_until(lambda: refused(daemon.port), PATIENCE_S)
    held.release()
    assert result_of(waiting).status == 200
    assert daemon.wait() == 0
    assert [one.path for one in scene.target.requests] == [
        "/slow/1", "/token", "/one/1", "/token", "/two/1"]


def test_stopping_at_once_under_load_loses_nothing(scene):
    daemon = scene.start(TO_TARGET + """
sources: {app: {verify: none}}
flows:
  forward:
    on: app
    retry: {base: 100ms, max: 100ms, tries: 32}
    steps:
      - sent: {post: 'target:/in'}
""")
    acknowledged = []

    def send(first):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_S)
        number = first
        try:
            while True:
                connection.request("POST", "/in/app", json.dumps({"n": number}), JSON)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 202:
                    acknowledged.append(number)
                number += 1
        except (OSError, http.client.HTTPException):
            connection.close()  # it is gone

    senders = [inside(send, first * 1_000_000) for first in range(1, 5)]
    assert wait_until(lambda: len(acknowledged) > 200, PATIENCE_S)
    assert daemon.stop() == 0
    for sender in senders:
        result_of(sender)
    daemon.start()

    def all_sent():
        return {one.json["n"] for one in scene.target.requests} >= set(acknowledged)

    assert wait_until(all_sent, PATIENCE_S)
    assert daemon.metrics()["grapnel_ledger_events"] >= len(acknowledged)


def test_what_hangs_is_cut_in_time_and_handed_back(hanging):
    daemon = hanging.daemon
    assert daemon.wait() == 0  # 20 seconds at most, of which many have passed
    told = result_of(hanging.waiting)
    assert told.status == 424 and told.json["retryable"] is True
    assert told.json["code"] == "timeout"
    hanging.target.act = Reply(200, {})
    daemon.start()
    job = daemon.event(hanging.later)["jobs"][0]
    assert job["state"] == "waiting" and [one["code"] for one in job["attempts"]] == ["timeout"]
    # Who was told that it failed tries again; nothing is done behind its back.
    assert [one["jobs"][0]["state"] for one in daemon.events()] == ["dead", "waiting"]
