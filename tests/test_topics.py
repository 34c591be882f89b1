"""Topics: found by seed words or learned from labels, and the same for any division of the work."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.verbs_fixture import PlainVerbs, apply_to_parts, ids, write_parts

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.filters.term_labels import LabelledTerms, find_plain
from corpusmill.filters.topic_model import TopicModel, topics_of_model
from corpusmill.filters.topic_seeds import read_seeds
from corpusmill.filters.topic_training import weak_examples
from corpusmill.stages.topics import SCORE, Topics

SEEDS = {
    "sea": ("boat", "sail", "harbour", "anchor", "open sea"),
    "bread": ("flour", "dough", "oven", "crust", "bake"),
}
BESIDE = {
    "sea": "captain storm deck salt gull".split(),
    "bread": "loaf warm rye slice knead".split(),
}
FILLER = "the a was and they then some of very old new people went there again".split()


def sentence(topic: str, chance: random.Random, seeds: int = 3) -> str:
    """Words of a topic among others; `seeds` of them are seed words."""
    found = [
        *chance.sample(SEEDS[topic], seeds),
        *chance.choices(BESIDE[topic], k=6),
        *chance.choices(FILLER, k=12),
    ]
    chance.shuffle(found)
    return " ".join(found)


def corpus(documents: int = 120) -> list[dict[str, Any]]:
    """Documents that take turns between two topics, in English."""
    chance = random.Random(1)
    return [
        {"id": document, "text": sentence(topic, chance), "language": "en", "topic": topic}
        for number, document in enumerate(ids(documents))
        for topic in [sorted(SEEDS)[number % 2]]
    ]


def seeds_file(folder: Path, seeds: dict[str, Any] | None = None) -> str:
    """A file of seed words."""
    path = folder / "seeds.yaml"
    plain = {"en": {topic: list(found) for topic, found in (seeds or SEEDS).items()}}
    path.write_text(json.dumps(plain))
    return str(path)


def run_topics(
    folder: Path,
    rows: list[dict[str, Any]],
    stage: Topics,
    *,
    partitions: int = 3,
    batch_rows: int = 7,
) -> tuple[dict[str, tuple[str, float | None]], list[dict[str, Any]], PlainVerbs]:
    """Topic and score of each document that is left, the verdicts, and the verbs."""
    stage.check()
    plain = [{k: v for k, v in row.items() if k != "topic"} for row in rows]
    parts = write_parts(folder, [plain[0::2], plain[1::2]], scores=(SCORE,))
    used = PlainVerbs(folder / "work", partitions=partitions, batch_rows=batch_rows)
    kept, verdicts = apply_to_parts(stage.prepare(used, parts), parts)
    columns = (kept.column(name).to_pylist() for name in ("id", "metadata", "scores"))
    found = {
        document: (dict(metadata)["topic"], scores[SCORE])
        for document, metadata, scores in zip(*columns, strict=True)
    }
    return found, verdicts, used


@given(st.text(st.sampled_from("abé ẞ-.'\n\u00ad"), max_size=40), st.data())
def test_the_kernel_counts_terms_as_the_plain_definition_does(
    text: str, data: st.DataObject
) -> None:
    term = st.text(st.sampled_from("abéß -"), max_size=4)
    terms = data.draw(st.dictionaries(st.sampled_from("xyz"), st.lists(term), min_size=1))
    labelled = LabelledTerms(terms)
    found = labelled.find(pa.array(["a b", text, ""], pa.large_string()))
    expected = find_plain(text, terms)
    for i, label in enumerate(labelled.labels):
        assert (found.hits[1, i], found.distinct[1, i]) == expected[label]


def test_a_window_is_an_example_only_if_its_seed_words_agree() -> None:
    texts = ["boat and sail", "boat once", "boat sail dough flour", "the open  SEA, an Anchor!"]
    found = weak_examples(pa.array(texts, pa.large_string()), SEEDS)
    assert list(zip(found.topics, found.lines, strict=True)) == [
        ("sea", "boat and sail"),
        ("sea", "the open sea , an anchor !"),
    ]


def test_the_shipped_seeds_tell_at_least_twenty_topics() -> None:
    shipped = read_seeds()["en"]
    assert len(shipped) >= 20
    stood: set[str] = set()
    for seeds in shipped.values():
        assert len(seeds) >= 40
        assert stood.isdisjoint(seeds)
        stood.update(seeds)


def test_documents_get_the_topic_of_their_seed_words(tmp_path: Path) -> None:
    rows = corpus()
    found, verdicts, verbs = run_topics(tmp_path, rows, Topics(seeds=seeds_file(tmp_path)))
    assert not verdicts
    assert {row["id"]: row["topic"] for row in rows} == {d: t for d, (t, _) in found.items()}
    assert any(note.startswith("topics: 120 examples of 2 topics") for note in verbs.notes)


def test_the_classifier_knows_a_topic_without_its_seed_words(tmp_path: Path) -> None:
    rows = corpus()
    chance = random.Random(2)
    new = [
        {"id": document, "text": sentence("sea", chance, seeds=0), "language": "en"}
        for document in ids(140)
        if document not in {row["id"] for row in rows}
    ]
    found, _, _ = run_topics(tmp_path, [*rows, *new], Topics(seeds=seeds_file(tmp_path)))
    assert len(new) == 20
    assert {found[row["id"]][0] for row in new} == {"sea"}


def test_other_languages_code_and_empty_texts_are_unknown(tmp_path: Path) -> None:
    rows = corpus()
    rows[0] |= {"language": "fr"}
    rows[1] |= {"kind": "code"}
    rows[2] |= {"text": ""}
    rows[3] |= {"language": None}
    found, _, _ = run_topics(tmp_path, rows, Topics(seeds=seeds_file(tmp_path)))
    for row in rows[:3]:
        assert found[row["id"]] == ("unknown", None)
    assert found[rows[3]["id"]][0] == rows[3]["topic"]


def test_a_minimum_that_nothing_reaches_leaves_every_topic_unknown(tmp_path: Path) -> None:
    stage = Topics(seeds=seeds_file(tmp_path), min_score=1.0)
    found, _, _ = run_topics(tmp_path, corpus(), stage)
    below = [topic for topic, score in found.values() if score is not None and score < 1]
    assert below
    assert set(below) == {"unknown"}


@pytest.mark.parametrize(
    ("setting", "reason", "left"),
    [({"keep": ["sea"]}, "topic_not_kept", "sea"), ({"drop": ["sea"]}, "topic_dropped", "bread")],
)
def test_topics_are_kept_and_dropped_by_name(
    tmp_path: Path, setting: dict[str, Any], reason: str, left: str
) -> None:
    rows = corpus()
    stage = Topics(seeds=seeds_file(tmp_path), **setting)
    found, verdicts, _ = run_topics(tmp_path, rows, stage)
    assert {topic for topic, _ in found.values()} == {left}
    assert len(verdicts) == 60
    for verdict in verdicts:
        assert (verdict["action"], verdict["reason"], verdict["threshold"]) == (
            "dropped",
            reason,
            0.3,
        )
        assert verdict["value"] > 0.3
        assert verdict["detail"] in SEEDS


def test_the_result_does_not_depend_on_how_work_is_divided(tmp_path: Path) -> None:
    stage = Topics(seeds=seeds_file(tmp_path))
    first, _, a = run_topics(tmp_path / "a", corpus(), stage, partitions=1, batch_rows=64)
    again, _, b = run_topics(tmp_path / "b", corpus(), stage, partitions=4, batch_rows=3)
    assert first == again
    assert storage.checksum_file(f"{a.work}/topics.bin") == storage.checksum_file(
        f"{b.work}/topics.bin"
    )


def test_labelled_text_teaches_any_topics_in_any_language(tmp_path: Path) -> None:
    chance = random.Random(3)
    lines = [
        {"text": sentence(topic, chance), "label": f"my-{topic}", "other": 1}
        for topic in [*SEEDS] * 60
    ]
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [{**row, "language": "fi"} for row in corpus()]
    found, _, verbs = run_topics(tmp_path, rows, Topics(labelled=(str(labelled),)))
    assert {row["id"]: f"my-{row['topic']}" for row in rows} == {
        d: t for d, (t, _) in found.items()
    }
    # and the model that came of it serves another run
    model = f"{verbs.work}/topics.bin"
    assert topics_of_model(model) == ["my-bread", "my-sea"]
    again, _, _ = run_topics(tmp_path / "again", rows, Topics(model=model))
    assert again == found


def test_a_long_document_is_judged_by_windows_that_lie_over_all_of_it(tmp_path: Path) -> None:
    _, _, verbs = run_topics(tmp_path, corpus(), Topics(seeds=seeds_file(tmp_path)))
    chance = random.Random(4)
    half = {t: " ".join(sentence(t, chance) for _ in range(800)) for t in SEEDS}
    model = TopicModel(f"{verbs.work}/topics.bin")
    texts = [f"{half['sea']} {half['bread']}", half["sea"], "", "?"]
    found = model.probabilities(pa.array(texts, pa.large_string()))
    assert len(texts[0]) > 100_000
    assert found[0] == pytest.approx([0.5, 0.5], abs=0.1)
    assert found[1, model.topics.index("sea")] > 0.9
    assert np.isnan(found[2]).all()
    assert model.probabilities(pa.array([], pa.large_string())).shape == (0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("en: &a {x: *a}", "anchors and aliases"),
        ("[en]", "no mapping of languages"),
        ("xx: {a: [b]}", "language 'xx'"),
        ("no: {a: [b]}", "write Norwegian as 'no'"),
        ("en: {a b: [a, b, c, d, e], c: [a, b, c, d, e]}", "topic 'a b'"),
        ("en: {unknown: [a, b, c, d, e], c: [a, b, c, d, e]}", "topic 'unknown'"),
        ("en: {a: [a, b, c, d], c: [a, b, c, d, e]}", "a: has fewer than 5 words"),
        ("en: {a: [1, b, c, d, e], c: [a, b, c, d, e]}", "a: is no list of words"),
        ("en: {a: [a, b, c, d, e]}", "has 1 topics"),
        ("en: [", "is not YAML"),
        (b"\xff\xfe", "is not text in UTF-8"),
    ],
)
def test_a_bad_file_of_seed_words_is_named_with_what_is_wrong(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = tmp_path / "seeds.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as error:
        Topics(seeds=str(path)).check()
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{\n", ":1: is not JSON"),
        ('{"text": "a"}\n', ":1: needs the strings"),
        ('{"text": "secret", "label": "a b"}\n', ":1: label:"),
        ('{"text": "a", "label": "b"}\n' * 3, "has 3 texts"),
        ('{"text": " .", "label": "b"}\n' * 30, "has 0 texts"),
        ('{"text": "a", "label": "b"}\n' * 30, "the only label is b"),
    ],
)
def test_bad_labelled_text_is_named_without_being_quoted(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        Topics(labelled=(str(path),)).check()
    assert message in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": "a", "model": "b"}, "topics have one origin"),
        ({"model": "b", "train_mb": 3}, "train_mb: is for seed words"),
        ({"keep": ["a"], "drop": "a"}, "drop: a is to be kept"),
        ({"languages": "english"}, "languages: 'english' is not one of"),
        ({"min_score": float("nan")}, "min_score"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as error:
        Topics(**settings)
    assert message in str(error.value)


def test_an_unknown_topic_or_language_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match=r"keep: 'sport' .*did you mean 'sports'"):
        Topics(keep=("sport",)).check()
    with pytest.raises(UsageError, match="languages: no seed words: 'de'"):
        Topics(languages=("de",)).check()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model at all")
    with pytest.raises(UsageError, match="not a whole fastText model"):
        Topics(model=str(tmp_path / "model.bin")).check()
