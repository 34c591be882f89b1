"""The plan of a run: its numbered steps, where it writes barriers, and what each depends on."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from corpusmill import plugins, storage
from corpusmill.errors import UsageError, one_of
from corpusmill.pipelines.ingest import INGEST, no_documents
from corpusmill.pipelines.recipe import Recipe, find_stage
from corpusmill.privacy.keys import load_key
from corpusmill.stage import GlobalStage, NarrowStage, SinkStage, Stage
from corpusmill.stages.k_anonymity import rarer_behind
from corpusmill.stages.sources.extract import Extract
from corpusmill.stages.sources.listing import InputFile, list_inputs
from corpusmill.stages.sources.source import Source


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage in its place."""

    number: int
    name: str
    """NN-name."""
    stage: Stage | None
    """None for ingest."""
    barrier: bool
    """Whether its output is written."""

    def applies_to(self, source: str, kind: str) -> bool:
        """Whether the recipe's `for:` includes documents of this source."""
        targets = self.stage.for_ if self.stage else ()
        return not targets or source in targets or kind in targets


def make_steps(recipe: Recipe, until: str | None = None) -> list[Step]:
    """The steps of a recipe, as far as `until` (a stage's address)."""
    stages: list[Stage | None] = [None, *recipe.stages]
    last = len(stages) - 1
    if until is not None:
        last = stage_number(recipe, until)
    steps = []
    for number in range(last + 1):
        stage = stages[number]
        following = stages[number + 1] if number < last else None
        barrier = (
            not isinstance(stage, NarrowStage)
            or number == last
            or isinstance(following, GlobalStage | SinkStage)
        )
        name = f"{number:02d}-{stage.name}" if stage else INGEST
        barrier = barrier and not isinstance(stage, SinkStage)
        steps.append(Step(number=number, name=name, stage=stage, barrier=barrier))
    return steps


def stage_number(recipe: Recipe, address: str) -> int:
    """The number of the stage addressed as `NN-name` or `name`."""
    if address in ("ingest", INGEST):
        return 0
    names = [stage.name for stage in recipe.stages]
    found = find_stage(names, address)
    if found is None:
        numbered = [f"{i:02d}-{name}" for i, name in enumerate(["ingest", *names])]
        raise UsageError(f"stage {one_of(address, [*numbered, 'ingest', *names])}")
    return found + 1


def score_fields(recipe: Recipe) -> tuple[str, ...]:
    """The scores that the documents of a run carry, sorted."""
    return tuple(sorted({name for stage in recipe.stages for name in stage.score_fields()}))


def with_seed(stage: Stage, seed: int) -> Stage:
    """The stage with the recipe's seed, if it uses one and was not given its own."""
    if "seed" in type(stage).model_fields and "seed" not in stage.model_fields_set:
        return stage.model_copy(update={"seed": seed})
    return stage


def find_inputs(recipe: Recipe, out: str | None = None) -> dict[str, list[InputFile]]:
    """The files of each source, in the order in which sources are read: by name.

    The run's own folder `out` is no input, also where it lies inside one.

    A source may be an empty folder; a path at which there is nothing at all is a mistake, and so
    are sources that have no file between them.
    """
    found = {}
    for source in sorted(recipe.sources, key=lambda source: source.name):
        files = list_inputs(source)
        if out is not None and storage.is_local(out):
            files = [file for file in files if not storage.is_below(file.path, out)]
        found[source.name] = files
        if not found[source.name] and not storage.exists(source.path):
            raise UsageError(f"source {source.name!r}: no file at {source.path}")
    if not any(found.values()):
        raise UsageError(
            "no input: " + "; ".join(no_documents(s, 0, Counter()) for s in recipe.sources)
        )
    return found


