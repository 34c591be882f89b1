"""HTML pages: the article without menus, and what the page says about itself."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from lxml import etree
from lxml.html import HTMLParser

from corpusmill.stages.sources.charset import decode_html
from corpusmill.stages.sources.limits import (
    MAX_DEPTH,
    MAX_HTML,
    MAX_TAGS,
    Refused,
    exceeds_depth,
)

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_LICENCE = re.compile(
    r"creativecommons\.org/(?:licenses|publicdomain)/[a-z0-9+-]+(?:/\d\.\d)?", re.I
)
_LATEST_DATE = "2100-01-01"
"""For pages without a date of crawl. htmldate takes today by default, and the same page would
then give another date another day."""

_TITLE = ("og:title", "twitter:title", "dc.title", "title")
_AUTHOR = ("author", "article:author", "dc.creator", "parsely-author", "citation_author", "byl")
_SITE = ("og:site_name", "application-name")
_MAX_VALUE = 500
"""Characters of a metadata value; longer ones are no title or name."""


def load_libraries() -> None:
    """Import the extraction libraries, and keep them from logging: they quote pages and URLs."""
    import trafilatura  # noqa: F401

    for name in ("trafilatura", "htmldate", "courlan", "justext", "readability"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def parse_html(payload: bytes, charset: str | None) -> Any:
    """The page's tree, parsed once for all uses.

    Raises:
        Refused: the page is too large, has too many nodes, or nests too deeply.
    """
    if len(payload) > MAX_HTML:
        raise Refused("too_large", len(payload), MAX_HTML)
    tags = payload.count(b"<")
    if tags > MAX_TAGS:
        raise Refused("too_many_nodes", tags, MAX_TAGS)
    source = _NOT_XML.sub("", _DECLARATION.sub("", decode_html(payload, charset)))
    parser = HTMLParser(
        encoding="utf-8",
        collect_ids=False,
        default_doctype=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )
    try:
        tree = etree.fromstring(source.encode(), parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # nothing in it
        return None
    if exceeds_depth(parser):
        raise Refused("too_deep", MAX_DEPTH + 1, MAX_DEPTH)
    return tree


def read_html(
    payload: bytes, charset: str | None, uri: str, crawl_date: str
) -> tuple[str, dict[str, str]]:
    """Main text and metadata of a page.

    trafilatura with precision favoured and its comparison with other extractors: on the article
    benchmark's pages F1 0.957 against 0.942 without the comparison.

    Raises:
        Refused: the page breaks a limit.
    """
    from trafilatura import bare_extraction

    tree = parse_html(payload, charset)
    if tree is None or len(tree) == 0:
        return "", {}
    metadata = page_metadata(tree, uri, crawl_date)
    document = bare_extraction(tree, favor_precision=True, include_comments=False)
    text = getattr(document, "text", None) or ""
    return text.strip(), metadata


def page_metadata(tree: Any, uri: str, crawl_date: str) -> dict[str, str]:
    """Title, author, date, site, host and licence, from meta tags, JSON-LD and links."""
    from htmldate import find_date

    meta: dict[str, str] = {}
    for element in tree.iterfind(".//meta[@content]"):
        name = (element.get("property") or element.get("name") or "").lower()
        meta.setdefault(name, element.get("content"))
    linked = _linked_data(tree)
    title = tree.find(".//title")
    url = uri if uri.startswith(("http://", "https://")) else None
    found = {
        "title": _first(meta, _TITLE) or (title.text or "" if title is not None else ""),
        "author": _first(meta, _AUTHOR) or linked.get("author", ""),
        "site": _first(meta, _SITE),
        "host": _host(url or ""),
        "licence": _licence(tree),
        "date": find_date(
            tree,
            extensive_search=False,
            original_date=True,
            url=url,
            max_date=crawl_date[:10] or _LATEST_DATE,
        )
        or "",
    }
    cleaned = {name: " ".join(value.split()) for name, value in found.items()}
    return {name: value for name, value in cleaned.items() if 0 < len(value) <= _MAX_VALUE}


def _first(meta: Mapping[str, str], names: tuple[str, ...]) -> str:
    values = (meta.get(name, "") for name in names)
    # sites put the address of an author's page where the name belongs
    return next((value for value in values if value.strip() and "://" not in value), "")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _licence(tree: Any) -> str:
    """The Creative Commons licence that the page links to: marked as its licence, else any."""
    marked: list[str] = []
    others: list[str] = []
    for element in tree.iter("a", "link"):
        link = _LICENCE.search(element.get("href") or "")
        if link:
            rel = (element.get("rel") or "").lower().split()
            (marked if "license" in rel else others).append(link[0].lower())
    return (marked or others or [""])[0]


def _linked_data(tree: Any) -> dict[str, str]:
    """The authors that JSON-LD names, outermost first."""
    for script in tree.iterfind('.//script[@type="application/ld+json"]'):
        try:
            value = json.loads(script.text or "")
        except (ValueError, RecursionError):
            continue
        for item in _objects(value):
            authors = item.get("author")
            names = [
                name
                for author in (authors if isinstance(authors, list) else [authors])
                if isinstance(
                    name := author.get("name") if isinstance(author, dict) else author, str
                )
            ]
            if names:
                return {"author": "; ".join(dict.fromkeys(names))}
    return {}


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects at the top of a JSON-LD value, and in its `@graph`."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item
            graph = item.get("@graph")
            if isinstance(graph, list):
                yield from (entry for entry in graph if isinstance(entry, dict))
