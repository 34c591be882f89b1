"""What transcribers put around and into books: Project Gutenberg's headers and licences, credits,
transcriber's notes, markers of illustrations and pages.

Phrases are those of Project Gutenberg from 1991 on, of its sisters (Australia, DE) and of
Distributed Proofreaders, in the languages in which they publish.
"""

import re
from collections.abc import Sequence

from corpusmill.stages.sources.wrapping import Block

_EDGE = 4_000
"""Lines from either end in which the markers of front and back matter are looked for."""
_SMALL_PRINT = 400
"""Lines that the small print is long at most."""

_NAMED = re.compile(r"Pro[jy]e[ck]?te?n?\s+Gutenberg|gutenberg\.(?:org|net|ca)", re.IGNORECASE)
_START = re.compile(
    r"\W{0,10}(?:START|BEGINNING) OF (?:THE |THIS )?(?:COPYRIGHTED )?PROJECT GUTENBERG",
    re.IGNORECASE,
)
_SMALL_PRINT_END = re.compile(r"\*END ?\*? ?THE SMALL PRINT!", re.IGNORECASE)
_END = re.compile(
    r"\W{0,10}END OF (?:THE |THIS )?(?:COPYRIGHTED )?PROJECT GUTENBERG"
    r"|\W{0,10}(?:the )?(?:end|ende|einde|fin|fine|fim|slut|loppu|konec|koniec) [^\n]{0,50}?"
    r"Pro[jy]e[ck]?te?n?s? Gutenberg"
    r"|\*\*\*START\*\*THE SMALL PRINT!"
    r"|\W{0,10}START: FULL LICENSE"
    r"|THE FULL PROJECT GUTENBERG LICENSE",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"(Title|Author|Authors|Language|Release Date|Date first posted|Original publication)"
    r"\s*: +(\S.*)$",
    re.IGNORECASE,
)
_FIELDS = {
    "title": "title",
    "author": "author",
    "authors": "author",
    "language": "language",
    "release date": "release",
    "date first posted": "release",
    "original publication": "date",
}
_FIRST_LINE = re.compile(
    r"\W*(?:The )?Project Gutenberg(?:'s|\u2019s)?(?: of Australia)?(?: E-?(?:text|book))?"
    r"(?: of|,)? (.{1,200}?)(?:,? by (.{1,100}?))?\W*$",
    re.IGNORECASE,
)
PUBLIC_DOMAIN = "Public domain in the USA"
"""What Project Gutenberg says of its books, but for those it calls copyrighted."""
_COPYRIGHTED = re.compile(r"COPYRIGHTED PROJECT GUTENBERG|is a COPYRIGHTED", re.IGNORECASE)


def is_gutenberg(lines: Sequence[str]) -> bool:
    """Whether a book's first lines (or paragraphs) name Project Gutenberg."""
    return any(_NAMED.search(line) for line in lines[:60])


def bounds(lines: Sequence[str]) -> tuple[int, int]:
    """Where the book stands in lines (or paragraphs) that begin with Project Gutenberg's header:
    the first line of the book, and the first line behind it."""
    head = lines[:_EDGE]
    last = max(0, len(lines) - _EDGE)
    starts = [i for i, line in enumerate(head) if _START.match(line)]
    start = 0
    if starts:
        start = _behind_marker(lines, starts[0])
    for i, line in enumerate(head[start : start + _SMALL_PRINT], start):
        if _END.match(line) and "SMALL PRINT" not in line.upper():
            break
        if _SMALL_PRINT_END.match(line.strip()):
            start = i + 1
    if not start:
        named = [
            i for i, line in enumerate(lines[:120]) if _NAMED.search(line) and not _END.match(line)
        ]
        start = _end_of_paragraph(lines, named[-1]) if named else 0
    end = next((i for i in range(max(start, last), len(lines)) if _END.match(lines[i])), len(lines))
    return start, end


def _behind_marker(lines: Sequence[str], start: int) -> int:
    """The marker may be wrapped: it ends with asterisks."""
    for i in range(start, min(start + 4, len(lines))):
        if lines[i].rstrip().endswith("***") and (i > start or lines[i].count("***") > 1):
            return i + 1
        if not lines[i].strip():
            break
    return start + 1


