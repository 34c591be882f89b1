"""Plain-text books: what transcribers added, wrapped lines, hyphens, pages, chapters, metadata."""

import itertools
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cost import is_within

from corpusmill.stages.sources.book_metadata import iso_date, language_code
from corpusmill.stages.sources.books import read_text_book
from corpusmill.stages.sources.chapters import merged
from corpusmill.stages.sources.charset import decode_text
from corpusmill.stages.sources.epub import read_epub

PROSE = (
    "It was the best of times, it was the worst of times, it was the age of\n"
    "wisdom, it was the age of foolishness, it was the epoch of belief, it\n"
    "was the epoch of incredulity, it was the season of Light.\n"
)
JOINED = PROSE.strip().replace("\n", " ")
VERSE = "Shall I compare thee to a summer's day?\nThou art more lovely\nand more temperate."


def text_of(text: str) -> str:
    return "\n\n".join(read_text_book(text).chapters)


def paragraphs_of(*blocks: str) -> list[str]:
    """How blocks come out between enough prose to tell its width; without that prose."""
    found = text_of("\n".join([PROSE] * 8) + "\n" + "\n\n".join(blocks) + "\n")
    return found.split("\n\n")[8:]


def test_prose_is_joined_and_verse_is_not() -> None:
    indented = "  indented\n  lines here"
    assert text_of(PROSE * 1 + "\n" + (PROSE + "\n") * 7).split("\n\n") == [JOINED] * 8
    assert paragraphs_of(VERSE, indented) == [VERSE, indented]


UNIFORM_VERSE = (
    "Upon the hill the ancient tower in ruin stands against the sky alone\n"
    "And all the birds that ever sang have left it to the wind and moving\n"
    "Their songs are heard in other lands where other suns arise at morning\n"
    "The tower hears the rain and holds the names of those who slept there\n"
    "And no one comes to ask the hill of what it saw before the evening"
)
TABLE = (
    "Name of the place       1st of May, 1801        2nd of June, 1801     x\n"
    "Another of the places   3,000 of them           4,000 of them         y\n"
    "And the last of them    5,000 of them           6,000 of them         z"
)


@pytest.mark.parametrize("block", [UNIFORM_VERSE, TABLE])
def test_verse_as_wide_as_prose_and_tables_keep_their_lines(block: str) -> None:
    assert paragraphs_of(block) == [block]


def test_quotations_are_joined_at_their_own_width() -> None:
    quotation = "\n".join("    " + line for line in PROSE.strip().split("\n"))
    text = text_of("\n".join([PROSE] * 8) + "\n" + (quotation + "\n\n") * 8)
    assert text.split("\n\n")[8:] == [JOINED] * 8


def test_paragraphs_told_by_indentation_alone_are_cut() -> None:
    text = "\n".join("   " + PROSE.strip() for _ in range(40))
    assert text_of(text).split("\n\n") == [JOINED] * 40


def test_paragraphs_on_long_lines_need_no_blank_lines() -> None:
    lines = [line for n in ("I", "II") for line in (f"CHAPTER {n}", *[JOINED] * 20)]
    book = read_text_book("\n".join(lines))
    assert [chapter.split("\n\n") for chapter in book.chapters] == [lines[:21], lines[21:]]


def test_japanese_lines_are_joined_without_spaces() -> None:
    line = "吾輩は猫である名前はまだ無いどこで生れたかとんと見当がつかぬ何で"
    assert text_of("\n\n".join(["\n".join([line] * 5)] * 5)).split("\n\n") == [line * 5] * 5


@pytest.mark.parametrize(
    ("cut", "elsewhere", "healed"),
    [
        ("exam-\nple", "the example", "example"),
        ("well-\nknown", "a well-known man", "well-known"),
        ("Haus-\nund", "", "Haus- und"),
        ("Anglo-\nSaxon", "", "Anglo-Saxon"),
        ("exam\u00ad\nple", "", "example"),
        ("Bei\u00ac\nspiel", "", "Beispiel"),
        ("he stopped--\nthen", "never--ever", "he stopped--then"),
    ],
)
def test_what_line_ends_cut_is_healed(cut: str, elsewhere: str, healed: str) -> None:
    first, second = cut.split("\n")
    start = "It is a line of words that goes on until there is no room left"
    text = f"{start} {first}\n{second} and so on, {elsewhere}."
    (paragraph,) = paragraphs_of(text)
    assert paragraph == f"{start} {healed} and so on, {elsewhere}."


