"""Writes files that look like MovingFashion, and knows what an import counts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from lookalike_media import color_of, encode_image, write_video

FRAMES = 8  # of a video, at 4 per second
SHARED_IMAGE = (0, 1)  # two test products with one image
EXPECTED = ("products", "clips", "clips in missing.jsonl", "missing videos")


def write(root: Path, train: int, test: int) -> dict[str, Counter[str]]:
    """Write the data with a number of products of each split; returns what an import counts.

    Every 13th test product shares the video of the product before it; every 50th training video
    and one test video are missing. A third of the products has tracklets.
    """
    root.mkdir(parents=True)
    expected = {"train": Counter[str](), "test": Counter[str]()}
    _write_split(root, "train", train, expected["train"])
    _write_split(root, "test", test, expected["test"])
    values = {split: dict(counts) for split, counts in expected.items()}
    (root / "expected.json").write_text(json.dumps(values, indent=1))
    return expected


def _write_split(root: Path, split: str, count: int, counts: Counter[str]) -> None:
    products: dict[str, dict[str, Any]] = {}
    images, videos, shared = set(), set(), 0
    for number in range(count):
        product: dict[str, Any] = {"img_path": _image_path(split, number)}
        is_shared = split == "test" and number % 13 == 5
        own = [number - 1 if is_shared else number]
        copies = 1 if split == "test" else 1 + number % 2
        product["video_paths"] = [f"videos/{split}-{n}-{c}.mp4" for n in own for c in range(copies)]
        product["source"] = int(number % 4 != 0)
        if number % 3 == 0 and not is_shared:
            product["tracklets"] = [_tracklet() for _ in product["video_paths"]]
        products[str(1000 + number)] = product
        images.add(product["img_path"].removeprefix("./"))
        videos |= set(product["video_paths"])
        shared += is_shared
        _write_media(root, split, number, product, is_shared)
    (root / f"{split}.json").write_text(json.dumps(products))
    missing = sum(not (root / video).exists() for video in videos)
    counts |= Counter({"listed products": count, "listed videos": len(videos) + shared})
    counts |= Counter({"products": len(images), "clips": len(videos) - missing})
    counts |= Counter({"missing videos": missing, "clips in missing.jsonl": missing})
    counts |= Counter({"products that share the image of another": count - len(images)})
    counts |= Counter({"videos of several shop images": shared})
    counts_of_split = {name: number for name, number in counts.items() if number}
    counts.clear()
    counts.update(counts_of_split)


def _image_path(split: str, number: int) -> str:
    """Test products 0 and 1 have one image, whose path is written in two ways."""
    if split == "test" and number in SHARED_IMAGE:
        return "imgs/test-0.jpg" if number == 0 else "./imgs/test-0.jpg"
    return f"imgs/{split}-{number}.jpg"


def _tracklet() -> dict[str, list[float]]:
    return {str(frame): [12.0, 16.0, 36.0, 48.0] for frame in range(0, FRAMES, 2)}


def _write_media(
    root: Path, split: str, number: int, product: dict[str, Any], is_shared: bool
) -> None:
    color = color_of(number if split == "train" else 100_000 + number)
    image = root / product["img_path"]
    image.parent.mkdir(exist_ok=True)
    image.write_bytes(encode_image(color, number, (48, 48)))
    for copy, path in enumerate(product["video_paths"]):
        missing = number == 2 if split == "test" else number % 50 == 7 and copy == 0
        if not missing and not is_shared:
            write_video(root / path, color, FRAMES)
