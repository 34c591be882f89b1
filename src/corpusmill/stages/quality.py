"""Quality: how good is the writing, judged by language models of several sizes.

Scorers (`stages/scorers`) are trained in the run or loaded, and all of them score the documents in
one pass. Within each kind and language the documents are ranked, and those that lie outside a band
are dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from corpusmill import storage
from corpusmill.errors import UsageError, one_of
from corpusmill.stage import GlobalStage, Names, Part, Verbs
from corpusmill.stages.scorers.bands import GROUP, Bands, Combine, End, judge
from corpusmill.stages.scorers.checkpoint import CheckpointScorer
from corpusmill.stages.scorers.classifier import ClassifierScorer
from corpusmill.stages.scorers.held_out import separation_note
from corpusmill.stages.scorers.ngram import UNKNOWN, NgramScorer
from corpusmill.stages.scorers.references import check_reference, store_reference
from corpusmill.stages.scorers.scoped_verbs import ScopedVerbs
from corpusmill.stages.scorers.scorer import Judge, Scorer
from corpusmill.stages.scorers.transformer import TransformerScorer
from corpusmill.stages.verdicts import JoinVerdicts

SCORERS = ("ngram", "classifier", "transformer", "checkpoint")
"""Names of the scorers there are."""

LOWEST, LIKELIEST = "quality_below_quantile", "quality_too_likely"
"""Reasons."""


class Quality(GlobalStage):
    """Scores documents with language models and drops the worst of each kind and language.

    Within each kind and language documents are ranked by every measure, worst first. Under one
    scorer a document is as good as its worst measure; `combine` says what several scorers come to.
    `drop_lowest` of the documents are dropped from the low end. The ledger has the rank as a share
    of the group (0 is the worst), and as threshold the rank at which the border is; of documents
    with just that rank, as many as are needed go, chosen by a hash of their ids.

    Documents of kind `code` pass without scores unless there is a reference of code: models of
    prose have nothing to say about them.
    """

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 2
    path_settings: ClassVar[tuple[str, ...]] = (
        "reference",
        "code_reference",
        "classifier.model",
        "transformer.model",
        "checkpoint.train",
    )

    scorers: Names = ("ngram",)
    """Who judges: any of `ngram`, `classifier`, `transformer` and `checkpoint`. Each has settings
    of its own under its name."""
    reference: str = ""
    """Text such as the corpus should be: a file, a folder or a pattern of UTF-8 files. Its blank
    lines do not matter. A few megabytes in each language of the corpus are enough. A twentieth is
    held out: it shows after judging how well the scorers tell good text from the corpus."""
    code_reference: str = ""
    """Code such as the corpus should have, in the same way. The scorers that learn from a reference
    learn from it and judge documents of kind `code`, all languages as one group. With it and
    without `reference` they judge nothing else."""
    drop_lowest: float = Field(default=0.1, ge=0, lt=1, allow_inf_nan=False)
    """Share of the documents of each kind and language to drop as the worst. Less than 1 together
    with `drop_likeliest`."""
    drop_likeliest: float = Field(default=0, ge=0, lt=1, allow_inf_nan=False)
    """Share to drop at the other end: what all scorers that measure perplexity find most likely.
    That is boilerplate, templates and lists. 0.01 to 0.05 where there is much of it."""
    combine: Combine = "best"
    """What a document's ranks under several scorers come to. `best` drops only what all of them
    find bad, and is no stronger than the weakest of them; `mean` weighs them equally; `worst` drops
    what any of them finds bad."""
    smallest_group: int = Field(default=20, ge=1)
    """Documents of one kind and language from which on any is dropped: fewer have no quantiles."""
    max_unknown: float = Field(default=0.5, gt=0, le=1)
    """If half of a group's documents have a larger share of unknown words (`ngram` measures it),
    the reference does not speak their language, and none is dropped. French against an English
    reference: 0.55."""
    ngram: NgramScorer | None = None
    """Settings of the n-gram models that the run trains."""
    classifier: ClassifierScorer | None = None
    """Settings of the fastText classifier, trained in the run or before."""
    transformer: TransformerScorer | None = None
    """Settings of the causal language model of `transformers`."""
    checkpoint: CheckpointScorer | None = None
    """Settings of the model that `corpusmill train` has trained."""

    @model_validator(mode="before")
    @classmethod
    def _settings_of_those_listed(cls, values: Any) -> Any:
        """A scorer that is listed has settings, if only the usual ones."""
        if not isinstance(values, Mapping):
            return values
        listed = values.get("scorers", cls.model_fields["scorers"].default)
        names = [listed] if isinstance(listed, str) else listed
        names = (
            [name for name in names if name in SCORERS] if isinstance(names, list | tuple) else []
        )
        given = {name: {} if values.get(name) is None else values[name] for name in names}
        return {**values, **given}

    @field_validator("scorers")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"name a scorer: {', '.join(SCORERS)}")
        for scorer in value:
            if scorer not in SCORERS:
                raise ValueError(f"scorer {one_of(scorer, SCORERS)}")
        if len(set(value)) < len(value):
            raise ValueError("a scorer stands twice")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> "Quality":
        for name in SCORERS:
            if name not in self.scorers and getattr(self, name) is not None:
                raise ValueError(f"{name}: has settings, but is not among the scorers")
        unused = self.max_unknown != type(self).model_fields["max_unknown"].default
        if unused and "ngram" not in self.scorers:
            raise ValueError("max_unknown: needs the scorer ngram, which is not among the scorers")
        learners = [scorer.name for scorer in self._scorers if scorer.learns]
        if learners and not (self.reference or self.code_reference):
            raise ValueError(f"reference: is missing; {', '.join(learners)} learns from it")
        if self.code_reference and not learners:
            raise ValueError("code_reference: none of the scorers learns from a reference")
        if self.drop_likeliest and not any(scorer.perplexities for scorer in self._scorers):
            raise ValueError("drop_likeliest: none of the scorers measures perplexity")
        if self.drop_lowest + self.drop_likeliest >= 1:
            raise ValueError(
                f"drop_lowest and drop_likeliest: {self.drop_lowest:g} and {self.drop_likeliest:g} "
                "leave nothing; together they must be less than 1"
            )
        return self

    @property
    def _scorers(self) -> tuple[Scorer, ...]:
        settings: dict[str, Scorer | None] = {
            "ngram": self.ngram,
            "classifier": self.classifier,
            "transformer": self.transformer,
            "checkpoint": self.checkpoint,
        }
        found = (settings[name] for name in self.scorers)
        return tuple(scorer for scorer in found if scorer is not None)

    def judges_of(self, kind: str) -> tuple[Scorer, ...]:
        """The scorers that have something to say about documents of a kind."""
        if kind == "code":
            return tuple(s for s in self._scorers if s.learns and self.code_reference)
        return tuple(s for s in self._scorers if self.reference or not s.learns)

    def score_fields(self) -> tuple[str, ...]:
        """All measures and facts."""
        return tuple(sorted(name for s in self._scorers for name in (*s.measures, *s.facts)))

    def content_files(self) -> dict[str, list[str]]:
        """Of a training only the checkpoint that judges: the rest of its folder may go on."""
        files = self.named_files()
        if self.checkpoint is not None:
            files["checkpoint.train"] = list(self.checkpoint.files)
        return files

    def check(self) -> None:
        """Raise UsageError when a reference is not text, or a scorer lacks something."""
        try:
            for name in ("reference", "code_reference"):
                if path := getattr(self, name):
                    check_reference(name, path)
            for scorer in self._scorers:
                scorer.check()
        except UsageError as error:
            raise UsageError(f"quality: {error}") from None

    def prepare(self, verbs: Verbs, parts: Sequence[Part]) -> JoinVerdicts:
        """Train or load the scorers, score all documents, rank them by kind and language."""
        prose = [part for part in parts if part.kind != "code"]
        code = [part for part in parts if part.kind == "code"]
        judged = self._judged(verbs, "prose", self.reference, prose)
        of_code = self._judged(verbs, "code", self.code_reference, code)
        return JoinVerdicts(runs={**judged.runs, **of_code.runs})

    def _judged(
        self, verbs: Verbs, realm: str, reference: str, parts: Sequence[Part]
    ) -> JoinVerdicts:
        """Verdicts on prose or on code; none where no scorer knows it."""
        kind = "code" if realm == "code" else "book"
        scorers = self.judges_of(kind)
        if not parts or not scorers:
            return JoinVerdicts(runs={})
        work = storage.join(verbs.work, realm)
        stored = store_reference(reference, storage.join(work, "reference"), kind)
        judges = tuple(
            scorer.prepare(
                ScopedVerbs(verbs, storage.join(work, scorer.name)), stored.learned, parts
            )
            for scorer in scorers
        )
        score = _Score(judges=judges)
        good = verbs.map(stored.held_out, score)
        scores = verbs.map(parts, score)
        bands = self._bands(scorers)
        judged = judge(verbs, bands, parts, scores, storage.join(work, "bands"))
        if reference:
            verbs.note(f"quality: {realm}: {separation_note(verbs, bands, judged, good)}")
        return judged.verdicts

    def _bands(self, scorers: Sequence[Scorer]) -> Bands:
        lowest = End(
            name="lowest",
            reason=LOWEST,
            share=self.drop_lowest,
            worst_is_high=True,
            scorers={scorer.name: scorer.measures for scorer in scorers},
            combine=self.combine,
        )
        likeliest = End(
            name="likeliest",
            reason=LIKELIEST,
            share=self.drop_likeliest,
            worst_is_high=False,
            scorers={scorer.name: scorer.perplexities for scorer in scorers if scorer.perplexities},
        )
        facts = tuple(name for scorer in scorers for name in scorer.facts)
        return Bands(
            ends=(lowest, likeliest) if self.drop_likeliest and likeliest.scorers else (lowest,),
            facts=facts,
            smallest_group=self.smallest_group,
            usual={UNKNOWN: self.max_unknown} if UNKNOWN in facts else {},
        )


@dataclass(frozen=True, kw_only=True)
class _Score:
    """What all judges say of documents, and the group that each belongs to."""

    columns: ClassVar[Sequence[str]] = ("text", "kind", "language")

    judges: tuple[Judge, ...]

    @property
    def gpu(self) -> bool:
        return any(getattr(judge, "gpu", False) for judge in self.judges)

    def open(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        opened = [judge.open() for judge in self.judges]

        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            measured = {name: v for score in opened for name, v in score(batch).items()}
            kind = batch.column("kind")
            language = pc.fill_null(batch.column("language"), "unidentified")
            group = pc.if_else(
                pc.equal(kind, "code"), kind, pc.binary_join_element_wise(kind, language, " ")
            )
            scores = {name: pa.array(values, pa.float32()) for name, values in measured.items()}
            return pa.RecordBatch.from_pydict({"id": batch.column("id"), GROUP: group, **scores})

        return measure