def test_unknown_words_go_with_the_majority() -> None:
    line = "These are the words of which there are so many in the book: {}-\n{}."
    split = [("impor", "tant"), ("govern", "ment"), ("king", "dom")]
    known = "".join(a + b + " " for a, b in split)
    blocks = [line.format(*pair) for pair in split]
    assert paragraphs_of(known, *blocks, line.format("zyg", "gote"))[-1].endswith("zyggote.")
    known = "".join(f"{a}-{b} " for a, b in split)
    assert paragraphs_of(known, *blocks, line.format("zyg", "gote"))[-1].endswith("zyg-gote.")


HEADER = """The Project Gutenberg EBook of A Tale, by A. Writer

This eBook is for the use of anyone anywhere at no cost.

Title: A Tale
       of Two

Author: A. Writer

Release Date: March 5, 2004 [EBook #1]

Language: {language}

*** START OF THIS PROJECT GUTENBERG EBOOK A TALE WHICH IS LONG ENOUGH TO
BE WRAPPED ***
"""
FOOTER = "End of the Project Gutenberg EBook of A Tale\n\n*** END OF THIS PROJECT ***\n\nLicence."


def in_gutenberg(*blocks: str, language: str = "English") -> str:
    return text_of(
        HEADER.format(language=language) + "\n\n\n\n" + "\n\n".join([*blocks, PROSE, FOOTER])
    )


def test_header_licence_and_metadata_of_project_gutenberg() -> None:
    book = read_text_book(HEADER.format(language="Dutch") + "\n\n" + VERSE + "\n\n\n" + FOOTER)
    assert book.chapters == (VERSE,)
    assert book.metadata == {
        "title": "A Tale of Two",
        "author": "A. Writer",
        "date": "2004-03-05",
        "language": "nl",
        "licence": "Public domain in the USA",
    }


def test_small_print_at_the_end_of_a_short_book_is_not_its_beginning() -> None:
    small = "***START**THE SMALL PRINT!**\nwords\n*END THE SMALL PRINT! FOR PUBLIC DOMAIN*Ver*END*"
    text = HEADER.format(language="English") + "\n" + VERSE + "\n\n" + FOOTER + "\n\n" + small
    assert text_of(text) == VERSE


def test_old_headers_without_markers_end_with_their_last_mention() -> None:
    text = (
        "Project Gutenberg Etext of A Tale, by A. Writer\n\nCopyright laws are changing.\n\n"
        "Find Project Gutenberg on the net.\n\n\n" + VERSE + "\n\nEnde dieses Projekt Gutenberg"
        " Etextes A Tale\n"
    )
    book = read_text_book(text)
    assert book.chapters == (VERSE,)
    assert (book.metadata["title"], book.metadata["author"]) == ("A Tale", "A. Writer")


@pytest.mark.parametrize(
    "credit",
    [
        "Produced by Jane Doe, John Doe and the Online Distributed\nProofreading Team",
        "E-text prepared by Jane Doe (jane@example.org)",
        "This etext was scanned and proofed by Jane Doe",
        "Transcribed from the 1913 edition by Jane Doe, email jane@example.org",
        "(This file was produced from images generously made available by The\nInternet Archive)",
        "Note: Images of the original pages are available through Internet Archive",
        "Dieses Buch wurde uns vom Gutenberg Projekt-DE zur Verfuegung gestellt.",
    ],
)
def test_credits_are_removed(credit: str) -> None:
    assert in_gutenberg(credit) == PROSE.strip()


@pytest.mark.parametrize(
    "name",
    [
        "Transcriber's Note",
        "TRANSCRIBER\u2019S NOTES",
        "Anmerkungen zur Transkription",
        "Note du transcripteur",
        "Notes sur la transcription",
        "Nota del transcriptor",
        "Nota del Trascrittore",
        "Nota do transcritor",
        "Nota de transcrição",
        "Opmerkingen van de bewerker",
    ],
)
def test_notes_of_transcribers_are_removed(name: str) -> None:
    bracketed = f"[{name}: The spelling was kept.\n\nIt was [sic] kept.]"
    heading = f"{name.upper()}\n\nThe spelling was kept.\n\nAll of it.\n\n\n"
    boxed = f"+-------+\n| {name}: |\n| kept  |\n+-------+"
    for note in (bracketed, heading, boxed, f"{name}: The spelling was kept."):
        assert in_gutenberg(note, VERSE) == f"{VERSE}\n\n{PROSE.strip()}"
    last = "\n\n".join([PROSE] * 30)
    assert text_of(f"{last}\n\n\n{name}\n\nOne.\n\n\nTwo.").endswith(JOINED)
    assert text_of(f"A line. [{name}: illegible]") == "A line. "


