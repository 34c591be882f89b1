"""From labelled words to whole names, addresses and places."""

import re
from collections.abc import Iterable, Iterator, Sequence

from corpusmill.privacy.finding import Finding
from corpusmill.privacy.ner_rampart import Word

PERSON_AT_LEAST = 0.5
"""Probability with which one word of a name must be one."""
PAIR_AT_LEAST = 0.3
"""Probability that suffices where two capitalised words stand together."""
PART_AT_LEAST = 0.15
"""Probability of a capitalised word beside such a word."""
LOWER_CASE_AT_LEAST = 0.9
"""Probability of each word of a name in small letters, where the line has capitals elsewhere."""
ADDRESS_KINDS = frozenset(("NUMBER", "STREET", "UNIT", "CITY", "STATE", "ZIP"))
RECOGNIZER = "rampart"

PARTICLES = frozenset(
    "de da do dos das du di del della degli dei d la le el al bin bint ibn ben abu von vom van der"
    " den het ter ten te zu zur zum af av y e i".split()
)
"""Small words inside names."""

_PERSON_GAP = re.compile(r"[ \t\u00a0]{1,2}|-|['’]|\.-?|\.[ \t\u00a0]")
_ADDRESS_GAP = re.compile(
    r"[ \t\u00a0]*[,;.:/#()'’–-]?[ \t\u00a0]*(?:\n[ \t>?|#*,]{0,12})?[.,]?[ \t]*"
)
_CAPITAL = re.compile(r"(?<![\w'’@./-])(?!I\b)[^\W\d_a-z]\w", re.UNICODE)
_STREET_WORD = re.compile(
    r"(?:\b(?:street|str|st|road|rd|avenue|ave|av|lane|ln|drive|dr|boulevard|blvd|court|ct|place|pl"
    r"|square|sq|terrace|parkway|highway|hwy|crescent|close|rue|chemin|allée|impasse|quai|via|viale"
    r"|piazza|corso|calle|avenida|plaza|paseo|rua|praça|travessa|ul)|stra(?:ß|ss)e|weg|platz|gasse"
    r"|straat|laan|plein|gracht|gatan|vägen|gade|vej|veien)\b",
    re.IGNORECASE,
)


def persons(text: str, words: Sequence[Word]) -> Iterator[Finding]:
    """Names of persons: neighbouring words joined, with initials, particles and hyphens."""
    spoken = [word for word in words if text[word.start].isalnum()]
    run: list[Word] = []
    between: list[Word] = []  # particles and initials that count if a name goes on after them
    for word in spoken:
        last = (between or run)[-1:]
        if last and not _joined(text, last[0], word):
            yield from _person(text, run)
            run, between = [], []
        if _possessive(text, word):
            continue
        if _is_part(text, word):
            run += [*between, word]
            between = []
        elif run and len(between) < 3 and _is_link(text, word):
            between.append(word)
        else:
            yield from _person(text, run)
            run, between = [], []
    yield from _person(text, run)


def _joined(text: str, left: Word, right: Word) -> bool:
    gap = text[left.end : right.start]
    if gap.startswith(".") and left.end - left.start > 2 and gap != ".-":
        return False  # the end of a sentence, unless after an initial
    return _PERSON_GAP.fullmatch(gap) is not None


def _possessive(text: str, word: Word) -> bool:
    return text[word.start : word.end] in ("s", "S") and text[word.start - 1 : word.start] in (
        "'",
        "’",
    )


def _is_part(text: str, word: Word) -> bool:
    if word.kind == "PERSON":
        return word.score >= PERSON_AT_LEAST
    return word.person >= PART_AT_LEAST and not text[word.start].islower()


def _is_link(text: str, word: Word) -> bool:
    shown = text[word.start : word.end]
    initial = len(shown) == 1 and shown.isalpha()
    return initial or shown.lower() in PARTICLES


