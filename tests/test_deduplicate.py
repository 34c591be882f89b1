"""Near-duplicate removal over the verbs: what is removed, for whom, and that nothing else is."""

import itertools
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.verbs_fixture import PlainVerbs, apply_to_parts, write_parts

from corpusmill import storage
from corpusmill.document import document_id, document_schema, documents_from_rows
from corpusmill.errors import UsageError
from corpusmill.filters.banding import PRESETS
from corpusmill.filters.clusters import BUCKET
from corpusmill.filters.shingles import Shingling, words
from corpusmill.filters.signatures import BINS, signatures, similarity
from corpusmill.pipelines.recipe import Recipe, check_recipe
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.keep_rules import KeepOrder, id_halves, in_order
from corpusmill.stages.near_duplicates import PAIRS_AT_ONCE, SimilarPairs
from corpusmill.stages.signature_files import Catalog, Scheme, as_binary, piece_path

Removed = dict[str, tuple[str, float, str]]
"""Name of the document -> reason, value, name of the document that is kept instead."""

Deduplicator = Callable[..., Removed]


@pytest.fixture
def removed(tmp_path: Path) -> Deduplicator:
    """Deduplicates texts by name."""
    return deduplicator(tmp_path)


def deduplicator(work: Path) -> Deduplicator:
    """A function that deduplicates texts by name, divided over parts and partitions in any way."""
    runs = itertools.count()

    def run(
        texts: dict[str, str],
        stage: Deduplicate | None = None,
        *,
        parts: int = 3,
        partitions: int = 3,
        chance: random.Random | None = None,
        fields: dict[str, dict[str, Any]] | None = None,
        notes: list[str] | None = None,
    ) -> Removed:
        names = {document_id("test", name, ""): name for name in texts}
        rows = [
            {"id": document, "text": texts[name], **(fields or {}).get(name, {})}
            for document, name in names.items()
        ]
        if chance:
            chance.shuffle(rows)
        folder = work / str(next(runs))
        written = write_parts(folder, [rows[i::parts] for i in range(parts)])
        verbs = PlainVerbs(folder / "work", partitions=partitions)
        join = (stage or Deduplicate()).prepare(verbs, written)
        if notes is not None:
            notes += verbs.notes
        kept, verdicts = apply_to_parts(join, written)
        assert {row["action"] for row in verdicts} <= {"dropped"}
        assert kept.num_rows + len(verdicts) == len(texts)
        still_there = {names[document] for document in kept.column("id").to_pylist()}
        found = {
            names[row["id"]]: (row["reason"], row["value"], names[row["detail"]])
            for row in verdicts
        }
        # Nothing is removed for the sake of a document that was itself removed.
        assert {kept_name for _, _, kept_name in found.values()} <= still_there
        return found

    return run


def prose(seed: int, n: int = 400) -> list[str]:
    chance = random.Random(seed)
    return [f"word{int(chance.paretovariate(0.8)) % 5000}" for _ in range(n)]


