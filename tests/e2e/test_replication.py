# SPDX-License-Identifier: Apache-2.0
"""Logical replication of a PostgreSQL database: whatever is committed arrives, in the order of the
commits, with what the log holds of the row before; nothing is lost when either side is killed, and
what cannot go on says so."""

import contextlib
import os
import pathlib
import re
import signal
import sqlite3
import threading

import psycopg2
import pytest

from databases import FORWARD, PATIENCE_S, Cluster, Watched, grapnel, new_base, programs
from harness import SANITIZED, ask, wait_until

pytestmark = pytest.mark.skipif(not programs(), reason="there is no PostgreSQL server here")

LOGICAL = {"wal_level": "logical", "max_replication_slots": "20", "max_wal_senders": "20",
           "checkpoint_timeout": "1h", "max_prepared_transactions": "5"}
USERS = "CREATE TABLE users (id text PRIMARY KEY, email text, name text, logins bigint DEFAULT 0);"
CONFIG = """
databases: {app: {url: "${DATABASE}"}}
sources: {rows: {trigger: {replication: app, max_lag: 1G, heartbeat: 200ms, tables: %s%s}}}
"""
LONG_S = 120  # for what is much


@pytest.fixture(scope="module", name="cluster")
def a_cluster():
    with Cluster(LOGICAL) as cluster:
        yield cluster


def forget_slots(cluster):
    """Those of earlier tests: a slot outlives its daemon, and a database with one cannot be
    dropped."""
    admin = psycopg2.connect(cluster.url())
    admin.autocommit = True
    with contextlib.closing(admin), admin.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                       " WHERE active_pid IS NOT NULL")

        def gone():
            cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                           " WHERE NOT active")
            cursor.execute("SELECT count(*) FROM pg_replication_slots")
            return cursor.fetchone() == (0,)

        assert wait_until(gone, PATIENCE_S)


@pytest.fixture(name="base")
def a_base(cluster):
    forget_slots(cluster)
    return new_base(cluster, "app")


class Replicated(Watched):
    """A daemon whose source `rows` reads the log."""

    def ready(self):
        """Once its slot is there: what is committed from now on is seen."""
        self.wait_state("working")
        return self

    def gauge(self, name):
        """One of its numbers."""
        return (self.status() or {"gauges": {}})["gauges"].get(name)

    def counted(self, n, patience=LONG_S):
        """Once so many events were taken."""
        assert wait_until(lambda: (self.status() or {"events": 0})["events"] >= n, patience), \
            self.status()
        return self.status()["events"]


@pytest.fixture(name="watch")
def a_watch(scene, base):
    def start(schema=USERS, tables="[users]", more="", flows=FORWARD, waits=True, **options):
        if schema:
            base.run(schema)
        w = Replicated(scene, CONFIG % (tables, more) + flows, DATABASE=base.url, **options)
        return w.ready() if waits else w

    return start


def slot_of(base, name="grapnel_rows"):
    """What the server says of it."""
    found = base.run("SELECT wal_status, active, confirmed_flush_lsn::text FROM"
                     " pg_replication_slots WHERE slot_name=%s", (name,))
    return found[0] if found else None


# ---- what an event holds ----


