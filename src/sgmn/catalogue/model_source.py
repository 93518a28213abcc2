"""A model that a caller names, loads or has open, as the embedder of an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sgmn.model.runtimes import TORCH

if TYPE_CHECKING:
    from sgmn.model.bundle import ModelBundle
    from sgmn.model.embedder import Embedder


def to_embedder(model: str | Path | ModelBundle | Embedder, runtime: str = TORCH) -> Embedder:
    """Load a model unless it is loaded; an embedder, or a `sgmn.Model`, keeps its runtime.

    Raises:
        CheckpointError: The model cannot be loaded.
        SettingsError: The runtime is unknown or not installed.
    """
    from sgmn.model import checkpoint  # needs PyTorch
    from sgmn.model.embedder import Embedder

    model = getattr(model, "embedder", model)  # of a `sgmn.Model`
    if isinstance(model, Embedder):
        return model
    bundle = checkpoint.load(model) if isinstance(model, str | Path) else model
    return Embedder(bundle, runtime=runtime)
