# SPDX-License-Identifier: Apache-2.0
"""What a person sees at the command line: help, and every error of a file at its place."""

import os
import re
import socket
import subprocess

import pytest

from harness import GRAPNEL, PATIENCE_S, PRELUDE, TO_TARGET, wait_until


def grapnel(*words, folder=None, **environment):
    """Runs a command to its end."""
    return subprocess.run([GRAPNEL, *map(str, words)], cwd=folder, text=True, capture_output=True,
                          timeout=60, check=False, env={**os.environ, **environment})


# Errors of every stage in one file. Behind each #: what is told at the place that ^ marks.
BROKEN = """\
listen: 127.0.0.1:80x
#       ^ listen: '127.0.0.1:80x' has no port between 0 and 65535
admin: 0.0.0.0:8081
#      ^ admin: others can reach 0.0.0.0, so it needs a token
conections: {}
# ^ unknown key 'conections'; did you mean 'connections'?
connections:
  crm: {url: "https://crm.example.com/", timout: 3s}
#                                        ^ unknown key 'timout'; did you mean 'timeout'?
  id:
    url: https://id.example.com
    limit: {concurrency: 0, rate: 5}
#                        ^ concurrency: '0' is not between 1 and 10000
#                                 ^ rate: '5' is not a rate; write 50/s, 100/m or 1000/h
sources:
  shop: {verify: {scheme: standart}, reply: problm, deadline: 10}
#                         ^ scheme: there is no 'standart'; did you mean 'standard'?
#                                           ^ unknown dialect 'problm'; did you mean 'problem'?
#                                                             ^ deadline: '10' has no unit
  open: {}
#       ^ 'verify' is missing
flows:
  one:
    on: shp
#       ^ on: there is no source 'shp'; did you mean 'shop'?
    match: {entityType: {a: 1}}
#                       ^ match: a value or a list of 1 to 256 values is expected here
    retry: {base: 5s, max: 1s}
#          ^ retry: the first pause (base) is longer than the longest (max)
    reply: wiat
#          ^ reply: 'wiat' is not accepted, wait, or wait with a time (wait 3s)
    subject: .id |
#            ^ jq: syntax error
    steps:
      - a: {gett: 'crm:/x'}
#          ^ this step does nothing that is known: did you mean 'get'?
      - b: {get: 'crn:/x'}
#                 ^ there is no connection 'crn'; did you mean 'crm'?
      - c: {map: '.a | foo'}
#                 ^ jq: foo/0 is not defined
      - d: {patch: 'crm:/x', body: '{a: }', bdy: 1}
#                                   ^ jq: syntax error
#                                           ^ unknown key 'bdy'; did you mean 'body'?
      - e: {patch: 'crm:/x', body: '.', have: bb}
#           ^ have: there is no step 'bb' before this one
      - d: {fail: 600, message: 'no {'}
#       ^ a step is called 'd' already
#                 ^ fail: '600' is not between 400 and 499
#                                ^ the hole at offset 3 is not closed
  two:
#   ^ 'steps' is missing
    on: open
"""


def expected():
    """(line, column, text) of each mark, with the lines of marks taken out of the file."""
    lines, marks = [], []
    for line in BROKEN.splitlines():
        mark = re.match(r"#( *)\^ (.*)", line)
        if mark:
            marks.append((len(lines), len(mark[1]) + 2, mark[2]))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n", marks


# Marks of the first columns cannot be written under their places.
FIRST_COLUMNS = {"unknown key 'conections'": 1, "a step is called 'd'": 9, "'steps' is missing": 3}


