# SPDX-License-Identifier: Apache-2.0
"""A query that is asked again and again: each row that was not seen yet arrives once, whatever the
cursor is, and nothing is written to the database."""

import pathlib
import re
import sqlite3

import pytest

from databases import FORWARD, Cluster, Watched, grapnel, new_base, programs, put_back
from harness import PATIENCE_S, wait_until

CONFIG = """
databases: {app: {url: "${DATABASE}"}}
sources:
  rows:
    trigger: {query: app, sql: "%s", key: [id], cursor: at, every: 100ms, name: users, %s}
""" + FORWARD
SQL = "SELECT id, email, at FROM users"
TIMES = {"postgresql": "timestamptz", "sqlite": "TEXT"}


@pytest.fixture(scope="module", name="cluster")
def a_cluster():
    if not programs():
        yield None
        return
    with Cluster() as cluster:
        yield cluster


class File:
    """A SQLite file, used as databases.Base is."""

    def __init__(self, path):
        self.url = f"sqlite:{path}"
        self.path = path
        sqlite3.connect(path).execute("PRAGMA journal_mode=wal").close()

    def run(self, sql):
        connection = sqlite3.connect(self.path, timeout=PATIENCE_S)
        try:
            with connection:
                for statement in sql.split(";"):
                    rows = connection.execute(statement).fetchall()
            return rows
        finally:
            connection.close()


@pytest.fixture(name="base", params=("postgresql", "sqlite"))
def a_base(request, cluster, tmp_path):
    if request.param == "sqlite":
        base = File(tmp_path / "app.db")
        base.now, base.long_ago = "strftime('%Y-%m-%d %H:%M:%f')", "datetime('now', '-1 day')"
    elif cluster:
        base = new_base(cluster, "app")
        base.now, base.long_ago = "clock_timestamp()", "now() - interval '1 day'"
    else:
        pytest.skip("there is no PostgreSQL server here")
    base.kind = request.param
    return base


@pytest.fixture(name="pg")
def a_postgresql(cluster):
    if not cluster:
        pytest.skip("there is no PostgreSQL server here")
    return new_base(cluster, "app")


@pytest.fixture(name="watch")
def a_watch(scene):
    def start(base, options="existing: send", at=None, sql=SQL, rows="", config=CONFIG):
        at = at or TIMES[base.kind]
        base.run(f"CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT, at {at})")
        if rows:
            base.run(f"INSERT INTO users {rows}")
        return Watched(scene, config % (sql, options), installs=False, DATABASE=base.url)

    return start


def keys(events):
    return [e["key"]["id"] for e in events]


def counted(w, n):
    """Handed in, and none of them twice; counted a moment after they are in the ledger."""
    assert wait_until(lambda: w.status()["events"] >= n, PATIENCE_S)
    assert (w.status()["events"], w.status()["known"]) == (n, 0)


def test_a_file_that_is_another_one_is_opened_anew(watch, base):
    if base.kind != "sqlite":
        pytest.skip("a server has its database where it is")
    w = watch(base)
    w.wait_state("working")
    put_back(base.path)
    base.run(f"INSERT INTO users VALUES ('a', '', {base.now})")
    assert keys(w.wait_for(1)) == ["a"]


def test_a_row_arrives_whenever_it_changed(watch, base):
    w = watch(base, rows=f"VALUES ('old', 'o', {base.long_ago})")
    first = w.wait_for(1)[0]
    assert first["op"] == "snapshot" and first["backfill"] is True and first["key"] == {"id": "old"}
    base.run(f"INSERT INTO users VALUES ('a', 'a@example.com', {base.now})")
    base.run(f"UPDATE users SET email='new', at={base.now} WHERE id='old'")
    _, made, changed = w.wait_for(3)
    assert made["type"] == "users.update" and made["new"]["email"] == "a@example.com"
    assert made["previous"] is None and made["previousMissing"] == "not-remembered"
    assert changed["new"]["email"] == "new" and changed["timeIs"] == "change"
    assert changed["time"].endswith("Z") and changed["time"][:10] == changed["new"]["at"][:10]
    assert changed["trigger"] == {"kind": "query", "source": "rows", "database": "app"}
    base.run(f"INSERT INTO users VALUES ('last', '', {base.now})")
    w.wait_for(4)
    status = w.status()
    assert status["state"] == "working" and "why" not in status and status["known"] == 0