def _end_of_paragraph(lines: Sequence[str], start: int) -> int:
    return next((i for i in range(start, len(lines)) if not lines[i].strip()), len(lines))


def header_metadata(lines: Sequence[str]) -> dict[str, str]:
    """What the lines of a header say: title, author, language, date and licence, as they stand."""
    found: dict[str, str] = {}
    field = ""
    for line in lines[:_EDGE]:
        named = _FIELD.match(line)
        if named:
            field = _FIELDS[named[1].lower()]
            if field in found:
                field = ""
            else:
                found[field] = named[2]
        elif field and line[:1].isspace() and line.strip():
            found[field] += " " + line.strip()
        else:
            field = ""
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    opening = " ".join(line.strip() for line in lines[first : _end_of_paragraph(lines, first)][:3])
    fallback = _FIRST_LINE.match(opening[:400].partition(" #")[0].strip())
    if fallback and "title" not in found:
        found["title"] = fallback[1].strip("\"'")
        if fallback[2]:
            found.setdefault("author", fallback[2])
    release = found.pop("release", "")
    found.setdefault("date", release)
    copyrighted = any(_COPYRIGHTED.search(line) for line in lines[:_SMALL_PRINT])
    found["licence"] = "Copyrighted" if copyrighted else PUBLIC_DOMAIN
    return found


_NOTE = (
    r"(?:(?:e-?text )?transcri(?:ber|bers|ption)(?:'s|\u2019s|s'|s\u2019|s)? ?"
    r"(?:foot|end|introductory |additional |general )?note"
    r"|\[transcriber\b|\[tr(?:anscriber)?\.?(?:'s|\u2019s)? note"
    r"|notes? (?:(?:by|from|of|on) the )?transcri(?:ber|ption)"
    r"|(?:anmerkung|hinweis|bemerkung|notiz)(?:en|e)? (?:zur|der|des) transkri(?:ption|bent)"
    r"|notes? (?:du|de la|de|sur la|des) transcri(?:pt|vant)|note sur la transcription"
    r"|notes? (?:au lecteur|du lecteur) (?:de ce|num)"
    r"|notas? (?:del|de la|de) transcri(?:ptor|ci)"
    r"|not[ae] (?:del|di) tra(?:scritt|scriz)"
    r"|notas? (?:do|da|de) transcri(?:tor|\u00e7)|lista de erros corrigidos"
    r"|(?:opmerking|noot|aantekening)(?:en)? (?:van de|bij de) (?:bewerk|transcri)"
    r"|transkriberarens an|transkriberings?not|transskrib\w{0,12} (?:an|be)m|afskriverens an"
    r"|(?:errors|errata|corrections)\b[^\n]{0,40}\btranscriber"
    r"|noto de la transskrib)"
)
_NOTE_HERE = re.compile(r"[\W_]{0,250}" + _NOTE, re.IGNORECASE)
_MORE = re.compile(r"\w*\W*\w")
"""What follows in a block that is more than the note's heading."""
_NOTE_BLOCKS = 15
"""Blocks that a note is long at most, away from the book's end. It ends in front of a larger gap;
where there is none, it is one block."""

_PICTURE = (
    r"(?:(?:illustrations?|illustrazione|ilustraci\u00f3n|ilustra\u00e7\u00e3o|illustratie|abbildung)\b"
    r"|(?:afbeelding|bild|kuva|kuvitus|vignette|figura|image|gravure) ?(?=[:\]]))"
)
_PICTURE_HERE = re.compile(r"\W{0,4}\[" + _PICTURE, re.IGNORECASE)
_MARKS = re.compile(
    r"\[(?:" + _PICTURE + r"[^\[\]]{0,2000}|" + _NOTE.replace(r"\[", "") + r"[^\[\]]{0,3000})\]"
    r"|[\[{](?:Pg|Page|Seite|p\.) ?[0-9ivxlc]{1,6}[\]}]",
    re.IGNORECASE,
)

