"""How likely two texts are to be found similar, from bands and threshold: the S-curve and its end.

Equal bins of two signatures are taken for independent, each with the probability that is the texts'
similarity. (They are a little better: bins are drawn without replacement.)
"""

import math

import numpy as np
import numpy.typing as npt

from corpusmill.filters.banding import Banding
from corpusmill.filters.signatures import BINS, CHANCE

SHOWN = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Similarities at which the curve is shown."""

Floats = npt.NDArray[np.float64]


def found_probability(banding: Banding, similar: float, least_equal: int) -> float:
    """That two texts share a band and have at least so many of all stored bins equal.

    The bins of bands count among all bins, so neither follows from the other: the number of equal
    bins is summed up over bands, apart for the cases with and without a band that is equal.
    """
    stored = similar + (1 - similar) * CHANCE
    whole = similar**banding.rows
    one_band = _binomial(banding.rows, stored)
    one_band[-1] -= whole  # what is left: unequal bands, whatever was stored of them
    none, some = np.ones(1), np.zeros(1)
    shared = np.zeros(banding.rows + 1)
    shared[-1] = whole
    for _ in range(banding.bands):
        some = np.convolve(some, one_band + shared) + np.convolve(none, shared)
        none = np.convolve(none, one_band)
    rest = _binomial(BINS - banding.bands * banding.rows, stored)
    return float(np.convolve(some, rest)[least_equal:].sum())


def _binomial(n: int, p: float) -> Floats:
    """The probability of each number of successes; shape [n + 1]."""
    k = range(n + 1)
    if p >= 1:
        return np.array([float(i == n) for i in k])
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * math.log(p)
        + (n - i) * math.log1p(-p)
        for i in k
    ]
    return np.exp(np.array(logs, np.float64))