def substituted(text: Sequence[str], share: float, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [f"new{chance.randrange(10**6)}" if chance.random() < share else w for w in text]


def replaced(text: Sequence[str], first: int, last: int, mark: str) -> list[str]:
    return [*text[:first], *(f"{mark}{i}" for i in range(first, last)), *text[last:]]


def shingle_set(text: str, length: int = 5) -> set[tuple[str, ...]]:
    found = list(words(text))
    return {tuple(found[i : i + length]) for i in range(len(found) - length + 1)}


def jaccard(one: str, other: str) -> float:
    a, b = shingle_set(one), shingle_set(other)
    return len(a & b) / len(a | b)


def test_edited_copies_are_removed_for_the_longest_with_their_exact_similarity(
    removed: Deduplicator,
) -> None:
    base = prose(1)
    texts = {
        "base": " ".join(base),
        "shouted": " ".join(base).upper() + "!",
        "truncated": " ".join(base[:-20]),
        "one percent": " ".join(substituted(base[:-1], 0.01, seed=2)),
        "inserted": " ".join(["Copied:", *base]),
        "other": " ".join(prose(2)),
        "half": " ".join([*base[:200], *prose(3, 200)]),
    }
    found = removed(texts)
    assert set(found) == {"base", "shouted", "truncated", "one percent"}
    for name, (reason, value, kept) in found.items():
        assert kept == "inserted"
        assert reason == "near_duplicate"
        assert value == pytest.approx(jaccard(texts[name], texts["inserted"]), abs=0.06)


def test_copies_with_the_same_words_are_exact_duplicates(removed: Deduplicator) -> None:
    text = " ".join(prose(4, 60))
    found = removed({"a": text, "b": text.title(), "c": f"«{text}»\n", "d": text + " more"})
    # all three are near-duplicates of the longest: nobody is removed for a removed document
    assert {reason for reason, _, _ in found.values()} == {"near_duplicate"}
    assert {kept for _, _, kept in found.values()} == {"d"}
    found = removed({"a": text, "b": text.title(), "c": f"«{text}»\n"})
    best = min("abc", key=lambda name: document_id("test", name, ""))
    assert found == {name: ("exact_duplicate", 1.0, best) for name in "abc" if name != best}


def test_no_document_is_removed_through_a_removed_one(removed: Deduplicator) -> None:
    a = prose(5, 500)
    b = replaced(a, 0, 14, "x")[:-1]
    c = replaced(b, 300, 314, "y")[:-1]
    texts = {"a": " ".join(a), "b": " ".join(b), "c": " ".join(c)}
    similar = 0.9
    assert jaccard(texts["a"], texts["b"]) > similar
    assert jaccard(texts["b"], texts["c"]) > similar
    assert jaccard(texts["a"], texts["c"]) < similar
    assert set(removed(texts, Deduplicate(threshold=similar))) == {"b"}
    # without the kept one in between, the same pair is removed
    del texts["a"]
    assert set(removed(texts, Deduplicate(threshold=similar))) == {"c"}


def estimates(texts: dict[str, str], shingling: Shingling) -> dict[tuple[str, str], float]:
    """The similarity of every two texts that have shingles, from their whole signatures."""
    names = list(texts)
    found = signatures(pa.array(texts.values(), pa.large_string()), shingling, PRESETS["fineweb"])
    return {
        (one, other): float(similarity(np.sum(found.bins[i : i + 1] == found.bins[j], axis=1))[0])
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if found.has_shingles[i] and found.has_shingles[j]
    }


def reference(
    texts: dict[str, str],
    threshold: float,
    shingling: Shingling | None = None,
    scope: Callable[[str], str] = lambda name: "",
) -> Removed:
    """The definition: all pairs, longest first."""
    similar = estimates(texts, shingling or Shingling())
    order = sorted(
        texts, key=lambda name: (-len(list(words(texts[name]))), document_id("test", name, ""))
    )
    originals: dict[tuple[str, Any], str] = {}
    for name in order:
        content = tuple(words(texts[name])) or texts[name]
        originals.setdefault((scope(name), content), name)
    removed: Removed = {}
    for name in originals.values():
        for better in originals.values():
            if better == name:
                break
            if better in removed or scope(better) != scope(name):
                continue
            value = similar.get((name, better), 0.0)
            if value >= threshold:
                removed[name] = ("near_duplicate", value, better)
                break
    for name in order:
        content = tuple(words(texts[name])) or texts[name]
        original = originals[scope(name), content]
        if original != name:
            removed[name] = removed.get(original, ("exact_duplicate", 1.0, original))
    return removed


def drifting(chance: random.Random, families: int, members: int) -> dict[str, str]:
    """Texts that drift away from what they began as, some of them twice, some of them short."""
    texts = {"empty": "", "blank": " ", "short": "hello world", "shout": "Hello, world!"}
    for family in range(families):
        version = prose(chance.randrange(10**6), 60)
        for number in range(members):
            name = f"{family}/{number}"
            texts[name] = " ".join(version)
            if chance.random() < 0.3:
                texts[name + " copy"] = " ".join(version).upper() + "!"
            first = chance.randrange(len(version) - 4)
            version = replaced(version, first, first + chance.randrange(4), f"v{number}x")
            if chance.random() < 0.3:
                version = version[: len(version) - chance.randrange(3)]
    return texts


@settings(max_examples=12)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4), st.sampled_from([3, 5]))
def test_what_is_removed_is_what_the_definition_says(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    parts: int,
    partitions: int,
    length: int,
) -> None:
    chance = random.Random(seed)
    texts = drifting(chance, 3, 9)
    expected = reference(texts, 0.7, Shingling(length=length))
    deduplicate = deduplicator(tmp_path_factory.mktemp("definition"))
    stage = Deduplicate(threshold=0.7, words=length, bands=64, rows=1)
    found = deduplicate(texts, stage, parts=parts, partitions=partitions, chance=chance)
    assert found == expected


