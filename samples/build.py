"""Builds the binary samples, a web archive and two EPUBs, from the readable texts in `source/`.

    python samples/build.py [FOLDER]

writes `web/crawl.warc.gz` and `books/*.epub` below FOLDER (default: this folder). Only the
standard library is used, and nothing of the clock, the machine or the order of a directory listing
enters the files: the same sources give the same bytes (with the same version of zlib).

A source file begins with `key: value` lines about the whole, a site or a book. Each part begins
with `=== ` and its path (a page) or title (a chapter), then `key: value` lines, an empty line and
the text: paragraphs, `- ` for list items. The keys of a page:

    title, author, date, licence, charset   go into the page (see `LICENCES`)
    copy of, edit       the text of another page (host and path), with `old => new` replaced
    body                `raw` or `base64` when the text is the whole body of the response
    status, location    an HTTP status other than 200 OK, and where it redirects to
    type                content type, when it is not HTML
"""

import base64
import hashlib
import html
import sys
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

SOURCE = Path(__file__).resolve().parent / "source"
CRAWLED = datetime(2024, 5, 6, 8, 0, tzinfo=UTC)
"""When the fictitious crawl began; each page takes two seconds."""
LICENCES = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY-SA 4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC BY-NC-ND 4.0": "https://creativecommons.org/licenses/by-nc-nd/4.0/",
}


@dataclass(frozen=True)
class Section:
    """A page of a site or a chapter of a book."""

    heading: str
    fields: dict[str, str]
    edits: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True)
class Site:
    """What one folder below `source/web` describes."""

    fields: dict[str, str]
    template: Template
    pages: tuple[Section, ...]


def key_values(lines: list[str]) -> list[tuple[str, str]]:
    """Splits `key: value` lines."""
    pairs = [line.partition(": ") for line in lines]
    if bad := [key for key, separator, _ in pairs if not separator]:
        raise ValueError(f"not of the form 'key: value': {bad[0]!r}")
    return [(key, value) for key, _, value in pairs]


def read_source(path: Path) -> tuple[dict[str, str], tuple[Section, ...]]:
    """The fields of the whole file, and its sections."""
    head, *parts = path.read_text(encoding="utf-8").split("\n=== ")
    sections = []
    for part in parts:
        top, _, text = part.partition("\n\n")
        heading, *lines = top.strip().split("\n")
        pairs = key_values(lines)
        edits = [value.partition(" => ") for key, value in pairs if key == "edit"]
        sections.append(
            Section(
                heading=heading,
                fields={key: value for key, value in pairs if key != "edit"},
                edits=tuple((old, new) for old, _, new in edits),
                text=text.strip(),
            )
        )
    return dict(key_values(head.strip().split("\n"))), tuple(sections)


def to_html(text: str) -> str:
    """Paragraphs and lists as (X)HTML."""
    blocks = []
    for block in text.split("\n\n"):
        lines = [html.escape(line, quote=False) for line in block.split("\n")]
        if all(line.startswith("- ") for line in lines):
            items = "\n".join(f"<li>{line[2:]}</li>" for line in lines)
            blocks.append(f"<ul>\n{items}\n</ul>")
        else:
            blocks.append(f"<p>{' '.join(lines)}</p>")
    return "\n".join(blocks)


def page_text(page: Section, originals: dict[str, str]) -> str:
    """The page's own text, or that of the page it copies with its edits applied."""
    if "copy of" not in page.fields:
        return page.text
    text = originals[page.fields["copy of"]]
    for old, new in page.edits:
        if text.count(old) != 1:
            raise ValueError(f"{page.heading}: {old!r} does not occur exactly once in the original")
        text = text.replace(old, new)
    return text


def http_response(site: Site, page: Section, originals: dict[str, str]) -> bytes:
    """Status line, headers and body of one page."""
    fields = page.fields
    charset = fields.get("charset", "utf-8")
    text = page_text(page, originals)
    body = b""
    if fields.get("body") == "base64":
        body = base64.b64decode(text)
    elif fields.get("body") == "raw":
        body = text.encode(charset)
    elif "location" not in fields:
        licence = fields.get("licence")
        values = {key: html.escape(value) for key, value in (site.fields | fields).items()}
        values |= {
            "author": values.get("author", ""),
            "date": values.get("date", ""),
            "charset": charset,
            "body": to_html(text),
            "licence": f'<a rel="license" href="{LICENCES[licence]}">{licence}</a>'
            if licence
            else f"© {values['name']}",
        }
        # What the charset lacks becomes a character reference, as content management systems do.
        body = site.template.substitute(values).encode(charset, "xmlcharrefreplace")
    headers = [
        f"HTTP/1.1 {fields.get('status', '200 OK')}",
        f"Content-Type: {fields.get('type', f'text/html; charset={charset}')}",
        f"Content-Length: {len(body)}",
    ]
    if "location" in fields:
        headers.append(f"Location: {fields['location']}")
    return "\r\n".join([*headers, "", ""]).encode() + body


