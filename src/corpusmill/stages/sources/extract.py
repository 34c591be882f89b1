"""Raw documents to text: the step of ingest that runs isolated, since it reads hostile input."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pyarrow as pa

from corpusmill.document import INGEST_SCORE, document_id, document_schema, documents_from_rows
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, Verdicts
from corpusmill.stages.sources import texts, units
from corpusmill.stages.sources.extractors import EXTRACTORS, make_extractor
from corpusmill.stages.sources.limits import Dropped, Refused
from corpusmill.stages.sources.records import place
from corpusmill.stages.sources.source import Source


class Extract(NarrowStage):
    """Takes RAW_SCHEMA, gives documents in `document_schema`, with the same ids in order.

    The further chapters of a book that is cut into them are `added`.
    """

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 2
    isolated: ClassVar[bool] = True
    batch_rows: ClassVar[int] = 64

    scores: tuple[str, ...] = ()
    """Fields of the documents' scores: the union over all stages of the recipe."""
    sources: tuple[Source, ...] = ()
    """All sources of the recipe: their settings say how to read their documents."""
    with_pdf: bool = False
    """Whether there are PDF files among the inputs."""

    def score_fields(self) -> tuple[str, ...]:
        """The score that extraction sets."""
        return (INGEST_SCORE,)

    def documents_schema(self) -> pa.Schema:
        """Of the documents."""
        return document_schema(self.scores)

    def check(self) -> None:
        """Raise UsageError for lists that cannot be read and libraries that are not there."""
        for source in self.sources:
            texts.reader(source)
            if source.extractor not in EXTRACTORS:
                make_extractor(source.extractor)
        if self.with_pdf:
            from corpusmill.stages.sources import pdf

            pdf.check()

    def open(self) -> Apply:
        """Load the libraries and return the function."""
        from corpusmill.stages.sources.html import load_libraries

        load_libraries({source.extractor for source in self.sources if source.kind != "code"})
        schema = self.documents_schema()
        readers = {source.name: texts.reader(source) for source in self.sources}
        sources = {source.name: source for source in self.sources}

        def apply(batch: pa.RecordBatch) -> Outcome:
            verdicts = Verdicts()
            rows: list[dict[str, Any]] = []
            added: list[dict[str, Any]] = []
            for raw in batch.to_pylist():
                name = raw["source"]
                first, *further = _documents(raw, sources[name], readers[name], verdicts)
                rows.append(first)
                added += further
            return Outcome(
                documents=documents_from_rows(rows, schema),
                verdicts=verdicts.batch(),
                added=documents_from_rows(added, schema) if added else None,
            )

        return apply


def _documents(
    raw: Mapping[str, Any], source: Source, reader: texts.Reader, verdicts: Verdicts
) -> list[dict[str, Any]]:
    """The document, or the chapters, of a raw document; on refusal one without text."""
    metadata = dict(raw["metadata"] or ())
    contents = [""]
    try:
        contents, found = reader(raw, metadata)
        metadata = {**found, **metadata}
        if not any(text.strip() for text in contents):
            verdicts.add(raw["id"], Action.DROPPED, "no_text", 0, 1)
            contents = [""]
    except Refused as refusal:
        verdicts.add(
            raw["id"], Action.QUARANTINED, refusal.reason, refusal.value, refusal.threshold
        )
    except Dropped as drop:
        verdicts.add(raw["id"], Action.DROPPED, drop.reason, drop.value, drop.threshold)
    chapters = units.has_chapters(source, raw["media"])
    rows = []
    for number, text in enumerate(contents, 1):
        document, locator, uri = raw["id"], raw["locator"], raw["uri"]
        if chapters:
            locator = units.chapter_locator(locator, number)
            document = document_id(source.name, raw["relative"], locator)
            uri = place(raw["relative"], locator)
        here = {units.FILE: raw["relative"], units.LOCATOR: locator}
        rows.append(
            {
                "id": document,
                "text": text,
                "source": raw["source"],
                "kind": raw["kind"],
                "uri": uri,
                "metadata": {**metadata, **here},
                "scores": {INGEST_SCORE: float(len(text.encode()))},
            }
        )
    return rows
