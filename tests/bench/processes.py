# SPDX-License-Identifier: Apache-2.0
"""Programs under measurement: started, measured with all their children, ended."""

import collections
import dataclasses
import os
import pathlib
import re
import subprocess
import threading
import time

READY_MAX_S = 20
STOP_MAX_S = 25  # Grapnel may finish its work for 20
TICKS_S = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something did not do what it must: there is no figure to print."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """KiB of a process and its children. `rss` counts a page once for each process that has it,
    `pss` shares it among them."""

    rss: int = 0
    pss: int = 0

    def most(self, other):
        return Memory(max(self.rss, other.rss), max(self.pss, other.pss))


def _stat(pid):
    """Fields of /proc/PID/stat from the state on; None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def tree(root):
    """The process and all below it that live now."""
    children = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(entry)):
            children[int(fields[1])].append(int(entry))
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return found


def cpu_s(root):
    """Seconds of user and system time: of the process itself, and of all below it, those included
    that have ended and were waited for."""
    own = helpers = 0
    for pid in tree(root):
        if fields := _stat(pid):
            user, system, waited_user, waited_system = map(int, fields[11:15])
            if pid == root:
                own += user + system
            else:
                helpers += user + system
            helpers += waited_user + waited_system
    return own / TICKS_S, helpers / TICKS_S


def memory(root):
    """What the tree holds now; a process that ends meanwhile counts as nothing."""
    rss = pss = 0
    for pid in tree(root):
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        rss += int(re.search(r"^Rss:\s+(\d+)", text, re.M)[1])
        pss += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
    return Memory(rss, pss)


class Program:
    """A child that dies with us, whatever ends us. `ready` finds the line that says that it
    listens; its groups are kept. What it prints at the end is in `last_line`."""

    def __init__(self, name, command, ready, environment=None, cwd=None):
        self.name, self._tail = name, collections.deque(maxlen=20)
        began = time.monotonic()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, **(environment or {})}, cwd=cwd, start_new_session=True)
        self.pid = self._process.pid
        self._is_ready, self.groups, self.started_s = threading.Event(), (), 0.0
        self._reader = threading.Thread(target=self._read, args=(re.compile(ready), began),
                                        daemon=True)
        self._reader.start()
        if not self._is_ready.wait(READY_MAX_S) or not self.started_s:
            self.stop()
            raise BenchError(f"{name} does not start:\n{self.tail()}")

    def _read(self, ready, began):
        for line in self._process.stdout:
            self._tail.append(line.rstrip("\n"))
            if not self.started_s and (match := ready.search(line)):
                self.started_s = time.monotonic() - began
                self.groups = match.groups()
                self._is_ready.set()
        self._is_ready.set()  # it has ended: nobody need wait

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """SIGTERM, and force when that takes too long. Returns the exit status."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            status = self._process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._reader.join(STOP_MAX_S)
        return status

    @property
    def last_line(self):
        return self._tail[-1] if self._tail else ""

    def tail(self):
        return "\n".join(f"  | {line}" for line in self._tail)
