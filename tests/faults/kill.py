#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon at random moments under load, and the judge of what is left.

A generator logs every acknowledged event, a target logs every request, and the checker reads both
logs and the ledger: nothing acknowledged is lost or altered, every job ends, every event reached
the target, and no two requests for one subject overlap. Exits 1 on any violation."""

import argparse
import http.client
import http.server
import json
import os
import pathlib
import random
import signal
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

CONFIG = """
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
ledger: sqlite:{folder}/grapnel.db
outbound: {{allow: [127.0.0.0/8]}}
connections:
  target: {{url: 'http://127.0.0.1:{target}'}}
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
SENDERS, SUBJECTS = 8, 20
AHEAD_MAX = 2000  # events acknowledged that the target has not seen: then the senders pause


class Target(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Logs each request with its time in and out."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        self.log, self.lock = [], threading.Lock()
        super().__init__(("127.0.0.1", 0), Answer)

    def handle_error(self, request, client_address):
        """A killed daemon leaves its connections: that is what this is about."""


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        came = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.log.append((body["id"], body["n"], came, time.monotonic()))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


class Generator:
    """Sends from several threads and writes down what was acknowledged before it goes on."""

    def __init__(self, port, target):
        self.port, self.target, self.acknowledged, self.stopping = port, target, {}, False
        self._next, self._lock = 0, threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(SENDERS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self.stopping = True
        for thread in self._threads:
            thread.join()

    def _take(self):
        with self._lock:
            self._next += 1
            return self._next

    def _run(self):
        connection = None
        while not self.stopping:
            if len(self.acknowledged) - len(self.target.log) > AHEAD_MAX:
                time.sleep(0.01)
                continue
            number = self._take()
            body = json.dumps({"id": f"s{number % SUBJECTS}", "n": number}).encode()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port,
                                                                      timeout=10)
                connection.request("POST", "/in/load", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 202:
                    self.acknowledged[number] = body
            except (OSError, http.client.HTTPException):
                if connection:
                    connection.close()
                connection = None
                time.sleep(0.005)  # the daemon is down: the pace of trying, not a wait for a fact


def free_port():
    with socketserver.TCPServer(("127.0.0.1", 0), None) as server:
        return server.server_address[1]


def start(binary, config, log):
    """Starts the daemon and returns once it listens."""
    process = subprocess.Popen([binary, "serve", config], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        log.append(line)
        if '"listening"' in line:
            threading.Thread(target=lambda: log.extend(process.stderr), daemon=True).start()
            return process
    sys.exit(f"the daemon does not start: {log[-3:]}")


def open_jobs(file):
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10) as ledger:
        return ledger.execute("SELECT count(*) FROM jobs WHERE state NOT IN (3, 4)").fetchone()[0]


def check(file, generator, target):
    """The judge: returns what is wrong."""
    wrong = []
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as ledger:
        stored = {json.loads(body)["n"]: body for (body,) in ledger.execute("SELECT body FROM events")}
        if ledger.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            wrong.append("the ledger is damaged")
    reached = {number for _, number, _, _ in target.log}
    for number, body in generator.acknowledged.items():
        if stored.get(number) != body:
            wrong.append(f"event {number} was acknowledged and is {'altered' if number in stored else 'lost'}")
        elif number not in reached:
            wrong.append(f"event {number} never reached the target")
    last = {}
    for subject, number, came, went in sorted(target.log, key=lambda one: one[2]):
        if subject in last and came < last[subject][1]:
            wrong.append(f"requests {last[subject][0]} and {number} of {subject} overlap")
        last[subject] = (number, went)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    chance, log = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as folder:
        target = Target()
        threading.Thread(target=target.serve_forever, daemon=True).start()
        port = free_port()
        config = pathlib.Path(folder) / "grapnel.yaml"
        config.write_text(CONFIG.format(port=port, admin=free_port(), folder=folder,
                                        target=target.server_address[1]))
        process = start(options.binary, str(config), log)
        generator = Generator(port, target)
        generator.start()
        for _ in range(options.kills):
            time.sleep(chance.uniform(0.001, 0.25))  # the moment of the kill is the fault
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start(options.binary, str(config), log)
        generator.stop()
        file, end = f"{folder}/grapnel.db", time.monotonic() + 60
        while open_jobs(file) and time.monotonic() < end:
            time.sleep(0.1)
        left = open_jobs(file)
        process.send_signal(signal.SIGTERM)
        status = process.wait(20)
        wrong = check(file, generator, target)
        if left:
            wrong.append(f"{left} jobs have not ended")
        if status:
            wrong.append(f"the daemon ended with {status}")
        sent = len(target.log)
        print(f"{options.kills} kills (seed {options.seed}): {len(generator.acknowledged)} events "
              f"acknowledged, {sent} requests at the target, "
              f"{sent - len({n for _, n, _, _ in target.log})} of them repeated, "
              f"{len(wrong)} violations")
        for line in wrong[:10]:
            print(f"  {line}")
        target.shutdown()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
