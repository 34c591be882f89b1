"""Whose turn it is: shares of a whole, kept in every prefix of an order of turns.

Turns repeat after a period. Only how often each had its turn before every BLOCK turns is held; what
lies between is worked out where it is asked for.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, isqrt, lcm

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

LEAST_FINENESS = 100_000
"""Weights are kept exactly where a period of so many turns holds them, however few are taken."""

BLOCK = 1 << 14
"""Turns that are worked out at once."""


def shares_of(weights: Sequence[float], rows: int) -> list[int]:
    """Weights as the smallest whole numbers in the same proportion, each at least 1.

    Decimal weights are kept exactly as written. Those that need too long a period are rounded
    (largest remainders), so finely that over `rows` turns it is less than the room that
    `Turns` leaves, up to tens of millions of them.
    """
    exact = [Fraction(repr(weight)) for weight in weights]
    total = sum(exact)
    shares = [weight / total for weight in exact]
    period = lcm(*(share.denominator for share in shares))
    slack = _slack(len(shares))
    finest = max(LEAST_FINENESS, min(4 * slack * rows, isqrt((1 << 61) // max(1, slack))))
    if period > finest:
        whole = [max(1, int(share * finest)) for share in shares]
        remainders = sorted(range(len(shares)), key=lambda i: (whole[i] - shares[i] * finest, i))
        for i in remainders[: max(0, finest - sum(whole))]:
            whole[i] += 1
    else:
        whole = [int(share * period) for share in shares]
    common = gcd(*whole)
    return [number // common for number in whole]


def _slack(members: int) -> int:
    return 2 * members - 2


class Turns:
    """An order of turns in which, after every n turns, each has had n * share / period of them to
    within 1 - 1 / (2 * members - 2).

    Tijdeman's algorithm (The chairman assignment problem, 1980): among those whose lead over their
    share leaves room for a turn, the one that must have it soonest. Only the first `most` turns
    can be asked for.
    """

    def __init__(self, shares: Sequence[int], most: int) -> None:
        self._shares = np.array(shares, np.int64)
        self._period = sum(shares)
        self._length = min(self._period, most)
        self._taken = np.zeros((-(-self._length // BLOCK) + 1, len(shares)), np.int64)
        for number in range(len(self._taken) - 1):
            self._taken[number + 1] = self._taken[number]
            self._take(number, self._taken[number + 1])
        self._held: tuple[int, Int64Array, Int64Array] | None = None

    def at(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Whose the turns with these numbers are, counted from 0, and how many turns that member
        had before; each shaped like them."""
        periods, rest = np.divmod(numbers, self._period)
        whose, before = np.empty_like(numbers), np.empty_like(numbers)
        blocks = rest // BLOCK
        for block in np.unique(blocks).tolist():
            mine = blocks == block
            turns, earlier = self._block(block)
            whose[mine] = turns[rest[mine] - block * BLOCK]
            before[mine] = earlier[rest[mine] - block * BLOCK]
        before += periods * self._shares[whose]
        return whose, before

    def taken(self, number: int) -> Int64Array:
        """How many turns each member has had before a turn; shape [members]."""
        periods, rest = divmod(number, self._period)
        block = rest // BLOCK
        counts: Int64Array = self._taken[block] + periods * self._shares
        if rest % BLOCK:
            turns = self._block(block)[0][: rest % BLOCK]
            counts += np.bincount(turns, minlength=len(self._shares))
        return counts

    def place(self, member: int, count: int) -> int | None:
        """The number of the turn before which a member has had so many; None if it is too late."""
        periods, rest = divmod(count, int(self._shares[member]))
        if self._length < self._period and count >= self._taken[-1, member]:
            return None
        block = int(np.searchsorted(self._taken[:, member], rest, side="right")) - 1
        turns, before = self._block(block)
        within = np.flatnonzero((turns == member) & (before == rest))[0]
        return periods * self._period + block * BLOCK + int(within)

    def _block(self, number: int) -> tuple[Int64Array, Int64Array]:
        """Whose turns they are, and how many each had before."""
        if self._held is None or self._held[0] != number:
            self._held = number, *self._take(number, self._taken[number].copy())
        return self._held[1:]

    def _take(self, block: int, taken: Int64Array) -> tuple[Int64Array, Int64Array]:
        first = block * BLOCK
        lead = first * self._shares - taken * self._period
        turns, before = np.empty((2, min(BLOCK, self._length - first)), np.int64)
        take_turns(self._shares, lead, taken, turns, before)
        return turns, before


@numba.njit(cache=True, nogil=True)
def take_turns(
    shares: Int64Array, lead: Int64Array, taken: Int64Array, turns: Int64Array, before: Int64Array
) -> None:
    """Fill in the next turns. `lead` is what each has a right to beyond what it has taken, times
    the period, and `taken` how many turns it had; both, of shape [members], are moved on."""
    period = shares.sum()
    slack = 2 * len(shares) - 2
    for n in range(len(turns)):
        best = 0
        due = np.int64(0)  # when it must have its turn, times its share, from now on
        found = slack == 0
        for i in range(len(shares)):
            lead[i] += shares[i]
            if lead[i] * slack < period:
                continue
            mine = (slack - 1) * period - slack * lead[i]
            if not found or mine * shares[best] < due * shares[i]:
                best, due, found = i, mine, True
        turns[n] = best
        before[n] = taken[best]
        taken[best] += 1
        lead[best] -= period