def test_rows_that_are_there_already_are_skipped(watch, base):
    w = watch(base, "existing: skip", rows=f"VALUES ('a', 'a', {base.long_ago}), ('b', 'b', {base.now})")
    w.wait_state("working")
    base.run(f"UPDATE users SET email='new', at={base.now} WHERE id='a'")
    assert keys(w.wait_for(1)) == ["a"]
    counted(w, 1)


def test_what_is_remembered_is_told(watch, base):
    w = watch(base, "existing: skip, remember: true", rows=f"VALUES ('a', 'old', {base.long_ago})")
    w.wait_state("working")
    base.run(f"UPDATE users SET email='new', at={base.now} WHERE id='a'")
    w.wait_for(1)
    w.daemon.kill()
    base.run(f"INSERT INTO users VALUES ('b', 'b', {base.now})")
    w.daemon.start()
    # The first may have been under way at the kill, and come once more.
    assert wait_until(lambda: len({e["id"] for e in w.arrived()}) == 2, PATIENCE_S)
    changed, made = {e["id"]: e for e in w.arrived()}.values()
    assert changed["op"] == "update" and changed["previous"]["email"] == "old"
    assert changed["changed"] == ["email", "at"]
    assert made["op"] == "insert" and made["previous"] is None and "previousMissing" not in made


@pytest.mark.parametrize("n, rows", [(10, 3), (9, 3), (5, 1)])
def test_equal_cursors_at_the_edge_of_a_page(watch, base, n, rows):
    at = "'2026-01-31 12:00:00'"
    values = ", ".join(f"('{i}', 'x', {at})" for i in range(n))
    w = watch(base, f"existing: send, rows: {rows}", rows=f"VALUES {values}")
    assert keys(w.wait_for(n)) == [str(i) for i in range(n)]
    base.run(f"INSERT INTO users VALUES ('last', '', {base.now})")
    assert keys(w.wait_for(n + 1))[n:] == ["last"]
    counted(w, n + 1)


@pytest.mark.parametrize("options, late, seen", [
    ("overlap: 3", 8, True), ("overlap: 3", 6, False), ("", 1, True), ("overlap: 0", 9, False)])
def test_a_number_that_came_late(watch, base, options, late, seen):
    """What a slower transaction committed, below the highest number."""
    w = watch(base, f"existing: send, {options}", at="BIGINT", rows="VALUES ('a', 'a', 10)")
    w.wait_for(1)
    base.run(f"INSERT INTO users VALUES ('late', 'l', {late})")
    if not seen:
        base.run("INSERT INTO users VALUES ('next', 'n', 11)")
    assert keys(w.wait_for(2)) == ["a", "late" if seen else "next"]


def test_a_time_that_came_late(watch, base):
    ago = {"postgresql": "now() - interval '{} seconds'", "sqlite": "datetime('now', '-{} seconds')"}
    w = watch(base, "existing: send, overlap: 1h", rows=f"VALUES ('a', 'a', {base.now})")
    w.wait_for(1)
    base.run(f"INSERT INTO users VALUES ('late', 'l', {ago[base.kind].format(1800)})")
    assert keys(w.wait_for(2)) == ["a", "late"]
    base.run(f"INSERT INTO users VALUES ('never', 'l', {ago[base.kind].format(86400)})")
    base.run(f"INSERT INTO users VALUES ('next', 'n', {base.now})")
    assert keys(w.wait_for(3)) == ["a", "late", "next"]


def test_a_cursor_in_the_future_hides_nothing(watch, base):
    """One wrong clock, or the database's own that was set back."""
    future = {"postgresql": "'2999-01-01'", "sqlite": "'2999-01-01 00:00:00'"}[base.kind]
    w = watch(base, rows=f"VALUES ('a', 'a', {future})")
    w.wait_for(1)
    for name in ("b", "c"):
        base.run(f"INSERT INTO users VALUES ('{name}', '', {base.now})")
        assert keys(w.wait_for({"b": 2, "c": 3}[name]))[-1] == name
    assert w.status()["known"] == 0
    w.daemon.stop()
    w.daemon.start()
    assert wait_until(lambda: "ahead of the database's clock" in (w.status() or {}).get("why", ""),
                      PATIENCE_S)
    assert w.status()["state"] == "working"


