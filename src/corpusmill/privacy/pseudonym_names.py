"""Names that nobody has: coined words that stand for people, streets, towns and companies.

A word is coined from two syllables, chosen by a keyed hash of the word whose place it takes. One
list serves given names and surnames: so the parts of a name have the same pseudonym wherever they
stand, alone, reversed or in an address of somebody's family. Coined words are told apart from real
ones by their syllables, and are left alone when they are found again.
"""

import re
import unicodedata
from collections.abc import Callable

from corpusmill.privacy.finding import Span

KeyedNumber = Callable[[str], int]
"""A large number from a text and a secret key."""

_FIRST = (
    "bolv brund cralt dremb drusk elgr fulv gald grelm holv jarv jelm kelv kolm lorv lumb malv merd"
    " nolv orvl palt plom quelm ralv rumb selv skarl stolv tarv trelm tulv ulm valk velm wolv yarl"
    " zelm"
).split()
_SECOND = (
    "adine ahart alby amere anwick arby askell avane edric egrave elune embry enfold erwyn eskin"
    " evane iburn idell ifray imoth inwald iscom ithane ivell odane olwick omery onfel orick"
    " osgrove othane ucroft uland umbert urwen"
).split()
_COINED = rf"(?:{'|'.join(_FIRST)})(?:{'|'.join(_SECOND)})"
_CHINESE = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥"
"""Stems and branches of the calendar: after 某, "a certain", they stand for nobody's name."""

_FICTITIOUS_WORD = re.compile(_COINED, re.IGNORECASE)
_FICTITIOUS = re.compile(
    rf"(?i:(?<![^\W_])(?:\d{{1,3}} )?{_COINED}(?:ton| Street| Works)?"
    rf"(?:(?:[ -]|(?: N\.)+ ){_COINED}){{0,6}}(?![^\W_]))|某[{_CHINESE}]+"
)

_WORD = re.compile(
    r"[\u3400-\u9fff\uf900-\ufaff]+"
    r"|[^\s\d_,.;:!?()\[\]{}<>\"“”„«»‘/\\|@&+*=#%~^$\-\u2010-\u2014\u3400-\u9fff\uf900-\ufaff]+"
)
"""What stands between spaces and signs; characters of Chinese without spaces apart."""
_PARTICLES = frozenset(
    "de da do dos das du di del della dei la le les el los las al van von der den dem vom zu zum"
    " zur ten ter te bin bint ibn ben abu and und et y e i og och en ed a the of af av don pan pani"
    " sig m".split()
)
"""They stay in small letters; otherwise they may be names: Ben, Don, Ed, Van."""
_TITLES = frozenset(
    "mr mrs ms miss mx dr prof professor doctor sir dame lady lord rev herr herrn frau mme mlle"
    " madame monsieur sr sra srta señor señora doña signor signora jr junior senior ii iii iv"
    " phd md".split()
)
"""They stay in any case."""
_POSSESSIVE = re.compile(r"['’]s?\Z", re.IGNORECASE)


def coined(number: int) -> str:
    """One of the 1,295 words."""
    number, first = divmod(number, len(_FIRST))
    return _FIRST[first] + _SECOND[number % len(_SECOND)]


def person(value: str, keyed: KeyedNumber) -> str:
    """The name word by word: `J. van Dyck-Smith` as `N. van Kolmivell-Tarvuland`.

    Initials become N, digits 0. Case, particles, titles and signs stay, coined words as well.
    """

    def instead(match: re.Match[str]) -> str:
        word, end = match[0], ""
        if possessive := _POSSESSIVE.search(word):
            word, end = word[: possessive.start()], possessive[0]
        word = unicodedata.normalize("NFKC", word)
        if word in _PARTICLES or word.casefold() in _TITLES or _FICTITIOUS_WORD.fullmatch(word):
            return match[0]
        if "\u3400" <= word[:1] <= "\ufaff" and _WORD.fullmatch(word):
            return _chinese(word, keyed)
        if len(word) <= 1:
            return (word and ("n" if word.islower() else "N")) + end
        made = coined(keyed(f"name\0{word.casefold()}"))
        made = made if word.islower() else made.upper() if word.isupper() else made.capitalize()
        return made + end

    return re.sub(r"\d", "0", _WORD.sub(instead, value))


def _chinese(word: str, keyed: KeyedNumber) -> str:
    if word[0] == "某" and set(word[1:]) <= set(_CHINESE):
        return word
    number, made = keyed(f"name\0{word}"), "某"
    for _ in word[1:4]:
        number, choice = divmod(number, len(_CHINESE))
        made += _CHINESE[choice]
    return made


def street(number: int) -> str:
    """Number and street: `17 Velmorick Street`."""
    return f"{1 + number % 199} {coined(number // 199).capitalize()} Street"


def town(number: int) -> str:
    """A town: `Velmorickton`."""
    return f"{coined(number).capitalize()}ton"


def company(number: int) -> str:
    """A company: `Velmorick Works`."""
    return f"{coined(number).capitalize()} Works"


def fictitious_names(text: str, start: int, end: int) -> list[Span]:
    """Where coined words stand between two places of a text."""
    return [match.span() for match in _FICTITIOUS.finditer(text, start, end)]
