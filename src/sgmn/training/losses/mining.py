"""Mines hard negatives, and finds the products that must never be negatives.

Miners return positions without gradient; losses consume them. Axes: B clips, S products, K
negatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product as cartesian
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sgmn.model.scoring import ClipVectors, ProductVectors

Key = tuple[str, str]  # shop_id, product_id
Modality = tuple[Tensor, Tensor]  # vectors (N, D), and which rows have one (N,) bool


def hardness(clips: ClipVectors, products: ProductVectors) -> Tensor:
    """Return how confusable each pair is: (B, S), its greatest cosine over the modalities.

    Compares image with image, text with text, and across. -inf where nothing can be compared.
    """
    return _max_cosine(cartesian(_modalities(clips), _modalities(products)))


def product_similarity(products: ProductVectors, others: ProductVectors) -> Tensor:
    """Return how similar products are: (S, S'), the greater cosine of images and of titles."""
    return _max_cosine(zip(_modalities(products), _modalities(others), strict=True))


def _modalities(rows: ClipVectors | ProductVectors) -> tuple[Modality, Modality]:
    return (rows.image, rows.has_image), (rows.text, rows.has_text)


def _max_cosine(pairs: Iterable[tuple[Modality, Modality]]) -> Tensor:
    with torch.no_grad():
        cosines = [
            (left.float() @ right.float().T).masked_fill(~(has_left[:, None] & has_right), -inf)
            for (left, has_left), (right, has_right) in pairs
        ]
        return torch.stack(cosines).amax(0)


class Duplicates:
    """Near-duplicate listings: products that show or sell the same thing twice.

    Attributes:
        classes: (S,) long, equal for products that are duplicates of each other.
        count: number of products that have a duplicate.
        largest: number of products in the largest class.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        products: ProductVectors | None = None,
        image_cosine: float = 0.995,
        title_cosine: float = 0.995,
        image_hashes: Sequence[str] = (),
        block: int = 1024,
    ) -> None:
        """Compare all products.

        Two products are duplicates if *every* modality that both have is at least as similar as
        its threshold, or if their main image is the same file. Duplicates of duplicates are
        duplicates. Memory is block·S, time S²·D.

        Args:
            keys: the key of each product.
            products: their vectors in the frozen starting model; None to compare only hashes.
            image_cosine: threshold for images.
            title_cosine: threshold for titles.
            image_hashes: a hash of each product's main image, "" if it has none.
            block: products compared at once.
        """
        classes = _merge_classes(np.arange(len(keys)), _same_image_links(image_hashes))
        if products is not None:
            for links in _similar_links(products, image_cosine, title_cosine, block):
                classes = _merge_classes(classes, links)
        self.classes = torch.from_numpy(classes).long()
        sizes = np.bincount(classes)
        self.count = int((sizes[classes] > 1).sum())
        self.largest = int(sizes.max(initial=0))
        self._positions = {key: position for position, key in enumerate(keys)}

    def classes_of(self, keys: Sequence[Key]) -> Tensor:
        """Return the classes (S',) of some products."""
        return self.classes[[self._positions[key] for key in keys]]


def _similar_links(
    products: ProductVectors, image_cosine: float, title_cosine: float, block: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the pairs of positions (2, L) of the duplicates in each block of products."""
    for start in range(0, len(products.has_image), block):
        rows, others = products[start : start + block], products[start:]
        links = _are_duplicates(rows, others, image_cosine, title_cosine).nonzero().T
        yield start + links.cpu().numpy()


def _are_duplicates(
    rows: ProductVectors, others: ProductVectors, image_cosine: float, title_cosine: float
) -> Tensor:
    """Return which pairs share a modality and are similar in every shared modality."""
    both_image = rows.has_image[:, None] & others.has_image
    both_title = rows.has_text[:, None] & others.has_text
    similar_image = (rows.image.float() @ others.image.float().T >= image_cosine) | ~both_image
    similar_title = (rows.text.float() @ others.text.float().T >= title_cosine) | ~both_title
    return similar_image & similar_title & (both_image | both_title)


def _same_image_links(hashes: Sequence[str]) -> NDArray[np.int64]:
    """Return pairs of positions (2, L) that link all products with the same image."""
    first: dict[str, int] = {}
    links = [(first.setdefault(h, position), position) for position, h in enumerate(hashes) if h]
    return np.array(links, np.int64).reshape(-1, 2).T


def _merge_classes(classes: NDArray[np.int64], links: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge the classes (S,) of each linked pair of positions (2, L).

    The graph's nodes are classes, so S products with one placeholder image need no S² memory.
    """
    left, right = classes[links]
    graph = coo_array((np.ones(len(left)), (left, right)), shape=2 * classes.shape)
    _, merged = connected_components(graph, directed=False)
    return np.asarray(merged[classes], np.int64)


def same_class_mask(positive: Tensor, classes: Tensor, other_classes: Tensor) -> Tensor:
    """Return which other products are duplicates of one of the row's positives: (B, R) bool.

    Args:
        positive: (B, S) bool.
        classes: (S,) long, the duplicate classes of the columns.
        other_classes: (R,) long, the duplicate classes of the other products.
    """
    return positive.float() @ (classes[:, None] == other_classes).float() > 0


def negative_mask(positive: Tensor, classes: Tensor) -> Tensor:
    """Return which products may be negatives: (B, S) bool, no positives and no duplicates."""
    return ~same_class_mask(positive, classes, classes)


def select_hardest(hardness: Tensor, allowed: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Select each row's k hardest allowed products.

    Returns their positions (B, K) and which of them are valid (B, K) bool; the positions of a row
    with fewer than k allowed products are padded.
    """
    count = min(k, hardness.shape[1])
    best = hardness.masked_fill(~allowed, -inf).topk(count, dim=1)
    valid = torch.nn.functional.pad(best.values > -inf, (0, k - count))
    positions = torch.nn.functional.pad(best.indices, (0, k - count))
    return positions, valid


def count_without_negative(valid: Tensor) -> int:
    """Count the rows of `valid` (B, K) without any negative; they contribute no loss."""
    return int((~valid.any(1)).sum())
