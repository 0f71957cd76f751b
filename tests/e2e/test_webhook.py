# SPDX-License-Identifier: Apache-2.0
"""The way of one webhook on the real binary, between the two example services."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import pytest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "onboarding"
sys.path.insert(0, str(EXAMPLE))
from stack import Stack, wait_until  # noqa: E402  (lives in the example's folder)

BRIEF = (b'{ "id":"IDNUMBER1234", "entityType":"USER", "eventType":"UPDATE", '
         b'"timestamp":"2019-01-01T00:00:00Z" }')
GRAPNEL = os.environ.get("GRAPNEL_BINARY", "build/grapnel")


def signature(secret, message_id, timestamp, body):
    """Standard Webhooks v1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class House:
    """The three programs, and a sender that signs."""

    def __init__(self, stack):
        self.stack = stack
        self.secret = stack._secrets["ONEPORTAL_SECRET"]
        self._ids = 0

    def next_id(self):
        self._ids += 1
        return f"msg_test{self._ids:06d}"

    def headers(self, body, message_id=None, age_s=0, secret=None):
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
        connection = http.client.HTTPConnection("127.0.0.1", port or self.stack.grapnel_port,
                                                timeout=15)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

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


@pytest.fixture(scope="module")
def house():
    with Stack(GRAPNEL) as stack:
        yield House(stack)


def test_the_briefs_json_from_curl_changes_the_contact(house):
    house.set_email("brief@example.com")
    before = len(house.patches())
    flags = [flag for name, value in house.headers(BRIEF).items()
             for flag in ("-H", f"{name}: {value}")]
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", *flags, "--data-binary", "@-",
         f"http://127.0.0.1:{house.stack.grapnel_port}/in/oneportal"],
        input=BRIEF, capture_output=True, timeout=20, check=True)
    text, status = done.stdout.decode().rsplit("\n", 1)
    assert status == "200" and json.loads(text)["code"] == "updated"
    assert [one["body"] for one in house.patches()[before:]] in (
        ['{"email":"brief@example.com"}'], [{"email": "brief@example.com"}])


def test_wrong_missing_and_stale_signatures_store_nothing(house):
    before = house.events()
    wrong = house.headers(BRIEF, secret="whsec_" + base64.b64encode(b"x" * 32).decode())
    unsigned = {"content-type": "application/json"}
    cases = [wrong, unsigned, house.headers(BRIEF, age_s=400), house.headers(BRIEF, age_s=-400)]
    assert [house.post(BRIEF, headers)[0] for headers in cases] == [401] * 4
    altered = BRIEF.replace(b"USER", b"user")
    assert house.post(altered, house.headers(BRIEF))[0] == 401
    assert house.events() == before


def test_a_repeat_hears_the_first_answer_and_runs_nothing(house):
    house.set_email("repeat@example.com")
    headers = house.headers(BRIEF)
    first = house.post(BRIEF, headers)
    patches, events = len(house.patches()), len(house.events())
    assert first[0] == 200
    # The answer is kept in a batch that commits after it has left.
    assert wait_until(lambda: house.post(BRIEF, headers)[2] == first[2], 5)
    second = house.post(BRIEF, headers)
    assert (second[0], second[2]) == (first[0], first[2])
    assert len(house.patches()) == patches and len(house.events()) == events


def test_one_message_id_with_another_body_is_a_conflict(house):
    message_id = house.next_id()
    assert house.post(BRIEF, house.headers(BRIEF, message_id))[0] == 200
    other = BRIEF.replace(b"2019", b"2020")
    assert house.post(other, house.headers(other, message_id))[0] == 422


def test_a_later_timestamp_is_a_new_event_that_changes_nothing(house):
    house.post(BRIEF)
    patches, events = len(house.patches()), len(house.events())
    later = BRIEF.replace(b"2019", b"2021")
    status, _, text = house.post(later)
    assert status == 200 and json.loads(text)["code"] == "unchanged"
    assert len(house.patches()) == patches and len(house.events()) == events + 1


@pytest.mark.parametrize("body, offset", [
    (b'{"id":1,}', 8), (b"", None), (b'{"id":01}', 7), (b'{"id":"\xff"}', 7), (b"{}{}", 2)])
def test_what_is_no_json_is_refused_with_the_place(house, body, offset):
    before = len(house.events())
    status, _, text = house.post(body)
    assert status == 400
    if offset is not None:
        assert f"at byte {offset}" in json.loads(text)["detail"]
    assert len(house.events()) == before


