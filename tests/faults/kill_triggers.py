#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon and of PostgreSQL at random moments under write load, and the judge of what
arrived. Writers insert, update and delete rows; within each transaction they write down in a table
of their own what it did to them, so that the database itself says what was committed, also where a
commit's outcome was lost with its connection. The judge:

- each version of each row that was committed arrived, and none that was not;
- what arrived twice has the same id; no two versions have the same;
- for each row the versions come in their order, repeats of earlier ones aside;
- the values overwritten are those of the version before.

Exits 1 on any violation."""

import argparse
import collections
import json
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "database"))
from cluster import Cluster  # noqa: E402
from daemon import Daemon  # noqa: E402
from recorder import Recorder  # noqa: E402

WRITERS, ROWS = 4, 40
PAUSES_S = (0.05, 0.5)
SLOW_S = (0.05, 1)
CALM_S = 8  # at last nobody is killed: what a reader knows grows old
SETTLE_MAX_S = 120

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, version int NOT NULL, pad text);
CREATE TABLE history (id int, version int, op text, PRIMARY KEY (id, version));
CREATE SEQUENCE versions;
"""
CHANGES = {
    "insert": """INSERT INTO items SELECT %(id)s, nextval('versions'), repeat('x', %(pad)s)
                 WHERE NOT EXISTS (SELECT 1 FROM items WHERE id=%(id)s)
                 ON CONFLICT (id) DO UPDATE SET version=nextval('versions')
                 RETURNING id, version""",
    "update": """UPDATE items SET version=nextval('versions') WHERE id=%(id)s
                 RETURNING id, version""",
    "delete": "DELETE FROM items WHERE id=%(id)s RETURNING id, nextval('versions')",
}
CONFIG = """
databases: {{app: {{url: "{url}"}}}}
sources: {{rows: {{trigger: {trigger}}}}}
endpoints:
  rows: {{url: "http://127.0.0.1:{port}/rows", on: rows, order: all, profile: none, retry: {{tries: 32, base: 100ms, max: 1s}}}}
"""
TRIGGERS = {"outbox": "{outbox: app, tables: [items]}",
            "replication": "{replication: app, tables: [items], max_lag: 1G}"}


class Writers:
    """Several connections that change rows until they are told to stop."""

    def __init__(self, url, seed):
        self.url, self.seed = url, seed
        self._stops = threading.Event()
        self.threads = [threading.Thread(target=self._work, args=(n,)) for n in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def _work(self, number):
        chance = random.Random(self.seed * 100 + number)
        connection = None
        while not self._stops.is_set():
            try:
                if connection is None:
                    connection = psycopg2.connect(self.url, connect_timeout=2)
                with connection, connection.cursor() as cursor:
                    for _ in range(chance.choice((1, 1, 1, 3))):
                        self._change(cursor, chance)
                    if chance.random() < 0.1:
                        cursor.execute("SAVEPOINT s")
                        self._change(cursor, chance)
                        cursor.execute("ROLLBACK TO SAVEPOINT s")
                    if chance.random() < 0.005:
                        self._stops.wait(chance.uniform(*SLOW_S))  # while others overtake it
                    if chance.random() < 0.1:
                        raise ValueError("this one is taken back")
            except ValueError:
                pass
            except psycopg2.Error:
                # It is away, or two waited for each other.
                if connection is not None and connection.closed:
                    connection = None
                time.sleep(0.01)
        if connection is not None:
            connection.close()

    def _change(self, cursor, chance):
        op = chance.choice(("insert", "insert", "update", "update", "update", "delete"))
        row = chance.randrange(ROWS)
        # An INSERT takes its version before it waits for another's row of that key: without this,
        # versions would not always be in the order of the commits.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (row,))
        cursor.execute(CHANGES[op], {"id": row, "pad": chance.choice((1, 5000))})
        for change in cursor.fetchall():
            cursor.execute("INSERT INTO history VALUES (%s, %s, %s)", (*change, op))

    def stop(self):
        """All of them."""
        self._stops.set()
        for thread in self.threads:
            thread.join()


def version_of(event):
    """Which version of its row an event is about: of a deletion the one that was deleted."""
    return (event["new"] or event["previous"])["version"]


def judge(history, seen):
    """What is wrong."""
    wrong = []
    wanted = collections.defaultdict(list)
    for row, version, op in history:
        wanted[row].append((version, op))
    ids, got = {}, collections.defaultdict(list)
    for event in seen:
        key = event["key"]["id"], version_of(event), event["op"] == "delete"
        if ids.setdefault(key, event["id"]) != event["id"]:
            wrong.append(f"{key} came under two ids: {ids[key]} and {event['id']}")
        elif key not in got[key[0]]:
            got[key[0]].append(key)
            if event["previous"] and event["new"] and not (
                    event["previous"]["version"] < event["new"]["version"]):
                wrong.append(f"{key} overwrote {event['previous']}")
    if len(set(ids.values())) != len(ids):
        wrong.append("two versions came under one id")
    for row, changes in wanted.items():
        expected, last = [], None
        for version, op in sorted(changes):
            # A deletion has the version that it deleted.
            expected.append((row, last if op == "delete" else version, op == "delete"))
            last = version
        if got[row] != expected:
            lost = [key for key in expected if key not in got[row]]
            more = [key for key in got[row] if key not in expected]
            wrong.append(f"row {row}: lost {lost[:5]}, never committed {more[:5]}"
                         if lost or more else f"row {row} came in another order")
    return wrong


def settle(url, recorder, n):
    """Waits until all is there, or nothing comes any more."""
    limit = time.monotonic() + SETTLE_MAX_S
    while time.monotonic() < limit:
        if len({json.loads(s.body)["id"] for s in list(recorder.seen)}) >= n:
            return
        time.sleep(0.1)


def run(options, folder):
    """One trial; True when something is wrong."""
    chance = random.Random(options.seed)
    daemon = Daemon(options.binary, folder)
    recorder = Recorder(daemon)
    settings = {"wal_level": "logical"} if options.trigger == "replication" else {}
    with Cluster(settings) as cluster:
        url = cluster.url()
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        if options.trigger == "replication":
            with psycopg2.connect(url) as connection, connection.cursor() as cursor:
                cursor.execute("ALTER TABLE items REPLICA IDENTITY FULL")
        daemon.write(CONFIG.format(url=url, port=recorder.port, trigger=TRIGGERS[options.trigger]))
        daemon.command("trigger", "install", "rows", "--config", daemon.file, "--apply")
        daemon.start()
        daemon.wait_working("rows")
        writers = Writers(url, options.seed)
        for n in range(options.kills):
            time.sleep(chance.uniform(*PAUSES_S))
            if n % 4 == 1:
                cluster.stop(signal.SIGQUIT)
                cluster.start()
            else:
                daemon.kill()
                recorder.quiet()
                daemon.start()
        time.sleep(CALM_S)
        writers.stop()
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id, version, op FROM history")
            history = cursor.fetchall()
        settle(url, recorder, len(history))
        status = daemon.stop()
    seen = [json.loads(s.body) for s in recorder.seen if s.status == 200]
    recorder.close()
    wrong = judge(history, seen) + ([f"the daemon ended with {status}"] if status else [])
    print(f"{options.kills} kills (seed {options.seed}): {len(history)} versions committed, "
          f"{len(seen)} deliveries, {len(seen) - len({e['id'] for e in seen})} repeats")
    print("\n".join(wrong[:20]))
    return bool(wrong)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--trigger", choices=sorted(TRIGGERS), default="outbox")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return 1 if run(options, folder) else 0


if __name__ == "__main__":
    sys.exit(main())
