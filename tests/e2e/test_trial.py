# SPDX-License-Identifier: Apache-2.0
"""Flows checked without a network: `grapnel test`, `grapnel explain`, `grapnel replay --dry-run`."""

import json
import os
import re
import subprocess
import time

import pytest

from harness import EXAMPLE, GRAPNEL, JSON, PATIENCE_S, Reply, ask, signature

PAGE = (EXAMPLE.parents[1] / "docs" / "testing.md").read_text()

SECRET = "whsec_" + "QUJD" * 11
OTHER = "whsec_" + "WFla" * 11

CONFIG = """\
connections:
  crm: {url: "https://crm.example.com/api", bearer: "${CRM_TOKEN}"}
  ids:
    url: "https://ids.example.com"
    oauth2: {token_url: "https://ids.example.com/token", client_id: g, client_secret: "${IDS}"}
sources:
  app: {verify: {scheme: standard, secret: ["${OLD}", "${NEW}"]}, deadline: 5s}
  open: {verify: none}
  hook: {verify: {scheme: hmac, secret: "${HOOK}", header: x-sig, prefix: "sha256=", encoding: hex}}
  desk: {verify: {scheme: bearer, secret: "${DESK}"}}
  door: {verify: {scheme: basic, user: me, secret: "${DOOR}"}}
flows:
  copy:
    on: app
    match: {kind: person}
    subject: .id
    reply: wait
    steps:
      - person: {get: 'ids:/people/{.event.id}'}
      - entry: {find: 'crm:/entries?of={.event.id}', pick: .items}
      - saved:
          patch: 'crm:/entries/{.entry.id}'
          body: '{name: .person.name, mail: .person.mail}'
          when: .event.quiet != true
      - told: {log: changes.log, body: .event.id, when: .saved != null}
  slow:
    on: open
    reply: wait 3s
    steps: [{sent: {post: 'crm:/notes', body: .event}}]
  other:
    on: [hook, desk, door]
    reply: wait
    steps: [{sent: {post: 'crm:/notes', body: .event}}]
"""
MOCKS = """\
mocks:
  - {get: 'ids:/people/*', body: {name: Aino, mail: a@example.com}}
  - {get: 'crm:/entries?of=7', body: {items: [{id: E1, name: Aino, mail: old@example.com}]}}
  - {patch: 'crm:/entries/E1', body: {}}
"""
COPY = """\
tests:
  the entry follows:
    source: app
    body: {id: 7, kind: person}
    expect:
      status: 200
      body: {code: updated}
      outcome: {copy: updated}
      reads: [{get: 'ids:/people/7'}, {get: 'crm:/entries?of=7'}]
      calls:
        - {patch: 'crm:/entries/E1', body: {mail: a@example.com}}
        - {log: changes.log, body: '7'}
"""


@pytest.fixture(name="desk")
def a_folder(tmp_path):
    """A folder with the configuration, and the program in it."""

    def grapnel(*words, given=None, **environment):
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith("GRAPNEL")}
        return subprocess.run([GRAPNEL, *map(str, words)], cwd=tmp_path, text=True, input=given,
                              capture_output=True, timeout=120, check=False,
                              env={**clean, **environment})

    def play(tests, *words, **environment):
        (tmp_path / "some.test.yaml").write_text(tests)
        return grapnel("test", *words, **environment)

    (tmp_path / "grapnel.yaml").write_text(CONFIG)
    tmp_path.joinpath("grapnel.yaml").chmod(0o644)
    grapnel.play, grapnel.folder = play, tmp_path
    return grapnel


# ---- grapnel test ----

def test_the_example_passes_and_needs_nothing():
    done = subprocess.run([GRAPNEL, "test", str(EXAMPLE)], text=True, capture_output=True,
                          timeout=120, check=False)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    assert done.stdout.endswith("10 passed, 0 failed\n")


