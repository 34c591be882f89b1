"""What a model has learned, to read: a few continuations of a prompt."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from corpusmill.errors import UsageError
from corpusmill.pretrain.checkpoint import newest_checkpoint
from corpusmill.pretrain.device import deterministic
from corpusmill.pretrain.scoring import trained_decoder, trained_vocabulary
from corpusmill.tokenize.encode import Encoder
from corpusmill.tokenize.order import Int64Array

LEAST_TEMPERATURE = 1e-6
"""Scores divided by less leave the range of fp32; by more than its inverse, they are all alike."""

MOST_TOKENS = 1 << 20
"""Of a continuation, and MOST_SAMPLES of them: a slip of the hand is not to run for days."""

MOST_SAMPLES = 1 << 10


def generate(
    train: str,
    prompt: str,
    *,
    tokens: int,
    samples: int,
    temperature: float,
    top_k: int,
    seed: int,
    echo: Callable[[str], None],
) -> list[str]:
    """Continue `prompt` with the newest weights of a training folder, `samples` times.

    Each continuation has at most `tokens` tokens and ends at an end-of-text token. A token is drawn
    from the `top_k` most probable ones (0: from all), with their scores divided by `temperature`;
    at temperature 0 it is the most probable one. The same seed gives the same texts.
    """
    if not 1 <= tokens <= MOST_TOKENS or not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(
            f"tokens are from 1 to {MOST_TOKENS:,}, samples from 1 to {MOST_SAMPLES:,}"
        )
    if top_k < 0 or not 0 <= seed < 1 << 63:
        raise UsageError("top_k and seed are at least 0 (to 2^63)")
    if temperature != 0 and not LEAST_TEMPERATURE <= temperature <= 1 / LEAST_TEMPERATURE:
        raise UsageError(
            f"temperature: {temperature} is neither 0 nor from {LEAST_TEMPERATURE:g} to "
            f"{1 / LEAST_TEMPERATURE:g}"
        )
    if not prompt.isascii() and prompt != prompt.encode(errors="replace").decode():
        raise UsageError("prompt: is not valid UTF-8")
    vocabulary = trained_vocabulary(train)
    model, context = trained_decoder(newest_checkpoint(train, echo), vocabulary)
    encoder = Encoder(vocabulary)
    begun: Int64Array = encoder.encode(pa.array([prompt], pa.large_string())).values.to_numpy()
    # a document begins after an end-of-text token; the prompt's own end is to be found out
    first = [vocabulary.end_of_text, *begun[:-1].tolist()]
    random = torch.Generator(device=model.cos.device).manual_seed(seed)
    with deterministic(), torch.inference_mode():
        rows = torch.tensor([first] * samples, device=model.cos.device)
        for _ in range(tokens):
            scores = model(rows[:, -context:])[:, -1].float()
            rows = torch.cat((rows, _drawn(scores, temperature, top_k, random)), dim=1)
    return [_text(encoder, row[len(first) :], vocabulary.end_of_text) for row in rows.cpu().numpy()]


def _drawn(
    scores: torch.Tensor, temperature: float, top_k: int, random: torch.Generator
) -> torch.Tensor:
    """scores [rows, V] -> a token for each row, [rows, 1]."""
    if temperature == 0:
        return scores.argmax(dim=1, keepdim=True)
    if 0 < top_k < scores.shape[1]:
        least = scores.topk(top_k, dim=1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    return torch.multinomial((scores / temperature).softmax(dim=1), 1, generator=random)


def _text(encoder: Encoder, tokens: Int64Array, end_of_text: int) -> str:
    ends = np.flatnonzero(tokens == end_of_text)
    return encoder.decode(tokens[: ends[0]] if len(ends) else tokens)
