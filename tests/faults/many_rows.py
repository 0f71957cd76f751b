#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ten million rows. A replication hands in what stands in a large table while others insert, update
and delete in it; the daemon is killed in the middle, and rows that it has told of are deleted before
it is back. A receiver that follows the events, one subject after the other, must end with what is in
the table. Then as many events as that are history, and a new row is looked at: how long until it is
picked up and delivered, by a replication and by an outbox, before the history and behind it; and once
more when an outbox has had a long past of its own, some of which cannot be cleaned up as a report
still reads the database.

Prints what it measured; exits 1 when what arrived is wrong, never for being slow. PostgreSQL, daemon
and this program share the cores."""

import argparse
import array
import contextlib
import http.server
import json
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

import psycopg2

from api import call
from daemon import Daemon
from progress import fail, tell_ledger, tell_memory, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "database"))
from cluster import Cluster  # noqa: E402

MEMORY_MAX_MIB = 256
WRITERS, EVERY_S = 2, 0.005
PROBES = 300
QUIET_S = 2
SERVER = {"wal_level": "logical", "max_wal_size": "4GB", "shared_buffers": "512MB"}
SCHEMA = """
CREATE TABLE items (id bigint PRIMARY KEY, version bigint NOT NULL, name text);
CREATE SEQUENCE versions START 2;
CREATE TABLE probes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
CREATE TABLE past (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
"""
FILL = "INSERT INTO items SELECT n, 1, 'item ' || n FROM generate_series(1, %s) n"
CONFIG = """
keep: {{for: 30d, bytes: 200G}}
databases: {{app: {{url: "{url}"}}}}
sources:
  log: {{trigger: {{replication: app, tables: [items, probes], snapshot: true, max_lag: 100G}}}}
  box: {{trigger: {{outbox: app, tables: [probes, past]}}}}
endpoints:
  mirror:
    url: "http://127.0.0.1:{port}/mirror"
    on: log
    match: {{table: items}}
    order: subject
    batch: {{events: 250, wait: 50ms}}
    profile: none
    retry: {{tries: 32, base: 100ms, max: 1s}}
  log: {{url: "http://127.0.0.1:{port}/log", on: log, match: {{table: probes}}, profile: none}}
  box: {{url: "http://127.0.0.1:{port}/box", on: box, match: {{table: probes}}, profile: none}}
  past:
    url: "http://127.0.0.1:{port}/past"
    on: box
    match: {{table: past}}
    batch: {{events: 250, wait: 50ms}}
    profile: none
"""


# ---- the receiver ----


class Mirror:
    """It has the version of each row, as the events say; of one that is deleted the last, as a
    negative number. And it knows when a probe came."""

    def __init__(self, rows):
        self.versions = array.array("q", bytes(8 * rows))
        self.wrong = []
        self.changes = self.past = 0
        self.probes = {"log": {}, "box": {}}  # of each: id -> when it came
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Of one connection."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                """One request."""
                body = self.rfile.read(int(self.headers["content-length"]))
                mirror.take(self.path[1:], json.loads(body))
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            def log_message(self, *_):
                """It would be a line for each."""

        class Server(http.server.ThreadingHTTPServer):
            """Whose connections may end as a killed daemon's do."""

            daemon_threads = True

            def handle_error(self, request, client_address):
                if not isinstance(sys.exc_info()[1], OSError):
                    super().handle_error(request, client_address)

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path, said):
        """What was posted."""
        if path == "mirror":
            for event in said:
                self._apply(event)
            self.changes += len(said)
        elif path == "past":
            self.past += len(said)
        else:
            self.probes[path].setdefault(said["key"]["id"], time.monotonic())

    def _apply(self, event):
        row, new = event["key"]["id"], event["new"]
        known = abs(self.versions[row])
        if new is None:
            self.versions[row] = -known
        elif new["version"] >= known:
            self.versions[row] = new["version"]
        else:
            self.wrong.append(f"row {row} went from version {known} back to {new['version']}")

    def close(self):
        """It ends."""
        self._server.shutdown()
        self._server.server_close()


# ---- who changes the table ----


