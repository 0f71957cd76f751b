# SPDX-License-Identifier: Apache-2.0
"""The outbox of a SQLite file: whoever writes to it, each committed change arrives once, in order,
with what was there before."""

import sqlite3
import subprocess
import sys

import pytest

from databases import FORWARD, Watched, put_back
from harness import PATIENCE_S, wait_until

USERS = "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT, name TEXT, logins INTEGER DEFAULT 0)"
CONFIG = """
databases: {app: {url: "sqlite:${FILE}"}}
sources: {rows: {trigger: {outbox: app, tables: %s}}}
""" + FORWARD


class File:
    """An application's database; every statement in a process or connection of its own."""

    def __init__(self, path, journal):
        self.path = path
        with self.open() as connection:
            connection.execute(f"PRAGMA journal_mode={journal}")

    def open(self):
        """A connection, as Python's library gives it."""
        return sqlite3.connect(self.path, timeout=PATIENCE_S)

    def run(self, *statements):
        """One transaction; the rows of the last."""
        connection = self.open()
        try:
            with connection:
                for statement in statements:
                    rows = connection.execute(statement).fetchall()
            return rows
        finally:
            connection.close()


@pytest.fixture(name="file", params=("wal", "delete"))
def a_file(tmp_path, request):
    return File(tmp_path / "app.db", request.param)


@pytest.fixture(name="watch")
def a_watch(scene, file):
    def start(schema=USERS, tables="[users]", config=CONFIG, **options):
        file.run(schema)
        return Watched(scene, config % tables, FILE=str(file.path), **options)

    return start


def test_an_update_tells_what_it_overwrote(watch, file):
    w = watch()
    file.run("INSERT INTO users VALUES ('U1', 'old@example.com', 'Ada', 1)")
    file.run("UPDATE users SET email='new@example.com' WHERE id='U1'")
    file.run("UPDATE users SET email=email")
    file.run("DELETE FROM users")
    made, changed, gone = w.wait_for(3)
    assert made["op"] == "insert" and made["previous"] is None and made["key"] == {"id": "U1"}
    assert made["new"] == {"id": "U1", "email": "old@example.com", "name": "Ada", "logins": 1}
    assert changed["type"] == "users.update" and changed["changed"] == ["email"]
    assert changed["previous"]["email"] == "old@example.com"
    assert gone["op"] == "delete" and gone["previous"]["email"] == "new@example.com"
    assert [int(e["transaction"]["position"]) for e in (made, changed, gone)] == [1, 2, 3]
    assert wait_until(lambda: file.run("SELECT count(*) FROM grapnel_outbox") == [(0,)], PATIENCE_S)
    assert w.status()["state"] == "working"


def test_what_was_taken_back_never_happened(watch, file):
    w = watch()
    file.run("INSERT INTO users (id) VALUES ('a')", "SAVEPOINT s",
             "INSERT INTO users (id) VALUES ('b')", "UPDATE users SET email='x'", "ROLLBACK TO s",
             "INSERT INTO users (id) VALUES ('c')")
    with pytest.raises(sqlite3.IntegrityError):
        file.run("INSERT INTO users (id) VALUES ('d')", "INSERT INTO users (id) VALUES ('a')")
    file.run("INSERT INTO users (id) VALUES ('e')")
    assert [e["key"]["id"] for e in w.wait_for(3)] == ["a", "c", "e"]


@pytest.mark.parametrize("recursive, ops", [
    (0, ["insert", "update", "insert"]), (1, ["insert", "delete", "insert", "insert"])])
def test_a_replaced_row_is_an_update(watch, file, recursive, ops):
    w = watch()
    connection = file.open()
    connection.execute(f"PRAGMA recursive_triggers={recursive}")
    for sql in ("INSERT INTO users (id, email) VALUES ('a', '1')",
                "INSERT OR REPLACE INTO users (id, email) VALUES ('a', '2')",
                "INSERT INTO users (id, email) VALUES ('b', '1')"):
        connection.execute(sql)
        connection.commit()
    connection.close()
    events = w.wait_for(len(ops))
    assert [e["op"] for e in events] == ops
    assert events[1]["previous"]["email"] == "1"
    assert events[-2]["new"]["email"] == "2"


