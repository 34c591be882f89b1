"""How fast is each stage, and what does it send and write? The measures that `plan --cores` uses.

    python benchmarks/throughput.py [--mb 20] [--runs 3] [--write]

Each kind of document goes through its stages with one worker. Narrow stages, the search for
duplicates, encoding, and writing and reading a barrier are then measured by themselves on all text
of the run, in this process, with their models loaded. What ingest and global stages cost is a
difference: a run over next to nothing is start-up (imports, training on a fixed reference), which a
large run pays once for each worker. Prints for every stage MB and documents that enter it, CPU-
seconds for a MB, MB per core-hour, bytes through the exchange for each document, memory of a
worker; at the end the three stages with the lowest rates. `--write` puts the measures into the
package (src/corpusmill/pipelines/data/throughput.json).

Documents are made of this machine's text (benchmarks/corpus.py). Where ../shared/data is, its real
pages say what extraction costs, and how much text and how many documents each stage leaves.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import yaml

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import SHARED, Corpus, make_corpus, paragraphs_of_prose, take, write_code
from benchmarks.line import real_pages, trained_tokenizer

from corpusmill import storage
from corpusmill.document import INGEST_SCORE
from corpusmill.filters.banding import PRESETS
from corpusmill.filters.clusters import keep_mask
from corpusmill.filters.shingles import Shingling
from corpusmill.pipelines.ledger import RunRecord
from corpusmill.pipelines.recipe import Recipe, load_recipe
from corpusmill.pipelines.run import Silent, run
from corpusmill.pipelines.sizing import INGEST, REST, Measure, costly_settings
from corpusmill.pipelines.verbs import MEASURE_BATCH_ROWS, EngineVerbs
from corpusmill.stage import NarrowStage, Rows, Stage
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.tokenize import Tokenize, _Encode

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "corpusmill" / "pipelines" / "data" / "throughput.json"
START_UP_MB = 0.1
BOOK_BYTES = 200_000
SHORT_DOCUMENTS = 1_000, 31_000
"""For what the driver does: by documents, not by bytes."""
RULES = {"web": "fineweb", "book": "books", "code": "code"}
SIMILAR = 0.75
SAMPLED_SECONDS = 0.1
"""Between two looks at the memory of the workers."""


def recipe_for(kind: str, path: Path, corpus: Corpus, tokenizer: Path) -> dict[str, Any]:
    """The stages that are meant for a kind."""
    stages: list[dict[str, Any]] = [
        {"language": {}},
        {"heuristics": {"preset": RULES[kind]}},
        {"deduplicate": {"preset": "fineweb"}},
        {"quality": {"reference": str(corpus.reference)}},
        {"decontaminate": {"benchmarks": [str(corpus.benchmark)]}},
        {"toxicity": {}},
        {"anonymize": {"method": "mask"}},
        {"mix": {"weights": {"source": 1.0}}},
        {"tokenize": {"tokenizer": str(tokenizer)}},
    ]
    if kind == "code":
        unused = ("quality", "toxicity")
        stages = [stage for stage in stages if not stage.keys() & set(unused)]
    if find_spec("fasttext") is None:
        print("without language: fasttext is not installed", file=sys.stderr)
        del stages[0]
    return {
        "name": "throughput",
        "sources": [{"name": "source", "kind": kind, "path": str(path)}],
        "stages": stages,
    }


@dataclass(kw_only=True)
class Watch(Silent):
    """Looks at a run: the memory of its workers, and the rows that travel."""

    worker_bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    shuffle_bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sampling_seconds: float = 0.0
    """CPU-seconds that looking at memory has cost, in this process."""
    _stage: str = ""

    def begin(self, stage: str, total: int) -> None:
        """A stage, or several in one pass, starts."""
        self._stage = stage

    def of(self, figures: Mapping[str, int], stage: str) -> int:
        """The figure of a stage, also where it ran in one pass with others."""
        return max((figures[key] for key in figures if stage in key.split(" + ")), default=0)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Sample memory, and count what goes into exchanges."""
        exchange = EngineVerbs.exchange

        def counted(verbs: EngineVerbs, *datasets: Rows, **rest: Any) -> Rows:
            files = [path for dataset in datasets for path in dataset.paths]
            self.shuffle_bytes[self._stage] += sum(map(storage.file_size, files))
            return exchange(verbs, *datasets, **rest)

        ended = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(ended,))
        with mock.patch.object(EngineVerbs, "exchange", counted):
            sampler.start()
            try:
                yield
            finally:
                ended.set()
                sampler.join()

    def _sample(self, ended: threading.Event) -> None:
        while not ended.wait(SAMPLED_SECONDS):
            for worker in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    tree = [worker, *worker.children(recursive=True)]
                    size = sum(process.memory_info().rss for process in tree)
                    self.worker_bytes[self._stage] = max(self.worker_bytes[self._stage], size)
        self.sampling_seconds = time.thread_time()


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One run."""

    record: RunRecord
    watch: Watch
    driver_seconds: float
    """CPU-seconds of this process alone."""


def ran(recipe: Recipe, out: Path) -> Ran:
    """Run with one worker."""
    watch = Watch()
    started = time.process_time()
    with watch.watching():
        record = run(recipe, str(out), workers=1, progress=watch)
    driver = time.process_time() - started - watch.sampling_seconds
    return Ran(record=record, watch=watch, driver_seconds=driver)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Text and documents around the stages of a run: for each stage what enters; last what is left.

    Text is counted as ingest delivered it: stages that shorten documents change nothing.
    """

    text: list[int]
    documents: list[int]
    barrier_bytes: float
    """Of the largest barrier, for each byte of text in it."""

    @classmethod
    def of(cls, out: Path, record: RunRecord) -> "Volume":
        """Of a finished run."""
        names = [stage.name for stage in record.stages]
        table = ds.dataset(sorted(out.glob(f"stages/{names[0]}/part-*.parquet"))).to_table()
        text = [_text(table)]
        for name in names[1:]:
            ledger = ds.dataset(sorted(out.glob(f"ledger/{name}/part-*.parquet"))).to_table()
            gone = ledger.filter(pc.not_equal(ledger.column("action"), "changed"))
            text.append(text[-1] - _text(gone))
        return cls(
            text=text,
            documents=[stage.counts.out for stage in record.stages],
            barrier_bytes=sum(part.bytes for part in record.stages[0].parts) / text[0],
        )


