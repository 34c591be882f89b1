"""The probability that near-duplicates are found: the published curves, and simulation."""

import numpy as np
import pytest

from corpusmill.filters.banding import PRESETS
from corpusmill.filters.clusters import least_equal
from corpusmill.filters.curve import found_probability
from corpusmill.filters.signatures import BINS, CHANCE
from corpusmill.stages.deduplicate import Deduplicate


@pytest.mark.parametrize(("similar", "threshold"), [(0.75, 0.75), (0.8, 0.75), (0.7, 0.75)])
def test_the_probability_to_be_found_is_that_of_simulated_signatures(
    similar: float, threshold: float
) -> None:
    random = np.random.default_rng(1)
    banding = PRESETS["fineweb"]
    equal = random.random((20_000, BINS), np.float32) < similar
    bands = equal[:, : banding.bands * banding.rows].reshape(-1, banding.bands, banding.rows)
    candidate = np.any(np.all(bands, axis=2), axis=1)
    stored = equal | (random.random(equal.shape, np.float32) < CHANCE)
    found = candidate & (stored.sum(axis=1) >= least_equal(threshold))
    expected = found_probability(banding, similar, least_equal(threshold))
    assert found.mean() == pytest.approx(expected, abs=0.015)
    if similar == threshold:
        # what is a candidate has more equal bins than others: the two are not independent
        independent = candidate.mean() * (stored.sum(axis=1) >= least_equal(threshold)).mean()
        assert expected > independent + 0.01


def test_without_a_threshold_it_is_the_probability_to_be_compared() -> None:
    for banding in PRESETS.values():
        for similar in (0.1, 0.5, 0.9):
            expected = banding.candidate_probability(similar)
            assert found_probability(banding, similar, 0) == pytest.approx(expected)
    assert found_probability(PRESETS["fineweb"], 1.0, BINS) == 1


def test_the_plan_tells_the_curve_of_the_settings() -> None:
    curve, at_threshold = Deduplicate().facts()
    assert "14 bands x 8 rows" in curve
    assert "0.70: 0.565  0.75: 0.772  0.80: 0.924" in curve
    assert at_threshold.startswith("compared and found similar at the threshold of 0.75: 0.4")
    curve, _ = Deduplicate(bands=20, rows=5).facts()
    assert "20 bands x 5 rows" in curve
    assert "0.80: 1.000" in curve
