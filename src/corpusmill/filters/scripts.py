"""Which scripts is a text written in? Letters counted by script, named by ISO 15924 codes.

A letter's script is the first word of its name in Python's Unicode database (`CYRILLIC SMALL
LETTER A`), which holds for all letters of the scripts listed here.
"""

import functools
import unicodedata

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from corpusmill.document import text_buffers
from corpusmill.filters.characters import TABLE_SIZE
from corpusmill.filters.words import Bytes, decode

_NAMES = (
    "LATIN Latn CYRILLIC Cyrl GREEK Grek ARABIC Arab HEBREW Hebr CJK Hani HIRAGANA Hira "
    "KATAKANA Kana HANGUL Hang THAI Thai DEVANAGARI Deva BENGALI Beng GURMUKHI Guru GUJARATI Gujr "
    "ORIYA Orya TAMIL Taml TELUGU Telu KANNADA Knda MALAYALAM Mlym SINHALA Sinh LAO Laoo "
    "TIBETAN Tibt MYANMAR Mymr KHMER Khmr GEORGIAN Geor ARMENIAN Armn ETHIOPIC Ethi "
    "THAANA Thaa SYRIAC Syrc MONGOLIAN Mong CHEROKEE Cher CANADIAN Cans NKO Nkoo TIFINAGH Tfng "
    "BOPOMOFO Bopo YI Yiii JAVANESE Java BALINESE Bali SUNDANESE Sund CHAM Cham MEETEI Mtei "
    "OL Olck VAI Vaii COPTIC Copt GOTHIC Goth RUNIC Runr OGHAM Ogam GLAGOLITIC Glag ADLAM Adlm"
)
_CODES = dict(zip(_NAMES.split()[::2], _NAMES.split()[1::2], strict=True))

OTHER = "Zzzz"
"""Letters of any other script (ISO 15924's code for that)."""

SCRIPTS = (*_CODES.values(), OTHER)
"""The columns of `letters_by_script`."""

_HAN, _HIRAGANA, _KATAKANA = map(SCRIPTS.index, ("Hani", "Hira", "Kana"))

_WIDTHS = ("FULLWIDTH", "HALFWIDTH")
_SHARED = (
    "MODIFIER MATHEMATICAL DOUBLE-STRUCK SCRIPT BLACK-LETTER FEMININE MASCULINE MICRO "
    "VERTICAL IDEOGRAPHIC KATAKANA-HIRAGANA"
)
"""Letters of these names are signs that texts of any script use."""
_NO_LETTER = 255
_INDEX = {
    **{name: SCRIPTS.index(code) for name, code in _CODES.items()},
    **dict.fromkeys(_SHARED.split(), _NO_LETTER),
}
_OTHER = SCRIPTS.index(OTHER)


def _script(character: str) -> int:
    if not character.isalpha():
        return _NO_LETTER
    first, _, rest = unicodedata.name(character, "").partition(" ")
    if first in _WIDTHS:
        first = rest.partition(" ")[0]
    return _INDEX.get(first, _OTHER)


@functools.cache
def script_table() -> npt.NDArray[np.uint8]:
    """The index in SCRIPTS of each letter below TABLE_SIZE, 255 for what belongs to no script."""
    table = np.fromiter(map(_script, map(chr, range(TABLE_SIZE))), np.uint8, TABLE_SIZE)
    table.setflags(write=False)
    return table


def letters_by_script(texts: pa.Array) -> npt.NDArray[np.int64]:
    """How many letters of each script each text has; shape [documents, len(SCRIPTS)]."""
    data, offsets = text_buffers(texts)
    counts = np.zeros((len(texts), len(SCRIPTS)), np.int64)
    _count(data, offsets, script_table(), counts)
    return counts


@njit(cache=True, nogil=True)
def _count(
    data: Bytes,
    offsets: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint8],
    counts: npt.NDArray[np.int64],
) -> None:
    for row in range(len(offsets) - 1):
        i, end = offsets[row], offsets[row + 1]
        while i < end:
            code, width = decode(data, i)
            i += width
            if code < TABLE_SIZE and table[code] != _NO_LETTER:
                counts[row, table[code]] += 1


def main_scripts(counts: npt.NDArray[np.int64]) -> list[str]:
    """The script with the most letters of each text, "" where there are none.

    Han characters and kana together are `Jpan` where at least a tenth of them are kana: Japanese
    has about half, a Chinese page some name or mark.
    """
    merged = counts.copy()
    kana = merged[:, _HIRAGANA] + merged[:, _KATAKANA]
    japanese = 10 * kana >= merged[:, _HAN] + kana
    both = merged[:, _HAN] + kana
    merged[:, _HIRAGANA] = np.where(japanese, both, kana)
    merged[:, _HAN] = np.where(japanese, 0, merged[:, _HAN])
    merged[:, _KATAKANA] = 0
    names = (*SCRIPTS[:_HIRAGANA], "Jpan", *SCRIPTS[_HIRAGANA + 1 :])
    return [names[best] if merged[row, best] else "" for row, best in enumerate(merged.argmax(1))]
