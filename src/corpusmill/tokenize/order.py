"""In which order training sees the rows: a pure function of seed and step over the manifest.

Without a mixture there is one stream of rows, the whole split, and an epoch sees each of them once.
With a mixture each of its classes is a stream. Weights decide whose turn it is; a class that has
given all that its budget or `max_repetitions` permits drops out and leaves its turns to the others;
and the epoch ends when there is nothing left to give.

Within a stream the order is a keyed permutation, another one for each pass through it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from corpusmill.errors import UsageError
from corpusmill.tokenize.manifest import Mixture
from corpusmill.tokenize.packing import Segments
from corpusmill.tokenize.permutation import permute
from corpusmill.tokenize.turns import Turns, shares_of

Int64Array = npt.NDArray[np.int64]

WHOLE = ""
"""Name of the stream that is a whole split."""


class Rows(Protocol):
    """A stream: rows that training draws from."""

    @property
    def rows(self) -> int:
        """How many there are."""

    @property
    def tokens(self) -> int:
        """That stand in them."""

    def segments(self, rows: Int64Array) -> Segments:
        """What stands in these rows."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Rows of an epoch during which the same streams take turns in the same proportion."""

    first: int
    """Of its rows in the epoch."""
    rows: int
    members: Int64Array
    """The streams that take turns."""
    turns: Turns
    """Of the members, by their index."""
    drawn: Int64Array
    """Rows of each stream that the phases before have drawn; shape [streams]."""

    def at(self, within: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Whose these rows of the phase are, and how many of that stream the epoch drew before."""
        member, before = self.turns.at(within)
        streams = self.members[member]
        return streams, self.drawn[streams] + before

    def drawn_after(self) -> Int64Array:
        """Rows of each stream that the epoch has drawn at the end of the phase."""
        drawn = self.drawn.copy()
        drawn[self.members] += self.turns.taken(self.rows)
        return drawn


class TrainingOrder:
    """The rows of every step. Steps count from 1, as in metrics.jsonl."""

    def __init__(
        self,
        streams: Mapping[str, Rows],
        mixture: Mixture | None,
        *,
        context: int,
        batch: int,
        seed: int,
    ) -> None:
        self.names = tuple(sorted(streams))
        """Of the streams, in the order in which results number them."""
        self.batch = batch
        self.seed = seed
        self._rows = np.array([streams[name].rows for name in self.names], np.int64)
        if mixture is not None and mixture.counted == "tokens":
            mixture = _in_sequences(mixture, streams, context)
        self.phases = _phases(self.names, self._rows, mixture, context)
        self._firsts = np.array([phase.first for phase in self.phases], np.int64)
        last = self.phases[-1]
        self.epoch_rows = last.first + last.rows
        """Rows after which the order begins anew."""
        self.drawn = last.drawn_after()
        """Rows of each stream in an epoch; shape [streams]."""
        if self.epoch_rows < batch:
            raise UsageError(
                f"there are {self.epoch_rows} sequences of {context} tokens, fewer than a batch of "
                f"{batch}: set batch to at most {self.epoch_rows} or make context smaller, or add "
                "documents"
            )

    def passes(self, count: int) -> dict[str, float]:
        """How often the first so many sequences go through each stream."""
        epochs, rest = divmod(count, self.epoch_rows)
        phase = self.phases[int(np.searchsorted(self._firsts, rest, side="right")) - 1]
        drawn = epochs * self.drawn + phase.drawn
        drawn[phase.members] += phase.turns.taken(rest - phase.first)
        return dict(zip(self.names, (drawn / self._rows).tolist(), strict=True))

    def draw(self, numbers: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Stream, and row within it, of the sequences with these numbers; each shaped like them.

        The sequences of step s are those from (s - 1) * batch on.
        """
        epochs, within = np.divmod(numbers, self.epoch_rows)
        phase_of = np.searchsorted(self._firsts, within, side="right") - 1
        streams = np.empty_like(numbers)
        drawn = np.empty_like(numbers)
        for number in np.unique(phase_of).tolist():
            phase = self.phases[number]
            mine = phase_of == number
            streams[mine], drawn[mine] = phase.at(within[mine] - phase.first)
        drawn += epochs * self.drawn[streams]
        passes, position = np.divmod(drawn, self._rows[streams])
        for stream, number in {*zip(streams.tolist(), passes.tolist(), strict=True)}:
            mine = (streams == stream) & (passes == number)
            key = f"{self.seed}\0{self.names[stream]}\0{number}"
            position[mine] = permute(position[mine], int(self._rows[stream]), key)
        return streams, position


def _in_sequences(mixture: Mixture, streams: Mapping[str, Rows], context: int) -> Mixture:
    """The mixture whose sequences hold the tokens that are asked for: of a class whose sequences
    are not all full, more."""
    needed = {name: rows.rows * context / rows.tokens for name, rows in streams.items()}

    def scaled(weights: Mapping[str, float]) -> dict[str, float]:
        return {n: float(f"{w * needed[n]:.9g}") for n, w in weights.items() if n in needed}

    phases = (p.model_copy(update={"weights": scaled(p.weights)}) for p in mixture.curriculum)
    changes = {"weights": scaled(mixture.weights), "curriculum": tuple(phases)}
    return mixture.model_copy(update=changes)


def _phases(
    names: Sequence[str], rows: Int64Array, mixture: Mixture | None, context: int
) -> tuple[Phase, ...]:
    """The phases of an epoch: one for each part of the curriculum and each class that runs out."""
    if mixture is None:
        left = rows.copy()
        plan: list[tuple[int | None, Mapping[str, float]]] = [(None, dict.fromkeys(names, 1.0))]
    else:
        left = (rows * mixture.max_repetitions).astype(np.int64)
        for name, budget in mixture.budgets.items():
            if name in names:
                number = names.index(name)
                left[number] = min(left[number], max(1, round(budget / context)))
        plan = [(max(1, round(p.tokens / context)), p.weights) for p in mixture.curriculum]
        plan.append((None, mixture.weights))
    phases: list[Phase] = []
    first, drawn = 0, np.zeros(len(names), np.int64)
    for length, weights in plan:
        until = None if length is None else first + length
        while until is None or first < until:
            held = {name: weights[name] for name in names if name in weights}
            held = {name: w for name, w in held.items() if left[names.index(name)]}
            if not held:
                break
            phase = _phase(first, until, drawn, names, held, left)
            phases.append(phase)
            after = phase.drawn_after()
            left -= after - drawn
            first, drawn = first + phase.rows, after
    if not phases:
        raise UsageError("none of the classes of the mixture has training tokens")
    return tuple(phases)


def _phase(
    first: int,
    until: int | None,
    drawn: Int64Array,
    names: Sequence[str],
    weights: Mapping[str, float],
    left: Int64Array,
) -> Phase:
    """Until the first of the streams with these weights has drawn all that is left to it, or to
    row `until` of the epoch."""
    members = np.array([names.index(name) for name in weights])
    most = int(left[members].sum())
    if until is not None:
        most = min(most, until - first)
    turns = Turns(shares_of(list(weights.values()), most), most)
    last = [turns.place(i, int(left[stream]) - 1) for i, stream in enumerate(members)]
    rows = min((1 + place for place in last if place is not None and place < most), default=most)
    return Phase(first=first, rows=rows, members=members, turns=turns, drawn=drawn)
