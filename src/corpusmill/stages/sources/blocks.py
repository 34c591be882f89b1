"""A page as a list of blocks of text: one walk over its tree.

A block is a run of text that a browser would set apart from its neighbours. Beside its text it
keeps where it stands: the container (the element around it), what that and the elements above it
are and are called, and how much of the text is links. What is a menu and what is the article is
decided from these (`block_features.py`, `block_model.py`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_LINE = "\x0b"
"""Stands for <br> until a block is finished; a control character that no page has left."""

_UNSEEN = frozenset(
    "script style noscript template iframe frame frameset noframes object embed applet svg canvas"
    " audio video map area select option optgroup button textarea input datalist progress meter"
    " head title meta link base param source track img dialog".split()
)
"""Elements whose content a browser does not show as text of the page."""

_INLINE = frozenset(
    "abbr acronym b bdi bdo big blink cite code data del dfn em font i ins kbd label mark nobr q rb"
    " rp rt rtc ruby s samp small span strike strong sub sup time tt u var wbr".split()
)

# What a container is, and is called: bits, of which elements inherit those of the ones above.
ARTICLE, MAIN, HEADER, FOOTER, NAV, ASIDE, FORM, FIGURE, CAPTION = (1 << k for k in range(9))
LIST, TABLE, QUOTE, PRE, HEADING, PARAGRAPH, ITEM, CELL, LINKED = (1 << k for k in range(9, 18))
HINTS_FROM = 18

_TAGS = {
    "article": ARTICLE,
    "main": MAIN,
    "header": HEADER,
    "footer": FOOTER,
    "nav": NAV,
    "aside": ASIDE,
    "form": FORM,
    "fieldset": FORM,
    "figure": FIGURE,
    "figcaption": CAPTION,
    "caption": CAPTION,
    "ul": LIST,
    "ol": LIST,
    "dl": LIST,
    "menu": LIST,
    "table": TABLE,
    "blockquote": QUOTE,
    "pre": PRE,
    "listing": PRE,
    "xmp": PRE,
    "plaintext": PRE,
    "h1": HEADING,
    "h2": HEADING,
    "h3": HEADING,
    "h4": HEADING,
    "h5": HEADING,
    "h6": HEADING,
    "p": PARAGRAPH,
    "li": ITEM,
    "dt": ITEM,
    "dd": ITEM,
    "td": CELL,
    "th": CELL,
}
_ROLES = {
    "main": MAIN,
    "article": ARTICLE,
    "navigation": NAV,
    "menu": NAV,
    "menubar": NAV,
    "banner": HEADER,
    "contentinfo": FOOTER,
    "complementary": ASIDE,
    "search": FORM,
    "dialog": FORM,
    "alertdialog": FORM,
    "form": FORM,
}

_HINTS = (
    # of the article itself
    r"article|content|entry|post|story|text|main|body|blog",
    # discussion
    r"comment|disqus|repl(?:y|ies)|discuss|respond",
    # finding the way
    r"nav|menu|breadcrumb|pagin|pager|sidebar|toolbar|skip|search|masthead|topbar|foot",
    # other articles
    r"relat|recommend|^more$|readmore|also|popular|trend|latest|teaser|recirc|promo|card|widget"
    r"|module|outbrain|taboola|rail$|carousel|slider|tease|list",
    # asking for something
    r"share|sharing|social|follow|subscri|newsletter|signup|paywall|cookie|consent|gdpr|login"
    r"|regist|donat|banner|popup|modal|overlay|alert|notice",
    # advertising
    r"^ads?$|advert|sponsor|commercial|dfp|adslot|affiliate",
    # about the article
    r"author|byline|^bio$|date|time|publish|meta|tags?$|categor|topic|credit|copyright|source"
    r"|keyword|label|info",
    # about a picture
    r"caption|image|photo|picture|galler|media|figure|video|player|thumb",
    # a passage that is set apart
    r"quote|pull|aside|box|callout|highlight|summary|abstract|^lead$|intro|standfirst|dek$",
    # headline
    r"headline|title|heading|header",
    # not shown
    r"hidden|hide|invisible|^sr$|visually|screenreader|noprint|dnone",
)
"""Parts of the words in class names and ids, by what they say; each is one bit."""

NUM_BITS = HINTS_FROM + len(_HINTS) + 1
BODY = 1 << (NUM_BITS - 1)
"""The bit for names like `article-body`, which many publishing systems give to exactly that."""

_EACH_HINT = tuple(re.compile(pattern) for pattern in _HINTS)
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
_WHOSE = frozenset("article story post entry blog news page main rich".split())
_WHAT = frozenset("body content text copy".split())
_MAX_NAME = 200
"""Characters of an element's class and id that are looked at."""

_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclass(slots=True)
class Blocks:
    """The blocks of a page, in order, and its containers, each after the one it stands in."""

    texts: list[str] = field(default_factory=list)
    containers: list[int] = field(default_factory=list)
    """Of each block: the number of its container."""
    linked: list[int] = field(default_factory=list)
    """Of each block: characters inside links."""

    parents: list[int] = field(default_factory=list)
    """Of each container: the number of the one around it; the first is its own."""
    depths: list[int] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    """Of each container: bits of what it is."""
    inherited: list[int] = field(default_factory=list)
    """Of each container: bits of what it and those around it are."""
    signatures: list[int] = field(default_factory=list)
    """Of each container: a number that containers of equal tag and class in a container of equal
    tag and class share."""
    ends: list[int] = field(default_factory=list)
    """Of each container: the number after that of the last container inside."""


