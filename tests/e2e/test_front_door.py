# SPDX-License-Identifier: Apache-2.0
"""The listener of webhooks on a raw socket: what tests/cases/http says of bytes, and what only a
server shows: what is answered, what is read after it, what is stored."""

import hashlib
import hmac
import re
import socket

import pytest

from harness import PATIENCE_S, TO_TARGET, Scene, inside, result_of, statuses, talk, wait_until

CONFIG = TO_TARGET + """
sources:
  app: {verify: none}
  waits: {verify: none}
  small: {verify: none, body_max: 1K}
  signed: {verify: {scheme: hmac, header: X-Signature, secret: "${SECRET}", prefix: "sha256="}}
  keyed: {verify: {scheme: bearer, secret: "${SECRET}"}}
flows:
  slow: {on: waits, reply: wait, steps: [{sent: {post: 'target:/in'}}]}
limits: {idle_timeout: 500ms}
"""
SECRET = "s" * 32
JSON_TYPE = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module", name="scene")
def one_scene(tmp_path_factory):
    """One daemon serves all tests of this file."""
    scene = Scene(tmp_path_factory.mktemp("front"))
    scene.daemon = scene.start(CONFIG, SECRET=SECRET)
    yield scene
    scene.close()


@pytest.fixture(name="daemon")
def its_daemon(scene):
    """The daemon, and in `stored` how many events it has before the test."""
    scene.daemon.stored = lambda: scene.daemon.metrics()["grapnel_ledger_events"]
    return scene.daemon


def post(body=b'{"id": 1}', path=b"/in/app", head=JSON_TYPE, length=True, close=True):
    """The bytes of a webhook."""
    lines = [b"POST " + path + b" HTTP/1.1\r\nHost: here\r\n", head]
    if length:
        lines.append(b"Content-Length: %d\r\n" % len(body))
    if close:
        lines.append(b"Connection: close\r\n")
    return b"".join(lines) + b"\r\n" + body


def chunked(*chunks, trailers=b""):
    """A body in chunks."""
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return b"".join(parts) + b"0\r\n" + trailers + b"\r\n"


NO_LENGTH = {"length": False, "head": JSON_TYPE + b"Transfer-Encoding: chunked\r\n"}

def kept(*arguments, **named):
    """The bytes of a webhook behind which the connection could go on."""
    return post(*arguments, close=False, **named)


