#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A commercial service: contacts behind a REST API with its own names, rules and error forms.

It knows nothing of the identity service but an external id on some contacts. An e-mail belongs to
one contact only. The fault switch makes its API fail on request, as real ones do by themselves.
"""

import hmac
import os
import re
import secrets
import sys
import threading

import commercial_pages as pages
from database import Database, insert, update
from webapp import (
    App,
    Refusal,
    Response,
    argument_parser,
    etag,
    items_page,
    json_response,
    now_text,
    require_version,
    segment,
    serve,
    whole_number,
)

FIELD_MAX_CHARS = 200
FIELDS = ("external_id", "email", "name", "phone")
NULLABLE = ("external_id", "phone")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
REQUESTS_SHOWN = 20
FAULT_MODES = ("none", "500", "503", "slow", "garbage", "hang")
FAULT_MAX_MS = 600_000

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS contacts (
        id TEXT PRIMARY KEY, external_id TEXT UNIQUE, email TEXT NOT NULL COLLATE NOCASE UNIQUE,
        name TEXT NOT NULL, phone TEXT, version INTEGER NOT NULL, updated_at TEXT NOT NULL,
        updated_by TEXT NOT NULL) WITHOUT ROWID""",
)


def seed_contact(contact_id, external_id, email, name, phone):
    """A contact as it stands in a new database."""
    return {
        "id": contact_id,
        "external_id": external_id,
        "email": email,
        "name": name,
        "phone": phone,
        "version": 1,
        "updated_at": "2019-01-01T00:00:00.000Z",
        "updated_by": "first import",
    }


SEED = {
    "contacts": [
        seed_contact(
            "C-1001",
            "IDNUMBER1234",
            "aino.virtanen@example.com",
            "Aino Virtanen",
            "+358 40 123 4567",
        ),
        seed_contact(
            "C-1002", "IDNUMBER2345", "eero@old.example.com", "Eero Korhonen", "+358 50 234 5678"
        ),
        # Holds the e-mail that the identity service has for IDNUMBER2345.
        seed_contact("C-1003", None, "eero.korhonen@example.com", "Korhonen Consulting Oy", None),
    ]
}


