"""The built-in image tower: speedup of its order of computation and of its frozen parts.

    python benchmarks/tower.py [--images 32] [--repeats 8]

Forward pass: the early blocks on a few images at a time, compared with all images at once.
Training step (forward and backward, the first five blocks frozen): the depthwise convolutions of
all blocks frozen as well, compared with training them. The variants run alternately on one
thread, on the portrait canvas of the tower.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from sgmn.model import checkpoint, efficientnet
from sgmn.model.towers import Towers

FROZEN_BLOCKS = 5
WARM_UP_ROUNDS = 2
Variants = dict[str, Callable[[], None]]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    network = checkpoint.load("builtin").network
    pixels = torch.randn(options.images, 3, *network.config.canvases[0])
    for title, build in (("forward", forward_variants), ("step", step_variants)):
        times_s = measure(build(network.towers, pixels), options.repeats)
        print_row(title, times_s, options.images)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32, help="images in a batch")
    parser.add_argument("--repeats", type=int, default=8, help="rounds; the median counts")
    return parser.parse_args()


def forward_variants(towers: Towers, pixels: torch.Tensor) -> Variants:
    def encode(chunk_pixels: int) -> None:
        efficientnet.CHUNK_PIXELS = chunk_pixels
        with torch.inference_mode():
            towers.encode_image(pixels)

    default, all_pixels = efficientnet.CHUNK_PIXELS, pixels[:, 0].numel()
    return {"all at once": lambda: encode(all_pixels), "in chunks": lambda: encode(default)}


def step_variants(towers: Towers, pixels: torch.Tensor) -> Variants:
    tower = next(part for part in towers.modules() if isinstance(part, efficientnet.LiteTower))
    tower.freeze_blocks(FROZEN_BLOCKS)
    convolutions = [block.depthwise for block in tower.blocks[FROZEN_BLOCKS:]]

    def run_step(train_depthwise: bool) -> None:
        for convolution in convolutions:
            convolution.requires_grad_(train_depthwise)
        torch.autograd.backward(towers.encode_image(pixels).pooled.sum())

    return {
        "depthwise trained": lambda: run_step(True),
        "depthwise frozen": lambda: run_step(False),
    }


def measure(variants: Variants, repeats: int) -> dict[str, float]:
    """Return the median seconds of each variant, after the warm-up."""
    times_s: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats + WARM_UP_ROUNDS):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            times_s[name].append(time.perf_counter() - start)
    return {name: float(np.median(values[WARM_UP_ROUNDS:])) for name, values in times_s.items()}


def print_row(title: str, times_s: dict[str, float], images: int) -> None:
    (first, first_s), (second, second_s) = times_s.items()
    print(
        f"{title}: {first} {images / first_s:.0f}, {second} {images / second_s:.0f} images per "
        f"second; {first_s / second_s:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
