# SPDX-License-Identifier: Apache-2.0
"""How each product proves that a request is its own, written from its documentation and without
anything of Grapnel's. A signer gives the headers; `age_s` makes the time older."""

import base64
import functools
import hashlib
import hmac
import json
import subprocess
import tempfile
import time

from harness import signature


def _mac(secret, data, name=hashlib.sha256):
    return hmac.new(secret.encode(), data, name)


def github(secret, body, **_):
    """The body, in hexadecimal."""
    return {"X-Hub-Signature-256": "sha256=" + _mac(secret, body).hexdigest()}


def plant(secret, body, **_):
    """The example of anything else."""
    return {"X-Plant-Signature": "sha256=" + _mac(secret, body).hexdigest()}


def keycloak(secret, body, **_):
    """Phase Two's extension: the body, in hexadecimal, without a prefix."""
    return {"X-Keycloak-Signature": _mac(secret, body).hexdigest()}


def _timed(name, secret, body, age_s):
    now = int(time.time()) - age_s
    return {name: f"t={now},v1=" + _mac(secret, f"{now}.".encode() + body).hexdigest()}


def stripe(secret, body, age_s=0, **_):
    """Time and body."""
    return _timed("Stripe-Signature", secret, body, age_s)


def zitadel(secret, body, age_s=0, **_):
    """The same under another name."""
    return _timed("ZITADEL-Signature", secret, body, age_s)


def slack(secret, body, age_s=0, **_):
    """Version, time and body, with colons."""
    now = int(time.time()) - age_s
    return {"X-Slack-Request-Timestamp": str(now),
            "X-Slack-Signature": "v0=" + _mac(secret, f"v0:{now}:".encode() + body).hexdigest()}


def shopify(secret, body, **_):
    """The body, in base64."""
    return {"X-Shopify-Hmac-SHA256": base64.b64encode(_mac(secret, body).digest()).decode()}


def twilio(secret, body, url="", **_):
    """The address, then names and values of the fields, sorted by name."""
    fields = sorted(_form(body))
    data = url + "".join(name + value for name, value in fields)
    digest = _mac(secret, data.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}


def _form(body):
    # pylint: disable-next=import-outside-toplevel
    from urllib.parse import parse_qsl
    return parse_qsl(body.decode(), keep_blank_values=True)


def standard(secret, body, age_s=0, message_id="msg_kinds", **_):
    """Standard Webhooks."""
    now = int(time.time()) - age_s
    return {"webhook-id": message_id, "webhook-timestamp": str(now),
            "webhook-signature": signature(secret, message_id, now, body)}


def bearer(secret, _body, **_):
    """A token."""
    return {"Authorization": "Bearer " + secret}


def basic(secret, _body, **_):
    """A user and a password."""
    return {"Authorization": "Basic " + base64.b64encode(b"fusionauth:" + secret.encode()).decode()}


def member(_secret, _body, **_):
    """It stands in the body: whoever makes that puts it there."""
    return {}


ISSUER = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"
AUDIENCE = "66666666-7777-8888-9999-000000000000"
PARTY = "99045fe1-7639-4a75-9d4a-577b6ca3810f"


def _coded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@functools.lru_cache
def _key(name):
    """A file that holds an RSA key of that name, made at the first question."""
    folder = tempfile.mkdtemp(prefix="grapnel-keys-")
    subprocess.run(["openssl", "genrsa", "-out", f"{folder}/{name}.pem", "2048"], check=True,
                   capture_output=True, timeout=60)
    return f"{folder}/{name}.pem"


def key_set(*names):
    """Their public halves as a JWK set."""
    keys = []
    for name in names:
        text = subprocess.run(["openssl", "rsa", "-in", _key(name), "-noout", "-modulus"], check=True,
                              capture_output=True, timeout=60).stdout.decode()
        modulus = bytes.fromhex(text.strip().partition("=")[2])
        keys.append({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name,
                     "n": _coded(modulus), "e": "AQAB"})
    return {"keys": keys}


def jwt(secret, _body, age_s=0, **claims):
    """A token that lives for five minutes, signed by the key of the secret's name; it says that it
    is `new` where that is not known, as somebody would who hopes to be believed."""
    now = int(time.time()) - age_s
    claims = {key: value for key, value in claims.items() if key in ("iss", "aud", "azp")}
    kid = secret if secret in ("new", "old") else "new"
    head = {"alg": "RS256", "typ": "JWT", "kid": kid}
    body = {"iss": ISSUER, "aud": AUDIENCE, "azp": PARTY, "nbf": now, "iat": now, "exp": now + 300,
            **claims}
    signed = ".".join(_coded(json.dumps(part).encode()) for part in (head, body))
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", _key(secret)], check=True,
                          input=signed.encode(), capture_output=True, timeout=60).stdout
    return {"Authorization": f"Bearer {signed}.{_coded(made)}"}


def secrets_of(signer):
    """A new and an old secret that count, and a wrong one."""
    if signer == "jwt":
        return {"new": "new", "old": "old", "wrong": "wrong"}
    made = {}
    for name in ("new", "old", "wrong"):
        text = hashlib.sha256(name.encode()).digest()
        made[name] = "whsec_" + base64.b64encode(text).decode()
    return made
