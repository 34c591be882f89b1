"""Toxicity and adult content: what is measured, and that nothing is dropped unless asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.filters.toxicity import WordList, find_plain, read_word_list
from corpusmill.filters.toxicity_marks import adult_addresses, adult_labels
from corpusmill.stages.toxicity import Toxicity

ENTRIES = ["darn", "silly goose", "goose egg", "🖕", "Ärger"]
PIECES = [
    "darn",
    "Darn",
    "silly",
    "goose",
    "egg",
    "🖕",
    "ÄRGER",
    "good",
    "darned",
    ", ",
    "\n",
    "好",
]


def texts(values: list[str]) -> pa.Array:
    return pa.array(values, pa.large_string())


def measured(stage: Toxicity, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], Any]:
    stage.check()
    defaults = {"source": "s", "kind": "web", "uri": "https://example.org/", "language": "en"}
    batch = documents_from_rows(
        [{"id": f"{i}", **defaults, **row} for i, row in enumerate(rows)],
        document_schema(stage.score_fields()),
    )
    outcome = stage.open()(batch)
    assert outcome.documents.column("text").equals(batch.column("text"))
    return outcome.documents.column("scores").to_pylist(), outcome.verdicts.to_pylist()


@pytest.fixture
def words(tmp_path: Path) -> str:
    path = tmp_path / "words.txt"
    path.write_text("# a list\n" + "\n".join(ENTRIES) + "\n\n", "utf-8")
    return str(path)


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12), max_size=4))
def test_word_lists_find_what_the_definition_finds(pieces: list[list[str]]) -> None:
    values = [" ".join(words) for words in pieces]
    found = WordList(ENTRIES).find(texts(values))
    assert list(zip(found.share, found.distinct, strict=True)) == [
        pytest.approx(find_plain(value, ENTRIES)) for value in values
    ]


def test_whole_words_count_and_parts_of_words_do_not() -> None:
    found = WordList(["ass", "cum"]).find(texts(["assess the class, document cumulus", "an ASS."]))
    assert found.distinct.tolist() == [0, 1]
    assert found.share.tolist() == [0, 0.5]


def test_a_word_in_two_phrases_counts_once() -> None:
    found = WordList(["silly goose", "goose egg"]).find(texts(["a silly-goose egg"]))
    assert found.share.tolist() == [0.75]
    assert found.distinct.tolist() == [2]


def test_the_public_list_is_read_and_finds_all_of_its_entries(shared_data: Path) -> None:
    path = shared_data / "wordlists" / "ldnoobw-en.txt"
    entries = read_word_list(str(path))
    found = WordList(entries).find(texts(entries))
    assert (found.distinct >= 1).all()
    assert (found.share > 0.99).all()


@pytest.mark.parametrize(
    ("uri", "score"),
    [
        ("https://www.example.org/news/sussex-police", 0.0),
        ("https://www.essex.ac.uk/adult-education", 0.5),
        ("http://freeporn123.example/x", 1.0),
        ("https://example.org/nude/webcam", 1.0),
        ("https://example.org/gay-rights-and-sex-education", 0.5),
        ("https://example.org/XXX/", 1.0),
        ("book.txt#3", None),
        ("", None),
    ],
)
def test_addresses_are_judged_by_their_words(uri: str, score: float | None) -> None:
    found = adult_addresses(pa.array([uri]))[0]
    assert np.isnan(found) if score is None else found == score


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Rated RTA-5042-1996-1400-1577-RTA.", 1),
        ("You must be at least 18 years old. Adults only!", 2),
        ("18+ entry", 1),
        ("18 U.S.C. 2257 Record-Keeping Requirements", 1),
        ("18+5 is 23, and C18+ is no age", 0),
        ("She was over 18 when adults came only later.", 0),
        ("", 0),
    ],
)
def test_labels_of_adult_sites_are_counted(text: str, labels: int) -> None:
    assert adult_labels(texts([text])).tolist() == [labels]


def test_nothing_is_dropped_unless_a_threshold_is_given(words: str) -> None:
    rows = [{"text": "darn darn darn", "uri": "http://porn.example/"}, {"text": ""}]
    scores, verdicts = measured(Toxicity(words=(words,)), rows)
    assert verdicts == []
    assert scores[0]["toxicity_words"] == 1.0
    assert scores[0]["toxicity_distinct"] == 1.0
    assert scores[0]["adult_url"] == 1.0
    assert scores[1]["toxicity_words"] == 0.0


def test_what_is_above_a_threshold_is_dropped_and_the_words_are_not_recorded(words: str) -> None:
    rows = [{"text": "darn it"}, {"text": "all is well"}, {"text": "you silly goose"}]
    stage = Toxicity(words=(words,), max_toxicity_words=0.55)
    _, verdicts = measured(stage, rows)
    assert [(v["id"], v["reason"]) for v in verdicts] == [("2", "toxicity_words_above_maximum")]
    assert verdicts[0]["value"] == pytest.approx(2 / 3)
    assert verdicts[0]["threshold"] == 0.55
    assert verdicts[0]["detail"] is None


def test_a_document_just_at_the_threshold_is_kept(words: str) -> None:
    rows = [{"text": "darn darn darn it all"}, {"text": "darn darn it"}]  # shares 0.6 and 0.67
    _, verdicts = measured(Toxicity(words=(words,), max_toxicity_words=0.6), rows)
    assert [v["id"] for v in verdicts] == ["1"]  # 0.6 as float32 is larger than 0.6 as float64


def test_languages_are_codes_and_the_plan_says_what_is_not_measured(words: str) -> None:
    with pytest.raises(ValidationError, match="language 'english' is not one of"):
        Toxicity(words=(words,), languages=("english",))
    assert Toxicity(words=(words,)).facts() == []
    (fact,) = Toxicity(words=(words,), languages=("en",)).facts()
    assert "documents in en only" in fact
    assert "stage language before it" in fact


def test_lists_of_a_language_measure_documents_in_it_only(tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text("die\n")
    (tmp_path / "de.txt").write_text("Mist\n")
    files = (str(tmp_path / "en.txt"), str(tmp_path / "de.txt"))
    stage = Toxicity(words=files, languages=("en", "de"))
    rows: list[dict[str, Any]] = [
        {"text": "die Frau", "language": "de"},
        {"text": "to die", "language": "en"},
        {"text": "la mort", "language": "fr"},
        {"text": "die", "language": None},
    ]
    scores, _ = measured(stage, rows)
    assert [row["toxicity_words"] for row in scores] == [0.0, 0.5, None, None]
    everywhere, _ = measured(Toxicity(words=files), rows)
    assert [row["toxicity_words"] for row in everywhere] == [0.5, 0.5, 0.0, 1.0]


def test_settings_that_do_not_fit_are_refused(words: str) -> None:
    with pytest.raises(ValidationError, match="names 2, and words has 1"):
        Toxicity(words=(words,), languages=("en", "de"))
    with pytest.raises(ValidationError, match="toxicity_words is not measured"):
        Toxicity(max_toxicity_words=0.1)
    with pytest.raises(ValidationError, match="languages: are those of words"):
        Toxicity(languages=("en",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no word in it"),
        (b"\xff\xfe\xfa", "is not text in UTF-8"),
        (b"fine\n" + b"word " * 11, r"words.txt:2: more than 10 words"),
    ],
)
def test_lists_that_are_badly_formed_are_named(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        Toxicity(words=(str(path),)).check()
    with pytest.raises(UsageError, match="cannot be read"):
        Toxicity(words=(str(tmp_path / "nowhere"),)).check()


def test_strange_texts_have_finite_scores(words: str) -> None:
    strange = ["", " ", "\0", "!" * 10_000, "x" * 1_000_000, "مرحبا", "😀🖕", "darn" * 1000]
    scores, _ = measured(Toxicity(words=(words,)), [{"text": text} for text in strange])
    for row in scores:
        assert 0 <= row["toxicity_words"] <= 1
        assert row["adult_labels"] == 0
    assert scores[6]["toxicity_words"] == 1.0
