# SPDX-License-Identifier: Apache-2.0
"""Events by the clock: at each moment once, and what becomes of those that were missed. What a
daemon remembers is a note beside its ledger, which these tests set back in place of waiting."""

import datetime
import pathlib
import sqlite3

import pytest

from databases import FORWARD, Watched
from harness import SANITIZED, wait_until

CONFIG = """
sources: {rows: {trigger: {schedule: '%s'%s}}}
""" + FORWARD


def ago(**how):
    """Seconds since 1970, some time ago."""
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**how)
    return int(at.timestamp())


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def set_last(w, moment):
    """The daemon has not looked since then."""
    w.daemon.stop()
    with sqlite3.connect(w.daemon.folder / "grapnel.db-triggers") as notes:
        changed = notes.execute("UPDATE note SET value=? WHERE owner='rows' AND key=?",
                                (str(moment).encode(), b"last"))
        assert changed.rowcount == 1
    w.daemon.start()


def start(scene, expression, more=""):
    w = Watched(scene, CONFIG % (expression, more), installs=False)
    w.wait_state("working")
    return w


def test_the_first_start_has_missed_nothing(scene):
    w = start(scene, "* * * * *", ", missed: all")
    assert w.status()["gauges"]["next_s"] > ago()
    assert not w.arrived() or len(w.arrived()) == 1


def test_of_those_that_were_missed_the_last_comes_late(scene):
    w = start(scene, "0 * * * *")
    last = ago(hours=5)
    set_last(w, last)
    event = w.wait_for(1)[0]
    at, made = time_of(event["schedule"]["at"]), time_of(event["schedule"]["made"])
    assert at.minute == 0 and datetime.timedelta() <= made - at < datetime.timedelta(hours=1)
    assert event["op"] == "schedule" and event["type"] == "rows.schedule"
    assert event["time"] == event["schedule"]["at"] and event["timeIs"] == "schedule"
    assert time_of(event["schedule"]["after"]).timestamp() == last
    assert event["schedule"]["zone"] == "UTC"
    assert w.status()["events"] == 1


def test_or_each_of_them_in_their_order(scene):
    w = start(scene, "0 * * * *", ", missed: all")
    set_last(w, ago(hours=5))
    times = [time_of(e["time"]) for e in w.wait_for(5)]
    assert [b - a for a, b in zip(times, times[1:])] == [datetime.timedelta(hours=1)] * 4


def test_but_no_more_than_a_hundred(scene):
    w = start(scene, "* * * * *", ", missed: all")
    set_last(w, ago(days=30))
    events = w.wait_for(100)
    assert time_of(events[-1]["time"]).timestamp() > ago(minutes=3)
    assert w.status()["gauges"]["left_out"] >= 30 * 24 * 60 - 100 - 2


def test_or_none(scene):
    w = start(scene, "0 0 1 1 *", ", missed: skip")
    set_last(w, ago(days=400))
    w.wait_state("working")
    assert wait_until(lambda: w.status()["gauges"].get("next_s", 0) > ago(), 20)
    assert w.status()["events"] == 0 and not w.arrived()


def test_another_expression_has_missed_nothing(scene):
    w = start(scene, "0 0 1 1 *")
    set_last(w, ago(days=400))
    w.wait_for(1)
    set_last(w, ago(hours=30))
    w.wait_state("working")
    w.daemon.reload(CONFIG % ("0 0 * * *", ""))
    assert wait_until(lambda: 0 < w.status()["gauges"].get("next_s", 0) < ago(hours=-25), 20)
    assert len(w.arrived()) == 1 and w.status()["events"] == 0


def test_no_moment_comes_twice(scene):
    """The note is older than the truth, as after a crash between the event and it."""
    w = start(scene, "0 * * * *", ", missed: all")
    set_last(w, ago(hours=3))
    first = w.wait_for(3)
    set_last(w, ago(hours=3))
    assert wait_until(lambda: (w.status() or {}).get("known") == 3, 20)
    assert w.status()["events"] == 0
    assert len({e["id"] for e in first}) == 3 and len(w.arrived()) == 3


def test_a_clock_that_was_ahead_does_not_silence_it(scene):
    w = start(scene, "* * * * *")
    set_last(w, ago(days=-400))
    w.wait_state("working")
    assert wait_until(lambda: ago() < w.status()["gauges"].get("next_s", 0) < ago(minutes=-3), 20)


# ---- a clock that leaps while it runs ----


FAKE = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


class Leaping:
    """A daemon whose wall clock is a file's: it leaps, and what measures pauses stands still, as
    when a machine was asleep."""

    def __init__(self, scene, expression, more=""):
        self.file = scene.folder / "clock"
        self._ahead_s = 0
        self.leap(1800 - ago() % 3600)  # half an hour from all that it may be told to wait for
        self.watched = Watched(scene, CONFIG % (expression, more), installs=False,
                               LD_PRELOAD=str(FAKE), FAKETIME_TIMESTAMP_FILE=str(self.file),
                               FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_NO_CACHE="1")
        self.watched.wait_state("working")

    def leap(self, seconds):
        """From where it is now."""
        self._ahead_s += seconds
        fresh = self.file.with_name("clock.new")
        fresh.write_text(f"{self._ahead_s:+d}")
        fresh.rename(self.file)

    def times(self, n):
        """Of the first so many events."""
        return [time_of(e["time"]) for e in self.watched.wait_for(n)]


leaps = pytest.mark.skipif(SANITIZED or not FAKE, reason="libfaketime is not there, or not alone")


@leaps
def test_what_went_by_while_the_machine_slept_comes_when_it_wakes(scene):
    c = Leaping(scene, "0 * * * *", ", missed: all")
    assert not c.watched.arrived()
    c.leap(3 * 3600)
    times = c.times(3)
    assert [b - a for a, b in zip(times, times[1:])] == [datetime.timedelta(hours=1)] * 2
    late = [e["schedule"]["late"] for e in c.watched.arrived()]
    assert late[:2] == [True, True]
    c.leap(3600)
    assert c.times(4)[3] - times[2] == datetime.timedelta(hours=1)


@leaps
def test_a_clock_that_is_put_back_repeats_nothing_and_goes_on(scene):
    c = Leaping(scene, "0 * * * *", ", missed: all")
    c.leap(3600)
    first = c.times(1)[0]
    hour = datetime.timedelta(hours=1)
    c.leap(-2 * 3600)
    before = (first - hour).timestamp()
    assert wait_until(lambda: c.watched.status()["gauges"]["next_s"] == before, 20)
    assert len(c.watched.arrived()) == 1
    c.leap(3 * 3600)
    assert c.times(3) == [first, first - hour, first + hour]
    assert c.watched.status()["known"] == 1


@pytest.mark.parametrize("expression, more, says", [
    ("61 * * * *", "", "schedule: minute: '61' is none; 0 to 59"),
    ("0 0 30 2 *", "", "schedule: there is no such day within ten years"),
    ("0 0 * * *", ", zone: Europe/Nowhere", "zone: there is no time zone Europe/Nowhere"),
    ("0 0 * * *", ", missed: never", "missed: 'never' is not once, skip or all"),
])
def test_what_is_wrong_is_told_at_its_place(scene, expression, more, says):
    with pytest.raises(AssertionError, match="does not start") as error:
        Watched(scene, CONFIG % (expression, more), installs=False)
    assert says in str(error.value)
