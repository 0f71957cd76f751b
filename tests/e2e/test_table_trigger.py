# SPDX-License-Identifier: Apache-2.0
"""An outbox that the application writes itself: each committed row is one event, as it stands, and
is gone from the table, or marked, once that is recorded."""

import json
import re
import sqlite3
import uuid
from pathlib import Path

import pytest

from databases import FORWARD, Cluster, Watched, new_base, programs
from harness import wait_until

pytestmark = pytest.mark.skipif(not programs(), reason="there is no PostgreSQL server here")

OUTBOX = """
CREATE TABLE outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text NOT NULL,
  aggregateid text NOT NULL, type text NOT NULL, payload %s, %s
  timestamp timestamptz NOT NULL DEFAULT clock_timestamp());
"""
CONFIG = """
databases: {app: {url: "${DATABASE}"}}
sources: {rows: {trigger: {table: app%s}}}
"""
# What steps see goes to the target: body and meta.
SHOW = """
connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}"}}
flows:
  show:
    on: rows
    subject: '.n + 0'
    steps: [{sent: {post: 'target:/seen', body: '{event: .event, meta: .meta}'}}]
"""
ONLY_RECORD = """
flows:
  none: {on: rows, match: {.op: never}, steps: [{done: {skip: 'never'}}]}
"""
DELETES = " query LIKE 'DELETE FROM \"public\".\"outbox\"%' AND wait_event_type='Lock'"
PUT = "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES (%s, %s, %s, %s)"


@pytest.fixture(scope="module", name="cluster")
def a_cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(name="base")
def a_base(cluster):
    return new_base(cluster, "app")


@pytest.fixture(name="watch")
def a_watch(scene, base):
    def start(options="", payload="jsonb", columns="", more=FORWARD, schema=OUTBOX):
        base.run(schema % (payload, columns) if "%s" in schema else schema)
        return Watched(scene, CONFIG % options + more, installs=False, DATABASE=base.url)

    return start


def left(base, where="true"):
    """How many rows are in the table."""
    return base.run(f"SELECT count(*) FROM outbox WHERE {where}")[0][0]


def gone(base):
    """The table is empty, in the end."""
    return wait_until(lambda: left(base) == 0, 20)


# ---- one row ----


def test_a_row_is_an_event_as_it_stands(watch, base):
    w = watch(payload="json", columns="tenant text DEFAULT 'acme', attempt int DEFAULT 3,")
    body = '{"total": 12.50,  "big": 12345678901234567890, "of": "é\\u00e9"}'
    base.run(PUT, ("order", "17", "order.placed", body))
    w.wait_for(1)
    assert w.scene.target.requests[0].body == body.encode()
    assert gone(base)
    event = w.daemon.event(w.daemon.events()[0]["id"])
    assert event["type"] == "order.placed" and event["subject"] == "order/17"
    assert w.status()["events"] == 1 and w.status()["parked"] == 0


def test_steps_see_the_other_columns(watch, base):
    w = watch(columns="tenant text DEFAULT 'acme', tags text[] DEFAULT '{a,b}', long text,",
              more=SHOW)
    key = str(uuid.uuid4())
    base.run("INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, long, timestamp)"
             " VALUES (%s, 'order', '17', 'order.placed', '{\"n\": 1}', repeat('x', 5000),"
             " '2026-01-31 12:00:00.5+02')", (key,))
    seen = w.wait_for(1)[0]
    assert seen["event"] == {"n": 1}
    row = seen["meta"]["outbox"]
    assert row["id"] == key and row["aggregatetype"] == "order" and row["aggregateid"] == "17"
    assert row["tenant"] == "acme" and row["tags"] == ["a", "b"] and "payload" not in row
    assert seen["meta"]["outboxMissing"] == ["long"]
    assert seen["meta"]["time"] == "2026-01-31T10:00:00.500Z"


@pytest.mark.parametrize("kind, value, sent", [
    ("jsonb", '{"b":1,"a":[1.0,null]}', b'{"a": [1.0, null], "b": 1}'),
    ("json", '{"b":1,"a" : 1}', b'{"b":1,"a" : 1}'),
    ("text", ' [1, 2]\n', b' [1, 2]\n'),
    ("varchar(99)", '"a text"', b'"a text"'),
    ("bytea", b'{"a":"\xc3\xa9"}', b'{"a":"\xc3\xa9"}'),
    ("json", None, b"null"),
])
def test_each_type_of_payload(watch, base, kind, value, sent):
    w = watch(payload=kind)
    base.run(PUT, ("order", "1", "t", value))
    w.wait_for(1)
    assert w.scene.target.requests[0].body == sent


