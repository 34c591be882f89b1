"""Names that their surroundings announce, and further mentions of names already found."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from corpusmill.privacy.finding import ANNOUNCED, Finding

_WORD = r"[^\W\d_a-zß-öø-ÿα-ωа-я](?:[^\W\d_]|['’-](?=[^\W\d_])){0,24}"
"""A word with a capital letter."""
_INITIAL = r"[^\W\d_a-zß-öø-ÿα-ωа-я]\."
_PARTICLE = (
    r"(?:de la|de los|de|da|do|dos|das|du|di|del|della|van der|van den|van de|van|von der|von|zu"
    r"|ten|ter|bin|bint|ibn|al|el|le|la)"
)
_NAME = (
    rf"(?:{_INITIAL}[ -]?){{0,3}}(?:{_PARTICLE} )?{_WORD}"
    rf"(?:[ \u00a0](?:{_INITIAL}[ ]?|{_PARTICLE} ){{0,2}}{_WORD}){{0,3}}"
)
_LOWER_NAME = r"[^\W\d_]{2,20}(?: [^\W\d_]{2,20})?(?=[.,;!?\n]|\s*\Z)"

TITLES = (
    r"Mr|Mrs|Ms|Miss|Mx|Messrs|Dr|Prof|Professor|Doctor|Sir|Dame|Lady|Lord|Reverend|Captain"
    r"|Sergeant"
    r"|Colonel|Judge|Senator|Congressman|Congresswoman|Rev\.|Fr\.|Capt\.|Lt\.|Sgt\.|Col\.|Gen\."
    r"|Hon\."
    r"|Sen\.|Gov\.|Herrn?|Frau|Fräulein|Hr|Monsieur|Madame|Mme|Mlle|Mademoiselle|Maître|Señora?"
    r"|Señorita|Sra?|Srta|Don|Doña|Dña|Signora?|Signorina|Sig\.|Sig\.ra|Dott|Dott\.ssa|Avv|Ing\."
    r"|Senhora?"
    r"|Pani|Panem|[Dd]hr|[Mm]evr|[Mm]w\.|[Mm]eneer|[Mm]evrouw|Fru|Herra|Rouva|Domnul|Doamna"
    r"|Sayın|Mag\."
    r"|г-н|г-жа|[Гг]осподин|[Гг]оспожа|[Дд]октор|MR|MRS|MS|DR|PROF|HERR|FRAU|mr|mrs|ms|dr|prof"
    r"|herrn?|frau|madame|monsieur|señora?|señorita|signora?|signorina|senhora?|pana|pani|paní"
    r"|pán|fru"
)
_AFTER_TITLE = re.compile(rf"(?<![\w.])(?:(?:{TITLES})(?![\w])\.?[ \u00a0]){{1,3}}({_NAME})")
_TITLE = re.compile(rf"(?:{TITLES})\.?")
_FRENCH_M = re.compile(rf"(?<![\w.])MM?\.[ \u00a0]({_NAME})")

_INTRODUCED = re.compile(
    r"(?i:\bmy (?:full |first |last |maiden |middle )?name is|\bmy name's|\b(?:his|her|their"
    r"|maiden|first|last|full|middle)"
    r" name (?:is|was)|\bnamed|\bcall(?:s|ed)? me|\bcalled|\bnee|\bthis is|\bname on the account is"
    r"|\bich hei(?:ß|ss)e|\bmein name ist|\bnamens|\bname ist|\bje m['’]appelle|\bmon nom est"
    r"|\bnommée?|\bappelée?"
    r"|\bme llamo|\bmi nombre es|\bllamad[oa]|\bse llama|\bmi chiamo|\bil mio nome è|\bdi nome"
    r"|\bmeu nome é|\bchamo-me"
    r"|\bme chamo|\bmijn naam is|\bik heet|\bgenaamd|\bnazywam się|\bmam na imię|\bjag heter"
    r"|\bjeg heter|\bjeg hedder"
    r"|\bnimeni on|\bjmenuji se|\bmeno je|\ba nevem|\bime mi je|\bmă numesc|\bменя зовут"
    r"|\bпо имени)"
    rf"[ \u00a0]({_NAME})"
)
_INTRODUCED_LOWER = re.compile(
    r"(?i:\bmy (?:full |first |last |maiden |middle )?name is|\bmy name's|\bmaiden name is"
    r"|\bmein name ist|\bje m['’]appelle|\bme llamo|\bmi chiamo|\bmijn naam is|\bik heet)"
    rf" ({_LOWER_NAME})"
)
_FIELD = re.compile(
    r"(?im:(?:^|[|\t>;,]|\b)[ \t]{0,8}(?:(?:full|first|last|given|family|middle|maiden|customer"
    r"|patient|user|contact|client"
    r"|employee|account|card ?holder|sender|recipient)[ ]?)?(?:name|surname|nachname|vorname|nom"
    r"|prénom|nombre|apellidos?"
    r"|nome|cognome|sobrenome|naam|voornaam|achternaam|imię|nazwisko|imię i nazwisko|jméno"
    r"|příjmení|namn|navn|nimi|név"
    r"|имя|фамилия|фио|patient|patiente|attn|attention|contact|signed|signature|by|author|autor"
    r"|auteur|cardholder"
    r"|directed by|written by|posted by|reported by|reviewed by|submitted by|billing address"
    r"|shipping address)\b"
    rf"[ \t]{{0,4}}[:?][ \t]{{0,8}})({_NAME})(?=[ \t]{{0,4}}(?:[\n,;|(<.]|\Z))"
)
_GREETED = re.compile(
    r"(?m:(?:^|[\"“„«(>] ?|[.!?] )(?i:dear|hi|hello|hey|good morning|good evening|good afternoon"
    r"|lieber?|hallo|sehr geehrter?"
    r"|guten tag|cher|chère|bonjour|salut|estimad[oa]|querid[oa]|hola|gentile|car[oa]|ciao"
    r"|egregio|car[oa]"
    rf"|prezad[oa]|olá|beste|geachte|hoi|szanown[ya]|drog[ia]|cześć|hej|kære|kjære|hei|ahoj|szia"
    rf"|kedves|moi)),?[ \u00a0]({_NAME})"
    r"(?=[,!.:;?\n]| ?[–—-] |\Z)"
)
_SIGNED = re.compile(
    r"(?im:(?:regards|wishes|sincerely|faithfully|cheers|thanks|thank you|yours truly|love"
    r"|grüßen?|gruß|grüsse|cordialement"
    r"|bien à vous|salutations|saludos|atentamente|cordiali saluti|distinti saluti"
    r"|atenciosamente|abraços|groeten?|groet"
    rf"|pozdrawiam|pozdravem|hälsningar|hilsen|üdvözlettel"
    rf"|с уважением)[,.!]?[ \t]{{0,4}}\n\s{{0,8}}[-–—]{{0,2}}[ ]?)({_NAME})"
    r"(?=[ \t]{0,8}(?:[,\n|]|\Z))"
)
_SPEAKER = re.compile(
    rf"(?m:^[ \t>]{{0,8}})({_WORD}(?: {_WORD})?"
    rf"|[a-zß-öø-ÿ]{{3,15}}):[ ]?[\"“„«][^\"“”„»\n]{{3,200}}[.!?][\"“”»]"
)
_PATTERNS = (
    _AFTER_TITLE, _FRENCH_M, _INTRODUCED, _INTRODUCED_LOWER, _FIELD, _GREETED, _SIGNED, _SPEAKER,
)  # fmt: skip

NO_NAMES = frozenset(
    "sir madam ma'am all team everyone everybody friend friends customer customers colleague user"
    " colleagues there folks guys customer support service sales office department company mom"
    " dad mum mother"
    " father editor editors reader readers hiring manager committee members member student students"
    " ladies gentlemen both world again damen herren kollegen zusammen madame monsieur messieurs"
    " señores señor señora tutti todos allemaal god lord jesus santa the this that a an i it he she"
    " we they you not no yes none null unknown anonymous bot admin administrator system error note"
    " warning question answer monday tuesday wednesday thursday friday saturday sunday january"
    " february march april may june july august september october november december here now what"
    " when where who how my your his her our their of in on at to for and or but if is are was"
    " were".split()
)
"""Words that stand where a name could."""

_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
MENTION_SCORE = 0.65


def announced_persons(text: str) -> Iterator[Finding]:
    """Names after titles, greetings and introductions, in fields and signatures."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            words = list(_TOKEN.finditer(text, *match.span(1)))
            while words and words[-1][0].lower() in NO_NAMES:
                words.pop()
            while words and _TITLE.fullmatch(words[0][0] + "."):
                words.pop(0)
            if not words or words[0][0].lower() in NO_NAMES:
                continue
            start, end = words[0].start(), words[-1].end()
            if text[start:end].endswith(("'s", "’s")):
                end -= 2
            yield Finding(start, end, "PERSON", ANNOUNCED, "announced_persons")


