"""What documents are told apart by: a column, or a key of metadata, written `metadata.KEY`."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.errors import one_of

METADATA = "metadata."


def check_class(by: str, columns: Sequence[str]) -> str:
    """`by` again, if it is one of the columns or a key of metadata; ValueError otherwise."""
    if by not in columns and (not by.startswith(METADATA) or by == METADATA):
        raise ValueError(one_of(by, [*columns, METADATA + "KEY"]))
    return by


def class_column(by: str) -> str:
    """The document column in which classes stand."""
    return "metadata" if by.startswith(METADATA) else by


def class_values(documents: pa.RecordBatch, by: str) -> pa.Array:
    """What each document says that it is; null where it has no value."""
    values = documents.column(class_column(by))
    if by.startswith(METADATA):
        return pc.map_lookup(values, pa.scalar(by.removeprefix(METADATA)), "first")
    return values
