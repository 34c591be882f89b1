"""Web archives read in ranges: together they give what the whole file gives."""

import gzip
import io
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from fastwarc.stream_io import ZstdWriter, zstd_train_dictionary_from_samples
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.stages.sources.records import Found, RawDocument, Skipped
from corpusmill.stages.sources.web_archive import read_web_archive


def record(number: int, size: int) -> bytes:
    words = b" ".join(b"%d" % (number * 7919 * i % 104729) for i in range(size))
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><p>%s</p></html>" % words
    head = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://site.example/%d\r\n" % number
    )
    kind = b"Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n"
    return head + kind % len(block) + block + b"\r\n\r\n"


def arc_record(number: int, size: int) -> bytes:
    words = b" ".join(b"%d" % (number * 7919 * i % 104729) for i in range(size))
    line = b"http://site.example/%d 127.0.0.1 20140301000000 text/html %d\n"
    return line % (number, len(words) + 6) + b"<html>" + words + b"\n"


RECORDS = [record(i, 60 * (i % 5) + 5) for i in range(1, 13)]
ARC_RECORDS = [arc_record(i, 60 * (i % 5) + 5) for i in range(1, 13)]


def zstd(data: bytes, dictionary: bytes | None = None, *, packed_dictionary: bool = False) -> bytes:
    stream = io.BytesIO()
    writer = ZstdWriter(stream, dictionary=dictionary, compress_dictionary_frame=packed_dictionary)
    writer.write(data)
    writer.finish()
    writer.flush()
    return stream.getvalue()


def frame(data: bytes, dictionary: bytes) -> bytes:
    whole = zstd(data, dictionary)
    return whole[8 + int.from_bytes(whole[4:8], "little") :]


DICTIONARY = zstd_train_dictionary_from_samples([record(i, 20) for i in range(2000)], 4096)


def with_dictionary(records: list[bytes], *, packed: bool) -> bytes:
    first = zstd(records[0], DICTIONARY, packed_dictionary=packed)
    return first + b"".join(frame(r, DICTIONARY) for r in records[1:])


ARCHIVES = {
    "gz": b"".join(gzip.compress(r, mtime=0) for r in RECORDS),
    "pairs.gz": b"".join(
        gzip.compress(a + b, mtime=0) for a, b in zip(RECORDS[::2], RECORDS[1::2], strict=True)
    ),
    "whole.gz": gzip.compress(b"".join(RECORDS), mtime=0),
    "plain": b"".join(RECORDS),
    "zst": b"".join(zstd(r) for r in RECORDS),
    "whole.zst": zstd(b"".join(RECORDS)),
    "dictionary.zst": with_dictionary(RECORDS, packed=False),
    "packed-dictionary.zst": with_dictionary(RECORDS, packed=True),
    "mixed.gz": b"".join(
        r if i in (4, 5, 9) else gzip.compress(r, mtime=0) for i, r in enumerate(RECORDS)
    ),
    "arc": b"".join(ARC_RECORDS),
    "arc.gz": b"".join(gzip.compress(r, mtime=0) for r in ARC_RECORDS),
}


def read(name: str, data: bytes, start: int = 0, end: int | None = None) -> list[Found]:
    stream = io.BytesIO(data)
    arc = name.startswith("arc")
    return list(read_web_archive(stream, "x", arc=arc, start=start, end=end))


def in_ranges(name: str, data: bytes, cuts: list[int]) -> list[Found]:
    ends: list[int | None] = [0, *sorted(cuts), None]
    return [
        found
        for start, end in pairwise(ends)
        for found in read(name, data, start or 0, end)
        if start is not None
    ]


@pytest.mark.parametrize("name", [name for name in ARCHIVES if name != "mixed.gz"])
def test_every_kind_of_archive_gives_all_its_records(name: str) -> None:
    found = read(name, ARCHIVES[name])
    assert [f.uri.rpartition("/")[2] for f in found if isinstance(f, RawDocument)] == [
        str(i) for i in range(1, 13)
    ]
    assert len(found) == 12
    assert len({f.locator for f in found}) == 12


@pytest.mark.parametrize("name", ARCHIVES)
@settings(max_examples=25)
@given(data=st.data())
def test_ranges_give_together_what_the_whole_file_gives(name: str, data: st.DataObject) -> None:
    archive = ARCHIVES[name]
    cuts = data.draw(st.lists(st.integers(0, len(archive) + 5), max_size=6))
    assert in_ranges(name, archive, cuts) == read(name, archive)


