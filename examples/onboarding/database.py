# SPDX-License-Identifier: Apache-2.0
"""One SQLite file of one service: a single connection in WAL mode that its threads share."""

import contextlib
import sqlite3
import threading


class Database:
    """Reads see committed rows only; writes go through `write()`, one transaction each."""

    def __init__(self, path, schema, seed):
        """Opens the file, makes the tables, and fills in the seed when the file is new.

        `seed` maps a table to its first rows, each a dict.
        """
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL survives a killed process, and only a power cut may undo the last
        # commits: right for an example that tests start a thousand times.
        self._connection.execute("PRAGMA synchronous=NORMAL")
        with self.write() as rows:
            is_new = not rows.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            for statement in schema:
                rows.execute(statement)
            if is_new:
                for table, first_rows in seed.items():
                    for row in first_rows:
                        insert(rows, table, row)

    @contextlib.contextmanager
    def write(self):
        """A transaction: committed when the block ends well, undone when it raises."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def all(self, statement, *values):
        """The rows of a query, as dicts."""
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values)]

    def one(self, statement, *values):
        """The first row of a query as a dict, or None."""
        rows = self.all(statement, *values)
        return rows[0] if rows else None

    def close(self):
        """Closes the file. The lock is kept for good: a late thread waits instead of failing."""
        self._lock.acquire()
        self._connection.close()


def insert(rows, table, row):
    """Inserts a dict whose keys are column names of our own, never a client's."""
    columns = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    return rows.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(row.values()))


def update(rows, table, row_id, row):
    """Updates the row of an id from a dict whose keys are column names of our own."""
    marks = ", ".join(f"{column} = ?" for column in row)
    rows.execute(f"UPDATE {table} SET {marks} WHERE id = ?", (*row.values(), row_id))
