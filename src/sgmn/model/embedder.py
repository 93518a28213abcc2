"""Inference: encodes decoded clips and products in batches. The result is on the CPU.

Axes: B clips, T frames per clip, S products, N images, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from sgmn.batching import batched
from sgmn.model.bundle import ModelBundle
from sgmn.model.calibration import ScoreCalibration
from sgmn.model.network import select_device
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import ImageTokens, ItemTokens, TextTokens
from sgmn.records import ClipContent, ImageArray, ProductContent


class Embedder:
    """A model for inference.

    Args:
        model: The model; its network is moved to the device.
        device: A device name; "auto" is the first GPU if there is one, else the CPU.
        batch_size: Number of images or texts that are encoded together.
    """

    def __init__(self, model: ModelBundle, device: str = "auto", batch_size: int = 64) -> None:
        self.model, self.batch_size = model, batch_size
        self.network = model.network.to(select_device(device)).eval()
        self.preprocessor = model.preprocessor

    @cached_property
    def ranker(self) -> Ranker:
        """The ranker of the model, with its calibration."""
        return Ranker.from_network(self.network, ScoreCalibration.of(self.model))

    @property
    def dim(self) -> int:
        """The number D of dimensions of the common space."""
        return self.network.towers.dim

    @property
    def max_side(self) -> int:
        """The longer side in pixels beyond which a larger image makes no difference."""
        return max(max(canvas) for canvas in self.preprocessor.canvases)

    @torch.inference_mode()
    def encode_images(self, images: Sequence[ImageArray]) -> ImageTokens:
        """Encode images (H, W, 3) with the image tower."""
        batches = batched(images, self.batch_size) if images else [()]
        inputs = (self.preprocessor.prepare_images(batch) for batch in batches)
        return ImageTokens.cat(self.network.encode_images(batch).to("cpu") for batch in inputs)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> TextTokens:
        """Encode texts with the text tower."""
        batches = batched(texts, self.batch_size) if texts else [()]
        inputs = (self.preprocessor.tokenize_texts(batch) for batch in batches)
        return TextTokens.cat(self.network.encode_texts(batch).to("cpu") for batch in inputs)

    def build_tokens(self, images: Sequence[ImageTokens], texts: Sequence[str]) -> ItemTokens:
        """Build clips or products from the encoded images and the text of each item."""
        counts = torch.tensor([len(views) for views in images], dtype=torch.long)
        owner = torch.repeat_interleave(torch.arange(len(images)), counts)
        position = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
        flat = ImageTokens.cat([*images, self.encode_images([])])
        return ItemTokens.assemble(flat, owner, position, self.encode_texts(texts))

    @torch.inference_mode()
    def encode_windows(self, frames: Sequence[ImageTokens], texts: Sequence[str]) -> ClipVectors:
        """Encode clips from the encoded frames and the transcript of each clip."""
        tokens = self.build_tokens(frames, texts).to(self.network.device)
        return self.network.parts.encode_clips(tokens).map_tensors(_to_cpu_float)

    def encode_clips(self, contents: Sequence[ClipContent]) -> ClipVectors:
        """Encode decoded clips."""
        frames = self._encode_views([content.frames for content in contents])
        return self.encode_windows(frames, [content.text for content in contents])

    @torch.inference_mode()
    def encode_products(self, contents: Sequence[ProductContent]) -> ProductVectors:
        """Encode decoded products."""
        images = self._encode_views([content.images for content in contents])
        tokens = self.build_tokens(images, [content.title for content in contents])
        vectors = self.network.parts.encode_products(tokens.to(self.network.device))
        return vectors.map_tensors(_to_cpu_float)

    def _encode_views(self, views: Sequence[Sequence[ImageArray]]) -> list[ImageTokens]:
        """Encode the images of all items together."""
        flat = self.encode_images([image for item in views for image in item])
        ends = accumulate(len(item) for item in views)
        return [flat[end - len(item) : end] for item, end in zip(views, ends, strict=True)]


def _to_cpu_float(tensor: Tensor) -> Tensor:
    """Move a tensor to the CPU, in full precision if it is floating point."""
    tensor = tensor.cpu()
    return tensor.float() if tensor.is_floating_point() else tensor
