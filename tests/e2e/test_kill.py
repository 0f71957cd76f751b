# SPDX-License-Identifier: Apache-2.0
"""A few kills of the daemon, and the judges of tests/faults; `make faults` does it two hundred
times."""

import pathlib
import subprocess
import sys

import pytest

from harness import GRAPNEL

FAULTS = pathlib.Path(__file__).resolve().parents[1] / "faults"


@pytest.mark.parametrize("program", ("kill.py", "kill_deliveries.py"))
def test_nothing_is_lost_and_nothing_repeated_without_a_kill(program):
    run = subprocess.run([sys.executable, FAULTS / program, "--binary", GRAPNEL, "--kills", "10"],
                         capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("10 kills")
