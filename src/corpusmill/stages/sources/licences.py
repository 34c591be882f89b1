"""Licences of code, as SPDX expressions: of a file by its tag, of a folder by its licence files.

Texts are identified by licenseclassifier (patterns of Google's licensecheck, data of SPDX),
expressions are understood by license-expression. What neither knows is no licence: the empty
string, "unknown".
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from corpusmill.stages.sources.languages import programming_language

if TYPE_CHECKING:
    from license_expression import Licensing

MAX_LICENCE_FILE = 200_000
"""Bytes of a licence file or package description; the GPL has 35,000. A longer one is a collection
of other people's licences."""
_TAG_WITHIN = 8192
"""Characters at the start of a file in which its licence tags stand."""
_MAX_EXPRESSION = 300
"""Characters of an expression."""
_MAX_TEXTS = 10
"""Licences in one folder; more are a collection."""

_TAG = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{1,400})")
_COMMENT_END = re.compile(
    r"[ \t]*(?:\*+/|-->|\*\)|-\}|#\}|\]\]|\"\"\"|'''|%>|[\"'`,;]|\*+)[ \t]*\Z"
)
_CUSTOM = re.compile(r"(?:DocumentRef-[\w.-]+:)?LicenseRef-[\w.-]+\Z")

_TEXT_FILE = re.compile(
    r"(?:(?:mit|bsd|apache)[-_])?(?:un)?licen[cs]es?(?:[-_.].*)?\Z|copying(?:[-_.].*)?\Z|copyright\Z"
)
_PROSE = ("", "Text", "Markdown", "reStructuredText")


def spdx_licence(text: str) -> str:
    """The licence that a file's SPDX tags name; several tags hold together."""
    head = text[:_TAG_WITHIN]
    if "SPDX-License-Identifier" not in head:
        return ""
    tags = []
    for match in _TAG.finditer(head):
        tag = match[1].strip()
        while tag != (tag := _COMMENT_END.sub("", tag)):
            pass
        tags.append(normal(tag))
    return _all_of(tags) if all(tags) else ""


def is_licence_file(path: str) -> bool:
    """Whether a file says what the folder it is in may be used for, going by its name.

    The folder `LICENSES` of the REUSE convention has a text for every tag in the files, and says
    nothing of files without.
    """
    folder, _, name = path.rpartition("/")
    name = name.lower()
    if name in _DESCRIPTIONS or name.endswith(".gemspec"):
        return True
    if folder.rpartition("/")[2] == "LICENSES" or not _TEXT_FILE.match(name):
        return False
    return programming_language(name) in _PROSE


def repository_licence(files: Mapping[str, bytes]) -> str:
    """The licence of a folder, from the licence files in it (name -> content).

    A package's own description says how several licences go together. Without one, all of them
    hold; but a licence by the side of the GPL that it extends is the LGPL, and the pair of MIT and
    Apache, as Rust's packages have it, is a choice.
    """
    described: list[str] = []
    texts: set[str] = set()
    for name, content in sorted(files.items()):
        name = name.rpartition("/")[2].lower()
        if len(content) > MAX_LICENCE_FILE:
            continue
        reader = _gemspec if name.endswith(".gemspec") else _DESCRIPTIONS.get(name)
        if reader is not None:
            described += filter(None, [_described(reader, content)])
        elif len(texts) < _MAX_TEXTS:
            texts |= identified(content)
    for gpl in [name for name in texts if name.startswith("GPL-")]:
        if any(name.startswith("LGPL-") for name in texts):
            texts.discard(gpl)
    if not described and texts == {"Apache-2.0", "MIT"}:
        return "Apache-2.0 OR MIT"
    words = set(re.findall(r"[\w.+-]+", " ".join(described)))
    loose = [name for name in texts if _family(name) not in map(_family, words)]
    return _all_of([*described, *sorted(loose)])


