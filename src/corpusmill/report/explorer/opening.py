"""Reading a finished run into a `Catalogue`, once, when the explorer starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.ledger import ORIGINAL_DROPPED, RunRecord, load_run
from corpusmill.report.explorer.catalogue import Catalogue, part_files
from corpusmill.report.facts import read_manifest
from corpusmill.report.lookup import filter_rounds, kinds
from corpusmill.report.tables import database

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

THREADS = 2
MEMORY = "4GB"
"""What the database may hold before it spills to a folder of temporary files."""


@contextmanager
def open_catalogue(run: str) -> Iterator[Catalogue]:
    """The catalogue of a finished run on a local disk.

    Raises UsageError for a run that is not finished or holds no documents, RunError for damaged
    files.
    """
    record = load_run(run)
    run = os.path.abspath(run.removeprefix("file://"))
    if record.published is None or not part_files(run, record, "documents"):
        raise UsageError(
            f"{run}: the run has not finished, so there is nothing to explore yet; "
            "the same command goes on with it"
        )
    with database() as connection:
        import duckdb

        connection.execute(f"SET threads = {THREADS}")
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        try:
            _fill(connection, run, record)
        except duckdb.Error as error:
            raise RunError(f"{run}: its files cannot be read: {type(error).__name__}") from None
        _close_in(connection, run, record)
        yield Catalogue(run, record, connection)


def _close_in(connection: "DuckDBPyConnection", run: str, record: RunRecord) -> None:
    """From now on the run's own Parquet files can be read, and nothing else; for good."""
    areas = ["documents", *(f"stages/{stage.name}" for stage in record.stages)]
    areas += [f"ledger/{stage.name}" for stage in record.stages]
    files = [path for area in areas for path in part_files(run, record, area)]
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    connection.execute(f"SET allowed_paths = [{quoted}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _fill(connection: "DuckDBPyConnection", run: str, record: RunRecord) -> None:
    """Make the tables that `Catalogue` describes."""
    _read_ledger(connection, run, record)
    _read_known(connection, run, record)
    kind = kinds(record)
    connection.register("shards", _shard_tokens(run))
    connection.register(
        "kinds",
        pa.table({"source": pa.array(list(kind), pa.string()), "kind": list(kind.values())}),
    )
    connection.execute(
        r"""
        CREATE TABLE documents AS
        WITH gone AS (SELECT * FROM events WHERE action IN ('dropped', 'quarantined')),
        came_out AS (
            SELECT id, regexp_extract(filename, 'part-(\d+)\.parquet$', 1)::BIGINT AS part, uri,
                source, language, augmented_from, scores.ingest_bytes AS bytes
            FROM read_parquet(?, filename = true, union_by_name = true)
            WHERE id NOT IN (SELECT id FROM gone)
        ),
        every AS (
            SELECT id, part, uri, source, language, augmented_from, 'kept' AS fate,
                NULL AS stage, NULL AS reason, NULL::DOUBLE AS value, NULL::DOUBLE AS threshold,
                bytes
            FROM came_out
            UNION ALL
            SELECT id, part, uri, source, coalesce(known.language, gone.language),
                coalesce(known.augmented_from, gone.original), action, stage, reason, value,
                threshold, bytes
            FROM gone LEFT JOIN known USING (id)
        )
        SELECT (row_number() OVER (ORDER BY part, id) - 1)::INTEGER AS n, every.*, kinds.kind,
            shards.tokens
        FROM every LEFT JOIN kinds USING (source) LEFT JOIN shards USING (id)
        """,
        [part_files(run, record, "documents")],
    )
    connection.execute(
        """
        CREATE TABLE ledger AS SELECT documents.n, events.stage, events.action, events.reason, other
        FROM events JOIN documents USING (id)
        """
    )
    connection.execute("DROP TABLE events")
    connection.execute("DROP TABLE known")
    _estimate(connection)


def _read_ledger(connection: "DuckDBPyConnection", run: str, record: RunRecord) -> None:
    """`events`: every row of the ledger, with the rounds of `filter-round` at the end."""
    connection.execute(
        """
        CREATE TABLE events (id VARCHAR, part BIGINT, uri VARCHAR, source VARCHAR, stage VARCHAR,
            action VARCHAR, reason VARCHAR, value DOUBLE, threshold DOUBLE, bytes FLOAT,
            language VARCHAR, other VARCHAR, original VARCHAR)
        """
    )
    areas = [(stage.name, f"ledger/{stage.name}") for stage in record.stages]
    areas += [(done.stage, f"{done.folder}/ledger") for done in filter_rounds(run)]
    for stage, area in areas:
        files = part_files(run, record, area)
        if files:
            connection.execute(
                r"""
                INSERT INTO events
                SELECT id, part, uri, source, $1, action, reason, value, threshold,
                    scores.ingest_bytes,
                    nullif(CASE WHEN reason LIKE 'language%'
                        THEN regexp_extract(detail, '^[a-z]{2,3}$')
                        ELSE regexp_extract(detail, '^\{"language": "([^"\\]+)"\}$', 1) END, ''),
                    CASE WHEN regexp_full_match(detail, '[0-9a-f]{32}') AND reason <> $2
                        THEN detail END,
                    CASE WHEN reason = $2 THEN detail END
                FROM read_parquet($3, union_by_name = true)
                """,
                [stage, ORIGINAL_DROPPED, files],
            )


def _read_known(connection: "DuckDBPyConnection", run: str, record: RunRecord) -> None:
    """`known`: language and original of documents that are gone, from the last barrier with any."""
    connection.execute(
        "CREATE TABLE barriers (id VARCHAR, step INTEGER, language VARCHAR, augmented_from VARCHAR)"
    )
    for step, stage in enumerate(record.stages):
        files = part_files(run, record, f"stages/{stage.name}")
        if files:
            connection.execute(
                """
                INSERT INTO barriers SELECT id, ?, language, augmented_from
                FROM read_parquet(?, union_by_name = true)
                WHERE (language IS NOT NULL OR augmented_from IS NOT NULL) AND id IN
                    (SELECT id FROM events WHERE action IN ('dropped', 'quarantined'))
                """,
                [step, files],
            )
    connection.execute(
        """
        CREATE TABLE known AS SELECT id, arg_max(language, step) AS language,
            max(augmented_from) AS augmented_from
        FROM barriers GROUP BY id
        """
    )
    connection.execute("DROP TABLE barriers")


def _shard_tokens(run: str) -> pa.Table:
    """id and number of tokens of every document in the shards."""
    manifest = read_manifest(storage.join(run, "shards"))
    tables = []
    for shard in manifest["shards"] if manifest else []:
        path = storage.join(run, "shards", shard["name"].rsplit("/", 1)[-1])
        if storage.exists(path):
            try:
                rows = storage.read_ipc(path)
                # a file from elsewhere may hold offsets that lead out of its buffers
                rows.validate(full=True)
            except (pa.ArrowInvalid, OSError):
                raise RunError(f"{path}: is damaged") from None
            lengths = pc.list_value_length(rows.column("tokens")).cast(pa.int64())
            tables.append(pa.table({"id": rows.column("id"), "tokens": lengths}))
    if not tables:
        return pa.table({"id": pa.array([], pa.string()), "tokens": pa.array([], pa.int64())})
    return pa.concat_tables(tables)


def _estimate(connection: "DuckDBPyConnection") -> None:
    """`estimate`: tokens that a document outside the shards would have.

    Its bytes as they came, times the tokens per such byte of the documents in the shards: those of
    its kind and language, else of its kind, else all. NULL where it was not measured.
    """
    rate = "sum(tokens) / nullif(sum(bytes), 0) AS rate"
    connection.execute(
        f"""
        CREATE TABLE rates AS
        SELECT kind, language, grouping(kind, language) AS level, {rate}
        FROM documents WHERE tokens IS NOT NULL AND bytes IS NOT NULL
        GROUP BY GROUPING SETS ((kind, language), (kind), ())
        """
    )
    connection.execute("ALTER TABLE documents ADD COLUMN estimate DOUBLE")
    connection.execute(
        """
        UPDATE documents SET estimate = bytes * coalesce(
            (SELECT max(rate) FROM rates WHERE level = 0 AND rates.kind = documents.kind
                AND rates.language IS NOT DISTINCT FROM documents.language),
            (SELECT max(rate) FROM rates WHERE level = 1 AND rates.kind = documents.kind),
            (SELECT max(rate) FROM rates WHERE level = 3))
        WHERE tokens IS NULL
        """
    )
    connection.execute("DROP TABLE rates")
