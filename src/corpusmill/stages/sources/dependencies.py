"""A repository as one document: its files with what they import in front of them."""

from collections.abc import Iterator, Mapping

from corpusmill.stages.sources.code_comments import comment
from corpusmill.stages.sources.imports import Imports
from corpusmill.stages.sources.languages import programming_language

_PROSE = ("Markdown", "reStructuredText", "AsciiDoc", "Text", "Org", "RDoc", "MDX")


def in_dependency_order(files: Mapping[str, str]) -> list[str]:
    """The paths of a repository, each after those that it imports.

    Args:
        files: path -> text.

    READMEs come first, those higher up before those deeper down, then other prose; the code
    follows, as near to the order of paths as imports allow. Files that import each other in a
    circle stand together, in the order of their paths. Only imports of files in the repository
    count. The time is linear in text and imports.
    """
    prose = sorted((path for path in files if _is_prose(path)), key=_prose_order)
    code = sorted(set(files).difference(prose))
    imports = Imports({path: files[path] for path in code})
    circles = _circles(code, imports)
    return prose + [path for circle in circles for path in sorted(circle) if path in files]


def joined(files: Mapping[str, str]) -> str:
    """Files, in their order, as one text: each behind a comment with its path."""
    parts = []
    for path, text in files.items():
        name = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in path)
        end = "" if text.endswith("\n") else "\n"
        parts.append(f"{comment(name, programming_language(path))}\n{text}{end}")
    return "\n".join(parts)


def _is_prose(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    return name.startswith("readme") or programming_language(path) in _PROSE


def _prose_order(path: str) -> tuple[bool, int, str]:
    is_readme = path.rpartition("/")[2].lower().startswith("readme")
    return (not is_readme, path.count("/") if is_readme else 0, path)


def _circles(code: list[str], imports: Imports) -> Iterator[list[str]]:
    """The strongly connected components of the imports, each after those it depends on.

    Tarjan's algorithm (1972) gives them in this order; without recursion, since a chain of imports
    can be as long as the repository. Groups of files that are imported as one (a package in Go) are
    nodes of their own, and left out of what is yielded.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: list[str] = []
    is_open: set[str] = set()
    for root in code:
        if root in number:
            continue
        work = [(root, iter(imports.of(root)))]
        number[root] = lowest[root] = len(number)
        open_nodes.append(root)
        is_open.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in number:
                    number[other] = lowest[other] = len(number)
                    open_nodes.append(other)
                    is_open.add(other)
                    work.append((other, iter(imports.of(other))))
                    break
                if other in is_open:
                    lowest[node] = min(lowest[node], number[other])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    circle: list[str] = []
                    while not circle or circle[-1] != node:
                        circle.append(open_nodes.pop())
                    is_open.difference_update(circle)
                    yield circle
