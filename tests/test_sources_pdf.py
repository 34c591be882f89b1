"""PDF: reading order, paragraphs, running heads, outline, metadata, and files that cannot be read.

The PDFs are written here, in the plainest form that the format has.
"""

import itertools
import zlib
from collections.abc import Sequence

import pytest

from corpusmill.errors import UsageError
from corpusmill.stages.sources import pdf
from corpusmill.stages.sources.limits import Refused
from corpusmill.stages.sources.pdf import read_pdf

Line = tuple[float, float, str]
"""Left edge and baseline in points, and text."""

LEFT, TOP, PITCH = 72.0, 700.0, 12.0
WIDTH = 78
"""Characters of 6 points in a line of the column."""


def pdf_of(
    pages: Sequence[Sequence[Line]],
    *,
    info: str = "",
    catalogue: str = "",
    outline: Sequence[tuple[str, int]] = (),
    trailer: str = "",
) -> bytes:
    """A PDF in Courier of 10 points."""
    objects: dict[int, bytes] = {
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Courier>>",
        4: b"<<%b>>" % info.encode(),
    }
    numbers: list[int] = []
    for lines in pages:
        shown = "".join(
            f"BT /F1 10 Tf {x} {y} Td ({text.translate(_ESCAPES)}) Tj ET\n" for x, y, text in lines
        )
        data = zlib.compress(shown.encode("cp1252"))
        content, number = 2 * len(numbers) + 5, 2 * len(numbers) + 6
        objects[content] = b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (
            len(data),
            data,
        )
        objects[number] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % content
        )
        numbers.append(number)
    objects[2] = b"<</Type/Pages/Count %d/Kids[%b]>>" % (
        len(numbers),
        b" ".join(b"%d 0 R" % n for n in numbers),
    )
    first = max(objects) + 1
    if outline:
        catalogue += f"/Outlines {first} 0 R"
        last = first + len(outline)
        objects[first] = b"<</First %d 0 R/Last %d 0 R>>" % (first + 1, last)
        for n, (title, page) in enumerate(outline, first + 1):
            after = b"/Next %d 0 R" % (n + 1) if n < last else b""
            objects[n] = b"<</Title(%b)/Parent %d 0 R/Dest[%d 0 R/XYZ 0 790 0]%b>>" % (
                title.encode(),
                first,
                numbers[page],
                after,
            )
    objects[1] = b"<</Type/Catalog/Pages 2 0 R%b>>" % catalogue.encode()
    document = b"%PDF-1.4\n"
    offsets = {}
    for n, body in sorted(objects.items()):
        offsets[n] = len(document)
        document += b"%d 0 obj\n%b\nendobj\n" % (n, body)
    table = b"".join(b"%010d 00000 n \n" % offset for _, offset in sorted(offsets.items()))
    return document + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d/Root 1 0 R/Info 4 0 R%b>>\n"
        b"startxref\n%d\n%%%%EOF\n"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
            trailer.encode(),
            len(document),
        )
    )


_ESCAPES = {ord(c): "\\" + c for c in "()\\"}


def column(lines: Sequence[str], left: float = LEFT, top: float = TOP) -> list[Line]:
    """Lines under one another; an empty one is a gap."""
    return [(left, top - PITCH * i, line) for i, line in enumerate(lines) if line]


def prose(count: int, salt: str = "") -> list[str]:
    """Lines that fill the column and differ."""
    words = map("".join, itertools.product("abcde", repeat=7))
    stream = iter(salt + word for word in words)
    lines = []
    for _ in range(count):
        line = next(stream)
        while len(line) + 8 <= WIDTH:
            line += " " + next(stream)
        lines.append(line)
    return lines


def text_of(document: bytes) -> str:
    return "\n\n".join(read_pdf(document).chapters)


def test_lines_are_joined_to_paragraphs() -> None:
    first, second = prose(3, "x"), prose(4, "y")
    lines = [*first, "which ends it.", *second, "so.", "", "A heading", "", *prose(2, "z")]
    assert text_of(pdf_of([column(lines)])).split("\n\n") == [
        " ".join([*first, "which ends it."]),
        " ".join([*second, "so."]),
        "A heading",
        " ".join(prose(2, "z")),
    ]


def test_indented_lines_begin_paragraphs() -> None:
    first, second = [*prose(2, "x"), "y" * (WIDTH - 1) + "."], prose(3, "z")
    lines = column(first) + [
        (LEFT + 15 * (i == 0), TOP - PITCH * (i + 3), line) for i, line in enumerate(second)
    ]
    assert text_of(pdf_of([lines])).split("\n\n") == [" ".join(first), " ".join(second)]


