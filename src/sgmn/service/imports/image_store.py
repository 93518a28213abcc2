"""Keeps the images of uploads in the folder of their catalogue, each under its content's name.

So an image that is uploaded again has the same path, and its product counts as unchanged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex

from sgmn.catalogue.feed import Feed
from sgmn.records import Product
from sgmn.row_issues import RowIssue


@dataclass
class ImageStore:
    """The images of one catalogue.

    Attributes:
        folder: Where they are kept.
        root: The folder of the upload; images outside of it are refused.
        kept: Folders whose images may stay where they are.
    """

    folder: Path
    root: Path
    kept: Collection[Path] = ()
    names: dict[Path, str] = field(default_factory=dict)  # of stored files, for messages

    def store_feed(self, feed: Feed) -> Feed:
        """The feed with all images in the store; products with images elsewhere are rejected."""
        products, rejected = [], list(feed.rejected_rows)
        keys = set(feed.rejected_keys)
        for product in feed.products:
            outside = [path for path in product.image_paths if not self._is_allowed(path)]
            if outside:
                where = feed.locations.get(product.key, f"product {product.product_id!r}")
                message = f"image {str(outside[0])!r} is not part of the upload"
                rejected.append(RowIssue(where, f"{message}; use a relative path"))
                keys.add(product.key)
            else:
                products.append(self._store_product(product))
        return replace(
            feed,
            products=tuple(products),
            rejected_rows=tuple(rejected),
            rejected_keys=frozenset(keys),
        )

    def _is_allowed(self, path: Path) -> bool:
        resolved = path.resolve()
        return any(resolved.is_relative_to(root.resolve()) for root in (self.root, *self.kept))

    def _store_product(self, product: Product) -> Product:
        image = None if product.image is None else self._store(product.image)
        return replace(product, image=image, images=tuple(map(self._store, product.images)))

    def _store(self, path: Path) -> Path:
        """The path of an image in the store; one that does not exist keeps its path."""
        resolved = path.resolve()
        if any(resolved.is_relative_to(folder.resolve()) for folder in self.kept):
            return path
        if not path.is_file():
            return path
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = self.folder / digest[:2] / f"{digest}{path.suffix.lower()}"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(path, target)
        self.names[target] = str(path.relative_to(self.root))
        return target


def _link(path: Path, target: Path) -> None:
    """Make a file available under another name, completely or not at all."""
    temporary = target.with_name(f".partial-{token_hex(8)}")
    try:
        os.link(path, temporary)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(path, temporary)
    temporary.replace(target)
