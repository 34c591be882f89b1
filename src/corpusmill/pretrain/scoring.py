"""How well does a trained model predict a document? In nats for each byte of its text.

Nats per byte, not per token: scores of models with other vocabularies compare with them. A
document is cut into windows of about the same size, each is predicted from its own beginning (the
token before it is given), and the document's score is the median of its windows: one strange page
does not condemn a book.

The numbers depend on the shape of what is multiplied together. Windows are therefore padded to one
of a few lengths and batches to a fixed number of rows, and a batch holds windows of one call only:
the same documents in one call give the same bits, on the same machine and library versions.
"""

import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from corpusmill import storage
from corpusmill.errors import RunError, UsageError
from corpusmill.pretrain.checkpoint import Checkpoint, read_checkpoint
from corpusmill.pretrain.config import ModelSettings
from corpusmill.pretrain.device import deterministic, one_thread
from corpusmill.pretrain.folder import read_record
from corpusmill.pretrain.model import Decoder
from corpusmill.tokenize.manifest import TOKENIZER_FILE
from corpusmill.tokenize.vocabulary import Vocabulary, load_tokenizer

Int64Array = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

WINDOW_BYTES = 2048
"""Of a window, or as much as the model's context holds when that is less."""

MOST_WINDOWS = 64
"""Of a document, evenly spaced: 128 kB tell as much of a book as all of it."""

SCORE_BYTES = {"cpu": 16 << 20, "cuda": 1 << 30}
"""Scores of fp32 that are made at once: over 32 MiB glibc takes memory from the system for each
tensor and gives it back."""

BATCH_TOKENS = 2048
"""In a batch, padding included."""

SHORTEST = 16
"""Tokens to which the shortest windows are padded; the other lengths are its doubles."""


def trained_vocabulary(train: str) -> Vocabulary:
    """The vocabulary of the shards that a training folder was trained on.

    It is the folder's own copy or, in one that an earlier version made, the file beside the shards.
    Raises UsageError when neither is there or it is another vocabulary.
    """
    record = read_record(train)
    places = [os.path.join(train, TOKENIZER_FILE), os.path.join(record["shards"], TOKENIZER_FILE)]
    path = next((place for place in places if storage.exists(place)), None)
    if path is None:
        raise UsageError(
            f"{train}: has no {TOKENIZER_FILE}, and neither have its shards in {record['shards']}: "
            f"copy the one of the shards to {places[0]}"
        )
    vocabulary = load_tokenizer(path)
    if vocabulary.hash != record["tokenizer"]:
        raise UsageError(f"{path}: is not the vocabulary that {train} was trained with")
    return vocabulary


def trained_decoder(checkpoint: Checkpoint, vocabulary: Vocabulary) -> tuple[Decoder, int]:
    """The model of a checkpoint, on CUDA where there is one, ready to predict, and its context.

    Raises RunError for a checkpoint that is damaged or does not fit.
    """
    state = read_checkpoint(checkpoint)
    context = int(state["settings"]["context"])
    model = Decoder(
        ModelSettings.model_validate(state["settings"]["model"]),
        vocab_size=vocabulary.size,
        context=context,
    )
    try:
        model.load_state_dict(state["model"])
    except RuntimeError:
        raise RunError(f"{checkpoint.path}: is of another model than it says") from None
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), context


def token_bytes(vocabulary: Vocabulary) -> Int64Array:
    """UTF-8 bytes of each token, at least 1; shape [V]. Exact for byte-level vocabularies."""
    from tokenizers import pre_tokenizers

    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    sizes = np.ones(vocabulary.size, np.int64)
    for token, number in vocabulary.tokenizer().get_vocab(with_added_tokens=True).items():
        sizes[number] = max(1, len(token) if alphabet.issuperset(token) else len(token.encode()))
    return sizes


@dataclass(frozen=True, kw_only=True)
class _Windows:
    """Stretches of a flat array of tokens, in order of documents."""

    document: Int64Array
    """Index of the document that each is of; shape [windows], as all."""
    first: Int64Array
    end: Int64Array
    before: Int64Array
    """The token that the model is given in front."""
    n_bytes: FloatArray
    """Of its text."""


