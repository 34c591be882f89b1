"""The stage `anonymize`: takes direct identifiers out of text and metadata."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpusmill.document import KINDS, id_fraction, metadata_entries, with_column, with_scores
from corpusmill.errors import UsageError, one_of
from corpusmill.privacy.anonymizer import Anonymizer, Method, Treated
from corpusmill.privacy.entities import ENTITIES, NEEDS_A_MODEL, check_entities
from corpusmill.privacy.finding import PLAUSIBLE, Finding
from corpusmill.privacy.keys import load_key
from corpusmill.privacy.presidio import presidio_recognizers
from corpusmill.privacy.recognizers import Scanner, check_installed
from corpusmill.stage import Action, Apply, Names, NarrowStage, Outcome, Verdicts

if TYPE_CHECKING:
    from corpusmill.privacy.ner import NameFinder, NameSettings

METADATA_PREFIX = "metadata."
AUTHOR_FIELDS = frozenset(
    METADATA_PREFIX + key for key in ("author", "authors", "creator", "contributor", "editor")
)
"""Fields whose value is somebody's name as a whole, where names are looked for."""
MOST_SPANS = 50
"""Findings of one document that the ledger lists; the others are counted."""
SAMPLED_FOR_NAMES = "anonymize: names"
"""Purpose of the hash that chooses documents by `ner_sample`."""


