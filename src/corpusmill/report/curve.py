"""The losses of training runs: metrics.jsonl in, numbers and a chart out."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.report import charts

METRICS_FILE = "metrics.jsonl"
LAST = 10
"""Steps over which the last loss is averaged."""

POINTS = 400
"""Points of a line at most: of longer runs, each point is the mean of a stretch of steps."""

NAME = 60
"""Characters of a run's name in the chart."""

LARGEST = 1e15
"""A larger number has no place in a drawing; neither has infinity."""

Series = list[tuple[int, float]]
"""(step, loss), by step."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Of one run, as its metrics have them."""

    training: Series
    validation: Series
    sources: dict[str, dict[str, float | None]]
    """Of the newest evaluation: {source: {loss, bits_per_byte}}."""
    classes: dict[str, dict[str, float | None]]
    """The same by class of the mixture, where these are not the sources."""
    bits_per_byte: float | None
    """Of the newest evaluation, all sources together."""
    unread_lines: int
    """Lines that are no row, such as one that a kill cut short."""

    @property
    def last_loss(self) -> float | None:
        """Mean of the last ten steps; None before the first."""
        tail = [loss for _, loss in self.training[-LAST:]]
        return sum(tail) / len(tail) if tail else None


def read_losses(folder: str) -> Losses:
    """The losses of a training folder.

    Of a step that stands there twice the later line counts. Steps that were skipped have no loss.
    """
    if not storage.exists(storage.join(folder, METRICS_FILE)):
        raise UsageError(f"{folder} is not a training folder: it has no {METRICS_FILE}")
    rows, unread = scan_metrics(folder)
    return losses_of(rows, unread)


def scan_metrics(folder: str) -> tuple[list[dict[str, Any]], int]:
    """The rows so far, in order, and the number of lines that are none."""
    path = storage.join(folder, METRICS_FILE)
    if not storage.exists(path):
        return [], 0
    lines = storage.read_bytes(path).splitlines()
    rows = [row for row in map(_row, lines) if row is not None]
    return rows, len(lines) - len(rows)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = row.get("step") if isinstance(row, dict) else None
    return row if type(step) is int and 0 < step < 1 << 53 else None


def losses_of(rows: Iterable[dict[str, Any]], unread: int) -> Losses:
    """Of rows of metrics.jsonl, whoever wrote them."""
    training: dict[int, float] = {}
    validation: dict[int, float] = {}
    newest: dict[str, Any] = {}
    for row in rows:
        if (loss := finite(row.get("loss"))) is not None:
            training[row["step"]] = loss
        if (loss := finite(row.get("validation_loss"))) is not None:
            validation[row["step"]] = loss
            newest = row
    return Losses(
        training=sorted(training.items()),
        validation=sorted(validation.items()),
        sources=_measured(newest.get("sources")),
        classes=_measured(newest.get("classes")),
        bits_per_byte=finite(newest.get("validation_bits_per_byte")),
        unread_lines=unread,
    )


def _measured(parts: object) -> dict[str, dict[str, float | None]]:
    return {
        part: {name: finite(found.get(name)) for name in ("loss", "bits_per_byte")}
        for part, found in (parts.items() if isinstance(parts, dict) else ())
        if isinstance(found, dict)
    }


def finite(value: object) -> float | None:
    """The number, if it is one that a loss or a speed can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST < value < LARGEST else None


def loss_chart(runs: Sequence[tuple[str, Losses]]) -> str | None:
    """The curves of runs, by name, as SVG; None when none of them has a finite loss yet.

    Lines are training losses, dots validation losses.
    """
    drawn = [(name, losses) for name, losses in runs if losses.training]
    if not drawn:
        return None
    named = {}
    for number, (name, losses) in enumerate(drawn):
        short = name if len(name) <= NAME else name[: NAME - 1] + "…"
        told = f"{short}: {_told(losses)}"
        named[told if told not in named else f"{told} ({number + 1})"] = losses
    return charts.lines(
        {name: thinned(losses.training) for name, losses in named.items()},
        "Loss by step. " + ". ".join(named),
        dots={name: losses.validation for name, losses in named.items()},
        x="step",
        y="nats per token",
    )


def _told(losses: Losses) -> str:
    """A run in words."""
    words = f"{losses.training[-1][0]:,} steps, loss from {losses.training[0][1]:.4g}"
    words += f" to {losses.last_loss:.4g}"
    if losses.validation:
        words += f", validation loss {losses.validation[-1][1]:.4g}"
    return words


def thinned(series: Series, points: int = POINTS) -> Series:
    """At most `points` points: the mean losses of stretches of equally many steps."""
    if len(series) <= points:
        return series
    size = math.ceil(len(series) / points)
    stretches = [series[i : i + size] for i in range(0, len(series), size)]
    return [(s[len(s) // 2][0], sum(loss for _, loss in s) / len(s)) for s in stretches]
