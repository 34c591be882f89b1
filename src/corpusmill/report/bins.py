"""Counting numbers into bins when neither their range nor their number is known beforehand.

A number is counted under the first 16 bits of its float32: sign, exponent and 7 bits of the
mantissa, which tell it to within one per cent. Such counts can be added, take the same memory for
any number of documents, and the edges of the bins that people see are chosen afterwards.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CELLS = 1 << 16
_SIGN = 1 << 15
BINS = 24
"""About so many bins are shown."""
WIDE = 50.0
"""When the largest number is so many times the median, the bins grow as 1, 2, 5, 10 do."""
LARGEST_RATIO = 1e7
"""Of the last edge to the first above zero."""


@dataclass
class Tally:
    """How many finite numbers fell into each cell; cells are in the order of the numbers."""

    cells: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(CELLS, np.uint32))

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Count more numbers; those that are not finite are left out."""
        bits = (values[np.isfinite(values)].view(np.uint32) >> 16).astype(np.int32)
        places = np.where(bits < _SIGN, _SIGN + bits, CELLS - 1 - bits)
        found, counts = np.unique(places, return_counts=True)
        self.cells[found] += counts.astype(np.uint32)

    def into(self, edges: Sequence[float]) -> list[int]:
        """The counts between edges; what is not between any is counted in the first or last bin."""
        held = np.flatnonzero(self.cells)
        bins = np.searchsorted(np.asarray(edges[1:-1]), _numbers(held), side="right")
        counts = np.bincount(bins, weights=self.cells[held], minlength=len(edges) - 1)
        return [int(count) for count in counts]


def _numbers(places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The number of each cell that is nearest to zero."""
    bits = np.where(places >= _SIGN, places - _SIGN, CELLS - 1 - places).astype(np.uint32) << 16
    numbers: npt.NDArray[np.float64] = bits.view(np.float32).astype(np.float64)
    return numbers


def edges_for(tallies: Mapping[str, Tally], threshold: float | None) -> list[float]:
    """Round edges for numbers and threshold; none where there are no numbers."""
    cells = np.zeros(CELLS, np.int64)
    for tally in tallies.values():
        cells += tally.cells
    held = np.flatnonzero(cells)
    if not len(held):
        return []
    numbers, sums = _numbers(held), np.cumsum(cells[held])
    low, high = float(numbers[0]), float(numbers[-1])
    median = float(numbers[np.searchsorted(sums, sums[-1] / 2)])
    if threshold is not None and math.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    if low >= 0 and median > 0 and high / median > WIDE:
        few = float(numbers[np.searchsorted(sums, sums[-1] / 20)])
        return _growing(max(few, median / 100, high / LARGEST_RATIO), high)
    return _even(low, high)


def _even(low: float, high: float) -> list[float]:
    """Edges at steps of 1, 2, 2.5 or 5 times a power of ten."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    power = 10.0 ** math.floor(math.log10((high - low) / BINS))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= (high - low) / BINS)
    first = math.floor(low / step)
    last = max(math.floor(high / step) + 1, first + 1)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _growing(first: float, last: float) -> list[float]:
    """0, then 1, 2, 5, 10, ... times a power of ten, from below `first` to above `last`."""
    power = math.floor(math.log10(first))
    edges = [0.0]
    while edges[-1] <= last:
        edges += [float(f"{m}e{power}") for m in (1, 2, 5)]
        power += 1
    return edges[: 1 + next(n for n, edge in enumerate(edges) if edge > last)]
