"""How large a cluster does a recipe need? Core-hours, time, disk and shuffle, by what was measured.

`data/throughput.json` holds what benchmarks/throughput.py has measured for each kind of document:
how fast each stage is, what it leaves of what comes in, what it sends through the engine's shuffle.
Here these are multiplied. Everything is taken to grow with the input, and to divide by the cores,
except what one process (the driver) does alone, which is a figure of its own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from corpusmill.errors import UsageError
from corpusmill.pipelines.oneshot import default_stages
from corpusmill.pipelines.plan import Step, find_inputs, make_steps
from corpusmill.pipelines.recipe import Recipe, check_recipe
from corpusmill.stage import SinkStage, Stage

INGEST = "ingest"
REST = "reading and writing"
"""Of barriers: what no stage is charged with. Counts once for each barrier."""

COSTLY_SETTINGS = {
    "language": ("models", "paragraphs"),
    "quality": ("scorers",),
    "anonymize": ("ner", "recognizers", "recognizer_files"),
}
"""Settings of each stage that change its cost many times over: a measure holds for one value."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40, "pi": 2**50}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([kmgtp]i?)?b?", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Bytes: `100TB`, `1.5 GiB`, `800G`, `123456`. Decimal units are powers of 1000.

    Raises UsageError, with the forms that are allowed.
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0.0
    if found:
        size = float(found[1]) * (_UNITS | _BINARY)[(found[2] or "").lower()]
    if size < 1:
        raise UsageError(
            f"{text!r} is not a size: write a number above 0 and a unit, as in 100TB, 1.5 GiB, "
            "800G or 123456 (kB MB GB TB PB are powers of 1000, KiB MiB GiB TiB PiB of 1024)"
        )
    return int(size)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What one stage was measured to do with documents of one kind."""

    core_seconds: float
    """CPU-seconds for a MB (10^6 bytes) that enters: of files as they lie for ingest, else of
    text."""
    bytes_out: float
    """Bytes of text that leave the stage, for each byte that enters."""
    documents_out: float
    """Documents that leave the stage, for each that enters; for ingest, that are found in a MB."""
    shuffle_bytes: float
    """Bytes of rows that go through the engine's exchange, for each document that enters."""
    ledger_bytes: float
    """Bytes of ledger, for each document that enters."""
    written_bytes: float
    """Bytes of shards for a byte of text (`tokenize`), of a barrier for a byte of text (REST)."""
    worker_mb: float
    """Most memory of one worker with its children, in MB."""
    settings: Mapping[str, Any]
    """Those of COSTLY_SETTINGS."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What is in `data/throughput.json`."""

    machine: str
    driver_seconds: float
    """CPU-seconds that the driver alone spends on a run, for a million documents."""
    kinds: Mapping[str, Mapping[str, Measure]]
    """Kind of documents -> name of a stage (INGEST and REST among them) -> its measure."""

    def of(self, kind: str, name: str, stage: Stage | None) -> Measure | None:
        """The measure of a stage on a kind; None where there is none for these settings."""
        found = self.kinds.get(kind, {}).get(name)
        if found is None or (stage is not None and costly_settings(stage) != found.settings):
            return None
        return found


def costly_settings(stage: Stage) -> dict[str, Any]:
    """The settings of a stage for which a measure holds, as JSON has them."""
    plain = stage.model_dump(mode="json", by_alias=True)
    return {name: plain[name] for name in COSTLY_SETTINGS.get(stage.name, ())}


def load_measures() -> Measures:
    """The measures that come with the package."""
    path = files("corpusmill") / "pipelines" / "data" / "throughput.json"
    plain = json.loads(path.read_text("utf-8"))
    kinds = {
        kind: {name: Measure(**measure) for name, measure in stages.items()}
        for kind, stages in plain["kinds"].items()
    }
    return Measures(machine=plain["machine"], driver_seconds=plain["driver_seconds"], kinds=kinds)


