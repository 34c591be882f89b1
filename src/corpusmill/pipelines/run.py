"""A run: open or resume its folder, take the steps of the plan, check that everything adds up."""

import contextlib
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from corpusmill import storage
from corpusmill.errors import BrokenContract, RunError, UsageError
from corpusmill.pipelines.engines.choice import check_engine, open_engine
from corpusmill.pipelines.engines.engine import Engine
from corpusmill.pipelines.engines.settings import EngineName
from corpusmill.pipelines.engines.workers import check_workers
from corpusmill.pipelines.forget import finish_request
from corpusmill.pipelines.ingest import (
    INGEST,
    SPLITS_PER_PART,
    Chunk,
    NumberTask,
    SplitResult,
    SplitTask,
    finished_split,
    no_documents,
    number_part,
    parts_of,
    run_split,
    split_inputs,
)
from corpusmill.pipelines.ledger import (
    RUN_FILE,
    Counts,
    RunRecord,
    StageRecord,
    load_run,
    part_path,
    reconcile,
)
from corpusmill.pipelines.metrics_file import write_metrics
from corpusmill.pipelines.part import (
    ChainStep,
    PartResult,
    PartTask,
    finished_part,
    is_there,
    run_part,
    write_ledger,
)
from corpusmill.pipelines.plan import (
    Step,
    checksum_inputs,
    extraction,
    find_inputs,
    fingerprints,
    make_steps,
    score_fields,
    stage_number,
    step_fingerprint,
    used_plugins,
    with_seed,
)
from corpusmill.pipelines.recipe import Recipe
from corpusmill.pipelines.representation import measure_representation
from corpusmill.pipelines.resume import (
    RECIPE_FILE,
    drop_only,
    drop_quarantined,
    drop_stages,
    refuse_foreign,
    take_over,
)
from corpusmill.pipelines.run_lock import run_lock
from corpusmill.pipelines.tombstones import load_tombstones
from corpusmill.pipelines.verbs import EngineVerbs
from corpusmill.pipelines.verify import are_shards_there
from corpusmill.stage import GlobalStage, NarrowStage, Part, SinkStage
from corpusmill.stages.k_anonymity import rarer_behind
from corpusmill.stages.sources.listing import InputFile

ALWAYS_TOLERATED = 20
"""Quarantined documents that never fail a source, whatever the ratio."""

PACKAGES = ("corpusmill", "pyarrow", "numpy", "numba", "xxhash", "fastwarc", "resiliparse")
OPTIONAL_PACKAGES = ("trafilatura", "fasttext-community", "tokenizers", "presidio-analyzer")


