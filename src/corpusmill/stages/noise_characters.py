"""What kernels of noise know of characters: a class for each code point, and the other case."""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

UNKNOWN, LETTER, CAPITAL, MARK, JOINER, SPACE, BREAK, PROTECTING, DOT, OTHER = range(10)
"""Classes. A MARK belongs to the character before it, a JOINER to both sides (after UAX 29, on the
safe side). Only U+0020 is a SPACE; a BREAK is any other white space. A word with a PROTECTING
character (digits, signs of markup, addresses and code) is left alone, and so is one with a DOT
between letters. Capitals are the upper and title case letters."""

CODE_POINTS = 0x110000

CASED_BELOW = 0x2000
"""Scripts with two cases lie below this, but for a few rare ones."""

_PROTECTING = frozenset("/\\@_={}<>|#$~^&*+%[]`\ufffc\ufffd")
_DOTS = frozenset(".:(")

Classes = npt.NDArray[np.uint8]

_classes: Classes = np.zeros(CODE_POINTS, np.uint8)


def classes(codes: npt.NDArray[np.uint32]) -> Classes:
    """The class of each code point; shape [codes]. Those never met before are looked up once."""
    found = _classes[codes]
    if not found.all():
        for code in np.unique(codes[found == UNKNOWN]).tolist():
            _classes[code] = _class_of(chr(code))
        found = _classes[codes]
    return found


def _class_of(char: str) -> int:
    if char == " ":
        return SPACE
    if char.isspace() or unicodedata.category(char) in ("Cc", "Zs", "Zl", "Zp"):
        return BREAK
    if char in _PROTECTING:
        return PROTECTING
    if char in _DOTS:
        return DOT
    return _class_of_category(char, unicodedata.category(char))


def _class_of_category(char: str, category: str) -> int:
    code = ord(char)
    leading_jamo = 0x1100 <= code < 0x1160 or 0xA960 <= code < 0xA980
    if code == 0x200D or unicodedata.combining(char) == 9 or leading_jamo:
        return JOINER  # zero-width joiner, viramas
    if category == "Cf":
        return JOINER  # prepended signs, invisible controls of direction, tags
    other_jamo = 0x1160 <= code < 0x1200 or 0xD7B0 <= code < 0xD800
    if category[0] == "M" or other_jamo or 0x1F3FB <= code <= 0x1F3FF:
        return MARK
    if code in (0x0E33, 0x0EB3, 0xFF9E, 0xFF9F):
        return MARK  # letters that belong to the one before
    if category in ("Lu", "Lt"):
        return CAPITAL
    if category[0] == "L":
        return LETTER
    return PROTECTING if category[0] == "N" or category in ("Co", "Cn", "Cs") else OTHER


@cache
def other_case() -> npt.NDArray[np.uint32]:
    """The same letter in the other case, itself where it has none; shape [CASED_BELOW].

    Only where each leads back to the other: ß and İ stay.
    """
    table = np.arange(CASED_BELOW, dtype=np.uint32)
    for code in range(CASED_BELOW):
        char = chr(code)
        other = char.swapcase()
        if len(other) == 1 and other.swapcase() == char and ord(other) < CASED_BELOW:
            table[code] = ord(other)
    return table