class Writers:
    """Change random rows of the table, and make new ones, until they are told to stop."""

    def __init__(self, url, rows, more, seed):
        self.url, self.rows, self.more, self.seed = url, rows, more, seed
        self.done = 0
        self._lock = threading.Lock()
        self._stops = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _work(self, number):
        chance = random.Random(self.seed * 100 + number)
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not self._stops.wait(EVERY_S):
                    self._change(cursor, chance)
                    with self._lock:
                        self.done += 1

    def _change(self, cursor, chance):
        row = chance.randrange(1, self.rows + self.more)
        if chance.random() < 0.2:
            cursor.execute("DELETE FROM items WHERE id=%s", (row,))
        else:
            cursor.execute("""INSERT INTO items VALUES (%s, nextval('versions'), 'changed')
                              ON CONFLICT (id) DO UPDATE SET version=nextval('versions')""", (row,))

    def stop(self):
        """All of them."""
        self._stops.set()
        for thread in self._threads:
            thread.join()


# ---- the trial ----


class Trial:
    """The programs, and what is done with them."""

    def __init__(self, options, folder, cluster):
        self.options = options
        self.url = cluster.url()
        self.more = options.rows // 100 + 100  # ids that are free at first
        self.mirror = Mirror(options.rows + self.more + 1)
        self.daemon = Daemon(options.binary, folder)
        self.sql(SCHEMA)
        self.daemon.write(CONFIG.format(url=self.url, port=self.mirror.port))

    def sql(self, text, values=None):
        """One transaction."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            with connection, connection.cursor() as cursor:
                cursor.execute(text, values)
                return cursor.fetchall() if cursor.description else []

    def status(self, source):
        """What the API says of a trigger."""
        return next((t for t in call(self.daemon, "GET", "/triggers")["data"]
                     if t["source"] == source), {"gauges": {}})

    def handed_in(self):
        """How many rows of the snapshot."""
        return self.status("log")["gauges"].get("backfill_rows", 0)

    def is_copied(self):
        """Whether the snapshot is over, and the log is read."""
        return self.handed_in() > self.options.rows // 2 and self.sql(
            "SELECT active FROM pg_replication_slots WHERE slot_name='grapnel_log'") == [(True,)]

    def start(self):
        """The daemon, with all that it needs."""
        for source in ("log", "box"):
            self.daemon.command("trigger", "install", source, "--config", self.daemon.file, "--apply")
        self.daemon.start()
        for source in ("log", "box"):
            self.daemon.wait_working(source)

    def pick_up(self, when):
        """Rows that come one by one; how long until they are delivered."""
        sent = {}
        for times in self.mirror.probes.values():
            times.clear()
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for n in range(PROBES + 1):
                    began = time.monotonic()
                    cursor.execute("INSERT INTO probes (name) VALUES ('Aino') RETURNING id")
                    sent[cursor.fetchone()[0]] = began
                    if n == 0:  # it wakes who rests, and is no measure of who is at work
                        self.wait_for_probes(sent)
                        sent.clear()
                    time.sleep(0.01)  # one by one is what this is about
        self.wait_for_probes(sent)
        for way, came in self.mirror.probes.items():
            took = sorted(came[row] - began for row, began in sent.items())
            name = {"log": "replication", "box": "outbox"}[way]
            print(f"  {when}, a new row arrives by {name}: p50 {took[len(took) // 2] * 1000:.1f} ms, "
                  f"p99 {took[len(took) * 99 // 100] * 1000:.1f} ms", flush=True)

    def wait_for_probes(self, sent):
        """On both ways."""
        for way, came in self.mirror.probes.items():
            until(lambda c=came: sent.keys() <= c.keys(), f"rows by the {way}",
                  lambda c=came: len(c))

    # ---- the snapshot ----

    def copy(self):
        """While others write, with a kill in the middle."""
        rows, began = self.options.rows, time.monotonic()
        self.sql(FILL, (rows,))
        self.sql("UPDATE items SET version=nextval('versions') WHERE id%97=0")
        print(f"  {rows:,} rows were written in {time.monotonic() - began:.0f} s", flush=True)
        # The table was filled before the slot is made: the snapshot tells of it.
        self.daemon.command("trigger", "install", "log", "--config", self.daemon.file, "--apply")
        writers = Writers(self.url, rows, self.more, self.options.seed)
        began = time.monotonic()
        self.daemon.start()
        try:
            until(lambda: self.handed_in() > rows // 10, "the snapshot", self.handed_in)
            self.daemon.kill()
            first = [row for row in range(1, rows // 10) if self.mirror.versions[row] > 0][::7]
            self.sql("DELETE FROM items WHERE id = ANY(%s)", (first[:rows // 100],))
            print(f"  killed after {time.monotonic() - began:.0f} s; {len(first[:rows // 100]):,} "
                  "rows that had been told of were deleted before it was back", flush=True)
            self.daemon.start()
            until(self.is_copied, "the snapshot after the kill",
                  lambda: self.mirror.changes + self.handed_in(), 0.5)
            copied = time.monotonic() - began
            handed_in = self.handed_in()
        finally:
            writers.stop()
        print(f"  {handed_in:,} rows of the snapshot are in the ledger after {copied:.0f} s "
              f"({handed_in / copied:,.0f}/s), while {writers.done:,} changes were made", flush=True)
        return began

    def settle(self, began):
        """Until the receiver has all of it."""
        end = self.options.rows + self.more
        self.sql("INSERT INTO items VALUES (%s, nextval('versions'), 'the last')", (end,))
        until(lambda: self.mirror.versions[end], "the last change", lambda: self.mirror.changes)
        quiet = [0, time.monotonic()]

        def is_quiet():
            if self.mirror.changes != quiet[0]:
                quiet[:] = self.mirror.changes, time.monotonic()
            return time.monotonic() - quiet[1] > QUIET_S

        until(is_quiet, "the last deliveries", lambda: self.mirror.changes, 0.1)
        took = quiet[1] - began
        print(f"  {self.mirror.changes:,} events were delivered after {took:.0f} s "
              f"({self.mirror.changes / took:,.0f}/s)", flush=True)

    def compare(self):
        """The receiver with the table."""
        wrong, rows = list(self.mirror.wrong[:5]), 0
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            with connection.cursor("items") as cursor:
                cursor.itersize = 50000
                cursor.execute("SELECT id, version FROM items")
                for row, version in cursor:
                    rows += 1
                    if self.mirror.versions[row] != version and len(wrong) < 20:
                        wrong.append(f"row {row} has version {version}, and at the receiver "
                                     f"{self.mirror.versions[row]}")
        there = sum(1 for version in self.mirror.versions if version > 0)
        if there != rows:
            wrong.append(f"the table has {rows} rows, the receiver {there}")
        if wrong:
            fail("\n".join(wrong))
        print(f"  the receiver has what is in the table: {rows:,} rows", flush=True)

    # ---- the outbox's own past ----

    def age(self):
        """So many rows go through the outbox; a report that reads the database keeps what they
        leave behind from being cleaned up."""
        count, began = self.options.past, time.monotonic()
        with contextlib.closing(psycopg2.connect(self.url)) as report:
            report.set_session(isolation_level="REPEATABLE READ")
            with report.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM probes")
            for start in range(0, count, 10000):
                self.sql("INSERT INTO past (name) SELECT 'Aino' FROM generate_series(1, %s)",
                         (min(10000, count - start),))
            until(lambda: self.mirror.past >= count, "the past", lambda: self.mirror.past)
            took = time.monotonic() - began
            print(f"  {count:,} rows went through the outbox in {took:.0f} s ({count / took:,.0f}/s)",
                  flush=True)
            self.pick_up("beside a report that has read since before")
        self.pick_up("when the report is done")

    def run(self):
        """All of it; the daemon's exit status."""
        self.start()
        self.pick_up("with nothing behind it")
        self.stop_for_rows()
        began = self.copy()
        self.settle(began)
        tell_memory(self.daemon, "after that", self.options.memory_mib)
        tell_ledger(self.daemon)
        self.compare()
        self.pick_up(f"with {self.mirror.changes:,} delivered")
        self.age()
        tell_memory(self.daemon, "at the end", self.options.memory_mib)
        return self.daemon.stop()

    def stop_for_rows(self):
        """The trigger begins anew with what will be there then."""
        self.daemon.stop()
        self.daemon.command("trigger", "uninstall", "log", "--config", self.daemon.file, "--apply")

    def close(self):
        """Everything ends."""
        self.mirror.close()
        if self.daemon.process and self.daemon.process.poll() is None:
            self.daemon.kill()


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rows", type=int, default=10000000)
    parser.add_argument("--past", type=int, default=1000000, help="rows through the outbox")
    parser.add_argument("--memory-mib", type=int, default=MEMORY_MAX_MIB,
                        help="what the daemon's memory must stay under")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"{options.rows:,} rows (seed {options.seed}), on {os.cpu_count()} cores:", flush=True)
    with tempfile.TemporaryDirectory() as folder, Cluster(SERVER) as cluster:
        trial = Trial(options, folder, cluster)
        try:
            status = trial.run()
        finally:
            trial.close()
    if status:
        fail(f"the daemon ended with {status}")


if __name__ == "__main__":
    main()
