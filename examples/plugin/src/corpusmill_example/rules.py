"""A group of rules for `heuristics`: texts that shout."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.filters.rules import FloatArray
from corpusmill.stages.rule_groups import TextRule

LEAST_LETTERS = 20
"""Of fewer letters nothing can be said."""


def capitals(texts: pa.Array) -> FloatArray:
    """The share of capitals among the letters of any script; shape [documents]."""
    letters = pc.count_substring_regex(texts, r"\pL").to_numpy(zero_copy_only=False)
    upper = pc.count_substring_regex(texts, r"\p{Lu}").to_numpy(zero_copy_only=False)
    share: FloatArray = np.where(letters < LEAST_LETTERS, np.nan, upper / np.maximum(letters, 1))
    return share


SHOUTING = (TextRule(name="shouting_capitals", drops="above", threshold=0.5, measure=capitals),)
