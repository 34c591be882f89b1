"""The losses of training runs as a drawing: metrics.jsonl in, coordinates for an SVG out."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from corpusmill import storage
from corpusmill.errors import UsageError

METRICS_FILE = "metrics.jsonl"
LAST = 10
"""Steps over which the last loss is averaged."""

WIDTH, HEIGHT = 800.0, 300.0
"""Of the drawing, in SVG units."""
LEFT, BOTTOM = 48.0, 28.0
"""Room for the numbers at the axes."""
LEGEND_LINE = 18.0
"""Height of a line of the legend, which stands under a drawing of several runs."""

COLOURS = 6
"""Different ones in style.css; from the seventh run on lines are dashed as well."""

POINTS = 400
"""Points of a line at most: of longer runs, each point is the mean of a stretch of steps."""

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


@dataclass(frozen=True, kw_only=True)
class Line:
    """One run, drawn."""

    name: str
    losses: Losses
    points: str
    """Of a polyline: the training loss."""
    dots: list[tuple[float, float]]
    """Centres: the validation losses."""
    style: str
    """Classes of style.css: one of COLOURS, and a dash."""
    legend_y: float
    """Where its line of the legend stands."""

    @property
    def steps(self) -> int:
        """The last one."""
        return self.losses.training[-1][0]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Lines and numbers to draw; at least one line."""

    lines: list[Line]
    x_marks: list[tuple[float, str]]
    y_marks: list[tuple[float, str]]
    height: float
    """With the legend, which a single line has not."""


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


def loss_picture(runs: Sequence[tuple[str, Losses]]) -> Picture | None:
    """The curves of runs, by name; None when none of them has a finite loss yet."""
    drawn = [(name, losses, thinned(losses.training)) for name, losses in runs if losses.training]
    if not drawn:
        return None
    points = [point for _, losses, thin in drawn for point in (*thin, *losses.validation)]
    first, last = min(step for step, _ in points), max(step for step, _ in points)
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT) * (step - first) / ((last - first) or 1), 1)

    def y(loss: float) -> float:
        return round((HEIGHT - BOTTOM) * (1 - (loss - low) / ((high - low) or 1)), 1)

    return Picture(
        lines=[
            Line(
                name=name,
                losses=losses,
                points=" ".join(f"{x(step)},{y(loss)}" for step, loss in thin),
                dots=[(x(step), y(loss)) for step, loss in losses.validation],
                style=f"run{number % COLOURS} dash{number // COLOURS % 3}",
                legend_y=HEIGHT + LEGEND_LINE * (number + 1),
            )
            for number, (name, losses, thin) in enumerate(drawn)
        ],
        x_marks=[(x(step), f"{step:,.0f}") for step in marks(first, last)],
        y_marks=[(y(loss), f"{loss:.4g}") for loss in marks(low, high)],
        height=HEIGHT + (LEGEND_LINE * (len(drawn) + 1) if len(drawn) > 1 else 0),
    )


def thinned(series: Series, points: int = POINTS) -> Series:
    """At most `points` points: the mean losses of stretches of equally many steps."""
    if len(series) <= points:
        return series
    size = math.ceil(len(series) / points)
    stretches = [series[i : i + size] for i in range(0, len(series), size)]
    return [(s[len(s) // 2][0], sum(loss for _, loss in s) / len(s)) for s in stretches]


def marks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, at steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= span / 5)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
