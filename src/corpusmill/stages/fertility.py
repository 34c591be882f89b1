"""How many tokens does a word cost, in each language and kind? Counted while documents are encoded.

Fertility is tokens per word (Rust et al. 2021); where words have no spaces between them, a letter
counts as a word, and bytes per token say more.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.tokenize.manifest import ShardInfo, read_manifest, with_files, write_manifest

FERTILITY_FILE = "fertility.json"

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORD = rf"[{_UNSPACED}]|[^\s\pZ{_UNSPACED}]+"

_SUMS = ("documents", "words", "tokens", "bytes")


def count_words(texts: pa.Array) -> pa.Array:
    """Runs of characters between white space, and letters of scripts without spaces; int64."""
    return pc.count_substring_regex(texts, _WORD).cast(pa.int64())


def fold_fertility(rows: pa.Table) -> pa.Table:
    """Sums of documents, words, tokens and bytes per kind and language; a commutative fold."""
    names = ["kind", "language"]
    sums = rows.group_by(names).aggregate([(name, "sum") for name in _SUMS])
    found = sums.rename_columns([name.removesuffix("_sum") for name in sums.column_names])
    return found.select([*names, *_SUMS]).sort_by([(name, "ascending") for name in names])


def fertility_rows(sums: pa.Table) -> list[dict[str, Any]]:
    """One object per kind and language; an undetermined language is null, tokens are without those
    that end documents."""
    return [
        {
            **row,
            "tokens_per_word": round(row["tokens"] / max(row["words"], 1), 4),
            "bytes_per_token": round(row["bytes"] / max(row["tokens"], 1), 4),
        }
        for row in sums.to_pylist()
    ]


def recount_fertility(documents: str, shards: str) -> None:
    """Count anew, after documents were taken out of both folders. May be repeated.

    Where the documents are not all there to be counted, the file goes: it would tell of the ones
    that are gone.
    """
    manifest = read_manifest(shards)
    if FERTILITY_FILE not in manifest.files:
        return
    splits = [_Rows(shards, manifest.of_split(split)) for split in manifest.splits]
    sums = []
    for path in storage.list_files(documents) if storage.exists(documents) else []:
        part = storage.read_parquet(path, ["id", "kind", "language", "text"]).combine_chunks()
        ids = one_chunk(part["id"])
        rows = pa.concat_tables([_NO_ROWS, *(table for split in splits for table in split.of(ids))])
        part = part.take(pc.index_in(rows["id"], value_set=ids))
        sums.append(
            fold_fertility(
                pa.table(
                    {
                        "kind": part["kind"],
                        "language": part["language"],
                        "documents": pa.array(np.ones(len(rows), np.int64)),
                        "words": count_words(part["text"]),
                        "tokens": rows["tokens"],
                        "bytes": rows["bytes"],
                    }
                )
            )
        )
    path = storage.join(shards, FERTILITY_FILE)
    files = dict(manifest.files)
    counted = sum(pc.sum(table["documents"]).as_py() or 0 for table in sums)
    if counted == sum(totals.documents for totals in manifest.splits.values()):
        total = fertility_rows(fold_fertility(pa.concat_tables(sums))) if sums else []
        files[FERTILITY_FILE] = storage.write_json(path, total).xxh3
    else:
        storage.remove(path)
        del files[FERTILITY_FILE]
    if files != manifest.files:
        write_manifest(shards, with_files(manifest, files))


_NO_ROWS = pa.schema(
    [("id", pa.string()), ("tokens", pa.int64()), ("bytes", pa.int64())]
).empty_table()


class _Rows:
    """The documents of a split, which stand in the order of parts: given out part by part."""

    def __init__(self, folder: str, shards: tuple[ShardInfo, ...]) -> None:
        self._tables = self._read(folder, shards)
        self._rest = _NO_ROWS

    @staticmethod
    def _read(folder: str, shards: tuple[ShardInfo, ...]) -> Iterator[pa.Table]:
        for shard in shards:
            rows = storage.read_ipc(storage.join(folder, shard.name))
            # The token that ends a document is no part of its text.
            tokens = pc.subtract(pc.list_value_length(rows["tokens"]).cast(pa.int64()), 1)
            yield pa.table(
                [rows["id"], tokens, rows["n_bytes"]], schema=_NO_ROWS.schema
            ).combine_chunks()

    def of(self, ids: pa.Array) -> Iterator[pa.Table]:
        """The next rows, as long as they are of these documents."""
        while True:
            if not self._rest.num_rows:
                following = next(self._tables, None)
                if following is None:
                    return
                self._rest = following
            other = pc.index(pc.is_in(self._rest["id"], value_set=ids), False).as_py()
            until = self._rest.num_rows if other < 0 else other
            yield self._rest.slice(0, until)
            self._rest = self._rest.slice(until)
            if self._rest.num_rows:
                return
