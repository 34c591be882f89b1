"""Which words of a text say what somebody is? Occupations and nationalities."""

import re
from collections.abc import Iterator

from corpusmill.privacy import quasi_patterns as patterns
from corpusmill.privacy.nationalities import NATIONALITIES, NATIONALS
from corpusmill.privacy.occupations import FIELDS, LEARNED, OCCUPATIONS, in_fields
from corpusmill.privacy.quasi_labels import Fact
from corpusmill.privacy.quasi_values import NORMAL, as_written

# ---- occupations ----

_OWN_TITLE = re.compile(r"[^\W\d_][\w'-]*")
_MOST_WORDS = max(title.count(" ") + 1 for title in OCCUPATIONS)
_FIRST_WORDS = frozenset(
    word for title in OCCUPATIONS for word in (title.split()[0], title.split()[0] + "s")
)
_VAGUE_TITLES = frozenset(
    "general major principal guide printer marine executive minister president captain".split()
)
"""Titles that are other words too often to be meant wherever they stand."""


def explicit_titles(text: str) -> Iterator[Fact]:
    """Titles in phrases that say that somebody has them, whatever they are."""
    for match in patterns.EXPLICIT_TITLE.finditer(text):
        phrase = patterns.AFTER_TITLE.sub("", match["v"])
        if match["article"] or phrase.split()[0].lower() not in patterns.NO_TITLES:
            yield Fact(
                "occupation", as_written(phrase), match.start("v"), match.start("v") + len(phrase)
            )


def implied_titles(text: str) -> Iterator[Fact]:
    """Titles of the lists behind words that may say that somebody has them."""
    for pattern in (patterns.IMPLIED_TITLE, patterns.NAMED_TITLE):
        for match in pattern.finditer(text):
            if span := known_title(match["v"]):
                yield title(text, match.start("v") + span[0], match.start("v") + span[1])


def titles(text: str) -> Iterator[Fact]:
    """Every title of the lists, and what sounds like one behind an article."""
    end = 0
    for match in _OWN_TITLE.finditer(text):
        if match.start() >= end and match[0].lower() in _FIRST_WORDS:
            window = text[match.start() : match.start() + 60]
            span = _title_at(window)
            if span and window[:span].lower() not in _VAGUE_TITLES and _no_surname(text, match):
                fact = title(text, match.start(), match.start() + span)
                end = fact.end
                yield fact
    for match in patterns.CELL_TITLE.finditer(text):
        last = re.split("[ /-]", match["v"].lower())[-1]
        sounds = patterns.SOUNDS if " " in match["v"] else LEARNED
        listed = last in OCCUPATIONS or sounds.search(last)
        opens = match["v"].split()[0].lower() in patterns.NO_PART_OF_TITLE
        if listed and not opens and last not in patterns.NO_CRAFTS:
            yield title(text, *match.span("v"))
    for match in patterns.CRAFT.finditer(text):
        group = match.lastgroup or "v"
        last = match[group].lower().split()[-1]
        other = last in patterns.NO_CRAFTS or last in NATIONALITIES
        if not other and not known_title(match[group]):
            yield title(text, *match.span(group))


def _no_surname(text: str, first: re.Match[str]) -> bool:
    """A title with a capital letter stands behind an article or a sign: Martin Taylor is none."""
    if first[0][0].islower():
        return True
    before = text[max(first.start() - 12, 0) : first.start()]
    return (
        re.search(
            r"(?:^|[^\w ] ?|\b(?:an?|the|as|is|ist|est|es|als|[A-Z][\w-]*ing) |\n|[^ ]  ) {0,5}$",
            before,
        )
        is not None
    )


def unknown_titles(text: str) -> Iterator[Fact]:
    """What somebody is who works or lives there, where no list has it."""
    for match in patterns.UNKNOWN_TITLE.finditer(text):
        words = match["v"].split()
        if words[-1] not in patterns.NO_CRAFTS and not known_title(match["v"]):
            yield Fact("occupation", as_written(match["v"]), *match.span("v"))


