"""The galleries of a benchmark, and the queries that are searched in them.

A gallery consists of items with at most one image. An item answers a query if it is an image of
one of the query's true products.

    main    LPR4M: the main view of each product
    full    LPR4M: every view is an item of its own
    test    MovingFashion: the shop images of the test set
    all     MovingFashion: the shop images of the test set and of the training set
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sgmn.errors import SgmnError
from sgmn.evaluation.ranking import RankedClip
from sgmn.records import Clip, Product

MEDIA = "media"  # attribute of queries, if the media of any are missing
TRAIN_PREFIX = "train:"  # of items from the training set


@dataclass(frozen=True)
class Gallery:
    """The items of a gallery by shelf.

    Attributes:
        name: main, full, test or all.
        shelves: The items of each shop or live, as products with at most one image.
        item_ids: The items of each product, by shop_id and product_id.
    """

    name: str
    shelves: Mapping[str, Sequence[Product]]
    item_ids: Mapping[tuple[str, str], Sequence[str]]

    def __len__(self) -> int:
        """The number of items on all shelves."""
        return sum(map(len, self.shelves.values()))

    def to_query(self, clip: Clip) -> Clip:
        """Return a clip whose products are the items of its true products.

        A true product outside the gallery stays, so that the query is a miss without others.
        """
        keys = [(clip.shop_id, product_id) for product_id in clip.product_ids]
        items = [item for key in keys for item in self.item_ids.get(key, (key[1],))]
        return replace(clip, product_ids=tuple(dict.fromkeys(items)))

    def to_miss(self, query: Clip) -> RankedClip:
        """Return the result of a query that cannot be answered."""
        shelf_size = len(self.shelves.get(query.shop_id, ()))
        facts = (query.clip_id, query.shop_id, None, (), (), query.product_ids)
        return RankedClip(*facts, shelf_size, query.attributes)


def build_gallery(
    name: str, products: Iterable[Product], training_products: Iterable[Product] = ()
) -> Gallery:
    """Build a gallery.

    Args:
        name: main, full, test or all.
        products: Of the test set.
        training_products: Of the training set; needed for "all" only. An image that the test set
            has too is not an item again.

    Raises:
        SgmnError: The gallery is empty.
    """
    shelves: dict[str, list[Product]] = {}
    item_ids: dict[tuple[str, str], list[str]] = {}
    products = list(products)
    for product in products:
        for item in _items_of(product, name):
            shelves.setdefault(product.shop_id, []).append(item)
            item_ids.setdefault(product.key, []).append(item.product_id)
    if name == "all":
        known = {product.image for product in products}
        for product in training_products:
            if product.image not in known:
                item_id = TRAIN_PREFIX + product.product_id
                shelves.setdefault(product.shop_id, []).append(replace(product, product_id=item_id))
    if not shelves:
        raise SgmnError("is empty", f"gallery {name!r}", "import the test set with its products")
    return Gallery(name, shelves, item_ids)


def _items_of(product: Product, gallery: str) -> Iterator[Product]:
    """A product without an image on disk is an item with its title alone."""
    if gallery == "full":
        paths = product.image_paths or (None,)
        for number, path in enumerate(paths):
            item_id = f"{product.product_id}-{number}"
            yield replace(product, product_id=item_id, image=path, images=())
    elif product.extra.get("main", True):
        yield replace(product, images=())


def complete_attributes(
    clips: Sequence[Clip], missing: Sequence[Clip], products: Iterable[Product]
) -> list[Clip]:
    """Return all queries with the attributes by which reports break down.

    A clip without a category has that of its first true product. If any media are missing, each
    query tells whether its own are.
    """
    categories = {product.key: product.category for product in products if product.category}
    queries = []
    for clip, media in [(c, "present") for c in clips] + [(c, "missing") for c in missing]:
        keys = ((clip.shop_id, product_id) for product_id in clip.product_ids)
        category = next((categories[key] for key in keys if key in categories), "")
        attributes = ({"category": category} if category else {}) | dict(clip.attributes)
        attributes |= {MEDIA: media} if missing else {}
        queries.append(replace(clip, attributes=attributes))
    return queries
