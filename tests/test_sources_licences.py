"""Licences of code: tags, licence files, and what a source allows."""

import io
import json
import tarfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.stages.sources.archives import read_tar, read_zip
from corpusmill.stages.sources.licences import (
    by_folder,
    identified,
    is_licence_file,
    nearest,
    normal,
    refused,
    repository_licence,
    spdx_licence,
    unknown_identifiers,
)
from corpusmill.stages.sources.records import RawDocument
from corpusmill.stages.sources.source import Source

APACHE = (Path(__file__).parent.parent / "LICENSE").read_bytes()
MIT = b"""Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("// SPDX-License-Identifier: MIT\n", "MIT"),
        ("#!/bin/sh\n# SPDX-License-Identifier:\tmit\n", "MIT"),
        ("/* SPDX-License-Identifier: (GPL-2.0+ OR MIT) */\n", "GPL-2.0-or-later OR MIT"),
        ("/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */",
         "GPL-2.0-only WITH Linux-syscall-note"),
        ("<!-- SPDX-License-Identifier: CC-BY-4.0 -->", "CC-BY-4.0"),
        ('"SPDX-License-Identifier: Apache-2.0",', "Apache-2.0"),
        ("# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: ISC OR Zlib\n",
         "MIT AND (ISC OR Zlib)"),
        ("# SPDX-License-Identifier: LicenseRef-Ours", "LicenseRef-Ours"),
        ("# SPDX-License-Identifier: whatever you like", ""),
        ("# SPDX-License-Identifier: MIT AND", ""),
        ("# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: none of this\n", ""),
        ("x = 1\n" * 5000 + "# SPDX-License-Identifier: MIT\n", ""),
        ("x = 1\n", ""),
    ],
)  # fmt: skip
def test_a_tag_names_the_licence_of_a_file(text: str, expression: str) -> None:
    assert spdx_licence(text) == expression


@pytest.mark.parametrize(
    ("expression", "allow", "deny", "reason"),
    [
        ("MIT", (), (), None),
        ("", (), (), None),
        ("", (), ("GPL-*",), None),
        ("", ("MIT",), (), "licence_unknown"),
        ("gibberish", ("MIT",), (), "licence_unknown"),
        ("MIT", ("mit",), (), None),
        ("MIT", ("Apache-2.0",), (), "licence_not_allowed"),
        ("MIT OR GPL-3.0-only", (), ("GPL-*",), None),
        ("MIT OR GPL-3.0-only", ("GPL-*",), ("GPL-*",), "licence_not_allowed"),
        ("MIT AND GPL-3.0-only", (), ("GPL-*",), "licence_denied"),
        ("MIT AND GPL-3.0-only", ("MIT",), (), "licence_not_allowed"),
        ("(MIT AND GPL-3.0-only) OR ISC", ("ISC",), ("GPL-*",), None),
        ("GPL-3.0-or-later", ("GPL-3.0",), (), None),
        ("LGPL-3.0-or-later", (), ("GPL-*",), None),
        ("AGPL-3.0-only", (), ("GPL-*", "AGPL-*"), "licence_denied"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", (), ("GPL-2.0",), "licence_denied"),
        ("GPL-2.0-only WITH Classpath-exception-2.0",
         ("GPL-2.0 WITH Classpath-exception-2.0",), (), None),
        ("GPL-2.0-only", ("GPL-2.0 WITH Classpath-exception-2.0",), (), "licence_not_allowed"),
        ("LicenseRef-Ours", ("LicenseRef-*",), (), None),
        ("MIT", ("*",), (), None),
        ("", ("*",), (), "licence_unknown"),
    ],
)  # fmt: skip
def test_expressions_are_judged_as_they_are_meant(
    expression: str, allow: tuple[str, ...], deny: tuple[str, ...], reason: str | None
) -> None:
    assert refused(expression, allow, deny) == reason


LEAVES = ("MIT", "ISC", "GPL-2.0-only", "Apache-2.0")


@given(
    st.recursive(
        st.sampled_from(LEAVES),
        lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner),
        max_leaves=8,
    ),
    st.sets(st.sampled_from(LEAVES)),
)
def test_deny_is_logic(tree: str | tuple, denied: set[str]) -> None:  # type: ignore[type-arg]
    def written(part: str | tuple) -> str:  # type: ignore[type-arg]
        if isinstance(part, str):
            return part
        return f"({written(part[0])} {part[1]} {written(part[2])})"

    def possible(part: str | tuple) -> bool:  # type: ignore[type-arg]
        if isinstance(part, str):
            return part not in denied
        left, right = possible(part[0]), possible(part[2])
        return (left and right) if part[1] == "AND" else (left or right)

    expected = None if possible(tree) else "licence_denied"
    assert refused(written(tree), (), tuple(denied)) == expected


def test_lists_with_misspelt_licences_are_noticed() -> None:
    lists = ["MIT", "apache-2.0", "GPL-*", "GPL-3.0", "LicenseRef-Ours", "GLP-*", "BSD", ""]
    assert unknown_identifiers(lists) == ["GLP-*", "BSD", ""]


@given(st.text(max_size=400))
def test_no_expression_raises(text: str) -> None:
    assert refused(text, ("MIT",), ()) in (None, "licence_unknown", "licence_not_allowed")
    assert normal(normal(text)) == normal(text)
    spdx_licence("SPDX-License-Identifier: " + text)


@pytest.mark.parametrize(
    "hostile", ["(" * 300, "MIT AND " * 37 + "MIT", "a" * 100_000, "(" * 99 + "MIT" + ")" * 99]
)
def test_hostile_expressions_end(hostile: str) -> None:
    assert isinstance(normal(hostile), str)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("LICENSE", True), ("a/licence.md", True), ("COPYING.LESSER", True), ("UNLICENSE", True),
        ("LICENSE-MIT", True), ("LICENSE.APACHE2", True), ("MIT-LICENSE.txt", True),
        ("pyproject.toml", True), ("x.gemspec", True), ("license.py", False),
        ("licenses/license_test.go", False), ("LICENSES/MIT.txt", False), ("README.md", False),
        ("licensing.md", False),
    ],
)  # fmt: skip
def test_licence_files_are_told_by_their_names(path: str, expected: bool) -> None:
    assert is_licence_file(path) == expected


@pytest.mark.parametrize(
    ("files", "expression"),
    [
        ({"LICENSE": MIT}, "MIT"),
        ({"LICENSE.md": b"# The MIT License\n\n" + MIT}, "MIT"),
        ({"LICENSE": APACHE}, "Apache-2.0"),
        ({"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}, "Apache-2.0 OR MIT"),
        ({"LICENSE": MIT + APACHE}, "Apache-2.0 OR MIT"),
        ({"package.json": b'{"license": "ISC"}'}, "ISC"),
        ({"package.json": b'{"license": "ISC"}', "LICENSE": MIT}, "ISC AND MIT"),
        ({"package.json": b'{"licenses": [{"type": "MIT"}, {"type": "ISC"}]}'}, "MIT OR ISC"),
        ({"package.json": b'{"license": "UNLICENSED"}'}, ""),
        ({"package.json": b"[" * 100_000}, ""),
        ({"package.json": b"[]"}, ""),
        ({"Cargo.toml": b'[package]\nlicense = "MIT/Apache-2.0"\n', "LICENSE-MIT": MIT,
          "LICENSE-APACHE": APACHE}, "MIT OR Apache-2.0"),
        ({"pyproject.toml": b'[project]\nlicense = {text = "BSD-3-Clause"}\n'}, "BSD-3-Clause"),
        ({"pyproject.toml": b'[tool.poetry]\nlicense = "MIT"\n'}, "MIT"),
        ({"pyproject.toml": b"a = [" * 5000}, ""),
        ({"METADATA": b"Name: x\nLicense-Expression: MIT AND PSF-2.0\n"}, "MIT AND PSF-2.0"),
        ({"setup.cfg": b"[metadata]\nlicense = GPL-3.0-or-later\n"}, "GPL-3.0-or-later"),
        ({"x.gemspec": b"s.licenses = ['MIT']\n"}, "MIT"),
        ({"COPYING": b"All rights reserved.\n"}, ""),
        ({"LICENSE": b"\xff\xfe\x00noise" * 50}, ""),
        ({"LICENSE": MIT * 300}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_licence_files_say_what_a_folder_is_under(files: dict[str, bytes], expression: str) -> None:
    assert repository_licence(files) == expression


def test_licence_texts_of_installed_packages_are_known() -> None:
    """A package's single licence file against what its metadata says."""
    agree, different = 0, []
    for package in distributions():
        (said,) = package.metadata.get_all("License-Expression") or [""]
        files = package.metadata.get_all("License-File") or []
        if len(files) != 1 or said not in ("MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause"):
            continue
        paths = [Path(str(f.locate())) for f in package.files or () if f.match(files[0])]
        content = b"".join(path.read_bytes() for path in paths[:1] if path.exists())
        if identified(content) == {said}:
            agree += 1
        else:
            different.append(package.name)
    assert agree > 10
    assert len(different) <= agree / 5, different


