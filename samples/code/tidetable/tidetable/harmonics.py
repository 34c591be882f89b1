# SPDX-License-Identifier: MIT
"""The tide as a sum of cosines: heights, and the times at which they turn."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)

# Degrees per hour. M2 is the moon's principal wave, S2 the sun's; K1 and O1 come once a day.
SPEEDS = {
    "M2": 28.9841042,
    "S2": 30.0,
    "N2": 28.4397295,
    "K2": 30.0821373,
    "K1": 15.0410686,
    "O1": 13.9430356,
}

STEP = timedelta(minutes=6)


def height(station, moment):
    """Metres above chart zero at a moment with a time zone."""
    hours = (moment - EPOCH).total_seconds() / 3600
    waves = (
        amplitude * math.cos(math.radians(SPEEDS[name] * hours - phase))
        for name, (amplitude, phase) in station.constituents.items()
    )
    return station.datum + sum(waves)


def slope(station, moment):
    """Metres per hour: the derivative of `height`."""
    hours = (moment - EPOCH).total_seconds() / 3600
    total = 0.0
    for name, (amplitude, phase) in station.constituents.items():
        speed = math.radians(SPEEDS[name])
        total -= amplitude * speed * math.sin(speed * hours - math.radians(phase))
    return total


def turning_points(station, start, end) -> Iterator[tuple[str, datetime, float]]:
    """High and low waters between two moments, in order."""
    left = start
    rising = slope(station, left) > 0
    while left < end:
        right = left + STEP
        if (slope(station, right) > 0) != rising:
            moment = refine(station, left, right)
            yield ("high" if rising else "low"), moment, height(station, moment)
            rising = not rising
        left = right


def refine(station, left, right):
    """Halves an interval in which the slope changes its sign until it is shorter than a second."""
    rising = slope(station, left) > 0
    while right - left > timedelta(seconds=1):
        middle = left + (right - left) / 2
        if (slope(station, middle) > 0) == rising:
            left = middle
        else:
            right = middle
    return left
