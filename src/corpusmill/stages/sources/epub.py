"""EPUB 2 and 3: the text of the chapters in reading order."""

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from lxml import etree

from corpusmill.stages.sources.archives import open_zip, read_member
from corpusmill.stages.sources.limits import (
    MAX_DEPTH,
    MAX_EPUB,
    MAX_PAYLOAD,
    MAX_XML_TAGS,
    Refused,
    exceeds_depth,
)

_TYPE = "{http://www.idpf.org/2007/ops}type"
_OPF_FIELDS = {
    "title": "title",
    "creator": "author",
    "language": "language",
    "date": "date",
    "rights": "licence",
}
_NOT_THE_BOOK = {
    "acknowledgments", "colophon", "copyright-page", "cover", "halftitlepage", "imprint", "index",
    "landmarks", "loi", "lot", "page-list", "seriespage", "titlepage", "toc",
}  # fmt: skip
"""Values of epub:type for front and back matter (EPUB Structural Semantics Vocabulary 1.1)."""
_GUIDE = {"cover", "toc", "title-page", "colophon", "copyright-page", "index", "loi", "lot"}
"""The same in the <guide> of EPUB 2."""

_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "div", "dl",
    "dt", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup",
    "hr", "li", "main", "ol", "p", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
}  # fmt: skip
_SILENT = {"head", "nav", "script", "style", "svg", "math", "img", "audio", "video", "rp", "rt"}
_SPACE = re.compile(r"[ \t\r\n\f]+")


def read_epub(payload: bytes) -> tuple[str, dict[str, str]]:
    """Text and metadata of a book. Paragraphs are separated by blank lines.

    Raises:
        Refused: it is no EPUB, or one that is encrypted, damaged or too large.
    """
    book = _Book(open_zip(io.BytesIO(payload)))
    container = book.xml("META-INF/container.xml")
    roots = [] if container is None else container.xpath("//*[local-name()='rootfile']/@full-path")
    package = book.xml(str(roots[0])) if roots else None
    if package is None:
        raise Refused("not_an_epub")
    folder = posixpath.dirname(str(roots[0]))
    chapters = []
    for path in _spine(package, folder):
        page = book.xml(path)
        if page is None:
            continue
        paragraphs = list(_paragraphs(page))
        if paragraphs:
            chapters.append("\n\n".join(paragraphs))
    return "\n\n".join(chapters), _metadata(package)


class _Book:
    """The members of an EPUB, within the limit on all of them together."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {member.filename: member for member in archive.infolist()}
        self._left = MAX_EPUB
        encryption = "META-INF/encryption.xml"
        if encryption in self._members and "EncryptedKey" in self._text(encryption):
            raise Refused("encrypted")  # the obfuscation of fonts has no key

    def _text(self, path: str) -> str:
        return self._read(path).decode("utf-8", "replace")

    def _read(self, path: str) -> bytes:
        data = read_member(self._archive, self._members[path], min(MAX_PAYLOAD, self._left))
        self._left -= len(data)
        return data

    def xml(self, path: str) -> Any | None:
        """The parsed member, or None when it is not there or holds no elements."""
        if path not in self._members:
            return None
        page = self._read(path)
        tags = page.count(b"<")
        if tags > MAX_XML_TAGS:
            raise Refused("too_many_nodes", tags, MAX_XML_TAGS)
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            recover=True,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            tree = etree.fromstring(_with_entities(page), parser)
        except etree.XMLSyntaxError:
            return None
        if exceeds_depth(parser):
            raise Refused("too_deep", MAX_DEPTH + 1, MAX_DEPTH)
        return tree


def _with_entities(page: bytes) -> bytes:
    """XHTML's named entities as characters: they are declared in a DTD that is not loaded."""
    if b"&" not in page:
        return page
    return _ENTITY.sub(_character, page)


_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_ENTITIES = {b"amp", b"lt", b"gt", b"quot", b"apos"}


def _character(entity: re.Match[bytes]) -> bytes:
    from html.entities import html5

    if entity[1] in _XML_ENTITIES:
        return entity[0]
    text = html5.get(entity[1].decode() + ";", "")
    return "".join(f"&#{ord(c)};" for c in text).encode()


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _spine(package: Any, folder: str) -> Iterator[str]:
    """Paths of the content documents in reading order, without navigation and front matter."""
    items: dict[str, Any] = {}
    spine: list[Any] = []
    skipped: set[str] = set()
    for element in package.iter():
        name = _local(element)
        if name == "item":
            items[element.get("id", "")] = element
        elif name == "itemref" and element.get("linear") != "no":
            spine.append(element)
        elif name == "reference" and element.get("type") in _GUIDE:
            skipped.add(_join(folder, element.get("href", "")))
    for reference in spine:
        item = items.get(reference.get("idref", ""))
        if item is None or "nav" in (item.get("properties") or "").split():
            continue
        if "html" not in (item.get("media-type") or "html"):
            continue
        path = _join(folder, item.get("href", ""))
        if path not in skipped:
            yield path


def _join(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


def _metadata(package: Any) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for element in package.iter("{http://purl.org/dc/elements/1.1/}*"):
        name = _OPF_FIELDS.get(_local(element))
        text = _SPACE.sub(" ", "".join(element.itertext())).strip()
        if name and text:
            found.setdefault(name, []).append(text)
    return {
        name: "; ".join(values) if name == "author" else values[0] for name, values in found.items()
    }


def _paragraphs(page: Any) -> Iterator[str]:
    """The blocks of an XHTML page in order; `br` is a line end."""
    parts: list[str] = []

    def finished() -> Iterator[str]:
        lines = (_SPACE.sub(" ", line).strip() for line in "".join(parts).split("\v"))
        text = "\n".join(line for line in lines if line)
        parts.clear()
        if text:
            yield text

    walk = etree.iterwalk(page, events=("start", "end"))
    for event, element in walk:
        name = _local(element)
        if event == "start":
            if not name or name in _SILENT or _is_not_the_book(element):
                walk.skip_subtree()
                continue
            if name in _BLOCKS:
                yield from finished()
            elif name == "br":
                parts.append("\v")
            elif name in ("td", "th"):
                parts.append(" ")
            if element.text:
                parts.append(element.text)
        else:
            if name in _BLOCKS:
                yield from finished()
            if element.tail:
                parts.append(element.tail)
    yield from finished()


def _is_not_the_book(element: Any) -> bool:
    types = element.get(_TYPE)
    return bool(types) and not _NOT_THE_BOOK.isdisjoint(types.split())
