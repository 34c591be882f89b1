"""From files and folders to a recipe: what is there, what kind it is, what the default does."""

import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import yaml

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines.recipe import Recipe, check_recipe, load_recipe, resolve_paths
from corpusmill.stages.sources import git_trees

WEB = re.compile(
    r"\.(warc|arc|wet|html?|xhtml|jsonl|ndjson|parquet|arrow|feather|csv)(\.(gz|zst))?$", re.I
)
BOOK = re.compile(r"\.(epub|pdf|txt|text|md|markdown|rst)(\.(gz|zst))?$", re.I)
CODE = re.compile(
    r"\.(py|pyi|pyx|ipynb|js|jsx|mjs|ts|tsx|c|h|cc|cpp|cxx|hh|hpp|cs|java|kt|scala|go|rs|rb|php|pl"
    r"|lua|r|jl|swift|m|mm|sh|bash|zsh|sql|hs|ml|ex|exs|erl|clj|lisp|el|vim|f90|asm|s|v|vhd|dart"
    r"|toml|cfg|ini|cmake|gradle|proto|tar|tgz|zip|bz2|xz)$",
    re.I,
)
MAGIC = {b"WARC/": "web", b"PK\x03\x04": "code"}


def recipe_for(what: Sequence[str], overrides: Sequence[str]) -> tuple[Recipe, list[str]]:
    """The recipe that `corpusmill run WHAT...` means, and what to tell the user about it."""
    recipes = [path for path in what if path.lower().endswith((".yaml", ".yml"))]
    if recipes:
        if len(what) > 1:
            raise UsageError(f"{recipes[0]} is a recipe: give one recipe, or inputs without one")
        return load_recipe(what[0], overrides), []
    raw, notes = default_recipe(what)
    return resolve_paths(check_recipe(raw, overrides), "."), notes


def default_recipe(inputs: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The default recipe for these inputs, as plain values."""
    sources, notes = find_sources(inputs)
    stages, left_out = default_stages({source["kind"] for source in sources})
    return {"name": "one-shot", "sources": sources, "stages": stages}, notes + left_out


def default_stages(kinds: set[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The default recipe's stages for these kinds of documents, and which it leaves out."""
    stages, notes = [], []
    for entry in yaml.safe_load(_default_text())["stages"]:
        (name, settings), *_ = entry.items()
        wanted = set(settings.get("for", ()))
        if wanted and not wanted & kinds:
            notes.append(f"{name} for {', '.join(sorted(wanted))}: no such source, left out")
        else:
            stages.append(entry)
    return stages, notes


def _default_text() -> str:
    return (files("corpusmill") / "pipelines" / "recipes" / "default.yaml").read_text("utf-8")


def find_sources(inputs: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """One source for each input, named by its base name and numbered where names clash.

    Independent of the order in which the inputs are given.
    """
    unique = sorted({os.path.realpath(p) if storage.is_local(p) else p for p in inputs})
    sources: list[dict[str, Any]] = []
    notes: list[str] = []
    names: set[str] = set()
    for path in unique:
        if storage.is_local(path) and not os.path.exists(path):
            raise UsageError(f"{path}: there is no such file or folder")
        base = re.sub(r"[^A-Za-z0-9._-]", "-", path.rstrip("/").rsplit("/", 1)[-1])[:90] or "root"
        numbered = (f"{base}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([base], numbered) if name not in names)
        names.add(name)
        kind = find_kind(path)
        sources.append({"name": name, "kind": kind, "path": path})
        notes.append(f"{name}: read as {kind}")
    return sources, notes


def find_kind(path: str) -> str:
    """`web`, `book` or `code`: what most files there are, by name and, failing that, by magic."""
    votes: Counter[str] = Counter()
    for file in storage.list_files(path)[:10_000]:
        folder, _, name = file.rpartition("/")
        if name == "HEAD" and storage.is_local(path) and git_trees.is_repository(folder):
            votes["code"] += 1  # a bare repository; the files of a checkout speak for themselves
            continue
        if "/.git/" in file or "/__pycache__/" in file:
            continue
        for kind, pattern in (("web", WEB), ("book", BOOK), ("code", CODE)):
            if pattern.search(file):
                votes[kind] += 1
                break
        else:
            votes[_kind_by_magic(file)] += 1
    del votes[""]
    # Ties go to the kind that reads the others' files best.
    return max(("web", "book", "code"), key=lambda kind: votes[kind]) if votes else "web"


def _kind_by_magic(file: str) -> str:
    try:
        with storage.open_read(file) as stream:
            head = stream.read(8)
    except OSError:
        return ""
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")


def commented_recipe(paths: Sequence[str]) -> tuple[str, list[str]]:
    """The text of a recipe for the data at `paths`, with comments, and what was found there."""
    raw, notes = default_recipe(paths)
    kept = {(name, str(s.get("for"))) for entry in raw["stages"] for name, s in entry.items()}
    lines = [
        "# A recipe for corpusmill: what to read, and which steps to take.",
        "# Check it with `corpusmill plan`, run it with `corpusmill run`.",
        "name: my-corpus",
        "seed: 1                         # decides every choice that is left to chance",
        "part_mb: 64                     # sources are split into parts of this size",
        "max_quarantined_ratio: 0.05     # a source with more unreadable documents fails the run",
        "sources:",
    ]
    for source in raw["sources"]:
        lines.append("  - " + yaml.safe_dump(source, default_flow_style=True, width=10_000).strip())
    comments: list[str] = []
    for line in _default_text().splitlines():
        if line.startswith("stages:"):
            lines.append(line)
        elif line.startswith("  #"):
            comments.append(line)
        elif line.startswith("  - "):
            (name, settings), *_ = yaml.safe_load(line)[0].items()
            if (name, str(settings.get("for"))) in kept:
                lines += [*comments, line]
            comments = []
    return "\n".join(lines) + "\n", notes
