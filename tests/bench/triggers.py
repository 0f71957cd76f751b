#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Triggers: from a row that changes in a database to the webhook that tells of it. Each scene has a
server, a daemon, a ledger and a target of its own. PostgreSQL commits with fsync on, to the disk of
the build folder, as does the ledger; and all of it shares the machine.

    python3 tests/bench/triggers.py --build build-bench [--quick]

`rows/s`: pgbench inserts for some seconds as fast as it can, with eight clients, and the figure is
the number of rows through the time from the first commit to the last webhook delivered.
`p50`, `p99`: 200 rows a second by one client, from the moment before its INSERT, which commits, to
the arrival of the webhook. `writer`: what pgbench commits a second by itself, with the trigger and
nobody reading, and with Grapnel at work."""

import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "database"))
sys.path.insert(0, str(ROOT / "examples" / "onboarding"))
from bench import table  # noqa: E402
from cluster import Cluster, programs  # noqa: E402
from processes import BenchError, Program  # noqa: E402
from stack import free_ports, wait_until  # noqa: E402

import psycopg2  # noqa: E402

CLIENTS, RATE = 8, 200
EVERY_S = 120
SCHEMA = """CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sent_ns bigint,
                                name text, note text)"""
ONE = "INSERT INTO items (name, note) VALUES ('Aino Virtanen', repeat('x', 200));\n"
HUNDRED = """INSERT INTO items (name, note)
             SELECT 'Aino Virtanen', repeat('x', 200) FROM generate_series(1, 100);\n"""
KINDS = {
    "outbox": "{{outbox: app, tables: [items]}}",
    "outbox, notify": "{{outbox: app, tables: [items], notify: true}}",
    "replication": "{{replication: app, tables: [items]}}",
}
CONFIG = """
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin}
ledger: sqlite:{folder}/grapnel.db
outbound: {{allow: [127.0.0.0/8]}}
databases: {{app: {{url: "{url}"}}}}
sources: {{rows: {{trigger: %s}}}}
endpoints:
  rows: {{url: "http://127.0.0.1:{target}/hook/1", on: rows, secret: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz}}
"""


class Scene:
    """A server, and whatever of the rest is wanted beside it."""

    def __init__(self, build, kind, settings=None):
        self.build, self.kind = build, kind
        self.folder = tempfile.TemporaryDirectory(prefix="trigger-", dir=build)
        own = pathlib.Path(self.folder.name)
        own.chmod(0o755)
        self.cluster = Cluster({"fsync": "on", "shared_buffers": "128MB", "max_wal_size": "2GB",
                                "wal_level": "logical", **(settings or {})})
        self.run(SCHEMA)
        self.target = self.daemon = None
        self.admin = 0
        if kind:
            self._install(own)

    def run(self, sql):
        """Statements; the rows of the last."""
        connection = psycopg2.connect(self.cluster.url())
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _install(self, own):
        self.target = Program("target", [self.build / "tests/bench/bench_target"],
                              r"listening on .*:(\d+)$")
        port, self.admin = free_ports(2)
        self.config = own / "grapnel.yaml"
        self.config.write_text((CONFIG % KINDS[self.kind]).format(
            port=port, admin=self.admin, folder=own, url=self.cluster.url(),
            target=self.target.groups[0]))
        done = subprocess.run([self.build / "grapnel", "trigger", "install", "rows", "--config",
                               self.config, "--apply"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(done.stderr)

    def start(self):
        """Grapnel, at work."""
        self.daemon = Program("grapnel", [self.build / "grapnel", "serve", self.config],
                              r'"fact":"listening"')
        if not wait_until(lambda: self.api("/triggers")["data"][0]["state"] == "working", EVERY_S):
            raise BenchError(str(self.api("/triggers")))

    def api(self, path):
        """A document of the daemon."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/api/v1{path}",
                                    timeout=EVERY_S) as answer:
            return json.load(answer)

    def arrived(self):
        """What the target has seen."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.target.groups[0]}/summary",
                                    timeout=EVERY_S) as answer:
            return json.load(answer)

    def pgbench(self, seconds, script):
        """Transactions a second."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            done = subprocess.run(
                [programs() / "pgbench", "-n", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds),
                 "-M", "prepared", "-f", file.name, self.cluster.url()],
                capture_output=True, text=True, check=False)
        found = re.search(r"tps = ([0-9.]+)", done.stdout)
        if not found:
            raise BenchError(done.stderr)
        return float(found[1])

    def close(self):
        """Ends all of it."""
        for program in (self.daemon, self.target):
            if program:
                program.stop()
        self.cluster.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def through(build, kind, seconds, script):
    """Rows a second from commit to delivered, and what the writers committed meanwhile."""
    with Scene(build, kind) as scene:
        scene.start()
        began = time.monotonic()
        scene.pgbench(seconds, script)
        rows = scene.run("SELECT count(*) FROM items")[0][0]
        written = time.monotonic() - began
        if not wait_until(lambda: scene.arrived()["posts"] >= rows, EVERY_S):
            raise BenchError(f"{scene.arrived()['posts']} of {rows} arrived")
        return rows / (time.monotonic() - began), rows / written


