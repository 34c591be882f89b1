"""Every format goes through `corpusmill run --until ingest`, and its texts arrive whole.

The files are written by other libraries than those that read them here, or read again by another.
"""

import csv
import gzip
import io
import json
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from tests.test_sources_pdf import pdf_of
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from corpusmill.pipelines.ledger import RunRecord, load_run

SENTENCE = "The {} boat left the harbour at dawn, and nobody on the pier had seen its lights. "
TEXTS = [
    "\n\n".join((SENTENCE.format(f"{colour} {n}") * 4).strip() for n in ("first", "second"))
    for colour in ("red", "green", "blue")
]


def page(text: str) -> bytes:
    paragraphs = "".join(f"<p>{part}</p>" for part in text.split("\n\n"))
    top = "<!doctype html><html><head><title>Boats</title><meta charset=utf-8></head>"
    return f"{top}<body><article>{paragraphs}</article></body></html>".encode()


def warc(*, packed: bool) -> bytes:
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=packed)
    for number, text in enumerate(TEXTS):
        headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(
                f"http://example.org/{number}",
                "response",
                payload=io.BytesIO(page(text)),
                http_headers=headers,
            )
        )
    return stream.getvalue()


def wet() -> bytes:
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    for number, text in enumerate(TEXTS):
        writer.write_record(
            writer.create_warc_record(
                f"http://example.org/{number}",
                "conversion",
                payload=io.BytesIO(text.encode()),
                warc_content_type="text/plain",
            )
        )
    return stream.getvalue()


def warc_zst() -> bytes:
    """A zstd frame for each record, as IIPC's proposal has it."""
    records = warc(packed=False).split(b"WARC/1.0\r\n")[1:]
    return b"".join(zstandard.compress(b"WARC/1.0\r\n" + record) for record in records)


def arc() -> bytes:
    head = b"filedesc://x.arc 0.0.0.0 20200101000000 text/plain 8\n1 0 x\n\n\n"
    records = []
    for number, text in enumerate(TEXTS):
        body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(text)
        line = f"http://example.org/{number} 1.2.3.4 20200101000000 text/html {len(body)}\n"
        records.append(gzip.compress(line.encode() + body + b"\n"))
    return gzip.compress(head) + b"".join(records)


def json_lines() -> bytes:
    return b"".join(json.dumps({"text": t, "id": i}).encode() + b"\n" for i, t in enumerate(TEXTS))


def comma_separated() -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([["id", "text"], *([str(i), t] for i, t in enumerate(TEXTS))])
    return stream.getvalue().encode()


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS, "id": [0, 1, 2]}), sink, row_group_size=2)
    return sink.getvalue()


def arrow(*, stream: bool) -> bytes:
    table = pa.table({"text": TEXTS})
    sink = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def feather() -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(pa.table({"text": TEXTS}), sink)
    return sink.getvalue()


