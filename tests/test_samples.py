"""The samples are what their README says, and what their sources would build again."""

import gzip
import ipaddress
import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
import trafilatura
from fastwarc.warc import ArchiveIterator, WarcRecordType

BUILT = ("web/crawl.warc.gz", "books/die-uhr-von-lindental.epub", "books/the-salt-road.epub")
BELL = "https://gazette.example.org/2024/03/the-bell-that-came-back"
CLUSTERS = [
    {
        BELL,
        f"{BELL}?utm_source=newsletter&utm_medium=email",
        f"{BELL}-updated",
        "https://reprints.test/local/lost-bell-returns-to-harbour-town",
    },
    {
        "https://gazette.example.org/2024/02/night-ferry-to-stay",
        "https://reprints.test/local/islands-keep-their-night-ferry",
    },
    {
        "https://www.workbench.example/kitchen/a-loaf-that-waits",
        "https://www.workbench.example/kitchen/a-loaf-that-waits/print",
        "https://reprints.test/home/bread-for-busy-people",
    },
    {
        "https://www.workbench.example/workshop/brakes-that-squeal",
        "https://reprints.test/home/quiet-brakes",
    },
    {
        "https://www.gartenzeit.example/kompost/der-haufen-der-atmet",
        "https://www.gartenzeit.example/archiv/2024/der-haufen-der-atmet",
    },
    {
        "https://cuaderno.test/oficios/la-afinadora-de-organos",
        "https://cuaderno.test/oficios/la-afinadora-de-organos/version-movil",
    },
]
QUESTION_IS_ON = "https://www.workbench.example/school/word-problems-worth-solving"


class Response(NamedTuple):
    """What a server answered."""

    url: str
    status: int
    content_type: str
    payload: bytes


@pytest.fixture(scope="module")
def samples(repo_root: Path) -> Path:
    return repo_root / "samples"


