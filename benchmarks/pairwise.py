"""A training step of the re-ranker: 64 clips, each with its product and three negatives.

    python benchmarks/pairwise.py [--quick] [--clips 64] [--dim 512]

The plain variant gathers the tokens of clip and product for every pair and projects them there;
`Fusion.score_candidates` lets every clip and every product be projected once. Both give the same
loss and gradients. Time: forward and backward down to the tokens, as when the towers are trained;
the variants run alternately in one process. Memory: the peak resident size of a separate process
that runs one step, and its increase during the step.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from math import sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sgmn.model.fusion import Fusion
from sgmn.model.tokens import ItemTokens

MIN_SPEEDUP, MAX_MEMORY_RATIO, MAX_ERROR = 7.0, 0.6, 1e-5
CLIP_TOKENS, PATCHES, TITLE_WORDS = 500, 42, 8
NEGATIVES = 3
THREADS = 2


class TrainingStep:
    """One batch: the tokens of clips and products, and the candidates of each clip."""

    def __init__(self, clips: int, dim: int) -> None:
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        self.fusion = Fusion(dim)
        torch.nn.init.normal_(self.fusion.output.weight)
        self.clips = (torch.randn(clips, CLIP_TOKENS, dim) / sqrt(dim)).requires_grad_()
        self.mask = torch.ones(clips, CLIP_TOKENS, dtype=torch.bool)
        self.products = random_products(clips, dim)
        self.candidates = (torch.arange(clips)[:, None] + torch.arange(NEGATIVES + 1)) % clips

    def gathered_loss(self) -> Tensor:
        """Return the loss, with the tokens of every pair gathered first."""
        clip = torch.arange(len(self.clips)).repeat_interleave(NEGATIVES + 1)
        product = self.candidates.flatten()
        clips = self.fusion.prepare_clips(self.clips.index_select(0, clip), self.mask[clip])
        tokens = self.products.map_tensors(lambda rows: rows.index_select(0, product))
        latents = self.fusion.encode_products(tokens)
        own = torch.arange(len(product))[:, None]
        scores = self.fusion.score_candidates(clips, latents, own)
        return cross_entropy(scores.view_as(self.candidates))

    def shared_loss(self) -> Tensor:
        """Return the loss, with every clip and every product projected once."""
        clips = self.fusion.prepare_clips(self.clips, self.mask)
        latents = self.fusion.encode_products(self.products)
        return cross_entropy(self.fusion.score_candidates(clips, latents, self.candidates))

    def run(self, variant: str) -> list[Tensor]:
        """Return the loss of a variant and its gradients."""
        leaves = [self.clips, self.products.patches, self.products.words]
        leaves += list(self.fusion.parameters())
        for leaf in leaves:
            leaf.grad = None
        loss = VARIANTS[variant](self)
        torch.autograd.backward(loss)
        return [loss.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


GATHERED, SHARED = "tokens of every pair", "shared projections"
VARIANTS: dict[str, Callable[[TrainingStep], Tensor]] = {
    GATHERED: TrainingStep.gathered_loss,
    SHARED: TrainingStep.shared_loss,
}


def main() -> None:
    options = parse_options()
    memory_mb = {name: measure_memory(name, options.clips, options.dim) for name in VARIANTS}
    step = TrainingStep(options.clips, options.dim)
    error = largest_difference(step.run(GATHERED), step.run(SHARED))
    print_table(measure(step, options.repeats), memory_mb, error, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 repeats")
    parser.add_argument("--repeats", type=int, default=20, help="rounds; the median counts")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    if options.quick:
        options.repeats = 3
    return options


def random_products(count: int, dim: int) -> ItemTokens:
    """Return products with one image and a title; gradients flow to both."""

    def random(*shape: int) -> Tensor:
        return (torch.randn(count, *shape, dim) / sqrt(dim)).requires_grad_()

    def mask(*shape: int) -> Tensor:
        return torch.ones(count, *shape, dtype=torch.bool)

    return ItemTokens(
        images=random(1),
        image_mask=mask(1),
        patches=random(1, PATCHES),
        patch_mask=mask(1, PATCHES),
        patch_positions=torch.rand(count, 1, PATCHES, 2),
        words=random(TITLE_WORDS),
        word_mask=mask(TITLE_WORDS),
        text=random(),
        has_text=mask(),
    )


def cross_entropy(scores: Tensor) -> Tensor:
    """Return the cross-entropy of the positive, in column 0, against the negatives."""
    return functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long))


def largest_difference(first: list[Tensor], second: list[Tensor]) -> float:
    """Return the largest difference, relative to the largest value of each tensor."""
    pairs = zip(first, second, strict=True)
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


def measure_memory(variant: str, clips: int, dim: int) -> tuple[float, float]:
    """Return the peak of a new process after one step and its increase, in MB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run_and_read_peak, (variant, clips, dim))


def run_and_read_peak(variant: str, clips: int, dim: int) -> tuple[float, float]:
    step = TrainingStep(clips, dim)
    start = peak_resident_mb()
    step.run(variant)
    return peak_resident_mb(), peak_resident_mb() - start


def peak_resident_mb() -> float:
    """Return the highest resident size so far; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(step: TrainingStep, repeats: int) -> dict[str, list[float]]:
    """Return milliseconds of each variant, after one warm-up round."""
    times_ms: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(repeats + 1):
        for name in VARIANTS:
            start = time.perf_counter()
            step.run(name)
            times_ms[name].append((time.perf_counter() - start) * 1000)
    return {name: values[1:] for name, values in times_ms.items()}


def print_table(
    times_ms: dict[str, list[float]],
    memory_mb: dict[str, tuple[float, float]],
    error: float,
    options: argparse.Namespace,
) -> None:
    print(
        f"{options.clips} clips of {CLIP_TOKENS} tokens, 1 + {NEGATIVES} products of "
        f"{PATCHES + TITLE_WORDS} each, dim {options.dim}, {THREADS} threads"
    )
    print(f"{'variant':24}{'p50 ms':>10}{'p95 ms':>10}{'peak MB':>10}{'step MB':>10}")
    for name, values in times_ms.items():
        p50, p95 = np.percentile(values, [50, 95])
        peak, increase = memory_mb[name]
        print(f"{name:24}{p50:10.1f}{p95:10.1f}{peak:10.0f}{increase:10.0f}")
    speedup = float(np.median(times_ms[GATHERED]) / np.median(times_ms[SHARED]))
    ratio = memory_mb[SHARED][0] / memory_mb[GATHERED][0]
    print(f"{speedup:.1f} times as fast (at least {MIN_SPEEDUP:.0f}) {ok(speedup >= MIN_SPEEDUP)}")
    print(
        f"{ratio:.0%} of the peak (at most {MAX_MEMORY_RATIO:.0%}) {ok(ratio <= MAX_MEMORY_RATIO)}"
    )
    print(f"loss and gradients differ by {error:.0e} {ok(error <= MAX_ERROR)}")


def ok(is_met: bool) -> str:
    return "ok" if is_met else "MISSED"


if __name__ == "__main__":
    main()
