# SPDX-License-Identifier: Apache-2.0
"""A few kills of the daemon and of PostgreSQL under writers, and the judge of tests/faults; `make
faults` does it more often."""

import subprocess
import sys

import pytest

from databases import programs
from harness import GRAPNEL
from test_kill import FAULTS

pytestmark = pytest.mark.skipif(not programs(), reason="there is no PostgreSQL server here")


@pytest.mark.parametrize("trigger", ("outbox", "replication"))
def test_each_committed_change_arrives_in_order_and_under_one_id(trigger):
    run = subprocess.run([sys.executable, FAULTS / "kill_triggers.py", "--binary", GRAPNEL,
                          "--trigger", trigger, "--kills", "2"],
                         capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("2 kills")
