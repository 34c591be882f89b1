"""Which of many short texts occur in a text: an index of their word n-grams, by hash."""

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.filters.shingles import Hashes, shingle_hashes, word_hashes

SHORTEST = 8
"""Words. An entry with fewer is left out: `yes`, `add two numbers` are in innocent texts too. The
smallest n that GPT-3 used (Brown et al. 2020, appendix C)."""


class OverlapIndex:
    """Short texts (entries), to be looked for in long ones.

    An entry is the set of its runs of `ngram` words; one with fewer words is a single run of its
    own length. Needs about 40 bytes for each distinct run.
    """

    def __init__(self, entries: list[str], ngram: int) -> None:
        found = word_hashes(pa.array(entries, pa.large_string()))
        runs: list[Hashes] = []
        lengths = set()
        for first, last in zip(found.offsets[:-1], found.offsets[1:], strict=True):
            length = min(ngram, int(last - first))
            if last - first < SHORTEST:
                runs.append(np.zeros(0, np.uint64))
                continue
            lengths.add(length)
            runs.append(np.unique(shingle_hashes(found.hashes[first:last], length)))
        self.lengths = sorted(lengths)
        """The lengths of runs that occur, in words."""
        self.sizes = np.array([len(run) for run in runs], np.int64)
        """Distinct runs of each entry, 0 where it was left out; shape [entries]."""
        every = np.concatenate([np.zeros(0, np.uint64), *runs])
        owner = np.repeat(np.arange(len(runs)), self.sizes)
        self._keys, key_of_run = np.unique(every, return_inverse=True)
        order = np.argsort(key_of_run, kind="stable")
        self._owners = owner[order]
        self._starts = np.searchsorted(key_of_run[order], np.arange(len(self._keys) + 1))
        self._slots = _hash_table(self._keys)

    def best(self, words: Hashes) -> tuple[int, float] | None:
        """The entry with the largest share of its runs in a text, given by its words' hashes.

        Returns (entry, share), the first such entry, or None where no run of any entry occurs.
        """
        hits = [
            _find(shingle_hashes(words, length), self._keys, self._slots) for length in self.lengths
        ]
        keys = np.unique(np.concatenate([np.zeros(0, np.int64), *hits]))
        if not len(keys):
            return None
        owners = [self._owners[self._starts[key] : self._starts[key + 1]] for key in keys]
        entries, runs = np.unique(np.concatenate(owners), return_counts=True)
        shares = runs / self.sizes[entries]
        best = int(np.argmax(shares))
        return int(entries[best]), float(shares[best])


@numba.njit(cache=True)
def _hash_table(keys: Hashes) -> npt.NDArray[np.int64]:
    """Open addressing, at most half full: positions in `keys`, -1 where free."""
    size = 2
    while size < 2 * len(keys):
        size *= 2
    slots = np.full(size, -1, np.int64)
    for i in range(len(keys)):
        slot = np.int64(keys[i] & np.uint64(size - 1))
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = i
    return slots


@numba.njit(cache=True, nogil=True)
def _find(wanted: Hashes, keys: Hashes, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The positions in `keys` of the wanted hashes that are there."""
    found = np.empty(len(wanted), np.int64)
    n = 0
    last = len(slots) - 1
    for value in wanted:
        slot = np.int64(value & np.uint64(last))
        while slots[slot] >= 0:
            if keys[slots[slot]] == value:
                found[n] = slots[slot]
                n += 1
                break
            slot = (slot + 1) & last
    return found[:n]
