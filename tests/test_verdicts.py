"""Verdicts found by a global stage reach exactly the documents they are about."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.verbs_fixture import PlainVerbs, apply_to_parts, write_parts

from corpusmill import storage
from corpusmill.document import document_schema, documents_from_rows
from corpusmill.stage import Rows
from corpusmill.stages.verdicts import VERDICT_ROWS, JoinVerdicts, verdicts_by_part


def write_rows(path: Path, schema: pa.Schema, rows: list[dict[str, object]]) -> Rows:
    storage.write_ipc(str(path), pa.Table.from_pylist(rows, schema=schema))
    return Rows(paths=(str(path),))


@pytest.mark.parametrize("partitions", [1, 2, 5])
def test_each_part_gets_its_own_verdicts(tmp_path: Path, partitions: int) -> None:
    ids = [[f"{part}-{i}" for i in range(12)] for part in range(4)]
    parts = write_parts(tmp_path, [[{"id": i, "text": i} for i in part] for part in ids])
    rows: list[dict[str, Any]] = [
        {"id": i, "part": p, "action": "dropped", "reason": "test", "value": float(p)}
        for p in (0, 1, 3)
        for i in ids[p][p::2]
    ]
    halves = [
        write_rows(tmp_path / f"{half}.arrow", VERDICT_ROWS, rows[half::2]) for half in (0, 1)
    ]
    join = verdicts_by_part(PlainVerbs(tmp_path / "work", partitions=partitions), *halves)
    kept, verdicts = apply_to_parts(join, parts)
    assert [(v["id"], v["value"]) for v in verdicts] == sorted((r["id"], r["value"]) for r in rows)
    expected = {i for part in ids for i in part} - {row["id"] for row in rows}
    assert set(kept.column("id").to_pylist()) == expected
    # a bound stage knows of no other part
    assert join.for_part(2).runs == {2: ()}
    assert set(join.for_part(3).runs) == {3}


def test_scores_are_set_with_or_without_a_verdict(tmp_path: Path) -> None:
    schema = pa.schema([*VERDICT_ROWS, pa.field("score.rank", pa.float64())])
    rows: list[dict[str, object]] = [
        {"id": "a", "part": 0, "score.rank": 0.5},
        {"id": "b", "part": 0, "score.rank": 0.25, "action": "dropped", "reason": "low"},
    ]
    found = write_rows(tmp_path / "rows.arrow", schema, rows)
    join = verdicts_by_part(PlainVerbs(tmp_path / "work"), found)
    defaults = {"source": "s", "kind": "web", "uri": "", "text": ""}
    documents = documents_from_rows(
        [{"id": i, **defaults} for i in "cab"], document_schema(["rank"])
    )
    outcome = join.for_part(0).open()(documents)
    assert [s["rank"] for s in outcome.documents.column("scores").to_pylist()] == [None, 0.5, 0.25]
    assert [(v["id"], v["reason"]) for v in outcome.verdicts.to_pylist()] == [("b", "low")]


def test_without_verdicts_everything_stays(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, [[{"id": "a", "text": "x"}]])
    for join in (JoinVerdicts(runs={}), verdicts_by_part(PlainVerbs(tmp_path), Rows(paths=()))):
        kept, verdicts = apply_to_parts(join, parts)
        assert kept.column("id").to_pylist() == ["a"]
        assert verdicts == []
