# SPDX-License-Identifier: Apache-2.0
"""Endpoints of the configuration file: messages and events of sources go to them, the API shows
them and leaves them alone, a reload brings and takes them all together."""

import json
import os
import sqlite3
import subprocess

from harness import GRAPNEL, JSON, PATIENCE_S, Reply, ask, signature, wait_until
from sending import Application

SECRET = "whsec_" + "c2VjcmV0" * 4
OTHER = "whsec_" + "b3RoZXJz" * 4
TO = 'url: "http://127.0.0.1:${TARGET_PORT}'
ONE = 'endpoints:\n  hook: {%s/hook", secret: "%s"}\n' % (TO, SECRET)
FROM_SHOP = """
sources: {shop: {verify: none}, picky: {verify: none, unmatched: refuse}}
endpoints:
  orders:
    %s/orders"
    secret: "%s"
    on: [shop, picky]
    match: {kind: order}
    types: order.*
""" % (TO, SECRET)


class Declared(Application):
    """The application of the file, which nobody made by hand."""

    def __init__(self, daemon, uid="main"):  # pylint: disable=super-init-not-called
        self.daemon = daemon
        self.uid = uid

    def status(self, method, rest, body=None):
        """What the API says to that."""
        body = None if body is None else json.dumps(body).encode()
        return ask(self.daemon.admin, method, f"/api/v1/app/{self.uid}{rest}", body, JSON)


def came(scene, path, n=1):
    """The first n requests to the path."""
    assert wait_until(lambda: len(scene.target.seen("POST", path)) >= n, PATIENCE_S)
    return scene.target.seen("POST", path)


def test_a_message_reaches_it_signed_and_the_api_shows_what_became_of_it(scene):
    app = Declared(scene.start(ONE))
    body = b'{"order":  1, "total": 12.50}'
    sent = app.call("POST", "/msg", b'{"eventType": "order.paid", "payload": %s}' % body)["id"]
    request = came(scene, "/hook")[0]
    assert request.body == body
    head = request.headers
    assert head["webhook-id"] == sent
    assert head["webhook-signature"] == signature(SECRET, sent, head["webhook-timestamp"], body)
    shown = app.look("hook")
    assert (shown["uid"], shown["declared"], shown["profile"]) == ("hook", True, "standard")
    assert app.settled(sent, shown["id"])["state"] == "done"
    attempt, = app.call("GET", f"/attempt/msg/{sent}")["data"]
    assert attempt["endpointId"] == shown["id"]
    assert [one["id"] for one in app.call("GET", "/endpoint")["data"]] == [shown["id"]]


def test_the_api_leaves_it_alone_and_says_why(scene):
    daemon = scene.start(ONE)
    app, before = Declared(daemon), Declared(daemon).look("hook")
    changes = [("PATCH", "/endpoint/hook", {"disabled": True}),
               ("PUT", "/endpoint/hook", {"url": "http://127.0.0.1:1/"}),
               ("DELETE", "/endpoint/hook", None),
               ("PUT", "/endpoint/hook/headers", {"headers": {"X-A": "b"}}),
               ("PATCH", "/endpoint/hook/headers", {"headers": {"X-A": "b"}}),
               ("POST", "/endpoint/hook/secret/rotate", {}),
               ("GET", "/endpoint/hook/secret", None),
               ("POST", "/endpoint", {"url": "http://127.0.0.1:1/", "uid": "hook"}),
               ("DELETE", "", None)]
    for method, rest, body in changes:
        answer = app.status(method, rest, body)
        assert (answer.status, answer.json["code"]) == (409, "in_the_file"), (method, rest)
        assert "configuration file" in answer.json["detail"]
    assert app.look("hook") == before
    assert app.status("POST", "/endpoint", {"url": "http://127.0.0.1:1/", "uid": "x"}).status == 201


