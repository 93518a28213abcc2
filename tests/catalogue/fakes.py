"""A stand-in for a model: vectors drawn from a hash of the images and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from sgmn.catalogue.stamp import ModelStamp
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent

DIM = 16
STAMP = ModelStamp(fingerprint="f" * 64, dim=DIM, name="fake")


def random_vector(seed: bytes) -> torch.Tensor:
    """The unit vector (DIM,) that belongs to some bytes."""
    number = int.from_bytes(hashlib.sha256(seed).digest()[:8], "big")
    values = np.random.default_rng(number).normal(size=DIM).astype("float32")
    return torch.from_numpy(values / np.linalg.norm(values))


def text_vector(text: bytes) -> torch.Tensor:
    """The vector (DIM,) of a title; zeros for an empty one."""
    return random_vector(b"text" + text) if text else torch.zeros(DIM)


def image_vector(pixels: bytes) -> torch.Tensor:
    """The vector (DIM,) of images; zeros without any."""
    return random_vector(b"image" + pixels) if pixels else torch.zeros(DIM)


class FakeEncoder:
    """Encodes products without a model, and records the titles that it encodes."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def __call__(self, contents: Sequence[ProductContent]) -> ProductVectors:
        self.titles += [content.title for content in contents]
        pixels = [b"".join(image.tobytes() for image in content.images) for content in contents]
        titles = [content.title.encode() for content in contents]
        return ProductVectors(
            torch.stack([image_vector(part) for part in pixels]),
            torch.tensor([bool(part) for part in pixels]),
            torch.stack([text_vector(title) for title in titles]),
            torch.tensor([bool(title) for title in titles]),
        )


def products_with_title(count: int, shop_id: str = "", start: int = 0) -> list[Product]:
    """Products without images."""
    return [
        Product(f"p{number}", title=f"title {number}", shop_id=shop_id)
        for number in range(start, start + count)
    ]
