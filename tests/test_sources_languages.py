"""The programming language of a file: by name, shebang and content."""

import ast
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.stages.sources.language_rules import BY_CONTENT
from corpusmill.stages.sources.languages import programming_language


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a.rs", "Rust"), ("X.PY", "Python"), ("src/main.go", "Go"), ("a.tar.d/b.cc", "C++"),
        ("Makefile", "Makefile"), ("Makefile.am", "Makefile"), ("lib/Makefile.in", "Makefile"),
        ("Dockerfile.dev", "Dockerfile"), ("dev.Dockerfile", "Dockerfile"), ("go.mod", "Go Module"),
        ("CMakeLists.txt", "CMake"), ("notes.txt", "Text"), ("LICENSE", "Text"),
        ("config.h.in", "C"), ("a.html.erb", "HTML+ERB"), ("x.py.gz", "Python"),
        ("a.py#2", "Python"),
        ("deep.d.ts", "TypeScript"), ("App.tsx", "TSX"), ("x.pony", "Pony"), ("x.odin", "Odin"),
        ("x.unheard-of", ""), (".bashrc", "Shell"), ("noname", ""), ("", ""), ("a.", ""),
        ("a/.b/", ""),
    ],
)  # fmt: skip
def test_a_name_says_the_language(path: str, language: str) -> None:
    assert programming_language(path) == language


@pytest.mark.parametrize(
    ("path", "head", "language"),
    [
        ("run", "#!/bin/sh\necho\n", "Shell"),
        ("run", "#!/usr/bin/env -S python3.11 -u\nprint()\n", "Python"),
        ("run", "#!/usr/bin/env LANG=C perl\n", "Perl"),
        ("run", "#! /usr/local/bin/ruby1.9 -w\n", "Ruby"),
        ("run.txt", "#!/usr/bin/env node\n", "JavaScript"),
        ("run", '#!/bin/sh\n# \\\nexec tclsh "$0" "$@"\n', "Tcl"),
        ("run", "#!/opt/unheard/of\n", ""),
        ("run", "#!\n", ""),
        ("tool", "# -*- mode: ruby -*-\n", "Ruby"),
        ("tool", "-- vim: set ft=lua :\n", "Lua"),
        ("x.h", "// -*- C++ -*-\nint x;\n", "C++"),
        ("x.h", "#ifndef X_H\n#define X_H\nint f(void);\n#endif\n", "C"),
        ("x.h", "#ifdef __cplusplus\nextern \"C\" {\n#endif\nstruct s { int x; };\n", "C"),
        ("x.h", "#include <vector>\nint f();\n", "C++"),
        ("x.h", "namespace a {\nclass B;\n}\n", "C++"),
        ("x.h", "#import <Foundation/Foundation.h>\n@interface A\n@end\n", "Objective-C"),
        ("x.m", "#include \"a.h\"\n@implementation A\n@end\n", "Objective-C"),
        ("x.m", "% Solve it.\nfunction y = f(x)\ny = x';\n", "MATLAB"),
        ("x.m", "(* ::Package:: *)\nf[x_] := x^2\n", "Mathematica"),
        ("x.pl", "use strict;\nmy $x = 1;\n", "Perl"),
        ("x.pl", ":- module(a, [b/1]).\nb(X) :- c(X).\n", "Prolog"),
        ("x.v", "module adder(input a, output b);\nendmodule\n", "Verilog"),
        ("x.v", "Require Import List.\nLemma a : 1 = 1.\nProof. auto. Qed.\n", "Rocq Prover"),
        ("x.v", "module main\n\nfn main() {\n}\n", "V"),
        ("x.r", "x <- c(1, 2)\n", "R"),
        ("x.r", "REBOL [Title: {x}]\n", "Rebol"),
        ("x.ts", "export const a: number = 1\n", "TypeScript"),
        ("x_de.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS><TS version="2.1">\n', "XML"),
        ("x.sql", "SELECT 1;\n", "SQL"),
        ("x.sql", "CREATE FUNCTION f() AS $$ BEGIN END $$ LANGUAGE plpgsql;\n", "PLpgSQL"),
        ("x.sql", "SET NOCOUNT ON\nGO\n", "TSQL"),
        ("x.cls", "\\NeedsTeXFormat{LaTeX2e}\n", "TeX"),
        ("X.cls", "public with sharing class X {\n}\n", "Apex"),
        ("X.cls", "VERSION 1.0 CLASS\nAttribute VB_Name = \"X\"\n", "Visual Basic 6.0"),
        ("x.inc", "<?php echo 1;\n", "PHP"),
        ("x.pro", "TEMPLATE = app\nSOURCES += a.cpp\n", "QMake"),
        ("x.fs", "module A\nlet x = 1\n", "F#"),
        ("x.fs", "#version 330\nvoid main() { gl_FragColor = c; }\n", "GLSL"),
        ("x.d", "import std.stdio;\n", "D"),
        ("x.d", "out/x.o: src/x.c \\\n src/x.h\n", "Makefile"),
        ("x.1", ".TH X 1\n.SH NAME\n", "Roff Manpage"),
        ("changes.1", "Version 1\n", ""),
        ("data", '<?xml version="1.0"?>\n', "XML"),
    ],
)  # fmt: skip
def test_the_first_lines_say_what_the_name_leaves_open(path: str, head: str, language: str) -> None:
    assert programming_language(path, head.encode()) == language


def test_the_standard_library_is_python() -> None:
    folder = Path(sysconfig.get_path("stdlib"))
    files = [*sorted(folder.glob("*.py")), *sorted((folder / "asyncio").glob("*.py"))]
    assert len(files) > 100
    assert {programming_language(str(f), f.read_bytes()[:16_384]) for f in files} == {"Python"}
    assert programming_language("run", Path(ast.__file__).read_bytes()[:16_384]) == ""


@given(st.text(), st.binary(max_size=200))
def test_any_name_and_content_have_an_answer(path: str, head: bytes) -> None:
    assert isinstance(programming_language(path, head), str)


@pytest.mark.parametrize("suffix", [*sorted(BY_CONTENT), ".1", ""])
def test_rules_take_linear_time(suffix: str) -> None:
    parts = (
        b"=>",
        b"a",
        b" ",
        b"(",
        b"[x ",
        b"::",
        b"$a",
        b"class a ",
        b"\n",
        b"\t\n",
        b"<",
        b"a.b",
    )

    def read() -> None:
        for part in parts:
            for start in (b"", b"class ", b"#include <", b"a(", b"function ", b"public "):
                programming_language("x" + suffix, start + part * 16_384)

    assert is_within(2, read)
