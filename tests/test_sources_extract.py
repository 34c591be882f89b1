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


KOREAN = (
    "대한민국은 동아시아의 한반도 남부에 자리한 공화국이다. 수도는 서울이며, 국화는 무궁화이다.\n"
)
JAPANESE = "これは日本語の文章です。今日は天気がいい、カメラを買った。\n"
RUSSIAN = "Это русское предложение про погоду, где всё понятно.\n"


EAST_ASIAN = [
    (KOREAN, "euc-kr"),
    (KOREAN + "뷁 똠방각하\n", "cp949"),
    (JAPANESE, "euc-jp"),
    (JAPANESE, "shift_jis"),
    ("这是一个中文句子。今天天气很好。我们去公园散步。\n", "gb18030"),
    ("這是一個中文句子。今天天氣很好。我們去公園散步。\n", "big5"),
]


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        *EAST_ASIAN,
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "windows-1251"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy.\n", "windows-1250"),
        ("Ein Gefäß voll süßer Äpfel dös wär es, señor!\n", "windows-1252"),
        ("هذه جملة عربية عن الطقس في المدينة.\n", "windows-1256"),
    ],
    ids=lambda value: value if value.isascii() else "",
)
@pytest.mark.parametrize("times", [3, 40])
def test_charsets_of_texts_are_found(text: str, charset: str, times: int) -> None:
    assert decode_text((text * times).encode(charset)) == text * times


@pytest.mark.parametrize(("text", "charset"), EAST_ASIAN)
def test_texts_of_east_asia_are_read_where_detection_fails(
    text: str, charset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpusmill.stages.sources.charset.detect_encoding", lambda _: "utf-8")
    assert decode_text((text * 3).encode(charset)) == text * 3


def test_what_no_charset_makes_sense_of_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpusmill.stages.sources.charset.detect_encoding", lambda _: "utf-8")
    data = (RUSSIAN * 10).encode("koi8-r")
    with pytest.raises(Refused, match="unknown_charset"):
        decode_text(data)
    with pytest.raises(Refused, match="unknown_charset"):
        decode_html(b"<p>" + data)
    assert decode_html(b"<p>" + data, "koi8-r") == "<p>" + RUSSIAN * 10


def test_a_stray_byte_costs_a_declared_charset_nothing_else() -> None:
    data = b"<meta charset=euc-kr><p>" + (KOREAN * 5).encode("euc-kr") + b"\xff " + b"</p>"
    assert KOREAN * 5 + "\ufffd" in decode_html(data)
    assert "caf\u00e9" in decode_text(b"A caf\xe9 and a stray \x81 byte in English text." * 3)


def test_damaged_utf8_keeps_its_good_characters() -> None:
    damaged = GREEK.encode() + b" \xff " + GREEK.encode()
    assert decode_html(damaged) == f"{GREEK} \ufffd {GREEK}"
    with pytest.raises(Refused, match="invalid_utf8"):
        decode_text(damaged)
