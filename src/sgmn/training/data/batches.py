"""Batches of clips and products, each a pure function of the seed, the step and the order.

A run that is resumed at some step therefore sees the batches of an uninterrupted run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from sgmn.batching import batched
from sgmn.data.dataset import Photo
from sgmn.errors import MediaError, SettingsError
from sgmn.model.inputs import ItemInputs, Preprocessor
from sgmn.model.tokens import ItemTokens
from sgmn.records import Clip, Product, ProductContent
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.boxes import PatchGrids
from sgmn.training.data.epoch_order import Order, SingleShopOrder, TwinGroups, shuffled_order
from sgmn.training.data.example_loader import ExampleLoader, LoadedClip
from sgmn.training.data.examples import Examples, Key
from sgmn.training.data.grounding_labels import GroundingLabels, build_labels
from sgmn.training.data.labeled_glances import cut_labeled_glances
from sgmn.training.data.title_neighbors import title_neighbors

NetworkInput = ItemInputs | ItemTokens
TWINS = 16  # at least so many similar titles, because some products are placed already
T = TypeVar("T")
C = TypeVar("C")


class BatchSpec(NamedTuple):
    """What a batch consists of.

    Attributes:
        number: of the batch in the run.
        positions: positions of its examples in `Examples.items`.
        neighbors: confusable products that may be added as negatives, nearest first.
    """

    number: int
    positions: tuple[int, ...]
    neighbors: tuple[int, ...] = ()


class ClipKeys(NamedTuple):
    """The products that a clip is about, and those that it is labeled with.

    They differ for a counterfactual clip, see `ExampleLoader.load_variants`; the labeled products
    are then its most instructive negatives.
    """

    targets: tuple[Key, ...]
    labeled: tuple[Key, ...]

    @property
    def all(self) -> tuple[Key, ...]:
        """All of them, the targets first."""
        return self.targets + self.labeled


@dataclass(frozen=True)
class Batch:
    """Clips and products for the network, as pixels and text or already encoded by the towers.

    Attributes:
        clips: B clips.
        products: S products.
        targets: (B, P) the products that each clip sells, as positions in `Examples.products`;
            -1 where there are fewer than P.
        candidates: (S,) the products of the batch, as positions in `Examples.products`.
        read_errors: one line for each clip or product that was left out.
        labels: where and when each clip shows its product; None if guidance is not trained on it.
    """

    clips: NetworkInput
    products: NetworkInput
    targets: Tensor
    candidates: Tensor
    read_errors: tuple[str, ...] = ()
    labels: GroundingLabels | None = None

    @property
    def positive(self) -> Tensor:
        """Which products each clip sells: (B, S) bool."""
        return positive_mask(self.targets, self.candidates)


def positive_mask(targets: Tensor, candidates: Tensor) -> Tensor:
    """Return which candidates (S,) are among the targets (B, P) of each clip: (B, S) bool."""
    return (targets.unsqueeze(2) == candidates).any(1)


def group_twins(examples: Examples, size: int) -> TwinGroups:
    """Groups of examples whose products have similar titles.

    Raises SettingsError if the examples stay on disk, because all titles are read at once.
    """
    if not examples.keeps_media:
        remedy = "set twin_group = 1, or train on smaller datasets"
        raise SettingsError("is only for datasets that fit into memory", "'twin_group'", remedy)
    titles = {key: product.title for key, product in examples.products.items()}
    keys = [keys[0] for keys in examples.item_keys()]
    return TwinGroups(keys, title_neighbors(titles, max(TWINS, size - 1)), size)


class Batches(TorchDataset[Batch]):
    """The batches of a run, numbered 0 to steps·accumulation_steps - 1.

    `patch_grids` holds the image tower's patches on each canvas if batches need `labels`, and
    `looks_twice` tells whether the towers learn from second glances at the labeled boxes.
    """

    reads_files = True  # worth worker processes
    patch_grids: PatchGrids | None = None
    looks_twice = False

    def __init__(
        self,
        examples: Examples,
        preprocessor: Preprocessor,
        data: DataConfig,
        train: TrainConfig,
        max_side: int | None = None,
    ) -> None:
        self.examples, self.preprocessor = examples, preprocessor
        self.data, self.train = data, train
        max_side = max_side or max(max(canvas) for canvas in preprocessor.canvases)
        self.loader = ExampleLoader(examples, data, self._loader_settings(train), max_side)
        self.order: Order = shuffled_order
        if data.single_shop_batches:
            twins = group_twins(examples, data.twin_group) if data.twin_group > 1 else None
            self.order = SingleShopOrder(examples.item_shops(), train.batch_size, twins)

    @staticmethod
    def _loader_settings(train: TrainConfig) -> TrainConfig:
        return train

    def __len__(self) -> int:
        return self.train.steps * self.train.accumulation_steps

    def __getitem__(self, spec: int | BatchSpec) -> Batch:
        """Load a batch by its number, with the examples of `order`, or by its spec."""
        if isinstance(spec, int):
            spec = BatchSpec(spec, self.positions(spec, self.order))
        rng = np.random.default_rng((self.train.seed, 1, spec.number))
        errors: list[str] = []
        drawn = [self.examples.items[position] for position in spec.positions]
        targets, clips, labels = self._load_clips(drawn, spec.number, rng, errors)
        own = [key for keys in targets for key in keys.all]
        keys, products = self._load_products(
            self.candidate_keys(own, spec.neighbors, rng), rng, errors
        )
        if not targets or not keys:
            raise MediaError("no example of a batch can be read", errors[0], "repair the dataset")
        index = self.examples.product_index
        rows = [[index[key] for key in keys.targets] for keys in targets]
        candidates = torch.tensor([index[key] for key in keys])
        return Batch(clips, products, _pad(rows), candidates, tuple(errors), labels)

    def iter_products(self, batch_size: int) -> Iterator[NetworkInput]:
        """Yield all products without augmentation, in order; unreadable products are empty."""
        for products in batched(self.examples.products.values(), batch_size):
            yield self.preprocessor.prepare_products([self._load_or_empty(p) for p in products])

    def _load_or_empty(self, product: Product) -> ProductContent:
        loaded = load_readable([product], self.loader.load_plain_product, [])
        return loaded[0][1] if loaded else ProductContent(())

    def signature(self) -> str:
        """Describe everything that determines the batches."""
        return f"{self.data} {self.train} {len(self.examples.items)} examples"

    def positions(self, index: int, order: Order) -> tuple[int, ...]:
        """Return the positions of a batch's examples under an order."""
        count, size = len(self.examples.items), self.train.batch_size
        places = [divmod(place, count) for place in range(index * size, (index + 1) * size)]
        return tuple(int(order(count, self.train.seed, epoch)[place]) for epoch, place in places)

    def _load_clips(
        self,
        items: Sequence[Clip | Photo],
        index: int,
        rng: np.random.Generator,
        errors: list[str],
    ) -> tuple[list[ClipKeys], NetworkInput, GroundingLabels | None]:
        """Return the products of the items that can be read, their inputs, and their labels."""
        clutter_prob = self.data.clutter_prob * self._clutter_warmup(index)
        loaded = load_readable(items, lambda i: self._load_clip(i, clutter_prob, rng), errors)
        clips = [clip for _, clip in loaded]
        inputs = self.preprocessor.prepare_clips([clip.content for clip in clips])
        labels = None if self.patch_grids is None else self.build_labels(clips, self.patch_grids)
        if self.looks_twice and labels is not None:
            frames = [clip.content.frames for clip in clips]
            glances = cut_labeled_glances(frames, labels.boxes, self.preprocessor, rng)
            inputs = replace(inputs, glances=glances)
        keys = [
            ClipKeys(clip.keys, tuple(self.examples.product_keys(item))) for item, clip in loaded
        ]
        return keys, inputs, labels

    def build_labels(self, clips: Sequence[LoadedClip], grids: PatchGrids) -> GroundingLabels:
        """Return the labels of loaded clips."""
        return build_labels(
            [clip.content.frames for clip in clips],
            [clip.boxes for clip in clips],
            [clip.visible for clip in clips],
            self.preprocessor.canvases,
            grids,
        )

    def _load_clip(
        self, item: Clip | Photo, clutter_prob: float, rng: np.random.Generator
    ) -> LoadedClip:
        prob = self.data.counterfactual_prob
        if self.patch_grids is None and not prob:
            content = self.loader.load_clip(item, clutter_prob, rng)
            return LoadedClip(content, tuple(self.examples.product_keys(item)))
        return self.loader.load_variants(item, clutter_prob, prob, rng)[-1]

    def _load_products(
        self, keys: Sequence[Key], rng: np.random.Generator, errors: list[str]
    ) -> tuple[list[Key], NetworkInput]:
        """Return the products that can be read, and their inputs."""
        products = self.examples.products
        loaded = load_readable(keys, lambda k: self.loader.load_product(products[k], rng), errors)
        inputs = self.preprocessor.prepare_products([content for _, content in loaded])
        return [key for key, _ in loaded], inputs

    def candidate_keys(
        self, clip_keys: Iterable[Key], neighbors: Sequence[int], rng: np.random.Generator
    ) -> list[Key]:
        """Return the products of a batch, each once: those of its clips and extra negatives.

        The negatives are the first of the `neighbors`, or random products of the same shops.
        """
        own = dict.fromkeys(clip_keys)
        count = self.data.extra_negatives
        if not count:
            return list(own)
        if neighbors:
            nearest = map(self.examples.key_at, neighbors)
            return [*own, *islice((key for key in nearest if key not in own), count)]
        shops = sorted({key[0] for key in own})
        others = [k for shop in shops for k in self.examples.keys_by_shop[shop] if k not in own]
        return [*own, *(others[i] for i in rng.permutation(len(others))[:count])]

    def _clutter_warmup(self, index: int) -> float:
        """Return the factor on `clutter_prob` at a batch, 0..1."""
        warmup = self.data.clutter_warmup_fraction * len(self)
        return 1.0 if index >= warmup else index / warmup


def load_readable(
    items: Sequence[T], load: Callable[[T], C], errors: list[str]
) -> list[tuple[T, C]]:
    """Load items and return each with its content; failures are appended to `errors`."""
    loaded = []
    for item in items:
        try:
            loaded.append((item, load(item)))
        except MediaError as error:
            errors.append(str(error))
    return loaded


def _pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Stack rows of different lengths, padded with -1."""
    width = max(map(len, rows), default=0)
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows], dtype=torch.long)