def test_books_about_transcribers_stay() -> None:
    text = "The transcriber's note was lost.\n\nProduced by the mill, flour was cheap."
    assert text_of(text) == text


@pytest.mark.parametrize(
    "mark",
    [
        "[Illustration]",
        "[Illustration: The [old] house\n\nand its garden]",
        "[Ilustración: La casa]",
        "[Illustratie]",
    ],
)
def test_markers_of_illustrations_are_removed_with_captions(mark: str) -> None:
    assert text_of(f"One.\n\n{mark}\n\nTwo.") == "One.\n\nTwo."


def test_page_numbers_that_cut_sentences_are_removed() -> None:
    page = "\n\n".join([PROSE] * 4)
    text = "".join(
        f"{page}\nand so it went\n\n{n}\n\non and on until it ended.\n" for n in range(40)
    )
    found = text_of(text)
    assert not re.search(r"^\d+$", found, re.MULTILINE)
    assert found.count("and so it went\non and on") == 40


def test_numbers_of_chapters_are_no_page_numbers() -> None:
    page = "\n\n".join([PROSE] * 4)
    book = read_text_book("".join(f"{n}\n\n{page}\n\n\n" for n in range(1, 20)))
    assert [c.split("\n")[0] for c in book.chapters] == [str(n) for n in range(1, 20)]


