# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests."""

import pytest

from harness import GRAPNEL, House, Scene, Stack


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
