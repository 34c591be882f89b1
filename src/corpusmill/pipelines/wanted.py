"""Which documents an erasure means: those that it names, what was made of them, their copies."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines.erase import ID_FORM, is_id, round_areas
from corpusmill.pipelines.ledger import ORIGINAL_DROPPED, RunRecord, part_path
from corpusmill.pipelines.tombstones import DOMAIN, ID, URI, domains_of, names_of, one_form
from corpusmill.stages.sources.urls import host_name

Found = dict[int, set[str]]
"""Part -> ids."""


class Wanted:
    """What a request names."""

    def __init__(self, ids: Sequence[str], uris: Sequence[str], domains: Sequence[str]) -> None:
        self.ids = {value.lower() for value in ids}
        for value in sorted(self.ids):
            if not is_id(value):
                raise UsageError(f"--id: {value[:80]!r} is not an id (32 hexadecimal digits)")
        self.uris = {one_form(value) for value in uris}
        self.domains = {_domain(value) for value in domains}
        if not (self.ids or self.uris or self.domains):
            raise UsageError("name what to forget: --id, --uri or --domain")

    def named(self) -> Iterator[tuple[str, str]]:
        """Each thing that is named."""
        for what, values in ((ID, self.ids), (URI, self.uris), (DOMAIN, self.domains)):
            yield from ((what, value) for value in sorted(values))

    def described(self) -> str:
        """For people."""
        return " or ".join(f"{what} {value[:200]!r}" for what, value in self.named())

    def matches(self, rows: pa.Table) -> pa.ChunkedArray:
        """Which rows (columns `id`, `uri`) are meant."""
        by_uri = [self._names(value) for value in rows.column("uri").to_pylist()]
        return pc.or_(with_ids(self.ids)(rows), pa.chunked_array([pa.array(by_uri, pa.bool_())]))

    def _names(self, uri: str) -> bool:
        return bool(
            (self.uris and not self.uris.isdisjoint(names_of(uri)))
            or (self.domains and not self.domains.isdisjoint(domains_of(uri)))
        )


def _domain(value: str) -> str:
    try:
        name = host_name(value)
    except UnicodeDecodeError:
        name = ""
    if not name:
        raise UsageError("--domain: give a host such as example.org, without https://")
    if "." not in name and name != "localhost" and not name.startswith("["):
        raise UsageError(f"--domain: {name!r} is a whole top-level domain: name a domain below it")
    return name


def with_ids(ids: set[str]) -> Callable[[pa.Table], pa.ChunkedArray]:
    """Which rows (column `id`) are those of these documents."""
    values = pa.array(sorted(ids), pa.string())
    return lambda rows: pc.is_in(rows.column("id"), value_set=values)


def _areas(run: str, record: RunRecord) -> Iterator[str]:
    """Folders of parts with documents or rows of the ledger."""
    for stage in record.stages:
        yield from (f"stages/{stage.name}", f"ledger/{stage.name}")
    yield "documents"
    yield from (f"{folder}/ledger" for folder in round_areas(run))


def stored_rows(run: str, record: RunRecord) -> Iterator[tuple[str, int, pa.Table]]:
    """Ids and addresses of all documents and rows of the ledger: area, part, rows."""
    return _tables(run, record, _areas(run, record), ["id", "uri"])


def _tables(
    run: str,
    record: RunRecord,
    areas: Iterable[str],
    columns: list[str],
    numbers: Sequence[int] | None = None,
) -> Iterator[tuple[str, int, pa.Table]]:
    """The columns of every part (or of these) that is stored: area, number, rows."""
    for area in areas:
        for number in range(len(record.parts)) if numbers is None else numbers:
            path = part_path(run, area, number)
            if storage.exists(path):
                yield area, number, storage.read_parquet(path, columns)


def find(run: str, record: RunRecord, matches: Callable[[pa.Table], pa.ChunkedArray]) -> Found:
    """The documents of a run that match, wherever there is a trace of them, with their relatives.

    What was made of a document goes with it, and it with what was made of it: that would be made
    again.
    """
    found: Found = {}
    for _, number, rows in stored_rows(run, record):
        ids = rows.filter(matches(rows)).column("id").to_pylist()
        if ids:
            found.setdefault(number, set()).update(ids)
    _add_relatives(run, record, found)
    return found


def add(found: Found, more: Found) -> None:
    """Add the documents of `more`."""
    for number, ids in more.items():
        found.setdefault(number, set()).update(ids)


def ids_of(found: Found) -> set[str]:
    """Of all parts."""
    return set().union(*found.values())


def find_copies(run: str, record: RunRecord, found: Found) -> Found:
    """What else is there of the same text, as far as the ledger tells: what was dropped for one of
    these documents, for what they were dropped, and so on."""
    gone = ids_of(found)
    linked = set(gone)
    before = -1
    while before < (before := len(linked)):
        for document, other in _links(run, record):
            if (document in linked) != (other in linked):
                linked |= {document, other}
    copies = find(run, record, with_ids(linked - gone)) if linked != gone else {}
    for number, ids in copies.items():
        ids -= found.get(number, set())
    return {number: ids for number, ids in copies.items() if ids}


def mentions(run: str, record: RunRecord) -> Iterator[tuple[str, int, pa.Table]]:
    """Rows of the ledger that name another document, as `detail`: area, part, rows."""
    ledgers = (area for area in _areas(run, record) if "ledger" in area)
    for area, number, rows in _tables(run, record, ledgers, ["id", "detail"]):
        some = pc.match_substring_regex(rows.column("detail"), f"^{ID_FORM}$")
        yield area, number, rows.filter(some)


def _links(run: str, record: RunRecord) -> Iterator[tuple[str, str]]:
    for _, _, rows in mentions(run, record):
        yield from _pairs(rows, "id", "detail")


def _add_relatives(run: str, record: RunRecord, found: Found) -> None:
    """Add what was made from these documents, and its originals; they lie in the same part."""
    before = -1
    while before < (before := sum(map(len, found.values()))):
        for number, pair in _derived(run, record, sorted(found)):
            if not found[number].isdisjoint(pair):
                found[number].update(pair)


def _derived(
    run: str, record: RunRecord, numbers: Sequence[int]
) -> Iterator[tuple[int, tuple[str, str]]]:
    """Derived documents and their originals, by part; some come several times."""
    areas = [*(f"stages/{stage.name}" for stage in record.stages if stage.parts), "documents"]
    columns = ["id", "augmented_from"]
    for _, number, rows in _tables(run, record, areas, columns, numbers):
        rows = rows.filter(pc.is_valid(rows.column("augmented_from")))
        yield from ((number, pair) for pair in _pairs(rows, *columns))
    # The barriers may have been removed, and with them those that followed their originals.
    ledgers = [f"ledger/{stage.name}" for stage in record.stages]
    for _, number, rows in _tables(run, record, ledgers, ["id", "detail", "reason"], numbers):
        rows = rows.filter(pc.equal(rows.column("reason"), ORIGINAL_DROPPED))
        yield from ((number, pair) for pair in _pairs(rows, "id", "detail"))


def _pairs(rows: pa.Table, one: str, other: str) -> Iterator[tuple[str, str]]:
    yield from zip(rows[one].to_pylist(), rows[other].to_pylist(), strict=True)
