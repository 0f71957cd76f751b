# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests."""

import signal

import pytest

from harness import GRAPNEL, PATIENCE_S, House, Scene, Stack, inside, wait_until


@pytest.fixture(scope="module")
def house():
    """The example's three programs, once for all tests of a file."""
    with Stack(GRAPNEL) as stack:
        yield House(stack)


@pytest.fixture
def scene(tmp_path):
    """A target, and daemons beside it."""
    one = Scene(tmp_path)
    yield one
    one.close()


HANGING = """
connections: {target: {url: "http://127.0.0.1:${TARGET_PORT}", timeout: 60s}}
sources: {now: {verify: none, deadline: 60s}, later: {verify: none}}
flows:
  now: {on: now, reply: wait, steps: [{sent: {post: 'target:/now'}}]}
  later: {on: later, retry: {base: 1h, max: 1h}, steps: [{sent: {post: 'target:/later'}}]}
"""


@pytest.fixture(scope="session", autouse=True)
def hanging(request, tmp_path_factory):
    """A daemon that is told to stop while its target is silent. It may take 15 seconds for that, so
    it begins before all other tests and is looked at behind them."""
    if not any("hangs" in item.name for item in request.session.items):
        yield None
        return
    one = Scene(tmp_path_factory.mktemp("hanging"))
    one.daemon = one.start(HANGING)
    one.target.act = one.target.hold()
    one.later = one.daemon.post("later", {"id": 1}).json["event"]
    one.waiting = inside(one.daemon.post, "now", {"id": 2})
    assert wait_until(lambda: one.target.act.came == 2, PATIENCE_S)
    one.daemon.signal(signal.SIGTERM)
    yield one
    one.close()


def pytest_collection_modifyitems(items):
    """See `hanging`."""
    items.sort(key=lambda item: "hangs" in item.name)
