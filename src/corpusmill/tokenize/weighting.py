"""Weights from exact token counts: rare classes more often, within bounds.

A class that has n of N tokens has the natural share n / N. Shares are counted with decimals of
fixed precision and fractions, and rounded once: the same on every machine and engine.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from fractions import Fraction

DIGITS = 9
"""Significant ones of a weight."""

_EXACT = Context(prec=40)


def tempered(tokens: Mapping[str, int], temperature: float) -> dict[str, Fraction]:
    """tokens ** (1 / temperature): 1 is as it is, and the higher, the more alike they are.

    Devlin et al. 2019 (multilingual BERT, exponent 0.7), Xue et al. 2021 (mT5, 0.3).
    """
    exponent = _EXACT.divide(Decimal(1), Decimal(repr(float(temperature))))
    return {name: Fraction(_EXACT.power(Decimal(n), exponent)) for name, n in tokens.items()}


def by_perplexity(
    shares: Mapping[str, Fraction], bits_per_byte: Mapping[str, float]
) -> dict[str, Fraction]:
    """Shares times the perplexity per byte of text, 2 ** bits_per_byte, of each class.

    One step of exponentiated gradient ascent with rate 1, as in DoReMi (Xie et al. 2023); without
    its second model every class is compared with the mean of all, which those have that were not
    measured.
    """
    known = {name: Decimal(repr(bits_per_byte[name])) for name in shares if name in bits_per_byte}
    whole = sum((shares[name] for name in known), Fraction(0))
    mean = sum((Fraction(bits) * shares[name] / whole for name, bits in known.items()), Fraction(0))
    middle = _EXACT.divide(Decimal(mean.numerator), Decimal(mean.denominator))
    return {
        name: share * Fraction(_EXACT.power(Decimal(2), known.get(name, middle)))
        for name, share in shares.items()
    }


def bounded_shares(
    wanted: Mapping[str, Fraction],
    least: Mapping[str, Fraction],
    most: Mapping[str, Fraction],
) -> dict[str, Fraction]:
    """Shares in the proportion of `wanted`, each moved to its bound where it would be beyond it.

    They sum to 1, or to the sum of `most` if that is less. All are positive, `least` may be 0 and
    sums to 1 at most; 0 < wanted.
    """
    total = min(Fraction(1), sum(most.values(), Fraction(0)))

    def at(scale: Fraction) -> dict[str, Fraction]:
        return {n: min(max(scale * w, least[n]), most[n]) for n, w in wanted.items()}

    # the sum grows with the scale, by straight lines between the scales at which a bound is met
    scales = sorted({bound[n] / w for n, w in wanted.items() for bound in (least, most)})
    low, high = 0, len(scales) - 1
    while low < high:
        middle = (low + high) // 2
        if sum(at(scales[middle]).values()) < total:
            low = middle + 1
        else:
            high = middle
    upper = scales[low]
    lower = scales[low - 1] if low else Fraction(0)
    before, after = (sum(at(scale).values(), Fraction(0)) for scale in (lower, upper))
    if after > before:
        upper = lower + (upper - lower) * (total - before) / (after - before)
    return at(upper)


def as_weights(shares: Mapping[str, Fraction]) -> dict[str, float]:
    """Shares as numbers of DIGITS digits that sum to one but for rounding, by name."""
    whole = sum(shares.values(), Fraction(0))
    return {name: float(f"{float(shares[name] / whole):.{DIGITS}g}") for name in sorted(shares)}
