"""A recognizer for `anonymize`: vehicle identification numbers with a check digit (ISO 3779)."""

from collections.abc import Iterator

from corpusmill.privacy.candidates import CODE
from corpusmill.privacy.finding import CHECKED, Finding
from corpusmill.privacy.recognizer import Recognizer

_SIGNS = "0123456789ABCDEFGHJKLMNPRSTUVWXYZ"
_WORTH = "012345678912345678123457923456789"
_VALUES = {sign: int(worth) for sign, worth in zip(_SIGNS, _WORTH, strict=True)}
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vehicle_ids(text: str, start: int, end: int) -> Iterator[Finding]:
    """17 letters and digits whose ninth is the sum of the others modulo 11 (North America)."""
    value = text[start:end].upper()
    if len(value) != len(_WEIGHTS) or not _VALUES.keys() >= set(value):
        return
    rest = sum(_VALUES[sign] * weight for sign, weight in zip(value, _WEIGHTS, strict=True)) % 11
    if value[8] == "0123456789X"[rest]:
        yield Finding(start, end, "VEHICLE_ID", CHECKED, "vehicle_ids")


VEHICLE_IDS = Recognizer(
    name="vehicle_ids", entities=("VEHICLE_ID",), kinds=(CODE,), find=vehicle_ids
)
