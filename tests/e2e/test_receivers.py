# SPDX-License-Identifier: Apache-2.0
"""The receivers that the documentation shows (examples/receivers), on what Grapnel signs: the right
delivery passes, and altered, late, foreign and damaged ones do not. A language that is not
installed is skipped."""

import base64
import concurrent.futures
import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from harness import GRAPNEL, PATIENCE_S, Reply, Target, signature

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECEIVERS = ROOT / "examples" / "receivers"
SIGN_PRINT = pathlib.Path(GRAPNEL).parent / "tests" / "interop" / "sign_print"
BUILD_MAX_S = 240

ID, TIMESTAMP, SIGNATURE = (f"webhook-{name}" for name in ("id", "timestamp", "signature"))
BODY = '{"type":"user.updated","data":{"id":"IDNUMBER1234","name":"Zoë"}}'.encode()
BINARY = bytes(range(256)) * 3 + b"\r\n\0\n"


# ---- what is sent ----

@dataclasses.dataclass(frozen=True)
class Delivery:
    """What a receiver holds in hands: the secret of its own, and what came."""

    secret: str
    headers: dict
    body: bytes

    def but(self, body=None, secret=None, **headers):
        """The same with these changed; a header that is None is missing."""
        changed = {**self.headers, **{"webhook-" + name: value for name, value in headers.items()}}
        return Delivery(self.secret if secret is None else secret, changed,
                        self.body if body is None else body)

    @property
    def signatures(self):
        """The header's value."""
        return self.headers[SIGNATURE]


def sign_print(*words, body=b""):
    """What Grapnel's own code makes (tests/interop/sign_print.c)."""
    done = subprocess.run([SIGN_PRINT, *words], input=body, capture_output=True, check=True,
                          timeout=PATIENCE_S)
    return json.loads(done.stdout)


class Sender:
    """Grapnel, with three secrets of one kind: the endpoint's own, a newer one, and another's."""

    def __init__(self, kind):
        self.kind = kind
        self.pairs = [sign_print("new", "standard", kind) for _ in range(3)]
        self.own, self.newer, self.foreign = (pair["secret"] for pair in self.pairs)
        # What the receiver verifies with.
        self.known = self.pairs[0].get("public", self.own)
        self.known_foreign = self.pairs[2].get("public", self.foreign)
        other = "hmac" if kind == "ed25519" else "ed25519"
        self.of_other_kind = sign_print("new", "standard", other)["secret"]

    def send(self, *secrets, body=BODY, late_s=0):
        """A delivery signed by these, or by the endpoint's own."""
        settings = ["id=msg_2b7", f"time={int((time.time() - late_s) * 1000)}"]
        settings += [f"secret={secret}" for secret in secrets or (self.own,)]
        headers = sign_print("sign", "standard", *settings, body=body)
        return Delivery(self.known, headers, body)

    def resized(self, by):
        """A signature that is shorter or longer by some bytes, in proper base64."""
        good = self.send()
        version, _, text = good.signatures.partition(",")
        changed = (base64.b64decode(text) + bytes(max(by, 0)))[:by if by < 0 else None]
        return good.but(signature=f"{version},{base64.b64encode(changed).decode()}")

    def replaced(self, make):
        """A signature made of version and text."""
        good = self.send()
        version, _, text = good.signatures.partition(",")
        return good.but(signature=make(version, text))

    def moved(self):
        """An old delivery whose body begins with a number and a dot: its bytes are moved between
        the headers and the body so that the signed ones stay the same and the time is now."""
        now = str(int(time.time()))
        old = self.send(body=now.encode() + b".5", late_s=3600)
        return old.but(id=f"{old.headers[ID]}.{old.headers[TIMESTAMP]}", timestamp=now, body=b"5")

    def with_key(self, n):
        """Signed with a secret of `n` bytes, which the receiver has."""
        secret = "whsec_" + base64.b64encode(os.urandom(n)).decode()
        return self.send(secret).but(secret=secret)


# Which the receiver accepts.
GOOD = {
    "as it comes": lambda s: s.send(),
    "some minutes old": lambda s: s.send(late_s=280),
    "from a clock that is ahead": lambda s: s.send(late_s=-280),
    "no body": lambda s: s.send(body=b""),
    "binary body": lambda s: s.send(body=BINARY),
    "body that ends in line feeds": lambda s: s.send(body=BODY + b"\n\n"),
    "large body": lambda s: s.send(body=b"0123456789abcde\n" * 65536),
    "rotation, the receiver has the older secret": lambda s: s.send(s.newer, s.own),
    "rotation, the receiver has the newer secret": lambda s: s.send(s.own, s.newer),
    "eleven live secrets, the last is ours": lambda s: s.send(*[s.newer] * 10, s.own),
    "beside a signature of the other kind": lambda s: s.send(s.of_other_kind, s.own),
}

