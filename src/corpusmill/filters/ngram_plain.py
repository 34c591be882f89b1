"""The plain twin of the n-gram model: dictionaries and words instead of tables and keys.

It defines what the model computes. For tests: some thousand words per second.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from corpusmill.filters.ngram_model import VOCABULARY, discounts_from

BEGINNING = ""
"""The word before a text, as often as the order needs it."""

Gram = tuple[str, ...]


class PlainNgramModel:
    """Interpolated modified Kneser-Ney over words (Chen and Goodman 1998, equation 27)."""

    def __init__(self, texts: Iterable[Sequence[str]], order: int) -> None:
        self.order = order
        full: Counter[Gram] = Counter()
        for words in texts:
            padded = [BEGINNING] * (order - 1) + list(words)
            full.update(tuple(padded[i : i + order]) for i in range(len(words)))
        # counts[n]: n-grams of length n with their adjusted counts
        self.counts: list[Counter[Gram]] = [Counter() for _ in range(order)] + [full]
        for n in range(order - 1, 0, -1):
            self.counts[n].update(gram[1:] for gram in self.counts[n + 1])
        self.discounts = [[0.0] * 4]
        # by context: sum of its continuations' counts, and what the discounts take from it
        self.seen: Counter[Gram] = Counter()
        self.left: defaultdict[Gram, float] = defaultdict(float)
        for counts in self.counts[1:]:
            of_counts = Counter(counts.values())
            self.discounts.append(discounts_from([of_counts[k] for k in range(5)]))
            for gram, count in counts.items():
                self.seen[gram[:-1]] += count
                self.left[gram[:-1]] += self.discounts[-1][min(count, 3)]

    def probability(self, word: str, context: Gram) -> float:
        """Of the word after the context, which has order-1 words or fewer."""
        shorter = self.probability(word, context[1:]) if context else 1 / VOCABULARY
        seen = self.seen[context]
        if not seen:
            return shorter
        discount = self.discounts[len(context) + 1]
        count = self.counts[len(context) + 1][(*context, word)]
        return (count - discount[min(count, 3)] + self.left[context] * shorter) / seen

    def log_probability(self, words: Sequence[str]) -> float:
        """The mean over the words of a text."""
        if not words:
            return -math.log(VOCABULARY)
        padded = [BEGINNING] * (self.order - 1) + list(words)
        total = 0.0
        for i, word in enumerate(words):
            total += math.log(self.probability(word, tuple(padded[i : i + self.order - 1])))
        return total / len(words)
