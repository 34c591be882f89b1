"""An n-gram language model: interpolated modified Kneser-Ney over exact hashed counts.

Chen and Goodman 1998 (TR-10-98), equation 27, with one set of three discounts for each order. The
model holds integers only; probabilities are computed from them when a text is scored. Training is
therefore a pure function of the windows and their counts, in whatever order they were found.

The tables hash by open addressing; an entry carries 32 bits of its key beside those that its slot
stands for. N-grams shorter than the order have (uint32 each) key, adjusted count, and what follows
them: the sum of the adjusted counts of their continuations, and how many continuations have the
count 1, 2, 3 and more. N-grams of full length have key and count. Where count and sum are 0 there
is no entry.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill import storage
from corpusmill.errors import RunError
from corpusmill.filters.ngram_counts import SEED, extend, windows_of
from corpusmill.filters.ngram_text import hash_words

FloatArray = npt.NDArray[np.float64]

FORMAT = "corpusmill-ngram-1"
VOCABULARY = 1 << 20
"""Words that there are, seen or not: what is left over for words without evidence is shared evenly
by so many. It is the same for all models, or perplexities under two of them could not be compared:
the one that has seen fewer words would give more to each that it has not."""
MAXIMUM_LOAD = 0.75
"""Entries per slot, by plan; linear probing then looks at 2.5 entries to find one on average
(Knuth 1973, section 6.4)."""

_KEY, _COUNT, _SUM, _ONES, _TWOS, _MORE = range(6)
_ENTRY, _FULL = 6, 2  # numbers in an entry of each table


@numba.njit(cache=True, nogil=True, inline="always")
def _find(entries: Any, shift: Any, key: Any) -> Any:
    """Slot of the n-gram with this key, else -(free slot) - 1."""
    low = np.uint32(key)
    slot = np.int64(key >> shift)
    mask = len(entries) - 1
    while entries[slot, _COUNT] != 0 or entries[slot, _SUM] != 0:
        if entries[slot, _KEY] == low:
            return slot
        slot = (slot + 1) & mask
    return -slot - 1


@numba.njit(cache=True, nogil=True, inline="always")
def _find_full(full: Any, shift: Any, key: Any) -> Any:
    """The same for n-grams of full length."""
    low = np.uint32(key)
    slot = np.int64(key >> shift)
    mask = len(full) - 1
    while full[slot, _COUNT] != 0:
        if full[slot, _KEY] == low:
            return slot
        slot = (slot + 1) & mask
    return -slot - 1


@numba.njit(cache=True, nogil=True)
def _mark(windows: Any, bits: Any) -> None:
    """Set the bit of each n-gram below the full length (linear counting)."""
    shift = np.uint64(64 - int(np.log2(len(bits) * 8)))
    order = windows.shape[1]
    for row in range(len(windows)):
        key = SEED
        for k in range(order - 1):
            key = extend(key, windows[row, order - 1 - k])
            place = key >> shift
            bits[place >> np.uint64(3)] |= np.uint8(np.uint64(1) << (place & np.uint64(7)))


@numba.njit(cache=True, nogil=True, inline="always")
def _follow(entries: Any, slot: Any, before: Any) -> None:
    """The adjusted count of one continuation went from `before` to `before` + 1."""
    entries[slot, _SUM] += 1
    if before == 0:
        entries[slot, _ONES] += 1
    elif before == 1:
        entries[slot, _ONES] -= 1
        entries[slot, _TWOS] += 1
    elif before == 2:
        entries[slot, _TWOS] -= 1
        entries[slot, _MORE] += 1


@numba.njit(cache=True, nogil=True)
def _fill(windows: Any, counts: Any, entries: Any, full: Any, empty: Any, classes: Any) -> Any:
    """Enter every window once, as long as there is room; returns how many rows were entered.

    `empty` is the entry of the n-gram of length 0, `classes` the counts of counts: how many n-grams
    of each length have the adjusted count 1, 2, 3, 4. A window that is new adds one to the adjusted
    count of the n-gram without its first word; only if that was new too does it add to the next
    shorter one (Kneser-Ney counts distinct left neighbours).
    """
    order = windows.shape[1]
    shift = np.uint64(64 - int(np.log2(len(entries))))
    full_shift = np.uint64(64 - int(np.log2(len(full))))
    room = len(entries) - len(entries) // 16
    contexts = np.empty(order, np.uint64)  # contexts[n]: key of the n words before the last
    keys = np.empty(order + 1, np.uint64)  # keys[n]: key of the last n words
    contexts[0] = SEED
    keys[0] = SEED
    for row in range(len(windows)):
        if room < 2 * order:
            return row
        for n in range(1, order + 1):
            keys[n] = extend(keys[n - 1], windows[row, order - n])
        for n in range(1, order):
            contexts[n] = extend(contexts[n - 1], windows[row, order - 1 - n])

        slot = _find_full(full, full_shift, keys[order])
        if slot < 0:
            slot = -slot - 1
            full[slot, _KEY] = np.uint32(keys[order])
        full[slot, _COUNT] += counts[row]
        classes[order, min(counts[row], 5)] += 1
        slot = _find(entries, shift, contexts[order - 1])
        if slot < 0:
            slot = -slot - 1
            entries[slot, _KEY] = np.uint32(contexts[order - 1])
            room -= 1
        entries[slot, _SUM] += counts[row]
        entries[slot, _ONES + min(counts[row], 3) - 1] += 1

        for n in range(order - 1, 0, -1):
            slot = _find(entries, shift, keys[n])
            if slot < 0:
                slot = -slot - 1
                entries[slot, _KEY] = np.uint32(keys[n])
                room -= 1
            before = entries[slot, _COUNT]
            entries[slot, _COUNT] = before + 1
            if before < 5:
                classes[n, before] -= 1
                classes[n, before + 1] += 1
            if n == 1:
                _follow(empty, 0, before)
            else:
                slot = _find(entries, shift, contexts[n - 1])
                if slot < 0:
                    slot = -slot - 1
                    entries[slot, _KEY] = np.uint32(contexts[n - 1])
                    room -= 1
                _follow(entries, slot, before)
            if before > 0:
                break
    return len(windows)


@numba.njit(cache=True, nogil=True)
def _score(
    words: Any, offsets: Any, entries: Any, full: Any, empty: Any, discounts: Any, sums: Any,
    unknown: Any,
) -> None:  # fmt: skip
    """Sum of log probabilities of each text, and its number of words never seen."""
    order = len(discounts) - 1
    shift = np.uint64(64 - int(np.log2(len(entries))))
    full_shift = np.uint64(64 - int(np.log2(len(full))))
    unigram = empty[0, _SUM:]  # what may follow no context: all words
    # Slots of the n-grams that end at the last word and at this one, by length; -1: not there.
    last = np.empty(order, np.int64)
    here = np.empty(order, np.int64)
    for document in range(len(offsets) - 1):
        start = offsets[document]
        key = SEED
        for n in range(1, order):
            key = extend(key, np.uint32(0))
            last[n] = _find(entries, shift, key)
        total = 0.0
        for i in range(start, offsets[document + 1]):
            p = 1.0 / VOCABULARY  # before any evidence
            key = SEED
            seen = True
            follow, ones, twos, more = unigram[0], unigram[1], unigram[2], unigram[3]
            for n in range(1, order + 1):
                if n > 1:
                    before = last[n - 1]
                    if before < 0:
                        for m in range(n, order):
                            here[m] = -1
                        break
                    follow, ones = entries[before, _SUM], entries[before, _ONES]
                    twos, more = entries[before, _TWOS], entries[before, _MORE]
                count = np.uint32(0)
                slot = np.int64(-1)
                if seen:
                    place = i - n + 1
                    key = extend(key, words[place] if place >= start else np.uint32(0))
                    if n == order:
                        slot = _find_full(full, full_shift, key)
                        if slot >= 0:
                            count = full[slot, _COUNT]
                    else:
                        slot = _find(entries, shift, key)
                        if slot >= 0:
                            count = entries[slot, _COUNT]
                    seen = slot >= 0
                if n < order:
                    here[n] = slot
                if n == 1 and count == 0:
                    unknown[document] += 1
                if follow > 0:
                    left = discounts[n, 1] * ones + discounts[n, 2] * twos + discounts[n, 3] * more
                    p = (count - discounts[n, min(count, np.uint32(3))] + left * p) / follow
            total += np.log(p)
            last, here = here, last
        sums[document] = total


def _slots(entries: float) -> int:
    return 1 << max(4, int(np.ceil(np.log2(max(entries, 1) / MAXIMUM_LOAD))))


def _distinct_below(windows: npt.NDArray[np.uint32]) -> float:
    """How many n-grams below the full length there are, to 1 % (Whang et al. 1990)."""
    n_bits = max(1 << 10, _slots(len(windows) * windows.shape[1]))
    bits = np.zeros(n_bits // 8, np.uint8)
    _mark(windows, bits)
    empty = n_bits - int(np.bitwise_count(bits).sum())
    return n_bits * float(np.log(n_bits / max(empty, 1)))


def discounts_from(counts: list[int]) -> list[float]:
    """Discounts for the counts 0, 1, 2 and more, from how many n-grams have the count 1 to 4.

    Chen and Goodman's estimate. Where a text is too small for it (a class is empty, or a discount
    comes out negative or larger than its count) the fixed ones that KenLM falls back to.
    """
    n1, n2, n3, n4 = counts[1:5]
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        found = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        if all(0 < d <= k for k, d in enumerate(found) if k):
            return found
    return [0.0, 0.5, 1.0, 1.5]


@dataclass(frozen=True, kw_only=True)
class TextScores:
    """Measures of texts; all of shape [documents]."""

    log_probability: FloatArray
    """Natural logarithm for a word, the mean over the text. A text without words has that
    of a word about which nothing is known, 1 / VOCABULARY."""
    unknown: FloatArray
    """Share of words that the model has never seen; 1 for a text without words."""

    @property
    def perplexity(self) -> FloatArray:
        """Per word."""
        return np.exp(-self.log_probability)


@dataclass(frozen=True, kw_only=True)
class NgramModel:
    """A trained model: integer tables that a memory map can hold."""

    order: int
    numbers: npt.NDArray[np.uint32]
    """All tables, one after the other."""
    slots: tuple[int, int]
    """Of the table of shorter n-grams and of that of n-grams of full length: powers of two."""
    counts_of_counts: list[list[int]]
    """By length of the n-gram and its adjusted count (5 and more is not used); what the discounts
    come from. Shape [order + 1, 6]."""

    @classmethod
    def train(cls, counted: pa.Table, order: int) -> "NgramModel":
        """The model of counted windows (`fold_windows`).

        Memory: 8 bytes for each distinct window and 24 for each shorter n-gram, divided by a load
        between 0.37 and 0.75.
        """
        windows, counts = windows_of(counted, order)
        planned = _distinct_below(windows) + 4 * order
        slots = _slots(planned), _slots(len(windows) + 1)
        model = cls(
            order=order,
            numbers=np.zeros(_ENTRY * (1 + slots[0]) + _FULL * slots[1], np.uint32),
            slots=slots,
            counts_of_counts=[],
        )
        classes = np.zeros((order + 1, 6), np.int64)
        tables = model.entries, model.full, model.empty
        if _fill(windows, counts, *tables, classes) < len(windows):
            raise RunError(f"n-gram table is past its planned occupancy of {planned:.0f} entries")
        return replace(model, counts_of_counts=classes.tolist())

    @cached_property
    def empty(self) -> npt.NDArray[np.uint32]:
        """The entry of the n-gram of length 0: all words follow it; shape [1, 6]."""
        return self.numbers[:_ENTRY].reshape(1, _ENTRY)

    @cached_property
    def entries(self) -> npt.NDArray[np.uint32]:
        """N-grams below the full length; shape [slots, 6]."""
        return self.numbers[_ENTRY : _ENTRY * (1 + self.slots[0])].reshape(-1, _ENTRY)

    @cached_property
    def full(self) -> npt.NDArray[np.uint32]:
        """N-grams of full length; shape [slots, 2]."""
        return self.numbers[_ENTRY * (1 + self.slots[0]) :].reshape(-1, _FULL)

    @cached_property
    def discounts(self) -> FloatArray:
        """By length of the n-gram and its count (0, 1, 2, 3 and more); shape [order + 1, 4]."""
        return np.array([discounts_from(counts) for counts in self.counts_of_counts])

    def score(self, texts: pa.Array) -> TextScores:
        """Judge texts: linear time, one pass."""
        return self.score_words(*hash_words(texts))

    def score_words(
        self, words: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64]
    ) -> TextScores:
        """Judge texts that are words already (`hash_words`): several models share one such pass."""
        n = len(offsets) - 1
        sums, unknown = np.zeros(n), np.zeros(n, np.int64)
        _score(words, offsets, self.entries, self.full, self.empty, self.discounts, sums, unknown)
        lengths = np.diff(offsets)
        blank = lengths == 0
        sums[blank], unknown[blank] = -np.log(VOCABULARY), 1
        lengths = np.maximum(lengths, 1)
        return TextScores(log_probability=sums / lengths, unknown=unknown / lengths)

    def write(self, path: str) -> None:
        """Store the model as one Arrow file of integers."""
        about = {
            "format": FORMAT,
            "order": self.order,
            "slots": self.slots,
            "counts_of_counts": self.counts_of_counts,
        }
        table = pa.table({"numbers": pa.array(self.numbers)})
        storage.write_ipc(path, table, {"model": json.dumps(about)})

    @classmethod
    def read(cls, path: str) -> "NgramModel":
        """Open a stored model; a local one stays on disk and is shared by all who map it."""
        table = storage.read_ipc(path)
        about = json.loads((table.schema.metadata or {}).get(b"model", b"{}"))
        if about.get("format") != FORMAT:
            raise RunError(f"{path} is not an n-gram model of format {FORMAT}")
        return cls(
            order=about["order"],
            numbers=table.column("numbers").chunk(0).to_numpy(),
            slots=tuple(about["slots"]),
            counts_of_counts=about["counts_of_counts"],
        )
