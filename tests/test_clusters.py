"""Near-duplicates are stars around what is kept, whatever the order, the bands and the buckets."""

import random
from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.filters import clusters
from corpusmill.filters.banding import PRESETS
from corpusmill.filters.clusters import BUCKET, candidate_pairs, keep_mask, near_duplicates
from corpusmill.filters.shingles import Shingling
from corpusmill.filters.signatures import BINS, CHANCE, StoredBins

FINEWEB = PRESETS["fineweb"]


def plain_pairs(keys: list[int]) -> list[tuple[int, int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    pairs = []
    for row, key in enumerate(keys):
        pairs += [(row, better) for better in groups[key][:BUCKET]]
        groups[key].append(row)
    return sorted(pairs)


def as_pairs(codes: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    return sorted((int(code) >> 32, int(code) & 0xFFFFFFFF) for code in codes)


@given(st.lists(st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), max_size=300))
def test_pairs_are_those_of_equal_keys(keys: list[int]) -> None:
    assert as_pairs(candidate_pairs(np.array(keys, np.int64))) == plain_pairs(keys)


def test_pairs_of_many_keys_in_parts_are_those_of_equal_keys() -> None:
    chance = np.random.default_rng(2)
    keys = chance.integers(-(2**63), 2**63 - 1, 9_000)
    keys = np.concatenate([keys, chance.choice(keys, 4_000), np.full(500, 7)])
    chance.shuffle(keys)
    assert len(keys) > 4 * clusters.PARTITION
    assert as_pairs(candidate_pairs(keys)) == plain_pairs(keys.tolist())


def with_equal_bins(share: npt.NDArray[np.float64]) -> StoredBins:
    """Signatures whose estimated similarity to the first is as given."""
    bins = np.zeros((len(share), BINS), np.uint8)
    for row, value in enumerate(share):
        different = BINS - round((value * (1 - CHANCE) + CHANCE) * BINS)
        bins[row, :different] = row
    return bins


def test_a_chain_of_similar_documents_is_no_cluster() -> None:
    """0 is like 1, 1 is like 2, 0 is not like 2: 1 goes, 2 stays, for 1 removes nobody."""
    bins = np.zeros((3, BINS), np.uint8)
    bins[1, : BINS // 8] = 1
    bins[2, : BINS // 4] = 2
    bins[2, BINS // 8 : BINS // 4] = 2
    bins[2, : BINS // 8] = 1
    keys = [np.zeros(3, np.int64)] * 2
    removed = near_duplicates(keys, bins.__getitem__, threshold=0.8)
    assert removed.rows.tolist() == [1]
    assert removed.kept.tolist() == [0]
    assert removed.similarity[0] == pytest.approx((7 / 8 - CHANCE) / (1 - CHANCE))


def test_bands_only_propose() -> None:
    bins = with_equal_bins(np.array([1.0, 0.76, 0.74, 0.76]))
    keys = [np.array([5, 5, 5, 6])]
    removed = near_duplicates(keys, bins.__getitem__, threshold=0.75)
    assert removed.rows.tolist() == [1]


@given(st.integers(2, 40), st.floats(0, 0.3), st.integers(1, 3), st.randoms(use_true_random=False))
def test_a_document_is_removed_if_and_only_if_it_is_like_a_kept_better_one(
    documents: int, noise: float, bands: int, chance: random.Random
) -> None:
    random_bins = np.random.default_rng(chance.randrange(1 << 30))
    bins = np.where(
        random_bins.random((documents, BINS)) < noise,
        random_bins.integers(0, 256, (documents, BINS)),
        random_bins.integers(0, 2, (documents, 1)),
    ).astype(np.uint8)
    keys = [random_bins.integers(0, 3, documents) for _ in range(bands)]
    removed = near_duplicates(keys, bins.__getitem__, threshold=0.75)
    least = clusters.least_equal(0.75)
    gone: dict[int, int] = {}
    for row in range(documents):
        for better in range(row):
            met = any(band[row] == band[better] for band in keys)
            similar = np.count_nonzero(bins[row] == bins[better]) >= least
            if met and similar and better not in gone:
                gone[row] = better
                break
    assert dict(zip(removed.rows.tolist(), removed.kept.tolist(), strict=True)) == gone


def prose(chance: random.Random, words: int) -> list[str]:
    return [f"w{chance.randrange(50_000)}" for _ in range(words)]


def test_edited_copies_go_and_unrelated_documents_with_one_template_stay() -> None:
    chance = random.Random(4)
    template = prose(chance, 40)
    originals = [prose(chance, chance.randrange(150, 500)) + template for _ in range(300)]
    copies = []
    for words in originals[:100]:
        edited = list(words)
        edited[chance.randrange(len(edited))] = "edited"
        copies.append(edited)
    texts = [" ".join(words) for words in originals + copies]
    # the longer one is kept, and of equally long ones the first
    expected = [True] * 300 + [False] * 100
    assert keep_mask(pa.array(texts), Shingling(), FINEWEB, 0.75).tolist() == expected


def test_what_is_kept_does_not_depend_on_the_order_of_the_texts() -> None:
    chance = random.Random(9)
    texts = []
    for _ in range(60):
        words = prose(chance, chance.randrange(60, 200))
        texts += [" ".join(words[: len(words) - cut]) for cut in (0, 3, 6, 30)]
    texts += ["short", "Short!", "other", "???", ""]

    def kept() -> set[str]:
        mask = keep_mask(pa.array(texts), Shingling(), FINEWEB, 0.75)
        left = [text.lower().strip("!") for text, keep in zip(texts, mask, strict=True) if keep]
        assert len(set(left)) == len(left)
        return set(left)

    first = kept()
    assert {"short", "other", "", "???"} <= first
    for _ in range(3):
        chance.shuffle(texts)
        assert kept() == first


def test_no_texts_and_texts_without_shingles_are_all_kept() -> None:
    for texts in ([], [""], ["one two", "two one"]):
        found = keep_mask(pa.array(texts, pa.large_string()), Shingling(), FINEWEB, 0.75)
        assert found.tolist() == [True] * len(texts)