_MADE = (
    r"(?:produced|prepared|transcribed|created|scanned|typed|keyed|digiti[sz]ed|proofed|proofread"
    r"|converted|compiled|contributed)"
)
_CREDIT = re.compile(
    r"\W{0,10}(?:(?:this|the) )?(?:project gutenberg )?(?:e-?(?:book|text)|file|text|html)?"
    r"(?: version| file)?,? ?(?:was |is |were )?(?:originally |first )?"
    + _MADE
    + r"(?:(?:,| and|,? &)? ?"
    + _MADE
    + r"){0,3},? (?:by|from|for|with|in)\b"
    r"|\W{0,10}(?:HTML (?:version )?by|Credits:|Produit par|Erstellt von|Prodotto da"
    r"|Produ[cz]ido por|Note: (?:Images of|The original|Project Gutenberg|This file)"
    r"|Updated editions will)",
    re.IGNORECASE,
)
_CREDIT_FOR_SURE = re.compile(
    r"distributed proofread|pgdp\.net|\be-?text (?:was )?(?:prepared|produced|transcribed|scanned)"
    r"|project gutenberg (?:e-?text|e-?book)"
    r"|this e-?(?:text|book) (?:was|is) (?:prepared|produced|for)"
    r"|images generously made available|electronic (?:text|edition) (?:prepared|produced) by",
    re.IGNORECASE,
)
_CREDIT_LENGTH = 1500
_FRONT = 40
"""Blocks in front in which credits are looked for."""


def without_transcribers(blocks: Sequence[Block], *, gutenberg: bool) -> list[Block]:
    """Blocks without credits, transcriber's notes, illustrations' markers and their captions.

    Captions go because they cut sentences in two and mostly quote the text. A note at the end of
    the book takes what follows it along; elsewhere it ends with a larger gap or a bracket.
    """
    kept: list[Block] = []
    i = left_out_gap = 0
    while i < len(blocks):
        gap, block = blocks[i]
        head = " ".join(block[:3]) if len(block) > 1 else block[0]
        end = i
        if "[" in block[0] and _PICTURE_HERE.match(block[0]):
            end = _closing_bracket(blocks, i)
        elif note := _NOTE_HERE.match(head):
            if i > len(blocks) // 2 and i > len(blocks) - max(60, len(blocks) // 50):
                break
            end = _end_of_note(blocks, i, is_heading=not _MORE.match(head, note.end()))
        elif i < _FRONT and is_credit(" ".join(block), gutenberg=gutenberg):
            end = i + 1
        if end > i:
            left_out_gap = max(left_out_gap, gap)
            i = end
        else:
            kept.append((max(gap, left_out_gap), block))
            left_out_gap = 0
            i += 1
    return kept


def is_credit(text: str, *, gutenberg: bool) -> bool:
    """Whether a paragraph says who made the electronic edition, and from what."""
    if len(text) > _CREDIT_LENGTH:
        return False
    if _CREDIT_FOR_SURE.search(text):
        return True
    return gutenberg and bool(_CREDIT.match(text) or "Gutenberg" in text)


def without_marks(text: str) -> str:
    """A paragraph without markers of illustrations and pages and bracketed transcriber's notes."""
    return _MARKS.sub("", text) if "[" in text or "{" in text else text


def is_note(text: str) -> bool:
    """Whether a paragraph begins a transcriber's note."""
    return bool(_NOTE_HERE.match(text[:400]))


def _closing_bracket(blocks: Sequence[Block], start: int) -> int:
    """The index behind the block in which the bracket that opens the first block is closed; the
    first block itself when text follows the bracket there, or it is never closed."""
    depth = 0
    for i in range(start, min(start + _NOTE_BLOCKS, len(blocks))):
        text = "\n".join(blocks[i][1])
        depth += text.count("[") - text.count("]")
        if depth <= 0:
            return i + 1 if text.rstrip(" .*_=|+-").endswith("]") else start
    return start


def _end_of_note(blocks: Sequence[Block], start: int, *, is_heading: bool) -> int:
    if blocks[start][1][0].lstrip(" *_=").startswith("["):
        end = _closing_bracket(blocks, start)
        if end > start:
            return end
    end = start + 1 + is_heading
    behind = range(end, min(start + _NOTE_BLOCKS, len(blocks)))
    return next((i for i in behind if blocks[i][0] > 1), min(end, len(blocks)))