def further_mentions(text: str, persons: Sequence[Finding]) -> Iterator[Finding]:
    """Parts of names already found, where they stand alone: the surname, the first name.

    A part that the text also writes in small letters, as a common word, is not looked for.
    """
    parts: set[str] = set()
    for person in persons:
        words = _TOKEN.findall(text[person.start : person.end])
        if len(words) > 1 or person.score >= ANNOUNCED:
            parts.update(word for word in words if len(word) > 2 and word[0].isupper())
    parts -= {part for part in parts if part.lower() in NO_NAMES}
    if not parts:
        return
    tokens = list(_TOKEN.finditer(text))
    common = {match[0] for match in tokens if match[0].islower()}
    wanted = {form for part in parts if part.lower() not in common for form in (part, part.upper())}
    for match in tokens:
        shown, end = match[0], match.end()
        for ending in ("'s", "’s", "'S", "’S"):
            if shown.endswith(ending):
                shown, end = shown[:-2], end - 2
        if shown in wanted:
            yield Finding(match.start(), end, "PERSON", MENTION_SCORE, "further_mentions")


_AND = r"(?:and|und|et|y|e|i|en|och|og|ja|és|a|oraz|&)"
_NEXT = re.compile(rf"(?:,|,? {_AND})[ \u00a0]({_NAME})")
_PREVIOUS = re.compile(rf"(?<![\w.])({_NAME})(?:,|,? {_AND}) \Z")


