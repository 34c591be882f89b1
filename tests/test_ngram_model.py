"""The n-gram model: equal to its plain twin, exact in training, finite on any text."""

import random
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.errors import RunError
from corpusmill.filters import ngram_model
from corpusmill.filters.ngram_counts import count_windows, fold_windows
from corpusmill.filters.ngram_model import VOCABULARY, NgramModel
from corpusmill.filters.ngram_plain import PlainNgramModel
from corpusmill.filters.ngram_text import hash_words, plain_words

SENTENCES = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=12).map(" ".join), max_size=12)


def array(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def rows_of(texts: list[str], order: int) -> pa.Table:
    return pa.Table.from_batches([count_windows(array(texts), order)])


def trained(texts: list[str], order: int = 5) -> NgramModel:
    return NgramModel.train(fold_windows(rows_of(texts, order), order), order)


@pytest.fixture(scope="module")
def prose(shared_data: Path) -> list[str]:
    """Paragraphs of English articles."""
    text = (shared_data / "prose" / "wikitext-2-valid.txt").read_text()
    return [line.strip() for line in text.splitlines() if len(line) > 200]


@given(SENTENCES, SENTENCES, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
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
@settings(max_examples=50, deadline=None)
def test_training_is_exact_in_any_order_and_grouping(texts: list[str], seed: int) -> None:
    fold = partial(fold_windows, order=4)
    whole = fold(rows_of(texts, 4))
    chance = random.Random(seed)
    pieces = [fold(rows_of([text], 4)) for text in texts] or [fold(rows_of([], 4))]
    while len(pieces) > 1:
        chance.shuffle(pieces)
        pieces.append(fold(pa.concat_tables([pieces.pop(), pieces.pop()])))
    assert fold(pieces[0]).equals(whole)
    np.testing.assert_array_equal(
        NgramModel.train(pieces[0], 4).numbers, NgramModel.train(whole, 4).numbers
    )


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
    model.write(str(tmp_path / "model.arrow"))
    stored = NgramModel.read(str(tmp_path / "model.arrow"))
    texts = array(["the cat sat", "a mat", ""])
    assert not stored.numbers.flags.writeable
    np.testing.assert_array_equal(
        stored.score(texts).log_probability, model.score(texts).log_probability
    )
    pa.ipc.new_file(str(tmp_path / "other"), pa.schema([])).close()
    with pytest.raises(RunError, match="not an n-gram model"):
        NgramModel.read(str(tmp_path / "other"))


def test_a_table_past_its_planned_occupancy_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram_model, "_distinct_below", lambda windows: 10.0)
    with pytest.raises(RunError, match="planned occupancy"):
        trained([" ".join(map(chr, range(1000, 1500)))])


def test_tables_are_sized_from_a_count(prose: list[str]) -> None:
    small, large = trained(prose[:40]), trained(prose[:400])
    for model in (small, large):
        used = np.count_nonzero(model.entries[:, 1:].any(axis=1))
        assert 0.3 < used / model.slots[0] <= ngram_model.MAXIMUM_LOAD + 0.02
    assert large.slots[0] > small.slots[0]


def test_a_single_line_of_megabytes_is_scored_at_once(prose: list[str]) -> None:
    model = trained(prose[:50])
    line = "word" * 1_000_000 + " and so on" * 200_000
    words, _ = hash_words(array([line]))
    assert len(words) == 1 + 600_000
    assert np.isfinite(model.score(array([line])).perplexity).all()
