"""Benchmark items are found where they are quoted, and nowhere else."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpusmill.document import document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.filters.overlap import OverlapIndex
from corpusmill.filters.shingles import word_hashes, words
from corpusmill.stage import check_verdicts
from corpusmill.stages.decontaminate import Decontaminate

QUESTION = (
    "A baker fills seven trays with thirteen rolls each, sells a third of them before noon and "
    "gives nine to her neighbour. How many rolls does she have left in the evening?"
)
ANSWER = "She has made ninety-one rolls."


def judge(stage: Decontaminate, *texts: str) -> dict[int, dict[str, Any]]:
    """Number of the document -> its verdict."""
    defaults = {"source": "s", "kind": "web", "uri": ""}
    rows = [{"id": f"{i:032x}", "text": text, **defaults} for i, text in enumerate(texts)]
    documents = documents_from_rows(rows, document_schema())
    outcome = stage.open()(documents)
    check_verdicts(documents, outcome)
    return {int(row["id"], 16): row for row in outcome.verdicts.to_pylist()}


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
    assert found[0]["detail"] == "rolls.jsonl item 2"


def test_the_value_is_the_share_of_the_items_ngrams(benchmark_file: str) -> None:
    found = list(words(QUESTION))
    total = len(found) - 12
    half = " ".join([*prose(50, 3), *found[: 12 + total // 2], *prose(50, 4)])
    verdicts = judge(Decontaminate(benchmarks=(benchmark_file,)), half)
    assert verdicts[0]["value"] == pytest.approx((total // 2) / total)
    strict = Decontaminate(benchmarks=(benchmark_file,), threshold=0.6)
    assert judge(strict, half, QUESTION).keys() == {1}


def test_short_strings_are_looked_for_whole_and_very_short_ones_not(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    eight = "one two three four five six seven eight"
    path.write_text(f"{eight}\nthe quick brown fox\n", encoding="utf-8")
    stage = Decontaminate(benchmarks=(str(path),))
    stage.check()
    found = judge(stage, f"zero {eight} nine", eight[:-6], "the quick brown fox jumps over " * 9)
    assert set(found) == {0}
    assert found[0]["detail"] == "short.txt item 1"


def test_fields_limit_what_is_looked_for(benchmark_file: str, tmp_path: Path) -> None:
    path = tmp_path / "fields.jsonl"
    other = " ".join(prose(40, 6))
    path.write_text(json.dumps({"question": QUESTION, "context": other}), encoding="utf-8")
    both = Decontaminate(benchmarks=(str(path),))
    only = Decontaminate(benchmarks=(str(path),), fields=("question",))
    only.check()
    assert judge(both, QUESTION, other).keys() == {0, 1}
    assert judge(only, QUESTION, other).keys() == {0}
    with pytest.raises(UsageError, match=r"rolls.jsonl:1: .*'answer' is not one of id, question"):
        Decontaminate(benchmarks=(benchmark_file,), fields=("answer",)).check()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "No such file"),
        ("bad.jsonl", b'{"a": "b"}\n{"a": \n', "bad.jsonl:2: not JSON"),
        ("latin.txt", "caf\u00e9\n".encode("latin-1"), "latin.txt:1: not text in UTF-8"),
        ("deep.jsonl", b"[" * 100_000, "deep.jsonl:1: not JSON"),
        ("plain.jsonl.gz", b"not gzip at all", "not a whole gzip file"),
        ("cut.jsonl.gz", gzip.compress(b'{"a": "b"}' * 99)[:-12], "not a whole gzip file"),
        ("empty.jsonl", b"", "no text with 8 words"),
        ("tiny.txt", b"yes\nno\n", "no text with 8 words"),
        ("table.csv", b"a,b\n", "benchmarks are read from .jsonl"),
    ],
)
def test_a_benchmark_that_cannot_be_used_is_a_usage_error(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        Decontaminate(benchmarks=(str(tmp_path / name),)).check()


def test_deeply_nested_items_are_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.jsonl"
    path.write_text("[" * 900 + json.dumps(QUESTION) + "]" * 900, encoding="utf-8")
    assert judge(Decontaminate(benchmarks=(str(path),)), QUESTION).keys() == {0}


def test_settings_without_a_benchmark_are_refused() -> None:
    with pytest.raises(ValidationError, match="benchmarks"):
        Decontaminate(benchmarks=())
    assert Decontaminate.path_settings == ("benchmarks",)


def test_the_index_counts_like_plain_sets() -> None:
    chance = random.Random(7)
    entries = [" ".join(prose(chance.randrange(2, 40), i)) for i in range(30)] * 2
    index = OverlapIndex(entries, 10)
    for seed in range(40):
        text = prose(60, 100 + seed)
        for entry in chance.sample(entries, 2):
            piece = entry.split()[: chance.randrange(1, 40)]
            at = chance.randrange(len(text))
            text[at:at] = piece
        expected: tuple[int, float] | None = None
        for number, entry in enumerate(entries):
            parts = entry.split()
            length = min(10, len(parts))
            if len(parts) < 8:
                continue
            runs = {tuple(parts[i : i + length]) for i in range(len(parts) - length + 1)}
            there = {tuple(text[i : i + length]) for i in range(len(text) - length + 1)}
            share = len(runs & there) / len(runs)
            if share > (expected[1] if expected else 0):
                expected = (number, share)
        hashes = word_hashes(pa.array([" ".join(text)], pa.large_string())).hashes
        assert index.best(hashes) == expected


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
    assert [found[i]["detail"] for i in range(3)] == [
        f"gsm8k-test.jsonl item {i}" for i in (1, 2, 3)
    ]
    chance = random.Random(1)
    edited = [
        " ".join("changed" if chance.random() < 0.03 else word for word in question.split())
        for question in questions
    ]
    assert len(judge(stage, *edited)) >= 90
    real = (shared_data / "prose" / "wikitext-2-valid.txt").read_text(encoding="utf-8")
    library = [Path(json.__file__).read_text(), Path(random.__file__).read_text()]
    assert judge(stage, real, *library) == {}
