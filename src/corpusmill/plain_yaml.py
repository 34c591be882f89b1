"""YAML that people write by hand: no aliases, no deep nesting."""

import yaml


class HostileYaml(ValueError):
    """What no hand-written file holds; `line` counts from 1, None where no line is to blame."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


def refuse_hostile(text: str, max_depth: int) -> None:
    """Raise HostileYaml for anchors, aliases and deep nesting, before anything is built.

    A few lines of aliases can stand for more values than there is memory, or for a group that
    contains itself. Raises yaml.YAMLError for what is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > max_depth:
            raise HostileYaml("nested too deeply")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise HostileYaml("anchors and aliases are not allowed", line)