@pytest.mark.parametrize("old, new, said", [
    ("body:  '{email: .user.email", "body:  '{mail: .user.email",
     "call 1 body /email\n        expected  \"aino@example.com\"\n        got       nothing"),
    ("missing: {fail: 404,", "missing: {fail: 410,",
     "reply status\n        expected  404\n        got       410"),
    ("eventType: [CREATE, UPDATE]", "eventType: [CREATE]",
     "reply status\n        expected  200\n        got       202"),
    ("'crm:/contacts?external_id={.event.id}'", "'crm:/contacts?external={.event.id}'",
     "- get: 'crm:/contacts?external=IDNUMBER1234'\n            body: {}"),
    ("deadline: 9s", "deadline: 9s\n    unmatched: refuse", "expected  202\n        got       404"),
])
def test_a_flow_that_was_broken_is_noticed(desk, old, new, said):
    config = (EXAMPLE / "grapnel.yaml").read_text()
    assert old in config
    (desk.folder / "grapnel.yaml").write_text(config.replace(old, new))
    done = desk.play((EXAMPLE / "grapnel.test.yaml").read_text())
    assert done.returncode == 1 and said in done.stdout, done.stdout
    assert re.search(r"\d passed, [1-9]\d* failed\n$", done.stdout)


def test_reads_writes_and_lines_are_seen_in_order(desk):
    done = desk.play(MOCKS + COPY)
    assert done.returncode == 0 and done.stdout.endswith("1 passed, 0 failed\n"), done.stdout
    assert not (desk.folder / "changes.log").exists()
    assert {path.name for path in desk.folder.iterdir()} == {"grapnel.yaml", "some.test.yaml"}


@pytest.mark.parametrize("old, new, what, want, got", [
    ("status: 200", "status: 201", "reply status", "201", "200"),
    ("code: updated}", "code: unchanged}", "reply body /code", '"unchanged"', '"updated"'),
    ("copy: updated", "copy: unchanged", "outcome of flow copy", "unchanged",
     "updated: Updated in crm: mail."),
    ("copy: updated", "coppy: updated", "outcome of flow coppy", "updated", None),
    ("mail: a@example.com}}\n        -", "mail: b@example.com}}\n        -",
     "call 1 body /mail", '"b@example.com"', '"a@example.com"'),
    ("{mail: a@", "{no: 1.50, mail: a@", "call 1 body /no", "1.50", None),
    ("crm:/entries/E1', body: {m", "crm:/entries/E2', body: {m", "call 1",
     "PATCH crm:/entries/E2", "PATCH crm:/entries/E1"),
    ("body: '7'}", "body: '8'}", "call 2 body", "8", "7"),
    (", {get: 'crm:/entries?of=7'}]", "]", "another read", None, "GET crm:/entries?of=7"),
    ("reads: [", "reads: [{get: 'ids:/people/8'}, ", "read 1", "GET ids:/people/8", None),
    ("        - {log: changes.log, body: '7'}\n", "", "call 2", None, "LOG changes.log"),
    ("status: 200", "{status: 200, headers: {Content-Type: text/plain}}", None, None, None),
    ("      status: 200\n", "      status: 200\n      headers: {Content-Type: text/plain}\n",
     "reply header Content-Type", "text/plain", "application/json"),
    ("      status: 200\n", "      status: 200\n      exact: true\n", "reply body /event", None,
     re.compile("evt_")),
])
def test_a_test_that_must_fail_says_why(desk, old, new, what, want, got):
    assert (MOCKS + COPY).count(old) >= 1
    done = desk.play((MOCKS + COPY).replace(old, new), "--json")
    if what is None:
        assert done.returncode == 2 and "some.test.yaml:" in done.stderr
        return
    assert done.returncode == 1, done.stdout
    failures = json.loads(done.stdout)["tests"][0]["failures"]
    found = [one for one in failures if one["what"] == what]
    assert found and found[0]["expected"] == want, failures
    if isinstance(got, re.Pattern):
        assert got.search(found[0]["got"])
    else:
        assert found[0]["got"] == got


