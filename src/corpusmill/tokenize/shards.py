"""The shard format: one Arrow IPC file, uncompressed, one record batch, one row per document.

The values of the column `tokens` are the flat token stream and its offsets the index of documents;
both are read where they lie in a memory map. Plain pyarrow, DuckDB, Polars and
`datasets.load_dataset("arrow")` read the same file.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.errors import MillError, RunError, UsageError
from corpusmill.tokenize.manifest import (
    BY_SOURCE,
    FORMAT,
    MANIFEST_FILE,
    TOKENIZER_FILE,
    GroupTotals,
    Manifest,
    ShardInfo,
    SourceRun,
    TokenizerInfo,
    read_manifest,
)
from corpusmill.tokenize.vocabulary import Vocabulary

GROUP = "group"
"""The column that says which class of a mixture a document belongs to, where that is not its
source."""

PREFIX = "corpusmill."
"""Of the keys in a shard's schema metadata."""

BLOCK_TOKENS = 1 << 20
"""Tokens that a scan over shards holds at once."""

Int64Array = npt.NDArray[np.int64]


def shard_schema(dtype: str, *, grouped: bool = False) -> pa.Schema:
    """The columns of a shard with tokens of type `uint16` or `uint32`, and perhaps classes."""
    token = pa.uint16() if dtype == "uint16" else pa.uint32()
    return pa.schema(
        [
            pa.field("tokens", pa.list_(token)),
            pa.field("id", pa.string()),
            pa.field("source", pa.string()),
            pa.field("n_bytes", pa.int64()),
            *([pa.field(GROUP, pa.string())] if grouped else []),
        ]
    )


def write_tokenizer(folder: str, vocabulary: Vocabulary) -> None:
    """Write tokenizer.json beside the shards."""
    storage.write_atomic(storage.join(folder, TOKENIZER_FILE), vocabulary.data)


def write_shard(
    folder: str, name: str, split: str, documents: pa.Table, vocabulary: Vocabulary
) -> ShardInfo:
    """Write one shard.

    `documents` has the columns of `shard_schema`, in the order that the corpus has; `n_bytes` is
    the UTF-8 size of a document's text. The same rows give the same bytes however they are chunked.
    """
    grouped = GROUP in documents.column_names
    schema = shard_schema(vocabulary.dtype, grouped=grouped)
    table = documents.select(schema.names).cast(schema)
    lengths = _lengths(table)
    tokens = int(lengths.sum())
    if tokens > np.iinfo(np.int32).max:
        raise RunError(f"{name}: {tokens} tokens are too many for one shard (2^31 - 1)")
    metadata = {
        "format": str(FORMAT),
        "tokenizer": vocabulary.hash,
        "vocab_size": str(vocabulary.size),
        "special_ids": json.dumps(vocabulary.special_ids, sort_keys=True),
        "split": split,
        "rows": str(table.num_rows),
        "tokens": str(tokens),
    }
    info = storage.write_ipc(
        storage.join(folder, name), table, {PREFIX + key: value for key, value in metadata.items()}
    )
    return ShardInfo(
        name=name,
        split=split,
        rows=info.rows,
        tokens=tokens,
        text_bytes=int(one_chunk(table.column("n_bytes")).to_numpy().sum()),
        bytes=info.bytes,
        xxh3=info.xxh3,
        runs=source_runs(one_chunk(table.column("source")), lengths),
        groups=group_totals(one_chunk(table.column(GROUP)), lengths) if grouped else (),
    )


def _lengths(table: pa.Table) -> Int64Array:
    """Tokens of each document, shape [documents]."""
    offsets: npt.NDArray[np.int32] = one_chunk(table.column("tokens")).offsets.to_numpy()
    return np.diff(offsets).astype(np.int64)


def source_runs(sources: pa.Array, lengths: Int64Array) -> tuple[SourceRun, ...]:
    """Runs of consecutive documents of one source; `lengths` [documents] counts tokens."""
    names = np.array(sources.to_pylist(), dtype=object)
    if not len(names):
        return ()
    starts = np.flatnonzero(np.concatenate(([True], names[1:] != names[:-1])))
    ends = np.append(starts[1:], len(names))
    tokens = np.add.reduceat(lengths, starts)
    return tuple(
        SourceRun(source=names[start], rows=int(end - start), tokens=int(count))
        for start, end, count in zip(starts, ends, tokens, strict=True)
    )


def group_totals(groups: pa.Array, lengths: Int64Array) -> tuple[GroupTotals, ...]:
    """What each class of documents holds, by name; `lengths` [documents] counts tokens."""
    table = pa.table({"group": groups, "tokens": lengths})
    sums = table.group_by("group").aggregate([([], "count_all"), ("tokens", "sum")])
    rows = sums.sort_by("group").to_pylist()
    return tuple(
        GroupTotals(group=row["group"], rows=row["count_all"], tokens=row["tokens_sum"])
        for row in rows
    )


@dataclass(frozen=True, kw_only=True)
class DocumentSpan:
    """The part of one document that lies in a stretch of a shard's tokens."""

    id: str
    source: str
    shard: str
    first_token: int
    """Within the document."""
    tokens: int


