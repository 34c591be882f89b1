"""reStructuredText by its lines: explicit markup, headings and literal blocks, told by their
indentation."""

import re
from dataclasses import dataclass, field

_MAX_NESTING = 20
"""Directives within one another; what is deeper is no text of people."""

_DIRECTIVE = re.compile(r"(?:\|([^|\n]{1,100})\| )?([\w.+:-]{1,60}?) ?::(?: +(.*))?$")
_OPTION = re.compile(r":[\w -]{1,60}:(?: .*)?$")
_NOTE = re.compile(r"\[(?:#?[\w.-]{0,60}|\*)\](?: +(.*))?$")
_FIELD = re.compile(r":([A-Za-z][\w -]{0,40}):(?: +(.*))?$")
_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}$")

_LEFT_OUT = {
    "toctree", "contents", "index", "include", "literalinclude", "image", "figure", "raw", "meta",
    "highlight", "currentmodule", "module", "default-role", "role", "sectnum", "section-numbering",
    "header", "footer", "tabularcolumns", "target-notes", "sectionauthor", "moduleauthor",
    "codeauthor", "program", "default-domain", "title", "class", "rst-class", "automodule",
    "autoclass", "autofunction", "automethod", "autoattribute", "autodata", "autoexception",
    "autosummary", "unicode", "date", "replace", "youtube", "video", "graphviz", "plot",
    "testsetup", "testcleanup",
}  # fmt: skip
"""Directives without text of their own, docutils' and Sphinx's."""
_LITERAL = {
    "code", "code-block", "sourcecode", "parsed-literal", "math", "doctest", "testcode",
    "testoutput", "prompt", "productionlist", "console", "ipython",
}  # fmt: skip
_TABLES = {"csv-table", "list-table", "table"}
_ADMONITIONS = {
    "attention", "caution", "danger", "error", "hint", "important", "note", "tip", "warning",
    "seealso", "deprecated", "versionadded", "versionchanged", "todo",
}  # fmt: skip

_INLINE = re.compile(
    r"(?P<literal>``[^`]*``)"
    r"|(?::[\w.+:-]{1,60}:)?`(?P<text>[^`<]*)(?:<[^`<>]*>)?`(?:__?(?!\w))?(?::[\w.+:-]{1,60}:)?"
    r"|[ ]?\[(?:\#[\w.-]{0,60}|\d{1,4}|\*)\]_(?!\w)"
    r"|\|(?P<name>[^|\s](?:[^|\n]{0,98}[^|\s])?)\|(?:__?(?!\w))?"
    r"|(?<![\w`_])(?P<word>[^\W_](?:[\w.-]{0,60}[^\W_])?)__?(?![\w`])"
)


@dataclass(kw_only=True)
class Page:
    """What a file holds."""

    lines: list[str | None]
    """None where a line was left out."""
    headings: list[tuple[int, int]]
    """Line (with its line above, where it has one) and level from 1."""
    fields: dict[str, str] = field(default_factory=dict)
    """The field list in front: lower-case names."""
    title: str = ""
    """The only heading of the highest level, if that comes first."""


def cleaned(lines: list[str]) -> Page:
    """A file without plumbing. Lines have no tabs."""
    replacements = _replacements(lines)
    kept = _blocks([line.rstrip() for line in lines], 0)
    page = Page(lines=[], headings=[])
    styles: list[tuple[str, bool]] = []
    in_front = True
    i = 0
    while i < len(kept):
        line, literal = kept[i]
        heading = None if literal or line is None else _heading(kept, i)
        if heading:
            style, length = heading
            if style not in styles:
                styles.append(style)
            level = styles.index(style) + 1
            page.headings.append((len(page.lines), level))
            block = [text or "" for text, _ in kept[i : i + length]]
            page.lines += [_inline(text, replacements) for text in block]
            if len(page.headings) == 1:
                page.title = _inline(block[length - 2].strip(), replacements)
            i += length
            continue
        named = _FIELD.match(line) if in_front and line else None
        if named:
            page.fields[named[1].lower()] = _inline(named[2] or "", replacements)
            page.lines.append(None)
        else:
            in_front = in_front and not line
            page.lines.append(line if literal or not line else _inline(line, replacements))
        i += 1
    if [level for _, level in page.headings].count(1) != 1:
        page.title = ""
    return page


Kept = tuple[str | None, bool]
"""A line, None when it is left out; whether it is literal."""


