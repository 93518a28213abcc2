"""Hold a fifth of the training photographs back: the weight of words is chosen on them.

    python scripts/train_builtin/split.py PHOTOS OUT

Writes OUT/train and OUT/held, whose photos.jsonl name the pictures where they are.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterable
from pathlib import Path

from sgmn.data import dataset
from sgmn.data.dataset import Photo

HELD = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    photos = list(dataset.read(given.photos).photos)
    places = list(range(len(photos)))
    random.Random(0).shuffle(places)
    held = round(HELD * len(photos))
    for name, some in (("held", places[:held]), ("train", places[held:])):
        write((photos[place] for place in some), given.out / name)


def write(photos: Iterable[Photo], folder: Path) -> None:
    """A dataset of these photos, which stay where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"path": os.path.relpath(photo.path, folder), "product_id": photo.product_id}
        for photo in photos
    ]
    dataset.write_jsonl(folder / "photos.jsonl", rows)
    print(f"{len(rows)} photos: {folder}")


if __name__ == "__main__":
    main()
