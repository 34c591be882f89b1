"""The documentation of settings is what the models say."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from corpusmill.pipelines.engines.settings import EngineSettings, RaySettings, SparkSettings
from corpusmill.pipelines.reference import settings_table
from corpusmill.stages.anonymize import Anonymize
from corpusmill.stages.augment import Augment
from corpusmill.stages.augment_choice import Band, Budget
from corpusmill.stages.boilerplate import Boilerplate
from corpusmill.stages.decontaminate import Decontaminate
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.heuristics import Heuristics
from corpusmill.stages.k_anonymity import KAnonymity
from corpusmill.stages.language import Language
from corpusmill.stages.mix import Mix, Phase
from corpusmill.stages.noise import Noise
from corpusmill.stages.quality import Quality
from corpusmill.stages.scorers.checkpoint import CheckpointScorer
from corpusmill.stages.scorers.classifier import ClassifierScorer
from corpusmill.stages.scorers.ngram import NgramScorer
from corpusmill.stages.scorers.transformer import TransformerScorer
from corpusmill.stages.sources.source import Licences, Source
from corpusmill.stages.substrings import Substrings
from corpusmill.stages.tokenize import Tokenize
from corpusmill.stages.topics import Topics
from corpusmill.stages.toxicity import Toxicity
from corpusmill.stages.translation.gate import Gate
from corpusmill.stages.translation.settings import Backtranslate

PAGES: dict[str, tuple[type[BaseModel], ...]] = {
    "sources.md": (Source, Licences),
    "deduplicate.md": (Deduplicate, Boilerplate, Substrings),
    "language.md": (Language,),
    "heuristics.md": (Heuristics,),
    "quality.md": (
        Quality,
        NgramScorer,
        ClassifierScorer,
        TransformerScorer,
        CheckpointScorer,
    ),
    "decontaminate.md": (Decontaminate,),
    "toxicity.md": (Toxicity,),
    "topics.md": (Topics,),
    "augment.md": (Augment, Band, Budget, Noise),
    "backtranslation.md": (Backtranslate, Gate),
    "mix.md": (Mix, Phase),
    "k_anonymity.md": (KAnonymity,),
    "privacy.md": (Anonymize,),
    "vocabulary.md": (Tokenize,),
    "engines.md": (EngineSettings, RaySettings, SparkSettings),
}


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_every_setting_as_the_models_have_it(repo_root: Path, page: str) -> None:
    text = (repo_root / "docs" / page).read_text(encoding="utf-8")
    for model in PAGES[page]:
        assert settings_table(model) in text, f"docs/{page}: put in\n{settings_table(model)}"
