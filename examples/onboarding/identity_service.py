#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An identity service: users, a form to edit them, and a webhook whenever somebody presses Save.

Save commits first and calls the webhook afterwards, then shows the answer: other systems may
complain about a change, but they do not decide what this service knows. The REST API is guarded
by OAuth2 client credentials; changes made through it send no webhook, for then two systems that
write to each other would never come to rest.
"""

import base64
import binascii
import hmac
import json
import os
import re
import secrets
import sys
import threading
import time
import urllib.parse

import identity_pages as pages
import webhook
from database import Database, insert, update
from webapp import (
    App,
    Refusal,
    argument_parser,
    etag,
    items_page,
    json_response,
    now_text,
    redirect,
    require_version,
    segment,
    serve,
)

TOKENS_MAX = 1000
WEBHOOKS_KEPT = 500
WEBHOOKS_SHOWN = 10
FIELD_MAX_CHARS = 200
FIELDS = tuple(field.name for field in pages.FIELDS)
REQUIRED = ("firstName", "lastName", "email")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
USER_ID = re.compile(r"[A-Za-z0-9]{1,64}")
PHONE = re.compile(r"\+?[0-9][0-9 ()-]{4,30}")

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS users (
        id TEXT PRIMARY KEY, firstName TEXT NOT NULL, lastName TEXT NOT NULL,
        email TEXT NOT NULL, phone TEXT NOT NULL, version INTEGER NOT NULL,
        lastModified TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS webhooks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL, sent_at TEXT NOT NULL,
        url TEXT NOT NULL, headers TEXT NOT NULL, body TEXT NOT NULL, status INTEGER NOT NULL,
        answer_headers TEXT NOT NULL, answer_body TEXT NOT NULL, took_ms INTEGER NOT NULL)""",
)


def seed_user(user_id, first_name, last_name, email, phone):
    """A user as it stands in a new database."""
    return {
        "id": user_id,
        "firstName": first_name,
        "lastName": last_name,
        "email": email,
        "phone": phone,
        "version": 1,
        "lastModified": "2019-01-01T00:00:00.000Z",
    }


SEED = {
    "users": [
        seed_user(
            "IDNUMBER1234", "Aino", "Virtanen", "aino.virtanen@example.com", "+358 40 123 4567"
        ),
        # His e-mail is somebody else's in the commercial service.
        seed_user(
            "IDNUMBER2345", "Eero", "Korhonen", "eero.korhonen@example.com", "+358 50 234 5678"
        ),
        # She is unknown to the commercial service.
        seed_user(
            "IDNUMBER3456", "Sanni", "Lehtonen", "sanni.lehtonen@example.com", "+358 45 345 6789"
        ),
    ]
}


class Tokens:
    """Bearer tokens for the one client; they live in memory and die by their time."""

    def __init__(self, client_id, client_secret, lifetime_s):
        self._client = (client_id.encode(), client_secret.encode())
        self._lifetime_s = lifetime_s
        self._expiry = {}  # token -> moment (monotonic), oldest first
        self._lock = threading.Lock()

    def grant(self, request):
        """POST /token, RFC 6749 section 4.4."""
        form = request.form()
        client = self._credentials(request, form)
        known = [hmac.compare_digest(a.encode(), b) for a, b in zip(client, self._client)]
        if not all(known):
            headers = {"WWW-Authenticate": 'Basic realm="identity"'}
            return self._answer({"error": "invalid_client"}, 401, headers)
        if form.get("grant_type") != "client_credentials":
            return self._answer({"error": "unsupported_grant_type"}, 400)
        token = self._issue()
        return self._answer(
            {"access_token": token, "token_type": "Bearer", "expires_in": self._lifetime_s}, 200
        )

    def require(self, request):
        """Refuses with 401 a request that carries no live token (RFC 6750)."""
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        with self._lock:
            expiry = self._expiry.get(token.strip(), 0) if scheme.lower() == "bearer" else 0
        if expiry <= time.monotonic():
            headers = {"WWW-Authenticate": 'Bearer realm="identity", error="invalid_token"'}
            raise Refusal(401, "a valid bearer token is needed", headers=headers)

    def _issue(self):
        token = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._expiry) >= TOKENS_MAX:
                self._expiry.pop(next(iter(self._expiry)))
            self._expiry[token] = time.monotonic() + self._lifetime_s
        return token

    @staticmethod
    def _credentials(request, form):
        """The client's id and secret: from the Basic header, else from the form."""
        scheme, _, value = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return form.get("client_id", ""), form.get("client_secret", "")
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        client_id, _, client_secret = text.partition(":")
        return urllib.parse.unquote_plus(client_id), urllib.parse.unquote_plus(client_secret)

    @staticmethod
    def _answer(document, status, headers=None):
        headers = {"Cache-Control": "no-store", **(headers or {})}
        return json_response(document, status, headers=headers)


