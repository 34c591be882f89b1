"""The recipe: what to read and which steps to take, as YAML or as Python, checked as a whole."""

import glob
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from corpusmill import storage
from corpusmill.document import INGEST_SCORE
from corpusmill.errors import UsageError, one_of
from corpusmill.pipelines.engines.settings import EngineSettings
from corpusmill.plain_yaml import HostileYaml, refuse_hostile
from corpusmill.stage import Stage
from corpusmill.stages.registry import stage_class
from corpusmill.stages.sources.source import Source

SCHEMA_MAX_BYTES = 1 << 20
"""A recipe is written by hand; a larger file is something else."""

LARGEST_INTEGER = 1 << 64
"""No setting takes a larger one, and printing some is refused by Python."""

MAX_DEPTH = 32
"""Groups within groups in a recipe; the deepest setting is at 6."""


class Recipe(BaseModel):
    """What to read and which steps to take, in order."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    name: str
    """Letters, digits, `.`, `_` and `-`."""
    seed: int = Field(default=1, ge=0, lt=1 << 63)
    """Decides every choice that is left to chance."""
    part_mb: float = Field(default=64.0, gt=0, le=1024)
    """Megabytes at which sources are split into parts; a worker holds a few parts of text."""
    max_quarantined_ratio: float = Field(default=0.05, ge=0, le=1)
    """A source with more quarantined documents than this share (and than 20) fails the run."""
    limit: int | None = Field(default=None, ge=1)
    """Read at most so many documents, an equal share from each source (`--limit`)."""
    sample: float | None = Field(default=None, gt=0, le=1)
    """Read this share of the documents, chosen by a keyed hash of their ids (`--sample`)."""
    engine: EngineSettings = EngineSettings()
    """Where the work is done; none of it changes the output."""
    sources: tuple[Source, ...] = Field(min_length=1)
    """Where documents come from."""
    stages: tuple[SerializeAsAny[Stage], ...]
    """The steps after ingest, in order."""

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value):
            raise ValueError("must be 1 to 100 letters, digits, dots, underscores or hyphens")
        return value

    @field_validator("stages", mode="before")
    @classmethod
    def _build_stages(cls, value: Any) -> Any:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(v if isinstance(v, Stage) else build_stage(v) for v in value)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "Recipe":
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"sources: the name {name!r} stands twice")
        known = {*names, *(source.kind for source in self.sources)}
        scores = {INGEST_SCORE}
        for number, stage in enumerate(self.stages):
            for score in stage.needed_scores():
                if score not in scores:
                    setting = "quality" if stage.name == "augment" else "keep"
                    raise ValueError(
                        f"stages[{number}].{stage.name}.{setting}: of the scores that earlier "
                        f"stages set, {one_of(score, scores)}"
                    )
            for setting in ("scope", "rarity"):
                by_language = getattr(stage, setting, "") == "language"
                if by_language and not any(s.name == "language" for s in self.stages[:number]):
                    raise ValueError(
                        f"stages[{number}].{stage.name}.{setting}: no earlier stage identifies "
                        "languages"
                    )
            made = stage.derives(self.seed)
            if made and made in [s.derives(self.seed) for s in self.stages[:number]]:
                raise ValueError(
                    f"stages[{number}].{stage.name}.seed: an earlier stage makes the same "
                    "documents: give one of them another seed"
                )
            scores |= set(stage.score_fields())
            for target in stage.for_:
                if target not in known:
                    raise ValueError(
                        f"stages[{number}].{stage.name}.for: source or kind "
                        + one_of(target, known)
                    )
            for setting, named in stage.named_sources().items():
                for source_name in named:
                    if source_name not in names:
                        raise ValueError(
                            f"stages[{number}].{stage.name}.{setting}: source "
                            + one_of(source_name, names)
                        )
        stage_names = [stage.name for stage in self.stages]
        for only_once in ("mix", "tokenize"):
            if stage_names.count(only_once) > 1:
                raise ValueError(f"stages: {only_once!r} can stand only once")
        if "tokenize" in stage_names[:-1]:
            raise ValueError("stages: 'tokenize' must be the last stage")
        if "mix" in stage_names and stage_names[-2:] != ["mix", "tokenize"]:
            raise ValueError("stages: 'mix' must stand directly before 'tokenize'")
        return self

    def to_yaml(self) -> str:
        """The recipe as resolved: every setting written out."""
        plain = self.model_dump(mode="json", exclude={"stages"}, exclude_none=True)
        plain["stages"] = [
            {s.name: s.model_dump(mode="json", by_alias=True, exclude_none=True)}
            for s in self.stages
        ]
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)

    def run(self, out: str, **options: Any) -> Any:
        """Run the recipe into the folder `out`; options as in `corpusmill.pipelines.run.run`."""
        from corpusmill.pipelines.run import run

        return run(self, out, **options)


def build_stage(entry: Any) -> Stage:
    """A stage from its entry in a recipe: `name`, or `{name: settings}`."""
    name, settings = split_entry(entry)
    return stage_class(name).model_validate(settings)


def split_entry(entry: Any) -> tuple[str, Mapping[str, Any]]:
    """Name and settings of a stage's entry."""
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        (name, settings), *_ = entry.items()
        if isinstance(name, str) and (settings is None or isinstance(settings, Mapping)):
            return name, settings or {}
    raise UsageError("a stage is written as `- name: {setting: value}`")


