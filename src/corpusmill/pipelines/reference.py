"""The reference of settings in the documentation, from the models that check recipes.

`python -m corpusmill.pipelines.reference` writes the tables of docs/recipe.md anew, between its two
marks; what stands around them is written by hand. A test fails when the page is not what it would
write.
"""

import json
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines.engines.settings import EngineSettings
from corpusmill.pipelines.recipe import Recipe
from corpusmill.pretrain.config import Settings as TrainingSettings
from corpusmill.stage import Stage
from corpusmill.stages.registry import STAGES, stage_class
from corpusmill.stages.sources.source import Source

BEGIN = "<!-- settings: written by python -m corpusmill.pipelines.reference -->"
END = "<!-- settings: end -->"

PAGES = {
    "boilerplate": "deduplicate.md#lines-paragraphs-and-passages",
    "substrings": "deduplicate.md#lines-paragraphs-and-passages",
    "anonymize": "privacy.md",
    "tokenize": "vocabulary.md",
}
"""Where a stage is explained, if not on the page of its name."""

OF_THE_RECIPE = {"sources": "source", "engine": "engine"}
"""Setting of a recipe -> the section with its settings."""

LONGEST_LIST = 8
"""Values of a default that are written out; of longer lists the first two and their number."""

LARGEST_NUMBER = 1 << 53
"""Limits from here on keep numbers within 64 bits and say nothing to people."""

PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}


@dataclass(frozen=True)
class Section:
    """A table of the page: the settings of one model."""

    title: str
    level: int
    """Of its heading."""
    model: type[BaseModel]
    intro: str = ""


def reference() -> str:
    """The tables of the page, as Markdown."""
    return "\n\n".join(_section_text(section) for section in sections())


def sections() -> Iterator[Section]:
    """Every model that has settings, in the order of the page."""
    yield Section("recipe", 2, Recipe, "What stands at the top level of the file.")
    yield from _with_nested(Section("source", 2, Source, "Pages: [what can be read](sources.md)."))
    for name in STAGES:
        model = stage_class(name)
        page = PAGES.get(name, f"{name}.md")
        summary = " ".join((model.__doc__ or "").split("\n\n")[0].split())
        intro = f"{_plain(summary).rstrip('.')}. [How it works]({page})."
        yield from _with_nested(Section(name, 2, model, intro))
    intro = "Under `engine:` in a recipe. None of them changes the output. [Engines](engines.md)."
    yield from _with_nested(Section("engine", 2, EngineSettings, intro))
    intro = (
        "Of `corpusmill train`: in the YAML file of `--config`, or by `--set name=value`, which "
        "wins; `--set model.layers=8` for those of the model. [Training](training.md)."
    )
    yield from _with_nested(Section("training", 2, TrainingSettings, intro))


def _with_nested(section: Section) -> Iterator[Section]:
    yield section
    for name, field in section.model.model_fields.items():
        for model in _models(field.annotation):
            yield from _with_nested(Section(f"{section.title}.{name}", 3, model, _doc(model)))


def _doc(model: type[BaseModel]) -> str:
    return _plain(" ".join((model.__doc__ or "").split("\n\n")[0].split()))


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models of settings that a field is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _section_text(section: Section) -> str:
    heading = f"{'#' * section.level} {section.title}"
    parts = [heading, section.intro, table(section)]
    return "\n\n".join(part for part in parts if part)


def table(section: Section) -> str:
    """The settings of a section: name, type with what is allowed, default and meaning."""
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    lines += [_row(section, name, field) for name, field in section.model.model_fields.items()]
    return "\n".join(lines)


def _row(section: Section, name: str, field: FieldInfo) -> str:
    label = field.serialization_alias or name
    if Stage in _models(field.annotation):
        kind = "list of stages, below"
    elif _models(field.annotation):
        title = OF_THE_RECIPE[name] if section.model is Recipe else f"{section.title}.{name}"
        kind = f"{'list of ' if _is_list(field.annotation) else ''}[settings](#{_anchor(title)})"
    else:
        kind = _kind(field.annotation, field.metadata)
    default = _default(field.get_default(call_default_factory=True))
    meaning = _plain(" ".join((field.description or "").split()))
    return f"| `{label}` | {kind} | {default} | {meaning} |"


def _anchor(title: str) -> str:
    """The anchor that Markdown makes of a heading."""
    return re.sub(r"[^\w-]", "", title.lower())


def _is_list(annotation: Any) -> bool:
    parts = [annotation, *get_args(annotation)]
    return any(get_origin(part) is tuple for part in parts)


def _kind(annotation: Any, limits: list[Any]) -> str:
    """The type of a setting, with what is allowed, in words."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        nested = [
            limit for m in more for limit in (m.metadata if isinstance(m, FieldInfo) else [m])
        ]
        return _kind(inner, [*limits, *nested])
    if origin in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return " or ".join(dict.fromkeys(_kind(part, limits) for part in parts))
    if origin is Literal:
        values = [f"`{value}`" for value in get_args(annotation)]
        return f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else values[0]
    if origin is tuple:
        at_least = "; at least one" if _limit(limits, "min_length") else ""
        return f"list of {_kind(get_args(annotation)[0], [])}{at_least}"
    if origin is dict:
        key, value = get_args(annotation)
        return f"map from {_kind(key, [])} to {_kind(value, [])}"
    return f"{PLAIN[annotation]}{_bounds(limits)}"


def _bounds(limits: list[Any]) -> str:
    low, over = _limit(limits, "ge"), _limit(limits, "gt")
    high, under = _limit(limits, "le"), _limit(limits, "lt")
    high = None if high is not None and high >= LARGEST_NUMBER else high
    under = None if under is not None and under >= LARGEST_NUMBER else under
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    words = [
        f"at least {low:,}" if low is not None else "",
        f"more than {over:,}" if over is not None else "",
        f"at most {high:,}" if high is not None else "",
        f"less than {under:,}" if under is not None else "",
    ]
    said = [word for word in words if word]
    return f", {' and '.join(said)}" if said else ""


def _limit(limits: list[Any], name: str) -> Any:
    found = [getattr(limit, name) for limit in limits if getattr(limit, name, None) is not None]
    return found[-1] if found else None


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "(needed)"
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, (tuple, list)) and len(value) > LONGEST_LIST:
        return f"`{json.dumps(value[:2])[:-1]}, ...]`, all {len(value)}"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _plain(text: str) -> str:
    """Text of a docstring for a cell: nothing of it is HTML, or ends the cell."""
    parts = text.split("`")
    for number, part in enumerate(parts):
        if number % 2 == 0:
            parts[number] = part.replace("<", "&lt;").replace("|", "&#124;")
        elif "|" in part:
            parts[number] = f"<code>{escape(part).replace('|', '&#124;')}</code>"
        else:
            parts[number] = f"`{part}`"
    return "".join(parts)


def page_with_reference(page: str, path: str) -> str:
    """The page with its tables written anew. Raises UsageError where it has not both marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{path}: needs the lines {BEGIN!r} and {END!r}, the tables in between")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def main(arguments: list[str]) -> None:
    """Write the tables of the page that is named, or of docs/recipe.md."""
    path = arguments[0] if arguments else "docs/recipe.md"
    page = storage.read_bytes(path).decode()
    storage.write_atomic(path, page_with_reference(page, path).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
