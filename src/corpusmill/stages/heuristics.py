"""Which documents break a rule? The stage `heuristics`: rules of Gopher, C4, FineWeb, The Stack."""

from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from corpusmill.document import with_column, with_scores
from corpusmill.errors import one_of
from corpusmill.filters.c4 import CleanedLines, clean_lines
from corpusmill.filters.features import Features, measure
from corpusmill.filters.rules import (
    GROUPS,
    NOT_AVAILABLE,
    PRESETS,
    FloatArray,
    Rule,
    Scope,
)
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, Verdicts


def _known_group(name: str) -> str:
    if name in NOT_AVAILABLE:
        raise ValueError(f"rule group {name!r} is not available in this version")
    if name not in GROUPS:
        raise ValueError(one_of(name, GROUPS))
    return name


def _known_preset(name: str) -> str:
    if name in NOT_AVAILABLE:
        raise ValueError(f"preset {name!r} is not available in this version")
    if name not in PRESETS:
        raise ValueError(one_of(name, PRESETS))
    return name


class Heuristics(NarrowStage):
    """Drops documents by rules on their form: length, repetition, punctuation, lines.

    Every rule is measured for every document, and kept as the score of its name; the first rule
    that fails is the reason. Rules for English (stop words, C4's policy phrases) apply where the
    language is `en` or not known; rules on the length and repetition of words do not apply to
    scripts without spaces.
    """

    name: ClassVar[str] = "heuristics"

    preset: Annotated[str, AfterValidator(_known_preset)] | None = None
    """A chain of rule groups: `gopher`, `c4`, `fineweb` or `code`. Either this or `rules`."""
    rules: tuple[Annotated[str, AfterValidator(_known_group)], ...] = ()
    """Rule groups, in the order in which they are checked: `gopher_repetition`, `gopher_quality`,
    `c4`, `fineweb_quality`, `code`."""
    compat: bool = False
    """Judge exactly as datatrove 0.10.1 does, known traps included: an n-gram that occurs once is
    the most frequent one, n-grams are compared without the spaces between words, punctuation
    counts among words without letters, and every rule is applied to every language and script."""
    c4_terminal_punctuation: bool | None = None
    """Whether C4 removes lines that do not end a sentence. By default it does, but not in the
    preset `fineweb`."""
    thresholds: dict[str, FiniteFloat] = Field(default_factory=dict)
    """Other thresholds than the reference's, by name of the rule: `{gopher_short_doc: 20}`."""

    @model_validator(mode="after")
    def _check_together(self) -> "Heuristics":
        if (self.preset is None) == (not self.rules):
            raise ValueError("give either 'preset' or 'rules'")
        if len(set(self.rules)) < len(self.rules):
            raise ValueError("a rule group is named twice in 'rules'")
        if self.c4_terminal_punctuation is not None and "c4" not in self.groups:
            raise ValueError("'c4_terminal_punctuation' needs the rule group 'c4'")
        names = [rule.name for rule in self._rules()]
        unknown = [one_of(name, names) for name in self.thresholds if name not in names]
        if unknown:
            raise ValueError("thresholds: " + "; ".join(unknown))
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """The rule groups, in order."""
        return self.rules if self.preset is None else PRESETS[self.preset]

    def _rules(self) -> list[Rule]:
        return [rule for group in self.groups for rule in GROUPS[group]]

    def score_fields(self) -> tuple[str, ...]:
        """One score for each rule."""
        return tuple(rule.name for rule in self._rules())

    def open(self) -> Apply:
        """Nothing to load."""
        return self._apply

    def _apply(self, batch: pa.RecordBatch) -> Outcome:
        texts = batch.column("text")
        english = _is_english(batch.column("language"))
        measured: Features | None = None
        lines: CleanedLines | None = None
        values: dict[str, FloatArray] = {}
        for group in self.groups:
            if group == "c4":
                lines = clean_lines(texts, english, self._terminal_punctuation(), self.compat)
                if lines.changed.any():
                    # what follows judges what C4 has left
                    texts, measured = lines.texts, None
            elif measured is None:
                measured = measure(texts, self.compat)
            for rule in GROUPS[group]:
                taken = rule.values(lines if group == "c4" else measured, self.compat)
                if not self.compat and measured is not None:
                    taken[~_in_scope(rule.scope, measured, english)] = np.nan
                values[rule.name] = taken
        batch = with_scores(with_column(batch, "text", texts), values)
        return Outcome(documents=batch, verdicts=self._judge(batch, values, lines))

    def _terminal_punctuation(self) -> bool:
        if self.c4_terminal_punctuation is None:
            return self.preset != "fineweb"
        return self.c4_terminal_punctuation

    def _judge(
        self, batch: pa.RecordBatch, values: dict[str, FloatArray], lines: CleanedLines | None
    ) -> pa.RecordBatch:
        """The first rule that each document fails, in the order of the rules."""
        rules = self._rules()
        limits = [self.thresholds.get(rule.name, rule.threshold) for rule in rules]
        fails = np.stack(
            [r.fails(values[r.name], limit) for r, limit in zip(rules, limits, strict=True)]
        )
        first = fails.argmax(axis=0)
        verdicts = Verdicts()
        for row, document in enumerate(batch.column("id").to_pylist()):
            if fails[first[row], row]:
                rule, limit = rules[first[row]], limits[first[row]]
                value = float(values[rule.name][row])
                verdicts.add(document, Action.DROPPED, rule.name, value, limit)
            elif lines is not None and lines.changed[row]:
                removed = lines.lines_removed(row)
                reason = "c4_lines_removed" if removed else "c4_lines_edited"
                verdicts.add(
                    document, Action.CHANGED, reason, float(removed), None, lines.describe(row)
                )
        return verdicts.batch()


def _is_english(languages: pa.Array) -> npt.NDArray[np.bool_]:
    """Documents whose language is English or not known; shape [documents]."""
    english: npt.NDArray[np.bool_] = pc.fill_null(pc.equal(languages, "en"), True).to_numpy(
        zero_copy_only=False
    )
    return english


def _in_scope(
    scope: Scope, measured: Features, english: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Documents that a rule of this scope can judge; shape [documents]."""
    if scope is Scope.ENGLISH:
        return english
    if scope is Scope.SPACED:
        return 2 * measured.unspaced_words <= measured.words
    if scope is Scope.MARKUP:
        return measured.opens_with_tag > 0
    return np.ones(len(english), np.bool_)
