"""EPUB 2 and 3: the text of the chapters in reading order.

Notes stay, as paragraphs where they stand (mostly at the end): they are the author's text. Their
markers in the running text and the links back from them are navigation, and go.
"""

import io
import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from corpusmill.stages.sources import epub_package, gutenberg
from corpusmill.stages.sources.archives import open_zip, read_member
from corpusmill.stages.sources.chapters import Book, merged
from corpusmill.stages.sources.epub_package import Place, local_name
from corpusmill.stages.sources.limits import (
    MAX_DEPTH,
    MAX_EPUB,
    MAX_PAYLOAD,
    MAX_XML_TAGS,
    Refused,
    exceeds_depth,
)

_TYPE = "{http://www.idpf.org/2007/ops}type"
_NOT_THE_BOOK = {
    "acknowledgments", "colophon", "copyright-page", "cover", "halftitlepage", "imprint", "index",
    "landmarks", "loi", "lot", "page-list", "seriespage", "titlepage", "toc",
}  # fmt: skip
"""Values of epub:type for front and back matter (EPUB Structural Semantics Vocabulary 1.1)."""
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "div", "dl",
    "dt", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup",
    "hr", "li", "main", "ol", "p", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
}  # fmt: skip
_SILENT = {"head", "nav", "script", "style", "svg", "math", "img", "audio", "video", "rp", "rt"}
_SPACE = re.compile(r"[ \t\r\n\f]+")


def read_epub(payload: bytes) -> Book:
    """A book's chapters: as its table of contents says (EPUB 3 `nav`, EPUB 2 NCX), else its files,
    else its headings.

    Raises:
        Refused: it is no EPUB, or one that is encrypted, damaged, too large or without one of the
            files that its reading order names.
    """
    members = _Members(open_zip(io.BytesIO(payload)))
    container = members.xml("META-INF/container.xml")
    roots = [] if container is None else container.xpath("//*[local-name()='rootfile']/@full-path")
    root = members.xml(str(roots[0])) if roots else None
    if root is None:
        raise Refused("not_an_epub")
    package = epub_package.Package(root, str(roots[0]))
    contents = members.xml(package.contents) if package.contents else None
    starts = epub_package.chapter_starts(contents, package) if contents is not None else []
    pages = list(_pages(members, package, starts))
    paragraphs = [paragraph for page in pages for paragraph in page]
    texts = [paragraph.text for paragraph in paragraphs]
    if gutenberg.is_gutenberg(texts):
        start, end = gutenberg.bounds(texts)
        paragraphs = [
            p
            for i, p in enumerate(paragraphs[start:end])
            if i > _CREDITS or not gutenberg.is_credit(p.text, gutenberg=True)
        ]
    return Book(metadata=package.metadata(), chapters=merged(_chapters(paragraphs)))


_CREDITS = 20
"""Paragraphs in front of a book of Project Gutenberg's in which credits are looked for."""


@dataclass(frozen=True, slots=True)
class _Paragraph:
    text: str
    begins_chapter: bool
    """The table of contents points here."""
    begins_file: bool
    heading: int
    """1 to 6 for h1 to h6, else 0."""


def _pages(
    members: "_Members", package: epub_package.Package, starts: Sequence[Place]
) -> Iterator[list[_Paragraph]]:
    """The paragraphs of the content documents."""
    targets: dict[str, set[str]] = {}
    for place in starts:
        targets.setdefault(place.path, set()).add(place.fragment)
    for path in package.spine():
        members.require(path)
        page = members.xml(path)
        if page is not None:
            yield list(_paragraphs(page, targets.get(path, set())))


