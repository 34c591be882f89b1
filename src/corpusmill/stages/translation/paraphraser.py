"""Documents in other words: each sentence of prose goes through other languages and back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import xxhash

from corpusmill.stages.translation import spans
from corpusmill.stages.translation.engines import Translator
from corpusmill.stages.translation.gate import OpenGate
from corpusmill.stages.translation.sentences import Block, blocks, is_prose, tidy


@dataclass(frozen=True, kw_only=True)
class Paraphrase:
    """What became of one document."""

    text: str | None
    """The document in other words; None where the gate refuses it."""
    reason: str | None
    """Why it was refused: `identical`, `little-changed`, `placeholders`, `numbers`, `length`,
    `chrf-low`, `chrf-high`, `language`, `similarity` or `perplexity`."""
    chain: str
    """The languages it went through: `en-pt-en`."""
    measures: dict[str, float]
    """What the gate measured (`changed`, `chrf`, `length_ratio`, `similarity`, `perplexity_ratio`)
    and numbers of sentences: `sentences` in all; `protected`, which are no prose, too long, or full
    of what is protected, and were not sent; `refused`, which came back worse and stay as they were;
    and `replaced`."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A way through other languages and back, loaded."""

    languages: tuple[str, ...]
    """From the documents' language to itself."""
    hops: tuple[Translator, ...]

    @property
    def name(self) -> str:
        """`en-pt-en`."""
        return "-".join(self.languages)

    @property
    def max_chars(self) -> int:
        """The longest sentence that all hops take."""
        return min(hop.max_chars for hop in self.hops)


@dataclass
class _Sentence:
    """One that is sent."""

    document: int
    block: int
    place: int
    original: str
    marked: str
    held: dict[str, str]
    now: str
    """Where it has got to; empty when a hop has lost it."""


@dataclass
class _Document:
    text: str
    seed: int
    chain: int
    blocks: list[Block]
    measures: dict[str, float] = field(default_factory=dict)
    instead: dict[int, dict[int, str]] = field(default_factory=dict)
    """Block -> place of a piece -> the new sentence."""
    changed: int = 0
    """Characters of sentences that were replaced."""


@dataclass(frozen=True, kw_only=True)
class Paraphraser:
    """Loaded translators and the gate. What it makes of a list of documents is a function of that
    list, their keys and the settings."""

    chains: tuple[Chain, ...]
    gate: OpenGate
    seed: int

    def paraphrase(
        self, texts: Sequence[str], keys: Sequence[str], copy: int = 0
    ) -> list[Paraphrase]:
        """Paraphrase whole documents; `keys` are their ids.

        A keyed hash of the id chooses the chain of copy 0; each further copy takes the next one, so
        that as many copies as there are chains use each once.
        """
        documents = [self._begin(text, key, copy) for text, key in zip(texts, keys, strict=True)]
        for number, chain in enumerate(self.chains):
            sentences = [
                sentence
                for place, document in enumerate(documents)
                if document.chain == number
                for sentence in _sentences(document, place, chain.max_chars)
            ]
            self._translate(chain, sentences, documents)
            for sentence in sentences:
                self._accept(sentence, documents[sentence.document])
        return [self._finish(document) for document in documents]

    def _begin(self, text: str, key: str, copy: int) -> _Document:
        seed = xxhash.xxh3_64_intdigest(f"backtranslate\0{key}".encode(), seed=self.seed)
        return _Document(
            text=text,
            seed=(seed + copy) % (1 << 64),
            chain=(seed + copy) % len(self.chains),
            blocks=list(blocks(text)),
            measures={"sentences": 0, "protected": 0, "refused": 0, "replaced": 0},
        )

    def _translate(
        self, chain: Chain, sentences: Sequence[_Sentence], documents: Sequence[_Document]
    ) -> None:
        for number, hop in enumerate(chain.hops):
            alive = [sentence for sentence in sentences if sentence.now]
            seeds = [
                xxhash.xxh3_64_intdigest(
                    f"{number}\0{sentence.block}\0{sentence.place}".encode(),
                    seed=documents[sentence.document].seed,
                )
                for sentence in alive
            ]
            results = hop.translate([sentence.now for sentence in alive], seeds)
            for sentence, result in zip(alive, results, strict=True):
                fits = len(result) <= hop.max_chars and self.gate.similar_length(
                    sentence.marked, result
                )
                sentence.now = result if fits else ""

    def _accept(self, sentence: _Sentence, document: _Document) -> None:
        """Put a sentence into its document, unless it is worse than before, or the same."""
        result = spans.restore(tidy(sentence.now, sentence.marked), sentence.held)
        if result is None or not self.gate.keeps_sentence(sentence.original, result):
            document.measures["refused"] += 1
        elif result != " ".join(sentence.original.split()):
            document.measures["replaced"] += 1
            document.instead.setdefault(sentence.block, {})[sentence.place] = result
            document.changed += len(sentence.original)

    def _finish(self, document: _Document) -> Paraphrase:
        text = "".join(
            block.written(document.instead.get(place, {}))
            for place, block in enumerate(document.blocks)
        )
        changed = document.changed / max(len(document.text.strip()), 1)
        reason = self.gate.judge(document.text, text, changed, document.measures)
        return Paraphrase(
            text=text if reason is None else None,
            reason=reason,
            chain=self.chains[document.chain].name,
            measures=document.measures,
        )


def _sentences(document: _Document, number: int, max_chars: int) -> list[_Sentence]:
    """What of a document is sent; the rest is counted."""
    found = []
    for place, block in enumerate(document.blocks):
        for piece in block.sentences:
            original = block.pieces[piece]
            document.measures["sentences"] += 1
            marked = spans.mark(original) if len(original) <= max_chars else None
            if marked is None or not is_prose(marked[0]):
                document.measures["protected"] += 1
                continue
            found.append(
                _Sentence(
                    document=number,
                    block=place,
                    place=piece,
                    original=original,
                    marked=marked[0],
                    held=marked[1],
                    now=marked[0],
                )
            )
    return found
