"""Hold visits back: what a model is worth, and the weight of words, are measured on them.

    python tools/train_builtin/split.py PHOTOS OUT

Photographs of a product come from a few visits to stores. Of one visit they are so alike that a
model which has learnt some knows the others; a random part held back says little of the next
store. Here visits are told apart by what ImageNet's features see, and of each product with at
least three of them one is held back. Writes OUT/train and OUT/held, whose photos.jsonl name the
pictures where they are.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from sgmn.batching import batched
from sgmn.data import dataset
from sgmn.data.dataset import Photo
from sgmn.media import image
from sgmn.model import backbones
from sgmn.model.inputs import fit

APART = 0.35  # cosine distance, on average, of two visits at least; chosen by eye on three products
VISITS = 3  # of a product whose photos are held back, at least
PHOTOS = 3  # of a visit, at least
HELD, MOST = 0.2, 0.4  # shares of a product's photos to hold back
SIDE = 192


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    photos = list(dataset.read(given.photos).photos)
    vectors = seen([photo.path for photo in photos])
    held: set[int] = set()
    for product in dict.fromkeys(photo.product_id for photo in photos):
        own = np.array([at for at, photo in enumerate(photos) if photo.product_id == product])
        held.update(own[held_back(visits(vectors[own]))].tolist())
    for name, wanted in (("held", True), ("train", False)):
        some = (photo for place, photo in enumerate(photos) if (place in held) == wanted)
        write(some, given.out / name)


@torch.inference_mode()
def seen(paths: Sequence[Path]) -> NDArray[np.float32]:
    """What a tower trained on ImageNet sees in some pictures: (N, D)."""
    network = backbones.lite("lite1").network
    found = []
    for some in batched(paths, 64):
        pixels = [fit(image.read(path, SIDE), (SIDE, SIDE), (127, 127, 127)) for path in some]
        scaled = (torch.stack(pixels).float() - network.mean) / network.std
        found.append(network.towers.picture(scaled).last_hidden_state.mean((2, 3)))
    vectors: NDArray[np.float32] = torch.cat(found).numpy()
    return vectors


def visits(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """A number for the visit of each photo (N,) of a product."""
    if len(vectors) < 2:
        return np.ones(len(vectors), np.int64)
    tree = linkage(vectors, "average", metric="cosine")
    return np.asarray(fcluster(tree, APART, "distance"), np.int64)


def held_back(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which photos (N,) to hold back: the visit that is nearest to `HELD` of all, or none."""
    sizes = {number: size for number, size in Counter(numbers.tolist()).items() if size >= PHOTOS}
    fit_in = [number for number, size in sizes.items() if size <= MOST * len(numbers)]
    if len(sizes) < VISITS or not fit_in:
        return np.zeros(len(numbers), bool)
    chosen = min(fit_in, key=lambda number: (abs(sizes[number] / len(numbers) - HELD), number))
    return np.asarray(numbers == chosen)


def write(photos: Iterable[Photo], folder: Path) -> None:
    """A dataset of these photos, which stay where they are."""
    rows = [
        {"path": os.path.relpath(photo.path, folder), "product_id": photo.product_id}
        for photo in photos
    ]
    dataset.write_jsonl(folder / "photos.jsonl", rows)
    print(f"{len(rows)} photos: {folder}")


if __name__ == "__main__":
    main()
