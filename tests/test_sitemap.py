"""Sitemaps: the local files that they name, and nothing outside their folder."""

import contextlib
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpusmill.stages.sources import sitemap
from corpusmill.stages.sources.limits import Refused
from corpusmill.stages.sources.sitemap import is_sitemap, read_sitemap

SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urlset(*locs: str, lastmod: str = "") -> str:
    date = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    urls = "".join(f"<url><loc>{loc}</loc>{date}</url>" for loc in locs)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset {SPACE}>{urls}</urlset>'


def index(*locs: str) -> str:
    maps = "".join(f"<sitemap><loc>{loc}</loc></sitemap>" for loc in locs)
    return f"<sitemapindex {SPACE}>{maps}</sitemapindex>"


def put(folder: Path, name: str, content: str | bytes = "<html>") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def found(path: str) -> list[str | None]:
    folder = Path(path).parent
    return [
        str(Path(entry.file).relative_to(folder)) if entry.file else entry.problem
        for entry in read_sitemap(path)
    ]


@pytest.mark.parametrize(
    ("loc", "stored"),
    [
        ("http://e.org/a.html", "e.org/a.html"),
        ("https://E.org/a.html", "a.html"),
        ("http://e.org", "e.org/index.html"),
        ("http://e.org/blog/", "blog/index.html"),
        ("http://e.org/blog", "e.org/blog/index.html"),
        ("http://e.org/about", "about.html"),
        ("http://e.org/page?id=1&amp;x=a/b", "e.org/page?id=1&x=a%2Fb"),
        ("http://e.org/page?id=1", "page@id=1.html"),
        ("http://e.org/caf%C3%A9%20au", "e.org/café au"),
        ("http://e.org/caf%C3%A9", "e.org/caf%C3%A9"),
        ("http://e.org:8080/a", "e.org:8080/a"),
        ("pages/a.html", "pages/a.html"),
    ],
)
def test_addresses_are_found_where_mirrors_store_them(
    loc: str, stored: str, tmp_path: Path
) -> None:
    put(tmp_path, stored)
    assert found(put(tmp_path, "sitemap.xml", urlset(loc))) == [stored]


@pytest.mark.parametrize("name", ["sitemap.xml", "sitemap.xml.gz"])
def test_entries_keep_their_order_date_and_what_is_missing(name: str, tmp_path: Path) -> None:
    put(tmp_path, "b.html")
    put(tmp_path, "a.html")
    text = urlset(
        "http://e.org/b.html", "http://e.org/c.html", "http://e.org/a.html", lastmod="2024-05-01"
    )
    path = put(tmp_path, name, gzip.compress(text.encode()) if name.endswith(".gz") else text)
    assert is_sitemap(path)
    assert found(path) == ["b.html", "not_in_folder", "a.html"]
    assert {entry.lastmod for entry in read_sitemap(path)} == {"2024-05-01"}


def test_plain_text_and_file_addresses(tmp_path: Path) -> None:
    put(tmp_path, "a b.html")
    put(tmp_path, "c.html")
    text = f"\ufefffile://{tmp_path}/a%20b.html\r\n\r\nfile://localhost{tmp_path}/c.html\n"
    path = put(tmp_path, "sitemap.txt", text)
    assert is_sitemap(path)
    assert found(path) == ["a b.html", "c.html"]


def test_an_index_gives_the_entries_of_its_sitemaps(tmp_path: Path) -> None:
    put(tmp_path, "a.html")
    put(tmp_path, "b.html")
    put(tmp_path, "maps/one.xml", urlset("http://e.org/a.html"))
    put(tmp_path, "maps/two.xml.gz", gzip.compress(urlset("http://e.org/b.html").encode()))
    put(tmp_path, "maps/bad.xml", "<urlset><url>")
    names = ("maps/one.xml", "maps/none.xml", "maps/bad.xml", "maps/two.xml.gz")
    path = put(tmp_path, "sitemap.xml", index(*(f"http://e.org/{name}" for name in names)))
    assert found(path) == ["a.html", "not_in_folder", "damaged_file", "b.html"]


def test_indexes_may_neither_go_in_circles_nor_deep(tmp_path: Path) -> None:
    put(tmp_path, "a.html")
    put(tmp_path, "3.xml", index("http://e.org/4.xml"))
    put(tmp_path, "2.xml", index("http://e.org/1.xml", "http://e.org/3.xml", "http://e.org/5.xml"))
    put(tmp_path, "5.xml", urlset("http://e.org/a.html"))
    path = put(tmp_path, "1.xml", index("http://e.org/2.xml"))
    assert found(path) == ["listed_twice", "sitemap_too_deep", "a.html"]


def test_a_file_that_is_named_again_is_one_document(tmp_path: Path) -> None:
    put(tmp_path, "a/index.html")
    locs = ("http://e.org/a/", "https://e.org/a", "http://e.org/a/index.html")
    path = put(tmp_path, "sitemap.xml", urlset(*locs))
    assert found(path) == ["a/index.html", "listed_twice", "listed_twice"]


