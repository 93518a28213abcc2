"""One clip of 500 tokens against a shelf of 600 with the re-ranker, exact in every form.

    python benchmarks/reranking.py [--quick] [--products 600] [--pairs 60] [--dim 512]

The plain form builds and projects both sides' tokens for every pair. It runs on `--pairs` of
the shelf, as does the form that does the same for many pairs at once; their times are scaled up
to the whole shelf. The sides take turns, one call each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sgmn.model.fusion import Fusion
from sgmn.model.tokens import ItemTokens

LEAST_RATIO, MOST_ERROR = 100.0, 1e-5
FRAMES, FRAME_PATCHES, WORDS = 10, 48, 20  # 500 tokens a clip
PATCHES, TITLE_WORDS = 42, 8  # 50 tokens a product
THREADS = 2
PLAIN, BATCHED = "pair by pair", "pairs at once, nothing cached"
CACHED, KEYS_TOO = "cached shelf, new clip", "cached shelf, cached clip"
Sides = dict[str, Callable[[], Tensor]]


def main() -> None:
    options = parsed()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    fusion = trained(options.dim)
    clip = drawn(1, FRAMES, FRAME_PATCHES, WORDS, options.dim)
    shop = drawn(options.products, 1, PATCHES, TITLE_WORDS, options.dim)
    some = torch.linspace(0, options.products - 1, options.pairs).long()
    with torch.inference_mode():
        sides = in_each_form(fusion, clip, shop, some)
        exact = {name: side() for name, side in sides.items()}
        times = in_turns(sides, 5 if options.quick else 50)
    show(times, exact, some, options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 turns and not 50")
    parser.add_argument("--products", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=60, help="of the sides that cache nothing")
    parser.add_argument("--dim", type=int, default=512)
    return parser.parse_args()


def trained(dim: int) -> Fusion:
    """One whose scores are not all zero."""
    fusion = Fusion(dim).requires_grad_(False)
    torch.nn.init.normal_(fusion.output.weight)
    return fusion


def drawn(count: int, pictures: int, patches: int, words: int, dim: int) -> ItemTokens:
    def rows(*shape: int) -> Tensor:
        return torch.randn(count, *shape, dim) / dim**0.5

    def there(*shape: int) -> Tensor:
        return torch.ones(count, *shape, dtype=torch.bool)

    shown = rows(pictures), there(pictures), rows(pictures, patches), there(pictures, patches)
    return ItemTokens(*shown, rows(words), there(words), rows(), there())


def built(clip: ItemTokens) -> tuple[Tensor, Tensor]:
    """The clip's tokens (1, L, D) and their mask (1, L)."""
    patch_mask = (clip.patch_mask & clip.image_mask.unsqueeze(-1)).flatten(1, 2)
    tokens = torch.cat([clip.patches.flatten(1, 2), clip.words], 1)
    return tokens, torch.cat([patch_mask, clip.word_mask], 1)


def in_each_form(fusion: Fusion, clip: ItemTokens, shop: ItemTokens, some: Tensor) -> Sides:
    shelf, keys = fusion.prepare_products(fusion.encode_products(shop)), fusion.prepare_clips(*built(clip))
    one_by_one, each = [shop[row : row + 1] for row in some.tolist()], torch.arange(len(some))

    def pair(product: ItemTokens) -> Tensor:
        return fusion(fusion.prepare_clips(*built(clip)), fusion.encode_products(product))

    def at_once() -> Tensor:
        many = clip.map_tensors(lambda rows: rows.expand(len(some), *rows.shape[1:]))
        latents = fusion.encode_products(shop[some])
        return fusion.score_candidates(fusion.prepare_clips(*built(many)), latents, each[:, None]).T

    return {
        PLAIN: lambda: torch.cat([pair(product) for product in one_by_one], 1),
        BATCHED: at_once,
        CACHED: lambda: fusion(fusion.prepare_clips(*built(clip)), shelf),
        KEYS_TOO: lambda: fusion(keys, shelf),
    }


def in_turns(sides: Sides, turns: int) -> dict[str, list[float]]:
    """Milliseconds of each side, `turns` times each after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns + 1):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: taken[1:] for name, taken in times.items()}


def show(
    times: dict[str, list[float]],
    exact: dict[str, Tensor],
    some: Tensor,
    options: argparse.Namespace,
) -> None:
    scale = {PLAIN: options.products / options.pairs, BATCHED: options.products / options.pairs}
    whole = {name: np.array(taken) * scale.get(name, 1.0) for name, taken in times.items()}
    base = np.median(whole[PLAIN])
    print(f"1 clip of 500 tokens, {options.products} products of 50,", end="")
    print(f" dim {options.dim}, {THREADS} threads")
    print(f"{'side':32}{'p50 ms':>10}{'p95 ms':>10}{'times faster':>14}  measured on")
    for name, taken in whole.items():
        p50, p95 = np.percentile(taken, [50, 95])
        pairs = f"{options.pairs if name in scale else options.products} pairs"
        print(f"{name:32}{p50:10.2f}{p95:10.2f}{base / p50:14.1f}  {pairs}")
    report(base / float(np.median(whole[CACHED])), exact, some)


def report(ratio: float, exact: dict[str, Tensor], some: Tensor) -> None:
    error = max(
        float((scores[:, some] - exact[PLAIN]).abs().max())
        for scores in (exact[CACHED], exact[KEYS_TOO])
    )
    verdicts = ("MISSED", "ok")
    print(
        f"largest difference {error:.1e} of scores that spread by {exact[PLAIN].std():.2f}", end=""
    )
    print(f" (limit {MOST_ERROR}) {verdicts[error <= MOST_ERROR]}")
    print(
        f"{ratio:.0f} times faster (limit {LEAST_RATIO:.0f}) {verdicts[bool(ratio >= LEAST_RATIO)]}"
    )


if __name__ == "__main__":
    main()
