# SPDX-License-Identifier: Apache-2.0
"""Sources whose deliveries bear signed tokens: the issuer's keys are fetched once for all, change
when the issuer changes them, and stay while it is away."""

import base64
import hashlib
import json
import pathlib
import sys
import threading
import time

import pytest

from harness import RESET, Reply, inside, result_of, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cases" / "sign"))
from make import Key, token  # noqa: E402  (the openssl command signs, as for the cases)

CONFIG = """
threads: 4
sources:
  app:
    verify: {scheme: jwt, audience: grapnel, keys: "http://127.0.0.1:${TARGET_PORT}/keys"}
"""
DISCOVERY = """
sources:
  app:
    verify: {scheme: jwt, audience: grapnel, issuer: "http://127.0.0.1:${TARGET_PORT}/tenant/"}
"""
BODY = b'{"id": 1}'


@pytest.fixture(name="keys", scope="module")
def made_keys(tmp_path_factory):
    """Two keys of an issuer."""
    folder = tmp_path_factory.mktemp("keys")
    return [Key(folder, name, "ED25519") for name in ("first", "second")]


class Issuer:
    """The target's behaviour: publishes keys."""

    def __init__(self, *published):
        self.published = list(published)
        self.act = None  # what it does in place of publishing
        self.headers = {}
        self.documents = {}  # by path
        self.lock = threading.Lock()

    def __call__(self, request):
        with self.lock:
            if self.act is not None:
                return self.act
            if request.path in self.documents:
                return Reply(200, self.documents[request.path])
            return Reply(200, {"keys": [key.jwk for key in self.published]}, self.headers)


def bearer(key, header=None, **changes):
    """The header that bears a token of that key."""
    now = int(time.time())
    claims = {"aud": "grapnel", "iat": now, "exp": now + 300, **changes}
    head = {"alg": "EdDSA", "kid": key.name, **(header or {})}
    return {"authorization": "Bearer " + token(head, claims, lambda d: key.sign("EdDSA", d))}


def fetches(scene):
    """How often the keys were fetched."""
    return len(scene.target.seen("GET", "/keys"))


@pytest.fixture(name="issuer")
def its_issuer(scene, keys):
    """Behind the target's port; it publishes the first key."""
    scene.target.act = Issuer(keys[0])
    return scene.target.act


def together(daemon, count, headers):
    """That many deliveries at once; the statuses."""
    posts = [inside(lambda n=n: daemon.post("app", {"n": n}, **headers)) for n in range(count)]
    return [result_of(one).status for one in posts]


def test_one_fetch_serves_fifty_deliveries_at_once(scene, issuer, keys):
    hold = scene.target.hold(Reply(200, {"keys": [keys[0].jwk]}))
    issuer.act = hold
    daemon = scene.start(CONFIG)
    headers = bearer(keys[0])
    idle = daemon.descriptors()
    posts = [inside(lambda n=n: daemon.post("app", {"n": n}, **headers)) for n in range(50)]
    # All are in, and none is answered or stored before the keys are there.
    assert wait_until(lambda: hold.came == 1 and daemon.descriptors() >= idle + 50, 20)
    assert not daemon.events()
    hold.release()
    assert [result_of(one).status for one in posts] == [202] * 50
    assert fetches(scene) == 1
    assert together(daemon, 50, headers) == [202] * 50
    assert fetches(scene) == 1
    asked = scene.target.seen("GET", "/keys")[0]
    assert asked.headers["accept"] == "application/json" and "authorization" not in asked.headers


def test_nobody_without_a_fitting_token_makes_us_fetch(scene, issuer, keys):
    daemon = scene.start(CONFIG)
    assert issuer.act is None
    for headers in ({}, {"authorization": "Bearer x.y.z"}, bearer(keys[0], aud="other"),
                    bearer(keys[0], exp=1), bearer(keys[0], {"alg": "none"}),
                    bearer(keys[0], {"alg": "HS256"})):
        answer = daemon.post("app", BODY, **headers)
        assert (answer.status, answer.json["code"]) == (401, "not-verified"), headers
    assert fetches(scene) == 0 and not daemon.events()


def test_keys_change_and_strangers_do_not_make_us_ask_again(scene, issuer, keys):
    first, second = keys
    daemon = scene.start(CONFIG)
    assert together(daemon, 20, bearer(first)) == [202] * 20
    assert together(daemon, 20, bearer(second)) == [401] * 20
    assert fetches(scene) == 2  # the second looked for the new name, and then there is a pause
    issuer.published = [second]
    assert daemon.post("app", BODY, **bearer(second)).status == 401
    assert fetches(scene) == 2
    assert together(daemon, 20, bearer(first)) == [202] * 20


def test_a_new_key_counts_at_once_and_the_old_one_no_more(scene, issuer, keys):
    first, second = keys
    daemon = scene.start(CONFIG)
    assert together(daemon, 20, bearer(first)) == [202] * 20
    issuer.published = [second]
    assert together(daemon, 20, bearer(second)) == [202] * 20
    assert fetches(scene) == 2
    # Each loop learns of it when it asks.
    assert daemon.post("app", {"n": 1}, **bearer(second, {"kid": "unknown"})).status == 401
    known = [daemon.post("app", {"n": n}, **bearer(second)).status for n in range(20)]
    assert known == [202] * 20 and fetches(scene) == 2


