# SPDX-License-Identifier: Apache-2.0
"""What docs/coming-from says of other programs, where they can be had: Debian's `webhook` does the
job of its page and answers as the table there says. Grapnel's side of all pages is in test_docs."""

import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from harness import JSON, PATIENCE_S, ask, wait_until
from stack import free_ports
from test_docs import ROOT, USER, blocks, world

PAGE = ROOT / "docs" / "coming-from" / "webhook.md"
SECRET = "s3cret"
TOOLS = ("webhook", "jq", "curl", "setpriv")
RIGHT = {"entityType": "USER", "id": USER["id"]}


def signed(body, secret=SECRET):
    """The header of the page's rule."""
    made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={made}"}


def listens(port):
    """Somebody does, there."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(name="start")
def starter(scene):
    """Starts the program as the page has it, or as `edit` makes its rules, beside the two systems;
    what it returns asks it."""
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    scene.target.act = world
    started = []

    def start(edit=lambda hooks: hooks):
        here = f"http://127.0.0.1:{scene.target.port}"
        found = {language: text for language, text, _ in blocks(PAGE)}
        files = {"hooks.json": edit(found["json"]), "user-to-contact.sh": found["sh"]}
        for name, text in files.items():
            text = re.sub(r"https://(\w+)\.example\.com", rf"{here}/\1", text)
            (scene.folder / name).write_text(text)
        (port,) = free_ports(1)
        started.append(subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "webhook", "-ip", "127.0.0.1", "-port", str(port),
             "-template", "-hooks", "hooks.json"], cwd=scene.folder, stdin=subprocess.DEVNULL,
            env={**os.environ, "PORTAL_SECRET": SECRET, "ID_TOKEN": "one", "CRM_TOKEN": "two"}))
        assert wait_until(lambda: listens(port), PATIENCE_S)

        def post(body, headers=None):
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = signed(body) if headers is None else headers
            answer = ask(port, "POST", "/hooks/portal", body, {**JSON, **headers})
            return answer.status, answer.body

        return post

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE_S)


def calls(scene):
    """Which were made, and with what."""
    return [(one.method, one.path, one.body) for one in scene.target.requests]


def test_webhook_does_the_job_of_its_page(scene, start):
    hook = start()
    status, said = hook(RIGHT)
    assert status == 200 and json.loads(said) == {"message": "Updated."}
    assert calls(scene) == [
        ("GET", f"/id/users/{USER['id']}", b""),
        ("GET", f"/crm/contacts?external_id={USER['id']}", b""),
        ("PATCH", "/crm/contacts/C-1001", b'{"email":"aino@example.com"}')]
    assert [one.headers["authorization"] for one in scene.target.requests] == [
        "Bearer one", "Bearer two", "Bearer two"]
    # The same delivery again does all of that again.
    assert hook(RIGHT)[0] == 200 and len(calls(scene)) == 6


def test_webhook_answers_as_the_table_of_its_page_says(scene, start):
    hook = start()
    body = json.dumps(RIGHT).encode()
    assert hook(body, signed(body, "another"))[0] == 500
    assert hook(body, {})[0] == 401
    assert hook({**RIGHT, "entityType": "GROUP"})[0] == 401
    assert hook(body[:-1])[0] == 401
    assert not calls(scene)
    status, said = hook({**RIGHT, "id": "NOBODY"})
    assert status == 500 and json.loads(said) == {"detail": "there is no user NOBODY"}


def test_webhook_says_200_to_what_no_rule_lets_in_unless_told_otherwise(start):
    option = '    "trigger-rule-mismatch-http-response-code": 401,\n'
    hook = start(lambda hooks: hooks.replace(option, ""))
    body = json.dumps(RIGHT).encode()
    assert [hook(body, {})[0], hook(body[:-1])[0], hook({"id": "U1"})[0]] == [200, 200, 200]
    assert hook(body, signed(body, "another"))[0] == 500