def title(text: str, start: int, end: int) -> Fact:
    """A title with the words that make it another one: Uber driver, nurse practitioner."""
    more = patterns.MORE_OF_TITLE.match(text, end)
    end = more.end() if more else end
    if more := patterns.REST_OF_TITLE.match(text, end):
        end = more.end()
    for piece in patterns.FIELD_OF_TITLE.finditer(text[end : end + 80]):
        if piece.start() or not in_fields(piece["v"]):
            break
        end += piece.end()
    start = _first_word(text, start)
    before = re.search(
        r"(?:\b(?:an?|the|as) |, ?)([A-Z][\w-]{1,20} )$", text[max(start - 30, 0) : start]
    )
    if before and as_written(before[1]) not in NATIONALITIES:
        start -= len(before[1])
    return Fact("occupation", as_written(text[start:end]), start, end)


def _first_word(text: str, start: int) -> int:
    """Where a title begins with the words before it that are part of it: an academic librarian."""
    first = start
    for _ in range(4):
        before = patterns.LAST_WORD.search(text, max(first - 30, 0), first)
        if before is None:
            return first
        word = before[0]
        if word in patterns.NO_PART_OF_TITLE:
            return first
        if word[0].isupper() and text[start].islower() and _begins(text, before.start()):
            return first if word.lower() in patterns.NO_PART_OF_TITLE else before.start()
        if word in patterns.BEFORE_TITLE or as_written(word) in NATIONALITIES:
            return first
        if (
            not word.islower()
            or not text[start].islower()
            or (word.endswith("ing") and word not in FIELDS)
        ):
            return first
        first = before.start()
    return first


def _begins(text: str, start: int) -> bool:
    """Does a cell, a line or a sentence begin there?"""
    return (
        re.search(r"(?:^|[^\w ,] {0,6}|, {0,6}|[^ ] {2,6})$", text[max(start - 8, 0) : start])
        is not None
    )


def _title_at(phrase: str) -> int:
    """Characters of the longest title that a phrase begins with; 0 where none."""
    words = [m for _, m in zip(range(_MOST_WORDS), _OWN_TITLE.finditer(phrase), strict=False)]
    for last in reversed(words):
        written = as_written(phrase[: last.end()])
        if written in OCCUPATIONS or written.removesuffix("s") in OCCUPATIONS:
            return last.end()
    return 0


def known_title(phrase: str) -> tuple[int, int] | None:
    """The longest title in a phrase; of equally long ones the first."""
    spans = [
        (word.start(), word.start() + length)
        for word in _OWN_TITLE.finditer(phrase)
        if word[0].lower() in _FIRST_WORDS and (length := _title_at(phrase[word.start() :]))
    ]
    return max(spans, key=lambda span: (span[1] - span[0], -span[0]), default=None)


# ---- nationalities ----


def nationalities(text: str, *, certain: bool) -> Iterator[Fact]:
    """Adjectives of somebody: a German nurse, but not a German city; she is German.

    Where not `certain`, also those that stand alone."""
    for match in re.finditer(r"(?<![\w-])[^\W\d_]{3,20}", text):
        if match[0].casefold() not in _FIRST_ADJECTIVES:
            continue
        end = match.end()
        if longer := _ADJECTIVE.match(text, match.start()):
            end = longer.end()
        value = NORMAL["nationality"](text[match.start() : end])
        before, after = text[max(match.start() - 24, 0) : match.start()], text[end : end + 60]
        noun = (
            value in NATIONALS and patterns.ARTICLE.search(before) and text[match.start()].isupper()
        )
        alone = not certain and patterns.LANGUAGE.search(before) is None
        if value and (
            noun or (alone and not patterns.NO_PERSON.match(after)) or _is_somebody(before, after)
        ):
            yield Fact("nationality", value, match.start(), end)


_ADJECTIVE = patterns.pattern(rf"{patterns.ADJECTIVE}(?!\w)", ignore_case=True)
_FIRST_ADJECTIVES = frozenset(adjective.split()[0] for adjective in NATIONALITIES)


def _is_somebody(before: str, after: str) -> bool:
    words = re.match(r"(?: {1,6}[^\W\d_][\w'-]{0,20}){1,4}", after)
    if words and (span := known_title(words[0])):
        return words[0][slice(*span)].lower() not in _VAGUE_TITLES
    subject = patterns.BEFORE_NATIONALITY.search(before)
    return subject is not None and patterns.AFTER_NATIONALITY.match(after) is not None
