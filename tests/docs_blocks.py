"""The fenced blocks of a page of the documentation, and the commands in them.

A block that a test cannot run has a comment in front of it that says why:

    <!-- not run: needs a Slurm cluster -->
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)$")
NOT_RUN = re.compile(r"^ *<!-- not run: (?P<reason>.+) -->$")
LANGUAGES = frozenset(
    {"sh", "text", "python", "yaml", "json", "dockerfile", "mermaid", "toml", "ini"}
)
"""One word for each: commands are `sh` and what they print is `text`."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: str
    """Path from the repository's root."""
    line: int
    language: str
    text: str
    not_run: str
    """Why it is not run; empty for what is."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a block, as a shell reads it."""

    variables: dict[str, str]
    words: tuple[str, ...]
    output: str
    """The file that its output goes to; empty for none."""


def read_blocks(root: Path, page: str) -> list[Block]:
    """All fenced blocks of a page, in their order."""
    blocks: list[Block] = []
    opened: re.Match[str] | None = None
    body: list[str] = []
    reason, start = "", 0
    for number, line in enumerate((root / page).read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                opened, body, start = fence, [], number
            elif marker := NOT_RUN.match(line):
                reason = marker["reason"]
            elif line.strip():
                reason = ""
        elif fence and not fence["language"] and fence["indent"] == opened["indent"]:
            text = "\n".join(part.removeprefix(opened["indent"]) for part in body) + "\n"
            blocks.append(Block(page, start, opened["language"], text, reason))
            opened, reason = None, ""
        else:
            body.append(line)
    assert opened is None, f"{page}:{start}: a block without an end"
    return blocks


def commands(text: str) -> list[Command]:
    """The commands of a shell block: one on a line, long ones continued by a backslash."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        words = words[1:] if words[:1] == ["export"] else words
        variables = {}
        while words and re.match(r"[A-Z_][A-Z0-9_]*=", words[0]):
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        output = ""
        if ">" in words:
            output = words[words.index(">") + 1]
            words = words[: words.index(">")]
        if words or variables:
            found.append(Command(variables, tuple(words), output))
    return found
