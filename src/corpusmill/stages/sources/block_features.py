"""What is measured of each block of a page: one row of numbers per block, all blocks at once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from corpusmill.stages.sources.blocks import NUM_BITS, Blocks

FloatArray = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Column = npt.NDArray[np.float64] | npt.NDArray[np.bool_] | npt.NDArray[np.int64]
IntArray = npt.NDArray[np.int64]

_LONG = 80
"""Bytes from which a block that is not a link counts as running text."""
_STOCK_PHRASE = 150
"""Bytes up to which a block may be a stock phrase."""
_STOCK = re.compile(
    r"\W*(?:a(?:dvert|nzeige|lso read|ll rights)|by |\(c\)|©|\d+ comments?"
    r"|c(?:ategor|lick here|omments?\b|ookies?\b|opyright|redit)|do(?:nate|wnload)|email"
    r"|f(?:iled under|ollow (?:us|\w+ on))|get the|image|join"
    r"|l(?:ast (?:updated|modified)|ea tambi|eave a|eia (?:mais|tamb)|ire aussi|isten|og ?in)"
    r"|m(?:ehr zum|ore (?:on|from|in|about|stories))"
    r"|p(?:ar |hotos?\b|icture|or |osted|rint|ublicit|ublished)"
    r"|re(?:ad (?:more|also|next|full)|gister|lated|ply)"
    r"|s(?:ee also|hare|iehe auch|ign in|ign up|ource|ubscribe|upport)"
    r"|t(?:ags?\b|opics|weet)|updated|v(?:ideo|on )|w(?:atch|e use))",
    re.IGNORECASE,
)
"""How short lines begin that are no part of an article, put together by their first letters, for
each alternative costs. It is one weak sign among many; the others need no language."""

# Latin and Greek, Chinese and Japanese (wide too), Arabic and Urdu, Devanagari, Khmer, Ethiopic
_SENTENCE_ENDS = ".!?\u2026\u3002\uff01\uff1f\uff0e\u061f\u06d4\u0964\u0965\u17d4\u17d5\u1362"
_CLOSING = "\"'\u201d\u2019\u00bb)]\u300f\u300d\uff09"
_COMMAS = ",;:\u060c\u3001\uff0c\uff1b\uff1a\u061b\u1363\u00b7"

_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def page_features(blocks: Blocks) -> FloatArray:
    """Features of each block, of its neighbours, and of the page: [blocks, features].

    Lengths are in bytes of UTF-8: a Chinese character, three bytes, says about as much as three
    letters of a Latin word. There must be at least one block.
    """
    page = _Page(blocks)
    shared = _stack(page.own() + page.place())
    alone = _stack(page.more() + page.position() + page.company() + page.whole())
    zeros = np.zeros((2, shared.shape[1]), np.float32)
    padded = np.concatenate([zeros, shared, zeros])
    count = len(shared)
    neighbours = [padded[k : k + count] for k in (0, 1, 3, 4)]
    return np.concatenate([shared, alone, page.bits(), *neighbours], axis=1, dtype=np.float32)


def _stack(columns: Sequence[Column]) -> FloatArray:
    return np.stack([column.astype(np.float32) for column in columns], axis=1)


class _Page:
    """The columns of a page that several features need; lengths are [blocks] unless said."""

    def __init__(self, blocks: Blocks) -> None:
        self.texts = blocks.texts
        (self.sizes, self.ends, self.commas, self.digits, self.spaces, self.capitals) = (
            _count_characters(blocks.texts)
        )
        self.count = len(self.sizes)
        self.number = np.arange(self.count)
        characters = np.array([len(text) for text in blocks.texts])
        self.linked = np.array(blocks.linked) / characters
        self.where = np.array(blocks.containers)
        self.parents = np.array(blocks.parents)  # [containers]
        self.signatures = np.array(blocks.signatures)[self.where]
        self.level = np.array([_HEADINGS.get(tag, 0) for tag in blocks.tags])[self.where]
        self.own_bits = np.array(blocks.own)[self.where]
        self.all_bits = np.array(blocks.inherited)[self.where]

        # text that is long and no link: where there is much of it, there is the article
        long = (self.sizes >= _LONG) & (self.linked < 0.5)
        self.running = np.where(long, self.sizes * (1 - self.linked) ** 2, 0.0)
        self.total = max(float(self.sizes.sum()), 1.0)
        self.total_running = max(float(self.running.sum()), 1.0)
        sums = np.bincount(self.where, self.running, len(self.parents))
        self.in_container = sums.astype(np.float64)  # [containers]
        self.top = _find_top(blocks, self.in_container)
        runs = np.flatnonzero((self.running > 0) & self.top.inside)
        self.first = int(runs[0]) if len(runs) else 0
        self.last = int(runs[-1]) if len(runs) else self.count - 1

    def own(self) -> list[Column]:
        """What a block and its neighbours say."""
        texts, sizes = self.texts, self.sizes
        ending = [text.rstrip(_CLOSING)[-1:] in _ENDING for text in texts]
        stock = [
            size <= _STOCK_PHRASE and _STOCK.match(text) is not None
            for text, size in zip(texts, sizes.tolist(), strict=True)
        ]
        return [
            np.log1p(sizes),
            self.linked,
            np.array(ending),
            self.ends / np.sqrt(sizes),
            self.commas / np.sqrt(sizes),
            self.digits / sizes,
            np.array(stock),
        ]

    def place(self) -> list[Column]:
        """Where a block and its neighbours stand: beside the running text, below a heading."""
        alike = np.bincount(self.signatures, self.running)[self.signatures]
        return [
            self.top.inside,
            self.level > 0,
            self.level == 1,
            alike / self.total_running,
            self.in_container[self.where] / self.total_running,
            np.minimum(self.top.up, 8) / 4,
        ]

    def more(self) -> list[Column]:
        """What else a block says."""
        seen: dict[str, int] = {}
        repeated = [seen.setdefault(text, k) != k for k, text in enumerate(self.texts)]
        return [
            self.spaces / self.sizes,
            self.capitals / self.sizes,
            self.linked > 0.99,
            self.sizes / self.total,
            self.running / self.total_running,
            self.level == 2,
            self.level > 2,
            np.array(repeated),
        ]

    def position(self) -> list[Column]:
        """Before or after what: the running text, the title, half of the page."""
        number, first, last = self.number, self.first, self.last
        titles = np.flatnonzero((self.level == 1) & (number <= first))
        title = int(titles[-1]) if len(titles) else -1
        before = np.cumsum(self.sizes) - self.sizes
        running_before = np.cumsum(self.running) - self.running
        return [
            number < first,
            number > last,
            np.log1p(np.maximum(first - number, 0)),
            np.log1p(np.maximum(number - last, 0)),
            np.full(self.count, title >= 0),
            (title >= 0) & (number > title),
            number == title,
            np.log1p(np.abs(number - title)) * (title >= 0),
            before / self.total,
            running_before / self.total_running,
            running_before == 0,
            running_before + self.running >= 0.999 * self.total_running,
        ]

    def company(self) -> list[Column]:
        """What stands in the same container, around it, and in containers like it."""
        sizes, running, signatures, where = self.sizes, self.running, self.signatures, self.where
        size_alike = np.bincount(signatures, sizes)[signatures]
        size_here = np.bincount(where, sizes)[where]
        beside = np.bincount(self.parents, self.in_container, len(self.parents))
        window = running if self.count < 7 else np.convolve(running, np.ones(7), "same")
        return [
            np.minimum(self.top.down, 8) / 4,
            self.top.down == 0,
            np.minimum(self.top.depths, 30) / 10,
            np.log1p(size_alike),
            np.log1p(np.bincount(signatures)[signatures]),
            np.bincount(signatures, sizes * self.linked)[signatures] / size_alike,
            size_alike / self.total,
            np.log1p(size_here),
            beside[self.parents[where]] / self.total_running,
            self.in_container[where] / np.maximum(size_here, 1),
            window / self.total_running,
        ]

    def whole(self) -> list[Column]:
        """What the page is like, the same for all its blocks."""
        values = [
            self.top.running / self.total_running,
            np.log1p(self.total_running),
            self.total_running / self.total,
            np.log1p(self.count),
        ]
        return [np.full(self.count, value) for value in values]

    def bits(self) -> FloatArray:
        """What a block's container is, and what those around it are: [blocks, 2 * NUM_BITS]."""
        masks = 1 << np.arange(NUM_BITS)
        both = np.stack([self.own_bits, self.all_bits], axis=1)
        each = np.not_equal(both[:, :, None] & masks, 0)
        return np.asarray(each.reshape(self.count, -1), np.float32)


