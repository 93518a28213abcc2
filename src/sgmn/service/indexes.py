"""The indexes of catalogues, opened with models that are loaded once."""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from sgmn.catalogue import lance
from sgmn.catalogue.index import Index
from sgmn.catalogue.table import ProductTable
from sgmn.model.runtimes import TORCH
from sgmn.service.catalogues import catalogue_folder, index_location
from sgmn.service.context import ServiceContext

if TYPE_CHECKING:
    from sgmn.model.embedder import Embedder

MAX_MODELS = 2
_MODELS: OrderedDict[tuple[str, str], Embedder] = OrderedDict()
_LOCK = threading.Lock()


def load_embedder(name: str, runtime: str = TORCH) -> Embedder:
    """A model by its name or folder in a runtime, shared by all indexes of this process.

    Raises CheckpointError if it cannot be loaded.
    """
    import torch

    from sgmn.model import checkpoint
    from sgmn.model.embedder import Embedder

    key = (name, runtime)
    with _LOCK:
        if key not in _MODELS:
            torch.set_num_threads(1)  # more would slow down the other processes of the service
            _MODELS[key] = Embedder(checkpoint.load(name), runtime=runtime)
        _MODELS.move_to_end(key)
        while len(_MODELS) > MAX_MODELS:
            _MODELS.popitem(last=False)
        return _MODELS[key]


def open_index(context: ServiceContext, catalogue_id: str) -> Index | None:
    """The index of a catalogue, with its model; None if nothing was imported yet."""
    table = open_table(context, catalogue_id)
    if table is None:
        return None
    return Index.open(table.path, load_embedder(table.stamp.name, context.settings.runtime))


def open_table(context: ServiceContext, catalogue_id: str) -> ProductTable | None:
    """The table of a catalogue's index, without its model; None if nothing was imported yet."""
    location = index_location(context.settings, catalogue_id)
    return ProductTable.open(location) if ProductTable.exists(location) else None


def open_or_create_index(context: ServiceContext, catalogue_id: str) -> Index:
    """The index of a catalogue; a new one is built with the model of the settings."""
    index = open_index(context, catalogue_id)
    if index is not None:
        return index
    location = index_location(context.settings, catalogue_id)
    return Index.open_or_create(
        location, load_embedder(context.settings.model, context.settings.runtime)
    )


def delete_files(context: ServiceContext, catalogue_id: str) -> None:
    """Delete the index of a catalogue, and everything else that it keeps."""
    location = index_location(context.settings, catalogue_id)
    if isinstance(location, str) and ProductTable.exists(location):
        lance.connect(location).drop_all_tables()
    folder = catalogue_folder(context.settings, catalogue_id)
    if folder.exists():
        shutil.rmtree(folder)


def table_values(table: ProductTable) -> dict[str, Any]:
    """What the row of a catalogue says about its index."""
    return {"product_count": table.count(), "index_version": table.version}
