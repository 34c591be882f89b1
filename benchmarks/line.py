"""From web archives to tokens beside datatrove: MB of HTML per CPU-second, all processes counted.

    make bench-peers && python benchmarks/line.py [--runs 3] [--mb 6] [--only archives]

Both do the same on the same files, one worker each: read the archives, extract text, keep English
(fastText's lid.176), the rules of Gopher, C4 and FineWeb, MinHash with FineWeb's bands, personal
data, tokens of the same vocabulary. Ours is the command `corpusmill run`, with all that a run does:
barriers, ledger, report. datatrove's blocks are chained in memory (benchmarks/peers).

CPU-seconds are those that the kernel counts for a command and all its children. Start-up is the
same command on an archive of three pages; what the archive's pages cost is the difference, for both
alike. Runs are interleaved, figures are medians. Prints one JSON object per figure.
"""

import argparse
import gzip
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import SHARED, paragraphs_of_prose, write_web
from benchmarks.process_tree import cost_of

from corpusmill.filters.language_id import model_path
from corpusmill.tokenize.vocabulary import train_bpe

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".venv-peers" / "bin" / "python"
SAMPLES = ROOT / "samples" / "web"

QUIET = {"TOKENIZERS_PARALLELISM": "false"}
"""Of <linux/prctl.h>."""

TRAINED_BYTES = 2_000_000
VOCABULARY = 16384
START_UP_MB = 0.02
STEPS = ("ingest", "language", "heuristics", "deduplicate", "anonymize", "tokenize")
"""As corpusmill calls them; datatrove's reading and extraction stand under `ingest`."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one command did."""

    cpu_seconds: float
    steps: Mapping[str, float]
    """CPU-seconds, of those that the tool itself tells apart."""
    documents: list[int]
    """After each step."""
    kept: frozenset[str]
    """Addresses of the documents that were encoded."""
    tokens: int


@dataclass(kw_only=True)
class Runs:
    """The runs of one tool, on an input and on next to nothing."""

    full: list[Answer] = field(default_factory=list)
    start_up: list[Answer] = field(default_factory=list)

    def seconds(self, step: str | None = None) -> tuple[float, float]:
        """Medians of the whole command and of its start-up; of one step, if one is named."""

        def median(answers: list[Answer]) -> float:
            values = [a.steps.get(step, 0.0) if step else a.cpu_seconds for a in answers]
            return statistics.median(values)

        return median(self.full), median(self.start_up)

    def work(self, step: str | None = None) -> float:
        """CPU-seconds that the input's pages cost."""
        whole, start_up = self.seconds(step)
        return whole - start_up


def real_pages(folder: Path) -> dict[str, Path]:
    """Folders of archives: those of ../shared/data and its articles, else the samples."""
    found = {"archives": folder / "archives"}
    found["archives"].mkdir(parents=True)
    shared = SHARED / "web" / "warc"
    for file in sorted((shared if shared.is_dir() else SAMPLES).glob("*.warc.gz")):
        shutil.copyfile(file, found["archives"] / file.name)
    articles = sorted(SHARED.glob("web/articles/html/*.html.gz"))
    if articles:
        found["articles"] = folder / "articles"
        found["articles"].mkdir()
        _pack(found["articles"] / "articles.warc.gz", articles)
    return found


def made_pages(folder: Path, megabytes: float) -> Path:
    """A folder with an archive of pages that are made of this machine's text."""
    folder.mkdir()
    write_web(folder / "pages.warc.gz", paragraphs_of_prose(), megabytes * 1e6)
    return folder


def _pack(path: Path, pages: list[Path]) -> None:
    """Whole pages as records of an archive."""
    from io import BytesIO

    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for number, page in enumerate(pages):
            head = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            writer.write_record(
                writer.create_warc_record(
                    f"https://article{number}.example/",
                    "response",
                    payload=BytesIO(gzip.decompress(page.read_bytes())),
                    http_headers=head,
                    warc_headers_dict={"WARC-Date": "2026-01-01T00:00:00Z"},
                )
            )


def html_bytes(folder: Path) -> tuple[int, int]:
    """Bytes of HTML in the archives, and those of them in answers that report an error."""
    from fastwarc import ArchiveIterator, WarcRecordType

    size = errors = 0
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                head = record.http_headers
                if head is None or "html" not in (head.get("Content-Type") or ""):
                    continue
                content = len(record.reader.read())
                size += content
                errors += content if (head.status_code or 0) >= 400 else 0
    return size, errors


def recipe_for(archives: Path, tokenizer: Path, alike: bool) -> dict[str, Any]:
    """The line; `alike` has extractor and traps of the rules as datatrove has them, too."""
    source = {"name": "crawl", "kind": "web", "path": str(archives)}
    source |= {"extractor": "trafilatura"} if alike else {}
    return {
        "name": "line",
        "sources": [source],
        "stages": [
            {"language": {"keep": ["en"], "min_score": 0.65, "models": ["fasttext"]}},
            {"heuristics": {"preset": "fineweb", "compat": alike}},
            {"deduplicate": {"preset": "fineweb"}},
            {"anonymize": {"method": "mask"}},
            {"tokenize": {"tokenizer": str(tokenizer), "split": {"train": 1.0}}},
        ],
    }


