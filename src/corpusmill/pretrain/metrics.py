"""metrics.jsonl: an object per step and per evaluation, each once however often a run is killed."""

import json
import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from corpusmill import storage

METRICS_FILE = "metrics.jsonl"

LAST = 10
"""Steps over which the loss is averaged when a run sums up."""


def read_metrics(out: str) -> list[dict[str, Any]]:
    """The rows so far, in order; a last line that was cut off by a kill is left out."""
    path = os.path.join(out, METRICS_FILE)
    rows: list[dict[str, Any]] = []
    if not os.path.exists(path):
        return rows
    for line in storage.read_bytes(path).splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class MetricsLog:
    """Appends rows to metrics.jsonl. Opening it removes the rows after `step`."""

    def __init__(self, out: str | None, step: int) -> None:
        """Without a folder, in all processes but the first, rows are noted and not written."""
        kept: list[dict[str, Any]] = []
        self._path: str | None = None
        if out is not None:
            kept = [row for row in read_metrics(out) if row["step"] <= step]
            self._path = os.path.join(out, METRICS_FILE)
            storage.write_atomic(self._path, "".join(map(_line, kept)).encode())
        self.last_losses: deque[float] = deque(maxlen=LAST)
        """Of the newest steps, LAST at most."""
        self.validation_loss: float | None = None
        """Of the newest evaluation."""
        self.validation_bits_per_byte: float | None = None
        """Of the newest evaluation."""
        self.skipped = 0
        """Steps that moved nothing, because their loss or gradient was not finite."""
        for row in kept:
            self._note(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; it survives a kill of the process from here on."""
        self._note(row)
        if self._path is None:
            return
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write(_line(row))

    def _note(self, row: Mapping[str, Any]) -> None:
        if "validation_loss" in row:
            self.validation_loss = row["validation_loss"]
            self.validation_bits_per_byte = row["validation_bits_per_byte"]
        elif row.get("skipped"):
            self.skipped += 1
        else:
            self.last_losses.append(row["loss"])

    def sync(self) -> None:
        """Bring the rows to the disk: before a checkpoint says that their steps are done."""
        if self._path is None:
            return
        with open(self._path, "rb") as stream:
            os.fsync(stream.fileno())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
