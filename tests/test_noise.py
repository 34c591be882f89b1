"""Noise: what happens to texts, and what must not happen to them."""

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from corpusmill.stages.noise import OPERATIONS, Noise, add_noise
from corpusmill.stages.noise_tables import keyboard_rules

regex: Any = pytest.importorskip("regex")

PROSE = (
    "The miller carried two bags of flour to the market, and nobody wanted to buy them before noon."
    " He waited in the shadow of the old tower. When the bells were rung, both bags had gone."
) * 20

NO_NOISE = dict.fromkeys(OPERATIONS, 0.0)


def only(operation: str, rate: float = 0.1, **more: object) -> Noise:
    return Noise.model_validate({**NO_NOISE, operation: rate, **more})


def noisy(text: str, noise: Noise, key: str = "a") -> str:
    return add_noise([text], [key], noise)[0].text


def words(text: str) -> list[str]:
    return text.split()


def differing(one: str, other: str) -> float:
    return sum(a != b for a, b in zip(one, other, strict=True)) / len(one)


def test_typing_errors_lie_beside_the_right_key() -> None:
    made = noisy("f" * 20_000, only("typing", 0.1))
    assert set(made) == set("f" + "drtgvc")
    counts = Counter(made)
    share = (20_000 - counts["f"]) / 20_000
    assert 0.02 < share < 0.06  # two of five kinds of error show another letter


def test_the_layout_of_the_keyboard_decides() -> None:
    beside = {
        name: {chr(c) for c in rules.out[rules.starts[ord("a")] : rules.starts[ord("a") + 1], 0]}
        for name in ("qwerty", "qwertz", "azerty")
        for rules in [keyboard_rules(name)]
    }
    assert beside == {"qwerty": set("qwsz"), "qwertz": set("qwsy"), "azerty": set("zq")}
    assert noisy(PROSE, only("typing", keyboard="azerty")) != noisy(PROSE, only("typing"))


def test_scanners_confuse_shapes() -> None:
    made = noisy("modern corn " * 2000, only("ocr", 0.3))
    assert "rn" in made.replace("modern", "").replace("corn", "")
    assert "com " in made
    assert not set(made) - set("modern corn ") - set("inaoul0ctebhvf")


def test_homoglyphs_are_of_another_script_and_look_alike() -> None:
    made = noisy(PROSE, only("homoglyphs", 0.2))
    foreign = [char for char in made if ord(char) > 0x7F]
    assert len(made) == len(PROSE)
    assert 0.05 < len(foreign) / len(made) < 0.2
    assert all(regex.match(r"[\p{Cyrillic}\p{Greek}]", char) for char in foreign)


def test_case_changes_nothing_else() -> None:
    made = noisy(PROSE, only("case", 0.3))
    assert made.lower() == PROSE.lower()
    changed = sum(a != b for a, b in zip(words(made), words(PROSE), strict=True))
    assert 0.2 < changed / len(words(PROSE)) < 0.4


def test_spacing_changes_nothing_but_spaces() -> None:
    made = noisy(PROSE, only("spacing", 0.3))
    assert made.replace(" ", "") == PROSE.replace(" ", "")
    assert made != PROSE
    assert "  " in made


def test_words_change_places_with_their_neighbours() -> None:
    made = noisy(PROSE, only("word_order", 0.2))
    assert Counter(words(made)) == Counter(words(PROSE))
    moved = [i for i, (a, b) in enumerate(zip(words(made), words(PROSE), strict=True)) if a != b]
    assert 0.1 < len(moved) / len(words(PROSE)) < 0.5
    assert re.sub(r"\w", "x", made) != made


def test_rates_hold() -> None:
    for rate in (0.01, 0.1):
        made = noisy(PROSE * 20, only("homoglyphs", rate))
        base = noisy(PROSE * 20, only("homoglyphs", 1.0))
        assert differing(made, PROSE * 20) == pytest.approx(
            rate * differing(base, PROSE * 20), rel=0.15
        )


def test_a_text_has_as_many_kinds_of_error_as_asked_for_and_says_which() -> None:
    keys = [f"{i}" for i in range(300)]
    made = add_noise([PROSE] * 300, keys, Noise())
    counts = Counter(name for one in made for name in one.operations)
    assert all(len(one.operations) == 1 for one in made)
    assert set(counts) == set(OPERATIONS)
    assert min(counts.values()) > 25
    three = add_noise([PROSE], ["a"], Noise(operations=3))[0].operations
    assert len(three) == 3
    assert list(three) == [name for name in OPERATIONS if name in three]
    everything = add_noise([PROSE], ["a"], Noise(operations=6, ocr=0))[0].operations
    assert everything == tuple(name for name in OPERATIONS if name != "ocr")


