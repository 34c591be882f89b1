"""A fastText classifier (Joulin et al. 2016): is a text like the good ones it learned from?

It says of a document the median over its windows of 1 - P(good). Models come from
`classifier_training.py`, with a card beside them, or from elsewhere; fastText's own reader trusts
what it reads, so the structure of a file is checked before.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Set
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corpusmill import storage
from corpusmill.errors import UsageError, one_of
from corpusmill.filters.classifier_text import NORMALISATION, normalise
from corpusmill.filters.fasttext_file import LABEL, labels_of
from corpusmill.filters.windows import cut_windows, median_by_document

FloatArray = npt.NDArray[np.float64]

GOOD, RAW = "good", "raw"
"""The labels of a model that was trained here."""
FORMAT = "corpusmill-classifier-1"
RARE = "<rare>"
"""What stands for a word that a model trained here does not know: no text is normalised to it.
fastText itself passes over such words, and with them over what is wrong with a text full of typing
errors: with it, the AUC of noise (benchmarks/separation.py) went from 0.72 to 0.93."""


class Learning(BaseModel):
    """How a classifier learns."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    epochs: int = Field(default=5, ge=1, le=100)
    """Passes over the training text. fastText's default."""
    dims: int = Field(default=16, ge=2, le=300)
    """Numbers in the vector of a word. Two labels need few."""
    word_ngrams: int = Field(default=2, ge=1, le=5)
    """Longest run of words that counts as a feature; from 2 on, the order of words is seen."""
    buckets: int = Field(default=1 << 18, ge=1 << 10, le=1 << 24)
    """Slots that runs of words share by hash. With `dims` it decides the size of the model: 16 MiB
    by default."""


class Trial(BaseModel):
    """How a model did on documents it has not read; of badness 0.5 and less counts as good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auc: float | None
    """The chance that a held-out good document is told from a raw one; null with none held out."""
    good_dropped: float | None
    """Share of the held-out good documents with a badness of more than 0.5."""
    precision: float | None
    """Share of good ones among the held-out documents with a badness of 0.5 and less."""
    recall: float | None
    """1 - good_dropped."""
    held_out: Mapping[str, int]
    """Documents of each label that the model was tried on."""


class Card(Trial):
    """What is known of a trained model; lies beside it as MODEL.json."""

    format: str = FORMAT
    xxh3: str
    """Of the model's file."""
    bytes: int
    normalisation: int = NORMALISATION
    lines: Mapping[str, int]
    """Of each label, in training."""
    seed: int
    learning: Learning
    rate: float
    """Learning rate with which training succeeded."""

    def describe(self) -> str:
        """A line for people."""
        if self.auc is None:
            return "classifier: no text was held out to try it on"
        dropped = 100 * (self.good_dropped or 0)
        text = (
            f"classifier: AUC {self.auc:.3f} on {sum(self.held_out.values())} held-out documents; "
            f"a badness above 0.5 would drop {dropped:.1f} % of the good ones"
        )
        return text if self.auc > 0.5 else f"{text}; it cannot tell them apart: do not rely on it"


CardType = TypeVar("CardType", bound=BaseModel)


class _Stored(Protocol):
    """What cards of every kind say of the file beside them."""

    @property
    def format(self) -> str: ...
    @property
    def normalisation(self) -> int: ...
    @property
    def xxh3(self) -> str: ...


def card_path(path: str) -> str:
    """Where the card of a model lies."""
    return f"{path}.json"


def read_card(path: str) -> Card | None:
    """The card of a model, None for one that was trained elsewhere. Raises UsageError."""
    return stored_card(path, Card, "classifier ", "a classifier")


def stored_card(path: str, kind: type[CardType], who: str, what: str) -> CardType | None:
    """The card beside a model, None if there is none. `who` begins messages, `what` is in them."""
    card = card_path(path)
    if not storage.exists(card):
        return None
    try:
        return kind.model_validate_json(storage.read_bytes(card))
    except OSError as error:
        raise UsageError(f"{who}{card}: cannot be read: {error.strerror}") from None
    except ValidationError:
        raise UsageError(f"{who}{card}: is not the card of {what}") from None


