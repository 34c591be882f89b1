"""In which order training sees the tokens: a pure function of seed and step over the manifest.

A sample is `context` tokens of a stream and the token after them. Without a mixture there is one
stream, the whole split, and every token is an input exactly once per epoch (but for a tail shorter
than one sample). With a mixture each source is a stream, and the weights decide whose turn it is.

Within a stream the order is a keyed permutation, evaluated where it is needed: there is no list of
indices to store, and nothing to fast-forward on resume.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np
import numpy.typing as npt
import xxhash

from corpusmill.errors import UsageError
from corpusmill.tokenize.manifest import Manifest, Mixture

Int64Array = npt.NDArray[np.int64]
UInt64Array = npt.NDArray[np.uint64]

FEISTEL_ROUNDS = 6

FINEST_SHARE = 100_000
"""Mixture weights are realised in multiples of 1/100,000 if they need a finer period."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Tokens of one split, or of one source in it, as stretches of shards laid end to end."""

    name: str
    """The source, or "" for the whole split."""
    shards: Int64Array
    """Index of each stretch's shard among those of the split; shape [stretches]."""
    firsts: Int64Array
    """Its first token in that shard; shape [stretches]."""
    starts: Int64Array
    """Where it begins in the stream, and at last the stream's length; shape [stretches + 1]."""
    samples: int
    """Samples of an epoch: the last token has no successor, and a tail is left out."""


def streams_of(manifest: Manifest, split: str, context: int) -> tuple[Stream, ...]:
    """The split as one stream, or with a mixture one stream per source that it names."""
    stretches: dict[str, list[tuple[int, int, int]]] = {}
    for number, shard in enumerate(manifest.of_split(split)):
        if manifest.mixture is None:
            stretches.setdefault("", []).append((number, 0, shard.tokens))
            continue
        first = 0
        for run in shard.runs:
            if run.source in manifest.mixture.weights:
                stretches.setdefault(run.source, []).append((number, first, run.tokens))
            first += run.tokens
    return tuple(_stream(name, stretches[name], context) for name in sorted(stretches))


