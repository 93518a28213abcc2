"""A training step of the re-ranker: 64 clips, each with its product and three negatives.

    python benchmarks/pairwise.py [--quick] [--clips 64] [--dim 512]

The plain form gathers the tokens of clip and product for every pair and projects them there;
`Fusion.chosen` projects each clip and each product once. Both give the same loss and gradients.
Times: forward and backward down to the tokens, as when the towers learn, in turns in one
process. Memory: the highest resident size of a process of its own that makes one step, and how
far that lies above where the step began.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sgmn.model.fusion import Fusion
from sgmn.model.tokens import ItemTokens

LEAST_RATIO, MOST_MEMORY, MOST_ERROR = 7.0, 0.6, 1e-5
CLIP_TOKENS, PATCHES, TITLE_WORDS = 500, 42, 8
NEGATIVES = 3
THREADS = 2


class Step:
    """The batch of one step: clips' tokens, products' tokens and who meets whom."""

    def __init__(self, clips: int, dim: int) -> None:
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)
        self.fusion = Fusion(dim)
        torch.nn.init.normal_(self.fusion.output.weight)
        self.clips = (torch.randn(clips, CLIP_TOKENS, dim) / dim**0.5).requires_grad_()
        self.mask = torch.ones(clips, CLIP_TOKENS, dtype=torch.bool)
        self.products = drawn(clips, dim)
        self.places = (torch.arange(clips)[:, None] + torch.arange(NEGATIVES + 1)) % clips

    def plain(self) -> Tensor:
        """The loss (), with the tokens of every pair gathered first."""
        clip = torch.arange(len(self.clips)).repeat_interleave(NEGATIVES + 1)
        product = self.places.flatten()
        pairs = self.fusion.prepare_clips(self.clips.index_select(0, clip), self.mask[clip])
        theirs = self.products.map_tensors(lambda rows: rows.index_select(0, product))
        each = torch.arange(len(product))[:, None]
        return loss(
            self.fusion.score_candidates(pairs, self.fusion.encode_products(theirs), each).view_as(self.places)
        )

    def chosen(self) -> Tensor:
        """The loss (), with every clip and every product projected once."""
        sides = self.fusion.prepare_clips(self.clips, self.mask)
        return loss(self.fusion.score_candidates(sides, self.fusion.encode_products(self.products), self.places))

    def learnt(self, side: Callable[[], Tensor]) -> list[Tensor]:
        """The loss of a side and its gradients."""
        leaves = [self.clips, self.products.patches, self.products.words]
        leaves += list(self.fusion.parameters())
        for leaf in leaves:
            leaf.grad = None
        found = side()
        found.backward()
        return [found.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


SIDES = {"tokens of every pair": Step.plain, "Fusion.chosen": Step.chosen}


def main() -> None:
    options = parsed()
    memory = {name: in_a_process(name, options.clips, options.dim) for name in SIDES}
    step = Step(options.clips, options.dim)
    error = difference(*(step.learnt(side.__get__(step)) for side in SIDES.values()))
    show(in_turns(step, 3 if options.quick else 20), memory, error, options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 turns and not 20")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--dim", type=int, default=512)
    return parser.parse_args()


def drawn(count: int, dim: int) -> ItemTokens:
    """Products with one picture and a title; gradient flows to both."""

    def rows(*shape: int) -> Tensor:
        return (torch.randn(count, *shape, dim) / dim**0.5).requires_grad_()

    def there(*shape: int) -> Tensor:
        return torch.ones(count, *shape, dtype=torch.bool)

    shown = rows(1), there(1), rows(1, PATCHES), there(1, PATCHES)
    return ItemTokens(*shown, rows(TITLE_WORDS), there(TITLE_WORDS), rows(), there())


def loss(scores: Tensor) -> Tensor:
    """Cross-entropy of the positive, in column 0, against the negatives."""
    return functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long))


def difference(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest difference of loss and gradients, each beside the largest number of its kind."""
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(one, other, strict=True))


def in_a_process(name: str, clips: int, dim: int) -> tuple[float, float]:
    """MB: the peak of a fresh process after one step, and that above its start."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(peak, (name, clips, dim))


def peak(name: str, clips: int, dim: int) -> tuple[float, float]:
    step = Step(clips, dim)
    start = resident_mb()
    step.learnt(SIDES[name].__get__(step))
    return resident_mb(), resident_mb() - start


def resident_mb() -> float:
    """The highest resident size so far; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_turns(step: Step, turns: int) -> dict[str, list[float]]:
    """Milliseconds of each side, `turns` times each after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    for _ in range(turns + 1):
        for name, side in SIDES.items():
            began = time.perf_counter()
            step.learnt(side.__get__(step))
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: taken[1:] for name, taken in times.items()}


def show(
    times: dict[str, list[float]],
    memory: dict[str, tuple[float, float]],
    error: float,
    options: argparse.Namespace,
) -> None:
    plain, chosen = SIDES
    print(
        f"{options.clips} clips of {CLIP_TOKENS} tokens, 1 + {NEGATIVES} products of 50 each,",
        end="",
    )
    print(f" dim {options.dim}, {THREADS} threads")
    print(f"{'side':24}{'p50 ms':>10}{'p95 ms':>10}{'peak MB':>10}{'of it, step':>13}")
    for name, taken in times.items():
        p50, p95 = np.percentile(taken, [50, 95])
        print(f"{name:24}{p50:10.1f}{p95:10.1f}{memory[name][0]:10.0f}{memory[name][1]:13.0f}")
    ratio = float(np.median(times[plain]) / np.median(times[chosen]))
    share = memory[chosen][0] / memory[plain][0]
    verdicts = ("MISSED", "ok")
    print(
        f"{ratio:.1f} times faster (limit {LEAST_RATIO:.0f}) {verdicts[bool(ratio >= LEAST_RATIO)]}"
    )
    print(f"{share:.0%} of the peak (limit {MOST_MEMORY:.0%}) {verdicts[share <= MOST_MEMORY]}")
    print(f"loss and gradients differ by {error:.0e} {verdicts[error <= MOST_ERROR]}")


if __name__ == "__main__":
    main()
