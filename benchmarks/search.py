"""Search in an index of 66,000 products of 110 shops: times, and recall across shops.

    python benchmarks/search.py [--quick] [--index FOLDER]

The vectors are random clusters within clusters, as products come in categories and variants. A
query is the vector of a product (length 1) with noise twice as long. The kinds of search run
alternately, query by query.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sgmn.catalogue.entries import IndexEntry
from sgmn.catalogue.shelf import Shelf
from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import Hit, ProductTable
from sgmn.catalogue.vectors import build_table
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights
from sgmn.records import Product, ProductContent

Vectors = NDArray[np.float32]
Result = TypeVar("Result")
CHUNK = 6_000
CATEGORIES, KINDS_PER_CATEGORY = 34, 60
K = 10  # results of a search
WINDOWS = 5  # a live stream scores the same shelf window after window
SHOP_DISK, SHOP_COLD, SHOP_WARM = "shop, from disk", "shop, shelf, cold caches", "shop, shelf"
ALL_INDEX, ALL_EXACT = "all shops, vector index", "all shops, exact"
SEARCHES = (SHOP_DISK, SHOP_COLD, SHOP_WARM, ALL_INDEX, ALL_EXACT)
LIMITS_MS = {SHOP_DISK: 20, SHOP_WARM: 1, ALL_INDEX: 40}
MIN_RECALL = 0.99
RANKER = Ranker(ScoreWeights(*map(torch.tensor, (0.5, 0.5, 0.0, 0.1, 20.0))))


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    vectors = random_clusters(rng, options.products, options.dim)
    with tempfile.TemporaryDirectory() as folder:
        table = fill_table(options.index or Path(folder), vectors, options.shops)
        noise = rng.normal(size=(options.queries, options.dim)) * options.noise
        chosen = rng.choice(len(vectors), options.queries, replace=False)
        queries = normalize(vectors[chosen] + noise / np.sqrt(options.dim))
        times_ms, recall = measure(table, queries, options.shops, rng)
    print_results(times_ms, recall, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="6,000 products, 20 queries")
    parser.add_argument("--index", type=Path, help="folder of an index to create or reuse")
    for name, default in (("products", 66_000), ("shops", 110), ("dim", 384), ("queries", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--noise", type=float, default=2.0, help="length of the noise of a query")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.quick:
        options.products, options.shops, options.queries = 6_000, 10, 20
    return options


def normalize(vectors: NDArray[np.floating]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def random_clusters(rng: np.random.Generator, count: int, dim: int) -> Vectors:
    """Return unit vectors (count, dim) around the kinds of some categories."""
    categories = rng.normal(size=(CATEGORIES, dim))
    kind_noise = 0.7 * rng.normal(size=(CATEGORIES * KINDS_PER_CATEGORY, dim))
    kinds = categories.repeat(KINDS_PER_CATEGORY, 0) + kind_noise
    kind_of_product = rng.integers(len(kinds), size=count)
    return normalize(kinds[kind_of_product] + 0.7 * rng.normal(size=(count, dim)))


def fill_table(folder: Path, vectors: Vectors, shops: int) -> ProductTable:
    """Return a table with product n in shop n modulo `shops`; a complete table is reused."""
    stamp = ModelStamp("random", vectors.shape[1], "random vectors")
    table = ProductTable.create_or_open(folder, stamp)
    if table.count() == len(vectors):
        return table
    start = time.perf_counter()
    for first in range(0, len(vectors), CHUNK):
        write_chunk(table, vectors[first : first + CHUNK], first, shops)
    table.optimize()
    written = time.perf_counter()
    table.build_vector_index("image")
    indexed = time.perf_counter()
    print(f"wrote {len(vectors)} rows in {written - start:.1f} s, index {indexed - written:.1f} s")
    return table


def write_chunk(table: ProductTable, vectors: Vectors, first: int, shops: int) -> None:
    """Write rows with given image vectors, without encoding anything."""
    products = [
        Product(f"p{n}", f"title {n}", shop_id=f"s{n % shops}")
        for n in range(first, first + len(vectors))
    ]
    entries = [IndexEntry(product, "", ProductContent((), ""), None) for product in products]
    present = torch.ones(len(vectors), dtype=torch.bool)
    image = torch.from_numpy(vectors)
    product_vectors = ProductVectors(image, present, torch.zeros_like(image), ~present)
    table.write_rows(build_table(entries, product_vectors, table.stamp))


def measure(
    table: ProductTable, queries: Vectors, shops: int, rng: np.random.Generator
) -> tuple[dict[str, list[float]], float]:
    """Return milliseconds of each kind of search per query, and recall@10 across shops."""
    times_ms: dict[str, list[float]] = {name: [] for name in SEARCHES}
    shelves: dict[str, Shelf] = {}
    overlap = 0
    for query in (queries[0], *queries):  # the first query is also the warm-up
        shop_id = f"s{rng.integers(shops)}"
        shelf = shelves.setdefault(shop_id, table.shelf(shop_id))
        search_shop(times_ms, table, shelf, query, shop_id)
        approximate = run_timed(times_ms[ALL_INDEX], partial(table.search, query))
        exact = run_timed(times_ms[ALL_EXACT], partial(table.search, query, exact=True))
        overlap += len(product_keys(approximate) & product_keys(exact))
    recall = overlap / (K * (len(queries) + 1))
    return {name: values[1:] for name, values in times_ms.items()}, recall


def search_shop(
    times_ms: dict[str, list[float]],
    table: ProductTable,
    shelf: Shelf,
    query: Vectors,
    shop_id: str,
) -> None:
    run_timed(times_ms[SHOP_DISK], partial(table.search, query, shop_id=shop_id))
    score_shelf = partial(shelf.top_matches, build_clip(query), RANKER, K)
    run_timed(times_ms[SHOP_COLD], score_shelf)  # the search on disk has emptied the CPU's caches
    for _ in range(WINDOWS):
        run_timed(times_ms[SHOP_WARM], score_shelf)


def product_keys(hits: list[Hit]) -> set[tuple[str, str]]:
    return {hit.product.key for hit in hits}


def build_clip(query: Vectors) -> ClipVectors:
    """Return a clip of ten equal frames without text."""
    image, present = torch.from_numpy(query)[None], torch.ones(1, dtype=torch.bool)
    frames = image[:, None].expand(1, 10, -1).contiguous()
    weights = torch.full((1, 10), 0.1)
    return ClipVectors(frames, weights, image, present, torch.zeros_like(image), ~present)


def run_timed(times_ms: list[float], action: Callable[[], Result]) -> Result:
    start = time.perf_counter()
    result = action()
    times_ms.append((time.perf_counter() - start) * 1000)
    return result


def print_results(
    times_ms: dict[str, list[float]], recall: float, options: argparse.Namespace
) -> None:
    exact = np.median(times_ms[ALL_EXACT])
    counts = f"{options.products} products, {options.shops} shops"
    print(f"{counts}, dim {options.dim}, one torch thread")
    print(f"{'search':26}{'p50 ms':>9}{'p95 ms':>9}{'of exact':>10}{'limit':>8}")
    for name, values in times_ms.items():
        p50, p95 = np.percentile(values, [50, 95])
        limit = LIMITS_MS.get(name)
        verdict = "" if limit is None else f"{limit:6} {'ok' if p50 < limit else 'MISSED'}"
        print(f"{name:26}{p50:9.2f}{p95:9.2f}{p50 / exact:10.3f}  {verdict}")
    verdict = "ok" if recall >= MIN_RECALL else "MISSED"
    print(f"recall@10 across shops {recall:.4f} (at least {MIN_RECALL}) {verdict}")


if __name__ == "__main__":
    main()