class Anonymize(NarrowStage):
    """Replaces e-mail addresses, phone and card numbers and the like (privacy.entities.ENTITIES),
    and names where a model for them is chosen.

    The ledger gets what was found where, and a keyed hash of it, never the value.
    """

    name = "anonymize"
    version = 3
    isolated = True
    batch_rows = 64
    secret_settings: ClassVar[tuple[str, ...]] = ("key",)
    path_settings: ClassVar[tuple[str, ...]] = ("recognizer_files",)

    method: Method = "mask"
    """`mask` writes placeholders such as <EMAIL_ADDRESS>. `pseudonym` writes fictitious values: the
    same for the same value in the whole corpus, and others with another key. `drop` drops the
    document. `keep` counts only."""
    methods: dict[str, Method] = Field(default={})
    """Entities for which another method holds, as in {PHONE_NUMBER: keep}."""
    key: str | None = None
    """The key of pseudonyms and of the hashes in the ledger, at least 16 bytes: `env:NAME` or
    `file:PATH`. Pseudonyms need one; without one, the ledger has no hashes."""
    fields: Names = ("text",)
    """What is searched: `text`, `uri`, `metadata.KEY`."""
    entities: Names = ENTITIES
    """What patterns look for."""
    recognizers: Names = ()
    """Classes of Presidio's recognizers to run as well, as in [AuAcnRecognizer]. Some 0.1 MB for
    each CPU-second."""
    recognizer_files: Names = ()
    """YAML files in Presidio's format with pattern recognizers to run as well."""
    ner: Literal["none", "auto", "rampart", "spacy", "jieba"] = "none"
    """Models that look for names: `rampart` (small neural recognizer, Latin letters), `spacy`
    (`ner_models`), `jieba` (Chinese), `auto` (all three, each for its languages)."""
    ner_entities: Names = ("PERSON", "STREET_ADDRESS")
    """What models look for: PERSON, STREET_ADDRESS, LOCATION, ORGANIZATION, NRP."""
    ner_kinds: Names = ("web", "book")
    """Kinds of documents in which models look for names."""
    ner_sample: float = Field(default=1.0, ge=0, le=1)
    """Share of those documents, chosen by a hash of their ids."""
    ner_models: dict[str, str] = Field(default={})
    """spaCy models by language, installed packages or folders, as in {de: de_core_news_sm}; empty
    means the two that `corpusmill[models]` names, English and French."""

    def score_fields(self) -> tuple[str, ...]:
        """`personal_data`: findings in the document."""
        return ("personal_data",)

    @property
    def cpu_seconds_per_mb(self) -> float:
        """Models read some 10 kB in a CPU-second, several times where something is found."""
        return 2.0 if self.ner == "none" else 2000.0

    def looked_for(self) -> frozenset[str]:
        """The entities that patterns and models look for, without those that are kept."""
        named = self.ner_entities if self.ner != "none" else ()
        methods = {entity: self.methods.get(entity, self.method) for entity in self.entities}
        methods |= {entity: self.methods.get(entity, self.method) for entity in named}
        return frozenset(entity for entity, method in methods.items() if method != "keep")

    def drops(self) -> bool:
        """Whether anything found can drop a document."""
        return "drop" in (self.method, *self.methods.values())

    def facts(self) -> list[str]:
        """What the ledger will lack."""
        return (
            [] if self.key else ["anonymize: without a key, the ledger holds no hashes of values"]
        )

    def check(self) -> None:
        """Raise UsageError for unknown fields, entities, recognizers and models, and for a key that
        is missing."""
        check_entities(self.entities)
        check_installed()
        for field in self.fields:
            in_metadata = field.startswith(METADATA_PREFIX) and field != METADATA_PREFIX
            if field not in ("text", "uri") and not in_metadata:
                raise UsageError(
                    f"anonymize: fields: {field!r} is not one of text, uri, metadata.KEY"
                )
        for kind in self.ner_kinds:
            if kind not in KINDS:
                raise UsageError(f"anonymize: ner_kinds: {one_of(kind, KINDS)}")
        known = {*ENTITIES, *NEEDS_A_MODEL}
        if self.recognizers or self.recognizer_files:
            known.update(presidio_recognizers(self._presidio()).entities)
        for entity in self.methods:
            if entity not in known:
                raise UsageError(f"anonymize: methods: {one_of(entity, sorted(known))}")
        if self.key is None and "pseudonym" in (self.method, *self.methods.values()):
            raise UsageError("anonymize: method 'pseudonym' needs a key: 'env:NAME' or 'file:PATH'")
        if self.key is not None:
            load_key(self.key)
        if self.ner != "none":
            self._names().check()

    def open(self) -> Apply:
        """Load key and recognizers (1 to 5 s); models are loaded when they are first needed."""
        key = None if self.key is None else load_key(self.key)
        anonymizer = Anonymizer(self.method, key, self.methods)
        scanner = self._scanner()
        finder = None
        if self.ner != "none":
            from corpusmill.privacy.ner import NameFinder

            finder = NameFinder(self._names())
        return lambda batch: self._apply(batch, anonymizer, scanner, finder)

    def _scanner(self) -> Scanner:
        return Scanner(self.entities, presidio=self._presidio())

    def _presidio(self) -> tuple[str, ...]:
        return (*self.recognizers, *self.recognizer_files)

    def _names(self) -> "NameSettings":
        from corpusmill.privacy.ner import NameSettings

        models = {"spacy_models": self.ner_models} if self.ner_models else {}
        assert self.ner != "none"
        return NameSettings(ner=self.ner, entities=self.ner_entities, **models)

    def _apply(
        self,
        batch: pa.RecordBatch,
        anonymizer: Anonymizer,
        scanner: Scanner,
        finder: "NameFinder | None",
    ) -> Outcome:
        treated: dict[int, list[tuple[str, Treated]]] = {}
        languages = batch.column("language").to_pylist()
        named = self._read_for_names(batch) if finder else np.zeros(batch.num_rows, np.bool_)
        documents = batch
        for field in self.fields:
            texts = _values(documents, field)

            def find(
                some: pa.Array, rows: Sequence[int], field: str = field
            ) -> list[list[Finding]]:
                found = scanner.find_all(some)
                if finder is None or field == "uri":
                    return found
                places = [at for at, row in enumerate(rows) if named[row] and some[at].is_valid]
                values = [some[at].as_py() for at in places]
                names = finder.find_all(values, [languages[rows[at]] for at in places])
                for at, value, more in zip(places, values, names, strict=True):
                    found[at] = [*found[at], *more]
                    if field in AUTHOR_FIELDS and "PERSON" in self.ner_entities:
                        found[at] += _authors(value)
                return found

            changed, done = anonymizer.anonymize(texts, find)
            for row, some in done.items():
                treated.setdefault(row, []).extend((field, one) for one in some)
            if changed is not texts:
                documents = _with_values(documents, field, changed)
        counts = np.zeros(batch.num_rows, np.float64)
        verdicts = Verdicts()
        for row in sorted(treated):
            counts[row] = len(treated[row])
            _judge(batch.column("id")[row].as_py(), treated[row], verdicts)
        return Outcome(
            documents=with_scores(documents, {"personal_data": counts}),
            verdicts=verdicts.batch(),
        )

    def _read_for_names(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Which documents models look at; shape [documents]."""
        kinds = pc.is_in(batch.column("kind"), value_set=pa.array(self.ner_kinds, pa.string()))
        chosen: npt.NDArray[np.bool_] = kinds.to_numpy(zero_copy_only=False).astype(np.bool_)
        if self.ner_sample < 1:
            chosen &= id_fraction(batch.column("id"), 0, SAMPLED_FOR_NAMES) < self.ner_sample
        return chosen


_AUTHOR = re.compile(
    r"[^\W\d_][^\s\d_,;:!?()\[\]{}<>\"/\\|@&+*=#]*(?:[ \u00a0][^\W\d_]"
    r"[^\s\d_,;:!?()\[\]{}<>\"/\\|@&+*=#]*){0,6}"
)


def _authors(value: str) -> list[Finding]:
    """Names between the signs that divide them; less sure than all that has a look of its own."""
    return [
        Finding(*match.span(), "PERSON", PLAUSIBLE / 2, "author_field")
        for match in _AUTHOR.finditer(value)
    ]


def _values(documents: pa.RecordBatch, field: str) -> pa.Array:
    """The column, or the values of one key of the metadata (null where there is none)."""
    if not field.startswith(METADATA_PREFIX):
        return documents.column(field)
    key = field.removeprefix(METADATA_PREFIX)
    return pc.map_lookup(documents.column("metadata"), pa.scalar(key), "first")


def _with_values(documents: pa.RecordBatch, field: str, values: pa.Array) -> pa.RecordBatch:
    """The documents with those values in the place of the field's."""
    if not field.startswith(METADATA_PREFIX):
        return with_column(documents, field, values)
    key = field.removeprefix(METADATA_PREFIX)
    rows: list[Any] = []
    for entries, value in zip(
        documents.column("metadata").to_pylist(), values.to_pylist(), strict=True
    ):
        rows.append(metadata_entries({**dict(entries), key: value}) if value else entries)
    kind = documents.schema.field("metadata").type
    return with_column(documents, "metadata", pa.array(rows, kind))


def _judge(document: str, treated: Sequence[tuple[str, Treated]], verdicts: Verdicts) -> None:
    """The document's row in the ledger: dropped, changed, or only counted."""
    dropping = sum(one.method == "drop" for _, one in treated)
    replaced = sum(one.method != "keep" for _, one in treated)
    detail = json.dumps(_detail(treated), sort_keys=True)
    if dropping:
        verdicts.add(document, Action.DROPPED, "personal_data", dropping, 0, detail)
    elif replaced:
        verdicts.add(document, Action.CHANGED, "anonymized", replaced, detail=detail)
    else:
        verdicts.add(document, Action.CHANGED, "counted", len(treated), detail=detail)


def _detail(treated: Sequence[tuple[str, Treated]]) -> Mapping[str, Any]:
    """Counts of entities, and [field, entity, start, end, recognizer, score, hash] of the first
    findings; the hash is left out without a key."""
    spans = [
        [field, one.entity, one.start, one.end, one.recognizer, round(one.score, 2)]
        + ([one.hash] if one.hash is not None else [])
        for field, one in treated[:MOST_SPANS]
    ]
    detail: dict[str, Any] = {
        "counts": Counter(one.entity for _, one in treated if one.method != "keep"),
        "spans": spans,
    }
    if kept := Counter(one.entity for _, one in treated if one.method == "keep"):
        detail["kept"] = kept
    if len(treated) > MOST_SPANS:
        detail["more"] = len(treated) - MOST_SPANS
    return detail
