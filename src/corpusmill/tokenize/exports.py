"""Token shards in the formats of other training programs.

`megatron`: SPLIT.bin and SPLIT.idx, the indexed dataset of Megatron-LM (one sequence per document).
`nanogpt`: train.bin, val.bin and so on, the flat token stream, and meta.json beside them.
`tokens`: SPLIT-NNNNN.jsonl.zst, an object per document with its id, source and tokens.
"""

import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import zstandard

from corpusmill import storage
from corpusmill.tokenize.manifest import Manifest, read_manifest
from corpusmill.tokenize.shards import ShardReader
from corpusmill.tokenize.splits import VALIDATION

MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
MEGATRON_CODES = {"uint16": (8, "<u2"), "uint32": (4, "<i4")}
"""Type of the tokens -> Megatron's code and the type that it names: it has no uint32."""

ROWS = 1024
"""Documents that are turned into lines at once."""


def export_tokens(shards: str, to: str, out: str) -> tuple[set[str], int]:
    """Write a folder of shards as one of EXPORTS to `out`; returns (names of files, documents)."""
    manifest = read_manifest(shards)
    files = {manifest.tokenizer.file}
    for split in sorted(manifest.splits):
        readers = [ShardReader(shards, s, manifest.tokenizer) for s in manifest.of_split(split)]
        files |= EXPORTS[to](out, split, readers, manifest)
    tokenizer = storage.read_bytes(storage.join(shards, manifest.tokenizer.file))
    storage.write_atomic(storage.join(out, manifest.tokenizer.file), tokenizer)
    return files, sum(totals.documents for totals in manifest.splits.values())


def _megatron(out: str, split: str, readers: list[ShardReader], manifest: Manifest) -> set[str]:
    code, dtype = MEGATRON_CODES[manifest.tokenizer.dtype]
    storage.write_pieces(storage.join(out, f"{split}.bin"), _stream(readers, dtype))
    bounds = [reader.documents(0, reader.shard.tokens) for reader in readers]
    lengths = np.concatenate([np.diff(each) for each in bounds])
    width = np.dtype(dtype).itemsize
    index = [
        MEGATRON_MAGIC,
        struct.pack("<QBQQ", 1, code, len(lengths), len(lengths) + 1),
        lengths.astype("<i4").tobytes(),
        ((np.cumsum(lengths) - lengths) * width).astype("<i8").tobytes(),
        np.arange(len(lengths) + 1, dtype="<i8").tobytes(),
    ]
    storage.write_pieces(storage.join(out, f"{split}.idx"), index)
    return {f"{split}.bin", f"{split}.idx"}


def _nanogpt(out: str, split: str, readers: list[ShardReader], manifest: Manifest) -> set[str]:
    name = "val" if split == VALIDATION and "val" not in manifest.splits else split
    dtype = np.dtype(manifest.tokenizer.dtype).newbyteorder("<")
    storage.write_pieces(storage.join(out, f"{name}.bin"), _stream(readers, dtype.str))
    meta = {
        "vocab_size": manifest.tokenizer.vocab_size,
        "dtype": manifest.tokenizer.dtype,
        "end_of_text": manifest.tokenizer.end_of_text,
    }
    storage.write_json(storage.join(out, "meta.json"), meta)
    return {f"{name}.bin", "meta.json"}


def _stream(readers: list[ShardReader], dtype: str) -> Iterator[bytes]:
    for reader in readers:
        for block in reader.blocks():
            yield block.astype(dtype).tobytes()


def _tokens(out: str, split: str, readers: list[ShardReader], _: Manifest) -> set[str]:
    names = [f"{split}-{number:05d}.jsonl.zst" for number in range(len(readers))]
    for name, reader in zip(names, readers, strict=True):
        storage.write_pieces(storage.join(out, name), _lines(reader))
    return set(names)


def _lines(reader: ShardReader) -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor(level=3).compressobj()
    bounds: npt.NDArray[np.int64] = reader.documents(0, reader.shard.tokens)
    for first in range(0, reader.shard.rows, ROWS):
        last = min(first + ROWS, reader.shard.rows)
        sink = io.StringIO()
        for row, span in zip(
            range(first, last), reader.spans(bounds[first], bounds[last]), strict=True
        ):
            tokens = reader.tokens(int(bounds[row]), int(bounds[row + 1])).tolist()
            json.dump({"id": span.id, "source": span.source, "tokens": tokens}, sink)
            sink.write("\n")
        yield compressor.compress(sink.getvalue().encode())
    yield compressor.flush()


EXPORTS: Mapping[str, Callable[[str, str, list[ShardReader], Manifest], set[str]]] = {
    "megatron": _megatron,
    "nanogpt": _nanogpt,
    "tokens": _tokens,
}
