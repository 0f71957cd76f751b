# SPDX-License-Identifier: Apache-2.0
"""Who does the job: Grapnel, a Node program, Node-RED, and Debian's `webhook` with a shell script.
Each has a target of its own, which counts the calls, so that nobody is praised for work left
undone."""

import base64
import json
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading

from processes import BenchError, Memory, Program, cpu_s, memory

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE / "peers"
sys.path.insert(0, str(HERE.parents[1] / "examples" / "onboarding"))
from stack import free_ports, wait_until  # noqa: E402  (lives in the example's folder)

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
SAMPLE_S = 0.7  # reading it costs a hundredth of a core then
INSTALL_MAX_S = 300
LOAD_EXTRA_S = 30  # beyond its seconds; its own drain ends after 10


class Missing(Exception):
    """A contender that cannot be had here; the message says why."""


def reason_of(complaint):
    """The sentence in what npm complains: between codes and much advice it is the first."""
    lines = [re.sub(r"^npm (error|ERR!) ?", "", line) for line in complaint.splitlines()]
    return next((line for line in lines if line and not re.match(r"(code|syscall|errno|path) ", line)),
                "npm says nothing")


class Contender:
    """One program, its target, and loads that are measured on it."""

    path = "/"
    connections = 32
    warm_s = 1  # of load, until what it costs no longer falls

    @classmethod
    def prepare(cls):
        """Gets what no package of Debian holds; raises Missing when that is impossible."""

    def __init__(self, build, folder):
        self._load = build / "tests" / "bench" / "bench_load"
        self._target = Program("target", [build / "tests" / "bench" / "bench_target"],
                               r"listening on .*:(\d+)$")
        self.folder, self.jobs, self.port, self.idle = folder, 0, 0, Memory()
        self.environment = {"TARGET_PORT": self._target.groups[0], "BENCH_SECRET": SECRET}
        try:
            self.program = self._start()
        except BaseException:
            self._target.stop()
            raise

    def _start(self):
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends both; for a look at what was counted see `finish`."""
        self.program.stop()
        self._target.stop()

    def look_idle(self):
        """Notes the memory of a program that has started and has nothing to do."""
        self.idle = memory(self.program.pid)

    def load(self, seconds, path=None, **options):
        """Runs the generator and returns what it printed, with `cpu_ms` per answer, what of it was
        `helpers_ms`, and the most `memory` that was seen meanwhile."""
        command = [self._load, "--port", self.port, "--path", path or self.path, "--seconds", seconds]
        for name, value in {"connections": self.connections, **options}.items():
            command += [f"--{name}"] if value is True else [f"--{name}", value]
        before = cpu_s(self.program.pid)
        done, most = threading.Event(), [Memory()]
        sampler = threading.Thread(target=self._sample, args=(done, most))
        sampler.start()
        try:
            run = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                 env=self.environment, timeout=seconds + LOAD_EXTRA_S, check=False)
        finally:
            done.set()
            sampler.join()
        if run.returncode:
            raise BenchError(f"{self.name}: not every message was answered by a 2xx: "
                             f"{run.stdout}{run.stderr}\n{self.program.tail()}")
        result = json.loads(run.stdout)
        own_s, helpers_s = (after - then for after, then in zip(cpu_s(self.program.pid), before))
        result["helpers_ms"] = helpers_s * 1000 / result["answered"]
        result["cpu_ms"] = own_s * 1000 / result["answered"] + result["helpers_ms"]
        result["memory"] = most[0]
        if path is None:
            self.jobs += result["answered"]
        return result

    def _sample(self, done, most):
        while not done.wait(SAMPLE_S):
            most[0] = most[0].most(memory(self.program.pid))

    def finish(self):
        """Ends both and checks that every job made its three calls."""
        self.program.stop()
        self._target.stop()
        counted = json.loads(self._target.last_line)
        for kind in ("users", "contacts", "patches"):
            if counted[kind] != self.jobs:
                raise BenchError(f"{self.name}: {self.jobs} jobs, but {counted[kind]} {kind}")


class Grapnel(Contender):
    """Verifies, records in fsynced commits, and then does the job."""

    path = "/in/oneportal"
    does = "verified, durable"

    def __init__(self, build, folder):
        self.binary = build / "grapnel"
        self.name = "Grapnel"
        super().__init__(build, folder)

    def _start(self):
        self.port, admin = free_ports(2)
        self.environment |= {"LISTEN_PORT": str(self.port), "ADMIN_PORT": str(admin),
                             "FOLDER": str(self.folder)}
        return Program(self.name, [self.binary, "serve", PEERS / "grapnel.yaml"],
                       r'"fact":"listening"', self.environment)


class Node(Contender):
    """A program written by hand for this one job."""

    does = "neither"

    def __init__(self, build, folder):
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        self.name = f"Node {version.stdout.strip()}"
        super().__init__(build, folder)

    def _start(self):
        program = Program(self.name, ["node", PEERS / "peer.mjs"], r"listening on .*:(\d+)$",
                          self.environment)
        self.port = int(program.groups[0])
        return program


class NodeRed(Contender):
    """Node-RED from npm without its editor, and a flow as one draws it there."""

    path = "/in/oneportal"
    does = "neither"
    warm_s = 6  # V8 has much to compile: after one second a job costs twice what it does then
    home = PEERS / "node-red"

    @classmethod
    def prepare(cls):
        lock, installed = cls.home / "package-lock.json", cls.home / "node_modules"
        done = installed / ".package-lock.json"
        if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
            return
        if not shutil.which("npm"):
            raise Missing("npm is not installed")
        try:
            run = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=cls.home, capture_output=True, text=True, timeout=INSTALL_MAX_S, check=False)
        except subprocess.TimeoutExpired:
            shutil.rmtree(installed, ignore_errors=True)
            raise Missing(f"npm did not end within {INSTALL_MAX_S} s") from None
        if run.returncode:
            raise Missing(f"npm could not install it: {reason_of(run.stderr)}")

    def __init__(self, build, folder):
        package = self.home / "node_modules" / "node-red" / "package.json"
        self.name = f"Node-RED {json.loads(package.read_text())['version']}"
        super().__init__(build, folder)

    def _start(self):
        (self.port,) = free_ports(1)
        self.environment |= {"LISTEN_PORT": str(self.port), "FOLDER": str(self.folder)}
        return Program(self.name, ["node", self.home / "node_modules" / "node-red" / "red.js", "-s",
                                   self.home / "settings.js"], r"Started flows$", self.environment)


class Webhook(Contender):
    """Debian's `webhook`, which starts a shell script for each message."""

    path = "/hooks/user-to-contact"
    does = "neither"
    connections = 4  # each is a script, three curls and a jq under way

    def __init__(self, build, folder):
        version = subprocess.run(["webhook", "-version"], capture_output=True, text=True, check=True)
        self.name = f"webhook {version.stdout.split()[-1]} + sh, curl, jq"
        super().__init__(build, folder)

    def _start(self):
        (self.port,) = free_ports(1)
        for name in ("hooks.json", "peer_webhook.sh"):
            shutil.copy(PEERS / name, self.folder / name)
        # Its log costs microseconds where a job costs milliseconds, and says that it is there.
        program = Program(self.name, ["webhook", "-ip", "127.0.0.1", "-port", str(self.port),
                                      "-hooks", "hooks.json", "-verbose"],
                          r"serving hooks on", self.environment, self.folder)
        if not wait_until(self._is_listening, LOAD_EXTRA_S):
            program.stop()
            raise BenchError(f"{self.name} does not listen:\n{program.tail()}")
        return program

    def _is_listening(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0
