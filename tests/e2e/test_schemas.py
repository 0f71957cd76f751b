# SPDX-License-Identifier: Apache-2.0
"""A source's `schema:`: what fits goes on, what does not is told with pointers and stored nowhere."""

import json
import subprocess

import pytest

from harness import GRAPNEL, TO_TARGET, Scene

SCHEMA = {"type": "object", "required": ["id"], "properties": {
    "id": {"type": "integer", "minimum": 1},
    "when": {"format": "date-time"},
    "tags": {"items": {"type": "string"}, "uniqueItems": True}}}
CONFIG = TO_TARGET + """
sources:
  held: {verify: none, schema: schemas/held.json}
  free: {verify: none}
  shut: {verify: {scheme: bearer, secret: "a-secret-of-24-characters"}, schema: schemas/held.json}
  plain: {verify: none, schema: schemas/held.json, reply: plain}
flows:
  on: {on: [held, free, plain], steps: [{sent: {post: 'target:/in'}}]}
"""


def lay(folder, schema):
    """The schema's file beside the configuration."""
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    (folder / "schemas" / "held.json").write_text(
        schema if isinstance(schema, str) else json.dumps(schema))


@pytest.fixture(scope="module", name="scene")
def one_scene(tmp_path_factory):
    """One daemon serves all tests of this file that need one."""
    scene = Scene(tmp_path_factory.mktemp("schemas"))
    lay(scene.folder / "daemon0", SCHEMA)
    scene.daemon = scene.start(CONFIG)
    yield scene
    scene.close()


def test_what_fits_goes_on(scene):
    body = {"id": 12345678901234567890, "when": "2024-02-29T12:00:00Z", "tags": ["a"], "more": None}
    answer = scene.daemon.post("held", body)
    assert answer.status == 202
    scene.daemon.settled(answer.json["event"])


def test_what_does_not_fit_is_told_and_not_stored(scene):
    stored = scene.daemon.metrics()["grapnel_ledger_events"]
    answer = scene.daemon.post("held", {"id": 0, "when": "today", "tags": ["a", 1, "a"]})
    assert (answer.status, answer.json["code"]) == (422, "schema-not-met")
    assert answer.json["detail"] == "the body does not fit the source's schema: /id is less than 1"
    assert answer.json["retryable"] is False and "event" not in answer.json
    assert [(one["pointer"], one["detail"]) for one in answer.json["errors"]] == [
        ("/id", "is less than 1"), ("/when", "is not a date and time (RFC 3339)"),
        ("/tags/1", "has to be a string, not a number"), ("/tags", "holds the same value twice")]
    assert scene.daemon.metrics()["grapnel_ledger_events"] == stored
    # The same from a source that holds to nothing is taken.
    assert scene.daemon.post("free", {"id": 0}).status == 202


def test_the_whole_body_has_no_pointer(scene):
    answer = scene.daemon.post("held", [])
    assert answer.json["detail"] == ("the body does not fit the source's schema: it has to be an "
                                     "object, not an array")
    assert scene.daemon.post("plain", {}).status == 422


def test_credentials_come_first(scene):
    assert scene.daemon.post("shut", {"id": 0}).status == 401


def test_malformed_json_is_still_that(scene):
    assert scene.daemon.post("held", b'{"id": 01}').json["code"] == "bad-json"


def check(folder, config=CONFIG):
    """What `grapnel check` says."""
    (folder / "grapnel.yaml").write_text(config.replace("${TARGET_PORT}", "1"))
    done = subprocess.run([GRAPNEL, "check", str(folder / "grapnel.yaml")], cwd="/",
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_check_reads_the_schema_beside_the_configuration(tmp_path):
    lay(tmp_path, SCHEMA)
    assert check(tmp_path) == (0, "")
    for schema, told in [
            ('{"type":\n "strin"}', "line 2: 'type' does not know 'strin'"),
            ('{"type": ', "the schema is no JSON: the text ends too early at byte 9"),
            ({"$ref": "https://example.com/x.json"}, "'$ref' leads out of the document"),
            ({"pattern": "(?=x)"}, "a look ahead or behind, which is not supported")]:
        lay(tmp_path, schema)
        status, said = check(tmp_path)
        assert status == 1 and said.count("schemas/held.json: ") == 3 and told in said
    (tmp_path / "schemas" / "held.json").unlink()
    status, said = check(tmp_path)
    assert status == 1 and "cannot be opened: No such file" in said


def test_a_reload_takes_a_changed_schema_and_no_broken_one(tmp_path):
    scene = Scene(tmp_path)
    lay(scene.folder / "daemon0", SCHEMA)
    daemon = scene.start(CONFIG)
    try:
        assert daemon.post("held", {"id": 0}).status == 422
        lay(scene.folder / "daemon0", "{")
        daemon.reload(CONFIG)
        assert daemon.post("held", {"id": 0}).status == 422
        lay(scene.folder / "daemon0", {"required": ["other"]})
        daemon.reload(CONFIG)
        assert daemon.post("held", {"other": 0}).status == 202
    finally:
        scene.close()
