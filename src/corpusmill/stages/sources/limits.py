"""How large, deep and dense an input may be, and how exceeding it is reported.

The limits come before any work, so that hostile input costs neither memory nor time. What slips
through is stopped by the limits of the isolated child process.
"""

from typing import Any

MAX_PAYLOAD = 50_000_000
"""Bytes of one document as it stands in its source, unpacked. The longest books are 20 MB of text;
a larger single document is a dump or a log, and one reader would hold all of it."""

MAX_HTML = 10_000_000
"""Bytes of an HTML page. Common Crawl cuts pages at 1 MB (5 MB since 2025); extraction needs some
twenty times the size of the page in memory."""

MAX_TAGS = 100_000
"""`<` characters in an HTML page: an upper bound on its elements that costs one scan. The longest
forum threads have 70,000, and take 4 CPU seconds; pages made to be slow take up to 0.4 ms for each
and then reach the CPU limit of an isolated stage."""

MAX_ATTRIBUTES = 1_000
"""Attributes of one tag of an HTML page. libxml2 compares each with all before it; tags that people
or their tools write have some dozens."""

MAX_XML_TAGS = 1_000_000
"""The same for one file of an EPUB, which is only parsed; a Bible in one file has 200,000."""

MAX_DEPTH = 256
"""Nested elements in HTML. It is libxml2's own bound, beyond which it silently drops the rest."""

MAX_HEADER = 65_536
"""Bytes of the header of one record of a web archive."""

MAX_DAMAGES = 10_000
"""Damaged places in one web archive before the rest is given up: looking for the next record can
cost a scan of the file each time."""

MAX_MEMBERS = 200_000
"""Members of one zip or tar archive."""

MAX_RATIO = 200
"""Unpacked bytes to packed bytes of an archive or EPUB. Source code packs 3 to 10 times, generated
files up to 100; deflate's bound, which bombs come close to, is 1,032."""

SMALL_ENOUGH = 10_000_000
"""Unpacked bytes up to which an archive's ratio does not matter."""

MAX_EPUB = 200_000_000
"""Bytes of all texts of one EPUB, unpacked."""


def exceeds_depth(parser: Any) -> bool:
    """Whether an lxml parser has met more than MAX_DEPTH nested elements and given up there."""
    return any(
        error.type_name == "ERR_RESOURCE_LIMIT" and "depth" in error.message
        for error in parser.error_log
    )


class _Verdict(Exception):
    """The reason of a verdict, and the measure that led to it."""

    def __init__(
        self, reason: str, value: float | None = None, threshold: float | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value
        self.threshold = threshold


class Refused(_Verdict):
    """A document that is not worked on, since it breaks a limit or is damaged: quarantined."""


class Dropped(_Verdict):
    """A sound document that is not wanted: its site opted out, its address is blocked, ..."""
