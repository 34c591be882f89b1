"""The recipe of a run with other thresholds in one stage, for `corpusmill plan` and `run`."""

from collections.abc import Mapping
from typing import Any

import yaml

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pipelines.ledger import StageRecord
from corpusmill.plain_yaml import HostileYaml, refuse_hostile
from corpusmill.report.explorer.catalogue import Catalogue
from corpusmill.report.explorer.thresholds import Kept
from corpusmill.report.showing import visible

SETTING = "thresholds"
"""Rule -> threshold in every language, among the settings of a stage that can be told."""
BY_LANGUAGE = "language_thresholds"
"""Language -> rule -> threshold; it comes before SETTING."""
_DEPTH = 32
"""Groups within groups in a recipe, as its reader has it."""


def can_change(stage: StageRecord) -> bool:
    """Whether the thresholds of a stage can be set in a recipe."""
    return SETTING in stage.settings


def changed_recipe(
    catalogue: Catalogue, stage: StageRecord, moved: Mapping[str, float], then: Kept
) -> str:
    """RUN/recipe.yaml with these thresholds in one stage; a comment says what was changed.

    `then` is what the stage keeps with them. A threshold holds in every language, so those that the
    recipe sets for single languages are taken out. Raises UsageError when the stage has no setting
    for it, or the run's recipe is not there or not the one of its record.
    """
    if not can_change(stage):
        raise UsageError(f"{stage.name}: has no setting for the thresholds of its rules")
    path = storage.join(catalogue.run, "recipe.yaml")
    settings, recipe = _settings(path, catalogue.record.stages.index(stage), stage)
    chosen = {name: _plain(threshold) for name, threshold in sorted(moved.items())}
    settings[SETTING] = {**(settings.get(SETTING) or {}), **chosen}
    by_language = {
        language: {name: limit for name, limit in limits.items() if name not in moved}
        for language, limits in (settings.get(BY_LANGUAGE) or {}).items()
    }
    settings[BY_LANGUAGE] = {language: limits for language, limits in by_language.items() if limits}
    lines = [f"The recipe of the run {visible(catalogue.record.name)!r} with other thresholds."]
    for name, threshold in chosen.items():
        rule = stage.judged_scores[name]
        before = "off" if rule["threshold"] is None else f"{_plain(rule['threshold'])}"
        also = ", others by language" if rule["languages"] else ""
        lines.append(f"{stage.name}: {visible(name)}: {threshold} in every language ")
        lines[-1] += f"(was {before}{also})"
    if not chosen:
        lines.append("No threshold was changed.")
    lines.append(f"{stage.name} then keeps {then.documents:,} of the documents that it judges.")
    head = "".join(f"# {line}\n" for line in lines)
    return head + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)


def _settings(path: str, number: int, stage: StageRecord) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of the stage inside the recipe, and the recipe."""
    if not storage.exists(path):
        raise UsageError(f"{path}: is missing, so there is no recipe to change")
    try:
        text = storage.read_bytes(path).decode()
        refuse_hostile(text, _DEPTH)
        recipe = yaml.safe_load(text)
        name, settings = next(iter(recipe["stages"][number - 1].items()))
        if number < 1 or name != stage.name.partition("-")[2] or not isinstance(settings, dict):
            raise ValueError("another recipe")
    except (yaml.YAMLError, HostileYaml, ValueError, LookupError, TypeError, AttributeError):
        raise UsageError(f"{path}: is not the recipe of this run") from None
    return settings, recipe


def _plain(threshold: float) -> int | float:
    """Whole numbers as people write them."""
    return int(threshold) if float(threshold).is_integer() else float(threshold)
