"""What the model compared at a moment of a session: the words, and the score of each product."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sgmn.service import problems
from sgmn.service.context import Context
from sgmn.service.problems import ApiError, not_found
from sgmn.service.routes.media import TimeInPath
from sgmn.service.routes.reviews import read_titles
from sgmn.service.routes.session_models import SessionRow
from sgmn.service.streams.journal import FILE_NAME, Header, WindowRecord, read_journal
from sgmn.service.streams.score_terms import ScoreTerms, rank
from sgmn.service.streams.service import streams_of

router = APIRouter(
    prefix="/v1/sessions",
    tags=["pictures"],
    responses=problems.responses(401, 403, 404, 409, 422),
)
MAX_SCORES = 5


class ScoreTerm(BaseModel):
    """A part of a score."""

    name: str = Field(
        description="image, match (the best frame), instances (the best details), glance "
        "(a close-up), late (a close-up, detail by detail), text (words and title), text-image, "
        "image-text, or other: what other products and moments changed."
    )
    value: float = Field(description="What it adds to the score.")


class Score(BaseModel):
    """How well a product matches a window."""

    product_id: str
    title: str | None
    score: float = Field(description="Logit of the model: higher is a better match.")
    terms: list[ScoreTerm] = Field(
        description="Its parts, which add up to it. They are kept for the best products only."
    )


class WindowEvidence(BaseModel):
    """A window of a stream, and what the model made of it; times are seconds of the stream."""

    center: float
    end: float
    text: str = Field(description="What was said in the window.")
    scores: list[Score] = Field(description="The products that match best, best first.")


@router.get("/{session_id}/windows/{time_s}", summary="Get the evidence of a moment")
def get_window(context: Context, session: SessionRow, time_s: TimeInPath) -> WindowEvidence:
    """The window nearest to a time; 404 if there is none, or its evidence is not kept any more."""
    streams = streams_of(context)
    header, window = None, None
    for record in read_journal(streams.folder(session["id"]) / FILE_NAME):
        if isinstance(record, Header):
            header = record
        elif isinstance(record, WindowRecord) and _is_nearer(record, window, time_s):
            window = record
    if header is None or window is None:
        raise not_found("window")
    if len(window.logits) != len(header.product_ids):
        raise ApiError(409, "The evidence of this session does not match its products.")
    titles = read_titles(streams, session)
    scores = _list_scores(window, header.product_ids, titles)
    return WindowEvidence(center=window.center_s, end=window.end_s, text=window.text, scores=scores)


def _is_nearer(record: WindowRecord, found: WindowRecord | None, time_s: float) -> bool:
    return found is None or abs(record.center_s - time_s) < abs(found.center_s - time_s)


def _list_scores(
    window: WindowRecord, product_ids: Sequence[str], titles: dict[str, str]
) -> list[Score]:
    scores = []
    for number, place in enumerate(rank(window.logits, MAX_SCORES)):
        product_id, score = product_ids[place], float(window.logits[place])
        terms = _list_terms(window.terms, number, score)
        title = titles.get(product_id)
        scores.append(Score(product_id=product_id, title=title, score=score, terms=terms))
    return scores


def _list_terms(terms: ScoreTerms | None, number: int, score: float) -> list[ScoreTerm]:
    """The terms of the `number`-th best product, as far as they are kept."""
    if terms is None or number >= len(terms.values):
        return []
    parts = terms.split(number, score)
    return [ScoreTerm(name=name, value=value) for name, value in parts.items()]