class ShardReader:
    """One shard, through a memory map.

    What it returns is always owned by the caller: a view of the map would turn into a crash of the
    process when the file is cut short. While it is read a shard must not be changed in place, as
    `cp` onto it does; what this project writes takes the place of the old file, which stays mapped.
    """

    def __init__(self, folder: str, shard: ShardInfo, tokenizer: TokenizerInfo) -> None:
        if not storage.is_local(folder):
            raise UsageError(f"{folder}: shards are read from a local disk; copy them to one")
        self.path = storage.join(folder, shard.name)
        self.shard = shard
        self.tokenizer = tokenizer
        batch = self._open()
        self._values: npt.NDArray[np.generic] = batch.column("tokens").values.to_numpy()
        self._offsets: npt.NDArray[np.int32] = batch.column("tokens").offsets.to_numpy()
        self.place = int(self._values.__array_interface__["data"][0])
        """Where the tokens lie in memory, for compiled code; as long as this object is there."""
        self._ids = batch.column("id")
        self._sources = batch.column("source")
        self._n_bytes = batch.column("n_bytes")
        self._groups = batch.column(GROUP) if shard.groups else None
        if (
            len(self._offsets) != shard.rows + 1
            or self._offsets[0] != 0
            or self._offsets[-1] != shard.tokens
            or len(self._values) != shard.tokens
            or bool((np.diff(self._offsets) < 1).any())
        ):
            raise self._damaged("rows and tokens are not those of the manifest")

    def _open(self) -> pa.RecordBatch:
        try:
            if storage.file_size(self.path) != self.shard.bytes:
                raise self._damaged("its size is not that of the manifest")
            reader = pa.ipc.open_file(pa.memory_map(self.path, "rb"))
            schema = shard_schema(self.tokenizer.dtype, grouped=bool(self.shard.groups))
            if not reader.schema.equals(schema) or reader.num_record_batches != 1:
                raise self._damaged("it is no shard of this manifest")
            metadata = reader.schema.metadata or {}
            if metadata.get(f"{PREFIX}tokenizer".encode()) != self.tokenizer.hash.encode():
                raise self._damaged("it was made with another tokenizer")
            batch = reader.get_batch(0)
            batch.validate(full=True)
            if any(column.null_count for column in batch.columns):
                raise self._damaged("it holds nulls")
            return batch
        except OSError as error:
            raise RunError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        except (pa.ArrowException, ValueError) as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, why: str) -> RunError:
        return RunError(f"{self.path} is damaged: {why}. Make the shards again, or copy them again")

    def tokens(self, first: int, end: int) -> Int64Array:
        """Tokens first..end of the flat stream, as an owned int64 array of shape [end - first]."""
        if not 0 <= first <= end <= self.shard.tokens:
            raise IndexError(f"tokens {first}..{end} of {self.shard.tokens}")
        owned: Int64Array = self._values[first:end].astype(np.int64)
        if len(owned) and int(owned.max()) >= self.tokenizer.vocab_size:
            raise self._damaged(f"token {int(owned.max())} is not in the vocabulary")
        return owned

    def documents(self, first: int, end: int) -> Int64Array:
        """Where the documents in tokens first..end begin, and `end`; shape [documents + 1]."""
        begin, stop = np.searchsorted(self._offsets, [first, end])
        return self._offsets[begin : stop + 1].astype(np.int64)

    def documents_of(self, firsts: Int64Array, ends: Int64Array) -> tuple[Int64Array, Int64Array]:
        """First token and length of the documents in stretches of whole ones, in their order."""
        begin, stop = np.searchsorted(self._offsets, [firsts, ends])
        count = stop - begin
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        rows = np.repeat(begin, count) + within
        first = self._offsets[rows].astype(np.int64)
        return first, self._offsets[rows + 1] - first

    def stretches(self, by: str) -> dict[str, Int64Array]:
        """By class: the tokens (first, end) of consecutive documents, shape [stretches, 2]."""
        groups = self._sources if by == BY_SOURCE else self._groups
        if groups is None:
            raise self._damaged(f"it does not say of its documents what is asked by: {by}")
        coded = groups.dictionary_encode()
        codes = coded.indices.to_numpy()
        starts = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1])))
        bounds = self._offsets[np.append(starts, len(codes))].astype(np.int64)
        each = np.stack([bounds[:-1], bounds[1:]], axis=1)
        return {
            name: each[codes[starts] == number]
            for number, name in enumerate(coded.dictionary.to_pylist())
        }

    def blocks(self) -> Iterator[Int64Array]:
        """All tokens in order, in owned blocks of at most BLOCK_TOKENS."""
        for first in range(0, self.shard.tokens, BLOCK_TOKENS):
            yield self.tokens(first, min(first + BLOCK_TOKENS, self.shard.tokens))

    def spans(self, first: int, end: int) -> list[DocumentSpan]:
        """The documents that tokens first..end of the flat stream come from, in order."""
        if first >= end:
            return []
        row = int(np.searchsorted(self._offsets, first, side="right")) - 1
        last = int(np.searchsorted(self._offsets, end, side="left"))
        spans = []
        for number in range(row, last):
            start = int(self._offsets[number])
            begin, stop = max(first, start), min(end, int(self._offsets[number + 1]))
            spans.append(
                DocumentSpan(
                    id=self._ids[number].as_py(),
                    source=self._sources[number].as_py(),
                    shard=self.shard.name,
                    first_token=begin - start,
                    tokens=stop - begin,
                )
            )
        return spans

    def findings(self) -> list[str]:
        """What is wrong inside, though the file can be opened; for `verify_shards`."""
        found = []
        if int(self._values.max()) >= self.tokenizer.vocab_size:
            found.append("a token is not in the vocabulary")
        ends = self._values[self._offsets[1:].astype(np.int64) - 1]
        if bool((ends != self.tokenizer.end_of_text).any()):
            found.append("a document does not end with the end-of-text token")
        if source_runs(self._sources, np.diff(self._offsets).astype(np.int64)) != self.shard.runs:
            found.append("the runs of sources are not those of the manifest")
        if self._groups is not None:
            lengths = np.diff(self._offsets).astype(np.int64)
            if group_totals(self._groups, lengths) != self.shard.groups:
                found.append("the classes of a mixture are not those of the manifest")
        if int(self._n_bytes.to_numpy().sum()) != self.shard.text_bytes:
            found.append("the bytes of text are not those of the manifest")
        return [f"{self.path}: {finding}" for finding in found]


