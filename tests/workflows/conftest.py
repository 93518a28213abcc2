"""An embedder and an index of the tiny world, for the tests of workflows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.model.embedder import Embedder
from tests.workflows.indexing import create_index


@pytest.fixture
def embedder(tiny: Callable[[], Any]) -> Embedder:
    """A model whose score has all terms, those between transcripts and images too."""
    model = tiny()
    with torch.no_grad():
        model.network.head.cross.fill_(0.5)
    return Embedder(model, "cpu")


@pytest.fixture
def index(world: Path, embedder: Embedder, tmp_path: Path) -> Index:
    products = dataset.read_dataset(world).products
    return create_index(products, embedder, tmp_path / "index")
