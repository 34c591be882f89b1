"""C4's line rules: which lines go, what is left of the text, and what the ledger says of it."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.document import document_schema, documents_from_rows
from corpusmill.filters import plain
from corpusmill.filters.c4 import LISTED, Fate, clean_lines
from corpusmill.stage import check_verdicts
from corpusmill.stages.heuristics import Heuristics

GOOD = (
    "The first sentence stands here. And so does the second!\n"
    "Is this one the third? It is not the fourth.\n"
    'The "fifth" ends the text.'
)


def judge(
    text: str, language: str | None = None, **settings: Any
) -> tuple[dict[str, Any] | None, str, dict[str, float | None]]:
    """Verdict, text and scores of one document under the rules of C4."""
    stage = Heuristics(**({"rules": ("c4",)} | settings))
    row = {"id": "0" * 32, "text": text, "source": "s", "kind": "web", "uri": "u"}
    batch = documents_from_rows(
        [row | {"language": language}], document_schema(stage.score_fields())
    )
    outcome = stage.open()(batch)
    check_verdicts(batch, outcome)
    verdicts = outcome.verdicts.to_pylist()
    documents = outcome.documents.to_pylist()
    return (verdicts[0] if verdicts else None), documents[0]["text"], documents[0]["scores"]


def fates(
    text: str, english: bool = True, terminal: bool = True, compat: bool = False
) -> list[str]:
    cleaned = clean_lines(pa.array([text]), np.array([english]), terminal, compat)
    return [Fate(fate).name for fate in cleaned.fates]


def test_a_clean_text_is_left_alone() -> None:
    verdict, text, scores = judge(GOOD)
    assert verdict is None
    assert text == GOOD
    assert scores["c4_too_few_sentences"] == 5


def test_removed_lines_are_named_with_their_rule() -> None:
    lines = [
        "Home | About | Contact",
        *GOOD.split("\n"),
        "",
        "Two words.",
        "Please enable JavaScript to go on.",
        "We use cookies. Read our Privacy Policy, please.",
        "So said the author [1], and he was right.[citation needed]",
        "x" * 1001 + " is too long.",
        "and so on ...",
        "and on and on",
    ]
    verdict, text, _ = judge("\n".join(lines))
    assert text == GOOD + "\nSo said the author , and he was right."
    assert verdict is not None
    assert (verdict["action"], verdict["reason"]) == ("changed", "c4_lines_removed")
    assert verdict["value"] == 7
    assert json.loads(verdict["detail"]) == {
        "citation": "9",
        "long_word": "10",
        "terminal_punctuation": "1,11-12",
        "too_few_words": "6",
        "javascript": "7",
        "policy": "8",
    }


def test_a_text_that_loses_marks_and_space_only_is_an_edited_one() -> None:
    verdict, text, _ = judge(GOOD.replace("here.", "here[12].") + "\n\n")
    assert text == GOOD
    assert verdict is not None
    assert (verdict["reason"], verdict["value"]) == ("c4_lines_edited", 0)
    assert json.loads(verdict["detail"]) == {"citation": "1"}


@pytest.mark.parametrize(
    ("rule", "bad", "value", "threshold"),
    [
        ("c4_lorem_ipsum", GOOD + "\nLorem Ipsum dolor sit amet.", 1, 0),
        ("c4_curly_bracket", GOOD + "\nSee the set {1} there.", 1, 0),
        ("c4_too_few_sentences", GOOD.replace("here. And", "here and"), 4, 5),
    ],
)
def test_a_document_rule_drops(rule: str, bad: str, value: float, threshold: float) -> None:
    verdict, _, scores = judge(bad)
    assert verdict is not None
    assert (verdict["action"], verdict["reason"]) == ("dropped", rule)
    assert (verdict["value"], verdict["threshold"]) == (value, threshold)
    assert scores[rule] == value


def test_of_many_lines_the_ledger_names_the_first_runs_and_counts_the_rest() -> None:
    verdict, _, _ = judge("\n".join([*GOOD.split("\n"), *["Two words.", "", ""] * 60]))
    assert verdict is not None
    assert verdict["value"] == 60
    named = json.loads(verdict["detail"])["too_few_words"].split(",")
    assert named[:2] == ["4", "7"]
    assert (len(named), named[-1]) == (LISTED + 1, f"and {60 - LISTED} more")


def test_terminal_punctuation_is_asked_by_c4_and_not_by_fineweb() -> None:
    line = "a line that ends in nothing"
    assert judge(f"{GOOD}\n{line}")[1] == GOOD
    assert judge(f"{GOOD}\n{line}", c4_terminal_punctuation=False)[1] == f"{GOOD}\n{line}"
    fineweb: dict[str, Any] = {"rules": (), "preset": "fineweb"}
    assert judge(f"{GOOD}\n{line}", **fineweb)[1] == f"{GOOD}\n{line}"
    assert judge(f"{GOOD}\n{line}", **fineweb, c4_terminal_punctuation=True)[1] == GOOD


@pytest.mark.parametrize(
    ("line", "ours", "reference"),
    [
        ("ends in a stop.", "KEPT", "KEPT"),
        ('she said "so it is"', "KEPT", "KEPT"),
        ("she said ‘so it is’", "KEPT", "TERMINAL_PUNCTUATION"),
        ("यह एक वाक्य है।", "KEPT", "TERMINAL_PUNCTUATION"),
        ("这是一个句子。", "KEPT", "TERMINAL_PUNCTUATION"),
        ("and so on...", "TERMINAL_PUNCTUATION", "TERMINAL_PUNCTUATION"),
        ("as was shown. [3]", "CITATION", "TERMINAL_PUNCTUATION"),
        ("just two.", "TOO_FEW_WORDS", "TOO_FEW_WORDS"),
    ],
)
def test_lines_of_other_scripts_end_too(line: str, ours: str, reference: str) -> None:
    assert fates(line) == [ours]
    assert fates(line, compat=True) == [reference]


def test_a_long_line_without_spaces_is_no_long_word_in_chinese() -> None:
    line = "这是一个句子" * 300 + "。"
    assert fates(line) == ["KEPT"]
    assert fates(line, compat=True) == ["LONG_WORD"]


def test_policy_phrases_go_where_the_text_may_be_english() -> None:
    line = "Die Privacy Policy finden Sie hier."
    policy = f"{GOOD}\n{line}"
    assert judge(policy, None)[1] == GOOD
    assert judge(policy, "en")[1] == GOOD
    assert judge(policy, "de")[1] == policy
    assert judge(policy, "de", compat=True)[1] == GOOD


def test_what_follows_c4_judges_the_text_that_c4_left() -> None:
    text = "\n".join(GOOD.split("\n") + ["short line"] * 30 + ["ok"] * 30)
    after = judge(text, rules=("c4", "fineweb_quality"))[2]["fineweb_char_dup_ratio"]
    assert after == 0
    before = judge(text, rules=("fineweb_quality", "c4"))[2]["fineweb_char_dup_ratio"]
    assert before is not None
    assert before > 0


PIECES = (
    *"aB. \n\t!?\"'’[1]{}…。中ก\r\x0b\u2028\u00a0é😀-",
    *("one two three ", "[edit]", "[citation needed]", "[12]", "[", "...", "javaScript", "\n"),
    *("lorem ipsum", "Use Cookies", "terms of use", "Mr. X", "word. ", "x" * 999, "中" * 600),
)


@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), max_size=3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=300)
def test_the_kernel_cleans_lines_as_the_plain_definition_does(
    texts: list[str], english: bool, terminal: bool, compat: bool
) -> None:
    flags = np.full(len(texts), english)
    cleaned = clean_lines(pa.array(texts, pa.large_string()), flags, terminal, compat)
    for row, text in enumerate(texts):
        lines = [plain.clean_line(x, english, terminal, compat) for x in text.splitlines()]
        kept = [line for line, fate in lines if fate <= Fate.CITATION]
        expected = "\n".join(kept).strip()
        assert cleaned.texts[row].as_py() == expected
        assert cleaned.changed[row] == (expected != text)
        first, last = cleaned.line_offsets[row : row + 2]
        assert cleaned.fates[first:last].tolist() == [fate for _, fate in lines]
        assert cleaned.lorem_ipsum[row] == sum("lorem ipsum" in line for line, _ in lines)
        assert cleaned.curly_brackets[row] == sum(
            "{" in line for line, fate in lines if fate != Fate.JAVASCRIPT
        )


def test_sentences_are_counted_by_their_ends() -> None:
    assert plain.sentences("Mr. X came. He left! Why?! “So.” Then 3.5 more...") == 5
    assert plain.sentences("no end at all") == 1
    assert plain.sentences("") == 0
