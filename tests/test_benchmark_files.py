"""Benchmarks of every format give the same items, and what cannot be read is named."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpusmill.errors import UsageError
from corpusmill.stages import benchmark_files, benchmark_items
from corpusmill.stages.benchmark_files import Benchmark, Entries, read_entries
from corpusmill.stages.decontaminate import Decontaminate

ROWS: list[dict[str, Any]] = [
    {"id": "a", "question": "what is it", "choices": {"text": ["one", "two"], "label": ["A", "B"]}},
    {"id": "a", "question": "who was \u00e9l", "choices": {"text": ["three"], "label": ["A"]}},
    {"id": None, "question": None, "choices": {"text": [], "label": []}},
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """The rows in the format of the path's ending."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines))
    elif path.suffix == ".zst":
        path.write_bytes(pa.compress(lines, "zstd", asbytes=True))
    else:
        path.write_bytes(lines)
    return str(path)


def items(found: Entries) -> list[tuple[str, list[str]]]:
    """Name and texts of each item."""
    return [
        (name, [t for t, i in zip(found.texts, found.items, strict=True) if i == number])
        for number, (_, name) in enumerate(found.names)
    ]


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("q.jsonl", ["a", "line 2", "line 3"]),
        ("q.jsonl.gz", ["a", "line 2", "line 3"]),
        ("q.jsonl.zst", ["a", "line 2", "line 3"]),
        ("q.json", ["a", "item 1", "item 2"]),
        ("q.parquet", ["a", "row 1", "row 2"]),
    ],
)
def test_formats_give_the_same_items(tmp_path: Path, name: str, places: list[str]) -> None:
    path = write(tmp_path / name, ROWS)
    found = read_entries([Benchmark(path=path, fields=("question", "choices.text"))])
    wanted = [["what is it", "one", "two"], ["who was \u00e9l", "three"], []]
    assert items(found) == list(zip(places, wanted, strict=True))
    assert {label for label, _ in found.names} == {"q"}
    every = items(read_entries([Benchmark(path=path)]))[0][1]
    assert sorted(every) == sorted(["a", "what is it", "one", "two", "A", "B"])


def test_tables_have_a_header_where_fields_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('q,a\n"first\nquestion",x\nsecond,y\n', encoding="utf-8")
    named = read_entries([Benchmark(path=str(path), fields=("q",))])
    assert items(named) == [("line 3", ["first\nquestion"]), ("line 4", ["second"])]
    whole = read_entries([Benchmark(path=str(path))])
    assert items(whole)[0] == ("line 1", ["q", "a"])


def test_folders_and_patterns_name_each_file(tmp_path: Path) -> None:
    for subject in ("law", "art"):
        (tmp_path / "mmlu" / subject).mkdir(parents=True)
        write(tmp_path / "mmlu" / subject / "test.jsonl", ROWS[:1])
    (tmp_path / "mmlu" / "README.md").write_text("not read")
    folder = read_entries([Benchmark(path=str(tmp_path / "mmlu"))])
    assert [label for label, _ in folder.names] == ["art/test", "law/test"]
    pattern = read_entries([Benchmark(path=str(tmp_path / "*" / "law" / "*"), name="mine")])
    assert [label for label, _ in pattern.names] == ["mine"]
    with pytest.raises(UsageError, match="both called 'test'"):
        read_entries(
            Benchmark(path=str(tmp_path / "mmlu" / subject / "test.jsonl"))
            for subject in ("law", "art")
        )


@pytest.mark.parametrize("name", ["q.jsonl", "q.parquet", "q.json"])
@pytest.mark.parametrize("wanted", ["choices.texts", "questions"])
def test_a_field_that_no_item_has_is_an_error(tmp_path: Path, name: str, wanted: str) -> None:
    path = write(tmp_path / name, ROWS)
    near = {"choices.texts": "choices.text", "questions": "question"}[wanted]
    with pytest.raises(UsageError, match=rf"{name}.*'{wanted}' is not one of .*mean '{near}'"):
        read_entries([Benchmark(path=path, fields=("question", wanted))])


def test_a_field_that_some_items_have_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "q.jsonl", [{"a": "x"}, {"a": "y", "hint": "z"}])
    found = read_entries([Benchmark(path=path, fields=("a", "hint"))])
    assert items(found) == [("line 1", ["x"]), ("line 2", ["y", "z"])]


def parquet_bytes() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "No such file"),
        ("bad.jsonl", b'{"a": "b"}\n{"a": \n', "bad.jsonl:2: not JSON"),
        ("latin.txt", "caf\u00e9\n".encode("latin-1"), "latin.txt:1: not text in UTF-8"),
        ("deep.jsonl", b"[" * 100_000, "deep.jsonl:1: not JSON"),
        ("deep.json", b"[" * 100_000, "deep.json: not a JSON list"),
        ("plain.jsonl.gz", b"not gzip at all", "plain.jsonl.gz:1: not JSON"),
        ("cut.jsonl.gz", gzip.compress(b'{"a": "b"}' * 99, mtime=0)[:-12], "damaged or cut off"),
        ("empty.jsonl", b"", "no text with 8 words"),
        ("tiny.txt", b"yes\nno\n", "no text with 8 words"),
        ("table.xlsx", b"PK", "benchmarks are read from .jsonl"),
        ("bad.csv", b"a,b\n\xff,\n", "not a table in UTF-8"),
        ("not.parquet", b"a,b\n", "not a whole Parquet file"),
        ("cut.parquet", parquet_bytes()[:-40], "not a whole Parquet file"),
        ("spoiled.parquet", parquet_bytes().replace(b"PAR1", b"PAR1", 1)[:4] + b"\xff" * 200
         + parquet_bytes()[204:], "not a whole Parquet file"),
    ],
)  # fmt: skip
def test_a_benchmark_that_cannot_be_used_is_a_usage_error(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        Decontaminate(benchmarks=(str(tmp_path / name),)).check()


def test_a_folder_without_benchmarks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    with pytest.raises(UsageError, match="no benchmark in it"):
        read_entries([Benchmark(path=str(tmp_path))])


def test_sizes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "q.jsonl.gz", [{"a": "x" * 5000}] * 4)
    monkeypatch.setattr(benchmark_files, "MAX_TEXT", 12_000)
    with pytest.raises(UsageError, match="name the fields"):
        read_entries([Benchmark(path=path)])
    monkeypatch.setattr(benchmark_items, "MAX_ITEM", 1_000)
    with pytest.raises(UsageError, match="line 1 has more than"):
        read_entries([Benchmark(path=path)])
    monkeypatch.setattr(benchmark_items, "MAX_UNPACKED", 9_000)
    with pytest.raises(UsageError, match="the file has more than"):
        read_entries([Benchmark(path=path)])


def test_odd_values_are_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    lines = [
        '"a string"', "17", "null", '{"id": true, "a": "half \\ud83d pair"}', '{"a.b": "dotted"}',
        "[" * 900 + '"deep"' + "]" * 900, '{"id": "' + "n" * 200 + '"}',
    ]  # fmt: skip
    path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    found = items(read_entries([Benchmark(path=str(path))]))
    assert [name for name, _ in found] == [f"line {i}" for i in range(1, 8)]
    assert [texts for _, texts in found[:6]] == [
        ["a string"], [], [], ["half ? pair"], ["dotted"], ["deep"],
    ]  # fmt: skip
    dotted = read_entries([Benchmark(path=str(path), fields=("a.b",))])
    assert [texts for _, texts in items(dotted) if texts] == [["a string"], ["dotted"]]
