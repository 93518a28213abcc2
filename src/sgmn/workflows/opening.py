"""Open models and indexes, and the shelves of an index, so that they fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.catalogue.stamp import ModelStamp
from sgmn.errors import IndexingError, SgmnError
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import MODALITIES, Modality

DEFAULT_MODEL = "builtin"


def embedder(model: str) -> Embedder:
    """A model by folder or name, ready to encode, on the GPU if there is one."""
    return Embedder(checkpoint.load(model))


def model_of(index: Path, model: str | None) -> str:
    """The model that is meant: the given one, or the one that made the index, or the default."""
    if model is not None:
        return model
    return Index.open(index).model.name if Index.is_at(index) else DEFAULT_MODEL


def stamp(used: Embedder) -> ModelStamp:
    """What an index remembers of the model that made it."""
    return ModelStamp(used.model.fingerprint(), used.dim, used.model.name)


def opened(path: Path, used: Embedder) -> Index:
    """The index of this model at `path`."""
    return Index.open(path, stamp(used))


class Shelves:
    """The shelf of each shop of an index, read once; `use` names the modalities that count."""

    def __init__(self, index: Index, use: Sequence[Modality] = MODALITIES) -> None:
        self.index, self.use = index, use
        self.read: dict[str, Shelf] = {}

    def __getitem__(self, shop_id: str) -> Shelf:
        if shop_id not in self.read:
            whole = self.index.shelf(shop_id)
            self.read[shop_id] = Shelf(whole.products, whole.vectors.only(self.use))
        return self.read[shop_id]


def only_shop(index: Index, shop_id: str | None) -> str:
    """The shop that is meant: the given one, or the only one there is."""
    shops = index.shops()
    if shop_id is not None:
        return shop_id
    if len(shops) != 1:
        known = ", ".join(map(repr, sorted(shops)[:10])) or "none"
        raise IndexingError(f"has {len(shops)} shops ({known})", index.path, "name one with --shop")
    return next(iter(shops))


def modalities(names: str) -> tuple[Modality, ...]:
    """Modalities from "picture", "words" or "picture,words"."""
    given = [name.strip() for name in names.split(",")]
    if not given or not set(given) <= set(MODALITIES):
        raise SgmnError(f"{names!r} is nothing to use", remedy="give picture, words or both")
    return tuple(m for m in MODALITIES if m in given)
