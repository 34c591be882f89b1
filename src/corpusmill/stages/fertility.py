"""How many tokens does a word cost, in each language and kind? Counted while documents are encoded.

Fertility is tokens per word (Rust et al. 2021); where words have no spaces between them, a letter
counts as a word, and bytes per token say more.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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