def test_a_change_tells_what_the_log_holds_of_it(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('U1', 'old@example.com', 'Ada')")
    base.run("UPDATE users SET email='new@example.com' WHERE id='U1'")
    base.run("UPDATE users SET id='U2' WHERE id='U1'")
    base.run("DELETE FROM users")
    base.run("TRUNCATE users")
    made, changed, moved, gone, emptied = w.wait_for(5)
    assert made["type"] == "users.insert" and made["previous"] is None
    assert "previousMissing" not in made and made["changed"] is None
    assert made["new"] == {"id": "U1", "email": "old@example.com", "name": "Ada", "logins": 0}
    assert made["schema"] == "public" and made["timeIs"] == "commit"
    assert made["transaction"]["index"] == 0 and "/" in made["transaction"]["position"]
    assert made["trigger"] == {"kind": "replication", "source": "rows", "database": "app"}
    assert changed["op"] == "update" and changed["new"]["email"] == "new@example.com"
    assert changed["previous"] is None and changed["previousMissing"] == "identity-default"
    assert changed["changed"] is None and changed["key"] == {"id": "U1"}
    assert moved["previous"] == {"id": "U1"} and moved["key"] == {"id": "U2"}
    assert moved["previousMissing"] == "identity-default" and moved["changed"] is None
    assert gone["op"] == "delete" and gone["new"] is None
    assert gone["previous"] == gone["key"] == {"id": "U2"}
    assert emptied["op"] == "truncate" and emptied["new"] is emptied["previous"] is None
    assert "previousMissing" not in emptied
    assert len({e["id"] for e in (made, changed, moved, gone, emptied)}) == 5
    [(commit,)] = base.run("SELECT count(*) FROM users")
    assert commit == 0 and w.status()["events"] == 5


def test_the_whole_row_before_comes_when_the_log_holds_it(watch, base):
    w = watch(USERS + "ALTER TABLE users REPLICA IDENTITY FULL;")
    base.run("INSERT INTO users VALUES ('U1', 'old@example.com', 'Ada')")
    base.run("UPDATE users SET email='new@example.com', logins=1 WHERE id='U1'")
    base.run("DELETE FROM users")
    _, changed, gone = w.wait_for(3)
    assert changed["previous"] == {"id": "U1", "email": "old@example.com", "name": "Ada",
                                   "logins": 0}
    assert changed["changed"] == ["email", "logins"] and "previousMissing" not in changed
    assert changed["key"] == {"id": "U1"}
    assert gone["previous"]["email"] == "new@example.com" and gone["key"] == {"id": "U1"}


def test_an_index_may_be_the_identity(watch, base):
    w = watch("CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL, c text);"
              "CREATE UNIQUE INDEX by_b ON t (b);"
              "ALTER TABLE t REPLICA IDENTITY USING INDEX by_b;", "[t]")
    base.run("INSERT INTO t VALUES (1, 'x', 'y')")
    base.run("DELETE FROM t")
    made, gone = w.wait_for(2)
    assert made["key"] == {"b": "x"}
    assert gone["previous"] == gone["key"] == {"b": "x"}
    assert gone["previousMissing"] == "identity-index"


TYPES = """
CREATE DOMAIN amount AS numeric(30,10) CHECK (VALUE IS NULL OR VALUE > -1000);
CREATE DOMAIN amounts AS int[];
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE t (id int PRIMARY KEY, yes bool, small int2, big int8, f4 float4, f8 float8,
  exact numeric, price amount, several amounts, feels mood, feelings mood[], plain json, packed jsonb,
  raw bytea, day date, moment timestamp, instant timestamptz, clock time, span interval, who uuid,
  words text[], numbers int[], flags bool[], deep int[][], docs jsonb[], instants timestamptz[],
  charge amount[], net inet, bits bit(3), fixed char(5), note text);
"""
ROWS = [
    """(1, true, -3, 9223372036854775807, 1.5, 0.1, 12345678901234567890.123450, 1.5, '{1,2}', 'sad',
     '{glad,sad}', '{"a":  1, "b":[1.0]}', '{"b": 1, "a": null}', '\\x00ff', '2026-02-03',
     '2026-02-03 04:05:06.789', '2026-02-03 04:05:06.5+02', '04:05:06', '1 day 2 hours',
     '11111111-2222-3333-4444-555555555555', ARRAY['a', NULL, 'NULL', 'q"\\u', '', 'x,y', '{}'],
     '{1,NULL,3}', '{t,f}', '{{1,2},{3,4}}', ARRAY['{"x": [1, "}"]}', '3']::jsonb[],
     '{2026-02-03 04:05:06+00}', '{1.50,NULL}', '10.0.0.1', B'101', 'ab', E'tab\\t"quote"\\\\ ü')""",
    """(2, false, 0, -9007199254740993, 'NaN', '-Infinity', 'NaN', 0, '{}', NULL, '{}', 'null', '"x"',
     '', 'infinity', '-infinity', 'infinity', NULL, '-1 mons', NULL, '{}', '[0:1]={7,8}', NULL, '{}',
     '{}', '{infinity}', NULL, NULL, NULL, '', '')""",
    """(3, NULL, NULL, NULL, 1e-7, 1e300, 1e20, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     '0044-03-15 BC', '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00+00 BC', NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)""",
]


def test_values_are_what_the_server_makes_of_them(watch, base):
    """The same JSON, byte for byte, as row_to_json gives it, and with it the outbox."""
    w = watch(TYPES, "[t]", ", snapshot: true")
    for row in ROWS:
        base.run(f"INSERT INTO t VALUES {row}")
    w.wait_for(len(ROWS))
    rows = base.run("SET intervalstyle=postgres; SET timezone='UTC';"
                    "SELECT row_to_json(t)::text FROM t ORDER BY id")
    bodies = {request.json["key"]["id"]: request.body for request in w.scene.target.requests}
    assert len(bodies) == len(ROWS)
    for n, (wanted,) in enumerate(rows, 1):
        assert b'"new":' + wanted.encode() + b"," in bodies[n]


# ---- transactions ----


def test_transactions_come_in_the_order_of_their_commits(watch, base):
    w = watch()
    first, second = base.connect(), base.connect()
    for one in (first, second):
        one.autocommit = False
    with first.cursor() as slow, second.cursor() as quick:
        slow.execute("INSERT INTO users VALUES ('slow-1')")
        quick.execute("INSERT INTO users VALUES ('quick-1'), ('quick-2')")
        second.commit()
        slow.execute("INSERT INTO users VALUES ('slow-2')")
        first.commit()
    first.close()
    second.close()
    events = w.wait_for(4)
    assert [e["key"]["id"] for e in events] == ["quick-1", "quick-2", "slow-1", "slow-2"]
    assert [e["transaction"]["index"] for e in events] == [0, 1, 0, 1]
    assert events[0]["transaction"]["id"] == events[1]["transaction"]["id"]
    assert events[1]["transaction"]["id"] != events[2]["transaction"]["id"]


def test_what_was_rolled_back_never_comes(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('kept'); SAVEPOINT s; INSERT INTO users VALUES ('not');"
             " UPDATE users SET name='x'; ROLLBACK TO s; INSERT INTO users VALUES ('too')")
    one = base.connect()
    one.autocommit = False
    with one.cursor() as cursor:
        cursor.execute("INSERT INTO users VALUES ('never')")
    one.rollback()
    one.close()
    base.run("INSERT INTO users VALUES ('last')")
    assert [e["key"]["id"] for e in w.wait_for(3)] == ["kept", "too", "last"]
    assert [e["transaction"]["index"] for e in w.arrived()] == [0, 1, 0]


def test_a_transaction_in_two_phases_comes_when_it_is_committed(watch, base):
    w = watch()
    one = base.connect()
    with contextlib.closing(one), one.cursor() as cursor:
        for name in ("kept", "not"):
            cursor.execute(f"BEGIN; INSERT INTO users VALUES ('{name}');"
                           f" PREPARE TRANSACTION '{name}'")
        cursor.execute("INSERT INTO users VALUES ('between')")
        cursor.execute("ROLLBACK PREPARED 'not'")
        w.wait_for(1)
        w.daemon.kill()
        w.daemon.start()
        cursor.execute("COMMIT PREPARED 'kept'")
    assert [e["key"]["id"] for e in w.wait_for(2)] == ["between", "kept"]


def test_an_upsert_is_what_it_came_to(watch, base):
    w = watch()
    for name in ("Ada", "Bea"):
        base.run("INSERT INTO users VALUES ('U1', 'a@example.com', %s) ON CONFLICT (id) DO UPDATE"
                 " SET name=excluded.name", (name,))
    base.run("INSERT INTO users VALUES ('U1') ON CONFLICT DO NOTHING")
    base.run("INSERT INTO users VALUES ('U2')")
    assert [(e["op"], e["new"]["name"]) for e in w.wait_for(3)] == [
        ("insert", "Ada"), ("update", "Bea"), ("insert", None)]


def test_a_transaction_may_say_who_acts(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('before');"
             "SELECT pg_logical_emit_message(true, 'grapnel', '{\"actor\":\"ada\",\"request\":7}');"
             "INSERT INTO users VALUES ('known');"
             "SELECT pg_logical_emit_message(true, 'other', '{\"actor\":\"eve\"}');"
             "UPDATE users SET name='x' WHERE id='known'")
    base.run("SELECT pg_logical_emit_message(true, 'grapnel', 'Bea \"B\"');"
             "INSERT INTO users VALUES ('named')")
    base.run("INSERT INTO users VALUES ('unknown')")
    assert [e["context"] for e in w.wait_for(5)] == [
        None, {"actor": "ada", "request": 7}, {"actor": "ada", "request": 7},
        {"actor": 'Bea "B"'}, None]


def test_other_tables_are_not_told(watch, base):
    w = watch(USERS + "CREATE TABLE secrets (id int PRIMARY KEY)")
    base.run("INSERT INTO secrets VALUES (1); INSERT INTO users VALUES ('U1')")
    base.run("ALTER PUBLICATION grapnel_rows ADD TABLE secrets")
    base.run("INSERT INTO secrets VALUES (2); INSERT INTO users VALUES ('U2')")
    assert [e["table"] for e in w.wait_for(2)] == ["users", "users"]
    assert w.status()["events"] == 2


def test_a_row_may_move_between_partitions(watch, base):
    w = watch("CREATE TABLE orders (id int, state text, PRIMARY KEY (id, state))"
              " PARTITION BY LIST (state);"
              "CREATE TABLE orders_open PARTITION OF orders FOR VALUES IN ('open');"
              "CREATE TABLE orders_rest PARTITION OF orders DEFAULT;"
              "INSERT INTO orders VALUES (1, 'open'), (2, 'gone')", "[orders]", ", snapshot: true")
    base.run("UPDATE orders SET state='done' WHERE id=1")
    events = w.wait_for(4)
    assert sorted((e["op"], e["key"]["id"]) for e in events[:2]) == [("snapshot", 1),
                                                                      ("snapshot", 2)]
    assert [(e["op"], e["table"], e["key"]["state"]) for e in events[2:]] == [
        ("delete", "orders", "open"), ("insert", "orders", "done")]
    assert events[2]["transaction"]["id"] == events[3]["transaction"]["id"]


def test_tables_may_change_their_columns(watch, base):
    w = watch()
    steps = ["INSERT INTO users VALUES ('1')",
             "ALTER TABLE users ADD phone text DEFAULT 'none'", "INSERT INTO users VALUES ('2')",
             "ALTER TABLE users DROP email", "UPDATE users SET name='x' WHERE id='1'",
             "ALTER TABLE users RENAME name TO called", "INSERT INTO users VALUES ('3')",
             "ALTER TABLE users ALTER logins TYPE text", "INSERT INTO users VALUES ('4')"]
    for step in steps:
        base.run(step)
    base.run("ALTER TABLE users ADD late int; INSERT INTO users VALUES ('5');"
             "ALTER TABLE users DROP late")
    assert [e["new"] for e in w.wait_for(6)] == [
        {"id": "1", "email": None, "name": None, "logins": 0},
        {"id": "2", "email": None, "name": None, "logins": 0, "phone": "none"},
        {"id": "1", "name": "x", "logins": 0, "phone": "none"},
        {"id": "3", "called": None, "logins": 0, "phone": "none"},
        {"id": "4", "called": None, "logins": "0", "phone": "none"},
        {"id": "5", "called": None, "logins": "0", "phone": "none", "late": None}]


# ---- large things ----

BLOBS = "CREATE TABLE blobs (id int PRIMARY KEY, title text, content text);" \
        "ALTER TABLE blobs ALTER content SET STORAGE EXTERNAL;"


def test_what_is_stored_out_of_line_and_did_not_change_is_named(watch, base):
    w = watch(BLOBS, "[blobs]")
    base.run("INSERT INTO blobs VALUES (1, 'a', repeat('x', 16384))")
    base.run("UPDATE blobs SET title='b'")
    base.run("UPDATE blobs SET content=repeat('y', 16384)")
    base.run("UPDATE blobs SET content=NULL")
    made, kept, changed, emptied = w.wait_for(4)
    assert made["new"]["content"] == "x" * 16384 and "missing" not in made
    assert kept["new"] == {"id": 1, "title": "b"} and kept["missing"] == ["content"]
    assert changed["new"]["content"] == "y" * 16384 and "missing" not in changed
    assert emptied["new"]["content"] is None and "missing" not in emptied


def test_what_did_not_change_is_known_from_the_row_before(watch, base):
    w = watch(BLOBS + "ALTER TABLE blobs REPLICA IDENTITY FULL", "[blobs]")
    base.run("INSERT INTO blobs VALUES (1, 'a', repeat('x', 16384))")
    base.run("UPDATE blobs SET title='b'")
    _, kept = w.wait_for(2)
    assert kept["new"] == {"id": 1, "title": "b", "content": "x" * 16384}
    assert kept["changed"] == ["title"] and "missing" not in kept


def test_a_value_may_have_20_megabytes(watch, base):
    w = watch(BLOBS, "[blobs]")
    base.run("INSERT INTO blobs VALUES (1, 'a', repeat('x', 20000000))")
    base.run("UPDATE blobs SET title='b'")
    made, kept = w.wait_for(2, LONG_S)
    assert made["new"]["content"] == "x" * 20000000
    assert kept["missing"] == ["content"]


READ = """
connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}"}}
flows: {each: {on: rows, subject: '.key.id + 0', steps: [{sent: {post: 'target:/x', body: .event}}]}}
"""


def test_what_can_never_be_taken_is_put_aside(watch, base):
    """An expression of the flow would read 20 MB, which jq does not: the rest goes on."""
    w = watch(BLOBS, "[blobs]", flows=READ)
    base.run("INSERT INTO blobs VALUES (1, 'a', repeat('x', 20000000))")
    base.run("INSERT INTO blobs VALUES (2, 'b', 'short')")
    assert w.wait_for(1)[0]["key"] == {"id": 2}
    assert w.status()["parked"] == 1


def test_each_of_100000_rows_of_one_statement_comes_once(watch, base):
    w = watch("CREATE TABLE t (id int PRIMARY KEY, text text)", "[t]", flows="")
    base.run("INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 100000) n")
    base.run("INSERT INTO t VALUES (0, 'the last')")
    w.counted(100001)
    assert w.status()["events"] == 100001 and w.status()["known"] == 0
    assert wait_until(lambda: w.gauge("lag_bytes") is not None, PATIENCE_S)


def test_a_large_transaction_takes_no_more_memory_than_a_small_one(watch, base):
    w = watch("CREATE TABLE t (id int PRIMARY KEY, text text)", "[t]", flows="")
    base.run("INSERT INTO t SELECT n, repeat('x', 5000) FROM generate_series(1, 30000) n")
    w.counted(30000)
    status = pathlib.Path(f"/proc/{w.daemon.process.pid}/status").read_text()
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    # It holds 150 MB. A sanitizer keeps what was freed for a while.
    assert SANITIZED or int(peak) < 120 * 1024


# 48 MB are the most that an event holds.
HUGE = "CREATE TABLE blobs (id int PRIMARY KEY, title text, content bytea);" \
       "ALTER TABLE blobs ALTER content SET STORAGE EXTERNAL;"


def test_what_is_too_large_for_an_event_is_named_and_the_rest_goes_on(watch, base):
    w = watch(HUGE + "ALTER TABLE blobs REPLICA IDENTITY FULL", "[blobs]")
    base.run("INSERT INTO blobs VALUES (1, 'a', convert_to(repeat('x', 30000000), 'UTF8'))")
    base.run("INSERT INTO blobs VALUES (2, 'b', 'short')")
    base.run("DELETE FROM blobs WHERE id=1")
    made, short, gone = w.wait_for(3, LONG_S)
    assert made["new"] == {"id": 1, "title": "a"} and made["missing"] == ["content"]
    assert short["new"]["content"] == "\\x" + b"short".hex()
    assert gone["previous"] == {"id": 1, "title": "a"}
    assert gone["previousMissing"] == "too-large"


def test_a_snapshot_names_what_is_too_large_too(watch, base):
    base.run(HUGE + "INSERT INTO blobs VALUES (1, 'a', convert_to(repeat('x', 30000000), 'UTF8'))")
    w = watch("", "[blobs]", ", snapshot: true")
    [event] = w.wait_for(1, LONG_S)
    assert event["new"] == {"id": 1, "title": "a"} and event["missing"] == ["content"]


# ---- the rows that are there ----


def state_of(events):
    """Of a table with the columns id and v, as whoever follows the events has it."""
    rows = {}
    for event in events:
        was = (event["previous"] or {}).get("id", event["key"]["id"])
        if event["op"] == "delete" or was != event["key"]["id"]:
            rows.pop(was, None)
        if event["op"] != "delete":
            rows[event["key"]["id"]] = event["new"]["v"]
    return rows


class Writer:
    """Changes rows of `t` (id, v) until it is stopped; `committed` holds each version that was."""

    def __init__(self, base, first_id=1000):
        self.base = base
        self.committed = set()
        self.unknown = set()  # the connection broke while they were committed
        self.next_id = first_id
        self._stops = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        v = 0
        while not self._stops.is_set():
            try:
                with contextlib.closing(psycopg2.connect(self.base.url)) as connection:
                    while not self._stops.is_set():
                        v += 1
                        self._write(connection, v)
                        self._stops.wait(0.005)  # events go one by one, and slower than rows
            except psycopg2.Error:
                self._stops.wait(0.02)  # the server is away

    def _write(self, connection, v):
        versions = {f"{v}.{n}" for n in range(3)}
        ids = [self.next_id, self.next_id - 1, self.next_id - 2]
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (%s, %s)", (ids[0], f"{v}.0"))
            for n in (1, 2):
                cursor.execute("INSERT INTO t VALUES (%s, %s) ON CONFLICT (id) DO UPDATE"
                               " SET v=excluded.v", (ids[n], f"{v}.{n}"))
        self.unknown |= versions
        self.next_id += 1
        connection.commit()
        self.unknown -= versions
        self.committed |= versions

    def done(self):
        """The number of versions so far."""
        return len(self.committed)

    def stop(self):
        """What was committed."""
        self._stops.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.committed


TABLE_T = "CREATE TABLE t (id int PRIMARY KEY, v text);"


def follow(w, base, patience=LONG_S):
    """Until the receiver has what is in the table, and all of it."""
    wanted = dict(base.run("SELECT id, v FROM t"))
    assert wait_until(lambda: state_of(w.arrived()) == wanted, patience), (
        w.status(), len(wanted), len(state_of(w.arrived())))


def test_rows_that_are_there_come_first_while_others_change(watch, base):
    base.run(TABLE_T + "INSERT INTO t SELECT n, 'old' FROM generate_series(1, 400) n")
    writer = Writer(base)
    w = watch("", "[t]", ", snapshot: true")
    assert wait_until(lambda: writer.done() > 150, PATIENCE_S)
    writer.stop()
    base.run("DELETE FROM t WHERE id < 100; UPDATE t SET v='new' WHERE id < 200")
    follow(w, base)
    events = w.arrived()
    first = [e for e in events if e["op"] == "snapshot"]
    assert events[:len(first)] == first and len(first) >= 400
    assert all(e["backfill"] and e["timeIs"] == "capture" and e["transaction"] is None
               for e in first)
    assert len({e["id"] for e in events}) == len(events)
    assert "backfill" not in events[-1] and w.gauge("backfill_rows") == len(first)


def test_a_snapshot_that_was_broken_off_begins_anew(watch, base):
    base.run(TABLE_T + "INSERT INTO t SELECT n, 'old' FROM generate_series(1, 60000) n")
    w = watch("", "[t]", ", snapshot: true", flows="", waits=False)
    assert wait_until(lambda: (w.gauge("backfill_rows") or 0) > 0, PATIENCE_S)
    w.daemon.kill()
    base.run("UPDATE t SET v='new' WHERE id <= 10; DELETE FROM t WHERE id=11")
    w.daemon.start()
    assert wait_until(lambda: (w.gauge("backfill_rows") or 0) == 59999 and
                      slot_of(base) and slot_of(base)[1], LONG_S), w.status()
    status = w.status()
    # What was handed in before was known, but for the ten that had changed; eleven changes came
    # out of the log.
    assert status["known"] > 0 and status["events"] + status["known"] == 59999 + 11
    base.run("INSERT INTO t VALUES (0, 'live')")
    w.counted(status["events"] + 1)


def test_a_reload_leaves_a_snapshot_alone(watch, base):
    base.run(TABLE_T + "INSERT INTO t SELECT n, 'old' FROM generate_series(1, 60000) n")
    w = watch("", "[t]", ", snapshot: true", flows="", waits=False)
    assert wait_until(lambda: (w.gauge("backfill_rows") or 0) > 0, PATIENCE_S)
    assert wait_until(lambda: w.gauge("lag_bytes") is not None, PATIENCE_S)
    assert w.gauge("backfill_rows") < 60000
    for n in range(3):
        w.daemon.reload(w.config + f'connections: {{c: {{url: "http://127.0.0.1:{n + 1}"}}}}\n')
    assert w.gauge("backfill_rows") < 60000
    assert wait_until(lambda: (w.gauge("backfill_rows") or 0) == 60000, LONG_S), w.status()
    assert w.status()["events"] == 60000 and w.status()["known"] == 0


SOME = """
endpoints:
  some: {url: "http://127.0.0.1:${TARGET_PORT}/some", on: rows, match: {table: few},
         order: subject, profile: none}
"""


def test_what_a_broken_off_snapshot_has_told_is_taken_back(watch, base):
    """A row that was told of and is deleted before the next snapshot is in neither."""
    base.run("CREATE TABLE few (id int PRIMARY KEY, v text); INSERT INTO few"
             " SELECT n, 'old' FROM generate_series(1, 300) n; CREATE TABLE t (id int PRIMARY KEY,"
             " v text); INSERT INTO t SELECT n, 'old' FROM generate_series(1, 60000) n")
    w = watch("", "[few, t]", ", snapshot: true", flows=SOME, waits=False)
    # The few are all there; the others last.
    assert wait_until(lambda: len(state_of(w.arrived())) == 300, PATIENCE_S)
    for n in range(3):
        assert (w.gauge("backfill_rows") or 0) < 50000
        w.daemon.kill()
        base.run("DELETE FROM few WHERE id=%s; UPDATE few SET id=%s WHERE id=%s",
                 (10 + n, 1000 + n, 20 + n))
        for v in (1, 2):
            base.run("UPDATE few SET v=%s WHERE id=30", (f"version {n}.{v}",))
        if n == 2:
            base.run("DELETE FROM few WHERE id > 200 AND id < 300")
        w.daemon.start()
        assert wait_until(lambda: (w.gauge("backfill_rows") or 0) > 512, PATIENCE_S), w.status()
    wanted = dict(base.run("SELECT id, v FROM few"))
    assert wait_until(lambda: state_of(w.arrived()) == wanted, LONG_S), (
        w.status(), sorted(set(state_of(w.arrived())) ^ set(wanted)))
    assert wait_until(lambda: (w.gauge("backfill_rows") or 0) == 60000 + len(wanted), LONG_S)
    versions = [e["new"]["v"] for e in w.arrived() if e["key"]["id"] == 30]
    assert versions == sorted(versions) and versions[-1] == "version 2.2"
    base.run("DELETE FROM few WHERE id=1")
    del wanted[1]
    assert wait_until(lambda: state_of(w.arrived()) == wanted, PATIENCE_S)


def test_a_snapshot_heeds_the_publication(scene, base):
    """Columns and rows that the application's owner lets through, and no others."""
    base.run(USERS + "INSERT INTO users VALUES ('a', 'secret', 'Ada', 1), ('b', 'secret', 'Bea', 9);"
             "CREATE PUBLICATION chosen FOR TABLE users (id, logins) WHERE (id <> 'b')")
    w = Replicated(scene, CONFIG % ("[users]", ", snapshot: true, publication: chosen") + FORWARD,
                   DATABASE=base.url).ready()
    base.run("INSERT INTO users VALUES ('c', 'secret', 'Cia', 2)")
    assert [e["new"] for e in w.wait_for(2)] == [{"id": "a", "logins": 1}, {"id": "c", "logins": 2}]
    w.daemon.stop()
    assert w.command("trigger", "uninstall", "rows", "--apply").returncode == 0
    assert base.run("SELECT count(*) FROM pg_publication") == [(1,)]  # it is not ours
    assert slot_of(base) is None


def test_a_snapshot_heeds_row_security_and_no_limits_of_the_role(scene, base):
    """Rows that the role may not see are not left out in silence."""
    base.run(USERS + "INSERT INTO users SELECT n::text FROM generate_series(1, 20000) n;"
             "CREATE ROLE reader LOGIN REPLICATION; GRANT SELECT ON users TO reader;"
             "ALTER ROLE reader SET statement_timeout='1ms';"
             "ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    try:
        config = CONFIG % ("[users]", ", snapshot: true")
        folder = scene.folder / "daemon0"
        folder.mkdir(parents=True)
        (folder / "grapnel.yaml").write_text(config)
        done = grapnel(folder, {**os.environ, **scene.environment, "DATABASE": base.url}, "trigger",
                       "install", "rows", "--apply")
        assert done.returncode == 0, done.stderr
        w = Replicated(scene, config, installs=False,
                       DATABASE=base.cluster.url(base.name, "reader"))
        assert wait_until(lambda: "row-level security" in (w.status() or {}).get("why", ""),
                          PATIENCE_S), w.status()
        base.run("ALTER TABLE users DISABLE ROW LEVEL SECURITY")
        w.counted(20000)
        w.daemon.stop()
    finally:
        forget_slots(base.cluster)
        base.run("DROP OWNED BY reader; DROP ROLE reader")


# ---- killed ----


def check_versions(w, writer):
    """Each version that was committed has come, none that was not, and what came twice bears one
    id."""
    committed = writer.stop()

    def told():
        return {e["new"]["v"] for e in w.arrived() if e["new"]}

    # Of a commit whose answer never came, nobody but the table knows.
    assert wait_until(lambda: committed <= told(), LONG_S), (len(committed), len(told()),
                                                             w.status())
    assert told() <= committed | writer.unknown
    ids = {}
    for event in w.arrived():
        assert ids.setdefault(event["new"]["v"], event["id"]) == event["id"]
    follow(w, writer.base)


def test_nothing_is_lost_when_grapnel_is_killed(watch, base):
    w = watch(TABLE_T, "[t]")
    writer = Writer(base)
    for _ in range(4):
        before, came = writer.done(), len(w.scene.target.requests)
        assert wait_until(lambda n=before: writer.done() > n + 30, PATIENCE_S)
        assert wait_until(lambda n=came: len(w.scene.target.requests) > n + 5, PATIENCE_S)
        w.daemon.kill()
        w.daemon.start()
    check_versions(w, writer)


def test_nothing_is_lost_when_the_server_is_killed(watch, base, cluster):
    w = watch(TABLE_T, "[t]")
    writer = Writer(base)
    for _ in range(2):
        before = writer.done()
        assert wait_until(lambda n=before: writer.done() > n + 30, PATIENCE_S)
        cluster.stop(signal.SIGQUIT)
        assert wait_until(lambda: w.status()["state"] == "failing", PATIENCE_S)
        assert ask(w.daemon.admin, "GET", "/healthz").json["status"] == "degraded"
        cluster.start()
        w.wait_state("working")
    check_versions(w, writer)


def test_a_transaction_is_acknowledged_when_it_is_in_the_ledger(watch, base):
    """Killed in the middle of a large one, all of it is read again and known by its ids."""
    w = watch("CREATE TABLE t (id int PRIMARY KEY, v text)", "[t]", flows="")
    place = slot_of(base)[2]
    base.run("INSERT INTO t SELECT n, repeat('x', 300) FROM generate_series(1, 60000) n")
    end = base.run("SELECT pg_current_wal_lsn()::text")[0][0]
    assert wait_until(lambda: w.status()["events"] > 2000, PATIENCE_S)
    w.daemon.kill()
    assert wait_until(lambda: not slot_of(base)[1], PATIENCE_S)
    # Keepalives may move it up to the commit's record, and no further.
    before = base.run("SELECT confirmed_flush_lsn < %s::pg_lsn, confirmed_flush_lsn >= %s::pg_lsn"
                      " FROM pg_replication_slots", (end, place))
    assert before == [(True, True)]
    w.daemon.start()
    assert wait_until(lambda: (w.status() or {}).get("known", 0) + w.status()["events"] >= 60000,
                      LONG_S), w.status()
    assert w.status()["known"] > 2000 and w.status()["events"] < 58000


def test_a_ledger_that_was_busy_for_long_leaves_no_trace(watch, base):
    w = watch(TABLE_T, "[t]", flows="")
    with contextlib.closing(sqlite3.connect(w.daemon.folder / "grapnel.db",
                                            isolation_level=None)) as ledger:
        ledger.execute("BEGIN IMMEDIATE")
        base.run("INSERT INTO t VALUES (1, 'x')")
        assert "try again" in w.wait_state("failing")["why"]
        ledger.execute("ROLLBACK")
    assert "why" not in w.wait_state("working")
    assert w.status()["events"] == 1


def test_options_may_change_while_it_reads(watch, base):
    w = watch(TABLE_T, "[t]")
    writer = Writer(base)
    for heartbeat in ("100ms", "300ms", "400ms"):
        before = writer.done()
        assert wait_until(lambda n=before: writer.done() > n + 30, PATIENCE_S)
        w.daemon.reload((CONFIG % ("[t]", "") + FORWARD).replace("200ms", heartbeat))
    check_versions(w, writer)
    assert w.status()["state"] == "working"


def test_a_stop_forgets_nothing_and_repeats_nothing(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('1')")
    w.wait_for(1)
    assert w.daemon.stop() == 0
    base.run("INSERT INTO users VALUES ('2')")
    w.daemon.start()
    base.run("INSERT INTO users VALUES ('3')")
    assert [e["key"]["id"] for e in w.wait_for(3)] == ["1", "2", "3"]


# ---- the slot ----


def test_an_idle_table_keeps_nothing_of_the_log(watch, base):
    """Other tables are busy; the slot moves on all the same."""
    w = watch(USERS + "CREATE TABLE busy (id int, text text)")
    before = slot_of(base)[2]
    base.run("INSERT INTO busy SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n")
    [(end,)] = base.run("SELECT pg_current_wal_lsn()::text")
    assert wait_until(lambda: base.run(
        "SELECT confirmed_flush_lsn >= %s::pg_lsn AND confirmed_flush_lsn > %s::pg_lsn"
        " FROM pg_replication_slots", (end, before)) == [(True,)], PATIENCE_S)
    assert wait_until(lambda: w.gauge("slot_state") == 0, PATIENCE_S)
    assert wait_until(lambda: w.gauge("heartbeat_ms") is not None, PATIENCE_S)
    assert "lag_bytes" in ask(w.daemon.admin, "GET", "/metrics").body.decode()


SMALL = {**LOGICAL, "max_slot_wal_keep_size": "4MB", "max_wal_size": "8MB", "min_wal_size": "2MB"}


@pytest.fixture(scope="module", name="small")
def a_small_cluster():
    """Its log comes in pieces of one megabyte, and it keeps four of them."""
    with Cluster(SMALL, initdb=["--wal-segsize=1"]) as cluster:
        yield cluster


def fill_log(base, megabytes):
    """Writes so much of it."""
    base.run("CREATE TABLE IF NOT EXISTS filler (text text)")
    for _ in range(megabytes):
        base.run("INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 1000)")


CAPPED = CONFIG.replace("max_lag: 1G, ", "")


def test_a_lost_slot_is_said_and_can_be_begun_anew(scene, small):
    forget_slots(small)
    base = new_base(small, "app")
    base.run(USERS + "INSERT INTO users VALUES ('U1')")
    w = Replicated(scene, CAPPED % ("[users]", ", snapshot: true") + FORWARD,
                   DATABASE=base.url).ready()
    w.wait_for(1)
    # The snapshot is over once the slot is read.
    assert wait_until(lambda: slot_of(base)[1], PATIENCE_S)
    w.daemon.stop()
    base.run("INSERT INTO users VALUES ('U2')")
    fill_log(base, 12)
    with contextlib.closing(base.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
    assert slot_of(base)[0] == "lost"
    w.daemon.start()
    status = w.wait_state("broken")
    assert "lost" in status["why"] and "trigger uninstall rows --apply" in status["why"]
    assert status["gauges"]["slot_state"] == 3
    assert ask(w.daemon.admin, "GET", "/healthz").json["status"] == "degraded"
    server = f"http://127.0.0.1:{w.daemon.admin}"
    said = w.command("trigger", "status", "--server", server)
    assert said.returncode == 1 and "broken" in said.stdout
    for verb in ("uninstall", "install"):
        done = w.command("trigger", verb, "rows", "--apply")
        assert done.returncode == 0, done.stderr
    w.daemon.stop()
    w.daemon.start()
    w.wait_state("working")
    base.run("INSERT INTO users VALUES ('U3')")
    w.wait_for(4)
    assert [(e["op"], e["key"]["id"]) for e in w.arrived()] == [
        ("snapshot", "U1"), ("snapshot", "U1"), ("snapshot", "U2"), ("insert", "U3")]
    assert len({e["id"] for e in w.arrived()}) == 4


def test_a_slot_that_is_gone_is_said(watch, base):
    w = watch()
    w.daemon.stop()
    base.run("SELECT pg_drop_replication_slot('grapnel_rows')")
    w.daemon.start()
    assert "slot is gone" in w.wait_state("broken")["why"]


def test_what_is_beyond_the_cap_is_caught_up(watch, base):
    """Whoever was away for long reads on: the cap is for those who cannot."""
    w = watch(more=", slot: mine", flows=FORWARD)
    w.daemon.stop()
    base.run("INSERT INTO users VALUES ('U1')")
    fill_log(base, 3)
    w.daemon.write((CONFIG % ("[users]", ", slot: mine") + FORWARD).replace("1G", "1M"))
    w.daemon.start()
    assert w.wait_for(1)[0]["key"] == {"id": "U1"}
    assert slot_of(base, "mine")


def test_the_slot_of_one_who_cannot_go_on_is_given_up(watch, base):
    w = watch()
    w.daemon.stop()
    base.run("DROP PUBLICATION grapnel_rows")
    fill_log(base, 3)
    w.daemon.start()
    assert "has no publication" in w.wait_state("broken")["why"] and slot_of(base)
    w.daemon.stop()
    w.daemon.write((CONFIG % ("[users]", "") + FORWARD).replace("1G", "1M"))
    w.daemon.start()
    why = w.wait_state("broken")["why"]
    assert "max_lag" in why and "has no publication" in why and slot_of(base) is None


def test_a_slot_of_somebody_else_is_left_alone(watch, base):
    base.run("SELECT pg_create_logical_replication_slot('grapnel_rows', 'pgoutput')")
    w = watch(waits=False)
    assert "did not make it" in w.wait_state("broken")["why"]
    w.daemon.stop()
    base.run("SELECT pg_drop_replication_slot('grapnel_rows')")
    base.run("SELECT pg_create_logical_replication_slot('grapnel_rows', 'test_decoding')")
    w.daemon.start()
    assert "another name" in w.wait_state("broken")["why"] and slot_of(base)


# ---- what has to be there ----


def test_no_slot_without_a_limit(scene, base):
    base.run(USERS)
    w = Replicated(scene, CAPPED % ("[users]", "") + FORWARD, DATABASE=base.url)
    assert "max_lag" in w.wait_state("broken")["why"] and slot_of(base) is None


def test_install_says_what_it_does_and_takes_it_back(watch, base, scene):
    w = watch(USERS + "CREATE TABLE logs (text text);")
    shown = w.command("trigger", "install", "rows").stdout
    assert "CREATE PUBLICATION" not in shown  # it is there, with all of its tables
    assert '--   ALTER TABLE "public"."users" REPLICA IDENTITY FULL;' in shown
    assert "max_slot_wal_keep_size" in shown and "wal_level" not in shown
    base.run("CREATE TABLE more (id int PRIMARY KEY)")
    w.daemon.write(CONFIG % ("[users, more]", "") + FORWARD)
    assert 'ALTER PUBLICATION "grapnel_rows" ADD TABLE "public"."more";' in w.command(
        "trigger", "install", "rows").stdout
    w.install()
    w.daemon.stop()
    assert w.command("trigger", "uninstall", "rows", "--apply").returncode == 0
    assert base.run("SELECT count(*) FROM pg_publication") == [(0,)] and slot_of(base) is None
    assert 'CREATE PUBLICATION "grapnel_rows" FOR TABLE "public"."users", "public"."more"' in \
        w.command("trigger", "install", "rows").stdout
    assert w.command("trigger", "uninstall", "rows", "--apply").returncode == 0  # once more
    assert scene.target.requests == []


@pytest.mark.parametrize("table", [
    "CREATE TABLE logs (text text)",
    "CREATE TABLE logs (id int PRIMARY KEY); ALTER TABLE logs REPLICA IDENTITY NOTHING",
    "CREATE TABLE logs (text text) PARTITION BY LIST (text);"
    "CREATE TABLE logs_rest PARTITION OF logs DEFAULT"])
def test_a_table_whose_rows_cannot_be_told_apart_is_refused(watch, base, table):
    w = watch(USERS + table)
    w.daemon.write(CONFIG % ("[users, logs]", "") + FORWARD)
    done = w.command("trigger", "install", "rows", "--apply")
    assert done.returncode == 1 and "REPLICA IDENTITY FULL" in done.stderr, done.stderr
    base.run("INSERT INTO logs VALUES (1)")
    base.run("DELETE FROM logs")  # the application is not hurt


def test_a_table_without_a_key_may_log_whole_rows(watch, base):
    w = watch("CREATE TABLE logs (text text); ALTER TABLE logs REPLICA IDENTITY FULL;"
              "INSERT INTO logs VALUES ('old'), ('old')", "[logs]", ", snapshot: true")
    base.run("INSERT INTO logs VALUES ('a'); UPDATE logs SET text='b' WHERE text='a'")
    events = w.wait_for(4)
    assert [e["new"]["text"] for e in events] == ["old", "old", "a", "b"]
    assert all(e["key"] is None for e in events) and events[3]["changed"] == ["text"]
    assert len({e["id"] for e in events}) == 4


@pytest.mark.parametrize("broken, told", [
    ("DROP PUBLICATION grapnel_rows", "no publication grapnel_rows"),
    ("ALTER PUBLICATION grapnel_rows DROP TABLE users", "not in publication"),
    ("DROP TABLE users", "no table public.users"),
    ("CREATE ROLE weak LOGIN; GRANT SELECT ON users TO weak", "ALTER ROLE weak REPLICATION")])
def test_what_is_missing_is_named(watch, base, scene, broken, told):
    base.run(USERS + "CREATE TABLE other (id int PRIMARY KEY)")
    w = watch("", "[users]", waits=False)
    w.ready()
    w.daemon.stop()
    base.run(broken)
    w.daemon.environment["DATABASE"] = (base.cluster.url(base.name, "weak") if "weak" in broken
                                        else base.url)
    w.daemon.start()
    assert told in w.wait_state("broken")["why"]
    w.daemon.stop()
    if "weak" in broken:
        base.run("DROP OWNED BY weak; DROP ROLE weak")
    assert scene.target.requests == []


@pytest.mark.parametrize("broken, told", [
    ("ALTER PUBLICATION grapnel_rows DROP TABLE users", "not in publication"),
    ("ALTER TABLE users RENAME TO people", "no table public.users"),
    ("DROP PUBLICATION grapnel_rows; CREATE PUBLICATION grapnel_rows FOR TABLE users",
     "publication was made anew")])
def test_what_goes_missing_while_it_reads_is_named(watch, base, broken, told):
    w = watch()
    base.run("INSERT INTO users VALUES ('1')")
    w.wait_for(1)
    base.run(broken)
    assert told in w.wait_state("broken")["why"]


def test_a_server_without_logical_decoding_is_named(scene):
    with Cluster() as plain:
        base = new_base(plain, "app")
        base.run(USERS)
        w = Replicated(scene, CONFIG % ("[users]", "") + FORWARD, DATABASE=base.url)
        assert "wal_level = logical" in w.wait_state("broken")["why"]
        assert "ALTER SYSTEM SET wal_level" in w.command("trigger", "install", "rows").stdout
        w.daemon.stop()


@pytest.mark.parametrize("trigger, told", [
    ("replication: other, tables: [t]", "no database 'other'"),
    ("replication: app, tables: t", "list of from 1 to 200"),
    ("replication: app, tables: [a.b.c]", "schema.name"),
    ("replication: app, tables: [t], slot: Big", "slot: a name"),
    ("replication: app, tables: [t], max_lag: 1K", "max_lag"),
    ("replication: app, tables: [t], heartbeat: 1ms", "heartbeat"),
    ("replication: lite, tables: [t]", "SQLite")])
def test_bad_options_are_refused(tmp_path, trigger, told):
    (tmp_path / "grapnel.yaml").write_text(
        'databases: {app: {url: "postgresql://x@localhost/x"}, lite: {url: "sqlite:x.db"}}\n'
        "sources: {rows: {trigger: {%s}}}\n" % trigger)
    done = grapnel(tmp_path, None, "check")
    assert done.returncode != 0 and told in done.stderr, done.stderr
