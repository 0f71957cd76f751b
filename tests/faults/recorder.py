# SPDX-License-Identifier: Apache-2.0
"""A target that writes down every request: when it came and went, in which life of the daemon, and
what it was answered."""

import dataclasses
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from rude import OK, Rude  # noqa: E402

BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
RESET = None
QUIET_MAX_S = 20


@dataclasses.dataclass
class Seen:
    """One request."""

    headers: dict
    body: bytes
    life: int
    came: float  # monotonic
    went: float = 0
    status: int = 0  # what it was answered; 0: the connection was reset
    whole: "Seen" = None  # the request, where this is one of its messages


class Recorder:
    """`answer` says, for a request and whether it is the first of its connection, how long to take
    in seconds and what to answer: bytes, or RESET."""

    def __init__(self, daemon, answer=lambda seen, is_first: (0, OK)):
        self.daemon, self.answer = daemon, answer
        self.seen = []  # in the order of their coming
        self._lock = threading.Lock()
        self._server = Rude(self._act)
        self.port = self._server.port

    def _act(self, peer):
        life, is_first = self.daemon.life, True
        while request := peer.read():
            with self._lock:
                seen = Seen(request.headers, request.body, life, time.monotonic())
                self.seen.append(seen)
            pause, data = self.answer(seen, is_first)
            is_first = False
            if pause:
                time.sleep(pause)
            seen.status = int(data[9:12]) if data else 0
            seen.went = time.monotonic()
            if data is RESET:
                peer.reset()
                return
            peer.send(data)

    def quiet(self):
        """Returns once what a dead daemon has said was read to its end."""
        end = time.monotonic() + QUIET_MAX_S
        while self._server.open and time.monotonic() < end:
            time.sleep(0.001)
        if self._server.open:
            raise SystemExit("the target's connections do not end with the daemon")

    def close(self):
        """It ends."""
        self._server.close()