def field_errors(values):
    """What is wrong with the values of a user, by field."""
    errors = {}
    for name, value in values.items():
        if not isinstance(value, str):
            errors[name] = "must be text"
        elif len(value) > FIELD_MAX_CHARS:
            errors[name] = f"may have {FIELD_MAX_CHARS} characters"
        elif name in REQUIRED and not value:
            errors[name] = "is needed"
        elif name == "email" and not EMAIL.fullmatch(value):
            errors[name] = "is not an e-mail address"
        elif name == "phone" and value and not PHONE.fullmatch(value):
            errors[name] = "is not a phone number"
    return errors


def stripped(values):
    """The same without blanks around texts."""
    return {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}


class InvalidUser(Exception):
    """The values of a user that this service itself does not take; nothing was committed."""

    def __init__(self, errors):
        super().__init__("some fields are not right")
        self.errors = errors


class Users:
    """The users in the database."""

    def __init__(self, database):
        self._database = database

    def all(self):
        """Every user, by name."""
        return self._database.all("SELECT * FROM users ORDER BY lastName, firstName, id")

    def get(self, user_id):
        """One user; a Refusal when there is none."""
        user = self._database.one("SELECT * FROM users WHERE id = ?", user_id)
        if not user:
            raise Refusal(404, f"there is no user {user_id}")
        return user

    def create(self, user_id, values):
        """Commits a new user and returns it. Fields that are not given are empty."""
        user = {name: "" for name in FIELDS} | stripped(values)
        errors = field_errors(user)
        if errors:
            raise InvalidUser(errors)
        user = {"id": user_id, **user, "version": 1, "lastModified": now_text()}
        with self._database.write() as rows:
            if self._database.one("SELECT id FROM users WHERE id = ?", user_id):
                raise Refusal(409, f"there is a user {user_id} already")
            insert(rows, "users", user)
        return user

    def delete(self, user_id):
        """Removes a user for good; a Refusal when there is none."""
        with self._database.write() as rows:
            self.get(user_id)
            rows.execute("DELETE FROM users WHERE id = ?", (user_id,))

    def save(self, user_id, values, check=lambda user: None):
        """Commits new values and returns the user. Equal values change nothing, not the version.

        `check` sees the user inside the transaction and may refuse.
        """
        with self._database.write() as rows:
            user = self.get(user_id)
            check(user)
            changed = {k: v for k, v in stripped(values).items() if user[k] != v}
            errors = field_errors(changed)
            if errors:
                raise InvalidUser(errors)
            if changed:
                changed.update(version=user["version"] + 1, lastModified=now_text())
                update(rows, "users", user_id, changed)
        return {**user, **changed}


class Outbox:
    """Sends webhooks and keeps what was sent and answered."""

    def __init__(self, database, url, later_url, key, deadline_s):
        self._database = database
        self._urls = {False: url, True: later_url}
        self._key = key
        self._deadline_s = deadline_s

    @property
    def has_later(self):
        """Whether there is a second address that answers at once and delivers later."""
        return bool(self._urls[True])

    def send(self, user_id, later=False, timestamp=None, event_type="UPDATE"):
        """Tells what happened to a user; waits for the answer and returns the record of both."""
        if not any(self._urls.values()):
            return None  # the webhook is switched off
        if not self._urls[later]:
            raise Refusal(409, "there is no address that delivers later")
        moment = timestamp or now_text(milliseconds=False)
        message = webhook.user_changed(self._urls[later], self._key, event_type, user_id, moment)
        answer = webhook.send(message, self._deadline_s)
        row = {
            "user_id": user_id,
            "sent_at": now_text(),
            "url": message.url,
            "headers": json.dumps(message.headers),
            "body": message.body.decode(),
            "status": answer.status,
            "answer_headers": json.dumps(answer.headers),
            "answer_body": answer.body,
            "took_ms": answer.took_ms,
        }
        with self._database.write() as rows:
            row_id = insert(rows, "webhooks", row).lastrowid
            rows.execute("DELETE FROM webhooks WHERE id <= ?", (row_id - WEBHOOKS_KEPT,))
        return self._record({"id": row_id, **row})

    def latest(self, user_id=None, limit=WEBHOOKS_SHOWN):
        """The latest records, newest first."""
        where = "user_id = ?1" if user_id else "?1 IS NULL"
        return [
            self._record(row)
            for row in self._database.all(
                f"SELECT * FROM webhooks WHERE {where} ORDER BY id DESC LIMIT ?2", user_id, limit
            )
        ]

    def find(self, user_id, record_id):
        """One record of a user, or None."""
        row = None
        if record_id.isdecimal() and len(record_id) < 17:
            row = self._database.one(
                "SELECT * FROM webhooks WHERE user_id = ? AND id = ?", user_id, int(record_id)
            )
        return self._record(row) if row else None

    @staticmethod
    def _record(row):
        return {
            "id": row["id"],
            "user": row["user_id"],
            "time": row["sent_at"],
            "webhook": {
                "method": "POST",
                "url": row["url"],
                "headers": json.loads(row["headers"]),
                "body": row["body"],
            },
            "answer": {
                "status": row["status"],
                "headers": json.loads(row["answer_headers"]),
                "body": row["answer_body"],
                "ms": row["took_ms"],
            },
        }


