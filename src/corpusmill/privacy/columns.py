"""Values that a column's name announces: CSV, tables of Markdown and terminals, INSERT statements.

The name stands once, lines above the values. Each column with a telling name is written out as
lines of `name: value`, and what recognizers find in these is found in the table.
"""

import re
from collections.abc import Sequence

import numpy as np

from corpusmill.privacy.candidates import literals
from corpusmill.privacy.plain_form import Places

COLUMN_NAMES = (
    *literals(
        "ssn|nif|nie|dni|cpf|pesel|bsn|curp|cnp|oib|taj|aadhaar|tin|vat|cpr|hetu|dob|targa|mrn|plate"
        "|token|secret|card|taxid|tax_id|id_n|idn|iban",
        right=False,
    ),
    *literals(
        "phone|mobile|telefon|teléfon|téléphon|celular|cellulare|puhelin|whatsapp|contact_no|birth"
        "|geburt|nacimiento|naissance|nascita|nascimento|urodzenia|födelse|social_|national_"
        "|nationalid"
        "|fiscal|personnummer|tax_number|taxnumber|vat_n|steuer|passport|pasaporte"
        "|passeport|reisepass"
        "|license|licence|_plate|kennzeichen|matricula|matrícula|registration|patient"
        "|medical_|account_"
        "|_card|password|passwd|_secret|_token|api_key|apikey|latitude|coordinates|rodne|rodné|codice"
        "|isikukood|personas|fødsels|personnr|телефон|рождения|паспорт|инн|снилс|电话|手机|身份证|护照"
        "|生日|出生|電話|生年月日|전화|생년월일|주민등록",
        left=False,
    ),
)
"""Parts of names of columns whose values are announced nowhere else."""

LONGEST_HEADER, LONGEST_NAME, LONGEST_CELL = 1500, 48, 80
"""Characters. Lines of names, names and values of more are prose."""
LEAST_CELL = 5
_DELIMITERS = "\t|;,"
_RULE = re.compile(r"[\s|:+=-]+")
"""What tables of Markdown and of terminals draw between rows."""
_TELLS_NOTHING = re.compile(r"\d{3}|[.!?] |[({=]")
_NAME_ENDS = re.compile(r"[\w-]{1,40}(?: [\w-]{1,16})?[\"'`* .)\]]{0,12}[,;|\t\r\n)]")
"""Nearly all in prose do not end like a cell."""
_VALUES = re.compile(r"\s{0,4}values\s{0,4}(?=\()", re.IGNORECASE)
_FIELD = re.compile(r"\s*(?:'((?:[^'\\\n]|''|\\.){0,2000}+)'|([^',()\n]{0,200}+))\s*([,)])")
"""A value of an INSERT statement and what follows it."""

Cell = tuple[int, int]
"""Start and end of a value in the text."""


def written_out(text: str, names: Sequence[int]) -> tuple[str, Places] | None:
    """Columns as lines of `name: value`, and where each character stands in the text, -1 for those
    that were put in between. `names`: where one of COLUMN_NAMES stands, in order.

    Linear: a line is read once, as the first of a table or as a row of it.
    """
    lines: list[tuple[str, Cell]] = []
    done = 0
    for name in names:
        if name < done or not _NAME_ENDS.match(text, name):
            continue
        found = _insert(text, name) or _table(text, name)
        if found:
            cells, done = found
            lines += cells
    if not lines:
        return None
    whole, places = [], []
    for name_of, (start, end) in lines:
        line = f"{name_of}: {text[start:end]}\n"
        whole.append(line)
        at = np.full(len(line), -1, np.int64)
        at[len(name_of) + 2 : -1] = np.arange(start, end)
        places.append(at)
    return "".join(whole), np.concatenate(places)


def _telling(names: Sequence[str]) -> list[int]:
    """Which columns to write out."""
    wanted = [literal.text for literal in COLUMN_NAMES]
    return [at for at, name in enumerate(names) if any(w in name.lower() for w in wanted)]


def _by_column(names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[tuple[str, Cell]]:
    return [
        (names[at], row[at])
        for at in _telling(names)
        for row in rows
        if LEAST_CELL <= row[at][1] - row[at][0] <= LONGEST_CELL
    ]


def _cells(line: str, start: int, delimiter: str) -> list[Cell]:
    """The values of a row without quotes and blanks; quotes protect the delimiter."""
    pieces = line.strip("| \r") if delimiter == "|" else line.rstrip("\r")
    at = start + (line.index(pieces) if pieces else 0)
    found: list[Cell] = []
    quoted = '"' in pieces
    parts = re.findall(rf'"[^"]*"|[^{re.escape(delimiter)}"]+|{re.escape(delimiter)}|"', pieces)
    begin = at
    for part in [*(parts if quoted else re.split(f"({re.escape(delimiter)})", pieces)), delimiter]:
        if part == delimiter:
            found.append(_trimmed(line, start, begin, at))
            begin = at + 1
        at += len(part)
    return found


def _trimmed(line: str, offset: int, start: int, end: int) -> Cell:
    value = line[start - offset : end - offset]
    left = len(value) - len(value.lstrip(" \"'`*"))
    right = len(value.rstrip(" \"'`*"))
    return start + left, start + max(left, right)


def _table(text: str, name: int) -> tuple[list[tuple[str, Cell]], int] | None:
    """The table whose first line the name stands in, and where it ends."""
    start = text.rfind("\n", max(0, name - LONGEST_HEADER), name) + 1
    end = text.find("\n", name, name + LONGEST_HEADER)
    if end < 0 or name - start >= LONGEST_HEADER:
        return None
    header = text[start:end]
    delimiter = max(_DELIMITERS, key=header.count)
    if delimiter not in header or _TELLS_NOTHING.search(header):
        return None
    names = [text[a:b] for a, b in _cells(header, start, delimiter)]
    if sum(map(bool, names)) < 2 or max(map(len, names)) > LONGEST_NAME or not _telling(names):
        return None
    rows: list[list[Cell]] = []
    at = end + 1
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop]
        if not _RULE.fullmatch(line):
            row = _cells(line, at, delimiter) if delimiter in line else []
            if len(row) != len(names):
                break
            rows.append(row)
        at = stop + 1
    return (_by_column(names, rows), at) if rows else None


def _insert(text: str, name: int) -> tuple[list[tuple[str, Cell]], int] | None:
    """The rows of an INSERT statement whose list of columns the name stands in."""
    start = text.rfind("(", max(0, name - LONGEST_HEADER), name) + 1
    end = text.find(")", name, name + LONGEST_HEADER)
    values = _VALUES.match(text, end + 1) if start and end > 0 else None
    if not values:
        return None
    names = [part.strip(' \t\r\n`"[]') for part in text[start:end].split(",")]
    rows: list[list[Cell]] = []
    at = values.end()
    while text[at : at + 1] == "(":
        row: list[Cell] = []
        at += 1
        while field := _FIELD.match(text, at):
            row.append(field.span(1) if field[1] is not None else field.span(2))
            at = field.end()
            if field[3] == ")":
                break
        if len(row) != len(names):
            break
        rows.append(row)
        between = re.compile(r"\s{0,8},\s{0,8}").match(text, at)
        at = between.end() if between else at
    return (_by_column(names, rows), at) if rows else None