def _chapters(paragraphs: Sequence[_Paragraph]) -> list[str]:
    """Cut where the table of contents says; without one, at files; with one file, at headings of
    the highest rank of which there are several."""
    edges = [i for i, p in enumerate(paragraphs) if p.begins_chapter]
    if len(edges) < 2:
        edges = [i for i, p in enumerate(paragraphs) if p.begins_file]
    if len(edges) < 2:
        ranks = Counter(p.heading for p in paragraphs if p.heading)
        rank = min((rank for rank, count in ranks.items() if count > 1), default=7)
        edges = [i for i, p in enumerate(paragraphs) if p.heading == rank]
    edges = [0, *edges, len(paragraphs)]
    return [
        "\n\n".join(p.text for p in paragraphs[a:b]) for a, b in itertools.pairwise(edges) if a < b
    ]


_OBFUSCATION = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
"""Algorithms that hide fonts and nothing else (EPUB 3.3, section 4.3; Adobe's older one)."""


class _Members:
    """The members of an EPUB, within the limit on all of them together."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {member.filename: member for member in archive.infolist()}
        self._left = MAX_EPUB
        self._encrypted = self._encrypted_members()

    def _encrypted_members(self) -> set[str]:
        """What META-INF/encryption.xml names, other than fonts that are only obfuscated."""
        root = self.xml("META-INF/encryption.xml")
        names: set[str] = set()
        for data in () if root is None else root.iter():
            name = local_name(data)
            if name == "encryptedkey":  # the obfuscation of fonts has no key
                raise Refused("encrypted")
            if name == "encrypteddata":
                found = {local_name(inner): inner for inner in data.iter()}
                method, reference = found.get("encryptionmethod"), found.get("cipherreference")
                algorithm = None if method is None else method.get("Algorithm")
                if reference is not None and algorithm not in _OBFUSCATION:
                    names.add(epub_package.joined("", reference.get("URI", "")).path)
        return names

    def require(self, path: str) -> None:
        """Refuse a book whose text is not all there: what is left is not the book.

        Raises:
            Refused: the member is encrypted or missing.
        """
        if path in self._encrypted:
            raise Refused("encrypted")
        if path not in self._members:
            raise Refused("missing_chapter")

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


def _paragraphs(page: Any, targets: set[str]) -> Iterator[_Paragraph]:
    """The blocks of an XHTML page in order; `br` is a line end, and `pre` keeps its own.

    A chapter begins with the block that has or holds one of the targets' ids; the empty target is
    the page's beginning.
    """
    parts: list[str] = []
    begins_chapter, begins_file, begins_later = "" in targets, True, False
    heading = preformatted = 0

    def finished() -> Iterator[_Paragraph]:
        nonlocal begins_chapter, begins_file, begins_later
        lines = "".join(parts).split("\v")
        parts.clear()
        text = "\n".join(filled for line in lines if (filled := _tidy_line(line)).strip())
        if text:
            yield _Paragraph(text.strip("\n"), begins_chapter, begins_file, heading)
            begins_chapter, begins_file, begins_later = begins_later, False, False

    walk = etree.iterwalk(page, events=("start", "end"))
    for event, element in walk:
        name = local_name(element)
        if event == "start":
            if not name or name in _SILENT or _is_left_out(element, name):
                begins_chapter |= bool(targets) and not targets.isdisjoint(_ids_within(element))
                walk.skip_subtree()
                continue
            if name in _BLOCKS:
                yield from finished()
                heading = int(name[1]) if name in _HEADINGS else 0
                preformatted += name == "pre"
            elif name == "br":
                parts.append("\v")
            elif name in ("td", "th"):
                parts.append(" ")
            if targets and not targets.isdisjoint(_ids(element)):
                if "".join(parts).strip():
                    begins_later = True
                else:
                    begins_chapter = True
            if element.text:
                parts.append(_spaced(element.text, preformatted))
        else:
            if name in _BLOCKS:
                yield from finished()
                heading = 0
                preformatted -= name == "pre"
            if element.tail:
                parts.append(_spaced(element.tail, preformatted))
    yield from finished()


_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_EMPTY_BRACKETS = re.compile(r"\[ ?\]")


def _spaced(text: str, preformatted: int) -> str:
    """Text of an element: in `pre`, spaces and line ends are its own (kept as characters that the
    later tidying leaves alone)."""
    if not preformatted:
        return _SPACE.sub(" ", text)
    return text.replace("\r\n", "\n").replace("\n", "\v").replace(" ", _KEPT_SPACE)


_KEPT_SPACE = "\x1f"


def _tidy_line(line: str) -> str:
    line = _SPACE.sub(" ", line).strip(" ").replace("\N{SOFT HYPHEN}", "")
    if "[" in line:
        line = _EMPTY_BRACKETS.sub("", line).strip(" ")
    return line.replace(_KEPT_SPACE, " ").rstrip()


def _ids(element: Any) -> Iterator[str]:
    for attribute in ("id", "name"):
        value = element.get(attribute)
        if value:
            yield value


def _ids_within(element: Any) -> Iterator[str]:
    for inner in element.iter():
        yield from _ids(inner)


_NAVIGATION = {"noteref", "backlink", "referrer", "pagebreak", "doc-noteref", "doc-backlink",
    "doc-pagebreak"}  # fmt: skip
"""Values of epub:type and role for what leads to another place and is not read."""
_NAVIGATION_CLASS = re.compile(
    r"\b(?:noteref|note-?ref|footnote-?(?:ref|reference|link|anchor|back)\w*|fn-?anchor|fnref"
    r"|fn-?back-?(?:ref|link)\w*|back-?link|return-?link|headerlink|page-?num(?:ber)?|pageno"
    r"|x-ebookmaker-pageno)\b",
    re.IGNORECASE,
)
_BOILERPLATE = {"pg-header", "pg-footer", "pg-machine-header", "pg-start-separator",
    "pg-end-separator"}  # fmt: skip
"""Ids of Project Gutenberg's header and licence."""
_MARKER = re.compile(
    r"\s*(?:[\[(]\s*)?(?:\d{1,4}|[a-z]{1,2}|[*\u2020\u2021\u00a7]{1,4})\s*[\])]?\s*", re.I
)
_BRACKETED = re.compile(r"\s*\[.*\]\s*", re.DOTALL)
_BACK = {
    "\u21a9", "\u21a9\ufe0e", "\u21a9\ufe0f", "\u21b5", "\u23ce", "\u2191", "\u2934", "\u00b6", "^",
    "back", "[back]", "(back)", "return", "[return]",
}  # fmt: skip
_MARKER_LENGTH = 12


