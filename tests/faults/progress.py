# SPDX-License-Identifier: Apache-2.0
"""What a long trial has in common with others: it waits as long as something moves, tells what it
sees, and gives up with a reason."""

import time

STUCK_S = 60


def fail(why):
    """What was promised did not happen."""
    raise SystemExit(f"it failed: {why}")


def until(condition, what, moves=lambda: None, every_s=0.02):
    """Waits; gives up when `moves` has stood still for long."""
    last, count = time.monotonic(), moves()
    while not condition():
        now = moves()
        if now != count:
            last, count = time.monotonic(), now
        if time.monotonic() - last > STUCK_S:
            fail(f"{what}: nothing moves any more, at {count}")
        time.sleep(every_s)


def mib(count):
    """Bytes, for people."""
    return f"{count / (1 << 20):,.0f} MiB"


def tell_memory(daemon, when, max_mib):
    """Now and at its most; more than the maximum is a failure."""
    now, most = daemon.memory()
    print(f"  memory {when}: {mib(now)}, at its most {mib(most)}", flush=True)
    if most > max_mib << 20:
        fail("the memory is not bounded")


def tell_ledger(daemon):
    """On the disk, its WAL included."""
    size = sum(file.stat().st_size for file in daemon.ledger.parent.glob("grapnel.db*"))
    print(f"  ledger: {mib(size)}", flush=True)
