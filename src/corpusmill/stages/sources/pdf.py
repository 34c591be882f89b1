"""PDF: lines in reading order, joined to paragraphs by where they stand on the page.

PDFium reads them (through pypdfium2, the optional extra `pdf`): it is maintained with Chrome and
comes under a permissive licence. A page of a manual takes 8 ms with all that is done here; the
parsers in Python took 50 (pypdf) and 120 (pdfminer.six) for its bare text.
It gives characters in the order of the page's content, which is the reading order in all that
typesetters and word processors write.
"""

import contextlib
import ctypes
import importlib.util
import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from corpusmill.errors import UsageError
from corpusmill.stages.sources.book_metadata import tidy
from corpusmill.stages.sources.chapters import Book, chapters_of, merged
from corpusmill.stages.sources.limits import Refused
from corpusmill.stages.sources.pages import bodies, ends_sentence
from corpusmill.stages.sources.wrapping import Joiner

MAX_PAGES = 10_000
"""Pages of one PDF; the longest books have 3,000."""
MAX_CHARACTERS = 50_000_000
"""Characters of all pages; a page of a book has 3,000."""
MAX_BOOKMARKS = 20_000
"""Entries of an outline that are looked at."""

_HYPHEN = 2
"""What PDFium gives for a hyphen at a line's end, and for the line's end with it."""
_FEWEST_CHAPTERS = 3
"""Entries from which a level of the outline is that of chapters."""


def check() -> None:
    """Whether PDF can be read here; to be asked once, at the start of a run.

    Raises:
        UsageError: the library is missing.
    """
    if importlib.util.find_spec("pypdfium2") is None:
        raise UsageError("pdf needs pypdfium2: pip install 'corpusmill[pdf]'")


def read_pdf(payload: bytes) -> Book:
    """A book's text, cut into chapters by the outline, else by its headings. Without text (a scan),
    there are no chapters. Running heads and feet and page numbers are left out.

    Raises:
        UsageError: the library is missing.
        Refused: it is encrypted, damaged, or too long.
    """
    check()
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(payload)
    except pypdfium2.PdfiumError as error:
        raise Refused(_reason(error.err_code)) from None
    try:
        if len(document) > MAX_PAGES:
            raise Refused("too_many_pages", len(document), MAX_PAGES)
        pages = _pages(document)
        starts = _chapter_starts(document)
        metadata = _metadata(document)
    except pypdfium2.PdfiumError:
        raise Refused("damaged_file") from None
    finally:
        document.close()
    chapters = _chapters(pages, starts)
    if len(chapters) > 1:
        whole = merged("\n\n".join(chapter) for chapter in chapters)
    else:
        whole = chapters_of([(1, paragraph) for paragraph in chapters[0]])
    return Book(metadata=tidy(metadata), chapters=whole)


def _reason(code: int | None) -> str:
    from pypdfium2 import raw

    return "encrypted" if code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY) else "damaged_file"


def _metadata(document: Any) -> dict[str, str]:
    metadata = {"language": _language(document)}
    for name, key in (("title", "Title"), ("author", "Author"), ("date", "CreationDate")):
        with contextlib.suppress(UnicodeDecodeError):
            metadata[name] = document.get_metadata_value(key)
    return metadata


def _language(document: Any) -> str:
    """The catalogue's `Lang`, empty without one."""
    from pypdfium2 import raw

    size = raw.FPDFCatalog_GetLanguage(document.raw, None, 0)
    if not 2 < size < 200:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    raw.FPDFCatalog_GetLanguage(document.raw, buffer, size)
    return bytes(buffer).decode("utf-16-le", "ignore").partition("\0")[0]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of text; positions in points from the page's lower left corner."""

    text: str
    left: float
    right: float
    baseline: float
    size: float


def _pages(document: Any) -> list[list[_Line]]:
    pages: list[list[_Line]] = []
    characters = 0
    for number in range(len(document)):
        page = document[number]
        text_page = page.get_textpage()
        characters += text_page.count_chars()
        if characters > MAX_CHARACTERS:
            raise Refused("too_long", characters, MAX_CHARACTERS)
        pages.append(list(_lines(text_page)))
        text_page.close()
        page.close()
    return [
        [page[i] for i in body]
        for page, body in zip(
            pages, bodies([[line.text for line in page] for page in pages]), strict=True
        )
    ]


def _lines(text_page: Any) -> Iterator[_Line]:
    """The lines of a page, in the order of its content."""
    from pypdfium2 import raw

    handle = text_page.raw
    unicode_of = raw.FPDFText_GetUnicode
    start, text = 0, []
    count = text_page.count_chars()
    for i in range(count + 1):
        code = unicode_of(handle, i) if i < count else 10
        if code not in (10, 13, _HYPHEN):
            text.append(code)
            continue
        if code == _HYPHEN:
            text.append(ord("-"))
        line = _decoded(text)
        if line:
            yield _placed(handle, line, start, i - (code != _HYPHEN))
        start, text = i + 1, []


def _decoded(codes: Sequence[int]) -> str:
    """Characters as PDFium gives them (UTF-16 units or code points), without control characters."""
    kept = [code for code in codes if code >= 32 and not 0xFFFE <= code <= 0xFFFF]
    text = "".join(chr(code) if code < 0x110000 else "\ufffd" for code in kept)
    if any(0xD800 <= code < 0xE000 for code in kept):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.strip()


