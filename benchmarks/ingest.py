"""How fast are web archives read and turned into text? MB per CPU-second, beside other readers.

    python benchmarks/ingest.py [--mb 60] [--runs 5] [--extract-mb 3]
    python benchmarks/ingest.py --workers [--mb 200]
    python benchmarks/ingest.py --memory [--mb 2000]

Prints one JSON object per figure; see benchmarks/README.md.
"""

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpusmill.stages.sources import html
from corpusmill.stages.sources.extractors import EXTRACTORS
from corpusmill.stages.sources.records import RawDocument, Skipped
from corpusmill.stages.sources.web_archive import read_web_archive

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data" / "web" / "warc"
SHARED_FILES = ("blackbook.warc.gz", "commoncrawl-0000.warc.gz")
SAMPLE = ROOT / "samples" / "web" / "crawl.warc.gz"

Reader = Callable[[Path], int]
"""Reads a file, and says how many bytes of content it gave."""


def make_archive(folder: Path, megabytes: float) -> Path:
    """Real archives, repeated into one of about so many megabytes, packed record by record."""
    files = [SHARED / name for name in SHARED_FILES if (SHARED / name).is_file()] or [SAMPLE]
    content = b"".join(file.read_bytes() for file in files)
    path = folder / "crawl.warc.gz"
    with path.open("wb") as stream:
        for _ in range(max(1, round(megabytes * 1e6 / len(content)))):
            stream.write(content)
    return path


def fastwarc(path: Path) -> int:
    """All records, HTTP headers parsed, content read as it is."""
    from fastwarc import ArchiveIterator

    with path.open("rb") as stream:
        return sum(len(record.reader.read()) for record in ArchiveIterator(stream))


def warcio(path: Path) -> int:
    """All records, HTTP headers parsed, content read with its encodings undone."""
    from warcio.archiveiterator import ArchiveIterator

    with path.open("rb") as stream:
        return sum(len(record.content_stream().read()) for record in ArchiveIterator(stream))


def corpusmill(path: Path) -> int:
    """All records: documents with their encodings undone, and what is passed over."""
    with path.open("rb") as stream:
        found = read_web_archive(stream, path.name, arc=False)
        return sum(len(f.payload) for f in found if isinstance(f, RawDocument))


def extracting(extractor: str) -> Reader:
    """Reading, and the text of every page."""

    def read(path: Path) -> int:
        size = 0
        with path.open("rb") as stream:
            for found in read_web_archive(stream, path.name, arc=False):
                if isinstance(found, Skipped) or found.problem or found.media != "html":
                    continue
                size += _text_bytes(found, extractor)
        return size

    return read


def _text_bytes(document: RawDocument, extractor: str) -> int:
    from corpusmill.stages.sources.limits import Dropped, Refused

    crawled = document.metadata.get("crawl_date", "")
    try:
        text = html.read_html(
            document.payload, document.charset, document.uri, crawled, extractor=extractor
        )[0]
    except (Refused, Dropped):
        return 0
    return len(text.encode())


