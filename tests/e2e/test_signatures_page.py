# SPDX-License-Identifier: Apache-2.0
"""The sources of docs/signatures.md take what their senders sign, as Python and the openssl command
sign it, and nothing else."""

import base64
import hashlib
import hmac
import json
import pathlib
import re
import sys
import time

import pytest

from harness import JSON, Reply, ask

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cases" / "sign"))
import make  # noqa: E402  (the cases' own makers)

BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "signatures.md").read_text(),
                    re.M | re.S)
VENDORS = next(text for text in BLOCKS if "scheme: twilio" in text)
TOKENS = next(text for text in BLOCKS if "scheme: jwt" in text)
SECRET, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
BODY = b'{"id":"m-1"}'


def twilio(secret, body):
    """The path with the body's hash in the query, and the header."""
    path = f"/in/calls?bodySHA256={hashlib.sha256(body).hexdigest()}"
    sign = make.twilio_sign(secret, "https://hooks.example.com" + path, [])
    return path, [("x-twilio-signature", sign)]


def desk(secret, body, now):
    """The headers of the form that the page describes."""
    signed = f"m-1.{now}000.".encode() + body
    digest = hmac.new(secret.encode(), signed, "sha256").digest()
    return [("x-desk-signature", "v1=" + base64.b64encode(digest).decode()),
            ("x-desk-time", f"{now}000"), ("x-desk-id", "m-1")]


def graph(secret):
    """A body of two notifications."""
    return json.dumps({"value": [{"clientState": secret}, {"clientState": secret}]}).encode()


def sent(source, secret, now):
    """(path, headers, body) of one delivery by that source."""
    makers = {"payments": make.stripe, "forge": make.github, "chat": make.slack,
              "shop": make.shopify, "login": make.zitadel, "realm": make.keycloak,
              "campaigns": make.customerio}
    if source in makers:
        return f"/in/{source}", makers[source](secret, now, BODY), BODY
    if source == "calls":
        return (*twilio(secret, BODY), BODY)
    if source == "desk":
        return "/in/desk", desk(secret, BODY, now), BODY
    if source == "graph":
        return "/in/graph", [], graph(secret)
    return "/in/okta", [("authorization", secret)], BODY


def told(daemon, path, headers, body):
    """The status of a delivery."""
    return ask(daemon.port, "POST", path, body, {**JSON, **{k: str(v) for k, v in headers}}).status


def test_each_source_of_the_page_takes_its_own_and_nothing_else(scene):
    sources = re.findall(r"^  (\w+): ", VENDORS, re.M) + re.findall(r"^  (\w+): +#", VENDORS, re.M)
    sources = list(dict.fromkeys(sources))
    assert len(sources) == 11
    names = re.findall(r"\$\{(\w+)\}", VENDORS)
    daemon = scene.start(VENDORS, **dict.fromkeys(names, SECRET))
    now = int(time.time())
    for count, source in enumerate(sources):
        path, headers, body = sent(source, SECRET, now)
        assert told(daemon, *sent(source, OTHER, now)) == 401, source
        if headers:
            assert told(daemon, path, [], body) == 401, source
        if source not in ("okta", "graph"):  # these prove who sent, not what
            assert told(daemon, path, headers, body + b" ") == 401, source
        if source in ("payments", "chat", "login", "campaigns", "desk"):
            assert told(daemon, *sent(source, SECRET, now - 900)) == 401, source
        assert daemon.metrics()["grapnel_ledger_events"] == count
        assert told(daemon, path, headers, body) == 202, source
    # The signed id is the delivery's key: the same id is the same event, with another time too.
    assert told(daemon, *sent("desk", SECRET, now - 1)) == 202
    assert daemon.metrics()["grapnel_ledger_events"] == len(sources)
    assert told(daemon, "/in/desk", desk(SECRET, BODY + b" ", now), BODY + b" ") == 422


@pytest.fixture(name="keys", scope="module")
def made_keys(tmp_path_factory):
    """Two keys, of which the issuers publish the first."""
    folder = tmp_path_factory.mktemp("keys")
    return [make.Key(folder, name, "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
            for name in ("first", "second")]


def test_tokens_as_the_page_tells(scene, keys):
    here = f"http://127.0.0.1:{scene.target.port}"
    config = re.sub(r"https://(login|id)\.example\.com", here, TOKENS)
    tenant, realm = f"{here}/TENANT/v2.0", f"{here}/realms/shop"

    def act(request):
        if request.path == "/TENANT/v2.0/.well-known/openid-configuration":
            return Reply(200, {"issuer": tenant, "jwks_uri": f"{here}/common/keys"})
        if request.path in ("/common/keys", "/realms/shop/certs"):
            return Reply(200, {"keys": [keys[0].jwk]})
        return Reply(404)

    scene.target.act = act
    daemon = scene.start(config)
    now = int(time.time())
    party = re.search(r"party: (\S+)", TOKENS)[1]
    entra = {"iss": tenant, "aud": "api://grapnel", "azp": party, "ver": "2.0", "exp": now + 300}
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    keycloak = {"iss": realm, "exp": now + 300, "request_body_sha256": digest}

    def status(source, claims, key=keys[0], **header):
        made = make.token({"alg": "ES256", "kid": "first", **header}, claims,
                          lambda data: key.sign("ES256", data))
        return told(daemon, f"/in/{source}", [("authorization", f"Bearer {made}")], BODY)

    for source, claims in (("entra", entra), ("realm", keycloak)):
        assert told(daemon, f"/in/{source}", [], BODY) == 401
        for name in claims:
            assert status(source, {k: v for k, v in claims.items() if k != name}) == 401, name
            assert status(source, {**claims, name: 1}) == 401, name
        assert status(source, claims, key=keys[1]) == 401
        assert status(source, claims, alg="HS256") == status(source, claims, alg="none") == 401
        assert status(source, claims) == 202
    assert daemon.metrics()["grapnel_ledger_events"] == 2
