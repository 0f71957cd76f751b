# SPDX-License-Identifier: Apache-2.0
"""Clients that send a byte now and then: they are closed when their time is over, others notice
nothing, and none of them costs more than its share."""

import selectors
import socket

import pytest

from harness import PATIENCE_S, SANITIZED, ask, wait_until

CLIENTS = 200
CONFIG = """
limits: {head_timeout: 5s, body_timeout: 5s, idle_timeout: 5s}
sources: {app: {verify: none, body_max: 64K}}
"""
HEAD = b"POST /in/app HTTP/1.1\r\nHost: a\r\n"
LENGTH = HEAD + b"Content-Length: 60000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\nea60\r\n"


class Crowd:
    """Connections that begin as told and then send one byte each round."""

    def __init__(self, port, count, begin, byte):
        self.byte = byte
        self.answers = {}
        self.ended = set()
        self._selector = selectors.DefaultSelector()
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            one.setblocking(False)
            one.send(begin)
            self._selector.register(one, selectors.EVENT_READ)
            self.answers[one] = b""

    def turn(self):
        """A byte from each that is still there; True when none is."""
        for one in self.answers.keys() - self.ended:
            try:
                one.send(self.byte)
            except OSError:
                pass  # closed: what it was told is read below
        for key, _ in self._selector.select(0):
            try:
                chunk = key.fileobj.recv(65536)
            except ConnectionResetError:
                chunk = b""
            self.answers[key.fileobj] += chunk
            if not chunk:
                self._selector.unregister(key.fileobj)
                self.ended.add(key.fileobj)
                key.fileobj.close()
        return len(self.ended) == len(self.answers)

    def statuses(self):
        """What they were told: the beginnings of the answers, each once."""
        return {answer[:13] for answer in self.answers.values()}


def test_two_hundred_trickling_clients_are_closed_and_harm_nobody(scene):
    daemon = scene.start(CONFIG)
    assert daemon.post("app", {"id": "before"}).status == 202
    memory, descriptors = daemon.memory(), daemon.descriptors()
    crowds = [Crowd(daemon.port, CLIENTS // 4, begin, byte) for begin, byte in (
        (HEAD + b"X: ", b"y"), (LENGTH, b" "), (CHUNKED, b" "), (b"G", b"G"))]
    # One that was counted before, of an earlier request, may have ended since.
    assert wait_until(lambda: daemon.descriptors() >= descriptors + CLIENTS - 2, PATIENCE_S)
    most = healthy = 0
    while not all([crowd.turn() for crowd in crowds]):  # a list: each has its turn
        most = max(most, daemon.memory())
        # The new one is taken, recorded and answered between theirs.
        assert daemon.post("app", {"id": healthy}).status == 202
        healthy += 1
        assert healthy < 10_000, "the slow ones are still there"
    assert healthy > 3
    assert [crowd.statuses() for crowd in crowds[:3]] == [{b"HTTP/1.1 408 "}] * 3
    assert crowds[3].statuses() == {b"HTTP/1.1 501 "}  # a method of many bytes is no method
    if not SANITIZED:
        assert most - memory < CLIENTS * 128 * 1024
    assert wait_until(lambda: daemon.descriptors() <= descriptors, PATIENCE_S)
    assert daemon.metrics()["grapnel_ledger_events"] == healthy + 1
    assert daemon.post("app", {"id": "after"}).status == 202


def test_who_asks_nothing_is_closed_without_a_word(scene):
    daemon = scene.start(CONFIG.replace("idle_timeout: 5s", "idle_timeout: 300ms"))
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as idle:
        assert idle.recv(1) == b""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as used:
        used.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while chunk := used.recv(65536):
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 404 ") and b"Connection: close" not in answer


def test_who_does_not_read_its_answer_is_closed(scene):
    daemon = scene.start(CONFIG.replace("body_timeout: 5s", "body_timeout: 300ms"))
    descriptors = daemon.descriptors()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", daemon.port))
        deaf.settimeout(PATIENCE_S)
        requests = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" * 1000
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:  # its answers fill everything between the two, and nobody moves any more
                deaf.sendall(requests)
        assert wait_until(lambda: daemon.descriptors() <= descriptors, PATIENCE_S)
    assert ask(daemon.port, "GET", "/nothing").status == 404


def test_more_connections_than_there_may_be_are_told(scene):
    daemon = scene.start("threads: 1\nlimits: {connections_max: 20}\n"
                         "sources: {app: {verify: none}}\n")
    many = [socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S)
            for _ in range(20)]
    for one in many:
        one.sendall(b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert one.recv(13) == b"HTTP/1.1 404 "

    def turned_away():
        answer = ask(daemon.port, "GET", "/nothing")
        return answer.status == 503 and answer.headers["Retry-After"]

    spare = []
    while not turned_away():
        spare.append(socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S))
        assert len(spare) < 10
    for one in many + spare:
        one.close()
    assert wait_until(lambda: ask(daemon.port, "GET", "/nothing").status == 404, PATIENCE_S)
