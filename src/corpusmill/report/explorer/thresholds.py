"""What would the rules of one stage keep together, at thresholds that someone is moving?

The measures of all documents that came to the stage are held as columns, so that an answer is a few
comparisons of arrays. With one threshold moved it is the one of `corpusmill sweep`.

With several it is exact as well: a stage measures all its rules for every document, also for those
that an earlier rule drops. It ends where the stage does: what later stages would do with documents
that it keeps then is not known, and neither are documents that an earlier stage has dropped.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.document import INGEST_SCORE
from corpusmill.pipelines.ledger import StageRecord
from corpusmill.report.bins import Tally, edges_for
from corpusmill.report.charts import histogram
from corpusmill.report.explorer.catalogue import Catalogue
from corpusmill.report.judged import (
    BoolArray,
    FloatArray,
    Judged,
    JudgedRule,
    floats,
    judged_rows,
    judged_rules,
    stage_rules,
)
from corpusmill.report.lookup import part_tables

OUTPUT = "output"
"""Stands for a stage: what came out of the run."""
AT_LEAST, AT_MOST = " at least", " at most"
_SIDE = re.compile(f"({AT_LEAST}|{AT_MOST})$")
LANGUAGE_SCORE = "language_score"
"""A column of documents, not one of `scores`."""

SHOWN = 10
"""Documents that are named of those whose fate a threshold would change."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a stage keeps."""

    documents: int
    bytes: int
    """Of the texts as they came."""
    in_shards: int
    """Of the documents."""
    tokens: int
    """Of those in the shards."""
    estimated_tokens: int | None
    """Of the others, from their bytes; None when the run has no shards to estimate from."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What moved thresholds would do."""

    now: Kept
    then: Kept
    alone: dict[str, int]
    """Moved rule -> documents that it drops by itself."""
    rescued: list[int]
    """Numbers in the catalogue of documents that would be kept in addition; the first SHOWN."""
    lost: list[int]
    """Of documents that would no longer be kept."""


class StageScores:
    """All documents that came to a stage: first those that it dropped, then those that passed.

    Arrays of shape [documents] unless they say otherwise. They take 4 bytes for each document and
    rule, 1 byte for each dropped document and rule, and 23 bytes for each document.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        stage: StageRecord,
        rules: Sequence[JudgedRule],
        groups: Iterable[Judged],
    ) -> None:
        self.stage = stage
        self.rules = {rule.name: rule for rule in rules}
        measures: dict[str, list[FloatArray]] = {name: [] for name in self.rules}
        ids, sizes, broken, fails = [], [], [], []
        for judged in groups:
            for name, values in judged.values.items():
                measures[name].append(values)
            ids.append(judged.rows.column("id"))
            sizes.append(judged.bytes)
            broken.append(judged.broken)
            if judged.area == stage.name:
                fails.append(_fails(judged, rules))
        self.values = {name: _joined(measures.pop(name), np.float32) for name in self.rules}
        self.bytes = _joined(sizes, np.float32)
        self.broken = _joined(broken, np.int16)
        """The place of the rule that dropped the document, -1 where it was quarantined."""
        self.fails = np.concatenate([np.zeros((0, len(rules)), np.bool_), *fails])
        """Which rules drop a document as things are; shape [dropped documents, rules]."""
        self.failed = self.fails.sum(axis=1, dtype=np.int16)
        self.numbers, self.tokens, self.estimates = _sizes(catalogue, ids)
        self._edges: dict[str, list[float]] = {}
        self._drawn: dict[str, str] = {}
        self._before = self._keeps({})
        self.now = self._kept(self._before)

    @classmethod
    def of_stage(cls, catalogue: Catalogue, stage: StageRecord) -> "StageScores":
        """The rules of a stage, and every document that came to it."""
        rules = stage_rules(stage)
        names = [rule.name for rule in rules]
        # the ledger of the stage is the first to come
        groups = judged_rows(catalogue.run, catalogue.record, stage, names, ["id"])
        return cls(catalogue, stage, rules, groups)

    @classmethod
    def of_output(cls, catalogue: Catalogue) -> "StageScores":
        """The documents that came out, and for each score that no rule has judged two limits.

        They are no settings of any stage: this is what a filter at the end would keep.
        """
        judged = {rule.name for rule in judged_rules(catalogue.record)}
        output = replace(catalogue.record.stages[-1], name=OUTPUT, settings={}, judged_scores={})
        scores = [name for name in catalogue.scores if name not in judged]
        sides = {AT_LEAST: "below", AT_MOST: "above"}
        rules = [
            JudgedRule(name=score + side, stage=output, drops=drops, threshold=None, languages={})
            for score in [LANGUAGE_SCORE, *scores]
            for side, drops in sides.items()
        ]
        columns = ["id", LANGUAGE_SCORE, *(f"scores.{score}" for score in scores)]
        tables = part_tables(catalogue.run, catalogue.record, "documents", columns)
        return cls(catalogue, output, rules, (_came_out(*table, rules, scores) for table in tables))

    def answer(self, moved: Mapping[str, float]) -> Answer:
        """What the stage keeps when these rules have these thresholds, in every language.

        All other rules keep theirs, which may differ between languages.
        """
        keeps = self._keeps(moved)
        alone = {
            name: int(np.count_nonzero(self.rules[name].fails(self.values[name], threshold)))
            for name, threshold in moved.items()
        }
        return Answer(
            now=self.now,
            then=self._kept(keeps),
            alone=alone,
            rescued=self._some(keeps & ~self._before),
            lost=self._some(self._before & ~keeps),
        )

    def edges(self, name: str) -> list[float]:
        """The edges of a rule's bins, between which a slider moves; none if nothing is measured."""
        if name not in self._edges:
            self._edges[name] = edges_for(self._tallies(name), self.rules[name].threshold)
        return self._edges[name]

    def drawing(self, name: str) -> str:
        """The histogram of a rule that has edges, as SVG."""
        if name not in self._drawn:
            edges = self.edges(name)
            groups = {group: tally.into(edges) for group, tally in self._tallies(name).items()}
            title = f"{name}: measures of the documents, and its threshold"
            self._drawn[name] = histogram(edges, groups, self.rules[name].threshold, title)
        return self._drawn[name]

    def _tallies(self, name: str) -> dict[str, Tally]:
        """The measures of a rule, by what became of the documents."""
        values, dropped = self.values[name], len(self.failed)
        if self.stage.name == OUTPUT:
            tally = Tally()
            tally.add(values)
            return {"came out": tally}
        here = self.broken[:dropped] == list(self.rules).index(name)
        groups = {
            "kept by the stage": values[dropped:],
            "dropped by this rule": values[:dropped][here],
            "dropped by another rule": values[:dropped][~here],
        }
        tallies = {group: Tally() for group in groups}
        for group, measured in groups.items():
            tallies[group].add(measured)
        return tallies

    def _keeps(self, moved: Mapping[str, float]) -> BoolArray:
        keeps = np.ones(len(self.bytes), np.bool_)
        places = [place for place, name in enumerate(self.rules) if name in moved]
        others = self.failed - self.fails[:, places].sum(axis=1, dtype=np.int16)
        dropped = len(self.failed)
        keeps[:dropped] = (others == 0) & (self.broken[:dropped] >= 0)
        for name, threshold in moved.items():
            keeps &= ~self.rules[name].fails(self.values[name], threshold)
        return keeps

    def _kept(self, keeps: BoolArray) -> Kept:
        in_shards = keeps & (self.tokens >= 0)
        estimates = self.estimates[keeps & (self.tokens < 0)]
        known = not np.isnan(estimates).any()
        return Kept(
            documents=int(np.count_nonzero(keeps)),
            bytes=int(self.bytes[keeps].sum(dtype=np.float64)),
            in_shards=int(np.count_nonzero(in_shards)),
            tokens=int(self.tokens[in_shards].sum()),
            estimated_tokens=round(float(estimates.sum(dtype=np.float64))) if known else None,
        )

    def _some(self, chosen: BoolArray) -> list[int]:
        numbers: list[int] = self.numbers[np.flatnonzero(chosen)[:SHOWN]].tolist()
        return [number for number in numbers if number >= 0]