@pytest.mark.parametrize("name", ARCHIVES)
def test_ranges_agree_on_damaged_files_too(name: str) -> None:
    chance = random.Random(name)
    archive = ARCHIVES[name]
    for _ in range(25):
        start = chance.randrange(len(archive))
        count = chance.randint(1, 60)
        middle = chance.choice([b"", chance.randbytes(count), chance.randbytes(2 * count)])
        damaged = archive[:start] + middle + archive[start + count :]
        cuts = [max(0, start + chance.randint(-100, 100)) for _ in range(3)]
        cuts += [chance.randrange(len(archive)) for _ in range(2)]
        assert in_ranges(name, damaged, cuts) == read(name, damaged)


def test_records_that_are_not_packed_between_packed_ones_are_damage() -> None:
    found = read("mixed.gz", ARCHIVES["mixed.gz"])
    pages = [f.uri.rpartition("/")[2] for f in found if isinstance(f, RawDocument)]
    assert pages == ["1", "2", "3", "4", "7", "8", "9", "11", "12"]
    assert [f.reason for f in found if isinstance(f, Skipped)] == ["damaged_record"] * 2


def test_a_record_belongs_to_the_range_in_which_its_member_begins() -> None:
    members = [gzip.compress(r, mtime=0) for r in RECORDS]
    data = b"".join(members)
    second = len(members[0])
    assert [f.locator for f in read("gz", data, 0, second)] == ["0"]
    assert [f.locator for f in read("gz", data, 1, second + 1)] == [str(second)]
    assert read("gz", data, second + 1, second + 2) == []


def test_a_gzip_stream_over_the_whole_file_belongs_to_the_first_range() -> None:
    data = ARCHIVES["whole.gz"]
    assert len(read("whole.gz", data, 0, 1)) == 12
    assert read("whole.gz", data, 1) == []


@pytest.mark.parametrize("pack", [lambda r: r, lambda r: gzip.compress(r, mtime=0), zstd])
def test_a_page_that_quotes_a_record_is_not_taken_for_one(pack: Callable[[bytes], bytes]) -> None:
    quoted = (
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 30\r\n\r\nHTTP/1.1 200 OK\r\n" * 20
    )
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<pre>\r\n" + quoted
    page = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\n"
    page += b"WARC-Target-URI: http://a.example/\r\nContent-Length: %d\r\n\r\n" % len(block)
    data = b"".join(map(pack, [RECORDS[0], page + block + b"\r\n\r\n", RECORDS[1]]))
    whole = read("x", data)
    assert len(whole) == 3
    for cut in range(0, len(data), 7):
        assert in_ranges("x", data, [cut]) == whole


def test_real_archives_in_ranges_of_a_few_kilobytes(shared_data: Path) -> None:
    data = (shared_data / "web" / "warc" / "commoncrawl-0000.warc.gz").read_bytes()
    for archive in (data, gzip.decompress(data)):
        cuts = list(range(0, len(archive), 9973))
        assert in_ranges("x", archive, cuts) == read("x", archive)


def test_a_damaged_zstd_frame_costs_its_record_only() -> None:
    frames = [zstd(r) for r in RECORDS]
    place = sum(map(len, frames[:3]))
    data = bytearray(b"".join(frames))
    for i in range(place + 20, place + 60):
        data[i] ^= 0x55
    found = read("zst", bytes(data))
    assert found[3] == Skipped(reason="damaged_record", locator=str(place))
    undamaged = read("zst", ARCHIVES["zst"])
    assert found[:3] + found[4:] == undamaged[:3] + undamaged[4:]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_truncated_zstd_frame_is_never_whole(cut: int) -> None:
    last = read("zst", ARCHIVES["zst"][:-cut])[-1]
    assert isinstance(last, RawDocument)
    assert last.problem == "truncated_record"


def test_a_length_that_is_far_too_large_does_not_cost_the_records_behind_it() -> None:
    wrong = RECORDS[3].replace(b"Content-Length: ", b"Content-Length: 99999999")
    records = [*RECORDS[:3], wrong, *RECORDS[4:]]
    for data in (b"".join(records), b"".join(gzip.compress(r, mtime=0) for r in records)):
        pages = [f for f in read("x", data) if isinstance(f, RawDocument)]
        assert [p.uri.rpartition("/")[2] for p in pages if not p.problem] == [
            str(i) for i in range(1, 13) if i != 4
        ]
