"""Whom does a run silence? For each group of people, how many documents that mention it each stage
keeps, beside how many of all documents.

Counted once a run is finished, from the texts as they were ingested and the ledger, and written to
RUN/representation.json: numbers only, no text. Derived documents are not among those that were
ingested, so no group is mentioned more often because its documents were multiplied.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from corpusmill import storage
from corpusmill.document import byte_lengths, one_chunk
from corpusmill.errors import RunError
from corpusmill.filters.identity_terms import IdentityTerms, read_identity_terms
from corpusmill.pipelines.ledger import RunRecord, load_run, part_path

INGEST_AREA = "stages/00-ingest"
REPRESENTATION_FILE = "representation.json"
FOUR_FIFTHS = 0.8
"""A group whose documents are kept at less than this ratio of all is warned of: the rule of the
Uniform Guidelines on Employee Selection Procedures (USA, 1978)."""
SMALLEST = 10
"""Documents that mention a group, of which fewer say nothing."""
SURE = 4.0
"""Standard deviations within which a rate may be lower by chance: one in 30,000, for some thousand
ratios are looked at in a run."""
ALL = "all stages"
"""What the stages together are called."""

MOST_BYTES = 1 << 28
"""Of text that is read, some 8 CPU-seconds. Of a larger corpus a sample is: row groups of 4,096
documents, which a hash of their place chooses."""


def measure_representation(run: str, terms: str = "") -> dict[str, Any] | None:
    """Count, write RUN/representation.json and return what it says.

    {run, terms, most_bytes: what was counted; sample: {share, documents, bytes}; stages: [{stage,
    in, kept}]; groups: [{stage, category, group, in, kept, ratio, high, warning}]}. `ratio` is the
    share that the stage keeps of the documents that mention the group by that of all documents,
    `high` the largest that chance allows, `warning` whether it is below FOUR_FIFTHS and surely low.

    `terms` is a file of terms instead of the shipped ones. What stands there already is returned
    where it is still true; None where the texts are gone, and with them any way to count.
    Raises UsageError for a bad file of terms.
    """
    listed = read_identity_terms(terms)
    record = load_run(run)
    path = storage.join(run, REPRESENTATION_FILE)
    counted: dict[str, Any] = {
        "run": [[s.name, s.fingerprint, s.counts.to_json()] for s in record.stages],
        "terms": xxhash.xxh3_128_hexdigest(repr(sorted(listed.items())).encode()),
        "most_bytes": MOST_BYTES,
    }
    if storage.exists(path):
        known = storage.read_json(path)
        if isinstance(known, dict) and counted.items() <= known.items():
            return known
    if not storage.exists(storage.join(run, INGEST_AREA)):
        return None
    counted |= _count(run, record, IdentityTerms(listed))
    storage.write_json(path, counted)
    return counted


def _count(run: str, record: RunRecord, terms: IdentityTerms) -> dict[str, Any]:
    stages = record.stages[1:]
    # of each stage, then of all together: came in, kept; by group, the last column is all documents
    counts = np.zeros((len(stages) + 1, 2, len(terms.groups) + 1), np.int64)
    share = _share(run, record)
    documents = size = 0
    gone: list[pa.Array] = []
    last = -1
    for part, table in _sample(run, record, share):
        if part != last:
            gone, last = [_gone(run, stage.name, part) for stage in stages], part
        texts, ids = (one_chunk(table.column(name)) for name in ("text", "id"))
        mentioned = np.column_stack([terms.mentioned(texts), np.ones(len(ids), bool)])
        alive = np.ones(len(ids), bool)
        for number, stage in enumerate(stages):
            left = alive & ~_is_in(ids, gone[number])
            targets = stage.settings.get("for") or ()
            if not targets or not {*record.parts[part].values()}.isdisjoint(targets):
                counts[number] += mentioned[alive].sum(0), mentioned[left].sum(0)
            alive = left
        counts[-1] += mentioned.sum(0), mentioned[alive].sum(0)
        documents += len(ids)
        size += int(byte_lengths(texts).sum())
    named = list(zip([*(stage.name for stage in stages), ALL], counts.tolist(), strict=True))
    return {
        "sample": {"share": share, "documents": documents, "bytes": size},
        "stages": [
            {"stage": name, "in": found[-1], "kept": kept[-1]} for name, (found, kept) in named
        ],
        "groups": [
            {
                "stage": name,
                "category": category,
                "group": group,
                **_compared(found[column], kept[column], found[-1], kept[-1]),
            }
            for name, (found, kept) in named
            for column, (category, group) in enumerate(terms.groups)
            if found[column]
        ],
    }


def _compared(found: int, kept: int, all_found: int, all_kept: int) -> dict[str, Any]:
    """A group's counts in a stage, beside those of all documents."""
    usual = all_kept / all_found
    ratio = kept / found / usual if usual else None
    high = _highest_rate(kept, found) / usual if usual else None
    low = ratio is not None and high is not None and ratio < FOUR_FIFTHS and high < 1
    return {
        "in": found,
        "kept": kept,
        "ratio": ratio,
        "high": high,
        "warning": low and found >= SMALLEST,
    }


def _highest_rate(successes: int, trials: int) -> float:
    """The upper end of the interval of a rate (Wilson 1927), SURE standard deviations wide."""
    rate, square = successes / trials, SURE * SURE / trials
    reach = SURE * math.sqrt(rate * (1 - rate) / trials + square / trials / 4)
    return min(1.0, (rate + square / 2 + reach) / (1 + square))


def _gone(run: str, stage: str, part: int) -> pa.Array:
    """Ids of the part's documents that the stage dropped or quarantined."""
    path = part_path(run, f"ledger/{stage}", part)
    if not storage.exists(path):
        return pa.array([], pa.string())
    rows = storage.read_parquet(path, ["id", "action"])
    return one_chunk(rows.filter(pc.field("action") != "changed").column("id"))


def _is_in(ids: pa.Array, others: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.is_in(ids, value_set=others).to_numpy(zero_copy_only=False)
    return found


def _parts(run: str, record: RunRecord) -> Iterator[tuple[int, pq.ParquetFile]]:
    for part in range(len(record.parts)):
        path = part_path(run, INGEST_AREA, part)
        if not storage.exists(path):
            continue
        try:
            with storage.open_read(path) as stream, pq.ParquetFile(stream) as file:
                yield part, file
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{path} is damaged: {type(error).__name__}") from None


def _share(run: str, record: RunRecord) -> float:
    """Of the row groups that are read; by the sizes in the files' footers."""
    total = 0
    for _, file in _parts(run, record):
        column = file.schema_arrow.get_field_index("text")
        for number in range(file.num_row_groups):
            # leaves of nested columns come after `text`, so its index is that of its leaf
            total += file.metadata.row_group(number).column(column).total_uncompressed_size
    return min(1.0, MOST_BYTES / max(total, 1))


def _sample(run: str, record: RunRecord, share: float) -> Iterator[tuple[int, pa.Table]]:
    """Ids and texts of the row groups that are read, one at a time, with the part's number."""
    for part, file in _parts(run, record):
        for number in range(file.num_row_groups):
            if xxhash.xxh3_64_intdigest(f"{part} {number}".encode()) < share * float(1 << 64):
                yield part, file.read_row_group(number, columns=["id", "text"], use_threads=False)
