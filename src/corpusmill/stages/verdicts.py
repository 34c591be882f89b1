"""What a global stage found out, carried back to the documents part by part."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import one_chunk, with_scores
from corpusmill.stage import VERDICT_SCHEMA, Apply, NarrowStage, Outcome, Rows, Verbs

SCORE = "score."
"""Prefix of the columns that set scores."""

VERDICT_ROWS = pa.schema(
    [*(field.with_nullable(True) for field in VERDICT_SCHEMA), pa.field("part", pa.int64())]
)
"""Rows of verdicts before they are joined, at most one for each document; `action` is null in a row
that only sets scores. Columns `score.NAME` (float) may follow."""

Run = tuple[str, int, int]
"""File, first row, number of rows."""


class JoinVerdicts(NarrowStage):
    """Joins verdicts and scores, found by a global stage, to the documents they are about."""

    name = "join_verdicts"

    runs: dict[int, tuple[Run, ...]]
    """Part -> where its rows stand. A bound stage has those of its part only, and reads no other
    row (the files are memory-mapped)."""

    def for_part(self, part: int) -> "JoinVerdicts":
        """The stage with the verdicts of one part."""
        return self.model_copy(update={"runs": {part: self.runs.get(part, ())}})

    def open(self) -> Apply:
        """Read the rows of this stage's parts."""
        tables = [
            storage.read_ipc(file).slice(first, rows)
            for runs in self.runs.values()
            for file, first, rows in runs
        ]
        if not tables:
            return lambda documents: Outcome(documents=documents)
        found = pa.concat_tables(tables).combine_chunks()

        def apply(documents: pa.RecordBatch) -> Outcome:
            row = pc.index_in(documents.column("id"), value_set=one_chunk(found.column("id")))
            scores = {
                name.removeprefix(SCORE): one_chunk(found.column(name)).take(row)
                for name in found.column_names
                if name.startswith(SCORE)
            }
            if scores:
                documents = with_scores(documents, scores)
            verdicts = found.select(VERDICT_SCHEMA.names).take(row.drop_null())
            verdicts = verdicts.filter(pc.is_valid(verdicts.column("action")))
            columns = [one_chunk(column) for column in verdicts.columns]
            return Outcome(
                documents=documents,
                verdicts=pa.RecordBatch.from_arrays(columns, schema=VERDICT_SCHEMA),
            )

        return apply


def verdicts_by_part(verbs: Verbs, *rows: Rows) -> JoinVerdicts:
    """Gather verdicts (VERDICT_ROWS, in any order) by part, and note where each part's stand."""
    gathered = verbs.exchange(*rows, by="part", then=_as_they_are)
    runs: dict[int, list[Run]] = defaultdict(list)
    for path in gathered.paths:
        parts = storage.read_ipc(path).column("part").to_numpy()
        changes = np.flatnonzero(np.diff(parts)) + 1
        for first, last in zip([0, *changes], [*changes, len(parts)], strict=True):
            if last > first:
                runs[int(parts[first])].append((path, int(first), int(last - first)))
    return JoinVerdicts(runs={part: tuple(found) for part, found in sorted(runs.items())})


def _as_they_are(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in ("dataset",) if name in table.column_names])
