"""One clip of ten frames against a shelf of 600, beside the bare matrix product.

    python benchmarks/shelf.py [--quick] [--products 600] [--dim 384]

The bare product is what no scorer can do without: every frame, the clip's picture and its
words times all products. The sides take turns, one call each.
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
FRAMES = 10
RANKER = Ranker(
    ScoreWeights(*map(torch.tensor, (0.5, 0.5, 0.3, 0.1, 20.0)))  # every term counts
)


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shelf, clip = drawn_shelf(options.products, options.dim), drawn_clip(options.dim)
    sides = {
        "bare matrix product": lambda: bare(clip, shelf.vectors),
        "Shelf.scores": lambda: shelf.scores(clip, RANKER),
        "Shelf.best, k = 10": lambda: shelf.best(clip, RANKER, 10),
    }
    show(in_turns(sides, 50 if options.quick else 500), options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50 turns and not 500")
    parser.add_argument("--products", type=int, default=600)
    parser.add_argument("--dim", type=int, default=384)
    return parser.parse_args()


def drawn(*shape: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1)


def drawn_shelf(count: int, dim: int) -> Shelf:
    there = torch.ones(count, dtype=torch.bool)
    vectors = ProductVectors(drawn(count, dim), there, drawn(count, dim), there)
    return Shelf([Product(f"p{n}", title=f"title {n}") for n in range(count)], vectors)


def drawn_clip(dim: int) -> ClipVectors:
    there, weights = torch.ones(1, dtype=torch.bool), torch.full((1, FRAMES), 1 / FRAMES)
    return ClipVectors(drawn(1, FRAMES, dim), weights, drawn(1, dim), there, drawn(1, dim), there)


def bare(clip: ClipVectors, products: ProductVectors) -> list[Tensor]:
    with torch.inference_mode():
        return [
            clip.frames[0] @ products.picture.T,
            clip.picture @ products.picture.T,
            clip.picture @ products.words.T,
            clip.words @ products.picture.T,
            clip.words @ products.words.T,
        ]


def in_turns(sides: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Milliseconds of each side, `turns` times each after ten to warm up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns + 10):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: taken[10:] for name, taken in times.items()}


def show(times: dict[str, list[float]], options: argparse.Namespace) -> None:
    base = np.median(times["bare matrix product"])
    print(f"1 clip of {FRAMES} frames, {options.products} products, dim {options.dim}, one thread")
    print(f"{'side':24}{'p50 ms':>9}{'p95 ms':>9}{'ratio':>8}{'over bare, ms':>15}")
    for name, taken in times.items():
        p50, p95 = np.percentile(taken, [50, 95])
        print(f"{name:24}{p50:9.3f}{p95:9.3f}{p50 / base:8.2f}{p50 - base:15.3f}")
    over = np.median(times["Shelf.best, k = 10"]) - base
    print(f"overhead {over:.3f} ms (limit {LIMIT_MS}) {'ok' if over < LIMIT_MS else 'MISSED'}")


if __name__ == "__main__":
    main()