class Fault:
    """The switch that makes the API misbehave."""

    def __init__(self):
        self._changed = threading.Condition()
        self._turn = 0  # counts settings, so that a waiting request notices a new one
        self.mode, self.ms, self._left = "none", 0, None

    def set(self, mode, ms, times):
        """Misbehave from now on, for the next `times` requests, or until set again (None)."""
        with self._changed:
            self.mode, self.ms, self._left = mode, ms, times
            self._turn += 1
            self._changed.notify_all()

    def answer(self):
        """The answer that a request gets instead of its own, or None; may take its time."""
        with self._changed:
            mode, ms, turn = self.mode, self.ms, self._turn
            if mode != "none" and self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    self.mode = "none"
            if mode in ("slow", "hang"):
                self._changed.wait_for(lambda: self._turn != turn, ms / 1000)
        if mode == "hang":
            return Response(0)
        if mode == "garbage":
            return Response(200, b'<html>{"items": [oops', "application/json")
        if mode == "500":
            raise Refusal(500, "an unexpected error")
        if mode == "503":
            retry_s = max(1, ms // 1000)
            raise Refusal(503, "down for maintenance", headers={"Retry-After": str(retry_s)})
        return None


def invalid(errors):
    """The Refusal for fields that are malformed."""
    listed = [{"field": name, "message": text} for name, text in errors.items()]
    return Refusal(422, "some fields are not right", errors=listed)


def require_fields(values):
    """Refuses values that no contact may have."""
    errors = {}
    for name, value in values.items():
        if name not in FIELDS:
            errors[name] = f"{name} cannot be set"
        elif value is None and name in NULLABLE:
            continue
        elif not isinstance(value, str) or len(value) > FIELD_MAX_CHARS:
            errors[name] = f"{name} must be text of at most {FIELD_MAX_CHARS} characters"
        elif name == "email" and not EMAIL.fullmatch(value):
            errors[name] = f"{value[:80]} is not an e-mail address"
        elif not value.strip():
            errors[name] = f"{name} must not be empty"
    if errors:
        raise invalid(errors)


class Contacts:
    """The contacts in the database."""

    def __init__(self, database):
        self._database = database

    def find(self, filters):
        """The contacts that have these values, by name."""
        where = " AND ".join(f"{name} = ?" for name in filters) or "1"
        return self._database.all(
            f"SELECT * FROM contacts WHERE {where} ORDER BY name, id", *filters.values()
        )

    def get(self, contact_id):
        """One contact; a Refusal when there is none."""
        contact = self._database.one("SELECT * FROM contacts WHERE id = ?", contact_id)
        if not contact:
            raise Refusal(404, f"there is no contact {contact_id}")
        return contact

    def create(self, values, agent):
        """A new contact."""
        missing = [name for name in ("email", "name") if values.get(name) is None]
        if missing:
            raise invalid({name: f"{name} is needed" for name in missing})
        require_fields(values)
        contact = {
            "id": "C-" + secrets.token_hex(4),
            **dict.fromkeys(FIELDS),
            **values,
            "version": 1,
            "updated_at": now_text(),
            "updated_by": agent,
        }
        with self._database.write() as rows:
            self._require_free(contact["id"], values)
            insert(rows, "contacts", contact)
        return contact

    def change(self, contact_id, values, agent, check):
        """Commits new values and returns the contact; `check` sees it before and may refuse."""
        require_fields(values)
        with self._database.write() as rows:
            contact = self.get(contact_id)
            check(contact)
            self._require_free(contact_id, values)
            changed = {
                **values,
                "version": contact["version"] + 1,
                "updated_at": now_text(),
                "updated_by": agent,
            }
            update(rows, "contacts", contact_id, changed)
        return {**contact, **changed}

    def _require_free(self, contact_id, values):
        """Refuses an e-mail or external id that another contact has."""
        for name, label in (("email", "e-mail"), ("external_id", "external id")):
            value = values.get(name)
            if value is None:
                continue
            if self._database.one(
                f"SELECT 1 FROM contacts WHERE {name} = ? AND id <> ?", value, contact_id
            ):
                message = f"The {label} {value} belongs to another contact."
                raise Refusal(409, message, error="conflict", field=name)


class CommercialService(App):
    """The routes: the REST API, the page, and the switch for faults."""

    title = "Commercial service"
    stylesheet = "commercial.css"
    api = ("/rest/",)

    def __init__(self, database, token):
        super().__init__()
        self._database = database
        self._token = token.encode()
        self._contacts = Contacts(database)
        self._fault = Fault()
        self.route("GET", "/rest/contacts", self.api_find)
        self.route("POST", "/rest/contacts", self.api_create)
        self.route("GET", "/rest/contacts/{}", self.api_get)
        self.route("PATCH", "/rest/contacts/{}", self.api_patch)
        self.route("GET", "/", self.list_page)
        self.route("POST", "/demo/fault", self.set_fault)

    def before(self, request):
        """The API needs the token, and fails when it was told to."""
        if not self.is_api(request):
            return None
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        is_known = hmac.compare_digest(token.strip().encode(), self._token)
        if scheme.lower() != "bearer" or not is_known:
            headers = {"WWW-Authenticate": 'Bearer realm="commercial"'}
            raise Refusal(401, "a valid bearer token is needed", headers=headers)
        return self._fault.answer()

    def api_error(self, refusal):
        """This service's own form of errors: `message` always, and a word or a list of fields."""
        document = {"message": refusal.message}
        if "errors" in refusal.members:
            document = {"errors": refusal.members["errors"]}
        elif refusal.members:
            document = {**refusal.members, **document}
        return json_response(document, refusal.status, headers=refusal.headers)

    def api_find(self, request):
        """GET /rest/contacts?external_id=...&email=..."""
        filters = {name: request.query[name] for name in FIELDS if name in request.query}
        return items_page(request, self._contacts.find(filters))

    def api_create(self, request):
        """POST /rest/contacts"""
        contact = self._contacts.create(request.json_object(), agent_of(request))
        location = f"/rest/contacts/{segment(contact['id'])}"
        return self._contact_response(contact, 201, {"Location": location})

    def api_get(self, _request, contact_id):
        """GET /rest/contacts/{id}"""
        return self._contact_response(self._contacts.get(contact_id))

    def api_patch(self, request, contact_id):
        """PATCH /rest/contacts/{id}: a merge patch, under If-Match where it is given."""
        contact = self._contacts.change(
            contact_id,
            request.json_object(),
            agent_of(request),
            lambda contact: require_version(request, contact["version"]),
        )
        return self._contact_response(contact)

    @staticmethod
    def _contact_response(contact, status=200, headers=None):
        headers = {"ETag": etag(contact["version"]), **(headers or {})}
        return json_response(contact, status, headers=headers)

    def list_page(self, _request):
        """GET /: the contacts, and the requests answered last."""
        latest = self.log.entries()[-REQUESTS_SHOWN:]
        content = pages.fault(self._fault.mode, self._fault.ms)
        content += pages.contacts(self._contacts.find({}))
        content += pages.requests(latest[::-1])
        return self.page("Contacts", content)

    def set_fault(self, request):
        """POST /demo/fault {"mode": ..., "ms": ..., "times": ...}; ms and times may be absent."""
        document = request.json_object()
        mode = document.get("mode")
        if mode not in FAULT_MODES:
            raise Refusal(422, f"mode must be one of {', '.join(FAULT_MODES)}")
        ms = whole_number(document.get("ms", 60_000), "ms", 0, FAULT_MAX_MS)
        times = document.get("times")
        if times is not None:
            times = whole_number(times, "times", 1, 2**31)
        self._fault.set(mode, ms, times)
        return json_response({"mode": mode, "ms": ms, "times": times})

    def close(self):
        """The service ends."""
        self._database.close()


def agent_of(request):
    """By what a contact was changed, as far as the program tells."""
    return (request.headers.get("User-Agent") or "an unnamed program")[:FIELD_MAX_CHARS]


def main():
    """Reads the command line and serves until told to stop."""
    parser = argument_parser(__doc__, "commercial.db")
    parser.add_argument(
        "--token",
        default=os.environ.get("CRM_TOKEN"),
        help="the bearer token of the API (default: $CRM_TOKEN)",
    )
    options = parser.parse_args()
    if not options.token:
        parser.error("--token is needed")
    serve(CommercialService(Database(options.db, SCHEMA, SEED), options.token), options.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
