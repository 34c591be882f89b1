"""Training a classifier of topics, on seed words (weak supervision) or on labelled text.

A window of text in which several seed words of one topic stand, and few of any other, is taken for
an example of it. The model learns such windows with seed words left out by chance, or it would
learn no more than the list (the idea of Meng et al. 2018 and of Mekala and Shang 2020). Runs of
seed words alone are shown too, so that a topic the corpus hardly has can be told all the same.

One thread, a fixed seed and a fixed order of lines make training a pure function of its input.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpusmill import storage
from corpusmill.filters.classifier import Learning, card_path
from corpusmill.filters.classifier_text import normalise
from corpusmill.filters.classifier_training import scratch, train_model
from corpusmill.filters.fasttext_file import LABEL
from corpusmill.filters.term_labels import LabelledTerms
from corpusmill.filters.topic_model import TopicCard, TopicModel
from corpusmill.filters.windows import cut_windows

FEWEST_DISTINCT = 2
"""Different seed words of a topic that make a window an example of it."""
SECOND_SHARE = 0.5
"""Of them, those of the topic that comes second may have at most."""
SEEDS_LEFT_OUT = 0.7
"""Chance with which a seed word is left out of an example."""
SEED_LINES, SEEDS_IN_LINE = 100, 12
"""Lines of seed words alone for each topic, and the words in each."""
MOST_LINES = 2000
"""Examples of one topic that are learned at most: a corpus of one subject is not to hide others."""
FEWEST_SHOWN = 500
"""Examples of a topic that has fewer are shown again until there are so many."""
MOST_TIMES = 20
"""How often one example is shown in an epoch at most."""
HELD_OUT = 0.05
"""Share of the examples that the model is tried on and does not learn."""
FEWEST_TRIED = 50
"""Examples held out, of which fewer give no figure worth telling."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Windows of text and their topics."""

    topics: Sequence[str]
    lines: Sequence[str]
    """Normalised (classifier_text), not empty."""


def weak_examples(texts: pa.Array, seeds: Mapping[str, Sequence[str]]) -> Examples:
    """The windows of texts whose seed words speak for one topic."""
    windows, _ = cut_windows(texts)
    terms = LabelledTerms(seeds)
    distinct = terms.find(windows).distinct
    if not len(windows):
        return Examples(topics=[], lines=[])
    best = distinct.argmax(1)
    ordered = np.sort(distinct, 1)
    most, second = ordered[:, -1], ordered[:, -2]
    clear = (most >= FEWEST_DISTINCT) & (second <= SECOND_SHARE * most)
    lines = normalise(windows.filter(pa.array(clear))).to_pylist()
    return Examples(topics=[terms.labels[i] for i in best[clear]], lines=lines)


def labelled_examples(texts: pa.Array, topics: Sequence[str]) -> Examples:
    """The windows of labelled texts."""
    windows, offsets = cut_windows(texts)
    lines = normalise(windows).to_pylist()
    owners = np.repeat(np.arange(len(topics)), np.diff(offsets)).tolist()
    kept = [(topics[i], line) for i, line in zip(owners, lines, strict=True) if line]
    return Examples(topics=[topic for topic, _ in kept], lines=[line for _, line in kept])


