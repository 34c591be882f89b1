"""What the shell offers when the tabulator is pressed: names and folders, found without importing
more than the command line itself has. Where nothing is offered, shells offer files."""

import glob
import json
import os
from collections.abc import Callable
from itertools import islice

import typer

MOST = 200
"""Things that are offered; more help nobody."""
LARGEST = 1 << 24
"""Bytes of a file that is looked into."""

Complete = Callable[[str], list[str]]


def folders(marker: str) -> Complete:
    """Offers folders that hold a file of that name, and those in the folders here."""

    def complete(incomplete: str) -> list[str]:
        start = glob.escape(incomplete)
        found = (
            os.path.dirname(path)
            for pattern in (f"{start}*/{marker}", f"{start}*/*/{marker}")
            for path in glob.iglob(pattern)
        )
        return sorted(islice(found, MOST))

    return complete


def recipes(incomplete: str) -> list[str]:
    """Offers YAML files, here and in the folders here."""
    start = glob.escape(incomplete)
    patterns = (f"{start}*{deeper}.{end}" for deeper in ("", "/*") for end in ("yaml", "yml"))
    found = (path for pattern in patterns for path in glob.iglob(pattern))
    return sorted(islice(found, MOST))


def stages() -> list[str]:
    """Offers all stages that there are, installed ones included."""
    from corpusmill import plugins

    return sorted({"ingest", *plugins.names("stages")})


def rules(ctx: typer.Context) -> list[str]:
    """Offers the scores that stages of the run have judged by."""
    try:
        record = json.loads(_read(os.path.join(str(ctx.params.get("run") or ""), "run.json")))
        judged = [stage.get("judged_scores") or {} for stage in record["stages"]]
        return sorted({str(rule) for scores in judged for rule in scores})
    except (ValueError, TypeError, KeyError, AttributeError):  # no record of a run
        return []


def _read(path: str) -> str:
    try:
        if os.path.getsize(path) > LARGEST:
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
