"""The rule groups that `heuristics` can name: those of filters/rules.py, and of other packages."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpusmill import plugins
from corpusmill.filters.features import Family
from corpusmill.filters.rules import FAMILIES, GROUPS, FloatArray, Rule


@dataclass(frozen=True, kw_only=True)
class TextRule(Rule):
    """A rule that looks at the texts themselves, for what `Features` has no measure of."""

    measure: Callable[[pa.Array], FloatArray]
    """From texts (large_string, no nulls); shape [documents], NaN where the rule cannot judge."""


def known_group(name: str) -> str:
    """The name, if there is such a group; for settings."""
    plugins.find("rules", name)
    return name


def rules_of(group: str) -> tuple[Rule, ...]:
    """The rules of a group, in the order in which they are checked."""
    plugin = plugins.find("rules", group)
    return GROUPS[group] if plugin is None else _of_plugin(plugin)


def families_of(group: str) -> frozenset[Family]:
    """What `features.measure` must take for a group."""
    if group in FAMILIES:
        return FAMILIES[group]
    # A plug-in does not say which; none where all of its rules look at texts.
    texts_only = all(isinstance(rule, TextRule) for rule in rules_of(group))
    return frozenset() if texts_only else frozenset(Family)


@functools.cache
def _of_plugin(plugin: plugins.Plugin) -> tuple[Rule, ...]:
    rules = plugins.load(plugin)
    if not isinstance(rules, Sequence) or not rules or not all(isinstance(r, Rule) for r in rules):
        raise plugins.refused(
            plugin, f"{plugin.target} is no tuple of Rule (corpusmill.filters.rules)"
        )
    own = {rule.name for group in GROUPS.values() for rule in group}
    seen: set[Any] = set()
    for rule in rules:
        if not isinstance(rule.name, str) or not plugins.NAME.fullmatch(rule.name):
            raise plugins.refused(
                plugin, f"rule {rule.name!r}: a name is up to 40 small letters, digits and _"
            )
        if rule.name in own or rule.name in seen:
            whose = "one of corpusmill's own" if rule.name in own else "another rule of the group"
            raise plugins.refused(plugin, f"rule {rule.name!r} has the name of {whose}")
        if rule.drops not in ("below", "above") or rule.of_lines or not callable(rule.measure):
            raise plugins.refused(
                plugin,
                f"rule {rule.name!r}: `drops` is 'below' or 'above', `measure` a function, and "
                "`of_lines` for the group c4 only",
            )
        seen.add(rule.name)
    return tuple(rules)
