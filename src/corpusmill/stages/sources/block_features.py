"""What is measured of each block of a page: one row of numbers per block, all blocks at once."""

import re
from functools import cache

import numpy as np
import numpy.typing as npt

from corpusmill.stages.sources.blocks import NUM_BITS, Blocks

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_LONG = 80
"""Bytes from which a block that is not a link counts as running text."""
_SENTENCE_ENDS = ".!?…。！？．؟۔।॥។៕။።"
_CLOSING = "\"'”’»)]』」）"
_COMMAS = ",;:،、，；：؛፣·"
_STOCK = re.compile(
    r"\W*(?:advert|anzeige|publicit|related|read (?:more|also|next|full)|also read|see also|more (?:on|from|in|about|stories)"
    r"|lire aussi|mehr zum|siehe auch|lea tambi|leia (?:mais|tamb)|sign up|subscribe|follow (?:us|\w+ on)|share|tweet|print|email"
    r"|photos?\b|image|picture|video|watch|listen|copyright|\(c\)|©|all rights|by |von |par |por |tags?\b|topics"
    r"|filed under|categor|posted|published|updated|last (?:updated|modified)|comments?\b|\d+ comments?|leave a|reply|click here|download|source|sources|credit"
    r"|get the|join|support|donate|register|log ?in|sign in|cookies?\b|we use)",
    re.IGNORECASE,
)
"""How short lines begin that are no part of an article. It is one weak sign among many; the others
need no language."""


def page_features(blocks: Blocks) -> FloatArray:
    """Features of each block, of its neighbours, and of the page: [blocks, features].

    Lengths are in bytes of UTF-8: a Chinese character, three bytes, says about as much as three
    letters of a Latin word. There must be at least one block.
    """
    own, bits = _own_features(blocks)
    near = own[:, :_NUM_SHARED]
    zeros = np.zeros((2, near.shape[1]), np.float32)
    padded = np.concatenate([zeros, near, zeros])
    count = len(own)
    return np.concatenate(
        [own, bits, *(padded[k : k + count] for k in (0, 1, 3, 4))], axis=1, dtype=np.float32
    )


