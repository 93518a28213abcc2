"""One step of `catalogue_size.py` in a process of its own; prints JSON.

python benchmarks/catalogue_size_step.py STEP FOLDER SIZE [--patches] [--keep-versions-s S]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sgmn.catalogue import table as catalogue_table
from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from sgmn.model.scoring import ProductVectors
from sgmn.records import Product, ProductContent

DIM, SHOP_SIZE, K = 384, 1000, 10
PATCHES, PATCH_DIM = 36, 128
CATEGORIES, KINDS_PER_TABLE, KIND_SIZE = 34, 256, 32  # kinds are sums of rows of two tables
QUERIES, EXACT_QUERIES, NOISE = 50, 20, 2.0
CHANGED = 100
BATCH_SIZE = 256
STAMP = ModelStamp("random", DIM, "random vectors")
Vectors = NDArray[np.float32]
Measures = dict[str, float]  # seconds, MB and shares by name


class RandomEncoder:
    """Vectors around the kinds of some categories; the number in a title determines the kind."""

    def __init__(self, size: int, has_patches: bool) -> None:
        rng = np.random.default_rng(0)
        self._has_patches = has_patches
        self._kind_count = max(1, size // KIND_SIZE)
        self._categories = rng.normal(size=(CATEGORIES, DIM)).astype(np.float32)
        self._kinds = 0.5 * rng.normal(size=(2, KINDS_PER_TABLE, DIM)).astype(np.float32)

    def __call__(self, contents: Sequence[ProductContent]) -> ProductVectors:
        """The vectors of products."""
        numbers = np.array([int(content.title.rpartition(" ")[2]) for content in contents])
        rng = np.random.default_rng(numbers.tolist())
        present = torch.ones(len(numbers), dtype=torch.bool)
        image, text = (torch.from_numpy(self._vectors(numbers, rng)) for _ in range(2))
        vectors = ProductVectors(image, present, text, present)
        if not self._has_patches:
            return vectors
        patches = rng.normal(size=(len(numbers), PATCHES, PATCH_DIM)).astype(np.float32)
        return ProductVectors(image, present, text, present, patches=torch.from_numpy(patches))

    def _vectors(self, numbers: NDArray[np.int64], rng: np.random.Generator) -> Vectors:
        kinds = numbers * 7919 % self._kind_count
        base = self._categories[kinds % CATEGORIES] + self._kinds[0][kinds % KINDS_PER_TABLE]
        base = base + self._kinds[1][kinds // KINDS_PER_TABLE % KINDS_PER_TABLE]
        return unit(base + 0.7 * rng.normal(size=base.shape).astype(np.float32))


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def generate(first: int, last: int, revision: str = "") -> Iterator[Product]:
    """Products with a record of the usual length, in shops of SHOP_SIZE one after another."""
    for n in range(first, last):
        yield Product(
            f"sku-{n:08}",
            f"{revision}Waterproof jacket for women, spring collection, color 7, number {n}",
            shop_id=f"shop-{n // SHOP_SIZE:05}",
            category="Clothing > Jackets",
            attributes={"brand": "Example", "color": "moss", "size": "M", "price": "49.00 EUR"},
        )


Step = Callable[[ProductTable, RandomEncoder, int], dict[str, Measures]]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    catalogue_table.MAX_READ_TIME = timedelta(seconds=options.keep_versions_s)
    steps: dict[str, Step] = {
        "write": write,
        "vector index": build_vector_index,
        "shelf": read_shelves,
        "search": search,
        "update": update,
        "remove": remove,
    }
    table = ProductTable.create_or_open(options.folder, STAMP)
    encoder = RandomEncoder(options.size, options.patches)
    results = steps[options.step](table, encoder, options.size)
    for values in results.values():
        values["peak_mb"] = peak_memory_mb()
    print(json.dumps(results))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step")
    parser.add_argument("folder", type=Path)
    parser.add_argument("size", type=int)
    parser.add_argument("--patches", action="store_true")
    parser.add_argument("--keep-versions-s", type=float, default=3600.0)
    return parser.parse_args()


def write(table: ProductTable, encoder: RandomEncoder, size: int) -> dict[str, Measures]:
    options = UpdateOptions(BATCH_SIZE)
    times = timed(lambda: table.update(generate(0, size), encoder, options))
    table_mb = table._table.stats()["total_bytes"] / 1e6  # without versions of the last hour
    return {"write": {**times, "table_mb": round(table_mb, 1), "disk_mb": disk_mb(table)}}


def build_vector_index(table: ProductTable, *_: object) -> dict[str, Measures]:
    before = disk_mb(table)
    times = timed(lambda: table.build_vector_index("image"))
    return {"vector index": {**times, "disk_mb": round(disk_mb(table) - before, 1)}}


def read_shelves(table: ProductTable, _: object, size: int) -> dict[str, Measures]:
    shops = np.random.default_rng(1).choice(size // SHOP_SIZE, 10, replace=size < 10 * SHOP_SIZE)
    times = [timed(partial(table.shelf, f"shop-{shop:05}")) for shop in shops]
    return {"shelf cold": times[0], "shelf warm": median(times[1:])}


def search(table: ProductTable, encoder: RandomEncoder, size: int) -> dict[str, Measures]:
    rng = np.random.default_rng(2)
    numbers = np.sort(rng.choice(size, QUERIES, replace=False))
    contents = [ProductContent((), f"number {number}") for number in numbers]
    noise = NOISE * rng.normal(size=(QUERIES, DIM)).astype(np.float32) / np.sqrt(DIM)
    queries = unit(encoder(contents).image.numpy() + noise)
    table.search(queries[0])  # a warm-up, which opens the index
    times = [timed(partial(table.search, query, k=K)) for query in queries]
    exact_times = [
        timed(partial(table.search, q, k=K, exact=True)) for q in queries[:EXACT_QUERIES]
    ]
    hits = sum(len(keys(table, q, False) & keys(table, q, True)) for q in queries[:EXACT_QUERIES])
    return {
        "search": {**median(times), "recall@10": hits / (K * EXACT_QUERIES)},
        "exact search": median(exact_times),
    }


def keys(table: ProductTable, query: Vectors, exact: bool) -> set[object]:
    return {hit.product.key for hit in table.search(query, k=K, exact=exact)}


def update(table: ProductTable, encoder: RandomEncoder, size: int) -> dict[str, Measures]:
    first = size // 2
    changed = list(generate(first, first + CHANGED, "New: "))
    options = UpdateOptions(BATCH_SIZE)
    return {"update": timed(lambda: table.update(changed, encoder, options))}


def remove(table: ProductTable, _: object, size: int) -> dict[str, Measures]:
    products = list(generate(size // 2, size // 2 + CHANGED))
    ids = [product.product_id for product in products]
    return {"remove": timed(lambda: table.remove(ids, products[0].shop_id))}


def timed(action: Callable[[], object]) -> Measures:
    """Wall and CPU seconds of an action, of all threads."""
    start, cpu_start = time.perf_counter(), time.process_time()
    action()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu_seconds": time.process_time() - cpu_start}


def median(times: Sequence[Measures]) -> Measures:
    return {name: float(np.median([one[name] for one in times])) for name in times[0]}


def disk_mb(table: ProductTable) -> float:
    files = Path(table.path).rglob("*")
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6, 1)


def peak_memory_mb() -> float:
    """The largest resident memory of this process so far, on Linux."""
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
