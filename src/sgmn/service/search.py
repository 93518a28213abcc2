"""Search in a catalogue by text, by image, or by both."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from sgmn.catalogue.table import Hit
from sgmn.service.context import ServiceContext
from sgmn.service.indexes import open_index

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index
    from sgmn.catalogue.shelf import Shelf
    from sgmn.model.scoring import ClipVectors

MAX_SHELVES = 8
_SHELVES: OrderedDict[tuple[str, int], Shelf] = OrderedDict()
_LOCK = threading.Lock()  # one search at a time: more would only share the same cores


def search_catalogue(
    context: ServiceContext,
    catalogue_id: str,
    shop_id: str,
    text: str,
    image: bytes | None,
    limit: int,
) -> list[Hit]:
    """The products that match best, best first; none if the catalogue is empty.

    Raises MediaError for an image that cannot be read.
    """
    with _LOCK:
        index = open_index(context, catalogue_id)
        if index is None or not index.count():
            return []
        shelf = _read_shelf(index, catalogue_id, shop_id)
        clips = _encode(index, text, image)
        [places] = shelf.rank(clips, index.embedder.ranker, limit)
        return [Hit(shelf.products[place], score) for place, score in places]


def _encode(index: Index, text: str, image: bytes | None) -> ClipVectors:
    if image is None:
        return index.encode_query(None, text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        path.write_bytes(image)
        return index.encode_query(path, text)


def _read_shelf(index: Index, catalogue_id: str, shop_id: str) -> Shelf:
    """The products of an index in memory, kept until the index changes."""
    key = catalogue_id, index.table.version
    if key not in _SHELVES:
        for other in [other for other in _SHELVES if other[0] == catalogue_id]:
            del _SHELVES[other]
        _SHELVES[key] = index.shelf(shop_id)
    _SHELVES.move_to_end(key)
    while len(_SHELVES) > MAX_SHELVES:
        _SHELVES.popitem(last=False)
    return _SHELVES[key]
