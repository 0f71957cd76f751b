#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Walks through five webhooks, from Save in one application to the contact in another.

Starts the identity service, the commercial service and Grapnel, drives the same code that the
Save button drives, shows every call, and verifies what it claims. Exits 1 when a claim is wrong.
"""

import argparse
import contextlib
import datetime
import html.parser
import http.client
import json
import signal
import sqlite3
import sys
import threading
import urllib.parse

from stack import Stack, StackError, wait_until
from terminal import Screen

AINO, EERO, SANNI = "IDNUMBER1234", "IDNUMBER2345", "IDNUMBER3456"
CALL_MAX_S = 15
HEADERS_SHOWN = ("Content-Type", "webhook-id", "webhook-timestamp", "webhook-signature")


class CaseFailed(Exception):
    """A case cannot go on; its checks have said why, or the text does."""


def call(port, method, target, body=None, content_type="application/json"):
    """One call to an example service: status, headers, text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_MAX_S)
    try:
        headers = {"Content-Type": content_type} if body is not None else {}
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def call_json(port, method, target, document=None):
    """One call whose answer must be 200 with JSON."""
    body = None if document is None else json.dumps(document)
    status, _, text = call(port, method, target, body)
    if status != 200:
        raise CaseFailed(f"{method} {target} answered {status}: {text}")
    return json.loads(text)


class FormReader(html.parser.HTMLParser):
    """Reads the inputs of a page, and the text of every element that has an id."""

    VOID = ("input", "meta", "link", "br")

    def __init__(self, text):
        super().__init__()
        self.inputs = {}  # name -> attributes
        self.texts = {}  # id -> text
        self._open = []  # ids of the open elements, None without one
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """An element begins."""
        attributes = dict(attrs)
        if tag == "input":
            self.inputs[attributes.get("name")] = attributes
        if tag not in self.VOID:
            self._open.append(attributes.get("id"))
            if attributes.get("id"):
                self.texts[attributes["id"]] = ""

    def handle_endtag(self, tag):
        """An element ends."""
        if tag not in self.VOID and self._open:
            self._open.pop()

    def handle_data(self, data):
        """Text, which belongs to every element around it."""
        for name in self._open:
            if name:
                self.texts[name] += data

    def error_beside(self, name):
        """The message that is tied to an input and stands on the page; empty when there is none."""
        attributes = self.inputs.get(name, {})
        if attributes.get("aria-invalid") != "true":
            return ""
        return self.texts.get(attributes.get("aria-describedby"), "")


