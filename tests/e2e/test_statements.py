# SPDX-License-Identifier: Apache-2.0
"""Statements that the API runs: the change and its webhook are committed together, or neither is."""

import concurrent.futures
import json
import os
import pathlib
import sqlite3
import threading

import pytest

from databases import FORWARD, Cluster, Watched, grapnel, new_base, programs, put_back
from harness import Reply, ask, wait_until

USERS = """
CREATE TABLE users (id text PRIMARY KEY, email text NOT NULL UNIQUE, logins bigint DEFAULT 0
  CHECK (logins >= 0));
CREATE TABLE notes (id integer PRIMARY KEY, body text);
"""
CONFIG = """
databases: {app: {url: "${DATABASE}"}}
sources: {rows: {trigger: {outbox: app, tables: [users]}}}
statements:
  add-user:
    database: app
    source: rows
    sql: INSERT INTO users (id, email) VALUES (:id, :email) RETURNING id, email
  set-email:
    database: app
    source: rows
    parameters: {id: text, email: text}
    sql: UPDATE users SET email = $email WHERE id = $id RETURNING id, email
  set-logins:
    database: app
    source: rows
    parameters: {logins: integer}
    sql: UPDATE users SET logins = :logins WHERE id = :id
  all-users: {database: app, sql: "SELECT * FROM users ORDER BY id;", rows: 3}
  note:
    database: app
    source: rows
    sql: INSERT INTO notes (id, body) VALUES (:id, :body) RETURNING id, body
    emit: {table: notes, op: insert, key: [id]}
  slow: {database: app, source: rows, timeout: 300ms, sql: "%s"}
""" + FORWARD
SLOW_PG = ("WITH w AS MATERIALIZED (SELECT pg_sleep(60)) UPDATE users SET logins=1 FROM w "
           "WHERE id = :id RETURNING id")
SLOW_LITE = ("UPDATE users SET logins=(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 "
             "FROM n) SELECT max(i) FROM n) WHERE id = :id")


def with_user(url, user):
    """The same database for another role."""
    return url + ("&" if "?" in url else "?") + f"user={user}"


class File:
    """A SQLite file, as a database of a server is used."""

    def __init__(self, path):
        self.url = f"sqlite:{path}"
        self.path = path

    def run(self, sql):
        connection = sqlite3.connect(self.path, timeout=20)
        try:
            with connection:
                if sql.count(";") > 1:
                    connection.executescript(sql)
                    return []
                return connection.execute(sql).fetchall()
        finally:
            connection.close()


@pytest.fixture(scope="module", name="cluster")
def a_cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(name="base", params=["postgresql", "sqlite"])
def a_base(request, tmp_path):
    if request.param == "sqlite":
        path = tmp_path / "app.db"
        sqlite3.connect(path).close()
        return File(path)
    if not programs():
        pytest.skip("there is no PostgreSQL server here")
    return new_base(request.getfixturevalue("cluster"), "app")


@pytest.fixture(name="pg")
def a_postgresql(request):
    if not programs():
        pytest.skip("there is no PostgreSQL server here")
    return new_base(request.getfixturevalue("cluster"), "app")


class Desk(Watched):
    """A daemon whose statements are called."""

    def call(self, name, headers=None, **parameters):
        """Status and answer."""
        answer = ask(self.daemon.admin, "POST", f"/api/v1/statements/{name}",
                     json.dumps(parameters).encode(),
                     {"Content-Type": "application/json", **(headers or {})})
        return answer.status, answer.json

    def last(self, n):
        """The events, once those of the last call are there: `n` in all."""
        self.call("add-user", id="last", email="last")
        events = self.wait_for(n + 1)
        assert len(events) == n + 1 and events[-1]["key"] == {"id": "last"}, events
        return events[:-1]


def start(scene, base, **options):
    base.run(USERS)
    slow = SLOW_LITE if isinstance(base, File) else SLOW_PG
    return Desk(scene, CONFIG % slow, DATABASE=base.url, **options)


@pytest.fixture(name="desk")
def a_desk(scene, base):
    return start(scene, base)


