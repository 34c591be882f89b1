"""The pages of the explorer: what is asked in an address, and the facts that answer it.

All of them only read. Addresses hold ids, names from the run's own record, and numbers; anything
else is an answer 400 or 404, never an exception.
"""

import functools
import math
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from corpusmill import storage
from corpusmill.errors import MillError, UsageError, one_of
from corpusmill.report.explorer.catalogue import (
    FATES,
    PAGE_ROWS,
    Catalogue,
    Filters,
    TooSlow,
)
from corpusmill.report.explorer.changed_recipe import can_change, changed_recipe
from corpusmill.report.explorer.journey import journey
from corpusmill.report.explorer.pieces import Piece, document_pieces
from corpusmill.report.explorer.thresholds import OUTPUT, Answer, StageScores
from corpusmill.report.explorer.views import FOLDER, page
from corpusmill.report.facts import read_manifest
from corpusmill.report.fate import why_data
from corpusmill.report.judged import JudgedRule, judged_rules
from corpusmill.report.lookup import applies, uri_mask
from corpusmill.report.shard_texts import read_tokenizer
from corpusmill.report.showing import MASKING, visible

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LONGEST = 500
"""Characters of a search, and of an address that is shown."""
MOVED = "at."
"""In front of a rule's name in an address that says where its threshold is moved to."""
LARGEST = 3e38
"""Measures are float32."""
STATIC = {
    "explorer.js": (FOLDER / "static" / "explorer.js", "text/javascript"),
    "explorer.css": (FOLDER / "static" / "explorer.css", "text/css"),
    "drawing.css": (FOLDER.parent / "templates" / "drawing.css", "text/css"),
}


class NotThere(MillError):
    """There is no such page in this run (404)."""


