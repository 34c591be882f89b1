"""Damaged copies of archives of all kinds: nothing raises, and all that is undamaged arrives.

Which records a damage touched is worked out from where they lie in the undamaged file, and not by
the readers.
"""

import gzip
import io
import json
import random
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from fastwarc import ArchiveIterator
from fastwarc.stream_io import ZstdWriter

from corpusmill.stages.sources.records import RawDocument, read_file
from corpusmill.stages.sources.source import Source

COPIES = 36
"""Of each kind; there are 14 kinds, so 504 in all."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """An undamaged file, and where in it its records lie."""

    name: str
    data: bytes
    extents: list[tuple[int, int]]
    """Of the records that must arrive unless damage touches them; in the order of the documents."""
    kind: str = "web"
    moves: bool = True
    """Whether records still arrive when bytes before them are cut out or inserted."""
    directory: int | None = None
    """Where the table of contents begins, without which no record is found."""


def members(packed: bytes) -> list[tuple[int, int]]:
    """Where the members of a gzip file with one record in each lie, as fastwarc sees it."""
    places = [r.stream_pos for r in ArchiveIterator(io.BytesIO(packed), parse_http=False)]
    return list(pairwise([*places, len(packed)]))


def joined(name: str, parts: list[bytes]) -> Sound:
    ends = [0, *accumulate(map(len, parts))]
    return Sound(name=name, data=b"".join(parts), extents=list(pairwise(ends)))


def zstd(data: bytes) -> bytes:
    stream = io.BytesIO()
    writer = ZstdWriter(stream)
    writer.write(data)
    writer.finish()
    writer.flush()
    return stream.getvalue()


def arc(records: list[tuple[str, bytes]], *, packed: bool) -> Sound:
    lines = [
        f"{url} 127.0.0.1 20140301000000 text/html {len(body)}\n".encode() for url, body in records
    ]
    parts = [line + body + b"\n" for line, (_, body) in zip(lines, records, strict=True)]
    if packed:
        return joined("x.arc.gz", [gzip.compress(p, mtime=0) for p in parts])
    sound = joined("x.arc", parts)
    # Nothing but the next record's first line says that a record's length was right.
    extents = [
        (start, end + len(line))
        for (start, end), line in zip(sound.extents, [*lines[1:], b""], strict=True)
    ]
    return Sound(name="x.arc", data=sound.data, extents=extents)


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zipped(files: dict[str, bytes]) -> tuple[bytes, list[tuple[int, int]]]:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        starts = [member.header_offset for member in archive.infolist()]
        directory = stream.tell()
    return stream.getvalue(), list(pairwise([*starts, directory]))


def kinds(crawl: bytes, epub: bytes) -> Iterator[Sound]:
    """Sound files of all kinds, from a web archive and a book."""
    place = members(crawl)
    records = [gzip.decompress(crawl[start:end]) for start, end in place]
    yield Sound(name="x.warc.gz", data=crawl, extents=place)
    yield joined("x.warc", records)
    yield joined("x.warc.zst", [zstd(r) for r in records])
    yield Sound(name="whole.warc.gz", data=gzip.compress(b"".join(records)), extents=[])
    yield Sound(name="whole.warc.zst", data=zstd(b"".join(records)), extents=[])
    chance = random.Random("texts")
    words = [f"{chance.randrange(10**6)} word" for _ in range(400)]
    texts = [" ".join(chance.choices(words, k=60)) for _ in range(60)]
    pages = [(f"http://site.example/{i}", f"<html>{t}".encode()) for i, t in enumerate(texts)]
    yield arc(pages, packed=False)
    yield arc(pages, packed=True)
    lines = [json.dumps({"text": t}).encode() + b"\n" for t in texts]
    yield joined("x.jsonl", lines)
    yield Sound(name="x.jsonl.gz", data=gzip.compress(b"".join(lines)), extents=[])
    yield Sound(name="x.jsonl.zst", data=zstd(b"".join(lines)), extents=[])
    files = {f"folder/{i}.txt": t.encode() for i, t in enumerate(texts[:20])}
    data, extents = zipped(files)
    directory = extents[-1][1]
    yield Sound(
        name="x.zip", data=data, extents=extents, kind="book", moves=False, directory=directory
    )
    blocks = [512 + -(-len(content) // 512) * 512 for content in files.values()]
    extents = list(pairwise([0, *accumulate(blocks)]))
    yield Sound(name="x.tar", data=tar(files), extents=extents, kind="book", moves=False)
    yield Sound(name="x.tar.gz", data=gzip.compress(tar(files)), extents=[], kind="book")
    yield Sound(name="x.epub", data=epub, extents=[(0, len(epub))], kind="book")


NAMES = [
    *("x.warc.gz", "x.warc", "x.warc.zst", "whole.warc.gz", "whole.warc.zst", "x.arc", "x.arc.gz"),
    *("x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.zip", "x.tar", "x.tar.gz", "x.epub"),
]


@pytest.fixture(scope="module")
def sound_files(repo_root: Path) -> dict[str, Sound]:
    samples = repo_root / "samples"
    crawl = (samples / "web" / "crawl.warc.gz").read_bytes()
    epub = next((samples / "books").glob("*.epub")).read_bytes()
    return {sound.name: sound for sound in kinds(crawl, epub)}


def documents(sound: Sound, data: bytes, folder: Path) -> tuple[list[RawDocument], int]:
    """The sound documents in a file, and how many other places were reported."""
    path = folder / sound.name
    path.write_bytes(data)
    source = Source(name="x", kind=sound.kind, path=str(path))  # type: ignore[arg-type]
    found = list(read_file(source, str(path), sound.name))
    pages = [f for f in found if isinstance(f, RawDocument)]
    locators = [page.locator for page in pages]
    assert len(set(locators)) == len(locators)
    good = [page for page in pages if page.problem is None]
    return good, len(found) - len(good)


def key(document: RawDocument) -> tuple[str, bytes]:
    return document.uri if document.uri.startswith("http") else "", document.payload


def extent_of(document: RawDocument, sound: Sound, number: int) -> tuple[int, int]:
    """Where a document of the undamaged file lies; its locator is that of its record."""
    if document.locator.isdecimal():
        at = int(document.locator)
        return next((e for e in sound.extents if e[0] == at), (0, len(sound.data)))
    return sound.extents[number] if sound.extents else (0, len(sound.data))


def damaged(
    data: bytes, chance: random.Random, *, moves: bool
) -> tuple[bytes, list[tuple[int, int]]]:
    """A damaged copy, and which bytes of the undamaged data were changed or taken out."""
    places: list[tuple[int, int]] = []
    for start in sorted(chance.randrange(len(data)) for _ in range(chance.randint(1, 3)))[::-1]:
        end = min(start + chance.choice([1, 4, 40, 400]), *(p[0] for p in places), len(data))
        way = chance.choice(["flip", "cut", "insert", "truncate"] if moves else ["flip"])
        if way == "flip":
            middle = bytes(b ^ chance.randint(1, 255) for b in data[start:end])
        elif way == "insert":
            middle, end = chance.randbytes(chance.choice([1, 4, 40, 400])), start
        elif way == "cut":
            middle = b""
        else:
            middle, end = b"", len(data) if not places else end
        data = data[:start] + middle + data[end:]
        places.append((start, end))
    return data, places


def is_touched(extent: tuple[int, int], places: list[tuple[int, int]]) -> bool:
    """Whether a damage lies in it; bytes inserted between two records touch neither."""
    return any(start < extent[1] and end > extent[0] for start, end in places)


@pytest.mark.parametrize("name", NAMES)
def test_undamaged_records_of_damaged_files_arrive_once_and_as_they_were(
    name: str, sound_files: dict[str, Sound], tmp_path: Path
) -> None:
    sound = sound_files[name]
    originals, _ = documents(sound, sound.data, tmp_path)
    assert originals
    for copy in range(COPIES):
        data, places = damaged(sound.data, random.Random(f"{name} {copy}"), moves=sound.moves)
        found, reported = documents(sound, data, tmp_path)
        if sound.directory and any(end > sound.directory for _, end in places):
            places.append((0, len(sound.data)))
        arrived = Counter(map(key, found))
        expected = Counter(
            key(document)
            for number, document in enumerate(originals)
            if not is_touched(extent_of(document, sound, number), places)
        )
        missing = {k: (n, arrived[k]) for k, n in expected.items() if arrived[k] != n}
        assert not missing, (copy, places, [k[0] for k in missing])
        if len(found) < len(originals):
            assert reported, (copy, places)