class SplitTokens:
    """The tokens of one split; shards are opened when they are first needed."""

    def __init__(self, folder: str, split: str) -> None:
        self.folder = folder
        self.split = split
        self.manifest = read_manifest(folder)
        self.shards = self.manifest.of_split(split)
        self.total = sum(shard.tokens for shard in self.shards)
        self._readers: dict[int, ShardReader] = {}

    def __getstate__(self) -> dict[str, Any]:
        # a memory map would be copied into the other process
        return self.__dict__ | {"_readers": {}}

    def reader(self, number: int) -> ShardReader:
        """The shard with this index in the split."""
        if number not in self._readers:
            shard = self.shards[number]
            self._readers[number] = ShardReader(self.folder, shard, self.manifest.tokenizer)
        return self._readers[number]

    def sources(self) -> list[str]:
        """Those that have tokens in the split, sorted."""
        return sorted({run.source for shard in self.shards for run in shard.runs})

    @property
    def by(self) -> str:
        """What the classes of the mixture are; sources where there is none."""
        mixture = self.manifest.mixture
        return BY_SOURCE if mixture is None else mixture.by


def verify_shards(folder: str) -> list[str]:
    """Check every byte under a folder of shards; return what is wrong, one line each.

    Raises MillError when the manifest cannot be read at all.
    """
    manifest = read_manifest(folder)
    found = []
    written = storage.read_bytes(storage.join(folder, MANIFEST_FILE))
    as_written = json.dumps(json.loads(written), indent=1, ensure_ascii=False) + "\n"
    if written != as_written.encode():
        # the same content: its own checksum cannot tell 1E-05 from 1e-05
        found.append(f"{storage.join(folder, MANIFEST_FILE)}: is not as it was written")
    tokenizer = storage.join(folder, manifest.tokenizer.file)
    if not storage.exists(tokenizer):
        found.append(f"{tokenizer}: is missing")
    elif storage.checksum_file(tokenizer) != manifest.tokenizer.hash:
        found.append(f"{tokenizer}: its checksum is not that of the manifest")
    for file, checksum in manifest.files.items():
        path = storage.join(folder, file)
        if not storage.exists(path):
            found.append(f"{path}: is missing")
        elif storage.checksum_file(path) != checksum:
            found.append(f"{path}: its checksum is not that of the manifest")
    for shard in manifest.shards:
        found += _verify_shard(folder, shard, manifest)
    known = {shard.name for shard in manifest.shards}
    for path in storage.list_files(folder):
        name = path.rsplit("/", 1)[-1]
        if name.endswith(".arrow") and name not in known:
            found.append(f"{path}: is not in the manifest")
    return found


def _verify_shard(folder: str, shard: ShardInfo, manifest: Manifest) -> list[str]:
    path = storage.join(folder, shard.name)
    if not storage.exists(path):
        return [f"{path}: is missing"]
    try:
        if storage.checksum_file(path) != shard.xxh3:
            return [f"{path}: its checksum is not that of the manifest"]
        return ShardReader(folder, shard, manifest.tokenizer).findings()
    except OSError as error:
        return [f"{path}: cannot be read: {error.strerror or error}"]
    except MillError as error:
        return [str(error)]


def unigram_entropy(folder: str, split: str) -> float:
    """Entropy in nats of a split's token frequencies, end-of-text tokens included.

    The loss of a model that knows how frequent each token is and nothing else: one that has learned
    anything from context is below.
    """
    manifest = read_manifest(folder)
    counts = np.zeros(manifest.tokenizer.vocab_size, np.int64)
    for shard in manifest.of_split(split):
        for block in ShardReader(folder, shard, manifest.tokenizer).blocks():
            counts += np.bincount(block, minlength=len(counts))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
