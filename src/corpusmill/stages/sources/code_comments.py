"""A line of text as a comment, in the notation of a programming language."""

_LINE = {
    "//": "ActionScript Apex Bicep C C# C++ Cairo Cuda D Dart F# GLSL Go Gosu Gradle Groovy HLSL "
    "Haxe JSON Java JavaScript Jsonnet Kotlin Less Metal Move Objective-C Objective-C++ OpenCL PHP "
    "Pascal QML Reason Rust SCSS SWIG Sass Scala Solidity Stylus Svelte Swift SystemVerilog TSX "
    "Thrift TypeScript V Vala Verilog WGSL Yacc Zig",
    "--": "Ada Agda AppleScript Dhall Eiffel Elm Haskell Idris Lean Lua PLSQL PLpgSQL PureScript "
    "SQL TSQL VHDL",
    "%": "BibTeX Erlang Logtalk MATLAB Mercury PostScript Prolog TeX",
    ";": "Assembly AutoHotkey Clojure Fennel Hy INI LLVM NewLisp Racket Rebol Scheme",
    ";;": "WebAssembly",
    "!": "Factor Fortran",
    "'": "BASIC FreeBASIC QuickBASIC VBA",
    "\\": "Forth",
}
_NAMES_WITH_SPACES = {
    "Common Lisp": ";",
    "Emacs Lisp": ";",
    "Fortran Free Form": "!",
    "Protocol Buffer": "//",
    "Vim Script": '"',
    "Visual Basic .NET": "'",
    "Visual Basic 6.0": "'",
    "Batchfile": "REM",
    "reStructuredText": "..",
    "Roff": '.\\"',
    "Roff Manpage": '.\\"',
}
_AROUND = {
    "/*": ("*/", "CSS"),
    "(*": ("*)", "OCaml|Standard ML|Rocq Prover|Mathematica|Modula-2"),
    "<!--": (
        "-->",
        "HTML|XML|SVG|Markdown|MDX|Vue|XSLT|HTML+ERB|XML Property List|Maven POM|Handlebars",
    ),
}

_BEFORE = {name: mark for mark, names in _LINE.items() for name in names.split()}
_BEFORE |= _NAMES_WITH_SPACES
_BOTH = {name: (mark, end) for mark, (end, names) in _AROUND.items() for name in names.split("|")}


def comment(text: str, language: str) -> str:
    """Every line of a text as a comment; `# ` in a language that is not known.

    Args:
        text: any text; what ends the comment in it is broken up.
        language: as `programming_language` names it.
    """
    if language in _BOTH:
        start, end = _BOTH[language]
        lines = text.replace(end, " ".join(end)).splitlines()
        return "\n".join(f"{start} {line} {end}" for line in lines)
    start = _BEFORE.get(language, "#")
    return "\n".join(f"{start} {line}".rstrip() for line in text.splitlines())
