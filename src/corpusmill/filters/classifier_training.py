"""Training a fastText classifier on good text against raw text, and trying it on text held out.

One thread, a fixed seed and a fixed order of lines make training a pure function of its input. What
comes out of it is always tried: the library can return a model that knows nothing without a word.
"""

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.filters.auc import auc
from corpusmill.filters.classifier import (
    GOOD,
    RAW,
    Card,
    FloatArray,
    Learning,
    Trial,
    badness_of,
    card_path,
    import_fasttext,
    known_words,
    with_rare,
)
from corpusmill.filters.classifier_text import normalise
from corpusmill.filters.fasttext_file import LABEL
from corpusmill.filters.windows import cut_windows

LINE_BYTES = 64
"""Of text in a line of training: some 10 words. The shorter, the more a model learns of each word
and each pair: on corrupted text (benchmarks/separation.py) lines of 2 kB gave an AUC of 0.82, of
500 bytes 0.89, of 100 bytes 0.94. It judges windows of 2 kB all the same."""
SMALLEST = 200
"""Lines of each label from which on a model is trained: fewer teach nothing that lasts."""
RATES = (0.5, 0.25, 0.1)
"""Learning rates, tried in this order: with a high one training can end in NaN. fastText's
tutorial finds 0.1 to 1 good."""


class TooLittleText(UsageError):
    """There is not enough text to learn from."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Good and raw documents (large_string)."""

    good: pa.Array
    raw: pa.Array

    @property
    def counts(self) -> dict[str, int]:
        """Documents of each label."""
        return {GOOD: len(self.good), RAW: len(self.raw)}


def train(
    training: Texts, held_out: Texts, *, learning: Learning, seed: int, path: str, work: str
) -> Card:
    """Train, try the model on the documents held out, write it and, last, its card.

    The training text lies below the folder `work` while it is needed.

    Raises:
        TooLittleText: there are fewer than SMALLEST lines of a label.
        RunError: no learning rate gave a model that consists of numbers.
    """
    lines, counts = _training_lines(training, seed)
    with scratch(work) as folder:
        text = os.path.join(folder, "training.txt")
        storage.write_atomic(text, lines)
        model, rate = train_model(text, learning, seed, "classifier")
        known = known_words(model)
        of_good, of_raw = (
            found[~np.isnan(found)]
            for found in (badness_of(model, t, known) for t in (held_out.good, held_out.raw))
        )
        stored = os.path.join(folder, "model.bin")
        model.save_model(stored)
        info = storage.write_atomic(path, storage.read_bytes(stored))
    card = Card(
        xxh3=info.xxh3,
        bytes=info.bytes,
        **_trial(of_good, of_raw).model_dump(),
        lines=counts,
        seed=seed,
        learning=learning,
        rate=rate,
    )
    storage.write_json(card_path(path), card.model_dump(mode="json"))
    return card


def _trial(of_good: FloatArray, of_raw: FloatArray) -> Trial:
    passed, wrongly = int((of_good <= 0.5).sum()), int((of_raw <= 0.5).sum())
    recall = passed / len(of_good) if len(of_good) else None
    return Trial(
        auc=auc(of_raw, of_good) if len(of_good) and len(of_raw) else None,
        good_dropped=None if recall is None else 1 - recall,
        precision=passed / (passed + wrongly) if passed + wrongly else None,
        recall=recall,
        held_out={GOOD: len(of_good), RAW: len(of_raw)},
    )


def _training_lines(training: Texts, seed: int) -> tuple[bytes, dict[str, int]]:
    """The training file, and how many different lines of each label it has.

    As many lines of each label: those of the smaller one come again, or a threshold would mean
    something else in each corpus. The seed draws their order. fastText reads from front to back:
    sorted by label, it would end up knowing the last one.
    """
    lines = {GOOD: _lines(training.good), RAW: _lines(training.raw)}
    counts = {label: len(found) for label, found in lines.items()}
    if min(counts.values()) < SMALLEST:
        raise TooLittleText(
            f"classifier: {counts[GOOD]} lines of good and {counts[RAW]} of raw text to learn "
            f"from: {SMALLEST} of each are needed ({LINE_BYTES} bytes each)"
        )
    words = Counter(word for found in lines.values() for line in found for word in line.split(" "))
    known = {word for word, count in words.items() if count > 1}
    chance = np.random.default_rng(seed)
    labelled = []
    for label, found in lines.items():
        shown = [f"{LABEL}{label} {with_rare(line, known)}\n".encode() for line in found]
        order = np.resize(chance.permutation(len(shown)), max(counts.values()))
        labelled += [shown[i] for i in order.tolist()]
    return b"".join(labelled[i] for i in chance.permutation(len(labelled)).tolist()), counts


def _lines(texts: pa.Array) -> list[str]:
    return [line for line in normalise(cut_windows(texts, LINE_BYTES)[0]).to_pylist() if line]


def train_model(text: str, learning: Learning, seed: int, who: str) -> tuple[Any, float]:
    """fastText's model of a training file, and its learning rate.

    Raises RunError, for the stage `who`, when no rate gives one that consists of numbers.
    """
    for rate in RATES:
        model = _train_once(text, learning, seed, rate)
        if model is not None and np.isfinite(model.get_output_matrix()).all():
            return model, rate
    raise RunError(f"{who}: training ended in NaN with every learning rate")


def _train_once(text: str, learning: Learning, seed: int, rate: float) -> Any | None:
    """fastText's model of a training file; None where training ended in NaN."""
    try:
        return import_fasttext().train_supervised(
            input=text,
            lr=rate,
            dim=learning.dims,
            epoch=learning.epochs,
            wordNgrams=learning.word_ngrams,
            bucket=learning.buckets,
            minCount=1,
            loss="softmax",
            thread=1,  # several race for the weights
            seed=seed % (1 << 31),
            verbose=0,
        )
    except RuntimeError:  # "Encountered NaN."
        return None


@contextlib.contextmanager
def scratch(work: str) -> Iterator[str]:
    """A local folder, below `work` unless that is remote, removed with what is in it.

    Its name is fixed, so that what a killed run left is removed by the next.
    """
    if not storage.is_local(work):
        with tempfile.TemporaryDirectory(prefix="corpusmill-") as folder:
            yield folder
        return
    folder = os.path.join(work, "classifier-training")
    storage.remove(folder)
    os.makedirs(folder)
    try:
        yield folder
    finally:
        storage.remove(folder)