def test_the_change_and_its_webhook(desk, base):
    status, made = desk.call("add-user", id="U1", email="old@example.com")
    assert status == 200 and made["rows"] == [{"id": "U1", "email": "old@example.com"}]
    status, changed = desk.call("set-email", id="U1", email="new@example.com")
    assert (status, changed["count"]) == (200, 1)
    assert changed["rows"] == [{"id": "U1", "email": "new@example.com"}]
    events = desk.last(2)
    assert [[e["id"]] for e in events] == [made["events"], changed["events"]]
    assert events[1]["previous"]["email"] == "old@example.com"
    assert events[1]["new"]["email"] == "new@example.com"
    assert base.run("SELECT email FROM users WHERE id='U1'") == [("new@example.com",)]
    if not isinstance(base, File):
        assert events[1]["transaction"]["id"] == changed["transaction"]


def test_an_event_where_no_trigger_is(desk):
    status, made = desk.call("note", id=7, body='it\'s "here"')
    assert status == 200 and len(made["events"]) == 1
    event = desk.last(1)[0]
    assert event["id"] == made["events"][0]
    assert event["type"] == "notes.insert" and event["key"] == {"id": 7}
    assert event["new"] == {"id": 7, "body": 'it\'s "here"'} and event["previous"] is None


def test_a_constraint_is_told_and_nothing_happens(desk, base):
    desk.call("add-user", id="U1", email="a")
    desk.call("add-user", id="U2", email="b")
    status, why = desk.call("set-email", id="U2", email="a")
    assert status == 409 and why["code"] == "constraint" and why["column"] == "email"
    assert "nique" in why["detail"] or "UNIQUE" in why["detail"]
    status, why = desk.call("set-email", id="U2", email=None)
    assert status == 422 and why["column"] == "email" and "null" in why["detail"].lower()
    status, why = desk.call("set-logins", id="U2", logins=-1)
    assert status == 422 and "check" in why["detail"].lower()
    desk.call("note", id=1, body="x")
    assert desk.call("note", id=1, body="y")[0] == 409
    assert base.run("SELECT email, logins FROM users WHERE id='U2'") == [("b", 0)]
    assert [e["type"] for e in desk.last(3)] == ["users.insert", "users.insert", "notes.insert"]


@pytest.mark.parametrize("name, parameters, code, parameter", [
    ("set-email", {"id": "U1"}, "missing_parameter", "email"),
    ("set-email", {"id": "U1", "email": "a", "role": "x"}, "unknown_parameter", "role"),
    ("set-email", {"id": "U1", "email": 1}, "bad_parameter", "email"),
    ("set-logins", {"id": "U1", "logins": 1.5}, "bad_parameter", "logins"),
    ("add-user", {"id": "a\0b", "email": "a"}, "bad_parameter", "id"),
])
def test_parameters_are_looked_at(scene, tmp_path, name, parameters, code, parameter):
    path = tmp_path / "app.db"
    sqlite3.connect(path).close()
    desk = start(scene, File(path))
    status, why = desk.call(name, **parameters)
    assert (status, why["code"], why["parameter"]) == (400, code, parameter)
    assert desk.call("nobody")[0] == 404


def test_injection_is_data(desk, base):
    evil = "x'); DROP TABLE users; --"
    assert desk.call("add-user", id=evil, email="$id :id $1 \"';")[0] == 200
    assert desk.call("set-email", id="' OR '1'='1", email="all")[1]["count"] == 0
    assert base.run("SELECT id, email FROM users") == [(evil, "$id :id $1 \"';")]
    assert desk.last(1)[0]["key"] == {"id": evil}


def test_too_many_rows_and_too_late(desk, base):
    for n in range(3):
        desk.call("add-user", id=f"U{n}", email=str(n))
    assert [r["id"] for r in desk.call("all-users")[1]["rows"]] == ["U0", "U1", "U2"]
    status, why = desk.call("slow", id="U1")
    assert (status, why["code"]) == (504, "timeout")
    assert base.run("SELECT logins FROM users WHERE id='U1'") == [(0,)]
    desk.last(3)
    status, why = desk.call("all-users")
    assert (status, why["code"]) == (422, "too_many_rows")


def test_a_repeat_hears_the_first_answer(desk):
    headers = {"Idempotency-Key": "k1"}
    first = desk.call("note", headers, id=1, body="x")
    assert desk.call("note", headers, id=1, body="x") == first and first[0] == 200
    assert desk.call("note", headers, id=2, body="x")[0] == 422
    desk.last(1)


