"""What of the input's languages, domains, topics, kinds and licences came out of a run?

Reads columns of Parquet files and no text. A language and a topic are known only from the stage on
that sets them: what went in is counted at the first barrier at which any document has one, and in
the ledger of that stage, which has the language or topic of what it dropped as detail.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.document import INGEST_SCORE, one_chunk
from corpusmill.pipelines.ledger import RunRecord
from corpusmill.report.lookup import INGEST_BYTES, part_tables

SHOWN = 30
"""Values of each key that are shown; the others are added up."""
HELD = 100_000
"""Values of a key of which counts are held at most twice so many: when there are more, the rarest
go into the sum of others, whatever they come to later."""

_HOST = r"^(?i:https?)://(?:[^/?#@\s]*@)?(?P<host>[^/:?#\s@]+)"
_ADDRESS = re.compile(r"[\d.]+|\[.*")
_SECOND_LEVEL = frozenset(
    "ac co com edu gob gouv gov govt ltd mil ne net nom or org plc sch".split()
)
"""What stands before a country's domain in names of three parts, such as `example.co.uk`. A list of
all public suffixes changes weekly; in a table of the largest domains this tells nearly the same."""


@dataclass
class _Tally:
    """Documents and bytes by value; null is a value."""

    documents: Counter[str | None] = field(default_factory=Counter)
    bytes: Counter[str | None] = field(default_factory=Counter)
    other: tuple[int, int, int] = (0, 0, 0)
    """Values, documents and bytes that are no longer told apart."""

    def add(self, values: pa.Array, sizes: pa.Array, form: Callable[[str], str]) -> None:
        table = pa.table({"value": values, "bytes": sizes})
        groups = table.group_by("value").aggregate([([], "count_all"), ("bytes", "sum")])
        for row in groups.to_pylist():
            value = None if row["value"] is None else form(row["value"])
            self.documents[value] += row["count_all"]
            self.bytes[value] += int(row["bytes_sum"] or 0)
        if len(self.documents) > 2 * HELD:
            for value, _ in self.documents.most_common()[HELD:]:
                numbers = 1, self.documents.pop(value), self.bytes.pop(value)
                self.other = (
                    self.other[0] + numbers[0],
                    self.other[1] + numbers[1],
                    self.other[2] + numbers[2],
                )


def coverage(run: str, record: RunRecord) -> list[dict[str, Any]]:
    """For each key {key, since, rows, others}, without keys that no document has.

    `since` is the stage after which what went in was counted, null where no barrier is left. Rows
    are {value, in: {documents, bytes}, out: {documents, bytes}}, those with most documents first;
    `value` is null for documents without one, `in` is null where `since` is. `others` is such a
    row with the number of `values` instead, null where all are shown. Bytes are those at ingest.
    """
    areas = [
        stage.name
        for stage in record.stages
        if storage.exists(storage.join(run, "stages", stage.name))
    ]
    wanted = list(_KEYS)
    before: dict[str, tuple[str, _Tally]] = {}
    for area in areas:
        tallies = _tally(run, record, f"stages/{area}", wanted)
        for key in wanted:
            if any(value is not None for value in tallies[key].documents):
                _add_dropped(run, record, area, key, tallies[key])
                before[key] = area, tallies[key]
        wanted = [key for key in wanted if key not in before]
        if not wanted:
            break
    after = _tally(run, record, "documents", list(_KEYS))
    found = []
    for key in _KEYS:
        since, put_in = before.get(key, (None, _Tally()))
        known = {*put_in.documents, *after[key].documents} - {None}
        if known:
            found.append(_compared(key, since, put_in, after[key]))
    return found


def _compared(key: str, since: str | None, before: _Tally, after: _Tally) -> dict[str, Any]:
    first = after if since is None else before
    values = sorted(
        {*before.documents, *after.documents},
        key=lambda value: (-first.documents[value], -after.documents[value], value or ""),
    )
    rest = values[SHOWN:]
    others = None
    if rest or before.other[0] or after.other[0]:
        others = {
            "values": len(rest) + max(before.other[0], after.other[0]),
            "in": None if since is None else _sum(before, rest),
            "out": _sum(after, rest),
        }
    rows = [
        {
            "value": value,
            "in": None if since is None else _numbers(before, value),
            "out": _numbers(after, value),
        }
        for value in values[:SHOWN]
    ]
    return {"key": key, "since": since, "rows": rows, "others": others}


def _numbers(tally: _Tally, value: str | None) -> dict[str, int]:
    return {"documents": tally.documents[value], "bytes": tally.bytes[value]}


def _sum(tally: _Tally, values: list[str | None]) -> dict[str, int]:
    return {
        "documents": tally.other[1] + sum(tally.documents[value] for value in values),
        "bytes": tally.other[2] + sum(tally.bytes[value] for value in values),
    }


def _tally(run: str, record: RunRecord, area: str, keys: list[str]) -> dict[str, _Tally]:
    tallies = {key: _Tally() for key in keys}
    columns = sorted({_KEYS[key][0] for key in keys})
    for _, rows in part_tables(run, record, area, [*columns, INGEST_BYTES]):
        sizes = pc.struct_field(rows.column("scores"), INGEST_SCORE).cast(pa.float64())
        for key in keys:
            column, read, form = _KEYS[key]
            tallies[key].add(read(one_chunk(rows.column(column))), one_chunk(sizes), form)
    return tallies


def _add_dropped(run: str, record: RunRecord, area: str, key: str, tally: _Tally) -> None:
    """Add what the stage that sets a language or topic dropped because of it."""
    for stage in record.stages:
        if stage.name > area or stage.name.partition("-")[2] != _SET_BY.get(key):
            continue
        columns = ["action", "detail", INGEST_BYTES]
        for _, rows in part_tables(run, record, f"ledger/{stage.name}", columns):
            dropped = rows.filter(pc.equal(rows.column("action"), "dropped"))
            sizes = pc.struct_field(dropped.column("scores"), INGEST_SCORE).cast(pa.float64())
            tally.add(one_chunk(dropped.column("detail")), one_chunk(sizes), _as_it_is)


def _of_metadata(key: str) -> Callable[[pa.Array], pa.Array]:
    return lambda entries: pc.map_lookup(entries, key, "first")


def _hosts(uris: pa.Array) -> pa.Array:
    return pc.struct_field(pc.extract_regex(uris, _HOST), "host")


def registered_domain(host: str) -> str:
    """The domain that somebody registered: `example.co.uk` of `www.example.co.uk`."""
    host = host.lower().rstrip(".")
    if _ADDRESS.fullmatch(host):
        return host
    labels = host.split(".")
    three = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if three else labels[-2:])


def _as_it_is(value: str) -> str:
    return value[:200]


_KEYS: dict[str, tuple[str, Callable[[pa.Array], pa.Array], Callable[[str], str]]] = {
    "language": ("language", lambda column: column, _as_it_is),
    "domain": ("uri", _hosts, registered_domain),
    "topic": ("metadata", _of_metadata("topic"), _as_it_is),
    "kind": ("kind", lambda column: column, _as_it_is),
    "licence": ("metadata", _of_metadata("licence"), _as_it_is),
}
"""Key -> the column it comes from, how it is read there, and the form in which it is counted."""

_SET_BY = {"language": "language", "topic": "topics"}
"""Key -> the stage that sets it and may drop for it."""
