"""Raw documents to text: the step of ingest that runs isolated, since it reads hostile input."""

import re
from typing import Any, ClassVar

import pyarrow as pa

from corpusmill.document import INGEST_SCORE, document_schema, documents_from_rows
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, Verdicts
from corpusmill.stages.sources.limits import Refused

_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]{2,100})")
_SPDX_WITHIN = 8192
"""Characters at the start of a file in which its licence tag stands."""


class Extract(NarrowStage):
    """Takes RAW_SCHEMA, gives documents in `document_schema`, with the same ids in order."""

    name: ClassVar[str] = "extract"
    isolated: ClassVar[bool] = True
    batch_rows: ClassVar[int] = 64

    scores: tuple[str, ...] = ()
    """Fields of the documents' scores: the union over all stages of the recipe."""

    def score_fields(self) -> tuple[str, ...]:
        """The score that extraction sets."""
        return (INGEST_SCORE,)

    def open(self) -> Apply:
        """Load the libraries and return the function."""
        from corpusmill.stages.sources.html import load_libraries

        load_libraries()
        schema = document_schema(self.scores)

        def apply(batch: pa.RecordBatch) -> Outcome:
            verdicts = Verdicts()
            rows = [_document(raw, verdicts) for raw in batch.to_pylist()]
            return Outcome(documents=documents_from_rows(rows, schema), verdicts=verdicts.batch())

        return apply


def _document(raw: dict[str, Any], verdicts: Verdicts) -> dict[str, Any]:
    metadata = dict(raw["metadata"] or ())
    text = ""
    try:
        text, found = text_of(raw, metadata)
        metadata = {**found, **metadata}
        if not text.strip():
            verdicts.add(raw["id"], Action.DROPPED, "no_text", 0, 1)
    except Refused as refusal:
        verdicts.add(
            raw["id"], Action.QUARANTINED, refusal.reason, refusal.value, refusal.threshold
        )
    return {
        "id": raw["id"],
        "text": text,
        "source": raw["source"],
        "kind": raw["kind"],
        "uri": raw["uri"],
        "metadata": metadata,
        "scores": {INGEST_SCORE: float(len(text.encode()))},
    }


def text_of(raw: dict[str, Any], metadata: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Text and metadata of one raw document, by its media.

    Raises:
        Refused: it breaks a limit, or is not what it claims to be.
    """
    from corpusmill.stages.sources import books, charset, epub, html

    payload: bytes = raw["payload"]
    match raw["media"]:
        case "html":
            crawl_date = metadata.get("crawl_date", "")
            return html.read_html(payload, raw["charset"], raw["uri"], crawl_date)
        case "epub":
            return epub.read_epub(payload)
        case "extracted":
            return _utf8(payload), {}
    text = charset.decode_text(payload, raw["charset"])
    if raw["media"] == "code":
        return text, spdx_licence(text)
    return books.clean_book(text) if raw["kind"] == "book" else (text, {})


def _utf8(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise Refused("invalid_utf8", error.start) from None


def spdx_licence(text: str) -> dict[str, str]:
    """The licence that a source file's SPDX tag names."""
    tag = _SPDX.search(text[:_SPDX_WITHIN])
    return {"licence": tag[1].strip()} if tag else {}
