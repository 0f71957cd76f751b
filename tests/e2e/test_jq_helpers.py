# SPDX-License-Identifier: Apache-2.0
"""The processes that run jq: whatever ends them costs one job at most."""

import os
import pathlib
import re
import signal

import pytest

from harness import PATIENCE_S, TO_TARGET, children, inside, result_of, wait_until

# `slow` turns in a circle: it is ended by its limit, or by whom the test sends.
CONFIG = TO_TARGET + """
threads: 1
sources: {now: {verify: none}, later: {verify: none, once: '[.id, .slow]'}}
flows:
  now:
    on: now
    reply: wait
    steps:
      - made: {map: 'if .event.slow then (def f: f; f) else {n: (.event.id + 1)} end'}
      - sent: {post: 'target:/now', body: '.made'}
  later:
    on: later
    retry: {base: 100ms, max: 100ms, tries: 3}
    steps:
      - made: {map: 'if .event.slow then (def f: f; f) else {n: (.event.id + 1)} end'}
      - sent: {post: 'target:/later', body: '.made'}
"""


def ticks(pid):
    """The processor time that a process has had."""
    return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
                   .split()[11:13]))


def nursery_of(daemon):
    """The one process that makes helpers, once it is there alone."""
    assert wait_until(lambda: len(children(daemon.process.pid)) == 1, PATIENCE_S)
    return children(daemon.process.pid)[0]


def helper_of(daemon):
    """The one helper of the one loop, once it is there alone."""
    nursery = nursery_of(daemon)
    assert wait_until(lambda: len(children(nursery)) == 1, PATIENCE_S)
    return children(nursery)[0]


def gone(pid):
    """Whether the process has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def works(daemon, number):
    """Whether a job that needs jq ends well."""
    answer = daemon.post("now", {"id": number})
    return answer.status == 200


def test_a_helper_killed_while_it_runs_fails_one_job(scene):
    daemon = scene.start(CONFIG)
    assert works(daemon, 1)
    helper = helper_of(daemon)
    before = ticks(helper)
    slow = inside(daemon.post, "now", {"id": 2, "slow": True})
    assert wait_until(lambda: ticks(helper) > before, PATIENCE_S)
    os.kill(helper, signal.SIGKILL)
    answer = result_of(slow)
    assert answer.status == 422 and answer.json["code"] == "mapping-limit"
    assert "killed" in answer.json["detail"] and answer.json["retryable"] is False
    assert works(daemon, 3)
    assert [one.json for one in scene.target.requests] == [{"n": 2}, {"n": 4}]
    assert helper_of(daemon) != helper
    # Who waits may hear of the end a moment before the ledger shows it.
    assert wait_until(lambda: [event["jobs"][0]["state"] for event in daemon.events()] ==
                      ["done", "dead", "done"], PATIENCE_S)


def test_a_helper_killed_at_rest_is_missed_by_nobody(scene):
    daemon = scene.start(CONFIG)
    for number in range(5):
        helper = helper_of(daemon)
        os.kill(helper, signal.SIGKILL)
        assert wait_until(lambda helper=helper: gone(helper), PATIENCE_S)
        assert works(daemon, number)
    assert len(scene.target.requests) == 5


def test_a_helper_killed_before_it_has_read_is_missed_by_nobody(scene):
    """The job was written to it, which is no reason to fail."""
    daemon = scene.start(CONFIG)
    assert works(daemon, 0)
    for number in range(1, 4):
        helper = helper_of(daemon)
        os.kill(helper, signal.SIGSTOP)
        job = inside(works, daemon, number)
        assert wait_until(lambda n=number: len(daemon.events()) == n + 1, PATIENCE_S)
        daemon.metrics()  # its loop has had a turn since, and so has the job
        os.kill(helper, signal.SIGKILL)
        assert result_of(job)
    assert len(scene.target.requests) == 4


def test_the_jobs_behind_the_one_that_was_killed_go_on(scene):
    daemon = scene.start(CONFIG)
    assert works(daemon, 0)
    helper = helper_of(daemon)
    before = ticks(helper)
    slow = inside(daemon.post, "now", {"id": 1, "slow": True})
    assert wait_until(lambda: ticks(helper) > before, PATIENCE_S)
    behind = [inside(daemon.post, "now", {"id": number}) for number in range(10, 20)]
    webhooks = "grapnel_webhooks_total"
    assert wait_until(lambda: daemon.metrics()[webhooks] == 12, PATIENCE_S)
    os.kill(helper, signal.SIGKILL)
    assert result_of(slow).status == 422
    assert [result_of(one).status for one in behind] == [200] * 10
    assert sorted(one.json["n"] for one in scene.target.requests) == [1, *range(11, 21)]


def test_a_killed_nursery_takes_its_helpers_along_and_comes_back(scene):
    daemon = scene.start(CONFIG)
    assert works(daemon, 1)
    helper, nursery = helper_of(daemon), nursery_of(daemon)
    os.kill(nursery, signal.SIGKILL)
    assert wait_until(lambda: gone(helper), PATIENCE_S)
    assert works(daemon, 2)
    assert nursery_of(daemon) != nursery
    events = [daemon.post("later", {"id": number}).json["event"] for number in range(5)]
    assert {daemon.settled(event)["jobs"][0]["state"] for event in events} == {"done"}


def test_helpers_end_with_their_daemon(scene):
    daemon = scene.start(CONFIG)
    assert works(daemon, 1)
    helper, nursery = helper_of(daemon), nursery_of(daemon)
    daemon.kill()
    assert wait_until(lambda: gone(helper) and gone(nursery), PATIENCE_S)


def test_a_program_without_end_is_ended_and_told(scene):
    daemon = scene.start(CONFIG)
    answer = daemon.post("now", {"id": 1, "slow": True})
    assert answer.status == 422 and answer.json["code"] == "mapping-limit"
    # On a busy machine the other clock may be first.
    assert re.search("used up its CPU time|took too long", answer.json["detail"])
    assert works(daemon, 2)


@pytest.mark.parametrize("program, why", [
    ('error("no such colour")', "no such colour"), ("1, 2", "more than one result")])
def test_what_a_program_says_is_told_and_final(scene, program, why):
    daemon = scene.start(CONFIG.replace("(def f: f; f)", f"({program})"))
    answer = daemon.post("now", {"id": 1, "slow": True})
    assert answer.status == 422 and answer.json["code"] == "mapping-failed"
    assert why in answer.json["detail"] and "step made" in answer.json["detail"]
    # In a flow that tries again it is not tried again: the program would do the same.
    event = daemon.post("later", {"id": 3, "slow": True}).json["event"]
    job = daemon.settled(event)["jobs"][0]
    assert job["state"] == "dead" and [one["code"] for one in job["attempts"]] == ["mapping-failed"]


def test_a_number_that_jq_would_round_is_told_with_its_place(scene):
    daemon = scene.start(CONFIG)
    answer = daemon.post("now", b'{"id": 9007199254740993}')
    assert answer.status == 422 and "/event/id" in answer.json["detail"]
    assert answer.json["code"] == "mapping-failed"
    assert not scene.target.requests
