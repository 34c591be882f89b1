"""Finds direct identifiers with presidio-analyzer's pattern recognizers, without a language model.

The recognizers are called one by one on the stretches around candidates (corpusmill.privacy.
entities), so that their cost follows the number of candidates and not the length of the text, and
no regular expression of theirs ever sees a whole document. Nothing is contacted: the public suffix
list is the copy inside tldextract's package.
"""

import contextlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpusmill.errors import UsageError, one_of
from corpusmill.privacy.entities import (
    CARD_SHAPE,
    DETECTORS,
    ENTITIES,
    NEEDS_A_MODEL,
    Detector,
    Span,
)

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

SCORE_THRESHOLD = 0.4
"""Presidio's scores: 1.0 where a check digit or suffix held, 0.4 to 0.6 for a fixed format, below
0.4 for patterns that mean something only beside a context word (nine digits as a US SSN, `::`)."""

PHONE_REGIONS = ("US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
"""Whose national numbers are found; any country's with its prefix. Presidio's default. US numbering
covers CA, and each region costs another pass over the candidates."""

MARGIN = 24
"""Characters around a candidate that a recognizer gets to see: room for an extension."""


_NO_ARTIFACTS: Any = None
"""What a language model would have made of the text: pattern recognizers do not look at it."""


@dataclass(frozen=True)
class Finding:
    """A direct identifier in a text."""

    start: int
    end: int
    entity: str


def check_entities(entities: Iterable[str]) -> None:
    """Raise UsageError for entities that cannot be found, saying which can."""
    for entity in entities:
        if entity in NEEDS_A_MODEL:
            raise UsageError(
                f"entities: {entity!r} needs a named-entity model, and only patterns are looked "
                f"for: {', '.join(ENTITIES)}"
            )
        if entity not in ENTITIES:
            raise UsageError(f"entities: {one_of(entity, ENTITIES)}")


def check_installed() -> None:
    """Raise UsageError when a needed library is absent; imports nothing."""
    for module in ("presidio_analyzer", "phonenumbers", "tldextract"):
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"anonymize needs {module}: pip install 'corpusmill[models]'")


@contextlib.contextmanager
def _without(*modules: str) -> Iterator[None]:
    """Let imports of these modules fail, unless they are loaded already.

    presidio_analyzer and spaCy import torch and transformers where they find them, for recognizers
    that are not used here: 3 s and 300 MB.
    """
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: "not importable"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


class Scanner:
    """Finds entities in texts. Loading the recognizers takes 1 to 2 s."""

    def __init__(self, entities: Sequence[str] = ENTITIES, *, prefilter: bool = True) -> None:
        """`prefilter=False` gives recognizers the whole text: the meaning of the fast way."""
        check_entities(entities)
        check_installed()
        self.prefilter = prefilter
        with _without("torch", "transformers", "stanza", "gliner", "langextract"):
            builders = _builders()
        self._detectors: list[tuple[Detector, EntityRecognizer]] = [
            (detector, builders[detector.recognizer]())
            for detector in DETECTORS
            if detector.entity in entities
        ]

    def find(self, text: str) -> list[Finding]:
        """Everything that recognizers find and acceptance rules let pass; may overlap."""
        found: dict[Finding, None] = {}
        for detector, recognizer in self._detectors:
            windows: Iterable[Span] = [(0, len(text))]
            if self.prefilter:
                windows = _windows(text, detector.candidates(text))
            for start, end in windows:
                for result in recognizer.analyze(text[start:end], [detector.entity], _NO_ARTIFACTS):
                    span = (start + result.start, start + result.end)
                    if result.score >= SCORE_THRESHOLD and detector.accept(text, *span):
                        begin = detector.start(text, *span)
                        found[Finding(begin, span[1], detector.entity)] = None
        return list(found)


def _windows(text: str, candidates: Iterable[Span]) -> Iterator[Span]:
    """Candidates with their margins, overlapping ones joined, in order.

    No window begins or ends inside a run of digits, which would make another number of it.
    """
    last: Span | None = None
    for start, end in candidates:
        wide_start, wide_end = max(0, start - MARGIN), min(len(text), end + MARGIN)
        while 0 < wide_start < start and text[wide_start - 1].isdigit():
            wide_start += 1
        while end < wide_end < len(text) and text[wide_end].isdigit():
            wide_end -= 1
        if last and wide_start <= last[1]:
            last = last[0], max(last[1], wide_end)
            continue
        if last:
            yield last
        last = wide_start, wide_end
    if last:
        yield last


def _builders() -> dict[str, Callable[[], "EntityRecognizer"]]:
    """How each recognizer is made: Presidio's classes, with this project's settings."""
    import tldextract
    from presidio_analyzer import Pattern
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        CryptoRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        IpRecognizer,
        MacAddressRecognizer,
        PhoneRecognizer,
        UsSsnRecognizer,
    )

    # Presidio's own call would fetch the public suffix list.
    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):
        """Presidio's, with the suffix list that is installed."""

        def validate_result(self, pattern_text: str) -> bool | None:
            return suffixes(pattern_text.rpartition("@")[2]).fqdn != ""

    # Presidio's pattern knows neither Mastercard's 2-series nor Maestro's lengths.
    card = Pattern("card in one piece or in printed groups", CARD_SHAPE, 0.3)
    # IBANs are written in lower case as well. The regex library numbers its flags as re does.
    iban_flags = int(re.DOTALL | re.MULTILINE | re.IGNORECASE)
    return {
        "email": OfflineEmailRecognizer,
        "iban": lambda: IbanRecognizer(regex_flags=iban_flags),
        "card": lambda: CreditCardRecognizer(patterns=[card]),
        "crypto": CryptoRecognizer,
        "mac": MacAddressRecognizer,
        "ip": IpRecognizer,
        "ssn": UsSsnRecognizer,
        "phone_valid": lambda: PhoneRecognizer(supported_regions=PHONE_REGIONS, leniency=1),
        # Of all regions, German numbering has the widest range of possible lengths.
        "phone_possible": lambda: PhoneRecognizer(supported_regions=("DE",), leniency=0),
    }
