"""Fixtures of this folder; the fakes themselves stand in fakes.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sgmn.catalogue.index import Index
from sgmn.records import Product
from tests.catalogue.fakes import STAMP, FakeEmbed


@pytest.fixture
def embed() -> FakeEmbed:
    return FakeEmbed()


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index.create_or_open(tmp_path / "index", STAMP)


@pytest.fixture
def pictured(tmp_path: Path):
    """A maker of products with a picture of one colour on disk."""

    def make(product_id: str, colour: tuple[int, int, int] = (9, 99, 199), **fields) -> Product:
        path = tmp_path / f"{product_id}.png"
        Image.new("RGB", (20, 10), colour).save(path)
        return Product(product_id, title=fields.pop("title", product_id), image=path, **fields)

    return make
