"""Search in an index of 66,000 products of 110 shops: times, and recall across shops.

    python benchmarks/search.py [--quick] [--index FOLDER]

The vectors are drawn: clusters within clusters, as products come in categories and variants.
A query is a product's vector (length 1) with noise twice as long. The sides take turns, query
by query.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sgmn.catalogue import rows
from sgmn.catalogue.index import Index, ModelStamp
from sgmn.catalogue.shelf import Shelf
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights
from sgmn.records import Product, ProductContent

Vectors = NDArray[np.float32]
CHUNK = 6_000
LIMITS_MS = {"shop, from disk": 20, "shop, shelf in memory": 1, "all shops, vector index": 40}
SIDES = [
    "shop, from disk",
    "shop, shelf, cold caches",
    "shop, shelf in memory",
    "all shops, vector index",
    "all shops, exact",
]
WINDOWS = 5  # a shelf is scored window after window; the first, after the disk, is told apart
LEAST_RECALL = 0.99


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    drawn = np.random.default_rng(options.seed)
    vectors = clustered(drawn, options.products, options.dim)
    with tempfile.TemporaryDirectory() as folder:
        index = filled(options.index or Path(folder), vectors, options.shops)
        noise = drawn.normal(size=(options.queries, options.dim)) * options.noise
        picked = drawn.choice(len(vectors), options.queries, replace=False)
        queries = unit(vectors[picked] + noise / np.sqrt(options.dim))
        times, recall = measured(index, queries, options.shops, drawn)
    show(times, recall, options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="6,000 products, 20 queries")
    parser.add_argument("--index", type=Path, help="keep the index there, or use it again")
    for name, default in (("products", 66_000), ("shops", 110), ("dim", 384), ("queries", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--noise", type=float, default=2.0, help="length of a query's noise")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.quick:
        options.products, options.shops, options.queries = 6_000, 10, 20
    return options


def unit(vectors: NDArray[np.floating]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered(drawn: np.random.Generator, count: int, dim: int) -> Vectors:
    """Unit vectors (count, dim): 34 categories, 60 kinds in each, noise of the same length."""
    categories = drawn.normal(size=(34, dim))
    kinds = categories.repeat(60, 0) + 0.7 * drawn.normal(size=(34 * 60, dim))
    own = drawn.integers(len(kinds), size=count)
    return unit(kinds[own] + 0.7 * drawn.normal(size=(count, dim)))


def filled(folder: Path, vectors: Vectors, shops: int) -> Index:
    """An index of these vectors, product n in shop n modulo `shops`; kept if it is there."""
    index = Index.create_or_open(folder, ModelStamp("drawn", vectors.shape[1], "drawn vectors"))
    if index.count() == len(vectors):
        return index
    began = time.perf_counter()
    for start in range(0, len(vectors), CHUNK):
        write(index, vectors[start : start + CHUNK], start, shops)
    index.optimize()
    written = time.perf_counter()
    index.build_vector_index()
    built = time.perf_counter()
    print(f"wrote {len(vectors)} rows in {written - began:.1f} s, index {built - written:.1f} s")
    return index


def write(index: Index, vectors: Vectors, start: int, shops: int) -> None:
    """Write some rows without encoding anything."""
    entries = [
        rows.Entry(Product(f"p{n}", f"title {n}", shop_id=f"s{n % shops}"), "", CONTENT, None)
        for n in range(start, start + len(vectors))
    ]
    there = torch.ones(len(vectors), dtype=torch.bool)
    picture = torch.from_numpy(vectors)
    products = ProductVectors(picture, there, torch.zeros_like(picture), ~there)
    index.write(rows.table(entries, products, index.model))


CONTENT = ProductContent((), "")


def measured(
    index: Index, queries: Vectors, shops: int, drawn: np.random.Generator
) -> tuple[dict[str, list[float]], float]:
    """Milliseconds of each side for each query, and recall@10 across shops."""
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    shelves: dict[str, Shelf] = {}
    found = 0
    for query in (queries[0], *queries):  # the first once more, to warm up
        shop = f"s{drawn.integers(shops)}"
        shelf = shelves.setdefault(shop, index.shelf(shop))
        clip = clip_of(query)
        timed(times["shop, from disk"], lambda q=query, s=shop: index.search(q, shop_id=s))
        timed(times["shop, shelf, cold caches"], lambda s=shelf, c=clip: s.best(c, RANKER, 10))
        for _ in range(WINDOWS):
            timed(times["shop, shelf in memory"], lambda s=shelf, c=clip: s.best(c, RANKER, 10))
        near = timed(times["all shops, vector index"], lambda q=query: index.search(q))
        best = timed(times["all shops, exact"], lambda q=query: index.search(q, exact=True))
        found += len({hit.product.key for hit in near} & {hit.product.key for hit in best})
    recall = found / (10 * (len(queries) + 1))
    return {name: taken[1:] for name, taken in times.items()}, recall


RANKER = Ranker(ScoreWeights(*map(torch.tensor, (0.5, 0.5, 0.0, 0.1, 20.0))))


def clip_of(query: Vectors) -> ClipVectors:
    """A silent clip of ten equal frames."""
    picture, yes = torch.from_numpy(query)[None], torch.ones(1, dtype=torch.bool)
    frames = picture[:, None].expand(1, 10, -1).contiguous()
    weights = torch.full((1, 10), 0.1)
    return ClipVectors(frames, weights, picture, yes, torch.zeros_like(picture), ~yes)


def timed(times: list[float], action: Callable[[], list]) -> list:
    began = time.perf_counter()
    result = action()
    times.append((time.perf_counter() - began) * 1000)
    return result


def show(times: dict[str, list[float]], recall: float, options: argparse.Namespace) -> None:
    exact = np.median(times["all shops, exact"])
    print(
        f"{options.products} products, {options.shops} shops, dim {options.dim}, one torch thread"
    )
    print(f"{'search':26}{'p50 ms':>9}{'p95 ms':>9}{'of exact':>10}{'limit':>8}")
    for name, taken in times.items():
        p50, p95 = np.percentile(taken, [50, 95])
        limit = LIMITS_MS.get(name)
        verdict = "" if limit is None else f"{limit:6} {'ok' if p50 < limit else 'MISSED'}"
        print(f"{name:26}{p50:9.2f}{p95:9.2f}{p50 / exact:10.3f}  {verdict}")
    met = "ok" if recall >= LEAST_RECALL else "MISSED"
    print(f"recall@10 across shops {recall:.4f} (at least {LEAST_RECALL}) {met}")


if __name__ == "__main__":
    main()
