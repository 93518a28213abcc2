"""Relations of 64 clips and 64 products: in batches, and one item after the other.

    python benchmarks/interaction.py [--turns 5] [--items 64] [--dim 384]

Both sides compute frame-level matching and the instance-level interaction, and agree to 1e-5.
The loop takes one pair of clip and product, then one node with its neighbours, at a time, which
is how papers write it. The sides take turns, one call each, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sgmn.model.guidance import GAIN_SCALE
from sgmn.model.interaction import Interaction
from sgmn.model.scoring import ClipVectors, ProductVectors, match_score

FRAMES, TEMPERATURE = 10, torch.tensor(0.1)
Related = tuple[Tensor, Tensor, Tensor]


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    clips, products = drawn_clips(options), drawn_products(options)
    network = opened(Interaction(options.dim))
    took: dict[str, list[float]] = {"batched": [], "loop": []}
    with torch.inference_mode():
        batched(network, clips, products)  # warm up
        for _ in range(options.turns):
            ours = timed(took["batched"], batched, network, clips, products)
            theirs = timed(took["loop"], looped, network, clips, products)
    apart = max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))
    show(took, apart, options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--dim", type=int, default=384)
    return parser.parse_args()


def drawn(*shape: int) -> Tensor:
    return functional.normalize(torch.randn(*shape), dim=-1)


def drawn_clips(options: argparse.Namespace) -> ClipVectors:
    count, dim = options.items, options.dim
    there, weights = torch.ones(count).bool(), torch.full((count, FRAMES), 1 / FRAMES)
    frames = drawn(count, FRAMES, dim)
    picture = functional.normalize(frames.mean(1), dim=-1)
    return ClipVectors(frames, weights, picture, there, drawn(count, dim), there)


def drawn_products(options: argparse.Namespace) -> ProductVectors:
    there = torch.ones(options.items).bool()
    drawn_pair = drawn(2, options.items, options.dim)
    return ProductVectors(drawn_pair[0], there, drawn_pair[1], there)


def opened(network: Interaction) -> Interaction:
    """With open gates, so that the two sides have something to differ in."""
    torch.nn.init.normal_(network.gate, std=0.05)
    return network.eval()


def batched(network: Interaction, clips: ClipVectors, products: ProductVectors) -> Related:
    relevance = match_score(clips, products, TEMPERATURE)
    seen, shown = network(
        clips.image[None],
        clips.has_image[None],
        products.image[None],
        products.has_image[None],
        relevance[None],
    )
    return relevance, seen[0], shown[0]


def looped(network: Interaction, clips: ClipVectors, products: ProductVectors) -> Related:
    relevance = torch.stack(
        [
            torch.stack([matched(frames, product) for product in products.image])
            for frames in clips.frames
        ]
    )
    nodes = torch.cat([clips.image, products.image])
    count = len(clips.image)
    moved = [heard(network, nodes, relevance, row) for row in range(len(nodes))]
    return relevance, torch.stack(moved[:count]), torch.stack(moved[count:])


def matched(frames: Tensor, product: Tensor) -> Tensor:
    similarity = frames @ product
    return torch.softmax(similarity / TEMPERATURE, 0) @ similarity


def heard(network: Interaction, nodes: Tensor, relevance: Tensor, row: int) -> Tensor:
    """One node after it has heard from itself and its nearest of each kind."""
    clips, kind = len(relevance), int(row >= len(relevance))
    near = nodes @ nodes[row] - 1
    across = relevance[:, row - clips] if kind else relevance[row]
    bonds = torch.cat([across, near[clips:]] if kind else [near[:clips], across])
    others = [[n for n in range(len(nodes)) if (n >= clips) == one and n != row] for one in (0, 1)]
    wanted = [row]
    for some in others:
        order = bonds[some].argsort(descending=True)[: network.neighbours]
        wanted += [some[place] for place in order.tolist()]
    kinds = [int(n >= clips) for n in wanted]
    logits = network.cosine_logits(nodes[None, [row]], nodes[None, wanted])[0, :, 0]
    within, between = network.log_similarity_scale.exp(), GAIN_SCALE * network.relevance_scale
    scales = torch.stack([within if one == kind else between for one in kinds], 1)
    shares = (logits + scales * bonds[wanted] + network.kind_bias[:, kind, kinds]).softmax(-1)
    shares = shares * GAIN_SCALE * network.gate[:, kind, kinds]
    sent = network.value(nodes[wanted] - nodes[row]).unflatten(-1, (network.heads, -1))
    message = torch.einsum("hn,nhd->hd", shares, sent).flatten()
    return functional.normalize(nodes[row] + network.out(message), dim=-1)


def timed(taken: list[float], side: Callable[..., Related], *inputs: object) -> Related:
    began = time.perf_counter()
    found = side(*inputs)
    taken.append((time.perf_counter() - began) * 1000)
    return found


def show(took: dict[str, list[float]], apart: float, options: argparse.Namespace) -> None:
    print(f"{options.items} clips of {FRAMES} frames and {options.items} products, one thread")
    medians = {name: float(np.median(taken)) for name, taken in took.items()}
    for name, median in medians.items():
        print(f"{name:10}{median:10.1f} ms")
    times = medians["loop"] / medians["batched"]
    print(f"{times:.0f} times as fast (at least 10) {'ok' if times >= 10 else 'MISSED'}")
    print(f"largest difference {apart:.1e} (at most 1e-5) {'ok' if apart <= 1e-5 else 'MISSED'}")


if __name__ == "__main__":
    main()
