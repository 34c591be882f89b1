"""The global batches are the same for any number of processes, wherever they stopped."""

from collections import Counter
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pytest
from tests.shard_folders import small_vocabulary, token_documents, write_folder

from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.manifest import Mixture
from corpusmill.tokenize.packing import Packing
from corpusmill.tokenize.rows import IGNORED

BATCH, CONTEXT = 12, 16
KINDS = list(product(("concatenate", "best_fit"), (False, True)))
"""Packing, and whether there is a mixture."""

Rows = list[tuple[list[int], list[int], list[int]]]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of the order end within the steps that are compared."""
    monkeypatch.setattr("corpusmill.tokenize.batches.ORDER_ROWS", 60)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Shards without and with a mixture. Not to be changed."""
    folder = tmp_path_factory.mktemp("resume")
    vocabulary = small_vocabulary()
    lengths = {"a": [40, 7, 3, 90, 16, 33] * 3, "b": [5, 60, 17] * 4, "c": [200]}
    table = token_documents(lengths, vocabulary)
    mixture = Mixture(weights={"a": 3, "b": 2, "c": 1}, max_repetitions=2, budgets={"b": 160})
    for mixed in (False, True):
        write_folder(
            folder / str(mixed),
            {"train": table},
            vocabulary,
            shard_tokens=256,
            mixture=mixture if mixed else None,
        )
    return {mixed: folder / str(mixed) for mixed in (False, True)}


def batches(folder: Path, packing: Packing, rank: int, ranks: int, step: int) -> TokenBatches:
    return TokenBatches(
        str(folder),
        context=CONTEXT,
        batch=BATCH,
        seed=3,
        packing=packing,
        documents=True,
        rank=rank,
        ranks=ranks,
        start_step=step,
    )


def global_batches(folder: Path, packing: Packing, ranks: int, first: int, last: int) -> list[Rows]:
    """Those of the steps after `first`, up to `last`, put together from all processes."""
    processes = [batches(folder, packing, rank, ranks, first) for rank in range(ranks)]
    found = []
    for _ in range(first, last):
        rows: Rows = []
        for inputs, targets, documents in map(next, processes):
            assert documents is not None
            rows += zip(inputs.tolist(), targets.tolist(), documents.tolist(), strict=True)
        assert len(rows) == BATCH
        found.append(rows)
    return found


@pytest.mark.parametrize(("packing", "mixed"), KINDS)
@pytest.mark.parametrize(
    "stops",
    [
        [(1, 30)],
        [(2, 30)],
        [(3, 30)],
        [(4, 30)],
        [(4, 3), (1, 8), (3, 9), (2, 30)],
        [(2, 1), (3, 17), (1, 18), (4, 30)],
    ],
    ids=str,
)
def test_processes_and_stops_change_no_global_batch(
    stops: list[tuple[int, int]], packing: Packing, mixed: bool, folders: dict[bool, Path]
) -> None:
    folder = folders[mixed]
    whole = batches(folder, packing, 0, 1, 0)
    assert whole.order.epoch_rows < 30 * BATCH / 2  # the steps go through more than one epoch
    found: list[Rows] = []
    for ranks, until in stops:
        found += global_batches(folder, packing, ranks, len(found), until)
    same = found == global_batches(folder, packing, 1, 0, 30)
    assert same


@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_every_token_is_a_target_once_in_each_epoch(
    ranks: int, packing: Packing, folders: dict[bool, Path]
) -> None:
    folder = folders[False]
    whole = batches(folder, packing, 0, 1, 0)
    rows_of_epoch = whole.order.epoch_rows
    steps = -(-2 * rows_of_epoch // BATCH)
    targets = [
        target for rows in global_batches(folder, packing, ranks, 0, steps) for _, target, _ in rows
    ]
    stored = Counter(tokens_of(folder))
    assert sum(stored.values()) == whole.split_tokens.total
    for epoch in range(2):
        seen = targets[epoch * rows_of_epoch : (epoch + 1) * rows_of_epoch]
        counted = Counter(token for row in seen for token in row if token != IGNORED)
        same = counted == stored
        assert same


def tokens_of(folder: Path) -> list[int]:
    return [
        token
        for path in folder.glob("train-*.arrow")
        for tokens in pa.ipc.open_file(str(path)).get_batch(0).column("tokens").to_pylist()
        for token in tokens
    ]