def test_a_row_with_odd_columns_is_taken(watch, base):
    w = watch(columns="note json, t2 text, ", more=SHOW)
    base.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload, note, t2, timestamp) VALUES"
             " ('a', '1', 't', '{\"n\": 1}', (repeat('[', 1500) || repeat(']', 1500))::json, %s,"
             " 'infinity')", ('"\\\x01\u2028',))
    seen = w.wait_for(1)[0]
    assert seen["meta"]["outbox"]["t2"] == '"\\\x01\u2028'
    assert seen["meta"]["outboxMissing"] == ["note"]
    assert seen["meta"]["outbox"]["timestamp"] == "infinity"


def test_columns_of_other_names(watch, base):
    w = watch(", name: shop.events, id: event_no, aggregatetype: none, aggregateid: who, "
              "type: kind, payload: body, time: 'At', order: event_no", more=SHOW,
              schema="CREATE SCHEMA shop; CREATE TABLE shop.events (event_no bigint PRIMARY KEY, who"
                     " text, kind varchar, body text, \"At\" bigint)")
    base.run("INSERT INTO shop.events VALUES (7, 'U1', 'a.b', '{\"n\": 1}', 1769860800000)")
    seen = w.wait_for(1)[0]
    assert seen["meta"]["type"] == "a.b" and seen["meta"]["time"] == "2026-01-31T12:00:00.000Z"
    assert w.daemon.event(w.daemon.events()[0]["id"])["subject"] in ("U1", "1")
    assert wait_until(lambda: base.run("SELECT count(*) FROM shop.events") == [(0,)], 20)


@pytest.mark.parametrize("column, value", [("done boolean", True), ("done timestamptz", None)])
def test_rows_that_are_marked_stay(watch, base, column, value):
    w = watch(", after: mark done", columns=column + ",")
    for n in range(3):
        base.run(PUT, ("order", str(n), "t", json.dumps({"n": n})))
        w.wait_for(n + 1)
    assert wait_until(lambda: left(base, "done IS NOT NULL") == 3, 20)
    marks = base.run("SELECT DISTINCT done FROM outbox")
    assert marks == [(True,)] if value else len(marks) == 3
    assert w.status()["known"] == 0 and len(w.arrived()) == 3


# ---- who commits when ----


def test_a_slower_transaction_with_a_lower_order_is_not_skipped(watch, base):
    w = watch(", order: seq", columns="seq bigserial,")
    slow, fast = base.connect(), base.connect()
    slow.autocommit = False
    with slow.cursor() as cursor:
        cursor.execute(PUT, ("order", "1", "t", '{"who": "slow"}'))
    with fast.cursor() as cursor:
        cursor.execute(PUT, ("order", "1", "t", '{"who": "fast"}'))
    assert w.wait_for(1) == [{"who": "fast"}]
    assert gone(base)
    slow.commit()
    assert w.wait_for(2)[1] == {"who": "slow"}
    assert gone(base)


def test_a_transaction_that_fails_makes_no_event(watch, base):
    w = watch()
    with pytest.raises(Exception, match="division"):
        base.run(PUT + "; SELECT 1/0", ("order", "1", "t", '{"n": 1}'))
    base.run("BEGIN; SAVEPOINT s; " + PUT + "; ROLLBACK TO s", ("order", "1", "t", '{"n": 2}'))
    base.run(PUT, ("order", "1", "t", '{"n": 3}'))
    assert w.wait_for(1) == [{"n": 3}]


def test_rows_go_in_the_order_that_was_asked_for(watch, base):
    w = watch(", order: seq", columns="seq bigint,")
    base.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload, seq) SELECT 'order',"
             " n::text, 't', jsonb_build_object('n', 1001 - n), 1001 - n"
             " FROM generate_series(1, 1000) n")
    assert [e["n"] for e in w.wait_for(1000)] == list(range(1, 1001))


def test_what_a_transaction_inserts_and_deletes_is_not_seen(watch, base):
    """Debezium's usual trick: only the log ever holds such a row."""
    w = watch()
    base.run(PUT + "; DELETE FROM outbox", ("order", "1", "t", '{"n": 1}'))
    base.run(PUT, ("order", "1", "t", '{"n": 2}'))
    assert w.wait_for(1) == [{"n": 2}]