@pytest.fixture(scope="module")
def responses(samples: Path) -> list[Response]:
    found = []
    with (samples / "web" / "crawl.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            url, http = record.headers["WARC-Target-URI"], record.http_headers
            assert http is not None
            assert http.status_code is not None
            content_type = http["Content-Type"]
            found.append(Response(url, http.status_code, content_type, record.reader.read()))
    return found


@pytest.fixture(scope="module")
def pages(responses: list[Response]) -> dict[str, bytes]:
    """URL to HTML of the pages that a crawl would keep."""
    return {
        response.url: response.payload
        for response in responses
        if response.status == 200 and response.content_type.startswith("text/html")
    }


@pytest.fixture(scope="module")
def articles(pages: dict[str, bytes]) -> dict[str, str]:
    """URL to main text, of the pages that have one."""
    texts = {url: trafilatura.extract(page) for url, page in pages.items()}
    return {url: text for url, text in texts.items() if text}


def build(samples: Path, folder: Path, **environment: str) -> dict[str, bytes]:
    subprocess.run(
        [sys.executable, samples / "build.py", folder], check=True, env=os.environ | environment
    )
    return {name: (folder / name).read_bytes() for name in BUILT}


def unpacked(path: Path) -> list[object]:
    """Everything in an archive that does not depend on the version of zlib."""
    if path.suffix == ".gz":
        return [gzip.decompress(path.read_bytes())]
    with zipfile.ZipFile(path) as archive:
        return [
            (member.filename, member.date_time, member.compress_type, archive.read(member))
            for member in archive.infolist()
        ]


def test_the_archive_and_the_books_are_what_their_sources_build(
    samples: Path, tmp_path: Path
) -> None:
    build(samples, tmp_path)
    for name in BUILT:
        assert unpacked(tmp_path / name) == unpacked(samples / name), (
            f"samples/{name} is stale: run python samples/build.py"
        )


def test_a_build_depends_on_no_clock_time_zone_or_hash_seed(samples: Path, tmp_path: Path) -> None:
    east = build(samples, tmp_path / "a", TZ="Pacific/Kiritimati", PYTHONHASHSEED="1")
    west = build(samples, tmp_path / "b", TZ="Pacific/Honolulu", PYTHONHASHSEED="2")
    assert east == west


def test_every_record_of_the_archive_has_the_digest_that_it_claims(samples: Path) -> None:
    with (samples / "web" / "crawl.warc.gz").open("rb") as stream:
        kinds: Counter[str] = Counter()
        for record in ArchiveIterator(stream, parse_http=False):
            kinds[record.headers["WARC-Type"]] += 1
            assert record.verify_block_digest(), record.record_id
    assert kinds == {"warcinfo": 1, "request": 64, "response": 64}


def test_the_crawl_has_pages_in_six_languages_and_things_that_are_no_pages(
    responses: list[Response], pages: dict[str, bytes]
) -> None:
    languages = Counter(
        found[1].decode() for page in pages.values() if (found := re.search(b'lang="(..)"', page))
    )
    assert languages == {"en": 26, "de": 7, "es": 6, "fr": 6, "pt": 3, "zh": 3}
    assert len(pages) == 61
    others = [(r.status, r.content_type) for r in responses if r.url not in pages]
    html = "text/html; charset=utf-8"
    assert sorted(others) == [(200, "image/png"), (301, html), (404, html)]


def test_articles_come_out_without_what_surrounds_them(articles: dict[str, str]) -> None:
    boilerplate = ["Privacy policy", "We use cookies", "Impressum", "Tout accepter", "隐私政策"]
    for url, text in articles.items():
        junk = url.startswith("https://deals.test/")
        assert junk or not [phrase for phrase in boilerplate if phrase in text], url


def test_near_duplicates_are_the_planned_clusters_and_nothing_else(
    articles: dict[str, str],
) -> None:
    shingles = {}
    for url, text in articles.items():
        words = text.lower().split()
        shingles[url] = {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
    for a, b in combinations((url for url in articles if len(shingles[url]) > 5), 2):
        jaccard = len(shingles[a] & shingles[b]) / len(shingles[a] | shingles[b])
        together = any({a, b} <= cluster for cluster in CLUSTERS)
        assert jaccard >= 0.8 if together else jaccard < 0.1, (a, b, jaccard)
    assert articles[BELL] == articles[f"{BELL}?utm_source=newsletter&utm_medium=email"]


def test_one_benchmark_question_is_on_one_page(samples: Path, articles: dict[str, str]) -> None:
    with (samples / "benchmark.jsonl").open(encoding="utf-8") as lines:
        questions = [json.loads(line)["question"] for line in lines]
    hits = [
        (n, url) for n, q in enumerate(questions) for url, text in articles.items() if q in text
    ]
    assert hits == [(0, QUESTION_IS_ON)]


def test_personal_data_are_fictitious_and_all_kinds_occur(articles: dict[str, str]) -> None:
    text = "\n".join(articles.values())
    mails = re.findall(r"\S+@\S+[a-z]", text)
    assert len(set(mails)) >= 6
    assert all(mail.endswith("@example.org") for mail in mails)
    # 555-0100 to 555-0199 are kept free for fiction.
    phones = re.findall(r"202\W{1,2}(555-\d{4})", text)
    assert len(set(phones)) >= 6
    assert all(re.fullmatch(r"555-01\d\d", phone) for phone in phones)
    addresses = {ipaddress.ip_address(a) for a in re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)}
    documentation = ipaddress.ip_network("192.0.2.0/24")
    assert {str(a) for a in addresses if a not in documentation} == {"8.8.8.8"}
    assert len(addresses) >= 4
    assert re.findall(r"\b(?:\d{4} ){3}\d{4}\b", text) == ["4111 1111 1111 1111"]
    assert re.findall(r"\b[A-Z]{2}\d{20}\b", text) == ["DE89370400440532013000"]


@pytest.mark.parametrize("name", [name for name in BUILT if name.endswith(".epub")])
def test_books_are_well_formed_epubs_with_chapters_in_order(samples: Path, name: str) -> None:
    with zipfile.ZipFile(samples / name) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert archive.read(first) == b"application/epub+zip"
        package = ElementTree.fromstring(archive.read("EPUB/package.opf"))
        opf = "{http://www.idpf.org/2007/opf}"
        files = {item.get("id"): item.get("href") for item in package.iter(f"{opf}item")}
        chapters = [files[ref.get("idref")] for ref in package.iter(f"{opf}itemref")]
        assert chapters == [f"chapter-{n}.xhtml" for n in range(1, len(chapters) + 1)]
        assert len(chapters) >= 4
        assert set(archive.namelist()) >= {f"EPUB/{href}" for href in files.values()}
        for chapter in chapters:
            text = "".join(ElementTree.fromstring(archive.read(f"EPUB/{chapter}")).itertext())
            assert len(text.split()) >= 300, chapter
