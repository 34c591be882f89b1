"""Markdown and reStructuredText as books."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.stages.sources.chapters import Book
from corpusmill.stages.sources.markup import read_markdown, read_rst


def text_of(book: Book) -> str:
    return "\n\n".join(book.chapters)


METADATA = {
    "title": "The Book",
    "author": "Ann; Bob",
    "date": "2020-01-02",
    "language": "en",
    "licence": "CC-BY-4.0",
}


@pytest.mark.parametrize(
    "front",
    [
        "---\ntitle: The Book\nauthor: [Ann, {name: Bob}]\ndate: 2020-01-02\nlang: en-GB\n"
        "license: CC-BY-4.0\ntags: [x]\n---\n",
        '+++\ntitle = "The Book"\nauthors = ["Ann", "Bob"]\ndate = 2020-01-02\n'
        'language = "en"\nlicence = "CC-BY-4.0"\n+++\n',
    ],
)
def test_front_matter_becomes_metadata(front: str) -> None:
    book = read_markdown(front + "\nText.\n")
    assert book.metadata == METADATA
    assert book.chapters == ("Text.",)


def test_the_title_block_of_pandoc_is_front_matter() -> None:
    book = read_markdown("% The Book\n% Ann\n% 2 January 2020\n\nText.\n")
    assert book.metadata == {"title": "The Book", "author": "Ann", "date": "2020-01-02"}
    assert book.chapters == ("Text.",)


@pytest.mark.parametrize(
    "text", ["---\n\nA line over it.", "---\n- a\n---\n\nx", "---\na: [\n---\n\nx", "---\na: b"]
)
def test_what_only_looks_like_front_matter_is_text(text: str) -> None:
    book = read_markdown(text)
    assert book.chapters == (text,)
    assert book.metadata == {}


def test_front_matter_cannot_grow() -> None:
    merges = "".join(f"a{n}: &a{n} {{<<: [{f'*a{n - 1}, ' * 20}]}}\n" for n in range(1, 12))
    aliases = "".join(f"b{n}: &b{n} [{f'*b{n - 1}, ' * 20}]\n" for n in range(1, 12))
    for bomb in (f"a0: &a0 {{x: y}}\n{merges}", f"b0: &b0 [x]\n{aliases}author: *b11\n"):
        assert "author" not in read_markdown(f"---\n{bomb}---\n\nText.").metadata
    assert read_markdown(f"---\ndate: 0x{'f' * 9000}\n---\n\nText.").metadata == {}


CODE = '```python\n# no heading\na = b["x"][ref]  # <!-- stays -->\n{% stays %}\n```'


def test_markdown_stays_but_for_what_is_for_the_machine() -> None:
    text = f"""<!-- a comment
over lines -->
# One {{#one}}

A [link][ref], [ref], `[code][ref]` <!-- x -->and [another](http://x), *so*. <a id="x"></a>

{CODE}

[ref]: http://example.com "Title"

{{% include toc.html %}}

- item
  - nested <b>bold</b>
"""
    assert text_of(read_markdown(text)) == (
        "# One\n\nA link, ref, `[code][ref]` and [another](http://x), *so*. \n\n"
        f"{CODE}\n\n- item\n  - nested <b>bold</b>"
    )


WORDS = "word " * 60


@pytest.mark.parametrize("level", [1, 2])
def test_the_highest_headings_make_chapters(level: int) -> None:
    marks = "#" * level
    parts = [f"{marks} {n}\n\n{WORDS}\n\n{marks}# Section\n\n{WORDS}" for n in ("A", "B")]
    code = f"```\n{marks} no\n```"
    book = read_markdown("\n\n".join(["# Title"] * (level - 1) + [*parts, code]))
    assert [c.count(f"\n{marks}# Section") for c in book.chapters] == [1, 1]
    assert book.chapters[1].startswith(f"{marks} B\n")
    assert book.metadata == ({"title": "Title"} if level == 2 else {})


RST = """.. comment
   more

=====
Title
=====

:Author: Ann
:Date: 2020-05-01
:License: MIT

.. toctree::
   :maxdepth: 2

   a
   b

One
===

See :ref:`the other <x>`, `Python <http://python.org>`_, word_, ``lit_eral_`` |v| snake_case. [1]_

.. |v| replace:: 1.0
.. _x: http://example.com
.. note:: Take care.
   Second line of :term:`it`.

.. code-block:: python
   :linenos:

   a = `b`_

.. image:: picture.png
   :alt: no

Example::

    verb_ `x`_

.. [1] The note.
"""


def test_restructuredtext_stays_but_for_what_is_for_the_machine() -> None:
    book = read_rst(RST)
    assert book.metadata == {
        "title": "Title",
        "author": "Ann",
        "date": "2020-05-01",
        "licence": "MIT",
    }
    assert text_of(book) == (
        "=====\nTitle\n=====\n\n"
        "One\n===\n\n"
        "See the other, Python, word, ``lit_eral_`` 1.0 snake_case.\n\n"
        "Note: Take care.\nSecond line of it.\n\n"
        "   a = `b`_\n\n"
        "Example:\n\n    verb_ `x`_\n\n"
        "The note."
    )


def test_headings_of_restructuredtext_make_chapters() -> None:
    parts = [f"{n * 5}\n-----\n\n{WORDS}\n\nSection\n~~~~~~~\n\n{WORDS}" for n in "AB"]
    book = read_rst("Title\n=====\n\n" + "\n\n".join(parts))
    assert [c.count("Section\n~~~") for c in book.chapters] == [1, 1]
    assert book.chapters[0].startswith("Title\n=====\n\nAAAAA\n-----\n")
    assert book.chapters[1].startswith("BBBBB\n-----\n")


@given(st.text(alphabet="ab .:_`|[]<>#=-*\\\n{}%!(", max_size=300))
def test_any_text_is_read(text: str) -> None:
    for book in (read_markdown(text), read_rst(text)):
        assert all(chapter.strip() for chapter in book.chapters)


@pytest.mark.parametrize(
    "unit",
    ["[", "`", "> ", "<!--", "*a ", "`a ", "_a ", "|a ", "<a ", ".. a::\n", "a\n=\n", ":a:`", "{%"],
)
def test_hostile_markup_takes_linear_time(unit: str) -> None:
    text = "[a]: b\n\n# " + unit * (50_000 // len(unit))
    assert is_within(4, lambda: (read_markdown(text), read_rst(text)))


def test_directives_within_directives_end_somewhere() -> None:
    text = "\n".join(" " * 3 * i + ".. note:: x" for i in range(300))
    assert text_of(read_rst(text)).count("Note: x") == 20
