"""For every rule and other threshold of a run: its measures as a histogram, and whom it meets."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.pipelines.ledger import RunRecord, StageRecord
from corpusmill.report.bins import Tally, edges_for
from corpusmill.report.facts import REASONS, SAMPLES, Reason, StageFacts
from corpusmill.report.judged import (
    BoolArray,
    FloatArray,
    Judged,
    JudgedRule,
    floats,
    judged_rows,
    sources_of,
)
from corpusmill.report.lookup import part_tables
from corpusmill.report.sweep import Sweep, sweeps

KEPT, DROPPED, OTHERS = "kept by the stage", "dropped by this rule", "dropped by another rule"
KEPT_AT_END = "kept to the end"


@dataclass(kw_only=True)
class Nearest:
    """The documents that passed and whose measures are nearest to the threshold."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """{id, part, uri, source, area, value, threshold}, nearest first; of equal ones by id."""
    far: float = np.inf
    """The distance of the last one, when there are enough."""

    def add(
        self, area: str, part: int, rows: pa.Table, values: FloatArray, limits: FloatArray
    ) -> None:
        """Look at more documents; rows have id, uri and source, measures may be NaN."""
        with np.errstate(invalid="ignore"):
            away = np.abs(values.astype(np.float64) - limits)
        near = np.isfinite(away) & (away <= self.far)
        if len(self.rows) == SAMPLES:  # of those as far as the last one, smaller ids alone count
            ties = np.flatnonzero(near & (away == self.far))
            ids = rows.column("id").take(pa.array(ties))
            near[ties] = pc.less(ids, self.rows[-1]["id"]).to_numpy()
        places = np.flatnonzero(near)
        if not len(places):
            return
        if len(places) > SAMPLES:
            places = places[away[places] <= np.partition(away[places], SAMPLES - 1)[SAMPLES - 1]]
        found = rows.select(["id", "uri", "source"]).take(pa.array(places))
        found = found.append_column("away", pa.array(away[places]))
        found = found.append_column("place", pa.array(places))
        found = found.sort_by([("away", "ascending"), ("id", "ascending")]).slice(0, SAMPLES)
        for row in found.to_pylist():
            place = row.pop("place")
            row |= {"area": area, "part": part, "detail": None}
            row |= {"value": float(values[place]), "threshold": float(limits[place])}
            self.rows.append(row)
        self.rows = sorted(self.rows, key=lambda row: (row["away"], row["id"]))[:SAMPLES]
        self.far = self.rows[-1]["away"] if len(self.rows) == SAMPLES else np.inf


@dataclass(kw_only=True)
class Ruled:
    """A rule or another threshold, as the report shows it."""

    stage: str
    name: str
    threshold: float | None
    """None where the rule is off."""
    languages: Mapping[str, float]
    came: int
    dropped: int
    tallies: dict[str, Tally]
    """The measures by what became of the documents."""
    nearest: Nearest | None
    """None where the measures of those that passed are not recorded."""

    @property
    def edges(self) -> list[float]:
        """Of the histogram; none where nothing was measured."""
        return edges_for(self.tallies, self.threshold)


def rule_facts(run: str, record: RunRecord) -> tuple[list[dict[str, Any]], list[Ruled]]:
    """Every rule of the run, with neighbours of its threshold, and as it is drawn.

    The first are as `stages` of `sweep_data`, with the rule's name and side. Documents are read
    once for each stage that has rules.
    """
    facts: list[dict[str, Any]] = []
    ruled: list[Ruled] = []
    if record.published is None or not storage.exists(storage.join(run, "documents")):
        return facts, ruled
    for stage in record.stages:
        if not stage.judged_scores:
            continue
        counted = [(sweep, _ruled(sweep.rule)) for sweep in sweeps(stage)]
        columns = ["id", "uri", "language"]
        by_language = any(rule.languages for _, rule in counted)
        for judged in judged_rows(run, record, stage, list(stage.judged_scores), columns):
            if not len(judged.bytes):
                continue
            languages = None
            if by_language and judged.area == "documents":
                languages = judged.rows.column("language").to_pylist()
            for sweep, rule in counted:
                sweep.add(judged)
                _add(rule, sweep, judged, languages)
        for sweep, rule in counted:
            found = {"rule": sweep.rule.name, "drops": sweep.rule.drops} | sweep.facts(record)
            rule.came, rule.dropped = found["came"], found["dropped_now"]
            facts.append(found)
            ruled.append(rule)
    return facts, ruled


def _ruled(rule: JudgedRule) -> Ruled:
    return Ruled(
        stage=rule.stage.name,
        name=rule.name,
        threshold=rule.threshold,
        languages=rule.languages,
        came=0,
        dropped=0,
        tallies={name: Tally() for name in (KEPT, DROPPED, OTHERS)},
        nearest=Nearest(),
    )


def _add(rule: Ruled, sweep: Sweep, judged: Judged, languages: Sequence[str | None] | None) -> None:
    """Count documents; `languages` are known of those in documents/."""
    values = judged.values[rule.name]
    passed: BoolArray = judged.broken == sweep.rules
    here: BoolArray = judged.broken == sweep.place
    for name, chosen in ((KEPT, passed), (DROPPED, here), (OTHERS, ~passed & ~here)):
        if chosen.any():
            rule.tallies[name].add(values[chosen])
    if rule.languages and languages is None:
        return
    if rule.nearest is not None and passed.any():
        measured = np.where(passed, values, np.float32(np.nan))
        limits = sweep.rule.limits(languages, len(values))
        rule.nearest.add(judged.area, judged.part, judged.rows, measured, limits)


# ---- thresholds of other stages ----


def other_thresholds(run: str, record: RunRecord, stages: Sequence[StageFacts]) -> list[Ruled]:
    """Reasons with a threshold that are no rules: of languages, duplicates, benchmarks, ...

    What was dropped is known from the ledger, what was kept where documents/ has the measure.
    """
    found: list[Ruled] = []
    columns: dict[str, list[Ruled]] = {}
    scores = _score_fields(run, record)
    for stage, facts in zip(record.stages, stages, strict=True):
        for reason in facts.reasons[:REASONS]:
            if reason.measures is None or reason.name in stage.judged_scores:
                continue
            if reason.action != "dropped":
                continue
            ruled = _of_reason(record, stage, reason)
            found.append(ruled)
            if (column := _measure_of(reason.name, scores)) is not None:
                columns.setdefault(column, []).append(ruled)
    if columns:
        _add_kept(run, record, columns)
    return found


def _of_reason(record: RunRecord, stage: StageRecord, reason: Reason) -> Ruled:
    low, high = reason.thresholds or (np.nan, np.nan)
    return Ruled(
        stage=stage.name,
        name=reason.name,
        threshold=low if low == high else None,
        languages={} if low == high else {"lowest": low, "highest": high},
        came=sum(stage.sources[source].found for source in sources_of(record, stage)),
        dropped=reason.documents,
        tallies={KEPT_AT_END: Tally(), DROPPED: reason.measures or Tally()},
        nearest=None,
    )


def _measure_of(reason: str, scores: Collection[str]) -> str | None:
    """The column of documents/ with the measure behind a reason."""
    if reason == "language_score_below_minimum":
        return "language_score"
    score = reason.removesuffix("_above_maximum")
    return f"scores.{score}" if score != reason and score in scores else None


def _score_fields(run: str, record: RunRecord) -> set[str]:
    """The scores that documents/ has."""
    for _, rows in part_tables(run, record, "documents", ["scores"]):
        return {field.name for field in rows.schema.field("scores").type}
    return set()


def _add_kept(run: str, record: RunRecord, columns: Mapping[str, Sequence[Ruled]]) -> None:
    for ruled in (ruled for group in columns.values() for ruled in group):
        ruled.nearest = Nearest()
    for part, rows in part_tables(run, record, "documents", ["id", "uri", "source", *columns]):
        for column, group in columns.items():
            values = floats(
                pc.struct_field(rows.column("scores"), column.removeprefix("scores."))
                if column.startswith("scores.")
                else rows.column(column)
            )
            for ruled in group:
                ruled.tallies[KEPT_AT_END].add(values)
                if ruled.nearest is not None and ruled.threshold is not None:
                    limits = np.full(len(values), ruled.threshold, np.float32)
                    ruled.nearest.add("documents", part, rows, values, limits)
