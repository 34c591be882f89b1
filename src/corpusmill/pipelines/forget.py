"""Erasure: documents leave a run for good, from every file that holds a trace of them.

What is removed: rows of the barriers, of `documents/`, of the ledger, of the shards and of what
`filter-round` made; the same documents in the indexes that the recipe names; mentions of their ids;
the report, which shows texts; files of stages that have not finished. What was derived from a
document (its translations) goes with it. Only the files that held something are written again, and
the counts of `run.json` become those of a run that never had the documents. Tombstones stay
(corpusmill.pipelines.tombstones): a later run in the folder leaves out what they name.

The request is written down before anything is touched (`forget.json`), every step can be repeated,
and the request is removed last: what a kill interrupts, the next `forget` finishes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.erase import Request, erase, indexes, shard_folders
from corpusmill.pipelines.ledger import (
    ORIGINAL_DROPPED,
    RUN_FILE,
    Counts,
    RunRecord,
    load_run,
    part_path,
)
from corpusmill.pipelines.rounds import standing_rounds
from corpusmill.pipelines.tombstones import ID, load_tombstones, new_tombstones
from corpusmill.pipelines.wanted import Found, Wanted, add, find, find_copies, ids_of, with_ids
from corpusmill.tokenize.forget import damaged_shard

REQUEST_FILE = "forget.json"


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was removed."""

    documents: int
    parts: int
    """Parts that held them."""
    shards: int
    """Shards that were written again."""
    indexed: int
    """Documents of the indexes that the recipe names."""
    copies_left: int
    """Documents that were dropped as copies of the erased, or the erased as copies of them, and
    that still stand in the run."""
    report_removed: bool
    exports_removed: bool
    """RUN/export, whose files hold texts."""


