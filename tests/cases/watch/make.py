#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes zones.case: offsets of zones as Python's zoneinfo has them, from 1990 to 2080, at random
moments and around each change. Run by hand when there is reason to; the file is kept."""

import datetime
import random
import zoneinfo

ZONES = ("Africa/Cairo", "Africa/Casablanca", "America/Los_Angeles", "America/New_York",
         "America/Santiago", "America/Sao_Paulo", "Antarctica/Troll", "Asia/Kathmandu", "Asia/Kolkata",
         "Asia/Tehran", "Asia/Tokyo", "Australia/Lord_Howe", "Australia/Sydney", "Europe/Dublin",
         "Europe/Helsinki", "Europe/London", "Etc/GMT+5", "Pacific/Apia", "Pacific/Auckland", "UTC")
BEGIN, END = 631152000, 3471292800


def offset(zone, moment):
    """Seconds to add to UTC."""
    at = datetime.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(zone))
    return int(at.utcoffset().total_seconds())


def changes(zone):
    """A few moments before which it has another offset than from then on."""
    found, step = [], 86400 * 5
    for begin in range(BEGIN, END - step, step):
        low, high = begin, begin + step
        if offset(zone, low) == offset(zone, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == offset(zone, low) else (low, middle)
        found.append(high)
    return found[::5] + found[-4:]


def main():
    """Prints the file."""
    chance = random.Random(1)
    print("# written by make.py: zone, seconds since 1970, seconds to add to UTC")
    for zone in ZONES:
        moments = {chance.randrange(BEGIN, END) for _ in range(200)}
        for change in changes(zone):
            moments |= {change - 1, change}
        for moment in sorted(moments):
            print(f"{zone}\t{moment}\t{offset(zone, moment)}")


if __name__ == "__main__":
    main()
