"""A run's Parquet files as tables of DuckDB, on a disk or an object store."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from corpusmill import remote, storage
from corpusmill.errors import RunError, UsageError
from corpusmill.report.lookup import area_files

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def library(name: str) -> Any:
    """A library of the extra `explore`; raises UsageError where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(f"{name} is not installed: pip install 'corpusmill[explore]'") from None


@contextmanager
def database() -> Iterator["DuckDBPyConnection"]:
    """An empty database that spills into a folder of its own and fetches nothing.

    Raises RunError for what a query in it fails of: files that are damaged or too large.
    """
    duckdb = library("duckdb")
    with tempfile.TemporaryDirectory(prefix="corpusmill-duckdb-") as spilled:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "temp_directory": spilled,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            try:
                yield connection
            except duckdb.Error as error:  # its message may quote what it has read
                raise RunError(
                    f"files of the run cannot be read ({type(error).__name__}): "
                    "`corpusmill verify` tells which are damaged"
                ) from None


def parquet_files(
    connection: "DuckDBPyConnection",
    run: str,
    area: str,
    columns: Sequence[str],
    where: str = "",
) -> str:
    """SQL for all rows below an area of a run (`documents`, `ledger`, `stages/00-ingest`).

    An area without files is an empty table of the columns, all strings.
    """
    files = area_files(run, area)
    names = ", ".join(columns)
    if not files:
        empty = ", ".join(f"NULL::VARCHAR AS {name}" for name in columns)
        return f"(SELECT {empty} LIMIT 0)"
    if not storage.is_local(run):
        connection.register_filesystem(remote.filesystem(run)[0])
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    return f"(SELECT {names} FROM read_parquet([{quoted}], union_by_name = true) {where})"
