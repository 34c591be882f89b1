"""What a document tells of a person, and the same told less exactly.

Its text, the titles in its metadata and the keys of its metadata are read together.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from corpusmill.privacy.hierarchies import ANY, ATTRIBUTES, Levels
from corpusmill.privacy.quasi_identifiers import PERSONAL, facts
from corpusmill.privacy.quasi_labels import Fact
from corpusmill.privacy.quasi_values import NORMAL, as_written, is_spelling

SEVERAL = "\x1f"
"""Between the values of one attribute where a document has several."""
METADATA_KEYS: Mapping[str, tuple[str, ...]] = {
    "age": ("age", "age_years", "years_old", "age_group"),
    "sex": ("sex", "gender"),
    "birth_date": (
        "birth_date", "date_of_birth", "birthdate", "dob", "birthday", "born", "birth_year",
        "year_of_birth", "yob",
    ),
    "postcode": (
        "postcode", "post_code", "postal_code", "postal", "zip", "zip_code", "plz",
    ),
    "city": (
        "city", "town", "residence", "place", "home_city", "home_town", "hometown",
        "birth_place", "place_of_birth",
    ),
    "nationality": ("nationality", "citizenship", "country_of_birth"),
    "occupation": ("occupation", "profession", "job", "job_title"),
    "employer": ("employer", "company", "workplace", "employer_name", "company_name"),
}  # fmt: skip
"""Keys of metadata that are read as an attribute; case, `-`, `_` and spaces do not count, and of
`address.city` the last part does."""


@dataclass(frozen=True)
class Found:
    """The quasi-identifiers of a document."""

    combination: str
    """Their values, one cell for each attribute, as JSON; empty where there are none."""
    texts: Mapping[str, Sequence[Fact]]
    """Of the text (under TEXT) and of the titles in metadata (under their keys)."""
    metadata: Sequence[tuple[str, str, str]]
    """Key, attribute and value."""


TEXT = ""
TITLES = ("title", "description")
"""Keys of metadata that are read as texts."""
_GAP = "\n\n"
"""Between texts that are read together; no fact reaches across."""


def _is_text(key: str, value: str) -> bool:
    """Is a value of metadata read as a text? Titles are, and records within records."""
    return key.lower() in TITLES or value.lstrip()[:1] in ("{", "[")


def found_in(text: str, metadata: Sequence[tuple[str, str]], attributes: Sequence[str]) -> Found:
    """What a document tells: text, titles and metadata together decide whether of a person."""
    in_metadata = list(metadata_facts(metadata, attributes))
    titles = {key: value for key, value in metadata if value and _is_text(key, value)}
    names, texts = [TEXT, *titles], [text, *titles.values()]
    personal = any(
        attribute in PERSONAL for _, attribute, _ in metadata_facts(metadata, ATTRIBUTES)
    )
    in_text = facts(_GAP.join(texts), attributes, personal=personal)
    values: dict[str, set[str]] = {name: set() for name in attributes}
    for fact in in_text:
        values[fact.attribute].add(fact.value)
    for _, attribute, value in in_metadata:
        values[attribute].add(value)
    if not any(values.values()):
        return Found("", {}, [])
    cells = [SEVERAL.join(sorted(values[name])) for name in attributes]
    apart: dict[str, list[Fact]] = {}
    start = 0
    for name, part in zip(names, texts, strict=True):
        end = start + len(part)
        apart[name] = [
            Fact(fact.attribute, fact.value, fact.start - start, fact.end - start)
            for fact in in_text
            if start <= fact.start and fact.end <= end
        ]
        start = end + len(_GAP)
    return Found(json.dumps(cells, ensure_ascii=False), apart, in_metadata)


# ---- metadata ----


@lru_cache(maxsize=1)
def attribute_of_key() -> dict[str, str]:
    """Key of metadata -> attribute."""
    return {
        key.replace("_", ""): attribute for attribute, keys in METADATA_KEYS.items() for key in keys
    }


def attribute_named(key: str) -> str:
    """The attribute that a key of metadata is read as; empty for others."""
    return attribute_of_key().get(re.sub(r"^.*[./]|[_ -]", "", key).lower(), "")


def metadata_facts(
    metadata: Iterable[tuple[str, str]], attributes: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Quasi-identifiers of metadata: key, attribute, normalised value.

    What is no such value as far as can be told (a city that no list has) is taken as it is written.
    """
    wanted = set(attributes)
    for key, value in metadata:
        attribute = attribute_named(key)
        if attribute in wanted and value and value.strip():
            yield key, attribute, NORMAL[attribute](value.strip()) or as_written(value)


# ---- writing ----


def rewritten(
    text: str,
    found: Sequence[Fact],
    chosen: Mapping[str, int],
    levels: Mapping[str, Levels],
    written: Counter[str],
) -> str:
    """A text with its values at the levels of its group; `written` counts the labels."""
    pieces, end = [], 0
    for fact in found:
        raw = text[fact.start : fact.end]
        label = labelled_as(raw, fact.value, fact.attribute, chosen, levels, written)
        if label is not None:
            shown = f" {label}" if label else ""
            pieces += [text[end : fact.start], f"<{fact.attribute.upper()}{shown}>"]
            end = fact.end
    return "".join([*pieces, text[end:]])


def labelled_as(
    raw: str,
    value: str,
    attribute: str,
    chosen: Mapping[str, int],
    levels: Mapping[str, Levels],
    written: Counter[str],
) -> str | None:
    """What is shown in place of a value: None for itself, nothing where it is suppressed."""
    steps = levels[attribute](value)
    level = min(chosen[attribute], len(steps) - 1)
    if level == 0 and is_spelling(attribute, raw, value):
        return None
    label = steps[level]
    written[f"{attribute} {'suppressed' if label == ANY else f'level {level}'}"] += 1
    return "" if label == ANY else label