# The same, of v1 alone.
GOOD_V1 = {
    "the secret without its prefix": lambda s: s.send().but(secret=s.known.partition("_")[2]),
    "the shortest secret": lambda s: s.with_key(24),
    "a secret above the block of the hash": lambda s: s.with_key(70),
    "the longest secret": lambda s: s.with_key(75),
}

# Which it refuses.
BAD = {
    "altered body": lambda s: s.send().but(body=BODY.replace(b"1234", b"1235")),
    "body with one byte more": lambda s: s.send().but(body=BODY + b"\n"),
    "body cut short": lambda s: s.send().but(body=BODY[:-1]),
    "binary body, altered behind a NUL": lambda s: s.send(body=BINARY).but(body=BINARY[:-1] + b"!"),
    "signed with another secret": lambda s: s.send(s.foreign),
    "verified with another secret": lambda s: s.send().but(secret=s.known_foreign),
    "signed in the other way alone": lambda s: s.send(s.of_other_kind),
    "301 seconds old": lambda s: s.send(late_s=301),
    "a year old": lambda s: s.send(late_s=365 * 86400),
    "from the future": lambda s: s.send(late_s=-330),
    "dot in the id": Sender.moved,
    "another id": lambda s: s.send().but(id="msg_2b8"),
    "another time": lambda s: s.send().but(timestamp=str(int(time.time()) + 5)),
    "time that is no number": lambda s: s.send().but(timestamp="now"),
    "empty time": lambda s: s.send().but(timestamp=""),
    "truncated signature": lambda s: s.resized(-1),
    "signature with one byte more": lambda s: s.resized(1),
    "truncated text of a signature": lambda s: s.replaced(lambda v, text: f"{v},{text[:-6]}"),
    "signature without a value": lambda s: s.replaced(lambda version, _: version + ","),
    "version alone": lambda s: s.replaced(lambda version, _: version),
    "signature that is no base64": lambda s: s.replaced(lambda version, _: version + ",***"),
    "signature of an unknown version": lambda s: s.replaced(lambda _, text: "v2," + text),
    "signature without a version": lambda s: s.replaced(lambda _, text: text),
    "empty signature": lambda s: s.send().but(signature=""),
    "blanks in the place of a signature": lambda s: s.send().but(signature="  "),
    "no id": lambda s: s.send().but(id=None),
    "no time": lambda s: s.send().but(timestamp=None),
    "no signature": lambda s: s.send().but(signature=None),
    "no webhook header": lambda s: s.send().but(id=None, timestamp=None, signature=None),
    "bytes beyond ASCII": lambda s: s.send().but(id="msg_\udcff", signature="v1,\udcff\udcfe"),
}


# Deliveries that Grapnel refuses to make, signed by the right secret (v1).

def by_hand(sender, message_id="msg_2b7", timestamp=None, body=BODY, secret=None):
    """Signed by the test."""
    timestamp = str(int(time.time())) if timestamp is None else timestamp
    value = signature(secret or sender.own, message_id, timestamp, body)
    return Delivery(sender.own, {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: value}, body)


BY_HAND = {
    "time with a fraction": lambda s: by_hand(s, timestamp=f"{int(time.time())}.5"),
    "time with an exponent": lambda s: by_hand(s, timestamp=f"{int(time.time())}e0"),
    "time with a sign": lambda s: by_hand(s, timestamp=f"+{int(time.time())}"),
    "negative time": lambda s: by_hand(s, timestamp="-1"),
    "time of words": lambda s: by_hand(s, timestamp="NaN"),
    "time of 40 digits": lambda s: by_hand(s, timestamp="9" * 40),
    "empty id": lambda s: by_hand(s, message_id=""),
    # Whoever forgets to set the secret must not accept what is signed with none.
    "no secret": lambda s: by_hand(s, secret="whsec_").but(secret=""),
    "a secret that is the prefix alone": lambda s: by_hand(s, secret="whsec_").but(secret="whsec_"),
}


# ---- who receives ----

@dataclasses.dataclass(frozen=True)
class Language:
    """How a folder of examples/receivers becomes a program."""

    needs: tuple  # commands
    run: tuple  # words; {at} is its folder, {out} one for what is built
    build: tuple = ()
    package: str = ""  # of Python, that v1a needs
    has_v1a: bool = True


