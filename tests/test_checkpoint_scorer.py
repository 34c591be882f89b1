"""The model of this project's own loop as a judge: what it scores, and what it refuses."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shard_folders import real_texts, small_vocabulary, write_real_folder
from tests.verbs_fixture import PlainVerbs

from corpusmill.document import document_id, document_schema, documents_from_rows
from corpusmill.errors import RunError, UsageError
from corpusmill.pretrain.checkpoint import list_checkpoints, newest_checkpoint
from corpusmill.pretrain.loop import train
from corpusmill.pretrain.scoring import (
    MOST_WINDOWS,
    DocumentScorer,
    token_bytes,
    trained_vocabulary,
)
from corpusmill.stages.scorers.checkpoint import NATS_PER_BYTE, CheckpointScorer
from corpusmill.stages.scorers.pretrained import NO_TEXT
from corpusmill.tokenize.encode import Encoder

TINY = [
    "steps=60",
    "batch=8",
    "context=64",
    "learning_rate=1e-2",
    "checkpoint_every=30",
    "device=cpu",
    "precision=fp32",
    "model.layers=1",
    "model.width=32",
    "model.feed_forward=64",
]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of source code. Not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    write_real_folder(folder / "shards")
    train(
        shards=str(folder / "shards"),
        out=str(folder / "train"),
        config=None,
        overrides=TINY,
        echo=lambda line: None,
    )
    return folder / "train"


@pytest.fixture(scope="module")
def scorer(trained: Path) -> DocumentScorer:
    checkpoint = newest_checkpoint(str(trained), lambda line: None)
    return DocumentScorer(checkpoint, trained_vocabulary(str(trained)))


def score(scorer: DocumentScorer, texts: list[str]) -> list[float]:
    """Of the texts, in one call."""
    tokens = Encoder(small_vocabulary()).encode(pa.array(texts, pa.large_string()))
    n_bytes = np.array([len(text.encode()) for text in texts], np.int64)
    values, offsets = tokens.values.to_numpy(), tokens.offsets.to_numpy()
    scores = scorer.score(values.astype(np.int64), offsets.astype(np.int64), n_bytes)
    return [float(value) for value in scores]


def batch(texts: list[str]) -> pa.RecordBatch:
    rows = [
        {"id": document_id("t", str(n), ""), "text": text, "source": "t", "kind": "web", "uri": ""}
        for n, text in enumerate(texts)
    ]
    return documents_from_rows(rows, document_schema())


def shuffled(text: str) -> str:
    """The same words in another order."""
    words = text.split(" ")
    return " ".join(words[i] for i in np.random.default_rng(1).permutation(len(words)))


def test_what_the_model_was_trained_on_costs_less_than_noise(scorer: DocumentScorer) -> None:
    texts = [text[:6000] for text in real_texts()]
    noise = ["".join(map(chr, np.random.default_rng(n).integers(33, 1000, 3000))) for n in range(3)]
    good, bad = score(scorer, texts), score(scorer, noise)
    disordered = score(scorer, [shuffled(text) for text in texts])
    assert max(good) < min(bad)
    assert all(a < b for a, b in zip(good, disordered, strict=True))
    assert all(0 < value < np.log(512) for value in good), "nats per byte, not per token or text"


def test_a_score_is_the_mean_over_the_tokens_as_the_model_gives_it(
    scorer: DocumentScorer,
) -> None:
    """A document of one window, against the model called in the plainest way."""
    text = "import json\n\ndef main() -> None:\n"
    tokens = small_vocabulary().tokenizer().encode(text).ids
    inputs = torch.tensor([[small_vocabulary().end_of_text, *tokens[:-1]]])
    with torch.no_grad():
        logits = scorer._model(inputs)[0].log_softmax(-1)
    expected = -sum(float(row[token]) for row, token in zip(logits, tokens, strict=True))
    assert score(scorer, [text]) == pytest.approx([expected / len(text)], rel=1e-5)


def test_one_strange_page_does_not_condemn_a_book(scorer: DocumentScorer) -> None:
    text = real_texts()[0]
    page = "".join(map(chr, np.random.default_rng(5).integers(33, 1000, 900)))
    plain, with_page = score(scorer, [text, text[:4000] + page + text[4000:]])
    assert with_page == pytest.approx(plain, rel=0.1)
    assert score(scorer, [page])[0] > 1.5 * plain


def test_long_documents_are_sampled_evenly(scorer: DocumentScorer) -> None:
    """A document of ten times the most windows costs what its pieces cost, to a few percent."""
    text = real_texts()[0] * 10
    tokens = len(small_vocabulary().tokenizer().encode(text).ids)
    assert tokens > 2 * MOST_WINDOWS * scorer.context
    long, short = score(scorer, [text, real_texts()[0]])
    assert long == pytest.approx(short, rel=0.1)


def test_scores_are_finite_for_documents_of_every_sort(scorer: DocumentScorer) -> None:
    texts = [
        "a",
        "\n",
        "🙂",
        "نص قصير",
        "日本語の文章です。",
        "x" * 10_000,
        " " * 500,
        "\ufffd\u200b",
    ]
    assert np.isfinite(score(scorer, texts)).all()
    assert np.isnan(score(scorer, ["", "a"])).tolist() == [True, False]
    assert score(scorer, []) == []


@settings(max_examples=8)
@given(texts=st.lists(st.text(max_size=300), min_size=1, max_size=4))
def test_the_same_documents_in_one_call_have_the_same_bits(
    scorer: DocumentScorer, texts: list[str]
) -> None:
    first, again = score(scorer, texts), score(scorer, texts)
    assert np.array_equal(first, again, equal_nan=True)
    alone = [score(scorer, [text])[0] for text in texts]
    assert np.allclose(first, alone, rtol=1e-4, equal_nan=True), "documents do not see each other"


def test_the_number_of_threads_changes_no_bit(scorer: DocumentScorer) -> None:
    texts = [text[:3000] for text in real_texts()]
    once = score(scorer, texts)
    torch.set_num_threads(2)
    try:
        assert score(scorer, texts) == once
        assert torch.get_num_threads() == 2, "the caller's setting is given back"
    finally:
        torch.set_num_threads(1)


@given(text=st.text(max_size=200))
def test_bytes_of_tokens_add_up_to_the_text(text: str) -> None:
    vocabulary = small_vocabulary()
    ids = vocabulary.tokenizer().encode(text).ids
    assert int(token_bytes(vocabulary)[ids].sum()) == len(text.encode())


def test_the_scorer_of_a_recipe_gives_what_the_model_gives(
    trained: Path, scorer: DocumentScorer, tmp_path: Path
) -> None:
    settings = CheckpointScorer(train=str(trained))
    settings.check()
    prepared = settings.prepare(PlainVerbs(tmp_path), [], [])
    judge = pickle.loads(pickle.dumps(prepared))  # noqa: S301 - as it travels to workers
    texts = [real_texts()[0], "noise " * 5, ""]
    measured = judge.open()(batch(texts))
    assert tuple(measured) == settings.measures == (NATS_PER_BYTE,)
    assert measured[NATS_PER_BYTE].tolist() == [*score(scorer, texts)[:2], NO_TEXT]
    assert judge.open()(batch([]))[NATS_PER_BYTE].shape == (0,)


def test_a_sample_leaves_the_others_without_a_score(trained: Path, tmp_path: Path) -> None:
    judge = CheckpointScorer(train=str(trained), sample=0.3).prepare(PlainVerbs(tmp_path), [], [])
    values = judge.open()(batch(["a document"] * 100))[NATS_PER_BYTE]
    assert 15 <= np.isfinite(values).sum() <= 45


def test_a_folder_that_cannot_judge_is_refused_with_the_setting(
    trained: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "train"
    shutil.copytree(trained, copy)
    scorer = CheckpointScorer(train=str(copy))
    scorer.check()

    other = small_vocabulary(600).data
    (copy / "tokenizer.json").write_bytes(other)
    with pytest.raises(UsageError, match=r"checkpoint: train: .*is not the vocabulary"):
        scorer.check()
    (copy / "tokenizer.json").unlink()
    scorer.check()  # an older folder: the vocabulary beside the shards serves

    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(UsageError, match=r"checkpoint: train: .*no checkpoint yet"):
        scorer.check()
    with pytest.raises(UsageError, match=r"checkpoint: train: .*is no training folder"):
        CheckpointScorer(train=str(tmp_path / "absent")).check()


def test_a_damaged_checkpoint_is_passed_over_and_not_removed(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "train"
    shutil.copytree(trained, copy)
    older, newer = list_checkpoints(str(copy))
    os.truncate(Path(newer.path) / "share-00000-00000.safetensors", 1000)
    said: list[str] = []
    assert newest_checkpoint(str(copy), said.append).step == older.step
    assert "damaged" in said[0]
    assert list_checkpoints(str(copy)) == [older, newer]
    with pytest.raises(RunError, match="damaged"):
        DocumentScorer(newer, small_vocabulary())
    with pytest.raises(RunError, match="another model"):
        DocumentScorer(older, small_vocabulary(600))
