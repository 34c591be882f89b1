"""A source, as a recipe names it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Source(BaseModel):
    """Files that documents are read from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")
    """Letters, digits, `.`, `_` and `-`. Part of every document's id: renaming a source gives its
    documents new ids."""
    kind: Literal["web", "book", "code"]
    """What the documents are. Decides how an ambiguous file is read (a `.py` file is a document of
    a code source only) and which stages apply (`for:`)."""
    path: str
    """A file, a folder or a pattern; a local path or any fsspec URL."""
    text: str = "text"
    """Column or key with the text, in JSONL, Parquet, Arrow and CSV."""
    id: str = "id"
    """Column or key with the record's own id, kept as metadata `id`. It need not be there."""