def test_chains_are_not_followed_and_removed_documents_remove_nobody(
    removed: Deduplicator,
) -> None:
    texts = drifting(random.Random(5), 4, 30)
    found = removed(texts, Deduplicate(threshold=0.8, bands=64, rows=1))
    assert found == reference(texts, 0.8)
    assert {reason for reason, _, _ in found.values()} == {"exact_duplicate", "near_duplicate"}
    kept = {kept for _, _, kept in found.values()}
    assert sum(name.startswith("0/") for name in kept) > 2, "one chain has become one cluster"


@pytest.mark.parametrize("scope", ["source", "language", "metadata.crawl"])
def test_documents_are_compared_within_their_scope_only(removed: Deduplicator, scope: str) -> None:
    base = prose(20, 100)
    texts = {f"{i}": " ".join(base) for i in range(4)}
    texts |= {f"{i} edited": " ".join(base[:-2]) for i in range(4)}
    values = {"0": "a", "0 edited": "a", "1": "b", "1 edited": "b"}  # the others have none
    fields: dict[str, dict[str, Any]] = {}
    for name in texts:
        value = values.get(name)
        if scope == "source":
            fields[name] = {"source": value or "c"}
        elif scope == "language":
            fields[name] = {"language": value}
        else:
            fields[name] = {"metadata": {"crawl": value} if value else {}}
    found = removed(texts, Deduplicate(scope=scope, bands=64, rows=1), fields=fields)
    assert found.keys() >= {"0 edited", "1 edited", "2 edited", "3 edited"}
    assert len(found) == 5
    assert found["0 edited"][2] == "0"
    assert found["1 edited"][2] == "1"
    assert len(removed(texts, fields=fields)) == 7


@settings(max_examples=6)
@given(st.randoms(use_true_random=False), st.integers(1, 5), st.integers(1, 6))
def test_neither_order_nor_parts_nor_partitions_have_influence(
    tmp_path_factory: pytest.TempPathFactory,
    chance: random.Random,
    parts: int,
    partitions: int,
) -> None:
    texts = {"empty": "", "short": "hello world", "short too": "Hello, world!"}
    for family in range(5):
        base = prose(family, 120)
        for number in range(5):
            texts[f"{family}/{number}"] = " ".join(substituted(base, 0.01, seed=number))
    deduplicate = deduplicator(tmp_path_factory.mktemp("order"))
    expected = deduplicate(texts, parts=2, partitions=1)
    found = deduplicate(texts, parts=parts, partitions=partitions, chance=chance)
    assert found == expected
    assert len(found) > 5


