"""Whose turn it is: shares of a whole, kept in every prefix of an order of turns."""

from collections.abc import Mapping
from fractions import Fraction
from math import gcd, lcm

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

FINEST_SHARE = 100_000
"""Weights are realised in multiples of 1/100,000 if they need a finer period."""


def shares_of(weights: Mapping[str, float]) -> list[int]:
    """Weights as the smallest whole numbers in the same proportion, each at least 1.

    Decimal weights are kept exactly as written. If that needs a period longer than FINEST_SHARE,
    they are rounded to it (largest remainders).
    """
    exact = [Fraction(repr(weight)) for weight in weights.values()]
    total = sum(exact)
    shares = [weight / total for weight in exact]
    period = lcm(*(share.denominator for share in shares))
    if period > FINEST_SHARE:
        whole = [max(1, int(share * FINEST_SHARE)) for share in shares]
        remainders = sorted(
            range(len(shares)), key=lambda i: (whole[i] - shares[i] * FINEST_SHARE, i)
        )
        for i in remainders[: max(0, FINEST_SHARE - sum(whole))]:
            whole[i] += 1
    else:
        whole = [int(share * period) for share in shares]
    common = gcd(*whole)
    return [number // common for number in whole]


def turns_of(shares: list[int]) -> Int64Array:
    """An order of turns in which, after every n turns, each has had n * share / period of them to
    within less than one.

    Tijdeman's algorithm (The chairman assignment problem, 1980): among those whose lead over their
    share leaves room for a turn, the one that must have it soonest.
    """
    period = sum(shares)
    if len(shares) == 1:
        return np.zeros(1, np.int64)
    slack = 2 * len(shares) - 2
    taken = [0] * len(shares)
    turns = np.empty(period, np.int64)
    for n in range(1, period + 1):
        best = -1
        for i, share in enumerate(shares):
            # has it room for a turn, and is it due, at (1 - 1/slack + taken) / share, sooner?
            if (n * share - taken[i] * period) * slack >= period and (
                best < 0
                or (slack - 1 + slack * taken[i]) * shares[best]
                < (slack - 1 + slack * taken[best]) * share
            ):
                best = i
        taken[best] += 1
        turns[n - 1] = best
    return turns