def test_texts_as_cursors(watch, base):
    w = watch(base, at="TEXT", rows="VALUES ('a', 'a', 'v10'), ('b', 'b', '')")
    assert keys(w.wait_for(2)) == ["b", "a"]
    base.run("INSERT INTO users VALUES ('c', 'c', 'v11')")
    assert keys(w.wait_for(3))[2] == "c"


def test_rows_without_a_cursor_are_remarked_on(watch, base):
    w = watch(base, rows=f"VALUES ('a', 'a', NULL), ('b', 'b', {base.now})")
    assert keys(w.wait_for(1)) == ["b"]
    assert wait_until(lambda: "why" in w.status(), PATIENCE_S)
    assert w.status()["why"] == "1 of the query's rows have no at or no key: they are never seen"
    assert w.status()["state"] == "working"
    counted(w, 1)


def test_kills_lose_nothing_and_ids_stay(watch, base):
    w = watch(base, "existing: send, rows: 7")
    w.wait_state("working")
    for n in range(5):
        values = ", ".join(f"('{n}-{i:02}', '', {base.now})" for i in range(20))
        base.run(f"INSERT INTO users VALUES {values}")
        w.daemon.kill()
        w.daemon.start()
    assert wait_until(lambda: len({e["id"] for e in w.arrived()}) == 100, 60), w.status()
    by_key = {}
    for event in w.arrived():
        assert by_key.setdefault(event["key"]["id"], event["id"]) == event["id"]
    assert len(by_key) == 100


def test_without_a_notebook_the_ids_are_the_same(watch, base):
    w = watch(base, rows=f"VALUES ('a', 'a', {base.long_ago}), ('b', 'b', {base.long_ago})")
    w.wait_for(2)
    w.daemon.stop()
    [notes] = w.daemon.folder.glob("*.db-triggers")
    for path in w.daemon.folder.glob("*.db-triggers*"):
        path.unlink()
    assert not notes.exists()
    w.daemon.start()
    assert wait_until(lambda: (w.status() or {}).get("known") == 2, PATIENCE_S), w.status()
    assert len(w.arrived()) == 2


def test_a_reload_changes_the_statement(watch, base):
    w = watch(base, rows=f"VALUES ('a', 'a', {base.long_ago})")
    w.wait_for(1)
    w.daemon.reload(CONFIG % (SQL + " WHERE email <> 'robot'", "existing: send"))
    base.run(f"INSERT INTO users VALUES ('r', 'robot', {base.now})")
    base.run(f"INSERT INTO users VALUES ('b', 'b', {base.now})")
    assert keys(w.wait_for(2)) == ["a", "b"]


def test_a_column_that_goes_and_comes_back(watch, base):
    w = watch(base, sql="SELECT * FROM users", rows=f"VALUES ('a', 'a', {base.long_ago})")
    w.wait_for(1)
    base.run("ALTER TABLE users ADD COLUMN city TEXT DEFAULT 'Espoo'")
    base.run(f"INSERT INTO users VALUES ('b', 'b', {base.now}, 'Oulu')")
    assert wait_until(lambda: "b" in keys(w.arrived()), PATIENCE_S)
    assert w.arrived()[-1]["new"]["city"] == "Oulu"
    base.run("ALTER TABLE users RENAME COLUMN at TO changed")
    assert "at" in w.wait_state("broken")["why"]
    base.run("ALTER TABLE users RENAME COLUMN changed TO at")
    w.daemon.reload(CONFIG % ("SELECT * FROM users", "existing: send, rows: 9"))
    w.wait_state("working")


@pytest.mark.parametrize("sql, says", [
    ("DELETE FROM users", "sql: it has to read: SELECT ..., not DELETE"),
    ("SELECT 1; DROP TABLE users", "sql: one statement only: something follows the semicolon"),
    ("WITH x AS (DELETE FROM users RETURNING *) SELECT * FROM x", "and DELETE writes"),
    ("SELECT 1) q; DROP TABLE users; SELECT * FROM (SELECT 1", "a bracket is closed that was not"),
    ("SELECT (1", "sql: a bracket is not closed"),
    ("-- nothing", "sql: it is empty"),
])
def test_a_check_says_what_is_no_query(tmp_path, sql, says):
    (tmp_path / "grapnel.yaml").write_text(
        (CONFIG % (sql, "existing: skip")).partition("endpoints:")[0].replace(
            "${DATABASE}", "sqlite:app.db"))
    done = grapnel(tmp_path, None, "check")
    assert done.returncode != 0 and says in done.stderr, done.stderr