def test_recall_and_precision_over_planted_edits_follow_the_curve(removed: Deduplicator) -> None:
    texts, probability = {}, {}
    for number in range(120):
        base = prose(1000 + number, 150)
        share = (0.003, 0.01, 0.03, 0.05)[number % 4]
        texts[f"{number}"] = " ".join(base)
        texts[f"{number} edited"] = " ".join(substituted(base[:-1], share, seed=number))
        similar = jaccard(texts[f"{number}"], texts[f"{number} edited"])
        probability[f"{number} edited"] = 1 - (1 - similar**8) ** 14 if similar >= 0.75 else 0.0
    found = removed(texts)
    for name, (_, value, kept) in found.items():
        assert kept == name.removesuffix(" edited")
        assert value == pytest.approx(jaccard(texts[name], texts[kept]), abs=0.09)
        assert value >= 0.75
    expected = sum(probability.values())
    deviation = sum(p * (1 - p) for p in probability.values()) ** 0.5
    assert abs(len(found) - expected) <= 3 * deviation + 1
    assert expected > 60


def test_documents_that_share_a_template_are_kept(removed: Deduplicator) -> None:
    template = prose(7, 200)
    texts = {f"{i}": " ".join([*template, *prose(500 + i, 150)]) for i in range(80)}
    assert removed(texts) == {}


def test_short_documents_are_compared_whole(removed: Deduplicator) -> None:
    texts = {
        "one": "hello",
        "two": "hello world",
        "two again": "Hello  World",
        "three": "hello old world",
        "four": "hello my old world",
        "empty": "",
        "blank": "   ",
        "shout": "!!!",
        "question": "???",
    }
    found = removed(texts)
    assert len(found) == 1
    assert set(found) <= {"two", "two again"}


def test_empty_documents_are_copies_of_each_other_only(removed: Deduplicator) -> None:
    found = removed({"a": "", "b": "", "c": " "})
    assert len(found) == 1
    assert set(found) <= {"a", "b"}


def test_chinese_is_compared_by_its_characters(removed: Deduplicator) -> None:
    chance = random.Random(8)
    text = "".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(300))
    other = "".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(300))
    found = removed({"long": "好" + text, "copy": text[:150] + "。" + text[150:], "other": other})
    assert set(found) == {"copy"}


def test_a_crowd_of_copies_is_reduced_to_one(removed: Deduplicator) -> None:
    base = prose(9, 120)
    texts = {f"{i}": " ".join([*base, f"number{i}"]) for i in range(3 * BUCKET)}
    found = removed(texts)
    assert len(found) == len(texts) - 1
    assert len({kept for _, _, kept in found.values()}) == 1


def test_a_large_bucket_is_reported_and_its_rest_compared_with_the_best(
    removed: Deduplicator,
) -> None:
    chance = random.Random(1)
    template = prose(30, 40)
    # one band of one bin: nearly all texts meet in one bucket
    texts = {}
    for i in range(BUCKET + 20):
        texts[f"{i:03d}"] = " ".join([*template, *prose(100 + i, 12 + (i < BUCKET) * (BUCKET - i))])
    for name in chance.sample(sorted(texts), 6):
        texts[name + " edited"] = texts[name].removesuffix(texts[name].rsplit(" ", 1)[1])
    notes: list[str] = []
    found = removed(texts, Deduplicate(bands=512, rows=1, threshold=0.9), notes=notes)
    assert set(found) <= {name for name in texts if name.endswith("edited")}
    assert len(notes) == 1
    assert "buckets of more than 64 documents" in notes[0]
    assert removed({"a": "one"}, Deduplicate(), notes=notes) == {}
    assert len(notes) == 1


def pairs_of(table: pa.Table, work: Path, indexed: int = 0) -> set[tuple[int, int]]:
    """The pairs that are compared: everything is similar."""
    places = sorted(set(table.column("id").to_pylist()))
    stored = np.zeros((len(places), BINS), np.uint8)
    signed = {"row": pa.array(range(len(places)), pa.int64()), "stored": as_binary(stored)}
    storage.write_ipc(piece_path(str(work), 0, "signatures"), pa.table(signed))
    numbers = np.full(max(places) + 1, -1)
    numbers[places] = np.arange(len(places))
    storage.write_ipc(f"{work}/numbers.arrow", pa.table({"number": numbers}))
    search = SimilarPairs(
        catalog=Catalog(folder=str(work), firsts=(0, len(places))),
        numbers=f"{work}/numbers.arrow",
        first_new=indexed,
        needed=BINS,
    )
    rows = search(table.sort_by([("band", "ascending"), ("id", "ascending")])).to_pylist()
    return {(row["id"], row["better"]) for row in rows if row["slot"] >= 0}


