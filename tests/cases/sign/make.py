#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes vendors.case and jwt.case: what other hands than ours sign, Python's hmac and the openssl
command, and what must not pass for it. Keys are new with each run; the files are kept, so this is
only run when cases are added: `python3 tests/cases/sign/make.py`."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
NOW = 1800000000
SECRET, OLD, OTHER = ("8f742231b10e8888abcd99yyyzzz85a5", "the old secret of this source",
                      "a secret of somebody else")
BODY = '{"id":"IDNUMBER1234","text":"\\xc3\\xa4"}'  # as the case files write it


def plain(text):
    """The bytes of a case's text."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


class Cases:
    """One file of them."""

    def __init__(self, name, about):
        self.path = HERE / name
        self.lines = [f"# {about} Written by make.py.", ""]
        self.count = 0

    def rule(self, **words):
        """What the next cases have in common."""
        self.lines.append("anew")
        self.lines += [f"{word} {value}" for word, value in words.items()]
        self.lines += [f"now {NOW * 1000}"] if "now" not in words else []

    def case(self, name, verdict, headers, **words):
        """One case: headers as pairs."""
        self.count += 1
        self.lines.append(f"name {name}")
        self.lines += [f"{word} {value}" for word, value in words.items()]
        self.lines += [f"header {key}: {value}" for key, value in headers]
        self.lines += [f"verdict {verdict}", ""]

    def write(self):
        """Puts the file in place."""
        self.path.write_text("\n".join(self.lines).rstrip() + "\n")
        print(self.path.name, self.count)


def mac(secret, signed, name="sha256"):
    """Of bytes."""
    return hmac.new(secret.encode(), signed, name)


# ---- forms ----

# scheme, the headers of (secret, time, body), how stale is told; True where a time is signed
def github(secret, _, body):
    return [("x-hub-signature-256", "sha256=" + mac(secret, body).hexdigest())]


def stripe(secret, time, body, name="stripe-signature"):
    digest = mac(secret, f"{time}.".encode() + body).hexdigest()
    return [(name, f"t={time},v1={digest},v0={'0' * 64}")]


def zitadel(secret, time, body):
    return stripe(secret, time, body, "zitadel-signature")


def slack(secret, time, body):
    digest = mac(secret, f"v0:{time}:".encode() + body).hexdigest()
    return [("x-slack-signature", f"v0={digest}"), ("x-slack-request-timestamp", time)]


def customerio(secret, time, body):
    digest = mac(secret, f"v0:{time}:".encode() + body).hexdigest()
    return [("x-cio-signature", digest), ("x-cio-timestamp", time)]


def shopify(secret, _, body):
    return [("x-shopify-hmac-sha256", base64.b64encode(mac(secret, body).digest()).decode())]


def keycloak(secret, _, body):
    return [("x-keycloak-signature", mac(secret, body).hexdigest())]


def generic_id(secret, time, body):
    digest = mac(secret, f"m-1.{time}000.".encode() + body, "sha512").digest()
    return [("x-sign", "s1=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")),
            ("x-time", f"{time}000"), ("x-id", "m-1")]


def generic_date(secret, time, body):
    stamp = __import__("datetime").datetime.fromtimestamp(time, __import__("datetime").timezone.utc)
    stamp = stamp.strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = mac(secret, stamp.encode() + body, "sha384").digest()
    return [("x-sign", base64.b64encode(digest).decode()), ("x-time", stamp)]


def generic_url(secret, time, body):
    signed = (b"POSThttps://hooks.example.com/grapnel/in/app?a=b%20c" + body + b"|tenant 7|"
              + str(time).encode())
    return [("x-sign", mac(secret, signed).hexdigest()), ("x-time", time), ("x-tenant", "tenant 7")]


FORMS = [
    (github, False, {}), (stripe, True, {}), (zitadel, True, {}), (slack, True, {}),
    (customerio, True, {}), (shopify, False, {}), (keycloak, False, {}),
    (generic_id, True, {"scheme": "hmac", "into": "x-sign", "prefix": "s1=", "hash": "sha512",
                        "signed": "{id}.{timestamp}.{body}", "timestamp": "x-time", "id": "x-id",
                        "unit": "ms", "encoding": "base64url", "secret": f"{SECRET}"}),
    (generic_date, True, {"scheme": "hmac", "into": "x-sign", "hash": "sha384",
                          "encoding": "base64", "unit": "rfc3339", "timestamp": "x-time",
                          "signed": "{timestamp}{body}"}),
    (generic_url, True, {"scheme": "hmac", "into": "x-sign", "timestamp": "x-time",
                         "signed": "{method}{url}{body}|{header:X-Tenant}|{timestamp}",
                         "public_url": "https://hooks.example.com/grapnel", "path": "/in/app",
                         "query": "a=b%20c", "method": "POST"}),
]


def without(headers, index):
    return headers[:index] + headers[index + 1:]


def form_cases(cases):
    for make, has_time, words in FORMS:
        body = plain(BODY)
        right = make(SECRET, NOW, body)
        cases.rule(**{"scheme": make.__name__, "secret": SECRET, "body": BODY, **words})
        name = make.__name__
        cases.case(f"{name}: right", "ok", right)
        cases.case(f"{name}: of another secret", "wrong", make(OTHER, NOW, body))
        cases.case(f"{name}: of another body", "wrong", make(SECRET, NOW, body + b" "))
        cases.case(f"{name}: without its header", "missing", right[1:])
        cases.case(f"{name}: twice", "malformed", right[:1] + right)
        cases.case(f"{name}: empty", "missing", [(right[0][0], "")] + right[1:])
        cases.case(f"{name}: garbage", "malformed", [(right[0][0], "garbage")] + right[1:])
        half = right[0][1][:len(right[0][1]) // 2]
        if "v0=" + "0" * 64 not in right[0][1]:
            cases.case(f"{name}: cut short", "malformed", [(right[0][0], half)] + right[1:])
        for i in range(1, len(right)):
            missing = "malformed" if right[i][0] == "x-tenant" else "missing"
            cases.case(f"{name}: without {right[i][0]}", missing, without(right, i))
            cases.case(f"{name}: {right[i][0]} twice", "malformed", right + [right[i]])
        if has_time:
            for away, verdict in ((-300, "ok"), (-301, "stale"), (300, "ok"), (301, "stale")):
                cases.case(f"{name}: {away} s away", verdict, make(SECRET, NOW + away, body))
            moved = make(SECRET, NOW, body)
            later = make(SECRET, NOW + 1, body)
            moved = ([(moved[0][0], later[0][1].replace(f"t={NOW + 1}", f"t={NOW}"))]
                     + moved[1:])
            cases.case(f"{name}: the signature of another time", "wrong", moved)
        cases.case(f"{name}: while the secret changes, the new one", "ok", right,
                   secret=f"{SECRET} {OLD.replace(' ', '~')}".replace("~", "\\x20"))
        cases.case(f"{name}: while it changes, the old one", "ok", make(OLD, NOW, body))
        cases.case(f"{name}: while it changes, a third", "wrong", make(OTHER, NOW, body))


def more_form_cases(cases):
    body = plain(BODY)
    new, old = (mac(one, f"{NOW}.".encode() + body).hexdigest() for one in (SECRET, OLD))
    cases.rule(scheme="stripe", secret=SECRET, body=BODY)
    sign = "stripe-signature"
    cases.case("stripe: two v1, the second ours", "ok", [(sign, f"t={NOW},v1={old},v1={new}")])
    cases.case("stripe: v0 alone", "malformed", [(sign, f"t={NOW},v0={new}")])
    cases.case("stripe: no time", "missing", [(sign, f"v1={new}")])
    cases.case("stripe: an empty time", "malformed", [(sign, f"t=,v1={new}")])
    cases.case("stripe: two times", "malformed", [(sign, f"t={NOW},t={NOW},v1={new}")])
    cases.case("stripe: a signed number", "malformed", [(sign, f"t=+{NOW},v1={new}")])
    cases.case("stripe: a fraction", "malformed", [(sign, f"t={NOW}.0,v1={new}")])
    cases.case("stripe: the time last", "ok", [(sign, f"v1={new},t={NOW}")])
    cases.case("stripe: eight signatures", "ok", [(sign, f"t={NOW}," + ",".join([f"v1={old}"] * 7)
                                                   + f",v1={new}")])
    cases.case("stripe: nine", "malformed", [(sign, f"t={NOW}," + ",".join([f"v1={old}"] * 8)
                                              + f",v1={new}")])
    moved = mac(SECRET, f"{NOW}.".encode() + b"1" + body).hexdigest()
    cases.case("stripe: a digit moved from the body to the time", "stale",
               [(sign, f"t={NOW}1,v1={moved}")])

    text = ("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
            "&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
            "&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
            "%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
            "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c")
    cases.rule(scheme="slack", secret=SECRET, body=text, now=1531420618000)
    cases.case("slack: the vector of its manual", "ok", [
        ("x-slack-signature",
         "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ("x-slack-request-timestamp", 1531420618)])
    cases.rule(scheme="github", secret="It's\\x20a\\x20Secret\\x20to\\x20Everybody",
               body="Hello, World!")
    cases.case("github: the vector of its manual", "ok", [
        ("x-hub-signature-256",
         "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")])

    words = {"scheme": "hmac", "into": "x-sign", "signed": "{id}.{timestamp}.{body}",
             "timestamp": "x-time", "id": "x-id", "secret": SECRET, "body": BODY}
    cases.rule(**words)

    def with_id(message):
        signed = f"{message}.{NOW}.".encode() + body
        return [("x-sign", mac(SECRET, signed).hexdigest()), ("x-time", NOW), ("x-id", message)]

    cases.case("an id", "ok", with_id("m-1"))
    cases.case("an id with the border in it", "malformed", with_id("m.1"))
    cases.case("an id with a blank", "malformed", with_id("m 1"))
    cases.case("an id too long", "malformed", with_id("m" * 256))
    hexed = "00112233445566778899aabbccddeeff"
    made = hmac.new(bytes.fromhex(hexed), body, "sha256").hexdigest()
    cases.rule(scheme="hmac", into="x-sign", secret=hexed, secret_encoding="hex", body=BODY)
    cases.case("a key in hexadecimal", "ok", [("x-sign", made)])
    cases.case("the key's text", "wrong", [("x-sign", mac(hexed, body).hexdigest())])
    based = base64.b64encode(bytes.fromhex(hexed)).decode()
    cases.rule(scheme="hmac", into="x-sign", secret=based, secret_encoding="base64", body=BODY)
    cases.case("a key in base64", "ok", [("x-sign", made)])


# ---- Twilio ----

def twilio_sign(token, url, pairs):
    """As its manual tells."""
    text = url + "".join(k + v for k, v in sorted(set(pairs)))
    return base64.b64encode(mac(token, text.encode(), "sha1").digest()).decode()


def twilio_cases(cases):
    # The vector of its manual: too short a token for us, so it only shows that this is the way.
    known = [("CallSid", "CA1234567890ABCDE"), ("Caller", "+14158675309"), ("Digits", "1234"),
             ("From", "+14158675309"), ("To", "+18005551212")]
    assert twilio_sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2",
                       known) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    url = "https://hooks.example.com/in/calls"
    pairs = [("To", "+18005551212"), ("Caller", "+14158675309"), ("Body", "a b&c=\u00e4"),
             ("Digits", "1"), ("Digits", "1"), ("Digits", "0"), ("Empty", "")]
    body = ("To=%2B18005551212&Caller=%2B14158675309&Body=a+b%26c%3D%C3%A4&Digits=1&Digits=1"
            "&Digits=0&Empty")
    form = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
    sign = "x-twilio-signature"
    common = {"scheme": "twilio", "secret": SECRET, "public_url": "https://hooks.example.com",
              "path": "/in/calls", "method": "POST"}
    cases.rule(**common, body=body)
    right = twilio_sign(SECRET, url, pairs)
    cases.case("twilio: a form", "ok", [form, (sign, right)])
    cases.case("twilio: of another token", "wrong", [form, (sign, twilio_sign(OTHER, url, pairs))])
    cases.case("twilio: no signature", "missing", [form])
    cases.case("twilio: two", "malformed", [form, (sign, right), (sign, right)])
    cases.case("twilio: garbage", "malformed", [form, (sign, "garbage")])
    cases.case("twilio: a SHA-256 of it", "malformed",
               [form, (sign, base64.b64encode(mac(SECRET, b"").digest()).decode())])
    cases.case("twilio: another path", "wrong", [form, (sign, right)], path="/in/other")
    cases.case("twilio: with the port", "ok", [form, (sign, twilio_sign(
        SECRET, url.replace(".com", ".com:443"), pairs))], path="/in/calls")
    cases.case("twilio: with another port", "wrong", [form, (sign, twilio_sign(
        SECRET, url.replace(".com", ".com:444"), pairs))])
    cases.case("twilio: http", "wrong", [form, (sign, twilio_sign(
        SECRET, url.replace("https", "http"), pairs))])
    cases.case("twilio: a field more", "wrong", [form, (sign, right)], body=body + "&x=y")
    cases.case("twilio: a field less", "wrong", [form, (sign, right)], body=body[:-6])
    cases.case("twilio: another order", "ok", [form, (sign, right)],
               body="&".join(sorted(body.split("&"), reverse=True)))
    cases.case("twilio: no form", "missing", [("content-type", "application/json"), (sign, right)])
    cases.case("twilio: two types", "missing", [form, form, (sign, right)])
    cases.case("twilio: a bad percent", "malformed", [form, (sign, right)], body=body + "&x=%z")
    cases.case("twilio: while the token changes", "ok", [form, (sign, right)], body=body,
               secret=f"{OTHER} {SECRET}".replace("a secret of somebody else",
                                                  OTHER.replace(" ", "\\x20")))
    cases.rule(**{**common, "public_url": "https://hooks.example.com:8443/base"}, body="",
               query="a=1&b")
    for port, verdict in ((":8443", "ok"), ("", "ok"), (":443", "wrong")):
        full = f"https://hooks.example.com{port}/base/in/calls?a=1&b"
        cases.case(f"twilio: a base with a port, signed with '{port}'", verdict,
                   [(sign, twilio_sign(SECRET, full, []))])
    digest = hashlib.sha256(plain(BODY)).hexdigest()
    json_type = ("content-type", "application/json")
    for name, query, verdict in (
            ("JSON", f"bodySHA256={digest}", "ok"),
            ("JSON among others", f"a=b&bodySHA256={digest}&c=d", "ok"),
            ("JSON, in capitals", f"bodySHA256={digest.upper()}", "ok"),
            ("JSON, another body", f"bodySHA256={digest[::-1]}", "wrong"),
            ("JSON, no hash", "bodySHA256=", "malformed"),
            ("JSON, twice", f"bodySHA256={digest}&bodySHA256={digest}", "malformed"),
            ("JSON, without", "a=b", "missing")):
        cases.rule(**common, query=query, body=BODY)
        cases.case(f"twilio: {name}", verdict,
                   [json_type, (sign, twilio_sign(SECRET, f"{url}?{query}", []))])
    cases.case("twilio: JSON, the query is signed", "wrong",
               [json_type, (sign, twilio_sign(SECRET, f"{url}?bodySHA256={digest}", []))],
               query=f"bodySHA256={digest}&a=b")


# ---- a secret in the body ----

def member_cases(cases):
    one = json.dumps({"clientState": SECRET, "id": 1}, separators=(",", ":"))
    wrong = json.dumps({"clientState": OTHER, "id": 1}, separators=(",", ":"))
    escaped = one.replace("8f74", "\\x5cu0038f74")
    cases.rule(scheme="member", member=".value[].clientState", secret=SECRET)
    for name, body, verdict in (
            ("one", f'{{"value":[{one}]}}', "ok"),
            ("two", f'{{"value":[{one},{one}]}}', "ok"),
            ("one of two wrong", f'{{"value":[{one},{wrong}]}}', "wrong"),
            ("wrong", f'{{"value":[{wrong}]}}', "wrong"),
            ("none", '{"value":[]}', "missing"),
            ("none in one of two", f'{{"value":[{one},{{"id":2}}]}}', "missing"),
            ("a number", '{"value":[{"clientState":1}]}', "malformed"),
            ("null", '{"value":[{"clientState":null}]}', "malformed"),
            ("a list", f'{{"value":[{{"clientState":["{SECRET}"]}}]}}', "malformed"),
            ("no list", f'{{"value":{one}}}', "missing"),
            ("no object", '{"value":[1]}', "missing"),
            ("no body", "", "malformed"),
            ("no JSON", f'{{"value":[{one}]', "malformed"),
            ("twice in one", f'{{"value":[{{"clientState":"{SECRET}","clientState":"{SECRET}"}}]}}',
             "malformed"),
            ("the list twice", f'{{"value":[{one}],"value":[{one}]}}', "malformed"),
            ("spelled in another way", f'{{"value":[{escaped}]}}', "ok"),
            ("elsewhere too", f'{{"clientState":"x","value":[{one}]}}', "ok"),
            ("a part", f'{{"value":[{{"clientState":"{SECRET[:-1]}"}}]}}', "wrong"),
            ("empty", '{"value":[{"clientState":""}]}', "wrong"),
            ("a NUL behind it", f'{{"value":[{{"clientState":"{SECRET}\\x5cu0000"}}]}}', "wrong")):
        cases.case(f"member: {name}", verdict, [], body=body)
    cases.case("member: the new secret", "ok", [], body=f'{{"value":[{one}]}}',
               secret=f"{OLD} {SECRET}".replace("the old secret of this source",
                                                OLD.replace(" ", "\\x20")))
    cases.rule(scheme="member", member=".hook.token", secret=SECRET)
    cases.case("member: no list on the way", "ok", [], body=f'{{"hook":{{"token":"{SECRET}"}}}}')
    cases.rule(scheme="bearer", into="authorization", secret=SECRET)
    cases.case("bearer: a secret as it is", "ok", [("authorization", SECRET)])
    cases.case("bearer: not behind a word", "malformed", [("authorization", f"Bearer {SECRET}")])
    cases.case("bearer: wrong", "wrong", [("authorization", SECRET[1:])])


# ---- tokens ----

def url64(data):
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def openssl(*arguments, data=b""):
    """What the command prints."""
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True,
                          check=True).stdout


class Key:
    """A private key in a file, and what the world may know of it."""

    def __init__(self, folder, name, kind, *options):
        self.kind = kind
        self.name = name
        self.file = f"{folder}/{name}.pem"
        openssl("genpkey", "-algorithm", kind, *options, "-out", self.file)
        self.pem = openssl("pkey", "-in", self.file, "-pubout")
        der = openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")
        if kind == "RSA":
            modulus = openssl("rsa", "-in", self.file, "-noout", "-modulus").decode()
            number = bytes.fromhex(modulus.strip().partition("=")[2])
            self.jwk = {"kty": "RSA", "n": url64(number), "e": "AQAB"}
        elif kind == "EC":
            size = 32 if "P-256" in options[1] else 48
            self.jwk = {"kty": "EC", "crv": "P-256" if size == 32 else "P-384",
                        "x": url64(der[-2 * size:-size]), "y": url64(der[-size:])}
            self.size = size
        else:
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": url64(der[-32:])}
        self.jwk["kid"] = name

    def sign(self, alg, data):
        """The bytes of the signature."""
        if alg == "EdDSA":
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", file.name)
        options = []
        if alg.startswith("PS"):
            options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
        made = openssl("dgst", "-sha" + alg[2:], *options, "-sign", self.file, data=data)
        if not alg.startswith("ES"):
            return made
        at = 3 if made[1] & 0x80 else 2
        numbers = []
        for _ in range(2):
            length = made[at + 1]
            numbers.append(int.from_bytes(made[at + 2:at + 2 + length], "big"))
            at += 2 + length
        return b"".join(n.to_bytes(self.size, "big") for n in numbers)


def token(header, claims, sign):
    """The compact form; header and claims may be text."""
    first, second = (one if isinstance(one, str) else json.dumps(one, separators=(",", ":"))
                     for one in (header, claims))
    signed = f"{url64(first.encode())}.{url64(second.encode())}"
    return f"{signed}.{url64(sign(signed.encode()))}"


def jwt_cases(cases):  # pylint: disable=too-many-locals,too-many-statements
    with tempfile.TemporaryDirectory() as folder:
        rsa = Key(folder, "rsa", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        other = Key(folder, "other", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        weak = Key(folder, "weak", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
        p256 = Key(folder, "p256", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        p384 = Key(folder, "p384", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
        ed = Key(folder, "ed", "ED25519")
        oct_key = {"kty": "oct", "kid": "oct", "k": url64(SECRET.encode() * 2)}
        keys = json.dumps({"keys": [oct_key, rsa.jwk, weak.jwk, p256.jwk, p384.jwk, ed.jwk]},
                          separators=(",", ":"))
        good = {"iss": "https://id.example.com/", "aud": "grapnel", "exp": NOW + 300, "iat": NOW,
                "azp": "99045fe1", "ver": "2.0"}
        want = {"issuer": good["iss"], "audience": "grapnel", "party": "99045fe1"}
        cases.rule(scheme="jwt", keys=keys, body=BODY, **want)

        def bearer(text):
            return [("authorization", f"Bearer {text}")]

        def made(changes=None, alg="RS256", key=rsa, **header):
            claims = {k: v for k, v in {**good, **(changes or {})}.items() if v is not ...}
            head = {k: v for k, v in {"alg": alg, "kid": key.name, **header}.items() if v is not ...}
            return token(head, claims, lambda data: key.sign(alg, data))

        for alg, key in (("RS256", rsa), ("RS384", rsa), ("RS512", rsa), ("PS256", rsa),
                         ("PS384", rsa), ("PS512", rsa), ("ES256", p256), ("ES384", p384),
                         ("EdDSA", ed)):
            cases.case(f"jwt: {alg}", "ok", bearer(made(alg=alg, key=key)))
            good_token = made(alg=alg, key=key)
            head, claims, signature = good_token.split(".")
            forged = url64(json.dumps({**good, "admin": True}).encode())
            cases.case(f"jwt: {alg}, other claims", "wrong",
                       bearer(f"{head}.{forged}.{signature}"))
            flipped = ("B" if signature[9] == "A" else "A")
            cases.case(f"jwt: {alg}, a bit of the signature", "wrong",
                       bearer(f"{head}.{claims}.{signature[:9]}{flipped}{signature[10:]}"))
            cases.case(f"jwt: {alg}, half a signature", "wrong",
                       bearer(f"{head}.{claims}.{signature[:len(signature) // 8 * 4]}"))
        right = made()
        cases.case("jwt: no header", "missing", [])
        cases.case("jwt: twice", "malformed", bearer(right) * 2)
        cases.case("jwt: another scheme", "missing", [("authorization", f"Basic {right}")])
        cases.case("jwt: two parts", "malformed", bearer(right.rpartition(".")[0]))
        cases.case("jwt: an empty signature", "malformed", bearer(right.rpartition(".")[0] + "."))
        cases.case("jwt: five parts", "malformed", bearer(right + ".AAAA.AAAA"))
        cases.case("jwt: padding", "malformed", bearer(right + "="))
        cases.case("jwt: no token at all", "malformed", bearer("garbage"))
        cases.case("jwt: too long", "malformed", bearer("A" * 17000))

        # Which algorithm counts is never the token's to say.
        claims = url64(json.dumps(good).encode())
        for none in ("none", "None", "NONE", "nOnE", ""):
            head = url64(json.dumps({"alg": none, "kid": "rsa"}).encode())
            cases.case(f"jwt: alg '{none}'", "wrong", bearer(f"{head}.{claims}.AAAA"))
            cases.case(f"jwt: alg '{none}', no signature", "malformed", bearer(f"{head}.{claims}."))
        for name, secret in (("PEM", rsa.pem), ("PEM, trimmed", rsa.pem.strip()),
                             ("oct key", SECRET.encode() * 2),
                             ("modulus", base64.urlsafe_b64decode(rsa.jwk["n"] + "=="))):
            for kid in ("rsa", "oct"):
                cases.case(f"jwt: HS256 under the {name}, kid {kid}", "wrong", bearer(token(
                    {"alg": "HS256", "kid": kid}, good,
                    lambda data, secret=secret: hmac.new(secret, data, "sha256").digest())))
        cases.case("jwt: ES256 with zeros", "wrong", bearer(token(
            {"alg": "ES256", "kid": "p256"}, good, lambda data: bytes(64))))
        der = base64.b64encode(b"0\x06\x02\x01\x01\x02\x01\x01")
        cases.case("jwt: ES256 in DER", "wrong", bearer(token(
            {"alg": "ES256", "kid": "p256"}, good, lambda data: base64.b64decode(der))))
        cases.case("jwt: RS256 by a key of PS256", "wrong", bearer(token(
            {"alg": "RS256", "kid": "rsa"}, good, lambda data: rsa.sign("PS256", data))))
        cases.case("jwt: RS384 said, RS256 made", "wrong", bearer(token(
            {"alg": "RS384", "kid": "rsa"}, good, lambda data: rsa.sign("RS256", data))))
        cases.case("jwt: RS256 under the kid of P-256", "nokey", bearer(made(kid="p256")))
        cases.case("jwt: another key", "wrong", bearer(made(key=other, kid="rsa")))
        cases.case("jwt: an unknown kid", "nokey", bearer(made(key=other)))
        cases.case("jwt: a key too weak", "nokey", bearer(made(key=weak)))
        cases.case("jwt: no kid", "ok", bearer(made(kid=...)))
        cases.case("jwt: no kid and another key", "nokey", bearer(made(key=other, kid=...)))
        cases.case("jwt: a kid that is a path", "nokey", bearer(made(kid="../../../dev/null")))
        cases.case("jwt: a kid that is a number", "malformed", bearer(made(kid=1)))
        # Keys that the token brings along.
        cases.case("jwt: an embedded jwk", "nokey", bearer(made(key=other, jwk=other.jwk)))
        cases.case("jwt: an embedded jwk under a known kid", "wrong",
                   bearer(made(key=other, kid="rsa", jwk=other.jwk)))
        cases.case("jwt: a jku", "nokey", bearer(made(key=other, jku="https://evil.example/k")))
        cases.case("jwt: an x5c", "wrong", bearer(made(key=other, kid="rsa", x5c=["AAAA"])))
        cases.case("jwt: crit", "malformed", bearer(made(crit=["exp"], exp=NOW)))
        cases.case("jwt: b64", "malformed", bearer(made(crit=["b64"], b64=False)))

        def raw(header, body):
            return bearer(token(header, body, lambda data: rsa.sign("RS256", data)))

        cases.case("jwt: two algs", "malformed",
                   raw('{"alg":"none","kid":"rsa","alg":"RS256"}', good))
        cases.case("jwt: two kids", "malformed",
                   raw('{"alg":"RS256","kid":"x","kid":"rsa"}', good))
        cases.case("jwt: no alg", "malformed", raw({"kid": "rsa"}, good))
        cases.case("jwt: a header that is a list", "malformed", raw("[]", good))
        cases.case("jwt: a header with a comment", "malformed",
                   raw('{"alg":"RS256","kid":"rsa"/**/}', good))
        cases.case("jwt: claims that are a text", "malformed",
                   raw({"alg": "RS256", "kid": "rsa"}, '"x"'))
        cases.case("jwt: two audiences of one name", "wrong", raw(
            {"alg": "RS256", "kid": "rsa"},
            json.dumps(good)[:-1] + ',"aud":"grapnel"}'))
        cases.case("jwt: two ends", "malformed", raw(
            {"alg": "RS256", "kid": "rsa"}, json.dumps(good)[:-1] + f',"exp":{NOW + 900}}}'))

        for name, changes, verdict in (
                ("the end within the leeway", {"exp": NOW - 59}, "ok"),
                ("expired", {"exp": NOW - 60}, "stale"),
                ("expired long ago", {"exp": 1}, "stale"),
                ("an end with a fraction", {"exp": NOW + 0.5}, "ok"),
                ("an end as text", {"exp": str(NOW + 300)}, "malformed"),
                ("an end below zero", {"exp": -1}, "malformed"),
                ("an end that is null", {"exp": None}, "malformed"),
                ("not yet", {"nbf": NOW + 61}, "stale"),
                ("not yet, within the leeway", {"nbf": NOW + 60}, "ok"),
                ("made in the future", {"iat": NOW + 61}, "stale"),
                ("no end, made now", {"exp": ...}, "ok"),
                ("no end, made long ago", {"exp": ..., "iat": NOW - 301}, "stale"),
                ("no end, no beginning", {"exp": ..., "iat": ...}, "malformed"),
                ("another issuer", {"iss": "https://id.example.com"}, "wrong"),
                ("no issuer", {"iss": ...}, "wrong"),
                ("an issuer in a list", {"iss": [good["iss"]]}, "wrong"),
                ("another audience", {"aud": "grapnel2"}, "wrong"),
                ("no audience", {"aud": ...}, "wrong"),
                ("an audience of many", {"aud": ["x", "grapnel"]}, "ok"),
                ("many audiences, none ours", {"aud": ["x", "y"]}, "wrong"),
                ("no audience in the list", {"aud": []}, "wrong"),
                ("another party", {"azp": "x"}, "wrong"),
                ("no party", {"azp": ...}, "wrong"),
                ("the party as appid", {"azp": ..., "appid": "99045fe1"}, "ok"),
                ("azp goes before appid", {"azp": "x", "appid": "99045fe1"}, "wrong")):
            cases.case(f"jwt: {name}", verdict, bearer(made(changes)))
        cases.case("jwt: an end in exponents", "malformed", raw(
            {"alg": "RS256", "kid": "rsa"},
            json.dumps({**good, "exp": 0}).replace('"exp": 0', '"exp": 18e8')))

        digest = hashlib.sha256(plain(BODY)).digest()
        cases.rule(scheme="jwt", keys=json.dumps(ed.jwk, separators=(",", ":")), into="x-sign",
                   body_hash="request_body_sha256", body=BODY)
        for name, value, verdict in (
                ("base64", base64.b64encode(digest).decode(), "ok"),
                ("base64url", url64(digest), "ok"),
                ("hexadecimal", digest.hex(), "ok"),
                ("of another body", base64.b64encode(hashlib.sha256(b"x").digest()).decode(),
                 "wrong"),
                ("half of it", base64.b64encode(digest[:16]).decode(), "wrong"),
                ("no text", 1, "wrong"), ("none", ..., "wrong")):
            claims = {"iat": NOW} if value is ... else {"iat": NOW, "request_body_sha256": value}
            cases.case(f"jwt: a body's hash: {name}", verdict, [("x-sign", token(
                {"alg": "EdDSA"}, claims, lambda data: ed.sign("EdDSA", data)))])
        pem = ed.pem.decode().strip().replace("\n", "\\n")
        cases.rule(scheme="jwt", keys=pem, audience="grapnel", claim="ver 2.0", body=BODY)
        cases.case("jwt: a key in PEM, whatever the kid", "ok",
                   bearer(made(alg="EdDSA", key=ed, kid="any")))
        cases.case("jwt: a claim that is another", "wrong",
                   bearer(made({"ver": "1.0"}, alg="EdDSA", key=ed)))
        cases.case("jwt: a claim that is not there", "wrong",
                   bearer(made({"ver": ...}, alg="EdDSA", key=ed)))
        cases.case("jwt: a claim that is a number", "wrong",
                   bearer(made({"ver": 2}, alg="EdDSA", key=ed)))
        cases.case("jwt: a claim that is a list", "wrong",
                   bearer(made({"ver": ["2.0"]}, alg="EdDSA", key=ed)))
        long = SECRET * 2
        cases.rule(scheme="jwt", secret=f"{long} {OTHER * 2}".replace(OTHER * 2,
                                                                      (OTHER * 2).replace(" ", "_")),
                   body=BODY)

        def hs(secret, alg="HS256", name="sha256"):
            return bearer(token({"alg": alg}, good,
                                lambda data: hmac.new(secret.encode(), data, name).digest()))

        cases.case("jwt: HS256", "ok", hs(long))
        cases.case("jwt: HS256, the old secret", "ok", hs((OTHER * 2).replace(" ", "_")))
        cases.case("jwt: HS256, another secret", "wrong", hs(SECRET))
        cases.case("jwt: HS512", "wrong", hs(long, "HS512", "sha512"))
        for alg in ("HS512", "RS256", "none"):
            cases.case(f"jwt: {alg} said, HS256 made", "wrong", hs(long, alg))
        cases.case("jwt: RS256 where a secret counts", "wrong", bearer(right))
        cases.case("jwt: none where a secret counts", "wrong", bearer(
            token({"alg": "none"}, good, lambda data: b"x")))
        # RFC 7515, appendix A.1.
        cases.rule(scheme="jwt", secret_encoding="base64url", now=1300819380000, secret=(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"))
        cases.case("jwt: the vector of RFC 7515", "ok", bearer(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs"
            "DQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g"
            "FWFOEjXk"))


def main():
    """Both files."""
    vendors = Cases("vendors.case", "Vendors' schemes and forms of the generic one.")
    form_cases(vendors)
    more_form_cases(vendors)
    twilio_cases(vendors)
    member_cases(vendors)
    vendors.write()
    tokens = Cases("jwt.case", "Scheme jwt, and what is tried against tokens.")
    jwt_cases(tokens)
    tokens.write()


if __name__ == "__main__":
    main()