class Case:
    """One case: what is shown and what is verified."""

    def __init__(self, stack, screen, patience_s):
        self.stack = stack
        self.screen = screen
        self.patience_s = patience_s  # for what happens in the background
        self.failed = 0
        self._seen = {}  # name of a service -> number of its last logged request
        for name in ("identity", "commercial"):
            self._seen[name] = max((entry["n"] for entry in self._log(name)), default=0)

    # What happens

    def save(self, user_id, fields=None, **options):
        """Presses Save by script, and shows the webhook; returns its record."""
        target = f"/demo/users/{user_id}"
        record = call_json(
            self.stack.identity_port, "POST", target, {**(fields or {}), **options}
        )
        self._show_webhook(record["webhook"])
        return record

    def save_by_form(self, user_id, fields):
        """Fills in the form and presses Save, as a browser does: the record, and the page."""
        port = self.stack.identity_port
        _, _, text = call(port, "GET", f"/users/{user_id}")
        inputs = FormReader(text).inputs
        values = {name: attributes.get("value", "") for name, attributes in inputs.items()}
        form = urllib.parse.urlencode({**values, **fields, "action": "save"})
        content_type = "application/x-www-form-urlencoded"
        status, headers, text = call(port, "POST", f"/users/{user_id}", form, content_type)
        if status != 303:
            raise CaseFailed(f"the form answered {status}: {text}")
        record = call_json(port, "GET", "/demo/webhooks")[0]
        self._show_webhook(record["webhook"])
        return record, FormReader(call(port, "GET", headers["Location"])[2])

    def contact_row(self, user_id):
        """The contact's row, from the commercial service's own database file."""
        uri = f"{self.stack.contacts_file.as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
            database.row_factory = sqlite3.Row
            row = database.execute(
                "SELECT * FROM contacts WHERE external_id = ?", (user_id,)
            ).fetchone()
        return dict(row) if row else {}

    def settled_event(self, url):
        """What stands at the URL of an event, as soon as its jobs are done, or at last."""
        target = urllib.parse.urlsplit(url).path
        texts = []

        def is_settled():
            texts.append(call(self.stack.grapnel_port, "GET", target)[2])
            return all_done(texts[-1])

        wait_until(is_settled, self.patience_s)
        return texts[-1]

    def calls(self):
        """The requests that the services logged since this was asked last, in order."""
        # A request is in the log an instant before its answer is.
        wait_until(self._is_quiet, CALL_MAX_S)
        found = []
        for name in ("identity", "commercial"):
            for entry in self._log(name, self._seen[name]):
                self._seen[name] = entry["n"]
                found.append((name, entry))
        return sorted(found, key=lambda pair: pair[1]["time"])

    def _is_quiet(self):
        entries = [e for name, after in self._seen.items() for e in self._log(name, after)]
        return all(entry["status"] is not None for entry in entries)

    def forget_commercial(self):
        """The commercial service was started anew, and so was its log."""
        self._seen["commercial"] = 0

    def _log(self, name, after=0):
        program = getattr(self.stack, name)
        port = getattr(self.stack, f"{name}_port")
        if not program.is_running():
            return []
        return call_json(port, "GET", f"/demo/requests?after={after}")

    # What is shown

    def _show_webhook(self, webhook):
        path = urllib.parse.urlsplit(webhook["url"]).path
        lines = [(f"{webhook['method']} {path}", "bold")]
        lines += [(f"{name}: {webhook['headers'][name]}", "dim") for name in HEADERS_SHOWN]
        lines.append(self.screen.body(webhook["body"]))
        self.screen.block("webhook", lines)

    def show_calls(self, calls):
        """The calls at both services, with what was written."""
        if not calls:
            self.screen.block("calls", [("none", "dim")])
            return
        heads = self.screen.table(
            [
                (name, str(entry["status"] or "---"), f"{entry['method']} {entry['path']}")
                for name, entry in calls
            ]
        )
        indent = " " * heads[0].index(calls[0][1]["method"])
        lines = []
        for head, (_, entry) in zip(heads, calls):
            lines.append(head)
            if entry["body"]:
                lines.append((indent + entry["body"], "dim"))
        self.screen.block("calls", lines)

    def show_answer(self, record):
        """What the identity service heard."""
        answer = record["answer"]
        colour = "green" if 200 <= answer["status"] < 300 else "yellow"
        head = f"{answer['status'] or 'none'}, after {answer['ms']} ms"
        self.screen.block("answer", [(head, "bold", colour), self.screen.body(answer["body"])])

    def show_row(self, row):
        """A row of the commercial service's database."""
        rows = [(name, str(value)) for name, value in row.items()] or [("no", "row")]
        self.screen.block("contact row", self.screen.table(rows))

    # What is verified

    def check(self, is_good, text, found=""):
        """Verifies one claim."""
        self.screen.check(is_good, text, found)
        self.failed += not is_good

    def check_status(self, record, status):
        """Verifies the status of the answer."""
        answer = record["answer"]
        self.check(
            answer["status"] == status,
            f"the answer is {status}",
            f"{answer['status']} {answer['body']}",
        )

    def check_message(self, record, wanted):
        """Verifies that the answer holds a message for a person, with these words."""
        message = str(problem_of(record).get("detail") or "")
        self.check(
            wanted.lower() in message.lower() and bool(message),
            f'with a message for a person: "{message}"',
            f"no such words: {wanted!r}",
        )


def document_of(text):
    """A JSON object; an empty one when the text is something else."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def problem_of(record):
    """The answer's JSON document."""
    return document_of(record["answer"]["body"])


