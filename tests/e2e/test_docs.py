# SPDX-License-Identifier: Apache-2.0
"""The pages of docs/ hold nothing that was not tried: every configuration in them is checked, and
the examples of the steps are run."""

import base64
import hashlib
import hmac
import itertools
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.parse

import pytest

from harness import (GRAPNEL, JSON, PATIENCE_S, Reply, Scene, ask, one_after_the_other, signature,
                     wait_until)
from test_fault_matrix import FAULTS, Told

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ANY_SECRET = "whsec_" + "QUJD" * 11
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(page):
    """(language, text, line) of each fenced block."""
    text = page.read_text()
    return [(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(text)]


CONFIGURATIONS = [pytest.param(text, id=f"{page.name}:{line}")
                  for page in PAGES for language, text, line in blocks(page) if language == "yaml"]
SCHEMAS = ROOT / "docs" / "schemas.md"


def lay_schema(folder):
    """The schema that the page on them shows, under the name that it gives it."""
    text = next(text for language, text, _ in blocks(SCHEMAS) if language == "json")
    (folder / "user.schema.json").write_text(text)


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_each_configuration_is_accepted(text, tmp_path):
    lay_schema(tmp_path)
    (tmp_path / "grapnel.yaml").write_text(text)
    names = re.findall(r"\$\{(\w+)\}", text)
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=False,
                          env={**os.environ, **dict.fromkeys(names, ANY_SECRET)})
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_there_are_examples():
    assert len(CONFIGURATIONS) >= 18


USER = {"id": "IDNUMBER1234", "email": "aino@example.com", "firstName": "Aino",
        "lastName": "Virtanen"}
CONTACT = {"id": "C-1001", "email": "old@example.com", "name": "Aino Virtanen"}
PERSON = {"id": "P-7", "active": True, "title": "Dr", "emails": [
    {"type": "work", "value": "old@example.com", "primary": True}],
    "userName": "old@example.com", "externalId": USER["id"],
    "name": {"givenName": "Aino", "familyName": "Virtanen"}}
NEWCOMER = {"id": "IDNUMBER7777", "email": "venla@example.com", "firstName": "Venla",
            "lastName": "Salo", "phone": "+358 9 123 4567"}
USERS = {one["id"]: one for one in (USER, NEWCOMER)}
PERSONS = {USER["id"]: PERSON, "IDNUMBER9999": {**PERSON, "id": "P-9"}}


# How they fail, where an example is about that.
TROUBLE = {
    "/crm/taken": Reply(422, {"errors": [{"field": "mail",
                                          "message": "This address belongs to somebody else."}]}),
    "/crm/locked": Reply(403, {"message": "No."}), "/crm/busy": Reply(429),
    "/crm/down": Reply(500), "/crm/flaky": Reply(503),
    "/id/website": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<p>Hi</p>",
    "/crm/contacts/NOBODY": Reply(404)}


def world(request):
    """The two systems of the examples."""
    where = urllib.parse.urlsplit(request.path)
    if request.method == "GET" and where.path.startswith("/id/users/"):
        user = USERS.get(where.path.rpartition("/")[2])
        return Reply(200, user) if user else Reply(404)
    if where.path in TROUBLE:
        return TROUBLE[where.path]
    if request.method == "GET" and where.path == "/crm/contacts":
        count = {f"external_id={USER['id']}": 1, "external_id=TWICE": 2}.get(where.query, 0)
        return Reply(200, {"items": [CONTACT, {**CONTACT, "id": "C-1002"}][:count]})
    if request.method == "GET" and where.path == "/id/groups":
        return Reply(200, {"items": [3]} if "after" in where.query else
                     {"items": [1, 2], "next": "x/1"})
    if request.method == "GET" and where.path == "/directory/Users":
        wanted = urllib.parse.unquote(where.query).split('"')[1]
        found = [PERSONS[wanted]] if wanted in PERSONS else []
        return Reply(200, {"totalResults": len(found), "Resources": found})
    return Reply(201, {"id": "C-2002"}) if request.method == "POST" else Reply(204)


# Their transcripts have other forms, and tests of their own.
TOLD_ELSEWHERE = {ROOT / "docs" / "replies.md", SCHEMAS}


