"""Translates batches of sentences with a sequence-to-sequence model of `transformers`.

Marian (one direction, or several with `>>fr<<` in front), NLLB, M2M-100 and mBART (language tokens,
a forced first token), MADLAD (`<2fr>` in front). Nothing is fetched, no pickle is read, no code of
the folder is run.

Sentences are sorted by length and cut into batches of so many tokens, padding included, so that a
step of the decoder serves many sentences: on a processor, most of a step's time for one sentence is
reading the weights. One thread computes. Numbers depend on the shape of a batch: what comes out is
a function of the whole list that goes in.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch  # noqa: TID253 - this module itself is imported where a model is opened
import xxhash

from corpusmill.errors import UsageError
from corpusmill.pretrain.device import deterministic, one_thread
from corpusmill.stages.pretrained import CannotLoad, load_pretrained
from corpusmill.stages.translation.language_codes import code_of

LONGEST = 256
"""Tokens of a sentence that is translated; models have seen few longer ones."""
PAD_TO = 8
"""Tokens of which the padded lengths are multiples."""
GROWTH, MORE = 2, 16
"""A translation has at most so many times the tokens of its sentence, and so many more; one that
has not ended by then goes round in circles, and is lost."""
MAX_CHARS = 1000

_CODE_TOKEN = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")
_MARIAN_CODE = re.compile(r">>([\w-]+)<<")
_MADLAD_CODE = re.compile(r"<2(\w+)>")


class Seq2Seq:
    """A model and its tokenizer."""

    def __init__(
        self, folder: str, *, device: str, beams: int, top_k: int, batch_tokens: int
    ) -> None:
        """Load; raises UsageError if the library cannot.

        `top_k`: draw each token from so many likeliest; 0: take the likeliest of `beams` beams.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.folder = folder
        self._device = device
        self._top_k = top_k
        self._batch_tokens = batch_tokens
        self.tokenizer, self._model = _load(folder, device)
        config = self._model.config
        positions = getattr(config, "max_position_embeddings", None)
        self._longest = min(positions or LONGEST, LONGEST)
        # of the decoder, whose first token is not new; models like T5 have no such limit
        self._most_new = (positions or GROWTH * LONGEST + MORE + 1) - 1
        settings = self._model.generation_config
        settings.update(
            num_beams=beams,
            do_sample=False,  # the processor below draws
            max_length=None,
            forced_eos_token_id=None,  # the end of what did not end would not be seen
            early_stopping=beams > 1,
            num_return_sequences=1,
        )
        for name in ("temperature", "top_k", "top_p"):
            setattr(settings, name, None)
        self._settings = settings
        ends = settings.eos_token_id
        self._ends = torch.tensor(ends if isinstance(ends, list) else [ends])

    def translate(
        self, sentences: Sequence[str], seeds: Sequence[int], first_token: int | None
    ) -> list[str]:
        """Translate; `first_token` is the language's where the model wants one. Sentences that are
        too long, and translations that do not end, come back empty."""
        results = [""] * len(sentences)
        if not sentences:
            return results
        encoded = self.tokenizer(list(sentences), verbose=False)["input_ids"]
        order = sorted(
            (number for number, ids in enumerate(encoded) if len(ids) <= self._longest),
            key=lambda number: (len(encoded[number]), sentences[number], seeds[number]),
        )
        with one_thread(), deterministic(), torch.inference_mode():
            while order:
                rows, padded = _batch([len(encoded[n]) for n in order], self._batch_tokens)
                batch, order = order[-rows:], order[:-rows]
                texts = self._generate(
                    [encoded[n] for n in batch], [seeds[n] for n in batch], padded, first_token
                )
                for number, text in zip(batch, texts, strict=True):
                    results[number] = text
        return results

    def _generate(
        self, batch: list[list[int]], seeds: list[int], padded: int, first_token: int | None
    ) -> list[str]:
        ids = torch.full((len(batch), padded), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        drawing = {"logits_processor": [_Draw(seeds, self._top_k)]} if self._top_k else {}
        output = self._model.generate(
            input_ids=ids.to(self._device),
            attention_mask=mask.to(self._device),
            generation_config=self._settings,
            forced_bos_token_id=first_token,
            max_new_tokens=min(GROWTH * padded + MORE, self._most_new),
            **drawing,
        ).cpu()
        ended = torch.isin(output[:, 1:], self._ends).any(dim=1).tolist()
        options: dict[str, Any] = {"skip_special_tokens": True}
        if hasattr(self.tokenizer, "spm_target"):
            options["use_source_tokenizer"] = False
        texts = self.tokenizer.batch_decode(output, **options)
        return [text if end else "" for text, end in zip(texts, ended, strict=True)]


class Direct:
    """A model, for one of its directions."""

    max_chars = MAX_CHARS

    def __init__(self, model: Seq2Seq, source: str, target: str) -> None:
        """`source` and `target` are languages, or the model's own codes for them."""
        self._model = model
        self._prefix = ""
        self._source: str | None = None
        self._first_token: int | None = None
        tokenizer = model.tokenizer
        names = set(tokenizer.get_vocab())
        if hasattr(tokenizer, "spm_target"):
            codes = {m[1] for m in map(_MARIAN_CODE.fullmatch, names) if m}
            if len(codes) > 1:
                self._prefix = f">>{self._code(target, codes)}<< "
        elif hasattr(tokenizer, "lang_code_to_token"):
            codes = set(tokenizer.lang_code_to_token)
            self._source = self._code(source, codes)
            self._first_token = tokenizer.get_lang_id(self._code(target, codes))
        elif hasattr(tokenizer, "src_lang"):
            codes = set(filter(_CODE_TOKEN.fullmatch, names))
            self._source = self._code(source, codes)
            self._first_token = tokenizer.convert_tokens_to_ids(self._code(target, codes))
        elif codes := {m[1] for m in map(_MADLAD_CODE.fullmatch, names) if m}:
            self._prefix = f"<2{self._code(target, codes)}> "

    def translate(self, sentences: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Translate sentences in batches by length."""
        if self._source is not None:
            self._model.tokenizer.src_lang = self._source
        prefixed = [self._prefix + sentence for sentence in sentences]
        return self._model.translate(prefixed, seeds, self._first_token)

    def _code(self, language: str, codes: set[str]) -> str:
        code = code_of(language, codes)
        if code is None:
            near = ", ".join(sorted(codes)[:200]) or "no language"
            raise UsageError(
                f"backtranslate: codes: the model in {self._model.folder} has none for "
                f"{language!r}; it knows {near}"
            )
        return code


class _Draw:
    """Leaves of each sentence's next token one, drawn from the likeliest.

    The number that decides is a hash of the sentence's seed and the step, so it does not matter
    which other sentences are in the batch, or how many.
    """

    def __init__(self, seeds: Sequence[int], top_k: int) -> None:
        self._seeds = seeds
        self._top_k = top_k

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` of shape [sentences, vocabulary]."""
        step = input_ids.shape[1].to_bytes(4, "little")
        drawn = [xxhash.xxh3_64_intdigest(step, seed=seed) / 2**64 for seed in self._seeds]
        best, tokens = scores.float().topk(min(self._top_k, scores.shape[1]), dim=1)
        shares = best.cpu().double().softmax(dim=1).cumsum(dim=1)  # no deterministic sum on a GPU
        place = (shares < torch.tensor(drawn)[:, None]).sum(dim=1).clamp(max=best.shape[1] - 1)
        token = tokens.gather(1, place[:, None].to(tokens.device))
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)


def _batch(lengths: Sequence[int], batch_tokens: int) -> tuple[int, int]:
    """How many of the last, which are the longest, go together, and their padded length."""
    padded = -(-lengths[-1] // PAD_TO) * PAD_TO
    return max(1, min(len(lengths), batch_tokens // padded)), padded


def _load(folder: str, device: str) -> tuple[Any, Any]:
    """Tokenizer and model, in fp32 on a processor and bf16 on a GPU."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        tokenizer, model = load_pretrained("AutoModelForSeq2SeqLM", folder, dtype)
    except CannotLoad as reason:
        raise UsageError(
            f"backtranslate: models: transformers cannot load {folder}: its files are damaged or "
            f"do not fit together, or it does not know them ({reason})"
        ) from None
    return tokenizer, model.to(device).eval()
