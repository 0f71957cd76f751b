# SPDX-License-Identifier: Apache-2.0
"""Webhooks as the identity service sends them, and the answers that it understands.

Signed by Standard Webhooks v1: HMAC-SHA256 over "id.timestamp.body", in base64. The answer is
success, "accepted for later", or a refusal in which RFC 9457 problem details may point at fields.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import http.client
import json
import secrets
import socket
import threading
import time
import urllib.parse

ANSWER_MAX_BYTES = 1024 * 1024
KEY_BYTES = range(24, 65)


def secret_key(secret):
    """The key in "whsec_" + base64; ValueError when that is not what it is."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("the secret must be whsec_ and base64") from None
    if len(key) not in KEY_BYTES:
        raise ValueError(f"the secret must hold {KEY_BYTES[0]} to {KEY_BYTES[-1]} bytes")
    return key


def signature(key, message_id, timestamp_s, body):
    """The value of webhook-signature."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


@dataclasses.dataclass(frozen=True)
class Webhook:
    """One webhook, ready to be sent."""

    url: str
    headers: dict
    body: bytes


def user_changed(url, key, event_type, user_id, timestamp):
    """The webhook that says: CREATE, UPDATE or DELETE happened to this user at that moment."""
    body = json.dumps(
        {"id": user_id, "entityType": "USER", "eventType": event_type, "timestamp": timestamp},
        separators=(",", ":"),
    ).encode()
    # The id in the body names the user; this one names the message, so that a repeat can be told
    # from the next update of the same user.
    message_id = "msg_" + secrets.token_hex(12)
    sent_s = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "identity-service/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": signature(key, message_id, sent_s, body),
    }
    return Webhook(url, headers, body)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back. Status 0: nothing did, and the body says why."""

    status: int
    headers: dict
    body: str
    took_ms: int


def send(webhook, deadline_s):
    """Sends the webhook and waits for the whole answer, at most until the deadline."""
    began = time.monotonic()
    parts = urllib.parse.urlsplit(webhook.url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=deadline_s)
    late = threading.Event()
    timer = threading.Timer(deadline_s, _cut, (connection, late))
    timer.daemon = True
    timer.start()
    try:
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        connection.request("POST", target, webhook.body, webhook.headers)
        response = connection.getresponse()
        body = response.read(ANSWER_MAX_BYTES).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in response.getheaders()}
        status = response.status
        if late.is_set():
            raise TimeoutError
    except (OSError, http.client.HTTPException, AttributeError) as error:
        # AttributeError: the timer closed the connection between two calls of http.client.
        if isinstance(error, AttributeError) and not late.is_set():
            raise
        is_late = late.is_set() or isinstance(error, TimeoutError)
        reason = f"no answer within {deadline_s:g} s" if is_late else f"{_reason(error)}"
        status, headers, body = 0, {}, reason
    finally:
        timer.cancel()
        connection.close()
    return Answer(status, headers, body, round((time.monotonic() - began) * 1000))


def _cut(connection, late):
    """The deadline is over: whoever waits on the socket wakes up."""
    late.set()
    if connection.sock:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already


def _reason(error):
    """A failure to connect or to read, for a person."""
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens at the webhook's address"
    return f"the connection failed: {error or type(error).__name__}"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """An answer as the form shows it. `kind` is success, accepted or error."""

    kind: str
    message: str
    fields: dict  # field name -> message


def judge(status, body, fields):
    """Reads an answer: what to say on top, and what beside which of the `fields`."""
    problem = _problem(body)
    if status == 202:
        return Verdict("accepted", "Saved. The change is accepted and will be delivered.", {})
    if 200 <= status < 300:
        told = problem.get("message") or "The connected systems are up to date."
        return Verdict("success", f"Saved. {told}", {})
    beside, others = {}, []
    for error in problem.get("errors") or []:
        name = str(error.get("pointer", "")).removeprefix("/")
        detail = str(error.get("detail") or "is refused")
        if name in fields:
            beside.setdefault(name, detail)
        else:
            others.append(detail)
    message = problem.get("detail") or problem.get("message") or problem.get("title") or ""
    if status == 0:
        message = body[0].upper() + body[1:] + "."
    if not message and not beside:
        message = body.strip()[:200] if body.strip() else f"The answer was {status}."
    if message in beside.values():
        message = ""  # it stands beside its field
    for detail in others:
        if detail not in message:
            message = f"{message} {detail}".strip()
    if problem.get("retryable"):
        message += " Press Save to try again."
    return Verdict("error", f"Saved here, but not everywhere. {message}".strip(), beside)


def _problem(body):
    """Problem details, or an empty document where the body is something else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    errors = document.get("errors")
    listed = errors if isinstance(errors, list) else []
    document["errors"] = [error for error in listed if isinstance(error, dict)]
    for name in ("detail", "message", "title"):
        if not isinstance(document.get(name), str):
            document.pop(name, None)
    return document