class IdentityService(App):
    """The routes: the REST API, the pages, and the doors for demonstrations."""

    title = "Identity service"
    stylesheet = "identity.css"
    api = ("/api/", "/token")

    def __init__(self, database, tokens, outbox):
        super().__init__()
        self._database = database
        self._tokens = tokens
        self._users = Users(database)
        self._outbox = outbox
        self.route("POST", "/token", tokens.grant)
        self.route("GET", "/api/v1/users", self.api_list)
        self.route("GET", "/api/v1/users/{}", self.api_get)
        self.route("PATCH", "/api/v1/users/{}", self.api_patch)
        self.route("GET", "/", self.list_page)
        self.route("GET", "/users/{}", self.user_page)
        self.route("POST", "/users/{}", self.save_form)
        self.route("POST", "/demo/users", self.create_demo)
        self.route("POST", "/demo/users/{}", self.save_demo)
        self.route("DELETE", "/demo/users/{}", self.delete_demo)
        self.route("GET", "/demo/webhooks", self.demo_webhooks)

    # The REST API

    def before(self, request):
        """Every path under /api/ needs a token."""
        if request.path.startswith("/api/"):
            self._tokens.require(request)

    def log_body(self, request):
        """The client's secret is not for the request log."""
        return re.sub(r"(client_secret=)[^&]*", r"\1***", super().log_body(request))

    def api_error(self, refusal):
        """Problem details, RFC 9457."""
        phrase = refusal.message
        document = {"title": phrase, "status": refusal.status, **refusal.members}
        return json_response(
            document, refusal.status, "application/problem+json", headers=refusal.headers
        )

    def api_list(self, request):
        """GET /api/v1/users"""
        return items_page(request, self._users.all())

    def api_get(self, _request, user_id):
        """GET /api/v1/users/{id}"""
        return self._user_response(self._users.get(user_id))

    def api_patch(self, request, user_id):
        """PATCH /api/v1/users/{id}: a merge patch; sends no webhook."""
        values = known_fields(request.json_object())
        try:
            user = self._users.save(
                user_id, values, lambda user: require_version(request, user["version"])
            )
        except InvalidUser as invalid:
            raise problem_of(invalid) from None
        return self._user_response(user)

    @staticmethod
    def _user_response(user):
        return json_response(user, headers={"ETag": etag(user["version"])})

    # The pages

    def list_page(self, _request):
        """GET /: the users, and the webhooks sent last."""
        content = pages.users(self._users.all()) + pages.webhooks(self._outbox.latest())
        return self.page("Users", content)

    def user_page(self, request, user_id):
        """GET /users/{id}: the form, and under ?webhook=N what became of that Save."""
        user = self._users.get(user_id)
        record = self._outbox.find(user_id, request.query.get("webhook", ""))
        verdict = None
        if record:
            answer = record["answer"]
            verdict = webhook.judge(answer["status"], answer["body"], FIELDS)
        return self._form_page(user, user, verdict)

    def save_form(self, request, user_id):
        """POST /users/{id}: Save. Commits, calls the webhook, and shows its answer."""
        form = request.form()
        values = {name: form.get(name, "") for name in FIELDS}

        def check(user):
            if form.get("version") != str(user["version"]):
                raise Refusal(409, "somebody else has changed this user: look at the form again")

        try:
            self._users.save(user_id, values, check)
        except InvalidUser as invalid:
            verdict = webhook.Verdict("error", "Nothing was saved.", invalid.errors)
            return self._form_page(self._users.get(user_id), values, verdict, 422)
        record = self._outbox.send(user_id, later=form.get("action") == "later")
        shown = f"?webhook={record['id']}" if record else ""
        return redirect(f"/users/{segment(user_id)}{shown}")

    def _form_page(self, user, values, verdict, status=200):
        content = pages.user_form(user, values, verdict, self._outbox.has_later)
        content += pages.webhooks(self._outbox.latest(user["id"]))
        return self.page(f"{user['firstName']} {user['lastName']}", content, status)

    # For demonstrations and tests

    def save_demo(self, request, user_id):
        """POST /demo/users/{id}: what Save does, for scripts.

        The body is a merge patch of the user. It may also hold `timestamp`, for the webhook, and
        `later`: true, for the address that delivers later. {} changes nothing and just sends.
        """
        document = request.json_object()
        timestamp = document.pop("timestamp", None)
        later = document.pop("later", False)
        if not isinstance(timestamp, (str, type(None))) or not isinstance(later, bool):
            raise Refusal(422, "timestamp must be text, and later true or false")
        try:
            self._users.save(user_id, known_fields(document))
        except InvalidUser as invalid:
            raise problem_of(invalid) from None
        record = self._outbox.send(user_id, later, timestamp)
        return json_response(record or {"webhook": None})

    def create_demo(self, request):
        """POST /demo/users: a new user, and the webhook that tells of it.

        The body holds the user's fields, and its `id` where it shall not be made up.
        """
        document = request.json_object()
        user_id = document.pop("id", f"IDNUMBER{secrets.randbelow(10**8):08}")
        if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
            raise Refusal(422, "an id is 1 to 64 letters and digits")
        try:
            self._users.create(user_id, known_fields(document))
        except InvalidUser as invalid:
            raise problem_of(invalid) from None
        return json_response(self._outbox.send(user_id, event_type="CREATE"))

    def delete_demo(self, _request, user_id):
        """DELETE /demo/users/{id}: the user is gone, and the webhook tells of it."""
        self._users.delete(user_id)
        return json_response(self._outbox.send(user_id, event_type="DELETE"))

    def demo_webhooks(self, _request):
        """GET /demo/webhooks: what was sent and answered, newest first."""
        return json_response(self._outbox.latest(limit=WEBHOOKS_KEPT))

    def close(self):
        """The service ends."""
        self._database.close()


