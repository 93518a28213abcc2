"""Reads a shop's catalogue: a file, a folder or an address, with images from files or addresses.

Invalid rows are collected with their place and the reason, and the other rows are read. An image
that cannot be downloaded leaves a product with its title and a warning.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from sgmn import jsonl
from sgmn.catalogue.feeds import formats, image_folder
from sgmn.catalogue.feeds.document import Document, is_text, is_url
from sgmn.catalogue.feeds.listing import Listing, Rows
from sgmn.catalogue.rows import ProductKey
from sgmn.errors import FetchError, RecordError
from sgmn.records import Product
from sgmn.row_issues import RowIssue, UniqueKeys

if TYPE_CHECKING:
    from sgmn.catalogue.fetch.fetcher import FetchedImage, FetchProgress
    from sgmn.catalogue.fetch.options import FetchOptions
    from sgmn.catalogue.update import UpdateOptions, UpdateReport

MAX_FEED_BYTES = 1_000_000_000
_ADDRESS = re.compile(r"(//|[a-z][a-z0-9+.-]*://|data:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Feed:
    """The products of a catalogue in its order, and the rows that were rejected.

    Attributes:
        products: The valid products, with the files of their images.
        rejected_rows: Problems of rows without a product.
        warnings: Problems of images that products can do without.
        locations: The place of each product in the catalogue, `file:line:column`.
        rejected_keys: The keys of rejected rows, as far as they are known.
        unidentified_rows: Rejected rows whose key is not known.
    """

    products: tuple[Product, ...]
    rejected_rows: tuple[RowIssue, ...]
    warnings: tuple[RowIssue, ...] = ()
    locations: Mapping[ProductKey, str] = field(default_factory=dict)
    rejected_keys: frozenset[ProductKey] = frozenset()
    unidentified_rows: tuple[RowIssue, ...] = ()

    def require_valid_rows(self, where: object, sync: bool) -> None:
        """Raise RecordError if there is no valid row, or if `sync` would remove too much."""
        rejected, unidentified = self.rejected_rows, self.unidentified_rows
        if not self.products:
            reason = f"; the first of {len(rejected)} errors is: {rejected[0]}" if rejected else ""
            raise RecordError(f"has no valid product{reason}", where, "correct its rows")
        if sync and unidentified:
            raise RecordError(
                f"has {len(unidentified)} invalid rows, whose products would be removed: "
                f"{unidentified[0]}",
                where,
                "correct the rows, or update without --sync (sync=False)",
            )

    def extend_options(self, options: UpdateOptions) -> UpdateOptions:
        """Options for an update with these products: what it must not remove, and places."""
        return replace(options, protected_keys=self.rejected_keys, locations=self.locations)

    def extend_report(self, report: UpdateReport) -> UpdateReport:
        """The report of an update with these products, with the issues of the feed added."""
        return replace(
            report,
            rejected_rows=(*self.rejected_rows, *report.rejected_rows),
            warnings=(*self.warnings, *report.warnings),
        )


def read_feed(
    source: str | Path,
    shop_id: str = "",
    strict: bool = False,
    fetch_options: FetchOptions | None = None,
    fetch_progress: FetchProgress | None = None,
    max_rows: int = sys.maxsize,
) -> Feed:
    """Read a catalogue, and download its images that are addresses.

    Args:
        source: A file, a folder, or an address that starts with http:// or https://.
        shop_id: The shop of rows that name none.
        strict: Reject products with an image that cannot be downloaded.
        fetch_options: Limits of the downloads, and the folder of their cache.
        fetch_progress: Called with the numbers of finished images and of all images.
        max_rows: Maximum number of rows, invalid ones included.

    Raises:
        RecordError: `source` is not a catalogue, or has more than `max_rows` rows.
        FetchError: The catalogue cannot be downloaded.
    """
    builder = _FeedBuilder(shop_id, strict)
    rows, root = _open(source, fetch_options)
    listings = [
        _resolve_addresses(listing, root)
        for listing in builder.valid(_limit(rows, max_rows, source))
    ]
    images = _fetch(listings, fetch_options, fetch_progress)
    for listing in listings:
        builder.add(listing, images)
    return builder.build()


def _open(source: str | Path, options: FetchOptions | None) -> tuple[Rows, str | Path]:
    """The rows of a catalogue, and the folder or address to which its images are relative."""
    if isinstance(source, str) and is_url(source):
        document = _download(source, options)
        return formats.read_listings(document), source
    path = Path(source)
    if not jsonl.path_exists(path):
        raise RecordError("does not exist", where=path, remedy="pass a file or a folder")
    if path.is_dir():
        products_file = path / "products.jsonl"
        if not jsonl.path_exists(products_file):
            return image_folder.read(path), path
        path = products_file
    return formats.read_listings(Document.read(path, MAX_FEED_BYTES)), path.parent


def _limit(rows: Rows, max_rows: int, source: str | Path) -> Rows:
    for number, row in enumerate(rows, start=1):
        if number > max_rows:
            raise RecordError(f"has more than {max_rows} rows", source, "split the catalogue")
        yield row


def _download(url: str, options: FetchOptions | None) -> Document:
    from sgmn.catalogue.fetch.fetcher import fetch_feed  # needs httpx
    from sgmn.catalogue.fetch.options import FetchOptions

    options = options or FetchOptions()
    return Document.read(fetch_feed(url, options), options.max_feed_bytes, url)


def _resolve_addresses(listing: Listing, root: str | Path) -> Listing:
    """The listing with images, and a link, that are complete addresses or complete paths."""
    attributes = listing.attributes
    if isinstance(root, str) and isinstance(attributes.get("link"), str):
        attributes = {**attributes, "link": _resolve(attributes["link"], root)}
    elif not listing.images:
        return listing
    images = tuple(_resolve(image, root) for image in listing.images)
    return replace(listing, images=images, attributes=attributes)


def _resolve(image: str, root: str | Path) -> str:
    if isinstance(root, str):  # never a local file for a feed from the network
        with contextlib.suppress(ValueError):  # reported when it is fetched
            image = urljoin(root, image)
        return image if _ADDRESS.match(image) else f"//{image}"
    if image.startswith("//"):
        return f"https:{image}"
    return image if _ADDRESS.match(image) else str(root / image)


def _fetch(
    listings: Iterable[Listing], options: FetchOptions | None, progress: FetchProgress | None
) -> Mapping[str, FetchedImage]:
    urls = [image for listing in listings for image in listing.images if _ADDRESS.match(image)]
    if not urls:
        return {}
    from sgmn.catalogue.fetch.fetcher import fetch_images  # needs httpx
    from sgmn.catalogue.fetch.options import FetchOptions

    return fetch_images(urls, options or FetchOptions(), progress)


class _FeedBuilder:
    """Collects valid products and rejected rows."""

    def __init__(self, shop_id: str, strict: bool) -> None:
        self.shop_id, self.strict = shop_id, strict
        self.products: list[Product] = []
        self.rejected: list[RowIssue] = []
        self.warnings: list[RowIssue] = []
        self.locations: dict[ProductKey, str] = {}
        self.rejected_keys: set[ProductKey] = set()
        self.unidentified: list[RowIssue] = []
        self._keys = UniqueKeys()

    def build(self) -> Feed:
        return Feed(
            tuple(self.products),
            tuple(self.rejected),
            tuple(self.warnings),
            self.locations,
            frozenset(self.rejected_keys),
            tuple(self.unidentified),
        )

    def valid(self, rows: Rows) -> Iterator[Listing]:
        """The listings with a unique id and valid text; other rows are rejected."""
        for row in rows:
            if isinstance(row, RecordError):
                self._reject(row)
                continue
            try:
                _require_text(row)
                self._to_product(row, [Path(image) for image in row.images])
                name = f"product {row.product_id!r}"
                self._keys.add(self._key(row), row.where, name)
            except RecordError as error:
                self._reject(jsonl.with_location(error, row.where), row)
            else:
                yield row

    def add(self, listing: Listing, images: Mapping[str, FetchedImage]) -> None:
        """Add the product of a listing, or reject it if it has no content left."""
        paths, errors = _collect_images(listing, images)
        try:
            if errors and self.strict:
                raise _image_error(errors[0][0], "and strict indexing needs every image")
            if errors and not paths and not listing.title.strip():
                raise _image_error(errors[0][0], "and the product has neither title nor image")
            product = self._to_product(listing, paths)
        except RecordError as error:
            self._reject(jsonl.with_location(error, listing.where), listing)
            return
        self.products.append(product)
        self.locations[product.key] = listing.where
        for fetch_error, has_copy in errors:
            self._warn(listing, fetch_error, has_copy, bool(paths))

    def _to_product(self, listing: Listing, paths: list[Path]) -> Product:
        return Product(
            listing.product_id,
            listing.title,
            paths[0] if paths else None,
            tuple(paths[1:]),
            listing.shop_id or self.shop_id,
            listing.category,
            listing.attributes,
            listing.extra,
        )

    def _key(self, listing: Listing) -> ProductKey:
        return listing.shop_id or self.shop_id, listing.product_id

    def _reject(self, error: RecordError, listing: Listing | None = None) -> None:
        issue = RowIssue.from_error(error)
        self.rejected.append(issue)
        if listing is None:
            self.unidentified.append(issue)
        else:
            self.rejected_keys.add(self._key(listing))

    def _warn(self, listing: Listing, error: FetchError, has_copy: bool, has_images: bool) -> None:
        if has_copy:
            consequence = "the copy of an earlier run is used"
        elif has_images:
            consequence = "indexed without this image"
        else:
            consequence = "indexed by its title only"
        self.warnings.append(RowIssue(listing.where, f"image {error}; {consequence}"))


def _collect_images(
    listing: Listing, images: Mapping[str, FetchedImage]
) -> tuple[list[Path], list[tuple[FetchError, bool]]]:
    """The image files of a listing, and each error with whether there is an earlier copy."""
    paths: list[Path] = []
    errors: list[tuple[FetchError, bool]] = []
    for image in listing.images:
        fetched = images.get(image)
        path = Path(image) if fetched is None else fetched.path
        if path is not None:
            paths.append(path)
        if fetched is not None and fetched.error is not None:
            errors.append((fetched.error, path is not None))
    return paths, errors


def _image_error(error: FetchError, consequence: str) -> RecordError:
    return RecordError(f"image {error.where}: {error.message}, {consequence}", None, error.remedy)


def _require_text(listing: Listing) -> None:
    """Raise RecordError for characters that neither files nor the index can hold."""
    texts = (listing.product_id, listing.title, listing.shop_id, listing.category)
    values = (*texts, *listing.images, *listing.attributes.values(), *listing.extra.values())
    if not is_text(*values):
        raise RecordError("is not UTF-8 text", listing.where, "save the feed as UTF-8")
    if any("\0" in text for text in (*texts, *listing.images)):
        raise RecordError("contains a null character", listing.where, "remove the character")
