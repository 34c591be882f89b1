# SPDX-License-Identifier: MIT
"""Prints a tide table: python -m tidetable.cli STATION DATE [--days N] [--json]"""

import argparse
import json
import sys
from datetime import datetime, timedelta, timezone

from tidetable import harmonics, stations


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="tidetable", description="Times of high and low water")
    parser.add_argument("station", help="key of the harbour, for example ferrow")
    parser.add_argument("date", help="first day, as in 2024-05-06")
    parser.add_argument("--days", type=int, default=1, help="how many days (default: 1)")
    parser.add_argument("--json", action="store_true", help="for programs instead of people")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        station = stations.find(options.station, stations.load())
        start = datetime.fromisoformat(options.date).replace(tzinfo=timezone.utc)
    except (stations.UnknownStation, ValueError) as error:
        print(f"tidetable: {error}", file=sys.stderr)
        return 2
    end = start + timedelta(days=options.days)
    points = list(harmonics.turning_points(station, start, end))
    if options.json:
        rows = [
            {"kind": kind, "time": moment.isoformat(timespec="minutes"), "metres": round(level, 2)}
            for kind, moment, level in points
        ]
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{station.name}, times in UTC")
    for kind, moment, level in points:
        print(f"{moment:%a %d %b  %H:%M}  {kind:<5}{level:6.2f} m")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
