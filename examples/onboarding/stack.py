# SPDX-License-Identifier: Apache-2.0
"""The three programs of the example, started and stopped together.

Each runs in a folder of its own under one temporary folder, on a free loopback port, with fresh
secrets that travel by environment and never by command line.
"""

import base64
import http.client
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
START_MAX_S = 20
STOP_MAX_S = 25  # Grapnel may finish its work for 20
POLL_S = 0.02
LOG_TAIL_LINES = 15


class StackError(Exception):
    """A program did not do what it must; the text says which and shows what it wrote."""


def wait_until(condition, limit_s):
    """Polls until the condition gives something true and returns that; None after the limit."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value or time.monotonic() >= end:
            return value or None
        time.sleep(POLL_S)


def free_ports(count):
    """Different ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def answers(port, path):
    """Whether GET gives 200 there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Program:
    """One child process; what it writes goes to a file in its folder."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.log = self.folder / f"{name}.log"
        self._process = None

    def start(self, command, environment, is_ready):
        """Starts it and returns what `is_ready` gives once that is true."""
        with open(self.log, "wb") as log:
            # A session of its own: Ctrl-C is for us, and we stop the children in order.
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ready = wait_until(lambda: not self.is_running() or is_ready(), START_MAX_S)
        if not ready or not self.is_running():
            how = "is not ready" if self.is_running() else "ended at once"
            raise StackError(f"{self.name} {how}\n{self.log_tail()}")
        return ready

    def is_running(self):
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self):
        """Ends it by SIGTERM, or by force when that takes too long. Returns the exit status."""
        if self._process is None:
            return None
        if self.is_running():
            self._process.terminate()
        try:
            status = self._process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        return status

    def log_tail(self):
        """The last lines that it wrote."""
        text = self.log.read_text("utf-8", "replace")
        return "\n".join(f"  | {line}" for line in text.splitlines()[-LOG_TAIL_LINES:])


class Stack:
    """Identity service, commercial service and Grapnel; a context manager."""

    config = HERE / "grapnel.yaml"

    def __init__(self, grapnel):
        self._grapnel_path = str(pathlib.Path(grapnel).resolve())
        self._folder = tempfile.TemporaryDirectory(prefix="onboarding-")
        folder = pathlib.Path(self._folder.name)
        self.folder = folder
        self.identity = Program("identity", folder)
        self.commercial = Program("commercial", folder)
        self.grapnel = Program("grapnel", folder)
        self.grapnel_port, self.admin_port = free_ports(2)
        self.identity_port = self.commercial_port = 0
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._secrets = {
            "ONEPORTAL_SECRET": f"whsec_{key}",
            "ID_SECRET": secrets.token_urlsafe(24),
            "CRM_TOKEN": secrets.token_urlsafe(24),
        }

    def __enter__(self):
        try:
            self.start_commercial()
            self._start_identity()
            self._start_grapnel()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Stops what runs, in the order of the calls, and removes the folders."""
        statuses = [program.stop() for program in (self.identity, self.grapnel, self.commercial)]
        self._folder.cleanup()
        return statuses

    @property
    def contacts_file(self):
        """The commercial service's database."""
        return self.commercial.folder / "commercial.db"

    def start_commercial(self):
        """Starts it: the first time on a free port, later on the same one with the same file."""
        command = self._service("commercial_service.py", self.commercial_port)
        self.commercial_port = self._start_service(self.commercial, command)

    def webhooks(self):
        """Where the identity service tells of what was saved, as arguments of its command."""
        to = f"http://127.0.0.1:{self.grapnel_port}/in"
        return ["--webhook", f"{to}/oneportal", "--webhook-later", f"{to}/oneportal-async"]

    def _start_identity(self):
        command = self._service("identity_service.py", 0) + self.webhooks()
        self.identity_port = self._start_service(self.identity, command)

    def _environment(self):
        return {
            **self._secrets,
            "GRAPNEL_PORT": str(self.grapnel_port),
            "GRAPNEL_ADMIN_PORT": str(self.admin_port),
            "GRAPNEL_DATA": str(self.grapnel.folder),
            "IDENTITY_PORT": str(self.identity_port),
            "COMMERCIAL_PORT": str(self.commercial_port),
            "IDENTITY_DATABASE": str(self.identity.folder / "identity.db"),
        }

    def run_grapnel(self, *words):
        """Another command of Grapnel, on the same configuration."""
        done = subprocess.run(
            [self._grapnel_path, *words, "--config", str(self.config)],
            env={**os.environ, **self._environment()},
            cwd=self.grapnel.folder,
            capture_output=True,
            text=True,
            timeout=START_MAX_S,
            check=False,
        )
        if done.returncode:
            raise StackError(f"grapnel {' '.join(words)}: {done.stderr}")
        return done.stdout

    def _start_grapnel(self):
        command = [self._grapnel_path, "serve", str(self.config)]
        self.grapnel.start(command, self._environment(), lambda: answers(self.admin_port, "/readyz"))

    @staticmethod
    def _service(script, port):
        return [sys.executable, str(HERE / script), "--port", str(port)]

    def _start_service(self, program, command):
        """Starts a service and returns the port that it names."""

        def named_port():
            line = program.log.read_text().partition("\n")
            if line[1] and line[0].startswith("listening on "):
                return int(line[0].rpartition(":")[2])
            return None

        return program.start(command, self._secrets, named_port)
