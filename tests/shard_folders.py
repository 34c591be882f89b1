"""Folders of token shards for tests, made of real text that every Python carries."""

import inspect
import json
import json.decoder
import json.encoder
import json.scanner
import json.tool
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from corpusmill.document import document_id
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.manifest import Manifest, Mixture, build_manifest, write_manifest
from corpusmill.tokenize.shards import write_shard, write_tokenizer
from corpusmill.tokenize.splits import plan_shards
from corpusmill.tokenize.vocabulary import Vocabulary, load_tokenizer, train_bpe

MODULES = (json, json.decoder, json.encoder, json.scanner, json.tool)


@cache
def real_texts() -> tuple[str, ...]:
    """Source files of the standard library, some 40 kB."""
    return tuple(inspect.getsource(module) for module in MODULES)


@cache
def small_vocabulary(size: int = 512) -> Vocabulary:
    """Trained on `real_texts`."""
    return load_tokenizer(train_bpe(real_texts(), size))


def text_documents(texts: Sequence[str], source: str, vocabulary: Vocabulary) -> pa.Table:
    """A table as `write_shard` takes it, one row per text."""
    return pa.table(
        {
            "tokens": Encoder(vocabulary).encode(pa.array(texts, pa.large_string())),
            "id": [document_id(source, "file", str(n)) for n in range(len(texts))],
            "source": pa.array([source] * len(texts), pa.string()),
            "n_bytes": pa.array([len(text.encode()) for text in texts], pa.int64()),
        }
    )


def token_documents(lengths: Mapping[str, Sequence[int]], vocabulary: Vocabulary) -> pa.Table:
    """Documents of given lengths in tokens per source; no two tokens in a row are equal by chance
    only: they count upwards over the whole table, as far as the vocabulary goes."""
    rows = [
        (source, n, length) for source, each in lengths.items() for n, length in enumerate(each)
    ]
    offsets = np.concatenate(([0], np.cumsum([length for _, _, length in rows]))).astype(np.int32)
    numbers = np.arange(offsets[-1]) % (vocabulary.size - 1) + 1
    numbers[offsets[1:] - 1] = vocabulary.end_of_text
    values = pa.array(numbers.astype(vocabulary.dtype))
    return pa.table(
        {
            "tokens": pa.ListArray.from_arrays(pa.array(offsets), values),
            "id": [document_id(source, "file", str(n)) for source, n, _ in rows],
            "source": pa.array([source for source, _, _ in rows], pa.string()),
            "n_bytes": pa.array([length for _, _, length in rows], pa.int64()),
        }
    )


def write_folder(
    folder: Path,
    splits: dict[str, pa.Table],
    vocabulary: Vocabulary,
    *,
    shard_tokens: int = 1 << 20,
    mixture: Mixture | None = None,
) -> Manifest:
    """Write a folder of shards as the stage does."""
    shards = []
    for split, table in splits.items():
        lengths = np.array([len(row) for row in table.column("tokens")], np.int64)
        for plan in plan_shards(split, [int(lengths.sum())], shard_tokens):
            rows = plan.rows(0, lengths)
            part = table.slice(rows.start, rows.stop - rows.start)
            if part.num_rows:
                shards.append(write_shard(str(folder), plan.name, split, part, vocabulary))
    write_tokenizer(str(folder), vocabulary)
    manifest = build_manifest(1, vocabulary, shards, mixture)
    write_manifest(str(folder), manifest)
    return manifest


def write_real_folder(folder: Path, vocab_size: int = 512) -> Manifest:
    """The real texts, the last one as validation, in several shards."""
    vocabulary = small_vocabulary(vocab_size)
    texts = real_texts()
    return write_folder(
        folder,
        {
            "train": text_documents(texts[:-1], "code", vocabulary),
            "validation": text_documents(texts[-1:], "held-out", vocabulary),
        },
        vocabulary,
        shard_tokens=4096,
    )
