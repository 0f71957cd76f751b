#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for Grapnel where the walk-through itself is tested.

It does the least that the walk-through asks for, and does one thing wrong when STANDIN_BUG names
it: a walk-through that passes then is not worth its name. It never ships and proves nothing about
Grapnel.
"""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import threading
import time
import urllib.parse

BUG = os.environ.get("STANDIN_BUG", "")
IDENTITY = int(os.environ["IDENTITY_PORT"])
COMMERCIAL = int(os.environ["COMMERCIAL_PORT"])


def call(port, method, path, headers, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def fetch_user(user_id):
    pair = base64.b64encode(f"grapnel:{os.environ['ID_SECRET']}".encode()).decode()
    form = {
        "Authorization": f"Basic {pair}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    _, token = call(IDENTITY, "POST", "/token", form, "grant_type=client_credentials")
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    return call(IDENTITY, "GET", f"/api/v1/users/{user_id}", bearer)[1]


def synchronize(user_id):
    """Status and document of the answer."""
    user = fetch_user(user_id)
    bearer = {
        "Authorization": f"Bearer {os.environ['CRM_TOKEN']}",
        "Content-Type": "application/json",
    }
    try:
        query = urllib.parse.urlencode({"external_id": user_id})
        _, found = call(COMMERCIAL, "GET", f"/rest/contacts?{query}", bearer)
        if not found["items"]:
            return 404, {"detail": f"No contact for {user['email']}"}
        contact = found["items"][0]
        wanted = {"email": user["email"], "name": f"{user['firstName']} {user['lastName']}"}
        differs = {name: value for name, value in wanted.items() if contact[name] != value}
        if BUG == "always-patch":
            differs = wanted
        if BUG == "false-200" or not differs:
            return 200, {"code": "unchanged", "message": "Nothing to change."}
        path = f"/rest/contacts/{contact['id']}"
        status, answer = call(COMMERCIAL, "PATCH", path, bearer, json.dumps(differs))
    except OSError:
        detail = "The commercial service " + "does not answer, " * 6 + "sadly."
        return 424, {"detail": detail, "retryable": True}
    if status == 200:
        return 200, {"code": "updated", "message": "Updated the contact."}
    pointer = "/phone" if BUG == "wrong-pointer" else f"/{answer['field']}"
    error = {"pointer": pointer, "detail": answer["message"]}
    return status, {"detail": answer["message"], "errors": [error]}


later = {"event": "evt_1", "jobs": [{"flow": "later", "state": "waiting"}]}


def deliver_later(user_id):
    while BUG != "forgets" and synchronize(user_id)[0] != 200:
        time.sleep(0.05)
    if BUG != "never-done":
        later["jobs"][0]["state"] = "done"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, later if self.path.startswith("/events/") else {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.is_signed(body):
            return self.answer(401, {"detail": "The signature is wrong."})
        user_id = json.loads(body)["id"]
        if self.path.endswith("-async"):
            threading.Thread(target=deliver_later, args=(user_id,), daemon=True).start()
            return self.answer(202, {"url": "/events/evt_1"})
        return self.answer(*synchronize(user_id))

    def is_signed(self, body):
        key = base64.b64decode(os.environ["ONEPORTAL_SECRET"].removeprefix("whsec_"))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode()
        digest = hmac.new(key, signed + body, hashlib.sha256).digest()
        return self.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()

    def answer(self, status, document):
        kind = "application/json" if status < 300 else "application/problem+json"
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def main():
    for name in ("GRAPNEL_ADMIN_PORT", "GRAPNEL_PORT"):
        port = int(os.environ[name])
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