def _text(table: Any) -> int:
    return int(pc.sum(pc.struct_field(table.column("scores"), INGEST_SCORE)).as_py() or 0)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all runs share."""

    folder: Path
    corpus: Corpus
    tokenizer: Path
    runs: int

    def runs_of(self, kind: str, path: Path, name: str) -> list[Ran]:
        """Runs of a kind's stages over the documents at a path; the last one's folder stays."""
        file = self.folder / f"{name}.yaml"
        content = recipe_for(kind, path, self.corpus, self.tokenizer)
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        done = []
        for _ in range(self.runs):
            storage.remove(str(self.folder / name))
            done.append(ran(load_recipe(str(file)), self.folder / name))
        return done


def measured(kind: str, path: Path, start_up: list[Ran], setting: Setting) -> dict[str, Measure]:
    """The measures of a kind; prints them on the way."""
    name = f"{kind}-full"
    out = setting.folder / name
    work = {"full": setting.runs_of(kind, path, name), "start-up": start_up}
    loaded = load_recipe(str(setting.folder / f"{name}.yaml"))
    record = work["full"][0].record
    volume = Volume.of(out, record)
    packed = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    stages: list[Stage | None] = [None, *loaded.stages]
    found = {}
    for k, stage in enumerate(stages):
        name = stage.name if stage else INGEST
        entering = volume.text[k - 1] if k else packed
        documents = volume.documents[k - 1] if k else volume.documents[0]
        found[name] = _measure(name, k, stage, entering, documents, volume, work, out)
        _print(kind, name, entering, documents, found[name])
    found[REST] = Measure(
        core_seconds=_rounded(barrier_seconds(out)),
        bytes_out=1.0,
        documents_out=1.0,
        shuffle_bytes=0.0,
        ledger_bytes=0.0,
        written_bytes=_rounded(volume.barrier_bytes),
        worker_mb=0.0,
        settings={},
    )
    _print(kind, REST, volume.text[0], volume.documents[0], found[REST])
    return found


def _ingested(out: Path) -> pa.Table:
    paths = sorted(out.glob(f"stages/00-{INGEST}/part-*.parquet"))
    return pa.concat_tables(storage.read_parquet(str(path)) for path in paths).combine_chunks()


def seconds_alone(work: Callable[[pa.RecordBatch], object], rows: int, out: Path) -> float:
    """CPU-seconds for a MB of the text that ingest gave, in batches of so many rows."""
    table = _ingested(out)
    batches = table.to_batches(max_chunksize=rows)
    work(batches[0])
    started = time.process_time()
    for batch in batches:
        work(batch)
    return (time.process_time() - started) / _text(table) * 1e6


def seconds_of_duplicates(texts: pa.Array) -> float:
    """CPU-seconds for a MB from text to what is kept, all in one process: to move the rows from one
    task to another costs seconds at this size, which a run of any size pays once."""
    keep_mask(texts.slice(0, 2), Shingling(), PRESETS["fineweb"], SIMILAR)
    started = time.process_time()
    keep_mask(texts, Shingling(), PRESETS["fineweb"], SIMILAR)
    return (time.process_time() - started) / int(pc.sum(pc.binary_length(texts)).as_py()) * 1e6


def barrier_seconds(out: Path) -> float:
    """CPU-seconds for a MB of text that is written to a barrier, checked and read again."""
    table = _ingested(out)
    path = str(out / "barrier.parquet")
    started = time.process_time()
    storage.write_parquet(path, table)
    storage.checksum_file(path)
    storage.read_parquet(path)
    return (time.process_time() - started) / _text(table) * 1e6


def driver_seconds(folder: Path, tokenizer: Path, runs: int) -> float:
    """CPU-seconds of the driver for a million documents: many short ones beside few."""
    spent = []
    for documents in SHORT_DOCUMENTS:
        file = folder / f"short-{documents}.jsonl"
        with file.open("w", encoding="utf-8") as stream:
            for number in range(documents):
                words = " ".join(f"{number}-{k}" for k in range(20))
                stream.write(json.dumps({"text": words}) + "\n")
        recipe = folder / f"short-{documents}.yaml"
        stages: list[dict[str, Any]] = [
            {"deduplicate": {"preset": "fineweb"}},
            {"tokenize": {"tokenizer": str(tokenizer)}},
        ]
        sources = [{"name": "source", "kind": "web", "path": str(file)}]
        content = {"name": "short", "sources": sources, "stages": stages}
        recipe.write_text(yaml.safe_dump(content))
        out = folder / f"short-{documents}"
        seconds = []
        for _ in range(runs):
            seconds.append(ran(load_recipe(str(recipe)), out).driver_seconds)
            storage.remove(str(out))
        spent.append(statistics.median(seconds))
    few, many = SHORT_DOCUMENTS
    found = _rounded(max(0.0, spent[1] - spent[0]) / (many - few) * 1e6)
    print(json.dumps({"figure": "throughput_driver", "seconds_per_million_documents": found}))
    return found


def _measure(
    name: str,
    k: int,
    stage: Stage | None,
    entering: int,
    documents: int,
    volume: Volume,
    work: Mapping[str, list[Ran]],
    out: Path,
) -> Measure:
    record = work["full"][0].record.stages[k]

    ledger = sum(f.stat().st_size for f in out.glob(f"ledger/{record.name}/part-*.parquet"))
    shards = sum(f.stat().st_size for f in out.glob("shards/*.arrow")) if name == "tokenize" else 0
    watch = work["full"][0].watch
    if isinstance(stage, NarrowStage):
        seconds = seconds_alone(stage.open(), stage.batch_rows, out)
    elif isinstance(stage, Tokenize):
        encode = _Encode(tokenizer=stage.tokenizer, seed=1, split=tuple(stage.split.items()))
        seconds = seconds_alone(encode.open(), MEASURE_BATCH_ROWS, out)
    elif isinstance(stage, Deduplicate):
        texts = _ingested(out).column("text").combine_chunks()
        seconds = seconds_of_duplicates(texts)
    else:
        spent = [
            statistics.median(r.record.stages[k].cpu_seconds for r in work[what])
            for what in ("full", "start-up")
        ]
        seconds = max(0.0, spent[0] - spent[1]) / max(1, entering) * 1e6
    per_document = 1 / max(1, documents)
    return Measure(
        core_seconds=_rounded(seconds),
        bytes_out=_rounded(volume.text[k] / max(1, entering)),
        documents_out=_rounded(
            volume.documents[k] * (per_document if stage else 1e6 / max(1, entering))
        ),
        shuffle_bytes=_rounded(watch.of(watch.shuffle_bytes, record.name) * per_document),
        ledger_bytes=_rounded(ledger * per_document),
        written_bytes=_rounded(shards / max(1, entering)),
        worker_mb=round(watch.of(watch.worker_bytes, record.name) / 1e6),
        settings=costly_settings(stage) if stage else {},
    )


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _print(kind: str, name: str, entering: int, documents: int, measure: Measure) -> None:
    line = {
        "figure": "throughput",
        "kind": kind,
        "stage": name,
        "input_mb": round(entering / 1e6, 3),
        "documents": documents,
        "core_seconds_per_mb": measure.core_seconds,
        "shuffle_bytes_per_document": measure.shuffle_bytes,
        "worker_mb": measure.worker_mb,
    }
    if measure.core_seconds:
        line["mb_per_cpu_second"] = _rounded(1 / measure.core_seconds)
        line["mb_per_core_hour"] = _rounded(3600 / measure.core_seconds)
    print(json.dumps(line), flush=True)


def books(folder: Path, megabytes: float) -> Path:
    """Plain books of this machine's prose."""
    folder.mkdir()
    paragraphs = paragraphs_of_prose()
    for number in range(max(1, round(megabytes * 1e6 / BOOK_BYTES))):
        text = "\n\n".join(take(paragraphs, BOOK_BYTES))
        (folder / f"book-{number:03d}.txt").write_text(text, "utf-8")
    return folder


