# SPDX-License-Identifier: Apache-2.0
"""What a ledger of SQLite holds, read by somebody else than the daemon."""

import collections
import contextlib
import json
import sqlite3

DONE, DEAD = 3, 4
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def id_text(prefix, number):
    """As the API prints ids."""
    letters = ""
    for _ in range(13):
        letters = LETTERS[number & 31] + letters
        number >>= 5
    return f"{prefix}_{letters}"


@contextlib.contextmanager
def opened(file):
    """Read-only, beside the daemon or after it."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def open_jobs(file):
    """How many have not ended."""
    with opened(file) as ledger:
        return ledger.execute("SELECT count(*) FROM jobs WHERE state NOT IN (?, ?)",
                              (DONE, DEAD)).fetchone()[0]


Job = collections.namedtuple("Job", "id event target state")
Attempt = collections.namedtuple("Attempt", "number started code was_sent")


class Contents:
    """All of it, once the daemon has ended."""

    def __init__(self, file):
        with opened(file) as ledger:
            self.is_whole = ledger.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            self.events = {  # number in the body -> [(id, body)]
                number: list(events) for number, events in self._by_number(ledger)}
            self.jobs = [Job(*row) for row in ledger.execute(
                "SELECT j.id, j.event, n.name, j.state FROM jobs j JOIN names n ON n.id = j.target")]
            self.attempts = collections.defaultdict(list)
            for job, *row, detail in ledger.execute(
                    "SELECT job, number, started_ms / 1000.0, code, detail FROM attempts"
                    " ORDER BY job, number"):
                self.attempts[job].append(Attempt(*row, bool(detail)))

    @staticmethod
    def _by_number(ledger):
        found = collections.defaultdict(list)
        for number, body in ledger.execute("SELECT id, body FROM events"):
            found[json.loads(body)["n"]].append((number, body))
        return found.items()