@pytest.mark.parametrize("sql", [
    "SELECT id, email, at FROM users; -- all; of them", "select * from users where email <> ';)'",
    "WITH u AS (SELECT * FROM users) SELECT * FROM u /* ; */",
    "SELECT id, replace(email, 'a', 'b') AS email, at FROM users"])
def test_what_is_a_query(watch, base, sql):
    w = watch(base, sql=sql, rows=f"VALUES ('a', 'x', {base.now})")
    assert keys(w.wait_for(1)) == ["a"]


@pytest.mark.parametrize("sql", ["SELECT id, email, at, nextval('s') FROM users",
                                 "SELECT * FROM users FOR UPDATE",
                                 "SELECT id, email, at, wipe() FROM users"])
def test_a_statement_that_writes_is_refused_by_the_database(watch, pg, sql):
    pg.run("CREATE SEQUENCE s; CREATE FUNCTION wipe() RETURNS int LANGUAGE plpgsql AS "
           "$$BEGIN DELETE FROM users; RETURN 1; END$$")
    pg.kind = "postgresql"
    w = watch(pg, sql=sql, rows="VALUES ('a', 'x', now())")
    why = w.wait_state("broken")["why"]
    assert why.startswith("the query has to read, and writes: ") and "SQLSTATE 25006" in why
    assert pg.run("SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize("at, options, says", [
    ("BIGINT", "overlap: 5s", "so a number is needed, such as 1000"),
    (None, "overlap: 7", "so a duration is needed, such as 5s"),
    ("TEXT", "overlap: 5s", "write 0")])
def test_an_overlap_of_another_kind(watch, base, at, options, says):
    value = {"BIGINT": "1", "TEXT": "'v1'"}.get(at, base.now)
    w = watch(base, options, at=at, rows=f"VALUES ('a', 'x', {value})")
    assert says in w.wait_state("broken")["why"]


@pytest.mark.parametrize("options, says", [
    ("key: [nothing]", ("the query gives no column nothing", "no such column: q.nothing")),
    ("cursor: nothing", ("the query gives no column nothing", "no such column: q.nothing"))])
def test_a_column_that_is_not_there(watch, base, options, says):
    config = CONFIG.replace("key: [id], cursor: at", options + (
        ", cursor: at" if "key" in options else ", key: [id]"))
    w = watch(base, config=config)
    why = w.wait_state("broken")["why"]
    assert any(one in why for one in says), why


def test_a_look_that_takes_too_long(watch, base):
    slow = {"postgresql": "SELECT id, email, at, pg_sleep(60) FROM users",
            "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) "
                      "SELECT id, email, at FROM users WHERE email=(SELECT max(i) FROM n)"}
    w = watch(base, "timeout: 200ms", sql=slow[base.kind], rows=f"VALUES ('a', 'x', {base.now})")
    assert "took longer than its timeout" in w.wait_state("failing")["why"]


def test_values_of_all_sorts(watch, base):
    value = {"postgresql": "'\\x00ff'::bytea", "sqlite": "x'00ff'"}[base.kind]
    base.run(f"CREATE TABLE things AS SELECT {value} AS v")
    w = watch(base, at="BIGINT", sql="SELECT id, email, at, v FROM users JOIN things ON true",
              rows="VALUES ('a', 'quote \" é', 9007199254740993)")
    event = w.wait_for(1)[0]
    assert event["new"] == {"id": "a", "email": 'quote " é', "at": 9007199254740993, "v": "\\x00ff"}
    assert event["timeIs"] == "capture"


def test_rows_of_many_bytes(watch, base):
    """A page ends after some megabytes, and what is behind it is not forgotten."""
    w = watch(base, "existing: send, remember: true")
    large = {"postgresql": "repeat('y', 3*1024*1024)", "sqlite": "printf('%.*c', 3*1024*1024, 'y')"}
    at = "'2026-01-31 12:00:00'"
    base.run("INSERT INTO users VALUES " + ", ".join(
        f"('{i}', {large[base.kind]}, {at})" for i in range(7)))
    events = w.wait_for(7)
    assert keys(events) == [str(i) for i in range(7)]
    assert {len(e["new"]["email"]) for e in events} == {3 * 1024 * 1024}
    base.run(f"UPDATE users SET email='', at={base.now} WHERE id='3'")
    assert w.wait_for(8)[7]["previousMissing"] == "too-large"
    counted(w, 8)