def test_what_comes_from_the_environment_is_neither_shown_nor_stored(scene):
    daemon = scene.start("""
endpoints:
  hook:
    url: "${HOOK_URL}"
    secret: ["${NEW}", "${OLD}"]
    headers: {X-Team: stock, X-Pass: "${PASS}"}
    header: {name: X-Key, value: "${KEY}"}
""", HOOK_URL=f"http://127.0.0.1:{scene.target.port}/services/T0KEN", NEW=SECRET, OLD=OTHER,
                         PASS="swordfish", KEY="kkkeykkk")
    app = Declared(daemon)
    sent = app.send("t", {"n": 1})
    request = came(scene, "/services/T0KEN")[0]
    assert request.headers["x-pass"] == "swordfish" and request.headers["x-key"] == "kkkeykkk"
    when = request.headers["webhook-timestamp"]
    assert request.headers["webhook-signature"].split() == [
        signature(secret, sent, when, request.body) for secret in (SECRET, OTHER)]
    app.settled(sent, app.look("hook")["id"])
    assert app.look("hook")["url"] == f"http://127.0.0.1:{scene.target.port}/..."
    assert app.call("GET", "/endpoint/hook/headers") == {
        "headers": {"X-Team": "stock"}, "sensitive": ["X-Pass", "X-Key"]}
    shown = json.dumps([app.call("GET", "/endpoint"), app.call("GET", f"/attempt/msg/{sent}"),
                        daemon.events()])
    assert daemon.stop() == 0
    stored = b"".join(one.read_bytes() for one in daemon.folder.glob("grapnel.db*"))
    for secret in ("T0KEN", "swordfish", "kkkeykkk", SECRET[6:], OTHER[6:]):
        assert secret not in shown and secret.encode() not in stored
        assert secret not in daemon.log.read_text()


def test_events_of_sources_go_to_it_as_they_came(scene):
    daemon = scene.start(FROM_SHOP)
    app = Declared(daemon)
    body = b'{"kind":"order", "type":"order.paid",  "n": 1.0}'
    told = daemon.post("shop", body)
    assert told.status == 202
    request = came(scene, "/orders")[0]
    event = told.json["event"]
    assert request.body == body
    assert request.headers["webhook-id"] == "msg_" + event.removeprefix("evt_")
    assert daemon.settled(event)["jobs"][0]["state"] == "done"
    message = app.call("GET", "/msg/msg_" + event.removeprefix("evt_"))
    assert message["payload"] == json.loads(body)
    attempt, = app.call("GET", "/attempt/endpoint/orders")["data"]
    assert attempt["msgId"] == message["id"]
    for other in ({"kind": "user", "type": "order.paid"}, {"kind": "order", "type": "user.new"}):
        assert daemon.event(daemon.post("shop", other).json["event"])["jobs"] == []
        assert daemon.post("picky", other).status == 404
    assert daemon.post("picky", {"kind": "order", "type": "order.paid", "n": 2}).status == 202
    app.send("order.paid", {"kind": "order"})  # a message is none of a source's events
    assert len(came(scene, "/orders", 2)) == 2


def test_one_that_names_its_application_gets_messages_and_events(scene):
    config = FROM_SHOP.replace("types: order.*", "application: acme")
    daemon = scene.start(config)
    app = Declared(daemon, "acme")
    app.send("user.new", {"n": 1})
    daemon.post("shop", {"kind": "order", "n": 2})
    assert sorted(one.json["n"] for one in came(scene, "/orders", 2)) == [1, 2]


def test_a_waiting_source_hears_its_flow_and_not_the_endpoint(scene):
    daemon = scene.start(FROM_SHOP.replace("types: order.*", "retry: none") + """
flows:
  f: {on: shop, reply: wait, steps: [{said: {map: '{answer: 42}'}}]}
""")
    scene.target.act = Reply(500)
    answer = daemon.post("shop", {"kind": "order"}, prefer="return=representation")
    assert answer.status == 200, answer
    came(scene, "/orders")
    ends = wait_until(lambda: [job["state"] for job in daemon.events()[0]["jobs"]
                               if job["state"] in ("done", "dead")], PATIENCE_S)
    assert ends


def test_it_is_recovered_and_resent_like_any_other(scene):
    daemon = scene.start(FROM_SHOP.replace("types: order.*", "retry: none\n    application: main"))
    app = Declared(daemon)
    scene.target.act = Reply(500)
    event = daemon.post("shop", {"kind": "order"}).json["event"]
    from_source = "msg_" + event.removeprefix("evt_")
    sent = app.send("order.paid", {"n": 1})
    number = app.look("orders")["id"]
    for one in (from_source, sent):
        assert app.settled(one, number)["state"] == "dead"
    scene.target.act = Reply(200)
    app.call("POST", f"/msg/{from_source}/endpoint/orders/resend")
    assert wait_until(lambda: app.job(from_source, number)["state"] == "done", PATIENCE_S)
    app.call("POST", "/endpoint/orders/recover", {"since": "2024-01-01T00:00:00Z"})
    assert wait_until(lambda: app.job(sent, number)["state"] == "done", PATIENCE_S)


