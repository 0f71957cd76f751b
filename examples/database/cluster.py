# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of one's own: a fresh data folder, a free port on loopback, an unprivileged
user, gone at the end. What Debian's package `postgresql` brings is used as it is."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_MAX_S = 60


def programs():
    """The folder of the newest server's programs; None when there is none."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"),
                   key=lambda p: float(p.parts[-3]))
    return found[-1].parent if found else None


def free_port():
    """One that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """The server; `settings` are its options, such as {"wal_level": "logical"}; `initdb` further
    words for the program that makes its folder."""

    def __init__(self, settings=None, initdb=()):
        # A server refuses to run as root, and nobody else sees into a folder of root's.
        self.user = "postgres" if os.getuid() == 0 else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="grapnel-postgres-"))
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.port = free_port()
        self.settings = {"fsync": "off", **(settings or {})}
        self.process = None
        if self.user:
            shutil.chown(self.folder, self.user)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync", *initdb)
        self.start()

    def _words(self, program, *arguments):
        words = [str(programs() / program), *map(str, arguments)]
        if self.user:
            words = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups",
                     *words]
        return words

    def _run(self, program, *arguments):
        done = subprocess.run(self._words(program, *arguments), capture_output=True, text=True,
                              check=False, cwd=self.folder, timeout=START_MAX_S)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")

    def start(self):
        """Starts it and waits until it takes connections."""
        options = [word for name, value in self.settings.items() for word in ("-c",
                                                                            f"{name}={value}")]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self._words("postgres", "-D", self.data, "-p", self.port, "-k", self.folder,
                            "-c", "listen_addresses=127.0.0.1", *options),
                stdout=log, stderr=log, cwd=self.folder)
        limit = time.monotonic() + START_MAX_S
        while subprocess.run(self._words("pg_isready", "-q", "-h", "127.0.0.1", "-p", self.port),
                             cwd=self.folder, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError("PostgreSQL did not start: " + self.log.read_text()[-2000:])
            time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        """SIGINT ends it quickly and cleanly, SIGQUIT at once, without a checkpoint."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(START_MAX_S)

    def close(self):
        """Stops it; nothing of it stays."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database="postgres", user="postgres"):
        """As a configuration and every PostgreSQL program take it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
