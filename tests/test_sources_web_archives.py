"""WARC, WET and ARC files, sound and damaged, against independent readers."""

import gzip
import io
import random
import re
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
from fastwarc import ArchiveIterator, WarcRecordType
from fastwarc.stream_io import ZstdWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from corpusmill.stages.sources import frames, http_bodies
from corpusmill.stages.sources.http_bodies import decoded, unchunked
from corpusmill.stages.sources.limits import Refused
from corpusmill.stages.sources.records import RawDocument, Skipped, read_file
from corpusmill.stages.sources.source import Source
from corpusmill.stages.sources.web_archive import read_web_archive

SOURCE = Source(name="crawl", kind="web", path="crawl")


def read(path: Path) -> list[RawDocument | Skipped]:
    return list(read_file(SOURCE, str(path), path.name))


def read_bytes(data: bytes) -> list[RawDocument | Skipped]:
    return list(read_web_archive(io.BytesIO(data), "x.warc.gz", arc=False))


def record(number: int) -> bytes:
    words = b" ".join(b"%d" % (zlib.crc32(b"%d %d" % (number, i))) for i in range(600))
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><p>%s</p></html>" % words
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://site.example/%d\r\n"
        b"Content-Type: application/http; msgtype=response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n"
        % (number, len(block), block)
    )


RECORDS = [record(i) for i in range(6)]
MEMBERS = [gzip.compress(r, mtime=0) for r in RECORDS]


def with_http(headers: bytes, number: int = 0) -> bytes:
    """A record with more HTTP headers."""
    kind = b"Content-Type: text/html\r\n"
    data = RECORDS[number].replace(kind, kind + headers)
    length = len(data.partition(b"\r\n\r\n")[2]) - 4
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % length, data, count=1)


def numbers(found: list[RawDocument | Skipped]) -> list[int]:
    return [
        int(f.uri.rpartition("/")[2])
        for f in found
        if isinstance(f, RawDocument) and f.problem is None
    ]


def reasons(found: list[RawDocument | Skipped]) -> list[str]:
    return [f.reason if isinstance(f, Skipped) else f.problem or "" for f in found]


def flipped(data: bytes, start: int, count: int) -> bytes:
    damaged = bytearray(data)
    for i in range(start, start + count):
        damaged[i] ^= 0x55
    return bytes(damaged)


@pytest.mark.parametrize("start", [0, 5, 20, 300, -60, -41, -40])
def test_reading_goes_on_at_the_next_record_after_forty_damaged_bytes(start: int) -> None:
    place = len(MEMBERS[0]) + len(MEMBERS[1])
    inside = start if start >= 0 else len(MEMBERS[2]) + start
    found = read_bytes(flipped(b"".join(MEMBERS), place + inside, 40))
    assert numbers(found) == [0, 1, 3, 4, 5]
    assert reasons(found).count("damaged_record") == 1
    (damage,) = [f for f in found if isinstance(f, Skipped)]
    assert damage.locator == str(place)


def test_a_plain_archive_is_resynchronised_at_the_next_record_line() -> None:
    start = len(RECORDS[0]) + len(RECORDS[1])
    found = read_bytes(flipped(b"".join(RECORDS), start, 40))
    assert numbers(found) == [0, 1, 3, 4, 5]
    assert reasons(found).count("damaged_record") == 1


