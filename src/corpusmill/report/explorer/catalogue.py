"""Every document of a run as one table of DuckDB in memory, and the searches over it.

Texts are not in it: a search for words in them reads the run's Parquet files. The database may read
these and no other file, and cannot be told otherwise. What people type reaches it as bound values.
"""

import contextlib
import functools
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from corpusmill import storage
from corpusmill.errors import MillError
from corpusmill.pipelines.ledger import RunRecord, part_path
from corpusmill.report.lookup import INGEST_AREA

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAGE_ROWS = 50
SECONDS = 20.0
"""After which a query is interrupted."""
CHOICES = 300
"""Of the values of a column that are offered for choosing."""
CACHED = 8
"""Searches whose documents are remembered, four bytes for each."""
RELATED = 50
"""Duplicates of a document that are named."""

FATES = ("kept", "dropped", "changed", "quarantined", "derived")
UNKNOWN = "unknown"
"""Stands for a language that nothing has identified."""


class TooSlow(MillError):
    """A query took longer than SECONDS."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is searched for; an empty string asks for nothing."""

    text: str = ""
    """Anywhere in the text as it came or as it left, without regard to case."""
    id: str = ""
    uri: str = ""
    """A part of the address, without regard to case."""
    reason: str = ""
    """A rule, or any other reason in the ledger."""
    stage: str = ""
    source: str = ""
    language: str = ""
    fate: str = ""
    """One of FATES. A changed document may have been dropped later."""

    def asked(self) -> dict[str, str]:
        """The fields that ask for something."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in every.items() if value}


@dataclass(frozen=True, kw_only=True)
class Found:
    """The documents that a search finds."""

    rows: npt.NDArray[np.int32]
    """Their numbers in the catalogue, rising."""
    tokens: int
    """Of those that are in the shards."""
    in_shards: int


class Catalogue:
    """A run that is open for searching; made by `opening.open_catalogue`.

    Tables: `documents` (n, id, part, uri, source, kind, language, augmented_from, fate, stage,
    reason, value, threshold, bytes, tokens, estimate) and `ledger` (n, stage, action, reason,
    other), in which `other` is the id that a detail names.
    """

    def __init__(self, run: str, record: RunRecord, connection: "DuckDBPyConnection") -> None:
        self.run = run
        self.record = record
        self._connection = connection
        self._running: set[DuckDBPyConnection] = set()
        self._texts = [files for area in (INGEST_AREA, "documents") if (files := self.files(area))]
        self.has_raw_texts = bool(self.files(INGEST_AREA))
        self.find = functools.lru_cache(maxsize=CACHED)(self._find)

    @property
    def name(self) -> str:
        """What people call the run's folder."""
        return os.path.basename(os.path.normpath(self.run))

    def files(self, area: str) -> list[str]:
        """The parts below an area that are there."""
        return part_files(self.run, self.record, area)

    @contextmanager
    def cursor(self) -> "Iterator[DuckDBPyConnection]":
        """A cursor for one request. Raises TooSlow when its queries take longer than SECONDS."""
        import duckdb

        cursor = self._connection.cursor()
        self._running.add(cursor)
        timer = threading.Timer(SECONDS, _interrupt, [cursor])
        timer.daemon = True
        timer.start()
        try:
            yield cursor
        except duckdb.InterruptException:
            raise TooSlow(f"The search was stopped after {SECONDS:g} seconds.") from None
        finally:
            timer.cancel()
            self._running.discard(cursor)
            cursor.close()

    def stop(self) -> None:
        """End the queries that are running: nobody waits for them any more."""
        for cursor in list(self._running):
            _interrupt(cursor)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query that gives few."""
        with self.cursor() as cursor:
            answer = cursor.execute(query, list(values))
            names = [column[0] for column in answer.description or ()]
            return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    @functools.cached_property
    def documents(self) -> int:
        """How many there are, dropped ones included."""
        return int(self.rows("SELECT count(*) AS n FROM documents")[0]["n"])

    @functools.cached_property
    def scores(self) -> list[str]:
        """The names of what was measured of documents."""
        with storage.open_read(self.files("documents")[0]) as stream:
            return [field.name for field in pq.read_schema(stream).field("scores").type]

    @functools.cached_property
    def choices(self) -> dict[str, list[str]]:
        """Field of `Filters` -> the values to choose from; of many, the most frequent."""
        return {
            "stage": self._values("ledger", "stage"),
            "reason": self._values("ledger", "reason"),
            "source": self._values("documents", "source"),
            "language": self._values("documents", f"coalesce(language, '{UNKNOWN}')"),
            "fate": list(FATES),
        }

    def _values(self, table: str, column: str) -> list[str]:
        rows = self.rows(
            f"SELECT {column} AS value FROM {table} GROUP BY ALL ORDER BY count(*) DESC, value "
            f"LIMIT {CHOICES}"
        )
        return sorted(row["value"] for row in rows)

    def _find(self, filters: Filters) -> Found:
        conditions, values = _conditions(filters)
        if filters.text:
            # a third of the time that folding the case of whole texts takes
            literal = "(?i)" + re.escape(filters.text)
            texts = "SELECT id FROM read_parquet(?) WHERE regexp_matches(text, ?)"
            where = " UNION ALL ".join([texts] * len(self._texts)) or "SELECT NULL"
            conditions.append(f"id IN ({where})")
            for files in self._texts:
                values += [files, literal]
        where = " AND ".join(conditions) or "true"
        with self.cursor() as cursor:
            found = cursor.execute(
                f"SELECT n, coalesce(tokens, -1) AS tokens FROM documents WHERE {where} ORDER BY n",
                values,
            ).fetchnumpy()
        tokens = np.asarray(found["tokens"], np.int64)
        in_shards = tokens >= 0
        return Found(
            rows=np.asarray(found["n"], np.int32),
            tokens=int(tokens[in_shards].sum()),
            in_shards=int(np.count_nonzero(in_shards)),
        )

    def page(self, found: Found, number: int) -> list[dict[str, Any]]:
        """One page of what was found, the first being 0."""
        return self.at(found.rows[number * PAGE_ROWS : (number + 1) * PAGE_ROWS].tolist())

    def at(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Documents by their numbers in the catalogue."""
        return self.rows(
            "SELECT * FROM documents WHERE n IN (SELECT unnest(?::INTEGER[])) ORDER BY n",
            [list(rows)],
        )

    def document(self, identity: str) -> dict[str, Any] | None:
        """The document with this id."""
        rows = self.rows("SELECT * FROM documents WHERE id = ?", [identity])
        return rows[0] if rows else None

    def removed_for(self, identity: str) -> tuple[int, list[dict[str, Any]]]:
        """How many documents were dropped because this one is kept, and the first RELATED."""
        where = "FROM documents JOIN ledger USING (n) WHERE other = ? AND action = 'dropped'"
        number = self.rows(f"SELECT count(*) AS n {where}", [identity])[0]["n"]
        some = f"SELECT documents.* {where} ORDER BY n LIMIT {RELATED}"
        return int(number), self.rows(some, [identity])


