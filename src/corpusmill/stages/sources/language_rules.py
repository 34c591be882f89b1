"""Programming languages that share a suffix, told apart by the first lines of the file.

Each suffix has its rules in the order in which they are asked; the last one has no pattern and is
what remains. Patterns look at one line at a time, so that their cost is linear in the text.
"""

import re

Rules = list[tuple[re.Pattern[bytes] | None, str]]


def _rules(*pairs: tuple[str, str]) -> Rules:
    return [(re.compile(p.encode(), re.MULTILINE) if p else None, name) for p, name in pairs]


def _begins(*starts: str) -> str:
    """A line that begins, behind white space, with one of these."""
    return rf"^[ \t]*(?:{'|'.join(starts)})"


def _any_case(pattern: str) -> str:
    return "(?i)" + pattern


_OBJECTIVE_C = _begins(
    r"@(?:interface|implementation|protocol|class|property|end|import|selector)\b",
    r"#[ \t]*import\b",
    r"\[\w+ \w+[\]:]",
)
_CPP = _begins(
    r"class[ \t]+\w+(?:[ \t]+\w+)?[ \t]*(?:[;{:]|$)",
    r"struct[ \t]+\w+[ \t]*:[ \t]*(?:public|private|\w+[ \t]*\{)",
    r"namespace\b",
    r"template[ \t]*<",
    r"using[ \t]+(?:namespace|\w+[ \t]*=)",
    r"(?:public|private|protected)(?:[ \t]+\w+)?[ \t]*:",
    r"(?:virtual|explicit|constexpr|friend)\s",
    r"#[ \t]*include[ \t]*<(?:[a-z_]+|[\w/]+\.(?:hpp|hh))>",
) + (
    r"|\bstd::\w|\boperator[ \t]*[-+*/=<>!\[(]"
    r"|\b(?:static|const|dynamic|reinterpret)_cast[ \t]*<"
)
_C = _begins(r"#[ \t]*(?:include|define|ifn?def|if)\b", r"(?:static|extern|typedef)[ \t]")
_PROLOG = r"^[ \t]*:-[ \t]*[a-z]|^[a-z]\w*(?:\([^\n]*\))?[ \t]*(?::-|-->)"
_PROLOG_MODULE = r"^:-[ \t]*(?:module|use_module|dynamic|initialization|ensure_loaded)\b"
_PERL = _begins(
    r"use[ \t]+(?:strict|warnings|v?5\b|[A-Z]\w*(?:::\w+)*)",
    r"package[ \t]+\w+(?:::\w+)*[ \t]*[;{]",
    r"sub[ \t]+\w+",
    r"my[ \t]*[$@%(]",
    r"require[ \t]+['\"\w]",
    r"=(?:head1|pod|encoding)\b",
    r"local[ \t]+\$",
    r"\$\w+[ \t]*=~",
)
_RAKU = _begins(
    r"use[ \t]+v6", r"(?:unit[ \t]+)?(?:module|grammar|role)[ \t]+[A-Z][\w:]*[ \t]*[;{]"
)
_COMMON_LISP = _begins(
    r"\((?:defun|defmacro|defvar|in-package|defpackage|defclass|defgeneric|setq)\b"
)
_ROFF = r"^(?:\.(?:TH|SH|Dd|Dt|Sh|PP|so|de|ds)\b|[.'][ \t]*\\\")"
_PHP = r"<\?(?:php|=)"
_XML = r"\A\s*<(?:\?xml|!DOCTYPE[ \t]+\w)"
_GLSL = _begins(r"#version\b", r"precision[ \t]+\w+p", r"uniform[ \t]", r"varying[ \t]")
_FORTH = r"^(?::[ \t]+\S|\\[ \t]|\([ \t]|variable[ \t]+\w+$|require[ \t])"

