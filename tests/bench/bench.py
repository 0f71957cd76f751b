#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: what Grapnel costs, beside the same job done by other means, in one run.

Everything runs on this machine: generator, targets and what is measured share its cores, and take
turns, round by round; a figure is the median of the rounds. tests/bench/README.md says how each is
measured. No test looks at these figures. Exits 1 when anything went wrong, never for being slow."""

import argparse
import contextlib
import os
import pathlib
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import deadline
import sending
import triggers
from contenders import Grapnel, Missing, Node, NodeRed, Webhook
from processes import BenchError

KINDS = (Grapnel, Node, NodeRed, Webhook)
# Jobs/s, which each of them bears with ease.
JOB_RATES = {Grapnel: 1000, Node: 1000, NodeRed: 200, Webhook: 10}
ACCEPT_RATE = 1000
IDLE_S = 2  # after the start, until a program is called idle: helpers come up by themselves
BODY_BYTES = 1024
BACKLOG = 100000
# Two sources of peers/grapnel.yaml, whose events make no call.
ACCEPTING = {
    "archive": "verified, recorded, 202",
    "ledger": "the same, and its job run and settled",
}
BUDGETS = {  # for two cores, everything on one machine
    "job": ("CPU per job, get-find-map-patch", "ms", 0.12),
    "p50": ("accept p50 at 1,000/s, job included", "ms", 1.5),
    "p99": ("accept p99 at 1,000/s, job included", "ms", 10),
    "idle": ("memory idle, each page once", "MiB", 12),
    "load": ("memory under load, each page once", "MiB", 64),
    "start": ("start to listening", "ms", 50),
    "binary": ("binary, stripped", "MiB", 2),
}


# ---- figures of a load's results ----


def median(results, name):
    return statistics.median(result[name] for result in results)


def latency_ms(results, name):
    return statistics.median(result["latency"][f"{name}_us"] for result in results) / 1000


def most_mib(results, kind):
    return max(getattr(result["memory"], kind) for result in results) / 1024


def times_cpu(theirs, ours):
    """How many times our CPU per job theirs is; rounds are compared with their neighbours."""
    return statistics.median(their["cpu_ms"] / our["cpu_ms"] for their, our in zip(theirs, ours))


# ---- printing ----


def table(title, head, rows):
    """Prints the rows under their head, the first column to the left."""
    widths = [max(len(row[i]) for row in [head, *rows]) + 2 for i in range(len(head))]
    print(f"\n{title}")
    for first, *others in [head, *rows]:
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:]))
        print(f"  {first:<{widths[0]}}{''.join(cells)}")
    sys.stdout.flush()


def speed_cells(results):
    """CPU and latencies of one load, for a row."""
    return [f"{median(results, 'cpu_ms'):.3f}", f"{latency_ms(results, 'p50'):.2f}",
            f"{latency_ms(results, 'p99'):.2f}"]


SPEED_HEAD = ["CPU ms", "p50 ms", "p99 ms"]


# ---- the machine ----


def commit_ms(folder):
    """What one small write costs until the disk has it: the floor of every durable answer."""
    taken = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(100):
            began = time.monotonic()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            taken.append((time.monotonic() - began) * 1000)
    return statistics.median(taken)


def tell_machine(folder):
    model = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    print(f"{os.cpu_count()} cores, everything on one machine "
          f"({model[1] if model else platform.machine()}, {platform.system()} "
          f"{platform.release()}); 4 KiB written and synced alone: {commit_ms(folder):.2f} ms; load "
          f"average at the start: {os.getloadavg()[0]:.1f}")


# ---- what is measured ----


def measure_jobs(contenders, rounds, seconds):
    """The main job: as fast as it goes, and at a rate that everybody bears. Two dictionaries of
    results by contender."""
    full = {one: [] for one in contenders}
    paced = {one: [] for one in contenders}
    for one in contenders:
        one.load(max(seconds, one.warm_s))  # connections, caches and compilers get warm
    for _ in range(rounds):
        for one in contenders:
            full[one].append(one.load(seconds))
        for one in contenders:
            paced[one].append(one.load(seconds, rate=JOB_RATES[type(one)]))
    return full, paced


def show_jobs(full, paced):
    rows = [[f"{one.name} ({one.does})", f"{median(full[one], 'per_second'):,.0f}",
             *speed_cells(full[one]), f"{median(full[one], 'helpers_ms'):.3f}",
             f"{JOB_RATES[type(one)]:,}", *speed_cells(paced[one])] for one in full]
    table("One job: webhook in, GET the user, find the contact, map, PATCH what differs, answer 200",
          ["as fast as it goes; then at a rate", "jobs/s", *SPEED_HEAD, "(helpers)", "at /s",
           *SPEED_HEAD], rows)
    ours, *others = full
    for one in others:
        print(f"  CPU per job of {one.name}: {times_cpu(full[one], full[ours]):.2f} times that of "
              f"{ours.name} as fast as it goes, {times_cpu(paced[one], paced[ours]):.2f} times at "
              "its rate")


def measure_accepting(grapnel, rounds, seconds):
    """Only taking events of 1 KiB: from 64 connections as fast as it goes, and at a rate."""
    found = {}
    for source in ACCEPTING:
        path = f"/in/{source}"
        grapnel.load(seconds, path, bytes=BODY_BYTES)
        full = [grapnel.load(seconds, path, bytes=BODY_BYTES, connections=64)
                for _ in range(rounds)]
        paced = [grapnel.load(seconds, path, bytes=BODY_BYTES, rate=ACCEPT_RATE)
                 for _ in range(rounds)]
        found[source] = full, paced
    return found


def show_accepting(found):
    rows = [[ACCEPTING[source], f"{median(full, 'per_second'):,.0f}", *speed_cells(full),
             f"{ACCEPT_RATE:,}", *speed_cells(paced)] for source, (full, paced) in found.items()]
    table(f"Events of {BODY_BYTES} bytes accepted durably by Grapnel, no calls",
          ["as fast as it goes; then at a rate", "events/s", *SPEED_HEAD, "at /s", *SPEED_HEAD],
          rows)


def measure_start(kind, build, folder, times):
    """Milliseconds from starting the program to its word that it listens."""
    taken = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(dir=folder) as own, kind(build, pathlib.Path(own)) as one:
            taken.append(one.program.started_s * 1000)
    return statistics.median(taken)


def show_size(loads, starts):
    rows = []
    for one, results in loads.items():
        row = [one.name, f"{starts[type(one)]:.0f}"]
        for kind in ("rss", "once", "own"):
            row += [f"{getattr(one.idle, kind) / 1024:.1f}", f"{most_mib(results, kind):.1f}"]
        rows.append(row)
    table("Start, and MiB of memory of all its processes: RSS; each page once; of that no libraries",
          ["", "start ms", "RSS idle", "loaded", "once: idle", "loaded", "own: idle", "loaded"],
          rows)


def stripped_bytes(binary, folder):
    small = folder / "stripped"
    subprocess.run(["strip", "-o", small, binary], check=True)
    return small.stat().st_size


def show_budgets(values):
    rows = []
    for key, (name, unit, budget) in BUDGETS.items():
        verdict = "met" if values[key] <= budget else "MISSED"
        rows.append([name, f"{values[key]:.3g} {unit}", f"{budget:g} {unit}", verdict])
    table("Grapnel against its budgets", ["", "measured", "budget", ""], rows)


# ---- the run ----


def who_is_here():
    """The contenders that can be had, and a word about the others."""
    here = []
    for kind in KINDS:
        try:
            kind.prepare()
        except Missing as why:
            print(f"{kind.__name__} is left out: {why}")
            continue
        here.append(kind)
    return here


def run(build, folder, rounds, seconds, starts):
    tell_machine(folder)
    kinds = who_is_here()
    took = {kind: measure_start(kind, build, folder, starts) for kind in kinds}
    with contextlib.ExitStack() as stack:
        contenders = []
        for kind in kinds:
            own = folder / kind.__name__
            own.mkdir()
            contenders.append(stack.enter_context(kind(build, own)))
        grapnel = contenders[0]
        time.sleep(IDLE_S)
        for one in contenders:
            one.look_idle()
        full, paced = measure_jobs(contenders, rounds, seconds)
        show_jobs(full, paced)
        accepting = measure_accepting(grapnel, rounds, seconds)
        show_accepting(accepting)
        deadline.measure(grapnel, rounds, table)
        for one in contenders:
            one.finish()
    sending.measure(build, folder, 2 * seconds, BACKLOG if rounds > 1 else BACKLOG // 10, table)
    triggers.measure(build, 4 * seconds, table)
    loads = {one: full[one] + paced[one] for one in contenders}
    loads[grapnel] += [result for pair in accepting.values() for some in pair for result in some]
    show_size(loads, took)
    settled = accepting["ledger"][1]
    show_budgets({"job": median(full[grapnel], "cpu_ms"), "p50": latency_ms(settled, "p50"),
                  "p99": latency_ms(settled, "p99"), "idle": grapnel.idle.once / 1024,
                  "load": most_mib(loads[grapnel], "once"), "start": took[Grapnel],
                  "binary": stripped_bytes(grapnel.binary, folder) / 1024 / 1024})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True, help="the folder of the build")
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    options = parser.parse_args()
    build = options.build.resolve()
    rounds, seconds, starts = (1, 1, 1) if options.quick else (5, 2, 7)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    # Beside the build: the disk of the checkout, and no tmpfs, whose commits would cost nothing.
    with tempfile.TemporaryDirectory(prefix="run-", dir=build) as folder:
        try:
            run(build, pathlib.Path(folder), rounds, seconds, starts)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
