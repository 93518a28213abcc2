"""Which products are hard for a clip, and which must never be taught as wrong.

Miners give places, never a gradient; losses use them. Axes: B clips, S products, K negatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product as pairs
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from sgmn.model.scoring import ClipVectors, ProductVectors

Key = tuple[str, str]  # shop_id, product_id
Side = tuple[Tensor, Tensor]  # vectors (N, D) and where there is one (N,) bool


def hardness(clips: ClipVectors, products: ProductVectors) -> Tensor:
    """How confusable each pair is (B, S): its greatest cosine, -1..1, over the modalities.

    Picture with picture, transcript with title, and across: a pair is hard when any is close.
    -inf where there is nothing to compare.
    """
    return _closest(pairs(_sides(clips), _sides(products)))


def alike(products: ProductVectors, others: ProductVectors) -> Tensor:
    """The same between products (S, S'): picture with picture, title with title."""
    return _closest(zip(_sides(products), _sides(others), strict=True))


def _sides(rows: ClipVectors | ProductVectors) -> tuple[Side, Side]:
    return (rows.picture, rows.has_picture), (rows.words, rows.has_words)


def _closest(compared: Iterable[tuple[Side, Side]]) -> Tensor:
    with torch.no_grad():
        found = [
            (left.float() @ right.float().T).masked_fill(~(has_left[:, None] & has_right), -inf)
            for (left, has_left), (right, has_right) in compared
        ]
        return torch.stack(found).amax(0)


class Duplicates:
    """Near-duplicate listings: products that show or sell the same thing twice.

    classes: (S,) long, equal for products that are duplicates of each other.
    count: products that have a duplicate, for the log.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        products: ProductVectors,
        picture: float = 0.995,
        title: float = 0.995,
        images: Sequence[str] = (),
        block: int = 1024,
    ) -> None:
        """Compare all products, as the frozen starting backbone sees them.

        Two are duplicates when *every* modality that both have is as close as `picture` and
        `title` (cosines), or when their main picture is one file; and so are the duplicates of
        duplicates. images: a hash of each product's main picture, "" where it has none.
        Memory is block·S, time S²·D.
        """
        classes = _merged(np.arange(len(keys)), _same_image(images))
        for start in range(0, len(keys), block):
            rows, others = products[start : start + block], products[start:]
            twins = _twins(rows, others, picture, title).nonzero().T
            classes = _merged(classes, start + twins.cpu().numpy())
        self.classes = torch.from_numpy(classes).long()
        self.count = int((np.bincount(classes)[classes] > 1).sum())
        self._places = {key: place for place, key in enumerate(keys)}

    def of(self, keys: Sequence[Key]) -> Tensor:
        """The classes of some products (S',)."""
        return self.classes[[self._places[key] for key in keys]]


def _twins(rows: ProductVectors, others: ProductVectors, picture: float, title: float) -> Tensor:
    """Where every modality that both have is close, and they have one in common."""
    shown = rows.has_picture[:, None] & others.has_picture
    titled = rows.has_words[:, None] & others.has_words
    look_alike = (rows.picture.float() @ others.picture.float().T >= picture) | ~shown
    read_alike = (rows.words.float() @ others.words.float().T >= title) | ~titled
    return look_alike & read_alike & (shown | titled)


def _same_image(images: Sequence[str]) -> NDArray[np.int64]:
    """Pairs of places (2, L) that link all products of one image."""
    first: dict[str, int] = {}
    links = [(first.setdefault(image, place), place) for place, image in enumerate(images) if image]
    return np.array(links, np.int64).reshape(-1, 2).T


def _merged(classes: NDArray[np.int64], links: NDArray[np.int64]) -> NDArray[np.int64]:
    """The classes (S,) after those of each linked pair of places (2, L) became one.

    The nodes are classes, so a shop of one placeholder needs no memory for its S² pairs.
    """
    left, right = classes[links]
    graph = coo_array((np.ones(len(left)), (left, right)), shape=2 * classes.shape)
    _, joined = connected_components(graph, directed=False)
    return np.asarray(joined[classes], np.int64)


def of_own_class(positive: Tensor, classes: Tensor, others: Tensor) -> Tensor:
    """Where an other product is of the class of one of the row's positives (B, R) bool.

    positive: (B, S) bool. classes: (S,) long. others: (R,) long, the classes of the others.
    """
    return positive.float() @ (classes[:, None] == others).float() > 0


def admissible(positive: Tensor, classes: Tensor) -> Tensor:
    """Which products may be taught as wrong (B, S) bool: no positive and no duplicate of one."""
    return ~of_own_class(positive, classes, classes)


def hardest(hardness: Tensor, admissible: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The places (B, K) of each row's hardest admissible products, and which are real (B, K).

    A row with fewer than k has False for the rest, whose places stand for nothing.
    """
    taken = min(k, hardness.shape[1])
    best = hardness.masked_fill(~admissible, -inf).topk(taken, dim=1)
    valid = torch.nn.functional.pad(best.values > -inf, (0, k - taken))
    places = torch.nn.functional.pad(best.indices, (0, k - taken))
    return places, valid


def skipped(valid: Tensor) -> int:
    """Rows (B, K) without any negative: they teach nothing, and the log says how many."""
    return int((~valid.any(1)).sum())