def test_many_at_once(desk, base):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: desk.call("add-user", id=f"U{n}", email=str(n)),
                                range(100)))
    assert {status for status, _ in answers} == {200}
    assert base.run("SELECT count(*) FROM users") == [(100,)]
    events = desk.wait_for(100)
    assert {e["id"] for e in events} == {a["events"][0] for _, a in answers}
    desk.last(100)


def test_a_reload_brings_others(desk):
    assert desk.call("add-user", id="U1", email="a")[0] == 200
    desk.daemon.reload(desk.config.replace("note:", "remark:").replace(
        "RETURNING id, email\n  set-logins", "RETURNING email AS now\n  set-logins"))
    assert wait_until(lambda: desk.call("note", id=1, body="x")[0] == 404, 20)
    assert desk.call("remark", id=2, body="x")[0] == 200
    assert desk.call("set-email", id="U1", email="b")[1]["rows"] == [{"now": "b"}]


# ---- PostgreSQL ----


def test_a_connection_that_breaks_in_the_middle(scene, pg):
    """The statement waits for a lock when its connection is cut."""
    w = start(scene, pg)
    w.call("add-user", id="U1", email="a")
    holder = pg.connect()
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("SELECT * FROM users WHERE id='U1' FOR UPDATE")
    answers = []
    caller = threading.Thread(target=lambda: answers.append(w.call("set-email", id="U1", email="b")))
    caller.start()
    cut = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type='Lock' "
           "AND application_name='grapnel'")
    assert wait_until(lambda: pg.run(cut) == [(True,)], 20)
    caller.join()
    holder.rollback()
    status, why = answers[0]
    assert (status, why["code"]) == (503, "database_away")
    assert pg.run("SELECT email FROM users") == [("a",)]
    assert w.call("set-email", id="U1", email="c")[0] == 200
    assert [e["new"]["email"] for e in w.last(2)] == ["a", "c"]


def test_idle_connections_that_were_cut_cost_nothing(scene, pg):
    w = start(scene, pg)
    w.call("add-user", id="U1", email="a")
    pg.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid<>pg_backend_pid() "
           "AND application_name='grapnel'")
    assert w.call("set-email", id="U1", email="b")[0] == 200


def test_a_table_that_was_altered(scene, pg):
    w = start(scene, pg)
    w.call("add-user", id="U1", email="a")
    assert w.call("all-users")[1]["rows"] == [{"id": "U1", "email": "a", "logins": 0}]
    pg.run("ALTER TABLE users ADD COLUMN city text DEFAULT 'Espoo'")
    assert w.call("all-users")[1]["rows"][0]["city"] == "Espoo"


def test_who_did_it(scene, pg):
    w = start(scene, pg)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"Grapnel-Actor": "U9", "traceparent": trace}
    w.call("add-user", headers, id="U1", email="a")
    w.call("note", headers, id=1, body="x")
    w.call("note", {"Grapnel-Depth": "3"}, id=2, body="because of a delivery")
    status, why = w.call("note", {"Grapnel-Depth": "16"}, id=3, body="a circle")
    assert (status, why["code"]) == (422, "too_deep")
    events = w.last(3)
    for event, name in zip(events, ("add-user", "note")):
        assert event["context"] == {"statement": name, "actor": "U9", "trace": trace}
    assert events[2]["context"] == {"statement": "note", "depth": 3}
    depths = {r.json["id"]: r.headers["grapnel-depth"] for r in w.scene.target.requests}
    assert depths[events[2]["id"]] == "4" and depths[events[1]["id"]] == "0"


def test_a_file_that_is_another_one(scene, tmp_path):
    """What was written to the old one nobody would ever see."""
    sqlite3.connect(tmp_path / "app.db").close()
    file = File(tmp_path / "app.db")
    d = start(scene, file)
    assert d.call("add-user", id="U1", email="a")[0] == 200
    assert wait_until(lambda: file.run("SELECT count(*) FROM grapnel_outbox") == [(0,)], 20)
    put_back(file.path)
    answer = d.call("add-user", id="U2", email="b")
    assert answer[0] == 200, answer
    assert file.run("SELECT id FROM users ORDER BY id") == [("U1",), ("U2",)]


