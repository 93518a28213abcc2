"""Evaluates an imported benchmark by its own protocol, without an index.

Each shelf is encoded when its first clip is due, and forgotten after its last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sgmn import jsonl
from sgmn.batching import batched
from sgmn.catalogue.shelf import Shelf
from sgmn.data.dataset import read_dataset
from sgmn.data.rows import parse_clip
from sgmn.errors import MediaError, SgmnError
from sgmn.evaluation.protocols.gallery import Gallery, build_gallery, complete_attributes
from sgmn.evaluation.protocols.protocol import Protocol
from sgmn.evaluation.ranking import TOP_K, RankedClip
from sgmn.media.content_loader import load_product_content
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import MODALITIES, Modality, ProductVectors
from sgmn.records import Clip, Product, ProductContent
from sgmn.workflows.evaluation import rank_on_shelves
from sgmn.workflows.import_benchmark import imported_kind

PRODUCT_BATCH = 32  # items that are encoded at once


@dataclass(frozen=True)
class Benchmark:
    """The queries of a benchmark, and the gallery in which they are searched.

    Attributes:
        queries: The clips whose media exist, sorted by shelf; their products are items.
        missing: The clips whose media are missing, which count as misses.
    """

    gallery: Gallery
    queries: Sequence[Clip]
    missing: Sequence[Clip]

    def __len__(self) -> int:
        """The number of all queries."""
        return len(self.queries) + len(self.missing)


def read_benchmark(folder: Path, protocol: Protocol, gallery_name: str) -> Benchmark:
    """Read the output folder of `sgmn import`.

    Raises SgmnError if it is none or that of another benchmark, or if the gallery needs a training
    set that it lacks.
    """
    test = folder / "test"
    if not (test / "clips.jsonl").is_file():
        remedy = f"pass the output folder of `sgmn import {protocol.name}`"
        raise SgmnError("has no test/clips.jsonl", folder, remedy)
    kind = imported_kind(folder) or protocol.name
    if kind != protocol.name:
        raise SgmnError(f"was written by `sgmn import {kind}`", folder, f"pass --protocol {kind}")
    data = read_dataset(test)
    training = list(_read_training_products(folder)) if gallery_name == "all" else []
    gallery = build_gallery(gallery_name, data.products, training)
    missing = list(_read_missing(test / "missing.jsonl"))
    clips = complete_attributes(data.clips, missing, data.products)
    queries = [gallery.to_query(clip) for clip in clips]
    present = sorted(queries[: len(data.clips)], key=lambda clip: clip.shop_id)
    return Benchmark(gallery, present, queries[len(data.clips) :])


def _read_training_products(folder: Path) -> Iterator[Product]:
    path = folder / "train" / "products.jsonl"
    if not path.is_file():
        remedy = "import the training set too, or pass --gallery test"
        raise SgmnError("is missing, and the gallery 'all' needs it", path, remedy)
    for where, line in jsonl.read_lines(path):
        yield jsonl.parse_product(jsonl.parse_object(line, where), path.parent)


def _read_missing(path: Path) -> Iterator[Clip]:
    if path.is_file():
        for where, line in jsonl.read_lines(path):
            yield parse_clip(jsonl.parse_object(line, where), path.parent)


def rank_benchmark(
    benchmark: Benchmark,
    embedder: Embedder,
    modalities: Sequence[Modality] = MODALITIES,
    damage: list[str] | None = None,
    *,
    without_titles: bool = False,
    depth: int = TOP_K,
) -> Iterator[RankedClip]:
    """Rank the items of its shelf for each query; queries with missing media come last, as misses.

    Args:
        benchmark: The queries and the gallery.
        embedder: Encodes clips and items.
        modalities: Which modalities of clips and items to use.
        damage: Receives a line for everything that cannot be read.
        without_titles: Whether to ignore the titles of all items.
        depth: Items of a result.
    """
    messages: list[str] = [] if damage is None else damage
    selected = [m for m in modalities if not (without_titles and m == "text")]
    for shop_id, clips in _group_by_shop(benchmark.queries).items():
        items = benchmark.gallery.shelves.get(shop_id, ())
        if not items:
            yield from map(benchmark.gallery.to_miss, clips)
            continue
        vectors = _encode_items(items, embedder, messages).select_modalities(selected)
        shelves = {shop_id: Shelf(items, vectors)}
        yield from rank_on_shelves(clips, shelves, embedder, modalities, messages, depth)
    yield from map(benchmark.gallery.to_miss, benchmark.missing)


def _group_by_shop(clips: Sequence[Clip]) -> Mapping[str, list[Clip]]:
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.shop_id, []).append(clip)
    return groups


def _encode_items(
    items: Sequence[Product], embedder: Embedder, damage: list[str]
) -> ProductVectors:
    return ProductVectors.cat(
        embedder.encode_products([_load_item(item, embedder.max_side, damage) for item in batch])
        for batch in batched(items, PRODUCT_BATCH)
    )


def _load_item(item: Product, max_side: int, damage: list[str]) -> ProductContent:
    """An item whose image cannot be read has its title alone."""
    try:
        return load_product_content(item, max_side=max_side)
    except MediaError as error:
        damage.append(str(error))
        return ProductContent((), item.title)
