"""The loss of a training run as a drawing: metrics.jsonl in, coordinates for an SVG out."""

import json
import math
from dataclasses import dataclass

from corpusmill import storage
from corpusmill.errors import UsageError

METRICS_FILE = "metrics.jsonl"

WIDTH, HEIGHT = 800.0, 300.0
"""Of the drawing, in SVG units."""
LEFT, BOTTOM = 48.0, 28.0
"""Room for the numbers at the axes."""

POINTS = 400
"""Points of a line at most: of longer runs, each point is the mean of a stretch of steps."""

Series = list[tuple[int, float]]
"""(step, loss), by step."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Lines and numbers to draw."""

    training: str
    """Points of a polyline."""
    validation: list[tuple[float, float]]
    """Centres of dots."""
    x_marks: list[tuple[float, str]]
    y_marks: list[tuple[float, str]]
    steps: int
    """The last step."""
    first_loss: float
    last_loss: float
    """Mean of the last ten steps."""
    last_validation: float | None
    unread_lines: int
    """Lines that are no step, such as one that a kill cut short."""


def read_metrics(folder: str) -> tuple[Series, Series, int]:
    """Training and validation losses, and the number of lines that could not be read.

    A run that was resumed may have written a step twice: the later line counts.
    """
    path = storage.join(folder, METRICS_FILE)
    if not storage.exists(path):
        raise UsageError(f"{folder} is not a training folder: it has no {METRICS_FILE}")
    training: dict[int, float] = {}
    validation: dict[int, float] = {}
    unread = 0
    with storage.open_read(path) as stream:
        for line in stream:
            try:
                row = json.loads(line)
                step = int(row["step"])
                for key, series in (("loss", training), ("validation_loss", validation)):
                    if key in row and math.isfinite(float(row[key])):
                        series[step] = float(row[key])
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                unread += 1
    return sorted(training.items()), sorted(validation.items()), unread


def loss_curve(folder: str) -> Curve | None:
    """The curve of a training folder; None when it has no finite loss yet."""
    training, validation, unread = read_metrics(folder)
    if not training:
        return None
    thin = thinned(training)
    steps = [step for step, _ in (*thin, *validation)]
    losses = [loss for _, loss in (*thin, *validation)]
    first, last = min(steps), max(steps)
    low, high = min(losses), max(losses)

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT) * (step - first) / ((last - first) or 1), 1)

    def y(loss: float) -> float:
        return round((HEIGHT - BOTTOM) * (1 - (loss - low) / ((high - low) or 1)), 1)

    tail = [loss for _, loss in training[-10:]]
    return Curve(
        training=" ".join(f"{x(step)},{y(loss)}" for step, loss in thin),
        validation=[(x(step), y(loss)) for step, loss in validation],
        x_marks=[(x(step), f"{step:,.0f}") for step in marks(first, last)],
        y_marks=[(y(loss), f"{loss:.4g}") for loss in marks(low, high)],
        steps=last,
        first_loss=training[0][1],
        last_loss=sum(tail) / len(tail),
        last_validation=validation[-1][1] if validation else None,
        unread_lines=unread,
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
