"""Which files of a repository a file imports, as far as its text says so, by language.

Import statements are found by patterns, not by parsers: a wrong or missed one moves a file, and
breaks nothing. What an import means is looked up among the repository's own files; everything else
is somebody else's library.
"""

import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

_LOOKED_AT = 262_144
"""Characters of a file in which imports are looked for."""
_MAX_IMPORTS = 5000
"""Imports of one file; more are data."""
_MAX_DEPTH = 24
"""Folders above a file that are searched, and parts of a name."""
_GROUP = "\0"
"""In front of the name of a group of files that is imported as one. No path begins so."""

_PYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]{0,500}|[^\n#;(]+)"
    r"|import[ \t]+([^\n#;]+))",
    re.MULTILINE,
)
_PYTHON_NAME = re.compile(r"([\w.]+)(?:[ \t]+as[ \t]+\w+)?")
_SCRIPT = re.compile(
    r"\b(?:from|import|require|export)\b[ \t]*\(?[ \t]*[\"'`]([^\"'`\n]{1,300})[\"'`]"
)
_STYLE = re.compile(r"@(?:import|use|forward)[ \t]+(?:url\()?[\"']([^\"'\n]{1,300})[\"']")
_INCLUDE = re.compile(
    r"^[ \t]*#[ \t]*(?:include|import)[ \t]*([\"<])([^\">\n]{1,300})[\">]", re.MULTILINE
)
_JVM_PACKAGE = re.compile(r"^[ \t]*package[ \t]+([\w.]+)", re.MULTILINE)
_JVM = re.compile(
    r"^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]+)(?:(\*)|\{([^}\n]{0,500})\})?", re.MULTILINE
)
_GO = re.compile(
    r"^import[ \t]+(?:\(([^)]{0,5000})|(?:[\w.]+[ \t]+)?\"([^\"\n]{1,300})\")", re.MULTILINE
)
_GO_PATH = re.compile(r"\"([^\"\n]{1,300})\"")
_GO_MODULE = re.compile(r"^module[ \t]+\"?([^\s\"]+)", re.MULTILINE)
_RUST = re.compile(
    r"^[ \t]*(?:pub(?:\([\w: ]+\))?[ \t]+)?"
    r"(?:mod[ \t]+(\w+)[ \t]*;|use[ \t]+((?:crate|super|self)(?:::\w+)*)(?:::\{([^;]{0,1000}))?)",
    re.MULTILINE,
)
_RUBY = re.compile(
    r"^[ \t]*(require_relative|require|load|autoload[ \t]+:\w+,)[ \t]*\(?[ \t]*"
    r"[\"']([^\"'\n]{1,300})[\"']",
    re.MULTILINE,
)
_PHP = re.compile(
    r"^[ \t]*use[ \t]+(?:function[ \t]+|const[ \t]+)?\\?([\w\\]+)(?:\\?\{([^}\n]{0,500}))?"
    r"|\b(?:require|include)(?:_once)?\b[^;\n'\"]{0,80}[\"']([^\"'\n]{1,300})[\"']",
    re.MULTILINE,
)
_PHP_NAMESPACE = re.compile(
    r"^[ \t]*(?:<\?php[ \t]+)?namespace[ \t]+([\w\\]+)[ \t]*[;{]", re.MULTILINE
)
_USING = re.compile(
    r"^[ \t]*(?:global[ \t]+)?using[ \t]+(?:static[ \t]+)?(?:\w+[ \t]*=[ \t]*)?([\w.]+)[ \t]*;",
    re.MULTILINE,
)
_CSHARP_NAMESPACE = re.compile(r"^[ \t]*namespace[ \t]+([\w.]+)", re.MULTILINE)

_SCRIPT_ENDS = (
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    ".mjs",
    ".cjs",
    ".mts",
    ".cts",
    ".vue",
    ".svelte",
    ".d.ts",
    ".json",
)
_STYLE_ENDS = (".scss", ".sass", ".less", ".css", ".styl")


