"""Programming languages, as GitHub's Linguist names them: by shebang, name, suffix and content.

Suffixes that are not in the table here are looked up in Pygments, whose list of languages is
maintained; those that several languages share are told apart in `language_rules`.
"""

import re
from functools import cache

from corpusmill.stages.sources.language_rules import BY_CONTENT, MANUAL, NO_SUFFIX, decide

_HEAD = 16_384
"""Bytes at the start of a file that are looked at."""

_BY_SUFFIX = {
    "Ada": ".adb .ads .ada",
    "Assembly": ".a51 .asm .nasm",
    "AsciiDoc": ".adoc .asciidoc",
    "Awk": ".awk .gawk",
    "Batchfile": ".bat .cmd",
    "BibTeX": ".bib .bibtex",
    "BibTeX Style": ".bst",
    "C": ".c",
    "C++": ".c++ .cc .cpp .cxx .h++ .hpp .hxx .inl .ipp .ino .tcc .tpp",
    "CMake": ".cmake",
    "COBOL": ".cbl .cob .cobol .cpy",
    "CSS": ".css",
    "CSV": ".csv",
    "Clojure": ".clj .cljc .cljs .edn",
    "CoffeeScript": ".coffee",
    "Common Lisp": ".lisp",
    "Cuda": ".cu .cuh",
    "Cython": ".pxd .pxi .pyx",
    "Dart": ".dart",
    "Diff": ".diff .patch",
    "Dockerfile": ".containerfile .dockerfile",
    "EJS": ".ejs",
    "Elixir": ".ex .exs",
    "Elm": ".elm",
    "Emacs Lisp": ".el .emacs",
    "Erlang": ".app.src .erl .escript .hrl",
    "F#": ".fsi .fsx",
    "Forth": ".4th .forth .fth",
    "Fortran": ".f77 .fpp",
    "Fortran Free Form": ".f03 .f08 .f90 .f95",
    "Gettext Catalog": ".po .pot",
    "Go": ".go",
    "Gradle": ".gradle",
    "GraphQL": ".gql .graphql",
    "Graphviz (DOT)": ".dot .gv",
    "Groovy": ".groovy",
    "HCL": ".hcl .tf .tfvars",
    "HTML": ".htm .html .html.hl .xht .xhtml",
    "HTML+ERB": ".erb .html.erb .rhtml",
    "Haml": ".haml",
    "Handlebars": ".handlebars .hbs",
    "Haskell": ".hs .hs-boot .hsc",
    "INI": ".cfg .cnf .ini",
    "JSON": ".geojson .har .json .jsonl .ndjson .topojson .webmanifest",
    "Java": ".jav .java",
    "Java Properties": ".properties",
    "Java Server Pages": ".jsp",
    "JavaScript": ".cjs .es6 .javascript .js .jsx .mjs",
    "JavaScript+ERB": ".js.erb",
    "Jinja": ".j2 .jinja .jinja2",
    "Jsonnet": ".jsonnet .libsonnet",
    "Julia": ".jl",
    "Jupyter Notebook": ".ipynb",
    "Kotlin": ".kt .kts",
    "Lean": ".lean",
    "Less": ".less",
    "Lex": ".flex .lex",
    "Linker Script": ".ld .lds",
    "Literate Haskell": ".lhs",
    "Lua": ".lua",
    "MDX": ".mdx",
    "Makefile": ".mak .make .mk",
    "Markdown": ".markdown .mdown .mkd",
    "Meson": ".meson",
    "Nim": ".nim .nimble .nims",
    "Nix": ".nix",
    "Microsoft Visual Studio Solution": ".sln",
    "OCaml": ".eliom .mli .mll .mly",
    "Pascal": ".dpr .lpr .pas",
    "Perl": ".perl .ph .psgi",
    "Pod": ".pod",
    "PostScript": ".eps .ps",
    "PowerShell": ".ps1 .psd1 .psm1",
    "Prolog": ".plt .prolog .yap",
    "Protocol Buffer": ".proto",
    "Pug": ".jade .pug",
    "Python": ".gyp .gypi .py .pyi .pyt .pyw .wsgi",
    "QML": ".qml",
    "RMarkdown": ".qmd .rmd",
    "QMake": ".pri",
    "RDoc": ".rdoc",
    "RPM Spec": ".spec",
    "Racket": ".rkt .rktd .rktl .scrbl",
    "Raku": ".p6 .pl6 .pm6 .raku .rakumod",
    "ReScript": ".res .resi",
    "Reason": ".re .rei",
    "Rich Text Format": ".rtf",
    "Ruby": ".builder .gemspec .jbuilder .podspec .rabl .rake .rb .rbw .ru .ruby .thor",
    "SCSS": ".scss",
    "SVG": ".svg",
    "SWIG": ".i .swg .swig",
    "Sass": ".sass",
    "Scala": ".kojo .sbt .scala",
    "Scheme": ".sch .scm .sld .sps .ss",
    "Shell": ".bash .bats .ksh .sh .zsh",
    "Slim": ".slim",
    "Solidity": ".sol",
    "Standard ML": ".fun .sig .sml",
    "Starlark": ".bzl .star",
    "Stylus": ".styl",
    "Svelte": ".svelte",
    "Swift": ".swift",
    "SystemVerilog": ".sv .svh .vh",
    "TOML": ".toml",
    "TSV": ".tab .tsv",
    "Tcl": ".adp .tcl .tm",
    "TeX": ".dtx .ins .latex .ltx .sty .tex",
    "Texinfo": ".texi .texinfo .txi",
    "Text": ".text .txt",
    "Turtle": ".ttl",
    "TypeScript": ".cts .mts",
    "Unix Assembly": ".sx",
    "VBA": ".vba",
    "VHDL": ".vhd .vhdl",
    "Vala": ".vala .vapi",
    "Verilog": ".veo",
    "Vim Script": ".vim .vimrc",
    "Visual Basic .NET": ".vb .vbhtml",
    "Visual Basic 6.0": ".ctl .frm",
    "Vue": ".vue",
    "WebAssembly": ".wast .wat",
    "XML": ".csproj .dtd .owl .props .qrc .rdf .rss .targets .ui .vcxproj .wsdl .xaml .xib .xlf "
    ".xliff .xmi .xml .xsd .xul",
    "XML Property List": ".plist",
    "XSLT": ".xsl .xslt",
    "YAML": ".mir .sublime-syntax .yaml .yml",
    "Yacc": ".y .yacc .yy",
    "Zig": ".zig",
    "desktop": ".desktop .service",
    "fish": ".fish",
    "reStructuredText": ".rest .rst",
    "sed": ".sed",
}
"""A suffix of several languages that no line tells apart goes to the commonest."""

