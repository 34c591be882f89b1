"""Stages that misbehave on marked documents, for tests of isolation. Importable by children."""

import os
import signal
from typing import ClassVar

import pyarrow as pa

from corpusmill.document import with_column
from corpusmill.stage import Action, Apply, NarrowStage, Outcome, Verdicts


class Crashing(NarrowStage):
    """Upper-cases documents; does what a document's text asks for."""

    name: ClassVar[str] = "crashing"
    isolated: ClassVar[bool] = True
    batch_rows: ClassVar[int] = 8

    def open(self) -> Apply:
        """No model."""
        return self._apply

    def _apply(self, batch: pa.RecordBatch) -> Outcome:
        texts = batch.column("text").to_pylist()
        verdicts = Verdicts()
        for document, text in zip(batch.column("id").to_pylist(), texts, strict=True):
            if text == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if text.startswith("killed once ") and not os.path.exists(mark := text.split()[-1]):
                if len(texts) == 1:  # alone in its batch
                    open(mark, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            if text.startswith("worker killed once ") and not os.path.exists(text.split()[-1]):
                open(text.split()[-1], "w").close()
                os.kill(os.getppid(), signal.SIGKILL)
            if text == "raise":
                raise ValueError("a secret from the document")
            if text == "spin":
                while True:
                    pass
            if text == "allocate":
                held = bytearray(1 << 40)
                del held
            if text == "drop":
                verdicts.add(document, Action.DROPPED, "asked_for", 1.0, 0.5)
        upper = pa.array([text.upper() for text in texts], pa.large_string())
        return Outcome(documents=with_column(batch, "text", upper), verdicts=verdicts.batch())


class CrashingHere(Crashing):
    """The same, without a child process."""

    isolated: ClassVar[bool] = False


class KilledWhileOpening(NarrowStage):
    """Its first child is killed while it loads; `mark` says that it was."""

    name: ClassVar[str] = "killed_while_opening"
    isolated: ClassVar[bool] = True

    mark: str

    def open(self) -> Apply:
        """Die once."""
        if not os.path.exists(self.mark):
            open(self.mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return lambda batch: Outcome(documents=batch)
