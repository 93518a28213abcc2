"""The training examples of some datasets: labeled clips and photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from sgmn.data.dataset import Dataset, Photo
from sgmn.errors import RecordError
from sgmn.records import Clip, Product

Key = tuple[str, str]  # shop_id, product_id


class Examples:
    """The clips and photos of some datasets whose product is listed.

    Args:
        datasets: read as one.
        split: use the clips of this split and those without a split; "" for all clips.
        clip_repeats: how often each clip appears; each photo appears once.
        product_images_as_photos: also use the products' own images as photos.

    Attributes:
        keeps_media: whether decoded frames are worth keeping for the next epoch.
        items: the examples, in order.
        products: all products by key; `product_index` holds their positions.
        photos_by_product, items_by_shop: the examples of a product or shop.
        keys_by_shop, photographed_by_shop: the products of a shop, and those with photos.
        unlisted_count: clips and photos left out because no dataset lists their product.
        other_split_count: clips left out because they belong to another split.
    """

    keeps_media = True

    def __init__(
        self,
        datasets: Sequence[Dataset],
        split: str = "",
        clip_repeats: int = 1,
        product_images_as_photos: bool = False,
    ) -> None:
        self.products: dict[Key, Product] = {p.key: p for d in datasets for p in d.products}
        self.product_index: dict[Key, int] = {key: i for i, key in enumerate(self.products)}
        all_clips = [clip for d in datasets for clip in d.clips]
        clips = [clip for clip in all_clips if not split or clip.split in ("", split)]
        self.other_split_count = len(all_clips) - len(clips)
        photos = [photo for d in datasets for photo in d.photos]
        if product_images_as_photos:
            photos += [photo for p in self.products.values() for photo in _product_photos(p)]
        labeled: list[Clip | Photo] = [*(clips * clip_repeats), *photos]
        self.items = [item for item in labeled if self.product_keys(item)]
        self.unlisted_count = len({id(i) for i in labeled}) - len({id(i) for i in self.items})
        self._group(photos)
        self._require_items([d.root for d in datasets])

    def _require_items(self, folders: Sequence[Path]) -> None:
        if not self.items:
            raise RecordError(
                "has no clip or photo of a listed product",
                where=", ".join(map(str, folders)),
                remedy="pass datasets whose clips or photos name products of products.jsonl",
            )

    def _group(self, photos: Sequence[Photo]) -> None:
        self.photos_by_product: dict[Key, list[Photo]] = defaultdict(list)
        self.keys_by_shop: dict[str, list[Key]] = defaultdict(list)
        self.photographed_by_shop: dict[str, list[Key]] = defaultdict(list)
        self.items_by_shop: dict[str, list[Clip | Photo]] = defaultdict(list)
        for item in self.items:
            self.items_by_shop[item.shop_id].append(item)
        for photo in photos:
            self.photos_by_product[photo.shop_id, photo.product_id].append(photo)
        for key in self.products:
            self.keys_by_shop[key[0]].append(key)
            if key in self.photos_by_product:
                self.photographed_by_shop[key[0]].append(key)

    def product_keys(self, item: Clip | Photo) -> list[Key]:
        """Return the listed products that a clip or photo is labeled with."""
        return [key for key in labeled_keys(item) if key in self.products]

    def is_product_image(self, photo: Photo) -> bool:
        """Whether a photo is one of the images in its product's listing."""
        return photo.path in self.products[photo.shop_id, photo.product_id].image_paths

    def key_at(self, position: int) -> Key:
        """Return the key of the product at a position."""
        return self._keys[position]

    @cached_property
    def _keys(self) -> list[Key]:
        return list(self.products)

    def item_shops(self) -> list[str]:
        """Return the shop of each example."""
        return [item.shop_id for item in self.items]

    def item_keys(self) -> list[list[Key]]:
        """Return the listed products that each example is labeled with."""
        return [self.product_keys(item) for item in self.items]

    def labeled_mask(self) -> Tensor:
        """Return which products are the label of some example: (P,) bool, in product order."""
        mask = torch.zeros(len(self.products), dtype=torch.bool)
        mask[[self.product_index[k] for item in self.items for k in self.product_keys(item)]] = True
        return mask

    def summary(self) -> str:
        """Describe the examples in one line."""
        return (
            f"{len(self.items)} examples of {len(self.products)} products"
            f" (left out: {self.unlisted_count} of unlisted products,"
            f" {self.other_split_count} of other splits)"
        )


def _product_photos(product: Product) -> list[Photo]:
    return [Photo(path, product.product_id, product.shop_id) for path in product.image_paths]


def labeled_keys(item: Clip | Photo) -> list[Key]:
    """Return the products that a clip or photo is labeled with, listed or not."""
    ids = item.product_ids if isinstance(item, Clip) else (item.product_id,)
    return [(item.shop_id, product_id) for product_id in ids]
