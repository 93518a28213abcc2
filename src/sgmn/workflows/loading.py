"""Models and shelves for the commands: what a command line names, loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.errors import IndexingError, SgmnError
from sgmn.live.evidence import TimelineSettings, timeline_settings
from sgmn.model.bundle import ModelBundle
from sgmn.model.scoring import MODALITIES, Modality
from sgmn.settings import read_toml


class ShelfCache:
    """The shelf of each shop of an index, read once.

    Vectors of modalities that are not in `modalities` are marked as missing.
    """

    def __init__(self, index: Index, modalities: Sequence[Modality] = MODALITIES) -> None:
        self.index, self.modalities = index, modalities
        self.shelves: dict[str, Shelf] = {}

    def __getitem__(self, shop_id: str) -> Shelf:
        if shop_id not in self.shelves:
            shelf = self.index.shelf(shop_id)
            self.shelves[shop_id] = Shelf(
                shelf.products, shelf.vectors.select_modalities(self.modalities)
            )
        return self.shelves[shop_id]


def resolve_shop(index: Index, shop_id: str | None) -> str:
    """The given shop, or the only shop of the index.

    Raises IndexingError if no shop is given and the index does not have exactly one.
    """
    if shop_id is not None:
        return shop_id
    shops = index.shops()
    if len(shops) != 1:
        more = ", …" if len(shops) > 10 else ""
        known = ", ".join(map(repr, sorted(shops)[:10])) + more or "none"
        raise IndexingError(f"has {len(shops)} shops ({known})", index.path, "name one with --shop")
    return next(iter(shops))


def parse_modalities(names: str) -> tuple[Modality, ...]:
    """Modalities from a comma-separated list of their names."""
    selected = {name.strip() for name in names.split(",")}
    if not selected <= set(MODALITIES):
        known = ",".join(MODALITIES)
        raise SgmnError(
            f"{names!r} is not a list of modalities", remedy=f"pass {known}, or one of them"
        )
    return tuple(m for m in MODALITIES if m in selected)


def read_timeline_settings(path: Path | None, model: ModelBundle) -> TimelineSettings:
    """The timeline settings of a model, overridden by those of a TOML file, if any.

    Raises SettingsError for a file that cannot be read, an unknown key or an invalid value.
    """
    return timeline_settings(model, None if path is None else read_toml(path), path)
