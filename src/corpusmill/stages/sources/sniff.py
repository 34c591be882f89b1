"""What a file is, from its first bytes and its name."""

import re

from corpusmill.stages.sources.framing import GZIP_MAGIC

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

HTML_SUFFIXES = (".html", ".htm", ".xhtml")
MARKDOWN_SUFFIXES = (".md", ".markdown")
TEXT_SUFFIXES = (".txt", ".text", ".rst", *MARKDOWN_SUFFIXES)
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".bz2", ".tbz2", ".xz", ".txz")
TABLE_SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".feather", ".csv", ".tsv")
WEB_ARCHIVE_SUFFIXES = (".warc", ".wet", ".wat", ".arc")

WARC = b"WARC/"
ARC = b"filedesc://"
WEB_ARCHIVES = (WARC, ARC)
"""How a web archive begins: WARC, ARC."""
COLUMNAR = (b"PAR1", b"ARROW1")
"""How a columnar file begins: Parquet, Arrow."""

_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))


def looks_like_html(head: bytes) -> bool:
    """Whether an HTML page begins within the first 1024 bytes."""
    return _HTML.search(head, 0, 1024) is not None


def looks_binary(head: bytes) -> bool:
    """Whether the first 8 kB are no text in any charset: a NUL (as git decides it) or more than
    one control character in 20. UTF-16 and UTF-32 are text by their byte-order mark."""
    head = head[:8192]
    if head.startswith(BOMS):
        return False
    if b"\0" in head:
        return True
    return len(head) - len(head.translate(None, _CONTROL)) > len(head) / 20


def is_epub(head: bytes) -> bool:
    """Whether a zip file says in its first member that it is an EPUB."""
    return head.startswith(b"PK\x03\x04") and head[30:58] == b"mimetypeapplication/epub+zip"


def is_tar(head: bytes) -> bool:
    """Whether unpacked bytes begin like a tar archive (POSIX and GNU)."""
    return head[257:262] == b"ustar"


def is_packed(head: bytes) -> bool:
    """Whether the bytes begin like a gzip or zstd stream."""
    return head.startswith((GZIP_MAGIC, ZSTD_MAGIC))


def plain_name(name: str) -> str:
    """A file's name in lower case without `.gz` and `.zst`."""
    return name.lower().rpartition("/")[2].removesuffix(".gz").removesuffix(".zst")


def suffix(name: str) -> str:
    """What follows the last dot of a file's name, with the dot; empty without one."""
    base, dot, end = plain_name(name).rpartition(".")
    return dot + end if base else ""
