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
    """KiB of a process and all below it. `rss` counts a page again for each of them that has it;
    `once` counts it once, whoever else on the machine has it too; `own` is what of that is no page
    of a file (a program, a library)."""

    rss: int = 0
    once: int = 0
    own: int = 0

    def most(self, other):
        return Memory(*map(max, dataclasses.astuple(self), dataclasses.astuple(other)))


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


def _field(name, text):
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1])


def _file_pages(text):
    """KiB of files in memory by mapping: (device, inode, offset). What was written to is anonymous
    and not in it."""
    for part in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.M)[1:]:
        _, _, offset, device, inode, *_ = part.split("\n", 1)[0].split()
        if inode != "0":
            yield (device, inode, offset), _field("Rss", part) - _field("Anonymous", part)


def memory(root):
    """What the tree holds now; a process that ends meanwhile counts as nothing. Anonymous pages are
    shared within the tree only, after a fork, so their proportional share is exact. Pages of files
    may be shared with anybody: of each mapping the largest one counts."""
    rss = anonymous = 0
    files = {}
    for pid in tree(root):
        try:
            whole = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            parts = pathlib.Path(f"/proc/{pid}/smaps").read_text()
        except OSError:
            continue
        rss += _field("Rss", whole)
        anonymous += _field("Pss_Anon", whole)
        for key, kib in _file_pages(parts):
            files[key] = max(kib, files.get(key, 0))
    return Memory(rss, anonymous + sum(files.values()), anonymous)


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
