# SPDX-License-Identifier: Apache-2.0
"""Connections that show who calls: plain credentials, and OAuth2 client credentials with their
one token for all."""

import base64
import threading

import pytest

from harness import HANG_UP, RESET, Reply, inside, result_of

CONFIG = """
connections:
  guarded:
    url: "http://127.0.0.1:${TARGET_PORT}/api"
    oauth2:
      token_url: "http://127.0.0.1:${TARGET_PORT}/token"
      client_id: grapnel
      client_secret: "${SECRET}"
      scope: a b
sources: {app: {verify: none}}
flows:
  fetch:
    on: app
    reply: wait
    steps:
      - got: {get: 'guarded:/{.event.n}'}
"""
SECRET = "canary s3cret/+"


class Issuer:
    """The target's behaviour: makes tokens, and takes the last one that it made."""

    def __init__(self):
        self.lock = threading.Lock()
        self.made = 0
        self.revoked = 0  # tokens up to this number are not taken
        self.expires_in = 3600
        self.token = None  # what the token endpoint does instead of making one

    def __call__(self, request):
        with self.lock:
            if request.path == "/token":
                if self.token is not None:
                    return self.token
                self.made += 1
                return Reply(200, {"access_token": f"t{self.made}", "token_type": "Bearer",
                                   "expires_in": self.expires_in})
            shown = request.headers.get("authorization", "")
            number = int(shown.removeprefix("Bearer t") or 0) if shown.startswith("Bearer t") else 0
            return Reply(200, {}) if number > self.revoked else Reply(401)


@pytest.fixture(name="daemon")
def guarded(scene):
    """The configuration above beside an issuer."""
    scene.issuer = scene.target.act = Issuer()
    return scene.start("threads: 4\n" + CONFIG, SECRET=SECRET)


def together(daemon, first, count):
    """That many webhooks at once; the answers' statuses."""
    posts = [inside(daemon.post, "app", {"n": n}) for n in range(first, first + count)]
    return [result_of(one).status for one in posts]


def test_one_token_serves_fifty_webhooks_at_once(scene, daemon):
    assert together(daemon, 0, 50) == [200] * 50
    assert len(scene.target.seen("POST", "/token")) == 1
    asked = scene.target.seen("POST", "/token")[0]
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sorted(asked.body.split(b"&")) == [b"grant_type=client_credentials", b"scope=a%20b"]
    pair = base64.b64decode(asked.headers["authorization"].removeprefix("Basic "))
    assert pair == b"grapnel:canary%20s3cret%2F%2B"
    assert {one.headers["authorization"] for one in scene.target.seen("GET", "/api")} == {"Bearer t1"}
    assert together(daemon, 50, 10) == [200] * 10
    assert scene.issuer.made == 1


def test_a_token_that_is_refused_is_renewed_once_for_all(scene, daemon):
    assert together(daemon, 0, 1) == [200]
    scene.issuer.revoked = 1
    assert together(daemon, 1, 50) == [200] * 50
    assert scene.issuer.made == 2
    # Nobody asked more than twice.
    paths = [one.path for one in scene.target.seen("GET", "/api")]
    assert max(map(paths.count, paths)) == 2


def test_who_is_refused_with_a_fresh_token_is_told_and_asks_no_more(scene, daemon):
    scene.issuer.revoked = 1_000_000
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "target-denied"
    assert answer.json["retryable"] is False
    assert scene.issuer.made == 2 and len(scene.target.seen("GET", "/api")) == 2
    calls = daemon.settled(answer.json["event"])["jobs"][0]["attempts"][0]["calls"]
    assert [call["status"] for call in calls] == [401, 401]


def test_a_short_life_ends_and_another_token_is_fetched(scene, daemon):
    scene.issuer.expires_in = 0
    for n in range(3):
        assert daemon.post("app", {"n": n}).status == 200
    assert 1 <= scene.issuer.made <= 3


FAULTS = [
    ("refused", Reply(401, {"error": "invalid_client", "error_description": "who are you"}),
     "401: invalid_client, who are you"),
    ("failed", Reply(503), "503"),
    ("no token", Reply(200, {"token": "x"}), "holds no access_token"),
    ("no JSON", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope", "holds no access_token"),
    ("another kind", Reply(200, {"access_token": "x", "token_type": "mac"}), "not Bearer"),
    ("a token with a line end", Reply(200, {"access_token": "x\r\nX: y", "token_type": "Bearer"}),
     "no header can carry"),
    ("reset", RESET, "no token could be fetched"),
    ("gone", HANG_UP, "no token could be fetched"),
    ("it says the secret", Reply(400, {"error": SECRET}), "400"),
]


@pytest.mark.parametrize("act, why", [pytest.param(*one[1:], id=one[0]) for one in FAULTS])
def test_a_token_endpoint_that_fails_is_told_with_its_reason(scene, daemon, act, why):
    scene.issuer.token = act
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "no-call"
    assert why in answer.json["detail"] and answer.json["retryable"] is True
    assert not scene.target.seen("GET", "/api")
    attempt = daemon.settled(answer.json["event"])["jobs"][0]["attempts"][0]
    assert (attempt["code"], attempt["message"]) == ("no-call", answer.json["detail"])
    for text in (answer.body.decode(), daemon.log.read_text(), str(attempt)):
        assert "s3cret" not in text


def test_a_broken_token_endpoint_is_not_stormed(scene, daemon):
    scene.issuer.token = Reply(500)
    assert together(daemon, 0, 50) == [424] * 50
    assert len(scene.target.seen("POST", "/token")) <= 5  # one, and one more for each second


PLAIN = """
connections:
  {kind}: {{url: "http://127.0.0.1:${{TARGET_PORT}}", {how}, headers: {{X-Plain: "a, b"}}}}
sources: {{app: {{verify: none}}}}
flows: {{fetch: {{on: app, reply: wait, steps: [{{got: {{get: '{kind}:/x'}}}}]}}}}
"""


@pytest.mark.parametrize("kind, how, header, value", [
    ("bearer", 'bearer: "${SECRET}"', "authorization", f"Bearer {SECRET}"),
    ("basic", 'basic: {user: me, password: "${SECRET}"}', "authorization",
     "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()),
    ("header", 'header: {name: X-Api-Key, value: "${SECRET}"}', "x-api-key", SECRET),
])
def test_plain_credentials_are_sent_and_never_told(scene, kind, how, header, value):
    daemon = scene.start(PLAIN.format(kind=kind, how=how), SECRET=SECRET)
    assert daemon.post("app", {"n": 1}).status == 200
    assert scene.target.requests[0].headers[header] == value
    assert scene.target.requests[0].headers["x-plain"] == "a, b"
    scene.target.act = Reply(403)
    answer = daemon.post("app", {"n": 2})
    assert answer.status == 424 and answer.json["code"] == "target-denied"
    for text in (answer.body.decode(), daemon.log.read_text(), str(daemon.events()),
                 str(daemon.settled(answer.json["event"]))):
        assert "s3cret" not in text and "Basic " not in text
