"""Which documents a search for duplicates is about: originals, or those derived from what stays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.stage import Part, Verbs
from corpusmill.stages.verdicts import JoinVerdicts, Run


@dataclass(frozen=True, kw_only=True)
class Population:
    """The documents of a part that a search is about."""

    part: Part
    rows: str
    """A file with their rows; nothing if they are all."""
    size: int


@dataclass(frozen=True, kw_only=True)
class ChooseTask:
    """A part of which some documents are looked at."""

    part: Part
    gone: tuple[Run, ...] | None
    """Where the ids of its originals that go stand, to choose derived documents of others; None to
    choose originals."""
    target: str
    """The file with the rows, if they are not all."""
    receipt: str
    """A file that says how many they are: the driver reads no rows."""


def choose(
    verbs: Verbs, parts: Sequence[Part], verdicts: JoinVerdicts | None = None
) -> list[Population]:
    """The originals of each part or, given the verdicts on these, the derived documents whose
    originals stay."""
    tasks = [
        ChooseTask(
            part=part,
            gone=None if verdicts is None else verdicts.runs.get(part.number, ()),
            target=storage.join(verbs.work, "chosen", f"{part.number:05d}.arrow"),
            receipt=storage.join(verbs.work, "chosen", f"{part.number:05d}.json"),
        )
        for part in parts
    ]
    verbs.each(write_chosen, tasks)
    sizes: list[int] = [storage.read_json(task.receipt) for task in tasks]
    return [
        Population(part=part, rows="" if size == part.rows else task.target, size=size)
        for part, task, size in zip(parts, tasks, sizes, strict=True)
    ]


def write_chosen(task: ChooseTask) -> None:
    """The rows of the documents that are looked at, if they are not all, and their number."""
    column = one_chunk(storage.read_parquet(task.part.path, ["augmented_from"])["augmented_from"])
    chosen = column.is_null()
    if task.gone is not None:
        runs = [storage.read_ipc(file).slice(first, rows) for file, first, rows in task.gone]
        ids = [chunk for run in runs for chunk in run.column("id").chunks]
        orphans = pc.is_in(column, value_set=pa.chunked_array(ids, pa.string()))
        chosen = pc.invert(pc.or_(chosen, orphans))
    rows = np.flatnonzero(chosen.to_numpy(zero_copy_only=False))
    if len(rows) < task.part.rows:
        storage.write_ipc(task.target, pa.table({"row": pa.array(rows, pa.int64())}))
    storage.write_json(task.receipt, len(rows))