@pytest.mark.parametrize("difference", [-3000, -20, 20, 3000, 20_000, 10_000_000])
def test_a_wrong_length_costs_one_record(difference: int) -> None:
    length = int(RECORDS[2].partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    wrong = RECORDS[2].replace(b": %d" % length, b": %d" % (length + difference), 1)
    data = b"".join([*RECORDS[:2], wrong, *RECORDS[3:]])
    assert numbers(read_bytes(data)) == [0, 1, 3, 4, 5]


def test_damage_in_one_gzip_stream_over_all_records_leaves_those_before_it() -> None:
    packed = gzip.compress(b"".join(RECORDS), mtime=0)
    found = read_bytes(flipped(packed, len(packed) // 2, 40))
    assert numbers(found)[:2] == [0, 1]
    assert "damaged_record" in reasons(found)


@pytest.mark.parametrize("cut", [1, 4, 8, 100, 2000, len(MEMBERS[-1]) - 3])
def test_a_truncated_last_record_is_quarantined_and_never_whole(cut: int) -> None:
    for data in (b"".join(MEMBERS)[:-cut], gzip.compress(b"".join(RECORDS), mtime=0)[:-cut]):
        found = read_bytes(data)
        assert 5 not in numbers(found)
        assert reasons(found)[-1] == "truncated_record"
    assert numbers(read_bytes(b"".join(MEMBERS)[:-cut])) == [0, 1, 2, 3, 4]
    plain = read_bytes(b"".join(RECORDS)[: -cut - 4])
    assert numbers(plain) == [0, 1, 2, 3, 4]
    assert reasons(plain)[-1] == "truncated_record"


@settings(max_examples=150)
@given(
    start=st.integers(0, sum(map(len, MEMBERS)) - 1),
    count=st.integers(1, 60),
    cut=st.booleans(),
    insert=st.binary(max_size=60),
)
def test_records_outside_the_damaged_bytes_always_arrive(
    start: int, count: int, cut: bool, insert: bytes
) -> None:
    data = b"".join(MEMBERS)
    end = min(start + count, len(data))
    kept = data[start:end] if not cut else b""
    found = read_bytes(data[:start] + bytes(b ^ 0xA5 for b in kept) + insert + data[end:])
    place, untouched = 0, []
    for number, member in enumerate(MEMBERS):
        if place + len(member) <= start or place >= end:
            untouched.append(number)
        place += len(member)
    assert set(untouched) <= set(numbers(found))
    locators = [f.locator for f in found]
    assert len(set(locators)) == len(locators)


def test_a_record_larger_than_the_limit_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_PAYLOAD", len(RECORDS[0]) + 100)
    large = RECORDS[2].replace(b"<html>", b"<html>" + b"x" * 500_000)
    large = large.replace(b"Content-Length: ", b"Content-Length: 50")  # 5 digits more of x
    body = large.partition(b"\r\n\r\n")[2]
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://site.example/2\r\n"
    large = head + b"Content-Length: %d\r\n\r\n%s" % (len(body) - 4, body)
    found = read_bytes(b"".join([*RECORDS[:2], large, *RECORDS[3:]]))
    assert numbers(found) == [0, 1, 3, 4, 5]
    assert reasons(found)[2] == "too_large"


def test_an_endless_gzip_member_is_read_within_bounded_memory() -> None:
    bomb = gzip.compress(b"WARC/1.0\r\n" + b"\0" * 30_000_000, 9)
    tracemalloc.start()
    found = read_bytes(bomb + MEMBERS[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers(found) == [1]
    assert peak < 5_000_000


def test_every_edge_case_gives_the_responses_that_warcio_reads(shared_data: Path) -> None:
    for path in sorted((shared_data / "web" / "warc-edge").iterdir()):
        if path.name in ("bad.arc", "non-chunked.warc.gz"):
            continue  # warcio takes the first for sound and refuses the second
        expected = {}
        with path.open("rb") as stream:
            try:
                for r in WarcioIterator(stream):
                    if r.rec_type == "response" and r.http_headers.get_statuscode() == "200":
                        kind = r.http_headers.get_header("Content-Type") or "text/html"
                        body = r.content_stream().read()
                        if kind.startswith("text/") and body:
                            headers = r.rec_headers
                            url = headers.get_header("WARC-Target-URI") or headers.get_header("uri")
                            expected[url] = body
            except Exception:  # it stops at the damage, we go on
                pass
        documents = [f for f in read(path) if isinstance(f, RawDocument) and not f.problem]
        found = {d.uri: d.payload for d in documents}
        assert expected.items() <= found.items(), path.name


def test_a_file_with_many_records_in_one_gzip_stream_gives_each_its_own_place(
    shared_data: Path,
) -> None:
    found = read(shared_data / "web" / "warc-edge" / "non-chunked.warc.gz")
    assert [f.locator for f in found] == ["0", "0+488", "0+1197", "0+2566", "0+3370", "0+4316"]
    assert [f.uri for f in found if isinstance(f, RawDocument)] == ["http://example.com/"]


def test_record_counts_and_offsets_equal_those_of_fastwarc(shared_data: Path) -> None:
    for name in ("blackbook", "commoncrawl-0000", "whirlwind"):
        path = shared_data / "web" / "warc" / f"{name}.warc.gz"
        with path.open("rb") as stream:
            offsets = [str(r.stream_pos) for r in ArchiveIterator(stream)]
        assert [f.locator for f in read(path)] == offsets


def test_pages_of_a_crawl_are_the_ones_that_fastwarc_finds(shared_data: Path) -> None:
    path = shared_data / "web" / "warc" / "commoncrawl-0000.warc.gz"
    expected = {}
    with path.open("rb") as stream:
        for r in ArchiveIterator(stream, record_types=WarcRecordType.response, auto_decode="all"):
            if r.http_headers.status_code == 200:
                expected[r.headers["WARC-Target-URI"].strip("<>")] = r.reader.read()
    assert {f.uri: f.payload for f in read(path) if isinstance(f, RawDocument)} == expected


def test_a_wet_file_gives_ready_text(shared_data: Path) -> None:
    found = read(shared_data / "web" / "wet" / "whirlwind.warc.wet.gz")
    (document,) = [f for f in found if isinstance(f, RawDocument)]
    assert document.media == "extracted"
    assert len(document.payload) == 4456
    assert document.metadata["id"].startswith("<urn:uuid:")


def test_an_arc_file_gives_its_page(shared_data: Path) -> None:
    found = read(shared_data / "web" / "warc-edge" / "example.arc.gz")
    (document,) = [f for f in found if isinstance(f, RawDocument)]
    assert document.uri == "http://example.com/"
    assert document.metadata == {"crawl_date": "2014-02-16"}
    assert b"Example Domain" in document.payload


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "headers", [b"Set-Cookie: %s\r\n" % (b"x" * 70_000), b"Set-Cookie: x\r\n" * 5000]
)
def test_http_headers_without_end_cost_their_record_only(
    headers: bytes, pack: Callable[[bytes], bytes]
) -> None:
    records = [*RECORDS[:2], with_http(headers, 2), *RECORDS[3:]]
    found = read_bytes(b"".join(map(pack, records)))
    assert numbers(found) == [0, 1, 3, 4, 5]
    assert reasons(found)[2] == "bad_http_headers"
    assert isinstance(found[2], RawDocument)
    assert found[2].uri == "http://site.example/2"


def test_long_http_headers_of_an_arc_record_cost_it_only() -> None:
    def arc_record(number: int, headers: bytes) -> bytes:
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n%s\r\n<p>text" % headers
        line = b"http://site.example/%d 127.0.0.1 20140301000000 text/html %d\n"
        return line % (number, len(block)) + block + b"\n"

    data = arc_record(0, b"") + arc_record(1, b"X: %s\r\n" % (b"x" * 70_000)) + arc_record(2, b"")
    found = list(read_web_archive(io.BytesIO(data), "x.arc", arc=True))
    assert numbers(found) == [0, 2]
    assert reasons(found) == ["", "bad_http_headers", ""]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("names", [b"[A-Za-z-]+", b"WARC-Type", b"Content-Type", b"Content-Length"])
def test_names_of_header_fields_may_be_spelt_in_any_case(
    names: bytes, pack: Callable[[bytes], bytes]
) -> None:
    def spelt(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
        header, end, block = data.partition(b"\r\n\r\n")
        return re.sub(rb"(?m)^%s:" % names, lambda name: change(name[0]), header) + end + block

    for change in (bytes.lower, bytes.upper):
        found = read_bytes(b"".join(pack(spelt(r, change)) for r in RECORDS))
        expected = read_bytes(b"".join(map(pack, RECORDS)))
        assert [f.payload for f in found if isinstance(f, RawDocument)] == [
            f.payload for f in expected if isinstance(f, RawDocument)
        ]
        assert numbers(found) == [0, 1, 2, 3, 4, 5]


def test_a_part_of_a_page_is_counted_as_such() -> None:
    part = RECORDS[1].replace(b"200 OK", b"206 OK")
    assert reasons(read_bytes(RECORDS[0] + part + RECORDS[2])) == ["", "partial_content", ""]


def test_what_is_no_page_is_counted_by_reason(shared_data: Path) -> None:
    found = reasons(read(shared_data / "web" / "warc" / "blackbook.warc.gz"))
    for reason in ("request", "metadata", "warcinfo", "redirect", "http_error", "not_text"):
        assert reason in found


def zstd(data: bytes) -> bytes:
    stream = io.BytesIO()
    writer = ZstdWriter(stream)
    writer.write(data)
    writer.finish()
    writer.flush()
    return stream.getvalue()


PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd}


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_body_that_is_cut_is_told_from_a_whole_one(encoding: str) -> None:
    chance = random.Random(encoding)
    page = b"<html>" + b" ".join(b"%d" % chance.randrange(10**9) for _ in range(60_000))
    packed = PACKERS[encoding](page)
    body, whole = decoded(packed[: len(packed) * 9 // 10], encoding)
    assert not whole
    assert len(body) > len(page) // 2
    assert page.startswith(body)
    assert decoded(packed, encoding) == (page, True)


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_body_that_unpacks_without_end_is_refused(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_bodies, "MAX_PAYLOAD", 1_000_000)
    bomb = PACKERS[encoding](b"<html>" + b"x" * 30_000_000)
    tracemalloc.start()
    with pytest.raises(Refused, match="too_large"):
        decoded(bomb, encoding)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_what_the_server_says_on_the_use_of_a_page_is_kept_for_extraction() -> None:
    headers = b"x-robots-tag: badbot: all,\r\n none\r\nX-Robots-Tag: noindex\r\n"
    headers += b"TDM-Reservation: 0\r\ntdm-reservation: 1\r\n"
    (page,) = [f for f in read_bytes(with_http(headers)) if isinstance(f, RawDocument)]
    assert page.metadata["x_robots_tag"] == "badbot: all, none\nnoindex"
    assert page.metadata["tdm_reservation"] == "0\n1"
    (plain,) = [f for f in read_bytes(RECORDS[0]) if isinstance(f, RawDocument)]
    assert not plain.metadata.keys() & {"x_robots_tag", "tdm_reservation"}


RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("encoding", "body", "whole"),
    [
        ("gzip", gzip.compress(b"<html>text", mtime=0), True),
        ("gzip", gzip.compress(b"<html>text", mtime=0)[:-4], False),
        ("gzip", b"<html>text", True),
        ("deflate", zlib.compress(b"<html>text"), True),
        ("deflate", RAW_DEFLATE.compress(b"<html>text") + RAW_DEFLATE.flush(), True),
        ("gzip, gzip", gzip.compress(gzip.compress(b"<html>text", mtime=0), mtime=0), True),
        ("identity", b"<html>text", True),
        ("x-gzip", gzip.compress(b"<html>text", mtime=0), True),
        ("br", brotli.compress(b"<html>text"), True),
        ("zstd", zstd(b"<html>text"), True),
        ("br, gzip", gzip.compress(brotli.compress(b"<html>text"), mtime=0), True),
    ],
)
def test_content_encodings_are_undone(encoding: str, body: bytes, whole: bool) -> None:
    assert decoded(body, encoding) == (b"<html>text", whole)


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        b"5;name=value\r\nhello\r\n6 \r\n world\r\n0\r\nTrailer: x\r\n\r\n",
        b"hello world",
        b"5\r\nhello\r\nff\r\n world",
    ],
)
def test_chunks_are_joined(body: bytes) -> None:
    assert unchunked(body) == b"hello world"


def test_a_page_whose_encoding_is_broken_is_quarantined() -> None:
    body = gzip.compress(b"<html>" + RECORDS[0])
    block = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
        + flipped(body, 30, 20)
    )
    data = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\n"
        b"Content-Type: application/http\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n"
    ) % (len(block), block)
    (found,) = read_bytes(data)
    assert isinstance(found, RawDocument)
    assert found.problem == "bad_content_encoding"
