"""Trainings side by side: what each was asked for, how far it came, and what came of it."""

import os
import statistics
from collections.abc import Sequence
from typing import Any

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.report.curve import Losses, finite, loss_chart, losses_of, scan_metrics
from corpusmill.report.html import render

RECORD_FILE = "train.json"

PICTURES = (".svg", ".html")
"""Forms of the picture: the ending of its name."""

SHOWN = frozenset({"steps", "batch", "context"})
"""Settings that stand in the table anyway."""

WATCHING = frozenset({"peak_tflops", "tensorboard", "energy", "country"})
"""Settings that change nothing in what is trained."""


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
    records = [_record(path) for path in paths]
    runs, losses = [], []
    for path, name, record, differs in zip(paths, names, records, _differ(records), strict=True):
        run, lost = _run(path, record)
        runs.append({"name": name, **run, "differs": differs})
        losses.append((name, lost))
    if picture is not None:
        chart = loss_chart(losses)
        if chart is None:
            raise UsageError(f"{picture}: there is nothing to draw: no run has a loss yet")
        if os.path.splitext(picture)[1] == ".svg":
            style = f"<style>{render('drawing.css', {})}svg {{ background: var(--page); }}</style>"
            page = chart.replace("</title>", f"</title>{style}", 1)
        else:
            page = render("runs.html.j2", {"picture": chart, "runs": runs})
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


def _record(path: str) -> dict[str, Any]:
    """train.json, checked as far as it is used here."""
    place = os.path.join(path, RECORD_FILE)
    try:
        record = storage.read_json(place)
    except ValueError:
        record = None
    settings = record.get("settings") if isinstance(record, dict) else None
    if not isinstance(settings, dict) or any(type(settings.get(n)) is not int for n in SHOWN):
        raise UsageError(f"{place}: is not a record of training that this version reads")
    return {**record, "settings": settings}


def _differ(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each run the settings in which the runs differ, with its values; what a run of another
    version does not have is None, and shards count as one setting."""
    every = []
    for record in records:
        flat = _flat(record["settings"])
        every.append({n: v for n, v in flat.items() if n not in SHOWN | WATCHING})
        every[-1]["shards"] = str(record.get("shards_xxh3"))[:8]
    names = sorted({name for settings in every for name in settings})
    different = [n for n in names if any(e.get(n) != every[0].get(n) for e in every)]
    return [{name: settings.get(name) for name in different} for settings in every]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Groups of settings as dotted names."""
    groups = {name: value for name, value in settings.items() if isinstance(value, dict)}
    inner = {f"{group}.{n}": v for group, values in groups.items() for n, v in values.items()}
    return {n: v for n, v in settings.items() if n not in groups} | inner


def _run(path: str, record: dict[str, Any]) -> tuple[dict[str, Any], Losses]:
    rows, unread = scan_metrics(path)
    settings, known = record["settings"], record.get("parameters")
    losses = losses_of(rows, unread)
    # of a step that stands there twice the later row counts
    steps = {row["step"]: row for row in rows if "loss" in row}
    taken = max(steps, default=0)
    speeds = [s for row in steps.values() if (s := finite(row.get("tokens_per_second")))]
    spent = [s for row in rows if (s := finite(row.get("seconds"))) is not None]
    return {
        "path": path,
        "steps": settings["steps"],
        "steps_taken": taken,
        "finished": taken >= settings["steps"],
        "tokens": taken * settings["batch"] * settings["context"],
        "parameters": known if type(known) is int else None,
        "batch": settings["batch"],
        "context": settings["context"],
        "loss": losses.last_loss,
        "validation_loss": losses.validation[-1][1] if losses.validation else None,
        "bits_per_byte": losses.bits_per_byte,
        "sources": losses.sources,
        "tokens_per_second": statistics.median(speeds) if speeds else None,
        "skipped": sum(bool(row.get("skipped")) for row in steps.values()),
        "seconds": sum(spent) if spent else None,
        "unread_lines": unread,
    }, losses
