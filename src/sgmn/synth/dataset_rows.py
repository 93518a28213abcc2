"""Dataset rows of a generated world: products.jsonl, clips.jsonl and the files of streams/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sgmn.data.dataset import clip_to_row, product_to_row
from sgmn.records import Box, Clip, Product
from sgmn.synth import difficulty
from sgmn.synth.plan.videos import VideoPlan
from sgmn.synth.products.spec import ProductSpec

Boxes = Mapping[int, Box]  # by index into the products of the plan
TimedBoxes = tuple[float, Boxes]  # time of a frame in seconds, and its boxes


def product_row(
    spec: ProductSpec, root: Path, split: str, image_count: int, description: str = ""
) -> dict[str, Any]:
    """Return the row of a product; `group` and `varies` identify its near-twins."""
    images = [image_path(root, spec, view) for view in range(image_count)]
    product = Product(
        product_id=spec.product_id,
        title=spec.title,
        image=images[0],
        images=tuple(images[1:]),
        shop_id=spec.shop_id,
        category=spec.category,
        attributes={**spec.attributes, **({"description": description} if description else {})},
        extra={
            "family": spec.family,
            "group": spec.group,
            "varies": spec.varies,
            "price": spec.price / 100,
            "split": split,
        },
    )
    return product_to_row(product, root)


def image_path(root: Path, spec: ProductSpec, view: int) -> Path:
    """Return the path of a product's image."""
    return root / "images" / f"{spec.product_id}-{view}.jpg"


def video_path(root: Path, plan: VideoPlan, folder: str) -> Path:
    """Return the path of a video; `folder` is "videos" or "streams"."""
    return root / folder / f"{plan.video_id}.mp4"


def clip_row(
    plan: VideoPlan, frames: Sequence[TimedBoxes], root: Path, split: str
) -> dict[str, Any]:
    """Return the row of a clip, with its difficulty computed from the boxes of sampled frames.

    The attribute `distractors` counts the other products in any sampled frame, `twins_beside`
    those of them that are near-twins of a product on sale.
    """
    on_sale = {slot.product for slot in plan.slots if slot.product is not None}
    specs = [plan.products[index] for index in sorted(on_sale)]
    boxes = [frame_boxes for _, frame_boxes in frames]
    groups = {spec.group for spec in specs}
    other_indices = sorted({index for frame_boxes in boxes for index in frame_boxes} - on_sale)
    others = [plan.products[index] for index in other_indices]
    attributes = difficulty.measure_difficulty(boxes, on_sale) | {
        "distractors": len(others),
        "twins_beside": sum(other.group in groups for other in others),
        "family": specs[0].family,
        "varies": specs[0].varies or "nothing",
    }
    clip = Clip(
        clip_id=plan.video_id,
        video=video_path(root, plan, "videos"),
        transcript=plan.transcript,
        product_ids=tuple(spec.product_id for spec in specs),
        shop_id=specs[0].shop_id,
        end=plan.duration_s,
        boxes=difficulty.select_boxes(boxes, on_sale),
        split=split,
        attributes=attributes,
        extra=_timeline_fields(plan, frames) | {"visible_wanted": plan.visible_fraction},
    )
    return clip_to_row(clip, root)


def stream_row(
    plan: VideoPlan, frames: Sequence[TimedBoxes], shop_id: str, split: str
) -> dict[str, Any]:
    """Return the JSON of a stream, whose video is in the same folder."""
    fields = {
        "stream_id": plan.video_id,
        "video": f"{plan.video_id}.mp4",
        "shop_id": shop_id,
        "split": split,
        "visible_wanted": plan.visible_fraction,
        "transcript": [{"start": u.start, "end": u.end, "text": u.text} for u in plan.transcript],
    }
    return fields | _timeline_fields(plan, frames)


def _timeline_fields(plan: VideoPlan, frames: Sequence[TimedBoxes]) -> dict[str, Any]:
    """Return what is on sale when, and which products each sampled frame shows where."""
    ids = [spec.product_id for spec in plan.products]
    timeline = [
        {
            "start": slot.start,
            "end": slot.end,
            "product_id": None if slot.product is None else ids[slot.product],
        }
        for slot in plan.slots
    ]
    visible = [
        {
            "time": round(time, 3),
            "boxes": {ids[index]: list(box) for index, box in frame_boxes.items()},
        }
        for time, frame_boxes in frames
    ]
    return {"timeline": timeline, "shown": visible}
