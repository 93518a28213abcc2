"""Livestreaming product retrieval: which product is being sold, moment by moment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgmn.model.bundle import Model

__version__ = "0.1.0"


def load(source: str | Path = "builtin") -> Model:
    """A model by folder, hub name or "builtin"; see `model.checkpoint.load` for more names."""
    from sgmn.model.checkpoint import load as loaded

    return loaded(source)