def test_ten_thousand_rows_at_once(scene, base):
    base.run(f"CREATE TABLE users (id BIGINT PRIMARY KEY, email TEXT, at {TIMES[base.kind]})")
    config = (CONFIG % (SQL, "existing: send")).partition("endpoints:")[0] + """
flows: {none: {on: rows, match: {.op: never}, steps: [{done: {skip: never}}]}}
"""
    w = Watched(scene, config, installs=False, DATABASE=base.url)
    w.wait_state("working")
    base.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<10000) "
             f"INSERT INTO users SELECT i, 'x', {base.now} FROM n"
             if base.kind == "sqlite" else
             "INSERT INTO users SELECT i, 'x', now() FROM generate_series(1, 10000) i")
    assert wait_until(lambda: w.status()["events"] == 10000, 60), w.status()
    assert w.status()["known"] == 0


def test_a_connection_that_is_lost(watch, pg):
    pg.kind = "postgresql"
    w = watch(pg, rows="VALUES ('a', 'x', now())")
    w.wait_for(1)
    pg.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
           "WHERE application_name='grapnel' AND pid <> pg_backend_pid()")
    pg.run("INSERT INTO users VALUES ('b', 'x', clock_timestamp())")
    assert keys(w.wait_for(2)) == ["a", "b"]
    w.wait_state("working")


def test_a_reader_that_may_only_select(scene, pg):
    pg.run("CREATE TABLE users (id text PRIMARY KEY, email text, at timestamptz)")
    pg.run("DROP ROLE IF EXISTS looker; CREATE ROLE looker LOGIN; GRANT SELECT ON users TO looker")
    w = Watched(scene, CONFIG % (SQL, "existing: send"), installs=False,
                DATABASE=pg.cluster.url(pg.name, "looker"))
    pg.run("INSERT INTO users VALUES ('a', 'x', now())")
    assert keys(w.wait_for(1)) == ["a"]
    w.daemon.stop()
    pg.run("DROP OWNED BY looker; DROP ROLE looker")


def test_the_page_s_example(scene, pg):
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs/triggers/query.md").read_text()
    [config] = re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)
    pg.run("CREATE TABLE users (id text PRIMARY KEY, email text, name text, updated_at timestamptz)")
    pg.run("DROP ROLE IF EXISTS looker")
    for line in re.findall(r"^    ([A-Z].*;)$", page, re.M):
        pg.run(line)
    config = config.replace("postgresql://looker@127.0.0.1/app", "${DATABASE}").replace(
        "https://mirror.example.com", "http://127.0.0.1:${TARGET_PORT}")
    w = Watched(scene, config, installs=False, DATABASE=pg.cluster.url(pg.name, "looker"),
                MIRROR_SECRET="whsec_" + "QUJD" * 11)
    w.wait_state("working")
    pg.run("INSERT INTO users VALUES ('r', 'r', 'robot', now()), ('a', 'a', 'Ada', now())")
    assert w.wait_for(1)[0]["new"]["name"] == "Ada"
    w.daemon.stop()
    pg.run("DROP OWNED BY looker; DROP ROLE looker")


def test_a_file_is_only_read(watch, tmp_path):
    file = File(tmp_path / "app.db")
    file.kind = "sqlite"
    w = watch(file, at="INTEGER", rows="VALUES ('a', 'x', 1)")
    w.wait_for(1)
    assert file.run("SELECT name FROM sqlite_schema WHERE type='table'") == [("users",)]
    opened = [line for line in open(f"/proc/{w.daemon.process.pid}/maps") if str(file.path) in line]
    assert all(" r--" in line or "-shm" in line for line in opened)
    assert not list(tmp_path.glob("app.db-grapnel*"))


def test_a_file_that_is_not_there_is_not_made(scene, tmp_path):
    path = tmp_path / "none.db"
    w = Watched(scene, CONFIG % (SQL, "existing: send"), installs=False, DATABASE=f"sqlite:{path}")
    assert "could not be opened" in w.wait_state("failing")["why"]
    assert not path.exists()
