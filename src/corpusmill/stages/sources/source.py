"""A source, as a recipe names it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from corpusmill import plugins
from corpusmill.errors import UsageError
from corpusmill.stage import Names, one_is_a_list
from corpusmill.stages.sources import licences

Mark = Literal["vendored", "generated", "minified"]
Marks = Annotated[tuple[Mark, ...], BeforeValidator(one_is_a_list)]


class Licences(BaseModel):
    """Which licences code may have: SPDX identifiers, `*` at the end for a family (`GPL-*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    allow: Names = ()
    """If any are given, a file needs one of these; a file whose licence is not known has none."""
    deny: Names = ()
    """A file that can only be had under one of these is dropped, whatever is allowed."""

    @field_validator("allow", "deny")
    @classmethod
    def _names_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = licences.unknown_identifiers(names)
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no licence of the SPDX list")
        return names


class Source(BaseModel):
    """Files that documents are read from."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")
    """Letters, digits, `.`, `_` and `-`. Part of every document's id: renaming a source gives its
    documents new ids."""
    kind: Literal["web", "book", "code"]
    """What the documents are. Decides how an ambiguous file is read (a `.py` file is a document of
    a code source only) and which stages apply (`for:`)."""
    path: str
    """A file, a folder or a pattern; a local path or any fsspec URL. A sitemap stands for the local
    files that it lists."""
    text: str = "text"
    """Column or key with the text, in JSONL, Parquet, Arrow and CSV."""
    id: str = "id"
    """Column or key with the record's own id, kept as metadata `id`. It need not be there."""
    metadata: Names = ()
    """Further columns or keys of these formats, of strings or integers, that are kept as metadata
    of their names."""
    unit: Literal["file", "chapter", "repository"] = "file"
    """What becomes one document: a page, file or row; a chapter (books); a repository, its files in
    the order of their imports (code)."""

    extractor: Literal["blocks", "trafilatura", "resiliparse", "none"] | str = "blocks"
    """What takes the article out of an HTML page; `none` takes all visible text. The default is the
    best by `benchmarks/extraction.py`. Other packages may offer more (docs/extending.md)."""
    favor: Literal["precision", "balance", "recall"] | None = None
    """How trafilatura decides in doubt; `precision` unless given. For `extractor: trafilatura`."""
    opt_outs: Literal["respect", "ignore"] = "respect"
    """Whether pages are left out whose robots tags (`noai`, `noimageai`, `noindex`), as header or
    as meta tag, or whose TDM reservation ask for it."""
    block_domains: Names = ()
    """Files with domains, one per line or in the format of hosts files: their pages are left out,
    and those of their subdomains."""
    block_urls: Names = ()
    """Files with URLs, one per line; `*` at the end for all that begin so."""
    banned_words: Names = ()
    """Files with words, one per line: pages with one in their URL are left out."""

    commit: str = "HEAD"
    """Which commit, branch or tag of git repositories is read."""
    licences: Licences = Licences()
    """Which licences code may have; all unless given."""
    skip: Marks = (
        "vendored",
        "generated",
        "minified",
    )
    """Code that nobody of the project wrote, which is left out."""

    def rule_files(self) -> dict[str, tuple[str, ...]]:
        """Setting -> the files it names: the fingerprint takes their content, not their place."""
        names = ("block_domains", "block_urls", "banned_words")
        return {name: files for name in names if (files := getattr(self, name))}

    @field_validator("extractor", mode="before")
    @classmethod
    def _is_installed(cls, value: Any) -> Any:
        try:
            if isinstance(value, str):
                plugins.find("extractors", value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _settings_fit_the_kind(self) -> Self:
        """Refuse settings that would do nothing."""
        for name, kinds in _ONLY_FOR.items():
            given = getattr(self, name) != type(self).model_fields[name].default
            if given and self.kind not in kinds:
                raise ValueError(f"{name} is a setting of {' and '.join(kinds)} sources")
        if self.favor and self.extractor != "trafilatura":
            raise ValueError("favor is a setting of the extractor trafilatura")
        unit_kind = {"chapter": "book", "repository": "code"}.get(self.unit, self.kind)
        if unit_kind != self.kind:
            raise ValueError(f"unit {self.unit!r} is for {unit_kind} sources")
        return self


_ONLY_FOR = {
    "extractor": ("web", "book"),
    "favor": ("web", "book"),
    "opt_outs": ("web", "book"),
    "block_domains": ("web", "book"),
    "block_urls": ("web", "book"),
    "banned_words": ("web", "book"),
    "commit": ("code",),
    "licences": ("code",),
    "skip": ("code",),
}