def _person(text: str, run: Sequence[Word]) -> Iterator[Finding]:
    """The name that the words of a run make, if they do."""
    shown = [text[word.start : word.end] for word in run]
    lower = [
        shown[n][0].islower()
        and shown[n] not in PARTICLES
        and text[run[n].start - 1 : run[n].start] != "-"
        for n in range(len(run))
    ]
    if not all(lower):
        # Verbs and nouns beside a name often look like surnames: Ms. Jones flew.
        while run and (lower[-1] or (shown[-1].lower() in PARTICLES and shown[-1].islower())):
            run, shown, lower = run[:-1], shown[:-1], lower[:-1]
        while run and lower[0]:
            run, shown, lower = run[1:], shown[1:], lower[1:]
    least = PERSON_AT_LEAST if len(run) == 1 or any(lower) else PAIR_AT_LEAST
    if not run or max(word.person for word in run) < least:
        return
    start, end = run[0].start, run[-1].end
    if not any(character.isalpha() for character in text[start:end]):
        return
    if all(lower):
        sure = len(run) > 1 and min(word.person for word in run) >= LOWER_CASE_AT_LEAST
        if not sure and _has_capitals(text, start, end):
            return
    if len(shown[-1]) == 1 and shown[-1].isupper() and text[end : end + 1] == ".":
        end += 1
    score = max(word.person for word in run)
    yield Finding(start, end, "PERSON", score, RECOGNIZER)


def _has_capitals(text: str, start: int, end: int) -> bool:
    """Whether the line around a name, up to 200 characters on either side, has capitals."""
    left = text.rfind("\n", max(0, start - 200), start) + 1 or max(0, start - 200)
    right = text.find("\n", end, end + 200)
    line_end = right if right >= 0 else min(len(text), end + 200)
    return bool(_CAPITAL.search(text, left, start) or _CAPITAL.search(text, end, line_end))


def addresses(text: str, words: Iterable[Word]) -> Iterator[Finding]:
    """Streets with what stands beside them as STREET_ADDRESS, towns and regions as LOCATION."""
    run: list[Word] = []
    for word in words:
        if not text[word.start].isalnum():
            continue
        labelled = word.kind in ADDRESS_KINDS
        if run and not (
            _ADDRESS_GAP.fullmatch(text, run[-1].end, word.start)
            and (labelled or text[word.start].isdigit())
        ):
            yield from _address(text, run)
            run = []
        if labelled or (run and text[word.start].isdigit()):
            run.append(word)
    yield from _address(text, run)


def _address(text: str, run: list[Word]) -> Iterator[Finding]:
    while run and not run[-1].kind:
        run.pop()
    if not run:
        return
    kinds = {word.kind for word in run}
    start, end = run[0].start, run[-1].end
    score = max(word.score for word in run)
    digits = any(character.isdigit() for character in text[start:end])
    if "STREET" in kinds or (kinds & {"UNIT", "NUMBER"} and len(kinds) > 1 and digits):
        if digits or _STREET_WORD.search(text, start, end + 16):
            yield Finding(start, end, "STREET_ADDRESS", score, RECOGNIZER)
        elif len(run) > 1:
            yield Finding(start, end, "LOCATION", score, RECOGNIZER)
    elif kinds & {"CITY", "STATE"}:
        yield from _places(text, run)
    elif kinds == {"ZIP"} and score >= PERSON_AT_LEAST:
        yield Finding(start, end, "LOCATION", score, RECOGNIZER)


def _places(text: str, run: Sequence[Word]) -> Iterator[Finding]:
    """Towns and regions, one finding for each stretch without a comma or a line end."""
    start = 0
    for number, word in enumerate(run):
        following = text[word.end : run[number + 1].start] if number + 1 < len(run) else ","
        if "," in following or "\n" in following or ";" in following:
            part = run[start : number + 1]
            score = max(word.score for word in part)
            if score >= PERSON_AT_LEAST and text[part[0].start] != text[part[0].start].lower():
                yield Finding(part[0].start, part[-1].end, "LOCATION", score, RECOGNIZER)
            start = number + 1
