"""A corpus of distinct documents of real text, with edited copies of some of them planted.

Documents are shuffled paragraphs of prose, 1 to 20 kB long (as many short as long ones, by
logarithm). Where the machine has less text than is asked for, paragraphs come again in other
company: two documents share a paragraph or two, never more by plan.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from benchmarks.corpus import PAGE_BYTES, paragraphs_of_prose

from corpusmill.filters.shingles import Shingling, shingle_hashes, word_hashes

POOL_BYTES = 40e6
COPIED = 0.1
"""Share of documents that have one edited copy."""
BLOCK_WORDS = 30

EDITS = (
    "word inserted at the front",
    "0.2 % of words substituted",
    "1 % of words substituted",
    "3 % of words substituted",
    "8 % of words substituted",
    "block appended",
    "block moved",
)


@dataclass(frozen=True, kw_only=True)
class PlantedCorpus:
    """Documents and which of them are copies."""

    documents: list[str]
    pairs: list[tuple[int, int, str]]
    """Original, copy, and the edit between them."""

    def mb(self) -> float:
        """10^6 bytes of UTF-8."""
        return sum(len(text.encode()) for text in self.documents) / 1e6


def make_planted_corpus(megabytes: float, seed: int = 1) -> PlantedCorpus:
    """About so many megabytes, in random order; the same on the same machine each time."""
    chance = random.Random(seed)
    paragraphs = _shuffled(chance, min(POOL_BYTES, 2 * megabytes * 1e6))
    texts: list[tuple[str, str, int]] = []
    size = 0.0
    family = 0
    while size < megabytes * 1e6:
        text = next_document(paragraphs, chance)
        texts.append((text, "", family))
        if chance.random() < COPIED:
            edit = EDITS[family % len(EDITS)]
            texts.append((edited(text, edit, chance), edit, family))
        size += sum(len(t[0]) for t in texts[-2:] if t[2] == family)
        family += 1
    chance.shuffle(texts)
    originals = {family: i for i, (_, edit, family) in enumerate(texts) if not edit}
    pairs = [(originals[family], i, edit) for i, (_, edit, family) in enumerate(texts) if edit]
    return PlantedCorpus(documents=[text for text, _, _ in texts], pairs=pairs)


def _shuffled(chance: random.Random, pool_bytes: float) -> Iterator[str]:
    pool: list[str] = []
    size = 0
    for paragraph in paragraphs_of_prose():
        pool.append(paragraph.replace("\0", " "))
        size += len(paragraph)
        if size >= pool_bytes:
            break
    while True:
        chance.shuffle(pool)
        yield from pool


def next_document(paragraphs: Iterator[str], chance: random.Random) -> str:
    """Paragraphs up to a length that is drawn."""
    smallest, largest = map(math.log, PAGE_BYTES)
    wanted = math.exp(chance.uniform(smallest, largest))
    taken: list[str] = []
    while sum(map(len, taken)) < wanted:
        taken.append(next(paragraphs))
    return "\n\n".join(taken)


def edited(text: str, edit: str, chance: random.Random) -> str:
    """A copy with one kind of edit (EDITS)."""
    words = text.split(" ")
    if edit == EDITS[0]:
        return "Updated " + text
    if edit.endswith("substituted"):
        share = float(edit.split(" ")[0]) / 100
        for place in range(len(words)):
            if chance.random() < share:
                words[place] = f"changed{chance.randrange(10**6)}"
        return " ".join(words)
    if edit == "block appended":
        block = (f"added{chance.randrange(10**6)}" for _ in range(BLOCK_WORDS))
        return " ".join([*words, *block])
    start = chance.randrange(max(len(words) - BLOCK_WORDS, 1))
    block_moved = words[start : start + BLOCK_WORDS]
    rest = words[:start] + words[start + BLOCK_WORDS :]
    place = chance.randrange(len(rest) + 1)
    return " ".join([*rest[:place], *block_moved, *rest[place:]])


def exact_similarities(
    documents: list[str], pairs: list[tuple[int, int]], shingling: Shingling
) -> npt.NDArray[np.float64]:
    """The Jaccard similarity of the whole shingle sets of each pair; shape [pairs]."""

    def shingles(number: int) -> npt.NDArray[np.uint64]:
        words = word_hashes(pa.array([documents[number]], pa.large_string())).hashes
        return np.unique(shingle_hashes(words, shingling.length))

    found = []
    for one, other in pairs:
        left, right = shingles(one), shingles(other)
        common = len(np.intersect1d(left, right, assume_unique=True))
        found.append(common / max(len(left) + len(right) - common, 1))
    return np.array(found)
