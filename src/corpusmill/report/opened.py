"""A finished run in a notebook: `corpusmill.open_run("out/run")`.

What it holds comes as Arrow, pandas, Polars, a relation of DuckDB or a dataset of Hugging Face;
nothing is read before it is asked for.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pad

from corpusmill import remote, storage
from corpusmill.document import without_maps
from corpusmill.errors import UsageError, one_of
from corpusmill.pipelines.ledger import RunRecord, load_run
from corpusmill.report.facts import funnel_data, read_manifest
from corpusmill.report.fate import why_data
from corpusmill.report.lookup import INGEST_AREA, area_files
from corpusmill.report.shard_texts import read_tokenizer
from corpusmill.report.showing import visible
from corpusmill.report.sweep import sweep_data
from corpusmill.report.tables import library

if TYPE_CHECKING:
    import datasets
    import duckdb
    import pandas
    import polars
    from tokenizers import Tokenizer

SHOWN_ROWS = 5
SHOWN_NAMES = 12
SHOWN_CHARACTERS = 100


class Rows:
    """A table of a run, read when it is asked for; columns and filters are read from the files."""

    def __init__(self, title: str, dataset: pad.Dataset) -> None:
        self._title = title
        self._dataset = dataset

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._dataset.schema

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    def arrow(
        self, columns: Sequence[str] | None = None, where: pad.Expression | None = None
    ) -> pa.Table:
        """All rows, or those for which `where` holds (as `pyarrow.dataset.field("source") == "x"`).

        Raises UsageError for columns that are not there.
        """
        self._check(columns)
        return self._dataset.to_table(list(columns) if columns else None, filter=where)

    def batches(
        self, columns: Sequence[str] | None = None, where: pad.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows a batch at a time, for what does not fit in memory."""
        self._check(columns)
        yield from self._dataset.to_batches(list(columns) if columns else None, filter=where)

    def pandas(
        self, columns: Sequence[str] | None = None, where: pad.Expression | None = None
    ) -> "pandas.DataFrame":
        """As a frame of pandas."""
        library("pandas")
        return self.arrow(columns, where).to_pandas()

    def polars(self) -> "polars.LazyFrame":
        """As a lazy frame of Polars, which reads what its query asks for."""
        frame: polars.LazyFrame = library("polars").scan_pyarrow_dataset(self._dataset)
        return frame

    def duckdb(self) -> "duckdb.DuckDBPyRelation":
        """As a relation of DuckDB: `rows.duckdb().filter("source = 'x'").aggregate("count(*)")`."""
        relation: duckdb.DuckDBPyRelation = library("duckdb").from_arrow(self._dataset)
        return relation

    def hf(
        self, columns: Sequence[str] | None = None, where: pad.Expression | None = None
    ) -> "datasets.Dataset":
        """As a dataset of Hugging Face, in memory; metadata is JSON text there, as in exports."""
        table = self.arrow(columns, where)
        table = without_maps(table) if "metadata" in table.schema.names else table
        dataset: datasets.Dataset = library("datasets").Dataset(table)
        return dataset

    def _check(self, columns: Sequence[str] | None) -> None:
        if isinstance(columns, str):
            raise UsageError(f"columns are a list of names: [{columns!r}]")
        for column in columns or ():
            if column not in self.schema.names:
                raise UsageError(f"column {one_of(column, self.schema.names)}")

    def __repr__(self) -> str:
        names = self.schema.names
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        return f"{self._title}: {len(self):,} rows of {', '.join(names[:SHOWN_NAMES])}{more}"

    def _repr_html_(self) -> str:
        first = self._dataset.head(SHOWN_ROWS)
        rows = (row.values() for row in first.to_pylist())
        return f"<p><b>{escape(self._title)}</b>: {len(self):,} rows</p>" + _table(
            first.schema.names, rows
        )


