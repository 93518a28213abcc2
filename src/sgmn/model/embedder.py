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
from sgmn.model.calibration import ScoreCalibration
from sgmn.model.network import select_device
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import ImageTokens, ItemTokens, TextTokens
from sgmn.records import ClipContent, ImageArray, ProductContent


class Embedder:
    """A model at inference; `batch` is how many pictures or texts it takes at once.

    `device` "auto" is the first GPU, or else the CPU; what comes out is on the CPU.
    """

    def __init__(self, model: Model, device: str = "auto", batch_size: int = 64) -> None:
        self.model, self.batch_size = model, batch_size
        self.network = model.network.to(select_device(device)).eval()
        self.preprocessor = model.preprocessor

    @cached_property
    def ranker(self) -> Ranker:
        """What scores clips and products of this model."""
        return Ranker.from_network(self.network, ScoreCalibration.of(self.model))

    @property
    def dim(self) -> int:
        """The width D of the common space."""
        return self.network.towers.dim

    @property
    def max_side(self) -> int:
        """The longer side in pixels that a picture needs at most."""
        return max(max(canvas) for canvas in self.preprocessor.canvases)

    @torch.inference_mode()
    def encode_images(self, pictures: Sequence[ImageArray]) -> ImageTokens:
        """Pictures (H, W, 3) through the picture tower."""
        some = batched(pictures, self.batch_size) if pictures else [()]
        return ImageTokens.cat(
            self.network.encode_images(self.preprocessor.prepare_images(few)).to("cpu") for few in some
        )

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> TextTokens:
        """Texts through the text tower."""
        some = batched(texts, self.batch_size) if texts else [()]
        return TextTokens.cat(
            self.network.encode_texts(self.preprocessor.tokenize_texts(few)).to("cpu") for few in some
        )

    def build_tokens(self, looks: Sequence[ImageTokens], texts: Sequence[str]) -> ItemTokens:
        """Clips or products whose pictures are encoded already, with their texts."""
        counts = torch.tensor([len(some) for some in looks], dtype=torch.long)
        owner = torch.repeat_interleave(torch.arange(len(looks)), counts)
        place = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
        every = ImageTokens.cat([*looks, self.encode_images([])])
        return ItemTokens.assemble(every, owner, place, self.encode_texts(texts))

    @torch.inference_mode()
    def encode_windows(self, frames: Sequence[ImageTokens], words: Sequence[str]) -> ClipVectors:
        """Clips whose frames are encoded already, any number each."""
        tokens = self.build_tokens(frames, words).to(self.network.device)
        return self.network.parts.encode_clips(tokens).map_tensors(_plain)

    def encode_clips(self, contents: Sequence[ClipContent]) -> ClipVectors:
        """Decoded clips to vectors."""
        shown = self._shown([content.frames for content in contents])
        return self.encode_windows(shown, [content.text for content in contents])

    @torch.inference_mode()
    def encode_products(self, contents: Sequence[ProductContent]) -> ProductVectors:
        """Decoded products to vectors."""
        shown = self._shown([content.images for content in contents])
        tokens = self.build_tokens(shown, [content.title for content in contents])
        return self.network.parts.encode_products(tokens.to(self.network.device)).map_tensors(_plain)

    def _shown(self, views: Sequence[Sequence[ImageArray]]) -> list[ImageTokens]:
        """The pictures of each item, all encoded together."""
        flat = self.encode_images([picture for some in views for picture in some])
        ends = accumulate(len(some) for some in views)
        return [flat[end - len(some) : end] for some, end in zip(views, ends, strict=True)]


def _plain(tensor: Tensor) -> Tensor:
    """On the CPU, in full precision."""
    tensor = tensor.cpu()
    return tensor.float() if tensor.is_floating_point() else tensor