def test_each_way_to_change_a_row(watch, file):
    w = watch()
    file.run("INSERT INTO users (id, email) VALUES ('a', '1')")
    file.run("INSERT OR IGNORE INTO users (id, email) VALUES ('a', '2')")
    file.run("INSERT INTO users (id) VALUES ('a') ON CONFLICT (id) DO UPDATE SET email='3'")
    file.run("UPDATE users SET id='b'")
    file.run("INSERT INTO users (id, email) VALUES ('a', '4')")
    file.run("DELETE FROM users WHERE id='b'", "DELETE FROM users")
    events = w.wait_for(6)
    assert [(e["op"], e["key"]["id"]) for e in events] == [
        ("insert", "a"), ("update", "a"), ("update", "b"), ("insert", "a"),
        ("delete", "b"), ("delete", "a")]
    assert events[1]["previous"]["email"] == "1" and events[1]["new"]["email"] == "3"
    assert events[2]["previous"]["id"] == "a" and events[2]["changed"] == ["id"]
    assert events[3]["previous"] is None


def test_keys_of_all_sorts(watch, file):
    w = watch("CREATE TABLE notes (text)", "{notes: {}, lines: {}, tags: {key: [tag]}}",
              installs=False)
    w.daemon.stop()
    file.run("CREATE TABLE lines (item TEXT, orderno INTEGER, n, PRIMARY KEY (orderno, item)) "
             "WITHOUT ROWID")
    file.run("CREATE TABLE tags (tag)")
    w.install()
    w.daemon.start()
    file.run("INSERT INTO notes VALUES ('x')")
    file.run("INSERT INTO lines VALUES ('tea', 7, 1)")
    file.run("INSERT OR REPLACE INTO lines VALUES ('tea', 7, 2)")
    file.run("INSERT INTO tags VALUES ('blue')")
    note, line, again, tag = w.wait_for(4)
    assert note["key"] == {"rowid": 1} and note["new"] == {"rowid": 1, "text": "x"}
    assert list(line["key"].items()) == [("orderno", 7), ("item", "tea")]
    assert again["op"] == "update" and again["previous"]["n"] == 1
    assert tag["key"] == {"tag": "blue"}


def test_columns_conditions_and_operations(watch, file):
    w = watch(tables="{users: {columns: [email], ops: [insert, update], "
                     "when: \"{row}.name IS NOT 'robot'\"}}")
    file.run("INSERT INTO users VALUES ('a', '1', 'Ada', 9007199254740993)")
    file.run("INSERT INTO users VALUES ('r', '1', 'robot', 0)")
    file.run("UPDATE users SET logins=logins+1")
    file.run("UPDATE users SET email='2' WHERE id='r'")
    file.run("UPDATE users SET name='robot', email='3' WHERE id='a'")
    file.run("DELETE FROM users")
    file.run("INSERT INTO users (id) VALUES ('last')")
    events = w.wait_for(3)
    assert [(e["op"], e["key"]["id"]) for e in events] == [
        ("insert", "a"), ("update", "a"), ("insert", "last")]
    assert events[0]["new"] == {"id": "a", "email": "1"}
    assert events[1]["previous"] == {"id": "a", "email": "1"}


def test_values_of_all_sorts_and_sizes(watch, file):
    w = watch("CREATE TABLE things (id INTEGER PRIMARY KEY, v, n TEXT COLLATE NOCASE)", "[things]")
    file.run("INSERT INTO things VALUES (1, x'00ff', 'a')")
    file.run("INSERT INTO things VALUES (2, 9e999, 'a')")
    file.run("INSERT INTO things VALUES (3, CAST(x'41ff42' AS TEXT), 'a')")
    file.run("INSERT INTO things VALUES (4, 9007199254740993, 'a')")
    file.run("INSERT INTO things VALUES (5, '{\"a\": [1]}', 'a')")
    file.run("UPDATE things SET n='A' WHERE id=5")
    file.run("INSERT INTO things VALUES (6, printf('%.*c', 20*1024*1024, 'y'), 'a')")
    events = w.wait_for(7)
    assert [e["new"]["v"] for e in events[:5]] == [
        "\\x00ff", "Infinity", "A\ufffdB", 9007199254740993, '{"a": [1]}']
    assert events[5]["changed"] == ["n"]
    assert len(events[6]["new"]["v"]) == 20 * 1024 * 1024


