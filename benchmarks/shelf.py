"""Scoring one clip of ten frames against a shelf of 600, compared with bare matrix products.

    python benchmarks/shelf.py [--quick] [--products 600] [--dim 384]

The bare matrix products are the minimum for any scorer: frames, image and text of the clip times
all products. The variants run alternately.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sgmn.catalogue.shelf import Shelf
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights
from sgmn.records import Product

LIMIT_MS = 2.0
FRAMES, K = 10, 10
WARM_UP_ROUNDS = 10
BARE, SCORES, TOP = "bare matrix products", "Shelf.scores", f"Shelf.top_matches, k = {K}"
# All terms have a weight above 0, so that none is skipped.
RANKER = Ranker(ScoreWeights(*map(torch.tensor, (0.5, 0.5, 0.3, 0.1, 20.0))))


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shelf, clip = random_shelf(options.products, options.dim), random_clip(options.dim)
    variants = {
        BARE: lambda: multiply(clip, shelf.vectors),
        SCORES: lambda: shelf.scores(clip, RANKER),
        TOP: lambda: shelf.top_matches(clip, RANKER, K),
    }
    print_table(measure(variants, options.repeats), options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="50 repeats")
    parser.add_argument("--repeats", type=int, default=500, help="rounds; the median counts")
    parser.add_argument("--products", type=int, default=600)
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args()
    if options.quick:
        options.repeats = 50
    return options


def random_unit(*shape: int) -> Tensor:
    """Return random vectors of length 1."""
    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1)


def random_shelf(count: int, dim: int) -> Shelf:
    present = torch.ones(count, dtype=torch.bool)
    vectors = ProductVectors(random_unit(count, dim), present, random_unit(count, dim), present)
    return Shelf([Product(f"p{n}", title=f"title {n}") for n in range(count)], vectors)


def random_clip(dim: int) -> ClipVectors:
    present, weights = torch.ones(1, dtype=torch.bool), torch.full((1, FRAMES), 1 / FRAMES)
    frames, image, text = random_unit(1, FRAMES, dim), random_unit(1, dim), random_unit(1, dim)
    return ClipVectors(frames, weights, image, present, text, present)


def multiply(clip: ClipVectors, products: ProductVectors) -> list[Tensor]:
    with torch.inference_mode():
        return [
            clip.frames[0] @ products.image.T,
            clip.image @ products.image.T,
            clip.image @ products.text.T,
            clip.text @ products.image.T,
            clip.text @ products.text.T,
        ]


def measure(variants: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Return milliseconds of each variant, after the warm-up."""
    times_ms: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats + WARM_UP_ROUNDS):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            times_ms[name].append((time.perf_counter() - start) * 1000)
    return {name: values[WARM_UP_ROUNDS:] for name, values in times_ms.items()}


def print_table(times_ms: dict[str, list[float]], options: argparse.Namespace) -> None:
    bare = np.median(times_ms[BARE])
    print(f"1 clip of {FRAMES} frames, {options.products} products, dim {options.dim}, one thread")
    print(f"{'variant':26}{'p50 ms':>9}{'p95 ms':>9}{'ratio':>8}{'overhead ms':>13}")
    for name, values in times_ms.items():
        p50, p95 = np.percentile(values, [50, 95])
        print(f"{name:26}{p50:9.3f}{p95:9.3f}{p50 / bare:8.2f}{p50 - bare:13.3f}")
    overhead = np.median(times_ms[TOP]) - bare
    verdict = "ok" if overhead < LIMIT_MS else "MISSED"
    print(f"overhead {overhead:.3f} ms (limit {LIMIT_MS}) {verdict}")


if __name__ == "__main__":
    main()
