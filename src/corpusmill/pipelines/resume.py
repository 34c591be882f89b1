"""What a run finds in its folder: whether it is its own, how far it came, what is to be done again.

The record forgets first and files go then: a kill in between leaves files too many, never too few.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines.ledger import RUN_FILE, RunRecord
from corpusmill.pipelines.plan import make_steps
from corpusmill.pipelines.recipe import Recipe
from corpusmill.pipelines.tombstones import TOMBSTONES_FILE

RECIPE_FILE = "recipe.yaml"


def refuse_foreign(out: str) -> None:
    """Raise UsageError for a folder that holds something and no run."""
    if not storage.is_local(out) or storage.exists(storage.join(out, RUN_FILE)):
        return
    # A run that was killed before its first record leaves its recipe only.
    strangers = {name for name in os.listdir(out) if not name.startswith(".")} - {
        RECIPE_FILE,
        TOMBSTONES_FILE,
    }
    if strangers:
        raise UsageError(
            f"{out} is not empty and not a run folder (it holds {sorted(strangers)[0]!r}): "
            "choose another --out"
        )


def take_over(
    out: str,
    record: RunRecord,
    old: RunRecord,
    recipe: Recipe,
    prints: Sequence[str],
    update: bool,
) -> None:
    """Keep what an earlier run in the folder has finished, if this is the same run."""
    steps = make_steps(recipe)
    fatal, changed = _differences(out, record, old, recipe)
    if fatal:
        listed = "\n".join(f"  {line}" for line in fatal)
        raise UsageError(f"{out} holds another run:\n{listed}\nchoose another --out")
    finished = 0
    for number, stage in enumerate(old.stages):
        same = number < len(steps) and (stage.name, stage.fingerprint) == (
            steps[number].name,
            prints[number],
        )
        if not same:
            if not changed:
                changed.append(f"stage {stage.name}: the content of its files, its key or its code")
            break
        finished = number + 1
    if changed and not update:
        listed = "\n".join(f"  {line}" for line in changed)
        raise UsageError(
            f"{out} holds a run of another version of this recipe:\n{listed}\n"
            "add --update to run the changed stage and what follows it again"
        )
    record.stages = list(old.stages)
    record.parts = old.parts
    record.published = old.published
    record.notes = old.notes
    drop_stages(out, record, finished)
    for stage in old.stages[finished:]:
        for area in ("stages", "ledger"):
            storage.remove(storage.join(out, area, stage.name))


def _differences(
    out: str, record: RunRecord, old: RunRecord, recipe: Recipe
) -> tuple[list[str], list[str]]:
    """What differs from the folder's recipe and inputs: fatally, and such that --update helps."""
    try:
        then = yaml.safe_load(storage.read_bytes(storage.join(out, RECIPE_FILE)))
    except (OSError, yaml.YAMLError):
        raise UsageError(f"{out} has no readable {RECIPE_FILE}: choose another --out") from None
    now = yaml.safe_load(recipe.to_yaml())
    for plain in (then, now):
        plain["sources"] = {source["name"]: source for source in plain["sources"]}
    before, after = dict(_flatten(then)), dict(_flatten(now))
    # Where files lie is not what they are; their content is in the fingerprints.
    places = tuple(
        f"stages[{number}].{stage.name}.{name}"
        for number, stage in enumerate(recipe.stages)
        for name in stage.path_settings
    )
    fatal: list[str] = []
    changed: list[str] = []
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key) or key == "max_quarantined_ratio":
            continue
        if key.startswith("engine."):
            continue
        if key.startswith(places) or (key.startswith("sources.") and key.endswith(".path")):
            continue
        line = f"{key}: {before.get(key, 'not set')} -> {after.get(key, 'not set')}"
        (fatal if key == "name" or key.startswith("sources") else changed).append(line)
    old_files = {(f["source"], f["path"]): f["xxh3"] for f in old.inputs}
    new_files = {(f["source"], f["path"]): f["xxh3"] for f in record.inputs}
    for place in sorted(old_files.keys() | new_files.keys()):
        if old_files.get(place) != new_files.get(place):
            how = "changed" if place in old_files and place in new_files else "removed"
            how = "added" if place not in old_files else how
            fatal.append(f"source {place[0]}: file {place[1]} {how}")
    if len(fatal) > 12:
        fatal = [*fatal[:10], f"... and {len(fatal) - 10} more"]
    return fatal, changed


def _flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):
            yield from _flatten(inner, f"{path}[{i}]")
    else:
        yield path, value


def drop_stages(out: str, record: RunRecord, number: int) -> None:
    """Take stages from `number` on as not yet run; what they published goes, receipts stay.

    The record forgets them first: a kill in between leaves files too many, never too few.
    """
    dropped = [stage.name for stage in record.stages[number:]]
    if not dropped:
        return
    del record.stages[number:]
    record.notes = []
    if record.published in dropped:
        record.published = None
    record.save(out)
    for name in dropped:
        if name.endswith("-tokenize"):
            storage.remove(storage.join(out, "shards"))
            storage.remove(storage.join(out, "stages", name))
    if record.published is None:
        storage.remove(storage.join(out, "documents"))


def drop_only(out: str, record: RunRecord, number: int) -> None:
    """Take one stage, and what follows, as not yet run; what the stage has finished goes too."""
    if number > len(record.stages):
        known = record.stages[-1].name if record.stages else "nothing"
        raise UsageError(f"--only: the stage's input is not recorded; finished so far: {known}")
    again = [stage.name for stage in record.stages[number : number + 1]]
    drop_stages(out, record, number)
    for name in again:
        storage.remove(storage.join(out, "stages", name))


def drop_quarantined(out: str, record: RunRecord) -> None:
    """Take the earliest stage with quarantined documents, and what follows, as not yet run.

    What unfinished stages have judged so far goes too: a stage may have failed for its quarantine.
    """
    counts = [stage.counts.quarantined for stage in record.stages]
    number = next((i for i, n in enumerate(counts) if n), len(counts))
    drop_stages(out, record, number)
    keep = {stage.name for stage in record.stages}
    folder = storage.join(out, "stages")
    for name in os.listdir(folder) if storage.is_local(out) and storage.exists(folder) else []:
        if name not in keep:
            storage.remove(storage.join(folder, name))
