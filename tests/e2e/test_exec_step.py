# SPDX-License-Identifier: Apache-2.0
"""The step `exec`: programs of this machine, what they get, what their end means, and that nothing
of them is left."""

import json
import os
import subprocess
import textwrap

import pytest

from harness import GRAPNEL, PATIENCE_S, TO_TARGET, inside, result_of, wait_until

SCRIPT = """\
#!/usr/bin/python3
import json, os, signal, sys, time
how = json.load(sys.stdin)
"""


@pytest.fixture(name="tool")
def a_program(tmp_path):
    """Writes a program and gives its path."""
    def write(*lines, name="tool"):
        file = tmp_path / name
        file.write_text(SCRIPT + textwrap.dedent("\n".join(lines)) + "\n")
        file.chmod(0o755)
        return file
    return write


def flow(options, steps="", source="verify: none"):
    """A flow whose first step is an exec."""
    return TO_TARGET + f"""
sources: {{app: {{{source}}}}}
flows:
  one:
    on: app
    reply: wait
    steps:
      - ran: {{{options}}}
""" + steps


SENT = "      - sent: {post: 'target:/sent', body: .ran}\n"


def test_a_flow_of_a_program_alone_says_what_was_run(scene, tool):
    program = tool("")
    daemon = scene.start(flow(f"exec: [{program}], output: none"))
    answer = daemon.post("app", {"n": 1})
    assert (answer.status, answer.json["code"]) == (200, "updated")
    assert answer.json["message"] == f"{program.name} was run."


def test_a_program_gets_json_and_gives_json(scene, tool):
    program = tool("print(json.dumps({'got': how, 'args': sys.argv[1:], 'env': dict(os.environ),"
                   "'folder': os.getcwd()}))")
    daemon = scene.start(flow(
        f"exec: [{program}, '--to', '{{.event.to}}', '$(id) {{.event.n}}'], body: '{{x: .event.n}}',"
        "env: {TOKEN: \"${TOKEN}\", B: two words}, folder: /", SENT), TOKEN="secret-1")
    answer = daemon.post("app", {"to": "; rm -rf *", "n": 7})
    assert answer.status == 200 and answer.json["code"] == "updated"
    said = scene.target.requests[0].json
    assert said["got"] == {"x": 7} and said["args"] == ["--to", "; rm -rf *", "$(id) 7"]
    assert said["folder"] == "/"
    environment = said["env"]
    environment.pop("LC_CTYPE", None)  # Python's own
    assert environment == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "TOKEN": "secret-1", "B": "two words",
        "GRAPNEL_EVENT": answer.json["event"], "GRAPNEL_SOURCE": "app", "GRAPNEL_ATTEMPT": "1"}
    assert "secret-1" not in daemon.log.read_text()


@pytest.mark.parametrize("output, said, value", [
    ("json", "'  \\n'", None), ("json", "'[1, 2.50]'", [1, 2.5]), ("text", "'a\"b\\nc\\n'", "a\"b\nc"),
    ("none", "'no json'", None), ("text", "''", ""),
    pytest.param("text", "'\\1' * 1048576", "\1" * 1048576, id="as much as it may")])
def test_what_it_says_is_the_value(scene, tool, output, said, value):
    program = tool(f"sys.stdout.write({said})")
    daemon = scene.start(flow(f"exec: [{program}], output: {output}", SENT))
    assert daemon.post("app", {}).status == 200
    assert json.loads(scene.target.requests[0].body) == value