class Imports:
    """The imports between the files of one repository."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """`files` are path -> text."""
        self._files = files
        self._groups: dict[str, list[str]] = defaultdict(list)
        self._suffixes = _by_suffix(files)
        self._from_folder: dict[tuple[str, tuple[str, ...]], str] = {}
        self._go_modules: dict[str, str] = {}
        self._packages: dict[str, str] = {}  # of npm: name -> folder
        self._classes: dict[str, str] = {}  # of the JVM and PHP: full name -> path
        for path in sorted(files):
            self._declare(path, files[path][:_LOOKED_AT])

    @staticmethod
    def is_group(node: str) -> bool:
        """Whether a node is a group of files."""
        return node.startswith(_GROUP)

    def of(self, node: str) -> list[str]:
        """What a file, or a group, imports: sorted, without itself."""
        if self.is_group(node):
            return self._groups.get(node, [])
        find = _FINDERS.get(posixpath.splitext(node)[1].lower())
        if find is None:
            return []
        text = self._files[node][:_LOOKED_AT]
        found = set(islice(find(self, node, text), _MAX_IMPORTS)).difference(("", node))
        return sorted(found)

    def _declare(self, path: str, text: str) -> None:
        """Note by which name other files import a file."""
        folder, name = posixpath.split(path)
        stem, end = posixpath.splitext(name)
        if end in (".java", ".kt", ".kts", ".scala", ".groovy"):
            package = _JVM_PACKAGE.search(text)
            prefix = f"{package[1]}." if package else ""
            self._classes.setdefault(prefix + stem, path)
            self._groups[f"{_GROUP}jvm {prefix[:-1]}"].append(path)
        elif end == ".php":
            namespace = _PHP_NAMESPACE.search(text)
            prefix = f"{namespace[1]}\\" if namespace else ""
            self._classes.setdefault(prefix + stem, path)
        elif end == ".cs":
            for name_of_space in {match[1] for match in _CSHARP_NAMESPACE.finditer(text)}:
                self._groups[f"{_GROUP}cs {name_of_space}"].append(path)
        elif end == ".go" and not stem.endswith("_test"):
            self._groups[f"{_GROUP}go {folder}"].append(path)
        elif name == "go.mod" and (module := _GO_MODULE.search(text)):
            self._go_modules[module[1]] = folder
        elif name == "package.json":
            try:
                package_name = json.loads(text).get("name")
            except (ValueError, AttributeError, RecursionError):
                return
            if isinstance(package_name, str):
                self._packages.setdefault(package_name, folder)

    # Looking names up.

    def _first(self, candidates: Iterable[str]) -> str:
        return next((path for path in candidates if path in self._files), "")

    def _group(self, name: str) -> str:
        return _GROUP + name if _GROUP + name in self._groups else ""

    def _from_above(self, path: str, names: tuple[str, ...], inside: tuple[str, ...]) -> str:
        """A file called so below one of the folders above a file, the outermost first; else the
        only one in the repository whose path ends so."""
        folder = posixpath.dirname(path)
        known = self._from_folder.get((folder, names))
        if known is None:
            known = self._from_folder[folder, names] = self._search(folder, names, inside)
        return known

    def _search(self, folder: str, names: tuple[str, ...], inside: tuple[str, ...]) -> str:
        there = [name for name in names if "/".join(name.rsplit("/", 2)[-2:]) in self._suffixes]
        if not there:
            return ""
        for above in _folders_above(f"{folder}/x" if folder else "x"):
            for part in inside:
                found = self._first(_join(above, part, name) for name in there)
                if found:
                    return found
        return next(filter(None, (self._suffixes[n] for n in there if n in self._suffixes)), "")

    # Languages.

    def _python(self, path: str, text: str) -> Iterable[str]:
        for match in _PYTHON.finditer(text):
            base, names, modules = match.groups()
            if modules:
                for name in _PYTHON_NAME.findall(modules):
                    yield self._python_module(path, name)
                continue
            for name in _PYTHON_NAME.findall(names):
                joint = "" if base.endswith(".") else "."
                yield self._python_module(path, base + joint + name) or self._python_module(
                    path, base
                )

    def _python_module(self, path: str, name: str) -> str:
        relative = name.lstrip(".")
        dots = len(name) - len(relative)
        slashed = relative.replace(".", "/")
        if dots > _MAX_DEPTH or slashed.count("/") > _MAX_DEPTH:
            return ""
        if dots:
            folder = posixpath.dirname(path)
            for _ in range(dots - 1):
                folder = posixpath.dirname(folder)
            if not slashed:
                return self._first([_join(folder, "", "__init__.py")])
            return self._first(_join(folder, "", end) for end in _python_files(slashed))
        return self._from_above(path, _python_files(slashed), ("", "src/", "lib/"))

    def _script(self, path: str, text: str) -> Iterable[str]:
        folder = posixpath.dirname(path)
        for match in _SCRIPT.finditer(text):
            yield self._script_module(folder, match[1])
        if path.endswith((".vue", ".svelte")):
            yield from self._style(path, text)

    def _script_module(self, folder: str, name: str) -> str:
        name = name.partition("?")[0]
        if name.startswith("."):
            return self._script_file(_join(folder, "", name))
        if name.startswith(("@/", "~/")):  # by convention the project's own sources
            return self._script_file("src/" + name[2:])
        parts = name.split("/")
        package = "/".join(parts[: 2 if name.startswith("@") else 1])
        if package not in self._packages:
            return ""
        inside = _join(self._packages[package], "", "/".join(parts[package.count("/") + 1 :]))
        return self._script_file(inside) or self._script_file(_join(inside, "", "src"))

    def _script_file(self, base: str) -> str:
        stem, end = posixpath.splitext(base)
        written = [base] if end else []
        compiled = [stem + e for e in (".ts", ".tsx", ".mts", ".cts")] if "js" in end else []
        added = [base + e for e in _SCRIPT_ENDS]
        index = [_join(base, "", "index" + e) for e in _SCRIPT_ENDS]
        return self._first([*written, *compiled, *added, *index])

    def _style(self, path: str, text: str) -> Iterable[str]:
        folder = posixpath.dirname(path)
        for match in _STYLE.finditer(text):
            base = _join(folder, "", match[1])
            inside, name = posixpath.split(base)
            partial = _join(inside, "", "_" + name)
            yield self._first([base, *(b + e for b in (base, partial) for e in _STYLE_ENDS)])

    def _c(self, path: str, text: str) -> Iterable[str]:
        folder = posixpath.dirname(path)
        for match in _INCLUDE.finditer(text):
            quote, name = match.groups()
            if quote == "<" and "/" not in name:
                continue  # of the system, most likely
            yield self._first([_join(folder, "", name)]) or self._from_above(
                path, (name,), ("", "include/", "src/")
            )

    def _jvm(self, path: str, text: str) -> Iterable[str]:
        for match in _JVM.finditer(text):
            name, star, several = match.groups()
            name = name.rstrip(".")
            if star or name.endswith("._"):
                yield self._group("jvm " + name.removesuffix("._")) or self._jvm_class(name)
            elif several:
                for inner in re.findall(r"[\w.]+", several):
                    yield self._jvm_class(f"{name}.{inner}") or self._group("jvm " + name)
            else:
                yield self._jvm_class(name) or (
                    "" if path.endswith(".java") else self._group("jvm " + name.rpartition(".")[0])
                )

    def _jvm_class(self, name: str) -> str:
        """The file of a class, also if the name goes on to something in it."""
        for _ in range(_MAX_DEPTH):
            if name in self._classes:
                return self._classes[name]
            name = name.rpartition(".")[0]
            if not name:
                break
        return ""

    def _go(self, _path: str, text: str) -> Iterable[str]:
        for match in _GO.finditer(text):
            for name in _GO_PATH.findall(match[1]) if match[1] else filter(None, [match[2]]):
                module, inside = name, ""
                for _ in range(_MAX_DEPTH):
                    if module in self._go_modules:
                        folder = _join(self._go_modules[module], "", inside)
                        yield self._group("go " + folder)
                        break
                    module, _, last = module.rpartition("/")
                    inside = f"{last}/{inside}" if inside else last
                    if not module:
                        break

    def _rust(self, path: str, text: str) -> Iterable[str]:
        folder, name = posixpath.split(path)
        stem = posixpath.splitext(name)[0]
        own = folder if stem in ("mod", "lib", "main") else _join(folder, "", stem)
        crate = next(
            (
                above
                for above in reversed(_folders_above(path))
                if self._first([_join(above, "", "lib.rs"), _join(above, "", "main.rs")])
            ),
            folder,
        )
        for match in _RUST.finditer(text):
            module, used, several = match.groups()
            if module:
                yield self._first(_rust_files(_join(own, "", module)))
                continue
            first, *parts = used.split("::")
            base = {"crate": crate, "self": own, "super": posixpath.dirname(own)}[first]
            while parts and parts[0] == "super":
                base, parts = posixpath.dirname(base), parts[1:]
            whole = self._rust_module(base, parts)
            for inner in re.findall(r"\w+(?:::\w+)*", several) if several else ():
                yield self._rust_module(base, [*parts, *inner.split("::")]) or whole
            if not several:
                yield whole

    def _rust_module(self, base: str, parts: list[str]) -> str:
        """The deepest module on a path; what is left of the path is something in it. Not the
        crate's root, which names all its modules and would make one circle of them."""
        for n in range(min(len(parts), _MAX_DEPTH), 0, -1):
            found = self._first(_rust_files(_join(base, "", "/".join(parts[:n]))))
            if found:
                return found
        return ""

    def _ruby(self, path: str, text: str) -> Iterable[str]:
        folder = posixpath.dirname(path)
        for match in _RUBY.finditer(text):
            how, name = match.groups()
            name = name if name.endswith(".rb") else name + ".rb"
            if how == "require_relative" or name.startswith("."):
                yield self._first([_join(folder, "", name)])
            else:
                yield self._from_above(path, (name,), ("", "lib/"))

    def _php(self, path: str, text: str) -> Iterable[str]:
        folder = posixpath.dirname(path)
        for match in _PHP.finditer(text):
            name, several, file = match.groups()
            if file:
                yield self._first([_join(folder, "", file.lstrip("/"))]) or self._from_above(
                    path, (file.lstrip("/"),), ("",)
                )
            elif several:
                for inner in re.findall(r"[\w\\]+", several):
                    yield self._classes.get(f"{name.rstrip(chr(92))}\\{inner}", "")
            else:
                yield self._classes.get(name, "")

    def _csharp(self, _path: str, text: str) -> Iterable[str]:
        for match in _USING.finditer(text):
            yield self._group("cs " + match[1])


