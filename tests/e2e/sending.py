# SPDX-License-Identifier: Apache-2.0
"""The sending half as its callers use it: an application, its endpoints, what it sends, and what
became of it."""

import datetime
import json

from harness import JSON, PATIENCE_S, Answer, ask, wait_until

NDJSON = {"content-type": "application/x-ndjson"}
BATCH_MAX = 10000


def moment(text):
    """Seconds since 1970 of the API's times."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def ended(attempt):
    """When it did."""
    return moment(attempt["started"]) + attempt["us"] / 1e6


class Application:
    """One application on a daemon's admin listener. What the API refuses is an assertion."""

    def __init__(self, daemon, uid="shop"):
        self.daemon = daemon
        self.uid = uid
        self.call("POST", "", {"name": uid, "uid": uid}, path="/api/v1/app")

    def call(self, method, rest, body=None, path=None, headers=None):
        """One call; the document that comes back."""
        path = path or f"/api/v1/app/{self.uid}{rest}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        answer: Answer = ask(self.daemon.admin, method, path, body, headers or JSON)
        assert answer.status < 300, (method, path, answer)
        return answer.json if answer.body else None

    def endpoint(self, uid, url, **options):
        """Makes one; its document."""
        return self.call("POST", "/endpoint", {"uid": uid, "url": url, **options})

    def look(self, uid):
        """An endpoint as it is now."""
        return self.call("GET", f"/endpoint/{uid}")

    def secret(self, uid):
        """What an endpoint's deliveries are signed with."""
        return self.call("GET", f"/endpoint/{uid}/secret")["key"]

    def send(self, event_type, payload, **more):
        """One message; its id."""
        return self.call("POST", "/msg", {"eventType": event_type, "payload": payload, **more})["id"]

    def send_many(self, messages):
        """Messages in as few requests as it takes, all of them taken; their ids in order."""
        ids = []
        for start in range(0, len(messages), BATCH_MAX):
            lines = "\n".join(map(json.dumps, messages[start:start + BATCH_MAX])).encode()
            answer = self.call("POST", "/msg/batch", lines, headers=NDJSON)
            assert answer["refused"] == 0, answer
            ids += [result["id"] for result in answer["data"]]
        return ids

    def job(self, message_id, endpoint_id):
        """How the delivery of a message to an endpoint stands, with its attempts."""
        target = f"endpoint:{endpoint_id}"
        event = self.daemon.event("evt_" + message_id.removeprefix("msg_"))
        return next((job for job in event["jobs"] if job["target"] == target), None)

    def settled(self, message_id, endpoint_id, states=("done", "dead")):
        """The delivery, once it stands so."""

        def look():
            job = self.job(message_id, endpoint_id)
            return job if job["state"] in states else None

        job = wait_until(look, PATIENCE_S)
        assert job, self.job(message_id, endpoint_id)
        return job