def _placed(handle: Any, text: str, first: int, last: int) -> _Line:
    from pypdfium2 import raw

    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(handle, first, x, y)
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    while last > first and raw.FPDFText_GetUnicode(handle, last) == 32:
        last -= 1
    raw.FPDFText_GetCharBox(handle, last, left, right, bottom, top)
    size = raw.FPDFText_GetFontSize(handle, first)
    return _Line(text, x.value, max(right.value, x.value), y.value, max(size, 1.0))


@dataclass(frozen=True, slots=True)
class _Start:
    page: int
    top: float | None
    """Points from the page's lower edge, None for the whole page."""


def _chapter_starts(document: Any) -> list[_Start]:
    """Where chapters begin: the outline's entries of the highest level that has three, and those
    above it."""
    entries: list[tuple[int, _Start]] = []
    for bookmark in document.get_toc():
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            view = target.get_view()[1]
            entries.append((bookmark.level, _Start(page, view[1] if len(view) > 1 else None)))
        if len(entries) >= MAX_BOOKMARKS:
            break
    levels = sorted({level for level, _ in entries})
    for level in levels:
        found = [start for depth, start in entries if depth <= level]
        if len(found) >= _FEWEST_CHAPTERS or level == levels[-1]:
            return found
    return []


_LARGER_GAP = 1.3
"""Distance of lines, in their usual distance, from which a paragraph ends."""
_SHORT = 0.12
"""Share of the column's width by which a line may be shorter and still count as full."""
_INDENT = 0.8
"""Widths of an em by which a paragraph's first line is indented."""
_LEADERS = ". . ."
"""In lines of a table of contents."""
_BULLETS = ("\u2022", "\u25e6", "\u25aa", "\u2013 ", "- ", "* ", "\u2023", "\u25cf")


def _chapters(pages: Sequence[Sequence[_Line]], starts: Sequence[_Start]) -> list[list[str]]:
    """The paragraphs of each chapter; what stands before the first is one, too."""
    joiner = Joiner([line.text for page in pages for line in page])
    pitch = _usual_distance(pages)
    chapters: list[list[str]] = [[]]
    paragraph: list[list[str]] = []  # its lines, each from pieces that were cut to fit the page

    def finish() -> None:
        if paragraph:
            text = "\n".join(map(joiner.join, paragraph))
            chapters[-1].append(text.replace("\N{SOFT HYPHEN}", ""))
            paragraph.clear()

    before: _Line | None = None
    full = False
    for number, page in enumerate(pages):
        margins = _margins(page)
        begins = {_first_line(page, start) for start in starts if start.page == number}
        for i, line in enumerate(page):
            if i in begins:
                finish()
                chapters.append([])
            elif before and (
                _ends_paragraph(before, line, full, pitch)
                if i
                else not _goes_on(before.text, line.text)
            ):
                finish()
            if paragraph and (full or i == 0) and not line.text.startswith(_BULLETS):
                paragraph[-1].append(line.text)
            else:
                paragraph.append([line.text])
            before = line
            left, right = margins[i]
            full = line.right >= right - _SHORT * (right - left) and _LEADERS not in line.text
    finish()
    return chapters


def _goes_on(text: str, after: str) -> bool:
    """Whether a paragraph goes on over the break of a page or column."""
    return not ends_sentence(text) and (after[:1].islower() or text.endswith("-"))


def _ends_paragraph(line: _Line, after: _Line, full: bool, pitch: float) -> bool:
    """Whether a new paragraph begins with the next line of the page."""
    down = line.baseline - after.baseline
    if abs(down) < 0.5 * line.size:  # the same line, in pieces
        return False
    if down < 0:  # another column
        return not _goes_on(line.text, after.text)
    if down > _LARGER_GAP * max(pitch * line.size, line.size):
        return True
    if abs(line.size - after.size) > 0.1 * line.size:
        return True
    if not ends_sentence(line.text):
        return False
    return not full or after.left > line.left + _INDENT * line.size


def _usual_distance(pages: Sequence[Sequence[_Line]]) -> float:
    """Distance of lines in a paragraph, in sizes of their font: the median of the book."""
    distances = [
        (line.baseline - after.baseline) / line.size
        for page in pages
        for line, after in itertools.pairwise(page)
        if 0.5 * line.size < line.baseline - after.baseline < 4 * line.size
    ]
    return statistics.median_low(distances) if distances else 1.2


def _margins(page: Sequence[_Line]) -> list[tuple[float, float]]:
    """For each line of a page, the left and right margin of its column: one or two columns, in
    which 95 % of their lines end."""
    if not page:
        return []
    left = min(line.left for line in page)
    middle = (left + max(line.right for line in page)) / 2
    sides = [_side(line, middle) for line in page]
    share = [sides.count(side) / len(page) for side in (-1, 0, 1)]
    if share[0] < 0.2 or share[2] < 0.2 or share[1] > 0.4:
        sides = [0] * len(page)
    margins = {}
    for side in set(sides):
        lines = [line for line, found in zip(page, sides, strict=True) if found == side]
        rights = sorted(line.right for line in lines)
        margins[side] = (min(line.left for line in lines), rights[int(0.95 * (len(rights) - 1))])
    return [margins[side] for side in sides]


def _side(line: _Line, middle: float) -> int:
    return -1 if line.right < middle else 1 if line.left > middle else 0


def _first_line(page: Sequence[_Line], start: _Start) -> int:
    """The first line at or below a place, which may be the line's own baseline; the page's first
    where none is."""
    if start.top is None:
        return 0
    top = start.top
    return next((i for i, line in enumerate(page) if line.baseline - line.size / 2 <= top), 0)
