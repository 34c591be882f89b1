"""Noise: texts as hasty typists, scanners and hostile users write them.

A pure function of text, key and seed. Addresses, numbers, placeholders, markup and code stay as
they are; no character is torn from its accents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import xxhash
from pydantic import BaseModel, ConfigDict, Field, model_validator

from corpusmill.stages import noise_kernels as kernels
from corpusmill.stages.noise_characters import classes, other_case
from corpusmill.stages.noise_tables import Codes, homoglyph_rules, keyboard_rules, ocr_rules

OPERATIONS = ("word_order", "case", "spacing", "typing", "ocr", "homoglyphs")
"""In the order in which they are done: what is written first, and only then seen or scanned."""

Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Noise(BaseModel):
    """Kinds of error with their rates; 0 turns one off."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    typing: Rate = 0.02
    """Share of the letters that are mistyped: a key beside it instead or as well, twice, not at
    all, or in the wrong order. People leave 1 to 2 in 100 uncorrected (Dhakal et al. 2018)."""
    keyboard: Literal["qwerty", "qwertz", "azerty"] = "qwerty"
    """Says which keys lie side by side."""
    ocr: Rate = 0.05
    """Share of the characters with similar shapes that are misread (`rn` as `m`, `l` as `1`);
    that is about half of a Latin text. Of scanned newspapers 2 to 29 in 100 characters are wrong
    (Holley 2009)."""
    homoglyphs: Rate = 0.05
    """Share of the letters with a twin in another script that are written with it."""
    case: Rate = 0.05
    """Share of the words whose case changes: of the first letter, of any, or of all."""
    spacing: Rate = 0.05
    """Share of the spaces between words that are missing, doubled, or come a letter too late."""
    word_order: Rate = 0.05
    """Share of the words that change places with the next one."""
    operations: int = Field(default=1, ge=1, le=len(OPERATIONS))
    """How many kinds of error a text has at once, of those with a rate; its key decides which."""

    @model_validator(mode="after")
    def _has_some(self) -> "Noise":
        if not self.rates():
            raise ValueError(f"every rate is 0: give one of {', '.join(OPERATIONS)}")
        return self

    def rates(self) -> dict[str, float]:
        """The rates that are not 0, in order."""
        return {name: rate for name in OPERATIONS if (rate := getattr(self, name)) > 0}


@dataclass(frozen=True)
class Noisy:
    """A text with noise."""

    text: str
    operations: tuple[str, ...]
    """Those that were tried; a text may have nothing for them to change."""


def add_noise(
    texts: Sequence[str], keys: Sequence[str], noise: Noise, seed: int = 0
) -> list[Noisy]:
    """Each text with noise; its key (an id) and the seed decide what happens, and to which letters.

    Some 25 MB in a CPU second, in time proportional to the length. Surrogates, which are no
    characters, become question marks.
    """
    return [_one(text, key, noise, seed) for text, key in zip(texts, keys, strict=True)]


def _one(text: str, key: str, noise: Noise, seed: int) -> Noisy:
    state = np.array([xxhash.xxh3_64_intdigest(f"noise\0{key}".encode(), seed=seed)], np.uint64)
    rates = noise.rates()
    names = list(rates)
    while len(names) > noise.operations:
        del names[int(kernels.below(state, len(names)))]
    # A copy: kernels are compiled for arrays that can be written to.
    codes: Codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).copy()
    for name in names:
        codes = _changed(name, codes, noise, rates[name], state)
    return Noisy(codes.tobytes().decode("utf-32-le"), tuple(names))


def _changed(name: str, codes: Codes, noise: Noise, rate: float, state: kernels.State) -> Codes:
    kinds = classes(codes)
    where = (codes, kinds, kernels.protected(codes, kinds))
    changed: Codes
    if name == "word_order":
        changed = kernels.swap_words(*where, rate, state)
    elif name == "case":
        changed = kernels.change_case(*where, other_case(), rate, state)
    elif name == "spacing":
        changed = kernels.change_spacing(*where, rate, state)
    elif name == "typing":
        changed = kernels.mistype(*where, keyboard_rules(noise.keyboard), rate, state)
    else:
        rules = ocr_rules() if name == "ocr" else homoglyph_rules()
        changed = kernels.replace(*where, rules, rate, state)
    return changed
