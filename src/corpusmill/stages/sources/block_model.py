"""Which blocks of a page are its article: a small network judges each, then runs are chosen.

The weights in `block_weights.json` are written by `benchmarks/train_blocks.py`. Inputs, and the
weights that multiply them, are rounded to multiples of a step, so that all sums are sums of whole
numbers below 2^24: float32 holds them exactly, and the outcome depends on neither the order in
which a BLAS adds nor its threads.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from corpusmill.stages.sources.block_features import FloatArray, page_features
from corpusmill.stages.sources.blocks import ASIDE, FOOTER, FORM, HEADER, NAV, Blocks

INPUT_STEP = 1 / 16
"""Of a feature, in standard deviations."""
MAX_INPUT = 6.0
"""Standard deviations beyond which a feature is cut."""
WEIGHT_STEP = 1 / 64
MAX_WEIGHT = 1.5
"""The largest sum: 6 * 16 * 1.5 * 64 = 9,216 for each feature, so 2^24 allows 1,820 features."""

_ROWS = 32
"""Blocks multiplied at once: OpenBLAS starts threads, at some cost, for four times as many."""

SWITCH = 1.0
"""What it costs, in log-odds, to begin or to end a run of blocks. Cross-validated on whole sites in
eight groups: F1 0.965 at 0, 0.971 at 0.5, 0.972 at 1, 0.968 at 1.5, 0.965 at 2; by a network that
has seen none of the benchmark's pages: 0.965, 0.965, 0.970, 0.967, 0.965
(`benchmarks/train_blocks.py --validate 8`, and `--validate 1`)."""
_CERTAIN = 6.0
"""Log-odds beyond which a block counts no more."""

_BESIDE = ASIDE | FOOTER | FORM | HEADER | NAV


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer of rectified linear units; several networks side by side are one."""

    means: FloatArray  # [features]
    scales: FloatArray  # [features]; deviations in units of INPUT_STEP
    hidden: FloatArray  # [features, units]; whole numbers
    hidden_bias: FloatArray  # [units]; whole numbers
    out: FloatArray  # [units]
    out_bias: float

    def log_odds(self, features: FloatArray) -> FloatArray:
        """Of each block, that it belongs to the article: [blocks, features] -> [blocks]."""
        limit = MAX_INPUT / INPUT_STEP
        inputs = np.clip(np.rint((features - self.means) / self.scales), -limit, limit)
        rows = range(0, len(inputs), _ROWS)
        sums = np.concatenate([inputs[k : k + _ROWS] @ self.hidden for k in rows])
        units = np.maximum(sums + self.hidden_bias, 0)
        # einsum adds in one order, on any machine
        outcome = np.einsum("bu,u->b", units, self.out) + self.out_bias
        return np.asarray(outcome, np.float32)


@cache
def network() -> Network:
    """The network that comes with the package."""
    data = json.loads((files("corpusmill.stages.sources") / "block_weights.json").read_text())
    return Network(
        **{name: np.array(data[name], np.float32) for name in Network.__slots__[:-1]},
        out_bias=float(data["out_bias"]),
    )


def body_of(blocks: Blocks) -> list[int]:
    """Numbers of the blocks that make up the article, in order.

    Where the network finds none, every block that is no link and stands in no place for menus: a
    page of two lines has no article, and is still all that somebody wrote.
    """
    if not blocks.texts:
        return []
    chosen = choose_runs(network().log_odds(page_features(blocks)).tolist())
    return chosen or [
        number
        for number, (text, linked, container) in enumerate(
            zip(blocks.texts, blocks.linked, blocks.containers, strict=True)
        )
        if 2 * linked < len(text) and not blocks.inherited[container] & _BESIDE
    ]


def choose_runs(log_odds: list[float], switch: float = SWITCH) -> list[int]:
    """The likeliest set of blocks if articles begin and end seldom.

    Of all subsets, the one with the largest sum of log-odds, less `switch` for each beginning and
    each end of a run (Viterbi's algorithm with two states).
    """
    outside, inside = 0.0, -switch
    came: list[tuple[bool, bool]] = []  # for each block: whether each state was inside before
    for value in log_odds:
        leaves, stays = inside - switch > outside, inside >= outside - switch
        came.append((leaves, stays))
        gain = _CERTAIN if value > _CERTAIN else -_CERTAIN if value < -_CERTAIN else value
        outside, inside = (
            inside - switch if leaves else outside,
            (inside if stays else outside - switch) + gain,
        )
    chosen: list[int] = []
    state = inside - switch > outside
    for number in range(len(log_odds) - 1, -1, -1):
        if state:
            chosen.append(number)
        state = came[number][state]
    return chosen[::-1]