def known_fields(document):
    """A patch, once all its names are fields that may be changed; else a Refusal."""
    errors = [
        {"pointer": f"/{name}", "detail": "cannot be changed"}
        for name in document
        if name not in FIELDS
    ]
    if errors:
        raise Refusal(422, "some fields are not right", errors=errors)
    return document


def problem_of(invalid):
    """The Refusal that says which fields are not right."""
    errors = [{"pointer": f"/{name}", "detail": text} for name, text in invalid.errors.items()]
    return Refusal(422, str(invalid), errors=errors)


def main():
    """Reads the command line and serves until told to stop."""
    parser = argument_parser(__doc__, "identity.db")
    parser.add_argument(
        "--webhook", metavar="URL", help="call this after Save (without it, nobody is told)"
    )
    parser.add_argument(
        "--webhook-later", metavar="URL", help="call this after 'Save, deliver later'"
    )
    parser.add_argument(
        "--secret",
        default=os.environ.get("ONEPORTAL_SECRET"),
        help="signs the webhooks: whsec_ and base64 (default: $ONEPORTAL_SECRET)",
    )
    parser.add_argument("--deadline", type=float, default=10, help="seconds to wait for an answer")
    parser.add_argument("--client-id", default="grapnel", help="may fetch tokens")
    parser.add_argument(
        "--client-secret",
        default=os.environ.get("ID_SECRET"),
        help="its secret (default: $ID_SECRET)",
    )
    parser.add_argument(
        "--token-lifetime", type=int, default=3600, metavar="S", help="seconds a token lives"
    )
    options = parser.parse_args()
    if not options.secret or not options.client_secret:
        parser.error("--secret and --client-secret are needed")
    for url in (options.webhook, options.webhook_later):
        if url and urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            parser.error(f"not a URL: {url}")
    try:
        key = webhook.secret_key(options.secret)
    except ValueError as error:
        parser.error(str(error))
    database = Database(options.db, SCHEMA, SEED)
    tokens = Tokens(options.client_id, options.client_secret, options.token_lifetime)
    outbox = Outbox(database, options.webhook, options.webhook_later, key, options.deadline)
    serve(IdentityService(database, tokens, outbox), options.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
