"""Where in a text could personal data be? One pass over the bytes of a batch of texts.

The kernel reads every byte once and reports three sorts of places, which are rare in prose:

- **runs** of digits with what people put between them (NUMBER), tokens of letters and digits (CODE)
  and hexadecimal groups (HEX), by a few rules on byte classes;
- **literals**: words and signs such as `@` or `passport`, by one Aho-Corasick automaton (Aho and
  Corasick 1975) whatever their number, letters of ASCII in either case.

Recognizers look at nothing else, so their cost follows the candidates and not the text.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

NUMBER, CODE, HEX = 0, 1, 2
"""Kinds of candidates; literals follow with FIRST_LITERAL + their place in the list."""
FIRST_LITERAL = 3

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

LEFT, RIGHT, DIGIT_AFTER, DIGIT_BEFORE, TIGHT = 1, 2, 4, 8, 16
REACH = 64
"""Bytes around a literal in which a digit must stand, for literals that ask for one."""


@dataclass(frozen=True)
class Literal:
    """A word or sign that makes a place a candidate."""

    text: str
    """Letters of ASCII match in either case; others in lower, upper and title case and
    with a first capital."""
    left: bool = True
    """No letter or digit of ASCII may stand before it, unless it begins with a sign or is of a
    script without spaces between words: `2001年出生`."""
    right: bool = False
    """No letter or digit of ASCII may stand after it."""
    digit_after: bool = False
    """A digit of ASCII must stand in the REACH bytes after it ..."""
    digit_before: bool = False
    """... or in the REACH bytes before it. With both, either will do."""
    tight: bool = False
    """No space may stand on either side."""

    def spellings(self) -> set[bytes]:
        """The byte strings to look for, ASCII letters folded."""
        forms = {self.text.lower(), self.text.upper(), self.text.title(), self.text.capitalize()}
        return {_fold(form.encode()) for form in forms}

    def flags(self) -> int:
        """The conditions as bits for the kernel."""
        return (
            LEFT * (self.left and _ends_words(self.text[0]))
            | RIGHT * (self.right and _ends_words(self.text[-1]))
            | DIGIT_AFTER * self.digit_after
            | DIGIT_BEFORE * self.digit_before
            | TIGHT * self.tight
        )


def _ends_words(sign: str) -> bool:
    return sign.isalnum() and sign < "\u0e00"


def literals(words: str, **conditions: bool) -> tuple[Literal, ...]:
    """Literals of the same conditions, separated by `|`."""
    return tuple(Literal(word, **conditions) for word in words.split("|"))


def _fold(spelling: bytes) -> bytes:
    return spelling.lower()  # of bytes: ASCII only


@dataclass(frozen=True)
class Automaton:
    """Aho-Corasick over byte classes. Arrays only: the kernel's arguments."""

    classes: Bytes
    """Byte to class, shape [256]; 0 is every byte that no literal holds."""
    step: npt.NDArray[np.int32]
    """What follows a state and a class, shape [states x width]: the offset of the next state's row,
    plus 1 if a literal ends there. The width is a power of two, so that the bit is free."""
    width: int
    """Classes, rounded up."""
    first: npt.NDArray[np.int32]
    """State to its first spelling, or -1; shape [states]."""
    following: npt.NDArray[np.int32]
    """Spelling to the next one that ends in the same place, or -1; shape [spellings]."""
    literal: npt.NDArray[np.int32]
    """Spelling to the literal's number."""
    length: npt.NDArray[np.int32]
    """Bytes of the spelling."""
    flags: npt.NDArray[np.int32]
    """Conditions of the spelling."""


def automaton(wanted: Sequence[Literal]) -> Automaton:
    """Compile literals. Time is linear in their letters times the classes."""
    spellings = [
        (spelling, number, literal.flags())
        for number, literal in enumerate(wanted)
        for spelling in sorted(literal.spellings())
    ]
    used = sorted({byte for spelling, _, _ in spellings for byte in spelling})
    classes = np.zeros(256, np.uint8)
    classes[used] = np.arange(1, len(used) + 1)
    for upper in range(ord("A"), ord("Z") + 1):
        classes[upper] = classes[upper + 32]
    trie: list[dict[int, int]] = [{}]
    ends: list[list[int]] = [[]]
    for number, (spelling, _, _) in enumerate(spellings):
        state = 0
        for byte in spelling:
            label = int(classes[byte])
            if label not in trie[state]:
                trie[state][label] = len(trie)
                trie.append({})
                ends.append([])
            state = trie[state][label]
        ends[state].append(number)
    width = 1 << max(1, len(used).bit_length())
    step, fallback = _transitions(trie, width)
    first = np.full(len(trie), -1, np.int32)
    # Two literals may share a spelling, and a spelling has one successor: those of the state
    # itself are chained, the last one goes on with the state that it falls back to.
    following = np.full(len(spellings), -1, np.int32)
    for state in _breadth_first(trie):
        chain = ends[state]
        inherited = first[fallback[state]] if state else -1
        for one, other in itertools.pairwise(chain):
            following[one] = other
        if chain:
            following[chain[-1]] = inherited
        first[state] = chain[0] if chain else inherited
    return Automaton(
        classes=classes,
        step=(step * np.int32(width) + (first[step] >= 0)).ravel().astype(np.int32),
        width=width,
        first=first,
        following=following,
        literal=np.array([number for _, number, _ in spellings], np.int32),
        length=np.array([len(spelling) for spelling, _, _ in spellings], np.int32),
        flags=np.array([flags for _, _, flags in spellings], np.int32),
    )