BAD = [
    ("failed", Reply(500)), ("not found", Reply(404)), ("reset", RESET),
    ("sent elsewhere", Reply(302, None, {"Location": "http://127.0.0.1/keys"})),
    ("no JSON", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope"),
    ("no set", Reply(200, [])), ("an empty set", Reply(200, {"keys": []})),
    ("a secret key alone", Reply(200, {"keys": [{"kty": "oct", "k": "QUJD"}]})),
    ("too large", Reply(200, {"keys": [], "x": "x" * 300000})),
]


@pytest.mark.parametrize("act", [pytest.param(act, id=name) for name, act in BAD])
def test_without_keys_nothing_is_taken_until_there_are(scene, issuer, keys, act):
    issuer.act = act
    daemon = scene.start(CONFIG)
    answer = daemon.post("app", BODY, **bearer(keys[0]))
    assert (answer.status, answer.json["code"]) == (503, "no-keys")
    assert answer.json["retryable"] is True and int(answer.headers["retry-after"]) > 0
    assert not daemon.events()
    fact = daemon.facts("no keys of an issuer")[0]
    assert fact["why"] and fact["address"].endswith("/keys")
    # Who is not trusted yet is not told which address that is.
    assert "127.0.0.1" not in answer.body.decode()
    issuer.act = None
    assert wait_until(lambda: daemon.post("app", BODY, **bearer(keys[0])).status == 202, 20)


def test_a_broken_issuer_is_not_stormed(scene, issuer, keys):
    issuer.act = Reply(500)
    daemon = scene.start(CONFIG)
    assert together(daemon, 50, bearer(keys[0])) == [503] * 50
    assert fetches(scene) <= 5  # one, and one more for each second


def test_the_keys_stay_while_their_issuer_is_away(scene, issuer, keys):
    first, second = keys
    daemon = scene.start(CONFIG)
    assert daemon.post("app", BODY, **bearer(first)).status == 202
    issuer.act = Reply(500)
    assert daemon.post("app", {"n": 0}, **bearer(second)).status == 401
    assert fetches(scene) == 2
    assert together(daemon, 20, bearer(first)) == [202] * 20


def test_a_reload_keeps_the_keys(scene, issuer, keys):
    daemon = scene.start(CONFIG)
    assert together(daemon, 20, bearer(keys[0])) == [202] * 20
    issuer.act = Reply(500)
    daemon.reload(CONFIG.replace("audience: grapnel", "audience: other"))
    assert daemon.post("app", BODY, **bearer(keys[0])).status == 401
    assert daemon.post("app", BODY, **bearer(keys[0], aud=["other"])).status == 202
    assert fetches(scene) == 1


def test_an_address_that_is_not_allowed_is_not_dialled(scene, issuer, keys):
    assert issuer.act is None
    daemon = scene.start("outbound: {allow: []}\n" + CONFIG)
    assert daemon.post("app", BODY, **bearer(keys[0])).status == 503
    assert "loopback" in daemon.facts("no keys of an issuer")[0]["why"]
    assert not scene.target.requests


WELL_KNOWN = "/tenant/.well-known/openid-configuration"


def test_an_issuer_tells_where_its_keys_are(scene, issuer, keys):
    here = f"http://127.0.0.1:{scene.target.port}"
    issuer.documents[WELL_KNOWN] = {"issuer": f"{here}/tenant/", "jwks_uri": f"{here}/keys?v=1"}
    daemon = scene.start(DISCOVERY)
    assert daemon.post("app", BODY, **bearer(keys[0])).status == 401  # no iss
    assert not scene.target.requests
    right = bearer(keys[0], iss=f"{here}/tenant/")
    assert together(daemon, 20, right) == [202] * 20
    assert [one.path for one in scene.target.requests] == [WELL_KNOWN, "/keys?v=1"]


@pytest.mark.parametrize("document", [
    {"issuer": "HERE/tenant", "jwks_uri": "HERE/keys"}, {"issuer": "HERE/tenant/"},
    {"jwks_uri": "HERE/keys"}, {"issuer": "HERE/tenant/", "jwks_uri": "file:///etc/passwd"},
    {"issuer": "HERE/tenant/", "jwks_uri": ["HERE/keys"]}, []])
def test_an_issuers_document_is_its_own_or_none(scene, issuer, keys, document):
    here = f"http://127.0.0.1:{scene.target.port}"
    issuer.documents[WELL_KNOWN] = json.loads(json.dumps(document).replace("HERE", here))
    daemon = scene.start(DISCOVERY)
    answer = daemon.post("app", BODY, **bearer(keys[0], iss=f"{here}/tenant/"))
    assert (answer.status, answer.json["code"]) == (503, "no-keys")
    assert [one.path for one in scene.target.requests] == [WELL_KNOWN]


def test_who_waits_for_keys_is_answered_before_the_end(scene, issuer, keys):
    hold = issuer.act = scene.target.hold(Reply(200, {"keys": [keys[0].jwk]}))
    daemon = scene.start(CONFIG)
    post = inside(lambda: daemon.post("app", BODY, **bearer(keys[0])))
    assert wait_until(lambda: hold.came == 1, 20)
    daemon.signal(15)
    hold.release()
    assert result_of(post).status in (202, 503)
    assert daemon.wait() == 0


def test_a_token_covers_its_body(scene, keys):
    daemon = scene.start("""
sources:
  app:
    verify: {scheme: jwt, header: X-Signature-JWT, keys: "${PEM}", body_hash: request_body_sha256}
""", PEM=keys[0].pem.decode())
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    told = bearer(keys[0], request_body_sha256=digest)["authorization"].partition(" ")[2]
    assert daemon.post("app", BODY, x_signature_jwt=told).status == 202
    assert daemon.post("app", BODY + b" ", x_signature_jwt=told).status == 401
    assert not scene.target.requests
