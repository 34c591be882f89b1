"""Reading from a run folder no more than is shown: a few columns, a few row groups, a few texts."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpusmill import storage
from corpusmill.document import INGEST_SCORE
from corpusmill.errors import RunError
from corpusmill.pipelines.ledger import RunRecord, StageRecord, load_run, part_path
from corpusmill.report.showing import mask, mask_uri

INGEST_AREA = "stages/00-ingest"
"""Where the raw texts stand, until the run's stages are removed."""

INGEST_BYTES = f"scores.{INGEST_SCORE}"
"""The column of documents and ledger with the bytes of the text as it came."""


def load_whole(run: str) -> RunRecord:
    """The record of a run whose ledger and documents are there.

    Raises RunError where they are not, though the record counts some: what is missing would be
    taken for documents that passed.
    """
    record = load_run(run)
    for stage in record.stages:
        counts = stage.counts
        if counts.changed + counts.quarantined + sum(counts.dropped.values()):
            _require(run, f"ledger/{stage.name}")
        if stage.name == record.published and counts.out:
            _require(run, "documents")
    return record


def _require(run: str, area: str) -> None:
    if not area_files(run, area):
        raise RunError(
            f"{storage.join(run, area)}: is missing; the command that made the run makes it again"
        )


def row_groups(path: str, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    """The row groups of a Parquet file one at a time, with their numbers."""
    try:
        with storage.open_read(path) as stream, pq.ParquetFile(stream) as file:
            for number in range(file.num_row_groups):
                yield number, file.read_row_group(number, columns=list(columns), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{path} is damaged: {type(error).__name__}") from None


def part_tables(
    run: str, record: RunRecord, area: str, columns: Sequence[str]
) -> Iterator[tuple[int, pa.Table]]:
    """Columns of every part below an area, a row group at a time, with the part's number."""
    for part in range(len(record.parts)):
        path = part_path(run, area, part)
        if storage.exists(path):
            for _, table in row_groups(path, columns):
                yield part, table


def area_files(run: str, area: str) -> list[str]:
    """The Parquet files below an area, such as `documents` or `ledger`; none if it is not there."""
    folder = storage.join(run, area)
    files = storage.list_files(folder) if storage.exists(folder) else []
    return [path for path in files if path.endswith(".parquet")]


def has_texts(run: str) -> bool:
    """Whether the texts as they came are still there."""
    return storage.exists(storage.join(run, INGEST_AREA))


def area_before(run: str, record: RunRecord, stage: str) -> str:
    """The area with the texts as they came to a stage; those of ingest when it is not there."""
    names = [finished.name for finished in record.stages]
    area = f"stages/{names[max(0, names.index(stage) - 1)]}"
    return area if storage.exists(storage.join(run, area)) else INGEST_AREA


def read_texts(
    run: str,
    wanted: Mapping[int, Collection[str]],
    characters: int,
    area: str = INGEST_AREA,
) -> dict[str, str]:
    """The first `characters` of the texts of documents, given as part -> ids, from a barrier.

    Only row groups that hold one of them are read; what is not there is left out.
    """
    found: dict[str, str] = {}
    for part in sorted(wanted):
        path = part_path(run, area, part)
        ids = pa.array(sorted(wanted[part]), pa.string())
        if not storage.exists(path) or not len(ids):
            continue
        groups = [
            number
            for number, table in row_groups(path, ["id"])
            if pc.any(pc.is_in(table.column("id"), value_set=ids)).as_py()
        ]
        with storage.open_read(path) as stream, pq.ParquetFile(stream) as file:
            for number in groups:
                table = file.read_row_group(number, columns=["id", "text"], use_threads=False)
                table = table.filter(pc.is_in(table.column("id"), value_set=ids))
                texts = pc.utf8_slice_codeunits(table.column("text"), 0, characters)
                found |= zip(table.column("id").to_pylist(), texts.to_pylist(), strict=True)
    return found


def kinds(record: RunRecord) -> dict[str, str]:
    """Source -> kind."""
    return {part["source"]: part["kind"] for part in record.parts}


def applies(stage: StageRecord, source: str, kind: str | None) -> bool:
    """Whether the recipe's `for:` includes the source."""
    targets = stage.settings.get("for") or ()
    return not targets or source in targets or kind in targets


@dataclass(frozen=True, kw_only=True)
class FilterRound:
    """A finished round of `filter-round`, made of the shards that the run holds now."""

    stage: str
    """What its ledger calls it."""
    folder: str
    """Relative to the run."""
    code: bool
    """Whether it judged source code."""


def filter_rounds(run: str) -> list[FilterRound]:
    """The rounds in order, up to the first that was made of other shards than stand before it."""
    found: list[FilterRound] = []
    manifest = storage.join(run, "shards", "manifest.json")
    before = storage.read_json(manifest).get("xxh3") if storage.exists(manifest) else None
    while before is not None:
        folder = f"rounds/{len(found) + 1:02d}"
        path = storage.join(run, folder, "round.json")
        if not storage.exists(path):
            break
        plain = storage.read_json(path)
        try:
            if plain["input_xxh3"] != before:
                break
            before, code = plain["shards_xxh3"], bool(plain["code"])
        except (KeyError, TypeError):
            raise RunError(f"{path} is damaged: it is not the record of a round") from None
        stage = f"filter-round-{len(found) + 1:02d}"
        found.append(FilterRound(stage=stage, folder=folder, code=code))
    return found


def uri_mask(record: RunRecord) -> Callable[[str], str]:
    """What masks the addresses of a run: more where the recipe has them anonymized."""
    fields = [f for stage in record.stages for f in stage.settings.get("fields") or ()]
    return mask if "uri" in fields else mask_uri
