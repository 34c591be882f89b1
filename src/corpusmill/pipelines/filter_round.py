"""A round of progressive filtering: what a trained model finds hardest to predict is dropped.

    corpusmill train --shards RUN/shards --out T1
    corpusmill filter-round RUN --train T1              writes RUN/rounds/01
    corpusmill train --shards RUN/rounds/01/shards --out T2 --set start=T1
    corpusmill filter-round RUN --train T2              writes RUN/rounds/02

Documents are scored from their tokens as they stand in the shards. Each kind and language is a
group of its own: within it the share `drop` of the documents goes, those with the most nats per
byte, and of equal ones those with the smallest ids. Only the split that is trained on is filtered.

The steps: where each document stands in the run (part, group); scores; thresholds; shards; ledger.
Each leaves files below RUN/rounds/NN/work, which answer when a killed round is begun again. Held at
once are a shard, the ids of a part, 16 kB for each group, and the ids of documents whose score is
that of their group's threshold.
"""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.errors import RunError, UsageError
from corpusmill.filters.selection import Float32Array, Int64Array, largest
from corpusmill.pipelines.engines.engine import Engine
from corpusmill.pipelines.engines.local import LocalEngine
from corpusmill.pipelines.filter_tasks import (
    LedgerTask,
    ScoreTask,
    ShardTask,
    read_scores,
    score_chunk,
    write_filtered,
    write_ledger,
)
from corpusmill.pipelines.ledger import RunRecord, load_run, part_path
from corpusmill.pipelines.rounds import (
    CheckpointUsed,
    Group,
    LedgerFile,
    RoundCounts,
    RoundRecord,
    input_of,
    load_round,
    round_folder,
    save_round,
    stage_name,
    standing_rounds,
)
from corpusmill.tokenize.manifest import (
    Manifest,
    Mixture,
    ShardInfo,
    build_manifest,
    read_manifest,
    training_tokens,
    write_manifest,
)
from corpusmill.tokenize.shards import verify_shards, write_tokenizer
from corpusmill.tokenize.splits import TRAIN
from corpusmill.tokenize.vocabulary import load_tokenizer

VERSION = 1
"""Raised when the code comes to give other results: part of a round's fingerprint."""

DROP = 0.2
"""Share of the documents of each group that a round drops."""

SMALLEST_GROUP = 20
"""Documents of one kind and language from which on any is dropped: fewer have no quantiles."""

CHUNK_TOKENS = 1 << 18
"""Tokens that are scored before the scores are written: seconds to a minute of work."""

PROGRESS_LINES = 10

Echo = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A round that is to be made."""

    run: str
    number: int
    checkpoint: Any
    """`corpusmill.pretrain.checkpoint.Checkpoint`, which is torch's business."""
    manifest: Manifest
    """Of the shards that are filtered."""
    drop: float
    code: bool
    fingerprint: str

    @property
    def folder(self) -> str:
        return round_folder(self.run, self.number)

    @property
    def work(self) -> str:
        return storage.join(self.folder, "work", self.fingerprint)

    @property
    def input(self) -> str:
        return storage.join(self.run, input_of(self.number))

    @property
    def shards(self) -> str:
        return storage.join(self.folder, "shards")

    @property
    def filtered(self) -> tuple[ShardInfo, ...]:
        return self.manifest.of_split(TRAIN)

    @property
    def tokenizer(self) -> str:
        return storage.join(self.input, self.manifest.tokenizer.file)

    def places(self, shard: ShardInfo) -> str:
        return storage.join(self.work, f"{shard.name}.places.arrow")

    def dropped(self, shard: ShardInfo) -> str:
        return storage.join(self.work, f"{shard.name}.dropped.arrow")


@dataclass(frozen=True, kw_only=True)
class _Group:
    """One kind and language."""

    kind: str
    language: str | None
    documents: int
    wanted: int
    """How many are to go."""

    @property
    def label(self) -> str:
        return f"{self.documents} documents of {self.kind} {self.language or 'unidentified'}"


