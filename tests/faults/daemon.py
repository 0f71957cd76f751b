# SPDX-License-Identifier: Apache-2.0
"""The daemon under the fault: started, killed, started again, and its lives written down."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import threading
import time
import urllib.request

STOP_MAX_S = 20
PRELUDE = """\
listen: 127.0.0.1:0
admin: 127.0.0.1:0
ledger: sqlite:{ledger}
outbound: {{allow: [127.0.0.0/8]}}
"""


@dataclasses.dataclass
class Life:
    """From one start to the end; wall clock."""

    began: float
    ended: float = 0
    was_killed: bool = False


class Daemon:
    """`grapnel serve` in a folder that holds its configuration and its ledger. Its ports are free
    ones that the system chose, other ones in each life."""

    def __init__(self, binary, folder):
        self.binary = str(pathlib.Path(binary).resolve())
        self.file = pathlib.Path(folder) / "grapnel.yaml"
        self.ledger = pathlib.Path(folder) / "grapnel.db"
        self.lives, self.log = [], []
        self.port = self.admin = 0
        self.process = None

    def write(self, config):
        """Puts its configuration in place."""
        self.file.write_text(PRELUDE.format(ledger=self.ledger) + config)

    def start(self):
        """Returns once it listens; how long that took."""
        began = time.monotonic()
        self.lives.append(Life(time.time()))
        self.process = subprocess.Popen([self.binary, "serve", self.file], stderr=subprocess.PIPE,
                                        text=True)
        for line in self.process.stderr:
            self.log.append(line)
            if '"listening"' in line:
                fact = json.loads(line)
                self.port, self.admin = (int(fact[key].rpartition(":")[2])
                                         for key in ("webhooks", "admin"))
                stream = self.process.stderr
                threading.Thread(target=lambda: self.log.extend(stream), daemon=True).start()
                return time.monotonic() - began
        raise SystemExit(f"the daemon does not start: {self.log[-3:]}")

    @property
    def life(self):
        """Which of its lives this is."""
        return len(self.lives) - 1

    def kill(self):
        """SIGKILL. It must have lived until then."""
        status = self.process.poll()
        if status is not None:
            raise SystemExit(f"the daemon has ended by itself with {status}: {self.log[-3:]}")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.lives[-1].ended, self.lives[-1].was_killed = time.time(), True

    def command(self, *words):
        """Another command of the same program; it must do well."""
        done = subprocess.run([self.binary, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"grapnel {words}: {done.stderr}")

    def wait_working(self, source):
        """Returns once the trigger of this source is at work."""
        end = time.monotonic() + STOP_MAX_S
        while time.monotonic() < end:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.admin}/api/v1/triggers") as answer:
                states = {t["source"]: t["state"] for t in json.load(answer)["data"]}
            if states.get(source) == "working":
                return
            time.sleep(0.02)
        raise SystemExit(f"the trigger does not start: {self.log[-3:]}")

    def stop(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "SIGKILL, as it did not"
        self.lives[-1].ended = time.time()
        return status

    def memory(self):
        """Resident bytes now and at their most, of the daemon without its helpers."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in text.splitlines())
        return tuple(int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))

    def is_ready(self):
        """What it says of itself."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=20):
                return True
        except OSError:
            return False


def kill_often(daemon, kills, chance, while_dead=lambda: None):
    """Kills at random moments, and starts again at once."""
    for _ in range(kills):
        time.sleep(chance.uniform(0.001, 0.25))  # the moment of the kill is the fault
        daemon.kill()
        while_dead()
        daemon.start()
