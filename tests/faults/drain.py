# SPDX-License-Identifier: Apache-2.0
"""Waiting for work to end: as long as it goes on."""

import time

from ledger_file import open_jobs

STUCK_S = 30  # nothing has moved for so long: it will not


def drain(file, moves):
    """Until no job is open, or until `moves()`, a count, has stood still too long. How many were
    open at first, how many are left, and the seconds that it took."""
    began = last = time.monotonic()
    at_first, count = open_jobs(file), moves()
    while (left := open_jobs(file)) and time.monotonic() - last < STUCK_S:
        if moves() != count:
            last, count = time.monotonic(), moves()
        time.sleep(0.1)
    return at_first, left, time.monotonic() - began