def all_done(text):
    """Whether an event has jobs and all of them are done."""
    jobs = document_of(text).get("jobs") or []
    return bool(jobs) and all(job.get("state") == "done" for job in jobs)


def patches(calls):
    """The calls that write to the commercial service."""
    return [e for name, e in calls if name == "commercial" and e["method"] != "GET"]


def succeeds(case):
    """Case 1."""
    before = case.contact_row(AINO)
    email = "aino.virtanen@new.example.com"
    record = case.save(AINO, {"email": email})
    calls = case.calls()
    case.show_calls(calls)
    case.show_answer(record)
    row = case.contact_row(AINO)
    case.show_row(row)
    case.screen.line()
    case.check_status(record, 200)
    written = [entry["method"] for entry in patches(calls)]
    case.check(written == ["PATCH"], "the contact was written by one PATCH", written)
    is_new = row.get("email") == email and row.get("version") == before.get("version", 0) + 1
    case.check(is_new, f"the row holds {email}", row)


def nothing_to_change(case):
    """Case 2."""
    before = case.contact_row(AINO)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
    record = case.save(AINO, timestamp=later.strftime("%Y-%m-%dT%H:%M:%SZ"))
    calls = case.calls()
    case.show_calls(calls)
    case.show_answer(record)
    case.screen.line()
    case.check_status(record, 200)
    looked = [entry["path"] for name, entry in calls if name == "commercial"]
    case.check(bool(looked), "the contact was looked at", "no call")
    case.check(not patches(calls), "and not written, for it says the same", patches(calls))
    case.check(case.contact_row(AINO) == before, "its row is what it was", case.contact_row(AINO))


def taken(case):
    """Case 3."""
    before = case.contact_row(EERO)
    record, page = case.save_by_form(EERO, {"email": "eero.korhonen@example.com"})
    case.show_calls(case.calls())
    case.show_answer(record)
    beside = page.error_beside("email")
    form = page.inputs.get("email", {})
    case.screen.block(
        "the form", [f"[ {form.get('value')} ]", (f"! {beside or 'no error here'}", "yellow")]
    )
    case.screen.line()
    case.check_status(record, 409)
    case.check_message(record, "belongs to another contact")
    errors = problem_of(record).get("errors") or [{}]
    case.check(errors[0].get("pointer") == "/email", "which points at /email", errors)
    is_there = bool(beside) and beside == errors[0].get("detail")
    case.check(is_there, "and the form shows it beside the e-mail", beside or "no error there")
    others = [name for name in page.inputs if name != "email" and page.error_beside(name or "")]
    case.check(not others, "and beside no other field", others)
    case.check(case.contact_row(EERO) == before, "the contact is what it was")


def no_contact(case):
    """Case 4."""
    record = case.save(SANNI)
    calls = case.calls()
    case.show_calls(calls)
    case.show_answer(record)
    case.screen.line()
    case.check_status(record, 404)
    case.check_message(record, "sanni.lehtonen@example.com")
    case.check(not patches(calls), "and nothing was written", patches(calls))


def stopped(case):
    """Case 5: first the source that waits, then the one that does not."""
    before = case.contact_row(AINO)
    case.stack.commercial.stop()
    record = case.save(AINO, {"email": "aino@first.example.com"})
    case.show_calls(case.calls())
    case.show_answer(record)
    case.screen.line()
    case.check_status(record, 424)
    case.check_message(record, "")
    problem = problem_of(record)
    case.check(problem.get("retryable") is True, "and says that it can be tried again", problem)

    email = "aino@second.example.com"
    case.screen.story("The same through a source that does not wait:")
    record = case.save(AINO, {"email": email}, later=True)
    case.show_answer(record)
    case.screen.line()
    case.check_status(record, 202)
    url = problem_of(record).get("url") or record["answer"]["headers"].get("location")
    case.check(bool(url), f"with the URL of the event: {url}", record["answer"])
    case.check(case.contact_row(AINO) == before, "the contact is what it was, so far")

    case.screen.story("The commercial service is started again.")
    case.stack.start_commercial()
    case.forget_commercial()
    wait_until(lambda: case.contact_row(AINO).get("email") == email, case.patience_s)
    case.show_calls(case.calls())
    row = case.contact_row(AINO)
    case.show_row(row)
    event = case.settled_event(url) if url else "no URL"
    case.screen.block("event", [case.screen.body(event)])
    case.screen.line()
    case.check(row.get("email") == email, "the job was delivered when the service was back", row)
    case.check(all_done(event), "and the URL of the event says so", event)


