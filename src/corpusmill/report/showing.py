"""What of a document may be shown: control characters made visible, personal values masked.

Reports and terminal views show text and addresses that strangers wrote. A terminal obeys escape
sequences, a browser bidirectional controls; and a report is passed on to people who were not meant
to see the raw corpus. The masks here are deliberately coarse: they know no names, so they replace
those of the stage `anonymize` nowhere.
"""

import re
import unicodedata

MASK = "█████"
"""Stands for what was masked; its length tells nothing."""

MASKING = (
    "In text that is shown, every word with an at sign, every group of four or more digits (also "
    "divided by blanks, dots, hyphens and the like) and every long key-like word is replaced by "
    f"{MASK}; in addresses, every segment with an at sign. Names are not recognised here."
)
"""What the masks do, for people."""

EXCERPT_CHARACTERS = 600
"""Characters of a document that are shown."""

WINDOW_CHARACTERS = 4 * EXCERPT_CHARACTERS
"""Characters that are masked before they are cut, so that no cut hides why something is masked."""

TORN_CHARACTERS = 80
"""Left out at the end of a window that cuts the text: an e-mail address that is torn there has no
at sign any more. Longer than a local part may be (64, RFC 5321)."""

_JOINERS = "\u200c\u200d"
"""Persian, Indic scripts and emoji need them; they reorder and hide nothing."""

_AT = r"(?:[@\uff20\ufe6b]|%40|&#0*64;|&#x0*40;|&commat;|[\[({<][ \t]*at[ \t]*[\])}>])"
_HAS_AT = re.compile(_AT, re.IGNORECASE)
_ADDRESS = re.compile(rf"[^\s@]{{0,80}}[ \t]?{_AT}[ \t]?[^\s@]{{0,255}}", re.IGNORECASE)
"""What an at sign joins; bounded, so that a long line costs no more than linear time."""

_NUMBER = re.compile(
    # four digits or more, whatever divides them
    r"\d(?:[\W_]{0,3}\d){3,}"
    # keys and account numbers: long, unbroken, with a digit among the letters
    r"|(?<![A-Za-z0-9])(?=[A-Za-z_+/=-]{0,80}\d)[A-Za-z0-9_+/=-]{20,}"
)
_SEGMENT = re.compile(r"[^/?&=#;\s]+")


def visible(text: str, *, lines: bool = False) -> str:
    """The text with every character that has no shape of its own written as ⟨U+XXXX⟩.

    Control, format (bidirectional and invisible), private, surrogate and unassigned characters;
    line breaks and tabs too unless `lines`.
    """
    plain = text.replace("\n", "").replace("\t", "") if lines else text
    if plain.isprintable():  # false for every category below, and for blanks that are no spaces
        return text
    return "".join(_shown(character, lines) for character in text)


def _shown(character: str, lines: bool) -> str:
    if (lines and character in "\n\t") or character in _JOINERS:
        return character
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return f"⟨U+{ord(character):04X}⟩"
    return character


def mask(text: str) -> str:
    """The text with everything that looks like an address, a number or a key masked (MASKING)."""
    if _HAS_AT.search(text):
        text = _ADDRESS.sub(MASK, text)
    return _NUMBER.sub(MASK, text)


def mask_uri(uri: str) -> str:
    """The address with each segment that has an at sign masked: users, passwords, e-mail."""
    return _SEGMENT.sub(lambda m: MASK if _HAS_AT.search(m[0]) else m[0], uri)


def mask_beginning(text: str, characters: int) -> str:
    """The first `characters` of a text, masked; of a longer one without what its end may tear."""
    masked = mask(text[:characters])
    return masked[: max(0, len(masked) - TORN_CHARACTERS)] if len(text) > characters else masked


def excerpt(text: str) -> str:
    """The beginning of a text, masked. More than WINDOW_CHARACTERS + 1 characters are not read."""
    masked = mask_beginning(text, WINDOW_CHARACTERS)
    if len(text) <= WINDOW_CHARACTERS and len(masked) <= EXCERPT_CHARACTERS:
        return masked
    return masked[:EXCERPT_CHARACTERS] + " …"