_LANGUAGES = {end: name for name, ends in _BY_SUFFIX.items() for end in ends.split()}

_BY_NAME = {
    name: language
    for language, names in {
        "CMake": "cmakelists.txt",
        "CODEOWNERS": "codeowners",
        "Dockerfile": "containerfile dockerfile",
        "EditorConfig": ".editorconfig",
        "Emacs Lisp": ".emacs",
        "Gemfile.lock": "gemfile.lock",
        "Git Attributes": ".gitattributes",
        "Git Config": ".gitconfig .gitmodules",
        "Go Checksums": "go.sum go.work.sum",
        "Go Module": "go.mod",
        "Groovy": "jenkinsfile",
        "Ignore List": ".cvsignore .dockerignore .eslintignore .gitignore .npmignore "
        ".prettierignore",
        "JSON": ".babelrc .prettierrc composer.lock package-lock.json pipfile.lock",
        "JavaScript": "jakefile",
        "Just": "justfile",
        "M4Sugar": "configure.ac configure.in",
        "Makefile": "gnumakefile makefile makefile.am makefile.in makefile.inc bsdmakefile kbuild",
        "Maven POM": "pom.xml",
        "Meson": "meson.build meson_options.txt",
        "Nginx": "nginx.conf",
        "Perl": "cpanfile makefile.pl",
        "Pip Requirements": "requirements.txt requirements-dev.txt dev-requirements.txt",
        "Procfile": "procfile",
        "Python": "sconscript sconstruct snakefile wscript",
        "R": ".rd .rsx",
        "Ruby": "appraisals berksfile brewfile capfile fastfile gemfile guardfile podfile rakefile "
        "thorfile vagrantfile .irbrc .pryrc",
        "Shell": ".bash_aliases .bash_logout .bash_profile .bashrc .envrc .login .profile .zlogin "
        ".zprofile .zshenv .zshrc apkbuild pkgbuild",
        "Starlark": "build build.bazel module.bazel workspace workspace.bazel tiltfile",
        "TOML": "cargo.lock pipfile poetry.lock uv.lock",
        "Text": "authors changelog changes contributors copying copyright credits install license "
        "licence news notice readme thanks todo unlicense version",
        "Vim Script": ".gvimrc .vimrc _vimrc",
        "YAML": ".clang-format .clang-tidy .clangd citation.cff yarn.lock",
    }.items()
    for name in names.split()
}  # fmt: skip