def test_running_heads_between_form_feeds_are_removed() -> None:
    lines = textwrap.wrap(" ".join(map("".join, itertools.product("abcde", repeat=5))), 70)
    pages = [
        f"{n}   {'A TALE' if n % 2 else 'THE HOUSE'}\n\n" + "\n".join(lines[30 * n : 30 * n + 30])
        for n in range(len(lines) // 30)
    ]
    assert text_of("\f".join(pages)) == " ".join(lines[: 30 * len(pages)])


BODY = "\n\n".join([PROSE] * 3)


@pytest.mark.parametrize(
    "headings",
    [
        ["CHAPTER I", "CHAPTER II", "CHAPTER III"],
        ["Chapter 1.", "Chapter 2.", "Chapter 3."],
        ["Chapter One: Morning", "Chapter Two: Noon", "Chapter Twenty-one: Night"],
        ["THE FIRST BOOK", "THE SECOND BOOK", "THE THIRD BOOK"],
        ["Erstes Kapitel", "Zweites Kapitel", "Drittes Kapitel"],
        ["ERSTER AKT", "ZWEITER AKT", "DRITTER AKT"],
        ["I. Kapitel", "II. Kapitel", "III. Kapitel"],
        ["CHAPITRE PREMIER", "CHAPITRE II", "CHAPITRE III"],
        ["Première partie", "Deuxième partie", "Troisième partie"],
        ["Capítulo primero", "Capítulo II", "Capítulo III"],
        ["CAPITOLO I", "CAPITOLO II", "CAPITOLO III"],
        ["Eerste hoofdstuk", "Tweede hoofdstuk", "Derde hoofdstuk"],
        ["PREFACE", "CHAPTER I.\nThe House", "CHAPTER II.\nThe Garden"],
        ["I.", "II.", "III."],
        ["1", "2", "3"],
        ["第一章", "第二章", "第三章"],
    ],
)
def test_chapters_begin_at_headings(headings: list[str]) -> None:
    text = "\n\n\n".join(f"{heading}\n\n{BODY}" for heading in headings)
    book = read_text_book("A TALE\n\nby A. Writer\n\n\n\n" + text)
    assert len(book.chapters) == 3
    assert book.chapters[0].startswith(f"A TALE\n\nby A. Writer\n\n{headings[0]}\n\n")
    assert [c.split("\n\n")[0] for c in book.chapters[1:]] == headings[1:]


def test_titles_with_much_space_in_front_begin_chapters() -> None:
    book = read_text_book(
        "".join(f"\n\n\n\n\n{t}\n\n\n{BODY}" for t in ("Morning.", "Noon", "Night"))
    )
    assert [c.split("\n")[0] for c in book.chapters] == ["Morning.", "Noon", "Night"]


def test_a_table_of_contents_makes_no_chapters() -> None:
    numbers = ["I", "II", "III", "IV", "V"]
    contents = "\n\n".join(f"CHAPTER {n}. What happens in this chapter" for n in numbers)
    text = "\n\n\n".join(f"CHAPTER {n}.\n\n{BODY}" for n in numbers)
    book = read_text_book(f"CONTENTS\n\n{contents}\n\nA line of the preface.\n\n\n{text}")
    assert len(book.chapters) == 5
    assert "A line of the preface.\n\nCHAPTER I.\n\n" in book.chapters[0]


def test_sentences_that_begin_like_headings_are_none() -> None:
    for line in ("Part one of the plan was simple.", "Act now!", "Book two seats, please,"):
        text = "\n\n".join([BODY, line, BODY, line, BODY])
        assert len(read_text_book(text).chapters) == 1


@given(st.lists(st.integers(0, 120), max_size=12))
def test_merged_chapters_keep_every_word_in_order(lengths: list[int]) -> None:
    words = itertools.count()
    chapters = [" ".join(f"w{next(words)}" for _ in range(length)) for length in lengths]
    whole = merged(chapters)
    assert " ".join(whole).split() == " ".join(chapters).split()
    assert all(len(chapter.split()) >= 50 for chapter in whole) or len(whole) == 1


@given(st.text(alphabet="ab .-\n\f[]1IV*|\u00ad\u4e00", max_size=400))
@settings(max_examples=200)
def test_any_text_is_read(text: str) -> None:
    assert all(chapter.strip() for chapter in read_text_book(text).chapters)


@pytest.mark.parametrize(
    "unit", ["[", "-", "\n", " ", "a-\n", "[Illustration", "1\n", "| ", "*** START OF ", "IV\n\n"]
)
def test_hostile_texts_take_linear_time(unit: str) -> None:
    text = "Project Gutenberg\n" + unit * (400_000 // len(unit))
    # 100 times what 400 kB of a novel take
    assert is_within(10, lambda: read_text_book(text))


def test_the_verse_of_a_latin1_book_is_left_alone(shared_data: Path) -> None:
    book = read_text_book(decode_text((shared_data / "books" / "faust-2229-8.txt").read_bytes()))
    text = "\n\n".join(book.chapters)
    assert book.metadata["title"] == "Faust: Der Tragödie erster Teil"
    assert book.metadata["language"] == "de"
    assert "  Ihr naht euch wieder, schwankende Gestalten,\n  Die früh" in text
    assert "Gutenberg" not in text
    assert "Verfuegung" not in text
    assert any(c.startswith("  Prolog im Himmel.") for c in book.chapters)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def test_four_editions_of_one_book_are_near_duplicates(shared_data: Path) -> None:
    folder = shared_data / "books"
    books = [
        read_text_book(decode_text((folder / name).read_bytes()))
        for name in ("old-pandp10.txt", "old-pandp12.txt", "1342-0.txt")
    ]
    books.append(read_epub((folder / "pride-and-prejudice.epub").read_bytes()))
    for book in books:
        assert book.metadata["title"] == "Pride and Prejudice"
        assert book.metadata["author"] == "Jane Austen"
        assert len(book.chapters) == 61
        assert not any("Gutenberg" in chapter for chapter in book.chapters)
        assert "It is a truth universally acknowledged, that a single man" in book.chapters[0][:300]
        assert book.chapters[-1].endswith("had been the means of uniting them.")
    texts = ["\n\n".join(book.chapters) for book in books]
    for a, b in itertools.combinations(map(shingles, texts), 2):
        assert len(a & b) / len(a | b) > 0.9


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2004-03-05", "2004-03-05"),
        ("1998-06-01T00:00:00+00:00", "1998-06-01"),
        ("February 23, 2008 [EBook #24675]", "2008-02-23"),
        ("23 February 2008", "2008-02-23"),
        ("Jun, 1998", "1998-06"),
        ("D:20230306180657Z", "2023-03-06"),
        ("London: Chapman, 1859", "1859"),
        ("no date", ""),
    ],
)
def test_dates_are_as_exact_as_they_were(text: str, date: str) -> None:
    assert iso_date(text) == date


def test_languages_are_codes() -> None:
    names = ["English", "en-US", "ger", "deu", "Français", "zh-Hans", "ceb", "und", "", "Middle"]
    assert [language_code(n) for n in names] == [
        *["en", "en", "de", "de", "fr", "zh", "ceb", "", "", ""]
    ]


def test_a_run_of_form_feeds_is_one_page_break() -> None:
    text = "Some words of a page."
    torn = text + "\f" * 1_000_000 + text
    assert is_within(2, lambda: read_text_book(torn))
    assert read_text_book(torn).chapters == (f"{text}\n\n{text}",)
