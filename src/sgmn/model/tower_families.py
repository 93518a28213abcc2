"""The families of towers: CLIP, SigLIP, Chinese-CLIP, and any two towers with linear projections.

Towers are built from a config alone, so loading a checkpoint needs no network access.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sgmn.errors import CheckpointError
from sgmn.model.composed_towers import build_composed_towers, build_tower
from sgmn.model.towers import ImageEncoding, TextEncoding, Towers


class PairTowers(Towers):
    """A pretrained pair of `transformers`, pooled by its own code."""

    model: Any  # the models of transformers have no types

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def _grid(self, pixels: Tensor) -> tuple[int, int]:
        patch_size: int = self.model.config.vision_config.patch_size
        return pixels.shape[-2] // patch_size, pixels.shape[-1] // patch_size

    def backbone(self) -> list[nn.Module]:
        """See `Towers.backbone`."""
        return [self.model]

    def text_backbone(self) -> nn.Module:
        """See `Towers.text_backbone`."""
        text: nn.Module = self.model.text_model
        return text


class ClipTowers(PairTowers):
    """CLIP and Chinese-CLIP. Patches and words use the projections of the pooled vectors."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.dim = int(model.config.projection_dim)

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `Towers.encode_image`."""
        out = self.model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
        patches = self.model.vision_model.post_layernorm(out.last_hidden_state[:, 1:])
        patches = self.model.visual_projection(patches)
        return ImageEncoding.of_patches(out.pooler_output, patches, self._grid(pixels))

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """See `Towers.encode_text`."""
        out = self.model.get_text_features(input_ids=ids, attention_mask=mask.long())
        words = self.model.text_projection(out.last_hidden_state)
        return TextEncoding(out.pooler_output, words, mask)


class SiglipTowers(PairTowers):
    """SigLIP and SigLIP 2 with fixed resolution: attention pooling, no projection of images."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.dim = int(model.config.vision_config.hidden_size)

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `Towers.encode_image`."""
        out = self.model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
        patches = out.last_hidden_state
        return ImageEncoding.of_patches(out.pooler_output, patches, self._grid(pixels))

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """See `Towers.encode_text`. SigLIP was trained on unmasked texts padded to full length."""
        config = self.model.config.text_config
        missing = config.max_position_embeddings - ids.shape[1]
        padded = nn.functional.pad(
            ids.masked_fill(~mask, config.pad_token_id), (0, missing), value=config.pad_token_id
        )
        out = self.model.get_text_features(input_ids=padded)
        words = self.model.text_model.head(out.last_hidden_state[:, : ids.shape[1]])
        return TextEncoding(out.pooler_output, words, mask)


FAMILIES: dict[str, Callable[[dict[str, Any], int], Towers]] = {
    "clip": lambda configs, dim: ClipTowers(build_tower(configs["pair"])),
    "chinese_clip": lambda configs, dim: ClipTowers(build_tower(configs["pair"])),
    "siglip": lambda configs, dim: SiglipTowers(build_tower(configs["pair"])),
    "composed": build_composed_towers,
}


def build_towers(family: str, configs: dict[str, Any], dim: int) -> Towers:
    """Build towers with random weights.

    Args:
        family: A name of `FAMILIES`.
        configs: Configs of `transformers` as plain dictionaries: {"pair": config} for a pretrained
            pair, {"image": config, "text": config} for composed towers. If "group_channels" is
            present, the image tower is trained from scratch, and its batch norms are replaced by
            group norms with this number of channels. With "fine_patches" in its config, an
            EfficientNet-Lite tower gives late interaction patches of 16 instead of 32 pixels.
        dim: Dimensions of the common space; a pretrained pair has its own.
    """
    if family not in FAMILIES:
        raise CheckpointError(
            f"unknown tower family {family!r}", remedy=f"choose one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[family](configs, dim)
