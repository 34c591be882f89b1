"""Documents that kill their stage or their worker, in the middle of stages that go together."""

import os
import time
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from tests.crashing_stages import Crashing, KilledWhileOpening
from tests.verbs_fixture import ids, write_parts

from corpusmill import storage
from corpusmill.document import with_column
from corpusmill.errors import RunError
from corpusmill.pipelines.engines.engine import Engine
from corpusmill.pipelines.part import ChainStep, PartTask, run_part
from corpusmill.stage import Apply, NarrowStage, Outcome, Part

TEXTS = ["good", "crash", "raise", "drop", *["fine"] * 5, "worker killed once {}", "better"]
"""More than a batch of the stage."""


def poisoned(engine: Engine, folder: Path) -> tuple[Any, ...]:
    """What two stages in one pass make of the documents: counts, bytes of the part and ledgers.

    One worker is killed, and one child, by the first engine that is given a folder.
    """
    texts = [text.format(folder / "worker-killed") for text in TEXTS]
    rows = [{"id": i, "text": t} for i, t in zip(ids(len(texts)), texts, strict=True)]
    (part,) = write_parts(folder, [rows])
    out = str(folder / engine.name)
    stages = (KilledWhileOpening(mark=str(folder / "child-killed")), Crashing())
    chain = tuple(
        ChainStep(name=f"0{n}-{stage.name}", stage=stage, applies=True)
        for n, stage in enumerate(stages)
    )
    task = PartTask(run=out, part=part, chain=chain, fingerprint="f" * 32, score_fields=())
    (result,) = engine.map(run_part, [task])
    assert (folder / "worker-killed").exists()
    assert (folder / "child-killed").exists()
    first, second = (step.counts for step in result.steps)
    assert (first.kept, second.found) == (len(TEXTS), len(TEXTS))
    assert (second.quarantined, dict(second.dropped)) == (2, {"asked_for": 1})
    ledgers = storage.list_files(f"{out}/ledger")
    return first, second, result.file.xxh3, [storage.checksum_file(path) for path in ledgers]


class Waiting(NarrowStage):
    """Upper-cases documents, when it may."""

    name: ClassVar[str] = "waiting"
    isolated: ClassVar[bool] = True

    folder: str

    def open(self) -> Apply:
        """No model."""
        return self._apply

    def _apply(self, batch: pa.RecordBatch) -> Outcome:
        (Path(self.folder) / f"waits-{os.getpid()}").touch()
        while not (Path(self.folder) / "go").exists():
            time.sleep(0.05)
        texts = [text.upper() for text in batch.column("text").to_pylist()]
        return Outcome(documents=with_column(batch, "text", pa.array(texts, pa.large_string())))


def waiting_part(part: Part, folder: Path, out: str) -> PartTask:
    """A part for the stage that waits in a folder."""
    stage = ChainStep(name="00-waiting", stage=Waiting(folder=str(folder)), applies=True)
    return PartTask(run=out, part=part, chain=(stage,), fingerprint="f" * 32, score_fields=())


def judge_or_fail(item: PartTask | str) -> str:
    """The checksum of the part that a task gives; a folder fails when two wait in it."""
    if isinstance(item, PartTask):
        return run_part(item).file.xxh3
    while len(list(Path(item).glob("waits-*"))) < 2:
        time.sleep(0.05)
    raise RunError("the third has failed")
