"""HTML pages: parsed once, within limits, for what the page says about itself and for its text."""

import logging
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lxml import etree

from corpusmill.stages.sources.charset import decode_html
from corpusmill.stages.sources.extractors import DEFAULT_EXTRACTOR, Page, make_extractor
from corpusmill.stages.sources.limits import (
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_HTML,
    MAX_TAGS,
    Refused,
    exceeds_depth,
)
from corpusmill.stages.sources.page_metadata import meta_tags, page_metadata

_NOT_XML = bytes([*range(9), 11, 12, *range(14, 32), 127])
_BEFORE_END = "\ufffe".encode()[:2]
_NO_CHARACTERS = ("\ufffe".encode(), "\uffff".encode())
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ATTRIBUTE = (
    rb"[\s/]*+[^\s/>][^\s/>=]*+"
    rb"(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>]*+))?+"
)
_TAG = re.compile(
    rb"<[A-Za-z_:][^\s/>]*+(?:%b){0,%d}+(%b)?+" % (_ATTRIBUTE, MAX_ATTRIBUTES, _ATTRIBUTE)
)
"""A tag; the group is the first attribute too many. Nothing is tried twice: the time is linear."""
_LONG_TAG = re.compile(rb"<[A-Za-z_:][^>]{%d}" % (2 * MAX_ATTRIBUTES))
"""Where it is worth looking for such a tag: hardly anywhere in an honest page. A `>` in the values
of its attributes hides a tag; the CPU limit of the isolated child then stops the page."""


def load_libraries(extractors: Collection[str] = (DEFAULT_EXTRACTOR,)) -> None:
    """Import what the extractors need, and keep it from logging: libraries quote pages and URLs."""
    for name in extractors:
        make_extractor(name)
    for logger in ("trafilatura", "htmldate", "courlan", "justext", "readability"):
        logging.getLogger(logger).setLevel(logging.CRITICAL + 1)


def read_html(
    payload: bytes,
    charset: str | None,
    uri: str,
    crawl_date: str,
    *,
    extractor: str = DEFAULT_EXTRACTOR,
    favor: str | None = None,
    check: Callable[[Mapping[str, str]], None] | None = None,
) -> tuple[str, dict[str, str]]:
    """Text and metadata of a page.

    Args:
        payload: the page as it was served, without content encoding.
        charset: as the server declared it.
        uri: the page's address, against which its canonical one is resolved.
        crawl_date: ISO 8601, or empty; a later date is no date of the page.
        extractor: one of `extractors.EXTRACTORS`.
        favor: for trafilatura; see `extractors.make_extractor`.
        check: called with the meta tags (see `page_metadata.meta_tags`), repeated ones one to
            a line, before text is taken out.

    Raises:
        Refused: the page breaks a limit.
        Dropped: `check` says so.
    """
    page = parse_html(payload, charset)
    if page is None:
        return "", {}
    meta = meta_tags(page)
    if check is not None:
        check({name: "\n".join(map(_one_line, values)) for name, values in meta.items()})
    metadata = page_metadata(page, meta, uri, crawl_date)
    text = make_extractor(extractor, favor)(page)
    return text.strip(), metadata


def _one_line(value: str) -> str:
    return " ".join(value.split())


def parse_html(payload: bytes, charset: str | None) -> Page | None:
    """The page's source and tree; None if there is nothing in it.

    Raises:
        Refused: the page is too large, has too many nodes or attributes, or nests too deeply.
    """
    if len(payload) > MAX_HTML:
        raise Refused("too_large", len(payload), MAX_HTML)
    tags = payload.count(b"<")
    if tags > MAX_TAGS:
        raise Refused("too_many_nodes", tags, MAX_TAGS)
    text = _DECLARATION.sub("", decode_html(payload, charset))
    source = text.encode("utf-8", "replace").translate(None, _NOT_XML)
    if _BEFORE_END in source:
        for character in _NO_CHARACTERS:
            source = source.replace(character, b"")
    for long in _LONG_TAG.finditer(source):
        tag = _TAG.match(source, long.start())
        if tag and tag.lastindex:
            raise Refused("too_many_attributes", MAX_ATTRIBUTES + 1, MAX_ATTRIBUTES)
    parser = etree.HTMLParser(
        encoding="utf-8", collect_ids=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
    tree: Any
    try:
        tree = etree.fromstring(source, parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # nothing in it
        tree = None
    if exceeds_depth(parser):
        raise Refused("too_deep", MAX_DEPTH + 1, MAX_DEPTH)
    return None if tree is None or len(tree) == 0 else Page(source=source, tree=tree)