def measured(readers: dict[str, Reader], path: Path, runs: int) -> dict[str, float]:
    """Median CPU-seconds of each reader; runs are interleaved, so that what else the machine does
    falls on all of them. A first one that loads libraries is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(runs + 1):
        for name, reader in readers.items():
            started = time.process_time()
            reader(path)
            if number:
                seconds[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def unpacked_bytes(path: Path) -> int:
    """Bytes of the archive unpacked."""
    size = 0
    with gzip.open(path) as stream:
        while block := stream.read(1 << 20):
            size += len(block)
    return size


def print_reading(name: str, path: Path, readers: dict[str, Reader], runs: int) -> dict[str, float]:
    """One line for each reader: MB per CPU-second of packed and unpacked input."""
    seconds = measured(readers, path, runs)
    packed, unpacked = path.stat().st_size / 1e6, unpacked_bytes(path) / 1e6
    for reader, spent in seconds.items():
        line = {
            "figure": name,
            "reader": reader,
            "cpu_seconds": round(spent, 3),
            "packed_mb_per_cpu_second": float(f"{packed / spent:.3g}"),
            "unpacked_mb_per_cpu_second": float(f"{unpacked / spent:.3g}"),
        }
        print(json.dumps(line), flush=True)
    return seconds


def reading(megabytes: float, extract_mb: float, runs: int) -> None:
    """Reading alone beside fastwarc and warcio, then with each extractor."""
    with tempfile.TemporaryDirectory(prefix="corpusmill-ingest-") as name:
        readers: dict[str, Reader] = {
            "fastwarc": fastwarc,
            "warcio": warcio,
            "corpusmill": corpusmill,
        }
        path = make_archive(Path(name), megabytes)
        seconds = print_reading("reading", path, readers, runs)
        ratios = {
            "cpu_of_fastwarc": round(seconds["corpusmill"] / seconds["fastwarc"], 3),
            "times_as_fast_as_warcio": round(seconds["warcio"] / seconds["corpusmill"], 3),
        }
        print(json.dumps({"figure": "reading", "runs": runs, **ratios}), flush=True)
        path = make_archive(Path(name), extract_mb)
        html.load_libraries(EXTRACTORS)
        extractors = {extractor: extracting(extractor) for extractor in EXTRACTORS}
        print_reading("extraction", path, extractors, runs)


def ingest_run(path: Path, out: Path, workers: int) -> dict[str, Any]:
    """One run of the whole ingest: CPU-seconds, wall seconds, and how busy each worker was.

    A worker is a child of the run's process; the child in which it extracts counts with it. How
    busy is its CPU time over the time from its start to the end of the last sample.
    """
    import psutil

    command = [sys.executable, "-m", "corpusmill", "run", str(path), "--until", "ingest"]
    command += ["--out", str(out), "--workers", str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    run = psutil.Process(process.pid)
    spent: dict[int, dict[int, float]] = {}
    lives: dict[int, tuple[float, float]] = {}
    while process.poll() is None:
        for worker in run.children():
            _sample(worker, spent.setdefault(worker.pid, {}), lives)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"the run failed with exit code {process.returncode}")
    stage = json.loads((out / "run.json").read_text("utf-8"))["stages"][0]
    busy = {pid: sum(parts.values()) for pid, parts in spent.items() if pid in lives}
    # Helpers of the interpreter (resource tracker, fork server) do next to nothing.
    most = sorted(busy, key=lambda pid: busy[pid], reverse=True)[:workers]
    return {
        "workers": workers,
        "cpu_seconds": stage["cpu_seconds"],
        "wall_seconds": stage["wall_seconds"],
        "busy": [round(busy[pid] / (lives[pid][1] - lives[pid][0]), 3) for pid in most],
    }


def _sample(worker: Any, spent: dict[int, float], lives: dict[int, tuple[float, float]]) -> None:
    import psutil

    try:
        for process in [worker, *worker.children(recursive=True)]:
            times = process.cpu_times()
            spent[process.pid] = times.user + times.system
        lives[worker.pid] = (worker.create_time(), time.time())
    except psutil.NoSuchProcess:
        pass


def with_workers(megabytes: float, runs: int) -> None:
    """The whole ingest of one file with one worker and with two."""
    with tempfile.TemporaryDirectory(prefix="corpusmill-ingest-") as name:
        folder = Path(name)
        path = make_archive(folder, megabytes)
        cpu: dict[int, list[float]] = {1: [], 2: []}
        for number in range(runs):
            for workers in cpu:
                line = ingest_run(path, folder / f"run-{number}-{workers}", workers)
                cpu[workers].append(line["cpu_seconds"])
                print(json.dumps({"figure": "workers", **line}), flush=True)
        ratio = statistics.median(cpu[2]) / statistics.median(cpu[1])
        line = {"figure": "workers", "runs": runs, "cpu_of_two_to_one": round(ratio, 3)}
        print(json.dumps(line))


def make_plain_archive(folder: Path, megabytes: float) -> Path:
    """Real archives unpacked, with one page of a twentieth of the whole in the middle."""
    content = gzip.decompress(make_archive(folder, 5).read_bytes())
    path = folder / "crawl.warc"
    times = max(1, round(megabytes * 1e6 * 0.95 / len(content)))
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>"
    body += b"A page of this size is nothing that anybody reads. " * int(megabytes * 1e6 / 20 / 51)
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.org/large\r\n"
    head += b"Content-Type: application/http; msgtype=response\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n".encode()
    with path.open("wb") as stream:
        for number in range(times):
            stream.write(content)
            if number == times // 2:
                stream.write(head + body + b"\r\n\r\n")
    return path


def memory(megabytes: float) -> None:
    """Peak memory of a whole ingest with two workers: of all its processes together, pages that
    several of them share counted once (PSS)."""
    with tempfile.TemporaryDirectory(prefix="corpusmill-ingest-") as name:
        folder = Path(name)
        path = make_plain_archive(folder, megabytes)
        command = [sys.executable, "-m", "corpusmill", "run", str(path), "--until", "ingest"]
        command += ["--out", str(folder / "run"), "--workers", "2"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        peak = largest = 0
        while process.poll() is None:
            sizes = _proportional_set_sizes(process.pid)
            peak, largest = max(peak, sum(sizes)), max(largest, *sizes, 0)
            time.sleep(0.1)
        if process.returncode:
            raise SystemExit(f"the run failed with exit code {process.returncode}")
        stage = json.loads((folder / "run" / "run.json").read_text("utf-8"))["stages"][0]
        line = {
            "figure": "memory",
            "archive_mb": round(path.stat().st_size / 1e6),
            "workers": 2,
            "peak_mb": round(peak / 1e6),
            "largest_process_mb": round(largest / 1e6),
            "documents": stage["counts"]["kept"],
            "quarantined": stage["counts"]["quarantined"],
            "wall_seconds": stage["wall_seconds"],
        }
        print(json.dumps(line))


def _proportional_set_sizes(root: int) -> list[int]:
    """Bytes of a process and of each below it."""
    import psutil

    sizes = []
    try:
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text("ascii")
            line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
            sizes.append(int(line.split()[1]) << 10)
    except (psutil.NoSuchProcess, OSError, StopIteration):
        pass  # it ended between two looks
    return sizes


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description="MB of web archives per CPU-second.")
    arguments.add_argument("--mb", type=float, help="60; with --workers 200, with --memory 2000")
    arguments.add_argument("--runs", type=int, default=5, help="medians over so many runs")
    arguments.add_argument("--extract-mb", type=float, default=3, help="for the extractors")
    arguments.add_argument("--workers", action="store_true", help="whole runs with 1 and 2 workers")
    arguments.add_argument("--memory", action="store_true", help="peak memory of a whole run")
    given = arguments.parse_args()
    if given.memory:
        memory(given.mb or 2000)
    elif given.workers:
        with_workers(given.mb or 200, given.runs)
    else:
        reading(given.mb or 60, given.extract_mb, given.runs)


if __name__ == "__main__":
    main()
