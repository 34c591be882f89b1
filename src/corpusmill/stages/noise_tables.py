"""What is mistaken for what: keys that lie side by side, shapes that a scanner confuses, letters of
other scripts that look the same."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RULES_BELOW = 0x600
"""Rules begin with a character below this: Latin, Greek, Cyrillic."""

KEYBOARDS: Mapping[str, tuple[str, ...]] = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("qwertzuiopü", "asdfghjklöä", "yxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
}
"""The rows of letters; each begins about half a key further to the right than the one above."""

_SHIFT = (0.0, 0.25, 0.75)
"""By how many keys, as on keyboards after ISO/IEC 9995."""

OCR = (
    "l:1 l:I I:l I:1 i:l i:j O:0 o:0 0:O S:5 B:8 g:9 Z:2 z:2 q:g e:c c:e e:o o:e a:o u:n n:u"
    " n:ri h:b b:h h:li f:t t:f r:t y:v v:y m:rn rn:m m:in w:vv vv:w d:cl cl:d li:h ri:n in:m"
    " ti:li fi:ﬁ fl:ﬂ D:O Q:O O:Q G:C C:G E:F F:P P:F R:K K:R H:N M:N U:V V:U W:VV T:I J:I"
    " ä:a ö:o ü:u ü:ii ß:B é:e è:e ê:e à:a á:a â:a ç:c ñ:n í:i ó:o ú:u û:u î:i ô:o"
)
"""What is printed, and what is read: one or two characters each. Pairs that engines and studies of
digitised newspapers report again and again: broken, touching and similar shapes, lost accents."""

HOMOGLYPHS = (
    "aа cс eе eҽ hһ iі jј oо oο pр sѕ uυ vν xх yу AА AΑ BВ BΒ CС EЕ EΕ HН HΗ IІ IΙ JЈ KК KΚ"
    " MМ MΜ NΝ OО OΟ PР PΡ SЅ TТ TΤ XХ XΧ YΥ ZΖ аa сc еe һh іi јj оo рp ѕs хx уy АA ВB СC ЕE"
    " НH ІI ЈJ КK МM ОO РP ЅS ТT ХX οo υu νv ΑA ΒB ΕE ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ΖZ"
)
"""Letters and what looks the same in another script: of the confusables of Unicode's technical
standard 39 those that common fonts draw alike."""

Codes = npt.NDArray[np.uint32]


class Rules(NamedTuple):
    """What may stand for one or two characters, as arrays that kernels read."""

    starts: npt.NDArray[np.int32]
    """Where the rules of each first character begin; shape [RULES_BELOW + 1]."""
    second: Codes
    """The second character, 0 where a rule has one; shape [rules]."""
    out: Codes
    """What is written, 0 for nothing; shape [rules, 2]."""


def _rules(pairs: Iterable[tuple[str, str]]) -> Rules:
    by_first: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for read, written in pairs:
        second = ord(read[1]) if read[1:] else 0
        last = ord(written[1]) if written[1:] else 0
        by_first[ord(read[0])].append((second, ord(written[0]), last))
    rows = [(*rule,) for first in sorted(by_first) for rule in by_first[first]]
    sizes = [len(by_first.get(first, ())) for first in range(RULES_BELOW)]
    table = np.array(rows, np.uint32)
    return Rules(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        second=np.ascontiguousarray(table[:, 0]),
        out=np.ascontiguousarray(table[:, 1:]),
    )


@cache
def keyboard_rules(keyboard: str) -> Rules:
    """For each letter the ones whose keys touch its own; capitals for capitals."""
    place = {
        letter: (row, column + _SHIFT[row])
        for row, letters in enumerate(KEYBOARDS[keyboard])
        for column, letter in enumerate(letters)
    }
    pairs = [
        (one, other)
        for one, (row, column) in place.items()
        for other, (other_row, other_column) in place.items()
        if one != other and abs(row - other_row) <= 1 and abs(column - other_column) <= 1
    ]
    return _rules([*pairs, *((one.upper(), other.upper()) for one, other in pairs)])


@cache
def ocr_rules() -> Rules:
    """What a scanner confuses."""
    return _rules((pair[0], pair[2]) for pair in (pair.partition(":") for pair in OCR.split()))


@cache
def homoglyph_rules() -> Rules:
    """What looks the same."""
    return _rules((pair[0], pair[1]) for pair in HOMOGLYPHS.split())
