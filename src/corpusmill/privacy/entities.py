"""Which identifiers can be looked for, what can be done about them, and which of two overlapping
ones counts."""

import importlib.util
from collections.abc import Iterable
from typing import Literal

from corpusmill.errors import UsageError, one_of
from corpusmill.privacy.finding import Finding
from corpusmill.privacy.national_numbers import NATIONAL_NUMBERS

ENTITIES = (
    # Wholes that hold other values: the whole goes.
    "PRIVATE_KEY",
    "URL",
    # What a checksum or a documented format vouches for.
    "ACCESS_KEY",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "CREDIT_CARD",
    "CRYPTO",
    "MAC_ADDRESS",
    "IP_ADDRESS",
    *dict.fromkeys(number.entity for number in NATIONAL_NUMBERS),
    # What a word announces.
    "PASSWORD",
    "STREET_ADDRESS",
    "COORDINATES",
    "DATE_OF_BIRTH",
    "PASSPORT",
    "DRIVER_LICENSE",
    "MEDICAL_RECORD",
    "BANK_ACCOUNT",
    "TAX_NUMBER",
    "ID_CARD",
    "VEHICLE_PLATE",
    # What only looks like one.
    "PHONE_NUMBER",
)
"""Every entity that patterns find, in order of precedence: Presidio's names where it has them.

Where findings overlap, the one that covers the other stays, if it is of a score at least as high;
else the higher score, then the entity that stands earlier here, then the longer, then the earlier
one (`precedence`)."""

NEEDS_A_MODEL = ("PERSON", "LOCATION", "NRP", "ORGANIZATION", "GPE", "DATE_TIME")
"""Presidio's entities that only a named-entity model finds."""

Method = Literal["mask", "pseudonym", "drop", "keep"]
"""What can be done about an identifier (`anonymizer.Anonymizer`)."""

_RANK = {entity: number for number, entity in enumerate(ENTITIES)}


def precedence(finding: Finding) -> tuple[bool, float, int, int, int]:
    """Sort key: of overlapping findings, the one with the smallest key stays."""
    return (
        finding.entity not in ("PRIVATE_KEY", "URL"),
        -finding.score,
        _RANK.get(finding.entity, len(_RANK)),
        finding.start - finding.end,
        finding.start,
    )


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
    """Raise UsageError when a library that patterns need is absent; imports nothing."""
    for module in ("phonenumbers", "tldextract"):
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"anonymize needs {module}: pip install 'corpusmill[models]'")