_Finder = Callable[[Imports, str, str], Iterable[str]]

_FINDERS: dict[str, _Finder] = {
    end: finder
    for finder, ends in (
        (Imports._python, ".py .pyi .pyx .pxd .pyw"),
        (Imports._script, ".js .jsx .ts .tsx .mjs .cjs .mts .cts .vue .svelte"),
        (Imports._style, ".css .scss .sass .less .styl"),
        (Imports._c, ".c .h .cc .cpp .cxx .hh .hpp .hxx .inl .ipp .m .mm .cu .cuh .cl .ino .y .l"),
        (Imports._jvm, ".java .kt .kts .scala .groovy"),
        (Imports._go, ".go"),
        (Imports._rust, ".rs"),
        (Imports._ruby, ".rb .rake .ru .gemspec"),
        (Imports._php, ".php"),
        (Imports._csharp, ".cs"),
    )
    for end in ends.split()
}
"""Suffix -> what finds the imports in such a file."""


def _join(folder: str, inside: str, name: str) -> str:
    """A path in normal form; one that leads out of the repository is no path in it."""
    path = f"{folder}/{inside}{name}" if folder else inside + name
    if "./" in path or "//" in path or path.endswith((".", "/")):
        path = posixpath.normpath(path)
    return "" if path == "." else path


def _folders_above(path: str) -> list[str]:
    """The folders that a file is in, the outermost, which is the empty path, first."""
    folders: list[str] = []
    while path and len(folders) < _MAX_DEPTH:
        path = posixpath.dirname(path)
        folders.append(path)
    return folders[::-1]


def _python_files(slashed: str) -> tuple[str, ...]:
    ends = (".py", "/__init__.py", ".pyx", ".pyi", "/__init__.pyi")
    return tuple(slashed + end for end in ends)


def _rust_files(base: str) -> tuple[str, str]:
    return base + ".rs", base + "/mod.rs"


def _by_suffix(paths: Iterable[str]) -> dict[str, str]:
    """The last one to six parts of a path -> the path; empty where several paths end so, and for
    one part, which does not say enough."""
    found: dict[str, str] = {}
    for path in paths:
        parts = path.rsplit("/", 6)
        found[parts[-1]] = ""
        for n in range(2, min(len(parts), 6) + 1):
            end = "/".join(parts[-n:])
            found[end] = "" if end in found else path
    return found