def test_every_error_is_told_at_its_place(tmp_path):
    text, marks = expected()
    (tmp_path / "grapnel.yaml").write_text(text)
    done = grapnel("check", folder=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    told = re.findall(r"^grapnel\.yaml:(\d+):(\d+): (.*)$", done.stderr, re.M)
    wanted = []
    for line, column, start in marks:
        column = next((c for words, c in FIRST_COLUMNS.items() if start.startswith(words)), column)
        wanted.append((line, column, start))
    found = [(int(line), int(column), message) for line, column, message in told]
    assert [one[:2] for one in found] == sorted(one[:2] for one in wanted), done.stderr
    for (line, column, start), (_, _, message) in zip(sorted(wanted), found):
        assert message.startswith(start), f"{line}:{column}: {message}"
    # The line stands below its error, and the caret below the place.
    assert "\n    listen: 127.0.0.1:80x\n            ^\n" in done.stderr


def test_a_secret_is_never_shown(tmp_path):
    (tmp_path / "grapnel.yaml").write_text(
        'sources:\n  shop: {verify: {scheme: standard, secret: "canary-in-plain"}}\n'
        '  other: {verify: {scheme: standard, secret: "${CANARY}"}}\n')
    done = grapnel("check", folder=tmp_path, CANARY="canary-from-outside")
    assert done.returncode == 1
    assert re.search(r"grapnel\.yaml:2:\d+: ", done.stderr)
    assert re.search(r"grapnel\.yaml:3:\d+: ", done.stderr)
    assert "canary" not in done.stderr + done.stdout


def test_serve_refuses_what_check_refuses(tmp_path):
    text, _ = expected()
    (tmp_path / "grapnel.yaml").write_text(text)
    done = grapnel("serve", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == grapnel("check", folder=tmp_path).stderr
    assert not list(tmp_path.glob("*.db*"))


def test_what_is_in_order_is_said_to_be(tmp_path):
    (tmp_path / "mine.yaml").write_text(PRELUDE + TO_TARGET + "sources: {app: {verify: none}}\n")
    done = grapnel("check", "mine.yaml", folder=tmp_path, TARGET_PORT="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "mine.yaml: no errors; 1 source, 0 flows, 1 connection, 0 endpoints\n"


def test_a_missing_file_is_said(tmp_path):
    for command in ("check", "serve"):
        done = grapnel(command, folder=tmp_path)
        assert done.returncode == 1
        assert done.stderr == "grapnel.yaml: cannot be opened: No such file or directory\n"


@pytest.mark.parametrize("words, code, said", [
    ([], 2, "usage: grapnel COMMAND"),
    (["chek"], 2, "there is no command 'chek'; did you mean 'check'?"),
    (["check", "--fast"], 2, "unknown option '--fast'"),
    (["serve", "a", "b"], 2, "too many arguments"),
    (["secret", "a"], 2, "too many arguments"),
])
def test_misuse_is_explained(words, code, said, tmp_path):
    done = grapnel(*words, folder=tmp_path)
    assert done.returncode == code and said in done.stderr and done.stdout == ""


def test_help_is_there_for_every_command_and_fits_a_terminal():
    overview = grapnel("--help")
    assert overview.returncode == 0 and overview.stderr == ""
    commands = re.findall(r"^  ([a-z]+) ", overview.stdout, re.M)
    assert {"serve", "check", "secret"} <= set(commands)
    texts = [overview.stdout]
    for command in commands:
        done = grapnel(command, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"usage: grapnel {command}")
        assert done.stdout == grapnel("help", command).stdout == grapnel(command, "-h").stdout
        texts.append(done.stdout)
    lines = "".join(texts).splitlines()
    assert max(map(len, lines)) < 80 and not any(line.endswith(" ") for line in lines)


def test_a_secret_is_made_and_another_one_next_time():
    one, other = (grapnel("secret").stdout for _ in range(2))
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", one) and one != other


def test_a_port_in_use_is_said(scene):
    config = TO_TARGET + "sources: {app: {verify: none}}\n"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        folder = scene.folder
        (folder / "grapnel.yaml").write_text(
            PRELUDE.replace("listen: 127.0.0.1:0", f"listen: 127.0.0.1:{port}") + config)
        done = grapnel("serve", folder=folder, **scene.environment)
    assert done.returncode == 1
    assert done.stderr == (f"grapnel: cannot listen on 127.0.0.1 port {port}: "
                           "Address already in use\n")


def test_a_port_that_the_system_chose_is_one_for_all_loops(scene):
    daemon = scene.start("threads: 3\nsources: {app: {verify: none}}\n")
    here = f"0100007F:{daemon.port:04X}"

    def listening():
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table]
        return sum(row[1] == here and row[3] == "0A" for row in rows)

    assert wait_until(lambda: listening() == 3, PATIENCE_S)


def test_a_second_process_on_one_ledger_is_refused(scene):
    daemon = scene.start("sources: {app: {verify: none}}\n")
    done = grapnel("serve", folder=daemon.folder)
    assert done.returncode == 1
    assert done.stderr == ("grapnel: grapnel.db is in use by another Grapnel, "
                           f"process {daemon.process.pid}\n")
    assert daemon.post("app", {"id": 1}).status == 202
    daemon.kill()  # the lock dies with its process
    daemon.start()
    assert len(daemon.events()) == 1