def test_a_path_alone_stands_for_the_host_of_the_sitemap_only(tmp_path: Path) -> None:
    put(tmp_path, "a.html")
    put(tmp_path, "b.html")
    path = put(tmp_path, "sitemap.xml", urlset("http://e.org/a.html", "http://f.org/b.html"))
    assert found(path) == ["a.html", "not_in_folder"]


@pytest.mark.parametrize(
    "loc",
    [
        "http://e.org/../secret.html",
        "http://e.org/%2e%2e/secret.html",
        "http://e.org/..%2fsecret.html",
        "http://../secret.html",
        "../secret.html",
        "%2e%2e/secret.html",
        "file://{outside}/secret.html",
        "{outside}/secret.html",
        "file://host.example{inside}/own.html",
        "http://e.org/link.html",
        "http://e.org/linked/secret.html",
        "ftp://e.org/own.html",
        "http://[/own.html",
        "http://e.org:x/own.html",
        "http://e.org/own.html&#10;",
    ],
)
def test_nothing_outside_the_folder_is_named(loc: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    put(tmp_path, "secret.html")
    put(site, "own.html")
    (site / "link.html").symlink_to(tmp_path / "secret.html")
    (site / "linked").symlink_to(tmp_path)
    loc = loc.format(outside=tmp_path, inside=site)
    path = put(site, "sitemap.xml", urlset(loc))
    allowed = ["own.html"] if loc.endswith("&#10;") else ["not_in_folder"]
    assert found(path) == allowed


def test_an_entity_is_neither_expanded_nor_read_from_a_file(tmp_path: Path) -> None:
    put(tmp_path, "secret", "http://e.org/own.html")
    put(tmp_path, "own.html")
    text = (
        '<!DOCTYPE urlset [<!ENTITY own "http://e.org/own.html">'
        f'<!ENTITY file SYSTEM "file://{tmp_path}/secret">]>'
        f"<urlset {SPACE}><url><loc>&own;</loc></url><url><loc>&file;</loc></url></urlset>"
    )
    assert read_sitemap(put(tmp_path, "sitemap.xml", text)) == []


def test_entities_that_multiply_cost_nothing(tmp_path: Path) -> None:
    bomb = "".join(f'<!ENTITY b{i} "{f"&b{i - 1};" * 10}">' for i in range(1, 12))
    text = f'<!DOCTYPE x [<!ENTITY b0 "x">{bomb}]><urlset><url><loc>&b11;</loc></url></urlset>'
    path = put(tmp_path, "sitemap.xml", text)
    with contextlib.suppress(Refused):  # newer parsers refuse it altogether
        assert read_sitemap(path) == []


def test_addresses_of_images_are_not_addresses_of_pages(tmp_path: Path) -> None:
    text = (
        f'<urlset {SPACE} xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">'
        "<url><image:image><image:loc>http://e.org/i.png</image:loc></image:image>"
        "<!-- first --><loc> http://e.org/a.html\n</loc></url></urlset>"
    )
    put(tmp_path, "a.html")
    put(tmp_path, "i.png")
    assert found(put(tmp_path, "sitemap.xml", text)) == ["a.html"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html><body></body></html>", "not_a_sitemap"),
        (b"<urlset><url><loc>http://e.org/", "damaged_file"),
        (gzip.compress(b"<urlset></urlset>", mtime=0)[:-9], "damaged_file"),
        (gzip.compress(b" " * (sitemap.MAX_BYTES + 1), mtime=0), "too_large"),
        (b"http://e.org/\n" * 50_001, "too_many_addresses"),
        (f"<urlset>{'<url><loc>a</loc></url>' * 50_001}</urlset>".encode(), "too_many_addresses"),
        (b"http://e.org/\xff\n", "invalid_utf8"),
    ],
)
def test_what_is_damaged_or_exceeds_the_standard_is_refused(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as raised:
        read_sitemap(put(tmp_path, "sitemap.xml", content))
    assert raised.value.reason == reason


def test_other_files_are_no_sitemaps(tmp_path: Path) -> None:
    others = {
        "page.html": "<html>",
        "sitemap.txt": "This is a text about maps.",
        "links.txt": "http://e.org/\n",
        "feed.xml": "<rss/>",
        "empty.xml": "",
    }
    for name, content in others.items():
        assert not is_sitemap(put(tmp_path, name, content)), name
    assert not is_sitemap(str(tmp_path / "none.xml"))
    assert is_sitemap(put(tmp_path, "odd.name", f"<!-- x --><sitemapindex {SPACE}/>"))
    assert is_sitemap(put(tmp_path, "ns.xml", f"<s:urlset {SPACE.replace('xmlns', 'xmlns:s')}/>"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text("<urlset/>oc ht:.%2e&;\0", max_size=80)))
def test_no_content_makes_reading_fail(tmp_path: Path, content: bytes | str) -> None:
    raw = content.encode() if isinstance(content, str) else content
    for data in (raw, b"<urlset><url><loc>" + raw + b"</loc></url></urlset>"):
        path = put(tmp_path, "sitemap.xml", data)
        is_sitemap(path)
        try:
            entries = read_sitemap(path)
        except Refused:
            continue
        assert all(entry.file is None for entry in entries)