def checksum_inputs(
    inputs: Mapping[str, Sequence[InputFile]], known: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The inputs as run.json records them; unchanged files are not read again."""
    checksums = {
        (old["source"], old["path"], old["bytes"], old["mtime_ns"]): old["xxh3"]
        for old in known
        if old["mtime_ns"]
    }
    result = []
    for files in inputs.values():
        for file in files:
            key = (file.source, file.relative, file.bytes, file.mtime_ns)
            if key not in checksums:
                checksums[key] = _content_of(file)
            result.append(
                {
                    "source": file.source,
                    "path": file.relative,
                    "bytes": file.bytes,
                    "xxh3": checksums[key],
                    "mtime_ns": file.mtime_ns,
                }
            )
    return result


def _content_of(file: InputFile) -> str:
    if known := file.content or file.skipped or file.problem:
        return known
    try:
        return storage.checksum_file(file.path)
    except OSError:
        return "unreadable"


def extraction(recipe: Recipe, inputs: Mapping[str, Sequence[InputFile]]) -> Extract:
    """The stage that takes the text out of what is read."""
    names = (file.relative.lower() for files in inputs.values() for file in files)
    return Extract(
        scores=score_fields(recipe),
        sources=tuple(sorted(recipe.sources, key=lambda source: source.name)),
        with_pdf=any(name.endswith(".pdf") for name in names),
    )


def fingerprints(
    recipe: Recipe, steps: Sequence[Step], inputs: Sequence[Mapping[str, Any]]
) -> list[str]:
    """One fingerprint per step: all that its output depends on, and nothing else."""
    sources = [
        {
            **source.model_dump(mode="json", exclude={"path"}),
            **{name: _contents(paths) for name, paths in source.rule_files().items()},
            "files": [[f["path"], f["xxh3"]] for f in inputs if f["source"] == source.name],
        }
        for source in sorted(recipe.sources, key=lambda source: source.name)
    ]
    ingest = {
        "version": Extract.version,
        "seed": recipe.seed,
        "part_mb": recipe.part_mb,
        "limit": recipe.limit,
        "sample": recipe.sample,
        "sources": sources,
        "scores": score_fields(recipe),
        **({"plugins": versions} if (versions := _versions(_extractors(recipe))) else {}),
    }
    result = [_digest(ingest)]
    for step in steps[1:]:
        result.append(step_fingerprint(recipe, step, result[-1]))
    return result


def used_plugins(recipe: Recipe) -> list[plugins.Plugin]:
    """What of other packages a recipe uses, each once."""
    stages = (plugin for stage in recipe.stages for plugin in stage.used_plugins())
    return list(dict.fromkeys((*_extractors(recipe), *stages)))


def _extractors(recipe: Recipe) -> tuple[plugins.Plugin, ...]:
    return plugins.found("extractors", (source.extractor for source in recipe.sources))


def _versions(used: Iterable[plugins.Plugin]) -> list[str]:
    return sorted({f"{plugin.package} {plugin.version}" for plugin in used})


def step_fingerprint(recipe: Recipe, step: Step, before: str) -> str:
    """The fingerprint of a step after ingest, from that of the step before it."""
    assert step.stage is not None
    stage = with_seed(step.stage, recipe.seed)
    settings = stage_settings(stage, recipe.name)
    return _digest(
        [before, step.name, type(stage).version, settings, *_versions(stage.used_plugins())]
    )


def stage_settings(stage: Stage, run: str) -> dict[str, Any]:
    """A stage's settings with the content of its files, a check value of its secrets, and the state
    of what it shares with other runs."""
    settings = stage.model_dump(mode="json", by_alias=True)
    for name, paths in stage.content_files().items():
        *outer, last = name.split(".")
        holder = settings
        for part in outer:
            holder = holder[part]
        holder[last] = stage.outside(run) if name in stage.outside_settings else _contents(paths)
    for name in stage.secret_settings:
        reference = settings.get(name)
        if reference:
            # A check value as payment systems use it: too short to help anyone guess the key.
            digest = hashlib.blake2b(load_key(reference), digest_size=4, person=b"check value")
            settings[name] = digest.hexdigest()
    return settings


def _contents(paths: Sequence[str]) -> list[list[str]]:
    return [[path.rsplit("/", 1)[-1], _content(path)] for path in paths]


def _content(path: str) -> str:
    try:
        if not storage.is_local(path):
            return storage.checksum_file(path)
        return _digest([storage.checksum_file(file) for file in storage.list_files(path)])
    except OSError:
        return "unreadable"


def _digest(value: Any) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(value, sort_keys=True).encode())


def describe(recipe: Recipe) -> dict[str, Any]:
    """The plan for people: steps, barriers, and an estimate of disk; reads no document."""
    steps = make_steps(recipe)
    inputs = find_inputs(recipe)
    extraction(recipe, inputs).check()
    sizes = {name: sum(f.bytes for f in files) for name, files in inputs.items()}
    text = sum(_text_bytes(source, sizes[source.name]) for source in recipe.sources)
    barriers = sum(step.barrier for step in steps)
    shards = any(isinstance(step.stage, SinkStage) for step in steps)
    return {
        "name": recipe.name,
        "sources": [
            {
                "name": source.name,
                "kind": source.kind,
                "files": len(inputs[source.name]),
                "bytes": sizes[source.name],
            }
            for source in recipe.sources
        ],
        "stages": [
            {
                "name": step.name,
                "how": _how(step),
                "for": list(step.stage.for_) if step.stage else [],
                "facts": _facts(recipe, step),
                "writes": step.barrier or isinstance(step.stage, SinkStage),
            }
            for step in steps
        ],
        "estimated_disk_bytes": int(text * PARQUET_RATIO * barriers + text * TOKEN_RATIO * shards),
    }


def _facts(recipe: Recipe, step: Step) -> list[str]:
    if step.stage is None:
        return [str(plugin) for plugin in dict.fromkeys(_extractors(recipe))]
    others = [str(plugin) for plugin in step.stage.used_plugins()]
    return [*others, *step.stage.facts(), *rarer_behind(recipe.stages[step.number - 1 :])]


PARQUET_RATIO = 0.45
"""Bytes of a barrier for one byte of text: zstd at level 3 on English prose."""
TOKEN_RATIO = 0.5
"""Bytes of shards for one byte of text: two for a token of some four characters."""


def _text_bytes(source: Source, size: int) -> float:
    # Extraction leaves about a tenth of HTML; archives of it are compressed some five times.
    return size * {"web": 0.5, "book": 1.0, "code": 1.0}[source.kind]


def _how(step: Step) -> str:
    if step.stage is None:
        return "reads the sources"
    if isinstance(step.stage, SinkStage):
        return "global, ends the line"
    return "global" if isinstance(step.stage, GlobalStage) else "narrow"
