"""A tiny model with all parts, and clips and products for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sgmn.model import backbones
from sgmn.model.bundle import ModelBundle
from sgmn.model.parts import PARTS
from sgmn.model.scoring import TERMS
from sgmn.records import ClipContent, ProductContent
from tests.conftest import noise


def enable_all_parts(model: ModelBundle, randomize: bool = False) -> ModelBundle:
    """The model with every part, untrained or with random changes that also open the gates."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        parts = replace(model.network.config.parts, enabled=PARTS, candidates=3, latents=4)
        network = model.network.with_parts(parts, TERMS).eval()
        if randomize:
            with torch.no_grad():
                for parameter in network.parts.parameters():
                    parameter.add_(0.2 * torch.randn_like(parameter))
                network.head.match.fill_(0.3)
                network.head.cross.fill_(0.1)
    return ModelBundle(network, model.tokenizer, model.name)


def build_tiny_lite(text: Path, seed: int = 5, **options: bool) -> ModelBundle:
    """A tiny model of the built-in family: a narrow EfficientNet-Lite with two canvases."""
    config = {"model_type": "efficientnet_lite", "width": 0.5, "depth": 0.4, **options}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return backbones.build_composed(config, str(text), 32, ((96, 64), (64, 64)))


def draw_clips(rng: np.random.Generator) -> list[ClipContent]:
    """Four clips of different lengths; 1 has no text and 3 has no frames."""
    frames = [tuple(noise(rng, 40, 30) for _ in range(count)) for count in (3, 1, 4)]
    texts = ("red jar", "", "blue box on the table")
    clips = [ClipContent(images, text) for images, text in zip(frames, texts, strict=True)]
    return [*clips, ClipContent((), "green")]


def draw_products(rng: np.random.Generator) -> list[ProductContent]:
    """Eight products; 5 has two views, 6 has no image, 7 has no title."""
    products = [ProductContent((noise(rng, 30, 30),), f"item {n}") for n in range(5)]
    views = (noise(rng, 40, 30), noise(rng, 30, 30))
    products.append(ProductContent(views, "red box"))
    products.append(ProductContent((), "blue"))
    products.append(ProductContent((noise(rng),), ""))
    return products
