"""The package document of an EPUB: what it says about the book, which files are the book in which
order, and where its table of contents says that chapters begin."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from lxml import etree

from corpusmill.stages.sources.book_metadata import tidy

_DC = "{http://purl.org/dc/elements/1.1/}"
_OPF = "{http://www.idpf.org/2007/opf}"
_EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
_FIELDS = {
    "title": "title",
    "creator": "author",
    "language": "language",
    "date": "date",
    "rights": "licence",
}
_GUIDE = {"cover", "toc", "title-page", "colophon", "copyright-page", "index", "loi", "lot"}
"""Types of references in the <guide> of EPUB 2 that are not the book."""
_FEWEST = 3
"""Entries from which a level of a table of contents is that of chapters: one or two are the book's
title, or the parts of it."""


def local_name(element: Any) -> str:
    """The name of an element without namespace, in lower case; empty for comments."""
    return str(element.tag).rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


class Place(NamedTuple):
    """A place in a book: the file, and the id in it (empty for its beginning)."""

    path: str
    fragment: str


class Package:
    """A parsed package document."""

    def __init__(self, root: Any, path: str) -> None:
        self._folder = posixpath.dirname(path)
        self._root = root
        self._items: dict[str, Any] = {}
        self._spine: list[Any] = []
        self._skipped: set[str] = set()
        self.contents = ""
        """Path of the table of contents; empty without one."""
        ncx = ""
        for element in root.iter():
            name = local_name(element)
            if name == "item":
                self._items[element.get("id", "")] = element
                if "nav" in (element.get("properties") or "").split():
                    self.contents = self._path(element)
                elif element.get("media-type") == "application/x-dtbncx+xml":
                    ncx = self._path(element)
            elif name == "itemref" and element.get("linear") != "no":
                self._spine.append(element)
            elif name == "reference" and element.get("type") in _GUIDE:
                self._skipped.add(self._path(element))
        self.contents = self.contents or ncx

    def _path(self, element: Any) -> str:
        return joined(self._folder, element.get("href", "")).path

    def spine(self) -> Iterator[str]:
        """Paths of the content documents in reading order, without navigation and front matter."""
        for reference in self._spine:
            item = self._items.get(reference.get("idref", ""))
            if item is None or "nav" in (item.get("properties") or "").split():
                continue
            if "html" not in (item.get("media-type") or "html"):
                continue
            path = self._path(item)
            if path not in self._skipped:
                yield path

    def metadata(self) -> dict[str, str]:
        """title, author (authors only where roles are given), language, date and licence."""
        found: dict[str, list[tuple[str, str]]] = {}
        roles = {
            str(meta.get("refines", "")).removeprefix("#"): (meta.text or "").strip()
            for meta in self._root.iter(f"{_OPF}meta")
            if meta.get("property") == "role"
        }
        for element in self._root.iter(f"{_DC}*"):
            name = _FIELDS.get(local_name(element))
            text = "".join(element.itertext()).strip()
            role = element.get(f"{_OPF}role") or roles.get(element.get("id", ""), "")
            role = role or element.get(f"{_OPF}event") or ""
            if name and text:
                found.setdefault(name, []).append((role, text))
        authors = found.get("author", [])
        authors = [a for a in authors if a[0] in ("", "aut")] or authors
        fields = {name: values[0][1] for name, values in found.items()}
        if authors:
            fields["author"] = "; ".join(text for _, text in authors)
        for event, text in found.get("date", []):
            if event in ("publication", "original-publication"):
                fields["date"] = text
                break
        return tidy(fields)


def joined(folder: str, href: str) -> Place:
    """Where a reference in a file of that folder points."""
    path, _, fragment = href.partition("#")
    return Place(posixpath.normpath(posixpath.join(folder, unquote(path))), unquote(fragment))


@dataclass(frozen=True, slots=True)
class _Entry:
    depth: int
    place: Place


def chapter_starts(contents: Any, package: Package) -> list[Place]:
    """Where chapters begin, by a table of contents.

    They are the entries of the highest level that has three, with those above it, and deeper ones
    that begin another file than the entry before them: files of their own are chapters, and
    fragments below a chapter are its sections.
    """
    folder = posixpath.dirname(package.contents)
    is_nav = local_name(contents) == "html"
    entries = list(_nav(contents, folder) if is_nav else _ncx(contents, folder))
    depths = sorted({entry.depth for entry in entries})
    level = next(
        (d for d in depths if sum(e.depth <= d for e in entries) >= _FEWEST),
        depths[-1] if depths else 0,
    )
    starts, path = [], ""
    for entry in entries:
        new_file = entry.place.path != path
        if entry.depth <= level or new_file:
            starts.append(entry.place)
        path = entry.place.path
    return starts


def _nav(contents: Any, folder: str) -> Iterator[_Entry]:
    """Entries of an EPUB 3 navigation document: links in the lists of its first `toc`."""
    navs = [element for element in contents.iter() if local_name(element) == "nav"]
    toc = next((nav for nav in navs if "toc" in (nav.get(_EPUB_TYPE) or "").split()), None)
    if toc is None:
        return
    depth = 0
    for event, element in etree.iterwalk(toc, events=("start", "end")):
        name = local_name(element)
        if name in ("ol", "ul"):
            depth += 1 if event == "start" else -1
        elif name == "a" and event == "start" and element.get("href"):
            yield _Entry(depth, joined(folder, element.get("href")))


def _ncx(contents: Any, folder: str) -> Iterator[_Entry]:
    """Entries of an EPUB 2 NCX: the `content` of each `navPoint`."""
    depth = 0
    for event, element in etree.iterwalk(contents, events=("start", "end")):
        name = local_name(element)
        if name == "navpoint":
            depth += 1 if event == "start" else -1
        elif name == "content" and event == "start" and depth and element.get("src"):
            yield _Entry(depth, joined(folder, element.get("src")))