def check_card(path: str, local: str, card: "_Stored | None", form: str, who: str) -> None:
    """Raise UsageError unless the file at `local` is the one that its card, if any, describes."""
    if card is None:
        return
    if card.format != form or card.normalisation != NORMALISATION:
        raise UsageError(f"{who}{path}: was made by another version of corpusmill: train it again")
    if storage.checksum_file(local) != card.xxh3:
        raise UsageError(
            f"{who}{path}: is not the file that {card_path(path)} describes: "
            "it is damaged, or was replaced"
        )


def check_classifier(path: str, label: str = GOOD) -> None:
    """Raise UsageError if the package is missing, or the file is no model that can be used."""
    import_fasttext()
    with local_copy(path) as local:
        _check_file(path, local, label)


def _check_file(path: str, local: str, label: str) -> Card | None:
    card = read_card(path)
    check_card(path, local, card, FORMAT, "classifier ")
    labels = labels_of(local, path)
    if label not in labels:
        raise UsageError(f"classifier {path}: label {one_of(label, labels)}")
    return card


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[str]:
    """A path that fastText can open: it knows local files only."""
    if storage.is_local(path):
        local = path.removeprefix("file://")
        if not os.path.isfile(local):
            raise UsageError(f"classifier: no file at {path}")
        yield local
        return
    try:
        data = storage.read_bytes(path)
    except OSError as error:
        raise UsageError(f"classifier {path}: cannot be read: {error.strerror or error}") from None
    with tempfile.NamedTemporaryFile(prefix="corpusmill-") as stream:
        stream.write(data)
        stream.flush()
        yield stream.name


def import_fasttext() -> Any:
    """The module `fasttext`; UsageError saying what to install if it is missing."""
    try:
        import fasttext.FastText
    except ImportError:
        raise UsageError("a classifier needs fasttext: pip install 'corpusmill[models]'") from None
    return fasttext


class Classifier:
    """A loaded model. It does not pickle: make one in each worker."""

    def __init__(self, path: str, label: str = GOOD) -> None:
        """Read a model that was trained here, or any supervised one of fastText's.

        A model without a card was trained elsewhere, and is shown texts as they are, in one line.
        Raises UsageError for what is no whole model, or has no such label.
        """
        fasttext = import_fasttext()
        with local_copy(path) as local:
            self._card = _check_file(path, local, label)
            # fasttext.load_model prints a warning; this is what it calls.
            self._model: Any = fasttext.FastText._FastText(local)
        self._label = label
        self._known = None if self._card is None else known_words(self._model)

    def badness(self, texts: pa.Array) -> FloatArray:
        """1 - P(good) of texts; shape [documents]. NaN for a text without a word."""
        return badness_of(self._model, texts, self._known, self._label)


def known_words(model: Any) -> Set[str]:
    """The dictionary of a model."""
    return frozenset(model.get_words())


def badness_of(
    model: Any, texts: pa.Array, known: Set[str] | None, label: str = GOOD
) -> FloatArray:
    """1 - P(label), the median over the windows of each text; NaN where there is no number.

    `known` are the words of a model that was trained here; None for others.
    """
    windows, offsets = cut_windows(texts)
    if known is None:
        lines = _one_line(windows)
    else:
        lines = [with_rare(line, known) for line in normalise(windows).to_pylist()]
    return median_by_document(_of_lines(model, lines, f"{LABEL}{label}"), offsets)


def with_rare(line: str, known: Set[str]) -> str:
    """A normalised line with RARE for the words that are not known."""
    return " ".join([word if word in known else RARE for word in line.split(" ")]) if line else ""


def _one_line(texts: pa.Array) -> list[str]:
    lines: list[str] = pc.utf8_trim_whitespace(
        pc.replace_substring_regex(texts, r"[\s\x00]+", " ")
    ).to_pylist()
    return lines


def _of_lines(model: Any, lines: list[str], label: str) -> FloatArray:
    found = np.full(len(lines), np.nan)
    asked = [row for row, line in enumerate(lines) if line]
    if asked:
        labels, probabilities = model.predict([lines[row] for row in asked], k=-1)
        for row, names, values in zip(asked, labels, probabilities, strict=True):
            if label in names:
                # rounding can exceed 1
                found[row] = max(0.0, 1.0 - float(values[names.index(label)]))
    return found
