"""metrics.jsonl: an object per step and per evaluation, each once however often a run is killed."""

import json
import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from corpusmill import storage
from corpusmill.pretrain.board import Board
from corpusmill.pretrain.energy import NONE, Energy

METRICS_FILE = "metrics.jsonl"

EVALUATION = ("validation_loss", "validation_bits_per_byte")
ENERGY = ("energy_kwh", "co2_kg")
STEP = ("loss", "mfu", "peak_memory_bytes")
"""What is read again of a row, numbers or null; the first of them says what kind it is."""

LAST = 10
"""Steps over which the loss is averaged when a run sums up."""


def read_metrics(out: str) -> list[dict[str, Any]]:
    """The rows so far, in order; what is no row is left out, such as one that a kill cut off.

    So is a row that lacks what a run that goes on reads of it.
    """
    path = storage.join(out, METRICS_FILE)
    if not storage.exists(path):
        return []
    rows = map(_row, storage.read_bytes(path).splitlines())
    return [row for row in rows if row is not None]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    return row if type(step) is int and 0 < step < 1 << 53 and _is_whole(row) else None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether it is of a step, an evaluation or an estimate, and what is read again are numbers."""
    for kind in (EVALUATION, ENERGY, STEP):
        if kind[0] in row:
            return all(row.get(n) is None or type(row[n]) in (int, float) for n in kind)
    return False


class MetricsLog:
    """Appends rows to metrics.jsonl. Opening it removes the rows after `step`."""

    def __init__(self, out: str | None, step: int, *, board: bool = False) -> None:
        """Without a folder, in all processes but the first, rows are noted and not written.

        With `board` they are also written for TensorBoard.
        """
        kept: list[dict[str, Any]] = []
        self._path: str | None = None
        self._board: Board | None = None
        if out is not None:
            kept = [row for row in read_metrics(out) if row["step"] <= step]
            self._path = os.path.join(out, METRICS_FILE)
            storage.write_atomic(self._path, "".join(map(_line, kept)).encode())
            if board:
                self._board = Board(out)
        self.last_losses: deque[float] = deque(maxlen=LAST)
        """Of the newest steps, LAST at most."""
        self.last_mfu: deque[float] = deque(maxlen=LAST)
        """Of the newest steps, LAST at most; empty where it is not known."""
        self.peak_memory_bytes = 0
        """Of all steps."""
        self.validation_loss: float | None = None
        """Of the newest evaluation."""
        self.validation_bits_per_byte: float | None = None
        """Of the newest evaluation."""
        self.energy = NONE
        """Of all calls up to the newest row that has it."""
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
        if self._board is not None:
            self._board.add(row)
        if "validation_loss" in row:
            self.validation_loss = row["validation_loss"]
            self.validation_bits_per_byte = row.get("validation_bits_per_byte")
            return
        if "energy_kwh" in row:
            self.energy = Energy(row["energy_kwh"] or 0.0, row.get("co2_kg") or 0.0)
            return
        self.peak_memory_bytes = max(self.peak_memory_bytes, row.get("peak_memory_bytes") or 0)
        if row.get("mfu") is not None:
            self.last_mfu.append(row["mfu"])
        if row.get("skipped"):
            self.skipped += 1
        elif row["loss"] is not None:
            self.last_losses.append(row["loss"])

    def close(self) -> None:
        """Nothing is added any more."""
        if self._board is not None:
            self._board.close()

    def sync(self) -> None:
        """Bring the rows to the disk: before a checkpoint says that their steps are done."""
        if self._path is None:
            return
        with open(self._path, "rb") as stream:
            os.fsync(stream.fileno())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"