def _stream(name: str, stretches: list[tuple[int, int, int]], context: int) -> Stream:
    shards, firsts, tokens = np.array(stretches, np.int64).T
    starts = np.concatenate(([0], np.cumsum(tokens)))
    samples = max(0, (int(starts[-1]) - 1) // context)
    return Stream(name=name, shards=shards, firsts=firsts, starts=starts, samples=samples)


class TrainingOrder:
    """The samples of every step. Steps count from 1, as in metrics.jsonl."""

    def __init__(
        self, manifest: Manifest, *, split: str, context: int, batch: int, seed: int
    ) -> None:
        streams = streams_of(manifest, split, context)
        self.streams = tuple(stream for stream in streams if stream.samples)
        """Those that training draws from."""
        named = {""} if manifest.mixture is None else set(manifest.mixture.weights)
        self.left_out = tuple(sorted(named - {stream.name for stream in self.streams}))
        """Sources of the mixture with less than one sample: the others share their weight."""
        if not self.streams:
            tokens = max((int(stream.starts[-1]) for stream in streams), default=0)
            raise UsageError(
                f"split {split!r} has {tokens} tokens in a row, which is no sample of {context} "
                f"and the token after: set context to less than {max(2, tokens)}, or add documents"
            )
        self.batch = batch
        self.seed = seed
        self._turns = _turns(manifest.mixture, self.streams)
        period = len(self._turns)
        self._counts = np.zeros((period + 1, len(self.streams)), np.int64)
        np.cumsum(self._turns[:, None] == np.arange(len(self.streams)), 0, out=self._counts[1:])
        repetitions = 1.0 if manifest.mixture is None else manifest.mixture.max_repetitions
        self.epoch_samples = self._epoch_samples(repetitions)
        """Samples after which the order begins anew. With a mixture the most that can be drawn
        without any source being gone through more than `max_repetitions` times."""
        if self.epoch_samples < batch:
            raise UsageError(
                f"split {split!r} gives {self.epoch_samples} sequences of {context} tokens, fewer "
                f"than a batch of {batch}: set batch to at most {self.epoch_samples} or make "
                "context smaller, or add documents"
            )

    def _epoch_samples(self, repetitions: float) -> int:
        period = len(self._turns)
        longest = []
        for number, stream in enumerate(self.streams):
            allowed = int(repetitions * stream.samples)
            turns = np.flatnonzero(self._turns == number)
            # the turn that would be one too many ends the epoch before it
            longest.append(allowed // len(turns) * period + int(turns[allowed % len(turns)]))
        samples = min(longest)
        # whole periods where there is one, so that shares are exact across epochs as well
        return samples - samples % period if samples >= period else samples

    def samples(self, step: int) -> tuple[Int64Array, Int64Array]:
        """Stream and sample within the stream, each of shape [batch], of step 1, 2, ..."""
        if step < 1:
            raise ValueError(f"steps count from 1, not {step}")
        numbers = np.arange((step - 1) * self.batch, step * self.batch, dtype=np.int64)
        epochs, within = np.divmod(numbers, self.epoch_samples)
        turns = self._turns[within % len(self._turns)]
        samples = np.empty(self.batch, np.int64)
        for number, stream in enumerate(self.streams):
            mine = turns == number
            drawn = self._count(within[mine], number)
            per_epoch = int(self._count(np.array([self.epoch_samples]), number)[0])
            samples[mine] = self._draw(stream, epochs[mine], drawn, per_epoch)
        return turns, samples

    def _count(self, within: Int64Array, stream: int) -> Int64Array:
        """How often the stream had its turn among the first `within` samples of an epoch."""
        periods, rest = np.divmod(within, len(self._turns))
        counts: Int64Array = periods * self._counts[-1, stream] + self._counts[rest, stream]
        return counts

    def _draw(
        self, stream: Stream, epochs: Int64Array, drawn: Int64Array, per_epoch: int
    ) -> Int64Array:
        """The sample for the `drawn`-th turn (from 0) of a stream in its epoch; shape as given.

        A stream that an epoch goes through several times has a permutation for each pass; one that
        it uses in part goes on in the same permutation for as many epochs as fit in whole.
        """
        epochs_per_pass = max(1, stream.samples // max(1, per_epoch))
        rounds, shared = np.divmod(epochs, epochs_per_pass)
        passes, position = np.divmod(shared * per_epoch + drawn, stream.samples)
        result = np.empty_like(position)
        for key in set(zip(rounds.tolist(), passes.tolist(), strict=True)):
            mine = (rounds == key[0]) & (passes == key[1])
            name = f"{self.seed}\0{stream.name}\0{key[0]}\0{key[1]}"
            result[mine] = permute(position[mine], stream.samples, name)
        return result


def _turns(mixture: Mixture | None, streams: tuple[Stream, ...]) -> Int64Array:
    """Whose turn it is, over one period of the mixture; shape [period], values index `streams`."""
    if mixture is None:
        return np.zeros(1, np.int64)
    return turns_of(shares_of({s.name: mixture.weights[s.name] for s in streams}))


def shares_of(weights: Mapping[str, float]) -> list[int]:
    """Weights as the smallest whole numbers in the same proportion, each at least 1.

    Decimal weights are kept exactly as written. If that needs a period longer than FINEST_SHARE,
    they are rounded to it (largest remainders).
    """
    exact = [Fraction(repr(weight)) for weight in weights.values()]
    total = sum(exact)
    shares = [weight / total for weight in exact]
    period = lcm(*(share.denominator for share in shares))
    if period > FINEST_SHARE:
        whole = [max(1, int(share * FINEST_SHARE)) for share in shares]
        remainders = sorted(
            range(len(shares)), key=lambda i: (whole[i] - shares[i] * FINEST_SHARE, i)
        )
        for i in remainders[: max(0, FINEST_SHARE - sum(whole))]:
            whole[i] += 1
    else:
        whole = [int(share * period) for share in shares]
    common = gcd(*whole)
    return [number // common for number in whole]


def turns_of(shares: list[int]) -> Int64Array:
    """An order of turns in which, after every n turns, each has had n * share / period of them to
    within less than one.

    Tijdeman's algorithm (The chairman assignment problem, 1980): among those whose lead over their
    share leaves room for a turn, the one that must have it soonest.
    """
    period = sum(shares)
    if len(shares) == 1:
        return np.zeros(1, np.int64)
    slack = 2 * len(shares) - 2
    taken = [0] * len(shares)
    turns = np.empty(period, np.int64)
    for n in range(1, period + 1):
        best = -1
        for i, share in enumerate(shares):
            # has it room for a turn, and is it due, at (1 - 1/slack + taken) / share, sooner?
            if (n * share - taken[i] * period) * slack >= period and (
                best < 0
                or (slack - 1 + slack * taken[i]) * shares[best]
                < (slack - 1 + slack * taken[best]) * share
            ):
                best = i
        taken[best] += 1
        turns[n - 1] = best
    return turns


def permute(index: Int64Array, size: int, key: str) -> Int64Array:
    """A keyed permutation of range(size), applied to `index` of any shape.

    A balanced Feistel network over the next even power of two, walked until it lands inside (Black
    and Rogaway 2002, "cycle walking"): at most four times on average.
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    keys = [xxhash.xxh3_64_intdigest(f"{key}\0{n}".encode()) for n in range(FEISTEL_ROUNDS)]
    result = index.astype(np.uint64)
    outside = np.ones(result.shape, bool)
    while outside.any():
        left, right = result[outside] >> half, result[outside] & mask
        for round_key in keys:
            left, right = right, left ^ (_mix(right ^ np.uint64(round_key)) & mask)
        result[outside] = (left << half) | right
        outside = result >= np.uint64(size)
    return result.astype(np.int64)


def _mix(x: UInt64Array) -> UInt64Array:
    """splitmix64's finaliser (Steele et al. 2014): every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