CASES = (
    (
        "The e-mail of a user changes",
        "Aino Virtanen gets a new e-mail in the identity service. Save commits it, sends the"
        " webhook and waits.",
        succeeds,
    ),
    (
        "The same once more",
        "Save again, with nothing changed: the same data under a later timestamp.",
        nothing_to_change,
    ),
    (
        "An e-mail that is taken",
        "Eero Korhonen's form is filled in and sent, as a browser would. The commercial service"
        " has his e-mail on another contact.",
        taken,
    ),
    (
        "A user without a contact",
        "Sanni Lehtonen is unknown to the commercial service.",
        no_contact,
    ),
    (
        "The commercial service is down",
        "It is stopped, and Aino Virtanen's e-mail changes.",
        stopped,
    ),
)


def run_case(case, function):
    """Runs one case; whether all its checks held."""
    try:
        function(case)
    except (CaseFailed, StackError, OSError, http.client.HTTPException, sqlite3.Error) as error:
        case.check(False, "the case runs to its end", f"{type(error).__name__}: {error}")
    if case.failed:
        case.screen.story("What Grapnel wrote last:")
        case.screen.line(case.stack.grapnel.log_tail())
    case.screen.verdict(not case.failed, "  FAILED" if case.failed else "  passed")
    return not case.failed


def walk(stack, screen, patience_s):
    """All cases; how many failed."""
    results = []
    for number, (title, story, function) in enumerate(CASES, start=1):
        screen.title(number, title)
        screen.story(story)
        results.append(run_case(Case(stack, screen, patience_s), function))
    screen.line()
    failed = results.count(False)
    screen.verdict(not failed, f"{results.count(True)} passed, {failed} failed")
    return failed


def stay(stack, screen):
    """Shows where everything is, until Ctrl-C or until one of the programs ends."""
    identity, commercial = stack.identity_port, stack.commercial_port
    screen.line()
    screen.block(
        "pages",
        [
            f"http://127.0.0.1:{identity}  users: change one, press Save",
            f"http://127.0.0.1:{commercial}  contacts: see what became of it",
            f"http://127.0.0.1:{stack.admin_port}  Grapnel",
        ],
    )
    screen.story("By hand, with what README.md lists:")
    screen.line(f"export IDENTITY=http://127.0.0.1:{identity}", "dim")
    screen.line(f"export COMMERCIAL=http://127.0.0.1:{commercial}", "dim")
    screen.story("Ctrl-C ends all of it; the databases are temporary.")
    programs = (stack.identity, stack.commercial, stack.grapnel)
    tick = threading.Event()
    while all(program.is_running() for program in programs):
        tick.wait(0.5)
    for program in programs:
        if not program.is_running():
            screen.check(False, f"{program.name} runs", f"it has ended\n{program.log_tail()}")
    return 1


def main():
    """Reads the command line; the exit status is 0 when every check held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--grapnel", default="build/grapnel", help="the binary (build/grapnel)")
    parser.add_argument("--stay", action="store_true", help="start everything and stay")
    parser.add_argument(
        "--patience", type=float, default=30, metavar="S", help="seconds that a delivery may take"
    )
    options = parser.parse_args()

    def end(_signal, _frame):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    screen = Screen()
    try:
        with Stack(options.grapnel) as stack:
            if options.stay:
                return stay(stack, screen)
            return 1 if walk(stack, screen, options.patience) else 0
    except KeyboardInterrupt:
        screen.line()
        return 0 if options.stay else 130
    except (StackError, OSError) as error:
        print(f"walkthrough: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