def test_a_call_without_a_mock_says_which_to_add(desk):
    done = desk.play(COPY, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"], told["failed"]) == (1, 0, 1)
    advice = {one["addToMocks"] for one in told["tests"][0]["failures"] if "addToMocks" in one}
    assert "- get: 'ids:/people/7'\n  body: {}\n" in advice
    # Pasted, it answers: one round per call that shows up.
    mocks = "mocks:\n" + "".join(f"  {line}\n" for one in advice for line in one.splitlines())
    again = json.loads(desk.play(mocks + COPY, "--json").stdout)["tests"][0]
    assert not [one for one in again["failures"] if one.get("addToMocks") in advice]


FAULTS = """\
tests:
  it fails:
    source: open
    body: {n: 1}
    mocks: [{post: 'crm:/notes', %s}]
    expect: {status: %d, outcome: {slow: %s}}
"""


@pytest.mark.parametrize("mock, status, code", [
    ("fault: refused", 424, "unreachable"), ("fault: unknown-host", 424, "unreachable"),
    ("fault: tls", 424, "unreachable"), ("fault: timeout", 202, "timeout"),
    ("fault: broken", 424, "broken"),
    ("status: 422, body: {message: no}", 424, "target-refused"),
    ("status: 500", 424, "target-failed"),
    ("body: no JSON", 424, "unreadable-answer"), ("delay: 2s", 200, "updated"),
    ("delay: 4s", 202, "updated"), ("delay: 10m", 202, "timeout")])
def test_every_fault_and_delay(desk, mock, status, code):
    done = desk.play(FAULTS % (mock, status, code))
    assert done.returncode == 0, done.stdout


def test_retries_cost_no_time(desk):
    # Its pauses are hours: a test that waited for them would not end.
    (desk.folder / "grapnel.yaml").write_text(CONFIG.replace("reply: wait 3s", """\
reply: accepted
    retry: {base: 1h, max: 24h, tries: 5}"""))
    text = """\
tests:
  the third run gets through:
    source: open
    body: {n: 1}
    attempts: %d
    mocks:
      - {post: 'crm:/notes', status: 503, times: 2}
      - {post: 'crm:/notes', body: {}}
    expect:
      status: 202
      outcome: %s
      calls: [%s]
"""
    call = "{post: 'crm:/notes', body: {n: 1}}"
    for attempts, outcome, calls in ((1, "target-failed", 1), (2, "target-failed", 2),
                                     (3, "updated", 3), (9, "updated", 3)):
        done = desk.play(text % (attempts, outcome, ", ".join([call] * calls)))
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("source", ["app", "hook", "desk", "door"])
def test_each_scheme_signs_and_verifies_its_own(desk, source):
    test = """\
mocks: [{post: 'crm:/notes', body: {}}, {get: '*', status: 404}]
tests:
  right: {source: %s, body: {id: 7}, expect: {status: %d}}
  altered: {source: %s, sign: wrong, body: {id: 7}, expect: {status: 401}}
  unsigned: {source: %s, sign: false, body: {id: 7}, expect: {status: 401}}
"""
    done = desk.play(test % (source, 202 if source == "app" else 200, source, source))
    assert done.returncode == 0, done.stdout


def test_time_age_and_headers_of_its_own(desk):
    body = '{"kind": "other"}'
    signed = signature(SECRET, "m1", 1767225600, body.encode())
    test = f"""\
tests:
  a delivery as it was recorded:
    source: app
    time: 2026-01-01T00:01:00Z
    sign: false
    headers: {{webhook-id: m1, webhook-timestamp: '1767225600', webhook-signature: '{signed}'}}
    body: '{body}'
    expect: {{status: 202, outcome: none}}
  the same, later:
    source: app
    time: 2026-01-01T00:06:00Z
    sign: false
    headers: {{webhook-id: m1, webhook-timestamp: '1767225600', webhook-signature: '{signed}'}}
    body: '{body}'
    expect: {{status: 401, body: {{detail: webhook-timestamp is outside the window}}}}
  just in time: {{source: app, age: 5m, body: {{}}, expect: {{status: 202}}}}
  too old: {{source: app, age: 301s, body: {{}}, expect: {{status: 401}}}}
  no JSON: {{source: open, body: '{{', expect: {{status: 400, body: {{code: bad-json}}}}}}
  no source: {{source: nobody, body: {{}}, expect: {{status: 404}}}}
"""
    (desk.folder / "names").write_text(f"# secrets\nexport OLD={SECRET}\nNEW='{OTHER}'\n")
    done = desk.play(test, "--env", "names")
    assert done.returncode == 0, done.stdout
    assert desk.play(test).returncode == 1  # a made-up secret is another one


BROKEN_TESTS = """\
mocks: [{get: 'crm:/x', faults: refused}]
#                       ^ unknown key 'faults'; did you mean 'fault'?
tests:
  one:
    sourc: app
#   ^ unknown key 'sourc'; did you mean 'source'?
    body: {}
    expect: {status: 99}
#                    ^ status: '99' is not between 200 and 599
  two:
    source: app
    body: {}
    time: yesterday
#         ^ time: write it as 2026-01-31T09:00:00Z
    mocks:
      - {status: 200}
#       ^ say which call, by one of get, post
      - {get: 'a:/b', delay: 3}
#                            ^ delay: '3' has no unit; write 3s or 3ms
    expect: {calls: some}
#                   ^ calls: a list of up to 256 calls is expected here
  three: {source: app, body: {}}
#        ^ 'expect' is missing
"""


def test_a_file_of_tests_is_read_as_a_configuration_is(desk):
    wanted, text = set(), []
    for line in BROKEN_TESTS.splitlines():
        mark = re.fullmatch(r"#( *)\^ (.*)", line)
        if mark:
            wanted.add((len(text), len(mark[1]) + 2, mark[2]))
        else:
            text.append(line)
    done = desk.play("\n".join(text) + "\n")
    told = re.findall(r"^some.test.yaml:(\d+):(\d+): (.*)$", done.stderr, re.M)
    assert done.returncode == 2 and len(told) == len(wanted), done.stderr
    for line, column, what in wanted:
        assert any((int(a), int(b)) == (line, column) and c.startswith(what) for a, b, c in told), (
            line, column, what, done.stderr)


def test_what_cannot_be_played_is_told_apart_from_what_failed(desk):
    assert desk("test").returncode == 2 and "docs/testing.md" in desk("test").stderr
    assert desk("test", "nowhere").returncode == 2
    done = desk.play(MOCKS + COPY, "--only", "no such")
    assert done.returncode == 2 and "no test has such a name" in done.stderr
    (desk.folder / "grapnel.yaml").write_text(CONFIG.replace("find:", "fnd:"))
    done = desk.play(MOCKS + COPY)
    assert done.returncode == 2 and "grapnel.yaml:" in done.stderr and "has errors" in done.stderr
    assert "CRM_TOKEN" in done.stderr and "--env FILE" in done.stderr


def test_files_below_a_folder_are_found_with_their_configuration(desk):
    below = desk.folder / "tests" / "more"
    below.mkdir(parents=True)
    (below.parent / "a.test.yaml").write_text(MOCKS + COPY)
    (below / "b.test.yml").write_text("config: ../../grapnel.yaml\n" + MOCKS + COPY)
    (below / "not.yaml").write_text("nothing: here\n")
    done = desk("test")
    assert done.returncode == 0 and done.stdout.endswith("2 passed, 0 failed\n"), done.stdout
    assert desk("test", "tests/more").stdout.count("ok") == 1


# ---- grapnel explain ----

def rows(done):
    """The rows of --json, by what they are of and about."""
    assert done.returncode == 0, done.stderr
    return {(one["of"], one["what"], one["rule"]): (one["holds"], one["saw"])
            for one in json.loads(done.stdout)["rows"]}


def whole(body, secret, age_s=0):
    """A request as somebody recorded it."""
    stamp = int(time.time()) - age_s
    signed = signature(secret, "m7", stamp, body.encode())
    return (f"POST /in/app HTTP/1.1\nHost: x\nContent-Type: application/json\nwebhook-id: m7\n"
            f"webhook-timestamp: {stamp}\nwebhook-signature: {signed}\n\n{body}")


NAMES = {"OLD": SECRET, "NEW": OTHER, "CRM_TOKEN": "t" * 20, "IDS": "i" * 20, "HOOK": "h" * 20,
         "DESK": "hush-hush-hush-hush", "DOOR": "d" * 20}


def test_explain_shows_each_rule_with_what_it_saw(desk):
    body = '{"id": 7, "kind": "person", "quiet": true, "type": "t", "time": "2026-01-01T00:00:00Z"}'
    got = rows(desk("explain", "app", "--json", given=whole(body, OTHER), **NAMES))
    assert got["source app", "verify", "scheme standard"] == (True, "by secret 2 of 2")
    assert got["source app", "once", "the message's id"] == (None, "m7")
    assert got["source app", "type", ".eventType, else .type"] == (None, "t")
    assert got["source app", "time", ".timestamp, else .time"][1].startswith("2026-01-01")
    assert got["flow copy", "match", '.kind is "person"'] == (True, '"person"')
    assert got["flow copy", "subject", ".id"] == (None, "7")
    assert got["flow copy", "when", "saved: .event.quiet != true"] == (False, "false")
    assert got["flow copy", "when", "told: .saved != null"][0] is None
    assert got["flow copy", "reply", "wait"][1] == "the result, within the deadline of 5s"
    assert got["flow copy", "runs", ""][0] is True


def test_explain_says_why_not(desk):
    got = rows(desk("explain", "copy", "--json", given=whole('{"kind": "pet"}', SECRET, 400),
                    **NAMES))
    assert got["source app", "verify", "scheme standard"] == (
        False, "webhook-timestamp is outside the window")
    assert re.match(r"40\ds ago; the window is 5m", got["source app", "", "header "
                                                       "webhook-timestamp"][1])
    assert got["flow copy", "match", '.kind is "person"'] == (False, '"pet"')
    assert got["flow copy", "runs", ""][0] is False
    done = desk("explain", "open", given="{", **NAMES)
    assert "refused" in done.stdout and "no JSON" in done.stdout
    table = desk("explain", "app", given='{"kind": 1}', **NAMES).stdout
    assert "header webhook-id" in table and "missing" in table and "refused (401)" in table
    assert desk("explain", "nobody", given="{}", **NAMES).returncode == 2
    assert desk("explain").returncode == 2


def test_explain_never_shows_a_secret(desk):
    for source in ("desk", "door", "hook", "app"):
        for form in ((), ("--json",)):
            done = desk("explain", source, *form, "--header",
                        "Authorization: Bearer hush-hush-hush-hush", given="{}", **NAMES)
            assert "scheme" in done.stdout
            for secret in NAMES.values():
                assert secret not in done.stdout + done.stderr


# ---- grapnel replay --dry-run ----

LIVE = """
connections:
  crm: {url: "http://127.0.0.1:${TARGET_PORT}/crm", bearer: "${CRM_TOKEN}"}
sources: {app: {verify: none}, idle: {verify: none}}
flows:
  copy:
    on: app
    match: {kind: person}
    reply: wait
    steps:
      - entry: {find: 'crm:/entries?of={.event.id}', pick: .items}
      - saved: {patch: 'crm:/entries/{.entry.id}', body: '{mail: .event.mail}'}
      - told: {post: 'crm:/notes', body: '{got: .saved}'}
      - line: {log: changes.log, body: .event.id}
"""


@pytest.fixture(name="live")
def a_daemon(scene):
    """A daemon with one event that was worked on."""

    def act(request):
        if request.method == "GET":
            return Reply(200, {"items": [{"id": "E1", "mail": "old@example.com"}]})
        return Reply(200, {})

    scene.target.act = act
    daemon = scene.start(LIVE, CRM_TOKEN="t" * 20)
    told = daemon.post("app", {"id": 7, "kind": "person", "mail": "new@example.com"})
    assert told.status == 200
    daemon.event_id = told.json["event"]
    daemon.settled(daemon.event_id)

    def grapnel(*words):
        return subprocess.run([GRAPNEL, *words], text=True, capture_output=True, check=False,
                              timeout=PATIENCE_S, env={
                                  **os.environ,
                                  "GRAPNEL_SERVER": f"http://127.0.0.1:{daemon.admin}"})

    daemon.grapnel = grapnel
    return daemon


def test_a_rehearsal_reads_and_shows_and_writes_nothing(live, scene):
    before, event = len(scene.target.requests), live.event(live.event_id)
    lines = (live.folder / "changes.log").read_text()
    done = live.grapnel("replay", live.event_id, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    flow = told["flows"][0]
    assert (flow["flow"], flow["status"], flow["code"]) == ("copy", 200, "updated")
    patch, post, line = flow["writes"]
    assert patch["method"] == "PATCH" and patch["url"].endswith("/crm/entries/E1")
    assert patch["body"] == {"mail": "new@example.com"}
    assert patch["headers"] == {"Content-Type": "application/merge-patch+json"}
    assert patch["changes"] == {"mail": {"from": "old@example.com", "to": "new@example.com"}}
    assert post["body"] == {"got": {"mail": "new@example.com"}}  # answered with what was sent
    assert line["log"] == "changes.log" and line["body"] == 7
    assert (told["reply"]["status"], told["reply"]["body"]["code"]) == (200, "updated")
    assert "t" * 20 not in done.stdout
    assert [one.method for one in scene.target.requests[before:]] == ["GET"]
    assert live.event(live.event_id) == event
    assert (live.folder / "changes.log").read_text() == lines
    table = live.grapnel("replay", live.event_id, "--dry-run").stdout
    assert 'mail: "old@example.com" -> "new@example.com"' in table and "(not sent)" in table
    assert "app would hear 200" in table


def test_a_rehearsal_of_what_fails_and_of_what_nobody_wants(live, scene):
    scene.target.act = Reply(404)
    told = json.loads(live.grapnel("replay", live.event_id, "--dry-run", "--json").stdout)
    assert told["flows"][0]["writes"] == [] and told["reply"]["status"] == 404
    other = live.post("idle", {"n": 1}).json["event"]
    told = json.loads(live.grapnel("replay", other, "--dry-run", "--json").stdout)
    assert told["flows"] == [] and told["reply"]["status"] == 202
    live.write(LIVE.replace("sources: {app: {verify: none}, idle: {verify: none}}",
                            "sources: {app: {verify: none}}"))


def test_a_rehearsal_says_what_is_wrong(live):
    for words, code, said in ((("replay", live.event_id), 2, "add --dry-run"),
                              (("replay", "evt_0000000000000", "--dry-run"), 1, "no such event"),
                              (("replay", "evt_x", "--dry-run"), 1, "looks like"),
                              (("replay",), 2, "it needs APP")):
        done = live.grapnel(*words)
        assert done.returncode == code and said in done.stderr, done.stderr
    path = f"/api/v1/events/{live.event_id}/rehearse"
    assert ask(live.admin, "GET", path, None, JSON).status == 405


def test_explain_takes_an_event_of_the_daemon(live):
    done = live.grapnel("explain", "--event", live.event_id, "--config",
                        str(live.folder / "grapnel.yaml"), "--json")
    got = rows(done)
    assert got["flow copy", "match", '.kind is "person"'] == (True, '"person"')
    assert not [key for key in got if key[1] == "verify"]


# ---- docs/testing.md ----

def fenced(language):
    """The page's blocks in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def test_the_page_shows_what_is_printed(desk):
    config, tests = fenced("yaml")[0], fenced("yml")[0]
    (desk.folder / "grapnel.yaml").write_text(config)
    (desk.folder / "portal.test.yaml").write_text(tests)
    (desk.folder / "request.json").write_text(
        '{"id": "U1", "entityType": "USER", "eventType": "DELETE"}')
    played = fenced("console")
    assert len(played) == 3
    for text in played:
        if "--only" in text:
            assert "{email: .user.email}" in config
            (desk.folder / "grapnel.yaml").write_text(
                config.replace("{email: .user.email}", "{mail: .user.email}"))
        line, _, wanted = text.partition("\n")
        done = desk(*line.split()[2:])
        assert done.stdout == wanted
        assert done.returncode == (1 if "--only" in line else 0)


def test_the_page_shows_what_a_rehearsal_prints(scene):
    def act(request):
        if request.path.startswith("/api"):
            return Reply(200, {"id": "U1", "email": "aino@example.com"})
        if request.method == "GET":
            return Reply(200, {"items": [{"id": "C-1001", "email": "old@example.com"}]})
        return Reply(200, {})

    here = f"http://127.0.0.1:{scene.target.port}"
    config = re.sub(r"https://(id|crm)\.example\.com", here, fenced("yaml")[0])
    daemon = scene.start(config, ID_TOKEN="i" * 20, CRM_TOKEN="c" * 20, PORTAL_SECRET=SECRET)
    body = json.dumps({"id": "U1", "entityType": "USER", "eventType": "UPDATE"})
    head = dict(line.split(": ", 1) for line in whole(body, SECRET).splitlines()[2:6])
    scene.target.act = act
    event = ask(daemon.port, "POST", "/in/portal", body, head).json["event"]
    done = subprocess.run(
        [GRAPNEL, "replay", event, "--dry-run"], text=True, capture_output=True, check=False,
        timeout=PATIENCE_S,
        env={**os.environ, "GRAPNEL_SERVER": f"http://127.0.0.1:{daemon.admin}"})
    shown = re.sub(rf"{here}/(\w+)", lambda one: "https://" + {
        "api": "id", "rest": "crm"}[one[1]] + ".example.com/" + one[1], done.stdout)
    lines = shown.splitlines(keepends=True)
    lines[1:3] = sorted(lines[1:3], reverse=True)  # they are read together, and either may be first
    assert "".join(lines) == fenced("text")[0]