PROTECTED = [
    "https://pages.net/a?b=c&d",
    "<EMAIL_ADDRESS>",
    "someone@mail.net",
    "3.14",
    "12,500",
    "v2",
    "settings.yaml",
    "some_name",
    "getElementById",
    "print(something)",
    "C:\\files",
    "`two words here`",
    "<a name with many words>",
    "٣٤",
    "Ⅷ",
    "#heading",
    "std::vector",
]


@given(st.integers(0, 10_000), st.permutations(PROTECTED))
@settings(max_examples=60, deadline=None)
def test_addresses_numbers_placeholders_and_code_stay_as_they_are(
    key: int, protected: list[str]
) -> None:
    text = " and then ".join(protected)
    noise = Noise.model_validate({**dict.fromkeys(OPERATIONS, 0.5), "operations": 6})
    made = noisy(text, noise, str(key))
    place = 0
    for span in protected:
        place = made.index(span, place) + len(span)
    assert made != text


def test_blocks_and_lines_of_code_stay_as_they_are() -> None:
    code = "```\nsome words of code\n\nmore words of code\n```\n"
    line = "\nfor word in many words do that;\nwhile there are words (and more):\nlet this = that\n"
    text = f"{PROSE}\n{code}{PROSE}{line}{PROSE}"
    noise = Noise.model_validate({**dict.fromkeys(OPERATIONS, 0.5), "operations": 6})
    made = noisy(text, noise)
    assert code in made
    assert line in made


CLUSTERS = st.sampled_from(
    [
        *"aBcßſlmrnoO .,-'\n\t\r",
        *("e\u0301", "o\u0308\u0323", "\U0001f1e9\U0001f1ea", "क्षि", "नि", "각", "กำ", "عَ"),
        *("\U0001f469\u200d\U0001f4bb", "\U0001f44d\U0001f3fd", "\u1100\u1161", "ﬁ", "漢字"),
        *("\u200d", "\u0301", "\u094d", "\U0001f1e6", "\u1100", "\u1161", "\u0600", "مرحبا"),
    ]
)


@given(
    st.lists(CLUSTERS, max_size=40).map("".join), st.sampled_from(OPERATIONS), st.integers(0, 99)
)
@settings(max_examples=400, deadline=None)
def test_no_grapheme_cluster_is_broken_or_made(text: str, operation: str, key: int) -> None:
    made = noisy(text, only(operation, 0.7), str(key))

    def joined(some: str) -> Counter[str]:
        # Case changes letters within clusters; what matters is that they stay together.
        return Counter(
            cluster.casefold() for cluster in regex.findall(r"\X", some) if len(cluster) > 1
        )

    assert joined(made) == joined(text)


@given(st.text(st.characters(), max_size=60), st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_text(text: str, key: int) -> None:
    noise = Noise.model_validate({**dict.fromkeys(OPERATIONS, 0.5), "operations": 6})
    made = noisy(text, noise, str(key))
    made.encode()  # no lone surrogate
    assert len(made) <= 16 * len(text)
    assert noisy(text, noise, str(key)) == made


def test_lone_surrogates_do_not_come_through() -> None:
    assert noisy("a\ud800b", only("case")).encode() == b"a?b"


def test_what_happens_depends_on_key_and_seed_and_not_on_the_company() -> None:
    noise = Noise()
    both = add_noise([PROSE, PROSE], ["a", "b"], noise, 7)
    assert both[0] != both[1]
    assert add_noise([PROSE], ["b"], noise, 7) == both[1:]
    assert add_noise([PROSE], ["b"], noise, 8) != both[1:]


def test_nothing_is_still_nothing() -> None:
    assert [one.text for one in add_noise(["", " ", "\n"], ["a", "b", "c"], Noise())] == [
        "",
        " ",
        "\n",
    ]


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        (NO_NOISE, "every rate is 0"),
        ({"typing": 1.5}, "less than or equal to 1"),
        ({"ocr": -0.1}, "greater than or equal to 0"),
        ({"keyboard": "dvorak"}, "'qwerty', 'qwertz' or 'azerty'"),
        ({"operations": 0}, "greater than or equal to 1"),
        ({"typo": 0.1}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    given_settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Noise.model_validate(given_settings)
