"""Re-ranking: one clip of 500 tokens against a shelf of 600 products, exact in every variant.

    python benchmarks/reranking.py [--quick] [--products 600] [--pairs 60] [--dim 512]

The plain variant builds and projects the tokens of clip and product for every pair. It runs on
`--pairs` products, as does the variant that does the same in one batch; their times are scaled
up to the whole shelf. The variants run alternately.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from math import sqrt
from typing import cast

import numpy as np
import torch
from torch import Tensor

from sgmn.model.fusion import Fusion
from sgmn.model.tokens import ItemTokens

MIN_SPEEDUP, MAX_ERROR = 100.0, 1e-5
FRAMES, FRAME_PATCHES, WORDS = 10, 48, 20  # 500 tokens per clip
PATCHES, TITLE_WORDS = 42, 8  # 50 tokens per product
THREADS = 2
PLAIN, BATCHED = "pair by pair", "pairs in one batch, no cache"
CACHED_SHELF, ALL_CACHED = "cached shelf, new clip", "cached shelf, cached clip"
Variants = dict[str, Callable[[], Tensor]]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    fusion = build_fusion(options.dim)
    clip = random_tokens(1, FRAMES, FRAME_PATCHES, WORDS, options.dim)
    products = random_tokens(options.products, 1, PATCHES, TITLE_WORDS, options.dim)
    sample = torch.linspace(0, options.products - 1, options.pairs).long()
    with torch.inference_mode():
        variants = build_variants(fusion, clip, products, sample)
        scores = {name: run() for name, run in variants.items()}
        times_ms = measure(variants, options.repeats)
    print_table(times_ms, scores, sample, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 repeats")
    parser.add_argument("--repeats", type=int, default=50, help="rounds; the median counts")
    parser.add_argument("--products", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=60, help="products of uncached variants")
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    if options.quick:
        options.repeats = 5
    return options


def build_fusion(dim: int) -> Fusion:
    """Build a re-ranker whose scores are not all zero."""
    fusion = Fusion(dim).requires_grad_(False)
    torch.nn.init.normal_(fusion.output.weight)
    return fusion


def random_tokens(count: int, images: int, patches: int, words: int, dim: int) -> ItemTokens:
    def random(*shape: int) -> Tensor:
        return torch.randn(count, *shape, dim) / sqrt(dim)

    def mask(*shape: int) -> Tensor:
        return torch.ones(count, *shape, dtype=torch.bool)

    return ItemTokens(
        images=random(images),
        image_mask=mask(images),
        patches=random(images, patches),
        patch_mask=mask(images, patches),
        patch_positions=torch.rand(count, images, patches, 2),
        words=random(words),
        word_mask=mask(words),
        text=random(),
        has_text=mask(),
    )


def flatten_clip(clip: ItemTokens) -> tuple[Tensor, Tensor]:
    """Return the tokens of a clip (1, L, D) and their mask (1, L)."""
    patch_mask = (clip.patch_mask & clip.image_mask.unsqueeze(-1)).flatten(1, 2)
    tokens = torch.cat([clip.patches.flatten(1, 2), clip.words], 1)
    return tokens, torch.cat([patch_mask, clip.word_mask], 1)


def build_variants(
    fusion: Fusion, clip: ItemTokens, products: ItemTokens, sample: Tensor
) -> Variants:
    shelf = fusion.prepare_products(fusion.encode_products(products))
    prepared_clip = fusion.prepare_clips(*flatten_clip(clip))
    single_products = [products[row : row + 1] for row in sample.tolist()]

    def score_pair(product: ItemTokens) -> Tensor:
        latents = fusion.encode_products(product)
        return cast(Tensor, fusion(fusion.prepare_clips(*flatten_clip(clip)), latents))

    def score_pairs() -> Tensor:
        clips = clip.map_tensors(lambda rows: rows.expand(len(sample), *rows.shape[1:]))
        latents = fusion.encode_products(products[sample])
        own = torch.arange(len(sample))[:, None]
        return fusion.score_candidates(fusion.prepare_clips(*flatten_clip(clips)), latents, own).T

    return {
        PLAIN: lambda: torch.cat([score_pair(product) for product in single_products], 1),
        BATCHED: score_pairs,
        CACHED_SHELF: lambda: cast(
            Tensor, fusion(fusion.prepare_clips(*flatten_clip(clip)), shelf)
        ),
        ALL_CACHED: lambda: cast(Tensor, fusion(prepared_clip, shelf)),
    }


def measure(variants: Variants, repeats: int) -> dict[str, list[float]]:
    """Return milliseconds of each variant, after one warm-up round."""
    times_ms: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats + 1):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            times_ms[name].append((time.perf_counter() - start) * 1000)
    return {name: values[1:] for name, values in times_ms.items()}


def print_table(
    times_ms: dict[str, list[float]],
    scores: dict[str, Tensor],
    sample: Tensor,
    options: argparse.Namespace,
) -> None:
    pair_counts = dict.fromkeys(times_ms, options.products)
    pair_counts |= {PLAIN: options.pairs, BATCHED: options.pairs}
    scaled = {
        name: np.array(values) * (options.products / pair_counts[name])
        for name, values in times_ms.items()
    }
    plain = float(np.median(scaled[PLAIN]))
    print(
        f"1 clip of 500 tokens, {options.products} products of 50, dim {options.dim}, "
        f"{THREADS} threads"
    )
    print(f"{'variant':32}{'p50 ms':>10}{'p95 ms':>10}{'speedup':>10}  measured on")
    for name, values in scaled.items():
        p50, p95 = np.percentile(values, [50, 95])
        pairs = f"{pair_counts[name]} pairs"
        print(f"{name:32}{p50:10.2f}{p95:10.2f}{plain / p50:10.1f}  {pairs}")
    print_verdicts(plain / float(np.median(scaled[CACHED_SHELF])), scores, sample)


def print_verdicts(speedup: float, scores: dict[str, Tensor], sample: Tensor) -> None:
    error = max(
        float((scores[name][:, sample] - scores[PLAIN]).abs().max())
        for name in (CACHED_SHELF, ALL_CACHED)
    )
    verdict = "ok" if error <= MAX_ERROR else "MISSED"
    spread = f"standard deviation of the scores {scores[PLAIN].std():.2f}"
    print(f"largest difference {error:.1e} (at most {MAX_ERROR}; {spread}) {verdict}")
    verdict = "ok" if speedup >= MIN_SPEEDUP else "MISSED"
    print(f"{speedup:.0f} times as fast (at least {MIN_SPEEDUP:.0f}) {verdict}")


if __name__ == "__main__":
    main()
