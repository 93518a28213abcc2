"""Fixtures of this folder; the fakes are in fakes.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sgmn.catalogue.table import ProductTable
from sgmn.records import Product
from tests.catalogue.fakes import STAMP, FakeEncoder

MakeProduct = Callable[..., Product]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder for downloads, private to each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    return tmp_path / ".cache" / "sgmn"


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def table(tmp_path: Path) -> ProductTable:
    return ProductTable.create_or_open(tmp_path / "index", STAMP)


@pytest.fixture
def product_with_image(tmp_path: Path) -> MakeProduct:
    """Makes a product with an image of one color on disk."""

    def make(product_id: str, color: tuple[int, int, int] = (9, 99, 199), **fields: Any) -> Product:
        path = tmp_path / f"{product_id}.png"
        Image.new("RGB", (20, 10), color).save(path)
        return Product(product_id, title=fields.pop("title", product_id), image=path, **fields)

    return make
