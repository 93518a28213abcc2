"""Cost of guided attention and the clip graph, relative to encoding the frames of a clip.

    python benchmarks/guidance.py [--repeats 30] [--words 40]

One clip of ten frames, on one thread; the parts run alternately. Two image towers:

    ViT-B/32   224×224, 49 patches, 512 dimensions, random weights (which do not affect the time)
    built-in   256×144, 40 patches, 384 dimensions
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from math import sqrt

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
WARM_UP_ROUNDS = 2
Part = Callable[[], object]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"1 clip of {FRAMES} frames, {options.words} words, one thread, medians")
    print(
        f"{'tower':10}{'frames ms':>11}{'guidance ms':>13}{'graph ms':>10}{'share':>8}{'limit':>7}"
    )
    with torch.inference_mode():
        for name, encode, patches, dim, limit in (
            ("ViT-B/32", load_clip_tower(), 49, 512, 0.15),
            ("built-in", load_builtin_tower(), 40, 384, 0.40),
        ):
            parts = {"frames": encode, **build_parts(patches, dim, options.words)}
            print_row(name, measure(parts, options.repeats), limit)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30, help="rounds; the median counts")
    parser.add_argument("--words", type=int, default=40, help="words of the transcript")
    return parser.parse_args()


def load_clip_tower() -> Part:
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


def load_builtin_tower() -> Part:
    towers = checkpoint.load("builtin").network.towers
    pixels = torch.randn(FRAMES, 3, 256, 144)
    return lambda: towers.encode_image(pixels)


def build_parts(patches: int, dim: int, words: int) -> dict[str, Part]:
    """Return guidance and graph, applied to a random clip with the sizes of a tower."""
    guidance, graph = Guidance(dim).eval(), ClipGraph(dim).eval()
    clip = random_clip(patches, dim, words)
    guided = guidance(clip)
    graph_inputs = (clip.image_mask, clip.patches, guided.patch_weights, clip.patch_mask)
    return {
        "guidance": lambda: guidance(clip),
        "graph": lambda: graph(guided.frames, *graph_inputs),
    }


def random_clip(patches: int, dim: int, words: int) -> ItemTokens:
    patch_mask = torch.ones(1, FRAMES, patches, dtype=torch.bool)
    word_mask = torch.ones(1, words, dtype=torch.bool)
    return ItemTokens(
        images=random_unit(1, FRAMES, dim),
        image_mask=patch_mask[..., 0],
        patches=torch.randn(1, FRAMES, patches, dim) / sqrt(dim),
        patch_mask=patch_mask,
        patch_positions=torch.rand(1, FRAMES, patches, 2),
        words=torch.randn(1, words, dim),
        word_mask=word_mask,
        text=random_unit(1, dim),
        has_text=word_mask[:, 0],
    )


def random_unit(*shape: int) -> Tensor:
    """Return random vectors of length 1."""
    return functional.normalize(torch.randn(*shape), dim=-1)


def measure(parts: dict[str, Part], repeats: int) -> dict[str, float]:
    """Return the median milliseconds of each part."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats + WARM_UP_ROUNDS):
        for name, run in parts.items():
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: float(np.median(values[WARM_UP_ROUNDS:])) for name, values in times.items()}


def print_row(tower: str, times_ms: dict[str, float], limit: float) -> None:
    share = (times_ms["guidance"] + times_ms["graph"]) / times_ms["frames"]
    print(
        f"{tower:10}{times_ms['frames']:11.1f}{times_ms['guidance']:13.2f}"
        f"{times_ms['graph']:10.2f}{share:8.1%}{limit:7.0%} {'ok' if share <= limit else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
