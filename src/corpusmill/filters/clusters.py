"""Which near-duplicates to remove, from band keys and signatures: stars, never chains.

Documents are rows in their order of preference: row 0 is the one to keep first. Rows with an equal
band key may be similar, rows whose signatures say so are, and in the order of preference a document
is removed if and only if it is similar to a better one **that is kept**. A removed document removes
nobody.

One band is looked at at a time, and signatures are fetched for proposed pairs only. Resident are
the keys of one band and three small numbers for each document, and 8 bytes for each proposed pair;
time grows linearly with documents and pairs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.filters.banding import Banding
from corpusmill.filters.shingles import Shingling
from corpusmill.filters.signatures import BINS, StoredBins, signatures, similarity

Rows = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.uint64]
"""Sorted: number of the worse row << 32 | number of the better one."""

BUCKET = 64
"""Rows with one band key of which all pairs are tried; further ones are tried against the best 64.
A template that many pages share must not make a quadratic number of pairs."""

PARTITION = 2048
"""Keys that are grouped at a time: their hash table stays in the processor's nearest caches."""

VERIFIED_AT_ONCE = 1 << 15
"""Pairs whose signatures are fetched together: at most 32 MiB of them."""


@dataclass(frozen=True)
class Removed:
    """Near-duplicates, by row; all arrays are of shape [removed]."""

    rows: Rows
    kept: Rows
    """The best-ranked kept row that each is similar to."""
    similarity: npt.NDArray[np.float64]


def near_duplicates(
    bands: Iterable[npt.NDArray[np.int64]],
    fetch: Callable[[Rows], StoredBins],
    threshold: float,
) -> Removed:
    """The rows to remove.

    `bands` gives, for each band, the keys of all rows; `fetch` the stored signatures of some rows,
    which it is asked for in ascending order.
    """
    least = least_equal(threshold)
    seen = np.zeros(0, np.uint64)
    edges = [seen]
    equal = [np.zeros(0, np.int64)]
    for keys in bands:
        proposed = np.sort(candidate_pairs(keys))
        place = np.searchsorted(seen, proposed)
        known = np.zeros(len(proposed), np.bool_)
        inside = place < len(seen)
        known[inside] = seen[place[inside]] == proposed[inside]
        new = proposed[~known]
        seen = np.insert(seen, place[~known], new)
        for start in range(0, len(new), VERIFIED_AT_ONCE):
            pairs = new[start : start + VERIFIED_AT_ONCE]
            found = equal_bins(pairs, fetch)
            edges.append(pairs[found >= least])
            equal.append(found[found >= least])
    pairs = np.concatenate(edges)
    order = np.argsort(pairs)
    pairs = pairs[order]
    removing = _first_kept(pairs)
    pairs = pairs[removing]
    return Removed(
        rows=_worse(pairs),
        kept=_better(pairs),
        similarity=similarity(np.concatenate(equal)[order][removing]),
    )


def least_equal(threshold: float) -> int:
    """The smallest number of equal stored bins whose similarity reaches the threshold."""
    reached = similarity(np.arange(BINS + 1)) >= threshold - 1e-9
    return int(np.argmax(reached))


def equal_bins(pairs: Pairs, fetch: Callable[[Rows], StoredBins]) -> Rows:
    """How many stored bins the two rows of each pair have in common; shape [pairs]."""
    worse, better = _worse(pairs), _better(pairs)
    wanted = np.unique(np.concatenate([worse, better]))
    bins = fetch(wanted)
    return _count_equal(bins, np.searchsorted(wanted, worse), np.searchsorted(wanted, better))


def keep_mask(
    texts: pa.Array, shingling: Shingling, banding: Banding, threshold: float
) -> npt.NDArray[np.bool_]:
    """Which texts to keep so that of similar ones only the best is left; see `kept_instead`."""
    instead = kept_instead(texts, shingling, banding, threshold)
    return np.equal(instead, np.arange(len(texts)))