def forget(
    run: str,
    *,
    ids: Sequence[str] = (),
    uris: Sequence[str] = (),
    domains: Sequence[str] = (),
    copies: bool = False,
    key: str | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """Erase the documents with these ids, with these addresses, or below these domains.

    With `copies` also the documents that were dropped as copies of them, and those that they were
    dropped for. `key` (`env:NAME`, `file:PATH`) is that of the tombstones; the first request of a
    folder decides. `dry_run` counts documents and changes nothing. A request that finds nothing is
    an error, unless its tombstone is there already. Damaged files are found before anything is
    touched, and raise RunError.
    """
    wanted = Wanted(ids, uris, domains)
    load_run(run)  # no lock is left in a folder that is none of ours
    with storage.folder_lock(run):
        if dry_run and storage.exists(storage.join(run, REQUEST_FILE)):
            raise UsageError(
                f"{run}: an erasure has not finished: do that first, without --dry-run"
            )
        finish_request(run)
        record = load_run(run)
        tombstones = load_tombstones(run) or new_tombstones(key)
        if key is not None and key != tombstones.key:
            raise UsageError(f"{run}: its tombstones were made with another key: leave out --key")
        named = {tombstones.entry(what, value) for what, value in wanted.named()}
        found = find(run, record, wanted.matches)
        left = find_copies(run, record, found)
        if copies:
            add(found, left)
            left = {}
        if not found and not named <= tombstones.hashes:
            raise UsageError(f"{run}: no document has {wanted.described()}{_unread(record)}")
        gone = ids_of(found)
        told = Forgotten(
            documents=len(gone),
            parts=len(found),
            shards=0,
            indexed=0,
            copies_left=len(ids_of(left)),
            report_removed=False,
            exports_removed=False,
        )
        if dry_run:
            return told
        _check_files(run, record, found)
        request = Request(
            record=storage.checksum_file(storage.join(run, RUN_FILE)),
            documents={part: sorted(some) for part, some in sorted(found.items())},
            entries=sorted(named | {tombstones.entry(ID, document) for document in gone}),
            key=tombstones.key,
            rounds=len(standing_rounds(run)) if shard_folders(run) else 0,
            counts=_counts(run, record, found),
        )
        storage.write_json(storage.join(run, REQUEST_FILE), request.to_json())
        erased = erase(run, request)
        storage.remove(storage.join(run, REQUEST_FILE))
    return replace(told, **vars(erased))


def finish_request(run: str) -> None:
    """Finish the erasure that a killed command has begun. Call it under the folder's lock."""
    path = storage.join(run, REQUEST_FILE)
    if storage.exists(path):
        erase(run, Request.from_json(storage.read_json(path)))
        storage.remove(path)


def _unread(record: RunRecord) -> str:
    return "" if record.stages else "; it has not read its input yet: finish the run first"


def _check_files(run: str, record: RunRecord, found: Found) -> None:
    """Raise RunError for files that are not as they were written, before anything is touched.

    What is written again gets a new checksum, and damage could not be seen any more.
    """
    for number in found:
        for stage in record.stages:
            if not storage.exists(part_path(run, f"ledger/{stage.name}", number)):
                raise RunError(f"{run}: ledger/{stage.name} is not whole: {_AGAIN}")
            areas = [f"stages/{stage.name}"] if stage.parts else []
            areas += ["documents"] if stage.name == record.published else []
            for path in (part_path(run, area, number) for area in areas):
                if storage.exists(path) and (
                    storage.checksum_file(path) != stage.parts[number].xxh3
                ):
                    raise RunError(f"{path}: its checksum is not the recorded one: {_AGAIN}")
    for folder in shard_folders(run):
        if shard := damaged_shard(folder):
            raise RunError(f"{storage.join(folder, shard)} is missing or damaged: {_AGAIN}")
    for index in indexes(record):
        with storage.folder_lock(index):  # no run must be working with it
            pass


_AGAIN = "remove what is left of it, run the recipe again, and forget then; nothing was erased"


# ---- counting ----


def _counts(run: str, record: RunRecord, found: Found) -> dict[str, dict[int, Counts]]:
    """What the documents were in the counts of every stage, by stage and part."""
    changes: dict[str, dict[int, Counts]] = {stage.name: {} for stage in record.stages}
    for number, ids in found.items():
        fates = [_fates(run, stage.name, number, ids) for stage in record.stages]
        origins = _origins(run, record, number, ids)
        for document in ids:
            for position in range(origins[document], len(record.stages)):
                stage = record.stages[position]
                counts = changes[stage.name].setdefault(number, Counts())
                if position and position == origins[document]:
                    counts.added += 1
                    continue
                counts.found += 1
                action, reason = fates[position].get(document, ("kept", ""))
                if action == "dropped":
                    counts.dropped[reason] += 1
                    break
                if action == "quarantined":
                    counts.quarantined += 1
                    break
                counts.kept += 1
                counts.changed += action == "changed"
    return changes


def _fates(run: str, stage: str, number: int, ids: set[str]) -> dict[str, tuple[str, str]]:
    path = part_path(run, f"ledger/{stage}", number)
    rows = storage.read_parquet(path, ["id", "action", "reason"])
    rows = rows.filter(with_ids(ids)(rows))
    return {row["id"]: (row["action"], row["reason"]) for row in rows.to_pylist()}


def _origins(run: str, record: RunRecord, number: int, ids: set[str]) -> Counter[str]:
    """The position of the stage that each document came from: 0, or one that has added some.

    Of several that have added some, the last up to the first trace of the document. Where the
    stages were removed, a derived document is known by what stands in `documents/`, or in the
    ledger because it followed its original, only.
    """
    origins: Counter[str] = Counter()
    source = record.parts[number]["source"]
    adding = [i for i, s in enumerate(record.stages) if i and s.sources.get(source, s.counts).added]
    if not adding:
        return origins
    folder = f"stages/{record.stages[0].name}"
    is_whole = storage.exists(part_path(run, folder, number))
    waiting = set(ids)
    for position, stage in enumerate(record.stages):
        areas = [f"stages/{stage.name}", f"ledger/{stage.name}"]
        areas += ["documents"] if stage.name == record.published else []
        for area in areas:
            path = part_path(run, area, number)
            if not storage.exists(path):
                continue
            in_ledger = area.startswith("ledger/")
            rows = storage.read_parquet(path, ["id", "reason" if in_ledger else "augmented_from"])
            rows = rows.filter(with_ids(waiting)(rows))
            waiting -= set(rows.column("id").to_pylist())
            if not is_whole and in_ledger:
                rows = rows.filter(pc.equal(rows.column("reason"), ORIGINAL_DROPPED))
            elif not is_whole:
                rows = rows.filter(pc.is_valid(rows.column("augmented_from")))
            before = [i for i in adding if i <= position]
            if before:
                origins.update(dict.fromkeys(rows.column("id").to_pylist(), before[-1]))
    return origins
