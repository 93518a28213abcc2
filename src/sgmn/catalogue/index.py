"""The index of a catalogue: products on disk, together with the model that encodes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sgmn.catalogue import stamp as stamps
from sgmn.catalogue.lance import Location
from sgmn.catalogue.model_source import to_embedder
from sgmn.catalogue.row_building import row_building
from sgmn.catalogue.rows import VectorModality
from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import Hit, ProductTable
from sgmn.catalogue.update import (
    ProgressCallback,
    RemovalReport,
    TableUpdate,
    UpdateOptions,
    UpdateProgress,
    UpdateReport,
)
from sgmn.errors import CheckpointError, IndexingError
from sgmn.model.runtimes import TORCH
from sgmn.product_text import DEFAULT_TEXT_FIELDS, TextFields
from sgmn.records import ClipContent, ImageArray, Product

if TYPE_CHECKING:
    from sgmn.catalogue.feed import Feed
    from sgmn.catalogue.fetch.fetcher import FetchProgress
    from sgmn.catalogue.fetch.options import FetchOptions
    from sgmn.catalogue.shelf import Shelf
    from sgmn.model.bundle import ModelBundle
    from sgmn.model.embedder import Embedder
    from sgmn.model.scoring import ClipVectors
    from sgmn.scale.engine import Engine

__all__ = [
    "Hit",
    "Index",
    "ModelStamp",
    "RemovalReport",
    "UpdateProgress",
    "UpdateReport",
]

DEFAULT_MODEL = "builtin"
MIN_CANDIDATES = 100  # of a search across shops, for each pair of query and product vector


class Index:
    """The products of any number of shops, on disk, with the model that encodes them.

    Several processes may read and write an index at once. The model is loaded when it is first
    needed; PyTorch is not imported before that.

    Example:
        >>> index = Index.open("shop.index")  # doctest: +SKIP
        >>> index.add("catalogue.csv", progress=lambda p: print(p.done, p.total))  # doctest: +SKIP
        >>> [hit.product.title for hit in index.search(text="red shoes", k=3)]  # doctest: +SKIP
    """

    def __init__(
        self, table: ProductTable, embedder: Embedder | None = None, runtime: str = TORCH
    ) -> None:
        self.table, self._runtime = table, runtime
        if embedder is not None:
            self.embedder = embedder

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether the folder `path` holds an index; the index is not opened."""
        return ProductTable.exists(path)

    @classmethod
    def open(
        cls,
        path: str | Path,
        model: str | Path | ModelBundle | Embedder | None = None,
        runtime: str = TORCH,
    ) -> Index:
        """Open an index.

        Args:
            path: The folder of the index.
            model: The model that built the index. By default it is found by the name that the
                index stores, and loaded when it is first needed.
            runtime: What runs the towers of the model, see `sgmn.load`.

        Raises:
            IndexingError: `path` is not an index, or another model built it.
            CheckpointError: `model` cannot be loaded.
        """
        table = ProductTable.open(path)
        if model is None:
            return cls(table, runtime=runtime)
        embedder = to_embedder(model, runtime)
        stamps.require_match(table.stamp, ModelStamp.from_embedder(embedder), table.path)
        return cls(table, embedder)

    @classmethod
    def create(
        cls,
        path: str | Path,
        model: str | Path | ModelBundle | Embedder = DEFAULT_MODEL,
        text_fields: TextFields | None = None,
    ) -> Index:
        """Create an empty index; see `open_or_create`. Raises IndexingError if there is one."""
        if cls.exists(path):
            raise IndexingError("is already an index", path, "open it, or choose another folder")
        return cls.open_or_create(path, model, text_fields)

    @classmethod
    def open_or_create(
        cls,
        path: str | Path,
        model: str | Path | ModelBundle | Embedder | None = None,
        text_fields: TextFields | None = None,
        runtime: str = TORCH,
    ) -> Index:
        """Open the index at `path`, or create an empty one there.

        `model` None means the model that built the index, or the built-in model for a new one;
        `text_fields` None the text of its products (see `product_text`), or the title for a new
        one. Raises IndexingError if the index has another model or another text.
        """
        if cls.exists(path):
            index = cls.open(path, model, runtime)
        else:
            embedder = to_embedder(model or DEFAULT_MODEL, runtime)
            stamp = ModelStamp.from_embedder(embedder, text_fields or DEFAULT_TEXT_FIELDS)
            index = cls(ProductTable.create_or_open(path, stamp), embedder)
        if text_fields is not None:
            stamps.require_text_fields(index.stamp, text_fields, index.path)
        return index

    @property
    def path(self) -> Location:
        """The folder of the index, or its address in object storage."""
        return self.table.path

    @property
    def stamp(self) -> ModelStamp:
        """Identifies the model that built the index."""
        return self.table.stamp

    @cached_property
    def embedder(self) -> Embedder:
        """Encodes images and texts with the model that built the index.

        Raises IndexingError if that model cannot be found, or has changed since.
        """
        if not self.stamp.name:
            raise IndexingError(
                "does not name its model", self.path, "pass the model that built the index"
            )
        try:
            embedder = to_embedder(self.stamp.name, self._runtime)
        except CheckpointError as error:
            raise IndexingError(
                f"was built by {self.stamp}, which cannot be loaded ({error})",
                self.path,
                "pass the model that built the index",
            ) from error
        stamps.require_match(self.stamp, ModelStamp.from_embedder(embedder), self.path)
        return embedder

    @property
    def model(self) -> ModelBundle:
        """The model that built the index; see `embedder`."""
        return self.embedder.model

    def add(
        self,
        source: str | Path | Feed | Iterable[Product],
        *,
        shop_id: str = "",
        sync: bool = False,
        strict: bool = False,
        batch_size: int = 32,
        progress: ProgressCallback | None = None,
        fetch_options: FetchOptions | None = None,
        fetch_progress: FetchProgress | None = None,
        engine: Engine | None = None,
    ) -> UpdateReport:
        """Add new products and replace changed ones; unchanged ones are not encoded again.

        A product without available images is indexed by its title, with a warning. It is rejected
        if it has no title either, or if none of its image files can be decoded.

        Args:
            source: A catalogue (see `feed.read_feed`) or products.
            shop_id: The shop of catalogue rows that name no shop.
            sync: Remove products that the shops in `source` no longer list, not rejected ones.
            strict: Reject products with a missing or unreadable image instead of warning.
            batch_size: Number of products that are encoded and written at once.
            progress: Called with an UpdateProgress after each batch is on disk.
            fetch_options: Limits of downloads, and the folder of their cache.
            fetch_progress: Called with the numbers of finished and of all images.
            engine: Encodes batches elsewhere, such as `sgmn.scale.ray_engine.RayEngine`.

        Raises:
            RecordError: `source` has no valid row or, with `sync`, a row without a legible id.
            FetchError: `source` is an address that cannot be downloaded.
        """
        from sgmn.catalogue.feed import Feed, read_feed  # of no use to those who only read an index

        feed: Feed | Iterable[Product] = source  # type: ignore[assignment]  # see the next line
        if isinstance(source, str | Path):
            feed = read_feed(source, shop_id, strict, fetch_options, fetch_progress)
        build_rows = row_building(self.embedder, self.stamp, strict, engine)
        options = UpdateOptions(batch_size, sync=sync, strict=strict)
        if not isinstance(feed, Feed):
            return TableUpdate(self.table, build_rows, options, progress).run(feed)
        feed.require_valid_rows("the catalogue" if feed is source else source, sync)
        update = TableUpdate(self.table, build_rows, feed.extend_options(options), progress)
        return feed.extend_report(update.run(feed.products))

    def remove(self, product_ids: Iterable[str], shop_id: str | None = None) -> RemovalReport:
        """Remove products of one shop, or of all shops; report unknown ids."""
        return self.table.remove(product_ids, shop_id)

    def search(
        self,
        *,
        image: str | Path | ImageArray | None = None,
        text: str = "",
        k: int = 10,
        shop_id: str | None = None,
    ) -> list[Hit]:
        """The `k` products that match an image, a text, or both, best first.

        Args:
            image: An image file, or pixels (H, W, 3) as uint8 RGB.
            text: What is said about the product, or a search text.
            k: How many products to return; fewer if there are fewer.
            shop_id: Search only this shop, exactly. By default all shops are searched: the
                nearest products by vector are scored.

        Raises:
            IndexingError: There is neither image nor text, or the shop has no products.
            MediaError: The image cannot be read.
        """
        clips = self.encode_query(image, text)
        shelf = self._find_candidates(clips, k) if shop_id is None else self.shelf(shop_id)
        if shelf is None:
            return []
        [places] = shelf.rank(clips, self.embedder.ranker, k)
        return [Hit(shelf.products[place], score) for place, score in places]

    def encode_query(self, image: str | Path | ImageArray | None, text: str) -> ClipVectors:
        """An image, a text or both as the vectors of a clip; raises as `search` does."""
        from sgmn.media.image import read_image

        if image is None and not text.strip():
            raise IndexingError("has neither image nor text", "the query", "pass at least one")
        if isinstance(image, str | Path):
            image = read_image(Path(image), self.embedder.max_side)
        return self.embedder.encode_clips([ClipContent(() if image is None else (image,), text)])

    def _find_candidates(self, clips: ClipVectors, k: int) -> Shelf | None:
        """The nearest products of all shops by each pair of query vector and product vector."""
        pairs = ((clips.image, clips.has_image), (clips.text, clips.has_text))
        queries = [vectors[0].numpy() for vectors, present in pairs if present[0]]
        modalities: Sequence[VectorModality] = ("image", "text")
        searches = [(query, modality) for query in queries for modality in modalities]
        return self.table.candidates(searches, max(MIN_CANDIDATES, 10 * k))

    def build_vector_index(self) -> None:
        """Build the approximate index for search across shops; useful from 50,000 products on.

        Updates keep it. Build it again when there are several times as many products.
        Raises IndexingError without products, or if the vectors cannot be indexed.
        """
        self.table.build_vector_index()

    def shelf(self, shop_id: str = "") -> Shelf:
        """One shop in memory, ordered by product_id; IndexingError if it has no products."""
        return self.table.shelf(shop_id)

    def products(self, shop_id: str | None = None) -> list[Product]:
        """The products of one shop, or of all shops, ordered by shop and id."""
        return self.table.products(shop_id)

    def thumbnails(self, shop_id: str = "") -> dict[str, bytes]:
        """Small JPEGs by product_id, of the products of one shop that have an image."""
        return self.table.thumbnails(shop_id)

    def shops(self) -> dict[str, int]:
        """The number of products of each shop, by shop_id in alphabetical order."""
        return self.table.shops()

    def count(self) -> int:
        """The number of products."""
        return self.table.count()