def _is_left_out(element: Any, name: str) -> bool:
    """Whether an element is no part of the text: front and back matter, links of notes, numbers of
    pages."""
    types = (element.get(_TYPE) or "").split() + (element.get("role") or "").split()
    if not _NOT_THE_BOOK.isdisjoint(types) or element.get("id") in _BOILERPLATE:
        return True
    if not _NAVIGATION.isdisjoint(types):  # headings lead back to tables of contents
        return local_name(element.getparent()) not in _HEADINGS
    classes = element.get("class")
    if name in ("a", "span", "sup") and classes and _NAVIGATION_CLASS.search(classes):
        return len("".join(itertools.islice(element.itertext(), 8))) <= 2 * _MARKER_LENGTH
    return name == "a" and "#" in (element.get("href") or "") and _is_marker(element)


def _is_marker(link: Any) -> bool:
    """Whether a link inside the book is a note's number or the way back from it."""
    text = "".join(itertools.islice(link.itertext(), 8))
    if len(text) > _MARKER_LENGTH or not text.strip():
        return False
    if text.strip().lower() in _BACK:
        return True
    raised = local_name(link.getparent()) == "sup" or any(
        local_name(inner) == "sup" for inner in itertools.islice(link.iter(), 4)
    )
    return _MARKER.fullmatch(text) is not None and (
        raised or _BRACKETED.fullmatch(text) is not None
    )
