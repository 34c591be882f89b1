"""What a page says about itself: title, author, date, site, licence, address."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import urljoin, urlsplit

from corpusmill.stages.sources.extractors import Page

_LICENCE = re.compile(
    r"creativecommons\.org/(?:licenses|publicdomain)/[a-z0-9+-]+(?:/\d\.\d)?", re.I
)
_TITLE = ("og:title", "twitter:title", "dc.title", "title")
_AUTHOR = ("author", "article:author", "dc.creator", "parsely-author", "citation_author", "byl")
_SITE = ("og:site_name", "application-name")
_LICENCES = ("dc.rights", "dcterms.license", "dcterms.rights", "license", "copyright", "rights")
_PUBLISHED = (
    "article:published_time",
    "og:article:published_time",
    "og:published_time",
    "datepublished",
    "date_published",
    "published_time",
    "publish_date",
    "publish-date",
    "published-date",
    "publication_date",
    "pubdate",
    "parsely-pub-date",
    "sailthru.date",
    "citation_publication_date",
    "citation_date",
    "dc.date.issued",
    "dcterms.issued",
    "dc.date.created",
    "dcterms.created",
    "dc.date",
    "dcterms.date",
    "article_date_original",
    "datecreated",
    "displaydate",
    "date",
)
_MODIFIED = (
    "article:modified_time",
    "og:updated_time",
    "datemodified",
    "dc.modified",
    "dcterms.modified",
    "last-modified",
    "lastmod",
)
_MAX_VALUE = 500
"""Characters of a metadata value; longer ones are no title or name."""

_CALLED_DATE = re.compile(r"date|publi|time|posted", re.I)
_MAX_NAMED = 20
"""Elements called dates, and pieces of text in one, that are looked at."""
_SHORT = 150
"""Characters of an element that says little but a date."""

_EARLIEST, _LATEST = "1995-01-01", "2100-01-01"
"""There were hardly any pages before; the bound above is for pages without a date of crawl."""

_IN_URL = re.compile(r"\D((?:19|20)\d\d)[/_-](0?[1-9]|1[0-2])[/_-](0?[1-9]|[12]\d|3[01])(?:\D|$)")
_NUMERIC = re.compile(r"\s*((?:19|20)\d\d)([-/.]?)(\d\d)\2(\d\d)(?:\D|$)")
_DOTTED = re.compile(r"(?:\D|^)([0-3]?\d)\.([01]?\d)\.((?:19|20)\d\d)(?:\D|$)")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = "|".join(_MONTHS)
_DAY_FIRST = re.compile(rf"(?:\D|^)(\d\d?)[. -]+({_MONTH})[a-z]*\.?,?[ -]+((?:19|20)\d\d)", re.I)
_MONTH_FIRST = re.compile(rf"\b({_MONTH})[a-z]*\.? (\d\d?)(?:st|nd|rd|th)?,? ((?:19|20)\d\d)", re.I)


def meta_tags(page: Page) -> dict[str, list[str]]:
    """Contents of the page's meta tags, by `property`, `name`, `http-equiv` or `itemprop`, whose
    value is in lower case."""
    meta: dict[str, list[str]] = {}
    for element in page.tree.iter("meta"):
        content = element.get("content")
        if content is None:
            continue
        for kind in ("property", "name", "http-equiv", "itemprop"):
            name = element.get(kind)
            if name:
                meta.setdefault(name.strip().lower(), []).append(content)
    return meta


def page_metadata(
    page: Page, meta: Mapping[str, list[str]], uri: str, crawl_date: str
) -> dict[str, str]:
    """Title, author, date, site, host, licence and canonical address, as far as they are known.

    Args:
        page: the page, as parsed.
        meta: its meta tags.
        uri: its address.
        crawl_date: ISO 8601, or empty; later dates are none of the page's.
    """
    title = next(page.tree.iter("title"), None)
    url = uri if uri.startswith(("http://", "https://")) else ""
    bounds = (_EARLIEST, crawl_date[:10] or _LATEST)
    author = _first(meta, _AUTHOR)
    published = _valid(_in_url(url), bounds) or _dated(meta, _PUBLISHED, bounds)
    linked = {} if author and published else _linked_data(page)
    found = {
        "title": _first(meta, _TITLE) or (title.text or "" if title is not None else ""),
        "author": author or linked.get("author", ""),
        "site": _first(meta, _SITE),
        "host": _host(url),
        "licence": _licence(page, meta),
        "canonical": _canonical(page, url),
        "date": published
        or _valid(_as_date(linked.get("date", "")), bounds)
        or _time_element(page, bounds)
        or _named_element(page, bounds)
        or _dated(meta, _MODIFIED, bounds),
    }
    cleaned = {name: " ".join(value.split()) for name, value in found.items()}
    return {name: value for name, value in cleaned.items() if 0 < len(value) <= _MAX_VALUE}


def _first(meta: Mapping[str, list[str]], names: tuple[str, ...]) -> str:
    values = (meta.get(name, [""])[0] for name in names)
    # sites put the address of an author's page where the name belongs
    return next((value for value in values if value.strip() and "://" not in value), "")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _licence(page: Page, meta: Mapping[str, list[str]]) -> str:
    """The Creative Commons licence that the page names: marked as its licence, else any."""
    if b"creativecommons.org" not in page.source.lower():
        return ""
    marked: list[str] = []
    others: list[str] = []
    for element in page.tree.iter("a", "link"):
        link = _LICENCE.search(element.get("href") or "")
        if link:
            rel = (element.get("rel") or "").lower().split()
            (marked if "license" in rel else others).append(link[0].lower())
    for name in _LICENCES:
        marked += [m[0].lower() for value in meta.get(name, ()) if (m := _LICENCE.search(value))]
    return (marked or others or [""])[0]


def _canonical(page: Page, url: str) -> str:
    for element in page.tree.iter("link"):
        href = element.get("href")
        if href and "canonical" in (element.get("rel") or "").lower().split():
            try:
                address = urljoin(url, href.strip())
            except ValueError:
                return ""
            return address if address.lower().startswith(("http://", "https://")) else ""
    return ""


def _linked_data(page: Page) -> dict[str, str]:
    """The authors and the date of publication that JSON-LD names, outermost first."""
    found: dict[str, str] = {}
    for script in page.tree.iter("script"):
        if script.get("type") != "application/ld+json":
            continue
        try:
            value = json.loads(script.text or "", strict=False)
        except (ValueError, RecursionError):
            continue
        for item in _objects(value):
            names = _names(item.get("author"))
            if names:
                found.setdefault("author", "; ".join(dict.fromkeys(names)))
            published = item.get("datePublished") or item.get("dateCreated")
            if isinstance(published, str):
                found.setdefault("date", published)
    return found


def _names(authors: Any) -> list[str]:
    return [
        name
        for author in (authors if isinstance(authors, list) else [authors])
        if isinstance(name := author.get("name") if isinstance(author, dict) else author, str)
    ]


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects at the top of a JSON-LD value, and in its `@graph`."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item
            graph = item.get("@graph")
            if isinstance(graph, list):
                yield from (entry for entry in graph if isinstance(entry, dict))


def _dated(meta: Mapping[str, list[str]], names: tuple[str, ...], bounds: tuple[str, str]) -> str:
    values = (_valid(_as_date(value), bounds) for name in names for value in meta.get(name, ()))
    return next(filter(None, values), "")


def _time_element(page: Page, bounds: tuple[str, str]) -> str:
    """The first moment that the page marks as one, those of its publication before others."""
    first = ""
    for element in page.tree.iter("time", "abbr"):
        value = _valid(_as_date(element.get("datetime") or element.get("title") or ""), bounds)
        said = f"{element.get('itemprop')} {element.get('class')}".lower()
        if value and ("publi" in said or element.get("pubdate") is not None):
            return value
        first = first or value
    return first


def _named_element(page: Page, bounds: tuple[str, str]) -> str:
    """The first date in an element that is called one and holds little else."""
    seen = 0
    for element in page.tree.iter("span", "div", "p", "li", "td", "small", "em", "abbr"):
        name = element.get("class") or element.get("id") or element.get("itemprop")
        if name and _CALLED_DATE.search(name[:_MAX_VALUE]):
            words = "".join(itertools.islice(element.itertext(), _MAX_NAMED))
            if len(words) <= _SHORT and (value := _valid(_as_date(words.strip()), bounds)):
                return value
            seen += 1
            if seen == _MAX_NAMED:
                break
    return ""


def _in_url(url: str) -> tuple[str, str, str] | None:
    found = _IN_URL.search(url)
    return (found[1], found[2], found[3]) if found else None


def _as_date(value: str) -> tuple[str, str, str] | None:
    """Year, month and day of a date in ISO 8601, as D.M.YYYY, or as written in English."""
    value = value[:_MAX_VALUE]
    if found := _NUMERIC.match(value):
        return found[1], found[3], found[4]
    if found := _DOTTED.search(value):
        return found[3], found[2], found[1]
    if found := _DAY_FIRST.search(value):
        return found[3], str(_MONTHS.index(found[2].lower()) + 1), found[1]
    if found := _MONTH_FIRST.search(value):
        return found[3], str(_MONTHS.index(found[1].lower()) + 1), found[2]
    return None


def _valid(parts: tuple[str, str, str] | None, bounds: tuple[str, str]) -> str:
    if parts is None:
        return ""
    try:
        value = date(*map(int, parts)).isoformat()
    except ValueError:
        return ""
    return value if bounds[0] <= value <= bounds[1] else ""
