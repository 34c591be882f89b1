"""Does k-anonymity hold, what does it cost, and how large a histogram can one process divide?

Ten thousand biographies of people who do not exist go through a run with one worker and with two.
What the texts show afterwards is read off the frame of their sentences, not with the patterns that
found the values, and counted. Then others, in words that the patterns were not written for
(benchmarks/other_biographies.py): the share of those that show a combination rarer than k. Then
prose about anything but people (documentation, and ../shared/data where that is): how much of it is
changed. Prints one JSON line for each figure.

    python benchmarks/k_anonymity.py [--people 10000] [--tuples 1000000]
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.biographies import biographies, shown
from benchmarks.corpus import paragraphs_of_prose
from benchmarks.other_biographies import TEMPLATES, other_biographies

from corpusmill import storage
from corpusmill.pipelines.oneshot import recipe_for
from corpusmill.pipelines.run import run
from corpusmill.privacy.hierarchies import ATTRIBUTES
from corpusmill.privacy.mondrian import Histogram, mondrian
from corpusmill.privacy.quasi_identifiers import facts

PROSE = 1_000_000
"""Characters of prose that are read."""


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--tuples", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        people(Path(folder), arguments.people)
        others(Path(folder), arguments.people)
    prose()
    histogram(arguments.tuples)


def people(folder: Path, count: int) -> None:
    """Anonymise biographies and count what is shown."""
    truth = list(biographies(count))
    lines = [json.dumps({"text": person["text"]}) for person in truth]
    (folder / "people.jsonl").write_text("\n".join(lines))
    for k in (2, 5, 10):
        texts = {workers: _texts(folder, "people", k, workers) for workers in (1, 2)}
        visible = [shown(text) for text in texts[1][0]]
        combinations = Counter(tuple(sorted((v or {}).items())) for v in visible)
        # what shows nothing singles nobody out
        sizes = [n for combination, n in combinations.items() if combination]
        loss = re.search(r"information loss ([\d.]+), (\d+) of (\d+)", texts[1][1])
        assert loss is not None
        _print(
            figure="k_anonymity",
            k=k,
            people=len(visible),
            unreadable=visible.count(None),
            smallest_combination=min(sizes),
            holds=min(sizes) >= k and None not in visible,
            combinations=len(sizes),
            information_loss=float(loss[1]),
            values_suppressed=round(int(loss[2]) / int(loss[3]), 3),
            equal_for_one_and_two_workers=texts[1] == texts[2],
        )


def _texts(folder: Path, name: str, k: int, workers: int) -> tuple[list[str], str]:
    recipe = folder / f"{name}.yaml"
    recipe.write_text(
        f"name: {name}\npart_mb: 0.5\nsources: [{{name: {name}, kind: web, path: {name}.jsonl}}]\n"
        f"stages: [{{k_anonymity: {{k: {k}}}}}]\n"
    )
    out = folder / f"{name}-{k}-{workers}"
    record = run(recipe_for([str(recipe)], [])[0], str(out), workers=workers)
    files = storage.list_files(str(out / "documents"))
    texts = [text for file in files for text in storage.read_parquet(file)["text"].to_pylist()]
    return texts, "\n".join(note for note in record.notes if "information loss" in note)


def others(folder: Path, count: int) -> None:
    """Anonymise biographies in other words, and look for what is true of each in what is left."""
    truth = list(other_biographies(count))
    lines = [json.dumps({"text": person["text"]}) for person in truth]
    (folder / "others.jsonl").write_text("\n".join(lines))
    k = 5
    texts, _ = _texts(folder, "others", k, 1)
    visible = [_visible(text, person) for text, person in zip(texts, truth, strict=True)]
    sizes = Counter(visible)
    rare = Counter(
        person["template"]
        for person, seen in zip(truth, visible, strict=True)
        if seen and sizes[seen] < k
    )
    _print(
        figure="other_templates",
        k=k,
        people=count,
        templates=len(TEMPLATES),
        documents_rarer_than_k=sum(rare.values()),
        share=round(sum(rare.values()) / count, 4),
        templates_with_some={str(t): n for t, n in sorted(rare.items())},
    )


def _visible(text: str, person: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """What an outsider who knows the truth reads: each attribute's value, or its labels."""
    bare = re.sub(r"<[A-Z_]+[^<>]*>", " ", text.replace(f"Q{person['number']}", " "))
    seen = []
    for name, value in person["truth"].items():
        label = "birth_date" if name in ("day", "month", "year") else name
        if label != "birth_date" or name == "year":
            if re.search(rf"(?<![^\W\d]){re.escape(value)}(?!\d)", bare):
                seen.append((name, value))
            elif labels := set(re.findall(f"<{label.upper()} ([^<>]*)>", text)):
                seen.append((name, *sorted(labels)))
    return tuple(seen)


def prose() -> None:
    """What is found in documents that are about public matters."""
    text = "\n\n".join(paragraphs_of_prose())[:PROSE]
    documents = [text[first : first + 8000] for first in range(0, len(text), 8000)]
    started = time.process_time()
    found = [facts(document, ATTRIBUTES) for document in documents]
    seconds = time.process_time() - started
    _print(
        figure="prose",
        documents=len(documents),
        documents_with_some=sum(map(bool, found)),
        spans_per_mb=round(sum(map(len, found)) / len(text) * 1e6),
        mb_per_cpu_second=round(len(text) / 1e6 / seconds, 2),
    )


def histogram(tuples: int) -> None:
    """Divide a histogram of distinct tuples alone."""
    chance = np.random.default_rng(1)
    codes = []
    for values in (100, 2, 20_000, 2_000, 500):
        drawn = (chance.pareto(0.7, tuples) % values).astype(np.int64)
        codes.append(np.stack([drawn, drawn // 8, drawn // 64, np.zeros(tuples, np.int64)]))
    started = time.process_time()
    result = mondrian(Histogram(codes=codes, counts=np.ones(tuples, np.int64)), 5)
    _print(
        figure="histogram",
        tuples=tuples,
        groups=len(result.sizes) - 1,
        smallest=int(result.sizes[1:].min()),
        cpu_seconds=round(time.process_time() - started, 1),
    )


def _print(**figure: Any) -> None:
    print(json.dumps(figure), flush=True)


if __name__ == "__main__":
    main()