def kept_instead(texts: pa.Array, shingling: Shingling, banding: Banding, threshold: float) -> Rows:
    """For each text the number of the one that is kept for it: its own number, when it is kept.

    Preferred is the longest, and of equally long ones the first. Texts with the same words are
    copies of the first of them, and share its fate.
    """
    found = signatures(texts, shingling, banding)
    order = np.lexsort((np.arange(len(texts)), -found.units))
    _, first, group = np.unique(
        found.content[order], axis=0, return_index=True, return_inverse=True
    )
    kept = np.empty(len(texts), np.int64)
    kept[order] = order[first[group]]
    originals = order[np.sort(first)]
    originals = originals[found.has_shingles[originals]]
    bands = (found.keys[originals, band] for band in range(banding.bands))
    near = near_duplicates(bands, lambda rows: found.bins[originals[rows]], threshold)
    fate = np.arange(len(texts))
    fate[originals[near.rows]] = originals[near.kept]
    return fate[kept]


def _worse(pairs: Pairs) -> Rows:
    return (pairs >> np.uint64(32)).astype(np.int64)


def _better(pairs: Pairs) -> Rows:
    return (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def candidate_pairs(keys: npt.NDArray[np.int64]) -> Pairs:
    """Each row with each better row of the same key, at most the best BUCKET of them; unsorted."""
    parts_bits = max(len(keys) // PARTITION, 1).bit_length() - 1
    return _candidate_pairs(keys.view(np.uint64), parts_bits)


@numba.njit(cache=True, nogil=True)
def _candidate_pairs(keys: npt.NDArray[np.uint64], parts_bits: int) -> Pairs:
    """Rows are dealt to parts by the top bits of their keys, in their order; parts are grouped.

    In a part, a table finds the first row of each key, and rows of a key are linked in their order.
    """
    parts = 1 << parts_bits
    ends = np.zeros(parts + 1, np.int64)
    for key in keys:
        ends[_part(key, parts_bits) + 1] += 1
    largest = np.max(ends)
    for part in range(parts):
        ends[part + 1] += ends[part]
    dealt = np.empty(len(keys), np.uint32)
    free = ends[:-1].copy()
    for row in range(len(keys)):
        place = _part(keys[row], parts_bits)
        dealt[free[place]] = row
        free[place] += 1
    slots = 1
    while slots < 2 * largest:
        slots *= 2
    table = np.empty(slots, np.int64)
    following = np.empty(largest, np.int64)
    last = np.empty(largest, np.int64)
    members = np.empty(largest, np.int64)
    out = np.empty(1024, np.uint64)
    n = 0
    for part in range(parts):
        rows = dealt[ends[part] : ends[part + 1]]
        table[:] = -1
        for i in range(len(rows)):
            key = keys[rows[i]]
            slot = np.int64(key & np.uint64(slots - 1))
            while table[slot] >= 0 and keys[rows[table[slot]]] != key:
                slot = (slot + 1) & (slots - 1)
            first = table[slot]
            following[i] = -1
            if first < 0:
                table[slot] = last[i] = i
                members[i] = 1
                continue
            if n + BUCKET > len(out):
                grown = np.empty(2 * len(out), np.uint64)
                grown[:n] = out[:n]
                out = grown
            better = first
            for _ in range(min(members[first], BUCKET)):
                out[n] = np.uint64(rows[i]) << np.uint64(32) | np.uint64(rows[better])
                n += 1
                better = following[better]
            following[last[first]] = i
            last[first] = i
            members[first] += 1
    return out[:n].copy()


@numba.njit(cache=True)
def _part(key: np.uint64, parts_bits: int) -> np.int64:
    return np.int64((key >> np.uint64(1)) >> np.uint64(63 - parts_bits))


@numba.njit(cache=True, nogil=True)
def _count_equal(bins: StoredBins, one: Rows, other: Rows) -> Rows:
    counts = np.empty(len(one), np.int64)
    for pair in range(len(one)):
        left = bins[one[pair]]
        right = bins[other[pair]]
        equal = np.int64(0)
        for i in range(len(left)):
            equal += left[i] == right[i]
        counts[pair] = equal
    return counts


@numba.njit(cache=True, nogil=True)
def _first_kept(pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Which of the sorted pairs remove their worse row; each is removed once, by the best row."""
    low = np.uint64(0xFFFFFFFF)
    removed = np.zeros(np.int64(pairs[-1] >> np.uint64(32)) + 1 if len(pairs) else 0, np.bool_)
    removing = np.zeros(len(pairs), np.bool_)
    for i in range(len(pairs)):
        worse = np.int64(pairs[i] >> np.uint64(32))
        if not removed[worse] and not removed[np.int64(pairs[i] & low)]:
            removed[worse] = True
            removing[i] = True
    return removing
