"""Which language is a document in? The stage `language` labels documents, and may drop by label."""

from typing import Annotated, ClassVar

import pyarrow as pa
from pydantic import AfterValidator, Field

from corpusmill.document import with_column
from corpusmill.errors import one_of
from corpusmill.filters.language_id import LANGUAGES, UNDETERMINED, Identifier, model_path
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, Verdicts


def _known(language: str) -> str:
    if language not in (*LANGUAGES, UNDETERMINED):
        raise ValueError(one_of(language, (*LANGUAGES, UNDETERMINED)))
    return language


class Language(NarrowStage):
    """Sets `language` and `language_score`; by default it drops nothing.

    Languages are written as fastText writes them. A text without a letter gets the language `und`
    with score 0. Long texts are judged by a sample (filters/language_id.py).

    Documents of kind `code` are labelled too, and dropped only where `for:` is given: source code
    is in no natural language, and a recipe that keeps English does not mean to lose it.
    """

    name: ClassVar[str] = "language"

    keep: tuple[Annotated[str, AfterValidator(_known)], ...] = ()
    """Languages to keep (`en`, `de`, `zh`); the others are dropped. Empty keeps all."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """Documents whose language is less probable are dropped. By default 0.65 (FineWeb's) where
    `keep` is given, and no limit where it is not."""

    def check(self) -> None:
        """UsageError where the model or the package that reads it is missing."""
        model_path()

    def open(self) -> Apply:
        """Load the model."""
        identifier = Identifier()
        return lambda batch: self._apply(batch, identifier)

    def _apply(self, batch: pa.RecordBatch, identifier: Identifier) -> Outcome:
        found = identifier.identify(batch.column("text"))
        verdicts = Verdicts()
        limit = self.min_score
        if limit is None and self.keep:
            limit = 0.65
        for document, kind, language, score in zip(
            batch.column("id").to_pylist(),
            batch.column("kind").to_pylist(),
            found.languages,
            found.scores.tolist(),
            strict=True,
        ):
            if kind == "code" and not self.for_:
                continue
            if self.keep and language not in self.keep:
                verdicts.add(document, Action.DROPPED, "language_not_kept", detail=language)
            elif limit is not None and score < limit:
                verdicts.add(
                    document, Action.DROPPED, "language_score_below_minimum", score, limit, language
                )
        batch = with_column(batch, "language", pa.array(found.languages, pa.string()))
        batch = with_column(batch, "language_score", pa.array(found.scores))
        return Outcome(documents=batch, verdicts=verdicts.batch())
