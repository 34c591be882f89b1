"""Sources of code: archives in all their forms, and how hostile ones end."""

import bz2
import gzip
import io
import lzma
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.stages.sources import archives
from corpusmill.stages.sources.archives import is_tar, read_tar, read_zip
from corpusmill.stages.sources.records import Found, RawDocument, Skipped
from corpusmill.stages.sources.source import Source

CODE = Source(name="s", kind="code", path="in")


def fate(found: Found) -> str:
    return found.reason if isinstance(found, Skipped) else found.problem or found.media


def tar_fates(data: bytes) -> list[tuple[str, str]]:
    found = read_tar(CODE, io.BytesIO(data), data[:65_536], "p.tar")
    return [(f.locator, fate(f)) for f in found]


def member(name: str, content: bytes = b"x = 1\n", **fields: Any) -> bytes:
    """One member of a tar archive, header and content."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=fields.pop("format", None)) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for field, value in fields.items():
            setattr(info, field, value)
        archive.addfile(info, io.BytesIO(content))
        return sink.getvalue()[: archive.offset]


END = b"\0" * 1024


def quick_xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress, bz2.compress, quick_xz])
def test_tar_archives_are_read_in_every_packing(pack: Callable[[bytes], bytes]) -> None:
    noise = random.Random(1)
    members = {f"d/{i}.py": noise.randbytes(3000).hex().encode() for i in range(400)}
    whole = b"".join(member(name, content) for name, content in members.items()) + END
    packed = pack(whole)
    assert is_tar(packed[:65_536], "p.tar.bz2")
    assert not is_tar(pack(b"x = 1\n" * 900), "p.tar.bz2")
    found = read_tar(CODE, io.BytesIO(packed), packed[:65_536], "p.tar")
    payloads = {f.locator: f.payload for f in found if isinstance(f, RawDocument)}
    assert payloads == members
    half = tar_fates(packed[: len(packed) // 2])
    assert half[-1] in (("", "truncated_archive"), ("", "damaged_archive"))
    assert [name for name, _ in half[:-1]] == list(members)[: len(half) - 1]
    assert len(half) > (1 if pack is bz2.compress else 50)


def test_streams_one_after_another_are_one_file() -> None:
    whole = b"".join(member(f"{i}.py", b"x" * 70_000) for i in range(9)) + END
    for pack, padding in ((bz2.compress, b""), (lzma.compress, b"\0" * 8)):
        packed = padding.join(pack(whole[i : i + 100_000]) for i in range(0, len(whole), 100_000))
        assert [name for name, _ in tar_fates(packed)] == [f"{i}.py" for i in range(9)]


def test_xz_that_asks_for_much_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    packed = lzma.compress(member("a.py") + END, filters=filters)
    assert not is_tar(packed, "p.tar.xz")
    assert tar_fates(packed) == [("", "damaged_archive")]


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_bombs_of_every_packing_are_refused(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(member("a.py") + member("bomb.py", b"x" * 40_000_000) + END)
    assert tar_fates(packed) == [("a.py", "code"), ("", "decompression_ratio")]


def test_pax_headers_override_names_and_sizes() -> None:
    long = "d/" * 200 + "x.py"
    named = member(long, format=tarfile.PAX_FORMAT)
    (header, content) = (member("y.py", b"y = 1\n")[:512], b"y = 1\n".ljust(512, b"\0"))
    info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    info.size = 0  # the size stands in the extension alone
    sized = tarfile.TarInfo.create_pax_global_header({"comment": "none"}) + extension({"size": "6"})
    sized += info.tobuf() + content
    assert tar_fates(named + sized + member("z.py") + END) == [
        (long, "code"), ("y.py", "code"), ("z.py", "code"),
    ]  # fmt: skip


def extension(records: dict[str, str]) -> bytes:
    """A PAX header for the member behind it."""
    lines = b""
    for key, value in records.items():
        line = f" {key}={value}\n".encode()
        length = len(line) + len(str(len(line) + 2))
        lines += str(length).encode() + line
    return member("PaxHeader", lines, type=tarfile.XHDTYPE)


def test_sparse_files_are_skipped_and_what_follows_is_read() -> None:
    header = bytearray(member("old.bin", b"x" * 1024, type=tarfile.GNUTYPE_SPARSE))
    header[482] = 1  # more sparse headers follow
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header[:512])
    first, last = bytearray(512), bytearray(512)
    first[504] = 1
    old = bytes(header[:512]) + bytes(first + last) + bytes(header[512:])
    new = extension({"GNU.sparse.major": "1", "GNU.sparse.name": "new.bin"})
    new += member("GNUSparseFile.0/new.bin", b"1\n0\n512\n".ljust(512, b"\0") + b"y" * 512)
    assert tar_fates(old + new + member("z.py") + END) == [
        ("old.bin", "sparse_file"), ("new.bin", "sparse_file"), ("z.py", "code"),
    ]  # fmt: skip


def test_links_are_skipped_and_never_followed() -> None:
    symbolic = member("s.py", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    hard = member("h.py", b"", type=tarfile.LNKTYPE, linkname="../../etc/passwd")
    pipe = member("pipe.py", b"", type=tarfile.FIFOTYPE)
    assert tar_fates(symbolic + hard + pipe + member("z.py") + END) == [
        ("s.py", "link"), ("h.py", "link"), ("z.py", "code"),
    ]  # fmt: skip
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        link = zipfile.ZipInfo("s.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("z.py", "x = 1\n")
    found = [(f.locator, fate(f)) for f in read_zip(CODE, sink, "p.zip")]
    assert found == [("s.py", "link"), ("z.py", "code")]


def test_archives_in_archives_are_not_opened() -> None:
    inner = member("in.py") + END
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("in.py", "x = 1\n")
    whole = member("a.tar", inner) + member("b.tgz", gzip.compress(inner))
    whole += member("c.txz", lzma.compress(inner)) + member("d.jar", sink.getvalue())
    assert tar_fates(whole + member("z.py") + END) == [
        ("a.tar", "nested_archive"), ("b.tgz", "nested_archive"), ("c.txz", "nested_archive"),
        ("d.jar", "nested_archive"), ("z.py", "code"),
    ]  # fmt: skip


def test_reading_goes_on_after_a_damaged_header() -> None:
    members = [member(f"{i}.py", b"x = %d\n" % i * 300) for i in range(5)]
    members[2] = members[2][:100] + b"\xff" * 8 + members[2][108:]
    at = len(members[0] + members[1])
    assert tar_fates(b"".join(members) + END) == [
        ("0.py", "code"), ("1.py", "code"), (f"@{at}", "damaged_member"),
        ("3.py", "code"), ("4.py", "code"),
    ]  # fmt: skip


def test_paths_that_lead_out_are_only_names() -> None:
    names = ["../../x.py", "/etc/y.py", "a/../../z.py", "C:\\w.py"]
    assert tar_fates(b"".join(map(member, names)) + END) == [(name, "code") for name in names]


def test_names_that_are_too_long_are_refused() -> None:
    long = "d/" * 5000 + "x.py"
    pax = member(long, format=tarfile.PAX_FORMAT)
    gnu = member(long, format=tarfile.GNU_FORMAT)
    found = tar_fates(pax + gnu + member("z.py") + END)
    assert [fate for _, fate in found] == ["damaged_member", "damaged_member", "code"]
    assert found[0][0].startswith("@")


def test_names_that_are_not_utf8_are_escaped() -> None:
    data = member("caf?.py").replace(b"caf?.py", b"caf\xe9.py")
    block = bytearray(data)
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block[:512])
    assert tar_fates(bytes(block) + END) == [("caf\\xe9.py", "code")]


SOUND_TAR = b"".join(
    member(f"{i}.py", random.Random(i).randbytes(700).hex().encode()) for i in range(12)
)
SINK = io.BytesIO()
with zipfile.ZipFile(SINK, "w", zipfile.ZIP_DEFLATED) as sound_zip:
    for i in range(12):
        sound_zip.writestr(f"{i}.py", random.Random(i).randbytes(700).hex())


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), packing=st.sampled_from(["tar", "tar.gz", "xz", "bz2", "zip"]))
def test_damaged_archives_never_raise(seed: int, packing: str) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {
        "tar": bytes, "tar.gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress,
    }  # fmt: skip
    noise = random.Random(seed)
    data = bytearray(SINK.getvalue() if packing == "zip" else packs[packing](SOUND_TAR + END))
    for _ in range(noise.choice([1, 8, 60])):
        data[noise.randrange(len(data))] = noise.randrange(256)
    damaged = bytes(data[: noise.choice([len(data), noise.randrange(1, len(data))])])
    if packing == "zip":
        found = list(read_zip(CODE, io.BytesIO(damaged), "p.zip"))
    else:
        found = list(read_tar(CODE, io.BytesIO(damaged), damaged[:65_536], "p.tar"))
    names = [f.locator for f in found]
    assert len(names) == len(set(names))


def test_too_many_members_end_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    whole = b"".join(member(f"{i}.py") for i in range(5)) + END
    assert tar_fates(whole)[-1] == ("", "too_many_members")
    assert len(tar_fates(whole)) == 4
