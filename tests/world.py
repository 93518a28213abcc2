"""A tiny dataset on disk: six products that differ in color, with photos, clips and a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

COLORS = {
    "red milk": (200, 30, 30),
    "green milk": (30, 200, 30),
    "blue milk": (30, 30, 200),
    "red apple": (200, 90, 90),
    "green apple": (90, 200, 90),
    "blue juice": (90, 90, 200),
}


def make_image(color: tuple[int, int, int], seed: int, side: int = 32) -> Image.Image:
    """An image of one color with noise."""
    noise = np.random.default_rng(seed).normal(0, 25, (side, side, 3))
    return Image.fromarray((np.array(color) + noise).clip(0, 255).astype(np.uint8))


def make_world(root: Path) -> Path:
    """A dataset of six products, four photos of each, and four clips of frames on disk.

    The product of the last clip is not in the catalogue.
    """
    products, photos = [], []
    for number, (title, color) in enumerate(COLORS.items()):
        product_id, category = f"p{number}", title.split()[1]
        make_image(color, number).save(root / f"{product_id}.png")
        product = {"product_id": product_id, "title": title, "category": category}
        products.append(product | {"image": f"{product_id}.png"})
        for view in range(4):
            path = f"{product_id}-{view}.png"
            make_image(color, 100 * number + view).save(root / path)
            photos.append({"path": path, "product_id": product_id})
    clips = [_clip_row(number) for number in range(3)]
    clips.append({**clips[0], "clip_id": "c9", "product_ids": ["gone"]})
    _write_rows(root / "products.jsonl", products)
    _write_rows(root / "photos.jsonl", photos)
    _write_rows(root / "clips.jsonl", clips)
    return root


def _clip_row(number: int) -> dict[str, Any]:
    return {
        "clip_id": f"c{number}",
        "frames": [f"p{number}-{view}.png" for view in range(4)],
        "transcript": [{"start": 0, "end": 2, "text": "this is the milk today"}],
        "product_ids": [f"p{number}"],
    }


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_stream(root: Path) -> Path:
    """Forty seconds of video at 2 frames per second: product 0, then product 3 from 20 s on."""
    folder = root / "streams"
    folder.mkdir()
    with av.open(folder / "s.mp4", "w") as video:
        track = video.add_stream("libx264", rate=2)
        track.width, track.height, track.pix_fmt = 48, 64, "yuv420p"
        for number in range(80):
            color = COLORS["red milk" if number < 40 else "red apple"]
            image = make_image(color, number).resize((48, 64))
            video.mux(track.encode(av.VideoFrame.from_image(image)))
        video.mux(track.encode())
    transcript = [
        {"start": 1, "end": 5, "text": "hello this is the red milk"},
        {"start": 21, "end": 25, "text": "today we have apple"},
    ]
    timeline = [
        {"start": 0, "end": 20, "product_id": "p0"},
        {"start": 20, "end": 40, "product_id": "p3"},
    ]
    row = {"video": "s.mp4", "transcript": transcript, "timeline": timeline}
    (folder / "s.json").write_text(json.dumps(row))
    (root / "transcript.json").write_text(json.dumps(transcript))
    return root
