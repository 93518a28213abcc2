"""A tiny dataset on disk: six products that differ in color, with photos, clips and a stream."""

from __future__ import annotations

import json
from pathlib import Path

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


def noisy_image(color: tuple[int, int, int], seed: int, side: int = 32) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, 25, (side, side, 3))
    return Image.fromarray((np.array(color) + noise).clip(0, 255).astype(np.uint8))


def make_world(root: Path) -> Path:
    """Write a dataset of six products, four photos each, and four clips of frames on disk.

    The product of the last clip is not in the dataset.
    """
    products, photos, clips = [], [], []
    for index, (title, color) in enumerate(COLORS.items()):
        name = f"p{index}"
        noisy_image(color, index).save(root / f"{name}.png")
        products.append(
            {
                "product_id": name,
                "title": title,
                "category": title.split()[1],
                "image": f"{name}.png",
            }
        )
        for number in range(4):
            path = f"{name}-{number}.png"
            noisy_image(color, 100 * index + number).save(root / path)
            photos.append({"path": path, "product_id": name})
    for index in range(3):
        clips.append(
            {
                "clip_id": f"c{index}",
                "frames": [f"p{index}-{number}.png" for number in range(4)],
                "transcript": [{"start": 0, "end": 2, "text": "this is the milk today"}],
                "product_ids": [f"p{index}"],
            }
        )
    clips.append({**clips[0], "clip_id": "c9", "product_ids": ["gone"]})
    for name, rows in {"products": products, "photos": photos, "clips": clips}.items():
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def make_stream(root: Path) -> Path:
    """Write forty seconds of video at 2 frames per second: product 0, then product 3 from 20 s."""
    folder = root / "streams"
    folder.mkdir()
    with av.open(folder / "s.mp4", "w") as video:
        track = video.add_stream("libx264", rate=2)
        track.width, track.height, track.pix_fmt = 48, 64, "yuv420p"
        for number in range(80):
            color = COLORS["red milk" if number < 40 else "red apple"]
            image = noisy_image(color, number).resize((48, 64))
            video.mux(track.encode(av.VideoFrame.from_image(image)))
        video.mux(track.encode())
    utterances = [
        {"start": 1, "end": 5, "text": "hello this is the red milk"},
        {"start": 21, "end": 25, "text": "today we have apple"},
    ]
    timeline = [
        {"start": 0, "end": 20, "product_id": "p0"},
        {"start": 20, "end": 40, "product_id": "p3"},
    ]
    truth = {"video": "s.mp4", "transcript": utterances, "timeline": timeline}
    (folder / "s.json").write_text(json.dumps(truth))
    (root / "transcript.json").write_text(json.dumps(utterances))
    return root
