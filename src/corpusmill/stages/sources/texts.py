"""How a raw document of each kind becomes text, and what its source's settings refuse."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from corpusmill.stages.sources import repositories, sniff
from corpusmill.stages.sources.limits import Dropped, Refused
from corpusmill.stages.sources.source import Source

Texts = tuple[list[str], dict[str, str]]
"""The texts of a raw document (one, or one for each chapter), and metadata found in it."""
Reader = Callable[[Mapping[str, Any], dict[str, str]], Texts]
"""Takes a row of RAW_SCHEMA and its metadata, from which it removes what is for it alone.

Raises Refused for what breaks a limit or is not what it claims to be, Dropped for what the
source's settings leave out."""


def _file_name(raw: Mapping[str, Any]) -> str:
    """The path of a file or member, without the number of one that an archive has again."""
    return re.sub(r"#\d+\Z", "", raw["locator"] or raw["relative"])


def reader(source: Source) -> Reader:
    """What takes the texts out of a source's raw documents.

    Raises:
        UsageError: a file that the source's settings name cannot be used.
    """
    return code_reader(source) if source.kind == "code" else prose_reader(source)


def prose_reader(source: Source) -> Reader:
    """For pages and books."""
    from corpusmill.stages.sources.opt_outs import judge_meta, opt_out
    from corpusmill.stages.sources.urls import UrlRules, canonical_url

    rules = UrlRules.load(source.block_domains, source.block_urls, source.banned_words)
    respect = source.opt_outs == "respect"

    def read(raw: Mapping[str, Any], metadata: dict[str, str]) -> Texts:
        robots = metadata.pop("x_robots_tag", "")
        tdm = metadata.pop("tdm_reservation", "")
        url = raw["uri"] if raw["uri"].lower().startswith(("http://", "https://")) else ""
        rules.judge(raw["uri"])  # which knows what is no address
        reason = opt_out(robots.split("\n"), tdm.split("\n")) if respect else None
        if reason:
            raise Dropped(reason, 1, 0)
        if raw["media"] == "html":
            from corpusmill.stages.sources.html import read_html

            text, found = read_html(
                raw["payload"],
                raw["charset"],
                raw["uri"],
                metadata.get("crawl_date", ""),
                extractor=source.extractor,
                favor=source.favor,
                check=judge_meta if respect else None,
            )
            texts = [text]
        else:
            texts, found = _book_or_text(source, raw)
        declared = found.pop("canonical", "")
        if url:
            found["canonical_url"] = canonical_url(url, declared)
        return texts, found

    return read


def _book_or_text(source: Source, raw: Mapping[str, Any]) -> Texts:
    from corpusmill.stages.sources import books, charset, epub, markup, pdf

    payload: bytes = raw["payload"]
    end = sniff.suffix(_file_name(raw))
    match raw["media"]:
        case "extracted":
            return [_utf8(payload)], {}
        case "epub":
            book = epub.read_epub(payload)
        case "pdf":
            book = pdf.read_pdf(payload)
        case _:
            text = charset.decode_text(payload, raw["charset"])
            if source.kind == "web":
                return [text], {}
            if end in sniff.MARKDOWN_SUFFIXES:
                book = markup.read_markdown(text)
            elif end == ".rst":
                book = markup.read_rst(text)
            else:
                book = books.read_text_book(text)
    if source.unit == "chapter":
        return list(book.chapters), book.metadata
    return ["\n\n".join(book.chapters)], book.metadata


def _utf8(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise Refused("invalid_utf8", error.start) from None


def code_reader(source: Source) -> Reader:
    """For source code: files, notebooks, whole repositories."""

    def read(raw: Mapping[str, Any], metadata: dict[str, str]) -> Texts:
        licence = metadata.pop("repository_licence", "")
        if raw["media"] == "extracted":
            return [_utf8(raw["payload"])], {}
        if raw["media"] == "repository":
            text, found = _repository(source, raw["payload"])
        else:
            text, found = _code(source, _file_name(raw), raw["payload"], licence)
        return [text], found

    return read


def _code(source: Source, path: str, payload: bytes, licence: str) -> tuple[str, dict[str, str]]:
    """Text and metadata of one file of code, if the source wants it."""
    from corpusmill.stages.sources import charset, code_marks, languages, licences, notebooks

    mark = code_marks.mark(path, payload, source.skip)
    if mark:
        raise Dropped(mark, 1, 0)
    if sniff.suffix(path) == ".ipynb":
        text, found = notebooks.notebook_text(payload)
    else:
        text = charset.decode_text(payload)
        found = {"programming_language": languages.programming_language(path, payload)}
    licence = licences.spdx_licence(text) or licence
    reason = licences.refused(licence, source.licences.allow, source.licences.deny)
    if reason:
        raise Dropped(reason, 1, 0)
    return text, {**found, "licence": licence}


def _repository(source: Source, payload: bytes) -> tuple[str, dict[str, str]]:
    """The files of a repository that the source wants, imports first, as one text."""
    from corpusmill.stages.sources import dependencies

    texts: dict[str, str] = {}
    languages: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for path, licence, data in repositories.unpacked(payload):
        try:
            text, found = _code(source, path, data, licence)
        except (Refused, Dropped) as verdict:
            left_out[verdict.reason] += 1
            continue
        texts[path] = text
        languages[found["programming_language"]] += len(text)
        licences[found["licence"]] += len(text)
    if not texts and left_out:
        raise Dropped(max(left_out, key=lambda reason: (left_out[reason], reason)), 0, 1)
    order = dependencies.in_dependency_order(texts)
    metadata = {
        "files": str(len(order)),
        "files_left_out": ", ".join(f"{n} {reason}" for reason, n in sorted(left_out.items())),
        "licence": _commonest(licences),
        "programming_language": _commonest(languages),
    }
    return dependencies.joined({path: texts[path] for path in order}), metadata


def _commonest(sizes: Counter[str]) -> str:
    """What most of the text has; the empty name stands for nothing known."""
    return max(sizes, key=lambda name: (bool(name), sizes[name], name), default="")
