"""What the shell offers when the tabulator is pressed: names and folders, found without importing
more than the command line itself has. Where nothing is offered, shells offer files."""

import glob
import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import typer

from corpusmill import plugins

MOST = 200
"""Things that are offered; more help nobody."""
LARGEST = 1 << 24
"""Bytes of a file that is looked into."""

Complete = Callable[[str], list[str]]

_STAGE = re.compile(r"^\s*-\s+\{?\s*([a-z][a-z0-9_]*)", re.MULTILINE)


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


def stages(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offers the stages of the recipe that stands in the command, else all there are."""
    for path in ctx.params.get("what") or ():
        if str(path).endswith((".yaml", ".yml")):
            _, _, listed = _read(str(path)).partition("\nstages:")
            return sorted({"ingest", *_STAGE.findall(listed)})
    return sorted({"ingest", *plugins.names("stages")})


def rules(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offers the scores that stages of the run have judged by."""
    return sorted({rule for stage in _recorded(ctx) for rule in stage.get("judged_scores") or ()})


def _recorded(ctx: typer.Context) -> Iterator[dict[str, Any]]:
    try:
        record = json.loads(_read(os.path.join(str(ctx.params.get("run") or ""), "run.json")))
        yield from record["stages"]
    except (ValueError, TypeError, KeyError):
        return


def _read(path: str) -> str:
    try:
        if os.path.getsize(path) > LARGEST:
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
