"""Every step that a recipe can name: listed, not discovered, so that what runs is in plain view."""

from importlib import import_module

from corpusmill.errors import UsageError, one_of
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


def stage_class(name: str) -> type[Stage]:
    """The class of the step that recipes call `name`."""
    if name not in STAGES:
        raise UsageError(f"stage {one_of(name, STAGES)}")
    module, _, attribute = STAGES[name].partition(":")
    found: type[Stage] = getattr(import_module(module), attribute)
    return found