def test_bodies_are_kept_byte_for_byte(house):
    body = b'{"id": "IDNUMBER1234" ,"entityType":"OTHER","n":9007199254740993,"\\u0000":1e400}'
    status, _, text = house.post(body)
    assert status == 202
    event = json.loads(text)["event"]
    _, _, shown = house.ask("GET", f"/api/v1/events/{event}", port=house.stack.admin_port)
    assert body in shown


def test_transport_refusals(house):
    assert house.post(BRIEF, source="nobody")[0] == 404
    assert house.ask("GET", "/in/oneportal")[0] == 405
    form = dict(house.headers(BRIEF), **{"content-type": "application/x-www-form-urlencoded"})
    assert house.post(BRIEF, form)[0] == 415
    assert house.post(b"[" + b"1," * 600000 + b"1]")[0] == 413
    twice = BRIEF.replace(b'"entityType":"USER"', b'"entityType":"USER","entityType":"X"')
    assert house.post(twice)[0] == 400


def test_preferences_choose_the_answer(house):
    status, headers, text = house.post(BRIEF, Prefer="respond-async")
    assert status == 202 and headers["Location"] == json.loads(text)["url"]
    assert wait_until(lambda: b'"done"' in house.ask("GET", headers["Location"])[2], 10)
    assert house.ask("GET", headers["Location"][:-1] + "0")[0] in (404, 200)
    status, _, text = house.post(BRIEF, Prefer="return=representation")
    assert status == 200 and json.loads(text)["firstName"] == "Aino"
    status, _, text = house.post(BRIEF, Prefer="return=minimal")
    assert status == 204 and text == b""


def test_a_slow_target_gives_202_and_the_work_goes_on(house):
    house.set_email("slow@example.com")
    fault = json.dumps({"mode": "slow", "ms": 1500})
    house.ask("POST", "/demo/fault", fault, {"content-type": "application/json"},
              house.stack.commercial_port)
    status, headers, _ = house.post(BRIEF, Prefer="wait=1")
    house.ask("POST", "/demo/fault", '{"mode":"none"}', {"content-type": "application/json"},
              house.stack.commercial_port)
    assert status == 202
    assert wait_until(lambda: b'"done"' in house.ask("GET", headers["Location"])[2], 15)


def read_all(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=15) as s:
        s.sendall(sent)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    return answer


def test_a_thousand_pipelined_requests_are_answered_and_a_bad_one_ends_it(house):
    good = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    bad = b"POST /in/oneportal HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    answer = read_all(house.stack.grapnel_port, good + bad + good)
    assert answer.count(b"HTTP/1.1 404 ") == 1000
    assert answer.count(b"HTTP/1.1 ") == 1001 and b"HTTP/1.1 400 " in answer


def test_a_request_cut_at_any_byte_stores_nothing(house):
    head = "".join(f"{k}: {v}\r\n" for k, v in house.headers(BRIEF).items())
    whole = (f"POST /in/oneportal HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BRIEF)}\r\n{head}\r\n"
             .encode() + BRIEF)
    before = len(house.events())
    for cut in range(0, len(whole), 7):
        with socket.create_connection(("127.0.0.1", house.stack.grapnel_port), timeout=15) as s:
            s.sendall(whole[:cut])
    assert len(house.events()) == before


def test_a_killed_daemon_goes_on_where_it_was():
    with Stack(GRAPNEL) as stack:
        house = House(stack)
        stack.commercial.stop()
        status, headers, _ = house.post(BRIEF, source="oneportal-async")
        assert status == 202
        stack.grapnel._process.send_signal(signal.SIGKILL)
        stack.grapnel._process.wait(10)
        stack.start_commercial()
        stack._start_grapnel()
        assert wait_until(lambda: b'"done"' in house.ask("GET", headers["Location"])[2], 30)


def test_a_second_daemon_on_one_ledger_is_refused_and_the_first_ends_well():
    with Stack(GRAPNEL) as stack:
        first = stack.grapnel._process
        environment = dict(os.environ, **stack._secrets)
        done = subprocess.run([GRAPNEL, "check", str(EXAMPLE / "grapnel.yaml")], timeout=20,
                              env=environment, capture_output=True, check=False)
        assert done.returncode == 1 and b"GRAPNEL_PORT" in done.stderr
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0


def test_kills_at_random_moments_lose_nothing():
    script = pathlib.Path(__file__).resolve().parents[1] / "faults" / "kill.py"
    done = subprocess.run([sys.executable, script, "--binary", GRAPNEL, "--kills", "10"],
                          timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
