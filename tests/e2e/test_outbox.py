# SPDX-License-Identifier: Apache-2.0
"""The outbox of a PostgreSQL database: whatever is committed arrives once, in the order of each row,
with what was there before."""

import json

import pytest

from databases import FORWARD, Cluster, Watched, new_base, programs
from harness import Reply, wait_until

pytestmark = pytest.mark.skipif(not programs(), reason="there is no PostgreSQL server here")

USERS = """
CREATE TABLE users (id text PRIMARY KEY, email text, name text, logins bigint DEFAULT 0);
"""
CONFIG = """
databases: {app: {url: "${DATABASE}"}}
sources: {rows: {trigger: {outbox: app, tables: %s}}}
""" + FORWARD


@pytest.fixture(scope="module", name="cluster")
def a_cluster():
    with Cluster({"max_prepared_transactions": "5"}) as cluster:
        yield cluster


@pytest.fixture(name="base")
def a_base(cluster):
    return new_base(cluster, "app")


@pytest.fixture(name="watch")
def a_watch(scene, base):
    def start(schema=USERS, tables="[users]", more="", **options):
        base.run(schema)
        return Watched(scene, CONFIG % tables + more, DATABASE=base.url, **options)

    return start


def test_an_update_tells_what_it_overwrote(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('U1', 'old@example.com', 'Ada')")
    base.run("UPDATE users SET email='new@example.com' WHERE id='U1'")
    base.run("DELETE FROM users")
    made, changed, gone = w.wait_for(3)
    assert made["op"] == "insert" and made["previous"] is None and made["changed"] is None
    assert made["new"] == {"id": "U1", "email": "old@example.com", "name": "Ada", "logins": 0}
    assert changed["type"] == "users.update" and changed["key"] == {"id": "U1"}
    assert changed["changed"] == ["email"]
    assert changed["previous"]["email"] == "old@example.com"
    assert changed["new"]["email"] == "new@example.com"
    assert changed["transaction"]["id"] and changed["timeIs"] == "change"
    assert gone["op"] == "delete" and gone["new"] is None
    assert gone["previous"]["email"] == "new@example.com"
    assert len({e["id"] for e in (made, changed, gone)}) == 3
    assert base.run("SELECT count(*) FROM grapnel.outbox") == [(0,)] or wait_until(
        lambda: base.run("SELECT count(*) FROM grapnel.outbox") == [(0,)], 5)
    assert w.status()["state"] == "working" and w.status()["events"] == 3


# ---- who commits when ----


def test_a_slower_transaction_with_lower_ids_is_not_skipped(watch, base):
    w = watch()
    slow, fast = base.connect(), base.connect()
    slow.autocommit = False
    with slow.cursor() as cursor:
        cursor.execute("INSERT INTO users VALUES ('slow')")
    with fast.cursor() as cursor:
        for n in range(4):
            cursor.execute("INSERT INTO users VALUES (%s)", (f"fast {n}",))
            assert w.wait_for(n + 1)[n]["key"] == {"id": f"fast {n}"}
    slow.commit()
    assert w.wait_for(5)[4]["key"] == {"id": "slow"}


def test_a_transaction_in_two_phases_comes_when_it_is_committed(watch, base):
    w = watch()
    with base.connect() as connection, connection.cursor() as cursor:
        for end in ("COMMIT", "ROLLBACK"):
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO users VALUES (%s)", (end,))
            cursor.execute(f"PREPARE TRANSACTION '{end}'")
        for n in range(4):
            cursor.execute("INSERT INTO users VALUES (%s)", (f"between {n}",))
            w.wait_for(n + 1)
        for end in ("ROLLBACK", "COMMIT"):
            cursor.execute(f"{end} PREPARED '{end}'")
    assert w.wait_for(5)[4]["key"] == {"id": "COMMIT"}


def test_numbers_that_begin_anew_are_not_missed(watch, base):
    w = watch()
    for n in range(20):
        base.run("INSERT INTO users VALUES (%s)", (f"before {n}",))
        w.wait_for(n + 1)
    base.run("TRUNCATE grapnel.outbox RESTART IDENTITY")
    base.run("INSERT INTO users VALUES ('after')")
    for n in range(1, 30):
        base.run("UPDATE users SET logins=%s WHERE id='after'", (n,))
    assert [e["new"]["logins"] for e in w.wait_for(50)[20:]] == list(range(30))


def test_what_was_deleted_is_not_read_again_and_again(watch, base):
    """While somebody's old snapshot keeps it from being cleaned up."""
    report = base.connect(options="-c default_transaction_isolation=repeatable\\ read")
    report.autocommit = False
    with report.cursor() as cursor:
        cursor.execute("SELECT 1")
    w = watch(tables="[users], poll: 20ms")
    base.run("INSERT INTO users SELECT n, 'x' FROM generate_series(1, 20000) n")
    assert wait_until(lambda: w.status()["events"] == 20000, 60)

    def scans():
        return base.run("SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes"
                        " WHERE indexrelname='outbox_pkey'")[0]

    last = [scans()]

    def looks_are_cheap():
        (before, read_before), (now, read_now) = last[0], scans()
        if now - before < 5:
            return False
        last[0] = now, read_now
        return read_now - read_before < 100 * (now - before)

    assert wait_until(looks_are_cheap, 60), last
    report.close()


def test_changes_of_one_row_come_in_the_order_of_their_commits(watch, base):
    """The younger transaction commits first, then the older one changes the same row, while a
    third holds the snapshot back: whoever orders by transaction id has them the wrong way."""
    w = watch()
    base.run("INSERT INTO users VALUES ('U1', '0')")
    w.wait_for(1)
    older, third, younger = (base.connect() for _ in range(3))
    for connection in (older, third, younger):
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
    with third.cursor() as cursor:
        cursor.execute("INSERT INTO users VALUES ('U3')")
    with younger.cursor() as cursor:
        cursor.execute("UPDATE users SET email='1' WHERE id='U1'")
    younger.commit()
    with older.cursor() as cursor:
        cursor.execute("UPDATE users SET email='2' WHERE id='U1'")
    older.commit()
    emails = [e["new"]["email"] for e in w.wait_for(3)]
    assert emails == ["0", "1", "2"]
    third.commit()
    assert w.wait_for(4)[3]["key"] == {"id": "U3"}


def test_what_a_savepoint_took_back_never_happened(watch, base):
    w = watch()
    base.run("""INSERT INTO users VALUES ('a'); SAVEPOINT s; INSERT INTO users VALUES ('b');
                UPDATE users SET email='x'; ROLLBACK TO s; INSERT INTO users VALUES ('c')""")
    assert [(e["op"], e["key"]["id"]) for e in w.wait_for(2)] == [("insert", "a"), ("insert", "c")]
    base.run("INSERT INTO users VALUES ('last')")
    assert w.wait_for(3)[2]["key"] == {"id": "last"}
    assert len({e["transaction"]["id"] for e in w.arrived()}) == 2


def test_a_transaction_that_fails_makes_no_event(watch, base):
    w = watch()
    with pytest.raises(Exception, match="division"):
        base.run("INSERT INTO users VALUES ('a'); SELECT 1/0")
    base.run("INSERT INTO users VALUES ('b')")
    assert w.wait_for(1)[0]["key"] == {"id": "b"}


# ---- what is done to rows ----


def test_each_way_to_change_a_row(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('a', '1')")
    base.run("INSERT INTO users VALUES ('a', '2') ON CONFLICT (id) DO UPDATE SET email='2'")
    base.run("INSERT INTO users VALUES ('a', '3') ON CONFLICT DO NOTHING")
    base.run("UPDATE users SET email=email")  # changes nothing
    base.run("UPDATE users SET id='b' WHERE id='a'")
    base.run("COPY users FROM PROGRAM 'printf \"c\\t\\\\\\\\N\\t\\\\\\\\N\\t7\\n\"'")
    base.run("TRUNCATE users")
    events = w.wait_for(5)
    assert [e["op"] for e in events] == ["insert", "update", "update", "insert", "truncate"]
    assert events[1]["changed"] == ["email"]
    assert events[2]["key"] == {"id": "b"} and events[2]["previous"]["id"] == "a"
    assert events[2]["changed"] == ["id"]
    assert events[3]["new"] == {"id": "c", "email": None, "name": None, "logins": 7}
    assert events[4]["new"] is None and events[4]["previous"] is None and events[4]["key"] is None


def test_a_table_without_a_key_and_one_with_two(watch, base):
    w = watch("CREATE TABLE notes (text text);"
              "CREATE TABLE lines (item text, orderno int, n int, PRIMARY KEY (orderno, item))",
              "[notes, public.lines]")
    base.run("INSERT INTO notes VALUES ('x')")
    base.run("INSERT INTO lines VALUES ('tea', 7, 1)")
    note, line = w.wait_for(2)
    assert note["key"] is None and note["new"] == {"text": "x"}
    assert list(line["key"].items()) == [("orderno", 7), ("item", "tea")]


def test_columns_conditions_and_operations(watch, base):
    w = watch(tables="{users: {columns: [email], ops: [insert, update], "
                     "when: \"{row}.name IS DISTINCT FROM 'robot'\"}}")
    base.run("INSERT INTO users VALUES ('a', '1', 'Ada', 9007199254740993)")
    base.run("INSERT INTO users VALUES ('r', '1', 'robot')")
    base.run("UPDATE users SET logins=logins+1")  # no column that counts
    base.run("UPDATE users SET email='2' WHERE id='r'")
    base.run("UPDATE users SET name='robot', email='3' WHERE id='a'")  # it was none before
    base.run("DELETE FROM users")
    base.run("INSERT INTO users VALUES ('last')")
    events = w.wait_for(3)
    assert [(e["op"], e["key"]["id"]) for e in events] == [
        ("insert", "a"), ("update", "a"), ("insert", "last")]
    assert events[0]["new"] == {"id": "a", "email": "1"}
    assert events[1]["previous"] == {"id": "a", "email": "1"}
    assert events[1]["changed"] == ["email"]


def test_a_row_that_moves_between_partitions(watch, base):
    w = watch("""CREATE TABLE visits (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
                 CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
                 CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')""",
              "[visits]")
    base.run("INSERT INTO visits VALUES (1, '2026-01-15')")
    base.run("UPDATE visits SET day='2026-01-16'")
    base.run("UPDATE visits SET day='2026-02-16'")
    events = w.wait_for(4)
    assert [(e["op"], e["table"]) for e in events] == [
        ("insert", "visits"), ("update", "visits"), ("delete", "visits"), ("insert", "visits")]
    assert events[2]["previous"]["day"] == "2026-01-16"
    assert events[2]["transaction"] == events[3]["transaction"]
    base.run("TRUNCATE visits_2")  # nobody hears of it
    base.run("TRUNCATE visits")
    base.run("INSERT INTO visits_1 VALUES (2, '2026-01-15')")
    assert [e["op"] for e in w.wait_for(6)[4:]] == ["truncate", "insert"]


def test_values_of_all_sorts_and_sizes(watch, base):
    w = watch("CREATE TABLE things (id int PRIMARY KEY, n numeric, f float8, t timestamptz, b bytea,"
              " j json, a text[], big text)", "[things]")
    base.run("INSERT INTO things VALUES (1, 12345678901234567890.10, 'NaN', '2026-01-31 12:00Z',"
             " '\\x00ff', '{\"a\": 1.0}', '{x,NULL}', repeat('é', 8192))")
    base.run("UPDATE things SET n=1")
    base.run("UPDATE things SET big=repeat('y', 20*1024*1024)")
    first, second, third = w.wait_for(3)
    assert first["new"]["n"] == pytest.approx(12345678901234567890.10)
    assert first["new"]["f"] == "NaN" and first["new"]["b"] == "\\x00ff"
    assert first["new"]["j"] == {"a": 1.0} and first["new"]["a"] == ["x", None]
    assert first["new"]["t"].startswith("2026-01-31T12:00:00")
    assert second["changed"] == ["n"] and second["new"]["big"] == "é" * 8192
    assert third["changed"] == ["big"] and len(third["new"]["big"]) == 20 * 1024 * 1024
    assert b"12345678901234567890.10" in w.scene.target.requests[0].body


def test_the_table_is_altered_meanwhile(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('a', '1')")
    base.run("ALTER TABLE users ADD COLUMN city text DEFAULT 'Espoo'")
    base.run("UPDATE users SET email='2'")
    base.run("ALTER TABLE users RENAME COLUMN name TO full_name")
    base.run("UPDATE users SET full_name='Ada'")
    base.run("ALTER TABLE users DROP COLUMN logins")
    base.run("UPDATE users SET city='Oulu'")
    events = w.wait_for(4)
    assert events[1]["new"]["city"] == "Espoo" and events[1]["changed"] == ["email"]
    assert events[2]["changed"] == ["full_name"]
    assert "logins" not in events[3]["new"] and events[3]["changed"] == ["city"]


def test_a_column_that_a_trigger_names_stays_as_it_is(watch, base):
    w = watch(tables="{users: {columns: [email]}}")
    base.run("ALTER TABLE users ALTER name TYPE varchar(100); ALTER TABLE users DROP COLUMN logins")
    for change in ("ALTER email TYPE varchar(100)", "DROP COLUMN email"):
        with pytest.raises(Exception, match="trigger grapnel_rows_update on table users"):
            base.run("ALTER TABLE users " + change)
    assert w.command("trigger", "uninstall", "rows", "--apply").returncode == 0
    base.run("ALTER TABLE users ALTER email TYPE varchar(100)")


def test_who_did_it(watch, base):
    w = watch()
    base.run("""SET LOCAL grapnel.context = '{"actor": "U9", "trace": "t"}';
                INSERT INTO users VALUES ('a')""")
    base.run("SET LOCAL grapnel.context = 'just a name'; INSERT INTO users VALUES ('b')")
    base.run("INSERT INTO users VALUES ('c')")
    assert [e["context"] for e in w.wait_for(3)] == [
        {"actor": "U9", "trace": "t"}, {"actor": "just a name"}, None]


def test_a_circle_ends(watch, base):
    """A receiver that writes to the very table because of what it hears, and passes the depth on."""
    w = watch()

    def write_back(request):
        context = json.dumps({"depth": request.headers["grapnel-depth"]})
        base.run(f"""SET LOCAL grapnel.context = '{context}';
                     UPDATE users SET logins = logins + 1""")
        return Reply(200)

    w.scene.target.act = write_back
    base.run("INSERT INTO users (id) VALUES ('a')")
    assert wait_until(lambda: w.status()["parked"] == 1, 30), w.status()
    assert [e["new"]["logins"] for e in w.arrived()] == list(range(17))
    assert [r.headers["grapnel-depth"] for r in w.scene.target.requests] == [
        str(n) for n in range(17)]
    assert "circle" in w.status()["parkedWhy"]


# ---- many ----

ONLY_RECORD = """
flows:
  none: {on: rows, match: {.op: never}, steps: [{done: {skip: 'never'}}]}
"""


def test_a_hundred_thousand_rows_of_one_statement(scene, base):
    base.run(USERS)
    config = CONFIG.partition("endpoints:")[0] % "[users]" + ONLY_RECORD
    w = Watched(scene, config, DATABASE=base.url)
    base.run("INSERT INTO users SELECT 'U' || n FROM generate_series(1, 100000) n")
    assert wait_until(lambda: w.status()["events"] == 100000, 120), w.status()
    assert w.status()["known"] == 0
    assert wait_until(lambda: base.run("SELECT count(*) FROM grapnel.outbox") == [(0,)], 20)
    events = w.daemon.events()
    assert len({e["id"] for e in events}) == len(events) == 250


def test_a_thousand_rows_arrive_in_their_order(watch, base):
    w = watch()
    base.run("INSERT INTO users SELECT to_char(n, '0000') FROM generate_series(1, 1000) n")
    ids = [e["key"]["id"] for e in w.wait_for(1000)]
    assert ids == sorted(ids) and len(set(ids)) == 1000


def test_what_can_never_be_taken_is_put_aside_and_the_rest_goes_on(scene, base):
    """A flow's jq sees no more than 16 MB."""
    base.run(USERS)
    config = CONFIG.partition("endpoints:")[0] % "[users]" + """
connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}"}}
flows:
  each: {on: rows, subject: '.key.id + ""', steps: [{sent: {post: 'target:/x', body: '.event.key'}}]}
"""
    w = Watched(scene, config, DATABASE=base.url)
    base.run("INSERT INTO users (id, email) VALUES ('a', ''), ('b', repeat('x', 17*1024*1024)), ('c', '')")
    assert sorted(e["id"] for e in w.wait_for(2)) == ["a", "c"]
    assert wait_until(lambda: w.status()["parked"] == 1, 10)
    assert w.daemon.api("/healthz")["status"] == "degraded"
    w.daemon.kill()
    w.daemon.start()
    assert wait_until(lambda: w.status() and w.status()["parked"] == 1, 10)
    assert "16777216 bytes" in w.status()["parkedWhy"]
    aside = w.command("trigger", "parked", "rows")
    assert aside.returncode == 0, aside.stderr
    event = json.loads(aside.stdout)
    assert event["type"] == "rows.insert" or event["type"] == "users.insert"
    assert event["event"]["key"] == {"id": "b"} and event["why"] == w.status()["parkedWhy"]


def test_what_is_too_large_for_an_event_is_named_and_the_rest_goes_on(watch, base):
    w = watch()
    base.run("INSERT INTO users (id, email) VALUES ('a', repeat('x', 45*1024*1024)), "
             "('b', repeat('x', 50*1024*1024)), ('c', '')")
    base.run("UPDATE users SET name='B' WHERE id='b'")
    whole, large, small, changed = w.wait_for(4)
    assert len(whole["new"]["email"]) == 45 * 1024 * 1024 and "missing" not in whole
    assert large["new"] == {"id": "b", "name": None, "logins": 0} and large["missing"] == ["email"]
    assert small["new"]["email"] == ""
    assert changed["new"]["name"] == "B" and changed["previous"]["name"] is None
    assert changed["previousMissing"] == "too-large" and changed["changed"] is None
    assert w.status()["parked"] == 0


def server(w):
    return "--server", f"http://127.0.0.1:{w.daemon.admin}"


def test_what_was_put_aside_is_tried_again_or_forgotten(scene, base):
    base.run(USERS)
    config = CONFIG % "[users]"
    (scene.folder / "strict.json").write_text(json.dumps(
        {"properties": {"new": {"properties": {"name": {"minLength": 3}}}}}))
    strict = config.replace("rows: {", f"rows: {{schema: {scene.folder}/strict.json, ", 1)
    w = Watched(scene, strict, DATABASE=base.url)
    base.run("INSERT INTO users (id, name) VALUES ('a', 'Ada'), ('b', 'B'), ('c', 'C')")
    w.wait_for(1)
    assert wait_until(lambda: w.status()["parked"] == 2, 10), (w.status(), w.arrived())
    ids = [json.loads(line)["event"]["id"] for line in
           w.command("trigger", "parked", "rows").stdout.splitlines()]
    def reader():
        return base.run("SELECT pid FROM pg_locks WHERE locktype='advisory' AND granted AND database="
                        "(SELECT oid FROM pg_database WHERE datname=current_database())")

    before = reader()
    assert w.command("trigger", "retry", "rows", *server(w)).returncode == 0
    # The retry is over when the reader has begun anew.
    assert before and wait_until(lambda: reader() not in ([], before), 20)
    w.wait_state("working")
    assert w.status()["parked"] == 2
    w.daemon.reload(config)
    assert w.command("trigger", "retry", "rows", *server(w)).returncode == 0
    assert wait_until(lambda: w.status()["parked"] == 0, 10)
    assert [e["id"] for e in w.wait_for(3)[1:]] == ids
    assert w.daemon.api("/healthz")["status"] == "ok"


# ---- what goes wrong ----


def test_without_its_outbox_it_says_what_to_do(watch, base):
    w = watch(installs=False)
    status = w.wait_state("broken")
    assert status["why"] == "database app has no outbox: run grapnel trigger install rows"
    assert w.daemon.api("/healthz") == {
        "status": "degraded", "triggers": [{"source": "rows", "state": "broken"}]}
    done = w.command("trigger", "status", "--server", f"http://127.0.0.1:{w.daemon.admin}")
    assert done.returncode == 1 and "run grapnel trigger install rows" in done.stdout
    assert w.daemon.metrics()['grapnel_trigger_up{source="rows"}'] == 0
    base.run("INSERT INTO users VALUES ('before')")  # nobody saw that one
    w.install()
    w.daemon.reload(w.config)
    w.wait_state("working")
    base.run("INSERT INTO users VALUES ('after')")
    assert w.wait_for(1)[0]["key"] == {"id": "after"}


def test_a_trigger_that_is_missing_is_noticed(watch, base):
    w = watch()
    w.wait_state("working")
    base.run("DROP TRIGGER grapnel_rows_update ON users")
    w.daemon.stop()
    w.daemon.start()
    assert "table public.users has 3 of 4 triggers" in w.wait_state("broken")["why"]


def test_a_trigger_that_goes_missing_is_noticed_and_what_is_there_still_comes(watch, base):
    """A table that is made anew has none, and nothing else would tell of it."""
    w = watch(USERS + "CREATE TABLE notes (id int PRIMARY KEY)", "[users, notes]")
    w.wait_state("working")
    base.run("ALTER TABLE users RENAME TO old_users; CREATE TABLE users (id text PRIMARY KEY)")
    assert "table public.users has 0 of 4 triggers" in w.wait_state("broken")["why"]
    base.run("INSERT INTO notes VALUES (1)")
    w.daemon.reload(w.config)
    assert w.wait_for(1)[0]["table"] == "notes"
    w.wait_state("broken")
    w.install()
    w.daemon.reload(w.config)
    w.wait_state("working")


def test_the_name_of_the_source_is_part_of_others(scene, base):
    """A channel that is too long would fail the application's own write."""
    base.run(USERS)

    def start(name):
        config = CONFIG.replace("rows:", name + ":", 1).replace("on: rows", f"on: {name}")
        return Watched(scene, config % "[users], notify: true", installs=False, DATABASE=base.url)

    with pytest.raises(AssertionError, match="does not start") as error:
        start(41 * "s")
    assert "PostgreSQL takes no longer one than 40 bytes" in str(error.value)
    w = start(40 * "s")
    done = w.command("trigger", "install", 40 * "s", "--apply")
    assert done.returncode == 0, done.stderr
    base.run("INSERT INTO users VALUES ('a')")
    w.daemon.reload(w.config)
    assert w.wait_for(1)[0]["key"] == {"id": "a"}


def test_a_database_that_is_away_comes_back(scene, cluster):
    base = new_base(cluster, "away")
    base.run(USERS)
    w = Watched(scene, CONFIG % "[users]", DATABASE=base.url)
    w.wait_state("working")
    base.run("INSERT INTO users VALUES ('a')")
    w.wait_for(1)
    cluster.stop()
    assert w.wait_state("failing")["why"].startswith(("the connection broke", "database app: no "))
    cluster.start()
    base.run("INSERT INTO users VALUES ('b')")
    assert w.wait_for(2)[1]["key"] == {"id": "b"}
    assert "why" not in w.wait_state("working")


def test_a_reload_finds_the_database_where_it_is_now(scene, cluster, base):
    other = new_base(cluster, "moved")
    config = CONFIG % "[users]"
    for one in (base, other):
        one.run(USERS)
    Watched(scene, config, DATABASE=other.url).daemon.stop()
    w = Watched(scene, config.replace("${DATABASE}", base.url))
    w.wait_state("working")
    w.daemon.reload(config.replace("${DATABASE}", other.url))
    other.run("INSERT INTO users VALUES ('here')")
    assert w.wait_for(1)[0]["key"] == {"id": "here"}


def test_one_reader_at_a_time(watch, base, scene):
    w = watch()
    w.wait_state("working")
    other = scene.start(w.config, DATABASE=base.url)
    assert wait_until(lambda: other.api("/api/v1/triggers")["data"][0]["gauges"].get("standby"), 20)
    base.run("INSERT INTO users VALUES ('a')")
    w.wait_for(1)
    w.daemon.kill()
    base.run("INSERT INTO users VALUES ('b')")
    assert w.scene.target and wait_until(
        lambda: len(scene.target.requests) >= 2, 20)
    assert json.loads(scene.target.requests[1].body)["key"] == {"id": "b"}
    assert other.api("/api/v1/triggers")["data"][0]["gauges"]["standby"] == 0


def test_the_applications_write_is_never_in_the_way(watch, base):
    """Whatever becomes of the reader: the outbox keeps, the application goes on."""
    w = watch()
    w.wait_state("working")
    w.daemon.kill()
    base.run("INSERT INTO users SELECT 'U' || n FROM generate_series(1, 50) n")
    assert base.run("SELECT count(*) FROM grapnel.outbox") == [(50,)]
    w.daemon.start()
    assert len({e["id"] for e in w.wait_for(50)}) == 50


def test_what_was_written_while_it_was_away_is_caught_up_and_told(watch, base):
    w = watch()
    w.wait_state("working")
    w.daemon.stop()
    base.run("INSERT INTO users SELECT n, 'x' FROM generate_series(1, 5000) n")
    w.daemon.start()
    assert wait_until(lambda: (w.status() or {"gauges": {}})["gauges"].get("pending", 0) > 1000, 20)
    assert w.status()["gauges"]["lag_ms"] > 0
    w.wait_for(5000, 60)
    assert wait_until(lambda: w.status()["gauges"]["pending"] == 0, 20)
    assert [e["key"]["id"] for e in w.arrived()] == [str(n) for n in range(1, 5001)]
    assert base.run("SELECT count(*) FROM grapnel.outbox") == [(0,)]


# ---- install and uninstall ----


def test_what_waits_when_the_trigger_is_altered_stays_as_it_was_written(watch, base):
    w = watch()
    w.wait_state("working")
    w.daemon.stop()
    base.run("INSERT INTO users VALUES ('a', 'a@example.com', 'Ada')")
    w.config = w.config.replace("[users]", "{users: {columns: [name]}}")
    w.daemon.write(w.config)
    w.install()
    base.run("UPDATE users SET name='Bea'; UPDATE users SET email='b@example.com'")
    w.daemon.start()
    base.run("DELETE FROM users")
    made, changed, gone = w.wait_for(3)
    assert made["new"]["email"] == "a@example.com"
    assert changed["new"] == {"id": "a", "name": "Bea"} and changed["changed"] == ["name"]
    assert gone["op"] == "delete" and gone["previous"] == {"id": "a", "name": "Bea"}


def test_a_source_that_is_taken_out_and_put_back_has_lost_nothing(watch, base):
    w = watch()
    w.wait_state("working")
    w.daemon.reload("sources: {other: {verify: none}}")
    assert wait_until(lambda: w.status() is None, 20)
    base.run("INSERT INTO users VALUES ('a'), ('b')")
    w.daemon.reload(w.config)
    assert [e["key"]["id"] for e in w.wait_for(2)] == ["a", "b"]


def test_an_uninstall_takes_what_waits(watch, base):
    w = watch()
    w.wait_state("working")
    w.daemon.stop()
    base.run("INSERT INTO users VALUES ('a')")
    gone = w.command("trigger", "uninstall", "rows", "--apply")
    assert gone.returncode == 0, gone.stderr
    base.run("INSERT INTO users VALUES ('b')")  # the application goes on as if nothing had been
    w.install()
    base.run("INSERT INTO users VALUES ('c')")
    w.daemon.start()
    assert [e["key"]["id"] for e in w.wait_for(1)] == ["c"]
    assert base.run("SELECT count(*) FROM grapnel.outbox") == [(0,)] or wait_until(
        lambda: base.run("SELECT count(*) FROM grapnel.outbox") == [(0,)], 5)


def test_what_install_prints_can_be_read_and_run_twice(watch, base):
    w = watch()
    script = w.command("trigger", "install", "rows").stdout
    assert script.startswith("-- Makes the outbox of source rows, database app.")
    base.run(script.replace("BEGIN;", "").replace("COMMIT;", ""))
    base.run("INSERT INTO users VALUES ('a')")
    assert len(w.wait_for(1)) == 1
    gone = w.command("trigger", "uninstall", "rows", "--apply")
    assert gone.stdout == "rows: removed in database app\n", gone.stderr
    assert base.run("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]
    base.run("INSERT INTO users VALUES ('b')")
    assert base.run("SELECT count(*) FROM grapnel.outbox") == [(0,)]


@pytest.mark.parametrize("tables", ("{users: {columns: [name]}}",
                                    "{users: {when: '{row}.name IS NOT NULL'}}"))
def test_options_that_were_not_installed_are_remarked_on(watch, base, tables):
    """Else a column that was taken out would go on to be told."""
    watch().check_remark(CONFIG % tables)


def test_a_table_that_is_no_longer_among_them_loses_its_triggers(watch, base):
    w = watch(USERS + "CREATE TABLE notes (id int PRIMARY KEY)", "[users, notes]")
    w.wait_state("working")
    w.daemon.reload(CONFIG % "[users]")
    w.install()
    base.run("INSERT INTO notes VALUES (1); INSERT INTO users VALUES ('a')")
    assert w.wait_for(1)[0]["key"] == {"id": "a"}
    assert base.run("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
                    ) == [("users",)]
    w.daemon.write(CONFIG % "[notes]")
    assert w.command("trigger", "uninstall", "rows", "--apply").returncode == 0
    assert base.run("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]


@pytest.mark.parametrize("tables, says", [
    ("[nobody]", "there is no table public.nobody"),
    ("{users: {columns: [nothing]}}", 'column old.nothing does not exist'),
    ("{users: {when: 'oh'}}", "oh"),
])
def test_an_install_that_fails_changes_nothing(scene, base, tables, says):
    base.run(USERS)
    folder = scene.folder / "daemon0"
    folder.mkdir(parents=True)
    (folder / "grapnel.yaml").write_text(CONFIG % tables)
    w = Watched.__new__(Watched)
    w.scene, w.environment = scene, {"DATABASE": base.url}
    done = w.command("trigger", "install", "rows", "--apply", folder=folder)
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert base.run("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == [(0,)]
    assert base.run("SELECT count(*) FROM pg_namespace WHERE nspname='grapnel'") == [(0,)]


def test_the_outbox_made_anew_repeats_no_id(watch, base):
    w = watch()
    base.run("INSERT INTO users VALUES ('a')")
    w.wait_for(1)
    base.run("DROP SCHEMA grapnel CASCADE")
    w.install()
    w.daemon.stop()
    w.daemon.start()
    base.run("INSERT INTO users VALUES ('b')")
    first, second = w.wait_for(2)
    assert first["id"] != second["id"] and second["key"] == {"id": "b"}


def test_notify_wakes_it(scene, base):
    base.run(USERS)
    config = CONFIG.replace("tables: %s", "tables: [users], notify: true, poll: 60s")
    w = Watched(scene, config, DATABASE=base.url)
    w.wait_state("working")
    for n in range(5):
        base.run("INSERT INTO users VALUES (%s)", (str(n),))
        w.wait_for(n + 1)  # long before the minute is over


def test_an_unprivileged_reader(scene, base):
    base.run(USERS)
    base.run("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN")
    w = Watched(scene, CONFIG % "[users]", DATABASE=base.url)
    w.daemon.stop()
    base.run("GRANT USAGE ON SCHEMA grapnel TO reader; GRANT SELECT, DELETE ON grapnel.outbox TO reader")
    w.daemon.environment["DATABASE"] = base.cluster.url(base.name, "reader")
    w.daemon.start()
    base.run("INSERT INTO users VALUES ('a')")
    assert len(w.wait_for(1)) == 1
    base.run("DROP OWNED BY reader; DROP ROLE reader")
