"""Hold a fifth of the training photographs back: the weight of words is chosen on them.

    python scripts/train_builtin/split.py PHOTOS OUT

Writes OUT/train and OUT/held, whose photos.jsonl name the pictures where they are.
"""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

from sgmn.data import dataset

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
        folder = given.out / name
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {
                "path": os.path.relpath(photos[place].path, folder),
                "product_id": photos[place].product_id,
            }
            for place in some
        ]
        dataset.write_jsonl(folder / "photos.jsonl", rows)
        print(f"{len(rows)} photos: {folder}")


if __name__ == "__main__":
    main()
