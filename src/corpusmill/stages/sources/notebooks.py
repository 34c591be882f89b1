"""Jupyter notebooks: code as it is, prose as comments, outputs left out."""

import json
from typing import Any

from corpusmill.stages.sources.code_comments import comment
from corpusmill.stages.sources.limits import MAX_PAYLOAD, Refused

_MAX_CELLS = 100_000

_LANGUAGES = {
    "bash": "Shell", "c": "C", "c#": "C#", "c++": "C++", "c++11": "C++", "c++14": "C++",
    "c++17": "C++", "c++20": "C++", "clojure": "Clojure", "coffeescript": "CoffeeScript",
    "csharp": "C#", "dart": "Dart", "elixir": "Elixir", "erlang": "Erlang", "f#": "F#",
    "fortran": "Fortran", "fsharp": "F#", "gnuplot": "Gnuplot", "go": "Go", "groovy": "Groovy",
    "haskell": "Haskell", "ipython": "Python", "java": "Java", "javascript": "JavaScript",
    "julia": "Julia", "kotlin": "Kotlin", "lua": "Lua", "mathematica": "Mathematica",
    "matlab": "MATLAB", "ocaml": "OCaml", "octave": "MATLAB", "perl": "Perl", "php": "PHP",
    "powershell": "PowerShell", "prolog": "Prolog", "pyspark": "Python", "python": "Python",
    "python2": "Python", "python3": "Python", "q": "q", "r": "R", "racket": "Racket",
    "ruby": "Ruby", "rust": "Rust", "sage": "Sage", "sagemath": "Sage", "sas": "SAS",
    "scala": "Scala", "scheme": "Scheme", "scilab": "Scilab", "shell": "Shell", "sql": "SQL",
    "stata": "Stata", "swift": "Swift", "tcl": "Tcl", "typescript": "TypeScript",
    "wolfram language": "Mathematica", "xpython": "Python",
}  # fmt: skip
"""What kernels call their languages -> their names elsewhere."""


def notebook_text(payload: bytes) -> tuple[str, dict[str, str]]:
    """The text of a notebook, and its programming language as metadata.

    Formats 2, 3 and 4. Cells follow each other with an empty line between them. Code, magics
    included, stays as it is; prose and raw cells become comments of the kernel's language; outputs
    and attachments are left out.

    Raises:
        Refused: it is no notebook, or too large.
    """
    if len(payload) > MAX_PAYLOAD:
        raise Refused("too_large", len(payload), MAX_PAYLOAD)
    try:
        notebook = json.loads(payload.decode("utf-8-sig"))
        cells = _cells(notebook)
        language = _language(notebook, cells)
        parts = [_cell(cell, language) for cell in cells]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise Refused("invalid_notebook") from None
    text = "\n\n".join(part for part in parts if part.strip())
    # A lone surrogate, which JSON can write, is no text.
    text = text.encode("utf-8", "replace").decode()
    return text + "\n" if text else "", {"programming_language": language}


def _cells(notebook: Any) -> list[dict[str, Any]]:
    if "cells" in notebook:
        cells = notebook["cells"]
    else:
        cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError
    if len(cells) > _MAX_CELLS:
        raise Refused("too_many_cells", len(cells), _MAX_CELLS)
    return cells


def _language(notebook: Any, cells: list[dict[str, Any]]) -> str:
    """As the notebook says; in format 3 every code cell does. Python, which the format was made
    for, when none does."""
    metadata = notebook.get("metadata") or {}
    said = (metadata.get("language_info") or {}).get("name")
    said = said or (metadata.get("kernelspec") or {}).get("language")
    said = said or next((cell["language"] for cell in cells if cell.get("language")), "python")
    if not isinstance(said, str):
        raise TypeError
    return _LANGUAGES.get(said.strip().lower(), said.strip()[:50])


def _cell(cell: dict[str, Any], language: str) -> str:
    kind = cell.get("cell_type")
    source = cell.get("source", cell.get("input", ""))
    text = "".join(source) if isinstance(source, list) else source
    if not isinstance(text, str):
        raise TypeError
    text = text.rstrip()
    if kind == "code":
        return text
    if kind == "heading":  # format 3
        text = "#" * int(cell.get("level", 1)) + " " + text
    return comment(text, language)
