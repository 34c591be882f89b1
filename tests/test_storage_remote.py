"""Remote files against an S3 server on loopback, through a proxy that breaks a share of answers."""

import errno
import gzip
import importlib
import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from tests.s3_faults import ALL, CUT, FEWER, LOST, RESET, SLOW_DOWN, FaultyProxy, Plan
from tests.s3_server import s3_server

from corpusmill import remote, storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pipelines.recipe import Recipe
from corpusmill.pipelines.run import run
from corpusmill.stages.sources.records import read_file
from corpusmill.stages.sources.source import Source

BYTES = random.Random(7).randbytes(6_000_000)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyProxy]:
    """An empty S3 server behind a proxy, and short pauses."""
    with s3_server() as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "FIRST_PAUSE", 0.005)
        yield proxy


@pytest.fixture
def s3(server: FaultyProxy) -> Iterator[FaultyProxy]:
    """The server with an empty bucket and no faults."""
    server.plan = Plan()
    storage.remove("s3://bucket/data")
    server.plan = Plan()
    yield server
    server.plan = Plan()


def test_what_is_written_is_read_listed_and_removed(s3: FaultyProxy) -> None:
    info = storage.write_atomic("s3://bucket/data/b/1.bin", BYTES)
    storage.write_atomic("s3://bucket/data/a.bin", memoryview(BYTES)[:100])
    assert info.bytes == len(BYTES)
    assert storage.checksum_file("s3://bucket/data/b/1.bin") == info.xxh3
    assert storage.file_size("s3://bucket/data/a.bin") == 100
    files = ["s3://bucket/data/a.bin", "s3://bucket/data/b/1.bin"]
    assert storage.list_files("s3://bucket/data") == files
    assert storage.list_files("s3://bucket/data/*.bin") == files[:1]
    assert storage.list_files("s3://bucket/data/a.bin") == files[:1]
    assert [file.bytes for file in remote.list_files("s3://bucket/data")] == [100, len(BYTES)]
    assert storage.exists("s3://bucket/data/b")
    assert not storage.exists("s3://bucket/data/c")
    storage.remove("s3://bucket/data")
    storage.remove("s3://bucket/data")
    assert storage.list_files("s3://bucket/data") == []


@pytest.mark.parametrize("kind", [RESET, CUT, FEWER, SLOW_DOWN, LOST, "mixed"])
def test_faults_change_no_byte(kind: str, s3: FaultyProxy) -> None:
    kinds = ALL if kind == "mixed" else (kind,)
    s3.plan = Plan(seed=1, share=0.6, kinds=kinds)
    storage.write_atomic("s3://bucket/data/x.bin", BYTES)
    for _ in range(2):
        assert storage.read_bytes("s3://bucket/data/x.bin") == BYTES
    with storage.open_read("s3://bucket/data/x.bin") as stream:
        chance = random.Random(2)
        for _ in range(3):
            at, n = chance.randrange(len(BYTES)), 100_000
            stream.seek(at)
            assert stream.read(n) == BYTES[at : at + n]
        assert stream.seek(-10, 2) == len(BYTES) - 10
        assert stream.read() == BYTES[-10:]
        assert stream.read() == b""
    assert storage.list_files("s3://bucket/data") == ["s3://bucket/data/x.bin"]
    assert storage.file_size("s3://bucket/data/x.bin") == len(BYTES)
    storage.remove("s3://bucket/data/x.bin")
    assert not storage.exists("s3://bucket/data/x.bin")
    assert sum(s3.plan.made.values()) >= 3, s3.plan.made


def test_tables_and_packed_lines_are_read_through_faults(s3: FaultyProxy) -> None:
    table = pa.table({"n": range(50_000), "text": [f"row {i}" for i in range(50_000)]})
    storage.write_parquet("s3://bucket/data/t.parquet", table)
    storage.write_atomic("s3://bucket/data/l.gz", gzip.compress(BYTES[:1_000_000]))
    s3.plan = Plan(seed=3, share=0.5)
    assert storage.read_parquet("s3://bucket/data/t.parquet").equals(table)
    with storage.open_read("s3://bucket/data/t.parquet") as stream:
        assert pq.ParquetFile(stream).read_row_group(3).num_rows == storage.ROW_GROUP_ROWS
    with storage.open_read("s3://bucket/data/l.gz") as stream:
        assert gzip.GzipFile(fileobj=stream).read() == BYTES[:1_000_000]
    assert s3.plan.made


