"""Text out of pages, books and code, and the contract of the stage that takes it out."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpusmill.document import document_schema
from corpusmill.stage import check_verdicts
from corpusmill.stages.sources import limits
from corpusmill.stages.sources.charset import decode_html, decode_text
from corpusmill.stages.sources.extract import Extract
from corpusmill.stages.sources.html import read_html
from corpusmill.stages.sources.limits import Refused
from corpusmill.stages.sources.records import RAW_SCHEMA
from corpusmill.stages.sources.source import Source


def raw(number: int, payload: bytes, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{number:032x}", "relative": "f", "locator": str(number), "payload": payload,
        "media": "text", "source": "web", "kind": "web", "uri": f"u{number}", "metadata": [],
        **fields,
    }  # fmt: skip


def test_extraction_returns_every_document_with_its_verdict() -> None:
    code = b"# SPDX-License-Identifier: MIT OR Apache-2.0\nx = 1\n"
    batch = pa.RecordBatch.from_pylist(
        [
            raw(0, b"Plain words.", metadata=[("id", "own")]),
            raw(1, b"<html><body></body></html>", media="html"),
            raw(2, b"<div>" * 2000, media="html"),
            raw(3, b"no zip", media="epub", kind="book", source="book"),
            raw(4, b"\xff", media="extracted"),
            raw(5, code, media="code", kind="code", source="code", locator="x.py"),
            raw(6, "ä\xe4 ö ü".encode() + b"\xff", media="text"),
        ],
        schema=RAW_SCHEMA,
    )
    sources = [{"name": kind, "kind": kind, "path": "x"} for kind in ("web", "book", "code")]
    stage = Extract(scores=("other",), sources=tuple(map(Source.model_validate, sources)))
    outcome = stage.open()(batch)
    check_verdicts(batch, outcome)
    assert outcome.documents.schema == document_schema(("other",))
    assert {
        int(v["id"], 16): (v["action"], v["reason"], v["value"], v["threshold"])
        for v in outcome.verdicts.to_pylist()
    } == {
        1: ("dropped", "no_text", 0, 1),
        2: ("quarantined", "too_deep", 257, 256),
        3: ("quarantined", "not_a_zip", None, None),
        4: ("quarantined", "invalid_utf8", 0, None),
        6: ("quarantined", "invalid_utf8", 1, 0),
    }
    rows = outcome.documents.to_pylist()
    assert rows[0]["text"] == "Plain words."
    assert rows[0]["metadata"] == [("file", "f"), ("id", "own"), ("locator", "0")]
    assert rows[0]["scores"] == {"ingest_bytes": 12.0, "other": None}
    assert rows[5]["text"] == code.decode()
    assert rows[5]["metadata"] == [
        ("file", "f"),
        ("licence", "MIT OR Apache-2.0"),
        ("locator", "x.py"),
        ("programming_language", "Python"),
    ]


PAGE = """<!doctype html><html><head><title>The title</title>
<meta name="author" content="A. Writer"><meta property="og:site_name" content="The Site">
<meta property="article:published_time" content="2021-03-04T05:06:07Z"></head><body>
<nav><a href="/">Home</a> <a href="/about">About us</a></nav><article><h1>The title</h1>
<p>{first}</p><p>{second}</p></article><footer><a href="/terms">Terms</a>
<a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">Licence</a></footer>"""
SENTENCES = {
    "first": "The first paragraph of an article says what happened, where it happened, and when. "
    * 3,
    "second": "The second one is about the people who saw it and about what they said later. " * 3,
}


def test_a_page_gives_its_article_and_what_it_says_about_itself() -> None:
    text, metadata = read_html(
        PAGE.format(**SENTENCES).encode(), None, "https://www.site.example/a", ""
    )
    assert "The first paragraph of an article" in text
    assert "people who saw it" in text
    assert "About us" not in text
    assert metadata == {
        "author": "A. Writer",
        "date": "2021-03-04",
        "host": "www.site.example",
        "licence": "creativecommons.org/licenses/by-sa/4.0",
        "site": "The Site",
        "title": "The title",
    }


def test_a_date_after_the_crawl_is_no_date() -> None:
    page = PAGE.format(**SENTENCES).encode()
    assert "date" not in read_html(page, None, "https://site.example/", "2020-01-01T00:00:00Z")[1]


def test_articles_are_extracted_as_people_marked_them(shared_data: Path) -> None:
    import gzip

    folder = shared_data / "web" / "articles"
    truth = json.loads((folder / "ground-truth.json").read_text())
    recalls = []
    for key in sorted(truth)[:12]:
        page = gzip.decompress((folder / "html" / f"{key}.html.gz").read_bytes())
        words = set(re.findall(r"\w+", read_html(page, None, truth[key].get("url", ""), "")[0]))
        expected = set(re.findall(r"\w+", truth[key]["articleBody"]))
        recalls.append(len(words & expected) / len(words | expected))
    assert sum(recalls) / len(recalls) > 0.9


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (b"<div>" * 100_001, "too_many_nodes"),
        (b"<div>" * 20_000, "too_deep"),
        (b"<html><body>" + b"<b>x" * 300, "too_deep"),
        (b"x" * (limits.MAX_HTML + 1), "too_large"),
    ],
)
def test_hostile_pages_are_refused_before_extraction(page: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refusal:
        read_html(page, None, "", "")
    assert refusal.value.value is not None
    assert refusal.value.threshold is not None
    assert refusal.value.value > refusal.value.threshold


@pytest.mark.parametrize("page", [b"", b"\0" * 100, b"<!doctype html>", b"<?xml?>", b"<p>"])
def test_pages_without_anything_give_no_text(page: bytes) -> None:
    assert read_html(page, None, "http://[broken", "")[0] == ""


GREEK = "Καλημέρα κόσμε, τι κάνεις σήμερα; Όλα καλά, ευχαριστώ πολύ."


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (GREEK.encode(), "iso-8859-1"),
        (GREEK.encode("iso-8859-7"), "ISO-8859-7"),
        (GREEK.encode("utf-8-sig"), None),
        (GREEK.encode("utf-16"), None),
        (b'<meta charset="windows-1253">' + GREEK.encode("windows-1253"), None),
        (b'<meta charset="windows-1253">' + GREEK.encode("windows-1253"), "no-such-charset"),
        ((GREEK * 5).encode("windows-1253"), None),
    ],
)
def test_charsets_of_pages_are_found(data: bytes, declared: str | None) -> None:
    assert GREEK in decode_html(data, declared)


def test_damaged_utf8_keeps_its_good_characters() -> None:
    damaged = GREEK.encode() + b" \xff " + GREEK.encode()
    assert decode_html(damaged) == f"{GREEK} \ufffd {GREEK}"
    with pytest.raises(Refused, match="invalid_utf8"):
        decode_text(damaged)
