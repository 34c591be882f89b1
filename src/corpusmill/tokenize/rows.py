"""Rows of tokens as arrays, copied out of the memory maps of shards in one pass."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba import carray  # type: ignore[attr-defined]
from numba.core import types
from numba.extending import intrinsic

from corpusmill.errors import RunError
from corpusmill.tokenize.packing import Segments
from corpusmill.tokenize.shards import SplitTokens

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]

IGNORED = -100
"""A target where there is nothing to predict: after the last token of a row that is not full.
torch's cross-entropy leaves it out."""


class Batch(NamedTuple):
    """Arrays that belong to the caller, each of shape [rows, context]."""

    inputs: Int64Array
    """What the model reads: before each target the token that it follows. A document's first token
    follows the end-of-text token, which is thus the beginning of every document."""
    targets: Int64Array
    """What it is to predict, or IGNORED."""
    documents: Int32Array | None
    """Number of the document within its row that an input belongs to, from 0; padding is a document
    of its own. None unless it was asked for."""


class RowReader:
    """Reads rows of `context` tokens from the shards of a split."""

    def __init__(self, split: SplitTokens, context: int, *, documents: bool) -> None:
        self._split = split
        self._context = context
        self._documents = documents
        self._places = np.zeros(len(split.shards), np.int64)

    def __getstate__(self) -> dict[str, Any]:
        # another process maps the files elsewhere
        return self.__dict__ | {"_places": np.zeros_like(self._places)}

    def read(self, segments: Segments, rows: int) -> Batch:
        """The rows 0 .. rows - 1 that these segments fill; raises RunError for damaged shards."""
        context = self._context
        places = self._places[segments.shard]
        if not places.all():
            for shard in np.unique(segments.shard[places == 0]).tolist():
                self._places[shard] = self._split.reader(shard).place
            places = self._places[segments.shard]
        token = self._split.manifest.tokenizer
        kind = np.zeros(0, token.dtype)
        numbers = np.empty((rows if self._documents else 0, context), np.int32)
        first, end, row = segments.first, segments.end, segments.row
        if len(row) == rows and bool((end - first == context).all()):
            # rows of one segment: one array serves for both, a target is the next input
            block = np.empty((rows, context + 1), np.int64)
            largest = _read_full(places, kind, first, block, numbers, token.end_of_text)
            inputs, targets = block[:, :-1], block[:, 1:]
        else:
            inputs, targets = np.empty((2, rows, context), np.int64)
            largest = _read_packed(
                places, kind, row, first, end, inputs, targets, numbers, token.end_of_text
            )
        if largest >= token.vocab_size:
            raise RunError(
                f"{self._split.folder} is damaged: token {largest} is not in the vocabulary. "
                "Make the shards again, or copy them again"
            )
        return Batch(inputs, targets, numbers if self._documents else None)


def _to_pointer(_: Any, place: Any) -> Any:

    def make(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(place), make


_pointer: Any = intrinsic(_to_pointer)
"""A memory address, given as an int64, as a pointer: numba's arrays are made of those."""


@numba.njit(cache=True, nogil=True)
def _read_full(
    places: Int64Array,
    kind: npt.NDArray[Any],
    first: Int64Array,
    block: Int64Array,
    numbers: Int32Array,
    end_of_text: int,
) -> int:
    """Rows of one segment, each with the token before it; returns the largest token."""
    largest = 0
    for row in range(len(first)):
        begin = first[row]
        values = carray(_pointer(places[row]), (begin + block.shape[1],), kind.dtype)
        line = block[row]
        # before the first document of a shard there is no token: documents begin after one
        line[0] = end_of_text if begin == 0 else values[begin - 1]
        largest = max(largest, _copy(values, begin, line[1:]))
        if len(numbers):
            _number(line[:-1], numbers[row], end_of_text)
    return largest


@numba.njit(cache=True, nogil=True)
def _copy(values: npt.NDArray[Any], begin: int, out: Int64Array) -> int:
    """Widen values from `begin` on into `out`; returns the largest. Both loops are vectorized."""
    for place in range(len(out)):
        out[place] = values[begin + place]
    largest = values[begin]
    for place in range(len(out)):
        if values[begin + place] > largest:
            largest = values[begin + place]
    return int(largest)


@numba.njit(cache=True, nogil=True)
def _number(inputs: Int64Array, numbers: Int32Array, end_of_text: int) -> None:
    document = np.int32(0)
    numbers[0] = 0
    for place in range(1, len(inputs)):
        document += np.int32(inputs[place] == end_of_text)
        numbers[place] = document


@numba.njit(cache=True, nogil=True)
def _read_packed(
    places: Int64Array,
    kind: npt.NDArray[Any],
    rows: Int64Array,
    first: Int64Array,
    end: Int64Array,
    inputs: Int64Array,
    targets: Int64Array,
    numbers: Int32Array,
    end_of_text: int,
) -> int:
    """Rows of any segments, padded where they are not full; returns the largest token."""
    largest = end_of_text
    segment = 0
    for row in range(len(inputs)):
        filled = 0
        document = np.int32(-1)
        while segment < len(rows) and rows[segment] == row:
            begin, length = first[segment], end[segment] - first[segment]
            values = carray(_pointer(places[segment]), (end[segment],), kind.dtype)
            stop = filled + length
            largest = max(largest, _copy(values, begin, targets[row, filled:stop]))
            inputs[row, filled] = end_of_text if begin == 0 else values[begin - 1]
            inputs[row, filled + 1 : stop] = targets[row, filled : stop - 1]
            if len(numbers):
                numbers[row, filled] = 0
                _number(inputs[row, filled:stop], numbers[row, filled:stop], end_of_text)
                numbers[row, filled:stop] += document + np.int32(1)
                document = numbers[row, stop - 1]
            filled = stop
            segment += 1
        inputs[row, filled:] = end_of_text
        targets[row, filled:] = IGNORED
        if len(numbers):
            numbers[row, filled:] = document + 1
    return largest
