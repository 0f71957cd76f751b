#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Walks through three changes that no webhook tells of: the identity service's database does.

Starts the identity service with its webhook switched off, the commercial service and Grapnel;
changes users through the service's API, its page, and straight in its database; shows the event and
every call, and verifies what it claims. Exits 1 when a claim is wrong.
"""

import argparse
import contextlib
import json
import pathlib
import sqlite3
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "onboarding"))

from stack import Stack, StackError, wait_until  # noqa: E402
from terminal import Screen  # noqa: E402
from walkthrough import AINO, EERO, Case, call_json, patches, run_case  # noqa: E402


class DatabaseStack(Stack):
    """The same three programs, with nobody to tell."""

    config = HERE / "grapnel.yaml"

    def webhooks(self):
        return []

    def _start_grapnel(self):
        print(self.run_grapnel("trigger", "install", "identity-rows", "--apply"), end="")
        super()._start_grapnel()

    @property
    def users_file(self):
        """The identity service's database."""
        return self.identity.folder / "identity.db"


def events(stack, source):
    """The events of a source, newest first."""
    listed = call_json(stack.admin_port, "GET", f"/api/v1/events?source={source}")["events"]
    return [call_json(stack.admin_port, "GET", f"/api/v1/events/{one['id']}") for one in listed]


def settled(stack, n):
    """The newest event that the webhook would have told of, once there are `n` and all is done."""

    def look():
        found = events(stack, "oneportal")
        is_done = all(job["state"] == "done" for event in found for job in event["jobs"])
        return found[0] if len(found) == n and is_done else None

    return wait_until(look, 30) or {"body": {}}


def follow(case, n, email):
    """Shows and verifies what becomes of the n-th change."""
    event = settled(case.stack, n)
    rows = events(case.stack, "identity-rows")
    if rows and n == 1:
        case.screen.block("row event", [case.screen.body(json.dumps(rows[0]["body"]))])
    case.screen.block("event", [case.screen.body(json.dumps(event["body"]))])
    calls = case.calls()
    case.show_calls(calls)
    row = case.contact_row(AINO)
    case.show_row(row)
    case.screen.line()
    case.check(row.get("email") == email, f"the contact's row holds {email}", row)
    return event["body"], calls


def by_the_page(case):
    """Case 1."""
    email = "aino.virtanen@new.example.com"
    answer = call_json(case.stack.identity_port, "POST", f"/demo/users/{AINO}", {"email": email})
    case.check(answer == {"webhook": None}, "Save told nobody", answer)
    event, calls = follow(case, 1, email)
    wanted = {"id": AINO, "entityType": "USER", "eventType": "UPDATE"}
    case.check({k: event.get(k) for k in wanted} == wanted, "the event is the brief's", event)
    old = (event.get("previous") or {}).get("email")
    case.check(old == "aino.virtanen@example.com", f"and holds the e-mail overwritten: {old}",
               event)
    case.check([p["method"] for p in patches(calls)] == ["PATCH"], "one PATCH wrote it", calls)


def by_hand(case):
    """Case 2."""
    email = "aino@by-hand.example.com"
    with contextlib.closing(sqlite3.connect(case.stack.users_file)) as database, database:
        database.execute("UPDATE users SET email=? WHERE id=?", (email, AINO))
    event, _ = follow(case, 2, email)
    old = (event.get("previous") or {}).get("email")
    case.check(old == "aino.virtanen@new.example.com", f"it overwrote {old}", event)


def taken_back(case):
    """Case 3."""
    with contextlib.closing(sqlite3.connect(case.stack.users_file)) as database:
        database.execute("UPDATE users SET email='never@example.com' WHERE id=?", (EERO,))
        database.rollback()
    with contextlib.closing(sqlite3.connect(case.stack.users_file)) as database, database:
        database.execute("UPDATE users SET phone='+358 40 765 4321' WHERE id=?", (AINO,))
    event, calls = follow(case, 3, "aino@by-hand.example.com")
    case.check(event.get("changed") == ["phone"], "what was taken back made no event", event)
    case.check(not patches(calls), "and a telephone number is nothing to the contact", calls)


CASES = (
    (
        "The webhook is switched off",
        "Aino Virtanen gets a new e-mail in the identity service, which tells nobody. A trigger in"
        " its database writes the change into an outbox, in the same transaction.",
        by_the_page,
    ),
    (
        "Somebody changes the database by hand",
        "No service would ever know. The event says what was overwritten.",
        by_hand,
    ),
    (
        "A change that is taken back",
        "Eero Korhonen's e-mail changes, and the transaction is rolled back; then Aino's telephone"
        " number changes.",
        taken_back,
    ),
)


def main():
    """Reads the command line; the exit status is 0 when every check held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--grapnel", default="build/grapnel", help="the binary (build/grapnel)")
    options = parser.parse_args()
    screen = Screen()
    results = []
    try:
        with DatabaseStack(options.grapnel) as stack:
            for number, (title, story, function) in enumerate(CASES, start=1):
                screen.title(number, title)
                screen.story(story)
                results.append(run_case(Case(stack, screen, 30), function))
    except (StackError, OSError) as error:
        print(f"walkthrough: {error}", file=sys.stderr)
        return 1
    failed = results.count(False)
    screen.line()
    screen.verdict(not failed, f"{results.count(True)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