_INTERPRETERS = {
    "awk": "Awk", "bash": "Shell", "dash": "Shell", "deno": "TypeScript", "elixir": "Elixir",
    "escript": "Erlang", "expect": "Tcl", "fish": "fish", "gawk": "Awk", "gnuplot": "Gnuplot",
    "groovy": "Groovy", "guile": "Scheme", "js": "JavaScript", "julia": "Julia", "ksh": "Shell",
    "lua": "Lua", "luajit": "Lua", "make": "Makefile", "mawk": "Awk", "node": "JavaScript",
    "nodejs": "JavaScript", "ocaml": "OCaml", "octave": "MATLAB", "perl": "Perl", "php": "PHP",
    "pypy": "Python", "python": "Python", "racket": "Racket", "raku": "Raku", "rscript": "R",
    "ruby": "Ruby", "runghc": "Haskell", "runhaskell": "Haskell", "sbcl": "Common Lisp",
    "scala": "Scala", "sed": "sed", "sh": "Shell", "swipl": "Prolog", "tclsh": "Tcl",
    "ts-node": "TypeScript", "wish": "Tcl", "yap": "Prolog", "zsh": "Shell",
}  # fmt: skip
"""Programs named in the first line of a script, without their version."""

_NUMBER = re.compile(r"#\d+\Z")
_SHEBANG = re.compile(rb"#![ \t]*(?:\S*/)?env(?:[ \t]+(?:-\S+|\w+=\S*))*[ \t]+(\S+)|#![ \t]*(\S+)")
_MODELINE = re.compile(
    rb"-\*-(?:.*?[ \t;]mode:|[ \t]*mode:)?[ \t]*([A-Za-z+#][\w+#-]*)[ \t]*(?:;.*)?-\*-"
    rb"|\b(?:vim?|ex):.{0,60}?\b(?:ft|filetype|syntax)=(\w+)"
)
_MODES = {
    "c": "C", "c++": "C++", "cc": "C++", "cpp": "C++", "emacs-lisp": "Emacs Lisp", "java": "Java",
    "javascript": "JavaScript", "js": "JavaScript", "lisp": "Common Lisp", "lua": "Lua",
    "makefile": "Makefile", "make": "Makefile", "matlab": "MATLAB", "objc": "Objective-C",
    "octave": "MATLAB", "perl": "Perl", "prolog": "Prolog", "python": "Python", "ruby": "Ruby",
    "scheme": "Scheme", "sh": "Shell", "shell-script": "Shell", "sql": "SQL", "tcl": "Tcl",
    "text": "Text", "verilog": "Verilog", "vim": "Vim Script", "yaml": "YAML",
}  # fmt: skip