def zipped(suffix: str, contents: list[bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(contents):
            archive.writestr(f"folder/{number}{suffix}", data)
    return sink.getvalue()


def tarred(mode: str, suffix: str, contents: list[bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        for number, data in enumerate(contents):
            member = tarfile.TarInfo(f"folder/{number}{suffix}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def epub(*, version: int) -> bytes:
    from ebooklib import epub as library

    book = library.EpubBook()
    book.FOLDER_NAME = "OPS"
    book.set_title("Boats")
    book.set_language("en")
    chapters = []
    for number, text in enumerate(TEXTS, 1):
        chapter = library.EpubHtml(title=f"Chapter {number}", file_name=f"c{number}.xhtml")
        paragraphs = "".join(f"<p>{part}</p>" for part in text.split("\n\n"))
        chapter.content = f"<h1>Chapter {number}</h1>{paragraphs}"
        book.add_item(chapter)
        chapters.append(chapter)
    book.toc = chapters
    book.add_item(library.EpubNcx())
    if version == 3:
        book.add_item(library.EpubNav())
    book.spine = ["nav", *chapters] if version == 3 else chapters
    sink = io.BytesIO()
    writer = library.EpubWriter(sink, book, {})
    writer.process()
    writer.write()
    return sink.getvalue()


def notebook() -> bytes:
    cells = [
        {"cell_type": "code", "source": [f"boats = {n}\n", "boats"], "outputs": [{"x": "no"}]}
        for n in range(3)
    ]
    kernel = {"kernelspec": {"language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4}).encode()


def pdf() -> bytes:
    """A page of each text, in the plainest form that the format has."""
    pages = []
    for text in TEXTS:
        lines = [line for part in text.split("\n\n") for line in (*textwrap.wrap(part, 80), "")]
        pages.append([(72, 700 - 12 * n, line) for n, line in enumerate(lines)])
    return pdf_of(pages)


def repository(folder: Path, *, bare: bool) -> None:
    """A checkout with a file that is not tracked, or the bare repository of it."""
    checkout = folder.with_name(folder.name + "-work") if bare else folder
    (checkout / "sub").mkdir(parents=True)
    for number, data in enumerate(code):
        (checkout / "sub" / f"{number}.py").write_bytes(data)
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    (checkout / "sub" / "untracked.py").write_text("new = 1\n")
    if bare:
        subprocess.run(["git", "clone", "-q", "--bare", str(checkout), str(folder)], check=True)


texts = [text.encode() for text in TEXTS]
code = [f"boats = {n}\nprint(boats + {n})\n".encode() for n in range(3)]

WEB: dict[str, Callable[[], bytes]] = {
    "a.warc": lambda: warc(packed=False),
    "a.warc.gz": lambda: warc(packed=True),
    "whole.warc.gz": lambda: gzip.compress(warc(packed=False)),
    "a.warc.zst": warc_zst,
    "a.warc.wet.gz": wet,
    "a.arc.gz": arc,
    "a.jsonl": json_lines,
    "a.jsonl.gz": lambda: gzip.compress(json_lines()),
    "a.jsonl.zst": lambda: zstandard.compress(json_lines()),
    "a.parquet": parquet,
    "a.arrow": lambda: arrow(stream=False),
    "stream.arrow": lambda: arrow(stream=True),
    "a.feather": feather,
    "a.csv": comma_separated,
    "a.csv.gz": lambda: gzip.compress(comma_separated()),
    "pages.zip": lambda: zipped(".html", [page(text) for text in TEXTS]),
    "texts.tar.gz": lambda: tarred("w:gz", ".txt", texts),
}
BOOKS: dict[str, Callable[[], bytes]] = {
    "two.epub": lambda: epub(version=2),
    "three.epub": lambda: epub(version=3),
    "plain.txt": lambda: "\n\n".join(TEXTS).encode(),
    "latin.txt": lambda: "\n\n".join(["Größe und Maß", *TEXTS]).encode("latin-1"),
    "wide.txt": lambda: "\n\n".join(TEXTS).encode("utf-16"),
    "marked.md": lambda: ("# Boats\n\n" + "\n\n".join(TEXTS)).encode(),
    "marked.rst": lambda: ("Boats\n=====\n\n" + "\n\n".join(TEXTS)).encode(),
    "pages.pdf": pdf,
    "packed.txt.gz": lambda: gzip.compress("\n\n".join(TEXTS).encode()),
}
CODE: dict[str, Callable[[], bytes]] = {
    "code.zip": lambda: zipped(".py", code),
    "code.tar": lambda: tarred("w", ".py", code),
    "code.tar.gz": lambda: tarred("w:gz", ".py", code),
    "code.tar.zst": lambda: zstandard.compress(tarred("w", ".py", code)),
    "note.ipynb": notebook,
}


def words(text: str) -> list[str]:
    return text.split()


@pytest.fixture(scope="module")
def formats(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """One run over a file of every format, each as a source of its own."""
    folder = tmp_path_factory.mktemp("formats")
    sources = []
    for kind, made in (("web", WEB), ("book", BOOKS), ("code", CODE)):
        for name, make in made.items():
            (folder / name).write_bytes(make())
            sources.append({"name": name, "kind": kind, "path": str(folder / name)})
    (folder / "html").mkdir()
    (folder / "py").mkdir()
    for number, text in enumerate(TEXTS):
        (folder / "html" / f"{number}.html").write_bytes(page(text))
        (folder / "py" / f"{number}.py").write_bytes(code[number])
    listed = "".join(f"<url><loc>https://example.org/html/{n}.html</loc></url>" for n in (0, 2, 9))
    (folder / "sitemap.xml").write_text(f"<urlset>{listed}</urlset>")
    sources += [
        {"name": "html", "kind": "web", "path": str(folder / "html")},
        {"name": "sitemap", "kind": "web", "path": str(folder / "sitemap.xml")},
        {"name": "py", "kind": "code", "path": str(folder / "py")},
    ]
    sources.append({"name": "chapters", "kind": "book", "path": str(folder / "three.epub")})
    sources[-1]["unit"] = "chapter"
    for name in ("checkout", "bare.git") if shutil.which("git") else ():
        repository(folder / name, bare=name == "bare.git")
        sources.append({"name": name, "kind": "code", "path": str(folder / name)})
    whole = {"name": "repository", "kind": "code", "path": str(folder / "py")}
    sources.append({**whole, "unit": "repository"})
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"name": "formats", "sources": sources, "stages": []}))
    out = folder / "run"
    command = ["run", str(recipe), "--until", "ingest", "--out", str(out), "--workers", "2"]
    subprocess.run([sys.executable, "-m", "corpusmill", *command], check=True, capture_output=True)
    return out, load_run(str(out))


def documents(run: tuple[Path, RunRecord], source: str) -> list[str]:
    table = pq.read_table(run[0] / "documents")
    rows = zip(table["source"].to_pylist(), table["text"].to_pylist(), strict=True)
    return [text for name, text in rows if name == source]


@pytest.mark.parametrize("name", [*WEB, "html"])
def test_pages_and_texts_of_the_web_arrive(formats: tuple[Path, RunRecord], name: str) -> None:
    found = documents(formats, name)
    assert [words(text) for text in found] == [words(text) for text in TEXTS]


@pytest.mark.parametrize("name", BOOKS)
def test_books_arrive_in_reading_order(formats: tuple[Path, RunRecord], name: str) -> None:
    (book,) = documents(formats, name)
    assert words(book)[-len(words(TEXTS[2])) :] == words(TEXTS[2])
    places = [book.replace("\n", " ").find(text.split("\n\n")[0][:40]) for text in TEXTS]
    assert places == sorted(places)
    assert min(places) >= 0


def test_chapters_arrive_as_documents_in_their_order(formats: tuple[Path, RunRecord]) -> None:
    found = documents(formats, "chapters")
    assert [words(text)[2:] for text in found] == [words(text) for text in TEXTS]
    assert [text.splitlines()[0] for text in found] == ["Chapter 1", "Chapter 2", "Chapter 3"]


@pytest.mark.parametrize("name", ["code.zip", "code.tar", "code.tar.gz", "code.tar.zst", "py"])
def test_code_arrives_as_it_is(formats: tuple[Path, RunRecord], name: str) -> None:
    assert documents(formats, name) == [data.decode() for data in code]


@pytest.mark.skipif(not shutil.which("git"), reason="git makes the repositories")
@pytest.mark.parametrize("name", ["checkout", "bare.git"])
def test_tracked_files_arrive(formats: tuple[Path, RunRecord], name: str) -> None:
    assert documents(formats, name) == [data.decode() for data in code]


def test_a_repository_arrives_as_one_document(formats: tuple[Path, RunRecord]) -> None:
    (text,) = documents(formats, "repository")
    assert all(data.decode().strip() in text for data in code)


def test_a_real_archive_arrives_as_another_reader_has_it(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "web" / "warc" / "blackbook.warc.gz"
    pages: list[str] = []
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream):
            headers = record.http_headers
            if record.rec_type == "response" and headers and headers.get_statuscode() == "200":
                media = headers.get_header("Content-Type", "").lower().partition(";")[0].strip()
                if media in ("text/html", "application/xhtml+xml", "text/plain"):
                    pages.append(record.rec_headers["WARC-Target-URI"])
    out = tmp_path / "run"
    command = ["run", str(path), "--until", "ingest", "--out", str(out), "--workers", "1"]
    subprocess.run([sys.executable, "-m", "corpusmill", *command], check=True, capture_output=True)
    (ingest,) = load_run(str(out)).stages
    assert ingest.counts.found == len(pages)
    told = [row["uri"] for row in pq.read_table(out / "ledger" / "00-ingest").to_pylist()]
    assert sorted([*pq.read_table(out / "documents")["uri"].to_pylist(), *told]) == sorted(pages)


def test_a_notebook_arrives_without_its_outputs(formats: tuple[Path, RunRecord]) -> None:
    (text,) = documents(formats, "note.ipynb")
    assert [line for line in text.splitlines() if "boats =" in line] == [
        "boats = 0",
        "boats = 1",
        "boats = 2",
    ]
    assert "no" not in words(text)


def test_a_sitemap_gives_the_files_it_lists_under_their_addresses(
    formats: tuple[Path, RunRecord],
) -> None:
    assert [words(text) for text in documents(formats, "sitemap")] == [
        words(TEXTS[0]),
        words(TEXTS[2]),
    ]
    assert formats[1].stages[0].sources["sitemap"].skipped == {"not_in_folder": 1}


def test_everything_is_counted(formats: tuple[Path, RunRecord]) -> None:
    (ingest,) = formats[1].stages
    for name in [*WEB, "html", "code.zip", "py", "chapters"]:
        assert ingest.sources[name].found == 3, name
    assert ingest.counts.quarantined == 0
    assert ingest.counts.kept == ingest.counts.found