def listed_beside(text: str, persons: Sequence[Finding]) -> Iterator[tuple[int, int]]:
    """Names of two and more words that stand in a list with a person, next to it. Which of them
    are persons, and not titles or towns, is for others to say."""
    for person in persons:
        after = _NEXT.match(text, person.end, person.end + 80)
        before = _PREVIOUS.search(text, max(0, person.start - 60), person.start)
        for match in (after, before):
            if match and " " in match[1]:
                yield match.span(1)


_PAIR = rf"{_WORD}(?: {_INITIAL})?(?: {_WORD}){{1,2}}"
_LIST = re.compile(rf"(?<![\w.])({_PAIR}(?:, {_PAIR}){{1,12}}),? {_AND} ({_PAIR})")


def lists(text: str) -> Iterator[list[tuple[int, int]]]:
    """Lists of three and more, each of two or three capitalised words. Whether they are persons
    is for others to say."""
    for match in _LIST.finditer(text):
        spans, at = [], match.start(1)
        for name in match[1].split(", "):
            spans.append((at, at + len(name)))
            at += len(name) + 2
        yield [*spans, match.span(2)]


_SURNAME_AFTER = re.compile(
    rf"(?: [A-Z]\.?){{1,2}} {_WORD}"
    rf"| (?:van (?:der|den|de|['’]t)|van|von|zu|ten|ter|bin) {_WORD}"
)
"""After a name: initials, or a particle of surnames alone, with the surname."""
_LAST_WORD = re.compile(rf" {_WORD}(?=[ \t]{{0,4}}\n)")
_ENDS_WITH_INITIAL = re.compile(r" [A-Z]\.?\Z")