def _interrupt(cursor: "DuckDBPyConnection") -> None:
    import duckdb

    with contextlib.suppress(duckdb.Error):  # it has been closed meanwhile
        cursor.interrupt()


def part_files(run: str, record: RunRecord, area: str) -> list[str]:
    """The Parquet files of the parts below an area, as far as they are there."""
    paths = (part_path(run, area, number) for number in range(len(record.parts)))
    return [path for path in paths if storage.exists(path)]


def _conditions(filters: Filters) -> tuple[list[str], list[Any]]:
    """The search as conditions on `documents`, and the values that are bound to them."""
    asked = filters.asked()
    known = {
        "id": "id = lower(trim(?))",
        "uri": "contains(lower(uri), lower(?))",
        "source": "source = ?",
        "language": f"coalesce(language, '{UNKNOWN}') = ?",
    }
    conditions = [condition for name, condition in known.items() if name in asked]
    values: list[Any] = [asked[name] for name in known if name in asked]
    if filters.fate == "derived":
        conditions.append("augmented_from IS NOT NULL")
    elif filters.fate in ("kept", "dropped", "quarantined"):
        conditions.append("fate = ?")
        values.append(filters.fate)
    # stage and reason are those of one row of the ledger, and its action the fate asked for
    row = {"stage": filters.stage, "reason": filters.reason}
    if filters.fate in ("changed", "dropped", "quarantined"):
        row["action"] = filters.fate
    row = {column: value for column, value in row.items() if value}
    if row:
        of_row = " AND ".join(f"{column} = ?" for column in row)
        conditions.append(f"n IN (SELECT n FROM ledger WHERE {of_row})")
        values += row.values()
    return conditions, values
