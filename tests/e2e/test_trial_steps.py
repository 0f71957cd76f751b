# SPDX-License-Identifier: Apache-2.0
"""Steps that reach beyond the network, or remember: in a test and in a rehearsal they do neither."""
import json
import os
import subprocess

import pytest

from harness import GRAPNEL, PATIENCE_S, Reply, ask

LABEL = """
sources: {app: {verify: none}}
connections: {crm: {url: "https://crm.example.com"}}
flows:
  label:
    on: app
    reply: wait
    steps:
      - made: {exec: [/bin/sh, -c, 'echo x >> ran; echo 1', label, '{.event.id}'], body: '{n: .event.id}'}
      - sent: {post: 'crm:/notes', body: '{got: .made}'}
"""
COMMAND = "/bin/sh -c *"
PLAY = """
mocks: [{post: 'crm:/notes', body: {}}]
tests:
  a label:
    source: app
    body: {id: U7}
    mocks: [%s]
    expect: %s
"""


@pytest.fixture(name="play")
def a_folder(tmp_path):
    def run(config, tests):
        (tmp_path / "grapnel.yaml").write_text(config)
        (tmp_path / "some.test.yaml").write_text(tests)
        return subprocess.run([GRAPNEL, "test"], cwd=tmp_path, text=True, capture_output=True,
                              timeout=PATIENCE_S, check=False)

    run.folder = tmp_path
    return run


def test_a_program_is_answered_by_its_mock_and_never_runs(play):
    done = play(LABEL, PLAY % (
        f"{{exec: '{COMMAND}', body: {{label: 3}}}}",
        """{status: 200, outcome: updated, calls: [
      {exec: '/bin/sh -c echo x >> ran; echo 1 label U7', body: {n: U7}},
      {post: 'crm:/notes', body: {got: {label: 3}}}]}"""))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (play.folder / "ran").exists()