@pytest.mark.parametrize("key, columns", [
    ("bigserial", "1001 - n, clock_timestamp()"),  # by id, whatever the time says
    ("uuid", "gen_random_uuid(), '2026-01-01'::timestamptz + (1001 - n) * interval '1 s'")])
def test_without_order_the_id_counts_or_the_time(watch, base, key, columns):
    w = watch(schema=OUTBOX.replace("id uuid PRIMARY KEY DEFAULT gen_random_uuid()",
                                    f"id {key} PRIMARY KEY") % ("jsonb", ""))
    base.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload, id, timestamp) SELECT"
             f" 'order', '1', 't', jsonb_build_object('n', 1001 - n), {columns}"
             " FROM generate_series(1, 1000) n")
    assert [e["n"] for e in w.wait_for(1000)] == list(range(1, 1001))
    assert gone(base)


@pytest.mark.parametrize("key, value", [
    ("char(12)", "abc"), ("varchar(9)", 'a"b\\{,}'), ("smallint", "-7"), ("an_id", "x"),
    ("a_kind", "y"), ("timestamptz", "2026-01-31 12:00:00.123456+00")])
def test_ids_of_any_type(watch, base, key, value):
    base.run("CREATE DOMAIN an_id AS text CHECK (VALUE <> ''); CREATE TYPE a_kind AS ENUM ('y', 'z')")
    w = watch(schema=f"CREATE TABLE outbox (id {key} PRIMARY KEY, aggregatetype text,"
                     " aggregateid text, type text, payload jsonb)")
    base.run("INSERT INTO outbox VALUES (%s, NULL, NULL, NULL, '{}')", (value,))
    assert w.wait_for(1) == [{}]
    assert gone(base)
    assert w.status()["state"] == "working" and w.status()["events"] == 1


def test_a_table_made_anew_counts_from_one_again(watch, base):
    """Whoever goes by the number alone takes its rows for repeats, and deletes them."""
    schema = ("CREATE TABLE outbox (id bigserial PRIMARY KEY, aggregatetype text, aggregateid text,"
              " type text, payload jsonb)")
    w = watch(schema=schema)
    base.run(PUT, ("order", "1", "made", '{"n": 1}'))
    w.wait_for(1)
    assert gone(base)
    base.run("DROP TABLE outbox; " + schema)
    base.run(PUT, ("order", "1", "made", '{"n": 2}'))
    assert [e["n"] for e in w.wait_for(2)] == [1, 2]


def test_a_partitioned_table(watch, base):
    w = watch(schema="CREATE TABLE outbox (id bigserial, day int, aggregatetype text, aggregateid"
                     " text, type text, payload jsonb, PRIMARY KEY (id, day)) PARTITION BY LIST (day);"
                     "CREATE TABLE outbox_1 PARTITION OF outbox FOR VALUES IN (1);"
                     "CREATE TABLE outbox_2 PARTITION OF outbox FOR VALUES IN (2)")
    base.run("INSERT INTO outbox (day, payload) SELECT 1 + n % 2, jsonb_build_object('n', n)"
             " FROM generate_series(1, 10) n")
    assert [e["n"] for e in w.wait_for(10)] == list(range(1, 11))
    assert gone(base)


# ---- waking, and the way there ----


def test_the_reader_is_woken(watch, base):
    """With a rest of a minute, nothing else can have brought the second row in time."""
    w = watch(', notify: "the Outbox", poll: 60s')
    base.run(PUT + '; NOTIFY "the Outbox"', ("order", "1", "t", '{"n": 1}'))
    w.wait_for(1)
    assert gone(base)
    base.run(PUT + '; NOTIFY "the Outbox", \'a text\'', ("order", "1", "t", '{"n": 2}'))
    assert w.wait_for(2, 20)[1] == {"n": 2}


def test_the_database_goes_away_and_comes_back(watch, base, cluster):
    w = watch()
    w.wait_state("working")
    cluster.stop()
    try:
        assert wait_until(lambda: w.status()["state"] == "failing" and w.status()["why"], 20)
        assert w.daemon.api("/healthz")["status"] == "degraded"
    finally:
        cluster.start()
    base.run(PUT, ("order", "1", "t", '{"n": 1}'))
    assert w.wait_for(1, 70) == [{"n": 1}]
    assert gone(base) and w.wait_state("working")