def test_of_a_bucket_of_64_all_pairs_are_tried_above_that_each_with_the_best(
    tmp_path: Path,
) -> None:
    small = pa.table({"band": [7] * BUCKET + [8], "id": [*range(BUCKET), 500]})
    assert pairs_of(small, tmp_path / "small") == {(i, j) for i in range(BUCKET) for j in range(i)}
    large = pa.table({"band": [7] * 300, "id": range(300)})
    expected = {(i, j) for i in range(300) for j in range(min(i, BUCKET))}
    assert pairs_of(large, tmp_path / "large") == expected
    # what is in the index has been compared
    expected = {(i, j) for i, j in expected if i >= 100}
    assert pairs_of(large, tmp_path / "indexed", indexed=100) == expected


def test_a_giant_bucket_is_verified_in_bounded_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    stored = Catalog.stored

    def watched(self: Catalog, numbers: Any) -> Any:
        sizes.append(len(numbers))
        return stored(self, numbers)

    monkeypatch.setattr(Catalog, "stored", watched)
    table = pa.table({"band": [7] * 20_000, "id": range(20_000)})
    assert len(pairs_of(table, tmp_path)) == 20_000 * BUCKET - BUCKET * (BUCKET + 1) // 2
    assert max(sizes) <= PAIRS_AT_ONCE // BUCKET + 2 * BUCKET


def test_keep_rules_are_followed_in_their_order(removed: Deduplicator) -> None:
    base = prose(10)
    texts = {"long": " ".join(base), "new": " ".join(base[:-5]), "undated": " ".join(base[:-1])}
    fields: dict[str, dict[str, Any]] = {
        "long": {"metadata": {"date": "2019-05-01T10:00:00Z"}, "source": "crawl"},
        "new": {"metadata": {"date": "2024"}, "source": "shelf"},
        "undated": {"source": "other"},
    }
    by_rule: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
        (("longest",), (), "long"),
        (("newest",), (), "new"),
        (("newest", "longest"), (), "new"),
        (("source",), ("shelf", "crawl"), "new"),
        (("source",), ("crawl", "shelf"), "long"),
        (("source", "newest"), ("nobody",), "new"),
        ((), (), min(texts, key=lambda name: document_id("test", name, ""))),
    ]
    for keep, sources, best in by_rule:
        found = removed(texts, Deduplicate(keep=keep, sources=sources), fields=fields)
        assert {kept for _, _, kept in found.values()} == {best}, keep
        assert len(found) == 2
    # with equal dates the second rule decides
    same = {name: {"metadata": {"date": "2020-02-02"}} for name in texts}
    found = removed(texts, Deduplicate(keep=("newest", "longest")), fields=same)
    assert {kept for _, _, kept in found.values()} == {"long"}


def test_the_highest_score_is_kept_and_no_score_is_the_lowest() -> None:
    scores = [0.5, None, -1.0, 3.0, 0.0, -0.0, -2.5]
    documents = documents_from_rows(
        [
            {"id": f"{i:032x}", "text": "", "scores": {"quality": score}}
            for i, score in enumerate(scores)
        ],
        document_schema(["quality"]),
    )
    order = KeepOrder(rules=("score:quality",))
    ranks = order.ranks(documents, np.zeros(len(scores), np.int64))
    rows = in_order([ranks[name] for name in order.names()])
    assert [scores[row] for row in rows] == [3.0, 0.5, 0.0, -0.0, -1.0, -2.5, None]


def test_ids_are_ordered_as_their_digits_are() -> None:
    ids = [document_id("test", f"{i}", "") for i in range(200)] + ["0" * 32, "f" * 32]
    order = in_order(id_halves(pa.array(ids)))
    assert [ids[row] for row in order] == sorted(ids)


