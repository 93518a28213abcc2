"""Guided attention and the clip graph, as a share of the time of encoding the frames.

    python benchmarks/guidance.py [--turns 30] [--words 40]

One clip of ten frames. What the towers cost cannot be avoided; what stands on them should be
small beside it. The sides take turns, one call each, on one thread. Two towers:

    ViT-B/32   224×224, 49 patches, 512 dimensions, random weights (weights do not change time)
    built-in   256×144, 40 patches, 384 dimensions
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from sgmn.model import checkpoint
from sgmn.model.graph import ClipGraph
from sgmn.model.guidance import Guidance
from sgmn.model.tokens import ItemTokens

FRAMES = 10
Side = Callable[[], object]


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"1 clip of {FRAMES} frames, {options.words} words, one thread, medians")
    print(
        f"{'tower':10}{'frames ms':>11}{'guidance ms':>13}{'graph ms':>10}{'share':>8}{'limit':>7}"
    )
    with torch.inference_mode():
        for name, encode, patches, dim, limit in (
            ("ViT-B/32", clip_tower(), 49, 512, 0.15),
            ("built-in", built_in_tower(), 40, 384, 0.40),
        ):
            sides = {"frames": encode, **above(patches, dim, options.words)}
            show(name, in_turns(sides, options.turns), limit)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--words", type=int, default=40)
    return parser.parse_args()


def clip_tower() -> Side:
    config = CLIPVisionConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        patch_size=32,
        projection_dim=512,
    )
    tower = CLIPVisionModelWithProjection(config).eval()
    pixels = torch.randn(FRAMES, 3, 224, 224)
    return lambda: tower(pixels)


def built_in_tower() -> Side:
    towers = checkpoint.load("builtin").network.towers
    pixels = torch.randn(FRAMES, 3, 256, 144)
    return lambda: towers.encode_image(pixels)


def above(patches: int, dim: int, words: int) -> dict[str, Side]:
    """The two parts on one clip of a tower's sizes."""
    guidance, graph = Guidance(dim).eval(), ClipGraph(dim).eval()
    clip = drawn_clip(patches, dim, words)
    guided = guidance(clip)
    seen = (clip.image_mask, clip.patches, guided.patch_weights, clip.patch_mask)
    return {"guidance": lambda: guidance(clip), "graph": lambda: graph(guided.frames, *seen)}


def drawn_clip(patches: int, dim: int, words: int) -> ItemTokens:
    there = torch.ones(1, FRAMES, patches, dtype=torch.bool)
    spoken = torch.ones(1, words, dtype=torch.bool)
    seen = torch.randn(1, FRAMES, patches, dim) / dim**0.5
    whole, said = drawn(1, FRAMES, dim), drawn(1, dim)
    heard = torch.randn(1, words, dim)
    return ItemTokens(whole, there[..., 0], seen, there, heard, spoken, said, spoken[:, 0])


def drawn(*shape: int) -> Tensor:
    return functional.normalize(torch.randn(*shape), dim=-1)


def in_turns(sides: dict[str, Side], turns: int) -> dict[str, float]:
    """The median milliseconds of each side, after two turns to warm up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns + 2):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: float(np.median(taken[2:])) for name, taken in times.items()}


def show(tower: str, took: dict[str, float], limit: float) -> None:
    share = (took["guidance"] + took["graph"]) / took["frames"]
    print(
        f"{tower:10}{took['frames']:11.1f}{took['guidance']:13.2f}{took['graph']:10.2f}"
        f"{share:8.1%}{limit:7.0%} {'ok' if share <= limit else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