@pytest.mark.parametrize("code, retryable", [(75, "true"), (1, "false")])
def test_a_program_that_fails(play, code, retryable):
    done = play(LABEL, PLAY % (f"{{exec: '{COMMAND}', exit: {code}}}",
                               f"{{status: 424, body: {{retryable: {retryable}}}, "
                               "outcome: program-failed}"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_without_a_mock_fails_the_test_and_says_which(play):
    done = play(LABEL, PLAY % ("", "{outcome: program-failed}"))
    assert done.returncode == 1
    assert "- exec: '/bin/sh -c echo x >> ran; echo 1 label U7'" in done.stdout
    assert not (play.folder / "ran").exists()


EMITS = """
sources: {app: {verify: none}, own: {verify: internal}}
flows:
  tell:
    on: app
    reply: wait
    steps:
      - told: {emit: 'user.{.event.what}', as: own, body: '{n: .event.id}'}
  hear: {on: own, steps: [{noted: {log: heard}}]}
"""


@pytest.mark.parametrize("wanted, code", [
    ("{emit: user.changed, body: {n: U7}}", 0), ("{emit: user.gone, body: {n: U7}}", 1)])
def test_an_event_is_among_the_calls_and_none_is_made(play, wanted, code):
    done = play(EMITS, f"""
tests:
  it tells:
    source: app
    body: {{id: U7, what: changed}}
    expect: {{status: 200, outcome: {{tell: emitted}}, calls: [{wanted}]}}
""")
    assert done.returncode == code, done.stdout + done.stderr
    assert not (play.folder / "heard").exists()
    assert code == 0 or "expected EMIT user.gone" in " ".join(done.stdout.split())


def test_what_steps_remember_is_not_there_for_the_next_test(play):
    done = play("""
sources: {app: {verify: none}}
connections: {crm: {url: "https://crm.example.com"}}
flows:
  one:
    on: app
    reply: wait
    steps:
      - kind: {get: 'crm:/kinds', cache: 10m}
      - contact: {upsert: 'crm:/c', find: '?of={.event.id}', pick: .items, cache: 10m, body: '{of: .event.id, k: .kind.k}'}
""", "tests:\n" + "".join(f"""
  test {n}:
    source: app
    body: {{id: U1}}
    mocks:
      - {{get: 'crm:/kinds', body: {{k: {n}}}}}
      - {{get: 'crm:/c?of=U1', body: {{items: []}}}}
      - {{post: 'crm:/c', body: {{id: C{n}}}}}
    expect:
      status: 200
      reads: [{{get: 'crm:/kinds'}}, {{get: 'crm:/c?of=U1'}}]
      calls: [{{post: 'crm:/c', body: {{of: U1, k: {n}}}}}]
""" for n in (1, 2)))
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_echo_step_has_something_to_look_in(play):
    done = play("""
sources: {app: {verify: none}}
connections: {crm: {url: "https://crm.example.com"}}
flows:
  one:
    on: app
    reply: wait
    steps:
      - own: {echo: crm, id: .event.id, values: .event}
      - sent: {post: 'crm:/notes', body: .event}
""", """
tests:
  no echo:
    source: app
    body: {id: U1}
    mocks: [{post: 'crm:/notes', body: {}}]
    expect: {status: 200, outcome: updated}
""")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_later_change_of_another_test_supersedes_nothing(play):
    done = play("""
sources: {app: {verify: none}}
connections: {crm: {url: "https://crm.example.com"}}
flows: {one: {on: app, subject: .id, reply: wait, steps: [{sent: {post: 'crm:/notes', body: .event}}]}}
""", "mocks: [{post: 'crm:/notes', body: {}}]\ntests:\n" + "".join(f"""
  test {year}:
    source: app
    body: {{id: U1, time: '{year}-01-01T00:00:00Z'}}
    expect: {{status: 200, outcome: updated}}
""" for year in (2026, 2025)))
    assert done.returncode == 0, done.stdout + done.stderr


def test_pauses_of_a_step_cost_no_time(play):
    # Five minutes of them: who waits for it does not see the end of this test.
    done = play("""
sources: {app: {verify: none, deadline: 5m}}
connections: {crm: {url: "https://crm.example.com"}}
flows:
  one:
    on: app
    reply: wait
    steps:
      - seen: {get: 'crm:/c/1', data: fresh}
      - sent: {post: 'crm:/notes', body: .event}
""", """
tests:
  the source never shows it:
    source: app
    body: {time: '2026-01-02T00:00:00Z'}
    mocks: [{get: 'crm:/c/1', body: {meta: {lastModified: '2026-01-01T00:00:00Z'}}}]
    expect: {status: 424, outcome: stale, calls: none}
""")
    assert done.returncode == 0, done.stdout + done.stderr


def test_explain_tells_of_types_and_sees_a_form_as_the_flow_does(play):
    (play.folder / "grapnel.yaml").write_text(LIVE)
    (play.folder / "form").write_text("POST /in/form HTTP/1.1\nContent-Type: application/"
                                      "x-www-form-urlencoded\n\nkind=person&name=Aino")
    (play.folder / "change").write_text('{"what": "changed"}')

    def rows(source):
        done = subprocess.run([GRAPNEL, "explain", source, "--request", source, "--json"],
                              cwd=play.folder, text=True, capture_output=True, check=False,
                              timeout=PATIENCE_S, env={**os.environ, "TARGET_PORT": "1"})
        assert done.returncode == 0, done.stderr
        return {(row["of"], row["what"]): (row["holds"], row["saw"])
                for row in json.loads(done.stdout)["rows"]}

    assert rows("form")["flow form", "match"] == (True, '"person"')
    (play.folder / "change").rename(play.folder / "app")
    got = rows("app")
    assert got["flow contact", "type"] == (True, "changed")
    assert got["flow never", "type"] == (False, "changed")
    assert got["flow never", "runs"][0] is False


# ---- rehearsals ----

LIVE = """
connections:
  crm: {url: "http://127.0.0.1:${TARGET_PORT}/crm"}
sources:
  app: {verify: none, type: .what, reply: status}
  back: {verify: none}
  form: {verify: none, forms: fields}
flows:
  contact:
    on: app
    type: changed
    reply: wait
    answer: '{crm: .contact.id}'
    steps:
      - ran: {exec: [/bin/sh, -c, 'echo x >> ran']}
      - contact: {upsert: 'crm:/contacts', find: '?of={.event.id}', pick: .items, cache: 10m, body: '{of: .event.id, id: .event.id, mail: .event.mail}'}
  never: {on: app, type: removed, steps: [{sent: {post: 'crm:/never', body: .event}}]}
  back:
    on: back
    reply: wait
    steps:
      - own: {echo: crm, id: .event.id}
      - sent: {post: 'crm:/followed', body: .event}
  form:
    on: form
    match: {kind: person}
    reply: wait
    steps: [{sent: {post: 'crm:/forms', body: .event}}]
"""


@pytest.fixture(name="live")
def a_daemon(scene):
    scene.target.act = lambda request: Reply(200, {"items": []} if request.method == "GET" else {})
    daemon = scene.start(LIVE)

    def rehearse(told):
        done = subprocess.run([GRAPNEL, "replay", told, "--dry-run", "--json"], text=True,
                              capture_output=True, check=False, timeout=PATIENCE_S,
                              env={**os.environ,
                                   "GRAPNEL_SERVER": f"http://127.0.0.1:{daemon.admin}"})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    daemon.rehearse = rehearse
    return daemon


def test_a_rehearsal_runs_no_program_and_leaves_nothing_to_remember(live, scene):
    scene.target.act = Reply(503)
    live.post("app", {"id": "U1", "mail": "a@example.com", "what": "changed"})
    ran = (live.folder / "ran").read_text()
    event = live.events()[0]["id"]
    scene.target.act = lambda request: Reply(200, {"items": []} if request.method == "GET" else {})
    told = live.rehearse(event)
    assert [flow["flow"] for flow in told["flows"]] == ["contact"]  # not the one of another type
    program, created = told["flows"][0]["writes"]
    assert program["exec"] == ["/bin/sh", "-c", "echo x >> ran"]
    assert created["method"] == "POST" and created["body"]["mail"] == "a@example.com"
    assert told["reply"]["status"] == 200 and told["reply"]["body"] == {"crm": "U1"}
    assert (live.folder / "ran").read_text() == ran
    # Nothing was written: what comes back is no echo of it, and no id of it is asked for.
    assert live.post("back", {"id": "U1"}).status == 200
    assert scene.target.requests[-1].path == "/crm/followed"
    again = live.rehearse(event)
    assert again["flows"][0]["calls"][0]["url"].endswith("?of=U1")
    assert [one["method"] for one in again["flows"][0]["writes"] if "method" in one] == ["POST"]


def test_a_form_is_rehearsed_as_the_flow_sees_it(live):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(live.port, "POST", "/in/form", b"kind=person&name=Aino", form).status == 200
    told = live.rehearse(live.events()[0]["id"])
    assert told["flows"][0]["writes"][0]["body"] == {"kind": "person", "name": "Aino"}