def _breadth_first(trie: Sequence[dict[int, int]]) -> Iterable[int]:
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        waiting.extend(trie[state].values())
        yield state


def _transitions(
    trie: Sequence[dict[int, int]], classes: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """All steps, and the state of the longest proper suffix for each state."""
    step = np.zeros((len(trie), classes), np.int32)
    fallback = np.zeros(len(trie), np.int32)
    for state in _breadth_first(trie):
        if state:
            step[state] = step[fallback[state]]
        for label, child in trie[state].items():
            fallback[child] = step[state, label] if state else 0
            step[state, label] = child
    return step, fallback


def find_candidates(
    data: Bytes, bounds: Integers, compiled: Automaton
) -> tuple[Integers, Integers]:
    """Candidates of all texts; `bounds` are the n + 1 offsets of the texts in `data`.

    Returns rows (kind, first byte, byte after the last) in the order of the text, shape
    [candidates, 3], and how many each text has, shape [n].
    """
    literals_found, literal_counts = _all_rows(
        data,
        bounds,
        _scan_literals,
        compiled.classes,
        compiled.step,
        compiled.width,
        compiled.first,
        compiled.following,
        compiled.literal,
        compiled.length,
        compiled.flags,
    )
    shapes_found, shape_counts = _all_rows(data, bounds, _scan_shapes)
    texts = np.arange(len(bounds) - 1)
    owner = np.concatenate([np.repeat(texts, literal_counts), np.repeat(texts, shape_counts)])
    rows = np.concatenate([literals_found, shapes_found])
    order = np.lexsort((rows[:, 2], rows[:, 1], owner))
    return rows[order], literal_counts + shape_counts


def _all_rows(
    data: Bytes, bounds: Integers, scan: Callable[..., int], *arguments: object
) -> tuple[Integers, Integers]:
    """What a kernel finds: a second time, should the room not have sufficed."""
    room = 1024 + len(data) // 64
    while True:
        rows = np.empty((room, 3), np.int64)
        counts = np.zeros(len(bounds) - 1, np.int64)
        needed = scan(data, bounds, *arguments, rows, counts)
        if needed <= room:
            return rows[:needed], counts
        room = needed


OTHER, DIGIT, LETTER, SIGN, LEAD = 0, 1, 2, 3, 4
"""Kinds of bytes: SIGN joins hexadecimal groups, LEAD may begin a digit of another script."""


def _byte_kinds() -> Bytes:
    kinds = np.zeros(256, np.uint8)
    kinds[ord("0") : ord("9") + 1] = DIGIT
    for first, last in ("AZ", "az"):
        kinds[ord(first) : ord(last) + 1] = LETTER
    kinds[np.frombuffer(b":-.", np.uint8)] = SIGN
    kinds[[0xD9, 0xDB, 0xE0, 0xEF]] = LEAD
    return kinds


_KINDS = _byte_kinds()
_SEPARATES = np.zeros(256, np.bool_)
_SEPARATES[np.frombuffer(b"-./ ()[]~+", np.uint8)] = True


@njit(cache=True, inline="always")
def _is_hex(byte: int) -> bool:
    return 48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102


@njit(cache=True)
def _digit(data: Bytes, at: int, end: int) -> int:
    """Bytes of the decimal digit there (ASCII, Arabic, Persian, Devanagari, full width), or 0."""
    byte = data[at]
    if 48 <= byte <= 57:
        return 1
    if byte < 0xD9:
        return 0
    if at + 1 < end and byte == 0xD9 and 0xA0 <= data[at + 1] <= 0xA9:
        return 2
    if at + 1 < end and byte == 0xDB and 0xB0 <= data[at + 1] <= 0xB9:
        return 2
    if at + 2 < end and byte == 0xE0 and data[at + 1] == 0xA5 and 0xA6 <= data[at + 2] <= 0xAF:
        return 3
    if at + 2 < end and byte == 0xEF and data[at + 1] == 0xBC and 0x90 <= data[at + 2] <= 0x99:
        return 3
    return 0


@njit(cache=True)
def _separator(data: Bytes, at: int, end: int) -> int:
    """Bytes of the sign there that may stand between the digits of a number, else 0.

    Those of libphonenumber (VALID_PUNCTUATION) without x, and the spaces of U+2000 to U+200F.
    """
    byte = data[at]
    if byte < 0x80:
        return 1 if _SEPARATES[byte] else 0
    if byte == 0xC2:
        return 2 if at + 1 < end and (data[at + 1] == 0xA0 or data[at + 1] == 0xAD) else 0
    if at + 2 >= end:
        return 0
    second, third = data[at + 1], data[at + 2]
    if byte == 0xE2:
        if second == 0x80 and (third <= 0x95 or third == 0xAF):
            return 3
        if second == 0x88 and (third == 0x92 or third == 0xBC):
            return 3
        return 3 if second == 0x81 and (third == 0x93 or third == 0xA0) else 0
    if byte == 0xE3:
        dash = second == 0x83 and third == 0xBC
        return 3 if dash or (second == 0x80 and third == 0x80) else 0
    if byte == 0xEF and second == 0xBC:
        return 3 if 0x8D <= third <= 0x8F or third == 0x88 or third == 0x89 else 0
    return 0


MOST_SEPARATORS = 4
"""Between two digits of one number, as in "+41 (0) - 62"."""
LEAST_DIGITS = 7
"""Local phone numbers of North America; shorter numbers identify nobody without a word."""
LEAST_DIGITS_IN_GROUPS = 6
"""In three groups or more: AB 12 34 56 C."""


@njit(cache=True)
def _number_run(data: Bytes, at: int, end: int) -> tuple[int, bool]:
    """End of the run of digits that begins there, and whether it may be a value."""
    digits, groups, dotted = 0, 1, 0
    last = at
    while True:
        while at < end:
            width = _digit(data, at, end)
            if width == 0:
                break
            digits += 1
            at += width
        last = at
        separators = 0
        single_dot = False
        while at < end and separators <= MOST_SEPARATORS:
            width = _separator(data, at, end)
            if width == 0:
                break
            single_dot = separators == 0 and data[at] == 46
            separators += 1
            at += width
        if separators == 0 and digits >= LEAST_DIGITS and at + 1 < end and (data[at] | 32) == 120:
            at += 1  # the x before an extension
            separators = 1
        if at >= end or separators == 0 or separators > MOST_SEPARATORS:
            break
        if _digit(data, at, end) == 0:
            break
        groups += 1
        dotted += single_dot
    wanted = (
        digits >= LEAST_DIGITS or (groups >= 3 and digits >= LEAST_DIGITS_IN_GROUPS) or dotted >= 3
    )
    return last, wanted


LEAST_CODE, LEAST_CODE_DIGITS, LONG_CODE = 8, 4, 16
LEAST_IBAN = 15


@njit(cache=True)
def _hex_run(data: Bytes, at: int, begin: int, end: int) -> tuple[int, int]:
    """The hexadecimal groups around the sign at `at`, or an empty stretch.

    A MAC address (six groups of two joined by `-` or `:`, or three groups of four joined by dots),
    or an IPv6 address: of eight groups, or one that begins with a group of four.
    """
    sign = data[at]
    start = at
    while start > begin and at - start < 5 and _is_hex(data[start - 1]):
        start -= 1
    width = at - start
    if width == 0 or width > 4 or (width != 2 and width != 4 and sign != 58):
        return at, at
    if start > begin and (_KINDS[data[start - 1]] in (DIGIT, LETTER) or data[start - 1] == sign):
        return at, at
    stop, signs = at, 0
    while stop < end and stop - start < 64 and (data[stop] == sign or _is_hex(data[stop])):
        signs += data[stop] == sign
        stop += 1
    if sign == 46 and data[stop - 1] == 46:
        stop -= 1  # the end of a sentence
        signs -= 1
    if sign == 58 and signs >= 7:
        wanted = True
    elif width == 2:
        wanted = sign != 46 and signs == 5 and stop - start == 17
    elif sign == 46:
        wanted = signs == 2 and stop - start == 14
    else:
        wanted = sign == 58 and width == 4 and signs >= 2 and stop - start >= 7
    return (start, stop) if wanted else (at, at)


@njit(cache=True)
def _digit_between(data: Bytes, start: int, end: int) -> bool:
    for at in range(start, end):  # noqa: SIM110  # Numba knows no generators
        if 48 <= data[at] <= 57:
            return True
    return False


@njit(cache=True)
def _conditions_hold(data: Bytes, flags: int, start: int, stop: int, begin: int, end: int) -> bool:
    if flags & LEFT and start > begin and _KINDS[data[start - 1]] in (DIGIT, LETTER):
        return False
    if flags & RIGHT and stop < end and _KINDS[data[stop]] in (DIGIT, LETTER):
        return False
    if flags & TIGHT and (
        start == begin or stop == end or data[start - 1] <= 32 or data[stop] <= 32
    ):
        return False
    if flags & (DIGIT_AFTER | DIGIT_BEFORE) == 0:
        return True
    if flags & DIGIT_AFTER and _digit_between(data, stop, min(end, stop + REACH)):
        return True
    return bool(flags & DIGIT_BEFORE) and _digit_between(data, max(begin, start - REACH), start)


@njit(cache=True)
def _put(rows: Integers, found: int, kind: int, start: int, stop: int) -> int:
    """Write a row if there is room; returns how many there are with it."""
    if found < len(rows):
        rows[found, 0] = kind
        rows[found, 1] = start
        rows[found, 2] = stop
    return found + 1


@njit(cache=True, nogil=True)
def _scan_literals(
    data: Bytes,
    bounds: Integers,
    classes: Bytes,
    step: npt.NDArray[np.int32],
    width: int,
    first: npt.NDArray[np.int32],
    following: npt.NDArray[np.int32],
    literal: npt.NDArray[np.int32],
    length: npt.NDArray[np.int32],
    flags: npt.NDArray[np.int32],
    rows: Integers,
    counts: Integers,
) -> int:
    """Fill `rows` and `counts`; returns how many rows there are, written or not."""
    found = 0
    for text in range(len(bounds) - 1):
        begin, end = bounds[text], bounds[text + 1]
        before = found
        state = np.int32(0)
        for at in range(begin, end):
            state = step[(state & ~1) + classes[data[at]]]
            if state & 1 == 0:
                continue
            spelling = first[state // width]
            while spelling >= 0:
                start = at + 1 - length[spelling]
                if _conditions_hold(data, flags[spelling], start, at + 1, begin, end):
                    found = _put(rows, found, FIRST_LITERAL + literal[spelling], start, at + 1)
                spelling = following[spelling]
        counts[text] = found - before
    return found


@njit(cache=True)
def _code(data: Bytes, at: int, begin: int, end: int) -> tuple[int, int, bool]:
    """The token of letters and digits around a first digit, and whether it may be a code.

    Long enough with enough digits, or two letters and two digits at its start (an IBAN).
    """
    start = at
    while start > begin and _KINDS[data[start - 1]] == LETTER:
        start -= 1
    stop, digits = at, 0
    while stop < end and (_KINDS[data[stop]] == LETTER or _KINDS[data[stop]] == DIGIT):
        digits += _KINDS[data[stop]] == DIGIT
        stop += 1
    size = stop - start
    wanted = digits < size and (
        (size >= LEAST_CODE and digits >= LEAST_CODE_DIGITS)
        or size >= LONG_CODE
        or (at - start == 2 and digits >= 2 and (size == 4 or size >= LEAST_IBAN))
        or (  # 80A01 of an Italian fiscal code in groups
            at == start
            and size == 5
            and digits == 4
            and _KINDS[data[start + 2]] == LETTER
            and start > begin
            and data[start - 1] == 32
        )
    )
    return start, stop, wanted


@njit(cache=True, nogil=True)
def _scan_shapes(data: Bytes, bounds: Integers, rows: Integers, counts: Integers) -> int:
    """The same for numbers, codes and hexadecimal groups."""
    found = 0
    for text in range(len(bounds) - 1):
        begin, end = bounds[text], bounds[text + 1]
        before = found
        number_end = token_end = hex_end = begin
        for at in range(begin, end):
            kind = _KINDS[data[at]]
            if kind < SIGN and kind != DIGIT:
                continue
            sort, start, stop, wanted = HEX, at, at, False
            if kind == SIGN:
                if at >= hex_end and at > begin and _is_hex(data[at - 1]):
                    start, stop = _hex_run(data, at, begin, end)
                    wanted = stop > start
                    hex_end = max(hex_end, stop)
            else:
                if kind == DIGIT and at >= token_end:
                    start, stop, wanted = _code(data, at, token_end, end)
                    sort, token_end = CODE, stop
                if wanted:
                    found = _put(rows, found, sort, start, stop)
                    wanted = False
                if (
                    at >= number_end
                    and _digit(data, at, end)
                    and (at == begin or _KINDS[data[at - 1]] != LETTER)
                ):
                    sort, start = NUMBER, at
                    stop, wanted = _number_run(data, at, end)
                    number_end = stop
                    # AB 123456 C: six digits count after a capital letter.
                    wanted = wanted or (
                        stop - at == LEAST_DIGITS_IN_GROUPS
                        and at > begin + 1
                        and data[at - 1] == 32
                        and 65 <= data[at - 2] <= 90
                    )
            if wanted:
                found = _put(rows, found, sort, start, stop)
        counts[text] = found - before
    return found
