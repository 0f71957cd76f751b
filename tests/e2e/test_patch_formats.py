# SPDX-License-Identifier: Apache-2.0
"""`as:` of the patch step: what the target gets in each format, and what is refused."""

import json
import subprocess

import pytest

from harness import GRAPNEL, Reply, Scene

CONFIG = """
connections:
  target: {url: "http://127.0.0.1:${TARGET_PORT}"}
sources: {app: {verify: none}}
flows:
  save:
    on: app
    reply: wait
    steps:
      - got:   {get: 'target:/Users/{.event.id}'}
      - saved: {patch: 'target:/Users/{.event.id}', as: FORMAT, have: got, body: .event.want}
"""
HAVE = {"userName": "aino", "active": True, "name": {"givenName": "A", "familyName": "V"},
        "big": 12345678901234567890}
WANT = {"active": False, "name": {"familyName": "K"}, "nickName": None}
HEAD = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
SENT = {
    "merge": ("application/merge-patch+json", {"active": False, "name": {"familyName": "K"}}),
    "json-patch": ("application/json-patch+json", [
        {"op": "replace", "path": "/active", "value": False},
        {"op": "replace", "path": "/name/familyName", "value": "K"}]),
    "json-patch-test": ("application/json-patch+json", [
        {"op": "test", "path": "/active", "value": True},
        {"op": "replace", "path": "/active", "value": False},
        {"op": "test", "path": "/name/familyName", "value": "V"},
        {"op": "replace", "path": "/name/familyName", "value": "K"}]),
    "scim": ("application/scim+json", {**HEAD, "Operations": [
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "path": "name.familyName", "value": "K"}]}),
    "scim-entra": ("application/scim+json", {**HEAD, "Operations": [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "name.familyName", "value": "K"}]}),
    "scim-okta": ("application/scim+json", {**HEAD, "Operations": [
        {"op": "replace", "value": {
            "active": False, "name": {"givenName": "A", "familyName": "K"}}}]}),
}


@pytest.fixture(name="scene")
def its_scene(tmp_path):
    """A target with one person."""
    scene = Scene(tmp_path)
    scene.have = HAVE
    scene.target.act = lambda r: Reply(200, scene.have) if r.method == "GET" else Reply(204)
    yield scene
    scene.close()


@pytest.mark.parametrize("name", SENT)
def test_each_format_reaches_the_target(scene, name):
    daemon = scene.start(CONFIG.replace("FORMAT", name))
    answer = daemon.post("app", {"id": 1, "want": WANT})
    kind, body = SENT[name]
    sent = scene.target.requests[-1]
    assert (sent.method, sent.headers["content-type"]) == ("PATCH", kind)
    assert json.loads(sent.body) == body
    assert answer.status == 200 and answer.json["message"] == "Updated in target: active, name."
    # What differs in nothing is not sent, in any format.
    answer = daemon.post("app", {"id": 2, "want": {**HAVE, "nickName": None}})
    assert answer.json["code"] == "unchanged" and scene.target.requests[-1].method == "GET"


def test_what_a_format_cannot_say_fails_the_run(scene):
    daemon = scene.start(CONFIG.replace("FORMAT", "scim"))
    answer = daemon.post("app", {"id": 1, "want": {"emails[type eq \"x\"]": 1}})
    assert (answer.status, answer.json["code"]) == (422, "mapping-failed")
    assert "SCIM" in answer.json["detail"]
    scene.have = [HAVE]
    answer = daemon.post("app", {"id": 2, "want": WANT})
    assert (answer.status, answer.json["code"]) == (422, "mapping-failed")
    assert "nothing gave it" in answer.json["detail"]
    assert all(one.method == "GET" for one in scene.target.requests)


def test_a_format_that_needs_the_entity_says_so(tmp_path):
    config = CONFIG.replace("FORMAT", "json-patch").replace("${TARGET_PORT}", "1")
    (tmp_path / "grapnel.yaml").write_text(
        config.replace(", have: got", ""))
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1
    assert "as: json-patch says how to change what is there" in done.stderr