FAILURES = {
    "its last line": ("print('first', file=sys.stderr); sys.exit('No label printer.')",
                      424, "program-failed", "No label printer.", False),
    "silence": ("sys.exit(3)", 424, "program-failed", "tool ended with status 3.", False),
    "try again": ("sys.exit(75)", 424, "program-failed", "tool ended with status 75.", True),
    "a signal": ("os.kill(os.getpid(), signal.SIGSEGV)", 424, "program-failed",
                 "tool ended with signal 11.", True),
    "its own words": ("print(json.dumps({'status': 409, 'message': 'Taken.', 'errors': [{'pointer':"
                      " '/email', 'detail': 'in use'}]})); sys.exit(1)",
                      409, "program-failed", "Taken.", False),
    "no status of a success": ("print(json.dumps({'status': 200})); sys.exit(1)",
                               424, "program-failed", "tool ended with status 1.", False),
    "no JSON": ("print('{')", 424, "unreadable-answer", "tool said what is no JSON", False),
    "too much": ("sys.stdout.write('x' * 3000000)", 424, "too-large", "tool said more than", False),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_never_a_success(scene, tool, name):
    lines, status, code, message, retryable = FAILURES[name]
    daemon = scene.start(flow(f"exec: [{tool(lines)}]", SENT))
    answer = daemon.post("app", {})
    assert answer.status == status and answer.json["code"] == code
    assert answer.json["detail"].startswith(message) and answer.json["retryable"] == retryable
    assert not scene.target.requests
    if name == "its own words":
        assert answer.json["errors"] == [{"pointer": "/email", "detail": "in use"}]


def test_a_program_that_is_not_there_is_told(scene):
    daemon = scene.start(flow("exec: [/no/such/program]"))
    answer = daemon.post("app", {})
    assert answer.status == 424 and "/no/such/program cannot be run: no such" in answer.json["detail"]


def alive(pid):
    """Does the process live, as more than a zombie?"""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


STAYING = ("child = os.fork()",
           "if child: open(how['pids'], 'w').write(f'{os.getpid()} {child}')",
           "time.sleep(600)")


@pytest.mark.parametrize("options, source", [
    ("timeout: 300ms", "verify: none"), ("timeout: 1h", "verify: none, deadline: 1s")])
def test_it_and_what_it_started_end_in_time(scene, tool, tmp_path, options, source):
    daemon = scene.start(flow(f"exec: [{tool(*STAYING)}], {options}", source=source))
    answer = daemon.post("app", {"pids": str(tmp_path / "pids")})
    assert answer.status == 424 and answer.json["code"] == "timeout"
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2 and wait_until(lambda: not any(map(alive, pids)), PATIENCE_S)


def test_one_that_leaves_another_behind_is_through(scene, tool, tmp_path):
    """The other holds its standard output open."""
    program = tool("child = os.fork()", "if child == 0: os.setsid(); time.sleep(600)",
                   "open(how['pid'], 'w').write(str(child))", "print('7')")
    daemon = scene.start(flow(f"exec: [{program}]", SENT))
    assert daemon.post("app", {"pid": str(tmp_path / "pid")}).status == 200
    assert scene.target.requests[0].body == b"7"
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_a_few_run_at_once_and_the_others_stand_in_line(scene, tool, tmp_path):
    program = tool("place = f\"{how['folder']}/{os.getpid()}\"", "open(place, 'w').close()",
                   "while not os.path.exists(f\"{how['folder']}/go\"): time.sleep(0.01)",
                   "print(len(os.listdir(how['folder'])))")
    daemon = scene.start("threads: 1\n" + flow(f"exec: [{program}]"))
    folder = tmp_path / "running"
    folder.mkdir()
    posts = [inside(daemon.post, "app", {"folder": str(folder), "n": n}) for n in range(20)]
    assert wait_until(lambda: len(os.listdir(folder)) == 8, PATIENCE_S)
    assert [event["jobs"][0]["state"] for event in daemon.events()] == ["queued"] * 20
    assert len(os.listdir(folder)) == 8
    (folder / "go").touch()
    assert [result_of(one).status for one in posts] == [200] * 20


def test_those_in_line_end_with_their_deadline(scene, tool, tmp_path):
    program = tool("while not os.path.exists(how['go']): time.sleep(0.01)")
    daemon = scene.start("threads: 1\n" + flow(f"exec: [{program}], timeout: 1h",
                                               source="verify: none, deadline: 1s"))
    posts = [inside(daemon.post, "app", {"go": str(tmp_path / "go"), "n": n}) for n in range(12)]
    assert [result_of(one).json["code"] for one in posts] == ["timeout"] * 12
    (tmp_path / "go").touch()
    assert daemon.post("app", {"go": str(tmp_path / "go")}).status == 200


def test_it_inherits_no_open_files_and_no_blocked_signals(scene, tool):
    program = tool("print(json.dumps([[n for n in range(3, 500) if os.path.exists(f'/proc/self/fd/{n}')],"
                   "[line.split()[1] for line in open('/proc/self/status')"
                   " if line.startswith('SigBlk')]]))")
    daemon = scene.start(flow(f"exec: [{program}]", SENT))
    assert daemon.post("app", {}).status == 200
    assert scene.target.requests[0].json == [[], ["0" * 16]]


def test_much_input_is_read_or_not(scene, tool):
    reader = tool("print(len(how['x']))", name="reader")
    other = tool(name="other")
    other.write_text("#!/bin/sh\nexit 0\n")
    daemon = scene.start(flow(f"exec: [{reader}]", f"      - other: {{exec: [{other}]}}\n" + SENT))
    assert daemon.post("app", {"x": "y" * 900_000}).status == 200
    assert scene.target.requests[0].body == b"900000"


@pytest.mark.parametrize("options, complaint", [
    ("exec: /bin/true", "a list of the program"), ("exec: []", "a list of the program"),
    ("exec: [/bin/true" + ", a" * 64 + "]", "a list of the program"),
    ("exec: ['{.event.program}']", "no holes here"), ("exec: [/bin/true, {a: 1}]", "a text is"),
    ("exec: [/bin/true, '{']", "exec"), ("exec: [/bin/true], env: [A]", "env: a map"),
    ("exec: [/bin/true], env: {A: [1]}", "NAME: text"),
    ("exec: [/bin/true], env: {" + ", ".join(f"A{n}: x" for n in range(65)) + "}",
     "a map of at most 64 texts"),
    ("exec: [/bin/true], output: jsno", "did you mean 'json'")])
def test_check_says_what_is_wrong(tmp_path, options, complaint):
    (tmp_path / "grapnel.yaml").write_text(flow(options))
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, text=True, capture_output=True,
                          timeout=PATIENCE_S, check=False, env={**os.environ, "TARGET_PORT": "1"})
    assert done.returncode == 1 and complaint in done.stderr, done.stderr
