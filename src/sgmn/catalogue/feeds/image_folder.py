"""A folder of images named after their products."""

from __future__ import annotations

from pathlib import Path

from sgmn.catalogue.feeds.listing import Listing, Rows
from sgmn.errors import RecordError
from sgmn.media import image


def read(folder: Path) -> Rows:
    """The listings of a folder; the place of each is its file.

    Raises RecordError for a folder without images.
    """
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if not any(path.suffix.lower() in image.SUFFIXES for path in paths):
        raise RecordError(
            "contains neither products.jsonl nor images",
            where=folder,
            remedy=f"add products.jsonl, or images ({' '.join(image.SUFFIXES)})",
        )
    for path in paths:
        if path.suffix.lower() in image.SUFFIXES and path.is_file():
            title = " ".join(path.stem.replace("_", " ").replace("-", " ").split())
            yield Listing(str(path), path.stem, title, (path.name,))
        else:
            formats = " ".join(image.SUFFIXES)
            yield RecordError("is not an image file", path, f"supported are {formats}")