def test_a_table_of_many_columns(watch, file):
    names = [f"c{n}" for n in range(150)]
    w = watch(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {', '.join(names)})", "[wide]")
    file.run(f"INSERT INTO wide (id, c149, c39, c40) VALUES (1, 'last}}', '{{', '')")
    event = w.wait_for(1)[0]
    assert len(event["new"]) == 151 and event["new"]["c149"] == "last}"
    assert event["new"]["c39"] == "{" and event["new"]["c40"] == ""


def test_a_new_column_is_told_of(watch, file):
    w = watch()
    file.run("INSERT INTO users (id) VALUES ('a')")
    w.wait_for(1)
    file.run("ALTER TABLE users ADD COLUMN city TEXT DEFAULT 'Espoo'")
    file.run("UPDATE users SET email='x'")
    assert "city" not in w.wait_for(2)[1]["new"]
    assert wait_until(lambda: "why" in w.status(), PATIENCE_S)
    assert w.status()["why"] == ("column city of table users is in no event: run grapnel trigger "
                                 "install rows again")
    assert w.status()["state"] == "working"
    w.install()
    file.run("UPDATE users SET city='Oulu'")
    assert w.wait_for(3)[2]["previous"]["city"] == "Espoo"
    assert wait_until(lambda: "why" not in w.status(), PATIENCE_S)


def test_a_thousand_rows_and_a_hundred_thousand(scene, file):
    file.run(USERS)
    config = CONFIG.partition("endpoints:")[0] % "[users]" + """
flows: {none: {on: rows, match: {.op: never}, steps: [{done: {skip: never}}]}}
"""
    w = Watched(scene, config, FILE=str(file.path))
    file.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<100000) "
             "INSERT INTO users (id) SELECT i FROM n")
    assert wait_until(lambda: w.status()["events"] == 100000, 120), w.status()
    assert wait_until(lambda: file.run("SELECT count(*) FROM grapnel_outbox") == [(0,)], PATIENCE_S)
    assert w.status()["known"] == 0


def test_another_process_writes_all_the_time(watch, file):
    """The reader and the writer are in each other's way for moments only."""
    w = watch()
    w.wait_state("working")
    writer = subprocess.Popen([sys.executable, "-c", f"""
import sqlite3
c = sqlite3.connect({str(file.path)!r}, timeout=30)
for n in range(500):
    with c:
        c.execute("INSERT INTO users (id) VALUES (?)", (f"{{n:04}}",))
"""])
    assert writer.wait(60) == 0
    assert [e["key"]["id"] for e in w.wait_for(500, 60)] == [f"{n:04}" for n in range(500)]


def test_an_application_that_holds_the_file_for_long(watch, file):
    w = watch()
    w.wait_state("working")
    connection = file.open()
    connection.isolation_level = None
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("INSERT INTO users (id) VALUES ('a')")
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    w.wait_for(1)  # read, but not removed while the file is held
    connection.execute("INSERT INTO users (id) VALUES ('b')")
    connection.execute("COMMIT")
    connection.close()
    assert [e["key"]["id"] for e in w.wait_for(2)] == ["a", "b"]
    assert w.status()["events"] == 2


def test_kills_of_the_daemon_lose_nothing(watch, file):
    w = watch()
    w.wait_state("working")
    for n in range(6):
        for i in range(20):
            file.run(f"INSERT INTO users (id) VALUES ('{n:02}-{i:02}')")
        w.daemon.kill()
        w.daemon.start()
    assert wait_until(lambda: len({e["id"] for e in w.arrived()}) == 120, 60), w.status()
    by_key = {}
    for event in w.arrived():
        assert by_key.setdefault(event["key"]["id"], event["id"]) == event["id"]
    assert len(by_key) == 120