def digest(data: bytes) -> str:
    """A digest in the form that web archives use."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def warc_record(kind: str, name: str, date: datetime, block: bytes, **headers: str) -> bytes:
    """One record as a gzip member of its own; `name` decides its id."""
    lines = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: {record_id(kind, name)}",
        f"WARC-Date: {date:%Y-%m-%dT%H:%M:%SZ}",
        f"WARC-Block-Digest: {digest(block)}",
        *(f"{key.replace('_', '-')}: {value}" for key, value in headers.items()),
        f"Content-Length: {len(block)}",
    ]
    record = "\r\n".join([*lines, "", ""]).encode() + block + b"\r\n\r\n"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)  # 31: with a gzip header, its time set to zero
    return packer.compress(record) + packer.flush()


def record_id(kind: str, name: str) -> str:
    """An id that is the same in every build."""
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {name}')}>"


def read_sites() -> list[Site]:
    """All sites, sorted by the name of their folder."""
    sites = []
    for folder in sorted((SOURCE / "web").iterdir()):
        fields, pages = read_source(folder / "pages.txt")
        template = Template((folder / "template.html").read_text(encoding="utf-8"))
        sites.append(Site(fields=fields, template=template, pages=pages))
    return sites


def warc_records() -> Iterator[bytes]:
    """The archive: what it is, then a request and a response for each page."""
    sites = read_sites()
    originals = {
        site.fields["host"] + page.heading: page.text for site in sites for page in site.pages
    }
    info = b"software: samples/build.py\r\nformat: WARC File Format 1.1\r\n"
    yield warc_record(
        "warcinfo", "crawl", CRAWLED, info,
        WARC_Filename="crawl.warc.gz", Content_Type="application/warc-fields",
    )  # fmt: skip
    visits = [(site, page) for site in sites for page in site.pages]
    for number, (site, page) in enumerate(visits):
        host = site.fields["host"]
        url = f"https://{host}{page.heading}"
        date = CRAWLED + timedelta(seconds=2 * number)
        request = f"GET {page.heading} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"
        yield warc_record(
            "request", url, date, request.encode(),
            WARC_Target_URI=url, WARC_Concurrent_To=record_id("response", url),
            Content_Type="application/http; msgtype=request",
        )  # fmt: skip
        response = http_response(site, page, originals)
        yield warc_record(
            "response", url, date, response,
            WARC_Target_URI=url,
            WARC_Payload_Digest=digest(response.partition(b"\r\n\r\n")[2]),
            Content_Type="application/http; msgtype=response",
        )  # fmt: skip


def epub_files(source: Path) -> Iterator[tuple[str, str]]:
    """Names and contents of the members of an EPUB 3, in the order in which they are stored."""
    package = Template((source.parent / "package.opf").read_text(encoding="utf-8"))
    xhtml = Template((source.parent / "chapter.xhtml").read_text(encoding="utf-8"))
    fields, chapters = read_source(source)
    values = {key: html.escape(value) for key, value in fields.items()}
    values["identifier"] = uuid.uuid5(uuid.NAMESPACE_URL, f"book {source.stem}").urn
    manifest, spine, contents, files = [], [], [], []
    for number, chapter in enumerate(chapters, start=1):
        name = f"chapter-{number}"
        heading = html.escape(chapter.heading)
        manifest.append(
            f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>'
        )
        spine.append(f'<itemref idref="{name}"/>')
        contents.append(f'<li><a href="{name}.xhtml">{heading}</a></li>')
        body = f"<h1>{heading}</h1>\n{to_html(chapter.text)}"
        files.append((f"EPUB/{name}.xhtml", xhtml.substitute(values, heading=heading, body=body)))
    lists = {"manifest": "\n".join(manifest), "spine": "\n".join(spine)}
    entries = "\n".join(contents)
    body = f'<nav epub:type="toc">\n<h1>{values["contents"]}</h1>\n<ol>\n{entries}\n</ol>\n</nav>'
    yield "mimetype", "application/epub+zip"
    yield "META-INF/container.xml", (source.parent / "container.xml").read_text(encoding="utf-8")
    yield "EPUB/package.opf", package.substitute(values, **lists)
    yield "EPUB/nav.xhtml", xhtml.substitute(values, heading=values["contents"], body=body)
    yield from files


def write_epub(source: Path, path: Path) -> None:
    """Packs a book; the media type comes first and uncompressed, as the format demands."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in epub_files(source):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, also when built elsewhere
            member.external_attr = 0o644 << 16
            stored = name == "mimetype"
            member.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(member, text.encode())


def build(folder: Path) -> None:
    """Writes the archive and the books below `folder`."""
    (folder / "web").mkdir(parents=True, exist_ok=True)
    (folder / "books").mkdir(exist_ok=True)
    (folder / "web" / "crawl.warc.gz").write_bytes(b"".join(warc_records()))
    for source in sorted((SOURCE / "books").glob("*.txt")):
        write_epub(source, folder / "books" / f"{source.stem}.epub")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
