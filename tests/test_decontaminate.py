"""Benchmark items are found where they are quoted, and nowhere else; with spans, they are cut."""

import gzip
import itertools
import json
import random
import textwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corpusmill.document import document_schema, documents_from_rows
from corpusmill.filters.overlap import OverlapIndex
from corpusmill.filters.overlap_cuts import widened
from corpusmill.filters.shingles import word_hashes, words
from corpusmill.stage import check_verdicts
from corpusmill.stages.decontaminate import ITEMS_NAMED, Decontaminate

QUESTION = (
    "A baker fills seven trays with thirteen rolls each, sells a third of them before noon and "
    "gives nine to her neighbour. How many rolls does she have left in the evening?"
)
ANSWER = "She has made ninety-one rolls."


def outcome_of(
    stage: Decontaminate, *texts: str, kind: str = "web"
) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Number of the document -> its verdict; and the texts as the stage gives them back."""
    defaults = {"source": "s", "kind": kind, "uri": ""}
    rows = [{"id": f"{i:032x}", "text": text, **defaults} for i, text in enumerate(texts)]
    documents = documents_from_rows(rows, document_schema())
    outcome = stage.open()(documents)
    check_verdicts(documents, outcome)
    found = {int(row["id"], 16): row for row in outcome.verdicts.to_pylist()}
    return found, outcome.documents.column("text").to_pylist()


def judge(stage: Decontaminate, *texts: str) -> dict[int, dict[str, Any]]:
    """Number of the document -> its verdict."""
    return outcome_of(stage, *texts)[0]


def matched(verdict: dict[str, Any]) -> Any:
    """Benchmark -> item -> share."""
    return json.loads(verdict["detail"])["matched"]


@pytest.fixture
def benchmark_file(tmp_path: Path) -> str:
    """Two items, the first of them without anything to look for."""
    items = [{"id": "x/0", "question": "Why?"}, {"id": "x/1", "question": QUESTION, "a": [ANSWER]}]
    path = tmp_path / "rolls.jsonl"
    path.write_text("\n".join(map(json.dumps, items)) + "\n\n", encoding="utf-8")
    return str(path)


def prose(n: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [f"word{chance.randrange(500)}" for _ in range(n)]


def test_a_quoted_item_is_found_whatever_its_layout(benchmark_file: str) -> None:
    stage = Decontaminate(benchmarks=(benchmark_file,))
    stage.check()
    before, after = " ".join(prose(300, 1)), " ".join(prose(300, 2))
    quoted = QUESTION.upper().replace(" ", "\n  ").replace(",", " --")
    found = judge(stage, f"{before} {quoted} {after}", f"{before} {after}", "", "Why? x/1")
    assert set(found) == {0}
    assert found[0]["reason"] == "contaminated"
    assert found[0]["action"] == "dropped"
    assert (found[0]["value"], found[0]["threshold"]) == (1.0, 0.1)
    assert matched(found[0]) == {"rolls": {"x/1": 1.0}}


def test_the_value_is_the_share_of_the_items_ngrams(benchmark_file: str) -> None:
    found = list(words(QUESTION))
    total = len(found) - 12
    half = " ".join([*prose(50, 3), *found[: 12 + total // 2], *prose(50, 4)])
    verdicts = judge(Decontaminate(benchmarks=(benchmark_file,)), half)
    assert verdicts[0]["value"] == pytest.approx((total // 2) / total)
    strict = Decontaminate(benchmarks=(benchmark_file,), threshold=0.6)
    assert judge(strict, half, QUESTION).keys() == {1}


def test_short_strings_are_looked_for_by_shorter_ngrams_and_very_short_ones_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "short.txt"
    ten = "one two three four five six seven eight nine ten"
    path.write_text(f"{ten}\nthe quick brown fox\n", encoding="utf-8")
    stage = Decontaminate(benchmarks=(str(path),))
    stage.check()
    part = " ".join(ten.split()[1:9])
    found = judge(stage, f"zero {ten} eleven", part, part[:-6], "the quick brown fox jumps " * 9)
    assert {number: matched(verdict) for number, verdict in found.items()} == {
        0: {"short": {"line 1": 1.0}},
        1: {"short": {"line 1": 0.3333}},
    }
    assert stage.facts() == [
        "short.txt: 2 items; 1 of 2 texts are looked for, 1 of them by 8 words; "
        "not those with fewer (1), nor those without words of their own (0)"
    ]


def test_what_many_items_share_does_not_count(tmp_path: Path) -> None:
    preamble = " ".join(prose(60, 5))
    tasks = [" ".join(prose(30, 100 + i)) for i in range(30)]
    path = tmp_path / "tasks.txt"
    path.write_text("".join(f"{preamble} {task}\n" for task in tasks), encoding="utf-8")
    stage = Decontaminate(benchmarks=(str(path),))
    assert set(judge(stage, f"{preamble} and so on", tasks[3])) == {1}
    every = Decontaminate(benchmarks=(str(path),), common=30)
    assert set(judge(every, f"{preamble} and so on")) == {0}


def test_a_passage_that_many_items_repeat_as_it_is_counts(tmp_path: Path) -> None:
    passage = " ".join(prose(60, 5))
    path = tmp_path / "reading.jsonl"
    items = [{"passage": passage, "question": " ".join(prose(20, 200 + i))} for i in range(40)]
    path.write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    found = judge(Decontaminate(benchmarks=(str(path),)), passage)
    assert len(matched(found[0])["reading"]) == 40


def test_the_ledger_names_a_bounded_number_of_items(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    lines = [" ".join(prose(20, i)) for i in range(ITEMS_NAMED + 7)]
    path.write_text("\n".join(lines), encoding="utf-8")
    detail = json.loads(
        judge(Decontaminate(benchmarks=(str(path),)), "\n".join(lines))[0]["detail"]
    )
    assert (len(detail["matched"]["many"]), detail["more"]) == (ITEMS_NAMED, 7)
    assert "word" not in json.dumps(detail)


def test_a_program_in_other_layout_is_found(tmp_path: Path) -> None:
    program = (
        "    result = []\n    depth = 0\n    for c in paren_string:\n        if c == '(':\n"
        "            depth += 1\n            result.append(c)\n    return ''.join(result)\n"
    )
    path = tmp_path / "code.jsonl"
    path.write_text(json.dumps({"task_id": "T/1", "canonical_solution": program}))
    stage = Decontaminate(benchmarks=(str(path),))
    around = textwrap.dedent(program)
    pages = [
        textwrap.indent(around, "\t"),
        f"Try this:\n\n```python\n{around}```\n\nIt works.",
        textwrap.indent(around, "> "),
        around.replace("'", '"').replace("\n", "\r\n"),
    ]
    found = judge(stage, *pages, "for c in text:\n    print(c)\n")
    assert {number: matched(v) for number, v in found.items()} == {
        number: {"code": {"T/1": 1.0}} for number in range(len(pages))
    }


# ---- spans ----


def test_spans_are_cut_with_a_margin_and_nothing_is_found_again(benchmark_file: str) -> None:
    stage = Decontaminate(benchmarks=(benchmark_file,), remove="span", margin=4)
    before, after = prose(300, 1), prose(300, 2)
    text = f"{' '.join(before)}\n\n\u201c{QUESTION}\u201d\n\n{' '.join(after)}"
    found, left = outcome_of(stage, text, "clean \u00e9 text", text)
    assert left[1] == "clean \u00e9 text"
    assert left[0] == left[2] == f"{' '.join(before[:-4])}\n\n{' '.join(after[4:])}"
    assert found.keys() == {0, 2}
    assert (found[0]["action"], found[0]["reason"]) == ("changed", "contaminated_spans_removed")
    assert found[0]["value"] == pytest.approx(1 - len(left[0]) / len(text))
    assert matched(found[0]) == {"rolls": {"x/1": 1.0}}
    assert outcome_of(stage, *left) == ({}, left)


def test_what_a_cut_brings_together_is_cut_too(benchmark_file: str) -> None:
    stage = Decontaminate(benchmarks=(benchmark_file,), remove="span", margin=0)
    question = QUESTION.split()
    nested = [*question[:12], *question, *question[12:20]]
    text = " ".join([*prose(50, 1), *nested, *prose(50, 2)])
    found, left = outcome_of(stage, text)
    assert left == [" ".join([*prose(50, 1), *prose(50, 2)])]
    assert judge(stage, *left) == {}
    assert found[0]["reason"] == "contaminated_spans_removed"


def test_documents_of_which_too_little_is_left_are_dropped(benchmark_file: str) -> None:
    stage = Decontaminate(benchmarks=(benchmark_file,), remove="span", margin=5, max_pieces=3)
    pieces = [" ".join(prose(40, i)) for i in range(4)]
    found = judge(
        stage,
        f" {QUESTION} ".join(pieces),
        f" {QUESTION} ".join(pieces[:3]),
        f"a title of some words\n{QUESTION}\n*** !",
    )
    assert [found[i]["reason"] for i in range(3)] == [
        "too_many_pieces",
        "contaminated_spans_removed",
        "no_text_left",
    ]
    assert (found[0]["value"], found[0]["threshold"]) == (4, 3)


def test_programs_are_dropped_whole(benchmark_file: str) -> None:
    stage = Decontaminate(benchmarks=(benchmark_file,), remove="span")
    text = f"x = 1\n# {QUESTION}\n" + "y = 2\n" * 100
    found, left = outcome_of(stage, text, kind="code")
    assert (found[0]["action"], found[0]["reason"]) == ("dropped", "contaminated")
    assert left == [text]


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 6))
def test_widened_runs_leave_no_short_piece(marks: list[bool], margin: int) -> None:
    edges = [
        i for i, (a, b) in enumerate(zip([False, *marks], [*marks, False], strict=True)) if a != b
    ]
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    wide = widened(runs, len(marks), margin)
    gone = {i for first, last in wide for i in range(first, last)}
    for first, last in runs:
        assert gone.issuperset(range(max(0, first - margin), min(len(marks), last + margin)))
    ends = [0, *(end for run in wide for end in run), len(marks)]
    left = [last - first for first, last in zip(ends[::2], ends[1::2], strict=True)]
    if runs:
        assert all(piece == 0 or piece >= max(1, margin) for piece in left)
    assert all(first < last for first, last in wide)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(wide))


# ---- settings ----


def test_fields_can_be_named_for_all_and_for_one(benchmark_file: str, tmp_path: Path) -> None:
    path = tmp_path / "fields.jsonl"
    other = " ".join(prose(40, 6))
    path.write_text(json.dumps({"question": QUESTION, "context": other}), encoding="utf-8")
    both = Decontaminate(benchmarks=(str(path),))
    only = Decontaminate(benchmarks=(str(path),), fields=("question",))
    entry = {"path": str(path), "fields": "context", "name": "made up"}
    own = Decontaminate.model_validate(
        {"benchmarks": [entry, benchmark_file], "fields": "question"}
    )
    only.check()
    own.check()
    assert judge(both, QUESTION, other).keys() == {0, 1}
    assert judge(only, QUESTION, other).keys() == {0}
    found = judge(own, QUESTION, other)
    assert [list(matched(found[i])) for i in (0, 1)] == [["rolls"], ["made up"]]
    again = Decontaminate.model_validate(own.model_dump(mode="json", by_alias=True))
    assert again == own
    assert own.benchmarks == (str(path), benchmark_file)


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"benchmarks": []}, "benchmarks"),
        ({"benchmarks": [{"fields": ["a"]}]}, "no `path`"),
        ({"benchmarks": [{"path": "a.txt", "field": "a"}]}, "did you mean 'fields'"),
        ({"benchmarks": [{"path": "a.txt", "name": "<b>"}]}, "name"),
        ({"benchmarks": ["a.txt"], "reading": [{}, {}]}, "one entry for each"),
        ({"benchmarks": [{"path": "a.txt"}], "reading": [{}]}, "write it there"),
        ({"benchmarks": ["a.txt"], "ngram": 5}, "short_ngram: 8 words are more"),
        ({"benchmarks": ["a.txt"], "threshold": float("nan")}, "threshold"),
    ],
)
def test_wrong_settings_are_refused(given_settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Decontaminate.model_validate(given_settings)


# ---- the index ----

small_texts = st.lists(st.lists(st.sampled_from("abc"), max_size=9), max_size=6)


@given(small_texts, small_texts, st.integers(1, 3), st.sampled_from([0.1, 0.5, 1.0]))
def test_the_index_is_equal_to_plain_sets(
    entries: list[list[str]], texts: list[list[str]], common: int, threshold: float
) -> None:
    ngram, short = 3, 2
    groups = [i % 2 for i in range(len(entries))]
    grams = []
    for entry in entries:
        length = ngram if len(entry) >= ngram else short
        grams.append({tuple(entry[i : i + length]) for i in range(len(entry) - length + 1)})
    spellings: dict[Any, set[Any]] = {}
    for entry, group, some in zip(entries, groups, grams, strict=True):
        for gram in some:
            spellings.setdefault((gram, group), set()).add(tuple(entry))
    often = {gram for (gram, _), found in spellings.items() if len(found) > common}
    grams = [some - often for some in grams]
    joined = [" ".join(entry) for entry in entries]
    index = OverlapIndex(joined, groups, ngram=ngram, short_ngram=short, common=common)
    assert index.sizes.tolist() == [len(some) for some in grams]
    hashes = word_hashes(pa.array([" ".join(text) for text in texts], pa.large_string()))
    found = {overlap.text: overlap for overlap in index.overlaps(hashes, threshold)}
    for number, text in enumerate(texts):
        there = {tuple(text[i : i + n]) for n in (ngram, short) for i in range(len(text) - n + 1)}
        shares = {i: len(g & there) / len(g) for i, g in enumerate(grams) if g}
        enough = {i: share for i, share in shares.items() if share >= threshold}
        if not enough:
            assert number not in found
            continue
        overlap = found[number]
        order = sorted(enough, key=lambda i: (-enough[i], i))
        assert overlap.entries.tolist() == order
        assert overlap.shares.tolist() == [enough[i] for i in order]
        wanted = set().union(*(grams[i] for i in enough))
        covered = {
            i + j
            for n in (ngram, short)
            for i in range(len(text) - n + 1)
            if tuple(text[i : i + n]) in wanted
            for j in range(n)
        }
        runs = zip(overlap.firsts.tolist(), overlap.lasts.tolist(), strict=True)
        assert [i for first, last in runs for i in range(first, last)] == sorted(covered)


def test_real_benchmarks_are_found_and_real_text_is_kept(shared_data: Path) -> None:
    folder = shared_data / "benchmarks"
    stage = Decontaminate(
        benchmarks=(str(folder / "gsm8k-test.jsonl"), str(folder / "HumanEval.jsonl.gz"))
    )
    stage.check()
    lines = (folder / "gsm8k-test.jsonl").read_text(encoding="utf-8").splitlines()
    with gzip.open(folder / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as stream:
        code = [json.loads(line)["prompt"] for line in stream]
    questions = [json.loads(line)["question"] for line in lines[:100]]
    found = judge(stage, *questions, *code)
    assert len(found) == len(questions) + len(code)
    assert [matched(found[i])["gsm8k-test"][f"line {i + 1}"] for i in range(3)] == [1.0] * 3
    assert matched(found[100])["HumanEval"]["HumanEval/0"] == 1.0
    chance = random.Random(1)
    edited = [
        " ".join("changed" if chance.random() < 0.03 else word for word in question.split())
        for question in questions
    ]
    assert len(judge(stage, *edited)) >= 90
    real = (shared_data / "prose" / "wikitext-2-valid.txt").read_text(encoding="utf-8")
    library = [Path(str(module.__file__)).read_text() for module in (json, random)]
    assert judge(stage, real, *library) == {}