def _came_out(
    part: int, rows: pa.Table, rules: Sequence[JudgedRule], scores: Sequence[str]
) -> Judged:
    """Documents that every rule of `of_output` keeps as yet."""
    structs = rows.column("scores")
    measured = {score: floats(pc.struct_field(structs, score)) for score in scores}
    sizes = np.nan_to_num(measured[INGEST_SCORE])  # derived documents have none
    measured[LANGUAGE_SCORE] = floats(rows.column(LANGUAGE_SCORE))
    values = {rule.name: measured[_SIDE.sub("", rule.name)] for rule in rules}
    return Judged(
        area="documents",
        part=part,
        rows=rows.select(["id"]),
        values=values,
        bytes=sizes,
        broken=np.full(len(sizes), len(rules), np.int16),
        after=np.zeros(len(sizes), np.bool_),
    )


def _fails(judged: Judged, rules: Sequence[JudgedRule]) -> BoolArray:
    """Which rules drop which documents of the stage's ledger; shape [documents, rules].

    The rule that is on record is the first, whatever a comparison of stored measures says.
    """
    documents = len(judged.bytes)
    fails = np.empty((documents, len(rules)), np.bool_)
    for place, rule in enumerate(rules):
        limits = rule.limits(judged.languages, documents)
        fails[:, place] = rule.fails(judged.values[rule.name], limits)
        fails[judged.broken > place, place] = False
        fails[judged.broken == place, place] = True
    return fails


def _sizes(
    catalogue: Catalogue, ids: Sequence[pa.ChunkedArray]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Numbers in the catalogue, tokens (-1 outside the shards) and estimates of documents."""
    chunks = [chunk for column in ids for chunk in column.chunks]
    every = pa.chunked_array(chunks, pa.string())
    with catalogue.cursor() as cursor:
        cursor.register("wanted", pa.table({"id": every, "place": pa.array(np.arange(len(every)))}))
        found = cursor.execute(
            """
            SELECT coalesce(n, -1)::INTEGER AS n, coalesce(tokens, -1)::BIGINT AS tokens,
                coalesce(estimate, 'nan')::FLOAT AS estimate
            FROM wanted LEFT JOIN documents USING (id) ORDER BY place
            """
        ).fetchnumpy()
    return (
        np.asarray(found["n"], np.int32),
        np.asarray(found["tokens"], np.int64),
        np.asarray(found["estimate"], np.float32),
    )


def _joined(arrays: Sequence[npt.NDArray[Any]], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *arrays])
