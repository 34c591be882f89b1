"""A page as a list of blocks of text: one walk over its tree.

A block is a run of text that a browser would set apart from its neighbours. Beside its text it
keeps where it stands: the container (the element around it), what that and the elements above it
are and are called, and how much of the text is links. What is a menu and what is the article is
decided from these (`block_features.py`, `block_model.py`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_LINE = "\x0b"
"""Stands for <br> until a block is finished; a control character that no page has left."""

_UNSEEN, _BREAK, _RULE, _INLINE, _LINK, _SET_APART = range(6)


def _each(names: str, kind: int) -> dict[str, int]:
    return dict.fromkeys(names.split(), kind)


_KINDS = {
    "a": _LINK,
    "br": _BREAK,
    "hr": _RULE,
    # what a browser does not show as text of the page
    **_each("script style noscript template iframe frame frameset noframes object embed", _UNSEEN),
    **_each("applet svg canvas audio video map area select option optgroup button", _UNSEEN),
    **_each("textarea input datalist progress meter head title meta link base param", _UNSEEN),
    **_each("source track img dialog", _UNSEEN),
    # what stands in a line with the text around it
    **_each("abbr acronym b bdi bdo big blink cite code data del dfn em font i ins kbd", _INLINE),
    **_each("label mark nobr q rb rp rt rtc ruby s samp small span strike strong sub sup", _INLINE),
    **_each("time tt u var wbr", _INLINE),
}
"""How each element stands to the text around it; all others are set apart from it."""

_ARTICLE_KINDS = {**_KINDS, "nav": _RULE, "footer": _RULE}
"""The same where menus are of no interest: they part what is before from what is after."""

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
_WHOSE = frozenset(("article", "story", "post", "entry", "blog", "news", "page", "main", "rich"))
_WHAT = frozenset(("body", "content", "text", "copy"))
_MAX_NAME = 200
"""Characters of an element's class and id that are looked at."""

_Said = Mapping[str, str]
"""Attributes of an element."""
_NOTHING: _Said = {}

_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a page, in order, and its containers, each after the one it stands in."""

    texts: Sequence[str]
    containers: Sequence[int]
    """Of each block: the number of its container."""
    linked: Sequence[int]
    """Of each block: characters inside links."""

    parents: Sequence[int]
    """Of each container: the number of the one around it; the first is its own."""
    depths: Sequence[int]
    tags: Sequence[str]
    own: Sequence[int]
    """Of each container: bits of what it is."""
    inherited: Sequence[int]
    """Of each container: bits of what it and those around it are."""
    signatures: Sequence[int]
    """Of each container: a number that containers of equal tag and class in a container of equal
    tag and class share."""
    ends: Sequence[int]
    """Of each container: the number after that of the last container inside."""


def find_blocks(tree: Any, *, all_text: bool = False) -> Blocks:
    """The blocks of a parsed page (an lxml tree without comments, nested within limits).

    Without `all_text`, `nav` and `footer` are passed over. After parsing it is the dearest part of
    extraction: hence the table of kinds, the names for calls, and the care for empty text.
    """
    texts: list[str] = []
    containers: list[int] = []
    links: list[int] = []
    # of each container: parent, depth, tag, bits, inherited bits, signature
    rows: list[tuple[int, int, str, int, int, int]] = []
    ends: list[int] = []
    names: dict[tuple[str | None, str | None], int] = {}
    shapes: dict[tuple[int, str, str | None], int] = {}
    pieces: list[str] = []
    add, tag_bits, role_bits = pieces.append, _TAGS.get, _ROLES.get
    kind_of = _KINDS.get if all_text else _ARTICLE_KINDS.get
    linked = 0
    in_link = False

    def finish(container: int, bits: int) -> None:
        nonlocal linked
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        pieces.clear()
        if bits & PRE:
            text = text.replace(_LINE, "\n").strip("\n") if text.strip() else ""
        elif _LINE in text:
            lines = (" ".join(line.split()) for line in text.split(_LINE))
            text = "\n".join(line for line in lines if line)
        else:
            text = " ".join(text.split())
        if text:
            texts.append(text)
            containers.append(container)
            links.append(min(linked, len(text)))
        linked = 0

    def walk(elements: Any, container: int, depth: int, bits: int, shape: int) -> None:
        """Walk through elements that stand in one container: an element's children, or the root."""
        nonlocal linked, in_link
        for child in elements:
            tag = child.tag
            # the root is a container whatever it is, and hides nothing: a script will show it
            kind = kind_of(tag, _SET_APART) if rows else _SET_APART
            # all attributes in one call, which costs no more than to ask for one of them
            pairs = child.items() if kind >= _INLINE else None
            said = dict(pairs) if pairs else _NOTHING
            if said and rows and is_hidden(said):
                pass
            elif kind == _SET_APART:
                if pieces:
                    finish(container, bits)
                name = None
                own = tag_bits(tag, 0)
                if said:
                    name = said.get("class")
                    key = (name, said.get("id"))
                    hinted = names.get(key)
                    if hinted is None:
                        hinted = names[key] = hints(*key)
                    own |= hinted
                    if "role" in said:
                        own |= role_bits(said["role"], 0)
                number = len(rows)
                its_shape = shapes.setdefault((shape, tag, name), len(shapes))
                rows.append((container, depth, tag, own, bits | own, its_shape))
                ends.append(0)
                text = child.text
                if text and not text.isspace():
                    add(text)
                    if in_link:
                        linked += len(text)
                if len(child):
                    walk(child, number, depth + 1, bits | own, its_shape)
                if pieces:
                    finish(number, bits | own)
                ends[number] = len(rows)
            elif kind >= _INLINE:
                outer = in_link
                in_link = outer or kind == _LINK
                text = child.text
                if text and (pieces or not text.isspace()):
                    add(text)
                    if in_link:
                        linked += len(text)
                if len(child):
                    walk(child, container, depth, bits, shape)
                in_link = outer
            elif kind == _BREAK:
                if pieces and pieces[-1] == _LINE and not bits & PRE:
                    finish(container, bits)  # an empty line between two paragraphs
                elif pieces or bits & PRE:
                    add(_LINE)
            elif kind == _RULE and pieces:
                finish(container, bits)
            tail = child.tail
            # space goes before nothing, and a break after a break is one whatever is between
            if tail and not (tail.isspace() and (not pieces or pieces[-1] == _LINE)):
                add(tail)
                if in_link:
                    linked += len(tail)

    walk((tree,), 0, 0, 0, -1)
    parents, depths, tags, own, inherited, signatures = zip(*rows, strict=True)
    return Blocks(
        texts=texts,
        containers=containers,
        linked=links,
        parents=parents,
        depths=depths,
        tags=tags,
        own=own,
        inherited=inherited,
        signatures=signatures,
        ends=ends,
    )


def is_hidden(said: _Said) -> bool:
    """Whether an element says by its attributes that it is not shown."""
    return "hidden" in said or ("style" in said and _HIDDEN.search(said["style"]) is not None)


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