class DocumentScorer:
    """A checkpoint that scores documents: on one thread of the CPU, or on a CUDA device."""

    def __init__(self, checkpoint: Checkpoint, vocabulary: Vocabulary) -> None:
        """Load the weights; raises RunError for a checkpoint that is damaged or does not fit."""
        self._model, self.context = trained_decoder(checkpoint, vocabulary)
        self.end_of_text = vocabulary.end_of_text
        self._token_bytes = token_bytes(vocabulary)
        self._device = self._model.cos.device

    def score(self, tokens: Int64Array, offsets: Int64Array, n_bytes: Int64Array) -> FloatArray:
        """Nats per byte, shape [documents]; NaN for a document without text.

        Document d is tokens[offsets[d]:offsets[d + 1]], `n_bytes[d]` the UTF-8 bytes of its text.
        Its end-of-text token is given, not predicted.
        """
        windows = self._cut(tokens, offsets, n_bytes)
        values = self._nats(tokens, windows) / windows.n_bytes
        scores = np.full(len(n_bytes), np.nan)
        bounds = np.searchsorted(windows.document, np.arange(len(n_bytes) + 1))
        for document in np.flatnonzero(np.diff(bounds)).tolist():
            scores[document] = np.median(values[bounds[document] : bounds[document + 1]])
        return scores

    def _cut(self, tokens: Int64Array, offsets: Int64Array, n_bytes: Int64Array) -> _Windows:
        sizes = np.concatenate(([0], np.cumsum(self._token_bytes[tokens])))
        documents, firsts, ends, spans = [], [], [], []
        begins = np.zeros(len(n_bytes), np.int64)
        for document, size in enumerate(n_bytes.tolist()):
            first, end = int(offsets[document]), int(offsets[document + 1])
            if end > first and tokens[end - 1] == self.end_of_text:
                end -= 1
            length = end - first
            if not length or not size:
                continue
            number = max(1, round(size / WINDOW_BYTES), math.ceil(length / self.context))
            number = min(number, length)
            chosen = np.arange(number)
            if number > MOST_WINDOWS:
                chosen = np.arange(MOST_WINDOWS) * number // MOST_WINDOWS
            cuts = first + length * np.arange(number + 1) // number
            begins[document] = first
            documents.append(np.full(len(chosen), document))
            firsts.append(cuts[chosen])
            ends.append(cuts[chosen + 1])
            # tokens of a vocabulary that is not byte-level have other sizes than their names
            scale = size / (sizes[end] - sizes[first])
            spans.append((sizes[ends[-1]] - sizes[firsts[-1]]) * scale)
        if not documents:
            nothing = np.zeros(0, np.int64)
            return _Windows(
                document=nothing, first=nothing, end=nothing, before=nothing, n_bytes=np.zeros(0)
            )
        document_of, first_of = np.concatenate(documents), np.concatenate(firsts)
        is_first = first_of == begins[document_of]
        return _Windows(
            document=document_of,
            first=first_of,
            end=np.concatenate(ends),
            before=np.where(is_first, self.end_of_text, tokens[first_of - 1]),
            n_bytes=np.concatenate(spans),
        )

    def _nats(self, tokens: Int64Array, windows: _Windows) -> FloatArray:
        """What it costs to predict each window's tokens, shape [windows]."""
        lengths = windows.end - windows.first
        nats = np.zeros(len(lengths))
        shortest = 0
        with one_thread(), deterministic(), torch.inference_mode():
            for padded in self._padded_lengths():
                mine = np.flatnonzero((lengths > shortest) & (lengths <= padded))
                rows = max(1, BATCH_TOKENS // padded)
                for begin in range(0, len(mine), rows):
                    batch = mine[begin : begin + rows]
                    block = np.full((rows, padded + 1), self.end_of_text, np.int64)
                    block[: len(batch), 0] = windows.before[batch]
                    for row, window in enumerate(batch.tolist()):
                        stretch = tokens[windows.first[window] : windows.end[window]]
                        block[row, 1 : 1 + len(stretch)] = stretch
                    losses = self._losses(torch.from_numpy(block).to(self._device))
                    # causal: what is predicted in the padding changes nothing before it
                    inside = np.arange(padded) < lengths[batch, None]
                    nats[batch] = np.where(inside, losses[: len(batch)], 0).sum(1)
                shortest = padded
        return nats

    def _padded_lengths(self) -> list[int]:
        lengths = []
        length = SHORTEST
        while length < self.context:
            lengths.append(length)
            length *= 2
        return [*lengths, self.context]

    def _losses(self, block: torch.Tensor) -> FloatArray:
        """[B, T + 1] -> what each token after the first costs, in nats, [B, T]."""
        hidden = self._model.hidden(block[:, :-1])[0].flatten(0, 1)
        targets = block[:, 1:].flatten()
        rows = max(1, SCORE_BYTES[block.device.type] // (4 * self._model.head.out_features))
        pieces = [
            F.cross_entropy(self._model.head(some).float(), wanted, reduction="none")
            for some, wanted in zip(
                torch.split(hidden, rows), torch.split(targets, rows), strict=True
            )
        ]
        losses: FloatArray = torch.cat(pieces).double().cpu().numpy()
        return losses.reshape(block.shape[0], -1)
