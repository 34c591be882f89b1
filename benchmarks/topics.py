"""How well does the stage `topics` tell topics, and how fast? On text that others have labelled.

The seed words were written before any of these labels was looked at. Three settings (pairs of
words or not, the size of vectors, the most examples of a topic) were compared on them:

- `glosses`, `gloss groups`: definitions of WordNet 3.0 with their topic domain, each alone, and
  eight of one topic together (Debian's package wordnet-base; fetched with apt-get if it is not
  installed);
- `packages`: one-line descriptions of Debian packages with a debtag `field::` (apt-cache);
- `articles`: 60 articles of WikiText-2 and 80 news pages of `../shared/data`, labelled by hand from
  title and first paragraph (topics that a reader would accept, split by `|`).

The classifier learns from all of these texts, without their labels, and from paragraphs of
installed documentation (benchmarks/corpus.py), as it would in a run over them.

    python -m benchmarks.topics [--megabytes 10]
"""

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from benchmarks.corpus import SHARED, paragraphs_of_prose

from corpusmill.filters.term_labels import LabelledTerms
from corpusmill.filters.topic_model import TopicModel
from corpusmill.filters.topic_seeds import read_seeds
from corpusmill.filters.topic_training import train_topics, weak_examples
from corpusmill.stages.topics import LEARNING, Topics

GROUP = 8
"""Glosses of one topic that stand together."""
T = TypeVar("T")
Labelled = list[tuple[str, set[str]]]
"""Texts and the topics that count as right."""

DOMAINS = {
    "law_crime": "law, crime, criminal law, contract",
    "military": "military",
    "music": "music",
    "physics_chemistry": "chemistry, physics, physical chemistry, optics",
    "computing": "computer science, computer",
    "nature": "botany, zoology, biology, plant, animal, mammal, genetics",
    "mathematics": "mathematics, statistics, geometry, arithmetic",
    "sports": "baseball, sport, golf, football, American football, basketball, boxing, tennis, "
    "cricket, soccer, ice hockey",
    "health": "medicine, pathology, psychiatry, surgery, dentistry, anatomy, physiology, "
    "obstetrics",
    "food": "cooking",
    "language": "linguistics, grammar, phonetics",
    "religion": "Roman Catholic, Old Testament, New Testament, Judaism, religion, Islam, Hinduism, "
    "Christianity, theology, church service, Buddhism",
    "environment": "geology, meteorology, ecology",
    "space": "astronomy, cosmology",
    "arts": "art, fine arts, architecture, photography, performing arts, ballet",
    "literature": "poetry, literature, prosody",
    "business": "commerce, commercial enterprise, corporation",
    "games": "card game, chess, game",
    "engineering": "electronics, electricity, telecommunication",
    "politics": "politics, government, election",
    "finance": "economics, tax, stock exchange, accounting, finance",
    "transport": "car, driving, air travel, aircraft, airplane",
    "history": "antiquity, Middle Ages, archeology",
    "film_tv": "television",
}
"""Topic -> WordNet's topic domains."""
FIELDS = {
    "space": "astronomy",
    "nature": "biology",
    "physics_chemistry": "chemistry, physics",
    "finance": "finance",
    "language": "linguistics",
    "mathematics": "mathematics, statistics",
    "health": "medicine",
    "religion": "religion",
    "engineering": "electronics",
    "arts": "arts",
    "environment": "meteorology, geology",
    "transport": "aviation",
}
"""Topic -> debtags `field::...`."""
WIKITEXT = """nature military transport film_tv|literature travel travel music sports environment
music music transport sports|transport environment|travel nature religion|history sports space
film_tv film_tv transport military|history military transport military|transport history environment
environment|travel religion military film_tv politics sports music military|history arts military
arts military games film_tv law_crime|music transport music history|engineering|arts film_tv
military|history politics|education|literature film_tv sports history sports film_tv music music
physics_chemistry film_tv law_crime|politics|religion film_tv film_tv"""
"""Of the articles of wikitext-2-valid.txt, in their order."""
NEWS = """0 games,1 transport,2 transport,3 sports,4 film_tv|business,5 space,6 politics|health,
7 environment,8 law_crime|business,11 sports,12 games|computing,13 computing|business,14 finance,
15 transport|music,17 arts,18 film_tv|fashion,19 space,20 finance|business,21 finance|politics,
22 food,23 business,24 politics,25 business|finance,26 law_crime,27 finance,28 finance,
29 food|health,30 politics,31 politics,32 politics|law_crime,33 games,34 finance,35 computing,
36 games,37 sports,38 law_crime|politics,39 politics|finance,40 music,42 film_tv,43 military,
44 politics,45 sports|law_crime,46 health,47 politics,48 politics,49 literature,51 business,
52 family|travel,53 law_crime,54 politics,55 transport|business,56 health,57 politics,58 games,
59 health|politics,60 music,61 health,62 politics,63 engineering|environment,64 space,66 health,
67 health,68 law_crime,69 health|business,70 sports,72 computing,73 environment|engineering,
74 space,75 politics,76 military|politics,77 business,78 space,79 politics,80 health,81 politics,
82 food,83 business,84 politics|health,87 finance|business,88 business|fashion"""
"""Of the pages of articles/ground-truth.json in the order of their keys; pages in other languages
than English are left out."""