def filter_round(
    *,
    run: str,
    train: str,
    drop: float = DROP,
    code: bool = False,
    workers: int | None = None,
    echo: Echo = lambda line: None,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Filter the shards that `train` was trained on by its newest checkpoint.

    Documents of kind `code` are not judged unless `code` says so. `echo` gets each line for the
    user. Returns {round, folder, shards, checkpoint, already, in, kept, dropped, groups, notes};
    `already` says that the round was finished before. Raises UsageError, before anything is
    written, for a training of other shards and for a round that was made otherwise; FolderBusy;
    RunError for damaged shards.
    """
    if not 0 < drop < 1:
        raise UsageError(f"--drop: {drop:g} is not a share between 0 and 1, such as {DROP}")
    with storage.folder_lock(run):
        record = load_run(run)
        plan = _plan(run, train, drop, code, echo)
        finished = load_round(run, plan.number)
        if finished is not None:
            _refuse_other(plan, finished)
            storage.remove(storage.join(plan.folder, "work"))
            echo(f"round {plan.number} was finished before with this checkpoint: nothing to do")
            return _result(plan, finished, already=True)
        if storage.exists(plan.folder) and not storage.exists(plan.work):
            storage.remove(plan.folder)  # begun with other settings or another checkpoint
        storage.remove_unfinished(plan.folder)
        with contextlib.ExitStack() as stack:
            if engine is None:
                engine = LocalEngine(workers or len(os.sched_getaffinity(0)))
                stack.callback(engine.close)
            return _result(plan, _make(plan, record, engine, echo), already=False)


def _plan(run: str, train: str, drop: float, code: bool, echo: Echo) -> _Plan:
    """Which round it is: the one after the shards that the model was trained on."""
    from corpusmill.pretrain.checkpoint import newest_checkpoint
    from corpusmill.pretrain.folder import read_record

    trained_on = read_record(train)["shards_xxh3"]
    before = [read_manifest(storage.join(run, "shards")).xxh3]
    before += [standing.shards_xxh3 for standing in standing_rounds(run)]
    if trained_on not in before:
        newest = storage.join(run, input_of(len(before)))
        raise UsageError(
            f"{train}: was trained on other shards than those of {run} and its rounds; train on "
            f"the newest ones first: corpusmill train --shards {newest} --out DIR"
        )
    number = before.index(trained_on) + 1
    checkpoint = newest_checkpoint(train, echo)
    key = json.dumps([VERSION, trained_on, checkpoint.xxh3, float(drop), code])
    return _Plan(
        run=run,
        number=number,
        checkpoint=checkpoint,
        manifest=read_manifest(storage.join(run, input_of(number))),
        drop=drop,
        code=code,
        fingerprint=xxhash.xxh3_128_hexdigest(key.encode()),
    )


def _refuse_other(plan: _Plan, finished: RoundRecord) -> None:
    """A finished round stays as it is: later rounds and trainings stand on it."""
    if finished.fingerprint == plan.fingerprint:
        return
    if finished.input_xxh3 != plan.manifest.xxh3:
        raise UsageError(
            f"{plan.folder}: was made of other shards than {plan.input} holds now: remove it, and "
            "the rounds after it, to filter again"
        )
    now = {"checkpoint": plan.checkpoint.xxh3, "drop": plan.drop, "code": plan.code}
    then = {"checkpoint": finished.checkpoint.xxh3, "drop": finished.drop, "code": finished.code}
    changes = [f"  {name}: {then[name]} before, {now[name]} now" for name in now]
    differing = [line for name, line in zip(now, changes, strict=True) if now[name] != then[name]]
    raise UsageError(
        f"{plan.folder}: was finished otherwise:\n"
        + "\n".join(differing)
        + "\nRemove it, and the rounds after it, to filter again"
    )


def _make(plan: _Plan, record: RunRecord, engine: Engine, echo: Echo) -> RoundRecord:
    findings = verify_shards(plan.input)
    if findings:
        raise RunError(f"{plan.input} cannot be filtered: {findings[0]}")
    groups = _locate(plan, record)
    if not any(group.wanted for group in groups):
        storage.remove(plan.folder)
        raise UsageError(
            f"{plan.input}: nothing to drop: no group of one kind and language has "
            f"{SMALLEST_GROUP} documents, or --drop {plan.drop:g} of it is none"
            + ("" if plan.code else "; source code is judged with --code only")
        )
    total = sum(group.documents for group in groups)
    echo(
        f"round {plan.number}: {total:,} documents of {plan.input} in {len(groups)} groups, judged "
        f"by {plan.checkpoint.path}"
    )
    scores = _score(plan, groups, engine, echo)
    thresholds, ties = _thresholds(plan, groups, scores)
    infos = _write_shards(plan, scores, thresholds, ties, engine)
    ledger = _write_ledger(plan, groups, thresholds, len(record.parts), engine)
    notes: list[str] = []
    manifest = _finish_shards(plan, infos, notes)
    finished = _record(plan, groups, thresholds, infos, ledger, manifest, notes)
    for note in notes:
        echo(note)
    save_round(plan.run, finished)
    storage.remove(storage.join(plan.folder, "work"))
    return finished


# ---- where documents stand ----


def _locate(plan: _Plan, record: RunRecord) -> list[_Group]:
    """Write part and group of each document, shard by shard, and return the groups.

    Shards and `documents/` have the same order: both are gone through once, side by side.
    """
    path = storage.join(plan.work, "groups.json")
    if not storage.exists(path):
        numbers: dict[tuple[str, str | None], int] = {}
        counts: Counter[int] = Counter()
        parts = _parts(plan.run, record, numbers)
        part, ids, group_of = next(parts)
        for shard in plan.filtered:
            wanted = one_chunk(_read_shard(plan, shard).column("id"))
            part_of = np.empty(len(wanted), np.int64)
            groups = np.empty(len(wanted), np.int64)
            done = 0
            while done < len(wanted):
                # as many as the part has at most; those that it holds come first
                rows = pc.index_in(wanted.slice(done, len(ids)), value_set=ids)
                first_null = pc.index(pc.is_null(rows), True).as_py()
                here = len(rows) if first_null < 0 else first_null
                part_of[done : done + here] = part
                groups[done : done + here] = group_of[rows.slice(0, here).to_numpy()]
                done += here
                if done < len(wanted):
                    found = next(parts, None)
                    if found is None:
                        raise RunError(
                            f"{plan.run}: documents/ has not all documents of {plan.input}: "
                            "run the recipe again"
                        )
                    part, ids, group_of = found
            counts.update(groups.tolist())
            storage.write_ipc(plan.places(shard), pa.table({"part": part_of, "group": groups}))
        content = [[*label, counts[number]] for label, number in numbers.items()]
        storage.write_json(path, content)
    return [
        _Group(kind=kind, language=language, documents=n, wanted=_wanted(plan, kind, n))
        for kind, language, n in storage.read_json(path)
    ]


def _wanted(plan: _Plan, kind: str, documents: int) -> int:
    if documents < SMALLEST_GROUP or (kind == "code" and not plan.code):
        return 0
    return int(plan.drop * documents)


def _parts(
    run: str, record: RunRecord, numbers: dict[tuple[str, str | None], int]
) -> Iterator[tuple[int, pa.Array, Int64Array]]:
    """Each part's number, ids and groups; `numbers` gets the groups as they come up."""
    for part, described in enumerate(record.parts):
        path = part_path(run, "documents", part)
        if not storage.exists(path):
            raise UsageError(f"{path}: is missing: run the recipe again")
        table = storage.read_parquet(path, ["id", "language"])
        languages = one_chunk(table.column("language")).dictionary_encode(null_encoding="encode")
        known = [
            numbers.setdefault((described["kind"], language), len(numbers))
            for language in languages.dictionary.to_pylist()
        ]
        groups = np.array(known, np.int64)[languages.indices.to_numpy()]
        yield part, one_chunk(table.column("id")), groups


def _read_shard(plan: _Plan, shard: ShardInfo) -> pa.Table:
    return storage.read_ipc(storage.join(plan.input, shard.name))


# ---- scores and thresholds ----


def _score(
    plan: _Plan, groups: list[_Group], engine: Engine, echo: Echo
) -> dict[str, tuple[str, ...]]:
    """Score all documents; returns the files of each shard, in row order."""
    judged = tuple(number for number, group in enumerate(groups) if group.wanted)
    files: dict[str, tuple[str, ...]] = {}
    tasks = []
    for shard in plan.filtered:
        mine = [
            ScoreTask(
                shard=storage.join(plan.input, shard.name),
                tokenizer=plan.tokenizer,
                places=plan.places(shard),
                first=first,
                end=end,
                judged=judged,
                checkpoint=plan.checkpoint,
                target=storage.join(plan.work, f"{shard.name}.scores-{first:08d}.arrow"),
            )
            for first, end in _chunks(_read_shard(plan, shard))
        ]
        files[shard.name] = tuple(task.target for task in mine)
        tasks += [task for task in mine if not storage.exists(task.target)]
    done = Counter[str]()

    def count() -> None:
        done["tasks"] += 1
        if done["tasks"] % max(1, len(tasks) // PROGRESS_LINES) == 0:
            echo(f"scored {done['tasks']} of {len(tasks)} pieces")

    engine.map(score_chunk, tasks, count)
    return files


def _chunks(shard: pa.Table) -> list[tuple[int, int]]:
    """Rows (first, end) that begin within the same CHUNK_TOKENS tokens of a shard."""
    starts = one_chunk(shard.column("tokens")).offsets.to_numpy()[:-1] // CHUNK_TOKENS
    firsts = [0, *(np.flatnonzero(np.diff(starts)) + 1).tolist(), len(starts)]
    return list(pairwise(firsts))


def _thresholds(
    plan: _Plan, groups: list[_Group], scores: dict[str, tuple[str, ...]]
) -> tuple[Float32Array, tuple[str, ...]]:
    """The score above which each group's documents go, and the ids that go at it."""

    def blocks() -> Iterator[tuple[Float32Array, Int64Array]]:
        for shard in plan.filtered:
            places = storage.read_ipc(plan.places(shard))
            yield read_scores(scores[shard.name]), places.column("group").to_numpy()

    wanted = np.array([group.wanted for group in groups], np.int64)
    thresholds, ties = largest(blocks, wanted)
    tied: list[list[str]] = [[] for _ in groups]
    for shard, (values, group_of) in zip(plan.filtered, blocks(), strict=True):
        rows = np.flatnonzero((values == thresholds[group_of]) & (wanted[group_of] > 0))
        ids = _read_shard(plan, shard).column("id").take(pa.array(rows)).to_pylist()
        for number, document in zip(group_of[rows].tolist(), ids, strict=True):
            tied[number].append(document)
    going = [sorted(ids)[:count] for ids, count in zip(tied, ties.tolist(), strict=True)]
    return thresholds, tuple(document for ids in going for document in ids)


# ---- what is written ----


def _write_shards(
    plan: _Plan,
    scores: dict[str, tuple[str, ...]],
    thresholds: Float32Array,
    ties: tuple[str, ...],
    engine: Engine,
) -> dict[str, Any]:
    """Write the filtered shards; returns what each task says, by the shard's name."""
    tasks = [
        ShardTask(
            shard=storage.join(plan.input, shard.name),
            name=shard.name,
            split=shard.split,
            tokenizer=plan.tokenizer,
            places=plan.places(shard),
            scores=scores[shard.name],
            thresholds=tuple(thresholds.tolist()),
            ties=ties,
            target=plan.shards,
            dropped=plan.dropped(shard),
            info=storage.join(plan.work, f"{shard.name}.info.json"),
        )
        for shard in plan.filtered
    ]
    engine.map(write_filtered, [task for task in tasks if not storage.exists(task.info)])
    return {task.name: storage.read_json(task.info) for task in tasks}


def _write_ledger(
    plan: _Plan, groups: list[_Group], thresholds: Float32Array, parts: int, engine: Engine
) -> tuple[LedgerFile, ...]:
    """Write a row for each dropped document, by part."""
    files: dict[int, list[str]] = {}
    for shard in plan.filtered:
        rows = storage.read_ipc(plan.dropped(shard))
        for part in pc.unique(rows.column("part")).to_pylist():
            files.setdefault(part, []).append(plan.dropped(shard))
    tasks = [
        LedgerTask(
            run=plan.run,
            part=part,
            dropped=tuple(paths),
            stage=stage_name(plan.number),
            thresholds=tuple(thresholds.tolist()),
            details=tuple(group.label for group in groups),
            target=part_path(plan.folder, "ledger", part),
            info=storage.join(plan.work, f"ledger-{part:05d}.json"),
        )
        for part, paths in sorted(files.items())
    ]
    engine.map(write_ledger, [task for task in tasks if not storage.exists(task.info)])
    return tuple(LedgerFile.model_validate(storage.read_json(task.info)) for task in tasks)


def _finish_shards(plan: _Plan, infos: dict[str, Any], notes: list[str]) -> Manifest:
    """Put the other splits and the vocabulary beside the filtered shards, and last the manifest."""
    vocabulary = load_tokenizer(plan.tokenizer)
    shards = []
    for shard in plan.manifest.shards:
        if shard.split != TRAIN:
            target = storage.join(plan.shards, shard.name)
            storage.publish(storage.join(plan.input, shard.name), target)
            shards.append(shard)
        elif infos[shard.name]["shard"] is not None:
            shards.append(ShardInfo.model_validate(infos[shard.name]["shard"]))
    write_tokenizer(plan.shards, vocabulary)
    mixture = _mixture(plan.manifest.mixture, shards, notes)
    manifest = build_manifest(plan.manifest.seed, vocabulary, shards, mixture)
    write_manifest(plan.shards, manifest)
    return manifest


def _mixture(mixture: Mixture | None, shards: list[ShardInfo], notes: list[str]) -> Mixture | None:
    """The same proportions; a class that has nothing left is no longer in it."""
    if mixture is None:
        return None
    held = training_tokens(shards, mixture.by).keys()
    gone = sorted(mixture.named() - held)
    if gone:
        notes.append(f"no training tokens left in {', '.join(gone)}: left out of the mixture")
    left = mixture.limited_to(held)
    if left is None:
        raise RunError("none of the classes of the mixture has training tokens left")
    return left


def _record(
    plan: _Plan,
    groups: list[_Group],
    thresholds: Float32Array,
    infos: dict[str, Any],
    ledger: tuple[LedgerFile, ...],
    manifest: Manifest,
    notes: list[str],
) -> RoundRecord:
    """Sum up, and see that every document is accounted for."""
    found, dropped = Counter[str](), Counter[str]()
    gone: npt.NDArray[np.int64] = np.zeros(len(groups), np.int64)
    for info in infos.values():
        found.update(info["found"])
        dropped.update(info["dropped"])
        gone += np.array(info["groups"], np.int64)
    before = plan.manifest.splits[TRAIN].documents
    kept = manifest.splits[TRAIN].documents
    rows = sum(file.rows for file in ledger)
    asked = [group.wanted for group in groups]
    if not before - kept == rows == dropped.total() or gone.tolist() != asked:
        raise RunError(
            f"the round does not reconcile: {before} came in, {kept} are kept, {rows} are in the "
            f"ledger; {gone.tolist()} of each group were dropped instead of {asked}"
        )
    return RoundRecord(
        round=plan.number,
        fingerprint=plan.fingerprint,
        input=input_of(plan.number),
        input_xxh3=plan.manifest.xxh3,
        shards_xxh3=manifest.xxh3,
        checkpoint=CheckpointUsed(step=plan.checkpoint.step, xxh3=plan.checkpoint.xxh3),
        drop=plan.drop,
        code=plan.code,
        counts=RoundCounts(found=before, kept=kept, dropped=rows),
        sources={
            name: RoundCounts(found=n, kept=n - dropped[name], dropped=dropped[name])
            for name, n in sorted(found.items())
        },
        groups=tuple(
            Group(
                kind=group.kind,
                language=group.language,
                documents=group.documents,
                dropped=group.wanted,
                threshold=float(threshold) if group.wanted else None,
            )
            for group, threshold in zip(groups, thresholds, strict=True)
        ),
        ledger=ledger,
        notes=tuple(notes),
    )


def _result(plan: _Plan, record: RoundRecord, *, already: bool) -> dict[str, Any]:
    return {
        "round": record.round,
        "folder": plan.folder,
        "shards": plan.shards,
        "checkpoint": record.checkpoint.model_dump(),
        "already": already,
        **record.counts.model_dump(by_alias=True),
        "groups": [group.model_dump() for group in record.groups],
        "notes": list(record.notes),
    }
