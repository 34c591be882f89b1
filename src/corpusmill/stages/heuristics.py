"""Which documents break a rule? The stage `heuristics`: rules of Gopher, C4, FineWeb, The Stack."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from corpusmill import plugins
from corpusmill.document import with_column, with_scores
from corpusmill.errors import BrokenContract, UsageError, one_of
from corpusmill.filters.c4 import CleanedLines, clean_lines
from corpusmill.filters.features import Family, Features, measure
from corpusmill.filters.language_thresholds import FINEWEB2, adapted
from corpusmill.filters.languages import LANGUAGES
from corpusmill.filters.rules import (
    PRESETS,
    FloatArray,
    Preset,
    Rule,
    Scope,
)
from corpusmill.filters.stop_words import list_numbers
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, Verdicts
from corpusmill.stages.rule_groups import TextRule, families_of, known_group, rules_of

OTHER = "other"
"""In records: every known language that is not named."""


def _known_group(name: str) -> str:
    try:
        return known_group(name)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(one_of(name, PRESETS))
    return name


class Heuristics(NarrowStage):
    """Drops documents by rules on their form: length, repetition, punctuation, lines.

    Every rule is measured for every document, and kept as the score of its name; the first rule
    that fails is the reason. The rule on stop words applies to languages that have a list, C4's
    policy phrases where the language is `en` or not known; rules on the length and repetition of
    words do not apply to scripts without spaces.
    """

    name: ClassVar[str] = "heuristics"
    version: ClassVar[int] = 2

    preset: Annotated[str, AfterValidator(_known_preset)] | None = None
    """A chain of rule groups: `gopher`, `c4`, `fineweb`, `fineweb2`, `code` or `books`. Either this
    or `rules`."""
    rules: tuple[Annotated[str, AfterValidator(_known_group)], ...] = ()
    """Rule groups, in the order in which they are checked: `gopher_repetition`, `gopher_quality`,
    `c4`, `fineweb_quality`, `code`, `books`, `entropy`, and those of other packages
    (docs/extending.md)."""
    compat: bool = False
    """Judge exactly as datatrove 0.10.1 does, known traps included: an n-gram that occurs once is
    the most frequent one, n-grams are compared without the spaces between words, punctuation
    counts among words without letters, and every rule is applied to every language and script
    with the thresholds for English."""
    c4_terminal_punctuation: bool | None = None
    """Whether C4 removes lines that do not end a sentence. By default it does, but not in the
    preset `fineweb`."""
    thresholds: dict[str, FiniteFloat] = Field(default_factory=dict)
    """Other thresholds than the reference's, by name of the rule: `{gopher_short_doc: 20}`. They
    hold in every language."""
    language_thresholds: dict[str, dict[str, FiniteFloat]] = Field(default_factory=dict)
    """Other thresholds in a language: `{de: {gopher_above_avg_threshold: 12}}`. They come before
    `thresholds` and before those of FineWeb-2, which hold otherwise."""

    @model_validator(mode="after")
    def _check_together(self) -> "Heuristics":
        if (self.preset is None) == (not self.rules):
            raise ValueError("give either 'preset' or 'rules'")
        if len(set(self.rules)) < len(self.rules):
            raise ValueError("a rule group is named twice in 'rules'")
        if self.c4_terminal_punctuation is not None and "c4" not in self.groups:
            raise ValueError("'c4_terminal_punctuation' needs the rule group 'c4'")
        names = [rule.name for rule in self._rules()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rules: two of the groups have a rule {twice[0]!r}")
        given = {"thresholds": self.thresholds} | {
            f"language_thresholds.{language}": values
            for language, values in self.language_thresholds.items()
        }
        unknown = [
            f"{setting}: {one_of(name, names)}"
            for setting, values in given.items()
            for name in values
            if name not in names
        ]
        unknown += [
            f"language_thresholds: {one_of(language, LANGUAGES)}"
            for language in self.language_thresholds
            if language not in LANGUAGES
        ]
        if unknown:
            raise ValueError("; ".join(unknown))
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """The rule groups, in order."""
        return self._chain().groups

    def _chain(self) -> Preset:
        return Preset(groups=self.rules) if self.preset is None else PRESETS[self.preset]

    def _rules(self) -> list[Rule]:
        return [rule for group in self.groups for rule in rules_of(group)]

    def used_plugins(self) -> tuple[plugins.Plugin, ...]:
        """The groups of other packages."""
        return (*super().used_plugins(), *plugins.found("rules", self.groups))

    def limits_in(self, language: str | None) -> dict[str, float]:
        """The threshold of every rule in a language, in the order of the rules."""
        chain = self._chain()
        limits = {rule.name: rule.threshold for rule in self._rules()} | dict(chain.thresholds)
        if not self.compat:
            built_in = adapted(language, chain.adapted)
            limits |= {name: limit for name, limit in built_in.items() if name in limits}
        return limits | self.thresholds | self.language_thresholds.get(language or "", {})

    def judged_scores(self) -> dict[str, dict[str, Any]]:
        """Each rule's side and thresholds, in the order in which the rules are checked.

        A language is named if it has thresholds that are not those of English, or not those of
        `other`, which are those of every known language that is not named.
        """
        english, other = self.limits_in(None), self.limits_in(OTHER)
        named = [*FINEWEB2, *self.language_thresholds]
        by_language = {OTHER: other} | {name: self.limits_in(name) for name in named}
        return {
            rule.name: {
                "drops": rule.drops,
                "threshold": _finite(english[rule.name]),
                "languages": {
                    language: limits[rule.name]
                    for language, limits in by_language.items()
                    if {limits[rule.name], other[rule.name]} != {english[rule.name]}
                },
            }
            for rule in self._rules()
        }

    def score_fields(self) -> tuple[str, ...]:
        """One score for each rule."""
        return tuple(rule.name for rule in self._rules())

    def open(self) -> Apply:
        """Nothing to load."""
        return self._apply

    def _apply(self, batch: pa.RecordBatch) -> Outcome:
        texts, languages = batch.column("text"), batch.column("language")
        measured: Features | None = None
        lines: CleanedLines | None = None
        values: dict[str, FloatArray] = {}
        for number, group in enumerate(self.groups):
            if group == "c4":
                english = _is_english(languages)
                lines = clean_lines(texts, english, self._terminal_punctuation(), self.compat)
                # what follows judges what C4 has left
                texts, measured = lines.texts, None
            if measured is None:
                families = self._families(number)
                measured = measure(texts, self.compat, languages, families)
            for rule in rules_of(group):
                if isinstance(rule, TextRule):
                    taken = rule.values(texts, self.compat).copy()
                else:
                    taken = rule.values(lines if rule.of_lines else measured, self.compat)
                if taken.shape != (len(texts),):
                    raise BrokenContract(
                        f"rule {rule.name} gave an array of shape {taken.shape} for {len(texts)} "
                        "documents"
                    )
                if not self.compat:
                    taken[~_in_scope(rule.scope, measured, languages)] = np.nan
                values[rule.name] = taken
        batch = with_scores(with_column(batch, "text", texts), values)
        return Outcome(documents=batch, verdicts=self._judge(batch, values, lines))

    def _families(self, first: int) -> frozenset[Family]:
        """What the groups ask for that judge the same text as this one."""
        follow = self.groups[first + 1 :]
        if "c4" in follow:
            follow = follow[: follow.index("c4")]
        return families_of(self.groups[first]).union(*map(families_of, follow))

    def _terminal_punctuation(self) -> bool:
        if self.c4_terminal_punctuation is None:
            return self.preset != "fineweb"
        return self.c4_terminal_punctuation

    def _limits(self, languages: pa.Array) -> FloatArray:
        """The thresholds of each document; shape [rules, documents]."""
        coded = languages.dictionary_encode()
        known = [None, *coded.dictionary.to_pylist()]
        table = np.array([list(self.limits_in(language).values()) for language in known])
        rows = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False) + 1
        limits: FloatArray = table[rows].T
        return limits

    def _judge(
        self, batch: pa.RecordBatch, values: Mapping[str, FloatArray], lines: CleanedLines | None
    ) -> pa.RecordBatch:
        """The first rule that each document fails, in the order of the rules."""
        rules = self._rules()
        languages = batch.column("language")
        limits = self._limits(languages)
        # As the scores are stored: another threshold can be tried on them afterwards.
        kept = np.float64 if self.compat else np.float32
        fails = np.stack(
            [
                rule.fails(values[rule.name].astype(kept), limit.astype(kept))
                for rule, limit in zip(rules, limits, strict=True)
            ]
        )
        first = fails.argmax(axis=0)
        verdicts = Verdicts()
        known = languages.to_pylist()
        for row, document in enumerate(batch.column("id").to_pylist()):
            if fails[first[row], row]:
                rule, limit = rules[first[row]], float(limits[first[row], row])
                value = float(values[rule.name][row])
                # what the thresholds of the other rules depend on
                detail = json.dumps({"language": known[row]}) if known[row] else None
                verdicts.add(document, Action.DROPPED, rule.name, value, limit, detail)
            elif lines is not None and lines.changed[row]:
                removed = lines.lines_removed(row)
                reason = "c4_lines_removed" if removed else "c4_lines_edited"
                verdicts.add(
                    document, Action.CHANGED, reason, float(removed), None, lines.describe(row)
                )
        return verdicts.batch()


def _finite(limit: float) -> float | None:
    """The threshold as JSON has it: null where the rule is off."""
    return limit if np.isfinite(limit) else None


def _is_english(languages: pa.Array) -> npt.NDArray[np.bool_]:
    """Documents whose language is English or not known; shape [documents]."""
    english: npt.NDArray[np.bool_] = pc.fill_null(pc.equal(languages, "en"), True).to_numpy(
        zero_copy_only=False
    )
    return english


def _in_scope(scope: Scope, measured: Features, languages: pa.Array) -> npt.NDArray[np.bool_]:
    """Documents that a rule of this scope can judge; shape [documents]."""
    if scope is Scope.STOP_WORDS:
        return list_numbers(languages, len(languages)) >= 0
    if scope is Scope.SPACED:
        return 2 * measured.unspaced_words <= measured.words
    if scope is Scope.MARKUP:
        return measured.opens_with_tag > 0
    return np.ones(len(languages), np.bool_)
