"""Training order: exact shares in every prefix, caps kept, the same after any resume."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.counted_rows import CONTEXT, Counted

from corpusmill.errors import UsageError
from corpusmill.stages.mix import Mix
from corpusmill.tokenize.manifest import Mixture, MixturePhase
from corpusmill.tokenize.order import WHOLE, TrainingOrder
from corpusmill.tokenize.permutation import permute
from corpusmill.tokenize.turns import BLOCK, LEAST_FINENESS, Turns, shares_of


def order_of(
    rows: Mapping[str, int], mixture: Mixture | None = None, batch: int = 1
) -> TrainingOrder:
    streams = {name: Counted(count) for name, count in rows.items()}
    return TrainingOrder(streams, mixture, context=CONTEXT, batch=batch, seed=3)


def drawn(order: TrainingOrder, count: int, first: int = 0) -> list[tuple[str, int]]:
    streams, rows = order.draw(np.arange(first, first + count))
    return [
        (order.names[stream], row)
        for stream, row in zip(streams.tolist(), rows.tolist(), strict=True)
    ]


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


def test_without_a_mixture_an_epoch_takes_every_row_once_and_the_next_in_another_order() -> None:
    order = order_of({WHOLE: 73})
    assert order.epoch_rows == 73
    first, second = drawn(order, 73), drawn(order, 73, first=73)
    assert sorted(first) == sorted(second) == [(WHOLE, row) for row in range(73)]
    assert first != second


def chairmen(shares: list[int], count: int) -> list[int]:
    """Tijdeman's algorithm as it is written down."""
    period, slack = sum(shares), max(1, 2 * len(shares) - 2)
    taken = [0] * len(shares)
    turns = []
    for n in range(1, count + 1):
        room = [i for i, s in enumerate(shares) if n * s - taken[i] * period >= period / slack]
        room = room if len(shares) > 1 else [0]
        best = min(room, key=lambda i: Fraction(slack - 1 + slack * taken[i], shares[i]))
        taken[best] += 1
        turns.append(best)
    return turns


@given(st.lists(st.integers(1, 40), min_size=1, max_size=7))
def test_turns_are_tijdemans_and_every_prefix_has_its_shares_to_within_one(
    weights: list[int],
) -> None:
    shares = shares_of(weights, 1000)
    period = sum(shares)
    turns, before = Turns(shares, 10**6).at(np.arange(2 * period))
    assert turns.tolist() == chairmen(shares, 2 * period)
    counts = np.cumsum(turns[:, None] == np.arange(len(shares)), axis=0)
    wanted = np.arange(1, len(turns) + 1)[:, None] * np.array(shares) / period
    assert (np.abs(counts - wanted) < 1 - 1e-9).all()
    assert np.array_equal(before, counts[np.arange(len(turns)), turns] - 1)


@pytest.mark.parametrize(
    "weights",
    [
        [0.1234567, 0.7654321, 0.3141593],
        [1234567891, 23456789, 345679, 17],
        [0.001 * n + 1 / n**3 for n in range(1, 24)],
        [1.0, 1e-9],
    ],
)
def test_odd_weights_are_kept_in_every_prefix_of_a_long_epoch(weights: list[float]) -> None:
    count = 250_000
    turns, _ = Turns(shares_of(weights, count), count).at(np.arange(count))
    n = np.arange(1, count + 1)
    for i, weight in enumerate(weights):
        assert np.abs(np.cumsum(turns == i) - n * (weight / sum(weights))).max() < 1


def test_turns_can_be_counted_and_found_at_any_place() -> None:
    shares = shares_of([0.1234567, 0.7654321, 0.3141593], 40_000)
    turns = Turns(shares, 40_000)
    members, before = turns.at(np.arange(40_000))
    for number in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 39_999):
        assert turns.taken(number).tolist() == np.bincount(members[:number], minlength=3).tolist()
        assert turns.place(int(members[number]), int(before[number])) == number
    assert turns.place(0, 10**6) is None
    scattered = np.array([39_999, 3, BLOCK, 20_000, 3])
    assert turns.at(scattered)[1].tolist() == before[scattered].tolist()


def test_shares_are_exact_for_decimals_and_never_zero() -> None:
    assert shares_of([0.6, 0.3, 0.1], 10) == [6, 3, 1]
    assert shares_of([1.0, 2.0], 10) == [1, 2]
    fine = shares_of([0.123456789, 1.987654321, 1e-9], 10)
    assert sum(fine) == LEAST_FINENESS
    assert fine[2] == 1
    assert fine[0] / LEAST_FINENESS == pytest.approx(0.123456789 / 2.11111111, abs=2e-5)