def latency(build, kind, seconds):
    """How long a row takes, at a leisurely rate."""
    with Scene(build, kind) as scene:
        scene.start()
        connection = psycopg2.connect(scene.cluster.url())
        connection.autocommit = True
        with connection.cursor() as cursor:
            began = time.monotonic()
            for n in range(seconds * RATE):
                time.sleep(max(0, began + n / RATE - time.monotonic()))
                cursor.execute("INSERT INTO items (sent_ns, name) VALUES (%s, 'Aino')",
                               (time.monotonic_ns(),))
        connection.close()
        if not wait_until(lambda: scene.arrived()["posts"] >= seconds * RATE, EVERY_S):
            raise BenchError("not all arrived")
        return scene.arrived()["arrivals"]


def writer(build, seconds, synchronous):
    """What the trigger costs who writes."""
    settings = {"synchronous_commit": "on" if synchronous else "off"}
    with Scene(build, None, settings) as scene:
        alone = scene.pgbench(seconds, ONE)
    with Scene(build, "outbox", settings) as scene:
        with_trigger = scene.pgbench(seconds, ONE)
    with Scene(build, "outbox", settings) as scene:
        scene.start()
        at_work = scene.pgbench(seconds, ONE)
    return alone, with_trigger, at_work


def measure(build, seconds):
    """Runs the scenes and prints their tables."""
    if not programs():
        print("triggers are left out: there is no PostgreSQL server here (Debian: postgresql)")
        return
    rows = []
    for kind in KINDS:
        try:
            one, one_written = through(build, kind, seconds, ONE)
            many, _ = through(build, kind, seconds, HUNDRED)
            found = latency(build, kind, seconds)
        except BenchError as error:
            print(f"{kind} is left out: {error}")
            continue
        rows.append([kind, f"{one:,.0f}", f"{one_written:,.0f}", f"{many:,.0f}",
                     f"{found['p50_us'] / 1000:.2f}", f"{found['p99_us'] / 1000:.2f}"])
    table("From a row in PostgreSQL to its webhook, delivered and recorded; 200-byte rows",
          ["", "rows/s, 1 a transaction", "written/s", "rows/s, 100 a transaction",
           f"p50 ms at {RATE}/s", "p99 ms"], rows)
    rows = []
    for synchronous in (True, False):
        alone, installed, read = writer(build, seconds, synchronous)
        rows.append([f"synchronous_commit {'on' if synchronous else 'off'}", f"{alone:,.0f}",
                     f"{installed:,.0f}", f"{read:,.0f}"])
    table(f"What the outbox costs the writer: transactions of one row a second, {CLIENTS} clients",
          ["", "alone", "with the triggers", "and Grapnel reading"], rows)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    measure(options.build.resolve(), 2 if options.quick else 8)


if __name__ == "__main__":
    main()
