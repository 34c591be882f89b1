"""The stage `anonymize`: takes direct identifiers out of text and metadata."""

import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpusmill import plugins
from corpusmill.document import KINDS, id_fraction, metadata_entries, with_column, with_scores
from corpusmill.errors import UsageError, one_of
from corpusmill.privacy.entities import (
    ENTITIES,
    NEEDS_A_MODEL,
    Method,
    check_entities,
    check_installed,
)
from corpusmill.privacy.finding import PLAUSIBLE, Finding
from corpusmill.privacy.keys import load_key
from corpusmill.privacy.ner_spacy import MODELS
from corpusmill.privacy.presidio import presidio_recognizers
from corpusmill.stage import Apply, Names, NarrowStage, Outcome, Stage, Verdicts
from corpusmill.stages.anonymize_ledger import judge

if TYPE_CHECKING:  # patterns take half a CPU-second to compile
    from corpusmill.privacy.anonymizer import Anonymizer, Treated
    from corpusmill.privacy.ner import NameFinder, NameSettings
    from corpusmill.privacy.recognizer import Recognizer
    from corpusmill.privacy.recognizers import Scanner

METADATA_KEYS = frozenset(("title", "author", "authors", "editor", "description", "date"))
"""Some that readers of documents write."""
METADATA_PREFIX = "metadata."
ALL_METADATA = "metadata.*"
REPEATED_URI = "metadata.canonical_url"
"""The address of a page as the page itself gives it: most often the same as `uri`."""
AUTHOR_FIELDS = frozenset(
    METADATA_PREFIX + key for key in ("author", "authors", "creator", "contributor", "editor")
)
"""Fields whose value is somebody's name as a whole, where names are looked for."""
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
    """What is searched: `text`, `uri` (with `metadata.canonical_url`, which repeats it),
    `metadata.KEY`, `metadata.*` (all of its values). Nothing else is looked at or changed."""
    entities: Names = ENTITIES
    """What patterns look for."""
    recognizers: Names = ()
    """Recognizers to run as well: of other packages (docs/extending.md) by their names, and of
    Presidio by those of their classes, as in [AuAcnRecognizer]. The latter read some 0.1 MB for
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
        """A megabyte of nothing but identifiers takes 10 to 30 s, most of it in the numbering plans
        of phones. Models read some 10 kB in a CPU-second, several times where something is found.
        """
        return 60.0 if self.ner == "none" else 2000.0

    @property
    def memory_mb(self) -> int:
        """Models are loaded when the first text in their language comes; spaCy's bring 2 GB of
        address space with them, of which they use a tenth."""
        return super().memory_mb if self.ner == "none" else 6144

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
                hint = f" (did you mean 'metadata.{field}'?)" if field in METADATA_KEYS else ""
                raise UsageError(
                    f"anonymize: fields: {field!r} is not one of text, uri, metadata.KEY" + hint
                )
        if not self.fields:
            raise UsageError("anonymize: fields: names none, so nothing would be anonymized")
        for name in self.recognizers:
            if name.endswith((".yaml", ".yml")):
                raise UsageError(f"anonymize: recognizers: {name!r} belongs to recognizer_files")
        for path in self.recognizer_files:
            if not path.endswith((".yaml", ".yml")):
                raise UsageError(f"anonymize: recognizer_files: {path!r} is no .yaml or .yml file")
        self._check_methods()
        if self.key is None and "pseudonym" in (self.method, *self.methods.values()):
            raise UsageError("anonymize: method 'pseudonym' needs a key: 'env:NAME' or 'file:PATH'")
        if self.key is not None:
            load_key(self.key)
        self._check_names()

    def _check_methods(self) -> None:
        """A method for something that is not looked for would do nothing."""
        looked_for = {*self.entities}
        if self.ner != "none":
            looked_for.update(self.ner_entities)
        if self._presidio():
            looked_for.update(presidio_recognizers(self._presidio()).entities)
        if self._offered():
            looked_for.update(entity for other in self._others() for entity in other.entities)
        if not looked_for:
            raise UsageError("anonymize: entities: names none, so nothing would be anonymized")
        for entity in self.methods:
            if entity not in looked_for:
                known = {*ENTITIES, *NEEDS_A_MODEL, *looked_for}
                unknown = "is not looked for: see entities, ner and recognizers"
                raise UsageError(
                    f"anonymize: methods: {entity!r} {unknown}"
                    if entity in known
                    else f"anonymize: methods: {one_of(entity, sorted(known))}"
                )

    def _check_names(self) -> None:
        for kind in self.ner_kinds:
            if kind not in KINDS:
                raise UsageError(f"anonymize: ner_kinds: {one_of(kind, KINDS)}")
        if self.ner == "none":
            return
        for setting in ("ner_kinds", "ner_entities"):
            if not getattr(self, setting):
                raise UsageError(f"anonymize: {setting}: names none, so ner would find nothing")
        self._names().check()
        for language, name in self._spacy_models().items():
            if model_data(name) is None:
                raise UsageError(
                    f"anonymize: ner_models.{language}: {name!r} is no model of spaCy: it has no "
                    "config.cfg"
                )

    def _spacy_models(self) -> dict[str, str]:
        """Language and model, of those that are used."""
        if self.ner not in ("auto", "spacy"):
            return {}
        return self.ner_models or dict(MODELS)

    def content_files(self) -> dict[str, list[str]]:
        """Models of spaCy are known by what they hold, wherever they are installed."""
        files = self.named_files()
        for language, name in self._spacy_models().items():
            if folder := model_data(name):
                files[f"ner_models.{language}"] = [folder]
        return files

    def with_paths(self, resolve: Callable[[str], str]) -> Stage:
        """Folders of models are paths as well, names of packages are not."""
        stage = super().with_paths(resolve)
        models = {
            language: name if name.isidentifier() else resolve(name)
            for language, name in self.ner_models.items()
        }
        return stage.model_copy(update={"ner_models": models})

    def open(self) -> Apply:
        """Load key and recognizers (1 to 5 s); models are loaded when they are first needed."""
        from corpusmill.privacy.anonymizer import Anonymizer

        key = None if self.key is None else load_key(self.key)
        anonymizer = Anonymizer(self.method, key, self.methods)
        scanner = self._scanner()
        finder = None
        if self.ner != "none":
            from corpusmill.privacy.ner import NameFinder

            finder = NameFinder(self._names())
        return lambda batch: self._apply(batch, anonymizer, scanner, finder)

    def _scanner(self) -> "Scanner":
        from corpusmill.privacy.recognizers import Scanner

        return Scanner(self.entities, presidio=self._presidio(), others=self._others())

    def _presidio(self) -> tuple[str, ...]:
        names = [n for n in self.recognizers if not plugins.is_offered("recognizers", n)]
        return (*names, *self.recognizer_files)

    def _others(self) -> "tuple[Recognizer, ...]":
        from corpusmill.privacy.recognizers import plugin_recognizers

        return plugin_recognizers(self._offered())

    def _offered(self) -> list[str]:
        return [name for name in self.recognizers if plugins.is_offered("recognizers", name)]

    def used_plugins(self) -> tuple[plugins.Plugin, ...]:
        """The recognizers of other packages."""
        return (*super().used_plugins(), *plugins.found("recognizers", self._offered()))

    def _names(self) -> "NameSettings":
        from corpusmill.privacy.ner import NameSettings

        models = {"spacy_models": self.ner_models} if self.ner_models else {}
        assert self.ner != "none"
        return NameSettings(ner=self.ner, entities=self.ner_entities, **models)

    def _apply(
        self,
        batch: pa.RecordBatch,
        anonymizer: "Anonymizer",
        scanner: "Scanner",
        finder: "NameFinder | None",
    ) -> Outcome:
        treated: dict[int, list[tuple[str, Treated]]] = {}
        languages = batch.column("language").to_pylist()
        named = self._read_for_names(batch) if finder else np.zeros(batch.num_rows, np.bool_)
        documents = batch
        for field in _single_fields(self.fields, batch):
            texts = _values_of(documents, field)

            def find(
                some: pa.Array, rows: Sequence[int], field: str = field
            ) -> list[list[Finding]]:
                found = scanner.find_all(some)
                if finder is None or field in ("uri", REPEATED_URI):
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
            judge(batch.column("id")[row].as_py(), treated[row], verdicts)
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


def model_data(name: str) -> str | None:
    """Where the data of a spaCy model lie, by the name of an installed package or its folder; None
    where there is none. Nothing is imported."""
    folders = [Path(name)] if Path(name).is_dir() else []
    if not folders and name.isidentifier() and (spec := importlib.util.find_spec(name)):
        packages = map(Path, spec.submodule_search_locations or ())
        folders = [config.parent for place in packages for config in place.glob("*/config.cfg")]
    return next((str(folder) for folder in folders if (folder / "config.cfg").is_file()), None)


def _single_fields(asked: Sequence[str], documents: pa.RecordBatch) -> list[str]:
    """Single fields, each once; the keys of metadata are those that these documents have."""
    fields: dict[str, None] = {}
    for field in asked:
        if field == ALL_METADATA:
            keys = {
                key for entries in documents.column("metadata").to_pylist() for key, _ in entries
            }
            fields.update(dict.fromkeys(METADATA_PREFIX + key for key in sorted(keys)))
        else:
            fields[field] = None
            if field == "uri":
                fields[REPEATED_URI] = None
    return list(fields)


def _values_of(documents: pa.RecordBatch, field: str) -> pa.Array:
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
