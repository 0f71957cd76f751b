# SPDX-License-Identifier: Apache-2.0
"""Deliveries that wait for their retry, a few of them; `make faults` lets a million wait."""

import pathlib
import subprocess
import sys

from harness import GRAPNEL, SANITIZED

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "faults" / "waiting.py"


def test_those_that_are_due_leave_while_many_wait():
    options = ["--memory-mib", "2048"] if SANITIZED else []
    run = subprocess.run([sys.executable, PROGRAM, "--binary", GRAPNEL, "--count", "20000", *options],
                         capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("retries of another endpoint") == 5
