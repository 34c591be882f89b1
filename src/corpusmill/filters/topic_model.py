"""A fastText classifier of topics (Joulin et al. 2016): what is a text about, and how surely?

A document has the mean over some of its windows of the probabilities that the model gives. Windows
that lie evenly over a long document stand for all of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from corpusmill.filters.classifier import (
    Learning,
    check_card,
    import_fasttext,
    local_copy,
    stored_card,
)
from corpusmill.filters.classifier_text import NORMALISATION, normalise
from corpusmill.filters.fasttext_file import LABEL, labels_of
from corpusmill.filters.windows import cut_windows

FloatArray = npt.NDArray[np.float64]
FORMAT = "corpusmill-topics-1"
MOST_WINDOWS = 8
"""Windows of a document that are judged: a book takes no longer than 16 kB."""


class TopicCard(BaseModel):
    """What is known of a trained model; lies beside it as MODEL.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    xxh3: str
    """Of the model's file."""
    bytes: int
    normalisation: int = NORMALISATION
    examples: Mapping[str, int]
    """Windows of each topic, with those held out."""
    seeds: int
    """Seed words; 0 for a model that learned from labelled text."""
    held_out: int
    """Windows that the model was tried on."""
    accuracy: float | None
    """On them, without any seed word; against the topics that the seed words or the labels gave."""
    macro_f1: float | None
    seed: int
    learning: Learning
    rate: float
    """Learning rate with which training succeeded."""

    def describe(self) -> str:
        """A line for people."""
        begun = f"topics: {sum(self.examples.values())} examples of {len(self.examples)} topics"
        if self.accuracy is None or self.macro_f1 is None:
            return f"{begun}; too few are held out ({self.held_out}) to say how well it tells them"
        against = "the topics of seed words, which were left out" if self.seeds else "the labels"
        return (
            f"{begun}; on {self.held_out} held out, accuracy {self.accuracy:.2f} and macro F1 "
            f"{self.macro_f1:.2f} against {against}"
        )


def read_topic_card(path: str) -> TopicCard | None:
    """The card of a model, None for one that was trained elsewhere. Raises UsageError."""
    return stored_card(path, TopicCard, "", "a model of topics")


def topics_of_model(path: str) -> list[str]:
    """The topics that a model knows; UsageError for what is no whole model."""
    import_fasttext()
    with local_copy(path) as local:
        return _checked_topics(path, local)


def _checked_topics(path: str, local: str) -> list[str]:
    check_card(path, local, read_topic_card(path), FORMAT, "")
    return labels_of(local, path)


class TopicModel:
    """A loaded model. It does not pickle: make one in each worker."""

    def __init__(self, path: str) -> None:
        """Read a model that was trained here, or any supervised one of fastText's.

        Raises UsageError for what is no whole model.
        """
        fasttext = import_fasttext()
        with local_copy(path) as local:
            _checked_topics(path, local)
            # fasttext.load_model prints a warning; this is what it calls.
            self._take(fasttext.FastText._FastText(local))

    @classmethod
    def of(cls, model: Any) -> "TopicModel":
        """A model of fastText's that is loaded already."""
        made = cls.__new__(cls)
        made._take(model)
        return made

    def _take(self, model: Any) -> None:
        self._model = model
        self.topics: tuple[str, ...] = tuple(
            sorted(label.removeprefix(LABEL) for label in model.get_labels())
        )
        self._column = {f"{LABEL}{topic}": i for i, topic in enumerate(self.topics)}

    def probabilities(self, texts: pa.Array) -> FloatArray:
        """Of each topic for each text; shape [texts, topics], NaN for a text without a word."""
        windows, offsets = cut_windows(texts)
        counts = np.diff(offsets)
        asked = np.minimum(counts, MOST_WINDOWS)
        ends = np.cumsum(asked)
        number = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - asked, asked)
        chosen = np.repeat(offsets[:-1], asked) + (
            (2 * number + 1) * np.repeat(counts, asked) // np.repeat(2 * asked, asked)
        )
        found = self._of_lines(normalise(windows.take(pa.array(chosen))).to_pylist())
        owner = np.repeat(np.arange(len(texts)), asked)
        known = ~np.isnan(found[:, 0])
        total = np.zeros((len(texts), len(self.topics)))
        np.add.at(total, owner[known], found[known])
        judged = np.bincount(owner[known], minlength=len(texts)).astype(float)
        judged[judged == 0] = np.nan
        mean: FloatArray = total / judged[:, None]
        return mean

    def best_of_lines(self, lines: Sequence[str]) -> list[str | None]:
        """The likeliest topic of each normalised line; None for one without a word."""
        found = self._of_lines(lines)
        none = np.isnan(found[:, 0])
        best = np.where(none, 0, np.nan_to_num(found).argmax(1))
        return [None if n else self.topics[i] for n, i in zip(none, best.tolist(), strict=True)]

    def _of_lines(self, lines: Sequence[str]) -> FloatArray:
        found = np.full((len(lines), len(self.topics)), np.nan)
        rows = [row for row, line in enumerate(lines) if line]
        if rows:
            labels, values = self._model.predict([lines[row] for row in rows], k=-1)
            for row, names, chances in zip(rows, labels, values, strict=True):
                found[row] = 0.0
                columns = [self._column[name] for name in names]
                found[row, columns] = np.minimum(chances, 1.0)  # rounding can exceed 1
        return found
