"""What a book is: what it says about itself, and its chapters in reading order."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from corpusmill.stages.sources.wrapping import Paragraph

MIN_WORDS = 50
"""Words from which a chapter stands for itself."""


@dataclass(frozen=True, kw_only=True)
class Book:
    """A book as text."""

    metadata: dict[str, str]
    """title, author, language (a code), date (ISO 8601) and licence, as far as they are known."""
    chapters: tuple[str, ...]
    """Text of each chapter, its heading the first paragraph; paragraphs are separated by blank
    lines. One chapter where no structure is found, none where there is no text."""


def merged(chapters: Iterable[str]) -> tuple[str, ...]:
    """Chapters without those of less than 50 words: a title page, the heading of a part. They go to
    the next chapter, and what is left at the end to the one before."""
    whole: list[str] = []
    waiting = ""
    for chapter in chapters:
        chapter = chapter.strip("\n")
        if not chapter.strip():
            continue
        waiting = f"{waiting}\n\n{chapter}" if waiting else chapter
        if has_words(waiting, MIN_WORDS):
            whole.append(waiting)
            waiting = ""
    if waiting and whole:
        whole[-1] = f"{whole[-1]}\n\n{waiting}"
    elif waiting:
        whole.append(waiting)
    return tuple(whole)


def has_words(text: str, count: int) -> bool:
    """Whether a text has that many words; four letters of Chinese or Japanese count for three, for
    they are written without spaces."""
    head = text[: 40 * count]
    words = len(head.split())
    if words >= count:
        return True
    return words + 3 * len(_IDEOGRAPH.findall(head)) // 4 >= count


_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u9fff]")

_PARTS = (
    "book|part|volume|buch|teil|theil|band|livre|partie|tome|libro|parte|tomo|livro|boek|deel"
    "|bok|bog|del|kirja|osa|ksi\u0119ga|cz\u0119\u015b\u0107|\u0447\u0430\u0441\u0442\u044c|\u0442\u043e\u043c|\u043a\u043d\u0438\u0433\u0430"
)
"""What holds chapters."""
_CHAPTERS = (
    "chapter|chap|act|scene|canto|letter|stave|section|lecture|essay|sermon|appendix|adventure"
    "|kapitel|abschnitt|akt|aufzug|scene|szene|auftritt|gesang|brief|vorlesung|anhang"
    "|chapitre|acte|sc\u00e8ne|chant|lettre|cap[i\u00ed]tulo|acto|ato|escena|cena|jornada|carta"
    "|capitolo|atto|scena|lettera|hoofdstuk|bedrijf|tooneel|toneel|zang|kapitlet|kapittel|luku"
    "|rozdzia\u0142|kapitola|\u0433\u043b\u0430\u0432\u0430|\u043f\u0438\u0441\u044c\u043c\u043e|\u03ba\u03b5\u03c6\u03ac\u03bb\u03b1\u03b9\u03bf\u03bd"
)
_ORDINAL = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|last"
    "|erst|zweit|dritt|viert|f\u00fcnft|sechst|siebent|siebt|acht|neunt|zehnt|elft|zw\u00f6lft|letzt"
    "|premi|deuxi|second|troisi|quatri|cinqui|sixi|septi|huiti|neuvi|dixi|onzi|douzi|derni"
    "|prim|segund|terc|cuart|quart|quint|sext|s\u00e9ptim|s\u00e9tim|octav|oitav|noven|non|d\u00e9cim"
    "|second|terz|sest|settim|ottav|decim|ultim"
    "|eerst|tweed|derd|vierd|vijfd|zesd|zevend|achtst|negend|tiend|laatst"
    "|f\u00f6rst|andr|tredj|fj\u00e4rd|femt|sj\u00e4tt|sjund|\u00e5ttond|niond|tiond|f\u00f8rst|tredi|fjerd|sjett"
    "|ensimm\u00e4i|toinen|kolmas|nelj\u00e4s|viides|kuudes|seitsem\u00e4s|kahdeksas|yhdeks\u00e4s|kymmenes"
)
_CARDINAL = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|eighteen|nineteen|(?:twenty|thirty|forty|fifty)(?:[- ][a-z]{3,6})?"
)
_ROMAN = r"[IVXLC]{1,8}|[ivxlc]{1,8}"
_NUMBER = rf"(?:{_ROMAN}|\d{{1,3}}|(?i:{_CARDINAL})|(?:the )?(?i:{_ORDINAL})[^\W\d_]{{0,6}})"
_ALONE = (
    "preface|foreword|introduction|introductory|prologue|epilogue|conclusion|afterword|postscript"
    "|dedication|appendix|notes|footnotes|endnotes|glossary|bibliography"
    "|vorwort|vorrede|einleitung|einf\u00fchrung|nachwort|prolog|epilog|schlu(?:\u00df|ss)|anhang"
    "|pr\u00e9face|avant-propos|\u00e9pilogue|pr\u00f3logo|prefacio|pref\u00e1cio|ep\u00edlogo|introducci\u00f3n"
    "|introdu\u00e7\u00e3o|prefazione|introduzione|prologo|epilogo|conclusione|voorwoord|inleiding"
    "|besluit|naschrift|f\u00f6rord|forord|esipuhe|alkulause|przedmowa|\u043f\u0440\u0435\u0434\u0438\u0441\u043b\u043e\u0432\u0438\u0435"
)
_FURNITURE = r"[\W_]{0,12}"
_HEADING = re.compile(
    rf"{_FURNITURE}(?:"
    rf"(?P<part>(?i:{_PARTS}))[ .]{{1,3}}{_NUMBER}\b"
    rf"|(?P<chapter>(?i:{_CHAPTERS}))[ .]{{1,3}}{_NUMBER}\b"
    rf"|(?i:(?:the |das |der |die |la |le |el |il |o |a )?){_NUMBER}\.? "
    rf"(?:(?P<part2>(?i:{_PARTS}))|(?P<chapter2>(?i:{_CHAPTERS})))(?![^\W_])"
    rf"|(?P<alone>(?i:{_ALONE})){_FURNITURE}$"
    "|(?P<east>\u7b2c[0-9\uff10-\uff19\u3007\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341\u767e\u5343]{1,6}[\u7ae0\u56de\u7bc0\u8282\u5377\u7bc7\u90e8\u8a71\u8bdd])"
    ")"
)
_BARE = re.compile(rf"[ *_=.-]{{0,40}}(?P<number>{_ROMAN}|\d{{1,3}})[ *_=.-]{{0,6}}")
_LONGEST = 120
"""Characters of a heading with its title."""
_LINES = 3
_LIST = 20
"""Words up to which what stands between two headings is an entry of a table of contents."""
_GAP = 3
"""Blank lines in front of a heading that has no number."""


def chapters_of(paragraphs: Sequence[Paragraph]) -> tuple[str, ...]:
    """The chapters of a plain text, by its headings: numbered ones ("CHAPTER IV", "Erster Akt",
    "Preface"), else numbers alone, else short lines with much space in front. A table of contents
    makes no chapters."""
    texts = [text for _, text in paragraphs]
    kinds = {i: kind for i, text in enumerate(texts) if (kind := heading_kind(text))}
    _drop_contents(kinds, texts)
    if "chapter" not in kinds.values():
        kinds |= dict.fromkeys(_numbered(texts), "chapter")
    if len(kinds) < 2:
        kinds |= dict.fromkeys(_spaced(paragraphs), "chapter")
    edges = [0, *sorted(kinds), len(texts)]
    return merged("\n\n".join(texts[a:b]) for a, b in itertools.pairwise(edges) if a < b)


def heading_kind(text: str) -> str:
    """`part`, `chapter` or `alone` for the heading of one; empty for other paragraphs."""
    if len(text) > _LONGEST or text.count("\n") >= _LINES:
        return ""
    found = _HEADING.match(text)
    if not found or text.rstrip().endswith((",", ";", "?", "!")):
        return ""
    if found["alone"]:
        return "alone"
    rest = text[found.end() :]
    if rest.lstrip(" .:*_=\u2014-)]").lstrip("\n")[:1].islower():
        return ""  # "Part one of the plan is ..."
    return "part" if found["part"] or found["part2"] else "chapter"


def _words_between(texts: Sequence[str], start: int, end: int, enough: int) -> int:
    words = 0
    for text in texts[start:end]:
        words += len(text[: 20 * enough].split())
        if words >= enough:
            break
    return words


def _label(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower())[:2])


def _drop_contents(kinds: dict[int, str], texts: Sequence[str]) -> None:
    """Take out headings that follow one another with hardly a word between them: three or more,
    and again with text later, are a table of contents."""
    headings = sorted(kinds)
    last = {_label(texts[i]): i for i in headings}
    run: list[int] = []
    for i, after in zip(headings, [*headings[1:], len(texts)], strict=False):
        run.append(i)
        if _words_between(texts, i + 1, after, _LIST) >= _LIST or after == len(texts):
            repeated = [k for k in run if last[_label(texts[k])] > i]
            if len(run) >= 3 and 2 * len(repeated) >= len(run):
                for k in run[:-1]:
                    kinds.pop(k)
                if i in repeated:
                    kinds.pop(i)
            run = []


_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def _value(number: str) -> int:
    if number.isdigit():
        return int(number)
    values = [_VALUES[letter] for letter in number.lower()]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _numbered(texts: Sequence[str]) -> list[int]:
    """Paragraphs that are a number and nothing else, and go on from one to the next."""
    found = [
        (i, _value(number["number"]))
        for i, text in enumerate(texts)
        if len(text) < 60 and (number := _BARE.fullmatch(text))
    ]
    follow = [
        (a, b)
        for (a, first), (b, second) in itertools.pairwise(found)
        if second == first + 1 and _words_between(texts, a + 1, b, _LIST) >= _LIST
    ]
    linked = {i for pair in follow for i in pair}
    return sorted(linked) if len(linked) >= 3 else []


def _spaced(paragraphs: Sequence[Paragraph]) -> list[int]:
    found = [
        i
        for i, (gap, text) in enumerate(paragraphs)
        if gap >= _GAP
        and "\n" not in text
        and len(text) <= _LONGEST // 2
        and any(map(str.isalpha, text))
        and not text.endswith((",", ";"))
    ]
    return found if 4 * len(found) <= len(paragraphs) else []
