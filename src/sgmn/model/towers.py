"""Image and text towers that encode into a common space, behind one interface.

    image tower: pixels (N, 3, H, W), normalized  -> ImageEncoding: (N, D) and patches (N, P, D)
    text tower:  ids (M, L), mask (M, L) bool     -> TextEncoding: (M, D) and words (M, L, D)

All vectors, including patches and words, are projected into the common space but not normalized
yet. The families are CLIP, SigLIP, Chinese-CLIP, and any two `AutoModel` towers with linear
projections. Towers are built from a config alone, so loading a checkpoint needs no network access.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from sgmn.errors import CheckpointError, SettingsError
from sgmn.model import bert, efficientnet


class ImageEncoding(NamedTuple):
    """N images in the common space.

    Attributes:
        pooled: (N, D) one vector per image.
        patches: (N, P, D) patch vectors, row by row.
        grid: The number of rows and columns of the patches.
    """

    pooled: Tensor
    patches: Tensor
    grid: tuple[int, int]


class TextEncoding(NamedTuple):
    """M texts in the common space.

    Attributes:
        pooled: (M, D) one vector per text.
        words: (M, L, D) token vectors.
        mask: (M, L) bool, False at padding.
    """

    pooled: Tensor
    words: Tensor
    mask: Tensor


class TowerEncoder(Protocol):
    """What encodes images and texts: `Towers`, or their export in another runtime."""

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """Encode normalized pixels (N, 3, H, W)."""

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """Encode token ids (M, L) with mask (M, L)."""


class Towers(nn.Module):
    """An image tower and a text tower with a common space of `dim` dimensions."""

    dim: int

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """Encode normalized pixels (N, 3, H, W)."""
        raise NotImplementedError

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """Encode token ids (M, L) with mask (M, L)."""
        raise NotImplementedError

    def backbone(self) -> list[nn.Module]:
        """The pretrained modules, which are trained with a smaller learning rate."""
        raise NotImplementedError

    def text_backbone(self) -> nn.Module:
        """The module that `SGMN.freeze_text` freezes."""
        raise NotImplementedError

    def freeze_blocks(self, count: int) -> None:
        """Freeze the first blocks of the image tower. Raises SettingsError if unsupported."""
        raise SettingsError(
            "'frozen_blocks' is only supported by EfficientNet-Lite towers", remedy="remove it"
        )


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
        return ImageEncoding(out.pooler_output, patches, self._grid(pixels))

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
        return ImageEncoding(out.pooler_output, out.last_hidden_state, self._grid(pixels))

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


class ComposedTowers(Towers):
    """Any `AutoModel` image tower and any `AutoModel` text tower with linear projections.

    An image is the mean of its patches unless its tower pools by itself; a text is the mean of
    its words. The text projection starts as the identity if the dimensions agree, so an untrained
    pair ranks by the similarity of the text tower.
    """

    def __init__(self, image: Any, text: Any, dim: int, *, from_scratch: bool) -> None:
        super().__init__()
        self.image, self.text, self.dim = image, text, dim
        self.from_scratch = from_scratch
        self.image_projection = nn.Linear(_hidden_size(image.config), dim)  # bias centers
        self.text_projection = nn.Linear(_hidden_size(text.config), dim, bias=False)
        nn.init.orthogonal_(self.text_projection.weight)
        if _hidden_size(text.config) == dim:
            nn.init.eye_(self.text_projection.weight)

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `Towers.encode_image`."""
        out = self.image(pixels.contiguous(memory_format=torch.channels_last))
        hidden = out.last_hidden_state
        if hidden.dim() == 4:  # a convolutional tower: (N, C, h, w)
            patches = self.image_projection(hidden.flatten(2).transpose(1, 2))
            grid = (hidden.shape[2], hidden.shape[3])
            return ImageEncoding(patches.mean(1), patches, grid)
        pooler_output = getattr(out, "pooler_output", None)
        pooled = hidden.mean(1) if pooler_output is None else pooler_output
        grid = self._find_grid(hidden.shape[1], pixels)
        patches = hidden[:, -grid[0] * grid[1] :]  # class and register tokens come first
        return ImageEncoding(self.image_projection(pooled), self.image_projection(patches), grid)

    def _find_grid(self, tokens: int, pixels: Tensor) -> tuple[int, int]:
        """Rows and columns of a transformer's patches; some towers merge patches two by two."""
        side = self.image.config.patch_size
        while (grid := (pixels.shape[-2] // side, pixels.shape[-1] // side)) > (1, 1):
            if grid[0] * grid[1] <= tokens:
                break
            side *= 2
        return grid

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """See `Towers.encode_text`."""
        hidden = self.text(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        weights = (mask / mask.sum(1, keepdim=True)).unsqueeze(-1)
        words = self.text_projection(hidden)
        return TextEncoding((words * weights).sum(1), words, mask)

    def backbone(self) -> list[nn.Module]:
        """See `Towers.backbone`; an image tower from scratch is not part of it."""
        return [self.text] if self.from_scratch else [self.image, self.text]

    def text_backbone(self) -> nn.Module:
        """See `Towers.text_backbone`."""
        text: nn.Module = self.text
        return text

    def freeze_blocks(self, count: int) -> None:
        """See `Towers.freeze_blocks`."""
        if isinstance(self.image, efficientnet.LiteTower):
            self.image.freeze_blocks(count)
        else:
            super().freeze_blocks(count)


def _hidden_size(config: Any) -> int:
    sizes = getattr(config, "hidden_sizes", None)
    return int(sizes[-1] if sizes else config.hidden_size)


def _build_tower(config: dict[str, Any]) -> nn.Module:
    if config["model_type"] == efficientnet.MODEL_TYPE:
        sizes = {name: config[name] for name in ("width", "depth", "detail") if name in config}
        return efficientnet.LiteTower(**sizes)
    if bert.is_supported(config):
        return bert.BertTower(config)
    from transformers import AutoConfig, AutoModel

    model: nn.Module = AutoModel.from_config(AutoConfig.for_model(**config))
    return model


def _build_composed(configs: dict[str, Any], dim: int) -> Towers:
    image, text = _build_tower(configs["image"]), _build_tower(configs["text"])
    from_scratch = "group_channels" in configs
    if from_scratch:
        _replace_batch_norms(image, configs["group_channels"])
    return ComposedTowers(image, text, dim, from_scratch=from_scratch)


def _replace_batch_norms(tower: nn.Module, group_channels: int) -> None:
    """Replace batch norms by group norms (Wu and He 2018), in place.

    Frames and shop images differ so much that the batch statistics of neither fit the other at
    inference, and training in several processes would differ from training in one.
    """
    for name, part in tower.named_children():
        if isinstance(part, nn.BatchNorm2d):
            groups = max(1, part.num_features // group_channels)
            setattr(tower, name, nn.GroupNorm(groups, part.num_features))
        else:
            _replace_batch_norms(part, group_channels)


FAMILIES: dict[str, Callable[[dict[str, Any], int], Towers]] = {
    "clip": lambda configs, dim: ClipTowers(_build_tower(configs["pair"])),
    "chinese_clip": lambda configs, dim: ClipTowers(_build_tower(configs["pair"])),
    "siglip": lambda configs, dim: SiglipTowers(_build_tower(configs["pair"])),
    "composed": _build_composed,
}


def build_towers(family: str, configs: dict[str, Any], dim: int) -> Towers:
    """Build towers with random weights.

    Args:
        family: A name of `FAMILIES`.
        configs: Configs of `transformers` as plain dictionaries: {"pair": config} for a pretrained
            pair, {"image": config, "text": config} for composed towers. If "group_channels" is
            present, the image tower is trained from scratch, and its batch norms are replaced by
            group norms with this number of channels.
        dim: Dimensions of the common space; a pretrained pair has its own.
    """
    if family not in FAMILIES:
        raise CheckpointError(
            f"unknown tower family {family!r}", remedy=f"choose one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[family](configs, dim)
