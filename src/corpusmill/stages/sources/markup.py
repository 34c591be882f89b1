"""Books in Markdown and reStructuredText: the source as people wrote it, without what is for the
machine.

Headings, lists, emphasis, tables and code stay in their notation: it is how most text about
software is written, and a model that is to read and write it has to see it. What goes is front
matter (to metadata), comments, definitions of link targets, and the directives of site generators.
For Markdown, markdown-it-py says which lines are code, definitions and headings. For
reStructuredText a scan by indentation does (`rst_blocks`): docutils has no way back from its tree
to the source, knows none of Sphinx's directives, and reads files that a text names.
"""

import datetime
import itertools
import re
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any

from corpusmill.stages.sources import rst_blocks
from corpusmill.stages.sources.book_metadata import tidy
from corpusmill.stages.sources.chapters import Book, merged

_MAX_FRONT_MATTER = 65_536
"""Characters of front matter; more is data."""
_FIELDS = {
    "title": "title",
    "author": "author",
    "authors": "author",
    "creator": "author",
    "date": "date",
    "published": "date",
    "lang": "language",
    "language": "language",
    "licence": "licence",
    "license": "licence",
    "rights": "licence",
    "copyright": "licence",
}
_LARGEST_YEAR = 9999
"""A larger number is nothing that the fields hold."""
_DEEPEST_CHAPTER = 2
"""Level of headings down to which they begin chapters; deeper ones are sections."""

Heading = tuple[int, int]
"""Line and level (from 1)."""


def read_markdown(text: str) -> Book:
    """A book in Markdown (CommonMark, with the front matter of Pandoc, Jekyll or Hugo).

    Links by reference become their text, for their targets are left out.
    """
    from markdown_it import MarkdownIt

    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    metadata, text = _front_matter(text)
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    env: dict[str, Any] = {}
    tokens = parser.parse(text, env)
    lines = text.split("\n")
    references = env.get("references", {})
    definitions = [r["map"] for r in [*references.values(), *env.get("duplicate_refs", [])]]
    left_out = {i for start, end in definitions for i in range(start, end)}
    code: set[int] = set()
    headings: list[Heading] = []
    for token in tokens:
        if token.map is None:
            continue
        if token.type in ("fence", "code_block"):
            code.update(range(*token.map))
            if _MYST_PLUMBING.match(token.info):
                left_out.update(range(*token.map))
        elif token.type == "heading_open" and token.level == 0:
            headings.append((token.map[0], int(token.tag[1:])))
    kept = _cleaned(lines, code, left_out, set(references))
    if headings and "title" not in metadata and [h[1] for h in headings].count(1) == 1:
        line = next(line for line, level in headings if level == 1)
        metadata["title"] = (kept[line] or "").strip(" #")
    return Book(metadata=tidy(metadata), chapters=merged(_chapters(kept, headings)))


