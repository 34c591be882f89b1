"""From text to tokens and back, a batch of documents at a time.

The tokens are those of `tokenizers` for the whole text, whoever encodes: `corpusmill.tokenize.fast`
where it can, else that library itself.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.errors import RunError
from corpusmill.tokenize.fast import FastEncoder, fast_encoder
from corpusmill.tokenize.pretokens import PATTERNS, Digits, Whitespace, pattern_for, pattern_of
from corpusmill.tokenize.vocabulary import Vocabulary

PIECE_CHARACTERS = 1 << 20
"""Text that `tokenizers` gets at once: it needs some hundred bytes of memory per token."""

_CUT = re.compile(r"(?<=\S)(?= \S)|(?<=\S\n)(?=[^\W\d_])")
"""Places where every pattern of `pretokens` cuts, whatever stands before and after: before a single
space between words, and between a line's end and a letter."""

Tokens = npt.NDArray[np.generic]


class Encoder:
    """Encodes and decodes with one vocabulary."""

    slow_because: str | None = None
    """Why `tokenizers` encodes and not the fast way; None where the fast way does."""

    def __init__(self, vocabulary: Vocabulary, *, fast: bool = True) -> None:
        self.vocabulary = vocabulary
        self._tokenizer = vocabulary.tokenizer()
        self._dtype = np.dtype(vocabulary.dtype)
        self._cut = cuts_are_known(vocabulary)
        self._fast: FastEncoder | None = None
        found = fast_encoder(vocabulary) if fast else "it was not asked for"
        if isinstance(found, FastEncoder):
            self._fast = found
        else:
            self.slow_because = found

    def encode(self, texts: pa.Array) -> pa.ListArray:
        """Tokens of each text, with the end-of-text token after them; one row per text.

        The result is list<uint16> or list<uint32>, by the vocabulary's size. Names of special
        tokens in a text are encoded as the characters they are.
        """
        rows = self._fast_rows(texts) if self._fast else self._library_rows(texts)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(row) + 1 for row in rows], out=offsets[1:])
        if offsets[-1] > np.iinfo(np.int32).max:
            raise RunError(f"{offsets[-1]} tokens in one batch: make part_mb smaller")
        values = np.full(offsets[-1], self.vocabulary.end_of_text, self._dtype)
        for row, start in zip(rows, offsets, strict=False):
            values[start : start + len(row)] = row
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))

    def decode(self, tokens: Tokens) -> str:
        """The text of one document's tokens; a final end-of-text token is left out."""
        ids = tokens.tolist()
        if ids and ids[-1] == self.vocabulary.end_of_text:
            ids.pop()
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def _fast_rows(self, texts: pa.Array) -> list[Tokens]:
        assert self._fast is not None
        # Narrowed at once: what the library returns is twice as wide as most vocabularies need.
        return [self._fast.encode(text.as_py()).astype(self._dtype) for text in texts]

    def _library_rows(self, texts: pa.Array) -> list[Tokens]:
        blocks: list[list[Tokens]] = [[] for _ in range(len(texts))]
        for rows, pieces in _groups(texts, cut=self._cut):
            encodings = self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
            for row, encoding in zip(rows, encodings, strict=True):
                blocks[row].append(np.array(encoding.ids, self._dtype))
        return [block[0] if len(block) == 1 else np.concatenate(block) for block in blocks]


def cuts_are_known(vocabulary: Vocabulary) -> bool:
    """Whether text is cut by a pattern of `pretokens` and by nothing else.

    The text of other vocabularies stays whole: a token of theirs may cross any place.
    """
    content = json.loads(vocabulary.data)
    policies = itertools.product(get_args(Digits), get_args(Whitespace))
    known = {*PATTERNS.values(), *(pattern_for(*policy) for policy in policies)}
    return pattern_of(content.get("pre_tokenizer")) in known and all(
        token["special"] for token in content.get("added_tokens", [])
    )


def _groups(texts: pa.Array, *, cut: bool) -> Iterator[tuple[list[int], list[str]]]:
    """Pieces of the texts in order, in groups of bounded size: the rows and the pieces."""
    rows: list[int] = []
    pieces: list[str] = []
    held = 0
    for row, text in enumerate(texts):
        for piece in cut_text(text.as_py()) if cut else [text.as_py()]:
            rows.append(row)
            pieces.append(piece)
            held += len(piece)
            if held >= PIECE_CHARACTERS:
                yield rows, pieces
                rows, pieces, held = [], [], 0
    if rows:
        yield rows, pieces


def cut_text(text: str) -> Iterator[str]:
    """The text in pieces of about PIECE_CHARACTERS, whose tokens are those of the whole text.

    A text is cut at the first place after so many characters where its tokens are cut anyway; one
    without such a place stays whole.
    """
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        place = _CUT.search(text, start + PIECE_CHARACTERS)
        if place is None:
            break
        yield text[start : place.start()]
        start = place.start()
    yield text[start:]