def test_recover_takes_events_of_sources_too(scene):
    daemon = scene.start(FROM_SHOP.replace("types: order.*", "retry: none"))
    app = Declared(daemon)
    scene.target.act = Reply(500)
    event = daemon.post("shop", {"kind": "order"}).json["event"]
    assert daemon.settled(event)["jobs"][0]["state"] == "dead"
    scene.target.act = Reply(200)
    app.call("POST", "/endpoint/orders/recover", {"since": "2024-01-01T00:00:00Z"})
    assert wait_until(lambda: daemon.event(event)["jobs"][0]["state"] == "done", PATIENCE_S)


def test_a_restart_finds_it_under_the_same_id_and_goes_on_with_what_waits(scene):
    daemon = scene.start(ONE.replace("}\n", ", retry: {tries: 3, base: 200ms}}\n"))
    app = Declared(daemon)
    number = app.look("hook")["id"]
    scene.target.act = Reply(500)
    sent = app.send("t", {"n": 1})
    app.settled(sent, number, states=("waiting",))
    assert daemon.stop() == 0
    scene.target.act = Reply(200)
    daemon.start()
    assert app.look("hook")["id"] == number
    assert app.settled(sent, number)["state"] == "done"
    assert len(app.call("GET", "/attempt/endpoint/hook")["data"]) >= 2


def test_a_reload_adds_changes_and_removes_and_what_waits_for_a_removed_one_ends(scene):
    two = ONE + '  gone: {%s/gone", secret: "%s", retry: {tries: 32, base: 300ms, max: 300ms}}\n' % (
        TO, SECRET)
    daemon = scene.start(two)
    app = Declared(daemon)
    gone = app.look("gone")["id"]
    scene.target.act = lambda request: Reply(500 if request.path == "/gone" else 200)
    sent = app.send("t", {"n": 1})
    app.settled(sent, gone, states=("waiting",))
    daemon.reload(ONE.replace("/hook", "/moved") +
                  '  fresh: {%s/fresh", secret: "%s"}\n' % (TO, SECRET))
    assert daemon.facts("reloaded")
    assert {one["uid"] for one in app.call("GET", "/endpoint")["data"]} == {"hook", "fresh"}
    assert app.status("GET", "/endpoint/gone").status == 404
    app.send("t", {"n": 2})
    came(scene, "/moved")
    came(scene, "/fresh")
    assert not scene.target.seen("POST", "/hook")[1:]
    with sqlite3.connect(daemon.folder / "grapnel.db") as ledger:
        assert not ledger.execute("SELECT 1 FROM objects WHERE kind = 2").fetchall()
    ledger.close()
    job = app.settled(sent, gone)
    assert (job["state"], job["attempts"][-1]["code"]) == ("dead", "no-target")


def test_a_reload_whose_name_is_taken_changes_nothing(scene):
    daemon = scene.start(ONE)
    app = Declared(daemon)
    app.call("POST", "/endpoint", {"uid": "mine", "url": "http://127.0.0.1:1/"})
    daemon.reload(ONE.replace("/hook", "/moved") +
                  '  mine: {%s/mine", secret: "%s"}\n' % (TO, SECRET))
    assert daemon.facts("reload refused: the running configuration stays")
    assert "has an endpoint 'mine' already, made through the API" in daemon.log.read_text()
    app.send("t", {"n": 1})
    came(scene, "/hook")
    assert not scene.target.seen("POST", "/moved")
    assert app.look("mine")["declared"] is False


def test_one_that_says_gone_is_disabled_until_the_next_reload(scene):
    daemon = scene.start(ONE)
    app = Declared(daemon)
    scene.target.act = Reply(410)
    app.send("t", {"n": 1})
    assert wait_until(lambda: app.look("hook")["disabledReason"] == "gone", PATIENCE_S)
    scene.target.act = Reply(200)
    daemon.reload(ONE)
    shown = app.look("hook")
    assert (shown["disabled"], shown["disabledReason"]) == (False, None)
    app.send("t", {"n": 2})
    assert came(scene, "/hook", 2)


def test_it_maps_filters_and_keeps_to_its_limits(scene):
    daemon = scene.start(ONE.replace("}\n", """,
    filter: .event.n > 1, transform: '{doubled: (.event.n * 2)}', profile: standard,
    limit: {concurrency: 1, rate: 50/s}, timeout: 3s, order: all, description: ours}
"""))
    app = Declared(daemon)
    app.send("t", {"n": 1})
    app.send("t", {"n": 2})
    assert came(scene, "/hook")[0].json == {"doubled": 4}
    shown = app.look("hook")
    assert [shown[key] for key in ("concurrency", "throttleRate", "timeout", "order",
                                   "description")] == [1, 50, 3000, "all", "ours"]