_ENDING = frozenset(_SENTENCE_ENDS)


@dataclass(frozen=True, slots=True)
class _Top:
    """The container around most of the running text, and how each block stands to it."""

    running: float
    """Bytes of running text in it, and half of those one level deeper."""
    inside: npt.NDArray[np.bool_]
    up: IntArray
    """Steps from it up to the nearest container that a block is inside of."""
    down: IntArray
    """Steps from there down to the block's container."""
    depths: IntArray


def _find_top(blocks: Blocks, in_container: Floats) -> _Top:
    parents, ends = blocks.parents, blocks.ends
    where, depths = np.array(blocks.containers), np.array(blocks.depths)
    around = in_container.copy()
    np.add.at(around, np.array(parents[1:], np.int64), 0.5 * in_container[1:])
    top = int(around.argmax())
    path = [top]
    while path[-1] != 0:
        path.append(parents[path[-1]])
    common = np.zeros(len(parents), np.int64)  # depth of the nearest container with top inside
    for step in reversed(path):
        common[step : ends[step]] = depths[step]
    return _Top(
        running=float(around[top]),
        inside=(where >= top) & (where < ends[top]),
        up=depths[top] - common[where],
        down=depths[where] - common[where],
        depths=depths[where],
    )


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """For each UTF-16 code unit: 1 ends a sentence, 2 comma, 3 digit, 4 space, 5 capital."""
    kinds = np.zeros(1 << 16, np.uint8)
    for code in range(1 << 16):
        character = chr(code)
        if character.isdigit():
            kinds[code] = 3
        elif character.isspace():
            kinds[code] = 4
        elif character.isupper():
            kinds[code] = 5
    kinds[[ord(character) for character in _SENTENCE_ENDS]] = 1
    kinds[[ord(character) for character in _COMMAS]] = 2
    return kinds


def _count_characters(texts: Sequence[str]) -> tuple[Floats, ...]:
    """Of each text: bytes in UTF-8, ends of sentences, commas, digits, spaces, capitals."""
    joined: Any = "\0".join(texts).encode("utf-16-le", "replace")
    codes = np.frombuffer(joined, np.uint16)
    starts = np.concatenate([[0], np.flatnonzero(codes == 0) + 1])
    kinds = _kinds()[codes]
    sizes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800)
    sizes[codes == 0] = 0
    columns = [np.add.reduceat(sizes, starts)]
    columns += [np.add.reduceat(kinds == kind, starts, dtype=np.int64) for kind in range(1, 6)]
    return tuple(column.astype(np.float64) for column in columns)
