"""Inference: encodes decoded clips and products in batches. The result is on the CPU.

Axes: B clips, T frames per clip, S products, N images, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from itertools import accumulate

import torch
from torch import Tensor

from sgmn.batching import batched
from sgmn.model.bundle import ModelBundle
from sgmn.model.calibration import ScoreCalibration
from sgmn.model.glance import EncodedFrames, FrameImage, add_glances
from sgmn.model.guidance import GuidanceOutput
from sgmn.model.inputs import ImageInputs
from sgmn.model.network import select_device
from sgmn.model.ranker import Ranker
from sgmn.model.runtimes import TORCH
from sgmn.model.runtimes.loading import load_towers, resolve_runtime
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import ImageTokens, ItemTokens, TextTokens
from sgmn.records import ClipContent, ImageArray, ProductContent


class Embedder:
    """A model for inference.

    Args:
        model: The model; its network is moved to the device.
        device: A device name; "auto" is the first GPU if there is one, else the CPU.
        batch_size: Number of images or texts that are encoded together.
        runtime: What runs the towers, a name of `runtimes.RUNTIMES`; the attribute of
            this name never is "auto".
    """

    def __init__(
        self,
        model: ModelBundle,
        device: str = "auto",
        batch_size: int = 64,
        runtime: str = TORCH,
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self.network = model.network.to(select_device(device)).eval()
        self.preprocessor = model.preprocessor
        self.runtime = resolve_runtime(model, runtime)
        self.towers = load_towers(model, self.runtime)

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
        return self.network.max_side

    @torch.inference_mode()
    def encode_images(
        self, images: Sequence[ImageArray], *, compares_patches: bool = False
    ) -> ImageTokens:
        """Encode images (H, W, 3) with the image tower.

        `compares_patches` tells whether late interaction compares their fine patches.
        """
        batches = batched(images, self.batch_size) if images else [()]
        prepare = partial(self.preprocessor.prepare_images, compares_patches=compares_patches)
        return ImageTokens.cat(self._encode_batch(batch) for batch in map(prepare, batches))

    def _encode_batch(self, images: ImageInputs) -> ImageTokens:
        return self.network.encode_images(images, self.towers).to("cpu")

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> TextTokens:
        """Encode texts with the text tower."""
        batches = batched(texts, self.batch_size) if texts else [()]
        inputs = (self.preprocessor.tokenize_texts(batch) for batch in batches)
        return TextTokens.cat(
            self.network.encode_texts(batch, self.towers).to("cpu") for batch in inputs
        )

    def build_tokens(self, images: Sequence[ImageTokens], texts: Sequence[str]) -> ItemTokens:
        """Build clips or products from the encoded images and the text of each item."""
        counts = torch.tensor([len(views) for views in images], dtype=torch.long)
        owner = torch.repeat_interleave(torch.arange(len(images)), counts)
        position = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
        flat = ImageTokens.cat([*images, self.encode_images([])])
        return ItemTokens.assemble(flat, owner, position, self.encode_texts(texts))

    def encode_frames(self, images: Sequence[ImageArray]) -> EncodedFrames:
        """Encode frames (H, W, 3) of clips; keep their pixels if the model looks twice."""
        return self._keep_pixels(self.encode_images(images), images)

    def _keep_pixels(self, tokens: ImageTokens, images: Sequence[ImageArray]) -> EncodedFrames:
        looks_twice = self.network.parts.glance is not None
        pixels = tuple(map(FrameImage, images)) if looks_twice else ()
        return EncodedFrames(tokens.drop_fine_patches(), pixels)

    def encode_windows(self, frames: Sequence[EncodedFrames], texts: Sequence[str]) -> ClipVectors:
        """Encode clips from the encoded frames and the transcript of each clip."""
        return self.encode_guided_windows(frames, texts, texts)[0]

    @torch.inference_mode()
    def encode_guided_windows(
        self, frames: Sequence[EncodedFrames], texts: Sequence[str], heard: Sequence[str]
    ) -> tuple[ClipVectors, GuidanceOutput]:
        """Encode clips whose guidance may hear other words than the rest of the model.

        Args:
            frames: The frames of each clip.
            texts: The transcript of each clip.
            heard: The words of each clip that guidance hears; diagnostics change them.
        """
        tokens, guidance = self._guide_windows(frames, texts, heard)
        vectors = self.network.parts.encode_guided_clips(tokens.to(self.network.device), guidance)
        return vectors.map_tensors(_to_cpu_float), guidance

    @torch.inference_mode()
    def build_clip_tokens(
        self, frames: Sequence[EncodedFrames], texts: Sequence[str]
    ) -> ItemTokens:
        """Build clips from the encoded frames and the transcript of each, with second glances."""
        return self._guide_windows(frames, texts, texts)[0]

    def _guide_windows(
        self, frames: Sequence[EncodedFrames], texts: Sequence[str], heard: Sequence[str]
    ) -> tuple[ItemTokens, GuidanceOutput]:
        images, parts = [clip.tokens for clip in frames], self.network.parts
        tokens = self.build_tokens(images, texts)
        heard_tokens = tokens if heard == texts else self.build_tokens(images, heard)
        guidance = parts.guide(heard_tokens.to(self.network.device), "clips")
        if parts.glance is not None:
            pixels, canvases = [clip.images for clip in frames], self.preprocessor.canvases
            tokens = add_glances(tokens, guidance, pixels, canvases, self._encode_regions)
        return tokens, guidance

    def _encode_regions(self, images: Sequence[ImageArray]) -> ImageTokens:
        inputs = map(self.preprocessor.prepare_regions, batched(images, self.batch_size))
        return ImageTokens.cat(self._encode_batch(batch) for batch in inputs)

    def encode_clips(self, contents: Sequence[ClipContent]) -> ClipVectors:
        """Encode decoded clips."""
        views = [content.frames for content in contents]
        encoded = self._encode_views(views)
        frames = [self._keep_pixels(*pair) for pair in zip(encoded, views, strict=True)]
        return self.encode_windows(frames, [content.text for content in contents])

    @torch.inference_mode()
    def build_product_tokens(self, contents: Sequence[ProductContent]) -> ItemTokens:
        """Build decoded products, with the patches of their first images for late interaction."""
        first = self._encode_views([c.images[:1] for c in contents], compares_patches=True)
        others = self._encode_views([c.images[1:] for c in contents])
        images = [ImageTokens.cat(views) for views in zip(first, others, strict=True)]
        return self.build_tokens(images, [content.title for content in contents])

    @torch.inference_mode()
    def encode_products(self, contents: Sequence[ProductContent]) -> ProductVectors:
        """Encode decoded products."""
        tokens = self.build_product_tokens(contents)
        vectors = self.network.parts.encode_products(tokens.to(self.network.device))
        return vectors.map_tensors(_to_cpu_float)

    def _encode_views(
        self, views: Sequence[Sequence[ImageArray]], *, compares_patches: bool = False
    ) -> list[ImageTokens]:
        """Encode the images of all items together."""
        images = [image for item in views for image in item]
        flat = self.encode_images(images, compares_patches=compares_patches)
        ends = accumulate(len(item) for item in views)
        return [flat[end - len(item) : end] for item, end in zip(views, ends, strict=True)]


def _to_cpu_float(tensor: Tensor) -> Tensor:
    """Move a tensor to the CPU, in full precision if it is floating point."""
    tensor = tensor.cpu()
    return tensor.float() if tensor.is_floating_point() else tensor
