# SPDX-License-Identifier: Apache-2.0
"""Endpoints from which nothing but failures comes back for days: disabled, told, enabled again."""

import json
import sqlite3
import time

import pytest

from harness import PATIENCE_S, Reply, wait_until
from sending import Application

DAY_MS = 24 * 3600 * 1000


class Shop(Application):
    """One application with an endpoint that fails, on a daemon whose ledger the test may change."""

    def __init__(self, scene):
        super().__init__(scene.start(""))
        self.target = scene.target
        self.target.act = Reply(503)
        self.id = self.endpoint("hook", f"http://127.0.0.1:{self.target.port}/hook", retry=[])["id"]

    def try_once(self):
        """Sends a message; how its delivery ended."""
        return self.settled(self.send("t", {"n": 1}), self.id)["state"]

    def has_failed_for(self, days):
        """As if nothing but failures had come back for so long."""
        self.try_once()
        assert wait_until(lambda: self.look("hook")["failingSince"], PATIENCE_S)
        assert self.daemon.stop() == 0
        with sqlite3.connect(self.daemon.folder / "grapnel.db") as ledger:
            rows = ledger.execute("SELECT id, text FROM objects WHERE text LIKE '%failingSince%'")
            (number, text), = rows.fetchall()
            since = int(time.time() * 1000 - days * DAY_MS)
            ledger.execute("UPDATE objects SET text = ? WHERE id = ?",
                           (json.dumps({**json.loads(text), "failingSince": since}), number))
        ledger.close()
        self.daemon.start()

    def is_disabled(self):
        """Whether it was, once that is written down."""
        return self.look("hook")["disabledReason"] == "failing"


@pytest.fixture(name="shop")
def one_shop(scene):
    return Shop(scene)


def test_five_days_of_failure_disable(shop):
    operational = Application(shop.daemon, "operational")
    operational.endpoint("watcher", f"http://127.0.0.1:{shop.target.port}/told")
    shop.has_failed_for(days=5.01)
    shop.try_once()
    assert wait_until(shop.is_disabled, PATIENCE_S)
    assert shop.look("hook")["disabled"] is True
    assert wait_until(lambda: shop.target.seen(path="/told"), PATIENCE_S)
    told = shop.target.seen(path="/told")[0].json
    assert told["type"] == "endpoint.disabled" and told["data"]["endpointId"] == shop.id
    assert told["data"]["trigger"] == "failing"


def test_less_does_not(shop):
    shop.has_failed_for(days=4.9)
    shop.try_once()
    assert shop.try_once() == "dead"
    assert shop.look("hook")["disabled"] is False


def test_one_success_begins_anew(shop):
    shop.has_failed_for(days=5.01)
    shop.target.act = Reply(204)
    assert shop.try_once() == "done"
    assert wait_until(lambda: shop.look("hook")["failingSince"] is None, PATIENCE_S)
    shop.target.act = Reply(503)
    for _ in range(3):
        shop.try_once()
    assert shop.look("hook")["disabled"] is False


def test_being_enabled_by_hand_begins_anew(shop):
    shop.has_failed_for(days=5.01)
    shop.try_once()
    assert wait_until(shop.is_disabled, PATIENCE_S)
    enabled = shop.call("PATCH", "/endpoint/hook", {"disabled": False})
    assert (enabled["disabled"], enabled["failingSince"]) == (False, None)
    for _ in range(3):
        assert shop.try_once() == "dead"
    assert shop.look("hook")["disabled"] is False
