"""From text to tokens and back, a batch of documents at a time.

The library that encodes is known to this file only.
"""

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.errors import RunError
from corpusmill.tokenize.vocabulary import Vocabulary

PIECE_CHARACTERS = 1 << 20
"""Text that the library gets at once: it needs some hundred bytes of memory per token."""

CUT_WINDOW = 4096
"""Characters before the end of a piece in which a place to cut is looked for."""

_BETWEEN_WORDS = re.compile(r"(?<=\S)(?= \S)")


class Encoder:
    """Encodes and decodes with one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._tokenizer = vocabulary.tokenizer()
        self._dtype = np.dtype(vocabulary.dtype)

    def encode(self, texts: pa.Array) -> pa.ListArray:
        """Tokens of each text, with the end-of-text token after them; one row per text.

        The result is list<uint16> or list<uint32>, by the vocabulary's size. Names of special
        tokens in a text are encoded as the characters they are.
        """
        lengths = np.zeros(len(texts), np.int64)
        blocks: list[npt.NDArray[np.generic]] = []
        end = np.array([self.vocabulary.end_of_text], self._dtype)
        for rows, pieces, last in _groups(texts):
            encodings = self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
            for row, encoding, is_last in zip(rows, encodings, last, strict=True):
                tokens = np.array(encoding.ids, self._dtype)
                blocks.append(tokens)
                lengths[row] += len(tokens)
                if is_last:
                    blocks.append(end)
                    lengths[row] += 1
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        if offsets[-1] > np.iinfo(np.int32).max:
            raise RunError(f"{offsets[-1]} tokens in one batch: make part_mb smaller")
        values = np.concatenate(blocks) if blocks else np.zeros(0, self._dtype)
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))

    def decode(self, tokens: npt.NDArray[np.generic]) -> str:
        """The text of one document's tokens; a final end-of-text token is left out."""
        ids = tokens.tolist()
        if ids and ids[-1] == self.vocabulary.end_of_text:
            ids.pop()
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text


def _groups(texts: pa.Array) -> Iterator[tuple[list[int], list[str], list[bool]]]:
    """Pieces of the texts in order, in groups of bounded size: (row, piece, is its row's last)."""
    rows: list[int] = []
    pieces: list[str] = []
    last: list[bool] = []
    held = 0
    for row, text in enumerate(texts):
        for piece, is_last in cut_text(text.as_py()):
            rows.append(row)
            pieces.append(piece)
            last.append(is_last)
            held += len(piece)
            if held >= PIECE_CHARACTERS:
                yield rows, pieces, last
                rows, pieces, last, held = [], [], [], 0
    if rows:
        yield rows, pieces, last


def cut_text(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces of at most PIECE_CHARACTERS; each with whether it is the last.

    Cut before a single space between words, where byte-level BPE cuts anyway, so that the tokens
    are those of the whole text; a text without such a place is cut anywhere, which decodes as well.
    """
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = start + PIECE_CHARACTERS
        window = end - CUT_WINDOW
        for match in _BETWEEN_WORDS.finditer(text, window, end):
            end = match.start()
        yield text[start:end], False
        start = end
    yield text[start:], True
