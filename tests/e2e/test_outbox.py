# SPDX-License-Identifier: Apache-2.0
"""The outbox of a PostgreSQL database: whatever is committed arrives once, in the order of each row,
with what was there before."""

import json

import pytest

from databases import FORWARD, Cluster, Watched, new_base, programs
from harness import wait_until

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
    with Cluster() as cluster:
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
