"""Matching and interaction of 64 clips and 64 products: batched, and one item after the other.

    python benchmarks/interaction.py [--repeats 5] [--items 64] [--dim 384]

Both variants compute frame-level matching and the instance-level interaction, and must agree to
1e-5. The loop handles one pair of clip and product, then one node with its neighbors, at a time,
as papers write it. The variants run alternately, on one thread.
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
MIN_SPEEDUP, MAX_ERROR = 10, 1e-5
Outputs = tuple[Tensor, Tensor, Tensor]  # relevance, clips, products
Variant = Callable[[Interaction, ClipVectors, ProductVectors], Outputs]


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    clips, products = random_clips(options), random_products(options)
    network = build_network(options.dim)
    times_ms: dict[str, list[float]] = {"batched": [], "loop": []}
    with torch.inference_mode():
        compute_batched(network, clips, products)  # warm-up
        for _ in range(options.repeats):
            batched = run_timed(times_ms["batched"], compute_batched, network, clips, products)
            looped = run_timed(times_ms["loop"], compute_in_loop, network, clips, products)
    error = max(float((a - b).abs().max()) for a, b in zip(batched, looped, strict=True))
    print_table(times_ms, error, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the median counts")
    parser.add_argument("--items", type=int, default=64, help="number of clips and of products")
    parser.add_argument("--dim", type=int, default=384)
    return parser.parse_args()


def random_unit(*shape: int) -> Tensor:
    """Return random vectors of length 1."""
    return functional.normalize(torch.randn(*shape), dim=-1)


def random_clips(options: argparse.Namespace) -> ClipVectors:
    count, dim = options.items, options.dim
    present, weights = torch.ones(count).bool(), torch.full((count, FRAMES), 1 / FRAMES)
    frames = random_unit(count, FRAMES, dim)
    image = functional.normalize(frames.mean(1), dim=-1)
    return ClipVectors(frames, weights, image, present, random_unit(count, dim), present)


def random_products(options: argparse.Namespace) -> ProductVectors:
    present = torch.ones(options.items).bool()
    image, text = random_unit(2, options.items, options.dim)
    return ProductVectors(image, present, text, present)


def build_network(dim: int) -> Interaction:
    """Build an interaction with open gates, because closed gates would hide differences."""
    network = Interaction(dim)
    torch.nn.init.normal_(network.gate, std=0.05)
    return network.eval()


def compute_batched(network: Interaction, clips: ClipVectors, products: ProductVectors) -> Outputs:
    relevance = match_score(clips, products, TEMPERATURE)
    new_clips, new_products = network(
        clips.image[None],
        clips.has_image[None],
        products.image[None],
        products.has_image[None],
        relevance[None],
    )
    return relevance, new_clips[0], new_products[0]


def compute_in_loop(network: Interaction, clips: ClipVectors, products: ProductVectors) -> Outputs:
    relevance = torch.stack(
        [
            torch.stack([match_pair(frames, product) for product in products.image])
            for frames in clips.frames
        ]
    )
    nodes = torch.cat([clips.image, products.image])
    count = len(clips.image)
    new_nodes = [update_node(network, nodes, relevance, node) for node in range(len(nodes))]
    return relevance, torch.stack(new_nodes[:count]), torch.stack(new_nodes[count:])


def match_pair(frames: Tensor, product: Tensor) -> Tensor:
    similarity = frames @ product
    return torch.softmax(similarity / TEMPERATURE, 0) @ similarity


def update_node(network: Interaction, nodes: Tensor, relevance: Tensor, node: int) -> Tensor:
    """Return a node after messages from itself and from its nearest nodes of each kind."""
    clip_count, kind = len(relevance), int(node >= len(relevance))
    within = nodes @ nodes[node] - 1
    across = relevance[:, node - clip_count] if kind else relevance[node]
    parts = [across, within[clip_count:]] if kind else [within[:clip_count], across]
    affinity = torch.cat(parts)
    senders = select_senders(affinity, node, clip_count, network.neighbors)
    kinds = [int(sender >= clip_count) for sender in senders]
    logits = network.cosine_logits(nodes[None, [node]], nodes[None, senders])[0, :, 0]
    scale_within = network.log_similarity_scale.exp()
    scale_across = GAIN_SCALE * network.relevance_scale
    scales = torch.stack([scale_within if k == kind else scale_across for k in kinds], 1)
    bias = scales * affinity[senders] + network.kind_bias[:, kind, kinds]
    weights = (logits + bias).softmax(-1) * GAIN_SCALE * network.gate[:, kind, kinds]
    differences = network.value(nodes[senders] - nodes[node]).unflatten(-1, (network.heads, -1))
    message = torch.einsum("hn,nhd->hd", weights, differences).flatten()
    return functional.normalize(nodes[node] + network.out(message), dim=-1)


def select_senders(affinity: Tensor, node: int, clip_count: int, neighbors: int) -> list[int]:
    """Return the node itself and its nearest clips and products."""
    senders = [node]
    for kind in (0, 1):
        others = [n for n in range(len(affinity)) if (n >= clip_count) == kind and n != node]
        order = affinity[others].argsort(descending=True)[:neighbors]
        senders += [others[place] for place in order.tolist()]
    return senders


def run_timed(
    times_ms: list[float],
    variant: Variant,
    network: Interaction,
    clips: ClipVectors,
    products: ProductVectors,
) -> Outputs:
    start = time.perf_counter()
    outputs = variant(network, clips, products)
    times_ms.append((time.perf_counter() - start) * 1000)
    return outputs


def print_table(
    times_ms: dict[str, list[float]], error: float, options: argparse.Namespace
) -> None:
    print(f"{options.items} clips of {FRAMES} frames and {options.items} products, one thread")
    medians = {name: float(np.median(values)) for name, values in times_ms.items()}
    for name, median in medians.items():
        print(f"{name:10}{median:10.1f} ms")
    speedup = medians["loop"] / medians["batched"]
    verdict = "ok" if speedup >= MIN_SPEEDUP else "MISSED"
    print(f"{speedup:.0f} times as fast (at least {MIN_SPEEDUP}) {verdict}")
    verdict = "ok" if error <= MAX_ERROR else "MISSED"
    print(f"largest difference {error:.1e} (at most {MAX_ERROR}) {verdict}")


if __name__ == "__main__":
    main()