class Shards:
    """The token shards of a run: `shards.rows("train")`, `shards.decode(tokens)`."""

    def __init__(self, folder: str) -> None:
        manifest = read_manifest(folder)
        if manifest is None:
            raise UsageError(f"{folder}: there are no shards: no `tokenize`, or no document left")
        self.folder = folder
        self._manifest = manifest

    @property
    def splits(self) -> dict[str, dict[str, int]]:
        """Documents, tokens and bytes of text by split."""
        found: dict[str, dict[str, int]] = self._manifest["splits"]
        return found

    def rows(self, split: str = "train") -> Rows:
        """The documents of a split: tokens, id, source, n_bytes."""
        if split not in self.splits:
            raise UsageError(f"split {one_of(split, self.splits)}")
        names = [s["name"] for s in self._manifest["shards"] if s["split"] == split]
        return Rows(f"shards, {split}", _dataset([storage.join(self.folder, n) for n in names]))

    @functools.cached_property
    def tokenizer(self) -> "Tokenizer":
        """The vocabulary that the shards were made with."""
        return read_tokenizer(self.folder, self._manifest["tokenizer"])

    def decode(self, tokens: Sequence[int], *, special: bool = True) -> str:
        """The text of tokens, with or without the token that ends documents."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=not special))

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {split['tokens']:,}" for name, split in self.splits.items())
        return f"shards: tokens in {splits}"

    def _repr_html_(self) -> str:
        names = ("documents", "tokens", "text_bytes")
        rows = ([name, *(f"{of[n]:,}" for n in names)] for name, of in self.splits.items())
        size = self._manifest["tokenizer"]["vocab_size"]
        return f"<p><b>shards</b>: vocabulary of {size:,}</p>" + _table(["split", *names], rows)


class OpenedRun:
    """What a run holds. Made by `corpusmill.open_run`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.record: RunRecord = load_run(path)

    @property
    def documents(self) -> Rows:
        """What came out, before it became tokens."""
        return self._rows("documents", ("documents",))

    @property
    def ingested(self) -> Rows:
        """The documents as they came; raises UsageError when `stages/` was removed."""
        return self._rows("ingested", (INGEST_AREA,))

    @property
    def ledger(self) -> Rows:
        """Documents dropped, changed and quarantined: one row for each fate."""
        return self._rows("ledger", [f"ledger/{stage.name}" for stage in self.record.stages])

    @property
    def scores(self) -> Rows:
        """What was measured of each document, dropped or not.

        One row for each document in `documents/` or dropped: id, source, fate (`kept`, or the
        reason), and a column of float32 for each score.
        """
        kept = self.documents.arrow(["id", "source", "scores"])
        ledger = self.ledger.arrow(
            ["id", "source", "scores", "reason"], pad.field("action") == "dropped"
        )
        fate = pa.field("fate", pa.string(), nullable=False)
        tables = (
            kept.append_column(fate, pa.array(["kept"] * kept.num_rows, pa.string())),
            ledger.rename_columns({"reason": "fate"}),
        )
        rows = pa.concat_tables([t.select(["id", "source", "fate", "scores"]) for t in tables])
        flat = rows.select(["id", "source", "fate"])
        scores = rows.column("scores").combine_chunks()
        for number, field in enumerate(scores.type):
            flat = flat.append_column(field.name, scores.flatten()[number])
        return Rows("scores", pad.dataset(flat))

    @property
    def shards(self) -> Shards:
        """The token shards; raises UsageError when there are none."""
        return Shards(storage.join(self.path, "shards"))

    @property
    def funnel(self) -> list[dict[str, Any]]:
        """One row for each stage: in, kept, added, changed, dropped, quarantined, out, seconds."""
        return funnel_data(self.record)

    def sweep(self, rule: str, thresholds: Sequence[float] = ()) -> dict[str, Any]:
        """What a rule would keep at other thresholds, as `corpusmill sweep` has it."""
        return sweep_data(self.path, rule, thresholds)

    def why(self, key: str) -> dict[str, Any]:
        """The whole fate of a document, by id or address."""
        return why_data(self.path, key)

    def _rows(self, title: str, areas: Sequence[str]) -> Rows:
        files = [file for area in areas for file in area_files(self.path, area)]
        if not files:
            raise UsageError(f"{self.path}: has no {title} (any more)")
        return Rows(title, _dataset(files))

    def __repr__(self) -> str:
        out = self.record.stages[-1].counts.out if self.record.stages else 0
        return f"run {self.record.name!r} in {self.path}: {out:,} documents came out"

    def _repr_html_(self) -> str:
        names = ("stage", "in", "kept", "added", "changed", "quarantined", "out")
        rows = ([*(row[n] for n in names), sum(row["dropped"].values())] for row in self.funnel)
        return f"<p>{escape(repr(self))}</p>" + _table([*names, "dropped"], rows)


def _dataset(files: Sequence[str]) -> pad.Dataset:
    """Parquet or Arrow files as one table."""
    kind = "parquet" if files[0].endswith(".parquet") else "ipc"
    if storage.is_local(files[0]):
        return pad.dataset([file.removeprefix("file://") for file in files], format=kind)
    stored = [remote.filesystem(file) for file in files]
    return pad.dataset([path for _, path in stored], format=kind, filesystem=stored[0][0])


def _table(names: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in HTML, every name and value escaped."""
    head = "".join(f"<th>{_cell(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    """A value for a table in HTML: cut, with control characters visible, escaped."""
    text = str(value)
    cut = text[:SHOWN_CHARACTERS] + (" …" if len(text) > SHOWN_CHARACTERS else "")
    return escape(visible(cut))
