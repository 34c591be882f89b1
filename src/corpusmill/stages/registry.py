"""Every step that a recipe can name: the mill's own in a table, others by their packages' entry
points, and which of both is never in doubt (`corpusmill.plugins`)."""

import functools
import inspect
from importlib import import_module
from typing import TYPE_CHECKING

from corpusmill import plugins

if TYPE_CHECKING:
    from corpusmill.stage import Stage

STAGES = {
    "language": "corpusmill.stages.language:Language",
    "heuristics": "corpusmill.stages.heuristics:Heuristics",
    "deduplicate": "corpusmill.stages.deduplicate:Deduplicate",
    "boilerplate": "corpusmill.stages.boilerplate:Boilerplate",
    "substrings": "corpusmill.stages.substrings:Substrings",
    "quality": "corpusmill.stages.quality:Quality",
    "decontaminate": "corpusmill.stages.decontaminate:Decontaminate",
    "topics": "corpusmill.stages.topics:Topics",
    "toxicity": "corpusmill.stages.toxicity:Toxicity",
    "anonymize": "corpusmill.stages.anonymize:Anonymize",
    "k_anonymity": "corpusmill.stages.k_anonymity:KAnonymity",
    "augment": "corpusmill.stages.augment:Augment",
    "mix": "corpusmill.stages.mix:Mix",
    "tokenize": "corpusmill.stages.tokenize:Tokenize",
}
"""Name in a recipe -> module and class, imported when a recipe names it."""


def stage_class(name: str) -> type["Stage"]:
    """The class of the step that recipes call `name`."""
    plugin = plugins.find("stages", name)
    if plugin is not None:
        return _of_plugin(plugin)
    module, _, attribute = STAGES[name].partition(":")
    found: type[Stage] = getattr(import_module(module), attribute)
    return found


@functools.cache
def _of_plugin(plugin: plugins.Plugin) -> type["Stage"]:
    from corpusmill.stage import GlobalStage, NarrowStage

    found = plugins.load(plugin)
    if not (isinstance(found, type) and issubclass(found, NarrowStage | GlobalStage)):
        raise plugins.refused(
            plugin,
            f"{plugin.target} is no class derived from NarrowStage or GlobalStage of "
            "corpusmill.stage",
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise plugins.refused(plugin, f"{plugin.target} does not define {missing}")
    if getattr(found, "name", None) != plugin.name:
        said = repr(getattr(found, "name", None))
        raise plugins.refused(plugin, f"{plugin.target} has the name {said}: give both the same")
    for setting, kind, least in (
        ("version", int, 0),
        ("batch_rows", int, 1),
        ("isolated", bool, 0),
    ):
        value = getattr(found, setting)
        if type(value) is not kind or value < least:
            raise plugins.refused(
                plugin,
                f"{plugin.target}: {setting}: {value!r} is no {kind.__name__} that it can be",
            )
    return found
