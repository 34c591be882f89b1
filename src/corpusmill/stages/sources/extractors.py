"""Extractors: what takes the text that matters out of a page. All are called alike.

The default is the one that `benchmarks/extraction.py` favours.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from corpusmill import plugins
from corpusmill.errors import BrokenContract

EXTRACTORS = ("blocks", "trafilatura", "resiliparse", "none")
"""`blocks` is ours: blocks of text, judged by a small model. `trafilatura` compares its rules with
those of other libraries, and is the slowest by far. `resiliparse` leaves out what is called a menu
or the like. `none` leaves out only what a browser does not show."""

DEFAULT_EXTRACTOR = "blocks"

FAVOURS = ("precision", "balance", "recall")
"""What trafilatura tends to in doubt."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page that keeps the limits of `limits.py`."""

    source: bytes
    """In UTF-8, without characters that XML has no place for."""
    tree: Any
    """Its lxml tree, without comments and processing instructions; extractors may change it, so
    metadata is read before."""


class Extractor(Protocol):
    """Takes the text out of a page: paragraphs between empty lines or at least on their own."""

    def __call__(self, page: Page) -> str:
        """The text; empty if there is none."""
        ...


def make_extractor(name: str, favor: str | None = None) -> Extractor:
    """The extractor of that name, its libraries imported.

    Args:
        name: one of EXTRACTORS, or of another package.
        favor: one of FAVOURS, for trafilatura only; `precision` unless given.

    Raises:
        ValueError: there is no such setting.
        UsageError: there is no such extractor, or it is of no use.
    """
    if favor is not None and (name != "trafilatura" or favor not in FAVOURS):
        raise ValueError(f"favor: {favor!r} needs trafilatura and one of {', '.join(FAVOURS)}")
    if name not in _MAKERS:
        plugin = plugins.find("extractors", name)
        assert plugin is not None
        return _of_plugin(plugin)
    return _MAKERS[name](favor or FAVOURS[0])


@functools.cache
def _of_plugin(plugin: plugins.Plugin) -> Extractor:
    taken: Any = plugins.load(plugin)
    if not callable(taken) or isinstance(taken, type):
        raise plugins.refused(
            plugin, f"{plugin.target} is no function that takes a Page and gives a text"
        )

    def extract(page: Page) -> str:
        text = taken(page)
        if not isinstance(text, str):
            raise BrokenContract(f"{plugin} gave a {type(text).__name__} instead of a text")
        return text

    return extract


def _blocks(_: str) -> Extractor:
    from corpusmill.stages.sources.block_model import body_of
    from corpusmill.stages.sources.blocks import find_blocks, render

    def extract(page: Page) -> str:
        blocks = find_blocks(page.tree)
        return render(blocks, body_of(blocks))

    return extract


def _none(_: str) -> Extractor:
    from corpusmill.stages.sources.blocks import find_blocks, render

    return lambda page: render(find_blocks(page.tree, all_text=True))


def _resiliparse(_: str) -> Extractor:
    from lxml import etree
    from resiliparse.extract.html2text import extract_plain_text

    def extract(page: Page) -> str:
        # Not the source: lexbor does as the standard says and makes 10^9 nodes of 10^5 tags that
        # are left open. In libxml2's tree all are closed, and the limits hold for it.
        closed = etree.tostring(page.tree, encoding="unicode", method="html")
        return str(extract_plain_text(closed, main_content=True, alt_texts=False))

    return extract


def _trafilatura(favor: str) -> Extractor:
    from lxml import html
    from trafilatura import bare_extraction

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)

    def extract(page: Page) -> str:
        # its own kind of elements
        tree = html.document_fromstring(page.source, parser)
        document = bare_extraction(
            tree,
            favor_precision=favor == "precision",
            favor_recall=favor == "recall",
            include_comments=False,
        )
        return getattr(document, "text", None) or ""

    return extract


_MAKERS: dict[str, Callable[[str], Extractor]] = {
    "blocks": _blocks,
    "trafilatura": _trafilatura,
    "resiliparse": _resiliparse,
    "none": _none,
}
