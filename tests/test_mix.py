"""The stage `mix`: classes of any kind, computed weights, and what training gets of them."""

import json
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counted_rows import CONTEXT, Counted
from tests.shard_folders import small_vocabulary, token_documents, write_folder
from tests.verbs_fixture import PlainVerbs, write_parts

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pretrain.config import Settings
from corpusmill.report.mixture import mixture_facts
from corpusmill.stage import Part
from corpusmill.stages import tokenize
from corpusmill.stages.mix import OTHER, UNKNOWN, Mix
from corpusmill.stages.tokenize import Tokenize
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.forget import forget_in_shards
from corpusmill.tokenize.manifest import (
    Manifest,
    Mixture,
    MixturePhase,
    _checksum,
    read_manifest,
    training_tokens,
)
from corpusmill.tokenize.order import TrainingOrder
from corpusmill.tokenize.packing import Packing
from corpusmill.tokenize.shards import verify_shards
from corpusmill.tokenize.weighting import as_weights, bounded_shares, by_perplexity, tempered

COUNTS = st.dictionaries(st.text("abcdef", min_size=1), st.integers(1, 10**13), min_size=1)


def natural(tokens: Mapping[str, int]) -> dict[str, Fraction]:
    return {name: Fraction(n, sum(tokens.values())) for name, n in tokens.items()}


# ---- weights ----


@given(COUNTS, st.floats(1, 1000), st.floats(1, 20), st.floats(1, 20))
@settings(max_examples=60, deadline=None)
def test_computed_weights_keep_their_bounds_and_prefer_the_rare(
    tokens: dict[str, int], temperature: float, boost: float, repetitions: float
) -> None:
    mix = Mix(temperature=temperature, boost=boost, max_repetitions=repetitions)
    weights = mix.mixture(tokens).weights
    assert weights.keys() == tokens.keys()
    assert sum(weights.values()) == pytest.approx(1)
    times = {name: weights[name] / float(share) for name, share in natural(tokens).items()}
    assert max(times.values()) <= min(boost, repetitions) * (1 + 1e-8)
    by_size = sorted(tokens, key=lambda name: tokens[name])
    for rare, frequent in pairwise(by_size):
        assert times[rare] >= times[frequent] * (1 - 1e-8)
        assert weights[rare] <= weights[frequent] * (1 + 1e-8)
    assert weights == mix.mixture(dict(reversed(tokens.items()))).weights


@given(COUNTS)
@settings(max_examples=30, deadline=None)
def test_temperature_one_leaves_the_proportions_as_they_are(tokens: dict[str, int]) -> None:
    weights = Mix(temperature=1).mixture(tokens).weights
    assert weights == pytest.approx({n: float(s) for n, s in natural(tokens).items()})


def test_weights_are_those_of_the_formula_where_no_bound_is_met() -> None:
    tokens = {"de": 10_000, "en": 1_000_000}
    weights = Mix(temperature=2, boost=100, max_repetitions=100).mixture(tokens).weights
    assert weights == pytest.approx({"de": 1 / 11, "en": 10 / 11})
    # recorded: what other machines, engines and versions must write
    assert Mix(temperature=3.33, boost=3).mixture({"a": 7, "b": 1000, "c": 31}).weights == {
        "a": 0.0202312139,
        "b": 0.890173410,
        "c": 0.0895953757,
    }


@st.composite
def bounded(draw: st.DrawFn) -> list[tuple[Fraction, Fraction, Fraction]]:
    """Of each class what is wanted, the least and the most."""
    wanted = draw(st.lists(st.fractions(Fraction(1, 100), 10), min_size=1, max_size=8))
    least = [draw(st.fractions(0, Fraction(1, len(wanted)))) for _ in wanted]
    return [
        (w, low, low + draw(st.fractions(Fraction(1, 50), 1)))
        for w, low in zip(wanted, least, strict=True)
    ]


