# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the daemon under test on a configuration of the test's own, a
target that does what it is told, however rude, and the example's three programs with a sender that
signs. Whatever is waited for is a condition; the limits only end a test that hangs."""

import base64
import dataclasses
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "onboarding"
sys.path.insert(0, str(EXAMPLE))
from stack import Stack, wait_until  # noqa: E402, F401  (lives in the example's folder)

GRAPNEL = str(pathlib.Path(os.environ.get("GRAPNEL_BINARY", "build/grapnel")).resolve())
SANITIZED = any(mark in pathlib.Path(GRAPNEL).read_bytes() for mark in (b"__asan_", b"__tsan_"))
START_MAX_S = STOP_MAX_S = 20
PATIENCE_S = 20
JSON = {"content-type": "application/json"}

# What a configuration begins with that says nothing of its own about it.
PRELUDE = """\
listen: 127.0.0.1:0
admin: 127.0.0.1:0
ledger: sqlite:grapnel.db
outbound: {allow: [127.0.0.0/8]}
threads: 2
"""
# A connection to the target of the scene.
TO_TARGET = 'connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}"}}\n'


def signature(secret, message_id, timestamp, body):
    """Standard Webhooks v1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@dataclasses.dataclass
class Answer:
    """What came back for a request."""

    status: int
    headers: object
    body: bytes

    @property
    def json(self):
        """The body, read."""
        return json.loads(self.body)


def ask(port, method, path, body=None, headers=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def talk(port, sent):
    """Sends bytes and returns all that comes until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(sent)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def statuses(answer):
    """The status codes in bytes that hold answers one after the other."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def inside(work, *arguments):
    """Runs it in a thread; the thread's `result` holds what it returned or raised."""

    def run():
        try:
            thread.result = work(*arguments)
        except Exception as error:  # pylint: disable=broad-except  (the test looks at it)
            thread.result = error

    thread = threading.Thread(target=run, daemon=True)
    thread.result = None
    thread.start()
    return thread


def result_of(thread):
    """What the thread's work returned."""
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "it did not end"
    if isinstance(thread.result, Exception):
        raise thread.result
    return thread.result


def children(pid):
    """The processes that a process has started and that live."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == pid and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return found


class Daemon:
    """`grapnel serve` in a folder of its own; its ports are free ones that the system chose."""

    def __init__(self, folder, config, environment):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / "grapnel.yaml"
        self.environment = {**os.environ, **environment}
        self.log = folder / "grapnel.log"
        self.process = None
        self.port = self.admin = 0
        self.write(config)
        self.start()

    def write(self, config):
        """Puts a configuration in place; what it does not say of itself is the prelude's."""
        own = {line.partition(":")[0] for line in config.splitlines()}
        prelude = [line for line in PRELUDE.splitlines() if line.partition(":")[0] not in own]
        self.file.write_text("\n".join([*prelude, config]))

    def start(self):
        """Starts it and returns when it is ready."""
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [GRAPNEL, "serve", self.file.name], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.facts("listening"), START_MAX_S)
        if not self.facts("listening"):
            self.kill()
            raise AssertionError(f"it does not start:\n{self.log.read_text()}")
        fact = self.facts("listening")[0]
        self.port, self.admin = (int(fact[key].rpartition(":")[2]) for key in ("webhooks", "admin"))
        assert wait_until(lambda: ask(self.admin, "GET", "/readyz").status == 200, START_MAX_S)

    def facts(self, name):
        """The lines of its log that say this."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [fact for fact in map(json.loads, lines) if fact["fact"] == name]

    def post(self, source, body, **headers):
        """A webhook for a source; a `body` that is no bytes is sent as JSON."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.port, "POST", f"/in/{source}", body, {**JSON, **names})

    def get(self, path):
        """From the listener of webhooks."""
        return ask(self.port, "GET", path)

    def api(self, path):
        """A document of the admin listener."""
        answer = ask(self.admin, "GET", path)
        assert answer.status == 200, answer
        return answer.json

    def events(self, state=""):
        """What the ledger holds, newest first."""
        return self.api(f"/api/v1/events?limit=250{state and '&state=' + state}")["events"]

    def event(self, event_id):
        """One event with its jobs and their attempts."""
        return self.api(f"/api/v1/events/{event_id}")

    def attempts(self, event_id):
        """The attempts of an event's first job, oldest first."""
        return self.event(event_id)["jobs"][0]["attempts"]

    def settled(self, event_id):
        """The event, once all its jobs are done or dead."""

        def look():
            event = self.event(event_id)
            return event if all(j["state"] in ("done", "dead") for j in event["jobs"]) else None

        event = wait_until(look, PATIENCE_S)
        assert event, self.event(event_id)
        return event

    def metrics(self):
        """Name and value of each."""
        text = ask(self.admin, "GET", "/metrics").body.decode()
        pairs = [line.split() for line in text.splitlines() if not line.startswith("#")]
        return {name: int(value) for name, value in pairs}

    def memory(self):
        """Resident bytes."""
        pages = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    def descriptors(self):
        """How many it holds open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def signal(self, number):
        """Sends it one."""
        self.process.send_signal(number)

    def reload(self, config):
        """A new configuration and SIGHUP; returns when the daemon has said what it thinks."""
        said = ("reloaded", "reload refused: the running configuration stays")
        before = sum(len(self.facts(fact)) for fact in said)
        self.write(config)
        self.signal(signal.SIGHUP)
        assert wait_until(lambda: sum(len(self.facts(f)) for f in said) > before, PATIENCE_S)

    def wait(self):
        """Its exit status, when it ends by itself."""
        return self.process.wait(STOP_MAX_S)

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait(STOP_MAX_S)

    def close(self):
        """At the end of a test: it must end well, unless the test has ended it."""
        if self.process.poll() is not None:
            return
        try:
            status = self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert status == 0, self.log.read_text()[-4000:]


@dataclasses.dataclass
class Request:
    """One request that the target has read."""

    method: str
    path: str
    headers: dict  # names in lower case
    body: bytes

    @property
    def json(self):
        """The body, read."""
        return json.loads(self.body)


@dataclasses.dataclass
class Reply:
    """A proper answer of the target."""

    status: int
    document: object = None
    headers: dict = dataclasses.field(default_factory=dict)

    def __bytes__(self):
        body = b"" if self.document is None else json.dumps(self.document).encode()
        head = [f"HTTP/1.1 {self.status} Said", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*head, "", ""]).encode() + body


class Hold:
    """The target reads the request and says nothing until it is released."""

    def __init__(self, then=Reply(200, {})):
        self.then = then
        self.came = 0
        self._release = threading.Event()

    def release(self):
        """Whoever is held, and whoever comes later, gets the answer."""
        self._release.set()

    def wait(self):
        """By the connection's thread."""
        self.came += 1
        self._release.wait(3 * PATIENCE_S)