def test_the_nearest_folder_with_a_licence_decides() -> None:
    folders = by_folder(
        [("LICENSE", APACHE), ("vendor/x/LICENSE", MIT), ("vendor/y/COPYING", b"?")]
    )
    assert folders == {"": "Apache-2.0", "vendor/x": "MIT"}
    assert nearest(folders, "a.py") == "Apache-2.0"
    assert nearest(folders, "vendor/x/src/deep/a.py") == "MIT"
    assert nearest(folders, "vendor/y/a.py") == "Apache-2.0"
    assert nearest(by_folder([("p-1.0/LICENSE", MIT)]), "q/a.py") == ""


def test_files_in_archives_have_the_licence_of_their_folder() -> None:
    """Also where the licence stands behind the files."""
    members = {"p/a.py": b"x = 1\n", "p/sub/b.py": b"y = 2\n", "q.py": b"z = 3\n", "p/LICENSE": MIT,
               "p/sub/package.json": json.dumps({"license": "ISC"}).encode()}  # fmt: skip
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with tarfile.open(fileobj=tarred, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    source = Source(name="s", kind="code", path="in")
    expected = {"p/a.py": "MIT", "p/sub/b.py": "ISC", "q.py": ""}
    head = tarred.getvalue()[:65_536]
    for found in (read_zip(source, zipped, "p.zip"), read_tar(source, tarred, head, "p.tar")):
        licences = {
            f.locator: f.metadata.get("repository_licence", "")
            for f in found
            if isinstance(f, RawDocument)
        }
        assert {name: licences[name] for name in expected} == expected
