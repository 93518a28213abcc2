"""The built-in picture tower: what its order of work and its still parts are worth.

    python benchmarks/tower.py [--pictures 32] [--turns 8]

Forward: the early blocks a few pictures at a time, against all at once. A step (forward and
backward, the first five blocks held still): with every block's look around held still too,
against learning it. The sides take turns, one call each, on one thread; on its portrait canvas.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from sgmn.model import checkpoint, efficientnet
from sgmn.model.towers import Towers

HELD = 5


def main() -> None:
    given = parsed()
    torch.set_num_threads(1)
    network = checkpoint.load("builtin").network
    towers = network.towers
    pixels = torch.randn(given.pictures, 3, *network.config.canvases[0])
    show("forward", in_turns(forwards(towers, pixels), given.turns), given.pictures)
    show("step", in_turns(steps(towers, pixels), given.turns), given.pictures)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--turns", type=int, default=8)
    return parser.parse_args()


def forwards(towers: Towers, pixels: torch.Tensor) -> dict[str, Callable[[], None]]:
    def run(few: int) -> None:
        efficientnet.FEW = few
        with torch.inference_mode():
            towers.encode_image(pixels)

    few = efficientnet.FEW
    return {"all at once": lambda: run(len(pixels)), "a few at a time": lambda: run(few)}


def steps(towers: Towers, pixels: torch.Tensor) -> dict[str, Callable[[], None]]:
    tower = next(part for part in towers.modules() if isinstance(part, efficientnet.LiteTower))
    tower.freeze_blocks(HELD)
    looks = [block.depthwise for block in tower.blocks[HELD:]]

    def run(learning: bool) -> None:
        for look in looks:
            look.requires_grad_(learning)
        towers.encode_image(pixels).pooled.sum().backward()

    return {"looks learning": lambda: run(True), "looks still": lambda: run(False)}


def in_turns(sides: dict[str, Callable[[], None]], turns: int) -> dict[str, float]:
    """The median seconds of each side, after two turns to warm up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns + 2):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - began)
    return {name: float(np.median(taken[2:])) for name, taken in times.items()}


def show(what: str, took: dict[str, float], pictures: int) -> None:
    (first, slow), (second, fast) = took.items()
    print(
        f"{what}: {first} {pictures / slow:.0f}, {second} {pictures / fast:.0f} pictures a second;"
        f" {slow / fast:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
