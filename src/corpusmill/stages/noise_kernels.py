"""Kernels of noise: code points in, code points out, each in one pass.

They work on *free* letters: not protected, and a grapheme cluster of their own, so that no cluster
is broken, joined or made. All return a new array; chance comes from a counter (SplitMix64, Steele
et al. 2014), so that the result depends on the text and the first state alone.
"""

import numba
import numpy as np
import numpy.typing as npt

from corpusmill.stages.noise_characters import (
    BREAK,
    CAPITAL,
    CASED_BELOW,
    DOT,
    JOINER,
    LETTER,
    MARK,
    PROTECTING,
    SPACE,
    Classes,
)
from corpusmill.stages.noise_tables import RULES_BELOW, Codes, Rules

Mask = npt.NDArray[np.bool_]
State = npt.NDArray[np.uint64]
"""Of the generator; shape [1]."""

CODE_LINE = 200
"""Characters of the longest line that is taken for code by its signs: a paragraph is longer."""
TAG = 1000
"""Characters of the longest tag."""


@numba.njit(cache=True)
def draw(state: State) -> np.uint64:
    """The next 64 bits."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.uint64 = z ^ (z >> np.uint64(31))
    return mixed


@numba.njit(cache=True)
def happens(state: State, rate: float) -> bool:
    """Whether an event of this probability happens."""
    return bool((draw(state) >> np.uint64(11)) * (1.0 / (1 << 53)) < rate)


@numba.njit(cache=True)
def below(state: State, number: int) -> int:
    """One of 0 to number - 1."""
    return int((draw(state) >> np.uint64(33)) % np.uint64(number))


# ---- what is left alone ----


@numba.njit(cache=True)
def is_letter(kind: int) -> bool:
    """Whether a class is that of letters."""
    return kind in (LETTER, CAPITAL)


@numba.njit(cache=True)
def protected(codes: Codes, kinds: Classes) -> Mask:
    """Which characters are left alone: whole words with digits or signs of markup, addresses and
    code, tags, code between backticks or fences, and lines that look like code; shape [codes]."""
    n = len(codes)
    mask = np.zeros(n, np.bool_)
    start = 0
    fenced = False
    while start < n:
        stop = start
        while stop < n and codes[stop] != 10:
            stop += 1
        fence = _is_fence(codes, start, stop)
        if fenced or fence or _looks_like_code(codes, start, stop):
            mask[start:stop] = True
        else:
            _protect_words(codes, kinds, start, stop, mask)
        fenced ^= fence
        start = stop + 1
    _protect_tags(codes, mask)
    return mask


@numba.njit(cache=True)
def _is_fence(codes: Codes, start: int, stop: int) -> bool:
    while start < stop and codes[start] == 32:
        start += 1
    if stop - start < 3 or (codes[start] != 96 and codes[start] != 126):
        return False
    return bool(codes[start + 1] == codes[start] and codes[start + 2] == codes[start])


@numba.njit(cache=True)
def _looks_like_code(codes: Codes, start: int, stop: int) -> bool:
    """A short line with an equals sign or braces, or that ends as statements do."""
    while stop > start and codes[stop - 1] in (9, 13, 32):
        stop -= 1
    if not 0 < stop - start <= CODE_LINE:
        return False
    for i in range(start, stop):
        if codes[i] in (61, 123, 125):  # = { }
            return True
    last = codes[stop - 1]
    return last == 59 or (last == 58 and stop - start > 1 and codes[stop - 2] == 41)  # ; and ):


@numba.njit(cache=True)
def _protect_words(codes: Codes, kinds: Classes, start: int, stop: int, mask: Mask) -> None:
    word = start
    while word < stop:
        if kinds[word] in (SPACE, BREAK):
            word += 1
            continue
        end = word
        leave = False
        while end < stop and kinds[end] != SPACE and kinds[end] != BREAK:
            kind = kinds[end]
            after_letter = end > word and is_letter(kinds[end - 1])
            if kind == PROTECTING:
                leave = True
            elif kind == DOT and end + 1 < stop:  # a name with a dot, a call, a:: in front
                twice = codes[end] == 58 and codes[end + 1] == 58
                call = codes[end] == 40 and codes[end + 1] == 41
                leave |= twice or (after_letter and (call or is_letter(kinds[end + 1])))
            elif kind == CAPITAL:  # a name in camel case
                leave |= after_letter and kinds[end - 1] == LETTER
            end += 1
        if leave:
            mask[word:end] = True
        word = end
    tick = -1
    for i in range(start, stop):
        if codes[i] == 96:
            if tick >= 0:
                mask[tick : i + 1] = True
                tick = -1
            else:
                tick = i


@numba.njit(cache=True)
def _protect_tags(codes: Codes, mask: Mask) -> None:
    opened = -1
    for i in range(len(codes)):
        if codes[i] == 60:
            opened = i
        elif codes[i] == 62 and opened >= 0:
            if i - opened <= TAG:
                mask[opened : i + 1] = True
            opened = -1


@numba.njit(cache=True)
def is_free(i: int, kinds: Classes, mask: Mask) -> bool:
    """Whether the letter at i may be changed by itself."""
    if not is_letter(kinds[i]) or mask[i]:
        return False
    if i and kinds[i - 1] == JOINER:
        return False
    return i + 1 == len(kinds) or (kinds[i + 1] != MARK and kinds[i + 1] != JOINER)


# ---- characters ----


@numba.njit(cache=True)
def _rule(i: int, codes: Codes, kinds: Classes, mask: Mask, rules: Rules, state: State) -> int:
    """One of the rules that fit at i, -1 where none does."""
    if codes[i] >= RULES_BELOW or not is_free(i, kinds, mask):
        return -1
    first, last = rules.starts[codes[i]], rules.starts[codes[i] + 1]
    if first == last:
        return -1
    has_next = i + 1 < len(codes) and is_free(i + 1, kinds, mask)
    fit = 0
    chosen = -1
    for rule in range(first, last):
        second = rules.second[rule]
        if second == 0 or (has_next and codes[i + 1] == second):
            fit += 1
            if below(state, fit) == 0:
                chosen = rule
    return chosen


@numba.njit(cache=True)
def replace(
    codes: Codes, kinds: Classes, mask: Mask, rules: Rules, rate: float, state: State
) -> Codes:
    """Of the characters that a rule begins with, `rate` are replaced."""
    out = np.empty(2 * len(codes), np.uint32)
    size = 0
    i = 0
    while i < len(codes):
        known = codes[i] < RULES_BELOW and rules.starts[codes[i]] < rules.starts[codes[i] + 1]
        rule = -1
        if known and happens(state, rate):
            rule = _rule(i, codes, kinds, mask, rules, state)
        if rule < 0:
            out[size] = codes[i]
            size += 1
            i += 1
            continue
        for place in range(2):
            if rules.out[rule, place]:
                out[size] = rules.out[rule, place]
                size += 1
        i += 2 if rules.second[rule] else 1
    return out[:size]


@numba.njit(cache=True)
def mistype(
    codes: Codes, kinds: Classes, mask: Mask, rules: Rules, rate: float, state: State
) -> Codes:
    """Of the letters, `rate` are mistyped: a key beside instead or as well, twice, not at all, or
    before the letter before."""
    out = np.empty(2 * len(codes), np.uint32)
    size = 0
    i = 0
    while i < len(codes):
        out[size] = codes[i]
        size += 1
        if not is_letter(kinds[i]) or not happens(state, rate) or not is_free(i, kinds, mask):
            i += 1
            continue
        kind = below(state, 5)
        rule = _rule(i, codes, kinds, mask, rules, state) if kind < 2 else -1
        if kind == 0 and rule >= 0:
            out[size - 1] = rules.out[rule, 0]
        elif kind == 1 and rule >= 0:
            out[size] = rules.out[rule, 0]
            size += 1
        elif kind == 2 and i and is_free(i - 1, kinds, mask):
            size -= 1
        elif kind == 3 and i + 1 < len(codes) and is_free(i + 1, kinds, mask):
            out[size - 1] = codes[i + 1]
            out[size] = codes[i]
            size += 1
            i += 1
        elif kind == 4:
            out[size] = codes[i]
            size += 1
        i += 1
    return out[:size]


# ---- words ----


@numba.njit(cache=True)
def _word_end(i: int, kinds: Classes, mask: Mask) -> int:
    """The end of the letters that begin at i; i where none do."""
    if not is_letter(kinds[i]) or mask[i]:
        return i
    while i < len(kinds) and not mask[i] and kinds[i] in (LETTER, CAPITAL, MARK, JOINER):
        i += 1
    return i


@numba.njit(cache=True)
def _flip(codes: Codes, i: int, cases: Codes) -> None:
    if codes[i] < CASED_BELOW:
        codes[i] = cases[codes[i]]


@numba.njit(cache=True)
def change_case(
    codes: Codes, kinds: Classes, mask: Mask, cases: Codes, rate: float, state: State
) -> Codes:
    """Of the words, `rate` change case: the first letter, all, one, or all alike."""
    out = codes.copy()
    i = 0
    while i < len(codes):
        end = _word_end(i, kinds, mask)
        if end == i:
            i += 1
            continue
        if happens(state, rate):
            kind = below(state, 4)
            if kind == 0:
                _flip(out, i, cases)
            elif kind == 1:
                _flip(out, i + below(state, end - i), cases)
            else:
                to_lower = kind == 2 and kinds[end - 1] == CAPITAL
                for place in range(i, end):
                    if kind == 3 or (kinds[place] == CAPITAL) == to_lower:
                        _flip(out, place, cases)
        i = end
    return out


@numba.njit(cache=True)
def change_spacing(codes: Codes, kinds: Classes, mask: Mask, rate: float, state: State) -> Codes:
    """Of the spaces between two words, `rate` are left out, doubled, or come a letter too late."""
    out = np.empty(2 * len(codes), np.uint32)
    size = 0
    i = 0
    while i < len(codes):
        gap = kinds[i] == SPACE and not mask[i] and 0 < i < len(codes) - 1
        gap = gap and not mask[i - 1] and (is_letter(kinds[i - 1]) or kinds[i - 1] == MARK)
        if not gap or not is_letter(kinds[i + 1]) or mask[i + 1] or not happens(state, rate):
            out[size] = codes[i]
            size += 1
            i += 1
            continue
        kind = below(state, 3)
        late = i + 2 < len(codes) and is_free(i + 1, kinds, mask) and is_free(i + 2, kinds, mask)
        if kind == 2 and late:
            out[size], out[size + 1] = codes[i + 1], codes[i]
            size += 2
            i += 2
            continue
        if kind > 0:
            out[size] = out[size + 1] = codes[i]
            size += 2
        i += 1
    return out[:size]


@numba.njit(cache=True)
def swap_words(codes: Codes, kinds: Classes, mask: Mask, rate: float, state: State) -> Codes:
    """Of the words that have another one behind them, `rate` change places with it.

    A word ends at white space here: one with a punctuation mark stays where it is.
    """
    out = codes.copy()
    i = 0
    while i < len(codes):
        if i and kinds[i - 1] not in (SPACE, BREAK):
            i += 1
            continue
        first = _whole_word(i, kinds, mask)
        if first == i or first >= len(codes) - 1 or kinds[first] != SPACE or mask[first]:
            i += 1
            continue
        second = _whole_word(first + 1, kinds, mask)
        if second == first + 1 or not happens(state, rate):
            i = first + 1
            continue
        length = second - first - 1
        out[i : i + length] = codes[first + 1 : second]
        out[i + length] = codes[first]
        out[i + length + 1 : second] = codes[i:first]
        i = second
    return out


@numba.njit(cache=True)
def _whole_word(i: int, kinds: Classes, mask: Mask) -> int:
    """The end of the word at i, where it is all letters up to white space; else i."""
    end = _word_end(i, kinds, mask)
    return end if end == len(kinds) or kinds[end] in (SPACE, BREAK) else i
