"""All that can be learnt from in some datasets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from sgmn.data.dataset import Dataset, Photo
from sgmn.errors import RecordError
from sgmn.records import Clip, Product

Key = tuple[str, str]  # shop_id, product_id


class Examples:
    """All that can be learnt from in some datasets: clips and photos whose product is listed.

    Clips of another split than `split` are left out; "" keeps all. `clip_times` is how often
    each clip counts against a photo; with `views` the pictures of products count as photos.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        split: str = "",
        clip_times: int = 1,
        views: bool = False,
    ) -> None:
        self.products: dict[Key, Product] = {p.key: p for d in datasets for p in d.products}
        every = [clip for d in datasets for clip in d.clips]
        clips = [clip for clip in every if not split or clip.split in ("", split)]
        self.other_splits = len(every) - len(clips)
        photos = [photo for d in datasets for photo in d.photos]
        if views:
            photos += [photo for product in self.products.values() for photo in _views(product)]
        labelled: list[Clip | Photo] = [*(clips * clip_times), *photos]
        self.items = [item for item in labelled if self.sold(item)]
        self.numbers: dict[Key, int] = {key: number for number, key in enumerate(self.products)}
        self.left_out = len({id(item) for item in labelled}) - len({id(i) for i in self.items})
        self.photos: dict[Key, list[Photo]] = defaultdict(list)
        self.shops: dict[str, list[Key]] = defaultdict(list)
        self.pictured: dict[str, list[Key]] = defaultdict(list)  # those of a shop with photos
        self.of_shop: dict[str, list[Clip | Photo]] = defaultdict(list)
        for item in self.items:
            self.of_shop[item.shop_id].append(item)
        for photo in photos:
            self.photos[photo.shop_id, photo.product_id].append(photo)
        for key in self.products:
            self.shops[key[0]].append(key)
            if key in self.photos:
                self.pictured[key[0]].append(key)
        if not self.items:
            raise RecordError(
                "nothing to learn from: no clip or photo of a listed product",
                where=", ".join(str(d.root) for d in datasets),
                remedy="name folders whose clips.jsonl or photos.jsonl fit their products.jsonl",
            )

    def sold(self, item: Clip | Photo) -> list[Key]:
        """The listed products that a clip or photo is labelled with."""
        return [key for key in keys(item) if key in self.products]

    def is_view(self, photo: Photo) -> bool:
        """Whether it is a picture from the shop's own listing."""
        return photo.path in self.products[photo.shop_id, photo.product_id].pictures

    def ever_sold(self) -> Tensor:
        """(P,) bool: the products that some example is of, in the order of their numbers."""
        found = torch.zeros(len(self.products), dtype=torch.bool)
        found[[self.numbers[key] for item in self.items for key in self.sold(item)]] = True
        return found

    def summary(self) -> str:
        """What there is to learn from, in a line."""
        return (
            f"{len(self.items)} examples of {len(self.products)} products"
            f" ({self.left_out} of products that no products.jsonl lists,"
            f" {self.other_splits} of other splits)"
        )


def _views(product: Product) -> list[Photo]:
    return [Photo(path, product.product_id, product.shop_id) for path in product.pictures]


def keys(item: Clip | Photo) -> list[Key]:
    """The products that a clip or photo is labelled with."""
    ids = item.product_ids if isinstance(item, Clip) else (item.product_id,)
    return [(item.shop_id, product_id) for product_id in ids]