# ---- many, and large ----


def test_a_hundred_thousand_rows(watch, base):
    w = watch(", order: seq", columns="seq bigserial,", more=ONLY_RECORD)
    base.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload) SELECT 'order', n::text,"
             " 't', jsonb_build_object('n', n) FROM generate_series(1, 100000) n")
    assert wait_until(lambda: w.status()["events"] == 100000, 120), w.status()
    assert w.status()["known"] == 0
    assert gone(base)


def test_large_payloads(watch, base):
    """More than one answer may hold: it comes in several, one row at least in each."""
    w = watch(", order: seq", columns="seq bigserial,", payload="text")
    base.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload) SELECT 'order', n::text,"
             " 't', '{\"n\":' || n || ',\"big\":\"' || repeat('x', 5*1024*1024) || '\"}'"
             " FROM generate_series(1, 6) n")
    events = w.wait_for(6, 60)
    assert [e["n"] for e in events] == [1, 2, 3, 4, 5, 6]
    assert all(len(e["big"]) == 5 * 1024 * 1024 for e in events)
    assert gone(base)


# ---- what cannot be taken ----


@pytest.mark.parametrize("kind, value", [("text", "no JSON at all"), ("bytea", b"\x00\xff"),
                                         ("text", "")])
def test_a_payload_that_is_no_json_is_put_aside(watch, base, kind, value):
    w = watch(", order: seq", columns="seq bigserial,", payload=kind)
    good = '{"n": %d}' if kind == "text" else b'{"n": %d}'
    base.run(PUT, ("order", "1", "t", good % 1))
    base.run(PUT, ("order", "1", "t", value))
    base.run(PUT, ("order", "1", "t", good % 2))
    assert w.wait_for(2) == [{"n": 1}, {"n": 2}]
    assert wait_until(lambda: w.status()["parked"] == 1, 10)
    assert gone(base)
    assert w.daemon.api("/healthz")["status"] == "degraded"
    with sqlite3.connect(w.daemon.folder / "grapnel.db-triggers") as notes:
        (note,), = notes.execute("SELECT value FROM note WHERE CAST(key AS TEXT) LIKE 'parked/%'")
    kept = json.loads(note)
    assert kept["why"].startswith("column payload of the row is no JSON")
    assert kept["event"] == (value if kind == "text" else "\\x" + value.hex())


def test_a_large_payload_that_is_no_json_is_kept_whole(watch, base):
    w = watch(payload="text")
    base.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('o', '1', 't',"
             " repeat('no JSON ', 300000))")
    assert wait_until(lambda: w.status()["parked"] == 1, 20)
    with sqlite3.connect(w.daemon.folder / "grapnel.db-triggers") as notes:
        (note,), = notes.execute("SELECT value FROM note WHERE CAST(key AS TEXT) LIKE 'parked/%'")
    assert json.loads(note)["event"] == "no JSON " * 300000


def test_a_row_that_is_too_large_stays_and_the_others_go(watch, base):
    w = watch(", order: seq", columns="seq bigserial,", payload="text")
    base.run("INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES"
             " ('o', '1', 'big', '\"' || repeat('x', 66*1024*1024) || '\"')")
    base.run(PUT, ("o", "1", "t", '{"n": 2}'))
    assert w.wait_for(1, 30) == [{"n": 2}]
    assert wait_until(lambda: left(base) == 1, 20)
    with sqlite3.connect(w.daemon.folder / "grapnel.db-triggers") as notes:
        (note,), = notes.execute("SELECT value FROM note WHERE CAST(key AS TEXT) LIKE 'parked/%'")
    why = json.loads(note)["why"]
    assert why.startswith("the row is too large to be taken (69206") and "left in the table" in why
    w.daemon.stop()
    w.daemon.start()
    base.run(PUT, ("o", "1", "t", '{"n": 3}'))
    assert wait_until(lambda: w.arrived()[-1] == {"n": 3}, 30)
    assert w.status()["parked"] == 1 and left(base, "type='big'") == 1


# ---- the daemon ends, the table is not as it should be ----


