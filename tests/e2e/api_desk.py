# SPDX-License-Identifier: Apache-2.0
"""What the tests of the sending API share: a daemon with a target, and a client that knows no SDK."""

import http.client
import itertools
import json

from harness import JSON, PATIENCE_S, Answer, Scene, wait_until

TOKEN = "the-token-of-the-administrator"
CONFIG = f'admin_token: "{TOKEN}"\n'
NUMBERS = itertools.count(1)


def unique(word):
    """A name that no other test of this run has."""
    return f"{word}-{next(NUMBERS)}"


class Desk:
    """A daemon whose admin listener wants a token, a target beside it, and a client."""

    def __init__(self, folder, config=CONFIG, token=TOKEN):
        self.scene = Scene(folder)
        self.target = self.scene.target
        self.token = token
        self.daemon = self.scene.start(config)
        self._connection = None

    def close(self):
        """Ends all."""
        self._forget()
        self.scene.close()

    def _forget(self):
        if self._connection:
            self._connection.close()
        self._connection = None

    def restart(self):
        """The daemon ends well and comes again."""
        self._forget()
        assert self.daemon.stop() == 0
        self.daemon.start()

    def call(self, method, path, body=None, key=None, **headers):
        """One request. A `body` that is no bytes is sent as JSON; `key` "" sends none."""
        key = self.token if key is None else key
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            named.setdefault("authorization", f"Bearer {key}")
        if body is not None:
            named = {**JSON, **named}
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if not self._connection:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.daemon.admin,
                                                          timeout=PATIENCE_S)
        try:
            self._connection.request(method, path, body, named)
            answer = self._connection.getresponse()
            got = Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self._forget()
            raise
        if answer.will_close:
            self._forget()
        return got

    def get(self, path, **more):
        """What must be there."""
        answer = self.call("GET", "/api/v1" + path, **more)
        assert answer.status == 200, answer
        return answer.json

    def post(self, path, body=None, status=201, **more):
        """Must be answered with that status; gives the document."""
        answer = self.call("POST", "/api/v1" + path, body, **more)
        assert answer.status == status, (path, answer)
        return answer.json if answer.body else None

    def put(self, path, body, status=200, **more):
        """As post."""
        answer = self.call("PUT", "/api/v1" + path, body, **more)
        assert answer.status == status, (path, answer)
        return answer.json if answer.body else None

    def patch(self, path, body, status=200, **more):
        """As post."""
        answer = self.call("PATCH", "/api/v1" + path, body, **more)
        assert answer.status == status, (path, answer)
        return answer.json if answer.body else None

    def delete(self, path, status=204, **more):
        """As post."""
        answer = self.call("DELETE", "/api/v1" + path, **more)
        assert answer.status == status, (path, answer)
        return answer.json if answer.body else None

    def refused(self, method, path, body=None, status=404, **more):
        """Must be refused so; gives the code."""
        answer = self.call(method, "/api/v1" + path, body, **more)
        assert answer.status == status, (method, path, answer)
        assert answer.headers["Content-Type"] == "application/json"
        assert set(answer.json) == {"code", "detail"}, answer.json
        return answer.json["code"]

    def faults(self, method, path, body=None, **more):
        """Must be refused with 422; gives the places that are at fault."""
        answer = self.call(method, "/api/v1" + path, body, **more)
        assert answer.status == 422, (method, path, answer)
        assert set(answer.json) == {"detail"}
        for one in answer.json["detail"]:
            assert set(one) == {"loc", "msg", "type"} and one["msg"] and one["type"]
        return [tuple(one["loc"]) for one in answer.json["detail"]]

    def app(self, **more):
        """A new application's id."""
        return self.post("/app", {"name": unique("app"), **more})["id"]

    def endpoint(self, app, path="/hook", **more):
        """A new endpoint of the target, its id."""
        return self.post(f"/app/{app}/endpoint", {"url": self.url(path), **more})["id"]

    def url(self, path="/hook"):
        """Where the target is."""
        return f"http://127.0.0.1:{self.target.port}{path}"

    def key(self, app=None, **more):
        """A new key, of an application if one is named."""
        role = {"role": "application", "application": app} if app else {"role": "admin"}
        return self.post("/auth/key", {"name": unique("key"), **role, **more})["key"]

    def send(self, app, event_type="a.b", payload=None, **more):
        """A message, its id."""
        body = {"eventType": event_type, "payload": payload or {"n": 1}, **more}
        return self.post(f"/app/{app}/msg", body, 202)["id"]

    def pages(self, path, limit, iterator=None):
        """All pages from there on, each as it came."""
        glue = "&" if "?" in path else "?"
        while True:
            more = f"&iterator={iterator}" if iterator else ""
            page = self.get(f"{path}{glue}limit={limit}{more}")
            yield page
            if page["done"]:
                return
            iterator = page["prevIterator"] if (iterator or "").startswith("-") \
                else page["iterator"]

    def settled(self, app, message, count=1):
        """The endpoints of a message, once that many deliveries have ended."""

        def look():
            data = self.get(f"/app/{app}/msg/{message}/endpoint")["data"]
            ended = [one for one in data if one["statusText"] in ("success", "fail")]
            return data if len(ended) >= count else None

        data = wait_until(look, PATIENCE_S)
        assert data, self.get(f"/app/{app}/msg/{message}/endpoint")
        return data