def train_topics(
    examples: Examples,
    seeds: Mapping[str, Sequence[str]],
    *,
    learning: Learning,
    seed: int,
    path: str,
    work: str,
) -> TopicCard:
    """Train on examples, try the model on those held out, write it and, last, its card.

    `seeds` are left out of the examples by chance; empty for labelled text. The training text lies
    below the folder `work` while it is needed. Raises RunError when no learning rate gave a model
    that consists of numbers.
    """
    chance = np.random.default_rng(seed)
    by_topic: dict[str, list[str]] = defaultdict(list)
    held_out: list[tuple[str, str]] = []
    for topic, line, drawn in zip(
        examples.topics, examples.lines, chance.random(len(examples.lines)), strict=True
    ):
        if drawn < HELD_OUT:
            held_out.append((topic, line))
        else:
            by_topic[topic].append(line)
    left_out = _SeedWords(seeds)
    shown: list[bytes] = []
    for topic in sorted({*by_topic, *seeds}):
        lines = by_topic[topic]
        order = chance.permutation(len(lines))[:MOST_LINES]
        wanted = max(len(order), min(FEWEST_SHOWN, MOST_TIMES * len(order)))
        chosen = (left_out.thinned(lines[i], chance) for i in np.resize(order, wanted).tolist())
        of_seeds = _seed_lines(seeds[topic], chance) if topic in seeds else ()
        shown += [f"{LABEL}{topic} {line}\n".encode() for line in (*chosen, *of_seeds) if line]
    shuffled = b"".join(shown[i] for i in chance.permutation(len(shown)).tolist())
    with scratch(work) as folder:
        text = os.path.join(folder, "training.txt")
        storage.write_atomic(text, shuffled)
        model, rate = train_model(text, learning, seed, "topics")
        stored = os.path.join(folder, "model.bin")
        model.save_model(stored)
        info = storage.write_atomic(path, storage.read_bytes(stored))
        tried = TopicModel.of(model)
        found = tried.best_of_lines([left_out.without(line) for _, line in held_out])
    accuracy, macro_f1 = _trial([topic for topic, _ in held_out], found)
    card = TopicCard(
        xxh3=info.xxh3,
        bytes=info.bytes,
        examples=dict(sorted(Counter(examples.topics).items())),
        seeds=sum(map(len, seeds.values())),
        seed=seed,
        learning=learning,
        rate=rate,
        held_out=len(held_out),
        accuracy=accuracy,
        macro_f1=macro_f1,
    )
    storage.write_json(card_path(path), card.model_dump(mode="json"))
    return card


def _trial(given: Sequence[str], found: Sequence[str | None]) -> tuple[float | None, float | None]:
    """Accuracy, and macro F1 over the topics that were held out; null for too few examples."""
    if len(given) < FEWEST_TRIED:
        return None, None
    right = Counter(a for a, b in zip(given, found, strict=True) if a == b)
    had, said = Counter(given), Counter(found)
    f1 = [2 * right[topic] / (had[topic] + said[topic]) for topic in had]
    return sum(right.values()) / len(given), sum(f1) / len(f1)


def _seed_lines(seeds: Sequence[str], chance: np.random.Generator) -> Iterator[str]:
    lines = [line for line in normalise(pa.array(seeds, pa.large_string())).to_pylist() if line]
    for _ in range(SEED_LINES):
        yield " ".join(lines[i] for i in chance.permutation(len(lines))[:SEEDS_IN_LINE].tolist())


class _SeedWords:
    """Takes seed words out of normalised lines."""

    def __init__(self, seeds: Mapping[str, Sequence[str]]) -> None:
        every = [seed for found in seeds.values() for seed in found]
        lines = normalise(pa.array(every, pa.large_string())).to_pylist()
        self._phrases: dict[str, list[list[str]]] = defaultdict(list)
        for phrase in {tuple(line.split(" ")) for line in lines if line}:
            self._phrases[phrase[0]].append(list(phrase))

    def without(self, line: str) -> str:
        """The line without any seed word."""
        return self._cut(line, None)

    def thinned(self, line: str, chance: np.random.Generator) -> str:
        """The line with seed words left out by chance."""
        return self._cut(line, chance) if self._phrases else line

    def _cut(self, line: str, chance: np.random.Generator | None) -> str:
        words, kept, at = line.split(" "), [], 0
        while at < len(words):
            size = max(
                (len(p) for p in self._phrases.get(words[at], ()) if words[at : at + len(p)] == p),
                default=0,
            )
            if not size or (chance is not None and chance.random() >= SEEDS_LEFT_OUT):
                kept += words[at : at + max(size, 1)]
            at += max(size, 1)
        return " ".join(kept)
