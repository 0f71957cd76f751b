# SPDX-License-Identifier: Apache-2.0
"""Endpoints that misbehave: each way has its class on record, its next attempt when the schedule
says, and is never taken for a delivery. All of them are sent to at the same time by one daemon."""

import dataclasses
import email.utils
import gzip
import re
import socket
import ssl
import threading
import time

import pytest

import rude
from harness import PATIENCE_S, SANITIZED, Scene, wait_until
from sending import Application, ended, moment

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")

SHORT_MS = 300  # for what does not answer; whatever does has this long:
LONG_MS = 15000
MESSAGES = 6  # one after the other; five without an answer open an endpoint's breaker
PAUSE_S, JITTER, SLACK_S = 600, 1.2, 5
DAY_S = 24 * 3600
GONE_MESSAGES = 20
MEMORY_MAX_BYTES = 64 * 1024 * 1024  # more than before
ENDLESS_MAX_BYTES = 16 * 1024 * 1024  # what the kernel may take before it hears that we hung up


def said(status, *headers, body=b"{}"):
    """A proper answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def head(*lines):
    """The head of an answer, as it is given."""
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()


def in_an_hour(_):
    """A refusal until a date."""
    return said(503, f"Retry-After: {email.utils.formatdate(time.time() + 3600, usegmt=True)}")


def redirect(status):
    """To where it came from, on loopback."""
    return rude.answers(lambda peer: said(
        status, f"Location: http://127.0.0.1:{peer.target.port}/elsewhere"))


@dataclasses.dataclass
class Row:
    """What a target does, and what follows."""

    name: str
    act: object
    code: str
    state: str = "waiting"
    status: int = 0
    # Seconds from the end of the first attempt to the next one, before the jitter.
    pause: float = PAUSE_S
    retry: int = PAUSE_S  # the schedule of its endpoint
    opens: bool = False  # five of them in a row are taken for a target that is away
    keeps: bool = False  # a connection serves several requests
    timeout: int = LONG_MS
    says: str = ""  # what the attempt's sentence must hold
    messages: int = MESSAGES
    payload: object = dataclasses.field(default_factory=lambda: {"n": 1})
    tls: str = ""  # which certificate it shows
    receive_buffer: int = 0

    def __str__(self):
        return self.name


def away(name, act, code="broken", **more):
    """No whole answer comes."""
    return Row(name, act, code, opens=True, **more)


def silent(name, act, **more):
    """Nothing comes in time."""
    return away(name, act, "timeout", timeout=SHORT_MS, **more)


def bad(name, act, **more):
    """What comes is no HTTP answer, or one that could be read in two ways."""
    return away(name, act, "bad-answer", **more)


def refused(status, name="", **more):
    """A proper answer that is no success."""
    headers = more.pop("headers", ())
    return Row(name or str(status), rude.answers(said(status, *headers)), "refused", status=status,
               keeps=True, **more)


def delivered(name, act, status=200, **more):
    """A success, whatever else is wrong with it."""
    return Row(name, act, "delivered", "done", status=status, **more)


def retry_after(name, value, **more):
    """A target that says when to come back."""
    return refused(503, f"Retry-After: {name}", headers=(f"Retry-After: {value}",), **more)


def tls(name, certificate, says, **more):
    """A server that we must not talk to, and what the attempt says of it."""
    return away(name, rude.answers(rude.OK), "tls", tls=certificate, says=says, **more)


ZEROS = gzip.compress(bytes(1024 * 1024))
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNK = b"4000\r\n" + bytes(0x4000) + b"\r\n"

ROWS = [
    # F-40, without a resolver of one's own
    away("no such name", None, "name-unknown"),
    # F-42
    away("refuses connections", None, "unreachable"),
    away("resets at accept", rude.resets_at_accept, "unreachable|broken"),
    away("resets after the request", rude.resets_after_request),
    away("hangs up after the request", rude.answers_and_hangs_up(b"")),
    away("half a head", rude.answers_and_hangs_up(b"HTTP/1.1 200 OK\r\nContent-Le")),
    # Their heads are whole, so their statuses hold; 410 has a test of its own
    Row("resets in the middle of a failure", rude.answers_and_resets(
        b"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhalf"), "refused", status=500),
    Row("resets in the middle of a Retry-After", rude.answers_and_resets(
        b"HTTP/1.1 503 No\r\nRetry-After: 900\r\nContent-Length: 100\r\n\r\nhalf"), "refused",
        status=503, pause=900),
    Row("closes in the middle of a failure", rude.answers_and_hangs_up(
        b"HTTP/1.1 429 No\r\nRetry-After: 900\r\nContent-Length: 100\r\n\r\nhalf"), "refused",
        status=429, pause=900),
    Row("stalls in the middle of a failure", rude.answers_and_waits(
        b"HTTP/1.1 503 No\r\nRetry-After: 900\r\nContent-Length: 100\r\n\r\nhalf"), "refused",
        status=503, pause=900, timeout=SHORT_MS),
    # F-43, F-44, F-45
    silent("says nothing", rude.says_nothing),
    silent("reads slowly", rude.reads_slowly, messages=1, receive_buffer=4096,
           payload={"much": "x" * 6 * 1024 * 1024}),
    silent("answers a byte at a time", rude.drips(said(500))),
    # F-47
    bad("garbage", rude.answers_and_hangs_up(b"220 mail.example.com ESMTP\r\n")),
    bad("HTTP/0.9", rude.answers_and_hangs_up(b"<html>hello</html>")),
    bad("HTTP/2", rude.answers_and_hangs_up(
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00")),
    bad("another version of HTTP", rude.answers_and_hangs_up(b"HTTP/3.7 200 OK\r\n\r\n")),
    bad("1xx for ever", rude.sends_on(b"", INTERIM), says="interim"),
    bad("status 101", rude.answers_and_waits(
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), says="101"),
    bad("100 MB of headers", rude.sends_on(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 8000 +
                                           b"\r\n"), says="exceeds"),
    bad("a header line without end", rude.sends_on(b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 8192),
        says="no end"),
    bad("10,000 headers", rude.answers_and_waits(head(
        *(f"X-{n}: {n}" for n in range(10000)), "Content-Length: 0"))),
    bad("NUL in a header", rude.answers_and_waits(head("X-Nul: a\0b", "Content-Length: 0"))),
    bad("CR in a header", rude.answers_and_waits(head("X-Cr: a\rb", "Content-Length: 0"))),
    bad("a folded header", rude.answers_and_waits(head("X-Fold: a", " b", "Content-Length: 0"))),
    delivered("ten 1xx before the answer", rude.answers(10 * INTERIM + rude.OK), keeps=True),
    # F-48
    delivered("10 GB declared", rude.sends_on(head("Content-Length: 10000000000"), bytes(65536))),
    delivered("10 GB declared and none sent", rude.answers_and_waits(
        head("Content-Length: 10000000000")), timeout=SHORT_MS),
    delivered("chunks for ever", rude.sends_on(head("Transfer-Encoding: chunked"), CHUNK)),
    Row("a failure with chunks for ever", rude.sends_on(
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK), "refused", status=500),
    # F-49
    bad("two lengths", rude.answers_and_waits(head("Content-Length: 2", "Content-Length: 3") +
                                              b"{}")),
    bad("length and chunked", rude.answers_and_waits(
        head("Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n")),
    bad("a negative length", rude.answers_and_waits(head("Content-Length: -2") + b"{}")),
    bad("an unknown coding", rude.answers_and_waits(
        head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n")),
    # F-50: never unpacked
    delivered("gzip", rude.answers(said(200, "Content-Encoding: gzip", body=ZEROS)), keeps=True),
    delivered("gzip twice", rude.answers(said(200, "Content-Encoding: gzip, gzip",
                                              body=gzip.compress(ZEROS))), keeps=True),
    # F-51
    *(Row(f"redirect {status} to loopback", redirect(status), "refused", status=status, keeps=True,
          says="redirect") for status in (301, 302, 303, 307, 308)),
    # F-52
    delivered("204 with a body", rude.answers(said(204)), 204, keeps=True),
    delivered("205", rude.answers(said(205, body=b"")), 205, keeps=True),
    delivered("reset after the head", rude.answers_and_resets(head("Content-Length: 100"))),
    delivered("closed after the head", rude.answers_and_hangs_up(head("Content-Length: 100"))),
    refused(304),
    refused(999),
    bad("status 099", rude.answers_and_waits(b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n")),
    # F-53; 410 has a test of its own
    refused(400),
    refused(404),
    refused(429),
    refused(500),
    refused(503),
    retry_after("1 s, shorter than the schedule", "1"),
    retry_after("900 s", "900", pause=900),
    retry_after("90 s, on a schedule of 1 s", "90", retry=1, pause=90),
    retry_after("10 years", "315360000", pause=DAY_S),
    Row("Retry-After: a date", rude.answers(in_an_hour), "refused", status=503, keeps=True,
        pause=3599),
    retry_after("a date that has passed", "Sun, 06 Nov 1994 08:49:37 GMT"),
    retry_after("garbage", "soon"),
    retry_after("negative", "-5"),
    refused(429, "429 with Retry-After", headers=("Retry-After: 900",), pause=900),
    refused(302, "302 with Retry-After", headers=("Retry-After: 900",), pause=900),
    # F-54
    tls("self-signed", "self-signed", "self-signed certificate"),
    tls("unknown authority", "unknown", "unable to get local issuer certificate"),
    tls("expired", "expired", "expired"),
    tls("not yet valid", "early", "not yet valid"),
    tls("another host's certificate", "elsewhere", "no alternative certificate subject name"),
    tls("a weak key", "weak", "key too weak"),
    tls("TLS 1.1 only", "old", "protocol"),
    away("an alert: no such version", rude.old_protocol_alert, "tls", tls="none"),
    away("clear text where TLS is wanted", rude.speaks_clear_text, "tls", tls="none"),
    away("stalls in the handshake", rude.never_shakes_hands, "tls", tls="none", timeout=SHORT_MS),
    delivered("TLS, and it is who it should be", rude.answers(rude.OK), tls="good", keeps=True),
    delivered("TLS closed without notice", rude.answers_and_resets(rude.OK), tls="good"),
    away("a client certificate is wanted", rude.answers(rude.OK), "tls", tls="asks",
         says="certificate required"),
    # F-55; F-56 has a test of its own
    delivered("closes as it is asked again", rude.closes_as_it_is_asked_again, keeps=True),
]


@pytest.fixture(scope="module", name="certificates")
def make_certificates(tmp_path_factory):
    """Servers by what is wrong with them."""
    made = rude.Certificates(tmp_path_factory.mktemp("certificates"))
    made.authority("alone")
    asks, old = made.leaf("asks"), made.leaf("old")
    asks.verify_mode = ssl.CERT_REQUIRED
    old.maximum_version = old.minimum_version = ssl.TLSVersion.TLSv1_1
    made.servers = {
        "": None,
        "none": None,
        "good": made.leaf("good"),
        "asks": asks,
        "self-signed": made.context("alone"),
        "unknown": made.leaf("unknown", authority="stranger"),
        "expired": made.leaf("expired", until="20210101000000Z"),
        "early": made.leaf("early", since="20390101000000Z"),
        "elsewhere": made.leaf("elsewhere", host="DNS:elsewhere.example"),
        "weak": made.leaf("weak", key=("rsa:1024",)),
        "old": old,
    }
    return made


class Sent:
    """A row under way: its target, its endpoint, its messages."""

    def __init__(self, row, number, certificates):
        self.row, self.number = row, number
        self.target = rude.Rude(row.act or rude.says_nothing, certificates.servers[row.tls],
                                row.receive_buffer)
        host = f"127.0.0.1:{self.target.port}"
        if row.name == "no such name":
            host = "nonexistent.invalid"
        if row.name == "refuses connections":  # bound, so that no other gets the port; deaf
            self.deaf = socket.socket()
            self.deaf.bind(("127.0.0.1", 0))
            host = "127.0.0.1:%d" % self.deaf.getsockname()[1]
        self.url = f"{'https' if row.tls else 'http'}://{host}/hook"
        self.endpoint = self.ids = None

    def subscribe(self, shop, certificates):
        """Its endpoint wants its own messages alone."""
        more = {"tls": {"ca": certificates.pem()}} if self.row.tls else {}
        self.endpoint = shop.endpoint(
            f"row-{self.number}", self.url, eventTypes=[f"row.{self.number}"],
            retry=[self.row.retry] * 3, timeout=self.row.timeout, concurrency=1, **more)["id"]

    def messages(self):
        """What is sent to it."""
        one = {"eventType": f"row.{self.number}", "payload": self.row.payload}
        return [one] * self.row.messages


@pytest.fixture(scope="module", name="street")
def all_at_once(tmp_path_factory, certificates):
    """One daemon that has sent to all of them."""
    scene = Scene(tmp_path_factory.mktemp("street"))
    scene.daemon = scene.start("")
    scene.shop = Application(scene.daemon)
    scene.sent = {}
    batch = []
    for number, row in enumerate(ROWS):
        sent = scene.sent[row.name] = Sent(row, number, certificates)
        sent.subscribe(scene.shop, certificates)
        batch += sent.messages()
    assert len(scene.sent) == len(ROWS)
    scene.memory = scene.daemon.memory()
    ids = iter(scene.shop.send_many(batch))
    for sent in scene.sent.values():
        sent.ids = [next(ids) for _ in range(sent.row.messages)]
    yield scene
    scene.close()
    for sent in scene.sent.values():
        sent.target.close()


def first_attempt(street, sent):
    """The job of the first message after its first attempt, and that attempt."""
    job = street.shop.settled(sent.ids[0], sent.endpoint, ("waiting", "done", "dead"))
    return job, job["attempts"][0]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_has_its_class_its_state_and_its_next_attempt(street, row):
    sent = street.sent[row.name]
    job, attempt = first_attempt(street, sent)
    assert job["state"] == row.state
    assert re.fullmatch(row.code, attempt["code"]), attempt
    assert attempt["status"] == row.status, attempt
    assert row.says in attempt["message"], attempt
    if row.state == "waiting":
        pause = moment(job["due"]) - ended(attempt)
        assert row.pause - 0.01 <= pause <= row.pause * JITTER + SLACK_S


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_only_who_does_not_answer_is_left_alone(street, row):
    sent = street.sent[row.name]
    jobs = [street.shop.settled(one, sent.endpoint, ("waiting", "done", "dead"))
            for one in sent.ids]
    # The last one finds the breaker open, or the target as the others found it.
    last = jobs[-1]["attempts"][0]
    is_left_alone = len(jobs) == MESSAGES and row.opens
    assert last["message"].startswith("Not sent") == is_left_alone, last
    assert [job["attempts_made"] for job in jobs] == [1] * row.messages
    endpoint = street.shop.look(sent.endpoint)
    assert not endpoint["disabled"]
    fails = row.state == "waiting"
    assert wait_until(lambda: (street.shop.look(sent.endpoint)["failingSince"] is not None) == fails,
                      PATIENCE_S)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_connections_end_as_they_should(street, row):
    sent = street.sent[row.name]
    street.shop.settled(sent.ids[-1], sent.endpoint, ("waiting", "done", "dead"))
    asked = len(sent.target.requests)
    if row.tls and row.state != "done":
        assert asked == 0  # nothing was said to a stranger
    if not row.keeps:
        # A connection that went wrong is not used again, and not kept.
        assert asked == len({request.connection for request in sent.target.requests})
        assert wait_until(lambda: sent.target.open == 0, PATIENCE_S)
    assert sent.target.sent_most < ENDLESS_MAX_BYTES
    # Each attempt asked once; where a kept connection had ended, the same request once more.
    attempts = sum(not job["attempts"][0]["message"].startswith("Not sent")
                   for job in (street.shop.job(one, sent.endpoint) for one in sent.ids))
    repeats = attempts - 1 if row.name == "closes as it is asked again" else 0
    if not row.tls and row.act not in (None, rude.resets_at_accept, rude.reads_slowly):
        assert asked == attempts + repeats
    ids = [request.headers["webhook-id"] for request in sent.target.requests]
    assert set(ids) <= set(sent.ids)


def test_nothing_of_what_came_stays_in_memory(street):
    for sent in street.sent.values():
        street.shop.settled(sent.ids[-1], sent.endpoint, ("waiting", "done", "dead"))
    assert SANITIZED or street.daemon.memory() < street.memory + MEMORY_MAX_BYTES


def test_a_body_is_kept_as_it_came_and_cut(street):
    sent = street.sent["gzip"]
    _, attempt = first_attempt(street, sent)
    response = attempt["calls"]["response"]
    assert response["headers"]["Content-Encoding"] == "gzip"
    assert len(ZEROS) < 16384 and not response["truncated"]
    _, attempt = first_attempt(street, street.sent["chunks for ever"])
    assert attempt["calls"]["response"] == {
        "headers": {"Transfer-Encoding": "chunked"}, "truncated": True, "body": "\0" * 16384}


@pytest.mark.parametrize("act", [
    pytest.param(rude.answers(said(410)), id="whole"),
    pytest.param(rude.answers_and_resets(b"HTTP/1.1 410 Gone\r\nContent-Length: 100\r\n\r\nha"),
                 id="cut")])
def test_one_that_is_gone_is_disabled_and_its_owner_told(scene, act):
    """F-53: 410."""
    daemon = scene.start("")
    operational = Application(daemon, "operational")
    operational.endpoint("watcher", f"http://127.0.0.1:{scene.target.port}/told",
                         eventTypes=["endpoint.*"])
    gone = rude.Rude(act)
    shop = Application(daemon)
    # The rest of them stand behind the first.
    endpoint = shop.endpoint("gone", f"http://127.0.0.1:{gone.port}/", order="all")["id"]
    ids = shop.send_many([{"eventType": "t", "payload": {}}] * GONE_MESSAGES)
    jobs = [shop.settled(one, endpoint) for one in ids]
    gone.close()
    assert {job["state"] for job in jobs} == {"dead"}
    codes = [job["attempts"][-1]["code"] for job in jobs]
    assert codes == ["gone"] + ["endpoint-disabled"] * (GONE_MESSAGES - 1)
    assert len(gone.requests) == 1
    assert shop.look("gone")["disabled"] and shop.look("gone")["disabledReason"] == "gone"
    assert wait_until(lambda: scene.target.seen("POST", "/told"), PATIENCE_S)
    # What is sent now is not for it.
    assert shop.job(shop.send("t", {}), endpoint) is None
    told = [request.json for request in scene.target.seen("POST", "/told")]
    assert [one["type"] for one in told] == ["endpoint.disabled"]
    assert told[0]["data"]["endpointId"] == endpoint and told[0]["data"]["trigger"] == "gone"


def test_one_that_was_away_is_tried_by_one_first(scene):
    """Its jobs do not use up the tries of a short schedule; when it is back, one asks, and then
    all go."""
    seen = []

    def act(peer):
        while peer.read():
            seen.append(("asked", peer.number))
            if len(seen) == 1:
                time.sleep(0.3)  # for others to come, if they would
            peer.send(rude.OK)
            seen.append(("answered", peer.number))

    closed = rude.Rude(act)
    closed.close()
    shop = Application(scene.start(""))
    endpoint = shop.endpoint("away", f"http://127.0.0.1:{closed.port}/", retry=[1, 1])["id"]
    ids = []
    for count, made in ((5, 1), (3, 0)):
        more = shop.send_many([{"eventType": "t", "payload": {}}] * count)
        jobs = [shop.settled(one, endpoint, ("waiting",)) for one in more]
        assert [job["attempts_made"] for job in jobs] == [made] * count
        ids += more
    back = rude.Rude(act, port=closed.port)
    jobs = [shop.settled(one, endpoint) for one in ids]
    back.close()
    assert {job["state"] for job in jobs} == {"done"}
    # They were due again and again while it was away, and none of that counts.
    assert [job["attempts_made"] for job in jobs] == [2] * 5 + [1] * 3
    assert [what for what, _ in seen[:2]] == ["asked", "answered"]


def test_what_nobody_asked_for_is_no_answer(scene):
    """F-56: on a connection that was kept."""
    asked, said_it = threading.Event(), threading.Event()

    def act(peer):
        while peer.read():
            peer.send(rude.OK)
            if peer.number == 1 and asked.wait(PATIENCE_S):
                peer.send(said(200, body=b"unasked!"))
                said_it.set()

    target = rude.Rude(act)
    shop = Application(scene.start(""))
    endpoint = shop.endpoint("speaks", f"http://127.0.0.1:{target.port}/")["id"]
    shop.settled(shop.send("t", {}), endpoint)
    asked.set()
    assert said_it.wait(PATIENCE_S)
    job = shop.settled(shop.send("t", {}), endpoint)
    assert job["attempts"][0]["calls"]["response"]["body"] == "{}"
    assert [request.connection for request in target.requests] == [1, 2]
    target.close()
