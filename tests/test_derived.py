"""Documents that were made of others: what becomes of them when stages judge them."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.verbs_fixture import PlainVerbs, apply_to_parts, ids, write_parts

from corpusmill.stage import GlobalStage
from corpusmill.stages.boilerplate import Boilerplate
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.duplicate_index import index_state
from corpusmill.stages.substrings import Substrings

WORDS = [a + b for a in "bdfgklmnprst" for b in ("ana", "ero", "ilu", "opa", "uma", "ento")]


def prose(seed: int, words: int = 80) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def reworded(words: Sequence[str], share: float, seed: int) -> list[str]:
    """Other words in the place of some."""
    chance = random.Random(seed)
    return [chance.choice(WORDS) if chance.random() < share else word for word in words]


Texts = Mapping[str, str | tuple[str, str]]
"""Name -> text, or (name of its original, text)."""


def judged(
    stage: GlobalStage, work: Path, texts: Texts, **verbs: Any
) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """The texts that the stage leaves by name, and of the others reason and detail (by name).

    Ids ascend with the names' order; all documents of a family lie in one of two parts.
    """
    identity = dict(zip(texts, ids(len(texts)), strict=True))
    names = {document: name for name, document in identity.items()}
    parts: list[list[dict[str, Any]]] = [[], []]
    family: dict[str, int] = {}
    for number, (name, text) in enumerate(texts.items()):
        original = text[0] if isinstance(text, tuple) else None
        family[name] = number % 2 if original is None else family[original]
        parts[family[name]].append(
            {
                "id": identity[name],
                "text": text if isinstance(text, str) else text[1],
                "augmented_from": None if original is None else identity[original],
            }
        )
    written = write_parts(work, parts)
    bound = stage.prepare(PlainVerbs(work / "work", **verbs), written)
    kept, verdicts = apply_to_parts(bound, written)
    left = {names[row["id"]]: row["text"] for row in kept.select(["id", "text"]).to_pylist()}
    gone = {
        names[row["id"]]: (row["reason"], names.get(row["detail"], ""))
        for row in verdicts
        if row["action"] == "dropped"
    }
    return left, gone


def test_a_derived_document_is_no_duplicate_of_its_original(tmp_path: Path) -> None:
    words = prose(1)
    text = " ".join(words)
    left, gone = judged(
        Deduplicate(),
        tmp_path,
        {
            "original": text,
            "shouted": ("original", text.upper()),
            "unrelated": " ".join(prose(2)),
        },
    )
    assert gone == {}
    assert len(left) == 3


def test_of_derived_documents_that_are_equal_or_nearly_one_stays(tmp_path: Path) -> None:
    words = prose(1, 300)
    new = reworded(words, 0.5, 1)
    near = [*new[:-3], "other", "end", "here"]
    _, gone = judged(
        Deduplicate(keep=("longest",)),
        tmp_path,
        {
            "original": " ".join(words),
            "first": ("original", " ".join([*new, "more"])),
            "same": ("original", " ".join([*new, "more"]).upper()),
            "near": ("original", " ".join(near)),
            "other": ("original", " ".join(reworded(words, 0.5, 2))),
        },
    )
    assert gone == {"same": ("exact_duplicate", "first"), "near": ("near_duplicate", "first")}


@pytest.mark.parametrize("order", [("copy", "page"), ("page", "copy")])
def test_what_derives_from_a_dropped_original_drops_nothing(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    """Two copies of one page, each translated: the translation of the one that stays, stays."""
    text, new = " ".join(prose(1)), " ".join(prose(2))
    texts: dict[str, str | tuple[str, str]] = {"page": text, "copy": text}
    texts |= {f"of {name}": (name, new) for name in order}  # ids, which decide among equals
    _, gone = judged(Deduplicate(), tmp_path, texts)
    assert set(gone) == {"copy"}  # and with it, in a run, "of copy"


def test_an_original_never_goes_for_a_derived_document(tmp_path: Path) -> None:
    words = prose(1, 400)
    other = reworded(words, 0.04, 1)  # as similar to the derived one as to be its duplicate
    _, gone = judged(
        Deduplicate(threshold=0.9),
        tmp_path,
        {
            "original": " ".join(words),
            "other": " ".join(other),
            "derived": ("original", " ".join([*other, "and", "more"])),
        },
    )
    assert gone == {}


@given(
    pages=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8),
    made=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2)), max_size=8),
)
@settings(max_examples=15, deadline=None)
def test_derived_documents_change_nothing_for_originals(
    tmp_path_factory: pytest.TempPathFactory,
    pages: list[tuple[int, int]],
    made: list[tuple[int, int]],
) -> None:
    """And of those of kept originals, one of each kind stays."""
    originals: dict[str, str | tuple[str, str]] = {
        f"page {i}": " ".join(reworded(prose(topic, 200), 0.01 * edit, i * edit))
        for i, (topic, edit) in enumerate(pages)
    }
    derived: dict[str, str | tuple[str, str]] = {
        f"made {i}": (f"page {page % len(pages)}", " ".join(prose(10 + kind)))
        for i, (page, kind) in enumerate(made)
    }
    alone = judged(Deduplicate(), tmp_path_factory.mktemp("alone"), originals)[1]
    _, gone = judged(Deduplicate(), tmp_path_factory.mktemp("all"), {**originals, **derived})
    assert {name: verdict for name, verdict in gone.items() if name in originals} == alone
    there = [
        (name, text[1])
        for name, text in derived.items()
        if text[0] not in alone and isinstance(text, tuple)
    ]
    assert {text for name, text in there if name not in gone} == {text for _, text in there}
    assert len([name for name, _ in there if name not in gone]) == len({t for _, t in there})
    assert not {name for name in gone if name in derived} - {name for name, _ in there}


def test_an_index_knows_derived_documents_of_earlier_runs(tmp_path: Path) -> None:
    index = str(tmp_path / "index")
    stage = Deduplicate(index=index)
    page, new = " ".join(prose(1)), " ".join(prose(2))
    first: Texts = {
        "page": page,
        "copy": page,
        "of page": ("page", new),
        "of copy": ("copy", " ".join(prose(4))),
    }
    second: Texts = {
        "another": " ".join(prose(3)),
        "again": ("another", new),
        "fresh": ("another", " ".join(prose(4))),  # went with its original: it was never there
        "plain": new,
    }
    _, gone = judged(stage, tmp_path / "one", first, run="one", fingerprint="1" * 32)
    assert set(gone) == {"copy"}
    outside = index_state(index, "two")
    for again in range(2):  # the run that is repeated compares with those before it only
        _, gone = judged(
            stage,
            tmp_path / f"two {again}",
            second,
            run="two",
            fingerprint="2" * 32,
            outside=outside,
        )
        assert {name: reason for name, (reason, _) in gone.items()} == {"again": "exact_duplicate"}


PASSAGE = " ".join(prose(7, 60))
LINE = "Read more about this topic on our other pages."


def test_passages_of_an_original_stay_in_what_was_made_of_it(tmp_path: Path) -> None:
    texts: Texts = {
        "page": f"{PASSAGE} {' '.join(prose(1))}",
        "noisy": ("page", f"{PASSAGE} {' '.join(prose(2))}"),
        "other": f"{' '.join(prose(3))} {PASSAGE}",
        "of other": ("other", f"{' '.join(prose(4))} {PASSAGE}"),
    }
    left, _ = judged(Substrings(min_words=20), tmp_path, texts)
    assert [name for name, text in left.items() if PASSAGE in text] == ["page", "noisy"]
    assert set(left) == set(texts)


def test_lines_of_an_original_stay_in_what_was_made_of_it(tmp_path: Path) -> None:
    texts: Texts = {
        "page": f"{' '.join(prose(1))}\n{LINE}",
        "noisy": ("page", f"{' '.join(prose(2))}\n{LINE}"),
        "other": f"{' '.join(prose(3))}\n{LINE}",
        "of other": ("other", f"{' '.join(prose(4))}\n{LINE}"),
    }
    left, _ = judged(Boilerplate(), tmp_path, texts)
    assert [name for name, text in left.items() if LINE in text] == ["page", "noisy"]
