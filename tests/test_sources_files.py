"""Files of all formats: which reader gets them, and what hostile ones come to."""

import gzip
import io
import json
import os
import random
import re
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.stages.sources import limits, records, tables
from corpusmill.stages.sources.listing import list_inputs
from corpusmill.stages.sources.member_names import MemberNames
from corpusmill.stages.sources.records import RawDocument, Skipped, read_file
from corpusmill.stages.sources.source import Source
from corpusmill.stages.sources.units import chapter_locator


def read(path: Path, kind: str = "web", source_path: str = "in") -> list[RawDocument | Skipped]:
    source = Source.model_validate({"name": "s", "kind": kind, "path": source_path})
    return list(read_file(source, str(path), path.name))


def one(path: Path, kind: str = "web") -> RawDocument | Skipped:
    (found,) = read(path, kind)
    return found


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def fate(found: RawDocument | Skipped) -> str:
    return found.reason if isinstance(found, Skipped) else found.problem or found.media


NOISE = random.Random(1).randbytes(5000)
PAGE = b"<!doctype html><html><body><p>Hello.</p></body></html>"


@pytest.mark.parametrize(
    ("name", "kind", "data", "expected"),
    [
        ("empty.warc", "web", b"", "empty_file"),
        ("noise.bin", "web", NOISE, "unknown_format"),
        ("noise.txt", "book", NOISE, "unknown_format"),
        ("noise.html", "web", NOISE, "unknown_format"),
        ("noise.py", "code", NOISE, "binary"),
        ("noise.warc.gz", "web", NOISE, "damaged_record"),
        ("noise.parquet", "web", NOISE, "damaged_file"),
        ("noise.arrow", "web", NOISE, "damaged_file"),
        ("noise.tar", "code", NOISE, "binary"),
        ("noise.zip", "code", b"PK\x03\x04" + NOISE, "not_a_zip"),
        ("noise.epub", "book", NOISE, "not_a_zip"),
        ("half.html.gz", "web", gzip.compress(PAGE * 100, mtime=0)[:-20], "damaged_file"),
        ("image.png", "web", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE, "unknown_format"),
        ("page.html", "web", PAGE, "html"),
        ("page", "web", PAGE, "html"),
        ("page.html.gz", "web", gzip.compress(PAGE, mtime=0), "html"),
        ("page.htm.zst", "web", zstandard.compress(PAGE), "html"),
        ("page.html", "code", PAGE, "code"),
        ("notes.txt", "web", b"Plain words.", "text"),
        ("readme.md", "book", b"# Title", "text"),
        ("app.py", "web", b"print()", "unknown_format"),
        ("app.py", "code", b"print()", "code"),
        ("data.json", "code", b'{"a": 1}', "code"),
        ("data.json", "web", b'[\n {"a": 1}\n]', "not_json_lines"),
    ],
)
def test_a_file_is_read_as_what_it_is(
    tmp_path: Path, name: str, kind: str, data: bytes, expected: str
) -> None:
    assert fate(one(written(tmp_path / name, data), kind)) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_quarantined(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", b"text")
    path.chmod(0)
    assert fate(one(path)) == "unreadable_file"


def test_a_missing_file_is_quarantined(tmp_path: Path) -> None:
    assert fate(one(tmp_path / "gone.txt")) == "unreadable_file"


def test_what_version_control_keeps_is_no_input(tmp_path: Path) -> None:
    for name in ("project/.git/config", "project/__pycache__/a.pyc", "project/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listed = list_inputs(Source(name="s", kind="code", path=str(tmp_path)))
    assert [file.relative for file in listed] == ["project/a.py"]


def test_packed_code_is_unpacked_and_packed_data_is_not_code(tmp_path: Path) -> None:
    assert fate(one(written(tmp_path / "a.py.gz", gzip.compress(b"x = 1")), "code")) == "code"
    assert fate(one(written(tmp_path / "a.bin.gz", gzip.compress(b"x")), "code")) == "binary"


def test_a_document_over_the_limit_is_refused_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_PAYLOAD", 1000)
    monkeypatch.setattr(tables, "MAX_PAYLOAD", 1000)
    line = b"word " * 1000
    assert fate(one(written(tmp_path / "line.txt", line), "book")) == "too_large"
    assert fate(one(written(tmp_path / "line.txt.gz", gzip.compress(line)), "book")) == "too_large"
    rows = b'{"text": "first"}\n{"text": "%s"}\n{"text": "third"}\n' % (line * 1000)
    found = read(written(tmp_path / "rows.jsonl", rows))
    assert [fate(f) for f in found] == ["extracted", "too_large", "extracted"]
    third = rows.index(b'{"text": "third"}')
    assert [f.locator for f in found] == ["0", "18", str(third)]


ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": "First.", "url": "http://one.example/", "title": "One"},
    {"id": 2, "text": "Zweite — mit Ümlaut."},
]


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_json_lines_survive_bad_lines(tmp_path: Path, packed: str) -> None:
    lines = [
        json.dumps(ROWS[0]).encode(),
        b"{broken",
        b'"no object"',
        b'{"text": 3}',
        b'{"text": "\xff\xfe"}',
        b'{"text": "\\ud800"}',
        b"",
        b"[" * 100_000,
        json.dumps(ROWS[1]).encode(),
    ]
    data = b"\n".join(lines)
    pack: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".zst": zstandard.compress,
    }
    found = read(written(tmp_path / f"rows.jsonl{packed}", pack[packed](data)))
    assert [fate(f) for f in found] == [
        "extracted", "invalid_json", "not_an_object", "no_text_field", "invalid_utf8",
        "invalid_utf8", "invalid_json", "extracted",
    ]  # fmt: skip
    first, last = found[0], found[-1]
    assert isinstance(first, RawDocument)
    assert isinstance(last, RawDocument)
    assert (first.uri, first.metadata) == ("http://one.example/", {"id": "a", "title": "One"})
    assert (last.payload.decode(), last.metadata) == (ROWS[1]["text"], {"id": "2"})
    assert last.uri == f"rows.jsonl{packed}#{last.locator}"
    assert data[int(last.locator) :].startswith(b'{"id": 2')


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_truncated_stream_gives_its_whole_lines(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    noise = random.Random(2)
    lines = [json.dumps({"text": noise.randbytes(500).hex()}).encode() for _ in range(400)]
    packed = pack(b"\n".join(lines))
    found = read(written(tmp_path / "rows.jsonl", packed[: len(packed) // 2]))
    assert [fate(f) for f in found] == ["extracted"] * (len(found) - 1) + ["truncated_record"]
    whole = [f.payload for f in found[:-1] if isinstance(f, RawDocument)]
    assert whole == [json.loads(line)["text"].encode() for line in lines[: len(whole)]]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("damage", ["cut", "flipped", "checksum"])
def test_every_row_in_front_of_a_damage_arrives(
    tmp_path: Path, pack: Callable[[bytes], bytes], damage: str
) -> None:
    """Of two streams one after another the second is damaged: the first is whole."""
    noise = random.Random(3)
    rows = [json.dumps({"text": noise.randbytes(9).hex() * 3}).encode() for _ in range(6000)]
    first = b"".join(row + b"\n" for row in rows)
    second = bytearray(pack(first))
    if damage == "cut":
        del second[-len(second) // 3 :]
    elif damage == "flipped":
        second[0:4] = b"\xff" * 4
    elif pack is gzip.compress:
        second[-6] ^= 1
    else:
        del second[-1:]
    found = read(written(tmp_path / "rows.jsonl", pack(first) + bytes(second)))
    assert fate(found[-1]) == "truncated_record"
    whole = [f.payload for f in found if isinstance(f, RawDocument) and f.media == "extracted"]
    assert whole[:6000] == [json.loads(row)["text"].encode() for row in rows]
    if damage == "checksum" and pack is gzip.compress:
        assert len(whole) == 12_000
    if damage == "cut":
        assert len(whole) > 8000


def test_a_short_stream_that_is_cut_gives_its_rows(tmp_path: Path) -> None:
    rows = b"".join(b'{"text": "row %d"}\n' % i for i in range(5))
    found = read(written(tmp_path / "rows.jsonl.gz", gzip.compress(rows)[:-9]))
    assert [fate(f) for f in found] == ["extracted"] * 5 + ["truncated_record"]
    table = b"text\n" + b"a row\n" * 5
    found = read(written(tmp_path / "rows.csv.gz", gzip.compress(table)[:-3]))
    assert [fate(f) for f in found] == ["extracted"] * 5 + ["truncated_record"]


def test_zeros_may_pad_a_gzip_stream(tmp_path: Path) -> None:
    row = gzip.compress(b'{"text": "a"}\n')
    data = row + bytes(600) + row + bytes(40_000)
    assert [fate(f) for f in read(written(tmp_path / "r.jsonl.gz", data))] == ["extracted"] * 2


def test_columnar_files_give_their_rows(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(
        [{"id": "x", "text": "First.", "n": 1}, {"id": "y", "text": None, "n": 2}]
    )
    pq.write_table(table, tmp_path / "t.parquet")
    with pa.ipc.new_file(tmp_path / "file.arrow", table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(tmp_path / "stream.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ("t.parquet", "file.arrow", "stream.arrow"):
        found = read(tmp_path / name)
        assert [(f.locator, fate(f)) for f in found] == [("0", "extracted"), ("1", "extracted")]
        first, second = found
        assert isinstance(first, RawDocument)
        assert isinstance(second, RawDocument)
        assert first.metadata == {"id": "x"}
        assert second.payload == b""  # a null is no text, and not an error


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", None]), ["a", ""]),
        (pa.array(["a", None], pa.large_string()), ["a", ""]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([None, None]), ["", ""]),
        (pa.array([b"a", "ü".encode(), b"\xff"]), ["a", "ü", "invalid_utf8"]),
        (pa.array([1, 2]), "no_text_column"),
        (pa.array([["a"], ["b"]]), "no_text_column"),
        (pa.array([{"a": "b"}]), "no_text_column"),
    ],
    ids=str,
)
def test_a_column_that_can_hold_text_is_read(
    tmp_path: Path, column: pa.Array, expected: list[str] | str
) -> None:
    table = pa.table({"text": column})
    pq.write_table(table, tmp_path / "t.parquet")
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("t.parquet", "t.arrow"):
        found = read(tmp_path / name)
        if isinstance(expected, str):
            assert [fate(f) for f in found] == [expected]
            continue
        texts = [f.problem or f.payload.decode() for f in found if isinstance(f, RawDocument)]
        assert texts == expected


def test_what_json_lines_have_instead_of_text_and_id(tmp_path: Path) -> None:
    rows = b'{"text": null, "id": true}\n{"id": 1}\n{"text": ["a"]}\n{"text": "", "id": [1]}\n'
    null, *wrong, empty = read(written(tmp_path / "t.jsonl", rows))
    assert isinstance(null, RawDocument)
    assert (null.problem, null.payload, null.metadata) == (None, b"", {})
    assert [fate(f) for f in wrong] == ["no_text_field"] * 2
    assert isinstance(empty, RawDocument)
    assert (empty.payload, empty.metadata) == (b"", {})


def test_a_quote_that_is_never_closed_is_a_cut_row(tmp_path: Path) -> None:
    data = b'text,id\na,1\n"b ""c""",2\n"unclosed,3\nd,4\n'
    found = read(written(tmp_path / "t.csv", data))
    assert [(f.locator, fate(f)) for f in found] == [
        ("0", "extracted"), ("1", "extracted"), ("2", "truncated_record"),
    ]  # fmt: skip
    for closed in (b'text\n"a"', b'text\n"a"\n', b"text\na", b'text\na"b\n'):
        assert fate(one(written(tmp_path / "t.csv", closed))) == "extracted"


def test_tab_separated_values_are_rows(tmp_path: Path) -> None:
    row = one(written(tmp_path / "t.tsv.gz", gzip.compress(b"id\ttext\n1\ta, b\n")))
    assert isinstance(row, RawDocument)
    assert (row.payload, row.metadata) == (b"a, b", {"id": "1"})


def test_csv_gives_its_rows(tmp_path: Path) -> None:
    data = '\ufeffid,text\n1,"Two\nlines, one ""text""."\n2,\n3,Ümlaut\n'.encode()
    found = read(written(tmp_path / "t.csv", data + b"4,\xff\n"))
    assert [(f.locator, fate(f)) for f in found] == [
        ("0", "extracted"), ("1", "extracted"), ("2", "extracted"), ("3", "invalid_utf8"),
    ]  # fmt: skip
    assert isinstance(found[0], RawDocument)
    assert found[0].payload == b'Two\nlines, one "text".'


def test_a_table_without_the_text_column_says_so_once(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a", "b"]}), tmp_path / "t.parquet")
    assert fate(one(tmp_path / "t.parquet")) == "no_text_column"
    assert fate(one(written(tmp_path / "t.csv", b"body\na\nb\n"))) == "no_text_column"


def test_tables_hold_code_only_when_the_recipe_names_them(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", b'{"text": "x = 1"}\n')
    assert [fate(f) for f in read(path, "code")] == ["code"]
    assert [fate(f) for f in read(path, "code", "data/*.jsonl.zst")] == ["extracted"]


TarMode = Literal["w", "w:gz"]


def tar_of(members: dict[str, bytes], mode: TarMode) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return sink.getvalue()


MEMBERS = {
    "p/a.py": b"x = 1\n" * 100,
    "p/" + "long/" * 60 + "ümlaut.c": b"int x;\n",
    "p/.git/config": b"[core]",
    "p/logo.png": NOISE,
    "../../escape.sh": b"echo\n",
    "p/empty.py": b"",
}
FATES = ["code", "code", "ignored_folder", "binary", "code", "empty_file"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_members_are_documents(tmp_path: Path, mode: TarMode) -> None:
    *found, link = read(written(tmp_path / "p.tar", tar_of(MEMBERS, mode)), "code")
    assert [f.locator for f in found] == list(MEMBERS)
    assert [fate(f) for f in found] == FATES
    assert link == Skipped(reason="link", locator="link")
    payloads = [f.payload for f in found if isinstance(f, RawDocument)]
    assert payloads == [
        data for data, f in zip(MEMBERS.values(), FATES, strict=True) if f == "code"
    ]
    assert not list(tmp_path.parent.glob("escape.sh"))


def zip_of(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def test_zip_members_are_documents(tmp_path: Path) -> None:
    found = read(written(tmp_path / "p.zip", zip_of(MEMBERS)), "code")
    assert [f.locator for f in found] == list(MEMBERS)
    assert [fate(f) for f in found] == FATES
    assert isinstance(found[0], RawDocument)
    assert found[0].uri == "p.zip#p/a.py"


def test_a_member_that_comes_twice_has_two_places(tmp_path: Path) -> None:
    twice = tar_of({"a.py": b"x"}, "w")[:-10240] or b""
    block = tar_of({"a.py": b"x"}, "w")
    first = block[:1024]
    found = read(written(tmp_path / "p.tar", first + block + twice), "code")
    assert [f.locator for f in found] == ["a.py", "a.py#2", "link"]
    assert isinstance(found[1], RawDocument)
    assert found[1].uri == "p.tar#a.py#2"


PATHS = st.lists(st.sampled_from(["a", "b", "a#2", "a#3", "a#2#2", "b#2", ""]), max_size=30)


@given(paths=PATHS)
def test_members_have_places_of_their_own(paths: list[str]) -> None:
    names = MemberNames()
    places = [names.place_of(path) for path in paths]
    assert len({"", *places}) == len(paths) + 1  # the archive itself has the empty place
    for path, place in zip(paths, places, strict=True):
        assert place == path or re.fullmatch(rf"{path}#\d+", place)
    assert all(places.index(path) == paths.index(path) for path in {"b"}.intersection(paths))


@given(paths=st.lists(st.sampled_from(["", "b", "b/1", "b/1/1", "1"]), max_size=8))
def test_chapters_of_members_have_places_of_their_own(paths: list[str]) -> None:
    names = MemberNames()
    books = ["", *map(names.place_of, paths)]
    places = [chapter_locator(book, number) for book in books for number in (1, 2)]
    assert len(set(places)) == len(places)


def test_a_number_that_a_member_has_in_its_name_is_not_given_again(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive, warnings.catch_warnings(action="ignore"):
        for name in ("a.html", "a.html", "a.html#2", "a.html"):
            archive.writestr(name, PAGE)
    found = read(written(tmp_path / "p.zip", sink.getvalue()))
    assert [f.locator for f in found] == ["a.html", "a.html#2", "a.html#2#2", "a.html#3"]


def test_archives_and_tables_in_archives_are_no_documents(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"]}), sink)
    warc = b"WARC/1.0\r\nWARC-Type: response\r\n\r\n" + PAGE
    row = b'{"text": "<html>"}\n'
    members = {
        "a.warc": (warc, "nested_archive"),
        "b.html": (warc, "nested_archive"),
        "c": (gzip.compress(warc), "nested_archive"),
        "d.arc.gz": (gzip.compress(b"filedesc://d.arc 0.0.0.0"), "nested_archive"),
        "e.txt": (b"filedesc://d.arc 0.0.0.0" + PAGE, "nested_archive"),
        "f.jsonl": (row, "table_in_archive"),
        "g.jsonl.zst": (zstandard.compress(row), "table_in_archive"),
        "h": (sink.getvalue(), "table_in_archive"),
        "i.tsv": (b"text\nrow\n", "table_in_archive"),
        "j.html": (PAGE, "html"),
        "__MACOSX/._j.html": (b"\0\5", "ignored_folder"),
    }
    contents = {name: data for name, (data, _) in members.items()}
    fates = [fate for _, fate in members.values()]
    assert [fate(f) for f in read(written(tmp_path / "p.zip", zip_of(contents)))] == fates
    *found, _ = read(written(tmp_path / "p.tar.gz", tar_of(contents, "w:gz")))
    assert [fate(f) for f in found] == fates
    code = read(written(tmp_path / "p.zip", zip_of({"f.jsonl": row, "b.html": warc})), "code")
    assert [fate(f) for f in code] == ["code", "code"]


def test_packed_members_are_read_as_what_they_hold(tmp_path: Path) -> None:
    members = {
        "a.html.gz": gzip.compress(PAGE),
        "b.txt.zst": zstandard.compress(b"Plain words."),
        "cut.html.gz": gzip.compress(PAGE)[:-9],
        "bomb.txt.gz": gzip.compress(b"x" * 1_000_000),
        "twice.html.gz": gzip.compress(gzip.compress(PAGE)),
    }
    found = read(written(tmp_path / "p.zip", zip_of(members)))
    assert [fate(f) for f in found] == [
        "html", "text", "damaged_member", "decompression_ratio", "unknown_format",
    ]  # fmt: skip
    assert isinstance(found[0], RawDocument)
    assert (found[0].payload, found[0].uri) == (PAGE, "p.zip#a.html.gz")
    members = {"a.py.gz": gzip.compress(b"x = 1"), "data.bin.gz": gzip.compress(b"x")}
    found = read(written(tmp_path / "q.zip", zip_of(members)), "code")
    assert [fate(f) for f in found] == ["code", "binary"]


def test_bombs_are_refused_and_not_unpacked(tmp_path: Path) -> None:
    bomb = {"a.py": b"ok = 1\n", "bomb.py": b"x" * 40_000_000}
    found = read(written(tmp_path / "bomb.zip", zip_of(bomb)), "code")
    assert [fate(f) for f in found] == ["code", "decompression_ratio"]
    found = read(written(tmp_path / "bomb.tar.gz", tar_of(bomb, "w:gz")), "code")
    assert [fate(f) for f in found] == ["code", "decompression_ratio"]
    huge = {"huge.py": b"x" * (limits.MAX_PAYLOAD + 1)}
    assert fate(one(written(tmp_path / "huge.zip", zip_of(huge)), "code")) == (
        "decompressed_too_large"
    )


def test_a_truncated_archive_gives_its_whole_members(tmp_path: Path) -> None:
    members = {f"{i}.py": random.Random(i).randbytes(900).hex().encode() for i in range(20)}
    data = tar_of(members, "w")
    found = read(written(tmp_path / "p.tar", data[: 2560 * 10 + 700]), "code")
    assert [fate(f) for f in found] == ["code"] * 10 + ["truncated_archive"]


def test_a_real_package_is_read_whole() -> None:
    folder = Path(json.__file__).parent
    found = [f for path in sorted(folder.glob("*.py")) for f in read(path, "code")]
    assert [fate(f) for f in found] == ["code"] * len(found)
    assert len(found) == len(list(folder.glob("*.py"))) > 3
    assert sys.version_info >= (3, 11)


def test_named_columns_become_metadata(tmp_path: Path) -> None:
    rows = b'{"text": "a", "crawl": "2020-05", "n": 3, "flag": true}\n'
    source = Source(name="s", kind="web", path="x", metadata=("crawl", "n", "flag"))
    path = written(tmp_path / "a.jsonl", rows)
    (found,) = read_file(source, str(path), "a.jsonl")
    assert isinstance(found, RawDocument)
    assert found.metadata == {"crawl": "2020-05", "n": "3"}