class Progress(Protocol):
    """Who wants to see how a run goes."""

    def begin(self, stage: str, total: int) -> None:
        """A stage, or several in one pass, starts on `total` tasks."""

    def advance(self) -> None:
        """One task is done."""

    def end(self, record: StageRecord) -> None:
        """A stage is finished."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class Silent:
    """No one looks."""

    def begin(self, stage: str, total: int) -> None:
        """Say nothing."""

    def advance(self) -> None:
        """Say nothing."""

    def end(self, record: StageRecord) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


def run(
    recipe: Recipe,
    out: str,
    *,
    engine: EngineName | None = None,
    workers: int | None = None,
    address: str | None = None,
    master: str | None = None,
    until: str | None = None,
    only: str | None = None,
    update: bool = False,
    retry_quarantined: bool = False,
    discard_stages: bool = False,
    progress: Progress | None = None,
) -> RunRecord:
    """Run a recipe into a folder, or go on where an earlier run of it stopped.

    `engine` and `workers` go before what the recipe says; `address` is that of a Ray cluster and
    `master` that of a Spark cluster, without which one of this machine's is started for the run.

    Raises UsageError when nothing can be run (a wrong recipe, no input, a folder of another run)
    and RunError when the run fails; the same call resumes it then.
    """
    if until is not None and only is not None:
        raise UsageError("--until and --only exclude each other")
    place = recipe.engine.model_copy(
        update={
            "name": engine or recipe.engine.name,
            "workers": workers or recipe.engine.workers,
        }
    )
    check_engine(place, address, master)
    steps = make_steps(recipe, until or only)
    for stage in recipe.stages:
        stage.check()
    inputs = find_inputs(recipe, out)
    extraction(recipe, inputs).check()
    _refuse_shared_inside(recipe, out)
    others = used_plugins(recipe)
    with run_lock(out, (progress or Silent()).note):
        refuse_foreign(out)
        storage.remove_unfinished(out)
        finish_request(out)
        old = load_run(out) if storage.exists(storage.join(out, RUN_FILE)) else None
        checksums = checksum_inputs(inputs, old.inputs if old else [])
        all_prints = fingerprints(recipe, make_steps(recipe), checksums)
        prints = all_prints[: len(steps)]
        for step in steps[1:]:
            assert step.stage is not None
            step.stage.check_run(recipe.name, prints[step.number])
        record = RunRecord(
            name=recipe.name,
            versions=_versions() | {plugin.package: plugin.version for plugin in others},
            engine=place.name,
            workers=place.workers or len(os.sched_getaffinity(0)),
            inputs=checksums,
        )
        if old is not None:
            take_over(out, record, old, recipe, all_prints, update)
        if retry_quarantined:
            drop_quarantined(out, record)
        if only is not None:
            drop_only(out, record, stage_number(recipe, only))
        had_shards = storage.exists(storage.join(out, "shards"))
        drop_stages(out, record, len(steps))
        if had_shards and not storage.exists(storage.join(out, "shards")) and progress:
            progress.note("shards/ is removed: it was made of stages that are not run here")
        storage.write_atomic(storage.join(out, RECIPE_FILE), recipe.to_yaml().encode())
        record.save(out)
        with contextlib.closing(open_engine(place, address=address, master=master)) as opened:
            check_workers(opened, out, others)
            record.workers = opened.workers
            _Run(recipe, out, steps, prints, inputs, record, opened, progress or Silent()).take()
        findings = reconcile(out, record)
        if findings:
            raise RunError("the run does not reconcile:\n" + "\n".join(findings))
        if discard_stages:
            measure_representation(out)  # while there are texts
            storage.remove(storage.join(out, "stages"))
    return record


def _refuse_shared_inside(recipe: Recipe, out: str) -> None:
    """What runs share must not lie in the folder of one, which may be removed."""
    for stage in recipe.stages:
        for name in stage.outside_settings:
            path = getattr(stage, name)
            if path and storage.is_below(os.path.join(path, "x"), out):
                raise UsageError(f"{stage.name}.{name}: {path} lies in the run folder {out}")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, *OPTIONAL_PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class _Run:
    """The steps of one run that are still to be taken."""

    def __init__(
        self,
        recipe: Recipe,
        out: str,
        steps: list[Step],
        prints: list[str],
        inputs: dict[str, list[InputFile]],
        record: RunRecord,
        engine: Engine,
        progress: Progress,
    ) -> None:
        self.recipe = recipe
        self.out = out
        self.steps = steps
        self.prints = prints
        self.inputs = inputs
        self.record = record
        self.engine = engine
        self.progress = progress
        self.score_fields = score_fields(recipe)

    def take(self) -> None:
        """Take all steps that are not finished; each is recorded as it ends."""
        last = self.steps[-1].number
        published = last - isinstance(self.steps[last].stage, SinkStage)
        self._back_to_what_is_there()
        complete = len(self.record.stages) > last
        if not complete or not self._is_published(published):
            self._back_to_a_barrier()
        for stage in self.record.stages:  # a kill may have left what a finished stage needs no more
            for area in ("splits", "work"):
                storage.remove(storage.join(self.out, "stages", stage.name, area))
        while (number := len(self.record.stages)) <= last:
            step = self.steps[number]
            if step.stage is None:
                self._ingest()
            elif isinstance(step.stage, SinkStage):
                self._publish(number - 1)
                self._sink(step, step.stage)
            else:
                self._documents_stage(number)
        self._publish(published)

    def _back_to_what_is_there(self) -> None:
        """Drop finished stages whose ledger or shards were taken away: they are run again."""
        parts = range(len(self.record.parts))
        for number, stage in enumerate(self.record.stages):
            ledger = all(
                storage.exists(part_path(self.out, f"ledger/{stage.name}", i)) for i in parts
            )
            sink = isinstance(self.steps[number].stage, SinkStage) and stage.counts.out
            if not ledger or (sink and not are_shards_there(storage.join(self.out, "shards"))):
                drop_stages(self.out, self.record, number)
                return

    def _back_to_a_barrier(self) -> None:
        """Drop finished steps whose output is not on disk: they are run again from a barrier."""
        while self.record.stages:
            stage = self.record.stages[-1]
            if stage.parts and self._is_whole(f"stages/{stage.name}", stage):
                return
            drop_stages(self.out, self.record, len(self.record.stages) - 1)

    # -- ingest

    def _ingest(self) -> None:
        started = time.monotonic()
        inputs = self.inputs
        sources = {source.name: source for source in self.recipe.sources}
        part_bytes = max(1, int(self.recipe.part_mb * (1 << 20)))
        extract = extraction(self.recipe, inputs)
        tombstones = load_tombstones(self.out)
        tasks: list[SplitTask] = []
        for name, files in inputs.items():
            for pieces in split_inputs(sources[name], files, max(1, part_bytes // SPLITS_PER_PART)):
                tasks.append(
                    SplitTask(
                        run=self.out,
                        number=len(tasks),
                        source=sources[name],
                        pieces=pieces,
                        extract=extract,
                        fingerprint=self.prints[0],
                        part_bytes=part_bytes,
                        seed=self.recipe.seed,
                        sample=self.recipe.sample,
                        tombstones=tombstones,
                    )
                )
        self.progress.begin(INGEST, len(tasks))
        if self.recipe.limit is None:
            results = self._unfinished(tasks, finished_split, run_split, INGEST)
        else:
            results = self._limited(tasks, self.recipe.limit)
        chunks: dict[str, list[Chunk]] = {name: [] for name in inputs}
        skipped: dict[str, Counter[str]] = {name: Counter() for name in inputs}
        counts: dict[str, Counts] = {name: Counts() for name in inputs}
        for result in results:
            chunks[result.source.name] += result.chunks
            skipped[result.source.name] += result.skipped
        nothing: list[str] = []
        for name in inputs:
            counts[name] = sum((chunk.counts for chunk in chunks[name]), Counts())
            counts[name].skipped = skipped[name]
            if not counts[name].found:
                nothing.append(no_documents(sources[name], len(inputs[name]), skipped[name]))
        if len(nothing) == len(inputs):
            raise UsageError("\n".join(nothing))
        if self.recipe.limit is None:  # else they may just not have been read
            for text in nothing:
                self._note(text)
        parts = [
            (sources[name], group)
            for name in inputs
            for group in parts_of(chunks[name], part_bytes)
        ]
        files_of_parts = self.engine.map(
            number_part,
            [NumberTask(run=self.out, chunks=c, number=i) for i, (_, c) in enumerate(parts)],
            name=f"{INGEST} number",
        )
        self.record.parts = [{"source": s.name, "kind": s.kind} for s, _ in parts]
        self._finish(
            StageRecord(
                name=INGEST,
                fingerprint=self.prints[0],
                counts=sum(counts.values(), Counts()),
                sources=counts,
                parts=files_of_parts,
                cpu_seconds=sum(result.cpu_seconds for result in results),
                wall_seconds=time.monotonic() - started,
                workers_seen=len({result.worker for result in results} - {0}),
            )
        )
        storage.remove(storage.join(self.out, "stages", INGEST, "splits"))

    def _limited(self, tasks: Sequence[SplitTask], limit: int) -> list[SplitResult]:
        """Read an equal share of `limit` documents from the start of each source, in order."""
        names = sorted({task.source.name for task in tasks})
        share = {n: limit // len(names) + (i < limit % len(names)) for i, n in enumerate(names)}
        results = []
        for task in tasks:
            left = share[task.source.name]
            if left > 0:
                limited = SplitTask(**{**vars(task), "limit": left})
                (result,) = self._unfinished([limited], finished_split, run_split, INGEST)
                share[task.source.name] = left - sum(c.counts.found for c in result.chunks)
                results.append(result)
        return results

    # -- narrow and global stages

    def _documents_stage(self, number: int) -> None:
        started = time.monotonic()
        engine_cpu = self.engine.cpu_seconds
        parts = self._parts(number - 1)
        step = self.steps[number]
        chain = [step]
        extra_cpu = 0.0
        narrow: dict[str, NarrowStage] = {}
        if isinstance(step.stage, GlobalStage):
            stage = with_seed(step.stage, self.recipe.seed)
            assert isinstance(stage, GlobalStage)
            self.progress.begin(step.name, len(parts))
            driver_cpu = time.process_time()
            mine = [part for part in parts if step.applies_to(part.source, part.kind)]
            narrow[step.name] = stage.prepare(self._verbs(step), mine)
            if not isinstance(narrow[step.name], NarrowStage):
                raise BrokenContract(f"stage {stage.name}: prepare gave no NarrowStage")
            for text in rarer_behind(self.recipe.stages[step.number - 1 :]):
                self._note(text)
            extra_cpu = time.process_time() - driver_cpu + self.engine.cpu_seconds - engine_cpu
        else:
            while not chain[-1].barrier:
                chain.append(self.steps[chain[-1].number + 1])
            for link in chain:
                assert isinstance(link.stage, NarrowStage)
                stage = with_seed(link.stage, self.recipe.seed)
                assert isinstance(stage, NarrowStage)
                narrow[link.name] = stage
            self.progress.begin(" + ".join(link.name for link in chain), len(parts))
        tasks = [
            PartTask(
                run=self.out,
                part=part,
                chain=tuple(
                    ChainStep(
                        name=link.name,
                        stage=narrow[link.name].for_part(part.number),
                        applies=link.applies_to(part.source, part.kind),
                    )
                    for link in chain
                ),
                fingerprint=self.prints[chain[-1].number],
                score_fields=self.score_fields,
            )
            for part in parts
        ]
        together = " + ".join(link.name for link in chain)
        results = self._unfinished(tasks, finished_part, run_part, together)
        total = sum(s.cpu_seconds for r in results for s in r.steps) + extra_cpu
        wall = time.monotonic() - started
        for position, link in enumerate(chain):
            record = self._stage_record(link, position, results)
            record.cpu_seconds += extra_cpu
            record.wall_seconds = wall * (record.cpu_seconds / total if total else 1 / len(chain))
            if link is chain[-1]:
                record.parts = [result.file for result in results]
            self._finish(record)
        storage.remove(storage.join(self.out, "stages", step.name, "work"))

    def _stage_record(
        self, step: Step, position: int, results: Sequence[PartResult]
    ) -> StageRecord:
        sources: dict[str, Counts] = {}
        for result in results:
            counts = result.steps[position].counts
            sources[result.source] = sources.get(result.source, Counts()) + counts
        assert step.stage is not None
        return StageRecord(
            name=step.name,
            fingerprint=self.prints[step.number],
            counts=sum(sources.values(), Counts()),
            sources=sources,
            parts=[],
            cpu_seconds=sum(result.steps[position].cpu_seconds for result in results),
            wall_seconds=0.0,
            workers_seen=len({result.worker for result in results} - {0}),
            settings=step.stage.model_dump(mode="json", by_alias=True),
            judged_scores=step.stage.judged_scores(),
        )

    def _verbs(self, step: Step) -> EngineVerbs:
        assert step.stage is not None
        fingerprint = self.prints[step.number]
        outside = step.stage.outside(self.recipe.name)
        if step.stage.outside_settings:
            now = step_fingerprint(self.recipe, step, self.prints[step.number - 1])
            if now != fingerprint:
                shared = ", ".join(step.stage.outside_settings)
                raise RunError(
                    f"{step.name}: {shared} has changed since this run began: "
                    "run the same command again"
                )
        return EngineVerbs(
            self.engine,
            storage.join(self.out, "stages", step.name, "work", fingerprint),
            self.recipe.seed,
            run=self.recipe.name,
            fingerprint=fingerprint,
            outside=outside,
            note=self._note,
            stage=step.name,
        )

    def _parts(self, number: int) -> list[Part]:
        stage = self.record.stages[number]
        return [
            Part(
                number=i,
                path=part_path(self.out, f"stages/{stage.name}", i),
                source=self.record.parts[i]["source"],
                kind=self.record.parts[i]["kind"],
                rows=file.rows,
                bytes=file.bytes,
            )
            for i, file in enumerate(stage.parts)
        ]

    # -- the end of the line

    def _sink(self, step: Step, sink: SinkStage) -> None:
        started = time.monotonic()
        engine_cpu, driver_cpu = self.engine.cpu_seconds, time.process_time()
        before = self.record.stages[-1]
        every = self._parts(step.number - 1)
        parts = [part for part in every if step.applies_to(part.source, part.kind)]
        stage = with_seed(sink, self.recipe.seed)
        assert isinstance(stage, SinkStage)
        target = storage.join(self.out, "shards")
        earlier = self.recipe.stages[: step.number - 1]
        self.progress.begin(step.name, 0)
        if before.counts.out:
            for text in stage.write(self._verbs(step), parts, target, earlier):
                self._note(text)
        else:
            storage.remove(target)
            self._note("every document was dropped: there are no shards")
        sources = {n: Counts(found=c.out, kept=c.out) for n, c in before.sources.items()}
        for i in range(len(every)):
            write_ledger(self.out, step.name, i, [], self.score_fields)
        self._finish(
            StageRecord(
                name=step.name,
                fingerprint=self.prints[step.number],
                counts=sum(sources.values(), Counts()),
                sources=sources,
                parts=[],
                cpu_seconds=self.engine.cpu_seconds - engine_cpu + time.process_time() - driver_cpu,
                wall_seconds=time.monotonic() - started,
                workers_seen=self.engine.workers,
                settings=sink.model_dump(mode="json", by_alias=True),
            )
        )
        storage.remove(storage.join(self.out, "stages", step.name))

    def _publish(self, number: int) -> None:
        """Put the output of a stage into documents/: the same files under another name."""
        if self._is_published(number):
            return
        stage = self.record.stages[number]
        folder = storage.join(self.out, "documents")
        storage.remove(folder)
        self.record.published = None
        self.record.save(self.out)
        for part in self._parts(number):
            storage.publish(part.path, part_path(self.out, "documents", part.number))
        self.record.published = stage.name
        self.record.save(self.out)

    def _is_published(self, number: int) -> bool:
        if len(self.record.stages) <= number:
            return False
        stage = self.record.stages[number]
        return self.record.published == stage.name and self._is_whole("documents", stage)

    def _is_whole(self, area: str, stage: StageRecord) -> bool:
        return all(
            is_there(part_path(self.out, area, number), file)
            for number, file in enumerate(stage.parts)
        )

    # -- common to all stages

    def _unfinished(
        self,
        tasks: Sequence[Any],
        finished: Callable[[Any], Any],
        task: Callable[[Any], Any],
        name: str,
    ) -> list[Any]:
        """Run the tasks that an earlier run has not completed; all results in order."""
        results = [finished(item) for item in tasks]
        todo = [i for i, result in enumerate(results) if result is None]
        for _ in range(len(tasks) - len(todo)):
            self.progress.advance()
        new = self.engine.map(task, [tasks[i] for i in todo], self.progress.advance, name=name)
        for i, result in zip(todo, new, strict=True):
            results[i] = result
        return results

    def _finish(self, stage: StageRecord) -> None:
        self._limit_quarantine(stage)
        self._trim(stage.name)
        self.record.stages.append(stage)
        self.record.save(self.out)
        write_metrics(self.out, self.record)
        self.progress.end(stage)

    def _trim(self, name: str) -> None:
        """Remove parts that an unfinished run of an earlier version of the recipe has left."""
        for area in (f"ledger/{name}", f"stages/{name}"):
            for path in storage.list_files(storage.join(self.out, area)):
                number = re.search(r"/part-(\d+)\.[^/]+$", path)
                if number and int(number[1]) >= len(self.record.parts):
                    storage.remove(path)

    def _limit_quarantine(self, stage: StageRecord) -> None:
        for name, counts in stage.sources.items():
            allowed = max(ALWAYS_TOLERATED, self.recipe.max_quarantined_ratio * counts.found)
            if counts.quarantined > allowed:
                raise RunError(
                    f"{stage.name}: source {name!r} has {counts.quarantined} quarantined of "
                    f"{counts.found} documents, more than the {allowed:.0f} that are allowed "
                    f"(max_quarantined_ratio: {self.recipe.max_quarantined_ratio}); "
                    f"reasons stand in {storage.join(self.out, 'ledger', stage.name)}"
                )

    def _note(self, text: str) -> None:
        self.record.notes.append(text)
        self.progress.note(text)
