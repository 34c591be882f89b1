"""What of a document may be shown: nothing that commands a terminal or looks personal."""

import re
import unicodedata
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.report.showing import (
    EXCERPT_CHARACTERS,
    MASK,
    WINDOW_CHARACTERS,
    excerpt,
    mask,
    mask_uri,
    visible,
)


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("write to jane.doe@example.com today", "jane"),
        ("write to jane.doe\uff20example.com today", "jane"),
        ("write to jane @ example.com today", "jane"),
        ("write to jane [at] example.com today", "jane"),
        ("write to jane(AT)example.com today", "example"),
        ("mailto:jane%40example.com", "jane"),
        ("&#64;jane", "jane"),
        ("jane\u200b@example.com", "jane"),
        ("call +49 (30) 123-45", "123"),
        ("call 030.12.34.56", "34"),
        ("call 0\u00a03\u20110\u20131", "1"),
        ("call 0\u200b3\u200b0\u200b1\u200b2", "2"),
        ("in Arabic digits ٠١٢٣٤", "٣"),
        ("card 4111 1111 1111 1111", "41"),
        ("IBAN DE89 3704 0044 0532 0130 00", "89"),
        ("host 192.168.17.4", "168"),
        ("token ghp_a1B2c3D4e5F6g7H8i9J0kLmN", "ghp"),
        ("born 12/05/1973", "73"),
    ],
)
def test_what_looks_personal_is_masked(text: str, personal: str) -> None:
    assert personal in text
    masked = mask(text)
    assert personal not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "An ordinary sentence with 3 numbers (12 of them, 345 words) and state-of-the-art words.",
        "Ein Haus am See; 那是一个很好的日子。我们去了公园。",
        "def add(a: int, b: int = 10) -> int:\n    return a + b\n",
    ],
)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert mask(text) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_no_at_sign_and_no_four_digits_in_a_row_are_left(text: str) -> None:
    masked = mask(text)
    assert "@" not in masked
    assert not re.search(r"\d{4}", masked)


def test_masking_takes_linear_time() -> None:
    for piece in ("a", "@", "1", "1    ", "[at]", "-", "%4", "1-a"):
        text = piece * (100_000 // len(piece))
        assert is_within(5, partial(mask, text))


def test_addresses_lose_users_and_passwords_and_keep_their_place() -> None:
    assert mask_uri("https://jane:secret@example.com/a?q=1") == f"https://{MASK}/a?q=1"
    assert (
        mask_uri("https://e.org/u/jane@x.de/2024?m=%40b") == f"https://e.org/u/{MASK}/2024?m={MASK}"
    )
    assert mask_uri("https://e.org/2024/05/a.html") == "https://e.org/2024/05/a.html"


@given(st.text(st.characters(), max_size=50))
def test_every_character_that_is_shown_has_a_shape(text: str) -> None:
    shown = visible(text)
    hidden = {unicodedata.category(c) for c in shown if c not in "\u200c\u200d"}
    assert not hidden & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert shown.encode().decode() == shown


def test_control_characters_are_written_out() -> None:
    assert visible("a\x1b[31m\u202eb\nc") == "a⟨U+001B⟩[31m⟨U+202E⟩b⟨U+000A⟩c"
    assert visible("a\n\tb\r", lines=True) == "a\n\tb⟨U+000D⟩"
    joined = "می\u200cروم 👩\u200d🔬 — 好"
    assert visible(joined) == joined


@given(st.integers(1, 90))
def test_an_address_that_the_window_tears_is_not_shown(place: int) -> None:
    # so much is masked before it that the end of the window comes into the excerpt
    numbers = "555-0100 " * ((WINDOW_CHARACTERS - place) // 9)
    text = numbers.ljust(WINDOW_CHARACTERS - place) + "jane.doe.of.long.lane@example.com " * 20
    assert "jane" not in excerpt(text)
    assert "lane" not in excerpt(text)


def test_an_excerpt_is_short_and_says_that_it_is_cut() -> None:
    text = "word " * 1000
    assert excerpt(text) == text[:EXCERPT_CHARACTERS] + " …"
    assert excerpt("short") == "short"
