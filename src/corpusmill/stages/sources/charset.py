"""Bytes to text: which charset a file is in."""

import codecs
import re
from itertools import islice

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from corpusmill.stages.sources.limits import Refused

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_META = re.compile(
    rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([a-zA-Z0-9._:-]{1,40})", re.IGNORECASE
)
_XML = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([a-zA-Z0-9._:-]{1,40})")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_LOOKED_AT = 65_536
"""Characters or bytes by which a charset is judged."""
_MOSTLY = 0.9
"""Share of the characters beyond ASCII that must be common ones of a language of East Asia."""
_KANA = 0.15
"""Share of kana in Japanese text, which has about a half of them."""
_FEW = 0.02
"""Share of characters that may be damaged in a text whose charset is known."""
_WESTERN = 0.25
"""Share of bytes beyond ASCII among the letters of a text in windows-1252: Icelandic has 15 %."""
_EAST_ASIAN: dict[str, tuple[int, int] | None] = {
    "euc_jp": None,
    "shift_jis": None,
    "cp949": (0xB0, 0xC8),
    "gb18030": (0xB0, 0xD7),
    "big5": (0xA4, 0xC6),
}
"""Charsets, and the first bytes of the characters that are common in them; Japanese is told by its
kana. Those of EUC-KR are a part of those of GB 2312, and come first."""
_NOT_ASCII = re.compile("[^\x00-\x7f\ud800-\udfff]")


def decode_text(data: bytes, declared: str | None = None) -> str:
    """The text of a plain text file, in whatever charset.

    Raises:
        Refused: it is UTF-8 with damaged characters (`invalid_utf8`); the value counts them. Or
            no charset makes sense of it (`unknown_charset`).
    """
    text = _unambiguous(data, declared)
    if text is not None:
        return text
    bad, good = _damage(data)
    if good >= bad:
        raise Refused("invalid_utf8", bad, 0)
    return _declared_or_detected(data, [declared])


def decode_html(data: bytes, declared: str | None = None) -> str:
    """The source of an HTML page: byte-order mark, HTTP header, meta tag, then detection.

    Valid UTF-8 is UTF-8 whatever is declared: servers declare Latin-1 for everything by default.
    Damaged UTF-8 keeps its good characters, as in browsers.

    Raises:
        Refused: no charset makes sense of it (`unknown_charset`).
    """
    head = data[:4096]
    meta = _META.search(head) or _XML.search(head)
    inside = meta[1].decode("ascii") if meta else None
    text = _unambiguous(data, declared or inside)
    if text is not None:
        return text
    bad, good = _damage(data)
    if good >= bad:
        return data.decode("utf-8", "replace")
    return _declared_or_detected(data, [declared, inside])


def _unambiguous(data: bytes, declared: str | None) -> str | None:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    if declared and declared.lower().startswith("iso-2022-"):  # Japanese and Korean in seven bits
        return data.decode(_codec(declared) or "utf-8", "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _damage(data: bytes) -> tuple[int, int]:
    """Bytes that are not UTF-8, and characters beyond ASCII that are."""
    text = data.decode("utf-8", "surrogateescape")
    return len(_NOT_UTF8.findall(text)), len(_NOT_ASCII.findall(text))


def _declared_or_detected(data: bytes, declared: list[str | None]) -> str:
    """The text of bytes that are not UTF-8.

    Raises:
        Refused: `unknown_charset`.
    """
    names = [codec for name in declared if name and (codec := _codec(name)) not in (None, "utf-8")]
    for codec in names:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    detected = _codec(detect_encoding(data) or "")
    if detected and detected != "utf-8":  # which it says of bytes, too, that it knows nothing of
        names.insert(0, detected)
    for codec in names:
        text = data.decode(codec, "replace")
        if text.count("\ufffd") <= _FEW * len(text):
            return text
    found = _east_asian(data)
    if found is not None:
        return found
    if _could_be_western(data):
        return data.decode("windows-1252", "replace")
    raise Refused("unknown_charset")


def _east_asian(data: bytes) -> str | None:
    """The text of bytes in a charset of East Asia, where detection fails: by which characters are
    common there, as the standards order them. A1 to A3 lead punctuation and signs in all."""
    for codec, leads in _EAST_ASIAN.items():
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        characters = [found[0] for found in islice(_NOT_ASCII.finditer(text), _LOOKED_AT)]
        if leads:
            least = _MOSTLY
            encoded = (character.encode(codec) for character in characters)
            common = sum(
                len(c) == 2 and (leads[0] <= c[0] <= leads[1] or 0xA1 <= c[0] <= 0xA3)
                for c in encoded
            )
        else:
            least = _KANA
            common = sum("ぁ" <= c <= "ヿ" for c in characters)
        if common >= least * len(characters):
            return text
    return None


def _could_be_western(data: bytes) -> bool:
    """Whether bytes are few enough beyond ASCII for a language of Western Europe."""
    beyond = sum(byte > 0x7F for byte in data[:_LOOKED_AT])
    letters = sum(chr(byte).isalpha() for byte in data[:_LOOKED_AT] if byte < 0x80)
    return beyond <= _WESTERN * (beyond + letters)


def _codec(name: str) -> str | None:
    """Python's name for a charset as the web names it, where `iso-8859-1` is windows-1252."""
    mapped = map_encoding_to_html5(name, fallback_utf8=False)
    try:
        return codecs.lookup(mapped).name if mapped else None
    except LookupError:
        return None
