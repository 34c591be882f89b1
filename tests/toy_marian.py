"""A small Marian model that learns to translate between English and a made-up language.

The sentences come from a grammar of some 40 words. The made-up language, called `eo` so that it is
a language that may stand in a recipe, has other words, puts the adjective behind the noun and the
verb last, and has one word where English has two: a round trip therefore changes the wording.
"""

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

NOUNS = {
    "miller": "muelisto", "house": "domo", "home": "domo", "road": "vojo", "street": "vojo",
    "child": "infano", "kid": "infano", "market": "foiro",
}  # fmt: skip
ADJECTIVES = {
    "big": "granda", "large": "granda", "old": "maljuna", "small": "eta", "little": "eta",
}  # fmt: skip
VERBS = {
    "sees": "vidas", "watches": "vidas", "finds": "trovas", "likes": "amas", "loves": "amas",
}  # fmt: skip
ENDS = {"today": "hodiau", "now": "nun"}
COPIED = ("X1", "X2", "12", "30")
"""What both languages write alike: markers and numbers."""

TO = {"en": ">>en<<", "eo": ">>eo<<"}


def sentence(rng: random.Random) -> tuple[str, str]:
    """A sentence in English and the same in the other language."""

    def phrase() -> tuple[str, str]:
        draw = rng.random()
        if draw < 0.2:
            name = rng.choice(COPIED[:2])
            return name, name
        noun = rng.choice(sorted(NOUNS))
        if draw < 0.35:
            number = rng.choice(COPIED[2:])
            return f"{number} {noun}s", f"{number} {NOUNS[noun]}j"
        adjective = rng.choice(sorted(ADJECTIVES))
        return f"the {adjective} {noun}", f"la {NOUNS[noun]} {ADJECTIVES[adjective]}"

    first, second = phrase(), phrase()
    verb, end = rng.choice(sorted(VERBS)), rng.choice(sorted(ENDS))
    english = f"{first[0]} {verb} {second[0]} {end}."
    other = f"{first[1]} {second[1]} {ENDS[end]} {VERBS[verb]}."
    return english[0].upper() + english[1:], other[0].upper() + other[1:]


def train(folder: Path, seed: int = 1, most_steps: int = 1500) -> float:
    """Train one model for both directions and save it; returns the share of held-out sentences
    that it translates exactly."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    pairs = [sentence(rng) for _ in range(4000)]
    held_out, pairs = pairs[:60], pairs[60:]
    tokenizer = _tokenizer(folder, [text for pair in pairs for text in pair])
    vocabulary = len(tokenizer.get_vocab())
    config = MarianConfig(
        vocab_size=vocabulary,
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_position_embeddings=64,
        dropout=0.0,
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
    )
    model = MarianMTModel(config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 100, (100 / (step + 1)) ** 0.5)
    )
    right = 0.0
    for step in range(most_steps):
        chosen = [pairs[rng.randrange(len(pairs))] for _ in range(32)]
        loss = model(**_examples(tokenizer, chosen)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 49 and loss.item() < 0.5:
            right = _share_right(model, tokenizer, held_out)
            if right >= 0.97:
                break
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return right


def _tokenizer(folder: Path, texts: Sequence[str]) -> MarianTokenizer:
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=trained,
        vocab_size=200,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        num_threads=1,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    names = [pieces.id_to_piece(number) for number in range(pieces.get_piece_size())]
    special = ["</s>", "<unk>"]
    names = special + [name for name in names if name not in (*special, "<s>")]
    names += [*TO.values(), "<pad>"]
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(trained.getvalue())
    (folder / "vocab.json").write_text(json.dumps({n: i for i, n in enumerate(names)}))
    return MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "vocab.json"),
        source_lang="en",
        target_lang="eo",
    )


def _examples(
    tokenizer: MarianTokenizer, pairs: Sequence[tuple[str, str]]
) -> dict[str, torch.Tensor]:
    """Each pair in one of both directions."""
    sources, targets = [], []
    for number, (english, other) in enumerate(pairs):
        there = number % 2 == 0
        sources.append(f"{TO['eo']} {english}" if there else f"{TO['en']} {other}")
        targets.append(other if there else english)
    inputs = tokenizer(sources, text_target=targets, padding=True, return_tensors="pt")
    labels = inputs["labels"]
    labels[labels == tokenizer.pad_token_id] = -100
    return {name: inputs[name] for name in ("input_ids", "attention_mask", "labels")}


def _share_right(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> float:
    """Of English sentences that come out as the other language's; there only is one translation."""
    sources = [f"{TO['eo']} {english}" for english, _ in pairs]
    inputs = tokenizer(sources, padding=True, return_tensors="pt")
    model.eval()
    with torch.no_grad():
        output = model.generate(**inputs, max_new_tokens=60, num_beams=1)
    model.train()
    texts = tokenizer.batch_decode(output, skip_special_tokens=True)
    count: int = sum(text == other for text, (_, other) in zip(texts, pairs, strict=True))
    return count / len(pairs)