def by_folder(files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Folder -> licence, for the folders that have one; of the licence files (path, content)."""
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in files:
        if is_licence_file(path):
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, {})[name] = content
    found = {folder: repository_licence(inside) for folder, inside in folders.items()}
    return {folder: licence for folder, licence in found.items() if licence}


def nearest(folders: Mapping[str, str], path: str) -> str:
    """The licence of the nearest folder above a file that has one; `folders` as `by_folder`."""
    while path:
        path = path.rpartition("/")[0]
        if path in folders:
            return folders[path]
    return ""


def refused(expression: str, allow: Sequence[str], deny: Sequence[str]) -> str | None:
    """Why code under this licence is not wanted; None when it is.

    Args:
        expression: an SPDX expression; empty when the licence is not known.
        allow: identifiers, of which the code needs one; `*` at the end for a family. All, if none
            are given.
        deny: identifiers that are not wanted, whatever is allowed.

    `A OR B` needs one of the two, `A AND B` both. An identifier without `-only` or `-or-later`
    means both forms, and a licence `WITH` an exception is also what it is without.

    Returns:
        `licence_unknown`, `licence_denied` or `licence_not_allowed`.
    """
    parsed = _parsed(expression) if expression and (allow or deny) else None
    if parsed is None:
        return "licence_unknown" if allow else None
    if not _holds(parsed, lambda key: not _matches(key, deny)):
        return "licence_denied"
    if allow and not _holds(parsed, lambda key: _matches(key, allow) and not _matches(key, deny)):
        return "licence_not_allowed"
    return None


def unknown_identifiers(patterns: Iterable[str]) -> list[str]:
    """Those entries of an allow or deny list that fit no licence of the SPDX list."""
    known = [key.lower() for key in _licensing().known_symbols]
    return [
        pattern
        for pattern in patterns
        if not _CUSTOM.match(pattern.rstrip("*"))
        and not any(_fits(key, pattern.lower()) for key in known)
        and normal(pattern) == ""
    ]


def normal(expression: str) -> str:
    """An SPDX expression in its normal form; empty when it is none."""
    parsed = _parsed(expression)
    return "" if parsed is None else str(parsed.render())


def identified(content: bytes) -> frozenset[str]:
    """The licences whose texts make up most of a file."""
    return _identified(content) if len(content) <= MAX_LICENCE_FILE else frozenset()


@lru_cache(maxsize=64)  # a repository has the same few texts in many folders
def _identified(content: bytes) -> frozenset[str]:
    from licenseclassifier import identify_license

    found = (result.id for result in identify_license(content.decode("utf-8", "replace")))
    return frozenset(name for key in found if (name := normal(key)))


def _all_of(expressions: Sequence[str]) -> str:
    different = list(dict.fromkeys(expressions))
    if len(different) < 2:
        return "".join(different)
    return " AND ".join(f"({e})" if " OR " in e else e for e in different)


@cache
def _licensing() -> "Licensing":
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


@lru_cache(maxsize=1024)
def _parsed(expression: str) -> Any:
    """The tree of an expression, in which every licence is known; else None."""
    if not 0 < len(expression) <= _MAX_EXPRESSION:
        return None
    try:
        parsed = _licensing().parse(expression)
        unknown = _licensing().unknown_license_keys(parsed)
    except Exception:  # the library's own two, and AttributeError and IndexError out of it
        return None
    return parsed if all(_CUSTOM.match(key) for key in unknown) else None


def _holds(parsed: Any, good: Callable[[str], bool]) -> bool:
    """Whether a tree of AND and OR can be fulfilled with licences that are good."""
    if parsed.isliteral:
        return good(parsed.render().lower())
    inside = [_holds(part, good) for part in parsed.args]
    return any(inside) if parsed.operator.strip() == "OR" else all(inside)


def _matches(key: str, patterns: Sequence[str]) -> bool:
    names = {key, key.partition(" with ")[0]}
    return any(_fits(name, pattern.lower()) for name in names for pattern in patterns)


def _fits(key: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return key.startswith(pattern[:-1])
    return key in (pattern, f"{pattern}-only", f"{pattern}-or-later", normal(pattern).lower())


def _family(name: str) -> str:
    return name.removesuffix("-only").removesuffix("-or-later").removesuffix("+")


# What packages say of themselves.


def _described(reader: Callable[[str], Any], content: bytes) -> str:
    """The expression in a package's description; a list is a choice."""
    try:
        said = reader(content.decode("utf-8", "replace"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ""
    names = said if isinstance(said, list) else [said]
    found = [normal(name.replace("/", " OR ")) for name in names if isinstance(name, str)]
    return normal(" OR ".join(f"({name})" for name in found)) if found and all(found) else ""


def _package_json(text: str) -> Any:
    package = json.loads(text)
    said = package.get("license") or package.get("licenses")
    kinds = said if isinstance(said, list) else [said]
    return [kind.get("type") if isinstance(kind, dict) else kind for kind in kinds]


def _pyproject(text: str) -> Any:
    package = tomllib.loads(text)
    said = package.get("project", {}).get("license")
    said = said or package.get("tool", {}).get("poetry", {}).get("license")
    return said.get("text") if isinstance(said, dict) else said


def _cargo(text: str) -> Any:
    return tomllib.loads(text).get("package", {}).get("license")


def _header(text: str) -> Any:
    """`License-Expression` of a Python package's metadata."""
    found = re.search(r"^License-Expression:[ \t]*(.{1,300})$", text, re.MULTILINE)
    return found[1].strip() if found else None


def _setup_cfg(text: str) -> Any:
    found = re.search(r"^license[ \t]*=[ \t]*(.{1,300})$", text, re.MULTILINE)
    return found[1].strip() if found else None


def _gemspec(text: str) -> Any:
    return re.findall(r"\.licenses?[ \t]*=[ \t]*\[?[ \t]*[\"']([^\"'\n]{1,300})[\"']", text)


_DESCRIPTIONS: dict[str, Callable[[str], Any]] = {
    "cargo.toml": _cargo,
    "composer.json": _package_json,
    "metadata": _header,
    "package.json": _package_json,
    "pkg-info": _header,
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
}
"""File -> where it has its licence."""
