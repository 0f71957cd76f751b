# SPDX-License-Identifier: Apache-2.0
"""The step `emit`: events that flows make for other flows and for endpoints."""

import os
import subprocess

import pytest

from harness import GRAPNEL, PATIENCE_S, TO_TARGET, Reply, one_after_the_other, wait_until
from sending import Application

CONFIG = TO_TARGET + """
sources: {app: {verify: none}, derived: {verify: internal}}
flows:
  first:
    on: app
    reply: wait
    retry: {base: 100ms, max: 100ms, tries: 5}
    steps:
      - told: {emit: 'contact.{.event.what}', %s}
      - sent: {post: 'target:/first', when: .event.send}
  second:
    on: derived
    subject: .id
    type: contact.changed
    steps:
      - sent: {post: 'target:/second', body: '{event: .event, meta: .meta}'}
"""
AS = "as: derived, body: '{id: .event.id, new: true}', subject: .event.id"


def test_an_event_goes_to_the_flows_of_its_source(scene):
    daemon = scene.start(CONFIG % AS)
    answer = daemon.post("app", {"id": "u1", "what": "changed"},
                         traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert (answer.status, answer.json["code"]) == (200, "emitted")
    assert wait_until(lambda: scene.target.seen(path="/second"), PATIENCE_S)
    request = scene.target.seen(path="/second")[0]
    assert request.json["event"] == {"id": "u1", "new": True}
    meta = request.json["meta"]
    assert (meta["source"], meta["type"], meta["subject"], meta["depth"]) == (
        "derived", "contact.changed", "u1", 1)
    assert request.headers["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    # Of another type: recorded, and nobody wants it.
    assert daemon.post("app", {"id": "u2", "what": "gone"}).status == 200
    events = daemon.events()
    assert [(one["source"], one["type"], len(one["jobs"])) for one in events[:2]] in (
        [("derived", "contact.gone", 0), ("app", "", 1)], [("app", "", 1), ("derived", "contact.gone", 0)])


def test_the_schema_of_its_source_holds(scene):
    (scene.folder / "strict.json").write_text('{"required": ["id"], "properties": {"id": {"type": "string"}}}')
    config = CONFIG.replace("derived: {", f"derived: {{schema: {scene.folder}/strict.json, ")
    daemon = scene.start(config % AS)
    answer = daemon.post("app", {"id": 7, "what": "changed"})
    assert (answer.status, answer.json["code"]) == (422, "not-emitted")
    assert "schema" in answer.json["detail"] and "/id" in answer.json["detail"]
    assert daemon.post("app", {"id": "u1", "what": "changed"}).status == 200
    assert [one["source"] for one in daemon.events()].count("derived") == 1


def test_a_message_goes_to_the_endpoints_of_its_application(scene):
    daemon = scene.start(CONFIG % "application: shop")
    answer = daemon.post("app", {"what": "changed"})
    assert answer.status == 422 and "no such application" in answer.json["detail"]
    shop = Application(daemon, "shop")
    shop.endpoint("hook", f"http://127.0.0.1:{scene.target.port}/hook", filterTypes=["contact.*"])
    assert daemon.post("app", {"what": "changed", "n": 2}).json["code"] == "emitted"
    assert wait_until(lambda: scene.target.seen(path="/hook"), PATIENCE_S)
    request = scene.target.seen(path="/hook")[0]
    assert request.json == {"what": "changed", "n": 2} and request.headers["grapnel-depth"] == "1"


def test_a_run_that_is_made_again_emits_nothing_new(scene):
    daemon = scene.start(CONFIG % AS)
    scene.target.act = lambda r: Reply(200, {}) if r.path != "/first" else failing(r)
    failing = one_after_the_other(Reply(503, {}), Reply(503, {}), Reply(200, {}))
    answer = daemon.post("app", {"id": "u1", "what": "changed", "send": True})
    assert answer.status == 424
    assert daemon.settled(answer.json["event"])["jobs"][0]["state"] == "done"
    assert len(daemon.attempts(answer.json["event"])) == 3
    assert wait_until(lambda: scene.target.seen(path="/second"), PATIENCE_S)
    assert [one["source"] for one in daemon.events()].count("derived") == 1
    assert len(scene.target.seen(path="/second")) == 1


def test_a_circle_ends(scene):
    daemon = scene.start(TO_TARGET + """
sources: {app: {verify: none}, derived: {verify: internal}}
flows:
  in: {on: app, steps: [{told: {emit: round, as: derived}}]}
  round: {on: derived, steps: [{told: {emit: round, as: derived}}], retry: none}
""")
    assert daemon.post("app", {"n": 1}).status == 202

    def ended():
        return [one for one in daemon.events() if one["jobs"][0]["state"] == "dead"]
    assert wait_until(ended, PATIENCE_S)
    assert len(daemon.events()) == 17
    assert daemon.attempts(ended()[0]["id"])[0]["code"] == "too-deep"


def test_nothing_comes_from_outside(scene):
    daemon = scene.start(CONFIG % AS)
    answer = daemon.post("derived", {"id": 1})
    assert answer.status == 401 and daemon.events() == []


@pytest.mark.parametrize("options, complaint", [
    ("body: .event", "one of as (a source) and application"),
    ("as: derived, application: shop", "one of as (a source) and application"),
    ("as: nobody", "there is no source 'nobody'")])
def test_check_says_what_is_wrong(tmp_path, options, complaint):
    (tmp_path / "grapnel.yaml").write_text(CONFIG % options)
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, "TARGET_PORT": "1"})
    assert done.returncode == 1 and complaint in done.stderr, done.stderr
