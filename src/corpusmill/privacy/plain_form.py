r"""A text as recognizers read it: full-width signs as ASCII, nothing invisible inside of words.

Digits of full width, and zero-width signs and soft hyphens that lines were broken at or that
somebody hid a value with (`jane\u200b@host.org`): each pattern would have to know them.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from corpusmill.privacy.finding import Finding

Places = npt.NDArray[np.int64]

_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_FOLDS = re.compile(
    rf"[{_INVISIBLE}](?<=[0-9A-Za-z@.+ -].)(?=[0-9A-Za-z@.+ -])|[\uff10-\uff19]|\uff20"
)
"""What makes a text worth folding: an invisible sign inside of a value, a digit of full width."""
_ODD = re.compile(f"[{_INVISIBLE}\uff10-\uff19\uff20]")
"""What all of these hold; a set alone is looked for fast."""
_HIDDEN = np.array([ord(sign) for sign in _INVISIBLE], np.uint32)
_WIDE_FIRST, _WIDE_LAST, _WIDER = 0xFF01, 0xFF5E, 0xFEE0
"""ASCII from `!` to `~`, so far away."""


def plain_form(text: str) -> tuple[str, Places | None]:
    """The text to look at and, if it differs, where each of its characters stands in `text`."""
    if text.isascii() or not _ODD.search(text) or not _FOLDS.search(text):
        return text, None
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.flatnonzero(~np.isin(codes, _HIDDEN))
    codes = codes[places]
    wide = (codes >= _WIDE_FIRST) & (codes <= _WIDE_LAST)
    plain = np.where(wide, codes - np.uint32(_WIDER), codes).astype("<u4")
    return plain.tobytes().decode("utf-32-le", "surrogatepass"), places


def in_original(findings: Sequence[Finding], places: Places) -> list[Finding]:
    """Findings in another form of a text as findings in the text; `places` as of `plain_form`, with
    -1 for what the text does not have: findings that need such a character are left out."""
    return [
        Finding(int(places[f.start]), int(places[f.end - 1]) + 1, f.entity, f.score, f.recognizer)
        for f in findings
        if places[f.start : f.end].min() >= 0
    ]
