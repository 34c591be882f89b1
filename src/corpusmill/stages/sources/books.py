"""Plain-text books: their text without what transcribers and printers put around it, lines joined
to paragraphs, cut into chapters."""

import re

from corpusmill.stages.sources import gutenberg
from corpusmill.stages.sources.book_metadata import tidy
from corpusmill.stages.sources.chapters import Book, chapters_of
from corpusmill.stages.sources.pages import without_page_breaks, without_page_numbers
from corpusmill.stages.sources.wrapping import blocks_of, one_line_each, unwrapped

_PAGES = 3
"""Form feeds from which a text is taken to be cut into pages."""

_NO_PAGES = re.compile(r"\f{10,}")
"""More form feeds in a row than blank pages stand in a book: nothing to look at page by page."""


def read_text_book(text: str) -> Book:
    """A book in plain text, in Project Gutenberg's form, from OCR or any other.

    Removed are headers, licences, credits and notes of transcribers, captions and markers of
    illustrations, page numbers and running heads. Lines are joined to paragraphs; verse, drama and
    tables keep theirs.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = _NO_PAGES.sub("\f", text)
    if text.count("\f") >= _PAGES:
        lines = without_page_breaks(text)
    else:
        lines = text.replace("\f", "\n\n").split("\n")
    metadata: dict[str, str] = {}
    is_gutenberg = gutenberg.is_gutenberg(lines)
    if is_gutenberg:
        start, end = gutenberg.bounds(lines)
        metadata = gutenberg.header_metadata(lines[:start])
        lines = lines[start:end]
    lines = without_page_numbers(lines)
    blocks = gutenberg.without_transcribers(one_line_each(blocks_of(lines)), gutenberg=is_gutenberg)
    paragraphs = [
        (gap, cleaned)
        for gap, paragraph in unwrapped(blocks)
        if (cleaned := gutenberg.without_marks(paragraph)).strip()
    ]
    return Book(metadata=tidy(metadata), chapters=chapters_of(paragraphs))