def test_it_takes_several_in_one_request(scene):
    daemon = scene.start(FROM_SHOP.replace("types: order.*", """application: main
    batch: {events: 3, wait: 60s, bytes: 512K}"""))
    app = Declared(daemon)
    sent = app.send("t", {"n": 1})
    events = [daemon.post("shop", b'{"kind":"order",  "n": %d.0}' % n).json["event"] for n in (2, 3)]
    ids = [sent] + ["msg_" + event.removeprefix("evt_") for event in events]
    request = came(scene, "/orders")[0]
    bodies = {sent: b'{"n": 1}', ids[1]: b'{"kind":"order",  "n": 2.0}',
              ids[2]: b'{"kind":"order",  "n": 3.0}'}
    order = request.headers["grapnel-ids"].split(",")
    assert sorted(order) == sorted(ids)
    assert request.body == b"[" + b",".join(bodies[one] for one in order) + b"]"
    head = request.headers
    assert head["webhook-signature"] == signature(SECRET, head["webhook-id"],
                                                  head["webhook-timestamp"], request.body)
    shown = app.look("orders")
    assert shown["batch"] == {"events": 3, "wait": 60000, "bytes": 512 * 1024}
    for one in ids:
        assert app.settled(one, shown["id"])["state"] == "done"
    assert len(scene.target.requests) == 1


def test_a_batch_with_nothing_said_has_what_the_page_says_and_none_is_none(scene):
    app = Declared(scene.start(ONE.replace("}\n", ", batch: {}}\n") +
                               '  alone: {%s/alone", secret: "%s"}\n' % (TO, SECRET)))
    assert app.look("hook")["batch"] == {"events": 100, "wait": 1000, "bytes": 1024 * 1024}
    assert app.look("alone")["batch"] is None


def test_check_refuses_batches_that_would_lose_something(scene):
    scene.folder.mkdir(parents=True, exist_ok=True)
    file = scene.folder / "batches.yaml"
    file.write_text("endpoints:\n" + "".join(
        '  %s: {url: "https://example.com/", secret: "%s", batch: {events: 5}, %s}\n' % (
            name, SECRET, more)
        for name, more in (("a", "order: all"), ("b", "format: cloudevents"),
                           ("c", "order: subject"))))
    done = subprocess.run([GRAPNEL, "check", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "batches.yaml:" in line]
    assert [line.split("batches.yaml:")[1].split(":")[0] for line in lines] == list("23"), lines
    assert "order all" in lines[0] and "cloudevents-structured" in lines[1]


def test_check_says_what_is_wrong_and_where(scene):
    scene.folder.mkdir(parents=True, exist_ok=True)
    file = scene.folder / "wrong.yaml"
    file.write_text("""\
sources: {shop: {verify: none}}
endpoints:
  a: {url: "https://example.com/", secret: "whsec_short"}
  b: {url: "https://example.com/"}
  c: {url: "https://example.com/", secret: "%s", filter: ".event.("}
  d: {url: "https://example.com/", secret: "%s", transform: nosuch}
  e: {url: "https://example.com/", secret: "%s", headers: {Webhook-Id: x}}
""" % (SECRET, SECRET, SECRET))
    done = subprocess.run([GRAPNEL, "check", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "wrong.yaml:" in line]
    assert [line.split("wrong.yaml:")[1].split(":")[0] for line in lines] == list("34567")
    assert "secret" in lines[0] and "secret" in lines[1]
    assert "jq:" in lines[2] and "jq:" in lines[3] and "webhook-id is set by" in lines[4]
    assert "short" not in done.stderr


def test_bytes_that_no_api_can_show_are_refused_and_not_left_out(scene):
    scene.folder.mkdir(parents=True, exist_ok=True)
    file = scene.folder / "bytes.yaml"
    file.write_text("""\
endpoints:
  a: {url: "https://example.com/", profile: none, bearer: "${TOKEN}"}
  b: {url: "https://example.com/", profile: none, headers: {X-A: "${TOKEN}"}}
  c: {url: "https://example.com/", secret: ["${TOKEN}"]}
""")
    done = subprocess.run([GRAPNEL, "check", str(file)], capture_output=True, text=True,
                          check=False, env={**os.environb, b"TOKEN": b"ab\xffcd"})
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "bytes.yaml:" in line]
    assert [line.split("bytes.yaml:")[1].split(":")[0] for line in lines] == list("234"), lines
    assert all("no UTF-8" in line for line in lines)
