"""How alike are two texts in their characters? chrF, the F-score of character n-grams.

Popović 2015 ("chrF: character n-gram F-score for automatic MT evaluation"), as sacrebleu computes
it for one sentence: n-grams of 1 to 6 characters, white space left out, precision and recall
averaged over the lengths that both texts have, recall counted twice as much (beta = 2).
"""

import numpy as np
import numpy.typing as npt

ORDER = 6
BETA = 2.0


def chrf(result: str, original: str) -> float:
    """From 0 (no character in common) to 100 (the same); 0 where one of them has no character.

    Each n-gram gets the rank of its first n - 1 characters and its last one, so no hash can
    collide; linear but for the sorting.
    """
    first, second = _codes(result), _codes(original)
    codes = np.concatenate([first, second])
    if not len(first) or not len(second):
        return 0.0
    # a number for each different character, so that pairs of numbers stay small
    letters = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    base = int(letters.max()) + 1
    grams = letters
    precision = recall = 0.0
    orders = 0
    for order in range(1, ORDER + 1):
        if order > 1:
            pairs = grams[:-1] * base + letters[order - 1 :]
            grams = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
        ours, theirs = len(first) - order + 1, len(second) - order + 1
        if ours <= 0 or theirs <= 0:
            break
        # those between `ours` and the start of the second text span both, and are none
        kinds = int(grams.max()) + 1
        counts = np.bincount(grams[:ours], minlength=kinds)
        others = np.bincount(grams[len(first) :], minlength=kinds)
        matches = int(np.minimum(counts, others).sum())
        precision += matches / ours
        recall += matches / theirs
        orders += 1
    precision, recall = precision / orders, recall / orders
    if precision + recall == 0:
        return 0.0
    weight = BETA * BETA
    return 100 * (1 + weight) * precision * recall / (weight * precision + recall)


def _codes(text: str) -> npt.NDArray[np.uint32]:
    """The code points without white space."""
    return np.frombuffer("".join(text.split()).encode("utf-32-le", "surrogatepass"), np.uint32)
