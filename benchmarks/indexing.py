"""Speed of indexing a catalogue, compared with the image tower alone on the same batches.

    python benchmarks/indexing.py [--quick] [--model FOLDER] [--products 512]

The tower alone gets prepared tensors. Indexing reads JPEG files and writes rows to disk: it
hashes, decodes, resizes, encodes and stores. Titles also need the text tower, so the variant with
titles has no target. The variants run alternately.

Decoding uses a second core. If other programs keep the cores busy, the ratio of wall times
reflects their load; the ratio of the encoding thread's CPU time is printed next to it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from sgmn.media import image
from sgmn.model import backbones, checkpoint
from sgmn.model.embedder import Embedder
from sgmn.records import Product

BATCH_SIZE = 32
MIN_RATIO = 0.85
TOWER, IMAGES, TITLES = "image tower alone", "index, images", "index, images and titles"
Variants = dict[str, Callable[[], object]]
Times = dict[str, list[float]]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    model = checkpoint.load(options.model) if options.model else backbones.build_small()
    embedder = Embedder(model)
    with tempfile.TemporaryDirectory() as folder:
        products = generate_products(Path(folder), options.products)
        variants = build_variants(embedder, products, Path(folder))
        wall_times, cpu_times = measure(variants, options.repeats)
    print_table(wall_times, cpu_times, len(products))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="64 products, 2 repeats")
    parser.add_argument("--model", type=Path, help="a checkpoint; default: small, untrained")
    parser.add_argument("--products", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median counts")
    options = parser.parse_args()
    if options.quick:
        options.products, options.repeats = 64, 2
    return options


def generate_products(folder: Path, count: int) -> list[Product]:
    """Generate products with a title and a 480 x 480 JPEG of coarse noise."""
    rng, products = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(256, size=(12, 12, 3), dtype=np.uint8))
        path = folder / f"{number}.jpg"
        coarse.resize((480, 480), Image.Resampling.BICUBIC).save(path, quality=85)
        products.append(Product(f"p{number}", f"fresh green lime number {number}", path))
    return products


def build_variants(embedder: Embedder, products: Sequence[Product], folder: Path) -> Variants:
    untitled = [Product(product.product_id, image=product.image) for product in products]
    images = [image.read_image(path, embedder.max_side) for p in products for path in p.image_paths]
    batches = [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]
    prepare = partial(embedder.preprocessor.prepare_images, compares_patches=True)
    prepared = [prepare(batch) for batch in batches]
    stamp = ModelStamp.from_embedder(embedder)
    update_options = UpdateOptions(BATCH_SIZE, embedder.max_side)

    def encode() -> None:
        with torch.inference_mode():
            for tensors in prepared:
                embedder.network.encode_images(tensors)

    def index(listings: Sequence[Product]) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as new_folder:
            table = ProductTable.create_or_open(Path(new_folder), stamp)
            table.update(listings, embedder.encode_products, update_options)

    return {TOWER: encode, IMAGES: lambda: index(untitled), TITLES: lambda: index(products)}


def measure(variants: Variants, repeats: int) -> tuple[Times, Times]:
    """Return wall times and CPU times of the encoding thread, in seconds, without a warm-up."""
    wall_times: Times = {name: [] for name in variants}
    cpu_times: Times = {name: [] for name in variants}
    for _ in range(repeats + 1):
        for name, run in variants.items():
            wall, cpu = time.perf_counter(), time.thread_time()
            run()
            wall_times[name].append(time.perf_counter() - wall)
            cpu_times[name].append(time.thread_time() - cpu)
    return drop_first(wall_times), drop_first(cpu_times)


def drop_first(times: Times) -> Times:
    """Drop the warm-up round."""
    return {name: values[1:] for name, values in times.items()}


def print_table(wall_times: Times, cpu_times: Times, count: int) -> None:
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{count} products, batches of {BATCH_SIZE}, one torch and one decoding thread; {load}")
    print(f"{'variant':28}{'products/s':>12}{'ratio':>8}{'CPU ratio':>11}")
    for name, values in wall_times.items():
        speed = count / np.median(values)
        wall_ratio, cpu_ratio = tower_ratio(wall_times, name), tower_ratio(cpu_times, name)
        print(f"{name:28}{speed:12.1f}{wall_ratio:8.3f}{cpu_ratio:11.3f}")
    ratio = tower_ratio(wall_times, IMAGES)
    print(f"ratio {ratio:.3f} (at least {MIN_RATIO}) {'ok' if ratio >= MIN_RATIO else 'MISSED'}")


def tower_ratio(times: Times, name: str) -> float:
    """Return the time of the tower alone divided by that of a variant, median of the rounds."""
    return float(np.median(np.array(times[TOWER]) / np.array(times[name])))


if __name__ == "__main__":
    main()