BY_CONTENT: dict[str, Rules] = {
    ".bas": _rules(
        (r"^[ \t]*Attribute[ \t]+VB_", "VBA"),
        (
            _any_case(_begins(r"#(?:include|lang|define)\b", r"dim[ \t]+(?:shared[ \t]+)?as\b")),
            "FreeBASIC",
        ),
        (_any_case(_begins(r"declare[ \t]+sub\b", r"common[ \t]+shared\b")), "QuickBASIC"),
        ("", "BASIC"),
    ),
    ".cl": _rules(
        (r"\b(?:__kernel|__global|kernel[ \t]+void|get_global_id)\b", "OpenCL"),
        (_begins(r"class[ \t]+\w+(?:[ \t]+inherits[ \t]+\w+)?[ \t]*\{"), "Cool"),
        (_begins(r"[(;]"), "Common Lisp"),
        ("", "OpenCL"),
    ),
    ".cls": _rules(
        (_begins(r"\\(?:NeedsTeXFormat|ProvidesClass|LoadClass|def|newcommand|Require)"), "TeX"),
        (_begins(r"VERSION[ \t]+\d", r"Attribute[ \t]+VB_"), "Visual Basic 6.0"),
        (_begins(r"Class[ \t]+[\w.%]+[ \t]+(?:Extends|\[)"), "ObjectScript"),
        (
            _any_case(_begins(r"using[ \t]+[\w.]+\.", r"class[ \t]+[\w.][^\n{]*:[ \t]*$")),
            "OpenEdge ABL",
        ),
        (
            _any_case(
                _begins("@istest", r"(?:public|private|global)\b[^\n]*\b(?:class|enum|interface)\b")
            ),
            "Apex",
        ),
        ("", "TeX"),
    ),
    ".cs": _rules((r"^![\w ]+methodsFor: ", "Smalltalk"), ("", "C#")),
    ".d": _rules(
        (r"^(?:\w+:\w*:\w*:\w*|#pragma[ \t]+D[ \t])", "DTrace"),
        (r"^[^\s:=]+\.\w+:(?:[ \t]|\\?$)", "Makefile"),
        ("", "D"),
    ),
    ".f": _rules((_FORTH, "Forth"), ("", "Fortran")),
    ".for": _rules((_FORTH, "Forth"), ("", "Fortran")),
    ".fs": _rules((_GLSL + r"|\bgl_Frag", "GLSL"), (_FORTH, "Forth"), ("", "F#")),
    ".g": _rules(
        (_begins(r"(?:(?:lexer|parser|tree)[ \t]+)?grammar[ \t]+\w+", r"options[ \t]*\{"), "ANTLR"),
        ("", "GAP"),
    ),
    ".gd": _rules((r"^(?:#!|Declare\w+\()", "GAP"), ("", "GDScript")),
    ".geo": _rules((_GLSL + r"|\bgl_", "GLSL"), ("", "")),
    ".gs": _rules((_GLSL + r"|\bgl_", "GLSL"), ("", "JavaScript")),
    ".h": _rules((_OBJECTIVE_C, "Objective-C"), (_CPP, "C++"), ("", "C")),
    ".hh": _rules((r"\A<\?hh", "Hack"), ("", "C++")),
    ".inc": _rules(
        (_PHP, "PHP"),
        (
            _any_case(
                _begins(r"\{\$", r"unit[ \t]", r"procedure[ \t]+\w+[^\n]*;", r"uses[ \t]+\w+[,;]")
            ),
            "Pascal",
        ),
        (
            _begins(
                r"%(?:macro|define|if\w*)\b",
                r"\.(?:macro|globl|text|equ|set)\b",
                r"\w+[ \t]+(?:equ|db|dw)[ \t]",
            ),
            "Assembly",
        ),
        (_CPP, "C++"),
        (_C, "C"),
        (r"^\w+[ \t]*(?:\?|\+|:)=[ \t]*\"|^inherit[ \t]", "BitBake"),
        (_any_case(r"<(?:html|div|table|p|a|ul)\b"), "HTML"),
        ("", ""),
    ),
    ".l": _rules(
        (r"^%(?:[%{}]|option)", "Lex"),
        (_COMMON_LISP, "Common Lisp"),
        (_ROFF, "Roff"),
        ("", "Lex"),
    ),
    ".ll": _rules((r"^%[%{}]", "Lex"), ("", "LLVM")),
    ".lsp": _rules((_begins(r"\((?:define|context)\b"), "NewLisp"), ("", "Common Lisp")),
    ".m": _rules(
        (
            _begins(
                r"@(?:interface|implementation|protocol|class|end|import)\b",
                r"#[ \t]*(?:import|include|define)\b",
            ),
            "Objective-C",
        ),
        (_begins(r":-[ \t]*(?:module|interface|import_module)\b"), "Mercury"),
        (r"^\w+[ \t]*:[ \t]*module|^implement[ \t]+\w+;|^include[ \t]+\"\w+\.m\";", "Limbo"),
        (r"^[ \t]*\(\*|^\w+\[[^\n]*_\][ \t]*:=|^BeginPackage\[", "Mathematica"),
        (
            _begins(
                r"%",
                r"function\b[^{\n]*$",
                r"classdef\b",
                r"end[ \t]*(?:[;%]|$)",
                r"\w+[ \t]*=[ \t]*\[",
                r"(?:clear|clc|close all)\b",
            ),
            "MATLAB",
        ),
        (r"^[ \t]*;", "M"),
        (_begins("//", r"/\*", r"(?:int|void|static)[ \t]", r"\[\w+ \w+[\]:]"), "Objective-C"),
        ("", "MATLAB"),
    ),
    ".m4": _rules((_begins(r"(?:A[CMSUX]|m4)_\w+"), "M4Sugar"), ("", "M4")),
    ".md": _rules(
        (r"^\(define_(?:insn|expand|constants|attr)\b", "GCC Machine Description"),
        ("", "Markdown"),
    ),
    ".ml": _rules(
        (_begins(r"(?:structure|functor|signature)[ \t]+\w+[ \t]*[:=(]"), "Standard ML"),
        ("", "OCaml"),
    ),
    ".mm": _rules((_XML, "XML"), ("", "Objective-C++")),
    ".mod": _rules(
        (_XML, "XML"),
        (r"^module[ \t]+[\w./-]+$|^go[ \t]+1\.\d+", "Go Module"),
        (
            _any_case(_begins(r"(?:(?:definition|implementation)[ \t]+)?module[ \t]+\w+[ \t]*;")),
            "Modula-2",
        ),
        ("", "AMPL"),
    ),
    ".p": _rules(
        (_PROLOG, "Prolog"),
        (_begins(r"set[ \t]+(?:terminal|term|output|xlabel)\b", r"s?plot\b"), "Gnuplot"),
        ("", "OpenEdge ABL"),
    ),
    ".php": _rules((r"\A<\?hh", "Hack"), ("", "PHP")),
    ".pl": _rules(
        (_PROLOG_MODULE, "Prolog"),
        (_RAKU, "Raku"),
        (_PERL, "Perl"),
        (_PROLOG, "Prolog"),
        ("", "Perl"),
    ),
    ".pm": _rules((_RAKU, "Raku"), (r"\A/\*[ \t]*XPM", "X PixMap"), ("", "Perl")),
    ".pp": _rules(
        (_any_case(_begins(r"(?:unit|program|uses|begin)\b", r"\{\$\w")), "Pascal"),
        ("", "Puppet"),
    ),
    ".pro": _rules(
        (
            _begins(
                r"(?:TEMPLATE|QT|SOURCES|HEADERS|CONFIG|TARGET|SUBDIRS|DEFINES|INCLUDEPATH)"
                r"[ \t]*[-+*]?="
            ),
            "QMake",
        ),
        (r"^-(?:keep|dont|optimizations|libraryjars)\w*", "Proguard"),
        (
            _any_case(_begins(r"(?:pro|function)[ \t]+[\w:]+[ \t]*(?:,|$)", r"endif\b")),
            "IDL",
        ),
        (_PROLOG, "Prolog"),
        (r"^\[[\w .-]+\]$|^[\w.]+[ \t]*=", "INI"),
        ("", ""),
    ),
    ".q": _rules(
        (_any_case(_begins(r"(?:select|insert|create|drop|set|from|use)\b[^:\n]*$")), "HiveQL"),
        ("", "q"),
    ),
    ".r": _rules((_any_case(_begins(r"rebol\b[ \t]*\[?")), "Rebol"), ("", "R")),
    ".rs": _rules((_XML, "XML"), (r"^#pragma[ \t]+(?:rs|version)\b", "RenderScript"), ("", "Rust")),
    ".s": _rules(("", "Unix Assembly")),
    ".sc": _rules(
        (
            _begins(r"SynthDef\b", r"~\w+[ \t]*=", r"(?:[+][ \t]*)?[A-Z]\w*[ \t]*\{"),
            "SuperCollider",
        ),
        ("", "Scala"),
    ),
    ".sls": _rules((_begins(r"[(;]|#!"), "Scheme"), ("", "SaltStack")),
    ".sql": _rules(
        (
            _any_case(
                r"\blanguage[ \t]+'?plpgsql\b|\$\w*\$|\bsecurity[ \t]+definer\b"
                r"|^[ \t]*\\(?:connect|i|set|echo)\b"
            ),
            "PLpgSQL",
        ),
        (_any_case(r"^[ \t]*go[ \t]*;?\r?$|\[dbo\]|\bset[ \t]+nocount\b"), "TSQL"),
        (
            _any_case(
                r"\bdbms_output\b|\bvarchar2\b|\bpragma[ \t]+autonomous"
                r"|\bcreate[ \t]+or[ \t]+replace[ \t]+package\b"
            ),
            "PLSQL",
        ),
        ("", "SQL"),
    ),
    ".st": _rules((r"\$\w+[$.(]|\$if\(|<%\w+", "StringTemplate"), ("", "Smalltalk")),
    ".t": _rules(
        (_RAKU, "Raku"),
        (_PERL, "Perl"),
        (_begins(r"terra[ \t]+\w+[ \t(=]"), "Terra"),
        (_begins(r"(?:var|procedure|proc|fcn)[ \t]+\w+[ \t]*(?::|\()"), "Turing"),
        ("", "Perl"),
    ),
    ".tpl": _rules((r"\{(?:\$|if|foreach|include|\*|/)", "Smarty"), ("", "")),
    ".ts": _rules((r"\A\s*<(?:\?xml|!DOCTYPE[ \t]+TS|TS\b)", "XML"), ("", "TypeScript")),
    ".tsx": _rules((r"\A\s*<(?:\?xml|tileset\b)", "XML"), ("", "TSX")),
    ".v": _rules(
        (
            _begins(
                r"(?:From[ \t]+\S+[ \t]+)?Require[ \t]",
                r"(?:Theorem|Lemma|Definition|Inductive|Fixpoint|Export|Notation|Set)[ \t]",
                r"(?:Proof|Qed)\.",
            ),
            "Rocq Prover",
        ),
        (
            _begins(
                r"`(?:timescale|include|define|ifdef|ifndef|default_nettype)\b",
                r"module[ \t]+[\\\w#]+[ \t]*[#(;]",
                r"(?:endmodule|initial|primitive)\b",
                r"always[ \t]*@",
                r"(?:input|output|wire|reg)[ \t\[]",
            ),
            "Verilog",
        ),
        (r"^(?:pub[ \t]+)?(?:fn|struct|enum)[ \t]+\w+|^module[ \t]+\w+$|^import[ \t]+\w+", "V"),
        (_begins(r"\(\*[ \t*]"), "Rocq Prover"),
        ("", "Verilog"),
    ),
}
"""Suffix -> rules."""

MANUAL = _rules((_ROFF, "Roff Manpage"), ("", ""))
"""For the sections of manuals, `.1` to `.9`, which other files have as a number."""

NO_SUFFIX = _rules(
    (r"\A\s*<\?php", "PHP"),
    (r"\A\s*<\?xml", "XML"),
    (_any_case(r"\A\s*<(?:!doctype[ \t]+html|html)"), "HTML"),
    (r"\A\{\s*\"", "JSON"),
    ("", ""),
)
"""For files whose name says nothing."""


def decide(rules: Rules, head: bytes) -> str:
    """The first language whose pattern is found."""
    return next(name for pattern, name in rules if pattern is None or pattern.search(head))
