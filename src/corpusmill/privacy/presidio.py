r"""Recognizers of presidio-analyzer, beside the project's own: any that a recipe names.

A name is that of a class in `presidio_analyzer.predefined_recognizers` which looks at text alone,
or the path of a YAML file in Presidio's format for pattern recognizers:

    recognizers:
      - name: staff number
        supported_entity: STAFF_NUMBER
        patterns: [{name: six digits, regex: '\bE-\d{6}\b', score: 0.6}]
        context: [employee]

They read the whole text, in windows, and cost what they cost (some 0.1 MB for each CPU-second).
Presidio is imported here only. It is imported without torch and the like, which it would load for
recognizers that are not used (3 s and 300 MB), and finds no way to the network.
"""

import contextlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from corpusmill import plugins
from corpusmill.errors import UsageError, one_of
from corpusmill.privacy.finding import Finding, Span

WINDOW, OVERLAP = 8_192, 256
"""Characters that a recognizer sees at once, and how many of them it sees again in the next window:
a longer value may be missed at a border. Bounds what a bad regular expression can cost."""

SCORE_THRESHOLD = 0.4
"""Lower scores are of patterns that mean something only beside a word for it."""
CONTEXT_REACH, CONTEXT_BONUS = 60, 0.35
"""Characters before a value in which a recognizer's context words count, and what they add: as much
as in Presidio's LemmaContextAwareEnhancer. Words are compared as they stand, without lemmas."""

_NO_ARTIFACTS: Any = None
"""What a language model would have made of the text: pattern recognizers do not look at it."""

MOST_YAML_BYTES = 1_000_000


class PresidioRecognizers:
    """Runs recognizers of Presidio (EntityRecognizer) over texts."""

    def __init__(self, recognizers: Sequence[Any]) -> None:
        self._recognizers = tuple(recognizers)

    @property
    def entities(self) -> tuple[str, ...]:
        """What they can find."""
        every = (entity for r in self._recognizers for entity in r.supported_entities)
        return tuple(dict.fromkeys(every))

    def find(self, text: str) -> list[Finding]:
        """What they find with a score of SCORE_THRESHOLD or more; findings may overlap."""
        found: dict[Finding, None] = {}
        for start, end in _windows(len(text)):
            window = text[start:end]
            for recognizer in self._recognizers:
                for result in recognizer.analyze(
                    window, recognizer.supported_entities, _NO_ARTIFACTS
                ):
                    score = float(result.score)
                    before = window[max(0, result.start - CONTEXT_REACH) : result.start].lower()
                    if any(word.lower() in before for word in recognizer.context or ()):
                        score = min(1.0, max(score + CONTEXT_BONUS, SCORE_THRESHOLD))
                    if score >= SCORE_THRESHOLD:
                        span = start + result.start, start + result.end
                        found[Finding(*span, result.entity_type, score, recognizer.name)] = None
        return list(found)


def _windows(length: int) -> Iterator[Span]:
    for start in range(0, max(1, length - OVERLAP), WINDOW - OVERLAP):
        yield start, min(length, start + WINDOW)


def presidio_recognizers(names: Sequence[str]) -> PresidioRecognizers:
    """The recognizers of these names: classes of Presidio, or YAML files.

    Raises UsageError when Presidio is absent, for an unknown name (with those that are known), for
    one that needs a language model or a service, and for a file that is not in Presidio's format.
    """
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise UsageError(
            "recognizers of Presidio need presidio-analyzer: pip install 'corpusmill[models]'"
        )
    with _without("torch", "transformers", "stanza", "gliner", "langextract"):
        known = _text_recognizers()
    made: list[Any] = []
    for name in names:
        if name.endswith((".yaml", ".yml")):
            made += _from_file(Path(name))
        elif name in known:
            made.append(known[name]())
        else:
            allowed = plugins.unknown("recognizers", name, known)
            raise UsageError(f"recognizers: {allowed}, and no YAML file")
    return PresidioRecognizers(made)


@contextlib.contextmanager
def _without(*modules: str) -> Iterator[None]:
    """Let imports of these modules fail, unless they are loaded already."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: "not importable"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _text_recognizers() -> dict[str, Any]:
    """Presidio's classes that look at text alone."""
    import tldextract
    from presidio_analyzer import PatternRecognizer, pattern_recognizer, predefined_recognizers

    # A pattern that takes too long would find nothing after 60 s of the clock, so that a value
    # stays. The stage runs in a child with a limit on CPU time, and its document is quarantined.
    setattr(pattern_recognizer, "REGEX_TIMEOUT_SECONDS", None)  # noqa: B010  # typed as a number
    # Presidio's e-mail recognizer would fetch the public suffix list.
    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    setattr(tldextract, "extract", offline)  # noqa: B010  # typed as a function
    classes = vars(predefined_recognizers).items()
    return {
        name: value
        for name, value in classes
        if isinstance(value, type)
        and (issubclass(value, PatternRecognizer) or name == "PhoneRecognizer")
    }


_KEYS = (
    "context", "deny_list", "deny_list_score", "enabled", "name", "patterns", "supported_entity",
    "supported_language", "supported_languages", "type",
)  # fmt: skip


def _check_entry(where: str, entry: dict[Any, Any]) -> None:
    for key in sorted(entry.keys() - set(_KEYS), key=str):
        raise UsageError(f"{where}: {one_of(str(key), _KEYS)}")
    for key in ("name", "supported_entity"):
        if not isinstance(entry.get(key, ""), str):
            raise UsageError(f"{where}: {key}: must be text")
    for key in ("context", "deny_list"):
        words = entry.get(key) or []
        if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
            raise UsageError(f"{where}: {key}: must be a list of words")
    if entry.get("type", "custom") != "custom":
        raise UsageError(f"{where}: type: {one_of(str(entry['type']), ('custom',))}")
    if not isinstance(entry.get("enabled", True), bool):
        raise UsageError(f"{where}: enabled: must be true or false")
    if re.fullmatch(r"[A-Z][A-Z0-9_]{0,39}", entry["supported_entity"]) is None:
        raise UsageError(
            f"{where}: supported_entity: {entry['supported_entity']!r} is not up to 40 capitals, "
            "digits and _, as in STAFF_NUMBER"
        )


def _from_file(path: Path) -> list[Any]:
    from presidio_analyzer import PatternRecognizer

    try:
        if path.stat().st_size > MOST_YAML_BYTES:
            raise UsageError(f"{path}: larger than {MOST_YAML_BYTES} bytes")
        content = yaml.safe_load(path.read_text("utf-8"))
    except RecursionError:
        raise UsageError(f"{path}: is nested too deeply") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not YAML: {error}") from None
    entries = content.get("recognizers") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{path}: must hold a list `recognizers`")
    made = []
    for number, entry in enumerate(entries):
        where = f"{path}: recognizers[{number}]"
        if not isinstance(entry, dict) or not entry.get("supported_entity"):
            raise UsageError(f"{where}: must be a mapping with `supported_entity`")
        _check_entry(where, entry)
        if not entry.get("enabled", True):
            continue
        used = ("name", "supported_entity", "patterns", "deny_list", "context", "deny_list_score")
        try:
            made.append(PatternRecognizer.from_dict({k: entry[k] for k in used if k in entry}))
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise UsageError(f"{where}: Presidio refuses it: {error}") from None
    return made
