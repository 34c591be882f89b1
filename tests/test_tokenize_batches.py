"""Batches: every token once, whole documents where they fit, the same for any ranks and workers."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.shard_folders import small_vocabulary, token_documents, write_folder
from torch.utils.data import DataLoader

from corpusmill.errors import UsageError
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.dataset import TokenDataset, as_tensors, prefetched
from corpusmill.tokenize.manifest import Mixture
from corpusmill.tokenize.order import WHOLE
from corpusmill.tokenize.packing import Packing, _best_fit
from corpusmill.tokenize.rows import IGNORED, Batch
from corpusmill.tokenize.shards import SplitTokens

LENGTHS = {"crawl": [40, 300, 7, 90, 63], "repos": [25, 30], "shelf": [500, 111]}
CONTEXT = 16
MIXTURE = Mixture(weights={"crawl": 0.5, "repos": 0.1, "shelf": 0.4}, max_repetitions=2)


def write(folder: Path, mixture: Mixture | None = None) -> str:
    table = token_documents(LENGTHS, small_vocabulary())
    manifest = write_folder(
        folder, {"train": table}, small_vocabulary(), shard_tokens=200, mixture=mixture
    )
    assert len(manifest.shards) > 3
    return str(folder)


@pytest.mark.parametrize("mixture", [None, MIXTURE])
@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_every_token_is_a_target_as_often_as_an_epoch_says(
    mixture: Mixture | None, packing: Packing, tmp_path: Path
) -> None:
    folder = write(tmp_path, mixture)
    batches = TokenBatches(folder, context=CONTEXT, batch=1, seed=3, packing=packing)
    seen: Counter[tuple[str, int]] = Counter()
    targets = 0
    for step in range(1, batches.order.epoch_rows + 1):
        targets += int((batches.batch(step).targets != IGNORED).sum())
        for span in batches.documents(step)[0]:
            seen.update((span.id, span.first_token + n) for n in range(span.tokens))
    times = 1 if mixture is None else 2
    assert targets == times * 1166
    assert len(seen) == 1166
    assert set(seen.values()) == {times}


@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_a_batch_holds_what_the_shards_hold_each_input_before_its_target(
    packing: Packing, tmp_path: Path
) -> None:
    folder = write(tmp_path, MIXTURE)
    split = SplitTokens(folder, "train")
    stored: dict[str, list[int]] = {}
    for number, shard in enumerate(split.shards):
        first = 0
        for span in split.reader(number).spans(0, shard.tokens):
            stored[span.id] = split.reader(number).tokens(first, first + span.tokens).tolist()
            first += span.tokens
    end = small_vocabulary().end_of_text
    batches = TokenBatches(folder, context=CONTEXT, batch=6, packing=packing, documents=True)
    for step in range(1, 30):
        inputs, targets, documents = batches.batch(step)
        assert documents is not None
        for row, spans in enumerate(batches.documents(step)):
            assert len({span.source for span in spans}) == 1
            at = 0
            for number, span in enumerate(spans):
                tokens = stored[span.id]
                before = tokens[span.first_token - 1] if span.first_token else end
                stop = at + span.tokens
                expected = tokens[span.first_token : span.first_token + span.tokens]
                assert targets[row, at:stop].tolist() == expected
                assert inputs[row, at:stop].tolist() == [before, *expected[:-1]]
                assert set(documents[row, at:stop].tolist()) == {number}
                at = stop
            assert set(targets[row, at:].tolist()) <= {IGNORED}
            assert set(documents[row, at:].tolist()) <= {len(spans)}


def test_best_fit_cuts_no_document_that_fits(tmp_path: Path) -> None:
    folder = write(tmp_path)
    batches = TokenBatches(folder, context=128, batch=1, packing="best_fit")
    pieces: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    for step in range(1, batches.order.epoch_rows + 1):
        for span in batches.documents(step)[0]:
            pieces[span.id] += 1
            lengths[span.id] += span.tokens
    assert all(pieces[name] == -(-length // 128) for name, length in lengths.items())
    assert sorted(lengths.values()) == sorted(n for each in LENGTHS.values() for n in each)


def test_best_fit_fills_its_rows(tmp_path: Path) -> None:
    lengths = np.random.default_rng(1).lognormal(5, 1.2, 4000).astype(int) + 2
    vocabulary = small_vocabulary()
    write_folder(
        tmp_path, {"train": token_documents({"a": lengths.tolist()}, vocabulary)}, vocabulary
    )
    stream = TokenBatches(str(tmp_path), context=1024, batch=1, packing="best_fit").streams[WHOLE]
    assert stream.tokens == lengths.sum()
    assert stream.tokens / (stream.rows * 1024) > 0.999


@given(st.lists(st.integers(1, 130), min_size=1, max_size=60), st.sampled_from([130, 64, 200]))
def test_best_fit_is_best_fit(lengths: list[int], context: int) -> None:
    ordered = sorted((min(length, context) for length in lengths), reverse=True)
    space: list[int] = []
    for length, row in zip(
        ordered, _best_fit(np.array(ordered, np.int32), context).tolist(), strict=True
    ):
        fits = [left for left in space if left >= length]
        if fits:
            assert space[row] == min(fits)
        else:
            assert row == len(space)
            space.append(context)
        space[row] -= length


def same(one: Batch, other: Batch) -> bool:
    pairs = zip(one, other, strict=True)
    return all(
        a is b is None or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in pairs
    )


@pytest.mark.parametrize("mixture", [None, MIXTURE])
@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_ranks_share_the_batches_of_one_rank_from_any_step(
    mixture: Mixture | None, packing: Packing, tmp_path: Path
) -> None:
    folder = write(tmp_path, mixture)
    settings = {"context": CONTEXT, "batch": 12, "seed": 3, "packing": packing, "documents": True}
    whole = TokenBatches(folder, **settings)  # type: ignore[arg-type]
    globally = [next(whole) for _ in range(20)]  # crosses an epoch
    assert whole.order.epoch_rows < 20 * 12
    assert globally[0].inputs.dtype == globally[0].targets.dtype == np.int64
    for ranks in (2, 3, 4):
        each = [
            TokenBatches(folder, rank=rank, ranks=ranks, start_step=11, **settings)  # type: ignore[arg-type]
            for rank in range(ranks)
        ]
        for expected in globally[11:]:
            parts = [next(batches) for batches in each]
            joined = Batch(*(np.concatenate(column) for column in zip(*parts, strict=True)))
            assert same(joined, expected)


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path)
    with pytest.raises(UsageError, match="8 sequences cannot be divided over 3 ranks"):
        TokenBatches(folder, context=CONTEXT, batch=8, ranks=3)
    with pytest.raises(UsageError, match="rank 2 one of 0 to ranks - 1"):
        TokenBatches(folder, context=CONTEXT, batch=8, ranks=2, rank=2)
    with pytest.raises(UsageError, match=r"'best-fit' is not one of .*did you mean 'best_fit'"):
        TokenBatches(folder, context=CONTEXT, batch=8, packing="best-fit")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there are 3 sequences of 500 tokens"):
        TokenBatches(folder, context=500, batch=8)
    with pytest.raises(ValueError, match="count from 1"):
        TokenBatches(folder, context=8, batch=8).batch(0)


def test_batches_go_to_another_process_without_their_memory_map(tmp_path: Path) -> None:
    batches = TokenBatches(write(tmp_path), context=CONTEXT, batch=4)
    expected = batches.batch(1)
    data = pickle.dumps(batches)
    assert len(data) < 20_000
    assert same(pickle.loads(data).batch(1), expected)  # noqa: S301 - our own, a moment ago


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_torch_loader_gives_the_same_batches_with_any_workers_and_goes_on(
    workers: int, tmp_path: Path
) -> None:
    def batches() -> TokenBatches:
        return TokenBatches(folder, context=CONTEXT, batch=4, documents=True)

    folder = write(tmp_path)
    expected = [as_tensors(batches().batch(step)) for step in range(1, 12)]
    dataset = TokenDataset(batches())
    dataset.load_state_dict({"step": 4})
    loader = iter(DataLoader(dataset, batch_size=None, num_workers=workers))
    for wanted in expected[4:]:
        got = next(loader)
        assert torch.equal(got.inputs, wanted.inputs)
        assert torch.equal(got.targets, wanted.targets)
        assert got.documents is not None
        assert wanted.documents is not None
        assert torch.equal(got.documents, wanted.documents)
    if not workers:
        assert dataset.state_dict() == {"step": 11, "taken": 0}


def test_loader_workers_that_stay_alive_begin_anew_in_order(tmp_path: Path) -> None:
    folder = write(tmp_path)
    dataset = TokenDataset(TokenBatches(folder, context=CONTEXT, batch=4))
    dataset.load_state_dict({"step": 2})
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    for _ in range(2):
        stream = iter(loader)
        for step in (3, 4, 5, 6, 7):
            wanted = TokenBatches(folder, context=CONTEXT, batch=4).batch(step)
            assert np.array_equal(next(stream).targets, wanted.targets)


def test_a_prefetched_batch_is_the_same_and_an_error_arrives_where_it_belongs() -> None:
    def failing() -> object:
        yield one
        raise OSError("no such disk")

    row = torch.zeros((1, 4), dtype=torch.int64)
    one = as_tensors(Batch(row.numpy(), row.numpy(), None))
    batches = prefetched(failing(), torch.device("cpu"))  # type: ignore[arg-type]
    assert torch.equal(next(batches).inputs, row)
    with pytest.raises(OSError, match="no such disk"):
        next(batches)
