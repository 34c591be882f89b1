"""The stage `augment`: adds documents that are made from others, by back-translation or by noise.

It is global, though only a budget needs a look at all documents first: its output is a barrier
then, in which `forget` and `why` find what was derived from what, and a resumed run goes on at the
part where it stopped without repeating other stages.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import Field, field_validator, model_validator

from corpusmill import plugins
from corpusmill.document import derived_id, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.stage import Apply, GlobalStage, Names, NarrowStage, Outcome, Part, Verbs
from corpusmill.stages.augment_choice import (
    Band,
    Budget,
    Candidates,
    Cutoff,
    Filter,
    Numbers,
    find_cutoff,
    ranks_of,
)
from corpusmill.stages.document_classes import check_class
from corpusmill.stages.noise import Noise, add_noise
from corpusmill.stages.translation.settings import Backtranslate

LABEL = "augmentation"
"""The key of the metadata that says how a derived document was made."""

UNCHANGED = "unchanged"
"""Why noise was not added: nothing happened to the text."""


@dataclass(frozen=True)
class Made:
    """A text that was made of another, or why there is none."""

    text: str | None
    reason: str
    label: str
    """How it was made; for the metadata."""


Maker = Callable[[Sequence[str], Sequence[str], int], list[Made]]
"""Texts, their ids and the number of the copy -> what is made of each."""


class Augment(GlobalStage):
    """Adds documents that are made of others: in other words, or with errors as people make them.

    `backtranslate` sends sentences of prose through another language and back; `noise` puts errors
    into words. Give one of them; neither means back-translation as it is by default. What is
    protected (addresses, numbers, placeholders, code) stays as it is. A document that cannot be
    made as it should be is not added, and counted by reason (`skipped` in run.json).

    A new document has the id of its original as `augmented_from` and says how it was made in
    `metadata.augmentation`. From here on it goes where its original goes: into the same split, and
    out of the run. Documents of kind `code` are chosen only where `for:` is given.
    """

    name: ClassVar[str] = "augment"
    version: ClassVar[int] = 2
    path_settings: ClassVar[tuple[str, ...]] = (
        "backtranslate.models",
        "backtranslate.gate.similarity_model",
        "backtranslate.gate.reference",
    )

    backtranslate: Backtranslate | None = None
    """Round trips through other languages."""
    noise: Noise | None = None
    """Errors."""
    share: float | None = Field(default=None, gt=0, le=1)
    """Of the documents that can be chosen; 0.05 unless given, and 1 with a budget."""
    copies: int = Field(default=1, ge=1, le=16)
    """New documents of each original, at most. Those that come out equal, or nearly, are for
    `deduplicate` to drop."""
    languages: Names = ()
    """Languages that documents must be in. English for back-translation and all for noise unless
    given; English is recognised where no stage has identified it."""
    quality: Band | None = None
    """A range of a score: `{score: fluency, min: 0.5}`. Without the score a document is not
    chosen."""
    max_chars: int | None = Field(default=None, ge=1)
    """Longer documents are not chosen. For back-translation 5000 unless given: a CPU second
    translates some 1,300 characters there and back. No limit for noise."""
    derived: bool = False
    """Whether derived documents are chosen, too. What is made of them has their original as its
    own."""
    budget: Budget | None = None
    """The most that is made: `{documents: 1000}` or `{tokens: 1000000}`."""
    rarity: str = ""
    """Spend the budget on rare classes first, those with the fewest documents that can be chosen:
    by `language`, `kind`, `source` or `metadata.KEY`. Documents without a value come last."""
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    """Decides which documents are chosen, and what happens to them; the recipe's seed unless
    given."""

    @model_validator(mode="before")
    @classmethod
    def _translates_unless_told(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        given = [name for name in ("backtranslate", "noise") if values.get(name) is not None]
        return values if given else {**values, "backtranslate": {}}

    @model_validator(mode="after")
    def _fits_together(self) -> "Augment":
        if (self.backtranslate is None) == (self.noise is None):
            raise ValueError("give either backtranslate or noise; a recipe may have both in turn")
        if self.rarity and self.budget is None:
            raise ValueError("rarity: needs a budget that is spent on what is rare first")
        return self

    @field_validator("rarity")
    @classmethod
    def _known_rarity(cls, value: str) -> str:
        return check_class(value, ("language", "kind", "source")) if value else value

    def needed_scores(self) -> tuple[str, ...]:
        """The score of the band."""
        return (self.quality.score,) if self.quality else ()

    def facts(self) -> list[str]:
        """Who is chosen, where it follows from other settings."""
        chosen = self._filter()
        languages = ", ".join(chosen.languages) or "all languages"
        return [f"{self._share:g} of the documents in {languages}, {self.copies} new of each"]

    @property
    def _share(self) -> float:
        if self.share is not None:
            return self.share
        return 0.05 if self.budget is None else 1.0

    def _filter(self) -> Filter:
        translated = self.noise is None
        return Filter(
            languages=self.languages or (("en",) if translated else ()),
            band=self.quality,
            max_chars=self.max_chars or (5000 if translated else None),
            derived=self.derived,
            code=bool(self.for_),
            rarity=self.rarity,
            # What is translated is no more likely to get noise, too, than any other document.
            purpose="augment backtranslate" if translated else "augment noise",
            seed=self.seed or 0,
        )

    def used_plugins(self) -> tuple[plugins.Plugin, ...]:
        """The translator of another package."""
        engines = [self.backtranslate.engine] if self.backtranslate else []
        return (*super().used_plugins(), *plugins.found("translators", engines))

    def derives(self, seed: int) -> str:
        """The kind, its settings and the seed; not where models lie."""
        settings = self.model_dump(mode="json", include={"backtranslate", "noise"})
        for name in self.named_files():
            *outer, last = name.split(".")
            holder = settings
            for part in outer:
                holder = holder[part]
            del holder[last]
        kind = "backtranslate" if self.noise is None else "noise"
        digest = xxhash.xxh3_64_hexdigest(json.dumps(settings, sort_keys=True).encode())
        return f"{kind} {digest} {seed if self.seed is None else self.seed}"

    def check(self) -> None:
        """Raise UsageError for an engine or a language that is not there."""
        if self.backtranslate is not None:
            for language in self._filter().languages:
                try:
                    self.backtranslate.check(language)
                except UsageError as error:
                    raise UsageError(f"augment: {error}") from None

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> NarrowStage:
        """Find where the budget ends, and return the stage that makes the documents."""
        self.check()
        cutoff = None
        if self.budget is not None:
            candidates = Candidates(
                filter=self._filter(), share=self._share, tokens=self.budget.tokens is not None
            )
            size = self.budget.tokens or self.budget.documents or 0
            cutoff = find_cutoff(verbs, parts, candidates, size, self.copies)
        chosen = {
            "filter": self._filter(),
            "share": self._share,
            "copies": self.copies,
            "cutoff": cutoff,
            "how": self.derives(self.seed or 0),
        }
        if self.noise is not None:
            return AddNoise.model_validate({**chosen, "maker": self.noise})
        return AddParaphrases.model_validate({**chosen, "maker": self.backtranslate})


class AddDerived(NarrowStage):
    """Adds what is made of the documents that are chosen."""

    filter: Filter
    share: float
    copies: int
    cutoff: Cutoff | None
    how: str
    """Of the ids of what is made."""

    def _apply(self, batch: pa.RecordBatch, makers: dict[str, Maker]) -> Outcome:
        """Make copies of the documents that are chosen by the maker of their language ("": any)."""
        rows, copies = self._chosen(batch)
        documents = batch.take(pa.array(rows)).to_pylist()
        made: dict[tuple[int, int], Made] = {}
        for language, make in makers.items():
            for copy in range(self.copies):
                mine = [
                    place
                    for place, document in enumerate(documents)
                    if copies[place] > copy and _speaks(document, language)
                ]
                texts = [documents[place]["text"] for place in mine]
                keys = [documents[place]["id"] for place in mine]
                results = make(texts, keys, copy) if mine else []
                made |= {(place, copy): one for place, one in zip(mine, results, strict=True)}
        added, skipped = [], Counter[str]()
        for place, copy in sorted(made):
            one = made[place, copy]
            if one.text is None:
                skipped[one.reason] += 1
            else:
                added.append(self._document(documents[place], copy, one))
        new = documents_from_rows(added, batch.schema) if added else None
        return Outcome(documents=batch, added=new, skipped=skipped)

    def _chosen(self, batch: pa.RecordBatch) -> tuple[Numbers, Numbers]:
        """The rows that are chosen, and how many copies of each are made."""
        rows = self.filter.rows(batch)
        some = batch.take(pa.array(rows))
        fraction = self.filter.fractions(some.column("id"))
        copies = np.full(len(rows), self.copies)
        if self.cutoff is not None:
            ranks = ranks_of(self.filter.classes(some), self.cutoff.ranks)
            copies = self.cutoff.copies(ranks, fraction, some.column("id"), self.copies)
        copies = np.where(fraction < self.share, copies, 0)
        return rows[copies > 0], copies[copies > 0]

    def _document(self, original: dict[str, Any], copy: int, made: Made) -> dict[str, Any]:
        metadata = dict(original["metadata"] or ())
        label = "; ".join(filter(None, (metadata.get(LABEL), made.label)))
        return {
            **original,
            "id": derived_id(original["id"], self.how, copy),
            "text": made.text,
            # Neither the language nor any score was measured on this text.
            "language_score": None,
            "scores": None,
            "metadata": {**metadata, LABEL: label},
            "augmented_from": original["augmented_from"] or original["id"],
        }


def _speaks(document: dict[str, Any], language: str) -> bool:
    # Of those without a language the filter lets through what looks English.
    return language in ("", document["language"] or "en")


class AddParaphrases(AddDerived):
    """Adds paraphrases."""

    name: ClassVar[str] = "add_paraphrases"
    isolated: ClassVar[bool] = True
    # Sentences of a batch are translated together.
    batch_rows: ClassVar[int] = 64

    maker: Backtranslate

    @property
    def cpu_seconds_per_mb(self) -> float:
        """At 100 characters in a CPU second, for each copy: large models on small machines."""
        return 10_000.0 * self.copies

    def open(self) -> Apply:
        """Load all models (0.5 s for each language of the smallest)."""
        makers = {language: self._opened(language) for language in self.filter.languages}
        return lambda batch: self._apply(batch, makers)

    def _opened(self, language: str) -> Maker:
        paraphraser = self.maker.open(language, self.filter.seed)

        def make(texts: Sequence[str], keys: Sequence[str], copy: int) -> list[Made]:
            return [
                Made(one.text, one.reason or "", f"backtranslate {one.chain}")
                for one in paraphraser.paraphrase(texts, keys, copy)
            ]

        return make


class AddNoise(AddDerived):
    """Adds noisy documents."""

    name: ClassVar[str] = "add_noise"

    maker: Noise

    def open(self) -> Apply:
        """Nothing to load."""
        return lambda batch: self._apply(batch, {"": self._make})

    def _make(self, texts: Sequence[str], keys: Sequence[str], copy: int) -> list[Made]:
        keys = [f"{key}\0{copy}" for key in keys]
        noisy = add_noise(texts, keys, self.maker, self.filter.seed)
        return [
            Made(
                one.text if one.text != text else None,
                UNCHANGED,
                f"noise {'+'.join(one.operations)}",
            )
            for one, text in zip(noisy, texts, strict=True)
        ]