def as_in_a_crawl(made: Mapping[str, Measure], real: Mapping[str, Measure]) -> dict[str, Measure]:
    """What real pages are like, and leave at each stage; what text costs, of which there is more
    in the pages that are made."""
    merged = {
        name: replace(
            measure, bytes_out=real[name].bytes_out, documents_out=real[name].documents_out
        )
        for name, measure in made.items()
    }
    return merged | {INGEST: real[INGEST]}


def machine() -> str:
    """What the figures were made on."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{os.cpu_count()} cores"


def main() -> None:
    """Make the corpus, run, print, and write where that is wished."""
    arguments = argparse.ArgumentParser(description="What each stage costs, sends and writes.")
    arguments.add_argument("--mb", type=float, default=20, help="of text that is made")
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    arguments.add_argument("--write", action="store_true", help="put the measures in the package")
    given = arguments.parse_args()
    kinds = {}
    with tempfile.TemporaryDirectory(prefix="corpusmill-throughput-") as name:
        folder = Path(name)
        corpus = make_corpus(folder / "large", given.mb)
        small = make_corpus(folder / "small", START_UP_MB)
        tokenizer = trained_tokenizer(folder / "tokenizer.json")
        write_code(corpus.code, given.mb / 4 * 1e6)
        setting = Setting(folder=folder, corpus=corpus, tokenizer=tokenizer, runs=given.runs)
        paths = {
            "web": (corpus.web, small.web),
            "book": (books(folder / "books", given.mb / 4), small.books),
            "code": (corpus.code, small.code),
        }
        for kind, (path, tiny) in paths.items():
            # compiles kernels, and loads what the driver keeps
            replace(setting, runs=1).runs_of(kind, tiny, f"{kind}-first")
            start_up = setting.runs_of(kind, tiny, f"{kind}-start-up")
            kinds[kind] = measured(kind, path, start_up, setting)
            if kind == "web" and SHARED.is_dir():
                real_pages(folder / "pages")
                real = measured(kind, folder / "pages", start_up, setting)
                kinds[kind] = as_in_a_crawl(kinds[kind], real)
        driver = driver_seconds(folder, tokenizer, given.runs)
    rates = {
        f"{kind} {stage}": measure.core_seconds
        for kind, stages in kinds.items()
        for stage, measure in stages.items()
    }
    slowest = sorted(rates, key=lambda stage: -rates[stage])[:3]
    print(json.dumps({"figure": "throughput", "runs": given.runs, "slowest": slowest}))
    if given.write:
        measures = {
            kind: {stage: asdict(measure) for stage, measure in stages.items()}
            for kind, stages in kinds.items()
        }
        TARGET.parent.mkdir(exist_ok=True)
        content = {"machine": machine(), "driver_seconds": driver, "kinds": measures}
        TARGET.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
