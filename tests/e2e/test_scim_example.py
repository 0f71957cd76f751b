# SPDX-License-Identifier: Apache-2.0
"""examples/scim without its three programs: its own tests pass, and notice a flow that was broken;
the page on SCIM shows that same flow. With the programs it is run by tests/interop."""

import pathlib
import re
import subprocess

import pytest

from harness import GRAPNEL

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "examples" / "scim"
CONFIG = (HERE / "grapnel.yaml").read_text()


def play(folder):
    """`grapnel test` in that folder."""
    return subprocess.run([GRAPNEL, "test", str(folder)], text=True, capture_output=True,
                          timeout=120, check=False)


def test_the_example_passes_and_needs_nothing():
    done = play(HERE)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    assert re.search(r"^\d\d passed, 0 failed\n$", done.stdout, re.M)


@pytest.mark.parametrize("old, new, noticed", [
    ("as: scim", "as: merge", "what differs is patched"),
    ("as: scim", "as: scim-entra", "who is deleted is deactivated"),
    ("as: scim", "as: scim-okta", "what differs is patched"),
    ("userName: .user.email", "userName: .event.id", "a user name that is taken"),
    ("missing: null", "missing: {fail: 404}", "who is deleted is deactivated"),
    ("gone: '.user == null'", "gone: '.event.eventType == \"DELETE\"'", "a deletion that is told of"),
    ("when_gone: deactivate", "when_gone: delete", "who is deleted is deactivated"),
    ("when_gone: deactivate", "when_gone: skip", "who is deleted is deactivated"),
    ("\\(.event.id | tojson)", "\\\"\\(.event.id)\\\"", "no id can end the text"),
    ("active: true", "active: false", "Save again, and nothing is written"),
    ("reply: wait", "reply: accepted", "the directory is away"),
])
def test_a_flow_that_was_broken_is_noticed(tmp_path, old, new, noticed):
    assert CONFIG.count(old) >= 1
    (tmp_path / "grapnel.yaml").write_text(CONFIG.replace(old, new))
    (tmp_path / "grapnel.test.yaml").write_text((HERE / "grapnel.test.yaml").read_text())
    done = play(tmp_path)
    failed = re.findall(r"^  FAIL  (.*) \(", done.stdout, re.M)
    assert done.returncode == 1 and any(one.startswith(noticed) for one in failed), done.stdout


def test_the_page_shows_this_flow():
    page = (ROOT / "docs" / "targets" / "scim.md").read_text()
    assert CONFIG.partition("\nflows:\n")[2] + "```" in page