def ranges(proxy: FaultyProxy) -> list[tuple[int, int]]:
    """First and last byte of what was asked for."""
    asked = [request.rsplit("=", 1)[1] for request in proxy.plan.requests if "bytes=" in request]
    return [(int(first), int(last)) for first, last in (pair.split("-") for pair in asked)]


def test_a_range_costs_its_own_bytes_and_no_more_than_a_block(
    s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "FIRST_BLOCK", 100_000)
    monkeypatch.setattr(remote, "BLOCK", 200_000)
    storage.write_atomic("s3://bucket/data/x.bin", BYTES)
    s3.plan = Plan()
    with storage.open_read("s3://bucket/data/x.bin") as stream:
        stream.seek(3_000_000)
        while stream.tell() < 3_500_000:
            stream.read(10_000)
    assert ranges(s3) == [(3_000_000, 3_099_999), (3_100_000, 3_299_999), (3_300_000, 3_499_999)]
    assert len(s3.plan.requests) == 4  # with the HEAD that gives size and version


def test_what_was_just_read_is_not_asked_for_again(s3: FaultyProxy) -> None:
    storage.write_atomic("s3://bucket/data/x.bin", BYTES)
    s3.plan = Plan()
    with storage.open_read("s3://bucket/data/x.bin") as stream:
        for at in (0, 100_000, 5, 200_000, 0):
            stream.seek(at)
            assert stream.read(50_000) == BYTES[at : at + 50_000]
    assert ranges(s3) == [(0, remote.FIRST_BLOCK - 1)]


