"""A stage: brings texts into one Unicode form, and drops those that were decoded wrongly."""

import unicodedata
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from corpusmill.document import with_column, with_scores
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, Verdicts
from pydantic import Field


class UnicodeForm(NarrowStage):
    """Brings texts into a normal form of Unicode, so that equal characters are equal bytes.

    Texts with many replacement characters (U+FFFD) are dropped: what stood there is lost.
    """

    name: ClassVar[str] = "unicode_form"
    version: ClassVar[int] = 1

    form: Literal["NFC", "NFKC"] = "NFC"
    """`NFKC` also writes ligatures and full-width letters as plain ones."""
    max_replaced: float = Field(default=0.001, ge=0, le=1)
    """Share of replacement characters above which a document is dropped."""

    def score_fields(self) -> tuple[str, ...]:
        """`replaced_share`: of the characters, those that are U+FFFD."""
        return ("replaced_share",)

    def open(self) -> Apply:
        """Nothing to load."""
        return self._apply

    def _apply(self, batch: pa.RecordBatch) -> Outcome:
        verdicts = Verdicts()
        texts, shares = [], []
        for document, text in zip(
            batch.column("id").to_pylist(), batch.column("text").to_pylist(), strict=True
        ):
            normal = unicodedata.normalize(self.form, text)
            share = normal.count("\ufffd") / max(len(normal), 1)
            if share > self.max_replaced:
                verdicts.add(document, Action.DROPPED, "badly_decoded", share, self.max_replaced)
            elif normal != text:
                verdicts.add(document, Action.CHANGED, "unicode_form")
            texts.append(normal)
            shares.append(share)
        documents = with_column(batch, "text", pa.array(texts, pa.large_string()))
        return Outcome(
            documents=with_scores(documents, {"replaced_share": np.array(shares)}),
            verdicts=verdicts.batch(),
        )
