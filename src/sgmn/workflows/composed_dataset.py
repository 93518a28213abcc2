"""Writes composed clips and streams as a dataset; finished videos are not rendered again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sgmn import outputs
from sgmn.data.dataset import clip_to_row, write_jsonl
from sgmn.records import Clip, ImageArray, Utterance
from sgmn.synth.video.writer import VideoWriter
from sgmn.workflows.composed_clips import (
    FPS,
    HEIGHT_PX,
    WIDTH_PX,
    ComposedClip,
    PhotoStock,
    compose_clip,
)
from sgmn.workflows.composed_speech import compose_utterances

Progress = Callable[[str, int, int], None]  # name of the step, files finished, of how many
CLIP_S, SALE_S = 10.0, 20.0  # duration of a clip, and of the sale of one product in a stream
PRODUCTS_PER_STREAM = 10
CRF, NOISE = 26, 2.0  # see VideoWriter
ORDER, CLIP, STREAM = range(3)  # purposes of random numbers


def write_clips(stock: PhotoStock, folder: Path, count: int, seed: int, progress: Progress) -> None:
    """Write clips.jsonl and videos/. Each product is sold once before any is sold again.

    A clip depends on the stock, the seed and its number only.
    """
    rows = []
    for number in range(count):
        rng = np.random.default_rng((seed, CLIP, number))
        clip = compose_clip(stock, _product_of(number, stock, seed), CLIP_S, rng)
        path = folder / "videos" / f"c{number:04}.mp4"
        transcript = tuple(_utterances(stock, clip, CLIP_S, rng))
        rows.append(clip_to_row(_to_record(clip, path, transcript), folder))
        _write_video(path, clip.frames(), (seed, CLIP, number))
        progress("composing clips", number + 1, count)
    write_jsonl(folder / "clips.jsonl", rows)


def write_streams(
    stock: PhotoStock, folder: Path, count: int, seed: int, progress: Progress
) -> None:
    """Write streams that sell several products, one after another, for SALE_S each."""
    for number in range(count):
        rng = np.random.default_rng((seed, STREAM, number))
        order = _shuffle([*stock.product_photos], rng)[:PRODUCTS_PER_STREAM]
        sales = [compose_clip(stock, product_id, SALE_S, rng) for product_id in order]
        path = folder / f"stream{number + 1}.mp4"
        row = _stream_row(stock, sales, path.name, rng)
        frames = (frame for sale in sales for frame in sale.frames())
        _write_video(path, frames, (seed, STREAM, number))
        outputs.write_text(path.with_suffix(".json"), json.dumps(row, indent=1) + "\n")
        progress("composing streams", number + 1, count)


def _product_of(number: int, stock: PhotoStock, seed: int) -> str:
    """Return the product that a clip sells."""
    turn, place = divmod(number, len(stock.product_photos))
    rng = np.random.default_rng((seed, ORDER, turn))
    return _shuffle([*stock.product_photos], rng)[place]


def _shuffle(ids: list[str], rng: np.random.Generator) -> list[str]:
    return [ids[i] for i in rng.permutation(len(ids))]


def _utterances(
    stock: PhotoStock, clip: ComposedClip, duration_s: float, rng: np.random.Generator
) -> Iterator[Utterance]:
    others = [stock.products[product_id] for product_id in clip.other_ids]
    sentences = stock.sentences[clip.product.product_id]
    return compose_utterances(clip.product, others, sentences, duration_s, rng)


def _to_record(composed: ComposedClip, path: Path, transcript: tuple[Utterance, ...]) -> Clip:
    own_id, places = composed.product.product_id, composed.boxes()
    return Clip(
        clip_id=path.stem,
        video=path,
        transcript=transcript,
        product_ids=(own_id,),
        boxes=tuple((box,) if product_id == own_id else () for product_id, box in places),
        attributes=composed.attributes(),
        extra={
            "visible_span": list(composed.visible_span()),
            "held_instead": [
                None if product_id == own_id else [product_id, list(box)]
                for product_id, box in places
            ],
        },
    )


def _stream_row(
    stock: PhotoStock, sales: list[ComposedClip], video: str, rng: np.random.Generator
) -> dict[str, Any]:
    transcript: list[dict[str, Any]] = []
    timeline = []
    for place, sale in enumerate(sales):
        start = place * SALE_S
        for one in _utterances(stock, sale, SALE_S, rng):
            span = {"start": round(start + one.start, 2), "end": round(start + one.end, 2)}
            transcript.append(span | {"text": one.text})
        product_id = sale.product.product_id
        timeline.append({"start": start, "end": start + SALE_S, "product_id": product_id})
    return {"video": video, "transcript": transcript, "timeline": timeline}


def _write_video(path: Path, frames: Iterator[ImageArray], seed: tuple[int, ...]) -> None:
    """Render and write a video, unless an interrupted run has finished it already."""
    if not path.exists():
        VideoWriter((WIDTH_PX, HEIGHT_PX), FPS, CRF, NOISE, seed).write(path, frames)
