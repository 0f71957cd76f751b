# SPDX-License-Identifier: Apache-2.0
"""What `make demo-database` shows is true; and that its checks can fail."""

import pathlib
import shutil
import subprocess
import sys

from harness import EXAMPLE, GRAPNEL

FOLDER = EXAMPLE.parent / "database"


def walk(folder=FOLDER):
    return subprocess.run(
        [sys.executable, folder / "database_walkthrough.py", "--grapnel", GRAPNEL], timeout=120,
        capture_output=True, text=True, check=False)


def test_the_walk_through_holds():
    done = walk()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("3 passed, 0 failed\n")
    assert '"previous": {' in done.stdout


def test_it_notices_a_flow_that_forgets_what_was_overwritten(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "onboarding")
    shutil.copytree(FOLDER, tmp_path / "database")
    config = tmp_path / "database" / "grapnel.yaml"
    text = config.read_text()
    assert ", previous: .event.previous" in text
    config.write_text(text.replace(", previous: .event.previous", ""))
    done = walk(pathlib.Path(tmp_path) / "database")
    assert done.returncode == 1 and "1 passed, 2 failed" in done.stdout
