"""Decoded clips and products to vectors on the CPU, in batches: where inference happens.

Axes: B clips, T frames a clip, S products, N pictures, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from sgmn.batching import batched
from sgmn.model.bundle import Model
from sgmn.model.network import chosen_device
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import ImageTokens, ItemTokens, TextTokens
from sgmn.records import ClipContent, ImageArray, ProductContent


class Embedder:
    """A model at inference; `batch` is how many pictures or texts it takes at once.

    `device` "auto" is the first GPU, or else the CPU; what comes out is on the CPU.
    """

    def __init__(self, model: Model, device: str = "auto", batch: int = 64) -> None:
        self.model, self.batch = model, batch
        self.network = model.network.to(chosen_device(device)).eval()
        self.prepare = model.preparation

    @cached_property
    def ranker(self) -> Ranker:
        """What scores clips and products of this model."""
        return Ranker.of(self.network)

    @property
    def dim(self) -> int:
        """The width D of the common space."""
        return self.network.towers.dim

    @property
    def max_side(self) -> int:
        """The longer side in pixels that a picture needs at most."""
        return max(max(canvas) for canvas in self.prepare.canvases)

    @torch.inference_mode()
    def pictures(self, pictures: Sequence[ImageArray]) -> ImageTokens:
        """Pictures (H, W, 3) through the picture tower."""
        some = batched(pictures, self.batch) if pictures else [()]
        return ImageTokens.cat(
            self.network.encode_image(self.prepare.pictures(few)).to("cpu") for few in some
        )

    @torch.inference_mode()
    def words(self, texts: Sequence[str]) -> TextTokens:
        """Texts through the text tower."""
        some = batched(texts, self.batch) if texts else [()]
        return TextTokens.cat(
            self.network.encode_text(self.prepare.texts(few)).to("cpu") for few in some
        )

    def tokens(self, looks: Sequence[ImageTokens], texts: Sequence[str]) -> ItemTokens:
        """Clips or products whose pictures are encoded already, with their texts."""
        counts = torch.tensor([len(some) for some in looks], dtype=torch.long)
        owner = torch.repeat_interleave(torch.arange(len(looks)), counts)
        place = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
        every = ImageTokens.cat([*looks, self.pictures([])])
        return ItemTokens.of(every, owner, place, self.words(texts))

    @torch.inference_mode()
    def windows(self, frames: Sequence[ImageTokens], words: Sequence[str]) -> ClipVectors:
        """Clips whose frames are encoded already, any number each."""
        tokens = self.tokens(frames, words).to(self.network.device)
        return self.network.parts.clips(tokens).mapped(_plain)

    def clips(self, contents: Sequence[ClipContent]) -> ClipVectors:
        """Decoded clips to vectors."""
        shown = self._shown([content.frames for content in contents])
        return self.windows(shown, [content.text for content in contents])

    @torch.inference_mode()
    def products(self, contents: Sequence[ProductContent]) -> ProductVectors:
        """Decoded products to vectors."""
        shown = self._shown([content.images for content in contents])
        tokens = self.tokens(shown, [content.title for content in contents])
        return self.network.parts.products(tokens.to(self.network.device)).mapped(_plain)

    def _shown(self, views: Sequence[Sequence[ImageArray]]) -> list[ImageTokens]:
        """The pictures of each item, all encoded together."""
        flat = self.pictures([picture for some in views for picture in some])
        ends = accumulate(len(some) for some in views)
        return [flat[end - len(some) : end] for some, end in zip(views, ends, strict=True)]


def _plain(tensor: Tensor) -> Tensor:
    """On the CPU, in full precision."""
    tensor = tensor.cpu()
    return tensor.float() if tensor.is_floating_point() else tensor
