"""Whole addresses: what belongs to a street's address before and after it, and addresses without
a word for street.

Recognizers and models find pieces: a street, a flat, a postcode with its town. The pieces of one
address are joined here, over line ends, quotation marks of mail and commas. Every look is bounded
(REACH), so the cost is linear in the text and in the number of pieces.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from corpusmill.privacy import address_parts as parts
from corpusmill.privacy.address_parts import HOUSE, MARK, SMALL, UNIT_WORDS, WORDS
from corpusmill.privacy.finding import ANNOUNCED, PLAUSIBLE, SHAPED, Finding

ENTITY = "STREET_ADDRESS"
REACH = 160
"""Characters after a street in which its address ends, and in which a word before announces it."""

_SHAPE = re.compile(rf"(?<![\w.,/$€£%-])(?:\d{{1,6}} )?(?:{SMALL}\.? )?{WORDS},? {HOUSE}\.?")
"""`Dlouhá 12`, `641 Dašická 688`: an address only where more speaks for it."""

_BREAK = re.compile(
    r"(?:[ \t\u00a0]{0,4},)?(?:[ \t\u00a0]{1,4}|[ \t]{0,4}\n[ \t]{0,12}(?:>{1,3}|\?{2,3}|\|"
    r"|\*)?[ \t]{0,4}(?:,[ \t]{0,2})?){1,2}|,| ?[/–-] "
)
_ANNOUNCED = re.compile(
    r"(?:\baddress(?:es)?\b|\blocated\b|\blive[sd]? (?:at|in|on)\b|\blives (?:at|in|on)\b"
    r"|\bresid(?:es|ing|ent) (?:at|of)\b"
    r"|\boffices? (?:is|are)\b|\bmoved to\b|\bship(?:ped)? to\b|\bdeliver(?:ed)? to\b"
    r"|\bsent to\b|\bsend\b.{1,30}\bto\b"
    r"|\bmeet\b.{0,20}\b(?:me|you|at)\b|\bcorner of\b|\banschrift\b|\badress[ae]?\b|\badres\b"
    r"|\bwohnhaft\b|\bwohnt\b"
    r"|\badresse\b|\bdomicili\w*|\bdemeurant\b|\bhabite\b|\bdirecci[óo]n\b|\bresidente\b"
    r"|\breside\b|\bvive en\b"
    r"|\bindirizzo\b|\bresidenza\b|\babita\b|\bendereço\b|\bmorada\b|\bmora n[ao]\b"
    r"|\bzamieszka\w+|\bwoont\b|\bbydliště\b"
    r"|\bosoit\w+|\bcím\w*|\badres\w*|\bbydl\w+|\bmieszka\w+|\bwohne\b|\babito\b|\bmoro\b"
    r"|\bvivo en\b|\blocuiesc\b|\bbo[rd] (?:på|i)\b|\basun\b"
    r"|\bадрес\w*|\bпрожива\w+)[^\n.!?]{0,40}\s{0,8}\Z",
    re.IGNORECASE,
)
_CORNER_BEFORE = re.compile(rf"(?:the )?corner of (?:{WORDS} and )?\Z")
_CORNER_AFTER = re.compile(rf"(?: (?:[Ss]t|[Ss]tr|[Ss]treet)\.?)? and {WORDS}")
_JOIN = re.compile(
    rf"(?:[\s,;:>?|*()/#-]|\.(?!\s)){{0,16}}(?:(?:{MARK}|(?i:{UNIT_WORDS})\b\.?)[ .#]{{0,3}})?"
)


def shaped_addresses(text: str) -> Iterator[Finding]:
    """Name and house number with more that speaks for an address: a flat, a postcode with its
    region or town, or a word that announces an address."""
    for match in _SHAPE.finditer(text):
        start, street = match.span()
        end, sure = tail(text, street)
        if sure:
            yield Finding(start, end, ENTITY, SHAPED, "shaped_addresses")
        elif _ANNOUNCED.search(text, max(0, start - 80), start):
            yield Finding(start, end, ENTITY, ANNOUNCED, "shaped_addresses")


def typed_addresses(text: str) -> Iterator[Finding]:
    """A word for street, in any of many languages, with a name and a number, or with what else
    speaks for an address."""
    for match in parts.TYPED.finditer(text):
        start, street = match.span()
        end, sure = tail(text, street)
        sure = bool(sure or match["marked"] or match["none"])
        if sure or (match["sure"] and (match["house"] or end > street)):
            yield Finding(start, end, ENTITY, SHAPED if sure else PLAUSIBLE, "typed_addresses")


def american_addresses(text: str) -> Iterator[Finding]:
    """`641 Ilona Locks`: words that are no word for street to most, where an address is due."""
    for match in parts.AMERICAN.finditer(text):
        start, street = match.span()
        end, sure = tail(text, street)
        if sure or _ANNOUNCED.search(text, max(0, start - 80), start):
            yield Finding(start, end, ENTITY, ANNOUNCED, "american_addresses")


def tail(text: str, end: int) -> tuple[int, bool]:
    """Where the address of a street that ends at `end` ends, and whether what follows could
    hardly follow anything else: a flat's number, a region with its postcode, a postcode with its
    town."""
    stop = min(len(text), end + REACH)
    at, kept, sure = end, end, False
    seen: list[str] = []
    before = text[max(0, end - 32) : end]
    if parts.ENDS_WITH_ZIP.search(before):
        seen.append("zip")
    elif parts.ENDS_WITH_COUNTRY.search(before):
        seen.append("country")
    elif parts.ENDS_WITH_REGION.search(before):
        seen.append("region")
    for _ in range(8):
        if goes_on := parts.TOWN_GOES_ON.match(text, at, stop):
            kept = goes_on.end() if kept == at else kept
            at = goes_on.end()
        gap = _BREAK.match(text, at, stop)
        if gap is None:
            break
        loose = "," not in gap[0] and "\n" not in gap[0]
        kind, match = _element(text, gap.end(), stop, seen, loose)
        if match is None:
            break
        last = seen[-1] if seen else ""
        sure |= (
            kind in ("unit", "zip and town")
            or (kind == "zip" and last in ("region", "country"))
            or (kind == "country" and last == "zip")
            or (kind == "region" and last == "town" and "zip" in seen)
            or (kind == "region and zip" and last == "town")
        )
        at = match.end()
        # A town alone may be anything with a capital letter: what follows it decides.
        if kind != "town" or (last == "zip" and "town" not in seen):
            kept = at
        seen.append(kind)
    return kept, sure


def _may_follow(kind: str, match: re.Match[str], seen: Sequence[str], loose: bool) -> bool:
    """Whether an element may stand after those seen; `loose`: no comma or line end before it."""
    last = seen[-1] if seen else ""
    if kind == "town":
        return seen.count("town") < 2 and not (loose and last not in ("", "unit", "zip"))
    if kind == "zip":
        lettered = parts.LETTERED_ZIP.match(match[0])
        return "zip" not in seen and not (loose and not last and not lettered)
    if kind == "region and zip":
        return not loose or last == "town"
    if kind == "short zip":
        return not loose and not last
    if kind == "asian zip":
        return last in ("town", "region")
    if kind == "region":
        return last in ("town", "unit", "zip and town")
    return True


_ELEMENTS = (
    ("unit", parts.UNIT),
    ("house", parts.HOUSE_MARK),
    ("house", parts.NO_NUMBER),
    ("house", parts.QUARTER),
    ("country", parts.COUNTRY),
    ("named region", parts.NAMED_REGION),
    ("province", parts.PROVINCE),
    ("region and zip", parts.REGION_AND_ZIP),
    ("zip and town", parts.ZIP_FIRST),
    ("asian zip", parts.ASIAN_ZIP),
    ("zip", parts.ZIP),
    ("short zip", parts.SHORT_ZIP),
    ("region", parts.REGION),
    ("town", parts.TOWN),
)


def _element(
    text: str, at: int, stop: int, seen: Sequence[str], loose: bool
) -> tuple[str, re.Match[str] | None]:
    """The first kind of element that stands at `at` and may follow those seen."""
    for kind, pattern in _ELEMENTS:
        match = pattern.match(text, at, stop)
        if match is None:
            continue
        if kind == "town" and " " in match[0]:
            if parts.ENDS_WITH_COUNTRY.search(match[0]):
                return "country", match
            if parts.ENDS_WITH_REGION.search(match[0]):
                return "region", match
        if _may_follow(kind, match, seen, loose):
            return kind, match
    return "", None


PASSES = 2
"""How often pieces are grown and joined: what two pieces make together may go on."""


def whole_addresses(text: str, pieces: Iterable[Finding]) -> list[Finding]:
    """Pieces of addresses grown by what belongs to them, and joined where they touch.

    The places among the pieces (LOCATION) become part of the address that they touch."""
    found = list(pieces)
    for _ in range(PASSES):
        found = _joined(text, [_grown(text, f) if f.entity == ENTITY else f for f in found])
    return found


_BEFORE = (
    (parts.STREET_BEFORE, 60),
    (parts.KIND_BEFORE, 24),
    (parts.NUMBER_BEFORE, 16),
    (parts.KIND_BEFORE, 24),
)
"""What may stand before a piece of an address, and how far back it may begin."""


def _grown(text: str, piece: Finding) -> Finding:
    """A piece with the house, flat or kind of street before it, and its tail."""
    start = piece.start
    for pattern, reach in _BEFORE:
        before = pattern.search(text, max(0, start - reach), start)
        start = before.start() if before else start
    end, _ = tail(text, piece.end)
    corner = _CORNER_BEFORE.search(text, max(0, start - 80), start)
    if corner:
        other = _CORNER_AFTER.match(text, end, end + 80)
        start, end = corner.start(), other.end() if other else end
    return replace(piece, start=start, end=end)


def _joined(text: str, pieces: Iterable[Finding]) -> list[Finding]:
    joined: list[Finding] = []
    for piece in sorted(pieces, key=lambda f: (f.start, f.end)):
        last = joined[-1] if joined else None
        if last and _together(text, last, piece):
            entity = ENTITY if ENTITY in (last.entity, piece.entity) else piece.entity
            best = max((f for f in (last, piece) if f.entity == entity), key=lambda f: f.score)
            joined[-1] = Finding(
                last.start, max(last.end, piece.end), entity, best.score, best.recognizer
            )
        else:
            joined.append(piece)
    return joined


def _together(text: str, left: Finding, right: Finding) -> bool:
    """Whether two pieces, in the order of the text, are of one address."""
    if right.start < left.end:
        return True
    if ENTITY not in (left.entity, right.entity):
        return False
    if left.entity != ENTITY and "\n" in text[left.end : right.start]:
        return False  # a town at the end of the line before
    gap = text[left.end : right.start]
    return gap.count("\n") <= 2 and _JOIN.fullmatch(gap) is not None