@given(bounded())
@settings(max_examples=100, deadline=None)
def test_shares_within_bounds_are_in_proportion_where_no_bound_is_met(
    rows: list[tuple[Fraction, Fraction, Fraction]],
) -> None:
    wanted, least, most = (
        {str(number): row[column] for number, row in enumerate(rows)} for column in range(3)
    )
    shares = bounded_shares(wanted, least, most)
    assert sum(shares.values()) == min(1, sum(most.values()))
    assert all(least[name] <= share <= most[name] for name, share in shares.items())
    free = {share / wanted[n] for n, share in shares.items() if least[n] < share < most[n]}
    assert len(free) <= 1
    for scale in free:
        # those at a bound would be beyond it
        for name, share in shares.items():
            assert share == min(max(scale * wanted[name], least[name]), most[name])


def test_weights_are_rounded_once_and_stay_positive() -> None:
    shares = tempered({"a": 1, "b": 10**13}, 1)
    assert as_weights(shares) == {"a": 1e-13, "b": 1.0}


def test_what_is_hard_to_predict_gains_and_what_was_not_measured_is_as_the_mean() -> None:
    shares = {"a": Fraction(1, 2), "b": Fraction(1, 4), "c": Fraction(1, 4)}
    found = by_perplexity(shares, {"a": 1.0, "b": 2.0})
    assert found["b"] / found["a"] == Fraction(4, 4)
    assert float(found["c"]) == pytest.approx(2 ** (1 + 1 / 3) / 4)


# ---- settings ----


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "exactly one of weights"),
        ({"weights": {}}, "exactly one of weights"),
        ({"weights": {"a": 1}, "temperature": 2}, "exactly one of weights"),
        ({"temperature": 0.5}, "greater than or equal to 1"),
        ({"temperature": float("nan")}, "finite"),
        ({"temperature": 2, "boost": 0.9}, "greater than or equal to 1"),
        ({"weights": {"a": 1}, "boost": 2}, "boost: is for temperature"),
        ({"temperature": 2, "classes": 5}, "classes: is for"),
        ({"temperature": 2, "by": "langage"}, "did you mean 'language'"),
        ({"temperature": 2, "by": "metadata."}, "followed by a key"),
        (
            {"temperature": 2, "by": "kind", "classes": 2, "budgets": {"a": 1, "b": 1}},
            "2 are named",
        ),
        ({"rebalance": ""}, "at least 1 character"),
    ],
)
def test_settings_that_do_not_fit_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mix.model_validate(given)


def test_the_plain_form_has_the_settings_that_it_had_and_names_its_sources() -> None:
    mix = Mix.model_validate({"weights": {"a": 0.6}, "budgets": {"b": 5}})
    assert mix.named_sources() == {"weights": {"a": 0.6}, "budgets": {"b": 5}, "curriculum": []}
    mixture = {"weights": {"a": 0.6}, "max_repetitions": 4.0, "budgets": {"b": 5}, "curriculum": []}
    assert mix.mixture({"a": 3}).model_dump(mode="json") == mixture
    assert Mix(by="language", weights={"de": 1}).named_sources() == {}


# ---- shards ----

LANGUAGES = ["en"] * 17 + ["de"] * 2 + [None]


