"""Bytes to text: which charset a file is in."""

import codecs
import re

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
_NOT_ASCII = re.compile("[^\x00-\x7f\ud800-\udfff]")


def decode_text(data: bytes, declared: str | None = None) -> str:
    """The text of a plain text file, in whatever charset.

    Raises:
        Refused: it is UTF-8 with damaged characters (`invalid_utf8`); the value counts them.
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
    for name in declared:
        codec = _codec(name) if name else None
        if codec and codec != "utf-8":
            try:
                return data.decode(codec)
            except UnicodeDecodeError:
                continue
    detected = detect_encoding(data)
    return data.decode(_codec(detected or "") or "windows-1252", "replace")


def _codec(name: str) -> str | None:
    """Python's name for a charset as the web names it, where `iso-8859-1` is windows-1252."""
    mapped = map_encoding_to_html5(name, fallback_utf8=False)
    try:
        return codecs.lookup(mapped).name if mapped else None
    except LookupError:
        return None
