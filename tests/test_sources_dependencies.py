"""A repository in the order of its imports."""

import ast
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.stages.sources.dependencies import in_dependency_order, joined
from corpusmill.stages.sources.imports import Imports

CASES: dict[str, tuple[dict[str, str], dict[str, set[str]]]] = {
    "Python": (
        {
            "src/pkg/__init__.py": "from .core import run\n",
            "src/pkg/core.py": "import os, json\nfrom . import helpers as h\n"
            "from .sub.deep import (\n    one,\n    two,\n)\n",
            "src/pkg/helpers.py": "import json\n",
            "src/pkg/json.py": "",
            "src/pkg/sub/__init__.py": "",
            "src/pkg/sub/deep.py": "from ..helpers import x\nfrom pkg.sub import other\n",
            "src/pkg/sub/other.py": "",
            "tests/test_core.py": "import pkg.core\nfrom pkg import core, missing\nimport numpy\n",
        },
        {
            "src/pkg/__init__.py": {"src/pkg/core.py"},
            "src/pkg/core.py": {"src/pkg/helpers.py", "src/pkg/sub/deep.py", "src/pkg/json.py"},
            "src/pkg/helpers.py": {"src/pkg/json.py"},
            "src/pkg/sub/deep.py": {"src/pkg/helpers.py", "src/pkg/sub/other.py"},
            "tests/test_core.py": {"src/pkg/core.py", "src/pkg/__init__.py"},
        },
    ),
    "JavaScript and TypeScript": (
        {
            "web/app.tsx": "import React from 'react'\nimport { a } from './lib/a'\n"
            "import type { B } from \"./lib/b.js\";\nexport * from './lib'\nimport './app.css'\n",
            "web/app.css": "@import 'base.css';\n",
            "web/base.css": "",
            "web/lib/a.ts": "const c = require('../c')\nconst d = await import(`./d.mjs`)\n",
            "web/lib/b.ts": "import x from '../../../../outside'\n",
            "web/lib/index.js": "",
            "web/lib/d.mjs": "import shared from '@us/shared'\nimport u from '@us/shared/util'\n",
            "web/c.js": "",
            "packages/shared/package.json": '{"name": "@us/shared"}',
            "packages/shared/src/index.ts": "",
            "packages/shared/util.ts": "",
        },
        {
            "web/app.tsx": {"web/lib/a.ts", "web/lib/b.ts", "web/lib/index.js", "web/app.css"},
            "web/app.css": {"web/base.css"},
            "web/lib/a.ts": {"web/c.js", "web/lib/d.mjs"},
            "web/lib/d.mjs": {"packages/shared/src/index.ts", "packages/shared/util.ts"},
        },
    ),
    "C and C++": (
        {
            "src/main.c": '#include <stdio.h>\n#include "util.h"\n# include "net/tcp.h"\n',
            "src/util.h": "",
            "include/net/tcp.h": "#include <net/ip.h>\n",
            "include/net/ip.h": "",
            "src/string.h": "",
            "src/other.cpp": "#include <string.h>\n",
        },
        {
            "src/main.c": {"src/util.h", "include/net/tcp.h"},
            "include/net/tcp.h": {"include/net/ip.h"},
        },
    ),
    "Java, Kotlin and Scala": (
        {
            "src/main/java/org/a/Main.java": "package org.a;\nimport java.util.List;\n"
            "import org.a.b.Tool;\nimport static org.a.b.Const.MAX;\nimport org.a.c.*;\n",
            "src/main/java/org/a/b/Tool.java": "package org.a.b;\n",
            "src/main/java/org/a/b/Const.java": "package org.a.b;\n",
            "src/main/java/org/a/c/One.java": "package org.a.c;\n",
            "src/main/kotlin/x.kt": "package org.k\nimport org.a.c.helper\n",
            "src/main/scala/S.scala": "package org.s\nimport org.a.b.{Tool, Const => C}\n",
        },
        {
            "src/main/java/org/a/Main.java": {
                "src/main/java/org/a/b/Tool.java",
                "src/main/java/org/a/b/Const.java",
                "\0jvm org.a.c",
            },
            "src/main/kotlin/x.kt": {"\0jvm org.a.c"},
            "src/main/scala/S.scala": {
                "src/main/java/org/a/b/Tool.java",
                "src/main/java/org/a/b/Const.java",
                "\0jvm org.a.b",
            },
        },
    ),
    "Go": (
        {
            "go.mod": "module example.org/us\n\ngo 1.21\n",
            "main.go": 'package main\n\nimport (\n\t"fmt"\n\tx "example.org/us/pkg/store"\n)\n',
            "pkg/store/store.go": 'package store\nimport "example.org/us/pkg/base"\n',
            "pkg/store/store_test.go": "package store\n",
            "pkg/base/base.go": "package base\n",
        },
        {
            "main.go": {"\0go pkg/store"},
            "\0go pkg/store": {"pkg/store/store.go"},
            "pkg/store/store.go": {"\0go pkg/base"},
        },
    ),
    "Rust": (
        {
            "src/lib.rs": "pub mod net;\nmod util;\nuse crate::util::deep::Thing;\n",
            "src/net/mod.rs": "mod tcp;\nuse super::util;\n",
            "src/net/tcp.rs": "use crate::{util::deep::Thing, net};\nuse std::io;\n",
            "src/util.rs": "pub mod deep;\n",
            "src/util/deep.rs": "use crate::Error;\n",
        },
        {
            "src/lib.rs": {"src/net/mod.rs", "src/util.rs", "src/util/deep.rs"},
            "src/net/mod.rs": {"src/net/tcp.rs", "src/util.rs"},
            "src/net/tcp.rs": {"src/util/deep.rs", "src/net/mod.rs"},
            "src/util.rs": {"src/util/deep.rs"},
        },
    ),
    "Ruby": (
        {
            "bin/run.rb": "require_relative '../lib/us'\nrequire 'json'\n",
            "lib/us.rb": "require 'us/core'\nautoload :Extra, 'us/extra'\n",
            "lib/us/core.rb": "",
            "lib/us/extra.rb": "",
        },
        {"bin/run.rb": {"lib/us.rb"}, "lib/us.rb": {"lib/us/core.rb", "lib/us/extra.rb"}},
    ),
    "PHP": (
        {
            "index.php": "<?php\nrequire_once __DIR__ . '/lib/a.php';\n"
            "use Us\\Core\\{Tool, Other};\n",
            "lib/a.php": "<?php\nnamespace Us;\nuse Us\\Core\\Tool;\n",
            "lib/Core/Tool.php": "<?php\nnamespace Us\\Core;\n",
        },
        {
            "index.php": {"lib/a.php", "lib/Core/Tool.php"},
            "lib/a.php": {"lib/Core/Tool.php"},
        },
    ),
    "C#": (
        {
            "App/Program.cs": "using System;\nusing Us.Core;\n",
            "Core/A.cs": "namespace Us.Core;\n",
            "Core/B.cs": "namespace Us.Core\n{\n}\n",
        },
        {
            "App/Program.cs": {"\0cs Us.Core"},
            "\0cs Us.Core": {"Core/A.cs", "Core/B.cs"},
        },
    ),
}