class Pages:
    """The pages of one run."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._uri = uri_mask(catalogue.record)
        self._stages = {stage.name: stage for stage in catalogue.record.stages}
        self._judging = [stage.name for stage in catalogue.record.stages if stage.judged_scores]
        self._scores: dict[str, StageScores] = {}
        self._lock = threading.Lock()
        self._drawing = threading.Lock()

    def routes(self) -> list[Route]:
        """What is served, and by what."""
        served: dict[str, Callable[[Request], Response]] = {
            "/": self.search,
            "/documents/{id}": self.document,
            "/thresholds/{stage}": self.thresholds,
            "/thresholds/{stage}/counts": self.counts,
            "/thresholds/{stage}/recipe": self.recipe,
            "/thresholds/{stage}/drawing": self.drawing,
            "/static/{name}": self.static,
        }
        routes = [Route(path, self._answered(answer)) for path, answer in served.items()]
        return [*routes, Route("/{path:path}", self._answered(self.nothing))]

    def _answered(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """The function with errors that are meant for people as pages."""

        @functools.wraps(answer)
        def answered(request: Request) -> Response:
            try:
                return answer(request)
            except MillError as error:
                status = 400 if isinstance(error, UsageError) else 500
                status = {NotThere: 404, TooSlow: 503}.get(type(error), status)
                return self._page("message.html.j2", status, message=str(error))

        return answered

    def _page(self, template: str, status: int = 200, **facts: Any) -> Response:
        return page(
            template,
            status,
            run=self.catalogue.name,
            record=self.catalogue.record,
            judging=self._judging,
            output=OUTPUT,
            **facts,
        )

    def nothing(self, request: Request) -> Response:
        """Any other address."""
        raise NotThere("There is no such page.")

    def static(self, request: Request) -> Response:
        """A file of the page itself."""
        found = STATIC.get(request.path_params["name"])
        if found is None:
            raise NotThere("There is no such file.")
        return FileResponse(found[0], media_type=found[1])

    # ---- search ----

    def search(self, request: Request) -> Response:
        """Documents by text, id, address, reason, stage, source, language and fate."""
        filters = self._filters(request)
        found = self.catalogue.find(filters)
        total = len(found.rows)
        last = max(0, (total - 1) // PAGE_ROWS)
        number = min(_page_number(request.query_params.get("page", "1")) - 1, last)
        asked = filters.asked()
        pages = {"previous": number - 1, "next": number + 1}
        return self._page(
            "search.html.j2",
            filters=filters,
            choices=self.catalogue.choices,
            has_raw_texts=self.catalogue.has_raw_texts,
            total=total,
            every=self.catalogue.documents,
            found=found,
            rows=[self._row(row) for row in self.catalogue.page(found, number)],
            first=number * PAGE_ROWS + 1,
            links={
                name: "?" + urlencode({**asked, "page": other + 1})
                for name, other in pages.items()
                if 0 <= other <= last
            },
        )

    def _filters(self, request: Request) -> Filters:
        asked = {}
        for name in Filters.__dataclass_fields__:
            value = request.query_params.get(name, "").strip()
            if len(value) > LONGEST:
                raise UsageError(f"{name}: is longer than {LONGEST} characters")
            asked[name] = value.replace("\0", "")
        filters = Filters(**asked)
        if filters.fate and filters.fate not in FATES:
            raise UsageError(f"fate: {one_of(filters.fate, FATES)}")
        return filters

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        """A document of the catalogue as it may be shown."""
        return {**row, "uri": self._uri(row["uri"])[:LONGEST]}

    # ---- one document ----

    def document(self, request: Request) -> Response:
        """A document's whole fate, from the page as it came to its tokens."""
        identity = request.path_params["id"]
        known = self.catalogue.document(identity)
        if known is None:
            raise NotThere("This run has no document with this id.")
        fate = why_data(self.catalogue.run, identity)["documents"][0]
        number, removed = self.catalogue.removed_for(identity)
        pieces: list[Piece] = []
        if fate["shard"] is not None and self._tokenizer is not None:
            folder = storage.join(self.catalogue.run, "shards")
            pieces = document_pieces(folder, fate["shard"], self._tokenizer)
        return self._page(
            "document.html.j2",
            document={**fate, "uri": fate["uri"][:LONGEST]},
            known=known,
            scores=self._judged(fate, fate["language"] or known["language"]),
            journey=journey(self.catalogue, identity, fate["part"], fate["augmented_from"]),
            pieces=pieces,
            removed=[self._row(row) for row in removed],
            removed_number=number,
            masking=MASKING,
        )

    def _judged(
        self, fate: dict[str, Any], language: str | None
    ) -> list[tuple[str, float, list[dict[str, Any]]]]:
        """Each score of a document, with the rules that judged it: {stage, drops, limit, fails}."""
        rules: dict[str, list[JudgedRule]] = {}
        for rule in judged_rules(self.catalogue.record):
            if applies(rule.stage, fate["source"], fate["kind"]):
                rules.setdefault(rule.name, []).append(rule)
        return [
            (
                name,
                value,
                [
                    {
                        "stage": rule.stage.name,
                        "drops": rule.drops,
                        "limit": limit if math.isfinite(limit) else None,
                        "fails": bool(rule.fails(np.array([value], np.float32), limit)[0]),
                    }
                    for rule in rules.get(name, [])
                    for limit in [rule.limit(language)]
                ],
            )
            for name, value in sorted(fate["scores"].items())
        ]

    @functools.cached_property
    def _tokenizer(self) -> "Tokenizer | None":
        folder = storage.join(self.catalogue.run, "shards")
        manifest = read_manifest(folder)
        try:
            return None if manifest is None else read_tokenizer(folder, manifest["tokenizer"])
        except MillError:  # not there any more, or another one: the page does without
            return None

    # ---- thresholds ----

    def thresholds(self, request: Request) -> Response:
        """The rules of a stage with sliders, and what the stage would keep."""
        scores = self._stage_scores(request)
        moved = self._moved(request, scores)
        answer = scores.answer(moved)
        return self._page(
            "thresholds.html.j2",
            stage=scores.stage,
            rules=[self._rule(scores, name, moved) for name in scores.rules],
            moved=moved,
            answer=self._shown(scores, answer),
            can_change=can_change(scores.stage),
            prefix=MOVED,
        )

    def counts(self, request: Request) -> Response:
        """The same answer as numbers, for a slider that is being moved."""
        scores = self._stage_scores(request)
        answer = scores.answer(self._moved(request, scores))
        return JSONResponse(_visible(self._shown(scores, answer)))

    def recipe(self, request: Request) -> Response:
        """The run's recipe with the moved thresholds, as a file."""
        scores = self._stage_scores(request)
        moved = self._moved(request, scores)
        text = changed_recipe(self.catalogue, scores.stage, moved, scores.answer(moved).then)
        headers = {"Content-Disposition": 'attachment; filename="recipe.yaml"'}
        return Response(text, media_type="application/yaml; charset=utf-8", headers=headers)

    def drawing(self, request: Request) -> Response:
        """The histogram of a rule, as an image: one that is out of sight need not be drawn."""
        scores = self._stage_scores(request)
        name = request.query_params.get("rule", "")
        if name not in scores.rules or not scores.edges(name):
            raise NotThere("There is no such drawing.")
        with self._drawing:
            picture = scores.drawing(name)
        head, _, body = picture.partition(">")
        colours = STATIC["drawing.css"][0].read_text()
        return Response(
            f"{head}><style>{colours}</style>{body}",
            media_type="image/svg+xml",
            headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )

    def _stage_scores(self, request: Request) -> StageScores:
        name = request.path_params["stage"]
        if name not in (*self._judging, OUTPUT):
            raise NotThere("No stage of this name has rules with thresholds.")
        with self._lock:  # read once, though several requests may want it at the same time
            if name not in self._scores:
                self._scores[name] = (
                    StageScores.of_output(self.catalogue)
                    if name == OUTPUT
                    else StageScores.of_stage(self.catalogue, self._stages[name])
                )
            return self._scores[name]

    def _moved(self, request: Request, scores: StageScores) -> dict[str, float]:
        """The thresholds in the address; rules without one, or with an empty one, are not moved."""
        moved = {}
        for key, value in request.query_params.items():
            if not key.startswith(MOVED) or not value.strip():
                continue
            name = key.removeprefix(MOVED)
            if name not in scores.rules:
                raise UsageError(f"rule {one_of(name[:LONGEST], scores.rules)}")
            try:
                moved[name] = float(value[:LONGEST])
            except ValueError:
                moved[name] = math.nan
            if not abs(moved[name]) <= LARGEST:
                raise UsageError(f"{name}: {value[:LONGEST]!r} is not a number for a threshold")
        return moved

    def _shown(self, scores: StageScores, answer: Answer) -> dict[str, Any]:
        """An answer with the addresses of the documents that it names."""
        named = {"rescued": answer.rescued, "lost": answer.lost}
        shown = ("id", "uri", "reason")
        return {
            "now": vars(answer.now),
            "then": vars(answer.then),
            "alone": answer.alone,
            **{
                what: [
                    {name: row[name] for name in shown}
                    for row in map(self._row, self.catalogue.at(numbers))
                ]
                for what, numbers in named.items()
            },
        }

    def _rule(self, scores: StageScores, name: str, moved: Mapping[str, float]) -> dict[str, Any]:
        rule = scores.rules[name]
        return {
            "name": name,
            "drops": rule.drops,
            "threshold": rule.threshold,
            "languages": dict(sorted(rule.languages.items())),
            "edges": scores.edges(name),
            "moved": moved.get(name),
            "dropped": rule.stage.counts.dropped[name],
        }


def _page_number(value: str) -> int:
    """From 1 on; what is no number is the first page."""
    return max(1, int(value)) if value.isascii() and value.isdigit() and len(value) < 9 else 1


def _visible(value: Any) -> Any:
    """Every string of an answer with control characters made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _visible(inner) for key, inner in value.items()}
    return [_visible(inner) for inner in value] if isinstance(value, list) else value
