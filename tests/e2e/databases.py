# SPDX-License-Identifier: Apache-2.0
"""What the tests of triggers share: a PostgreSQL server for all tests of a file, databases of their
own in it, and a daemon whose every event goes to a target, so that a test sees what arrived."""

import json
import pathlib
import sqlite3
import subprocess
import sys

import psycopg2
import pytest

from harness import GRAPNEL, PATIENCE_S, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "database"))
from cluster import Cluster, programs  # noqa: E402, F401

# Every event of `rows` is sent on as it is, one at a time and in order.
FORWARD = """
endpoints:
  rows: {url: "http://127.0.0.1:${TARGET_PORT}/rows", on: rows, order: all, profile: none}
"""


class Base:
    """One database of a server."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.url = cluster.url(name)

    def connect(self, **how):
        """A connection that commits each statement by itself."""
        connection = psycopg2.connect(self.url, **how)
        connection.autocommit = True
        return connection

    def run(self, sql, values=None):
        """Statements of one transaction; the rows of the last."""
        connection = psycopg2.connect(self.url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


def new_base(cluster, name):
    """A fresh one, without whatever had that name."""
    admin = psycopg2.connect(cluster.url())
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{name}"')
    admin.close()
    return Base(cluster, name)


def put_back(path):
    """A copy of a SQLite file that nobody writes to takes its place, as a backup does."""
    source, copy = sqlite3.connect(path), sqlite3.connect(path.with_name("backup.db"))
    source.backup(copy)
    source.close()
    copy.close()
    for more in ("-wal", "-shm"):
        path.with_name(path.name + more).unlink(missing_ok=True)
    path.with_name("backup.db").rename(path)


def grapnel(folder, environment, *words):
    """A command, in the folder of a configuration."""
    return subprocess.run([GRAPNEL, *words], cwd=folder, env=environment, capture_output=True,
                          text=True, timeout=PATIENCE_S, check=False)


class Watched:
    """A daemon with a source `rows` that has a trigger, and what arrived of it."""

    def __init__(self, scene, config, installs=True, **environment):
        self.scene = scene
        self.config = config
        self.environment = environment
        folder = scene.folder / "daemon0"
        folder.mkdir(parents=True, exist_ok=True)
        if installs:
            (folder / "grapnel.yaml").write_text(config)
            self.install(folder)
        self.daemon = scene.start(config, **environment)

    def _environment(self):
        import os  # pylint: disable=import-outside-toplevel

        return {**os.environ, **self.scene.environment, **self.environment}

    def command(self, *words, folder=None):
        """`grapnel ...` beside the configuration."""
        return grapnel(folder or self.daemon.folder, self._environment(), *words)

    def install(self, folder=None):
        """What the trigger needs in its database."""
        done = self.command("trigger", "install", "rows", "--apply", folder=folder)
        assert done.returncode == 0, done.stderr

    def arrived(self):
        """Events, in the order in which they came."""
        return [json.loads(request.body) for request in self.scene.target.requests]

    def wait_for(self, n, patience=PATIENCE_S):
        """The first `n` of them, once they are there."""
        assert wait_until(lambda: len(self.scene.target.requests) >= n, patience), (
            len(self.scene.target.requests), self.status(), self.daemon.log.read_text()[-3000:])
        return self.arrived()

    def status(self, source="rows"):
        """What the API says of its trigger."""
        found = [t for t in self.daemon.api("/api/v1/triggers")["data"] if t["source"] == source]
        return found[0] if found else None

    def wait_state(self, state):
        """Its status, once it is in that state."""
        assert wait_until(lambda: (self.status() or {}).get("state") == state, PATIENCE_S), \
            self.status()
        return self.status()

    def check_remark(self, config):
        """Options that are in the file and were not installed are remarked on until they are."""
        assert "why" not in self.wait_state("working")
        self.daemon.reload(config)
        remark = ("table users was installed with other options, or by an older Grapnel: "
                  "run grapnel trigger install rows again")
        assert wait_until(lambda: remark in (self.status() or {}).get("why", ""), PATIENCE_S), \
            self.status()
        assert self.status()["state"] == "working"
        self.install()
        self.daemon.reload(config)
        assert wait_until(lambda: (self.status() or {}).get("state") == "working" and
                          "why" not in self.status(), PATIENCE_S), self.status()
