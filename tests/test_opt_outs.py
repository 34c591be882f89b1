"""Opt-outs: what counts as one, for whom, and which reason is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.stages.sources.limits import Dropped
from corpusmill.stages.sources.opt_outs import judge_meta, opt_out


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        ("noai", "opt_out_noai"),
        ("NoAI, NoImageAI", "opt_out_noai"),
        ("index, follow, noimageai", "opt_out_noimageai"),
        ("noindex", "opt_out_noindex"),
        ("nofollow ,\tNOINDEX", "opt_out_noindex"),
        ("none", "opt_out_noindex"),
        ("noindex nofollow", "opt_out_noindex"),
        ("*: noai", "opt_out_noai"),
        ("noai, googlebot: all", "opt_out_noai"),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noindex", "opt_out_noindex"),
        ("unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noai", "opt_out_noai"),
        ("max-snippet:-1, noindex", "opt_out_noindex"),
    ],
)
def test_a_rule_for_every_bot_is_an_opt_out(robots: str, reason: str) -> None:
    assert opt_out([robots], []) == reason


@pytest.mark.parametrize(
    "robots",
    [
        "",
        "all",
        "index, follow",
        "nofollow, noarchive, nosnippet, noimageindex, notranslate",
        "googlebot: noindex",
        "BadBot: noai, noimageai",
        "nofollow, GPTBot: noai",
        "max-image-preview: none",
        "max-image-preview:none, max-snippet:-1",
        "index max-image-preview: none",
        "unavailable_after: 25 Jun 2010 15:00:00 PST",
        "noaindex",
        ": , ,:",
    ],
)
def test_other_rules_and_rules_for_other_bots_are_none(robots: str) -> None:
    assert opt_out([robots], []) is None


@pytest.mark.parametrize("value", ["1", " 1 "])
def test_reserved_rights_are_an_opt_out(value: str) -> None:
    assert opt_out([], [value]) == "opt_out_tdm"


@pytest.mark.parametrize("value", ["0", "", "yes", "10", "true", "-1"])
def test_rights_that_are_not_reserved_or_not_said_to_be_are_none(value: str) -> None:
    assert opt_out([], [value]) is None


def test_the_reason_is_the_one_that_speaks_of_training_most_plainly() -> None:
    assert opt_out(["noindex", "noimageai"], ["0", "1"]) == "opt_out_tdm"
    assert opt_out(["noindex", "noai"], ["1"]) == "opt_out_noai"
    assert opt_out(["noindex, noimageai"], []) == "opt_out_noimageai"


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ({"robots": "noai"}, "opt_out_noai"),
        ({"x-robots-tag": "noindex"}, "opt_out_noindex"),
        ({"robots": "googlebot: noindex\nnoai"}, "opt_out_noai"),
        ({"tdm-reservation": "0\n1"}, "opt_out_tdm"),
        ({"tdm-reservation": "1", "tdm-policy": "https://example.org/p"}, "opt_out_tdm"),
    ],
)
def test_meta_tags_drop_a_document_with_its_reason(meta: dict[str, str], reason: str) -> None:
    with pytest.raises(Dropped) as raised:
        judge_meta(meta)
    assert (raised.value.reason, raised.value.value, raised.value.threshold) == (reason, 1, 0)


def test_meta_tags_of_named_bots_and_other_names_drop_nothing() -> None:
    judge_meta({"robots": "all\ngooglebot: noindex, noai", "tdm-reservation": "0\n0"})
    judge_meta({"googlebot": "noindex", "description": "noai", "tdm-reservation": "0"})


@given(st.lists(st.text(max_size=50)), st.lists(st.text(max_size=5)))
def test_no_value_makes_it_fail(robots: list[str], tdm: list[str]) -> None:
    reason = opt_out(robots, tdm)
    assert reason is None or reason.startswith("opt_out_")


def test_long_values_take_linear_time() -> None:
    for hostile in (
        "max-a " * 200_000,
        "unavailable_after" + " " * 10**6,
        "a:" * 10**6,
        " " * 10**6,
    ):
        assert opt_out([hostile], [hostile]) is None
