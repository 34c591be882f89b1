"""Ranges of one file give together what the whole file gives; splits follow from sizes alone."""

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpusmill.pipelines.ingest import split_inputs
from corpusmill.stages.sources.listing import InputFile
from corpusmill.stages.sources.records import Found, can_be_split, read_file
from corpusmill.stages.sources.source import Source

WEB = Source(name="s", kind="web", path="x")


def read_in_ranges(path: Path, edges: list[int], source: Source = WEB) -> list[Found]:
    bounds: list[int | None] = [0, *sorted(edges), None]
    return [
        found
        for start, end in pairwise(bounds)
        for found in read_file(source, str(path), path.name, start or 0, end)
    ]


lines = st.lists(st.sampled_from(["", " ", "{", '{"text": "a"}', '{"text": "ää bc"}', "\r"]))


@given(lines=lines, edges=st.lists(st.integers(0, 80)), ending=st.sampled_from(["", "\n"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_of_json_lines_give_each_line_once(
    tmp_path: Path, lines: list[str], edges: list[int], ending: str
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines) + ending)
    whole = list(read_file(WEB, str(path), path.name))
    if path.stat().st_size:  # an empty file is told of by every range
        assert read_in_ranges(path, edges) == whole


def test_ranges_of_parquet_give_each_row_group_once(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    texts = [f"text {i}" for i in range(100)]
    pq.write_table(pa.table({"text": texts, "id": list(range(100))}), path, row_group_size=7)
    whole = list(read_file(WEB, str(path), path.name))
    assert [found.locator for found in whole] == [str(i) for i in range(100)]
    size = path.stat().st_size
    assert read_in_ranges(path, [size * i // 5 for i in range(1, 5)]) == whole
    assert read_in_ranges(path, list(range(0, size, 97))) == whole


def test_a_damaged_row_group_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"text": [f"{i} {'x' * 50} {i * i}" for i in range(60)]})
    pq.write_table(table, path, row_group_size=20, use_dictionary=False)
    column = pq.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    start = column.data_page_offset
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    found = list(read_file(WEB, str(path), path.name))
    whole = [f.locator for f in found if not getattr(f, "problem", None)]
    assert whole == [str(i) for i in [*range(20), *range(40, 60)]]
    assert len(found) == 41  # one report of the damage


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.csv", "x.txt", "x.arrow"])
def test_what_cannot_be_entered_in_the_middle_belongs_to_its_first_byte(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    rows = "".join(json.dumps({"text": f"text {i}"}) + "\n" for i in range(50))
    if name == "x.jsonl.gz":
        path.write_bytes(gzip.compress(rows.encode()))
    elif name == "x.csv":
        path.write_text("text\n" + "".join(f"row {i}\n" for i in range(50)))
    elif name == "x.arrow":
        table = pa.table({"text": [f"text {i}" for i in range(50)]})
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        path.write_text(rows)
    whole = list(read_file(WEB, str(path), name))
    assert len(whole) == (1 if name == "x.txt" else 50)
    assert read_in_ranges(path, [10, 50]) == whole


def files(*sizes: tuple[str, int]) -> list[InputFile]:
    return [InputFile(source="s", path=name, relative=name, bytes=size) for name, size in sizes]


def test_large_files_are_cut_into_equal_ranges_and_small_ones_grouped() -> None:
    splits = list(
        split_inputs(
            WEB, files(("a.warc.gz", 250), ("b.txt", 40), ("c.txt", 50), ("d.txt", 300)), 100
        )
    )
    shown = [[(p.file.relative, p.start, p.end) for p in split] for split in splits]
    assert shown == [
        [("a.warc.gz", 0, 83)],
        [("a.warc.gz", 83, 166)],
        [("a.warc.gz", 166, None)],
        [("b.txt", 0, None), ("c.txt", 0, None)],
        [("d.txt", 0, None)],
    ]


def test_only_formats_with_marks_inside_are_cut() -> None:
    names = [
        "a.warc",
        "a.warc.gz",
        "a.warc.zst",
        "a.arc.gz",
        "a.warc.wet.gz",
        "a.jsonl",
        "a.parquet",
    ]
    assert all(can_be_split(WEB, name) for name in names)
    names = ["a.jsonl.gz", "a.csv", "a.html", "a.zip", "a.tar", "a.arrow", "a.json"]
    assert not any(can_be_split(WEB, name) for name in names)
    code = Source(name="s", kind="code", path="folder")
    assert not can_be_split(code, "data.jsonl")  # one file of code, whatever it holds


def test_a_repository_is_never_divided() -> None:
    source = Source(name="s", kind="code", path="x", unit="repository")
    listed = files(("LICENSE", 90), ("a.zip", 10), ("a/x.py", 90), ("a/y.py", 90), ("z.py", 90))
    splits = list(split_inputs(source, listed, 100))
    assert [[p.file.relative for p in split] for split in splits] == [
        ["LICENSE", "z.py"],
        ["a/x.py", "a/y.py"],
        ["a.zip"],
    ]