def _own_features(blocks: Blocks) -> tuple[FloatArray, FloatArray]:
    sizes, ends, commas, digits, spaces, capitals = _count_characters(blocks.texts)
    count = len(sizes)
    linked = np.array(blocks.linked, np.float64) / [len(text) for text in blocks.texts]
    where = np.array(blocks.containers)
    tree = {
        name: np.array(getattr(blocks, name))
        for name in ("parents", "depths", "own", "inherited", "signatures", "ends")
    }
    own_bits, all_bits = tree["own"][where], tree["inherited"][where]

    running = np.where((sizes >= _LONG) & (linked < 0.5), sizes * (1 - linked) ** 2, 0.0)
    total = max(float(sizes.sum()), 1.0)
    total_running = max(float(running.sum()), 1.0)

    # the container around most of the running text: what stands in it counts whole, what stands
    # one level deeper half
    in_container = np.bincount(where, running, len(tree["parents"]))
    around = in_container.copy()
    np.add.at(around, tree["parents"][1:], 0.5 * in_container[1:])
    top = int(around.argmax())
    common = np.zeros(len(tree["parents"]))
    step, path = top, [top]
    while step != 0:
        step = int(tree["parents"][step])
        path.append(step)
    for step in reversed(path):
        common[step : tree["ends"][step]] = tree["depths"][step]
    inside = (where >= top) & (where < tree["ends"][top])
    up = tree["depths"][top] - common[where]
    down = tree["depths"][where] - common[where]

    runs = np.flatnonzero((running > 0) & inside)
    first, last = (int(runs[0]), int(runs[-1])) if len(runs) else (0, count - 1)
    number = np.arange(count)
    before = np.concatenate([[0.0], np.cumsum(sizes)[:-1]])
    running_before = np.concatenate([[0.0], np.cumsum(running)[:-1]])

    alike = tree["signatures"][where]
    size_alike = np.bincount(alike, sizes)[alike]
    count_alike = np.bincount(alike)[alike]
    running_alike = np.bincount(alike, running)[alike]
    linked_alike = np.bincount(alike, sizes * linked)[alike] / size_alike
    size_here = np.bincount(where, sizes)[where]
    running_here = in_container[where]
    grand = tree["parents"][where]
    below = np.bincount(tree["parents"], in_container, len(tree["parents"]))
    running_beside = below[grand]

    levels = [_HEADINGS.get(tag, 0) for tag in blocks.tags]
    level = np.array(levels)[where]
    titles = np.flatnonzero(level == 1)
    title = int(titles[titles <= max(first, 0)][-1]) if (titles <= first).any() else -1

    seen: dict[str, int] = {}
    repeated = [seen.setdefault(text, k) != k for k, text in enumerate(blocks.texts)]

    window = np.convolve(running, np.ones(7), "same")[: len(running)] if count >= 7 else running
    shared = [
        np.log1p(sizes),
        linked,
        _ends_sentence(blocks.texts),
        ends / np.sqrt(sizes),
        commas / np.sqrt(sizes),
        digits / sizes,
        inside,
        level > 0,
        level == 1,
        running_alike / total_running,
        running_here / total_running,
        np.minimum(up, 8) / 4,
        _said_by_words(blocks.texts, sizes),
    ]
    alone = [
        spaces / sizes,
        capitals / sizes,
        linked > 0.99,
        sizes / total,
        running / total_running,
        level == 2,
        level > 2,
        np.minimum(down, 8) / 4,
        down == 0,
        np.minimum(tree["depths"][where], 30) / 10,
        number < first,
        number > last,
        np.log1p(np.maximum(first - number, 0)),
        np.log1p(np.maximum(number - last, 0)),
        np.full(count, title >= 0),
        (title >= 0) & (number > title),
        (title >= 0) & (number == title),
        np.log1p(np.abs(number - title)) * (title >= 0),
        before / total,
        running_before / total_running,
        (running_before == 0),
        (running_before + running >= 0.999 * total_running),
        np.log1p(size_alike),
        np.log1p(count_alike),
        linked_alike,
        size_alike / total,
        np.log1p(size_here),
        running_beside / total_running,
        running_here / np.maximum(size_here, 1),
        repeated,
        window / total_running,
        np.full(count, around[top] / total_running),
        np.full(count, np.log1p(total_running)),
        np.full(count, total_running / total),
        np.full(count, np.log1p(count)),
    ]
    features = np.stack([np.asarray(column, np.float32) for column in (*shared, *alone)], axis=1)
    masks = 1 << np.arange(NUM_BITS)
    bits = np.concatenate(
        [(own_bits[:, None] & masks) != 0, (all_bits[:, None] & masks) != 0], axis=1
    )
    return features, bits.astype(np.float32)


_NUM_SHARED = 13
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


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


def _count_characters(texts: list[str]) -> list[npt.NDArray[np.float64]]:
    """Of each text: bytes in UTF-8, ends of sentences, commas, digits, spaces, capitals."""
    codes = np.frombuffer("\0".join(texts).encode("utf-16-le", "replace"), np.uint16)
    starts = np.concatenate([[0], np.flatnonzero(codes == 0) + 1])
    kinds = _kinds()[codes]
    sizes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800)
    sizes[codes == 0] = 0
    columns = [np.add.reduceat(sizes, starts)]
    columns += [np.add.reduceat(kinds == kind, starts, dtype=np.int64) for kind in range(1, 6)]
    return [column.astype(np.float64) for column in columns]


def _ends_sentence(texts: list[str]) -> list[bool]:
    return [text.rstrip(_CLOSING)[-1:] in _ENDS for text in texts]


_ENDS = frozenset(_SENTENCE_ENDS)


def _said_by_words(texts: list[str], sizes: npt.NDArray[np.float64]) -> list[bool]:
    return [
        size <= 150 and _STOCK.match(text) is not None
        for text, size in zip(texts, sizes, strict=True)
    ]
