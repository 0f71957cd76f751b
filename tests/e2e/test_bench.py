# SPDX-License-Identifier: Apache-2.0
"""Generator and target of `make bench`, one against the other: what one sent the other counted."""

import json
import os
import pathlib
import re
import socketserver
import subprocess
import threading

import pytest

GRAPNEL = pathlib.Path(os.environ.get("GRAPNEL_BINARY", "build/grapnel"))
BENCH = GRAPNEL.resolve().parent / "tests" / "bench"


class Target:
    """The target on a free port; `summary` ends it."""

    def __init__(self, *options):
        self._process = subprocess.Popen([BENCH / "bench_target", *options], stdout=subprocess.PIPE,
                                         text=True)
        self.port = re.search(r":(\d+)$", self._process.stdout.readline())[1]

    def summary(self):
        self._process.terminate()
        return json.loads(self._process.communicate(timeout=10)[0])

    def close(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def target():
    one = Target("--hang-s", "1")
    yield one
    one.close()


def load(target, *options, **more):
    """Exit status and report of one run."""
    run = subprocess.run([BENCH / "bench_load", "--port", target.port, *options],
                         capture_output=True, text=True, timeout=60, check=False, **more)
    return run.returncode, json.loads(run.stdout)


def test_every_message_is_sent_counted_and_answered(target):
    status, report = load(target, "--count", "500", "--connections", "7", "--bytes", "1024")
    counted = target.summary()
    assert status == 0
    assert report["sent"] == report["answered"] == report["good"] == 500
    assert report["latency"]["n"] == 500
    assert counted["posts"] == counted["arrivals"]["n"] == 500
    assert counted["connections"] == 7
    assert 0 < counted["arrivals"]["p50_us"] <= report["latency"]["max_us"]


def test_an_open_loop_sends_at_its_rate(target):
    status, report = load(target, "--rate", "200", "--seconds", "1")
    assert status == 0
    assert report["sent"] == target.summary()["posts"] == 200


def test_whoever_hangs_is_waited_for_and_charged(target):
    status, report = load(target, "--path", "/hang/1", "--count", "3", "--connections", "3")
    counted = target.summary()
    assert status == 0 and report["good"] == 3
    assert counted["hung"] == 3 and counted["posts"] == 0
    assert report["latency"]["p50_us"] >= 1e6


def test_an_open_loop_charges_those_who_had_to_wait(target):
    # One connection, answered after 1 s each: the third message was due at the start as well.
    status, report = load(target, "--path", "/hang/1", "--count", "3", "--connections", "1",
                          "--rate", "1000")
    assert status == 0
    assert report["latency"]["max_us"] >= 2.9e6


def test_answers_that_are_no_success_are_told(target):
    status, report = load(target, "--path", "no-path", "--count", "5")
    assert status == 1
    assert (report["answered"], report["good"], report["first_bad"]) == (5, 0, 404)


def test_a_receiver_that_closes_is_told():
    class Closes(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Closes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run = subprocess.run([BENCH / "bench_load", "--port", str(server.server_address[1]),
                              "--count", "5", "--connections", "1"],
                             capture_output=True, text=True, timeout=60, check=False)
        server.shutdown()
    assert run.returncode == 1
    assert json.loads(run.stdout)["broken"] == 5
