"""Build the HTML report of a watched recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgmn.catalogue.index import Index
from sgmn.evaluation.streams import time_weighted_accuracy
from sgmn.live.recognizer import Recognition, Recognizer
from sgmn.model.explanation import heat
from sgmn.records import Picture, Segment, Utterance
from sgmn.report.html import Page
from sgmn.report.segment_details import Heat, confidence, findings


def page(
    source: Path,
    found: Recognition,
    recognizer: Recognizer,
    index: Index,
    said: Sequence[Utterance] = (),
    truth: Sequence[Segment] = (),
    *,
    seconds: float,
) -> Page:
    """The page of a stream that was watched in `seconds`; its key frames are read here."""
    shelf = recognizer.shelf
    shop_id = shelf.products[0].shop_id

    def look(picture: Picture, /, said: str) -> Heat | None:
        return heat(recognizer.embedder, picture, said if "words" in recognizer.use else "")

    return Page(
        name=source.name,
        duration_s=found.duration_s,
        facts={
            "Shop": f"{shop_id or 'without a name'}, {len(shelf)} products",
            "Model": recognizer.embedder.model.name,
            "Weighed": " and ".join(recognizer.use),
            "Watched in": f"{seconds:.1f} s ({found.duration_s / seconds:.0f}x)",
            "Index": str(index.path),
        },
        findings=findings(found, source, said, recognizer.settings, look),
        titles={product.product_id: product.title for product in shelf.products},
        pictures=index.thumbnails(shop_id),
        times=found.times,
        confidence=confidence(found, recognizer.settings),
        truth=tuple(truth),
        right=time_weighted_accuracy(truth, found.segments) if truth else None,
        damage=found.damage,
    )
