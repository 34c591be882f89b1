"""EPUB 2 and 3: order, chapters, notes, metadata, and hostile files."""

import io
import re
import zipfile
from pathlib import Path

import pytest

from corpusmill.stages.sources import limits
from corpusmill.stages.sources.epub import read_epub
from corpusmill.stages.sources.limits import Refused

PAGE = (
    '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">'
    "<head><title>no</title></head><body>{}</body></html>"
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">
<dc:title>T</dc:title>{metadata}</metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" {nav}/>
<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>
<item id="c" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="1" href="one.xhtml" media-type="application/xhtml+xml"/>
<item id="2" href="two%20.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine toc="ncx"><itemref idref="n"/><itemref idref="c"/><itemref idref="2"/><itemref idref="1"/>
<itemref idref="gone"/></spine>
<guide><reference type="cover" href="cover.xhtml"/></guide></package>"""
AUTHORS = "<dc:creator>A</dc:creator><dc:creator>B</dc:creator><dc:language>en-GB</dc:language>"


def package(metadata: str = AUTHORS, nav: str = 'properties="nav"') -> str:
    return PACKAGE.format(metadata=metadata, nav=nav)


def epub_of(files: dict[str, str] | None = None) -> bytes:
    members = {
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="o/p.opf"/>'
        "</rootfiles></container>",
        "o/p.opf": package(),
        "o/nav.xhtml": PAGE.format("<p>navigation</p>"),
        "o/cover.xhtml": PAGE.format("<p>cover</p>"),
        "o/one.xhtml": PAGE.format("<h1>One</h1><p>a<br/>b<em>c</em>&nbsp;d<!-- x --> e</p>"),
        "o/two .xhtml": PAGE.format(
            '<section epub:type="toc"><p>contents</p></section><div>text<p>in</p>tail</div>'
        ),
        **(files or {}),
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def text_of(page: str) -> str:
    """The text of a book of this one page."""
    book = read_epub(epub_of({"o/two .xhtml": PAGE.format(page), "o/one.xhtml": PAGE.format("")}))
    return "\n\n".join(book.chapters)


def test_an_epub_is_read_in_the_order_of_its_spine() -> None:
    book = read_epub(epub_of())
    assert book.chapters == ("text\n\nin\n\ntail\n\nOne\n\na\nbc\N{NO-BREAK SPACE}d e",)
    assert book.metadata == {"title": "T", "author": "A; B", "language": "en"}


WORDS = "word " * 60


def section(name: str) -> str:
    return f'<section id="{name}"><h2>Chapter {name}</h2><p>{WORDS}</p></section>'


NAV_POINT = '<navPoint><navLabel><text>x</text></navLabel><content src="{}"/></navPoint>'


@pytest.mark.parametrize("version", [2, 3])
def test_chapters_begin_where_the_table_of_contents_points(version: int) -> None:
    places = ["two%20.xhtml#a", "two%20.xhtml#b", "one.xhtml", "one.xhtml#d"]
    links = "".join(f'<li><a href="{place}">x</a></li>' for place in places)
    points = "".join(map(NAV_POINT.format, places))
    book = read_epub(
        epub_of(
            {
                "o/p.opf": package(nav='properties="nav"' if version == 3 else ""),
                "o/nav.xhtml": PAGE.format(f'<nav epub:type="toc"><ol>{links}</ol></nav>'),
                "o/toc.ncx": f"<ncx><navMap>{points}</navMap></ncx>",
                "o/two .xhtml": PAGE.format(section("a") + section("b")),
                "o/one.xhtml": PAGE.format(section("c") + f'<p>Before <a id="d"/>it.</p>{WORDS}'),
            }
        )
    )
    chapters = book.chapters if version == 3 else book.chapters[-4:]
    assert [chapter.split("\n")[0] for chapter in chapters] == [
        "Chapter a",
        "Chapter b",
        "Chapter c",
        WORDS.strip(),
    ]


def test_sections_of_a_chapter_are_not_chapters() -> None:
    def entry(place: str, inner: str = "") -> str:
        return f'<li><a href="{place}">x</a><ol>{inner}</ol></li>'

    contents = "".join(
        [
            entry("two%20.xhtml", entry("two%20.xhtml#a") + entry("two%20.xhtml#b")),
            entry("one.xhtml"),
            entry("cover.xhtml"),
        ]
    )
    book = read_epub(
        epub_of(
            {
                "o/nav.xhtml": PAGE.format(f'<nav epub:type="toc"><ol>{contents}</ol></nav>'),
                "o/two .xhtml": PAGE.format(section("a") + section("b")),
                "o/one.xhtml": PAGE.format(section("c")),
            }
        )
    )
    assert [re.findall("Chapter .", c) for c in book.chapters] == [
        ["Chapter a", "Chapter b"],
        ["Chapter c"],
    ]


def test_without_a_table_of_contents_files_and_then_headings_are_chapters() -> None:
    pages = {"o/two .xhtml": section("a") + section("b"), "o/one.xhtml": section("c")}
    book = read_epub(epub_of({name: PAGE.format(page) for name, page in pages.items()}))
    assert len(book.chapters) == 2
    pages["o/one.xhtml"] = ""
    book = read_epub(epub_of({name: PAGE.format(page) for name, page in pages.items()}))
    assert [c[:9] for c in book.chapters] == ["Chapter a", "Chapter b"]


@pytest.mark.parametrize(
    "marker",
    [
        '<a epub:type="noteref" href="#n1">1</a>',
        '<a role="doc-noteref" href="notes.xhtml#n1">[1]</a>',
        '<sup><a href="#n1">12</a></sup>',
        '<a href="#n1"><sup>*</sup></a>',
        '<a class="fnanchor" href="#n1">[1]</a>',
        '<a class="footnote-reference brackets" href="#id1">1</a>',
        '<span class="pagenum">[Pg 12]</span>',
        '<span epub:type="pagebreak" title="12">12</span>',
    ],
)
def test_markers_of_notes_and_pages_are_no_text(marker: str) -> None:
    assert text_of(f"<p>A sentence.{marker} Another.</p>") == "A sentence. Another."


@pytest.mark.parametrize(
    "link",
    [
        '<a epub:type="backlink" href="#r1">1.</a>',
        '<a role="doc-backlink" href="#r1">\u21a9</a>',
        '<a href="#r1">\u21a9\ufe0e</a>',
        '<a href="#r1"><span class="label">[1]</span></a>',
        '<span class="label">[<a role="doc-backlink" href="#r1">1</a>]</span>',
    ],
)
def test_notes_stay_without_the_way_back(link: str) -> None:
    page = f'<aside epub:type="footnote"><p>{link} The note.</p></aside>'
    assert text_of("<p>Text.</p>" + page) == "Text.\n\nThe note."


def test_links_and_raised_numbers_that_are_text_stay() -> None:
    page = '<p>See <a href="#c2">chapter 2</a>, page <a href="#p12">12</a>, x<sup>2</sup>.</p>'
    assert text_of(page) == "See chapter 2, page 12, x2."


def test_headings_that_lead_back_to_the_contents_stay() -> None:
    page = '<h2><a class="toc-backref" role="doc-backlink" href="#id1">Scope</a></h2><p>Text.</p>'
    assert text_of(page) == "Scope\n\nText."


def test_preformatted_lines_and_cells_stay_apart() -> None:
    assert text_of("<pre>if x:\n    y()\n</pre>") == "if x:\n    y()"
    assert text_of("<table><tr><td>a</td><td>b</td></tr></table>") == "a b"
    assert text_of("<p>so\u00adft  hy\nphen</p>") == "soft hy phen"


def test_metadata_of_a_book() -> None:
    found = read_epub(
        epub_of(
            {
                "o/p.opf": package(
                    '<dc:creator id="a">Ann</dc:creator><dc:creator id="b">Ill</dc:creator>'
                    '<meta refines="#a" property="role">aut</meta>'
                    '<meta refines="#b" property="role">ill</meta>'
                    '<dc:date opf:event="conversion">2020-01-01T00:00:00+00:00</dc:date>'
                    '<dc:date opf:event="publication">1998-06-01</dc:date>'
                    "<dc:language>ger</dc:language><dc:rights>CC0</dc:rights>"
                )
            }
        )
    ).metadata
    assert found == {
        "title": "T",
        "author": "Ann",
        "date": "1998-06-01",
        "language": "de",
        "licence": "CC0",
    }


def test_licences_of_project_gutenberg_are_no_text() -> None:
    header = "<pre>The Project Gutenberg EBook of T, by A</pre><p>This eBook is free.</p>"
    start = "<p>*** START OF THIS PROJECT GUTENBERG EBOOK T ***</p><p>Produced by X and Y</p>"
    end = "<p>End of the Project Gutenberg EBook of T</p><p>*** END OF THIS ***</p><p>Licence</p>"
    assert text_of(f"{header}{start}<h1>T</h1><p>Text.</p>{end}") == "T\n\nText."


ENTITIES = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
HOSTILE = f'<!DOCTYPE html [<!ENTITY a0 "ha"><!ENTITY f SYSTEM "file:///etc/passwd">{ENTITIES}]>'


def test_entities_expand_to_nothing() -> None:
    page = HOSTILE + PAGE.format("<p>before &a11; &f; after</p>")
    text = "\n\n".join(read_epub(epub_of({"o/one.xhtml": page})).chapters)
    assert "before" in text
    assert "haha" not in text
    assert "root:" not in text


@pytest.mark.parametrize(
    ("member", "data", "reason"),
    [
        ("o/one.xhtml", "x" * 30_000_000, "decompression_ratio"),
        ("o/one.xhtml", "x" * (limits.MAX_PAYLOAD + 1), "decompressed_too_large"),
        ("o/one.xhtml", "<div>" * 5000, "too_deep"),
        ("o/nav.xhtml", "<ol>" * 5000, "too_deep"),
        ("META-INF/container.xml", "<container/>", "not_an_epub"),
        ("o/p.opf", "no xml", "not_an_epub"),
        ("META-INF/encryption.xml", "<encryption><EncryptedKey/></encryption>", "encrypted"),
    ],
)
def test_epubs_that_cannot_be_read_say_why(member: str, data: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_epub(epub_of({member: data}))


ENCRYPTION = """<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>
<e:EncryptionMethod Algorithm="{}"/><e:CipherData><e:CipherReference URI="{}"/></e:CipherData>
</e:EncryptedData></encryption>"""
AES = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"


def test_a_book_with_an_encrypted_chapter_is_refused_and_one_with_hidden_fonts_is_read() -> None:
    name = "META-INF/encryption.xml"
    with pytest.raises(Refused, match="encrypted"):
        read_epub(epub_of({name: ENCRYPTION.format(AES, "o/two%20.xhtml")}))
    for algorithm, member in (("http://www.idpf.org/2008/embedding", "o/f.otf"), (AES, "o/a.mp3")):
        assert read_epub(epub_of({name: ENCRYPTION.format(algorithm, member)})).chapters


@pytest.mark.parametrize("href", ["nowhere.xhtml", "../../../etc/passwd", "http://a.example/1"])
def test_a_book_without_one_of_its_chapters_is_refused(href: str) -> None:
    broken = package().replace("two%20.xhtml", href)
    with pytest.raises(Refused, match="missing_chapter"):
        read_epub(epub_of({"o/p.opf": broken}))
    aside = broken.replace('<itemref idref="2"/>', '<itemref idref="2" linear="no"/>')
    assert read_epub(epub_of({"o/p.opf": aside})).chapters


def test_damaged_bytes_never_raise_anything_else() -> None:
    whole = epub_of()
    reasons = set()
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 0x15
        try:
            read_epub(bytes(damaged))
        except Refused as refusal:
            reasons.add(refusal.reason)
    assert "damaged_member" in reasons


def complete(payload: bytes) -> io.BytesIO:
    """The book with an empty file for each that its manifest names and that is missing: its images
    were taken out."""
    copy = io.BytesIO(payload)
    with zipfile.ZipFile(copy, "a") as archive:
        names = set(archive.namelist())
        for href in re.findall(r'<item href="([^"]+)"', archive.read("epub/content.opf").decode()):
            if f"epub/{href}" not in names:
                archive.writestr(f"epub/{href}", b"")
    return copy


def test_the_order_and_words_are_those_of_an_independent_reader(shared_data: Path) -> None:
    from ebooklib import epub
    from lxml import html

    path = shared_data / "books" / "pride-and-prejudice.epub"
    independent = epub.read_epub(complete(path.read_bytes()))
    expected: list[str] = []
    for name, linear in independent.spine:
        item = independent.get_item_with_id(name)
        if linear != "no" and re.match(r"chapter", item.get_name().rpartition("/")[2]):
            body = html.fromstring(item.get_content()).find(".//body")
            for marker in body.xpath(".//a[contains(@*[name()='epub:type'], 'noteref')]"):
                marker.drop_tree()
            expected += re.findall(r"\w+", body.text_content())
    book = read_epub(path.read_bytes())
    assert len(expected) > 100_000
    assert re.findall(r"\w+", "\n\n".join(book.chapters)) == expected
    assert len(book.chapters) == 61
    assert all(re.match(r"[IVXL]+\n\n", chapter) for chapter in book.chapters)