def test_short_lines_stay_lines() -> None:
    verse = ["Shall I compare thee", "to a day of summer?", "Thou art more lovely"]
    assert text_of(pdf_of([column([*prose(3), "", *verse])])).split("\n\n", 1)[1] == (
        "Shall I compare thee\nto a day of summer?\n\nThou art more lovely"
    )


def test_hyphens_at_line_ends_are_healed() -> None:
    start, rest = prose(1)[0][:70], "example, and well-known things"
    lines = [f"{start} exam-", f"ple {rest} {start[:30]} well-", "known and so on."]
    assert text_of(pdf_of([column(lines)])) == (
        f"{start} example {rest} {start[:30]} well-known and so on."
    )


def test_running_heads_feet_and_numbers_are_removed_and_paragraphs_go_on() -> None:
    pages = []
    for n in range(1, 7):
        head = (LEFT, 760.0, "A TALE" if n % 2 else f"{n} Chapter of its own {'abcdef'[n - 1]}")
        foot = (300.0, 40.0, str(n))
        body = prose(20, "qrstuv"[n - 1])
        pages.append([head, *column(body), foot])
    assert text_of(pdf_of(pages)) == " ".join(line for salt in "qrstuv" for line in prose(20, salt))


def test_columns_are_read_one_after_the_other() -> None:
    left = [line[:35] for line in prose(12, "l")]
    right = [line[:35] for line in prose(12, "r")]
    page = column(left) + column(right, left=330)
    assert text_of(pdf_of([page])) == " ".join([*left, *right])


def test_the_outline_makes_chapters() -> None:
    pages = [column(["Title"]), *(column([f"Part {s}", "", *prose(12, s)]) for s in "abc")]
    book = read_pdf(pdf_of(pages, outline=[("x", 1), ("y", 2), ("z", 3)]))
    assert [c.split("\n\n")[:2] for c in book.chapters] == [
        ["Title", "Part a"],
        ["Part b", " ".join(prose(12, "b"))],
        ["Part c", " ".join(prose(12, "c"))],
    ]


def test_without_an_outline_headings_make_chapters() -> None:
    pages = [column([f"CHAPTER {n}", "", *prose(12)]) for n in ("I", "II", "III")]
    assert [c[:11].strip() for c in read_pdf(pdf_of(pages)).chapters] == [
        "CHAPTER I",
        "CHAPTER II",
        "CHAPTER III",
    ]


def test_metadata() -> None:
    info = "/Title(A Tale)/Author(A. Writer)/CreationDate(D:20230306180657Z)"
    document = pdf_of([column(["x"])], info=info, catalogue="/Lang(en-GB)")
    assert read_pdf(document).metadata == {
        "title": "A Tale",
        "author": "A. Writer",
        "date": "2023-03-06",
        "language": "en",
    }


def test_damaged_metadata_is_no_reason_to_fail() -> None:
    info = "/Title<FEFFD800D800>/Author<FF>/CreationDate(\\377\\376)"
    outline = [("\x00", 0)] * 3
    assert read_pdf(pdf_of([column(["x"])], info=info, outline=outline)).chapters == ("x",)


def test_a_scan_has_no_text() -> None:
    assert read_pdf(pdf_of([[], []])).chapters == ()


ENCRYPTED = f"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'41' * 32}>/U<{'42' * 32}>>>"
WHOLE = pdf_of([column(prose(20))])


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (pdf_of([column(["x"])], trailer=ENCRYPTED), "encrypted"),
        (b"%PDF-1.4\nnoise", "damaged_file"),
        (WHOLE[:200], "damaged_file"),
        (b"", "damaged_file"),
    ],
)
def test_what_cannot_be_read_says_why(document: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        read_pdf(document)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_PAGES", 1)
    with pytest.raises(Refused, match="too_many_pages"):
        read_pdf(pdf_of([column(["x"])] * 2))
    monkeypatch.setattr(pdf, "MAX_CHARACTERS", 100)
    with pytest.raises(Refused, match="too_long"):
        read_pdf(WHOLE)


def test_damaged_bytes_never_raise_anything_else() -> None:
    reasons = set()
    for position in range(0, len(WHOLE), 11):
        damaged = bytearray(WHOLE)
        damaged[position] ^= 0x55
        try:
            read_pdf(bytes(damaged))
        except Refused as refusal:
            reasons.add(refusal.reason)
    assert reasons <= {"damaged_file", "encrypted"}


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'corpusmill\[pdf\]'"):
        pdf.check()