@pytest.mark.parametrize("language", CASES)
def test_imports_of_files_in_the_repository_are_found(language: str) -> None:
    files, expected = CASES[language]
    imports = Imports(files)
    nodes = [*files, *(node for node in expected if node not in files)]
    assert {node: set(found) for node in nodes if (found := imports.of(node))} == expected
    order = in_dependency_order(files)
    assert sorted(order) == sorted(files)


def test_what_is_imported_stands_in_front() -> None:
    files, _ = CASES["Go"]
    order = in_dependency_order(files)
    assert order.index("pkg/base/base.go") < order.index("pkg/store/store.go")
    assert order.index("pkg/store/store.go") < order.index("main.go")


def test_prose_comes_first_and_the_rest_in_the_order_of_paths() -> None:
    files = dict.fromkeys(
        ["z.sh", "docs/b.md", "sub/README.md", "a.sql", "README.rst", "docs/a.md", "Makefile"], ""
    )
    assert in_dependency_order(files) == [
        "README.rst", "sub/README.md", "docs/a.md", "docs/b.md", "Makefile", "a.sql", "z.sh",
    ]  # fmt: skip


def test_files_that_import_each_other_stand_in_the_order_of_paths() -> None:
    files = {
        "a.py": "import c",
        "b.py": "import a",
        "c.py": "import b, d",
        "d.py": "",
        "e.py": "import e",
    }
    assert in_dependency_order(files) == ["d.py", "a.py", "b.py", "c.py", "e.py"]


