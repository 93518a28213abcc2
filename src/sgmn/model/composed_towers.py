"""Two towers that were not trained together, with projections into a common space."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sgmn.errors import CheckpointError
from sgmn.model import bert, efficientnet
from sgmn.model.towers import ImageEncoding, TextEncoding, Towers


class ComposedTowers(Towers):
    """Any `AutoModel` image tower and any `AutoModel` text tower with linear projections.

    An image is the mean of its patches unless its tower pools by itself; a text is the mean of
    its words. The text projection starts as the identity if the dimensions agree, so an untrained
    pair ranks by the similarity of the text tower. With `has_fine_patches`, late interaction
    compares the finer of the two resolutions of an EfficientNet-Lite tower.
    """

    def __init__(
        self, image: Any, text: Any, dim: int, *, from_scratch: bool, has_fine_patches: bool = False
    ) -> None:
        super().__init__()
        self.image, self.text, self.dim = image, text, dim
        self.from_scratch, self.has_fine_patches = from_scratch, has_fine_patches
        self.image_projection = nn.Linear(_hidden_size(image.config), dim)  # bias centers
        self.text_projection = nn.Linear(_hidden_size(text.config), dim, bias=False)
        nn.init.orthogonal_(self.text_projection.weight)
        if _hidden_size(text.config) == dim:
            nn.init.eye_(self.text_projection.weight)

    @property
    def fine_dim(self) -> int:
        """See `Towers.fine_dim`."""
        return self.image.fine_channels if self.has_fine_patches else self.dim

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `Towers.encode_image`."""
        out = self.image(pixels.contiguous(memory_format=torch.channels_last))
        hidden = out.last_hidden_state
        if hidden.dim() == 4:  # a convolutional tower: (N, C, h, w)
            patches = self.image_projection(_to_patches(hidden))
            fine = _to_patches(out.fine) if self.has_fine_patches else patches
            return ImageEncoding(patches.mean(1), patches, tuple(hidden.shape[2:]), fine)
        pooler_output = getattr(out, "pooler_output", None)
        pooled = hidden.mean(1) if pooler_output is None else pooler_output
        grid = self._find_grid(hidden.shape[1], pixels)
        patches = hidden[:, -grid[0] * grid[1] :]  # class and register tokens come first
        pooled, patches = self.image_projection(pooled), self.image_projection(patches)
        return ImageEncoding.of_patches(pooled, patches, grid)

    def encode_fine(self, pixels: Tensor) -> Tensor:
        """See `Towers.encode_fine`."""
        if not self.has_fine_patches:
            return super().encode_fine(pixels)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        return _to_patches(self.image.encode_fine(pixels))

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


def _to_patches(features: Tensor) -> Tensor:
    """Turn features (N, C, h, w) into patches (N, h·w, C), row by row."""
    return features.flatten(2).transpose(1, 2)


def _hidden_size(config: Any) -> int:
    sizes = getattr(config, "hidden_sizes", None)
    return int(sizes[-1] if sizes else config.hidden_size)


def build_tower(config: dict[str, Any]) -> nn.Module:
    """Build a tower, or a pair of them, from its config with random weights."""
    if config["model_type"] == efficientnet.MODEL_TYPE:
        sizes = {name: config[name] for name in ("width", "depth", "detail") if name in config}
        return efficientnet.LiteTower(**sizes)
    if bert.is_supported(config):
        return bert.BertTower(config)
    from transformers import AutoConfig, AutoModel

    model: nn.Module = AutoModel.from_config(AutoConfig.for_model(**config))
    return model


def build_composed_towers(configs: dict[str, Any], dim: int) -> Towers:
    """Build both towers from their configs, see `tower_families.build_towers`.

    Raises CheckpointError for `fine_patches` of a tower that has none.
    """
    image, text = build_tower(configs["image"]), build_tower(configs["text"])
    from_scratch = "group_channels" in configs
    if from_scratch:
        _replace_batch_norms(image, configs["group_channels"])
    fine = bool(configs["image"].get("fine_patches"))
    if fine and not isinstance(image, efficientnet.LiteTower):
        raise CheckpointError(
            "'fine_patches' is only supported by EfficientNet-Lite towers", remedy="remove it"
        )
    return ComposedTowers(image, text, dim, from_scratch=from_scratch, has_fine_patches=fine)


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