def parts_of(folder: Path, documents: int = 200) -> list[Part]:
    """Two sources whose documents are of several languages and topics."""
    rows = [
        {
            "id": f"{n:032x}",
            "text": f"word{n % 17} and number {n % 7} of the tide " * 4,
            "source": "ab"[2 * n // documents],
            "language": LANGUAGES[n % len(LANGUAGES)],
            "metadata": {"topic": f"topic {n % 13}"} if n % 5 else {},
        }
        for n in range(documents)
    ]
    half = documents // 2
    return write_parts(folder, [rows[:half], rows[half:]])


def write(folder: Path, mix: Mix, documents: int = 200) -> tuple[Manifest, list[str]]:
    stage = Tokenize(vocab_size=512, shard_tokens=2048, split={"train": 0.8, "validation": 0.2})
    verbs = PlainVerbs(folder / "work")
    notes = stage.write(verbs, parts_of(folder, documents), str(folder / "shards"), (mix,))
    return read_manifest(str(folder / "shards")), notes


def groups_of(folder: Path, split: str = "train") -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((folder / "shards").glob(f"{split}-*.arrow")):
        rows = storage.read_ipc(str(path))
        found |= dict(zip(rows["id"].to_pylist(), rows["group"].to_pylist(), strict=True))
    return found


def seen(folder: Path, rows: int, **options: Any) -> Counter[str]:
    """Tokens of each class in the first rows of the order, counted document by document."""
    groups = groups_of(folder)
    batches = TokenBatches(str(folder / "shards"), batch=4, context=16, **options)
    tokens = Counter[str]()
    for step in range(1, rows // 4 + 1):
        for row in batches.documents(step):
            for span in row:
                tokens[groups[span.id]] += span.tokens
    return tokens


@pytest.mark.parametrize("packing", ["concatenate", "best_fit"])
def test_a_rare_language_is_seen_as_often_as_asked_over_an_epoch(
    packing: Packing, tmp_path: Path
) -> None:
    # whole documents leave room in the sequences of best_fit: tokens count, not sequences
    mix = Mix(by="language", temperature=1000, boost=3)
    manifest, _ = write(tmp_path, mix, documents=400)
    assert verify_shards(str(tmp_path / "shards")) == []
    held = training_tokens(manifest.shards, "language")
    assert held.keys() == {"en", "de", UNKNOWN}
    tokens = seen(tmp_path, held.total() // 16, packing=packing)
    for name in ("de", UNKNOWN):
        times = tokens[name] / tokens.total() / (held[name] / held.total())
        assert times == pytest.approx(3, rel=0.02)


def test_a_token_is_seen_no_more_often_than_the_cap_permits(tmp_path: Path) -> None:
    mix = Mix(by="language", temperature=1000, boost=8, max_repetitions=2)
    manifest, _ = write(tmp_path, mix)
    held = training_tokens(manifest.shards, "language")
    batches = TokenBatches(str(tmp_path / "shards"), batch=4, context=16)
    tokens = seen(tmp_path, batches.order.epoch_rows)
    assert all(tokens[name] <= 2 * n for name, n in held.items())
    # bounded by the cap at once, and not only when a class has run out
    half = seen(tmp_path, batches.order.epoch_rows // 2)
    assert half["de"] / held["de"] == pytest.approx(2, rel=0.06)


def test_ranks_and_resumption_give_the_same_batches_of_classes(tmp_path: Path) -> None:
    write(tmp_path, Mix(by="metadata.topic", temperature=2))
    folder = str(tmp_path / "shards")
    whole = TokenBatches(folder, batch=4, context=16)
    steps = [next(whole) for _ in range(25)]
    for rank in range(2):
        mine = TokenBatches(folder, batch=4, context=16, rank=rank, ranks=2, start_step=20)
        for step in steps[20:]:
            part = next(mine)
            assert np.array_equal(part.inputs, step.inputs[2 * rank : 2 * rank + 2])
            assert np.array_equal(part.targets, step.targets[2 * rank : 2 * rank + 2])


def test_documents_without_a_value_are_unknown_and_small_classes_are_folded(
    tmp_path: Path,
) -> None:
    mix = Mix(by="metadata.topic", temperature=1, classes=5, budgets={"topic 12": 1 << 20})
    manifest, notes = write(tmp_path, mix)
    assert manifest.mixture is not None
    assert len(manifest.mixture.weights) == 5
    assert {UNKNOWN, OTHER, "topic 12"} <= manifest.mixture.weights.keys()
    assert any("are together the class 'other'" in note for note in notes)
    groups = groups_of(tmp_path)
    assert {groups[i] for i in groups if int(i, 16) % 5 == 0} == {UNKNOWN}
    assert len(groups) + len(groups_of(tmp_path, "validation")) == 200


def test_with_weights_given_all_that_is_not_named_is_one_class(tmp_path: Path) -> None:
    weights = {"de": 1.0, OTHER: 9.0, "fr": 2.0}
    manifest, notes = write(tmp_path, Mix(by="language", weights=weights))
    assert manifest.mixture is not None
    assert manifest.mixture.weights == {"de": 1, OTHER: 9}
    assert training_tokens(manifest.shards, "language").keys() == {"de", OTHER}
    assert any("no training tokens in fr" in note for note in notes)
    with pytest.raises(RunError, match=r"none of the classes it names has .*; there is: other"):
        write(tmp_path / "none", Mix(by="language", weights={"fr": 1}))


def test_a_key_that_tells_documents_apart_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenize, "MOST_VALUES", 10)
    with pytest.raises(UsageError, match=r"metadata\.topic has more than 10 values"):
        write(tmp_path, Mix(by="metadata.topic", temperature=1))
    _, notes = write(tmp_path / "none", Mix(by="metadata.missing", temperature=1), documents=20)
    assert any("no document has a metadata.missing" in note for note in notes)


def test_values_that_are_no_names_have_no_class_of_their_own(tmp_path: Path) -> None:
    values = ["a" * 101, "two\nlines", "\x1b[31mred", " de ", "日本語", "natural language"]
    rows = [
        {"id": f"{n:032x}", "text": f"text {n}", "metadata": {"k": value}}
        for n, value in enumerate(values)
    ]
    stage = Tokenize(vocab_size=512, split={"train": 1.0})
    target = tmp_path / "shards"
    mix = Mix(by="metadata.k", temperature=1)
    stage.write(PlainVerbs(tmp_path / "w"), write_parts(tmp_path, [rows]), str(target), (mix,))
    expected = [OTHER, OTHER, OTHER, "de", "日本語", "natural language"]
    assert list(groups_of(tmp_path).values()) == expected


def test_forgetting_keeps_the_classes_of_what_stays(tmp_path: Path) -> None:
    manifest, _ = write(tmp_path, Mix(by="language", temperature=3))
    groups = groups_of(tmp_path)
    gone = [document for document, group in groups.items() if group == "de"]
    assert forget_in_shards(str(tmp_path / "shards"), pa.array(gone, pa.string())) > 0
    left = read_manifest(str(tmp_path / "shards"))
    assert verify_shards(str(tmp_path / "shards")) == []
    assert manifest.mixture is not None
    assert left.mixture is not None
    assert left.mixture.weights == {
        name: weight for name, weight in manifest.mixture.weights.items() if name != "de"
    }
    assert groups_of(tmp_path) == {i: group for i, group in groups.items() if group != "de"}


def test_a_class_that_was_changed_in_a_manifest_is_found(tmp_path: Path) -> None:
    write(tmp_path, Mix(by="language", temperature=3))
    path = tmp_path / "shards" / "manifest.json"
    content = json.loads(path.read_text())
    content["shards"][0]["groups"][0]["group"] = "xx"
    sealed = {name: value for name, value in content.items() if name != "xxh3"}
    content["xxh3"] = _checksum(sealed)
    storage.write_json(str(path), content)
    assert any("classes of a mixture" in line for line in verify_shards(str(tmp_path / "shards")))
    content["shards"][0]["groups"] = []
    content["xxh3"] = _checksum({name: value for name, value in content.items() if name != "xxh3"})
    storage.write_json(str(path), content)
    with pytest.raises(RunError, match="do not say what the mixture is by"):
        read_manifest(str(tmp_path / "shards"))


@pytest.mark.parametrize(
    ("mixed", "packing", "recorded"),
    [
        (False, "concatenate", "bd09ece1661108c4e85808938428e934"),
        (False, "best_fit", "df6beaf5f230e349c577a369ebadd17a"),
        (True, "concatenate", "a5fa3534658dd63f7c5a8323213f9509"),
        (True, "best_fit", "061ddb0b4f3f8e394c1130bee008f3fb"),
    ],
)
def test_shards_of_the_plain_form_are_written_and_read_as_they_were_before_there_were_classes(
    mixed: bool, packing: Packing, recorded: str, tmp_path: Path
) -> None:
    lengths = {"a": [37, 5, 300, 11, 64], "b": [3, 200, 17, 90], "c": [41] * 9}
    phase = MixturePhase(tokens=160, weights={"b": 1})
    weights = {"a": 0.5, "b": 0.3, "c": 0.2}
    mixture = Mixture(weights=weights, max_repetitions=2, budgets={"c": 200}, curriculum=(phase,))
    table = token_documents(lengths, small_vocabulary())
    write_folder(
        tmp_path,
        {"train": table},
        small_vocabulary(),
        shard_tokens=300,
        mixture=mixture if mixed else None,
    )
    content = json.loads((tmp_path / "manifest.json").read_text())
    fields = ["name", "split", "rows", "tokens", "text_bytes", "bytes", "xxh3", "runs"]
    assert all(list(shard) == fields for shard in content["shards"])
    if mixed:
        assert list(content["mixture"]) == ["weights", "max_repetitions", "budgets", "curriculum"]
    digest = xxhash.xxh3_128()
    batches = TokenBatches(str(tmp_path), context=16, batch=4, packing=packing, documents=True)
    for step in range(1, 101):
        inputs, targets, numbers = batches.batch(step)
        assert numbers is not None
        for array in (inputs, targets, numbers):
            digest.update(array.tobytes())
        spans = [[(s.id, s.first_token, s.tokens) for s in row] for row in batches.documents(step)]
        digest.update(repr(spans).encode())
    assert digest.hexdigest() == recorded


# ---- the weights of the next round ----


def write_training(folder: Path, rows: list[dict[str, Any]], mixture: Any) -> str:
    """A training folder as far as a mixture reads it."""
    record = {
        "format": 3,
        "settings": Settings().model_dump(mode="json"),
        "shards": "gone",
        "shards_xxh3": "0",
        "tokenizer": "0",
        "mixture": mixture,
        "start": None,
    }
    storage.write_json(str(folder / "train.json"), record)
    lines = (json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text("".join(lines))
    return str(folder)


def evaluated(step: int, **parts: dict[str, float]) -> dict[str, Any]:
    measured = {
        part: {name: {"loss": 5.0, "bits_per_byte": bits} for name, bits in each.items()}
        for part, each in parts.items()
    }
    whole = {"validation_loss": 5.0, "validation_bits_per_byte": 2.0}
    return {"step": step, **whole, **measured}


def test_the_next_round_has_the_weights_of_the_last_times_perplexity_within_bounds(
    tmp_path: Path,
) -> None:
    rows = [
        evaluated(1, sources={"a": 9.0}, classes={"de": 1.0, "en": 7.0}),
        evaluated(2, sources={"a": 1.0}, classes={"de": 3.0, "en": 2.0}),
    ]
    mixture = {"by": "language", "weights": {"de": 2, "en": 8}}
    train = write_training(tmp_path, rows, mixture)
    mix = Mix(by="language", rebalance=train, boost=10)
    mix.check()
    assert mix.mixture({"de": 200, "en": 800}).weights == pytest.approx({"de": 1 / 3, "en": 2 / 3})
    # on other documents it is what the training had, and not what there is, that is multiplied
    assert mix.mixture({"de": 100, "en": 900}).weights == pytest.approx({"de": 1 / 3, "en": 2 / 3})
    held = Mix(by="language", rebalance=train, boost=1.5)
    assert held.mixture({"de": 100, "en": 900}).weights == pytest.approx({"de": 0.15, "en": 0.85})
    # a class that was not measured, and had no weight, stays as it is
    three = mix.mixture({"de": 160, "en": 640, "fr": 200}).weights
    assert three["fr"] == pytest.approx(0.2 * 2**2.2 / (0.16 * 8 + 0.64 * 4 + 0.2 * 2**2.2))


def test_a_training_without_a_mixture_is_judged_by_source(tmp_path: Path) -> None:
    train = write_training(tmp_path, [evaluated(1, sources={"a": 1.0, "b": 2.0})], None)
    mix = Mix(rebalance=train)
    assert mix.mixture({"a": 500, "b": 500}).weights == pytest.approx({"a": 1 / 3, "b": 2 / 3})
    assert [Path(p).name for p in mix.content_files()["rebalance"]] == [
        "train.json",
        "metrics.jsonl",
    ]


@pytest.mark.parametrize(
    ("rows", "by", "message"),
    [
        ([], "source", "has no evaluation by source yet"),
        ([{"step": 1, "loss": 3.0, "mfu": None, "peak_memory_bytes": 1}], "source", "no eval"),
        ([evaluated(1, sources={"a": -1.0})], "source", "no evaluation"),
        ([evaluated(1, sources={"a": 1.0})], "kind", "was evaluated by source, not by kind"),
    ],
)
def test_a_training_that_says_nothing_of_the_classes_is_refused(
    rows: list[dict[str, Any]], by: str, message: str, tmp_path: Path
) -> None:
    train = write_training(tmp_path, rows, None)
    with pytest.raises(UsageError, match=message):
        Mix(by=by, rebalance=train).check()
    with pytest.raises(UsageError, match="is no training folder"):
        Mix(by=by, rebalance=str(tmp_path / "none")).check()


# ---- what training gets ----


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(40, 900), min_size=2),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_the_report_says_what_the_order_delivers(
    tokens: dict[str, int], data: st.DataObject
) -> None:
    weights = {name: data.draw(st.integers(1, 9)) for name in tokens}
    mixture = {
        "weights": weights,
        "max_repetitions": data.draw(st.sampled_from([1.0, 1.5, 4.0])),
        "budgets": {"a": data.draw(st.integers(20, 500)) * CONTEXT},
        "curriculum": [{"tokens": 60 * CONTEXT, "weights": {"a": 1, "b": 2}}],
    }
    runs = [{"source": name, "tokens": n * CONTEXT} for name, n in tokens.items()]
    facts = mixture_facts({"mixture": mixture, "shards": [{"split": "train", "runs": runs}]})
    assert facts is not None
    streams = {name: Counted(n) for name, n in tokens.items()}
    order = TrainingOrder(
        streams, Mixture.model_validate(mixture), context=CONTEXT, batch=1, seed=3
    )
    passes = order.passes(min(sum(tokens.values()), order.epoch_rows))
    for row in facts["classes"]:
        # each phase of the order may be off by a row
        assert row["epochs"] * tokens[row["name"]] == pytest.approx(
            passes[row["name"]] * tokens[row["name"]], abs=len(order.phases) + 2
        )
    assert len(facts["classes"]) == len(tokens)


def test_the_report_tells_from_where_on_a_class_is_missing() -> None:
    runs = [{"source": "a", "tokens": 100}, {"source": "b", "tokens": 900}]
    mixture = {"weights": {"a": 1, "b": 1}, "max_repetitions": 2.0}
    facts = mixture_facts({"mixture": mixture, "shards": [{"split": "train", "runs": runs}]})
    assert facts is not None
    assert facts["until"] == 400
    shares = {
        row["name"]: (row["natural"], row["asked"], row["delivered"]) for row in facts["classes"]
    }
    assert shares == {"a": (0.1, 0.5, pytest.approx(0.2)), "b": (0.9, 0.5, pytest.approx(0.8))}
    assert mixture_facts({"mixture": None, "shards": []}) is None


def test_the_passes_of_an_order_are_those_of_its_rows(tmp_path: Path) -> None:
    manifest = write_folder(
        tmp_path,
        {"train": token_documents({"a": [200], "b": [800]}, small_vocabulary())},
        small_vocabulary(),
        mixture=Mix(weights={"a": 1, "b": 1}).mixture({}),
    )
    assert manifest.mixture is not None
    order = TokenBatches(str(tmp_path), context=10, batch=1).order
    assert order.passes(0) == {"a": 0.0, "b": 0.0}
    assert order.passes(40) == {"a": 1.0, "b": 0.25}
    assert order.passes(order.epoch_rows) == {"a": 4.0, "b": 4.0}
    assert order.passes(order.epoch_rows + 40) == {"a": 5.0, "b": 4.25}
