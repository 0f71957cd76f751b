# SPDX-License-Identifier: Apache-2.0
"""A ledger whose disk is full: nothing is acknowledged, what is there can be looked at, and it
goes on by itself when there is room again."""

import json
import os
import subprocess

import pytest

from harness import JSON, PATIENCE_S, TO_TARGET, Reply, ask, wait_until

DISK = 12 * 1024 * 1024
CONFIG = TO_TARGET + """
ledger: "sqlite:${DISK}/grapnel.db"
sources: {later: {verify: none}, now: {verify: none}}
flows:
  later:
    on: later
    retry: {base: 100ms, max: 100ms, tries: 32}
    steps:
      - sent: {post: 'target:/later'}
  now:
    on: now
    reply: wait
    steps:
      - sent: {post: 'target:/now'}
"""


@pytest.fixture(name="disk")
def small_disk(tmp_path):
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, timeout=20, check=False)
    except OSError:
        done = None
    if not done or done.returncode != 0:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], timeout=20, check=True)


def fill(folder):
    """Takes all that is left."""
    with open(folder / "filler", "wb") as filler:
        try:
            while True:
                os.write(filler.fileno(), bytes(4096))
        except OSError:
            pass


def test_a_full_disk_is_told_and_heals(disk, scene):
    daemon = scene.start(CONFIG, DISK=str(disk))
    held = scene.target.hold()
    scene.target.act = held
    before = daemon.post("later", {"n": "before"}).json["event"]
    assert wait_until(lambda: held.came == 1, PATIENCE_S)
    fill(disk)

    refused = acknowledged = 0
    for n in range(400):  # the last pages of the log that is there already may still be used
        answer = daemon.post("later", {"n": n, "filler": "x" * 10_000})
        assert answer.status in (202, 503)
        acknowledged += answer.status == 202
        refused += answer.status == 503
        if answer.status == 503:
            assert answer.json["code"] == "ledger" and int(answer.headers["Retry-After"]) > 0
        if refused == 5:
            break
    assert refused == 5 and daemon.process.poll() is None
    assert daemon.post("now", {"n": "now", "filler": "x" * 10_000}).status == 503
    assert daemon.event(before)["body"] == {"n": "before"}  # looking is possible
    assert len(daemon.events()) == acknowledged + 1
    held.release()  # what runs ends, though its end cannot be written yet

    (disk / "filler").unlink()
    assert wait_until(lambda: daemon.post("now", {"n": "again"}).status == 200, PATIENCE_S)

    def all_done():
        jobs = [job for event in daemon.events() for job in event["jobs"]]
        return all(job["state"] == "done" for job in jobs) and len(jobs) == acknowledged + 2

    assert wait_until(all_done, PATIENCE_S), daemon.events()
    sent = [one.json["n"] for one in scene.target.seen("POST", "/later")]
    assert sorted(map(str, sent)) == sorted(["before", *map(str, range(acknowledged))])
    assert daemon.stop() == 0
    daemon.start()
    assert len(daemon.events()) == acknowledged + 2


def test_no_room_to_begin_with_is_said(disk, scene):
    fill(disk)
    with pytest.raises(AssertionError, match="it does not start:\n(?s:.*)grapnel.db"):
        scene.start(CONFIG, DISK=str(disk))


def test_a_backfill_waits_for_room_and_goes_on(disk, scene):
    # Few commits: the log has to have room until it is copied back for the first time.
    users = [{"id": n, "filler": "x" * 2_000} for n in range(60)]
    scene.target.act = lambda r: Reply(200, users) if r.method == "GET" else Reply(204)
    daemon = scene.start(CONFIG, DISK=str(disk))

    def call(method, path, body=None):
        return ask(daemon.admin, method, f"/api/v1/backfills{path}", json.dumps(body), JSON).json

    one = call("POST", "", {"flow": "later", "from": "target:/users", "rate": 30})["id"]
    assert wait_until(lambda: len(scene.target.seen("POST")) > 4, PATIENCE_S), (
        call("GET", f"/{one}"), daemon.log.read_text()[-3000:])
    fill(disk)
    assert wait_until(lambda: daemon.facts("a backfill waits"), PATIENCE_S)
    assert daemon.process.poll() is None and call("GET", f"/{one}")["progress"] == "running"
    (disk / "filler").unlink()
    assert wait_until(lambda: call("GET", f"/{one}")["progress"] == "done", 3 * PATIENCE_S)
    done = call("GET", f"/{one}")
    assert (done["seen"], done["succeeded"], done["failed"]) == (60, 60, 0)
    assert daemon.metrics()["grapnel_ledger_events"] == 60
