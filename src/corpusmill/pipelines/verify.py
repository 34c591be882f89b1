"""Is a run folder, or a folder of shards, what its record says? And: forget the raw text."""

from corpusmill import storage
from corpusmill.errors import MillError, UsageError
from corpusmill.pipelines.erase import indexes, shard_folders
from corpusmill.pipelines.forget import REQUEST_FILE
from corpusmill.pipelines.ledger import RUN_FILE, RunRecord, load_run, part_path, reconcile
from corpusmill.pipelines.rounds import verify_rounds
from corpusmill.pipelines.tombstones import ID, load_tombstones
from corpusmill.pipelines.wanted import mentions, stored_rows
from corpusmill.stages.duplicate_index import indexed_ids
from corpusmill.tokenize.manifest import MANIFEST_FILE, read_manifest
from corpusmill.tokenize.shards import verify_shards


def verify(path: str) -> tuple[list[str], int]:
    """Check a run or shards: (findings, number of files checked)."""
    if storage.exists(storage.join(path, RUN_FILE)):
        return _verify_run(path)
    if storage.exists(storage.join(path, MANIFEST_FILE)):
        return _verify_shards(path)
    raise UsageError(f"{path} is neither a run folder nor a folder of shards")


def _verify_run(run: str) -> tuple[list[str], int]:
    record = load_run(run)
    findings: list[str] = []
    checked = 0
    for stage in record.stages:
        areas = [f"stages/{stage.name}"] if stage.parts else []
        if stage.name == record.published:
            areas.append("documents")
        for area in areas:
            if area != "documents" and not storage.exists(storage.join(run, area)):
                continue  # cleaned away
            for number, part in enumerate(stage.parts):
                file = part_path(run, area, number)
                checked += 1
                if not storage.exists(file):
                    findings.append(f"{file}: missing")
                elif storage.checksum_file(file) != part.xxh3:
                    findings.append(f"{file}: its checksum is not the recorded one")
    for check in (_erased, reconcile):
        try:
            findings += check(run, record)
        except MillError as error:
            findings.append(str(error))
    shards = storage.join(run, "shards")
    if any(stage.name.endswith("-tokenize") and stage.counts.out for stage in record.stages):
        if not storage.exists(storage.join(shards, MANIFEST_FILE)):
            findings.append(f"{shards}: missing")
        else:
            more, files = _verify_shards(shards)
            findings, checked = findings + more, checked + files
    more, files = verify_rounds(run)
    return findings + more, checked + files


def _erased(run: str, record: RunRecord) -> list[str]:
    """Whether anything is there that `forget` was asked to remove."""
    if storage.exists(storage.join(run, REQUEST_FILE)):
        return [f"{run}: an erasure has not finished: run `corpusmill forget` again"]
    tombstones = load_tombstones(run)
    if tombstones is None:
        return []
    places = [
        (part_path(run, area, number), int(tombstones.erased(rows).sum()))
        for area, number, rows in stored_rows(run, record)
    ]
    if tombstones.names(ID):
        places += [
            (part_path(run, area, number), tombstones.erased_ids(rows["detail"].to_pylist()))
            for area, number, rows in mentions(run, record)
        ]
        for folder in shard_folders(run):
            for shard in read_manifest(folder).shards:
                path = storage.join(folder, shard.name)
                if storage.exists(path):
                    ids = storage.read_ipc(path).column("id").to_pylist()
                    places.append((path, tombstones.erased_ids(ids)))
        places += [(index, tombstones.erased_ids(indexed_ids(index))) for index in indexes(record)]
    return [
        f"{path}: {there} rows of documents that were erased" for path, there in places if there
    ]


def _verify_shards(shards: str) -> tuple[list[str], int]:
    try:
        manifest = read_manifest(shards)
    except MillError as error:
        return [str(error)], 1
    # and the manifest and the tokenizer
    return verify_shards(shards), len(manifest.shards) + len(manifest.files) + 2


def are_shards_there(shards: str) -> bool:
    """Whether the manifest and all files it lists are there, as far as their sizes tell."""
    try:
        manifest = read_manifest(shards)
    except MillError:
        return False
    files = [(manifest.tokenizer.file, None), *((s.name, s.bytes) for s in manifest.shards)]
    return all(
        storage.exists(path := storage.join(shards, name))
        and size in (None, storage.file_size(path))
        for name, size in files
    )


def clean(run: str) -> int:
    """Remove the stages of a finished run; returns the bytes given back.

    Hard links that documents/ shares with a barrier are counted, though their bytes stay.
    """
    with storage.folder_lock(run):
        load_run(run)
        folder = storage.join(run, "stages")
        freed = sum(storage.file_size(file) for file in storage.list_files(folder))
        storage.remove(folder)
    return freed