_PYGMENTS_NAMES = {
    "ASCII armored": "Public Key", "Ampl": "AMPL", "ActionScript 3": "ActionScript",
    "Arduino": "C++", "ClojureScript": "Clojure", "Coldfusion CFC": "ColdFusion CFC",
    "Coldfusion HTML": "ColdFusion", "Csound Orchestra": "Csound", "Desktop file": "desktop",
    "FStar": "F*", "Fish": "fish", "FoxPro": "xBase", "Groff": "Roff", "Hxml": "HXML",
    "Igor": "IGOR Pro", "Lean4": "Lean", "Literate Idris": "Idris",
    "Matlab": "MATLAB", "Nimrod": "Nim", "ODIN": "Odin", "Ooc": "ooc",
    "Org Mode": "Org", "POVRay": "POV-Ray SDL", "Pig": "PigLatin", "QBasic": "QuickBASIC",
    "REBOL": "Rebol", "Rego": "Open Policy Agent", "Rexx": "REXX", "ReasonML": "Reason",
    "Terraform": "HCL", "Velocity": "Velocity Template Language", "VimL": "Vim Script",
    "Web IDL": "WebIDL", "WebGPU Shading Language": "WGSL", "Zone": "DNS Zone",
    "autohotkey": "AutoHotkey", "g-code": "G-code", "liquid": "Liquid", "reg":
    "Windows Registry Entries", "HTML+Twig": "Twig", "Treetop": "", "MXML": "XML",
}  # fmt: skip
"""Names that Pygments writes otherwise than Linguist; those it shares are taken as they are."""


def programming_language(path: str, head: bytes = b"") -> str:
    """The language of a file, empty when neither name nor content says it.

    Args:
        path: its path, name or locator; at its end `.gz`, `.zst` and the number of a path that
            comes again (`a.py#2`) do not count.
        head: its first bytes, of which 16 KiB are looked at. Without them, a suffix that several
            languages share goes to the commonest.

    A shebang or an editor's mode line goes before the name, as in Linguist: a script that says what
    runs it is what it says.
    """
    head = head[:_HEAD]
    name = _NUMBER.sub("", path.rpartition("/")[2].lower())
    name = name.removesuffix(".gz").removesuffix(".zst")
    return _by_first_line(head) or _by_name(name, head)


def _by_name(name: str, head: bytes) -> str:
    known = _BY_NAME.get(name)
    if known:
        return known
    base, dot, end = name.rpartition(".")
    if not base or not end:
        return decide(NO_SUFFIX, head)
    before = base.rpartition(".")[2]
    double = f".{before}.{end}"
    if double in _LANGUAGES:
        return _LANGUAGES[double]
    suffix = dot + end
    if suffix in BY_CONTENT:
        return decide(BY_CONTENT[suffix], head)
    if suffix in _LANGUAGES:
        return _LANGUAGES[suffix]
    if end in ("in", "dist", "example", "template", "tmpl", "sample") and "." in base:
        return _by_name(base, head)  # a file of which another is made: config.h.in
    if end in "123456789":
        return decide(MANUAL, head)
    if base in ("dockerfile", "makefile", "jenkinsfile"):
        return _BY_NAME[base]
    return _pygments_suffixes().get(suffix) or decide(NO_SUFFIX, head)


def _by_first_line(head: bytes) -> str:
    line = head[:200].partition(b"\n")[0]
    if line.startswith(b"#!"):
        found = _SHEBANG.match(line)
        program = (found[1] or found[2] if found else b"").rpartition(b"/")[2].lower()
        if program in (b"sh", b"bash") and b"exec" in head[:400]:
            # The trick of scripts that start another interpreter with themselves.
            trick = re.search(
                rb"\bexec[ \t]+(?:\S*/)?(tclsh|wish|perl|python|scala|guile)", head[:400]
            )
            program = trick[1] if trick else program
        plain = program.decode("ascii", "replace").rstrip("0123456789.-")
        return _INTERPRETERS.get(plain, "")
    mode = _MODELINE.search(line)
    return _MODES.get((mode[1] or mode[2]).decode("ascii", "replace").lower(), "") if mode else ""


@cache
def _pygments_suffixes() -> dict[str, str]:
    """Suffix -> language, of those suffixes that Pygments gives to one language alone."""
    from pygments.lexers import get_all_lexers

    found: dict[str, set[str]] = {}
    for name, _, patterns, _ in get_all_lexers(plugins=False):
        for pattern in patterns:
            if re.fullmatch(r"\*\.[\w+-]+", pattern):
                language = _PYGMENTS_NAMES.get(name, name)
                found.setdefault(pattern[1:].lower(), set()).add(language)
    return {suffix: names.pop() for suffix, names in found.items() if len(names) == 1}
