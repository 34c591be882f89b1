"""The documents or the tokens of a run in the formats that other tools read."""

import io
import json
from typing import Any

import pyarrow as pa
import zstandard

from corpusmill import storage
from corpusmill.document import without_maps
from corpusmill.errors import UsageError
from corpusmill.pipelines.ledger import load_run
from corpusmill.tokenize.export_folder import claim, finish
from corpusmill.tokenize.exports import EXPORTS, export_tokens
from corpusmill.tokenize.manifest import MANIFEST_FILE, read_manifest


def export(run: str, to: str, out: str | None = None) -> tuple[str, int, int]:
    """Write what is in RUN as `to`; returns (folder, files, documents).

    For the formats of `tokenize.exports` `run` may be a folder of shards as well.
    `jsonl.zst`: one object a line, nulls left out. `parquet`: the same columns with metadata and
    scores as structs that every reader knows. `hf`: that, laid out as a Hugging Face dataset folder
    (`datasets.load_dataset(FOLDER)`). Raises UsageError for a folder that holds anything but an
    earlier export in the same format, whose files are replaced.
    """
    folder = out or storage.join(run, "export", to)
    if to in EXPORTS:
        shards = storage.join(run, "shards")
        shards = shards if storage.exists(storage.join(shards, MANIFEST_FILE)) else run
        read_manifest(shards)
    elif load_run(run).published is None:
        raise UsageError(f"{run} has no documents yet: run it first")
    earlier = claim(folder, to)
    if to in EXPORTS:
        names, documents = export_tokens(shards, to, folder)
    else:
        names, documents = _export_documents(run, to, folder)
    finish(folder, to, earlier, names)
    return folder, len(names), documents


def _export_documents(run: str, to: str, folder: str) -> tuple[set[str], int]:
    names = set()
    parts = storage.list_files(storage.join(run, "documents"))
    documents = 0
    for number, path in enumerate(parts):
        table = storage.read_parquet(path)
        documents += table.num_rows
        if to == "jsonl.zst":
            name = f"{number:05d}.jsonl.zst"
            storage.write_atomic(storage.join(folder, name), _jsonl(table))
        else:
            name = f"{number:05d}.parquet"
            if to == "hf":
                name = f"data/train-{number:05d}-of-{len(parts):05d}.parquet"
            storage.write_parquet(storage.join(folder, name), without_maps(table))
        names.add(name)
    if to == "hf":
        storage.write_atomic(storage.join(folder, "README.md"), _card(load_run(run).name).encode())
        names.add("README.md")
    return names, documents


def _jsonl(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    compressor = zstandard.ZstdCompressor(level=3)
    with compressor.stream_writer(sink, closefd=False) as stream:
        for batch in table.to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                line = json.dumps(_clean(row), ensure_ascii=False)
                stream.write(line.encode("utf-8") + b"\n")
    return sink.getvalue()


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    row["metadata"] = dict(row["metadata"] or ())
    row["scores"] = {name: s for name, s in (row["scores"] or {}).items() if s is not None}
    return {name: value for name, value in row.items() if value is not None}


def _card(name: str) -> str:
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - split: train\n    path: data/train-*.parquet\n---\n\n"
        f"# {name}\n\nMade with corpusmill. The column `metadata` holds JSON.\n"
    )