@pytest.mark.parametrize("tables, says", [
    ("[nobody]", "database app has no table nobody"),
    ("{users: {columns: [nothing]}}", "table users has no column nothing"),
    ("{users: {when: 'oh my'}}", "near"),
])
def test_an_install_that_fails_changes_nothing(watch, file, tables, says):
    w = watch(tables=tables, installs=False)
    done = w.command("trigger", "install", "rows", "--apply")
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert file.run("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'grapnel%'") == [(0,)]
    assert w.wait_state("broken")["why"] == (
        "database app has no outbox: run grapnel trigger install rows")


def test_uninstalled_while_events_wait(watch, file):
    w = watch()
    w.wait_state("working")
    w.daemon.kill()
    file.run("INSERT INTO users (id) VALUES ('a')")
    assert w.command("trigger", "uninstall", "rows", "--apply").returncode == 0
    assert file.run("SELECT count(*) FROM sqlite_schema WHERE type='trigger'") == [(0,)]
    w.daemon.start()
    assert "has no trigger for insert" in w.wait_state("broken")["why"]
    w.install()
    w.daemon.reload(w.config % "[users]" if "%s" in w.config else w.config)
    w.wait_state("working")
    file.run("INSERT INTO users (id) VALUES ('b')")
    assert [e["key"]["id"] for e in w.wait_for(1)] == ["b"]


def test_a_file_that_is_not_there_is_not_made(scene, tmp_path):
    w = Watched(scene, CONFIG % "[users]", installs=False, FILE=str(tmp_path / "none.db"))
    assert "could not be opened" in w.wait_state("failing")["why"]
    assert not (tmp_path / "none.db").exists()


def test_a_trigger_that_goes_missing_is_noticed_and_what_is_there_still_comes(watch, file):
    w = watch(tables="[users, notes]", installs=False)
    file.run("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    w.install()
    w.daemon.reload(w.config)
    w.wait_state("working")
    file.run("DROP TABLE users", USERS)
    assert "table users has no trigger for insert" in w.wait_state("broken")["why"]
    file.run("INSERT INTO notes VALUES (1)")
    w.daemon.reload(w.config)
    assert w.wait_for(1)[0]["table"] == "notes"


@pytest.mark.parametrize("tables", ("{users: {columns: [name]}}",
                                    "{users: {when: '{row}.name IS NOT NULL'}}"))
def test_options_that_were_not_installed_are_remarked_on(watch, file, tables):
    """Else a column that was taken out would go on to be told."""
    watch().check_remark(CONFIG % tables)


def test_a_table_that_is_no_longer_among_them_loses_its_triggers(watch, file):
    w = watch(tables="[users, notes]", installs=False)
    file.run("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    w.install()
    w.daemon.reload(CONFIG % "[users]")
    w.install()
    file.run("INSERT INTO notes VALUES (1)", "INSERT INTO users (id) VALUES ('a')")
    assert w.wait_for(1)[0]["key"] == {"id": "a"}


def test_what_was_put_by_for_nothing_goes(watch, file):
    """Rows that an INSERT was about to take away, and did not."""
    w = watch()
    file.run("INSERT INTO users (id) VALUES ('a'), ('b')")
    file.run("INSERT INTO users (id) VALUES ('a') ON CONFLICT DO UPDATE SET name='x'",
             "INSERT OR IGNORE INTO users (id) VALUES ('b')")
    assert [e["op"] for e in w.wait_for(3)] == ["insert", "insert", "update"]
    assert wait_until(
        lambda: file.run("SELECT count(*) FROM grapnel_replaced") == [(0,)], PATIENCE_S)


def test_a_file_that_is_another_one_is_opened_anew(watch, file):
    w = watch()
    w.wait_state("working")
    put_back(file.path)
    file.run("INSERT INTO users (id) VALUES ('a')")
    assert w.wait_for(1)[0]["key"] == {"id": "a"}
    w.wait_state("working")
