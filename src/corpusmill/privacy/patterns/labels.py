"""A label and its value: `Passport No.: X1234567`, `"passport_no": "X1234567"`, a table's row.

One rule for all forms that people and programs write: the label in any of its spellings, glue, the
value. Glue is what stands between in prose, JSON, settings, XML, HTML and Markdown tables.
"""

# Signs that look like others separate words, too.

import re
import unicodedata

from corpusmill.privacy.candidates import Literal

TAG = r"</?[A-Za-z][^<>\n]{0,40}>"
"""Of HTML or XML, without long attributes."""
SIGN = (
    rf"(?:(?!<[A-Z_]{{3,40}}>|[+-]\d{{1,3}}\.\d)"
    rf"(?:{TAG}|&(?:nbsp|emsp|ensp|#160);|[.\u2026_]{{3,60}}+|[^\w\n]|_)"
    r"|(?<=[:>|])[ \t]?\r?\n(?=[ \t]{0,16}\S))"
)
"""One sign of glue: a tag, a space of HTML, a form's dots, anything but letters and digits, the end
of a line after a colon, bar or tag. Placeholders that masking wrote are none."""
NEXT_LINE = r"[ \t]{0,4}\r?\n[ \t]{0,16}"
"""A form's value stands below its label."""

NUMBER_WORDS = (
    r"n[.º°_o]{0,3}|n° ?|nr|no|nos|num|núm|númer[oa]|numer[oaiy]?|numaras[ıi]|numara|number|nummer"
    r"|nombre|numéro|№|id|code|kod|reg|registration|ref|reference|idnr"
)
VERBS = (
    r"is|was|are|sind|son|sont|sono|são|sunt|ist|lautet|war|est|sera|es|era|è|e|é|foi|är|is nu"
    r"|to|till|auf|in|na|a|à|para|als"
    r"|of|de|som|olarak|on|en|em|the|new|nowe|nuevo|neu|nieuw|ny|den|el|il|le|o"
)
"""What stands between a label and its value in a sentence: *is*, *changed to*, *no.*"""

_REST = r"(?:(?<=[A-Za-z])[^\W\d_]{0,14}+|(?<![A-Za-z])[^\W\d_A-Za-z]{0,14}?)"
"""The rest of a label's word: an ending, the second half of a compound. After other scripts than
Latin, which may go on with the value without a space: no letters of ASCII, and no more than
needed."""
LOOSE = rf"{_REST}(?:{NEXT_LINE})?{SIGN}{{0,8}}+(?:[^\W\d_]{{1,20}}+{SIGN}{{1,8}}+){{0,5}}?"
"""Up to five words between ("Reisepass mit der Nummer"). For values that little else looks like.
Possessive, so that no part of it is tried twice."""
CLOSE = (
    rf"{_REST}(?:{NEXT_LINE})?{SIGN}{{0,8}}+"
    rf"(?:(?:{NUMBER_WORDS}|{VERBS})\.?+{SIGN}{{1,8}}+){{0,4}}?"
)
"""Only words that belong between a label and a value."""
DIRECT = (
    rf"(?![^\W\d_])(?:{NEXT_LINE}|{SIGN}{{1,8}}+)"
    rf"(?:(?:{VERBS}|{NUMBER_WORDS}){SIGN}{{1,4}}+){{0,2}}?"
)
"""For labels that are words of other meanings, too, when they stand whole."""

_UNMARKED = str.maketrans({"ł": "l", "ı": "i", "ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d"})
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ß": "ss"})


_CLOSING_TAG = re.compile(r"</[\w.:-]{0,30}\Z")


def closes(text: str, start: int) -> bool:
    """Whether what begins there stands in a closing tag: its value stood before it."""
    return _CLOSING_TAG.search(text, max(0, start - 32), start) is not None


def _without_marks(label: str) -> str:
    parts = unicodedata.normalize("NFKD", label.translate(_UNMARKED))
    return "".join(sign for sign in parts if not unicodedata.combining(sign))


def spellings(label: str) -> list[str]:
    """A label as forms and as names of fields write it: with and without accents, its words
    separated by spaces, `_`, `-` or nothing."""
    latin = all(sign < "\u0250" for sign in label)
    marks = {label: None}
    if latin:
        marks |= {_without_marks(label): None, label.translate(_SPELLED_OUT): None}
    found: dict[str, None] = {}
    for form in marks:
        found[form] = None
        if not latin:
            continue
        words = re.split(r"[ '’.-]+", form.strip("."))
        for joint in (" ", "_", "-", "") if len(words) > 1 else ():
            # A name of few letters is a part of others when written together.
            if joint or len("".join(words)) >= 7:
                found[joint.join(words)] = None
    return [*found]


def labels(words: str, **conditions: bool) -> tuple[Literal, ...]:
    """Literals of all spellings of labels, which are separated by `|`."""
    forms = dict.fromkeys(form for label in words.split("|") for form in spellings(label))
    return tuple(Literal(form, **conditions) for form in forms)