def ours(archives: Path, tokenizer: Path, alike: bool = False) -> Answer:
    """`corpusmill run` with one worker."""
    import pyarrow.dataset as ds

    with tempfile.TemporaryDirectory(prefix="corpusmill-line-") as name:
        recipe, out = Path(name, "recipe.yaml"), Path(name, "run")
        recipe.write_text(yaml.safe_dump(recipe_for(archives, tokenizer, alike)))
        command = [sys.executable, "-m", "corpusmill", "run", str(recipe), "--out", str(out)]
        cost = cost_of([*command, "--workers", "1", "--json"], QUIET)
        record = json.loads((out / "run.json").read_text("utf-8"))
        uris = ds.dataset(out / "documents").to_table(columns=["uri"]).column("uri").to_pylist()
        manifest = json.loads((out / "shards" / "manifest.json").read_text("utf-8"))
    stages = record["stages"]
    return Answer(
        cpu_seconds=cost.cpu_seconds,
        steps={stage["name"].split("-", 1)[1]: stage["cpu_seconds"] for stage in stages},
        documents=[stage["counts"]["kept"] for stage in stages],
        kept=frozenset(uris),
        tokens=sum(shard["tokens"] for shard in manifest["shards"]),
    )


def theirs(archives: Path, tokenizer: Path) -> Answer:
    """datatrove's blocks, in their own environment."""
    script = ROOT / "benchmarks" / "peers" / "peer_datatrove_line.py"
    with tempfile.TemporaryDirectory(prefix="corpusmill-line-") as name:
        model = model_path("fasttext")
        arguments = map(str, (PEER, script, archives, model, tokenizer, name))
        cost = cost_of(list(arguments), {**QUIET, "HF_ASSETS_CACHE": f"{name}/assets"})
    found = json.loads(cost.printed)
    return Answer(
        cpu_seconds=cost.cpu_seconds,
        steps={step: figures["cpu_seconds"] for step, figures in found["steps"].items()},
        documents=[found["steps"][step]["documents"] for step in STEPS],
        kept=frozenset(found["kept"]),
        tokens=found["tokens"],
    )


def compared(
    name: str, archives: Path, start_up: Path, tokenizer: Path, runs: int
) -> Iterator[dict[str, Any]]:
    """The figures of one input."""
    size, errors = html_bytes(archives)
    yield {
        "figure": "line_input",
        "input": name,
        "archives": sorted(path.name for path in archives.iterdir()),
        "html_mb": round(size / 1e6, 3),
        "of_it_http_errors_mb": round(errors / 1e6, 3),
    }
    tools = {"corpusmill": Runs(), "datatrove": Runs()}
    if not PEER.is_file():
        print("without datatrove: make bench-peers", file=sys.stderr)
        del tools["datatrove"]
    for number in range(runs + 1):
        for tool, done in tools.items():
            command = ours if tool == "corpusmill" else theirs
            if not number:  # compiles what is kept between runs: kernels, byte code
                command(start_up, tokenizer)
                continue
            done.full.append(command(archives, tokenizer))
            done.start_up.append(command(start_up, tokenizer))
    for tool, done in tools.items():
        whole, first = done.seconds()
        yield {
            "figure": "line",
            "input": name,
            "tool": tool,
            "cpu_seconds": round(done.work(), 2),
            "start_up_cpu_seconds": round(first, 2),
            "mb_per_cpu_second": float(f"{size / 1e6 / done.work():.3g}"),
            "mb_per_cpu_second_with_start_up": float(f"{size / 1e6 / whole:.3g}"),
            "documents_after_each_step": done.full[-1].documents,
            "tokens": done.full[-1].tokens,
        }
    for step in STEPS:
        seconds = {tool: round(done.work(step), 2) for tool, done in tools.items()}
        yield {"figure": "line_step", "input": name, "step": step, "cpu_seconds": seconds}
    if "datatrove" in tools:
        yield from _ratio_and_agreement(name, archives, tokenizer, tools)


def _ratio_and_agreement(
    name: str, archives: Path, tokenizer: Path, tools: Mapping[str, Runs]
) -> Iterator[dict[str, Any]]:
    own, peer = tools["corpusmill"], tools["datatrove"]
    yield {
        "figure": "line_ratio",
        "input": name,
        "runs": len(own.full),
        "times_datatrove": round(peer.work() / own.work(), 2),
        "with_start_up": round(peer.seconds()[0] / own.seconds()[0], 2),
    }
    known = peer.full[-1].kept
    alike = ours(archives, tokenizer, alike=True)
    for extractor, kept in (("blocks", own.full[-1].kept), ("trafilatura", alike.kept)):
        yield {
            "figure": "line_agreement",
            "input": name,
            "extractor_of_corpusmill": extractor,
            "kept_by_both": len(kept & known),
            "only_by_corpusmill": len(kept - known),
            "only_by_datatrove": len(known - kept),
        }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description="From web archives to tokens, with datatrove.")
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    arguments.add_argument("--mb", type=float, default=6, help="of the pages that are made")
    arguments.add_argument(
        "--only", choices=("archives", "articles", "pages"), help="one of the inputs"
    )
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpusmill-line-") as name:
        folder = Path(name)
        start_up = made_pages(folder / "start-up", START_UP_MB)
        tokenizer = trained_tokenizer(folder / "tokenizer.json")
        archives = real_pages(folder) | {"pages": made_pages(folder / "pages", given.mb)}
        for which, path in archives.items():
            if given.only in (None, which):
                for figure in compared(which, path, start_up, tokenizer, given.runs):
                    print(json.dumps(figure), flush=True)


def trained_tokenizer(path: Path) -> Path:
    """A vocabulary of this machine's prose, as tokenizer.json."""
    taken: list[str] = []
    held = 0
    for paragraph in paragraphs_of_prose():
        taken.append(paragraph)
        held += len(paragraph)
        if held > TRAINED_BYTES:
            break
    path.write_bytes(train_bpe(taken, VOCABULARY))
    return path


if __name__ == "__main__":
    main()
