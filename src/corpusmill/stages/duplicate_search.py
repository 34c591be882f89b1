"""The search for duplicates, step by step: what `deduplicate` does between text and verdicts.

Each text is read once. Signatures stay in the files they were written to (`signature_files`); what
travels are pairs of integers, a band key and a document's place in the order of preference.

The driver holds arrays of integers: at its peak, while originals are put in order, 95 bytes for
each document with one keep rule, and 8 for each further one; 8 for each indexed document. Pairs are
read a slot at a time.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill import storage
from corpusmill.document import one_chunk
from corpusmill.filters.banding import Banding
from corpusmill.filters.clusters import BUCKET, least_equal
from corpusmill.filters.shingles import Shingling
from corpusmill.filters.signatures import similarity
from corpusmill.stage import Action, Rows, Verbs
from corpusmill.stages.duplicate_index import Index
from corpusmill.stages.duplicate_populations import Population
from corpusmill.stages.index_pieces import (
    StoreTask,
    UnpackTask,
    key_filter,
    store_piece,
    unpack_documents,
    unpack_signatures,
)
from corpusmill.stages.keep_rules import KeepOrder, in_order
from corpusmill.stages.near_duplicates import (
    INDEXED,
    Removals,
    SimilarPairs,
    each_pair_once,
    exact_copies,
    greedy,
)
from corpusmill.stages.signature_files import (
    Catalog,
    Integers,
    MeasureTask,
    Scheme,
    as_matrix,
    integers,
    measure,
    piece_path,
)
from corpusmill.stages.verdicts import VERDICT_ROWS, JoinVerdicts


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What documents are compared by."""

    banding: Banding
    shingling: Shingling
    threshold: float
    scheme: Scheme
    scope: str
    keep: KeepOrder


