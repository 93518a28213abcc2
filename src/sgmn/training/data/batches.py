"""Batches of clips and products, each a pure function of the seed, the step and the order.

So a run that resumes at step k sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from sgmn.batching import batched
from sgmn.data.dataset import Photo
from sgmn.errors import MediaError
from sgmn.model.inputs import Inputs, Preparation
from sgmn.model.tokens import Tokens
from sgmn.records import Clip, Product, ProductContent
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data import boxes
from sgmn.training.data.epoch_order import ByShop, Order, shuffled
from sgmn.training.data.example_loader import Boxed, Contents
from sgmn.training.data.examples import Examples, Key

# The number of a batch, its places in `Examples.items`, and the numbers of confusable products
# to list with them, nearest first.
Draw = tuple[int, tuple[int, ...], tuple[int, ...]]
Read = Inputs | Tokens
T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True)
class Batch:
    """Clips and products for the network, either of pixels or already through the towers.

    sold: (B, P) the numbers of the products that each clip sells, -1 where there are fewer.
    listed: (S,) the number of each product. `damage` names what could not be read and was left
    out, a line each. inside: (B, T, N) bool, which patches of each frame lie inside a box of the
    product meant; None where nobody asked.
    """

    clips: Read
    products: Read
    sold: Tensor
    listed: Tensor
    damage: tuple[str, ...] = ()
    inside: Tensor | None = None

    @property
    def positive(self) -> Tensor:
        """(B, S) bool: which products each clip sells."""
        return sells(self.sold, self.listed)


def sells(sold: Tensor, listed: Tensor) -> Tensor:
    """(B, S) bool from the numbers of `Batch`."""
    return (sold.unsqueeze(2) == listed).any(1)


class Batches(TorchDataset[Batch]):
    """Batch number k of a run, for k in 0..steps·accumulate - 1.

    grids: the picture tower's patches on each canvas, for batches that tell what is inside boxes.
    """

    from_files = True  # and so worth a process of its own
    grids: boxes.Grids | None = None

    def __init__(
        self, examples: Examples, prepare: Preparation, data: DataConfig, train: TrainConfig
    ) -> None:
        self.examples, self.prepare, self.data, self.train = examples, prepare, data, train
        max_side = max(max(canvas) for canvas in prepare.canvases)
        self.contents = Contents(examples, data, train, max_side)
        shops = [item.shop_id for item in examples.items]
        self.order: Order = ByShop(shops, train.batch) if data.by_shop else shuffled

    def __len__(self) -> int:
        return self.train.steps * self.train.accumulate

    def __getitem__(self, draw: int | Draw) -> Batch:
        """The batch of a number; its items are those given, or those of `order`."""
        if isinstance(draw, int):
            draw = (draw, self.places(draw, self.order), ())
        index, places, near = draw
        rng = np.random.default_rng((self.train.seed, 1, index))
        damage: list[str] = []
        drawn = [self.examples.items[place] for place in places]
        items, clips, inside = self._clips(drawn, index, rng, damage)
        listed, products = self._products(self._listed(items, near, rng), rng, damage)
        if not items or not listed:
            raise MediaError("nothing of a batch can be read", damage[0], "mend the dataset")
        numbers = self.examples.numbers
        return Batch(
            clips,
            products,
            _padded([[numbers[k] for k in self.examples.sold(item)] for item in items]),
            torch.tensor([numbers[key] for key in listed]),
            tuple(damage),
            inside,
        )

    def plain_products(self, together: int) -> Iterator[Read]:
        """All products in the order of their numbers, as they are; unreadable ones are empty."""
        for some in batched(self.examples.products.values(), together):
            contents = [self._plain(product) for product in some]
            yield self.prepare.products(contents)

    def _plain(self, product: Product) -> ProductContent:
        found = readable([product], self.contents.plain_product, [])
        return found[0][1] if found else ProductContent(())

    def signature(self) -> str:
        """What decides the batches: the configs and how many examples there are."""
        return f"{self.data} {self.train} {len(self.examples.items)} examples"

    def places(self, index: int, order: Order) -> tuple[int, ...]:
        """The items of a batch where `order` gives each epoch's order."""
        count, size = len(self.examples.items), self.train.batch
        found = [divmod(place, count) for place in range(index * size, (index + 1) * size)]
        return tuple(int(order(count, self.train.seed, epoch)[place]) for epoch, place in found)

    def _clips(
        self,
        items: Sequence[Clip | Photo],
        index: int,
        rng: np.random.Generator,
        damage: list[str],
    ) -> tuple[list[Clip | Photo], Read, Tensor | None]:
        """The items that can be read, what they show and say, and `Batch.inside`."""
        clutter = self.data.clutter * self._risen(index)
        found = readable(items, lambda item: self._shown(item, clutter, rng), damage)
        kept, shown = [item for item, _ in found], [one for _, one in found]
        read = self.prepare.clips([one.content for one in shown])
        return kept, read, None if self.grids is None else self._inside(shown, self.grids)

    def _shown(self, item: Clip | Photo, clutter: float, rng: np.random.Generator) -> Boxed:
        if self.grids is None:
            return Boxed(self.contents.clip(item, clutter, rng))
        return self.contents.boxed(item, clutter, rng)

    def _inside(self, shown: Sequence[Boxed], grids: boxes.Grids) -> Tensor:
        frames, found = [one.content.frames for one in shown], [one.boxes for one in shown]
        return boxes.inside(frames, found, self.prepare.canvases, grids)

    def _products(
        self, listed: Sequence[Key], rng: np.random.Generator, damage: list[str]
    ) -> tuple[list[Key], Read]:
        """The products that can be read, and what they show and say."""
        known = self.examples.products
        found = readable(listed, lambda key: self.contents.product(known[key], rng), damage)
        return [key for key, _ in found], self.prepare.products([content for _, content in found])

    def _listed(
        self, items: Sequence[Clip | Photo], near: Sequence[int], rng: np.random.Generator
    ) -> list[Key]:
        """The products of the batch once each, and more: the confusable, or some of the shops."""
        listed = dict.fromkeys(key for item in items for key in self.examples.sold(item))
        if near:
            known = list(self.examples.products)
            others = [known[number] for number in near if known[number] not in listed]
            return [*listed, *others[: self.data.negatives]]
        shops = sorted({key[0] for key in listed})
        others = [k for shop in shops for k in self.examples.shops[shop] if k not in listed]
        if not self.data.negatives:
            return list(listed)
        more = rng.permutation(len(others))[: self.data.negatives]
        return [*listed, *(others[i] for i in more)]

    def _risen(self, index: int) -> float:
        """How much of the clutter there is by now, 0..1."""
        ramp = self.data.clutter_ramp * len(self)
        return 1.0 if index >= ramp else index / ramp


def readable(items: Sequence[T], read: Callable[[T], C], damage: list[str]) -> list[tuple[T, C]]:
    """The items with what they hold; those that cannot be read go into `damage`."""
    found = []
    for item in items:
        try:
            found.append((item, read(item)))
        except MediaError as error:
            damage.append(str(error))
    return found


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    width = max(map(len, rows), default=0)
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows], dtype=torch.long)