def find_blocks(tree: Any) -> Blocks:
    """The blocks of a parsed page (an lxml tree without comments, nested within limits)."""
    blocks = Blocks()
    parents, depths, tags = blocks.parents, blocks.depths, blocks.tags
    own, inherited, signatures, ends = (
        blocks.own,
        blocks.inherited,
        blocks.signatures,
        blocks.ends,
    )
    names: dict[tuple[str | None, str | None], int] = {}
    shapes: dict[tuple[int, str, str | None], int] = {}
    pieces: list[str] = []
    linked = 0
    in_link = False

    def finish(container: int) -> None:
        nonlocal linked
        if not pieces:
            return
        text = "".join(pieces)
        pieces.clear()
        if inherited[container] & PRE:
            text = text.replace(_LINE, "\n").strip("\n") if text.strip() else ""
        elif _LINE in text:
            lines = (" ".join(line.split()) for line in text.split(_LINE))
            text = "\n".join(line for line in lines if line)
        else:
            text = " ".join(text.split())
        if text:
            blocks.texts.append(text)
            blocks.containers.append(container)
            blocks.linked.append(min(linked, len(text)))
        linked = 0

    def enter(element: Any, tag: str, parent: int) -> int:
        name = element.get("class")
        key = (name, element.get("id"))
        bits = names.get(key)
        if bits is None:
            bits = names[key] = hints(*key)
        bits |= _TAGS.get(tag, 0)
        role = element.get("role")
        if role:
            bits |= _ROLES.get(role, 0)
        number = len(parents)
        parents.append(parent)
        depths.append(depths[parent] + 1 if number else 0)
        tags.append(tag)
        own.append(bits)
        inherited.append(bits | (inherited[parent] if number else 0))
        shape = (signatures[parent] if number else -1, tag, name)
        signatures.append(shapes.setdefault(shape, len(shapes)))
        ends.append(0)
        return number

    def walk(element: Any, container: int) -> None:
        nonlocal linked, in_link
        for child in element:
            tag = child.tag
            if tag in _UNSEEN:
                pass
            elif tag == "br":
                if pieces and pieces[-1] == _LINE and not inherited[container] & PRE:
                    finish(container)  # an empty line between two paragraphs
                else:
                    pieces.append(_LINE)
            elif tag == "hr":
                finish(container)
            elif is_hidden(child):
                pass
            elif tag in _INLINE:
                text = child.text
                if text:
                    pieces.append(text)
                    if in_link:
                        linked += len(text)
                walk(child, container)
            elif tag == "a":
                outer, in_link = in_link, True
                text = child.text
                if text:
                    pieces.append(text)
                    linked += len(text)
                walk(child, container)
                in_link = outer
            else:
                finish(container)
                number = enter(child, tag, container)
                text = child.text
                if text:
                    pieces.append(text)
                    if in_link:
                        linked += len(text)
                walk(child, number)
                finish(number)
                ends[number] = len(parents)
            tail = child.tail
            if tail:
                if pieces and pieces[-1] == _LINE and tail.isspace():
                    continue  # a line break between two of them does not part them
                pieces.append(tail)
                if in_link:
                    linked += len(tail)

    root = enter(tree, str(tree.tag), 0)
    if tree.text:
        pieces.append(tree.text)
    walk(tree, root)
    finish(root)
    ends[root] = len(parents)
    return blocks


def is_hidden(element: Any) -> bool:
    """Whether the element itself says that it is not shown."""
    style = element.get("style")
    if style and _HIDDEN.search(style):
        return True
    return element.get("hidden") is not None


def hints(name: str | None, identifier: str | None) -> int:
    """Bits for what class and id tell."""
    whole = f"{(name or '')[:_MAX_NAME]} {(identifier or '')[:_MAX_NAME]}"
    bits = 0
    for part in whole.split():
        bits |= _part_hints(part)
    return bits


@lru_cache(maxsize=50_000)
def _part_hints(part: str) -> int:
    words = [word.lower() for word in _WORD.findall(part)]
    bits = 0
    for word in words:
        bits |= _word_hints(word)
    if not _WHOSE.isdisjoint(words) and not _WHAT.isdisjoint(words):
        bits |= BODY
    return bits


@lru_cache(maxsize=50_000)
def _word_hints(word: str) -> int:
    if word == "articlebody":
        return BODY | 1 << HINTS_FROM
    return sum(
        1 << (HINTS_FROM + k) for k, pattern in enumerate(_EACH_HINT) if pattern.search(word)
    )


def render(blocks: Blocks, keep: Sequence[int] | None = None) -> str:
    """The text of blocks: empty lines between paragraphs, items and table rows on their lines.

    Args:
        blocks: all blocks of the page.
        keep: numbers of those wanted, in order; all unless given.
    """
    parents, own = blocks.parents, blocks.own
    out: list[str] = []
    last = -1
    for number in range(len(blocks.texts)) if keep is None else keep:
        container = blocks.containers[number]
        kind = own[container]
        if out:
            beside = last >= 0 and parents[last] == parents[container]
            same_row = beside and kind & own[last] & CELL
            in_list = beside and kind & own[last] & ITEM
            in_table = (
                kind & own[last] & CELL and parents[parents[last]] == parents[parents[container]]
            )
            if container == last:
                out.append("\n\n")
            elif same_row:
                out.append(" | ")
            else:
                out.append("\n" if in_list or in_table else "\n\n")
        if kind & ITEM and container != last and blocks.tags[container] == "li":
            out.append("- ")
        out.append(blocks.texts[number])
        last = container
    return "".join(out)