class DuplicateSearch:
    """One search of the stage, through originals or through derived documents. What is written
    here of documents is about those; `original` is used for a document that is no exact copy.

    Indexed pieces have the first numbers, indexed documents the first
    places; `first` and `first_place` are where the new ones begin. Arrays over documents count new
    ones from 0."""

    def __init__(
        self,
        comparison: Comparison,
        verbs: Verbs,
        populations: Sequence[Population],
        index: Index | None,
        after: "DuplicateSearch | None" = None,
    ) -> None:
        """`after` is the search through originals, for that through derived documents."""
        self.places: int = 0
        """Originals that it has put in order; known when it is done."""
        self.comparison = comparison
        self.verbs = verbs
        self.populations = [population for population in populations if population.size]
        self.parts = [replace(some.part, rows=some.size) for some in self.populations]
        self.index = index
        self.is_second = after is not None
        before = index.before(verbs.run) if index else ()
        self.indexed = [piece for generation in before for piece in generation.pieces]
        self.first_place = before[-1].first_place + before[-1].places if before else 0
        self.first_stored = 0
        """The number of its first piece in a generation of the index."""
        if after is not None:
            self.first_place += after.places
            self.first_stored = len(after.parts)
        self.receipts: list[str] = []
        """Of the pieces that are to be put into the index."""
        rows = [piece.documents for piece in self.indexed] + [part.rows for part in self.parts]
        firsts = [int(number) for number in np.cumsum([0, *rows])]
        self.folder = storage.join(verbs.work, "pieces")
        self.catalog = Catalog(folder=self.folder, firsts=tuple(firsts))
        self.old = range(len(self.indexed))
        self.new = range(len(self.indexed), len(rows))
        self.first = firsts[len(self.indexed)]
        self.documents = firsts[-1] - self.first

    def verdicts(self) -> JoinVerdicts:
        """All steps in their order."""
        self._measure()
        original, fates = self._copies()
        place = self._places(original)
        removals = self._near_duplicates(place)
        self._settle(fates, original, place, removals)
        if removals.oversized:
            self.verbs.note(
                f"deduplicate: {removals.oversized} buckets of more than {BUCKET} documents with "
                f"one band key (the largest has {removals.largest}): in these, documents were "
                f"compared with the best {BUCKET} only"
            )
        fates_file = storage.join(self.verbs.work, "fates.arrow")
        storage.write_ipc(fates_file, fates.table(place))
        self.places = len(removals.keeper)
        if self.index is not None and self.index.own(self.verbs.run) is None:
            self._store(self.index, fates_file)
        return self._joined(fates, fates_file)

    def _measure(self) -> None:
        tasks = [
            MeasureTask(
                part=part,
                folder=self.folder,
                piece=piece,
                first=self.catalog.firsts[piece],
                banding=self.comparison.banding,
                shingling=self.comparison.shingling,
                keep=self.comparison.keep,
                scheme=self.comparison.scheme,
                scope=self.comparison.scope,
                rows=population.rows,
                derived=self.is_second,
            )
            for piece, part, population in zip(self.new, self.parts, self.populations, strict=True)
        ]
        self.verbs.each(measure, tasks)
        if self.indexed:
            self.verbs.each(unpack_documents, self._unpacking())

    def _unpacking(self, keys: str = "") -> list[UnpackTask]:
        assert self.index is not None
        return [
            UnpackTask(
                index=self.index.path, indexed=piece, folder=self.folder, piece=number, filter=keys
            )
            for number, piece in zip(self.old, self.indexed, strict=True)
        ]

    def _rows(self, what: str, pieces: Sequence[int]) -> Rows:
        return Rows(paths=tuple(self.catalog.path(piece, what) for piece in pieces))

    def _copies(self) -> tuple[Integers, "Fates"]:
        """Each document's original (itself, if it is one), and what is settled by that."""
        original = np.arange(self.documents)
        fates = Fates(self.documents)
        if not self.parts:
            return original, fates
        datasets = [self._rows("contents", self.new)]
        if self.indexed:
            datasets.append(self._rows("contents", self.old))
        then = functools.partial(exact_copies, order=self.comparison.keep.names())
        for table in self.verbs.load(self.verbs.exchange(*datasets, by="content", then=then)):
            copy = integers(table, "id") - self.first
            of = integers(table, "original")
            original[copy] = np.where(of == INDEXED, INDEXED, of - self.first)
            known = copy[of == INDEXED]
            fates.keeper[known] = integers(table, "keeper")[of == INDEXED]
            similar = one_chunk(table.column("similarity")).to_numpy(zero_copy_only=False)
            fates.similarity[known] = similar[of == INDEXED]
        return original, fates

    def _places(self, original: Integers) -> Integers:
        """The place of each original, -1 for copies. Written, too, with the numbers by place."""
        is_original = original == np.arange(self.documents)
        columns: list[list[Integers]] = [[] for _ in self.comparison.keep.names()]
        for piece in self.new:
            table = storage.read_ipc(self.catalog.path(piece, "contents"))
            mine = is_original[self._slice(piece)]
            for column, name in zip(columns, self.comparison.keep.names(), strict=True):
                column.append(integers(table, name)[mine])
        merged = []
        for column in columns:  # piece by piece given back
            merged.append(np.concatenate([np.zeros(0, np.int64), *column]))
            column.clear()
        numbers = np.flatnonzero(is_original)[in_order(merged)]
        place = np.full(self.documents, -1, np.int64)
        place[numbers] = self.first_place + np.arange(len(numbers))
        by_place = np.concatenate([self._indexed_numbers(), numbers + self.first])
        storage.write_ipc(self._file("numbers"), pa.table({"number": by_place}))
        storage.write_ipc(self._file("places"), pa.table({"place": place}))
        return place

    def _slice(self, piece: int) -> slice:
        """Where a new piece's documents stand in arrays over documents."""
        firsts = self.catalog.firsts
        return slice(firsts[piece] - self.first, firsts[piece + 1] - self.first)

    def _file(self, name: str) -> str:
        return storage.join(self.verbs.work, f"{name}.arrow")

    def _indexed_numbers(self) -> Integers:
        """The number of the accepted document at each place of the index, else -1."""
        numbers = np.full(self.first_place, -1, np.int64)
        for piece in self.old:
            table = storage.read_ipc(self.catalog.path(piece, "contents"))
            place = integers(table, "id")
            accepted = np.flatnonzero(integers(table, "keeper") == place)
            numbers[place[accepted]] = accepted + self.catalog.firsts[piece]
        return numbers

    def _near_duplicates(self, place: Integers) -> Removals:
        """Which originals are removed, and for whom."""
        tasks = [
            BandsTask(
                folder=self.folder,
                piece=piece,
                places=self._file("places"),
                first=self._slice(piece).start,
                rows=self.parts[piece - self.new.start].rows,
            )
            for piece in self.new
        ]
        self.verbs.each(write_bands, tasks)
        if self.indexed:
            self._filter_index()
        search = SimilarPairs(
            catalog=self.catalog,
            numbers=self._file("numbers"),
            first_new=self.first_place,
            needed=least_equal(self.comparison.threshold),
        )
        bands = self._rows("bands", [*self.old, *self.new])
        pairs = self.verbs.exchange(bands, by="band", then=search)
        pairs = self.verbs.exchange(pairs, by="slot", then=each_pair_once)
        return greedy(pairs, self.first_place, int(np.count_nonzero(place >= 0)))

    def _filter_index(self) -> None:
        """Lay out what of the index may meet a new document."""
        bands = self._rows("bands", self.new).paths
        keys = sum(storage.read_ipc(path).num_rows for path in bands)
        storage.write_ipc(self._file("filter"), pa.table({"bits": key_filter(bands, keys)}))
        self.verbs.each(unpack_signatures, self._unpacking(self._file("filter")))

    def _settle(
        self, fates: "Fates", original: Integers, place: Integers, removals: Removals
    ) -> None:
        """Removed originals, and copies: these follow their original, when it is removed."""
        originals = np.flatnonzero(place >= 0)
        position = place[originals] - self.first_place
        removed = removals.keeper[position] >= 0
        rows, position = originals[removed], position[removed]
        fates.keeper[rows] = removals.keeper[position]
        fates.similarity[rows] = similarity(removals.equal[position].astype(np.int64))
        copies = np.flatnonzero((place < 0) & (original != INDEXED))
        of = original[copies]
        follows = fates.keeper[of] >= 0
        fates.keeper[copies] = np.where(follows, fates.keeper[of], place[of])
        fates.similarity[copies] = fates.similarity[of]  # NaN where the original is kept

    def _store(self, index: Index, fates: str) -> None:
        """Write what the index is to know of the new originals."""
        tasks = [
            StoreTask(
                index=index.path,
                fingerprint=self.verbs.fingerprint,
                source=part.source,
                folder=self.folder,
                piece=piece,
                first=self._slice(piece).start,
                rows=part.rows,
                fates=fates,
                number=self.first_stored + piece,
                receipt=storage.join(self.verbs.work, "stored", f"{piece:05d}.json"),
            )
            for piece, part in zip(self.new, self.parts, strict=True)
        ]
        self.verbs.each(store_piece, tasks)
        self.receipts = [task.receipt for task in tasks]

    def _joined(self, fates: "Fates", fates_file: str) -> JoinVerdicts:
        """The verdicts of each part, in a file."""
        tasks, runs = [], {}
        for piece, part in zip(self.new, self.parts, strict=True):
            gone = int(np.count_nonzero(fates.keeper[self._slice(piece)] >= 0))
            if not gone:
                continue
            target = storage.join(self.verbs.work, "verdicts", f"{piece:05d}.arrow")
            tasks.append(
                VerdictsTask(
                    catalog=self.catalog,
                    piece=piece,
                    part=part.number,
                    first=self._slice(piece).start,
                    rows=part.rows,
                    fates=fates_file,
                    numbers=self._file("numbers"),
                    threshold=self.comparison.threshold,
                    target=target,
                )
            )
            runs[part.number] = ((target, 0, gone),)
        self.verbs.each(write_verdicts, tasks)
        return JoinVerdicts(runs=dict(sorted(runs.items())))