RESET = object()  # the connection is reset
HANG_UP = object()  # the connection is closed without a byte


class Target:
    """A server on loopback that keeps each request and does what `act` says: a Reply; bytes, which
    are sent as they are before it hangs up; RESET; HANG_UP; a Hold; or a function from the request
    to one of these."""

    def __init__(self):
        self.act = Reply(200, {})
        self.requests = []
        self.holds = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, then=Reply(200, {})):
        """A Hold that ends with the test at the latest."""
        self.holds.append(Hold(then))
        return self.holds[-1]

    def seen(self, method="", path=""):
        """The requests so far whose method and beginning of the path are these."""
        return [one for one in self.requests
                if method in ("", one.method) and one.path.startswith(path)]

    def close(self):
        """Stops listening; what is held is let go."""
        for hold in self.holds:
            hold.release()
        self._listener.close()

    def stop_listening(self):
        """From now on connections are refused."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with connection, connection.makefile("rb") as stream:
                while (request := self._read(stream)) and self._answer(connection, request):
                    pass
        except OSError:
            pass  # the other side has gone, as some tests want it to

    def _read(self, stream):
        words = stream.readline().split()
        if len(words) != 3:
            return None
        headers = {}
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        request = Request(words[0].decode(), words[1].decode(), headers, body)
        self.requests.append(request)
        return request

    def _answer(self, connection, request):
        act = self.act(request) if callable(self.act) else self.act
        if isinstance(act, Hold):
            act.wait()
            act = act.then
        if isinstance(act, Reply):
            connection.sendall(bytes(act))
            return True
        if isinstance(act, bytes):
            connection.sendall(act)
        if act is RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


def one_after_the_other(*acts):
    """For Target.act: each once, and the last for ever."""
    left, lock = list(acts), threading.Lock()

    def act(_):
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return act


class Scene:
    """A target, and the daemons that a test starts beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.target = Target()
        self.environment = {"TARGET_PORT": str(self.target.port)}
        self._daemons = []

    def start(self, config, **environment):
        """A daemon on this configuration."""
        folder = self.folder / f"daemon{len(self._daemons)}"
        daemon = Daemon(folder, config, {**self.environment, **environment})
        self._daemons.append(daemon)
        return daemon

    def close(self):
        """Ends all."""
        for hold in self.target.holds:
            hold.release()
        try:
            for daemon in self._daemons:
                daemon.close()
        finally:
            for daemon in self._daemons:
                if daemon.process.poll() is None:
                    daemon.kill()
            self.target.close()


class House:
    """The example's three programs, and a sender that signs."""

    def __init__(self, stack):
        self.stack = stack
        self.secret = stack._secrets["ONEPORTAL_SECRET"]
        self._ids = 0

    def next_id(self):
        """A message id that was not used before."""
        self._ids += 1
        return f"msg_test{self._ids:06d}"

    def headers(self, body, message_id=None, age_s=0, secret=None):
        """Those of a signed webhook."""
        message_id = message_id or self.next_id()
        timestamp = int(time.time()) - age_s
        return {"content-type": "application/json", "webhook-id": message_id,
                "webhook-timestamp": str(timestamp),
                "webhook-signature": signature(secret or self.secret, message_id, timestamp, body)}

    def post(self, body, headers=None, source="oneportal", **more):
        """POSTs; gives status, headers, body."""
        headers = dict(headers or self.headers(body), **more)
        return self.ask("POST", f"/in/{source}", body, headers)

    def ask(self, method, path, body=None, headers=None, port=None):
        """One request to one of the three; gives status, headers, body."""
        answer = ask(port or self.stack.grapnel_port, method, path, body, headers)
        return answer.status, answer.headers, answer.body

    def events(self):
        """What the ledger holds, newest first."""
        _, _, text = self.ask("GET", "/api/v1/events?limit=250", port=self.stack.admin_port)
        return json.loads(text)["events"]

    def patches(self):
        """The PATCHes that the commercial service has seen."""
        _, _, text = self.ask("GET", "/demo/requests", port=self.stack.commercial_port)
        log = json.loads(text)
        log = log["requests"] if isinstance(log, dict) else log
        return [one for one in log if one["method"] == "PATCH"]

    def set_email(self, email, user="IDNUMBER1234"):
        """Changes it at the identity service's own database: no webhook goes out."""
        database = next(self.stack.identity.folder.glob("*.db"))
        with sqlite3.connect(database, timeout=10) as connection:
            connection.execute("UPDATE users SET email = ? WHERE id = ?", (email, user))
