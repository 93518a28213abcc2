"""The content hashes that a table had before an update, read shop by shop."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from sgmn.catalogue.rows import ProductKey

MAX_HASHES = 1_000_000  # about 300 MB

ReadHashes = Callable[[str], Mapping[str, str]]


class StoredHashes:
    """Looks up the content hashes of stored products; the memory does not grow with the table.

    The hashes of a shop are read when its first product is looked up. Those of the shop that was
    not used for the longest time are dropped when there are too many.

    Args:
        read: Returns the content hash of each product of a shop, by product id.
        max_hashes: How many hashes to keep; those of the current shop are always kept.
    """

    def __init__(self, read: ReadHashes, max_hashes: int = MAX_HASHES) -> None:
        self._read, self._max_hashes, self._count = read, max_hashes, 0
        self._shops: OrderedDict[str, Mapping[str, str]] = OrderedDict()

    def get(self, key: ProductKey) -> str | None:
        """The content hash of a product, if it was stored."""
        shop_id, product_id = key
        if shop_id not in self._shops:
            self._load(shop_id)
        self._shops.move_to_end(shop_id)
        return self._shops[shop_id].get(product_id)

    def _load(self, shop_id: str) -> None:
        self._shops[shop_id] = hashes = self._read(shop_id)
        self._count += len(hashes)
        while self._count > self._max_hashes and len(self._shops) > 1:
            _, dropped = self._shops.popitem(last=False)
            self._count -= len(dropped)
