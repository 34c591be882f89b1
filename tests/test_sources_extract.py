"""Text out of pages, books and code, and the contract of the stage that takes it out."""

from typing import Any

import pyarrow as pa
import pytest

from corpusmill.document import document_schema
from corpusmill.stage import check_verdicts
from corpusmill.stages.sources.charset import decode_html, decode_text
from corpusmill.stages.sources.extract import Extract
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
            raw(7, b"", media="extracted"),
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
        7: ("dropped", "no_text", 0, 1),
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
