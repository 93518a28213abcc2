"""Hold visits to stores back, to measure models and the text score on their photos.

    python tools/train_builtin/split.py PHOTOS OUT

The photos of a product come from a few visits to stores. Photos of one visit are so alike that a
model which has learned some of them knows the others, so a random split says little about the next
store. Here visits are found by clustering ImageNet features, and one visit is held back of each
product that has at least three. Writes OUT/train and OUT/held, whose photos.jsonl refer to the
original files.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from sgmn.batching import batched
from sgmn.data import dataset
from sgmn.data.dataset import Photo
from sgmn.media import image
from sgmn.model import backbones
from sgmn.model.inputs import fit_to_canvas

MIN_VISIT_DISTANCE = 0.35  # mean cosine distance of two visits; chosen by eye on three products
MIN_VISITS = 3  # of a product whose photos are held back
MIN_PHOTOS = 3  # of a visit
TARGET_SHARE, MAX_SHARE = 0.2, 0.4  # of a product's photos to hold back
SIDE_PX = 192
BATCH_SIZE = 64
GRAY = (127, 127, 127)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    photos = list(dataset.read_dataset(options.photos).photos)
    split_photos(photos, encode_photos([photo.path for photo in photos]), options.output)


def split_photos(photos: Sequence[Photo], features: NDArray[np.float32], output: Path) -> None:
    """Write OUTPUT/train and OUTPUT/held; `features` (N, D) are those of the photos."""
    held: set[int] = set()
    for product in dict.fromkeys(photo.product_id for photo in photos):
        own = np.array([at for at, photo in enumerate(photos) if photo.product_id == product])
        held.update(own[select_held(cluster_visits(features[own]))].tolist())
    for name, is_held in (("held", True), ("train", False)):
        selected = (photo for place, photo in enumerate(photos) if (place in held) == is_held)
        write_photos(selected, output / name)


@torch.inference_mode()
def encode_photos(paths: Sequence[Path]) -> NDArray[np.float32]:
    """Features (N, D) of photos from a tower trained on ImageNet."""
    network = backbones.build_lite("lite1").network
    tower: Any = network.towers.image
    features = []
    for batch in batched(paths, BATCH_SIZE):
        images = (image.read_image(path, SIDE_PX) for path in batch)
        pixels = torch.stack([fit_to_canvas(one, (SIDE_PX, SIDE_PX), GRAY) for one in images])
        normalized = (pixels.float() - network.mean) / network.std
        features.append(tower(normalized).last_hidden_state.mean((2, 3)))
    result: NDArray[np.float32] = torch.cat(features).numpy()
    return result


def cluster_visits(features: NDArray[np.float32]) -> NDArray[np.int64]:
    """The number of the visit of each photo (N,) of a product."""
    if len(features) < 2:
        return np.ones(len(features), np.int64)
    tree = linkage(features, "average", metric="cosine")
    return np.asarray(fcluster(tree, MIN_VISIT_DISTANCE, "distance"), np.int64)


def select_held(visits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The photos (N,) to hold back: the visit whose share is closest to the target, or none."""
    counts = Counter(visits.tolist())
    sizes = {visit: size for visit, size in counts.items() if size >= MIN_PHOTOS}
    candidates = [visit for visit, size in sizes.items() if size <= MAX_SHARE * len(visits)]
    if len(sizes) < MIN_VISITS or not candidates:
        return np.zeros(len(visits), bool)
    best = min(
        candidates, key=lambda visit: (abs(sizes[visit] / len(visits) - TARGET_SHARE), visit)
    )
    return np.asarray(visits == best)


def write_photos(photos: Iterable[Photo], folder: Path) -> None:
    """Write a dataset of photos, which stay where they are."""
    rows = [
        {"path": os.path.relpath(photo.path, folder), "product_id": photo.product_id}
        for photo in photos
    ]
    dataset.write_jsonl(folder / "photos.jsonl", rows)
    print(f"{len(rows)} photos: {folder}")


if __name__ == "__main__":
    main()
