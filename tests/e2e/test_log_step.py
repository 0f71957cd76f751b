# SPDX-License-Identifier: Apache-2.0
"""The step `log`: one JSON line for each event, whatever the event holds."""

import json
import os
import socket

import pytest

from harness import PATIENCE_S, TO_TARGET, inside, result_of, wait_until

CONFIG = TO_TARGET + """
sources: {app: {verify: none}, later: {verify: none}}
flows:
  now:
    on: app
    reply: wait
    steps:
      - written: {log: events.log}
  later:
    on: later
    retry: {base: 100ms, max: 100ms, tries: 32}
    steps:
      - written: {log: sub/chosen.log, body: '{who: .event.who, n: .meta.attempt}'}
"""


def lines(file):
    """Each line of the file, read."""
    text = file.read_bytes()
    assert text.endswith(b"\n") and b"\r" not in text
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def test_each_event_is_one_line_with_its_body_and_where_it_came_from(scene):
    daemon = scene.start(CONFIG)
    answer = daemon.post("app", {"eventType": "UPDATE", "id": 7})
    assert answer.status == 200
    logged = lines(daemon.folder / "events.log")
    assert [one["log"] for one in logged] == [{"eventType": "UPDATE", "id": 7}]
    meta = logged[0]["meta"]
    assert meta["id"] == answer.json["event"] and meta["source"] == "app"
    assert meta["type"] == "UPDATE" and meta["attempt"] == 1


HOSTILE = [
    '{"id":\n1,\r\n"b"\r:\n[\n]\n}', '{"a":"\\n\\r\\u0000\\u2028\\u2029"}', '{"a":"\u2028\u0085\u2029"}',
    '{"a":"\\"},{\\"meta\\":1}"}', '"text"', '[1,\n2]', 'null', '{"a":1e400,"b":9007199254740993}',
    '{"\\n":1,"\\n":2}', '{"a":"' + "x" * 100_000 + '"}', '{"a":"\ufeff\u202e<script>"}',
]


def test_hostile_texts_stay_one_line_and_are_not_changed(scene):
    daemon = scene.start(CONFIG)
    for text in HOSTILE:
        assert daemon.post("app", text.encode()).status == 200
    file = daemon.folder / "events.log"
    raw = file.read_bytes().split(b"\n")[:-1]
    assert len(raw) == len(HOSTILE) == len(lines(file))
    for line, text in zip(raw, HOSTILE):
        kept = text.encode().replace(b"\n", b" ").replace(b"\r", b" ")
        assert line.endswith(b',"log":' + kept + b"}")


def test_events_at_the_same_time_never_share_a_line(scene):
    daemon = scene.start(CONFIG)
    posts = [inside(daemon.post, "app", {"n": n, "filler": "y" * 5000}) for n in range(50)]
    assert [result_of(one).status for one in posts] == [200] * 50
    assert sorted(one["log"]["n"] for one in lines(daemon.folder / "events.log")) == [*range(50)]


def test_the_file_may_be_moved_away_at_any_time(scene):
    daemon = scene.start(CONFIG)
    assert daemon.post("app", {"n": 1}).status == 200
    (daemon.folder / "events.log").rename(daemon.folder / "events.log.1")
    assert daemon.post("app", {"n": 2}).status == 200
    assert [one["log"]["n"] for one in lines(daemon.folder / "events.log.1")] == [1]
    assert [one["log"]["n"] for one in lines(daemon.folder / "events.log")] == [2]


def test_a_file_that_cannot_be_written_is_told_and_tried_again(scene):
    daemon = scene.start(CONFIG)
    (daemon.folder / "events.log").mkdir()
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "log-failed"
    assert "cannot open events.log: " in answer.json["detail"] and answer.json["retryable"]

    event = daemon.post("later", {"who": "Aino"}).json["event"]
    assert wait_until(lambda: len(daemon.attempts(event)) > 1, PATIENCE_S)
    assert {one["code"] for one in daemon.attempts(event)} == {"log-failed"}
    (daemon.folder / "sub").mkdir()
    job = daemon.settled(event)["jobs"][0]
    assert job["state"] == "done"
    assert [one["log"] for one in lines(daemon.folder / "sub" / "chosen.log")] == [
        {"who": "Aino", "n": len(job["attempts"])}]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_told(scene):
    daemon = scene.start(CONFIG.replace("events.log", "/dev/full"))
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "log-failed"
    assert "cannot write to /dev/full: " in answer.json["detail"]


def test_a_line_that_is_too_long_is_told_and_nothing_is_written(scene):
    daemon = scene.start(CONFIG)
    answer = daemon.post("app", b'"' + b"x" * 1_048_500 + b'"')
    assert answer.status == 422 and answer.json["code"] == "too-large"
    assert not (daemon.folder / "events.log").exists()


def logging(step):
    """A flow that logs like this."""
    return CONFIG.replace("{log: events.log}", step)


def test_a_file_that_is_large_is_renamed_and_begun_anew(scene):
    daemon = scene.start(logging("{log: events.log, size: 4K, keep: 3}"))
    posts = [inside(daemon.post, "app", {"n": n, "filler": "y" * 700}) for n in range(40)]
    assert [result_of(one).status for one in posts] == [200] * 40
    files = sorted(daemon.folder.glob("events.log*"))
    assert [file.name for file in files] == [
        "events.log", "events.log.1", "events.log.2", "events.log.3"]
    assert all(file.stat().st_size <= 4096 for file in files)
    kept = [one["log"]["n"] for file in files for one in lines(file)]
    assert len(kept) == len(set(kept)) and len(kept) >= 13


def test_a_line_that_is_larger_than_the_file_may_be_has_one_of_its_own(scene):
    daemon = scene.start(logging("{log: events.log, size: 4K, keep: 1}"))
    for n in range(3):
        assert daemon.post("app", {"n": n, "filler": "y" * 9000}).status == 200
    assert [one["log"]["n"] for one in lines(daemon.folder / "events.log")] == [2]
    assert [one["log"]["n"] for one in lines(daemon.folder / "events.log.1")] == [1]


def test_a_pipe_that_nobody_reads_is_told(scene):
    daemon = scene.start(CONFIG)
    os.mkfifo(daemon.folder / "events.log")
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "log-failed"


def test_syslog_gets_the_line(scene, tmp_path):
    place = tmp_path / "syslog"
    daemon = scene.start(logging(
        f"{{log: syslog, facility: local3, severity: warning, socket: {place}}}"))
    answer = daemon.post("app", {"n": 1})
    assert answer.status == 424 and answer.json["code"] == "log-failed"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(place))
        receiver.settimeout(PATIENCE_S)
        assert daemon.post("app", {"n": 2}).status == 200
        said = receiver.recv(65536)
    head, _, line = said.partition(b": ")
    assert head == b"<156>grapnel[%d]" % daemon.process.pid
    assert json.loads(line)["log"] == {"n": 2}