def completed(text: str, persons: Iterable[Finding]) -> Iterator[Finding]:
    """Persons with the surname that a model left out: after initials or a particle of surnames,
    or as the second and last word of a line."""
    for person in persons:
        end = person.end
        alone = " " not in text[person.start : end]
        begins = not text[max(0, person.start - 1) : person.start].strip(" \n\t>")
        surname = _SURNAME_AFTER.match(text, end, end + 60)
        if surname is None and (
            _ENDS_WITH_INITIAL.search(text[person.start : end])
            or (alone and begins and "\n" in text[max(0, person.start - 1) : person.start])
            or (alone and person.start == 0)
        ):
            surname = _LAST_WORD.match(text, end, end + 40)
        yield replace(person, end=surname.end()) if surname else person


_BEFORE_STREET = re.compile(rf"(?<![\w.])({_NAME}), ?\Z")


def before_streets(text: str, starts: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Names of two and more words directly before an address: to whom a letter goes."""
    for start in starts:
        match = _BEFORE_STREET.search(text, max(0, start - 60), start)
        if match and " " in match[1]:
            yield match.span(1)


_BLOCK_LINE = re.compile(rf"[>?|* \t]{{0,8}}({_NAME})[ \t,]{{0,4}}")


def block_heads(text: str, starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Lines that hold a name's words and nothing else, of the three above each of `starts`: a
    letter's head, a signature, a label. Which of them are persons is for others to say."""
    for start in starts:
        end = text.rfind("\n", max(0, start - 16), start)
        for _ in range(4):
            if end <= 0:
                break
            begin = text.rfind("\n", max(0, end - 60), end)
            match = _BLOCK_LINE.fullmatch(text, begin + 1, end)
            if match and " " in match[1]:
                yield match.span(1)
            end = begin


_COMPANY_WORDS = (
    r"Inc\.?|Incorporated|Ltd\.?|Limited|LLC|LLP|LP|PLC|Corp\.?|Corporation|Co\.?|Company"
    r"|Companies|Group|Holdings?|GmbH|AG|KG|OHG|e\.V"
    r"|SA|S\.A|SAS|SARL|SRL|S\.r\.l|SpA|S\.p\.A|SL|S\.L|BV|B\.V|NV|N\.V|AB|AS|A/S|ApS|Oy|Oyj|Kft"
    r"|Zrt|Sp\. z o\.o|s\.r\.o|Ltda"
    r"|Partners|Associates|Consulting|Technologies|Technology|Systems|Solutions|Software"
    r"|Industries|Enterprises|Ventures"
    r"|Capital|Investments?|Insurance|Bank|Foundation|Institute|University|College|School"
    r"|Hospital|Research|Analytics"
    r"|Services|Laboratories|Labs|Media|Press|Pharmaceuticals|Motors|Airlines|Orchestra|Club"
    r"|Society|Association"
)
_COMPANY = re.compile(
    rf"(?<![\w])(?:\d{{1,3}} )?{_WORD}(?:(?:, {_WORD}){{0,3}},? (?:and"
    rf"|&) {_WORD})?(?: {_WORD}){{0,3}}"
    rf",? (?:{_COMPANY_WORDS})(?!\w)(?: (?:{_COMPANY_WORDS})(?!\w))?"
)


def companies(text: str) -> Iterator[Finding]:
    """Names that end with a company's form or kind."""
    for match in _COMPANY.finditer(text):
        yield Finding(*match.span(), "ORGANIZATION", ANNOUNCED, "companies")