class _Located:
    """YAML as plain values, with the line of every place in it."""

    def __init__(self, text: str, file: str) -> None:
        self.lines: dict[tuple[Any, ...], int] = {}
        self.problems: list[str] = []
        self.file = file
        try:
            refuse_hostile(text, MAX_DEPTH)
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.value = None if node is None else self._build(node, ())
        except HostileYaml as error:
            place = f"{file}: not valid YAML" if error.line is None else f"{file}:{error.line}"
            raise UsageError(f"{place}: {error}") from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UsageError(f"{file}:{line}: not valid YAML: {error.problem}") from None
        except yaml.YAMLError:
            raise UsageError(f"{file}: not valid YAML: unprintable characters") from None
        except (RecursionError, ValueError):
            raise UsageError(
                f"{file}: not valid YAML: a key that is no word, or a number that is too large"
            ) from None

    def _build(self, node: yaml.Node, path: tuple[Any, ...]) -> Any:
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            result: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = self._build(key_node, (*path, "<key>"))
                if not isinstance(key, str):
                    raise ValueError("keys must be strings")
                if key in result:
                    line = key_node.start_mark.line + 1
                    self.problems.append(f"{self.file}:{line}: {key!r} stands twice")
                result[key] = self._build(value_node, (*path, key))
                self.lines[(*path, key)] = key_node.start_mark.line + 1
            return result
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, i)) for i, item in enumerate(node.value)]
        # a constructor of its own: scalars only, by the safe loader's rules
        value = yaml.SafeLoader("").construct_object(node)
        if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
            raise ValueError("too large")
        return value

    def line(self, path: tuple[Any, ...]) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def load_recipe(path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file; every mistake in it is reported at once, each with its line."""
    try:
        if storage.file_size(path) > SCHEMA_MAX_BYTES:
            raise UsageError(f"{path}: too large for a recipe")
        text = storage.read_bytes(path).decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not a recipe: it is not UTF-8 text") from None
    located = _Located(text, path)
    if not isinstance(located.value, dict):
        raise UsageError(f"{path}: a recipe is a YAML mapping with name, sources and stages")
    recipe = check_recipe(located.value, overrides, located)
    return resolve_paths(recipe, os.path.dirname(path))


def resolve_paths(recipe: Recipe, folder: str) -> Recipe:
    """The recipe with absolute paths: relative ones are looked up from the current folder, then
    from the recipe's own."""

    def resolve(path: str) -> str:
        if not storage.is_local(path) or os.path.isabs(path):
            return path
        beside = os.path.join(folder, path)
        return os.path.abspath(beside if not glob.glob(path) and glob.glob(beside) else path)

    def resolve_source(source: Source) -> Source:
        rules = source.rule_files().items()
        update: dict[str, Any] = {name: tuple(map(resolve, paths)) for name, paths in rules}
        return source.model_copy(update={"path": resolve(source.path), **update})

    sources = [resolve_source(source) for source in recipe.sources]
    stages = [stage.with_paths(resolve) for stage in recipe.stages]
    return recipe.model_copy(update={"sources": tuple(sources), "stages": tuple(stages)})


def check_recipe(
    raw: dict[str, Any], overrides: Sequence[str] = (), located: _Located | None = None
) -> Recipe:
    """Build a recipe from plain values; raise one UsageError that lists all problems."""
    problems = list(located.problems) if located else []
    found: list[tuple[int, str]] = []
    raw = json.loads(json.dumps(raw, default=str))  # a copy of our own
    for override in overrides:
        try:
            apply_override(raw, override)
        except UsageError as error:
            problems.append(str(error))

    def report(path: tuple[Any, ...], message: str) -> None:
        line = located.line(path) if located else 0
        place = f"{located.file}:{line}: " if located else ""
        found.append((line, f"{place}{_dotted(path)}: {message}" if path else f"{place}{message}"))

    stages = raw.get("stages")
    built: list[Any] = []
    for i, entry in enumerate(stages if isinstance(stages, list) else []):
        path: tuple[Any, ...] = ("stages", i)
        try:
            name, settings = split_entry(entry)
            path = (*path, name)
            built.append(stage_class(name).model_validate(settings))
        except UsageError as error:
            report(path, str(error))
        except ValidationError as error:
            _report_all(error, path, stage_class(name), report)
    try:
        complete = isinstance(stages, list) and len(built) == len(stages)
        recipe = Recipe.model_validate({**raw, "stages": built if stages is not None else None})
    except ValidationError as error:
        if stages is None and "stages" in raw:
            report(("stages",), "a list of stages is needed; write `stages: []` for none")
        _report_all(error, (), Recipe, report, skip=() if complete else ("stages",))
    problems += [text for _, text in sorted(found, key=lambda item: item[0])]
    if problems:
        raise UsageError("\n".join(dict.fromkeys(problems)))
    return recipe


def _report_all(
    error: ValidationError,
    prefix: tuple[Any, ...],
    model: type[BaseModel],
    report: Any,
    skip: tuple[str, ...] = (),
) -> None:
    for item in error.errors(include_url=False):
        place = item["loc"]
        if place and place[0] in skip and item["type"] != "missing":
            continue
        if item["type"] == "too_short" and item["input"]:
            continue  # there are items, and what is wrong with them is reported
        path = (*prefix, *place)
        fields = _fields(model, place[:-1])
        if item["type"] == "extra_forbidden":
            report(path, f"unknown setting: {one_of(str(place[-1]), fields)}")
        elif item["type"] == "missing":
            report(path, "is missing")
        elif item["type"] == "literal_error":
            allowed = re.findall(r"'([^']*)'", item["ctx"]["expected"])
            report(path, one_of(str(item["input"]), allowed))
        else:
            message = item["msg"].removeprefix("Value error, ")
            within = re.match(r"stages\[(\d+)\]\.(\w+)\.(\w+): ", message)
            if not path and within:  # what was found when the parts were looked at together
                path = ("stages", int(within[1]), within[2], within[3])
                message = message[within.end() :]
            given = item["input"]
            plain = isinstance(given, str | int | float | bool) and repr(given) not in message
            shown = f" (given: {given!r})" if plain else ""
            report(path, message + shown)


def _fields(model: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    """The settings that there are at a place: of a model, or of settings that it nests."""
    if place and place[0] == "sources":
        model = Source
    for step in place:
        field = model.model_fields.get(str(step))
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        nested = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        model = nested[0] if nested else model
    return [f.serialization_alias or name for name, f in model.model_fields.items()]


def _dotted(path: tuple[Any, ...]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one value, `a.b=c`: a setting of the recipe, of a stage or of a source, by name.

    A stage is addressed as `NN-name` or by its name (the last one of that name), with or without
    `stages.` in front; a source as `sources.NAME`.
    """
    address, equals, text = override.partition("=")
    if not equals or not address:
        raise UsageError(f"--set {override}: write it as setting=value")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = text
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        raise UsageError(f"--set {address}: the number is too large")
    steps = address.split(".")
    if steps[0] == "stages":
        steps = steps[1:]
    elif steps[0] == "sources" and len(steps) >= 3:
        name = ".".join(steps[1:-1])  # names may hold dots
        for source in raw.get("sources") or []:
            if isinstance(source, dict) and source.get("name") == name:
                source[steps[-1]] = value
                return
        raise UsageError(f"--set {override}: there is no source {name!r}")
    elif len(steps) == 1:
        allowed = set(Recipe.model_fields) - {"sources", "stages", "engine"}
        if steps[0] not in allowed:
            raise UsageError(f"--set {override}: {one_of(steps[0], allowed)}")
        raw[steps[0]] = value
        return
    elif steps[0] == "engine":
        # names of Spark's settings hold dots
        conf = steps[1:3] == ["spark", "conf"]
        keys = ["spark", "conf", ".".join(steps[3:])] if conf else steps[1:]
        _set_nested(raw, ["engine", *keys], value, override)
        return
    stages: list[Any] = raw["stages"] if isinstance(raw.get("stages"), list) else []
    names = [next(iter(e), "") if isinstance(e, dict) else str(e) for e in stages]
    if not steps or len(steps) < 2:
        raise UsageError(f"--set {override}: write it as STAGE.setting=value")
    number = find_stage(names, steps[0])
    if number is None:
        raise UsageError(f"--set {override}: there is no stage {one_of(steps[0], names)}")
    entry = stages[number]
    if isinstance(entry, str):
        entry = stages[number] = {entry: {}}
    if not isinstance(entry, dict):
        raise UsageError(f"--set {override}: stages[{number}] is not a stage")
    _set_nested(entry, [names[number], *steps[1:]], value, override)


def _set_nested(target: Any, keys: Sequence[str], value: Any, override: str) -> None:
    """Set a value in mappings of mappings; those that are missing are made."""
    for key in keys[:-1]:
        if target.get(key) is None:
            target[key] = {}
        target = target[key]
        if not isinstance(target, dict):
            raise UsageError(f"--set {override}: {key!r} is not a group of settings")
    target[keys[-1]] = value


def find_stage(names: Sequence[str], address: str) -> int | None:
    """The index of the stage addressed as `NN-name` (counted from 01) or as `name` (the last)."""
    match = re.fullmatch(r"(\d\d)-(.+)", address)
    if match:
        number = int(match[1]) - 1
        return number if 0 <= number < len(names) and names[number] == match[2] else None
    return max((i for i, name in enumerate(names) if name == address), default=None)