LANGUAGES = {
    "python": Language((), (sys.executable, "-B", "{at}/check.py"), package="cryptography"),
    "javascript": Language(("node",), ("node", "{at}/check.mjs")),
    "go": Language(("go",), ("{out}/check",), ("go", "build", "-o", "{out}/check", "{at}/verify.go",
                                               "{at}/verify_v1a.go", "{at}/check.go")),
    "java": Language(("java", "javac"),
                     ("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                      "-cp", "{out}", "Check"),
                     ("javac", "-Xlint:all", "-Werror", "-d", "{out}", "{at}/Verify.java",
                      "{at}/VerifyV1a.java", "{at}/Check.java")),
    "php": Language(("php",), ("php", "-d", "display_errors=stderr", "{at}/check.php")),
    "ruby": Language(("ruby",), ("ruby", "-w", "{at}/check.rb")),
    "c": Language(("cc",), ("{out}/check",),
                  ("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "{out}/check",
                   "{at}/verify.c", "{at}/check.c", "-lcrypto"), has_v1a=False),
    "shell": Language(("sh", "openssl", "od"), ("sh", "{at}/verify.sh"), has_v1a=False),
}


class Receiver:
    """A program that says of one delivery whether it is accepted."""

    def __init__(self, name, out):
        self.language = LANGUAGES[name]
        places = {"at": RECEIVERS / name, "out": out}
        self.command = [word.format(**places) for word in self.language.run]
        if self.language.build:
            subprocess.run([word.format(**places) for word in self.language.build], check=True,
                           timeout=BUILD_MAX_S, env={**os.environ, "GOTOOLCHAIN": "local"})

    def says(self, delivery):
        """Its word, or, when it crashes or has more to say, all of it."""
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("HTTP_", "WEBHOOK_"))}
        environment["WEBHOOK_SECRET"] = delivery.secret
        environment |= {"HTTP_" + name.upper().replace("-", "_"): value
                        for name, value in delivery.headers.items() if value is not None}
        done = subprocess.run(self.command, input=delivery.body, env=environment,
                              capture_output=True, timeout=PATIENCE_S, check=False)
        for word, status in ("accepted", 0), ("refused", 1):
            if (done.returncode, done.stdout.decode().strip()) == (status, word) and not done.stderr:
                return word
        return done


@pytest.fixture(scope="module", name="receiver", params=LANGUAGES)
def made_receiver(request, tmp_path_factory):
    """Each language's, built once."""
    missing = [word for word in LANGUAGES[request.param].needs if not shutil.which(word)]
    if missing:
        pytest.skip(f"{request.param} is not installed: no {', '.join(missing)}")
    return Receiver(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", name="sender")
def made_sender():
    """Signs by v1."""
    return Sender("hmac")


@pytest.fixture(scope="module", name="sender_of_v1a")
def made_sender_of_v1a():
    """Signs by v1a."""
    return Sender("ed25519")


def other_than(word, receiver, sender, cases):
    """The cases of which the receiver does not say this word, with what it says."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        said = pool.map(receiver.says, [make(sender) for make in cases.values()])
        return {case: says for case, says in zip(cases, said) if says != word}


# ---- what must come of it ----

def test_v1(receiver, sender):
    assert other_than("accepted", receiver, sender, {**GOOD, **GOOD_V1}) == {}
    assert other_than("refused", receiver, sender, BAD) == {}
    assert other_than("refused", receiver, sender, BY_HAND) == {}


@pytest.mark.parametrize("receiver", [name for name, one in LANGUAGES.items() if one.has_v1a],
                         indirect=True)
def test_v1a(receiver, sender_of_v1a):
    language = receiver.language
    if language.package and not importlib.util.find_spec(language.package):
        pytest.skip(f"there is no package {language.package}")
    assert other_than("accepted", receiver, sender_of_v1a, GOOD) == {}
    assert other_than("refused", receiver, sender_of_v1a, BAD) == {}


def test_what_is_sent_by_hand_is_accepted(tmp_path):
    """shell/send.sh, with which people try their own receivers."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl")
    target, secret = Target(), sign_print("new", "standard", "hmac")["secret"]
    target.act = Reply(418)
    try:
        command = ["sh", RECEIVERS / "shell" / "send.sh", f"http://127.0.0.1:{target.port}/"]
        done = subprocess.run(command, input=BINARY, capture_output=True, check=True,
                              timeout=PATIENCE_S, env={**os.environ, "WEBHOOK_SECRET": secret})
    finally:
        target.close()
    assert done.stdout.startswith(b"HTTP/1.1 418 ") and done.stderr == b""
    request, = target.requests
    headers = {name: request.headers[name] for name in (ID, TIMESTAMP, SIGNATURE)}
    delivery = Delivery(secret, headers, request.body)
    assert request.body == BINARY
    python = Receiver("python", tmp_path)
    assert python.says(delivery) == "accepted"
    assert python.says(delivery.but(body=BODY)) == "refused"


def test_the_pages_show_the_files_as_they_are():
    done = subprocess.run([sys.executable, ROOT / "tools" / "snippets"], capture_output=True,
                          text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