def runs():
    """(configuration, transcript) of all pages: a transcript is of what stands above it. Where a
    page shows another program's YAML, it is marked yml."""
    found = []
    for page in PAGES:
        config = None
        for language, text, line in blocks(page):
            if language == "yaml":
                config = text
            elif language == "text" and text.startswith("POST /in/") and page not in TOLD_ELSEWHERE:
                found.append(pytest.param(config, text, id=f"{page.stem}:{line}"))
    return found


def every_credential(body):
    """For a source of any page, whose secret is ANY_SECRET: it looks at its own."""
    now = int(time.time())
    hexed = hmac.new(ANY_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {"webhook-id": "msg_1", "webhook-timestamp": str(now),
            "webhook-signature": signature(ANY_SECRET, "msg_1", now, body),
            "x-hub-signature-256": f"sha256={hexed}", "authorization": f"Bearer {ANY_SECRET}"}


@pytest.fixture(name="scene")
def its_scene(tmp_path):
    """The two systems, on one port."""
    scene = Scene(tmp_path)
    flaky = one_after_the_other(TROUBLE["/crm/flaky"], Reply(201, {"id": "C-2002"}))
    slow = scene.target.hold()
    scene.target.act = lambda request: (
        flaky(request) if request.path == "/crm/flaky" else
        slow if request.path == "/id/slow" else world(request))
    yield scene
    scene.close()


def in_any_order(text):
    """What is read together may come in any order."""
    groups = itertools.groupby(text.splitlines(), lambda line: line.startswith("  GET"))
    return [line for together, lines in groups for line in (sorted(lines) if together else lines)]


def is_call(line):
    """Is it a line of what a target was asked, or of what was logged?"""
    return line.startswith("  ")


def what_happened(scene, daemon, asked, wanted, later):
    """One webhook and what came of it, as the page writes it: of the `wanted` calls, so many come
    `later` than the answer."""
    source, body = re.fullmatch(r"POST /in/(\S+) (.*)", asked).groups()
    before, logs = len(scene.target.requests), {log: log.read_text() for log in
                                                daemon.folder.glob("*.jsonl")}
    answer = daemon.post(source, body.encode(), **every_credential(body.encode()))
    told = answer.json
    lines = [f"{answer.status} {told['code']}: {told.get('message') or told['detail']}"
             if "code" in told else f"{answer.status}"]
    lines += [f"{one['pointer']}: {one['detail']}" for one in told.get("errors", [])]
    at_once = [f"  LOG {log.name} {json.dumps(json.loads(line)['log'], separators=(',', ':'))}"
               for log in sorted(daemon.folder.glob("*.jsonl"))
               for line in log.read_text().removeprefix(logs.get(log, "")).splitlines()]
    calls = scene.target.requests
    if later:
        wait_until(lambda: len(calls) - before >= wanted, PATIENCE_S)
    told_of = []
    for one in calls[before:]:
        system, _, path = one.path[1:].partition("/")
        told_of.append(
            f"  {one.method} {system}.example.com/{path} {one.body.decode()}".rstrip())
    behind = len(told_of) - later
    return [asked, *told_of[:behind], *at_once, *lines, *told_of[behind:]]


def transcript(scene, daemon, wanted):
    """What happened, as the page writes it. Calls that stand behind an answer are made later."""
    lines = []
    for part in re.split(r"^(?=POST /in/)", wanted, flags=re.M)[1:]:
        asked, *rest = part.splitlines()
        answer = next(i for i, line in enumerate(rest) if not is_call(line))
        calls = [is_call(line) and not line.startswith("  LOG ") for line in rest]
        lines += what_happened(scene, daemon, asked, sum(calls), sum(calls[answer:]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("config, wanted", runs())
def test_each_example_does_what_its_page_says(scene, config, wanted):
    here = f"http://127.0.0.1:{scene.target.port}"
    names = dict.fromkeys(re.findall(r"\$\{(\w+)\}", config), ANY_SECRET)
    daemon = scene.start(re.sub(r"https://(\w+)\.example\.com", rf"{here}/\1", config), **names)
    assert in_any_order(transcript(scene, daemon, wanted)) == in_any_order(wanted)


def test_the_example_of_a_schema_does_what_the_page_says(scene):
    folder = scene.folder / "daemon0"
    folder.mkdir()
    lay_schema(folder)
    found = [(language, text) for language, text, _ in blocks(SCHEMAS)]
    config, wanted = (next(text for one, text in found if one == kind) for kind in ("yaml", "text"))
    daemon = scene.start(config)
    assert transcript(scene, daemon, wanted) == wanted
    assert daemon.events() == []


def credentials(body, secret):
    """The headers with which each source of the page proves that it is itself."""
    key = secret.encode()
    hexed = hmac.new(key, body, hashlib.sha256).hexdigest()
    based = base64.b64encode(hmac.new(key, body, hashlib.sha512).digest()).decode()
    pair = base64.b64encode(f"office:{secret}".encode()).decode()
    now = int(time.time())
    return {
        "portal": {"webhook-id": "msg_1", "webhook-timestamp": str(now),
                   "webhook-signature": signature(secret, "msg_1", now, body)},
        "forge": {"x-hub-signature-256": f"sha256={hexed}"},
        "shop": {"x-shop-hmac": based},
        "office": {"authorization": f"Basic {pair}"},
        "desk": {"authorization": f"Bearer {secret}"},
        "moving": {"authorization": f"Bearer {secret}"},
    }


def test_each_scheme_of_the_page_takes_its_own_and_nothing_else(scene):
    config = next(text for language, text, _ in blocks(ROOT / "docs" / "sources.md")
                  if language == "yaml" and "moving" in text)
    other = "whsec_" + "WFla" * 11
    names = dict.fromkeys(re.findall(r"\$\{(\w+)\}", config), ANY_SECRET)
    daemon = scene.start(config, **{**names, "OLD_TOKEN": other})
    body = b'{"id": 1}'
    right, wrong = credentials(body, ANY_SECRET), credentials(body, "whsec_" + "ZZZZ" * 11)

    def told(source, headers):
        return ask(daemon.port, "POST", f"/in/{source}", body, {**JSON, **headers}).status

    for source, headers in right.items():
        assert told(source, {}) == told(source, wrong[source]) == 401
        assert daemon.metrics()["grapnel_ledger_events"] == list(right).index(source)
        assert told(source, headers) == 202
    assert told("moving", credentials(body, other)["moving"]) == 202
    assert told("lab", {}) == 202


OPERATING = (ROOT / "docs" / "operating.md").read_text()
CODES = [r'act_fail\(a,[^;"]*"([a-z-]+)"', r'refuse\(k, \d+, "([a-z-]+)"',
         r'\(EndMeaning\)\{"([a-z-]+)"', r'envelope_fault\(fault, \d+, "([a-z-]+)"',
         r'code = SPAN\("([a-z-]+)"\)', r'code = [^;]*"([a-z-]+)"']


def test_the_page_on_operating_knows_every_metric_and_every_code(scene):
    daemon = scene.start("sources: {app: {verify: none}}\n")
    assert set(daemon.metrics()) == set(re.findall(r"`(grapnel_\w+)`", OPERATING))
    listed = set(re.findall(r"`([a-z-]+)`", OPERATING.partition("### Codes")[2]))
    told = set()
    flow = ("flow/" + name + ".c" for name in ("step_*", "act", "run", "exchange", "fresh", "pages"))
    for files in (*flow, "engine/*.c", "ledger/*.c", "trigger/webhook.c", "trigger/unpack.c",
                  "source/*.c"):
        for file in (ROOT / "src").glob(files):
            told |= {code for one in CODES for code in re.findall(one, file.read_text())}
    told.discard("accepted")  # a 202 shows its URL instead
    assert len(told) > 25 and told <= listed, told - listed


KINDS = re.findall(r"&step_(\w+),", re.search(
    r"step_kinds\[\] = \{(.*?)\};", (ROOT / "src/flow/steps.c").read_text(), re.S)[1])
EVERY_STEP = ROOT / "docs" / "steps" / "every-step.md"
SECTIONS = ["Example", "What the source hears when it fails", "Limits", "Reference"]


def codes_of_tables(text):
    """The codes in the first or third column of the tables."""
    return set(re.findall(r"^\| `([a-z-]+)`", text, re.M)) | set(
        re.findall(r"^\|[^|]*\|[^|]*\| `([a-z-]+)` \|", text, re.M))


def test_each_page_of_steps_is_one_of_a_kind():
    assert {page.stem for page in EVERY_STEP.parent.glob("*.md")} == {*KINDS, "every-step"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_page_that_tells_all(kind):
    page = EVERY_STEP.with_name(f"{kind}.md")
    text = page.read_text()
    headings = [line for line in re.findall(r"^## (.*)$", text, re.M) if line in SECTIONS]
    assert text.startswith(f"# {kind}\n\n") and headings == SECTIONS
    assert {language for language, _, _ in blocks(page)} <= {"yaml", "text"}
    # Its example is of it, and is run; so is one that fails.
    played = [(config, wanted) for config, wanted in
              (one.values for one in runs() if one.id.startswith(f"{kind}:"))]
    assert played and all(re.search(rf"\b{kind}: ", config) for config, _ in played)
    assert re.search(r"^4\d\d ", "".join(wanted for _, wanted in played), re.M)
    # What its code says of failures stands on it, or on the page of all.
    files = [page for page in (ROOT / "src" / "flow").glob("*.c")
             if page.stem in (f"step_{kind}", kind)]
    told = {code for one in CODES for file in files for code in re.findall(one, file.read_text())}
    failing = text.partition("## What the source hears")[2].partition("## Limits")[0]
    listed = codes_of_tables(failing)
    assert files and listed and told <= listed | codes_of_tables(EVERY_STEP.read_text()), told
    known = set(re.findall(r"`([a-z-]+)`", OPERATING.partition("### Codes")[2]))
    assert listed <= known, listed - known


def test_the_page_of_all_steps_knows_every_fault_of_calls():
    text = EVERY_STEP.read_text().partition("## Calls that fail")[2].partition("## ")[0]
    rows = re.findall(r"^\| (\w+)[^|]*\| (\d+) \| `([a-z-]+)` \| (yes|no) \|$", text, re.M)
    assert {fault: Told(int(status), code, again == "yes") for fault, status, code, again in rows} \
        == {fault: told for fault, (_, told) in FAULTS.items()}


def test_the_admin_listener_answers_as_the_page_says(scene):
    # One thread: of what comes within one millisecond to two, either may be listed first.
    daemon = scene.start("""
threads: 1
connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}"}}
sources: {one: {verify: none}, other: {verify: none}}
flows: {all: {on: one, reply: wait, steps: [{sent: {post: 'target:/refuses'}}]}}
""")
    scene.target.act = Reply(422)
    ids = [daemon.post("one", {"n": n}).json["event"] for n in range(3)]
    ids += [daemon.post("other", {"n": n}).json["event"] for n in range(3)]
    daemon.settled(ids[2])

    def listed(query):
        return [one["id"] for one in daemon.api(f"/api/v1/events?{query}")["events"]]

    assert listed("") == ids[::-1]
    assert listed("state=dead") == listed("source=one") == ids[2::-1]
    assert listed("source=other&limit=2") == [ids[5], ids[4]]
    assert listed(f"before={ids[3]}") == ids[2::-1]
    assert listed("state=waiting") == []
    for query in ("state=odd", "limit=0", "limit=x", "limit=251", "before=yesterday"):
        assert ask(daemon.admin, "GET", f"/api/v1/events?{query}").status in (400, 422)
    whole = daemon.event(ids[0])
    assert whole["body"] == {"n": 0} and whole["answer"]["status"] == 424
    attempt = whole["jobs"][0]["attempts"][0]
    assert attempt["code"] == "target-refused" and set(attempt["calls"][0]) >= {
        "step", "method", "url", "address", "status", "end", "us"}
    assert ask(daemon.admin, "GET", "/api/v1/events/evt_0000000000000").status == 404
    assert ask(daemon.admin, "GET", "/healthz").json == {"status": "ok"}
    assert {path.name for path in daemon.folder.glob("grapnel.db*")} == {
        "grapnel.db", "grapnel.db-wal", "grapnel.db-shm", "grapnel.db.lock"}


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)]+)\)", text):
            file, _, anchor = target.partition("#")
            if "://" in target:
                continue
            other = (page.parent / file) if file else page
            assert other.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", other.read_text(), re.M)
                slugs = {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-")
                         for one in headings}
                assert anchor in slugs, f"{page.name}: {target}"