def glosses(folder: Path) -> dict[str, list[str]]:
    """Topic -> words and definitions."""
    topic_of = {d: topic for topic, found in DOMAINS.items() for d in found.split(", ")}
    first: dict[tuple[str, str], str] = {}
    read: list[tuple[str, list[tuple[str, str]]]] = []
    for pos in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{pos}").read_text("latin-1").splitlines():
            if line.startswith("  "):
                continue
            head, _, gloss = line.partition("|")
            found = head.split()
            count = int(found[3], 16)
            names = [found[4 + 2 * i].replace("_", " ") for i in range(count)]
            first[pos[0], found[0]] = names[0]
            pointers = found[5 + 2 * count :]
            domains = [
                (pointers[i + 2], pointers[i + 1])
                for i in range(0, 4 * int(found[4 + 2 * count]), 4)
                if pointers[i] == ";c"
            ]
            read.append((f"{', '.join(names)}: {gloss.strip()}", domains))
    topics = defaultdict(list)
    for text, domains in read:
        for place in domains:
            if topic := topic_of.get(first.get(place, "")):
                topics[topic].append(text)
    return {topic: sorted(found) for topic, found in sorted(topics.items())}


def wordnet_folder(work: str) -> Path | None:
    """Where WordNet's files lie, fetched if need be; None where it can not be had."""
    installed = Path("/usr/share/wordnet")
    if (installed / "data.noun").exists():
        return installed
    try:
        subprocess.run(
            ["apt-get", "download", "wordnet-base"], cwd=work, check=True, capture_output=True
        )
        (package,) = Path(work).glob("wordnet-base*.deb")
        subprocess.run(["dpkg-deb", "-x", package, work], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
    return Path(work) / "usr" / "share" / "wordnet"


def packages() -> Labelled:
    """Descriptions of Debian packages with the topics of their fields."""
    topic_of = {f"field::{f}": t for t, found in FIELDS.items() for f in found.split(", ")}
    try:
        listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout
    except OSError:
        return []
    found = []
    for stanza in listed.split("\n\n"):
        text = re.search(r"^Description(?:-en)?: (.*)", stanza, re.MULTILINE)
        tags = re.search(r"^Tag: (.*(?:\n .*)*)", stanza, re.MULTILINE)
        named = re.findall(r"[\w:-]+", tags[1]) if tags else []
        if text and (topics := {topic_of[tag] for tag in named if tag in topic_of}):
            found.append((text[1], topics))
    return found


def articles() -> Labelled:
    """Articles and news pages of ../shared with their topics."""
    if not SHARED.is_dir():
        return []
    text = (SHARED / "prose" / "wikitext-2-valid.txt").read_text()
    bodies = re.split(r"\n = [^=].*?[^=] = \n", text)[1:]
    found = [(b, set(t.split("|"))) for b, t in zip(bodies, WIKITEXT.split(), strict=True)]
    pages = json.loads((SHARED / "web" / "articles" / "ground-truth.json").read_text())
    bodies = [page["articleBody"] for _, page in sorted(pages.items())]
    for entry in NEWS.replace("\n", "").split(","):
        number, topics = entry.split()
        found.append((bodies[int(number)], set(topics.split("|"))))
    return found


def macro_f1(given: Sequence[set[str]], said: Sequence[str]) -> float:
    """The mean over topics of F1; a topic is said rightly if it is among those given."""
    of_topics = []
    for topic in sorted({topic for topics in given for topic in topics}):
        right = sum(s == topic and topic in g for g, s in zip(given, said, strict=True))
        wrong = sum(s == topic and topic not in g for g, s in zip(given, said, strict=True))
        missed = sum(topic in g and s not in g for g, s in zip(given, said, strict=True))
        of_topics.append(2 * right / max(2 * right + wrong + missed, 1))
    return float(np.mean(of_topics))


def figures(labelled: Labelled, model: TopicModel, by_seeds: LabelledTerms) -> dict[str, object]:
    """What comes out on one set of texts."""
    texts = pa.array([text for text, _ in labelled], pa.large_string())
    given = [topics for _, topics in labelled]
    began = time.process_time()
    chances = np.nan_to_num(model.probabilities(texts))
    seconds = time.process_time() - began
    best, score = chances.argmax(1), chances.max(1)
    said = [model.topics[i] for i in best]
    known = score >= Topics.model_fields["min_score"].default
    right = np.array([s in g for g, s in zip(given, said, strict=True)])
    counted = by_seeds.find(texts).distinct
    seeds = [
        by_seeds.labels[i] if n else ""
        for i, n in zip(counted.argmax(1), counted.max(1), strict=True)
    ]
    return {
        "texts": len(labelled),
        "accuracy": round(float(right.mean()), 3),
        "macro_f1": round(macro_f1(given, said), 3),
        "unknown": round(float(1 - known.mean()), 3),
        "accuracy_of_known": round(float(right[known].mean()), 3),
        "accuracy_of_seed_words_alone": round(
            sum(s in g for g, s in zip(given, seeds, strict=True)) / len(given), 3
        ),
        "mb_per_cpu_second": round(sum(len(t.encode()) for t, _ in labelled) / 1e6 / seconds, 2),
    }


def main() -> None:
    """Print one JSON line for each set of labelled texts, and one for training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--megabytes", type=float, default=10, help="of documentation to learn from"
    )
    megabytes = parser.parse_args().megabytes
    sets: dict[str, Labelled] = {"packages": packages(), "articles": articles()}
    with tempfile.TemporaryDirectory() as work:
        if folder := wordnet_folder(work):
            found = glosses(folder)
            sets["glosses"] = [(gloss, {topic}) for topic, all_ in found.items() for gloss in all_]
            chance = np.random.default_rng(1)
            sets["gloss groups"] = [
                (" ".join(mixed[i : i + GROUP]), {topic})
                for topic, all_ in found.items()
                for mixed in [[all_[j] for j in chance.permutation(len(all_))]]
                for i in range(0, len(mixed) - GROUP + 1, GROUP)
            ]
        corpus = [text for labelled in sets.values() for text, _ in labelled]
        documents = documentation(megabytes)
        texts = pa.array([*corpus, *documents], pa.large_string())
        seeds = read_seeds()["en"]
        weak_examples(texts.slice(0, 10), seeds)  # compiled
        examples, seconds = timed(lambda: weak_examples(texts, seeds))
        path = f"{work}/topics.bin"
        card, learning = timed(
            lambda: train_topics(examples, seeds, learning=LEARNING, seed=1, path=path, work=work)
        )
        print_line(
            figure="training",
            megabytes=round(texts.nbytes / 1e6, 1),
            examples=len(examples.lines),
            topics=len(card.examples),
            held_out_accuracy=card.accuracy,
            find_mb_per_cpu_second=round(texts.nbytes / 1e6 / seconds, 1),
            train_cpu_seconds=round(learning, 1),
            model_mb=round(card.bytes / 1e6, 1),
        )
        model, terms = TopicModel(path), LabelledTerms(seeds)
        for name, labelled in sets.items():
            if labelled:
                print_line(figure=name, **figures(labelled, model, terms))
            else:
                print_line(figure=name, skipped="its texts are not on this machine")


def documentation(megabytes: float) -> list[str]:
    """Paragraphs of installed documentation, five to a document."""
    paragraphs = list(paragraphs_of_prose())
    found, size = [], 0
    for start in range(0, len(paragraphs), 25):
        found.append("\n\n".join(paragraphs[start : start + 5]))
        size += len(found[-1])
        if size > megabytes * 1e6:
            break
    return found


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result, and the CPU-seconds it took."""
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def print_line(**values: object) -> None:
    """One JSON line."""
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