def test_after_the_last_attempt_the_file_and_the_cause_are_told(
    s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_atomic("s3://bucket/data/x.bin", BYTES[:1000])
    monkeypatch.setattr(remote, "ATTEMPTS", 3)
    stream = storage.open_read("s3://bucket/data/x.bin")
    s3.plan = Plan(share=1, kinds=(SLOW_DOWN,), at_most=99)
    with pytest.raises(OSError, match=r"given up after 3 attempts.*(SlowDown|503)") as raised:
        stream.read()
    assert raised.value.errno  # by which readers tell the network's failures from damage
    assert raised.value.filename == "s3://bucket/data/x.bin"
    assert len(s3.plan.requests) == 3
    with pytest.raises(RunError, match=r"cannot write s3://bucket/data/y: .*3 attempts"):
        storage.write_atomic("s3://bucket/data/y", b"text")


@pytest.mark.parametrize("kind", [RESET, CUT, FEWER])
def test_a_body_that_stays_short_is_an_error_and_never_the_end(
    kind: str, s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_atomic("s3://bucket/data/x.bin", b"x")
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    stream = storage.open_read("s3://bucket/data/x.bin")
    s3.plan = Plan(share=1, kinds=(kind,), at_most=99)
    if kind == FEWER:  # half of one byte is sent whole by the proxy
        assert stream.read() == b"x"
    else:
        with pytest.raises(OSError, match="given up after 2 attempts"):
            stream.read()


class AnswerError(Exception):
    """An error as botocore has it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"an answer with {status}, for https://host/?X-Amz-Signature=1")
        self.response = {
            "Error": {"Code": code},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }


@pytest.mark.parametrize(
    ("status", "code", "calls"),
    [
        (400, "KeyTooLongError", 1),
        (403, "InvalidObjectState", 1),
        (416, "InvalidRange", 1),
        (400, "RequestTimeout", 3),
        (409, "OperationAborted", 3),
        (429, "TooManyRequests", 3),
        (500, "InternalError", 3),
        (503, "<html>", 3),
    ],
)
def test_only_what_may_pass_is_tried_again(
    status: int, code: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 3)
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.001)
    made = []

    def answer(*args: object) -> None:
        made.append(args)
        raise OSError(22, "translated") from AnswerError(status, code)

    monkeypatch.setattr(remote, "_info", answer)
    with pytest.raises(OSError, match=r"cannot read|forbids") as raised:
        storage.file_size("memory://remote-test/x")
    assert len(made) == calls
    assert "Signature" not in str(raised.value)
    assert "<html>" not in str(raised.value)
    assert status == 403 or code == "<html>" or code in str(raised.value)


def test_brackets_in_a_name_are_no_pattern_when_nothing_matches_it(s3: FaultyProxy) -> None:
    storage.write_atomic("s3://bucket/data/[a].txt", b"text")
    assert storage.list_files("s3://bucket/data/[a].txt") == ["s3://bucket/data/[a].txt"]
    assert storage.list_files("s3://bucket/data/[b].txt") == []


def test_a_missing_or_forbidden_file_is_told_at_once(
    s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.plan = Plan()
    with pytest.raises(FileNotFoundError, match="there is no such file: 's3://bucket/data/none'"):
        storage.open_read("s3://bucket/data/none")
    assert len(s3.plan.requests) <= 2  # as a file, and as a folder
    calls = []

    def forbidden(*args: object) -> None:
        calls.append(args)
        raise PermissionError("AKIAEXAMPLE may not, says https://u:p@host/?X-Amz-Signature=1")

    monkeypatch.setattr(remote, "_info", forbidden)
    with pytest.raises(PermissionError) as raised:
        storage.file_size("s3://bucket/data/none")
    assert len(calls) == 1
    assert "the store forbids it" in str(raised.value)
    assert "AKIA" not in str(raised.value)
    assert "Signature" not in str(raised.value)


@pytest.mark.parametrize("then", ["replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_an_error(
    then: str, s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_atomic("s3://bucket/data/x.bin", BYTES)
    stream = storage.open_read("s3://bucket/data/x.bin")
    assert stream.read(1000) == BYTES[:1000]
    if then == "replaced":
        storage.write_atomic("s3://bucket/data/x.bin", BYTES[::-1])  # of the same size
    else:
        storage.remove("s3://bucket/data/x.bin")
    with pytest.raises(RunError, match=r"s3://bucket/data/x\.bin was changed or removed"):
        stream.read()


def test_a_tag_follows_the_content(s3: FaultyProxy) -> None:
    path = "s3://bucket/data/x.bin"
    storage.write_atomic(path, b"one")
    tag = storage.content_tag(path)
    assert tag.endswith("-3")
    assert tag == remote.list_files(path)[0].tag
    storage.write_atomic(path, b"two")
    assert storage.content_tag(path) != tag
    storage.write_atomic(path, b"one")
    assert storage.content_tag(path) == tag
    assert storage.content_tag(__file__) == ""


def test_a_write_whose_answer_is_lost_is_repeated_to_the_same_end(s3: FaultyProxy) -> None:
    s3.plan = Plan(share=1, kinds=(LOST,), at_most=2)
    storage.write_atomic("s3://bucket/data/x.bin", BYTES[:5000])
    puts = [request for request in s3.plan.requests if request.startswith("PUT")]
    assert len(puts) == 3
    s3.plan = Plan()
    assert storage.read_bytes("s3://bucket/data/x.bin") == BYTES[:5000]
    assert storage.list_files("s3://bucket/data") == ["s3://bucket/data/x.bin"]


def test_an_upload_that_fails_is_not_visible_and_leaves_the_old_file(
    s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    storage.write_atomic("s3://bucket/data/old", b"old")
    s3.plan = Plan(share=1, kinds=(SLOW_DOWN,), at_most=99)
    for name in ("old", "new"):
        with pytest.raises(RunError, match="cannot write"):
            storage.write_atomic(f"s3://bucket/data/{name}", BYTES)
    s3.plan = Plan()
    assert storage.list_files("s3://bucket/data") == ["s3://bucket/data/old"]
    assert storage.read_bytes("s3://bucket/data/old") == b"old"


def test_the_endpoint_may_come_from_fsspecs_own_settings(
    s3: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3fs = pytest.importorskip("s3fs")
    storage.write_atomic("s3://bucket/data/x.bin", b"here")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(fsspec.config, "conf", {})
    fsspec.config.set_conf_env(fsspec.config.conf, {"FSSPEC_S3_ENDPOINT_URL": s3.url})
    monkeypatch.setattr("fsspec.spec.apply_config.__defaults__", (fsspec.config.conf,))
    assert storage.read_bytes("s3://bucket/data/x.bin") == b"here"
    s3fs.S3FileSystem.clear_instance_cache()


def test_memory_is_a_store_without_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write_atomic("memory://remote-test/x", b"0123456789")
    with storage.open_read("memory://remote-test/x") as stream:
        stream.seek(4)
        assert stream.read(3) == b"456"
    assert storage.content_tag("memory://remote-test/x") == ""
    assert storage.list_files("memory://remote-test") == ["memory:///remote-test/x"]
    storage.remove("memory://remote-test")
    with pytest.raises(FileNotFoundError):
        storage.open_read("memory://remote-test/x")


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    loaded = importlib.import_module("fsspec.registry")._registry
    monkeypatch.delitem(loaded, "s3", raising=False)
    with pytest.raises(UsageError) as raised:
        storage.list_files("s3://key:secret@bucket/x")
    assert str(raised.value) == ("s3://bucket/x: s3:// needs s3fs: pip install 'corpusmill[s3]'")
    with pytest.raises(UsageError, match="nonsense"):
        storage.list_files("nonsense://x")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("s3://key:secret@bucket/x y?z", "s3://bucket/x y?z"),
        ("https://u:p@host/x?X-Amz-Signature=1#f", "https://host/x"),
        ("s3://[", "s3://..."),
    ],
)
def test_addresses_in_messages_hold_no_secrets(path: str, shown: str) -> None:
    assert remote.shown(path) == shown


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.parquet", "x.warc.gz"])
def test_a_store_that_fails_for_good_is_an_error_and_not_damage(
    name: str, monkeypatch: pytest.MonkeyPatch, repo_root: Path
) -> None:
    rows = [{"id": str(i), "text": random.Random(i).randbytes(2000).hex()} for i in range(100)]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=10)
    contents = {
        "x.jsonl": lines,
        "x.jsonl.gz": gzip.compress(lines),
        "x.jsonl.zst": zstandard.compress(lines),
        "x.parquet": sink.getvalue(),
        "x.warc.gz": (repo_root / "samples/web/crawl.warc.gz").read_bytes() * 4,
    }
    path = f"memory://remote-test/{name}"
    storage.write_atomic(path, contents[name])
    size = len(contents[name])
    fetch = remote._RemoteFile._fetch

    def fail_in_the_middle(self: remote._RemoteFile, n: int) -> bytes:
        if size * 0.4 < self.tell() < size * 0.6:
            raise OSError(errno.EIO, "the network is gone")
        return fetch(self, min(n, 1000))

    monkeypatch.setattr(remote._RemoteFile, "_fetch", fail_in_the_middle)
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    monkeypatch.setattr(remote, "FIRST_BLOCK", 1000)
    monkeypatch.setattr(remote, "BLOCK", 1000)
    source = Source(name="s", kind="web", path=path)
    with pytest.raises(OSError, match="given up after 2 attempts"):
        list(read_file(source, path, name))


def test_a_run_on_a_store_with_faults_gives_the_bytes_of_the_local_run(
    s3: FaultyProxy, tmp_path: Path, repo_root: Path
) -> None:
    """Ids hang on relative paths alone, and what is read hangs on nothing that went wrong."""
    crawl = (repo_root / "samples/web/crawl.warc.gz").read_bytes()
    rows = [{"id": str(i), "text": f"Document {i} has words of its own. " * 40} for i in range(200)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=50)
    lines = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    files = {"crawl.warc.gz": crawl, "deep/rows.jsonl.gz": lines, "t.parquet": sink.getvalue()}
    for name, content in files.items():
        storage.write_atomic(f"{tmp_path}/in/{name}", content)
        storage.write_atomic(f"s3://bucket/data/in/{name}", content)
    written: dict[str, list[str]] = {}
    for folder in (f"{tmp_path}/in", "s3://bucket/data/in"):
        s3.plan = Plan(seed=11, share=0.4)
        out = tmp_path / f"run-{len(written)}"
        source = Source(name="crawl", kind="web", path=folder)
        recipe = Recipe(name="remote", part_mb=0.2, sources=(source,), stages=())
        record = run(recipe, str(out), workers=1)
        assert record.stages[0].counts.found > 400
        documents = storage.list_files(str(out / "documents"))
        written[folder] = [storage.checksum_file(file) for file in documents]
        assert bool(s3.plan.made) == folder.startswith("s3")
    local, from_store = written.values()
    assert from_store == local
    assert len(local) > 2
