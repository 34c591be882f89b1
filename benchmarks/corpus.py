"""A corpus of real text that any machine with the project installed can make for itself.

Prose: paragraphs of the documentation that comes inside Python's standard library and the installed
packages, of their licences and descriptions, and of `../shared/data` where that is. It is put into
HTML pages of 1 to 20 kB with a menu and a footer, as one WARC file; a twentieth of the pages comes
twice, the second time with one paragraph more. Some of it is a plain text book, and source files of
the standard library are the code. The same machine makes the same corpus each time.
"""

import gzip
import html
import math
import random
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

QUOTED = re.compile(r'"""(.+?)"""', re.DOTALL)
SMALLEST_PARAGRAPH = 80
LETTERS_OF_PROSE = 0.75
"""Share of letters and blanks from which on a paragraph counts as prose and not as code."""
PAGE_BYTES = 1_000, 20_000
TWICE = 0.05
CODE_SHARE, BOOK_SHARE = 0.1, 0.1
REFERENCE_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Where the corpus was written, and how much it is."""

    web: Path
    books: Path
    code: Path
    reference: Path
    benchmark: Path
    raw_bytes: int
    """Of HTML (before compression), text and code."""


def make_corpus(folder: Path, megabytes: float) -> Corpus:
    """Write about so many megabytes (10^6 bytes) below the folder, less if the machine has less."""
    wanted = megabytes * 1e6
    paragraphs = paragraphs_of_prose()
    corpus = folder / "corpus"
    for name in ("web", "books", "code"):
        (corpus / name).mkdir(parents=True)
    reference = take(paragraphs, REFERENCE_BYTES)
    (corpus / "reference.txt").write_text("\n\n".join(reference), "utf-8")
    questions = [f'{{"question": "{" ".join(re.findall("[a-z]+", p))}"}}\n' for p in reference[:50]]
    (corpus / "benchmark.jsonl").write_text("".join(questions), "utf-8")
    code = write_code(corpus / "code", CODE_SHARE * wanted)
    book = "\n\n".join(take(paragraphs, BOOK_SHARE * wanted))
    (corpus / "books" / "book.txt").write_text(book, "utf-8")
    raw = code + len(book.encode())
    raw += write_web(corpus / "web" / "pages.warc.gz", paragraphs, wanted - raw)
    return Corpus(
        web=corpus / "web",
        books=corpus / "books",
        code=corpus / "code",
        reference=corpus / "reference.txt",
        benchmark=corpus / "benchmark.jsonl",
        raw_bytes=raw,
    )


def take(paragraphs: Iterator[str], size: float) -> list[str]:
    """Paragraphs of so many bytes, less where there are no more."""
    taken: list[str] = []
    held = 0
    while held < size and (paragraph := next(paragraphs, None)) is not None:
        taken.append(paragraph)
        held += len(paragraph.encode())
    return taken


def paragraphs_of_prose() -> Iterator[str]:
    """Distinct paragraphs of prose, those of one file after each other."""
    seen: set[int] = set()
    for text in _texts():
        for part in re.split(r"\n\s*\n", text):
            paragraph = " ".join(part.split())
            if len(paragraph) < SMALLEST_PARAGRAPH or hash(paragraph) in seen:
                continue
            plain = sum(c.isalpha() or c == " " for c in paragraph)
            if plain >= LETTERS_OF_PROSE * len(paragraph):
                seen.add(hash(paragraph))
                yield paragraph


def _texts() -> Iterator[str]:
    paths = sysconfig.get_paths()
    yield from map(_read, sorted(SHARED.glob("prose/*.txt")))
    yield _read(Path(paths["stdlib"]) / "pydoc_data" / "topics.py").replace("\\n", "\n")
    for root in (Path(paths["stdlib"]), Path(paths["purelib"])):
        for file in sorted(root.rglob("*")):
            if root == Path(paths["stdlib"]) and "site-packages" in file.parts:
                continue
            if file.suffix == ".py":
                yield "\n\n".join(QUOTED.findall(_read(file)))
            elif file.name == "METADATA" or file.name.startswith(("LICENSE", "README")):
                yield _read(file)


def _read(file: Path) -> str:
    return file.read_text("utf-8", errors="replace") if file.is_file() else ""


def write_code(folder: Path, size: float) -> int:
    """Source files of the standard library of so many bytes; the bytes that they have."""
    written = 0
    root = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(root.glob("*/*.py")):
        data = file.read_bytes()
        target = folder / file.relative_to(root)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)
        written += len(data)
        if written >= size:
            break
    return written


def write_web(path: Path, paragraphs: Iterator[str], size: float) -> int:
    """Pages of so many bytes of HTML as an archive; the bytes that they have."""
    chance = random.Random(1)
    smallest, largest = map(math.log, PAGE_BYTES)
    written = number = 0
    with path.open("wb") as stream:
        while written < size:
            page = take(paragraphs, math.exp(chance.uniform(smallest, largest)))
            if not page:
                break
            versions = [page]
            if chance.random() < TWICE:
                versions.append(
                    [*page, "This page was brought up to date after it was first put here."]
                )
            for version in versions:
                body = _html(number, version).encode()
                stream.write(gzip.compress(_record(number, body), 6, mtime=0))
                written += len(body)
                number += 1
    return written


def _html(number: int, paragraphs: list[str]) -> str:
    menu = "".join(f'<li><a href="/{word}">{word}</a></li>' for word in ("home", "news", "about"))
    body = "\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page {number}</title>'
        f"</head><body><nav><ul>{menu}</ul></nav><main><article><h1>Page {number}</h1>\n{body}\n"
        "</article></main><footer>All rights reserved. Contact: info@example.com</footer>"
        "</body></html>"
    )


def _record(number: int, body: bytes) -> bytes:
    """A WARC 1.0 response record (ISO 28500)."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number:012d}>\r\n"
        f"WARC-Target-URI: https://site{number % 97}.example/page/{number}\r\n"
        "WARC-Date: 2026-01-01T00:00:00Z\r\n"
        "Content-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(answer)}\r\n\r\n"
    )
    return head.encode() + answer + b"\r\n\r\n"