def test_a_circle_through_a_statement_ends(scene, pg):
    """A receiver that calls a statement because of what it hears, and passes the depth on."""
    d = start(scene, pg)
    answers = []

    def call_back(request):
        answers.append(d.call("set-logins", {"Grapnel-Depth": request.headers["grapnel-depth"]},
                              id="a", logins=len(answers) + 1))
        return Reply(200)

    d.scene.target.act = call_back
    d.call("add-user", id="a", email="1")
    assert wait_until(lambda: len(answers) == 17, 30), d.status()
    assert [status for status, _ in answers] == 16 * [200] + [422]
    assert answers[-1][1]["code"] == "too_deep"
    assert d.status()["parked"] == 0 and [e["new"]["logins"] for e in d.arrived()] == list(range(17))


def test_a_database_that_is_away(scene):
    w = Desk(scene, CONFIG % SLOW_PG, installs=False, DATABASE="postgresql://nobody@127.0.0.1:1/none")
    status, why = w.call("all-users")
    assert (status, why["code"]) == (503, "database_away"), why
    assert wait_until(lambda: "a statement cannot be prepared" in w.daemon.log.read_text(), 20)


# ---- the page ----


def test_what_the_page_says(scene, pg):
    page = (pathlib.Path(__file__).parents[2] / "docs/triggers/statements.md").read_text()
    config = page.partition("```yaml\n")[2].partition("```")[0]
    assert "postgresql://grapnel@127.0.0.1/app" in config
    pg.run(USERS + "INSERT INTO users VALUES ('U1', 'aino@example.com')")
    w = Desk(scene, config.replace("postgresql://grapnel@127.0.0.1/app", pg.url) + FORWARD)
    wanted = json.loads(page.partition("answers\n")[2].partition("`events`")[0])
    sent = json.loads(page.partition("statements/set-email\n")[2].partition("answers")[0])
    status, answer = w.call("set-email", **sent)
    assert status == 200 and answer["rows"] == wanted["rows"] and answer["count"] == 1
    assert answer.keys() == wanted.keys()
    assert w.call("note", id=1, body="x")[0] == 200
    changed, noted = w.wait_for(2)
    assert changed["previous"]["email"] == "aino@example.com" and noted["previous"] is None


def test_the_rights_that_the_page_names(scene, pg):
    w = start(scene, pg)
    pg.run("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA grapnel TO "
           "clerk; GRANT SELECT, DELETE ON grapnel.outbox TO clerk; GRANT ALL ON users, notes TO "
           "clerk")
    w.daemon.reload(w.config.replace("${DATABASE}", with_user(pg.url, "clerk")))
    assert w.call("add-user", id="U1", email="a")[0] == 200
    status, why = w.call("note", id=1, body="x")
    assert (status, why["code"]) == (500, "statement") and "permission denied" in why["detail"]
    pg.run("GRANT INSERT ON grapnel.outbox TO clerk")
    assert w.call("note", id=1, body="x")[0] == 200
    assert len(w.last(2)) == 2
    pg.run("DROP OWNED BY clerk; DROP ROLE clerk")


# ---- what a check says ----


@pytest.mark.parametrize("statement, says", [
    ("{database: app, sql: 'SELECT 1; SELECT 2'}", "second statement"),
    ("{database: app, sql: 'SELECT $1'}", "parameters have names"),
    ("{database: app, sql: COMMIT}", "it begins with SELECT"),
    ("{database: other, sql: SELECT 1}", "there is no database 'other'"),
    ("{database: app, sql: SELECT 1, source: rows}", "has no outbox in database app"),
    ("{database: app, sql: SELECT 1, parameters: {a: text}}", "no parameter 'a'"),
    ("{database: app, sql: SELECT 1, emit: {table: t, op: insert, key: [id]}}", "whose outbox"),
])
def test_a_check_finds(scene, statement, says):
    folder = scene.folder / "check"
    folder.mkdir(parents=True)
    (folder / "grapnel.yaml").write_text(
        'databases: {app: {url: "sqlite:app.db"}}\n'
        "sources: {rows: {verify: none}}\nstatements: {one: %s}\n" % statement)
    done = grapnel(folder, dict(os.environ), "check")
    assert done.returncode != 0 and says in done.stderr + done.stdout