@settings(max_examples=60)
@given(st.integers(1, 30), st.integers(0, 2**32))
def test_any_graph_gives_an_order_that_its_imports_allow(n: int, seed: int) -> None:
    noise = random.Random(seed)
    edges = {i: {j for j in range(n) if j != i and noise.random() < 2 / n} for i in range(n)}
    files = {f"m{i}.py": "".join(f"import m{j}\n" for j in edges[i]) for i in range(n)}
    reaches = {i: set(edges[i]) for i in range(n)}
    for middle in range(n):
        for i in range(n):
            if middle in reaches[i]:
                reaches[i] |= reaches[middle]
    shuffled = list(files.items())
    noise.shuffle(shuffled)
    order = in_dependency_order(dict(shuffled))
    assert order == in_dependency_order(files)
    place = {int(path[1:-3]): at for at, path in enumerate(order)}
    assert sorted(place) == list(range(n))
    for i in range(n):
        for j in edges[i]:
            assert place[j] < place[i] or i in reaches[j]


def test_a_real_package_is_ordered_as_its_syntax_trees_say() -> None:
    folder = Path(ast.__file__).parent
    for name in ("email", "asyncio", "json", "concurrent"):
        files = {
            str(path.relative_to(folder)): path.read_text()
            for path in sorted((folder / name).rglob("*.py"))
        }
        imports = Imports(files)
        for path, text in files.items():
            expected = {found for found in imported_by(path, text) if found in files}
            assert expected - {path} <= set(imports.of(path)), path


def imported_by(path: str, text: str) -> set[str]:
    """What the syntax tree of a module names, as paths that may exist."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = path.split("/")[: -node.level] if node.level else []
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.replace(".", "/") + ".py" for name in names}
    return found


def test_time_grows_with_the_number_of_files_alone() -> None:
    files = {}
    for i in range(20_000):
        folder = f"pkg{i % 500}/sub{i % 7}"
        others = "".join(f"from pkg{(i + k) % 500}.sub{i % 7} import mod{i + k}\n" for k in (1, 2))
        files[f"{folder}/mod{i}.py"] = others + "import os\n" + "x = 1\n" * 20
    assert len(in_dependency_order(files)) == 20_000
    assert is_within(6, lambda: in_dependency_order(files))


def test_a_chain_of_imports_as_long_as_the_repository_ends() -> None:
    files = {f"m{i:05}.py": f"import m{i + 1:05}\n" for i in range(20_000)}
    assert in_dependency_order(files) == sorted(files, reverse=True)


@pytest.mark.parametrize("end", ["py", "js", "c", "java", "go", "rs", "rb", "php", "cs", "scss"])
@pytest.mark.parametrize(
    "part",
    ["from a import (\n", "import (\n", "import {", "use a::{", "use A\\{", '#include "', " ",
     "import a.b.{", "require '", "../", "import 'a", "using ", "@import '", ".", "\n", "mod a;",
     "namespace a", "from . import a, "],
)  # fmt: skip
def test_hostile_text_takes_bounded_time(end: str, part: str) -> None:
    files = {f"x.{end}": part * 50_000, "a/b." + end: part}
    assert is_within(2, lambda: in_dependency_order(files))


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=200), max_size=8))
def test_any_paths_and_texts_keep_every_file(files: dict[str, str]) -> None:
    order = in_dependency_order(files)
    assert sorted(order) == sorted(files)
    assert joined({path: files[path] for path in order}).count("\n") >= len(files)


def test_files_are_joined_behind_their_paths() -> None:
    files = {"README.md": "# Us\n", "a/ü.py": "x = 1", "b\n.c": "int x;\n"}
    assert joined(files) == ("<!-- README.md -->\n# Us\n\n# a/ü.py\nx = 1\n\n// b\\x0a.c\nint x;\n")