def test_a_kill_between_hand_in_and_delete_repeats_no_event(watch, base):
    """Somebody holds a lock on the row, so that the deletion waits: the event is recorded, the row
    still there. After the kill it is read once more and known by its id."""
    w = watch()
    holder = base.connect()
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(PUT, ("order", "1", "t", '{"n": 1}'))
        holder.commit()
        cursor.execute("SELECT * FROM outbox FOR KEY SHARE")
        w.wait_for(1)
        assert wait_until(lambda: base.run("SELECT true FROM pg_stat_activity WHERE" + DELETES), 20)
        w.daemon.kill()
    # The server has not noticed, and would still do what the dead asked for.
    base.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE" + DELETES)
    assert wait_until(lambda: not base.run("SELECT 1 FROM pg_stat_activity WHERE" + DELETES), 20)
    assert left(base) == 1
    holder.rollback()
    w.daemon.start()
    assert gone(base)
    assert wait_until(lambda: w.status()["known"] == 1, 20), w.status()
    assert w.status()["events"] == 0 and len(w.daemon.events()) == 1
    base.run(PUT, ("order", "1", "t", '{"n": 2}'))
    assert wait_until(lambda: w.arrived()[-1] == {"n": 2}, 20)


def test_one_reader_at_a_time(watch, base, scene):
    w = watch()
    w.wait_state("working")
    other = scene.start(w.config, DATABASE=base.url)
    assert wait_until(lambda: other.api("/api/v1/triggers")["data"][0]["gauges"].get("standby"), 20)
    base.run(PUT, ("order", "1", "t", '{"n": 1}'))
    w.wait_for(1)
    w.daemon.kill()
    base.run(PUT, ("order", "1", "t", '{"n": 2}'))
    assert wait_until(lambda: w.arrived()[-1] == {"n": 2}, 20)


@pytest.mark.parametrize("options, schema, why", [
    (", name: nothing", OUTBOX % ("jsonb", ""), "database app has no table public.nothing"),
    (", payload: body", OUTBOX % ("jsonb", ""), "has no column body: name the one that it has, "
                                                "payload: COLUMN"),
    (", aggregatetype: kind", OUTBOX % ("jsonb", ""), "aggregatetype: COLUMN or none"),
    (", order: seq", OUTBOX % ("jsonb", ""), "has no column seq"),
    (", after: mark done", OUTBOX % ("jsonb", ""), "has no column done"),
    (", after: mark type", OUTBOX % ("jsonb", ""), "is of type text; boolean or timestamp is"),
    ("", OUTBOX % ("xml", ""), "is of type xml; json, jsonb, text or bytea is expected"),
    ("", OUTBOX.replace("PRIMARY KEY", "") % ("jsonb", ""), "column id of table public.outbox may be"),
    ("", OUTBOX.replace("PRIMARY KEY", "NOT NULL") % ("jsonb", ""),
     "has no unique index, and two rows with the same id would be one event: CREATE UNIQUE INDEX ON"
     " public.outbox (id)"),
])
def test_a_table_that_is_not_as_the_file_says(watch, options, schema, why):
    assert why in watch(options, schema=schema).wait_state("broken")["why"]


def test_a_role_that_may_not(scene, base):
    base.run(OUTBOX % ("jsonb", ""))
    base.run("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN; GRANT SELECT ON outbox TO reader")
    url = base.cluster.url(base.name, "reader")
    w = Watched(scene, CONFIG % "" + FORWARD, installs=False, DATABASE=url)
    why = w.wait_state("broken")["why"]
    assert why.startswith("the role may not: GRANT SELECT, DELETE ON outbox TO reader (with SELECT "
                          "alone it would have to remember how far it has read, and miss the rows")
    base.run("GRANT DELETE ON outbox TO reader")
    base.run(PUT, ("order", "1", "t", '{"n": 1}'))
    w.daemon.reload(w.config)
    w.wait_for(1)
    base.run("DROP OWNED BY reader; DROP ROLE reader")


def test_rows_that_cannot_be_deleted_are_no_loop(watch, base):
    w = watch()
    base.run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
             "CREATE TRIGGER keep BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION keep()")
    base.run(PUT, ("order", "1", "t", '{"n": 1}'))
    assert "none of 1 rows could be deleted" in w.wait_state("failing")["why"]
    assert w.arrived() == [{"n": 1}]
    base.run("DROP TRIGGER keep ON outbox")
    assert gone(base)
    assert w.wait_state("working") and len(w.arrived()) == 1


