"""A recipe's `anonymize` stages over any documents, run as the runner runs them.

In isolated children, with a document that fails quarantined: for whoever wants to know what the
stages would do, outside of a run.
"""

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.pipelines.judge import Judged, OpenStage, judge
from corpusmill.pipelines.plan import Step, make_steps
from corpusmill.pipelines.recipe import Recipe
from corpusmill.stage import Action
from corpusmill.stages.anonymize import METADATA_PREFIX, Anonymize


@dataclass(frozen=True)
class Passed:
    """What the stages made of some documents."""

    documents: pa.RecordBatch
    """Those that were kept."""
    texts: Mapping[str, str]
    """Id -> text of those."""
    entities: Counter[str]
    """What the stages say that they replaced, or dropped documents for."""
    quarantined: frozenset[str]
    """Ids of documents that a stage failed on."""

    def changed(self, before: pa.RecordBatch) -> int:
        """Documents whose text is another one or gone."""
        columns = before.column("id").to_pylist(), before.column("text").to_pylist()
        return sum(self.texts.get(i) != text for i, text in zip(*columns, strict=True))

    def field_values(self, name: str) -> dict[str, str]:
        """Id -> what stands in `text`, `uri` or `metadata.KEY` of the documents that were kept."""
        if name == "text":
            return dict(self.texts)
        ids = self.documents.column("id").to_pylist()
        if name == "uri":
            return dict(zip(ids, self.documents.column("uri").to_pylist(), strict=True))
        key = name.removeprefix(METADATA_PREFIX)
        rows = self.documents.column("metadata").to_pylist()
        return {i: dict(row or ()).get(key, "") for i, row in zip(ids, rows, strict=True)}


class AnonymizeChain:
    """The recipe's stages `anonymize`, in order, with their settings."""

    def __init__(self, recipe: Recipe) -> None:
        self.steps: list[tuple[Step, Anonymize]] = []
        self._opened: list[OpenStage] = []
        self.knows_languages = False
        """Whether an earlier stage tells a document's language, which models for names go by."""
        for step in make_steps(recipe):
            if isinstance(step.stage, Anonymize):
                step.stage.check()
                self.steps.append((step, step.stage))
            elif step.stage and step.stage.name == "language" and not self.steps:
                self.knows_languages = True
        if not self.steps:
            raise UsageError(
                f"{recipe.name}: nothing to audit: its recipe has no stage `anonymize`"
            )
        self.sources = [source.name for source in recipe.sources]
        self._kinds = {source.name: source.kind for source in recipe.sources}
        self.drops = any(stage.drops() for _, stage in self.steps)
        """Whether a document goes as a whole."""
        self.slow = any(
            stage.ner != "none" or stage.recognizers or stage.recognizer_files
            for _, stage in self.steps
        )
        """Whether models or recognizers that are not ours read the whole text."""
        self.schema = document_schema(
            score for _, stage in self.steps for score in stage.score_fields()
        )

    def covers(self, source: str) -> bool:
        """Whether any stage looks at documents of this source."""
        return any(step.applies_to(source, self._kinds[source]) for step, _ in self.steps)

    def fields_of(self, source: str) -> list[str]:
        """Fields beside the text that any stage searches in documents of this source."""
        kind = self._kinds[source]
        named = (s.fields for step, s in self.steps if step.applies_to(source, kind))
        return [name for name in dict.fromkeys(itertools.chain(*named)) if name != "text"]

    def looks_for(self, entity: str, source: str, field: str = "text") -> bool:
        """Whether any stage takes such values out of this field of documents of this source. The
        text counts as searched, always: where no stage does, everything in it is left."""
        kind = self._kinds[source]
        return any(
            step.applies_to(source, kind)
            and (field == "text" or field in stage.fields)
            and entity in stage.looked_for()
            and (entity in stage.entities or kind in stage.ner_kinds)
            for step, stage in self.steps
        )

    def rows(
        self,
        texts: Sequence[tuple[str, str, str, str | None]],
        fields: Sequence[Mapping[str, str]] = (),
    ) -> pa.RecordBatch:
        """Documents as the stages want them, from (id, text, source, language), and what stands in
        their other fields."""
        beside = fields or [{}] * len(texts)
        rows = [
            {"id": i, "text": text, "source": source, "kind": self._kinds[source],
             "uri": some.get("uri", i), "language": language,
             "metadata": {name.removeprefix(METADATA_PREFIX): value
                          for name, value in some.items() if name.startswith(METADATA_PREFIX)}}
            for (i, text, source, language), some in zip(texts, beside, strict=True)
        ]  # fmt: skip
        return documents_from_rows(rows, self.schema)

    def pass_over(self, documents: pa.RecordBatch) -> Passed:
        """Run all stages over documents; those of sources that a stage leaves out go past it."""
        if not self._opened:
            self._opened = [OpenStage(stage) for _, stage in self.steps]
        entities: Counter[str] = Counter()
        quarantined: set[str] = set()
        rows = documents
        for (step, _), opened in zip(self.steps, self._opened, strict=True):
            sources = rows.column("source").to_pylist()
            applies = pa.array([step.applies_to(s, self._kinds[s]) for s in sources], pa.bool_())
            judged = Judged()
            theirs, past = rows.filter(applies), rows.filter(pc.invert(applies))
            for first in range(0, theirs.num_rows, opened.stage.batch_rows):
                batch = theirs.slice(first, opened.stage.batch_rows)
                judge(opened, batch, judged, {}, lambda document, reason: None)
            rows = pa.concat_batches([past, *judged.kept])
            for verdict in judged.ledger:
                if verdict["action"] == Action.QUARANTINED:
                    quarantined.add(verdict["id"])
                else:
                    entities.update(_counted(verdict["detail"]))
        ids, texts = rows.column("id").to_pylist(), rows.column("text").to_pylist()
        kept = dict(zip(ids, texts, strict=True))
        return Passed(rows, kept, entities, frozenset(quarantined))

    def close(self) -> None:
        """End the stages' children."""
        for opened in self._opened:
            opened.close()


def _counted(detail: str | None) -> dict[str, int]:
    """Replacements by entity, as the ledger's detail has them."""
    try:
        plain = json.loads(detail or "{}")
    except ValueError:
        return {}
    counts: dict[str, int] = plain.get("counts", {})
    return counts
