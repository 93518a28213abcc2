"""Decoded clips and products to vectors on the CPU, in batches: where inference happens.

Axes: B clips, T frames a clip, S products, N pictures, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sgmn.batching import batched
from sgmn.model.bundle import Model
from sgmn.model.network import chosen_device, pool
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights
from sgmn.records import ClipContent, Picture, ProductContent


class Embedder:
    """A model at inference; `batch` is how many pictures or texts it takes at once.

    `device` "auto" is the first GPU, or else the CPU; what comes out is on the CPU.
    """

    def __init__(self, model: Model, device: str = "auto", batch: int = 64) -> None:
        self.model, self.batch = model, batch
        self.network = model.network.to(chosen_device(device)).eval()
        self.prepare = model.preparation

    @property
    def weights(self) -> ScoreWeights:
        """The learned weights of the score, without gradient, on the CPU."""
        return ScoreWeights(*(value.detach().cpu() for value in self.network.head()))

    @property
    def dim(self) -> int:
        """The width D of the common space."""
        return self.network.towers.dim

    @property
    def max_side(self) -> int:
        """The longer side in pixels that a picture needs at most."""
        return max(max(canvas) for canvas in self.prepare.canvases)

    @torch.inference_mode()
    def pictures(self, pictures: Sequence[Picture]) -> Tensor:
        """Pictures (H, W, 3) to vectors of length 1 (N, D)."""
        parts = [
            self.network.see(self.prepare.pictures(some)).cpu().float()
            for some in batched(pictures, self.batch)
        ]
        return torch.cat(parts) if parts else torch.zeros(0, self.dim)

    @torch.inference_mode()
    def words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Texts to vectors of length 1 (N, D) and whether there were any words (N,)."""
        parts = [self.network.say(self.prepare.texts(some)) for some in batched(texts, self.batch)]
        if not parts:
            return torch.zeros(0, self.dim), torch.zeros(0, dtype=torch.bool)
        said, present = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
        return said.float(), present

    @torch.inference_mode()
    def clips(self, contents: Sequence[ClipContent]) -> ClipVectors:
        """Decoded clips to vectors."""
        flat = self.pictures([frame for content in contents for frame in content.frames])
        frames = torch.split(flat, [len(content.frames) for content in contents])
        return self.windows(frames, [content.words for content in contents])

    @torch.inference_mode()
    def windows(self, frames: Sequence[Tensor], words: Sequence[str]) -> ClipVectors:
        """Clips whose frames are encoded already: a (T, D) tensor each, of any T."""
        length = max((len(some) for some in frames), default=1) or 1
        rows = torch.zeros(len(frames), length, self.dim)
        weights = torch.zeros(len(frames), length)
        for row, some in enumerate(frames):
            rows[row, : len(some)] = some
            weights[row, : len(some)] = 1 / max(len(some), 1)
        return pool(rows, weights, *self.words(words))

    @torch.inference_mode()
    def products(self, contents: Sequence[ProductContent]) -> ProductVectors:
        """Decoded products to vectors; the views of a product count alike."""
        views = [ClipContent(content.pictures, content.title) for content in contents]
        found = self.clips(views)
        return ProductVectors(found.picture, found.has_picture, found.words, found.has_words)