def test_settings_that_make_no_sense_are_refused() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"keep": ["score"]}, "longest"),
        ({"keep": ["score:"]}, "score:NAME"),
        ({"keep": ["source"]}, "sources"),
        ({"sources": ["crawl"]}, "need each other"),
        ({"preset": "finweb"}, "fineweb"),
        ({"threshold": 0}, "greater than or equal to 0.01"),
        ({"keep": ["longest", "longest"]}, "stands twice"),
        ({"scope": "sources"}, "did you mean 'source'"),
        ({"scope": "metadata."}, "metadata.KEY"),
        ({"words": 5, "characters": 9}, "exclude each other"),
        ({"bands": 100, "rows": 100}, "bins of a signature"),
    ]
    for raw, message in refused:
        with pytest.raises(ValidationError, match=message):
            Deduplicate.model_validate(raw)


def test_shingles_of_characters_find_edits_within_words(removed: Deduplicator) -> None:
    base = prose(40, 150)
    texts = {
        "base": " ".join(base),
        "copy": " ".join(word[:-1] + "z" * (i % 12 == 0) + word[-1] for i, word in enumerate(base)),
    }
    assert removed(texts) == {}
    found = removed(texts, Deduplicate(characters=5, bands=64, rows=1))
    assert set(found) == {"base"}  # the copy has more characters


def test_thirteen_word_presets_work_too(removed: Deduplicator) -> None:
    base = prose(11)
    texts = {"base": " ".join(base), "copy": " ".join(base[:-3]), "other": " ".join(prose(12))}
    for preset in ("dolma3", "redpajama-0.7", "slimpajama"):
        assert set(removed(texts, Deduplicate.model_validate({"preset": preset}))) == {"copy"}


def test_permutations_find_what_sketches_find(removed: Deduplicator) -> None:
    texts = drifting(random.Random(3), 2, 8)
    sketch, permutations = (
        removed(texts, Deduplicate(scheme=scheme, threshold=0.5, bands=64, rows=1))
        for scheme in get_args(Scheme)
    )
    assert len(sketch) > 8
    # Two families; within one, similarities are estimated otherwise.
    assert {name[0] for name in sketch} == {name[0] for name in permutations}
    for name, (reason, value, kept) in permutations.items():
        if reason == "near_duplicate":
            assert value == pytest.approx(jaccard(texts[name], texts[kept]), abs=0.09)


def test_editions_of_one_book_are_reduced_to_one(removed: Deduplicator, shared_data: Path) -> None:
    books = shared_data / "books"
    texts = {
        name: (books / name).read_text("latin-1")
        for name in ("1342-0.txt", "old-pandp10.txt", "old-pandp12.txt", "faust-2229-8.txt")
    }
    found = removed(texts)
    assert len(found) == 2
    assert "faust-2229-8.txt" not in found
    for name, (_, value, kept) in found.items():
        assert value == pytest.approx(jaccard(texts[name], texts[kept]), abs=0.03)


def test_keep_rules_of_a_recipe_name_scores_and_sources_that_there_are() -> None:
    def checked(*stages: dict[str, Any]) -> Recipe:
        source = {"name": "crawl", "kind": "web", "path": "data"}
        return check_recipe({"name": "r", "sources": [source], "stages": list(stages)})

    language = {"language": {"keep": ["en"]}}
    quality = {"quality": {"reference": "data"}}
    by_score = {"deduplicate": {"keep": ["score:ngram_perplexity"]}}
    assert len(checked(quality, by_score).stages) == 2
    with pytest.raises(UsageError, match=r"deduplicate.keep: .* 'ngram_perplexity' is not one of"):
        checked(language, by_score, quality)
    with pytest.raises(UsageError, match=r"did you mean 'ngram_perplexity'"):
        checked(quality, {"deduplicate": {"keep": ["score:ngram_perplexty"]}})
    with pytest.raises(UsageError, match=r"deduplicate.sources: source 'crawls' is not one of"):
        checked({"deduplicate": {"keep": ["source"], "sources": ["crawls"]}})
