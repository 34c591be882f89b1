"""What does a training step cost beside a plain PyTorch loop, and does it compute the same?

    python benchmarks/train_step.py [--steps 8] [--context 256] [--batch 4] [--threads 1]

A decoder of GPT-2's vocabulary and 30 million parameters (6 blocks, width 384, 6 heads, tied
embeddings) takes steps on the same batches from the same weights, twice: with `corpusmill.pretrain`
and with the loop below, which is what PyTorch's own modules give: every score written out,
`F.cross_entropy`, `torch.optim.AdamW` and `clip_grad_norm_` as they come. The steps alternate, so
that what else the machine does hits both. For fp32, and for bf16 where the processor multiplies it,
one JSON object is printed:

    {"figure": "train-step", "precision": "fp32", "loss_difference": 9.5e-07, "cpu_ratio": 0.8, ...}

CPU-seconds are those of all threads, medians over the steps without the first; `cpu_ratio` is the
median of the ratios of neighbouring steps. One thread is the default: two that share a busy
machine wait for each other, and waiting counts.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

# Run as a script, Python looks for modules beside it and not in the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from corpusmill.pretrain.config import NORM_EPSILON, ModelSettings, Settings
from corpusmill.pretrain.device import deterministic, multiplies_bf16
from corpusmill.pretrain.model import Decoder, count_parameters
from corpusmill.pretrain.optimizer import build_optimizer, set_learning_rate
from corpusmill.pretrain.parallel import World
from corpusmill.pretrain.step import take_step
from corpusmill.tokenize.dataset import Tensors

VOCABULARY = 50_257
LAYERS, WIDTH, HEADS, FEED_FORWARD = 6, 384, 6, 1024
RATE = 3e-4
CPU = torch.device("cpu")


class PlainBlock(nn.Module):
    """Llama's block, as one writes it down."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(WIDTH, eps=NORM_EPSILON)
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.value = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.feed_forward_norm = nn.RMSNorm(WIDTH, eps=NORM_EPSILON)
        self.gate = nn.Linear(WIDTH, FEED_FORWARD, bias=False)
        self.up = nn.Linear(WIDTH, FEED_FORWARD, bias=False)
        self.down = nn.Linear(FEED_FORWARD, WIDTH, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, T, D] -> the same."""
        batch, length, _ = x.shape
        seen = self.attention_norm(x)
        query, key, value = (
            layer(seen).view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        query, key = (rotated(part, cos, sin) for part in (query, key))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        seen = self.feed_forward_norm(x)
        return x + self.down(F.silu(self.gate(seen)) * self.up(seen))  # type: ignore[no-any-return]


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions; cos and sin [T, d]."""
    left, right = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((-right, left), dim=-1) * sin).to(x.dtype)


class PlainDecoder(nn.Module):
    """All blocks, the embedding and the head, which are one matrix."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(PlainBlock() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, eps=NORM_EPSILON)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight
        width = WIDTH // HEADS
        rates = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = torch.outer(torch.arange(context, dtype=torch.float64), rates).repeat(1, 2)
        self.cos, self.sin = angles.cos().float(), angles.sin().float()

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, T] -> scores [B, T, V]."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        scores: Tensor = self.head(self.norm(x))
        return scores


def plain_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of ours under the names above."""
    layers = {"feed_forward.out": "down", "feed_forward.": "", "attention.": ""}
    renamed = {}
    for name, tensor in weights.items():
        for ours, plain in layers.items():
            name = name.replace(ours, plain)
        renamed[name] = tensor
    return renamed


def plain_step(
    model: PlainDecoder, optimizer: torch.optim.Optimizer, batch: Tensors, precision: str
) -> float:
    """One update; returns the loss."""
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        scores = model(batch.inputs)
        loss = F.cross_entropy(scores.flatten(0, 1), batch.targets.flatten())
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def model(context: int) -> Decoder:
    """Ours."""
    shape = ModelSettings(
        layers=LAYERS, width=WIDTH, heads=HEADS, kv_heads=HEADS, feed_forward=FEED_FORWARD
    )
    return Decoder(shape, vocab_size=VOCABULARY, context=context)


def zipf_batches(rows: int, context: int) -> Iterator[Tensors]:
    """Tokens as frequent as words are; the cost of a step does not hang on their order."""
    random = torch.Generator().manual_seed(1)
    frequencies = 1.0 / torch.arange(1, VOCABULARY + 1)
    while True:
        drawn = torch.multinomial(
            frequencies, rows * (context + 1), replacement=True, generator=random
        ).view(rows, context + 1)
        yield Tensors(drawn[:, :-1], drawn[:, 1:], None)


def timed(step: Callable[[], float]) -> tuple[float, float]:
    """What it returns, and its CPU-seconds."""
    begun = time.process_time()
    loss = step()
    return loss, time.process_time() - begun


def compare(precision: str, steps: int, rows: int, context: int) -> dict[str, object]:
    """The figures of one precision."""
    settings = Settings(batch=rows, context=context, weight_decay=0.1, clip=1.0)
    torch.manual_seed(1)
    ours = model(context)
    plain = PlainDecoder(context)
    plain.load_state_dict(plain_names(ours.state_dict()))
    our_optimizer = build_optimizer(ours, settings.weight_decay, CPU)
    set_learning_rate(our_optimizer, RATE)
    matrices = [p for p in plain.parameters() if p.ndim >= 2]
    vectors = [p for p in plain.parameters() if p.ndim < 2]
    plain_optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=RATE,
        betas=(0.9, 0.95),
        eps=1e-8,
    )
    world = World(rank=0, ranks=1, device=CPU)

    def our_step(batch: Tensors) -> float:
        with deterministic():
            return take_step(
                ours,
                our_optimizer,
                batch,
                settings,
                world,
                rows,
                lambda: torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
            ).loss

    differences, our_seconds, plain_seconds = [], [], []
    batches = zipf_batches(rows, context)
    for number in range(steps + 1):
        batch = next(batches)
        one, our_time = timed(lambda batch=batch: our_step(batch))  # type: ignore[misc]
        other, plain_time = timed(
            lambda batch=batch: plain_step(plain, plain_optimizer, batch, precision)  # type: ignore[misc]
        )
        differences.append(abs(one - other))
        if number:  # the first one allocates the optimizer's state
            our_seconds.append(our_time)
            plain_seconds.append(plain_time)
    ratios = [a / b for a, b in zip(our_seconds, plain_seconds, strict=True)]
    return {
        "figure": "train-step",
        "precision": precision,
        "parameters": count_parameters(ours),
        "tokens": rows * context,
        "threads": torch.get_num_threads(),
        "steps": steps,
        "loss_difference": max(differences),
        "our_cpu_seconds": round(statistics.median(our_seconds), 3),
        "plain_cpu_seconds": round(statistics.median(plain_seconds), 3),
        "cpu_ratio": round(statistics.median(ratios), 3),
    }


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--steps", type=int, default=8)
    arguments.add_argument("--context", type=int, default=256)
    arguments.add_argument("--batch", type=int, default=4)
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    print(json.dumps(compare("fp32", given.steps, given.batch, given.context)))
    if multiplies_bf16("cpu"):
        print(json.dumps(compare("bf16", given.steps, given.batch, given.context)))
    else:
        print(
            json.dumps(
                {
                    "figure": "train-step",
                    "precision": "bf16",
                    "skipped": "this processor has no instructions for it: `auto` takes fp32",
                }
            )
        )


if __name__ == "__main__":
    main()
