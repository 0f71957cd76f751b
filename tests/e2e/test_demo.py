# SPDX-License-Identifier: Apache-2.0
"""What `make demo` shows is true; and that its checks can fail."""

import shutil
import subprocess
import sys

from harness import EXAMPLE, GRAPNEL


def walk(*flags, folder=EXAMPLE):
    return subprocess.run([sys.executable, folder / "walkthrough.py", "--grapnel", GRAPNEL, *flags],
                          timeout=120, capture_output=True, text=True, check=False)


def test_the_walk_through_holds():
    done = walk()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("5 passed, 0 failed\n")


def test_it_notices_a_flow_that_writes_something_else(tmp_path):
    folder = tmp_path / "onboarding"
    shutil.copytree(EXAMPLE, folder)
    config = folder / "grapnel.yaml"
    text = config.read_text()
    assert "email: .user.email" in text
    config.write_text(text.replace("email: .user.email", "email: .user.lastName"))
    done = walk("--patience", "1", folder=folder)
    assert done.returncode == 1 and not done.stdout.endswith(", 0 failed\n")
