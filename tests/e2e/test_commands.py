# SPDX-License-Identifier: Apache-2.0
"""The commands that talk to a running daemon, and the receiver for those who write receivers."""

import json
import os
import re
import signal
import subprocess

import pytest

from harness import GRAPNEL, JSON, PATIENCE_S, ask, wait_until


@pytest.fixture(name="shop")
def daemon_with_an_application(scene):
    """A daemon with one application and one endpoint at the target."""
    daemon = scene.start("")

    def grapnel(*arguments, given=None, **environment):
        return subprocess.run(
            [GRAPNEL, *arguments], input=given, capture_output=True, text=True, timeout=PATIENCE_S,
            env={**os.environ, "GRAPNEL_SERVER": f"http://127.0.0.1:{daemon.admin}",
                 **environment}, check=False)

    def api(method, path, body=None):
        return ask(daemon.admin, method, f"/api/v1{path}", json.dumps(body), JSON).json

    daemon.grapnel, daemon.call = grapnel, api
    api("POST", "/app", {"name": "shop", "uid": "shop"})
    daemon.endpoint_id = api("POST", "/app/shop/endpoint", {
        "uid": "hook", "url": f"http://127.0.0.1:{scene.target.port}/hook"})["id"]
    return daemon


def test_emit_sends_its_bytes(shop, scene):
    payload = '{ "n": 1.0,"n2":"ä" }'
    done = shop.grapnel("emit", "shop", "order.paid", "--wait", "9000", "--id", "o-1", payload)
    assert done.returncode == 0 and re.fullmatch(r"msg_\w{13} order.paid: delivered\n", done.stdout)
    assert scene.target.requests[0].body.decode() == payload
    done = shop.grapnel("emit", "shop", "order.paid", "--json", given=payload)
    assert done.returncode == 0 and json.loads(done.stdout)["eventType"] == "order.paid"


@pytest.mark.parametrize("arguments, code, said", [
    (("shop",), 2, "it needs APP TYPE"),
    (("shop", "t", "{"), 2, "is no JSON"),
    (("shop", "t", "{}", "--wait", "long"), 2, "--wait is a number"),
    (("shop", "t", "{}", "--chanel", "x"), 2, "did you mean '--channel'?"),
    (("nobody", "t", "{}"), 1, "404"),
    (("shop", "t", "{}", "--server", "http://127.0.0.1:1"), 1, "is the daemon there?")])
def test_emit_says_what_is_wrong(shop, arguments, code, said):
    done = shop.grapnel("emit", *arguments)
    assert done.returncode == code and said in done.stderr and not done.stdout


def test_endpoints_are_listed(shop):
    done = shop.grapnel("endpoints", "shop")
    assert done.returncode == 0
    head, row = done.stdout.splitlines()
    assert head.split() == ["ID", "UID", "STATE", "URL", "TYPES"]
    assert row.split()[:3] == [shop.endpoint_id, "hook", "enabled"]


@pytest.fixture(name="listening")
def receiver():
    """`grapnel listen` with a secret."""
    secret = subprocess.run([GRAPNEL, "secret"], capture_output=True, text=True, check=True,
                            timeout=PATIENCE_S).stdout.strip()
    with subprocess.Popen([GRAPNEL, "listen", "--port", "0", "--secret", secret],
                          stdout=subprocess.PIPE, text=True) as process:
        process.secret = secret
        process.url = process.stdout.readline().split()[-1]
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_listen_shows_and_verifies(shop, listening):
    shop.call("POST", "/app/shop/endpoint", {"url": listening.url, "secret": listening.secret})
    assert shop.grapnel("emit", "shop", "t", '{"a":[1]}', "--wait", "9000").returncode == 0
    lines = [listening.stdout.readline().rstrip()]
    while not lines[-1].startswith("}"):
        lines.append(listening.stdout.readline().rstrip())
    assert lines[0].endswith(" POST /")
    assert "  verified" in lines and lines[-5:] == ["{", '  "a": [', "    1", "  ]", "}"]


def test_listen_says_when_it_does_not_verify(shop, listening):
    shop.call("POST", "/app/shop/endpoint", {"url": listening.url})
    assert shop.grapnel("emit", "shop", "t", "{}", "--wait", "9000").returncode == 0
    while not (line := listening.stdout.readline()).startswith("  NOT VERIFIED: "):
        assert line


def test_replay_makes_what_failed_once_more(shop, scene):
    fail = [True]
    scene.target.act = lambda _: b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if fail[0] else \
        b"HTTP/1.1 200 Yes\r\nContent-Length: 0\r\n\r\n"
    shop.call("PATCH", "/app/shop/endpoint/hook", {"retry": []})
    sent = [shop.call("POST", "/app/shop/msg", {"eventType": "t", "payload": {"n": n}})["id"]
            for n in range(5)]
    assert wait_until(lambda: len(shop.events("dead")) == 5, PATIENCE_S)
    fail[0] = False
    since = ("--since", "2020-01-01T00:00:00Z")
    done = shop.grapnel("replay", "shop", *since, "--dry-run")
    assert done.stdout == "5 deliveries would be made once more\n", done.stderr
    done = shop.grapnel("replay", "shop", *since)
    assert done.returncode == 0 and done.stdout.endswith("done: 5 deliveries\n"), done
    assert wait_until(lambda: len(scene.target.requests) == 10, PATIENCE_S)
    ids = [one.headers["webhook-id"] for one in scene.target.requests[5:]]
    assert sorted(ids) == sorted(sent)  # under the same ids