@dataclass(kw_only=True)
class StageSize:
    """What one stage takes, all kinds together."""

    name: str
    bytes_in: float = 0.0
    documents_in: float = 0.0
    core_hours: float = 0.0
    shuffle_bytes: float = 0.0
    disk_bytes: float = 0.0
    """Barrier, shards and ledger that the stage leaves."""
    worker_mb: float = 0.0
    not_measured: bool = False
    """There is no measure for some or all of what enters: the figures lack that."""

    def take(self, measure: Measure | None, entering: float, documents: float) -> None:
        """Add so many bytes and documents."""
        self.bytes_in += entering
        self.documents_in += documents
        if measure is None:
            self.not_measured = True
            return
        self.core_hours += entering / 1e6 * measure.core_seconds / 3600
        self.shuffle_bytes += documents * measure.shuffle_bytes
        self.disk_bytes += documents * measure.ledger_bytes
        self.worker_mb = max(self.worker_mb, measure.worker_mb)

    @property
    def mb_per_core_hour(self) -> float | None:
        """Over all kinds; None where nothing was measured, or no time."""
        return self.bytes_in / 1e6 / self.core_hours if self.core_hours else None

    def to_json(self) -> dict[str, Any]:
        """For machines and views."""
        documents = self.documents_in
        return {
            **vars(self),
            "mb_per_core_hour": self.mb_per_core_hour,
            "shuffle_bytes_per_document": self.shuffle_bytes / documents if documents else 0.0,
        }


def size(
    steps: Sequence[Step], inputs: Mapping[str, tuple[str, float]], cores: int, measures: Measures
) -> dict[str, Any]:
    """What the steps take on so many cores.

    Args:
        steps: of a recipe, in order.
        inputs: source -> its kind, and bytes of its files as they lie (packed, if they are).
        cores: that work at a time.
        measures: as `load_measures` gives them.
    """
    rows = [StageSize(name=step.name) for step in steps]
    rest = StageSize(name=REST)
    for source, (kind, given) in inputs.items():
        other = measures.of(kind, REST, None)
        entering, documents = float(given), 0.0
        for step, row in zip(steps, rows, strict=True):
            if step.applies_to(source, kind):
                measure = measures.of(kind, step.stage.name if step.stage else INGEST, step.stage)
                if step.stage is None and measure is not None:
                    documents = entering / 1e6 * measure.documents_out
                row.take(measure, entering, documents)
                if measure is not None:
                    if isinstance(step.stage, SinkStage):
                        row.disk_bytes += entering * measure.written_bytes
                    entering *= measure.bytes_out
                    documents *= measure.documents_out if step.stage else 1
            if step.barrier:
                rest.take(other, entering, documents)
                row.disk_bytes += entering * other.written_bytes if other else 0.0
    rows.append(rest)
    core_hours = sum(row.core_hours for row in rows)
    driver_hours = rows[0].documents_in / 1e6 * measures.driver_seconds / 3600
    return {
        "machine": measures.machine,
        "input_bytes": sum(given for _, given in inputs.values()),
        "cores": cores,
        "stages": [row.to_json() for row in rows],
        "core_hours": core_hours,
        "wall_hours": max(0.0, core_hours - driver_hours) / cores + driver_hours,
        "driver_hours": driver_hours,
        "shuffle_bytes": sum(row.shuffle_bytes for row in rows),
        "disk_bytes": sum(row.disk_bytes for row in rows),
        "worker_mb": max(row.worker_mb for row in rows),
        "not_measured": [row.name for row in rows if row.not_measured],
    }


def describe_size(recipe: Recipe | None, input_bytes: int | None, cores: int) -> dict[str, Any]:
    """What a recipe takes on so many cores; without one, the default recipe for web archives.

    `input_bytes` are divided over the recipe's sources as their files are, evenly where there are
    none yet; without them, the files that are there count.
    """
    if recipe is None:
        if input_bytes is None:
            raise UsageError("without a recipe, say how much there is: --input-bytes 100TB")
        recipe = _web_recipe()
    kinds = {source.name: source.kind for source in recipe.sources}
    if input_bytes is None:
        found = find_inputs(recipe)
        sizes = {name: float(sum(file.bytes for file in found[name])) for name in kinds}
    else:
        sizes = _divided(recipe, input_bytes)
    inputs = {name: (kind, sizes[name]) for name, kind in kinds.items()}
    return size(make_steps(recipe), inputs, cores, load_measures())


def _web_recipe() -> Recipe:
    source = {"name": "crawl", "kind": "web", "path": "crawl"}
    stages, _ = default_stages({"web"})
    return check_recipe({"name": "one-shot", "sources": [source], "stages": stages}, [])


def _divided(recipe: Recipe, input_bytes: int) -> dict[str, float]:
    names = [source.name for source in recipe.sources]
    try:
        found = find_inputs(recipe)
    except UsageError:  # nothing is there yet: an estimate is asked for before the data is
        found = {}
    there = {name: sum(file.bytes for file in found.get(name, ())) for name in names}
    total = sum(there.values())
    return {
        name: input_bytes * (there[name] / total if total else 1 / len(names)) for name in names
    }