def test_the_table_is_altered_meanwhile(watch, base):
    w = watch(more=SHOW)
    base.run(PUT, ("order", "1", "t", '{"n": 1}'))
    w.wait_for(1)
    base.run("ALTER TABLE outbox ADD COLUMN tenant text DEFAULT 'acme'")

    def shows_it():
        base.run(PUT, ("order", "1", "t", '{"n": 2}'))
        n = len(w.arrived())
        return "tenant" in w.wait_for(n + 1)[-1]["meta"]["outbox"]

    assert wait_until(shows_it, 20)
    base.run("ALTER TABLE outbox DROP COLUMN tenant")
    base.run(PUT, ("order", "1", "t", '{"n": 3}'))
    assert wait_until(lambda: w.arrived()[-1]["event"] == {"n": 3}, 20)
    assert "tenant" not in w.arrived()[-1]["meta"]["outbox"] and gone(base)


@pytest.mark.parametrize("options, says", [
    ("after: burn", "after: delete, or mark and the name of a column"),
    ("after: 'mark '", "after: a column's name"),
    ("name: a.b.c", "name: a table is written as name or schema.name"),
    ("payload: ''", "payload: a column's name"),
    ("notify: ''", "notify: a channel's name"),
])
def test_what_the_file_may_not_say(tmp_path, options, says):
    import os  # pylint: disable=import-outside-toplevel

    from databases import grapnel  # pylint: disable=import-outside-toplevel

    (tmp_path / "grapnel.yaml").write_text(CONFIG % f", {options}")
    done = grapnel(tmp_path, {**os.environ, "DATABASE": "postgresql://u@127.0.0.1/x"}, "check")
    assert done.returncode == 1 and says in done.stderr


def test_sqlite_files_are_refused(tmp_path):
    import os  # pylint: disable=import-outside-toplevel

    from databases import grapnel  # pylint: disable=import-outside-toplevel

    (tmp_path / "grapnel.yaml").write_text(CONFIG % "")
    done = grapnel(tmp_path, {**os.environ, "DATABASE": "sqlite:app.db"}, "check")
    assert done.returncode == 1
    assert "table: app is an SQLite file, and this reads PostgreSQL; `outbox`" in done.stderr


# ---- the page ----


def blocks_of_the_page(language):
    page = (Path(__file__).parents[2] / "docs" / "triggers" / "table.md").read_text()
    return re.findall(r"```%s\n(.*?)```" % language, page, re.S)


@pytest.fixture(name="grapnel_role")
def a_role(base):
    base.run("CREATE ROLE grapnel LOGIN")
    yield
    base.run("DROP OWNED BY grapnel; DROP ROLE grapnel")


def start_from_page(scene, base, which):
    config = blocks_of_the_page("yaml")[which].split("\nendpoints:")[0]
    config = config.replace("postgresql://grapnel@127.0.0.1/shop",
                            base.cluster.url(base.name, "grapnel"))
    return scene.start(config + ONLY_RECORD.replace("on: rows", "on: shop"))


def event_of(daemon):
    assert wait_until(daemon.events, 20), daemon.api("/api/v1/triggers")
    return daemon.event(daemon.events()[0]["id"])


def test_the_first_example_of_the_page(scene, base, grapnel_role):  # pylint: disable=unused-argument
    create, insert, _, revoke = blocks_of_the_page("sql")
    base.run(create)
    daemon = start_from_page(scene, base, 0)
    base.run(insert.replace("BEGIN;", "").replace("COMMIT;", ""))
    event = event_of(daemon)
    assert event["type"] == "order.placed" and event["subject"] == "order/17"
    assert gone(base)
    base.run(revoke)


def test_the_other_example_of_the_page(scene, base, grapnel_role):  # pylint: disable=unused-argument
    base.run("CREATE SCHEMA sales; CREATE TABLE sales.events (id bigserial PRIMARY KEY, customer int,"
             " kind text, body json, sent_at timestamptz);" + blocks_of_the_page("sql")[2] +
             "GRANT USAGE ON SCHEMA sales TO grapnel; GRANT SELECT, UPDATE (sent_at) ON sales.events"
             " TO grapnel")
    daemon = start_from_page(scene, base, 1)
    base.run("INSERT INTO sales.events (customer, kind, body) VALUES (7, 'paid', '{}')")
    event = event_of(daemon)
    assert event["type"] == "paid" and event["subject"] == "7"
    assert wait_until(lambda: base.run("SELECT 1 FROM sales.events WHERE sent_at IS NOT NULL"), 20)
