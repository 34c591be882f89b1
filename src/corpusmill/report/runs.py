"""Trainings side by side: what each was asked for, how far it came, and what came of it."""

import os
import statistics
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from corpusmill import storage
from corpusmill.errors import MillError, UsageError
from corpusmill.pretrain.config import WATCHING, ModelSettings, Settings, flatten
from corpusmill.pretrain.cost import parameters
from corpusmill.pretrain.folder import RECORD_FILE, read_record
from corpusmill.pretrain.metrics import scan_metrics
from corpusmill.report.curve import Losses, finite, loss_picture, losses_of
from corpusmill.report.html import render
from corpusmill.tokenize.manifest import TOKENIZER_FILE
from corpusmill.tokenize.vocabulary import load_tokenizer

PICTURES = {".svg": "runs.svg.j2", ".html": "runs.html.j2"}
"""Forms of the picture by the ending of its name."""

SHOWN = frozenset({"steps", "batch", "context"})
"""Settings that stand in the table anyway."""


def runs_data(folders: Sequence[str], picture: str | None = None) -> dict[str, Any]:
    """Compare trainings; `picture` is a file to draw their losses in (.svg or .html).

    A folder that is no training is searched for trainings one level down. Returns {runs: [{name,
    path, steps, steps_taken, finished, tokens, parameters, batch, context, differs: {setting:
    value}, loss, validation_loss, bits_per_byte, sources, tokens_per_second, skipped, seconds,
    unread_lines}], picture}. `loss` is the mean of the last ten steps in nats per token, `seconds`
    those of steps and evaluations, `unread_lines` what of the metrics is damaged; None stands for
    what is not known. Raises UsageError for folders without trainings.
    """
    if picture is not None and os.path.splitext(picture)[1] not in PICTURES:
        raise UsageError(f"{picture}: a picture of runs is a file named .svg or .html")
    paths = _find(folders)
    names = _names(paths)
    settings = []
    compared = []
    for path in paths:
        record = read_record(path)
        settings.append(_settings(path, record))
        values = flatten(settings[-1].model_dump(mode="json"))
        compared.append({**values, "shards": str(record.get("shards_xxh3"))[:8]})
    runs, losses = [], []
    for path, name, asked, differs in zip(paths, names, settings, _differ(compared), strict=True):
        run, lost = _run(path, asked)
        runs.append({"name": name, **run, "differs": differs})
        losses.append((name, lost))
    if picture is not None:
        drawing = loss_picture(losses)
        if drawing is None:
            raise UsageError(f"{picture}: there is nothing to draw: no run has a loss yet")
        page = render(PICTURES[os.path.splitext(picture)[1]], {"picture": drawing, "runs": runs})
        storage.write_atomic(picture, page.strip().encode() + b"\n")
    return {"runs": runs, "picture": picture}


def _find(folders: Sequence[str]) -> list[str]:
    """The training folders meant, each once, in the order in which they were named."""
    found: dict[str, None] = {}
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(f"{folder}: there is no such folder")
        inside = [folder, *sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())]
        if os.path.exists(os.path.join(folder, RECORD_FILE)):
            inside = [folder]
        trainings = [path for path in inside if os.path.exists(os.path.join(path, RECORD_FILE))]
        if not trainings:
            raise UsageError(
                f"{folder}: is no training folder and has none in it ({RECORD_FILE} is missing)"
            )
        found |= dict.fromkeys(map(os.path.normpath, trainings))
    return list(found)


def _names(paths: list[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [os.path.abspath(path).split(os.sep) for path in paths]
    for length in range(1, max(map(len, parts))):
        names = [os.sep.join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return paths


def _settings(path: str, record: dict[str, Any]) -> Settings:
    try:
        return Settings.model_validate(record.get("settings"))
    except ValidationError:
        raise UsageError(
            f"{os.path.join(path, RECORD_FILE)}: has settings that this version does not read"
        ) from None


def _differ(every: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each run the settings in which the runs differ, with its values."""
    names = sorted(every[0].keys() - SHOWN - WATCHING)
    different = [name for name in names if any(e[name] != every[0][name] for e in every)]
    return [{name: settings[name] for name in different} for settings in every]


def _run(path: str, settings: Settings) -> tuple[dict[str, Any], Losses]:
    rows, unread = scan_metrics(path)
    losses = losses_of(rows, unread)
    # of a step that stands there twice the later row counts
    steps = {row["step"]: row for row in rows if "loss" in row}
    taken = max(steps, default=0)
    speeds = [s for row in steps.values() if (s := finite(row.get("tokens_per_second")))]
    spent = [s for row in rows if (s := finite(row.get("seconds"))) is not None]
    return {
        "path": path,
        "steps": settings.steps,
        "steps_taken": taken,
        "finished": taken >= settings.steps,
        "tokens": taken * settings.batch * settings.context,
        "parameters": _parameters(path, settings.model),
        "batch": settings.batch,
        "context": settings.context,
        "loss": losses.last_loss,
        "validation_loss": losses.validation[-1][1] if losses.validation else None,
        "bits_per_byte": losses.bits_per_byte,
        "sources": losses.sources,
        "tokens_per_second": statistics.median(speeds) if speeds else None,
        "skipped": sum(bool(row.get("skipped")) for row in steps.values()),
        "seconds": sum(spent) if spent else None,
        "unread_lines": unread,
    }, losses


def _parameters(path: str, model: ModelSettings) -> int | None:
    """None when the folder has no vocabulary, or one that cannot be read."""
    try:
        size = load_tokenizer(os.path.join(path, TOKENIZER_FILE)).size
        return parameters(model, size)
    except (MillError, OSError, ValueError):
        return None