# Each: what it is, the bytes, the status that they are owed. None of them stores anything, and after
# those that leave doubts about where a request ends nothing more is read.
REFUSED = [
    ("B-01 bare line feeds", b"POST /in/app HTTP/1.1\nHost: a\n\n", 400),
    ("B-02 a blank before a colon", kept().replace(b"Host:", b"Host :"), 400),
    ("B-02 a folded line", kept(head=b"X: a\r\n b\r\n"), 400),
    ("B-03 a name with a separator", kept(head=b"X[]: a\r\n"), 400),
    ("B-04 two lengths", kept(head=b"Content-Length: 9\r\n"), 400),
    ("B-05 length and chunks", kept(head=b"Transfer-Encoding: chunked\r\n"), 400),
    ("B-06 an unknown coding", kept(length=False, head=b"Transfer-Encoding: xchunked\r\n"), 400),
    ("B-06 gzip", kept(length=False, head=b"Transfer-Encoding: gzip\r\n"), 501),
    ("B-07 chunks in HTTP/1.0",
     kept(chunked(b"{}"), **NO_LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    ("B-08 a chunk's size with a sign", kept(b"+2\r\n{}\r\n0\r\n\r\n", **NO_LENGTH), 400),
    ("B-08 a chunk that is longer than it says", kept(b"1\r\n{}\r\n0\r\n\r\n", **NO_LENGTH), 400),
    ("B-09 trailers without end", kept(chunked(b"{}", trailers=b"X: " + b"y" * 5000), **NO_LENGTH),
     431),
    ("B-10 no Host", kept().replace(b"Host: here\r\n", b""), 400),
    ("B-10 another host than the target's", kept(path=b"http://there/in/app"), 400),
    ("B-11 an unknown method", kept().replace(b"POST", b"BREW"), 501),
    ("B-11 TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("B-12 HTTP/0.9", b"GET /\r\n", 400),
    ("B-12 HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("B-13 a long target", kept(path=b"/in/" + b"a" * 9000), 414),
    ("B-13 101 headers", kept(head=b"X: y\r\n" * 101), 431),
    ("B-13 a head of 33 KB", kept(head=b"".join(b"X%d: %s\r\n" % (i, b"y" * 990)
                                                for i in range(34))), 431),
    ("B-14 an encoded NUL", kept(path=b"/in/app%00"), 400),
    ("B-14 steps in the path", kept(path=b"/in/../in/app"), 400),
    ("B-14 a source's name is not decoded", kept(path=b"/in/%61pp"), 404),
    ("B-14 parameters are part of the name", kept(path=b"/in/app;a=b"), 404),
    ("B-16 no length is an empty body", kept(length=False), 400),
    ("B-17 another expectation", kept(head=b"Expect: money\r\n"), 417),
    ("B-18 a body in gzip", kept(head=JSON_TYPE + b"Content-Encoding: gzip\r\n"), 415),
    ("B-18 layers", kept(head=JSON_TYPE + b"Content-Encoding: gzip, br\r\n"), 415),
    ("B-19 a form", kept(b"id=1", head=b"Content-Type: application/x-www-form-urlencoded\r\n"),
     415),
    ("B-19 a form in another case",
     kept(b"id=1", head=b"Content-Type: Application/X-WWW-Form-Urlencoded\r\n"), 415),
    ("B-19 parts", kept(head=b"Content-Type: multipart/form-data; boundary=x\r\n"), 415),
    ("B-19 two types", kept(head=JSON_TYPE * 2), 400),
    ("B-25 two tokens", kept(path=b"/in/keyed", head=JSON_TYPE + b"Authorization: Bearer " +
                             SECRET.encode() + b"\r\nAuthorization: Bearer x\r\n"), 401),
    ("another method", kept().replace(b"POST", b"PUT"), 405),
    ("an unknown place", kept(path=b"/elsewhere"), 404),
    ("an unknown source", kept(path=b"/in/nobody"), 404),
    ("no source at all", kept(path=b"/in/"), 404),
]


@pytest.mark.parametrize("name, sent, status", [pytest.param(*one, id=one[0]) for one in REFUSED])
def test_what_is_refused_is_not_stored(daemon, name, sent, status):
    stored = daemon.stored()
    answer = talk(daemon.port, sent + post(b'{"behind": 1}'))
    assert statuses(answer)[0] == status, answer
    if re.match("B-(0[1-9]|1[0-3]|17)", name):
        assert len(statuses(answer)) == 1 and b"\r\nConnection: close\r\n" in answer
        assert re.search(rb'"offset":\d+', answer)
        assert daemon.stored() == stored
    else:
        assert daemon.stored() <= stored + 1  # what came behind it, once for all of them
    if status == 405:
        assert b"\r\nAllow: " in answer


# Each: what it is, the bytes; all are accepted.
TAKEN = [
    ("a length", post()),
    ("chunks", post(chunked(b'{"id"', b":", b"1}"), **NO_LENGTH)),
    ("B-09 chunks with trailers that are dropped",
     post(chunked(b"{}", trailers=b"Content-Length: 99\r\nX: y\r\n"), **NO_LENGTH)),
    ("an empty line before", b"\r\n" + post()),
    ("HTTP/1.0", post().replace(b"HTTP/1.1", b"HTTP/1.0")),
    ("an absolute target", post(path=b"http://here/in/app")),
    ("no type", post(head=b"")),
    ("another type", post(head=b"Content-Type: application/vnd.app+json; charset=utf-16\r\n")),
    ("a type that is none", post(head=b"Content-Type: ?\r\n")),
    ("B-24 tales of where it comes from",
     post(head=b"X-Forwarded-For: 127.0.0.1\r\nForwarded: for=x\r\nX_Real_IP: 1\r\n")),
    ("B-26 an upgrade", post(close=False, head=b"Connection: upgrade, close\r\nUpgrade: h2c\r\n")),
    ("B-26 Connection names our headers",
     post(close=False, head=b"Connection: content-type, content-length, close\r\n")),
    ("B-27 Range, conditions, cookies",
     post(head=b"Range: bytes=0-1\r\nIf-Match: *\r\nIf-None-Match: *\r\nCookie: a=b\r\n")),
    ("a query", post(path=b"/in/app?a=b&c=%20")),
    ("a string", post(b'"text"')),
    ("a number", post(b" 7 ")),
]


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in TAKEN])
def test_what_is_taken_is_stored_once(daemon, sent):
    head, _, body = sent.partition(b"\r\n\r\n")
    # So that no two are the same delivery.
    assert sent.count(b"\r\n\r\n") >= 1 and head and body
    answer = talk(daemon.port, sent)
    assert statuses(answer) == [202]
    event = re.search(rb'"event":"(evt_[0-9a-z]+)"', answer)[1].decode()
    assert daemon.event(event)["source"] == "app"


def test_a_body_too_large_is_refused_before_it_is_read(daemon):
    stored = daemon.stored()
    head = post(path=b"/in/small", length=False, head=b"Content-Length: 1025\r\n")
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as connection:
        connection.sendall(head)  # and nothing of the body
        assert connection.recv(13) == b"HTTP/1.1 413 "
    assert statuses(talk(daemon.port, post(b" " * 1025, path=b"/in/small"))) == [413]
    too_many = post(chunked(*[b" " * 500] * 3), path=b"/in/small", length=False,
                    head=b"Transfer-Encoding: chunked\r\n")
    assert statuses(talk(daemon.port, too_many)) == [413]
    huge = post(b"ffffffffffffffff\r\n", path=b"/in/small", length=False,
                head=b"Transfer-Encoding: chunked\r\n")
    assert statuses(talk(daemon.port, huge)) == [413]
    assert daemon.stored() == stored
    fits = b'"' + b"x" * 1022 + b'"'
    assert statuses(talk(daemon.port, post(fits, path=b"/in/small"))) == [202]
    fits = fits.replace(b"x", b"y")
    assert statuses(talk(daemon.port, post(chunked(fits[:500], fits[500:]), path=b"/in/small",
                                           length=False,
                                           head=b"Transfer-Encoding: chunked\r\n"))) == [202]


def test_who_waits_for_100_hears_it_when_the_head_is_fine(daemon):
    expect = JSON_TYPE + b"Expect: 100-continue\r\n"
    body = b'{"expected": 1}'
    sent = post(body, head=expect)
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as connection:
        connection.sendall(sent[:-len(body)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(13) == b"HTTP/1.1 202 "
    # Refused before: the final answer comes at once, and no 100.
    for path, length, status in ((b"/in/nobody", b"15", 404), (b"/in/small", b"1025", 413)):
        head = post(path=path, length=False, head=expect + b"Content-Length: " + length + b"\r\n")
        assert statuses(talk(daemon.port, head)) == [status]
    # Who does not wait is not told.
    assert statuses(talk(daemon.port, post(b'{"expected": 2}', head=expect))) == [202]


def test_pipelined_requests_are_answered_in_their_order(daemon):
    stored = daemon.stored()
    sent = b"".join(post(b'{"n": %d}' % n, close=False) if n % 2 else
                    post(chunked(b'{"n": %d}' % n), close=False, **NO_LENGTH) for n in range(200))
    answer = talk(daemon.port, sent + b"GET /events/none HTTP/1.1\r\nHost: a\r\n\r\n" +
                  post(b'{"n": 200}'))
    assert statuses(answer) == [202] * 200 + [404, 202]
    ids = re.findall(rb'"event":"(evt_[0-9a-z]+)"', answer)
    assert len(ids) == 201 == daemon.stored() - stored
    order = [daemon.event(one.decode())["body"]["n"] for one in ids[::20]]
    assert order == [*range(0, 200, 20), 200]


def test_what_comes_while_one_is_worked_on_waits_for_its_turn(scene, daemon):
    held = scene.target.act = scene.target.hold()
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(post(b'{"first": 1}', path=b"/in/waits", close=False))
        assert wait_until(lambda: held.came == 1, PATIENCE_S)
        behind = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" * 3000 + post(b'{"last": 1}')
        sender = inside(connection.sendall, behind)  # more than the daemon reads ahead
        held.release()
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        result_of(sender)
    assert statuses(answer) == [200] + [404] * 3000 + [202]


def test_a_thousand_pipelined_requests_are_answered_and_a_bad_one_ends_it(daemon):
    good = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    bad = b"POST /in/app HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    answer = talk(daemon.port, good + bad + good)
    assert statuses(answer) == [404] * 1000 + [400]


def test_a_half_closed_client_still_hears_its_answer(daemon):
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as connection:
        connection.sendall(post(b'{"half": 1}', close=False))
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert statuses(answer) == [202]


def test_tls_on_the_clear_port_is_closed_at_once(daemon):
    for hello in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32), b"\x16"):
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as one:
            one.sendall(hello)
            try:
                assert one.recv(100) == b""
            except ConnectionResetError:
                pass


def signed(body, secret=SECRET):
    """The header that the source `signed` wants."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return JSON_TYPE + b"X-Signature: sha256=" + digest.encode() + b"\r\n"


def test_a_signature_is_over_the_bytes_that_came(daemon):
    body = b'{ "id" :\t7 }\n'
    stored = daemon.stored()

    def told(sent, head):
        return statuses(talk(daemon.port, post(sent, path=b"/in/signed", head=head)))[0]

    assert told(body, signed(b'{"id":7}')) == 401
    assert told(body, signed(body, "t" * 32)) == 401
    assert told(body, signed(body) + signed(body)[len(JSON_TYPE):]) == 401  # B-25: twice
    assert told(body, JSON_TYPE) == 401
    assert told(body, signed(body)[:-4] + b"\r\n") == 401
    assert daemon.stored() == stored
    assert told(body, signed(body)) == 202
    pieces = post(chunked(body[:5], body[5:]), path=b"/in/signed", length=False,
                  head=signed(body) + b"Transfer-Encoding: chunked\r\n")
    assert statuses(talk(daemon.port, pieces)) == [202]  # the same bytes: a repeat
    assert daemon.stored() == stored + 1


def test_a_client_that_goes_away_harms_nobody(daemon):
    stored = daemon.stored()
    whole = post(b'{"gone": 1}')
    descriptors = daemon.descriptors()
    for cut in range(0, len(whole), 3):
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_S) as one:
            one.sendall(whole[:cut])
    assert wait_until(lambda: daemon.descriptors() <= descriptors, PATIENCE_S)
    assert daemon.stored() == stored
