# SPDX-License-Identifier: Apache-2.0
"""The way of one webhook on the real binary, between the two example services."""

import base64
import datetime
import json
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

from harness import GRAPNEL, House, Stack, wait_until

BRIEF = (b'{ "id":"IDNUMBER1234", "entityType":"USER", "eventType":"UPDATE", '
         b'"timestamp":"2019-01-01T00:00:00Z" }')


def briefly():
    """The same, of this moment: what is older than the latest change is not run."""
    return BRIEF.replace(b"2019-01-01T00:00:00Z", datetime.datetime.now(
        datetime.timezone.utc).isoformat().encode())


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
    before = [event["id"] for event in house.events()]
    wrong = house.headers(BRIEF, secret="whsec_" + base64.b64encode(b"x" * 32).decode())
    unsigned = {"content-type": "application/json"}
    cases = [wrong, unsigned, house.headers(BRIEF, age_s=400), house.headers(BRIEF, age_s=-400)]
    assert [house.post(BRIEF, headers)[0] for headers in cases] == [401] * 4
    altered = BRIEF.replace(b"USER", b"user")
    assert house.post(altered, house.headers(BRIEF))[0] == 401
    assert [event["id"] for event in house.events()] == before


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
    status, headers, text = house.post(briefly(), Prefer="respond-async")
    assert status == 202 and headers["Location"] == json.loads(text)["url"]
    assert wait_until(lambda: b'"done"' in house.ask("GET", headers["Location"])[2], 10)
    assert house.ask("GET", headers["Location"][:-1] + "0")[0] in (404, 200)
    status, _, text = house.post(briefly(), Prefer="return=representation")
    assert status == 200 and json.loads(text)["firstName"] == "Aino"
    status, _, text = house.post(briefly(), Prefer="return=minimal")
    assert status == 204 and text == b""


def test_a_slow_target_gives_202_and_the_work_goes_on(house):
    house.set_email("slow@example.com")
    fault = json.dumps({"mode": "slow", "ms": 1500})
    house.ask("POST", "/demo/fault", fault, {"content-type": "application/json"},
              house.stack.commercial_port)
    status, headers, _ = house.post(briefly(), Prefer="wait=1")
    house.ask("POST", "/demo/fault", '{"mode":"none"}', {"content-type": "application/json"},
              house.stack.commercial_port)
    assert status == 202
    assert wait_until(lambda: b'"done"' in house.ask("GET", headers["Location"])[2], 15)


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


def test_kills_at_random_moments_lose_nothing():
    script = pathlib.Path(__file__).resolve().parents[1] / "faults" / "kill.py"
    done = subprocess.run([sys.executable, script, "--binary", GRAPNEL, "--kills", "10"],
                          timeout=120, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
