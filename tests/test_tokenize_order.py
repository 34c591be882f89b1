"""Training order: every token once, the same for any ranks, exact after any resume."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shard_folders import small_vocabulary, token_documents, write_folder

from corpusmill.errors import UsageError
from corpusmill.tokenize.dataset import SplitTokens, TokenBatches
from corpusmill.tokenize.manifest import Mixture
from corpusmill.tokenize.order import FINEST_SHARE, TrainingOrder, permute, shares_of, turns_of
from corpusmill.tokenize.shards import DocumentSpan

LENGTHS = {"crawl": [40, 300, 7, 90, 63], "repos": [25, 30], "shelf": [500, 111]}
CONTEXT = 16


def mixed(
    folder: Path, weights: dict[str, float] | None, repetitions: float = 4.0
) -> TrainingOrder:
    mixture = None
    if weights is not None:
        mixture = Mixture(weights=weights, max_repetitions=repetitions)
    table = token_documents(LENGTHS, small_vocabulary())
    manifest = write_folder(
        folder, {"train": table}, small_vocabulary(), shard_tokens=200, mixture=mixture
    )
    assert len(manifest.shards) > 3
    return TrainingOrder(manifest, split="train", context=CONTEXT, batch=4, seed=3)


@given(st.integers(1, 3000), st.text())
def test_a_permutation_takes_every_place_once(size: int, key: str) -> None:
    places = permute(np.arange(size), size, key)
    assert np.array_equal(np.sort(places), np.arange(size))


def test_permutations_differ_by_key_and_look_random() -> None:
    size = 10_000
    one, other = (permute(np.arange(size), size, key) for key in ("1", "2"))
    assert (one == other).mean() < 0.01
    assert abs(np.corrcoef(one, np.arange(size))[0, 1]) < 0.05
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.05


def test_the_order_is_the_one_that_earlier_runs_had() -> None:
    # recorded: another order would break every resume and every trace of older folders
    assert permute(np.arange(8), 1000, "key").tolist() == [598, 846, 559, 62, 211, 425, 688, 753]


def test_every_token_is_an_input_once_per_epoch_but_for_the_tail(tmp_path: Path) -> None:
    order = mixed(tmp_path, None)
    split = SplitTokens(str(tmp_path), "train")
    assert order.epoch_samples == (split.total - 1) // CONTEXT
    batches = TokenBatches(str(tmp_path), context=CONTEXT, batch=1, seed=3)
    stream = split.head(split.total)
    firsts = []
    for step in range(1, order.epoch_samples + 1):
        (_, (sample,)) = batches.order.samples(step)
        expected = stream[sample * CONTEXT : (sample + 1) * CONTEXT + 1]
        assert np.array_equal(batches.batch(step)[0], expected)
        firsts.append(int(sample))
    assert sorted(firsts) == list(range(order.epoch_samples))
    again = [int(batches.order.samples(order.epoch_samples + n)[1][0]) for n in range(1, 9)]
    assert again != firsts[:8]


@pytest.mark.parametrize("weights", [None, {"crawl": 0.5, "repos": 0.2, "shelf": 0.3}])
def test_ranks_share_the_batches_of_one_rank_from_any_step(
    weights: dict[str, float] | None, tmp_path: Path
) -> None:
    mixed(tmp_path, weights)
    folder = str(tmp_path)
    whole = TokenBatches(folder, context=CONTEXT, batch=12, seed=3)
    globally = [next(whole) for _ in range(20)]  # crosses an epoch
    assert globally[0].dtype == np.int64
    assert globally[0].flags.owndata
    for ranks in (2, 3, 4):
        each = [
            TokenBatches(
                folder, context=CONTEXT, batch=12, seed=3, rank=rank, ranks=ranks, start_step=11
            )
            for rank in range(ranks)
        ]
        for expected in globally[11:]:
            assert np.array_equal(np.concatenate([next(batches) for batches in each]), expected)


def test_ranks_must_divide_the_batch(tmp_path: Path) -> None:
    mixed(tmp_path, None)
    with pytest.raises(UsageError, match="8 sequences cannot be divided over 3 ranks"):
        TokenBatches(str(tmp_path), context=CONTEXT, batch=8, ranks=3)
    with pytest.raises(UsageError, match="rank 2 one of 0 to ranks - 1"):
        TokenBatches(str(tmp_path), context=CONTEXT, batch=8, ranks=2, rank=2)


def test_documents_of_a_step_are_those_whose_tokens_are_its_inputs(tmp_path: Path) -> None:
    mixed(tmp_path, {"crawl": 1, "shelf": 2})
    batches = TokenBatches(str(tmp_path), context=CONTEXT, batch=6, seed=1)
    split = SplitTokens(str(tmp_path), "train")
    stored: dict[str, tuple[DocumentSpan, np.ndarray[Any, Any]]] = {}
    for number, shard in enumerate(split.shards):
        for span in split.reader(number).spans(0, shard.tokens):
            first = sum(s.tokens for s, _ in stored.values() if s.shard == span.shard)
            tokens = split.reader(number).tokens(first, first + span.tokens)
            stored[span.id] = (span, tokens)
    assert Counter(span.source for span, _ in stored.values()) == {
        "crawl": 5,
        "repos": 2,
        "shelf": 2,
    }
    for step in (1, 2, 30):
        for row, spans in zip(batches.batch(step), batches.documents(step), strict=True):
            pieces = [
                stored[span.id][1][span.first_token : span.first_token + span.tokens]
                for span in spans
            ]
            assert np.array_equal(np.concatenate(pieces), row[:-1])
            assert len({span.source for span in spans}) == 1


@given(st.lists(st.integers(1, 40), min_size=1, max_size=7))
def test_every_prefix_of_turns_has_its_shares_to_within_one(shares: list[int]) -> None:
    turns = turns_of(shares_of({str(n): share for n, share in enumerate(shares)}))
    counts = np.cumsum(turns[:, None] == np.arange(len(shares)), axis=0)
    wanted = np.arange(1, len(turns) + 1)[:, None] * np.array(shares) / sum(shares)
    assert (np.abs(counts - wanted) < 1 - 1e-9).all()
    assert np.allclose(counts[-1], wanted[-1])


def test_shares_are_exact_for_decimals_and_never_zero() -> None:
    assert shares_of({"a": 0.6, "b": 0.3, "c": 0.1}) == [6, 3, 1]
    assert shares_of({"a": 1.0, "b": 2.0}) == [1, 2]
    fine = shares_of({"a": 0.123456789, "b": 1.987654321, "c": 1e-9})
    assert sum(fine) == FINEST_SHARE
    assert fine[2] == 1
    assert fine[0] / FINEST_SHARE == pytest.approx(0.123456789 / 2.11111111, abs=2e-5)


@pytest.mark.parametrize("repetitions", [1.0, 2.0, 3.0])
def test_a_mixture_is_exact_in_every_prefix_and_within_its_cap(
    repetitions: float, tmp_path: Path
) -> None:
    weights = {"crawl": 0.5, "repos": 0.1, "shelf": 0.4}
    order = mixed(tmp_path, weights, repetitions)
    names = [stream.name for stream in order.streams]
    drawn: list[tuple[str, int]] = []
    for step in range(1, 5 * order.epoch_samples // order.batch):
        turns, samples = order.samples(step)
        drawn += [(names[t], int(s)) for t, s in zip(turns, samples, strict=True)]
    for length in range(1, len(drawn) + 1):
        count = Counter(name for name, _ in drawn[:length])
        assert all(abs(count[name] - length * weight) < 1 for name, weight in weights.items())
    epoch = Counter(drawn[: order.epoch_samples])
    assert max(epoch.values()) <= repetitions
    # no longer epoch would keep to the cap with whole periods of the mixture
    held = {stream.name: stream.samples for stream in order.streams}
    longer = order.epoch_samples + 10
    assert any(weights[n] * longer > repetitions * held[n] for n in names)


def test_a_source_that_an_epoch_uses_in_part_goes_on_where_it_stopped(tmp_path: Path) -> None:
    order = mixed(tmp_path, {"crawl": 0.1, "repos": 0.9}, 4.0)
    crawl = next(n for n, stream in enumerate(order.streams) if stream.name == "crawl")
    held = order.streams[crawl].samples
    seen: list[int] = []
    step = 0
    while len(seen) < held // 2:
        step += 1
        turns, samples = order.samples(step)
        seen += samples[turns == crawl].tolist()
    assert step * order.batch > 3 * order.epoch_samples
    assert len(set(seen)) == len(seen)


def test_a_source_that_a_mixture_does_not_name_or_is_too_short_is_not_drawn(
    tmp_path: Path,
) -> None:
    order = mixed(tmp_path, {"crawl": 0.5, "absent": 0.2, "shelf": 0.3})
    assert [stream.name for stream in order.streams] == ["crawl", "shelf"]
    assert order.left_out == ("absent",)
    turns, _ = order.samples(1)
    assert Counter(turns.tolist()) in ({0: 3, 1: 1}, {0: 2, 1: 2})


def test_too_few_tokens_are_refused_with_what_to_set(tmp_path: Path) -> None:
    mixed(tmp_path, None)
    with pytest.raises(UsageError, match="set context to less than 1166, or add documents"):
        TokenBatches(str(tmp_path), context=2000, batch=1)
    with pytest.raises(
        UsageError, match=r"gives 2 sequences of 500 tokens.*set batch to at most 2"
    ):
        TokenBatches(str(tmp_path), context=500, batch=8)
    with pytest.raises(ValueError, match="count from 1"):
        TokenBatches(str(tmp_path), context=8, batch=8).batch(0)