@pytest.mark.parametrize("repetitions", [1.0, 2.0, 2.5])
def test_a_mixture_is_exact_in_every_prefix_until_a_source_runs_out(repetitions: float) -> None:
    rows = {"crawl": 31, "repos": 4, "shelf": 39}
    weights = {"crawl": 0.5, "repos": 0.1, "shelf": 0.4}
    order = order_of(rows, Mixture(weights=weights, max_repetitions=repetitions))
    epoch = drawn(order, order.epoch_rows)
    until = order.phases[0].rows
    for length in range(1, until + 1):
        count = Counter(name for name, _ in epoch[:length])
        assert all(abs(count[name] - length * weight) < 1 for name, weight in weights.items())
    # the source that runs out first leaves its turns to the others, in their proportion
    count = Counter(name for name, _ in epoch)
    assert count == {name: int(repetitions * held) for name, held in rows.items()}
    assert len(order.phases[1].members) == 2
    times = Counter(epoch)
    assert max(times.values()) == -(-repetitions // 1)
    assert min(times.values()) == repetitions // 1


def test_budgets_end_a_source_and_the_next_epoch_goes_on_where_it_stopped() -> None:
    mixture = Mixture(
        weights={"crawl": 1, "shelf": 1}, max_repetitions=4, budgets={"crawl": 8 * CONTEXT}
    )
    order = order_of({"crawl": 31, "shelf": 10}, mixture)
    assert order.epoch_rows == 8 + 40
    crawl = [row for name, row in drawn(order, 3 * order.epoch_rows) if name == "crawl"]
    assert len(crawl) == 24
    assert len(set(crawl)) == 24


def test_a_curriculum_changes_the_proportions_at_its_boundaries() -> None:
    mixture = Mixture(
        weights={"shelf": 1},
        max_repetitions=4,
        curriculum=(
            MixturePhase(tokens=20 * CONTEXT, weights={"crawl": 1}),
            MixturePhase(tokens=10 * CONTEXT, weights={"crawl": 1, "shelf": 4}),
        ),
    )
    order = order_of({"crawl": 100, "shelf": 30}, mixture)
    names = [name for name, _ in drawn(order, 60)]
    assert set(names[:20]) == {"crawl"}
    assert Counter(names[20:30]) == {"crawl": 2, "shelf": 8}
    assert set(names[30:]) == {"shelf"}
    rows = [row for name, row in drawn(order, 60) if name == "crawl"]
    assert len(set(rows)) == len(rows)


def test_an_epoch_ends_with_the_curriculum_where_nothing_comes_after_it() -> None:
    phase = MixturePhase(tokens=6 * CONTEXT, weights={"crawl": 1})
    mixture = Mixture(weights={}, max_repetitions=4, curriculum=(phase,))
    order = order_of({"crawl": 100}, mixture)
    assert order.epoch_rows == 6


def test_a_source_without_tokens_leaves_its_turns_to_the_others() -> None:
    order = order_of(
        {"crawl": 5, "shelf": 7},
        Mixture(weights={"crawl": 0.5, "absent": 0.2, "shelf": 0.3}, max_repetitions=1),
    )
    assert Counter(name for name, _ in drawn(order, 8)) == {"crawl": 5, "shelf": 3}


def test_any_stretch_of_the_order_is_the_same_however_it_is_asked_for() -> None:
    mixture = Mixture(weights={"a": 3, "b": 1}, max_repetitions=2)
    order = order_of({"a": 9, "b": 14}, mixture)
    whole = drawn(order, 200)
    assert [drawn(order, 1, first=n)[0] for n in range(200)] == whole


def test_fewer_rows_than_a_batch_are_refused_with_what_to_set() -> None:
    with pytest.raises(UsageError, match=r"there are 3 sequences.*set batch to at most 3"):
        order_of({WHOLE: 3}, batch=4)


@pytest.mark.parametrize(
    "setting",
    [
        {"max_repetitions": 1e300},
        {"budgets": {"a": 10**400}},
        {"curriculum": [{"tokens": 10**400, "weights": {"a": 1}}]},
    ],
)
def test_numbers_that_no_training_can_reach_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="less than or equal"):
        Mix.model_validate({"weights": {"a": 1}, **setting})