def _heading(kept: list[Kept], i: int) -> tuple[tuple[str, bool], int] | None:
    """The style (character, whether there is a line above) and length in lines of a heading."""
    texts = [text or "" for text, _ in kept[i : i + 3]]
    over = _ADORNMENT.match(texts[0])
    if over and len(texts) == 3 and texts[1].strip() and texts[2] == texts[0]:
        return ((over[1], True), 3)
    if not over and len(texts) > 1 and texts[0] and not texts[0][0].isspace():
        under = _ADORNMENT.match(texts[1])
        if under and len(texts[1]) >= min(len(texts[0]), 4):
            return ((under[1], False), 2)
    return None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _block_end(lines: list[str], start: int, indent: int) -> int:
    """The line behind an indented block: the first that is indented as little as its marker,
    without the blank lines in front of it."""
    end = last = start
    while end < len(lines) and (not lines[end] or _indent(lines[end]) > indent):
        end += 1
        if lines[end - 1]:
            last = end
    return last


def _blocks(lines: list[str], nesting: int) -> list[Kept]:
    kept: list[Kept] = []
    i = 0
    while i < len(lines):
        line = lines[i]
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        if text == ".." or text.startswith(".. "):
            end = _block_end(lines, i + 1, indent)
            kept += _explicit(text[3:].strip(), lines[i + 1 : end], indent, nesting)
            i = end
        elif text.startswith("__ ") or (text.startswith("_") and _TARGET.match(text)):
            kept.append((None, False))
            i += 1
        elif text.endswith("::"):
            short = text[:-1] if text[:-2].strip() and text[-3] != " " else text[:-2].rstrip()
            kept.append((line[:indent] + short if short else None, False))
            end = _block_end(lines, i + 1, indent)
            kept += [(verbatim, True) for verbatim in lines[i + 1 : end]]
            i = end
        else:
            kept.append((line, False))
            i += 1
    return kept


_TARGET = re.compile(r"_(?:`[^`]+`|[^:`]+): ")


def _explicit(first: str, body: list[str], indent: int, nesting: int) -> list[Kept]:
    """What stays of explicit markup: the line behind `..`, and the indented lines after it."""
    gone: list[Kept] = [(None, False)] * (1 + len(body))
    note = _NOTE.match(first)
    directive = _DIRECTIVE.match(first)
    if nesting >= _MAX_NESTING or not (note or directive):
        return gone  # a comment, a target
    if note:
        return [(" " * indent + (note[1] or ""), False), *_nested(body, indent, nesting)]
    assert directive
    name, argument = directive[2].rpartition(":")[2].lower(), directive[3] or ""
    if directive[1] or name in _LEFT_OUT:
        return gone
    options = 0
    while options < len(body) and _OPTION.match(body[options].lstrip()):
        options += 1
    kept: list[Kept] = [(None, False)] * options
    body = body[options:]
    if name in _LITERAL:
        code = [" " * (indent + 4) + argument] if argument and name == "math" else []
        return [(None, False), *kept, *((line, True) for line in [*code, *body])]
    if name in _TABLES:
        title: list[Kept] = [(" " * indent + argument, False)] if argument else [(None, False)]
        return [*title, *kept, *((line, False) for line in body)]
    if name in _ADMONITIONS:
        argument = f"{name.capitalize()}: {argument}".rstrip()
    opening: Kept = (" " * indent + argument, False) if argument else (None, False)
    return [opening, *kept, *_nested(body, indent, nesting)]


def _nested(body: list[str], indent: int, nesting: int) -> list[Kept]:
    """The body of a directive or note, moved to the left."""
    inner = min((_indent(line) for line in body if line), default=indent)
    return _blocks([line[inner - indent :] for line in body], nesting + 1)


_REPLACE = re.compile(r"\s*\.\. \|([^|\n]{1,100})\| replace:: +(.*)$")


def _replacements(lines: list[str]) -> dict[str, str]:
    """Texts of substitutions; those of a single line, as nearly all are."""
    found = (_REPLACE.match(line) for line in lines if "| replace::" in line)
    return {match[1]: match[2] for match in found if match}


def _inline(line: str, replacements: dict[str, str]) -> str:
    """A line with links and roles as their text, without references of notes."""
    if "`" not in line and "_" not in line and "|" not in line:
        return line

    def text_of(found: re.Match[str]) -> str:
        if found["literal"]:
            return found[0]
        if found["name"]:
            return replacements.get(found["name"], found[0])
        return (
            (found["text"] or "").strip() or found["word"] or ("" if "]_" in found[0] else found[0])
        )

    return _INLINE.sub(text_of, line)