class Fates:
    """What becomes of each document."""

    def __init__(self, documents: int) -> None:
        self.keeper = np.full(documents, -1, np.int64)
        """The place of the document that is kept instead, -1 for one that is kept."""
        self.similarity: npt.NDArray[np.float64] = np.full(documents, np.nan)
        """To that document; NaN for exact copies of it."""

    def table(self, place: Integers) -> pa.Table:
        """As columns, together with the documents' places."""
        similar = pa.array(self.similarity, from_pandas=True)
        return pa.table({"place": place, "keeper": self.keeper, "similarity": similar})


@dataclass(frozen=True, kw_only=True)
class BandsTask:
    """A piece whose bands are to be written."""

    folder: str
    piece: int
    places: str
    first: int
    """The row of its first document in `places`."""
    rows: int


def write_bands(task: BandsTask) -> None:
    """A row for each band of each original: the key, and as `id` the document's place."""
    place = integers(storage.read_ipc(task.places).slice(task.first, task.rows), "place")
    signatures = storage.read_ipc(piece_path(task.folder, task.piece, "signatures"))
    keys = as_matrix(signatures.column("keys"), np.int64)
    mine = place[integers(signatures, "row")]
    keys, mine = keys[mine >= 0], mine[mine >= 0]
    table = pa.table({"band": keys.ravel(), "id": np.repeat(mine, keys.shape[1])})
    storage.write_ipc(piece_path(task.folder, task.piece, "bands"), table)


@dataclass(frozen=True, kw_only=True)
class VerdictsTask:
    """A piece whose verdicts are to be written."""

    catalog: Catalog
    piece: int
    part: int
    first: int
    """The row of its first document in `fates`."""
    rows: int
    fates: str
    numbers: str
    threshold: float
    target: str


def write_verdicts(task: VerdictsTask) -> None:
    """A verdict (VERDICT_ROWS) on each document that goes, with the id of the one that is kept."""
    fates = storage.read_ipc(task.fates).slice(task.first, task.rows)
    keeper = integers(fates, "keeper")
    gone = np.flatnonzero(keeper >= 0)
    similar = one_chunk(fates.column("similarity").take(pa.array(gone)))
    exact = similar.is_null().to_numpy(zero_copy_only=False)
    numbers = integers(storage.read_ipc(task.numbers), "number")
    ids = storage.read_ipc(task.catalog.path(task.piece, "ids")).column("id")
    columns = [
        ids.take(pa.array(gone)),
        pa.repeat(Action.DROPPED.value, len(gone)),
        pa.array(np.where(exact, "exact_duplicate", "near_duplicate")),
        similar.fill_null(1.0),
        pa.array(np.where(exact, 1.0, task.threshold)),
        task.catalog.ids(numbers[keeper[gone]]),
        pa.repeat(task.part, len(gone)).cast(pa.int64()),
    ]
    storage.write_ipc(task.target, pa.table(columns, schema=VERDICT_ROWS))
