"""The measures by which rules judged documents: from a run's ledger and documents, never a text.

A rule's measure is known of every document that came to its stage, dropped or not. Documents that
an earlier stage dropped have none, and neither have those that the rule does not apply to.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import INGEST_SCORE
from corpusmill.errors import UsageError
from corpusmill.pipelines.ledger import RunRecord, StageRecord
from corpusmill.report.lookup import INGEST_BYTES, applies, kinds, part_tables

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class JudgedRule:
    """A rule as the run's record has it."""

    name: str
    stage: StageRecord
    drops: str
    threshold: float | None
    """None where the rule is off."""
    languages: dict[str, float]
    """Other thresholds by language; `other` stands for those that are known and not named."""

    def limit(self, language: str | None) -> float:
        """The threshold in a language; infinite where the rule is off."""
        limit = self.threshold
        if language is not None and language != "en":
            limit = self.languages.get(language, self.languages.get("other", limit))
        elif language == "en":
            limit = self.languages.get("en", limit)
        off = math.inf if self.drops == "above" else -math.inf
        return off if limit is None else limit

    def limits(self, languages: Sequence[str | None] | None, documents: int) -> FloatArray:
        """The threshold for each document, as it is compared with its measure."""
        if not self.languages or languages is None:
            return np.full(documents, self.limit(None), np.float32)
        known = {language: self.limit(language) for language in set(languages)}
        return np.array([known[language] for language in languages], np.float32)

    def fails(self, values: FloatArray, threshold: float | FloatArray) -> BoolArray:
        """Which documents a threshold drops."""
        limit = np.asarray(threshold, np.float32)
        below: BoolArray = values < limit
        above: BoolArray = values > limit
        return below if self.drops == "below" else above


def judged_rules(record: RunRecord) -> list[JudgedRule]:
    """Every rule of every stage that has any, in the order of the run."""
    return [rule for stage in record.stages for rule in stage_rules(stage)]


def stage_rules(stage: StageRecord) -> list[JudgedRule]:
    """The rules of a stage, in its order."""
    return [
        JudgedRule(
            name=name,
            stage=stage,
            drops=rule["drops"],
            threshold=rule["threshold"],
            languages=rule["languages"],
        )
        for name, rule in stage.judged_scores.items()
    ]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Documents of one row group that came to a stage; arrays of shape [documents]."""

    area: str
    """Where they have gone: `documents`, or the ledger of a stage (NN-name)."""
    part: int
    rows: pa.Table
    """The columns that were asked for besides."""
    values: Mapping[str, FloatArray]
    """Rule -> its measure, NaN where it does not apply. float32, as in the files: thresholds are
    rounded alike before they are compared."""
    bytes: FloatArray
    """Of the texts as they came."""
    broken: npt.NDArray[np.int16]
    """The place, in the order of the stage's rules, of the rule that dropped the document there;
    the number of rules where it passed, -1 where it was quarantined or edited away."""
    after: BoolArray
    """Whether a later rule than the one that dropped the document drops it as well."""
    languages: Sequence[str | None] | None = None
    """That verdicts of the stage name, None where it is no rule's; None where no rule asks."""


def sources_of(record: RunRecord, stage: StageRecord) -> list[str]:
    """The sources that a stage is for."""
    kind = kinds(record)
    return sorted(name for name in kind if applies(stage, name, kind[name]))


def judged_rows(
    run: str,
    record: RunRecord,
    stage: StageRecord,
    wanted: Collection[str],
    columns: Sequence[str] = (),
) -> Iterator[Judged]:
    """Every document that came to a stage, a row group at a time, wherever it has gone.

    `values` has the rules of the stage that are `wanted`. Raises UsageError for a run that is not
    finished.
    """
    if record.published is None or not storage.exists(storage.join(run, "documents")):
        raise UsageError(f"{run}: the run has not finished; run the same command again first")
    rules = stage_rules(stage)
    sources = pa.array(sources_of(record, stage), pa.string())
    names = [finished.name for finished in record.stages]
    for name in names[names.index(stage.name) :]:
        here = name == stage.name
        scores = [rule.name for rule in rules] if here else list(wanted)
        read = {"source", "action", "reason", "detail", INGEST_BYTES, *columns} - {"language"}
        read |= {f"scores.{score}" for score in scores}
        for part, rows in part_tables(run, record, f"ledger/{name}", sorted(read)):
            gone = pc.not_equal(rows.column("action"), "changed")
            mine = pc.is_in(rows.column("source"), value_set=sources)
            yield _judged(name, part, rows.filter(pc.and_(gone, mine)), rules, scores, here)
    read = {"source", INGEST_BYTES, *columns, *(f"scores.{name}" for name in wanted)}
    for part, rows in part_tables(run, record, "documents", sorted(read)):
        rows = rows.filter(pc.is_in(rows.column("source"), value_set=sources))
        yield _judged("documents", part, rows, rules, list(wanted), False)


def _judged(
    area: str,
    part: int,
    rows: pa.Table,
    rules: Sequence[JudgedRule],
    scores: Sequence[str],
    here: bool,
) -> Judged:
    column = rows.column("scores")
    size = floats(pc.struct_field(column, INGEST_SCORE))
    values = {name: floats(pc.struct_field(column, name)) for name in scores}
    broken = np.full(len(size), len(rules), np.int16)
    after = np.zeros(len(size), np.bool_)
    languages = None
    if here:
        places = {rule.name: place for place, rule in enumerate(rules)}
        # quarantined there: no rule was to blame, and none keeps it
        broken[:] = [places.get(reason, -1) for reason in rows.column("reason").to_pylist()]
        if any(rule.languages for rule in rules):
            details = rows.column("detail").to_pylist()
            languages = [
                _language(detail) if place >= 0 else None
                for detail, place in zip(details, broken, strict=True)
            ]
        for place, rule in enumerate(rules):
            fails = rule.fails(values[rule.name], rule.limits(languages, len(size)))
            after |= (broken < place) & fails
    came = ~np.isnan(size)  # later stages have derived the others
    return Judged(
        area=area,
        part=part,
        rows=rows.filter(pa.array(came)),
        values={name: measure[came] for name, measure in values.items()},
        bytes=size[came],
        broken=broken[came],
        after=after[came],
        languages=None if languages is None else [languages[n] for n in np.flatnonzero(came)],
    )


def _language(detail: str | None) -> str | None:
    """The language that a verdict of a rule with thresholds by language names."""
    if not detail:
        return None
    language: Any = json.loads(detail)["language"]
    return None if language is None else str(language)


def floats(column: pa.ChunkedArray) -> FloatArray:
    """The numbers of a column, NaN where null."""
    numbers: FloatArray = column.to_numpy()
    return numbers.astype(np.float32)
