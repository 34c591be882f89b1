"""A stream of rows for tests of the training order."""

from dataclasses import dataclass

from corpusmill.tokenize.order import Int64Array
from corpusmill.tokenize.packing import Segments

CONTEXT = 16


@dataclass(frozen=True)
class Counted:
    """A stream of so many full rows; what stands in them does not matter to the order."""

    rows: int

    @property
    def tokens(self) -> int:
        return self.rows * CONTEXT

    def segments(self, rows: Int64Array) -> Segments:
        raise NotImplementedError
