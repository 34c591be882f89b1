"""One pass over the bytes finds what looking for each thing by itself finds."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.privacy.candidates import (
    CODE,
    FIRST_LITERAL,
    HEX,
    NUMBER,
    REACH,
    Literal,
    automaton,
    find_candidates,
    literals,
)

LITERALS = (
    *literals("a|ab|bab|born|né"),
    *literals("ab|rn", left=False),
    *literals("born", right=True),
    Literal("ab", digit_after=True),
    Literal("ba", left=False, digit_before=True, digit_after=True),
    Literal("@", tight=True),
)


def found(*texts: str) -> list[set[tuple[int, str]]]:
    """For each text its candidates: kind and value."""
    parts = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(parts), np.uint8)
    bounds = np.cumsum([0, *map(len, parts)])
    rows, counts = find_candidates(data, bounds, automaton(LITERALS))
    ends = np.cumsum(counts)
    return [
        {
            (int(kind), bytes(data[start:end]).decode("utf-8", "replace"))
            for kind, start, end in rows[ends[number] - counts[number] : ends[number]]
        }
        for number in range(len(texts))
    ]


def plain_literals(text: str) -> list[tuple[int, int, int]]:
    """What the automaton means: every place of every spelling whose conditions hold."""
    data = text.encode()
    places = set()
    for number, literal in enumerate(LITERALS):
        for spelling in literal.spellings():
            for match in re.finditer(b"(?=" + re.escape(spelling) + b")", data.lower()):
                start, end = match.start(), match.start() + len(spelling)
                before, after = data[max(0, start - 1) : start], data[end : end + 1]
                word = literal.text[0].isalnum()
                if literal.left and word and before.isalnum():
                    continue
                if literal.right and word and after.isalnum():
                    continue
                if literal.tight and not (before > b" " and after > b" "):
                    continue
                near = [
                    region
                    for asked, region in (
                        (literal.digit_after, data[end : end + REACH]),
                        (literal.digit_before, data[max(0, start - REACH) : start]),
                    )
                    if asked
                ]
                if near and not any(re.search(b"[0-9]", region) for region in near):
                    continue
                places.add((FIRST_LITERAL + number, start, end))
    return sorted(places)


@settings(max_examples=200)
@given(
    text=st.lists(
        st.sampled_from(["a", "b", "ab", "BORN", "born", "né", "Né", "@", " ", "1", "é", "x" * 70]),
        max_size=30,
    ).map("".join)
)
def test_literals_are_found_where_looking_for_each_finds_them(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    rows, _ = find_candidates(data, np.array([0, len(data)]), automaton(LITERALS))
    in_one_pass = sorted(tuple(row) for row in rows.tolist() if row[0] >= FIRST_LITERAL)
    assert in_one_pass == plain_literals(text)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("call 450 0840 now", NUMBER, "450 0840"),
        ("+49 (0)30\u00a01234567.", NUMBER, "49 (0)30\u00a01234567"),
        (
            "тел.\u2009\uff18\uff10\uff10\uff0d\uff11\uff12\uff13\uff14",
            NUMBER,
            "\uff18\uff10\uff10\uff0d\uff11\uff12\uff13\uff14",
        ),
        ("87.1.2.3", NUMBER, "87.1.2.3"),
        ("(12 34 56)", NUMBER, "12 34 56"),
        ("780-999-2181x459", NUMBER, "780-999-2181x459"),
        ("id RSSMRA85T10A562S.", CODE, "RSSMRA85T10A562S"),
        ("GB56 HXDO", CODE, "GB56"),
        ("at 3C-22-FB-0A-19-7E", HEX, "3C-22-FB-0A-19-7E"),
        ("by 3c22.fb0a.197e", HEX, "3c22.fb0a.197e"),
        ("2a00:1450:4001:81b::200e", HEX, "2a00:1450:4001:81b::200e"),
    ],
)
def test_shapes_are_found_whole(text: str, kind: int, value: str) -> None:
    assert (kind, value) in found(text)[0]


@pytest.mark.parametrize(
    "text", ["in 1985 and 2001", "1.2.3", "utf8 int32 x86", "12:30:45", "a::b"]
)
def test_everyday_numbers_and_names_are_no_candidates(text: str) -> None:
    assert not {row for row in found(text)[0] if row[0] < FIRST_LITERAL}


def test_no_candidate_reaches_from_one_text_into_the_next() -> None:
    first, second = found("call 450 0", "840 bo")
    assert not first | second
    assert found("call 450 0840 bo")[0]


def test_more_candidates_than_there_was_room_for_are_all_found() -> None:
    rows, counts = find_candidates(
        np.frombuffer(b"x@y" * 5000, np.uint8), np.array([0, 15000]), automaton(LITERALS)
    )
    assert len(rows) == counts[0] == 5000
