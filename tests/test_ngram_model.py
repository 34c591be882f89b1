"""The n-gram model: equal to its plain twin, exact in training, finite on any text."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.errors import RunError
from corpusmill.filters import ngram_count, ngram_table
from corpusmill.filters.ngram_model import VOCABULARY, NgramModel, word_rows
from corpusmill.filters.ngram_plain import PlainNgramModel
from corpusmill.filters.ngram_text import hash_words, plain_words

SENTENCES = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=12).map(" ".join), max_size=12)


def array(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def trained(texts: list[str], order: int = 5) -> NgramModel:
    return NgramModel.train([word_rows(array(texts))], order)


@pytest.fixture(scope="module")
def prose(shared_data: Path) -> list[str]:
    """Paragraphs of English articles."""
    text = (shared_data / "prose" / "wikitext-2-valid.txt").read_text()
    return [line.strip() for line in text.splitlines() if len(line) > 200]


@given(SENTENCES, SENTENCES, st.integers(2, 6))
@settings(max_examples=60)
def test_the_tables_and_the_plain_twin_give_the_same_probabilities(
    learnt: list[str], judged: list[str], order: int
) -> None:
    twin = PlainNgramModel([plain_words(text) for text in learnt], order)
    judged = [*judged, "", "a unseen b", *learnt[:2]]
    found = trained(learnt, order).score(array(judged)).log_probability
    expected = [twin.log_probability(plain_words(text)) for text in judged]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_on_real_prose_tables_and_twin_agree(prose: list[str]) -> None:
    learnt, held_out = prose[:25], prose[25:29]
    twin = PlainNgramModel([plain_words(text) for text in learnt], 5)
    scores = trained(learnt).score(array(held_out))
    expected = [twin.log_probability(plain_words(text)) for text in held_out]
    np.testing.assert_allclose(scores.log_probability, expected, rtol=1e-9)
    vocabulary = {word for text in learnt for word in plain_words(text)}
    unknown = [np.mean([word not in vocabulary for word in plain_words(text)]) for text in held_out]
    np.testing.assert_allclose(scores.unknown, unknown)


@pytest.mark.parametrize(
    "context", [(), ("the",), ("of", "the"), ("not", "there"), ("a", "b", "c")]
)
def test_the_probabilities_of_all_words_add_up_to_one(
    context: tuple[str, ...],
) -> None:
    text = "the cat and the dog of the house saw a cat of the other house . " * 2 + "a b c d"
    twin = PlainNgramModel([text.split(), ["of", "the"]], 4)
    known = set(text.split())
    total = sum(twin.probability(word, context) for word in known)
    total += (VOCABULARY - len(known)) * twin.probability("never seen", context)
    assert total == pytest.approx(1)


@given(SENTENCES, st.integers(0, 2**32))
@settings(max_examples=50)
def test_training_is_the_same_in_any_grouping_and_exact_in_any_order(
    texts: list[str], seed: int
) -> None:
    whole = trained(texts, 4)
    chance = random.Random(seed)
    pieces: list[pa.Table | pa.RecordBatch] = [word_rows(array([text])) for text in texts]
    middle = chance.randint(0, len(pieces))
    if middle:
        grouped = [pa.Table.from_batches(pieces[:middle]), *pieces[middle:]]
        np.testing.assert_array_equal(NgramModel.train(grouped, 4).image, whole.image)
    chance.shuffle(pieces)
    shuffled = NgramModel.train(pieces, 4)
    asked = array(["a b c d e f g", *texts])
    np.testing.assert_array_equal(
        shuffled.score(asked).log_probability, whole.score(asked).log_probability
    )


@given(SENTENCES, SENTENCES, st.integers(2, 6))
@settings(max_examples=30)
def test_many_small_shelves_count_as_one(learnt: list[str], judged: list[str], order: int) -> None:
    texts = array([*judged, *learnt[:2], "a unseen b"])
    one = trained(learnt, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngram_count, "WORDS_ON_SHELF", 2)
        many = trained(learnt, order)
    assert many.shelves > 8 or sum(map(len, learnt)) < 32
    np.testing.assert_array_equal(
        many.score(texts).log_probability, one.score(texts).log_probability
    )


def test_perplexity_is_near_that_of_modified_kneser_ney(prose: list[str]) -> None:
    """Closed vocabulary: words that were not learnt are one word, `<unk>` to the plain model."""
    learnt = [plain_words(text) for i, text in enumerate(prose) if i % 10]
    vocabulary = {word for text in learnt for word in text}
    held_out = [
        [word if word in vocabulary else "\ue000" for word in plain_words(text)]
        for text in prose[::10]
    ]
    size = len(vocabulary) + 1
    twin = PlainNgramModel(learnt, 5, modified=True, vocabulary=size)
    model = NgramModel.train([word_rows(array(list(map(" ".join, learnt))))], 5, vocabulary=size)
    scores = model.score(array(list(map(" ".join, held_out))))
    lengths = np.array(list(map(len, held_out)))
    found = np.exp(-np.average(scores.log_probability, weights=lengths))
    expected = np.exp(-np.average(list(map(twin.log_probability, held_out)), weights=lengths))
    assert 80 < expected < 120
    assert found == pytest.approx(expected, rel=0.1)


def test_real_prose_is_likelier_than_the_same_words_shuffled_or_garbled(prose: list[str]) -> None:
    model = trained(prose[:600])
    chance = random.Random(1)
    held_out = prose[600:680]
    shuffled = [" ".join(chance.sample(t.split(), len(t.split()))) for t in held_out]
    garbled = [
        "".join(chance.choice("etaoin") if chance.random() < 0.06 else c for c in t)
        for t in held_out
    ]
    clean = model.score(array(held_out)).log_probability
    assert (clean > model.score(array(shuffled)).log_probability).mean() > 0.95
    assert (clean > model.score(array(garbled)).log_probability).mean() > 0.95


@pytest.mark.parametrize("learnt", [[], [""], ["one"], ["a b a b a b"], ["!?!"], ["x " * 1000]])
def test_every_text_has_a_finite_score_under_every_model(learnt: list[str]) -> None:
    texts = [
        "",
        " \n\t",
        "word",
        "!!! ??? ###",
        "👍" * 50,
        "שלום עולם",
        "مرحبا" * 2000,
        "a b",
        "x x x",
    ]
    scores = trained(learnt).score(array(texts))
    assert np.isfinite(scores.log_probability).all()
    assert np.isfinite(scores.perplexity).all()
    assert ((scores.unknown >= 0) & (scores.unknown <= 1)).all()
    assert scores.unknown[0] == 1


def test_a_stored_model_gives_the_same_scores(tmp_path: Path) -> None:
    model = trained(["the cat sat on the mat", "the dog sat on the cat"], 3)
    path = tmp_path / "model.ngram"
    model.write(str(path))
    stored = NgramModel.read(str(path))
    texts = array(["the cat sat", "a mat", ""])
    assert not stored.image.flags.writeable
    np.testing.assert_array_equal(
        stored.score(texts).log_probability, model.score(texts).log_probability
    )


@pytest.mark.parametrize("damage", ["cut", "other", "short", "empty"])
def test_what_is_not_a_whole_model_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.ngram"
    trained(["the cat sat on the mat"]).write(str(path))
    data = path.read_bytes()
    path.write_bytes(
        {"cut": data[:-64], "other": b"x" * len(data), "short": b"{}", "empty": b""}[damage]
    )
    with pytest.raises(RunError, match="not a whole n-gram model"):
        NgramModel.read(str(path))


def test_tables_are_sized_from_a_count(prose: list[str]) -> None:
    for model in (trained(prose[:40]), trained(prose), trained(["x " * 100_000])):
        twin_size = np.count_nonzero(model.table.reshape(-1, 16)[1:, :4])
        sizes = ngram_table.LINE << (64 - model.directory[:, 1])
        for first, size in zip(model.directory[:, 0], sizes, strict=True):
            shelf = model.table[first : first + size].reshape(-1, 16)
            used = np.count_nonzero(shelf[:, :4])
            assert used <= ngram_table.MAXIMUM_LOAD * size / 4
            assert used > ngram_table.MAXIMUM_LOAD * size / 8 or size == 2 * ngram_table.LINE
        assert sizes.sum() == len(model.table) - ngram_table.LINE
        assert twin_size > 0


def test_a_single_line_of_megabytes_is_scored_at_once(prose: list[str]) -> None:
    model = trained(prose[:50])
    line = "word" * 1_000_000 + " and so on" * 200_000
    words, _ = hash_words(array([line]))
    assert len(words) == 2 + 600_000
    assert np.isfinite(model.score(array([line])).perplexity).all()
