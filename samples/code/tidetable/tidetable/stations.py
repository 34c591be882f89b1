# SPDX-License-Identifier: MIT
"""Harbours and their harmonic constants, read from a JSON file."""

import json
from dataclasses import dataclass
from pathlib import Path

from tidetable.harmonics import SPEEDS

DATA = Path(__file__).resolve().parent.parent / "data" / "stations.json"


class UnknownStation(LookupError):
    """No station has this name."""


@dataclass(frozen=True)
class Station:
    key: str
    name: str
    datum: float
    constituents: dict[str, tuple[float, float]]


def load(path=DATA):
    """All stations by key. A constituent that this program does not know is an error."""
    stations = {}
    for key, entry in json.loads(path.read_text(encoding="utf-8")).items():
        unknown = set(entry["constituents"]) - set(SPEEDS)
        if unknown:
            raise ValueError(f"{path}: {key}: unknown constituents: {', '.join(sorted(unknown))}")
        constituents = {name: tuple(pair) for name, pair in entry["constituents"].items()}
        stations[key] = Station(key, entry["name"], entry["datum"], constituents)
    return stations


def find(key, stations):
    """A station by key, or an error that names those there are."""
    try:
        return stations[key.lower()]
    except KeyError:
        known = ", ".join(sorted(stations))
        raise UnknownStation(f"no station {key!r}; there are: {known}") from None