def read_rst(text: str) -> Book:
    """A book in reStructuredText, plain or Sphinx's."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    page = rst_blocks.cleaned(text.expandtabs(8).split("\n"))
    metadata: dict[str, str] = {}
    for name, value in page.fields.items():
        if name in _FIELDS and value:
            metadata.setdefault(_FIELDS[name], value)
    if page.title:
        metadata.setdefault("title", page.title)
    return Book(metadata=tidy(metadata), chapters=merged(_chapters(page.lines, page.headings)))


def _chapters(lines: Sequence[str | None], headings: Sequence[Heading]) -> list[str]:
    """Lines (None where one was left out), cut at the highest level of which there are several."""
    levels = [level for _, level in headings]
    level = next((n for n in range(1, _DEEPEST_CHAPTER + 1) if levels.count(n) > 1), 0)
    edges = [0, *(line for line, rank in headings if rank <= level), len(lines)]
    return ["\n".join(_compact(lines[a:b])) for a, b in itertools.pairwise(edges)]


def _compact(lines: Iterable[str | None]) -> list[str]:
    """Lines without the gaps that those left out leave."""
    kept: list[str] = []
    after_gap = False
    for line in lines:
        if line is None:
            after_gap = True
        elif line.strip() or not after_gap or (kept and kept[-1].strip()):
            kept.append(line)
            after_gap = after_gap and not line.strip()
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


_FENCES = {"---": ("---", "..."), "+++": ("+++",)}
_TITLE_BLOCK = re.compile(r"% ?(.*)")


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """Metadata in front of a text, and the text without it."""
    first, _, rest = text.partition("\n")
    closing = _FENCES.get(first.rstrip())
    if closing:
        position = 0
        for line in rest[:_MAX_FRONT_MATTER].split("\n"):
            if line.rstrip() in closing:
                found = _parsed(first.rstrip(), rest[:position])
                if found is None:
                    break
                return _scalars(found), rest[position + len(line) + 1 :]
            position += len(line) + 1
    elif first.startswith("%"):
        lines = text.split("\n", 4)
        names = ("title", "author", "date")
        metadata = {}
        for name, line in zip(names, lines, strict=False):
            block = _TITLE_BLOCK.fullmatch(line)
            if not block:
                break
            metadata[name] = block[1]
        return metadata, "\n".join(lines[len(metadata) :])
    return {}, text


def _parsed(fence: str, text: str) -> dict[str, Any] | None:
    import yaml

    if "<<" in text:  # merged mappings can grow beyond all bounds
        return None
    try:
        found = tomllib.loads(text) if fence == "+++" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _scalars(found: dict[str, Any]) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for key, value in found.items():
        name = _FIELDS.get(str(key).lower()) if isinstance(key, str) else None
        values = value if isinstance(value, list) else [value]
        texts = [text for entry in values[:50] if (text := _scalar(entry))]
        if name and texts:
            metadata.setdefault(name, "; ".join(texts) if name == "author" else texts[0])
    return metadata


def _scalar(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, int) and not 0 <= value <= _LARGEST_YEAR:
        return ""
    return str(value) if isinstance(value, str | int | datetime.date) else ""


_MYST_PLUMBING = re.compile(r"\s*\{(?:toctree|contents|index|include|image|figure|eval-rst)\b")
_PLUMBING = re.compile(
    r"\s*(?:\{%.*%\}|\{\{[<%].*[>%]\}\}|\{:.*\}|\[TOC\]|\[\[_?TOC_?\]\]|:{3,}.*|\\newpage|\\pagebreak)\s*",
    re.IGNORECASE,
)
"""Lines for Jekyll, Hugo, kramdown, Python-Markdown, MyST and Pandoc."""
_ATTRIBUTES = re.compile(r"\{[#.:][^{}]{0,200}\}[ \t]*$")
_ANCHOR = re.compile(r"<a\s+(?:id|name)\s*=\s*[\"'][^\"'<>]{0,200}[\"']\s*(?:/>|>\s*</a>)", re.I)
_LINKS = re.compile(
    r"(?P<code>`{1,3})[^`]*(?P=code)|!?\[(?P<text>[^\[\]\n]{1,500})\](?:\[(?P<label>[^\[\]\n]{0,200})\])?(?![(:])"
)


def _cleaned(
    lines: Sequence[str], code: set[int], left_out: set[int], references: set[str]
) -> list[str | None]:
    """Lines in their places, None for those left out."""
    kept: list[str | None] = []
    in_comment = False
    for i, line in enumerate(lines):
        if i in left_out:
            kept.append(None)
            continue
        if i in code:
            kept.append(line)
            continue
        before = line
        if in_comment or "<!--" in line:
            line, in_comment = _without_comments(line, in_comment)
        if "<a" in line:
            line = _ANCHOR.sub("", line)
        if line.startswith("#") and "{" in line:
            line = _ATTRIBUTES.sub("", line).rstrip()
        if _PLUMBING.fullmatch(line):
            line = ""
        if references and "[" in line:
            line = _LINKS.sub(lambda found: _link(found, references), line)
        kept.append(None if before.strip() and not line.strip() else line)
    return kept


def _without_comments(line: str, inside: bool) -> tuple[str, bool]:
    parts = []
    while line:
        if inside:
            _, found, line = line.partition("-->")
            inside = not found
        else:
            text, found, line = line.partition("<!--")
            parts.append(text)
            inside = bool(found)
    return "".join(parts).rstrip(), inside


def _link(found: re.Match[str], references: set[str]) -> str:
    """A link by reference as its text; anything else as it is."""
    if found["code"]:
        return found[0]
    label = " ".join((found["label"] or found["text"]).split()).upper()
    return found["text"] if label in references and not found[0].startswith("!") else found[0]
