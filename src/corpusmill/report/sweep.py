"""What would another threshold keep? Counted from the measures in a run's documents and ledger."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from corpusmill.errors import UsageError, one_of
from corpusmill.pipelines.ledger import RunRecord, StageRecord
from corpusmill.report.judged import (
    BoolArray,
    FloatArray,
    Judged,
    JudgedRule,
    judged_rows,
    judged_rules,
    sources_of,
    stage_rules,
)
from corpusmill.report.lookup import load_whole

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
NEIGHBOURS = (0.5, 0.75, 1.0, 1.25, 1.5)
"""Of a threshold, as its multiples; of zero, the steps below are taken as they are."""
HELD = 1 << 16
"""Measures of a rule that are held for the quantiles: of more documents every second, fourth, ...
counts, which moves no quantile by more than half a per cent of the documents."""


@dataclass(kw_only=True)
class Sweep:
    """One rule, counted in one pass over the documents; memory does not grow with their number."""

    rule: JudgedRule
    place: int
    """Of the rule among those of its stage."""
    rules: int
    thresholds: Sequence[float]
    measured: int = 0
    ends: tuple[float, float] = (math.inf, -math.inf)
    """The smallest and the largest measure."""
    sums: list[dict[str, dict[str, int]]] = field(default_factory=list)
    """For each threshold what it would do."""
    held: list[FloatArray] = field(default_factory=list)
    stride: int = 1
    """Of so many measures one is held."""

    def __post_init__(self) -> None:
        counts = ("dropped", "dropped_bytes", "kept", "kept_bytes")
        self.sums = [
            {what: dict.fromkeys(counts, 0) for what in ("alone", "chain")} for _ in self.thresholds
        ]

    def add(self, judged: Judged) -> None:
        """Count more documents."""
        values = judged.values[self.rule.name]
        known = values[~np.isnan(values)]
        if len(known):
            low, high = self.ends
            self.ends = min(low, float(known.min())), max(high, float(known.max()))
            self._hold(known)
            self.measured += len(known)
        for threshold, sums in zip(self.thresholds, self.sums, strict=True):
            self._add_at(judged, values, threshold, sums)

    def _hold(self, known: FloatArray) -> None:
        """Hold every `stride`-th of all measures so far; called before they are counted."""
        self.held.append(known[-self.measured % self.stride :: self.stride])
        while sum(map(len, self.held)) > HELD:
            self.held, self.stride = [np.concatenate(self.held)[::2]], 2 * self.stride

    def _add_at(
        self, judged: Judged, values: FloatArray, threshold: float, sums: dict[str, dict[str, int]]
    ) -> None:
        fails = self.rule.fails(values, threshold)
        reached = judged.broken >= self.place
        first = fails & reached
        rescued = ~fails & (judged.broken == self.place) & ~judged.after
        kept = ~first & (rescued | (judged.broken == self.rules))
        _count(sums["alone"], judged.bytes, fails, ~fails & ~np.isnan(values))
        _count(sums["chain"], judged.bytes, first, kept)

    def quantiles(self) -> dict[str, float]:
        """By their names; none where nothing was measured."""
        if not self.measured:
            return {}
        found: list[float] = np.quantile(np.concatenate(self.held), QUANTILES).tolist()
        found[0], found[-1] = self.ends
        return dict(zip(map(str, QUANTILES), found, strict=True))

    def facts(self, record: RunRecord) -> dict[str, Any]:
        """As `sweep_data` gives them."""
        sources = sources_of(record, self.rule.stage)
        came = sum(self.rule.stage.sources[source].found for source in sources)
        found = sum(record.stages[0].sources[source].found for source in sources)
        return {
            "stage": self.rule.stage.name,
            "threshold": self.rule.threshold,
            "languages": self.rule.languages,
            "came": came,
            "measured": self.measured,
            "unmeasured": came - self.measured,
            "dropped_earlier": max(found - came, 0),
            "dropped_now": self.rule.stage.counts.dropped[self.rule.name],
            "quantiles": self.quantiles(),
            "thresholds": [
                {"threshold": threshold, **sums}
                for threshold, sums in zip(self.thresholds, self.sums, strict=True)
            ],
        }


def _count(sums: dict[str, int], sizes: FloatArray, dropped: BoolArray, kept: BoolArray) -> None:
    for name, chosen in (("dropped", dropped), ("kept", kept)):
        sums[name] += int(np.count_nonzero(chosen))
        sums[f"{name}_bytes"] += int(sizes[chosen].sum(dtype=np.float64))


def sweep_data(run: str, rule: str, thresholds: Sequence[float] = ()) -> dict[str, Any]:
    """What a rule would drop and keep at each threshold, the same one in every language.

    Returns {run, rule, drops, stages: [{stage, threshold, languages, came, measured, unmeasured,
    dropped_earlier, dropped_now, quantiles, thresholds: [{threshold, alone, chain}]}]}, one entry
    for each stage with the rule. `alone` counts what the rule drops and keeps by itself among the
    documents measured; `chain` what it drops as the first rule of its stage that fails, and what
    the whole stage then keeps. Both are {dropped, dropped_bytes, kept, kept_bytes}. Without
    `thresholds` neighbours of the present one are taken.
    Raises UsageError for a rule that the run does not have, and for a run that is not finished.
    """
    record = load_whole(run)
    rules = judged_rules(record)
    chosen = [judged for judged in rules if judged.name == rule]
    if not chosen:
        names = sorted({judged.name for judged in rules})
        if not names:
            raise UsageError(f"{run}: no stage of this run records the thresholds of its rules")
        raise UsageError(f"{run}: rule {one_of(rule, names)}")
    if not all(map(math.isfinite, thresholds)):
        raise UsageError("a threshold must be a finite number")
    stages = []
    for judged in chosen:
        (sweep,) = (s for s in sweeps(judged.stage, thresholds) if s.rule.name == rule)
        for rows in judged_rows(run, record, judged.stage, [rule]):
            sweep.add(rows)
        stages.append(sweep.facts(record))
    return {"run": run, "rule": rule, "drops": chosen[0].drops, "stages": stages}


def sweeps(stage: StageRecord, thresholds: Sequence[float] = ()) -> list[Sweep]:
    """One for each rule of a stage, with nothing counted yet."""
    rules = stage_rules(stage)
    return [
        Sweep(
            rule=rule,
            place=place,
            rules=len(rules),
            thresholds=thresholds or neighbours(rule.threshold),
        )
        for place, rule in enumerate(rules)
    ]


def neighbours(threshold: float | None) -> list[float]:
    """Thresholds worth comparing with the present one, which is among them."""
    if threshold is None:
        return []
    if threshold == 0:
        return [0.0, 1.0, 2.0, 5.0]
    return [float(f"{threshold * factor:.3g}") for factor in NEIGHBOURS]
