"""A model that needs no weights: vectors drawn from a hash of what is shown and said."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from sgmn.catalogue.index import ModelStamp
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent

DIM = 16
STAMP = ModelStamp(fingerprint="f" * 64, dim=DIM, name="fake")


def vector(seed: bytes) -> torch.Tensor:
    """The unit vector (DIM,) of some bytes."""
    number = int.from_bytes(hashlib.sha256(seed).digest()[:8], "big")
    drawn = np.random.default_rng(number).normal(size=DIM).astype("float32")
    return torch.from_numpy(drawn / np.linalg.norm(drawn))


class FakeEmbed:
    """Counts what it encodes."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def __call__(self, contents: Sequence[ProductContent]) -> ProductVectors:
        self.titles += [content.title for content in contents]
        shown = [b"".join(p.tobytes() for p in content.pictures) for content in contents]
        said = [content.title.encode() for content in contents]
        return ProductVectors(
            picture=torch.stack([vector(b"picture" + s) if s else torch.zeros(DIM) for s in shown]),
            has_picture=torch.tensor([bool(s) for s in shown]),
            words=torch.stack([vector(b"words" + s) if s else torch.zeros(DIM) for s in said]),
            has_words=torch.tensor([bool(s) for s in said]),
        )


def titled(count: int, shop_id: str = "", start: int = 0) -> list[Product]:
    """Products without pictures."""
    return [
        Product(f"p{number}", title=f"title {number}", shop_id=shop_id)
        for number in range(start, start + count)
    ]
