"""How good and how fast are the extractors, beside plain trafilatura and resiliparse?

    python benchmarks/extraction.py [FOLDER] [--runs 3]

FOLDER holds `ground-truth.json` (key -> {"articleBody": text, "url": url}) and `html/KEY.html.gz`,
as in scrapinghub's article-extraction-benchmark, whose metric this is: bags of four-word shingles,
each page's true and false positives and false negatives divided by their sum, precision and recall
averaged over pages. Prints one JSON object per extractor and a last one with ratios of speed.
CPU time is that of decoding, parsing and extraction, without metadata. Runs of all extractors take
turns, and the median counts.
"""

import argparse
import gzip
import json
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

Counts = tuple[float, float, float]
"""True positives, false positives, false negatives."""

_TOKEN = re.compile(r"\w+")
_WORDS = 4
DEFAULT_FOLDER = Path(__file__).resolve().parents[1] / "../shared/data/web/articles"


@dataclass(frozen=True)
class LabelledPage:
    """A page and its article as people marked it."""

    key: str
    html: bytes
    body: str
    url: str


def labelled_pages(folder: Path) -> list[LabelledPage]:
    """The pages of a folder, in the order of their keys."""
    truth = json.loads((folder / "ground-truth.json").read_text())
    return [
        LabelledPage(
            key=key,
            html=gzip.decompress((folder / "html" / f"{key}.html.gz").read_bytes()),
            body=truth[key].get("articleBody", ""),
            url=truth[key].get("url", ""),
        )
        for key in sorted(truth)
    ]


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """Every four words in a row, with how often they occur; a shorter text is one shingle."""
    words = _TOKEN.findall(text)
    starts = range(max(1, len(words) - _WORDS + 1))
    return Counter(s for k in starts if (s := tuple(words[k : k + _WORDS])))


def compare(true: str, found: str) -> Counts:
    """True and false positives and false negatives among the shingles, as shares of their sum."""
    expected, extracted = shingles(true), shingles(found)
    both = (expected & extracted).total()
    counts = (both, extracted.total() - both, expected.total() - both)
    total = sum(counts) or 1
    return counts[0] / total, counts[1] / total, counts[2] / total


def figures(pages: Iterable[Counts]) -> dict[str, float]:
    """Means of precision and recall over the pages where they are defined, and F1 of these."""
    pages = list(pages)
    precision = statistics.mean(tp / (tp + fp) for tp, fp, _ in pages if tp + fp > 0)
    recall = statistics.mean(tp / (tp + fn) for tp, _, fn in pages if tp + fn > 0)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def contestants() -> dict[str, Callable[[LabelledPage], str]]:
    """Ours by their names, the libraries as their users call them."""
    import trafilatura
    from resiliparse.extract.html2text import extract_plain_text

    from corpusmill.stages.sources.extractors import EXTRACTORS, make_extractor
    from corpusmill.stages.sources.html import load_libraries, parse_html

    load_libraries(EXTRACTORS)

    def ours(extractor: str) -> Callable[[LabelledPage], str]:
        take = make_extractor(extractor)

        def text(page: LabelledPage) -> str:
            parsed = parse_html(page.html, None)
            return take(parsed).strip() if parsed else ""

        return text

    def plain_trafilatura(page: LabelledPage) -> str:
        text = trafilatura.extract(
            page.html.decode("utf-8", "replace"), favor_precision=True, include_comments=False
        )
        return text or ""

    def plain_resiliparse(page: LabelledPage) -> str:
        source = page.html.decode("utf-8", "replace")
        return str(extract_plain_text(source, main_content=True, alt_texts=False))

    return {
        **{name: ours(name) for name in EXTRACTORS},
        "plain trafilatura": plain_trafilatura,
        "plain resiliparse": plain_resiliparse,
    }


def main() -> int:
    """Run everything, print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER)
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    given = arguments.parse_args()
    if not (given.folder / "ground-truth.json").is_file():
        print(f"{given.folder}: no labelled pages there (ground-truth.json)", file=sys.stderr)
        return 2
    pages = labelled_pages(given.folder)
    megabytes = sum(len(page.html) for page in pages) / 1e6
    extractors = contestants()
    seconds: dict[str, list[float]] = {name: [] for name in extractors}
    scores: dict[str, dict[str, float]] = {}
    for run in range(given.runs + 1):  # the first, not timed, loads models and fills caches
        for name, extract in extractors.items():
            start = time.process_time()
            texts = [extract(page) for page in pages]
            if run:
                seconds[name].append(time.process_time() - start)
            else:
                matches = zip(pages, texts, strict=True)
                scores[name] = figures(compare(page.body, text) for page, text in matches)
    rates = {name: megabytes / statistics.median(values) for name, values in seconds.items()}
    for name, score in scores.items():
        rounded = {key: round(value, 4) for key, value in score.items()}
        speed = {"mb_per_cpu_second": float(f"{rates[name]:.3g}"), "pages": len(pages)}
        print(json.dumps({"figure": "extraction", "extractor": name, **rounded, **speed}))
    slowest = rates["plain trafilatura"]
    times = {name: round(rate / slowest, 2) for name, rate in rates.items()}
    print(json.dumps({"figure": "extraction", "times_plain_trafilatura": times}))
    return 0


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as in a worker
        os.environ.setdefault(variable, "1")
    sys.exit(main())
