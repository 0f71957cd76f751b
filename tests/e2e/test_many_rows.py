# SPDX-License-Identifier: Apache-2.0
"""A snapshot that is killed in the middle while the table is changed, with a small one; `make faults`
takes ten million rows."""

import subprocess
import sys

import pytest

from databases import programs
from harness import GRAPNEL, SANITIZED
from test_kill import FAULTS

pytestmark = pytest.mark.skipif(not programs(), reason="there is no PostgreSQL server here")


def test_a_receiver_ends_with_what_is_in_the_table():
    options = ["--memory-mib", "2048"] if SANITIZED else []
    run = subprocess.run([sys.executable, FAULTS / "many_rows.py", "--binary", GRAPNEL,
                          "--rows", "50000", "--past", "5000", *options],
                         capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "the receiver has what is in the table" in run.stdout
    assert run.stdout.count("a new row arrives by") == 8
