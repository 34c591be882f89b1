"""Windows of documents: nothing is lost, nothing is copied, and the median is the median."""

import itertools
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.filters.windows import cut_windows, median_by_document

TEXT = st.text(st.sampled_from("ab \nö字👍"), max_size=300)


@given(st.lists(TEXT, max_size=5), st.integers(8, 64))
@settings(max_examples=200)
def test_windows_are_valid_texts_that_join_to_the_documents(texts: list[str], size: int) -> None:
    array = pa.array(["left out", *texts], pa.large_string()).slice(1)
    windows, offsets = cut_windows(array, size)
    windows.validate(full=True)
    joined = ["".join(windows[a:b].to_pylist()) for a, b in itertools.pairwise(offsets)]
    assert joined == texts
    assert all(b - a >= 1 for a, b in itertools.pairwise(offsets))


def test_windows_have_about_their_size_and_end_after_white_space() -> None:
    text = "some words of a long document \n" * 1000
    windows, offsets = cut_windows(pa.array([text, "", "short"], pa.large_string()), 2048)
    assert offsets.tolist() == [0, 15, 16, 17]
    pieces = windows.to_pylist()
    assert all(2048 * 2 / 3 - 256 <= len(piece) <= 2048 * 3 / 2 for piece in pieces[:15])
    assert all(piece[-1] in " \n" for piece in pieces[:15])
    assert pieces[15:] == ["", "short"]


def test_text_without_white_space_is_cut_between_characters() -> None:
    windows, _ = cut_windows(pa.array(["字" * 10_000], pa.large_string()), 2048)
    assert len(windows) == 15
    assert set("".join(windows.to_pylist())) == {"字"}
    assert max(len(piece.encode()) for piece in windows.to_pylist()) <= 2048 + 3


def test_windows_share_the_buffer_of_the_documents() -> None:
    texts = pa.array(["one two three " * 1000], pa.large_string())
    windows, _ = cut_windows(texts)
    assert windows.buffers()[2].address == texts.buffers()[2].address


@given(
    st.lists(
        st.lists(st.floats(allow_infinity=False, width=32) | st.just(float("nan")), max_size=6)
    )
)
@settings(max_examples=200)
def test_the_median_is_that_of_the_windows_that_were_measured(documents: list[list[float]]) -> None:
    offsets = np.cumsum([0, *map(len, documents)])
    values = np.array([v for d in documents for v in d], np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of documents without any
        expected = [np.nanmedian(d) if d else np.nan for d in documents]
    np.testing.assert_allclose(median_by_document(values, offsets), expected, rtol=1e-12)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308])
def test_extreme_values_have_a_median(value: float) -> None:
    median = median_by_document(np.array([value, value]), np.array([0, 2]))
    assert median.tolist() == [value]
