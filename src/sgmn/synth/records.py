"""The finished records of a world: lines of products.jsonl and clips.jsonl, files of streams/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sgmn.data.dataset import clip_line, product_line
from sgmn.records import Box, Clip, Product
from sgmn.synth import ground_truth
from sgmn.synth.product import Article
from sgmn.synth.scenario import Scenario

Boxes = Mapping[int, Box]


def product(article: Article, root: Path, split: str, views: int) -> dict[str, Any]:
    """The line of a product; `group` and `varies` in it tell its near-twins."""
    pictures = [image_path(root, article, view) for view in range(views)]
    record = Product(
        product_id=article.product_id,
        title=article.title,
        image=pictures[0],
        images=tuple(pictures[1:]),
        shop_id=article.shop_id,
        category=article.category,
        attributes=article.attributes,
        extra={
            "family": article.family,
            "group": article.group,
            "varies": article.varies,
            "price": article.price / 100,
            "split": split,
        },
    )
    return product_line(record, root)


def image_path(root: Path, article: Article, view: int) -> Path:
    """Where the picture of a view lies."""
    return root / "images" / f"{article.product_id}-{view}.jpg"


def video_path(root: Path, scenario: Scenario, folder: str) -> Path:
    """Where the film lies; `folder` is videos or streams."""
    return root / folder / f"{scenario.name}.mp4"


def clip(
    scenario: Scenario, frames: Sequence[tuple[float, Boxes]], root: Path, split: str
) -> dict[str, Any]:
    """The line of a clip, its buckets computed from the boxes of its sampled frames.

    `distractors` are the other products that any sampled frame shows, `twins_beside` those of
    them that are near-twins of a product on sale.
    """
    sold = {sale.product for sale in scenario.sales if sale.product is not None}
    articles = [scenario.cast[place] for place in sorted(sold)]
    boxes = [found for _, found in frames]
    groups = {article.group for article in articles}
    seen = sorted({place for found in boxes for place in found} - sold)
    others = [scenario.cast[place] for place in seen]
    attributes = ground_truth.measures(boxes, sold) | {
        "distractors": len(others),
        "twins_beside": sum(other.group in groups for other in others),
        "family": articles[0].family,
        "varies": articles[0].varies or "nothing",
    }
    record = Clip(
        clip_id=scenario.name,
        video=video_path(root, scenario, "videos"),
        transcript=scenario.words,
        product_ids=tuple(article.product_id for article in articles),
        shop_id=articles[0].shop_id,
        end=scenario.seconds,
        boxes=ground_truth.meant(boxes, sold),
        split=split,
        attributes=attributes,
        extra=_timed(scenario, frames) | {"visible_wanted": scenario.visible},
    )
    return clip_line(record, root)


def stream(
    scenario: Scenario, frames: Sequence[tuple[float, Boxes]], shop_id: str, split: str
) -> dict[str, Any]:
    """The JSON of a stream; its video lies beside it."""
    said = [{"start": u.start, "end": u.end, "text": u.text} for u in scenario.words]
    head = {"stream_id": scenario.name, "video": f"{scenario.name}.mp4", "shop_id": shop_id}
    timed = _timed(scenario, frames)
    return head | {"split": split, "visible_wanted": scenario.visible, "transcript": said} | timed


def _timed(scenario: Scenario, frames: Sequence[tuple[float, Boxes]]) -> dict[str, Any]:
    """Who is on sale when, and which products each sampled frame shows where."""
    names = [article.product_id for article in scenario.cast]
    timeline = [
        {
            "start": sale.start,
            "end": sale.end,
            "product_id": None if sale.product is None else names[sale.product],
        }
        for sale in scenario.sales
    ]
    shown = [
        {"time": round(time, 3), "boxes": {names[place]: list(box) for place, box in found.items()}}
        for time, found in frames
    ]
    return {"timeline": timeline, "shown": shown}
