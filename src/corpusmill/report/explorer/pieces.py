"""The tokens of a document as pieces of its text, masked like every text that is shown."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpusmill import storage
from corpusmill.report.showing import MASK, TORN_CHARACTERS, mask

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENS = 400
"""Of a document that are shown."""
LONGEST = 4
"""Tokens that one character is made of at the most: the bytes of UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One token, or the few that a character is spread over."""

    text: str
    tokens: tuple[int, ...]
    """None of them where the text is masked: the vocabulary would tell what they say."""


def document_pieces(folder: str, shard: dict[str, Any], tokenizer: "Tokenizer") -> list[Piece]:
    """The first tokens of a document; `shard` says where they stand (`why_data`'s `shard`)."""
    path = storage.join(folder, shard["shard"].rsplit("/", 1)[-1])
    column = storage.read_ipc(path).column("tokens")
    tokens = column[shard["row"]].values.slice(0, TOKENS).to_pylist()
    return masked_pieces(_split(tokens, tokenizer), torn=shard["tokens"] > TOKENS)


def _split(tokens: list[int], tokenizer: "Tokenizer") -> list[Piece]:
    """Tokens with their text, those together that only together are whole characters."""
    pieces: list[Piece] = []
    held: list[int] = []
    for token in tokens:
        held.append(token)
        text = str(tokenizer.decode(held, skip_special_tokens=False))
        if not text.endswith("\ufffd") or len(held) == LONGEST:
            pieces.append(Piece(text=text, tokens=tuple(held)))
            held = []
    return pieces


def masked_pieces(pieces: list[Piece], *, torn: bool) -> list[Piece]:
    """The pieces with every one that touches something masked replaced by the mask.

    What the mask leaves stands in the text in the same order, so it is found there again; a place
    that is found too early shows no other characters than the masked text does.
    """
    # a text may hold what masks consist of
    text = "".join(piece.text for piece in pieces).replace(MASK[0], "\N{MEDIUM SHADE}")
    spans: list[tuple[int, int]] = []
    place = 0
    segments = mask(text).split(MASK)
    for number, segment in enumerate(segments):
        last = number == len(segments) - 1
        start = len(text) - len(segment) if last else text.index(segment, place)
        if number:
            spans.append((place, start))
        place = start + len(segment)
    if torn:
        spans.append((len(text) - TORN_CHARACTERS, len(text)))
    shown: list[Piece] = []
    end = 0
    for piece in pieces:
        start, end = end, end + len(piece.text)
        if not any(start < stop and first < end for first, stop in spans):
            shown.append(piece)
        elif not shown or shown[-1].tokens:
            shown.append(Piece(text=MASK, tokens=()))
    return shown
