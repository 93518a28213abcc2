"""Image and text towers to tokens in one space, behind one interface.

    picture tower: pixels (N, 3, H, W) normalised      -> Seen: global (N, D), patches (N, P, D)
    text tower:    ids (M, L), mask (M, L) bool        -> Said: pooled (M, D), words (M, L, D)

All are projected into the common space, on every token; none is of length 1 yet. Families:
CLIP, SigLIP, Chinese-CLIP, and a composed pair of any two `AutoModel` towers with linear
projections. Towers are built from a config alone, so a checkpoint needs no hub.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sgmn.errors import CheckpointError, SettingsError
from sgmn.model import efficientnet


class ImageEncoding(NamedTuple):
    """Pictures in the common space: `pooled` (N, D) and `patches` (N, P, D).

    The patches are those of a `grid` of rows and columns, row by row.
    """

    pooled: Tensor
    patches: Tensor
    grid: tuple[int, int]


class TextEncoding(NamedTuple):
    """Texts in the common space: `pooled` (M, D), `words` (M, L, D) and their mask (M, L)."""

    pooled: Tensor
    words: Tensor
    mask: Tensor


class Towers(nn.Module):
    """A picture tower and a text tower with one space of `dim` dimensions."""

    dim: int

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """Normalised pixels (N, 3, H, W) to the common space."""
        raise NotImplementedError

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """Tokens (M, L) to the common space."""
        raise NotImplementedError

    def backbone(self) -> list[nn.Module]:
        """The parts that come pretrained and want a smaller learning rate."""
        raise NotImplementedError

    def text_backbone(self) -> nn.Module:
        """The part that `freeze_text` holds still."""
        raise NotImplementedError

    def freeze_blocks(self, blocks: int) -> None:
        """Hold the first blocks of the picture tower still. Raises SettingsError."""
        raise SettingsError("'still' is for the lite picture tower", remedy="leave it out")


class PairTowers(Towers):
    """A pretrained pair of `transformers`; its own code pools, the words and patches follow."""

    model: Any  # transformers' models are not typed

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def _grid(self, pixels: Tensor) -> tuple[int, int]:
        side: int = self.model.config.vision_config.patch_size
        return pixels.shape[-2] // side, pixels.shape[-1] // side

    def backbone(self) -> list[nn.Module]:
        """See `Towers.backbone`."""
        return [self.model]

    def text_backbone(self) -> nn.Module:
        """See `Towers.text_backbone`."""
        text: nn.Module = self.model.text_model
        return text


class ClipTowers(PairTowers):
    """CLIP and Chinese-CLIP: every patch and word through the projection of the whole."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.dim = int(model.config.projection_dim)

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `Towers.encode_image`."""
        out = self.model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
        patches = self.model.vision_model.post_layernorm(out.last_hidden_state[:, 1:])
        return ImageEncoding(
            out.pooler_output, self.model.visual_projection(patches), self._grid(pixels)
        )

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """See `Towers.encode_text`."""
        out = self.model.get_text_features(input_ids=ids, attention_mask=mask.long())
        return TextEncoding(
            out.pooler_output, self.model.text_projection(out.last_hidden_state), mask
        )


class SiglipTowers(PairTowers):
    """SigLIP and SigLIP 2 of fixed resolution: attention pooling, no projection of pictures."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.dim = int(model.config.vision_config.hidden_size)

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `Towers.encode_image`."""
        out = self.model.get_image_features(pixel_values=pixels, interpolate_pos_encoding=True)
        return ImageEncoding(out.pooler_output, out.last_hidden_state, self._grid(pixels))

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """See `Towers.encode_text`. SigLIP was trained on texts padded to full length, unmasked."""
        config = self.model.config.text_config
        room = config.max_position_embeddings - ids.shape[1]
        full = nn.functional.pad(
            ids.masked_fill(~mask, config.pad_token_id), (0, room), value=config.pad_token_id
        )
        out = self.model.get_text_features(input_ids=full)
        words = self.model.text_model.head(out.last_hidden_state[:, : ids.shape[1]])
        return TextEncoding(out.pooler_output, words, mask)


class ComposedTowers(Towers):
    """Any `AutoModel` picture tower and any `AutoModel` text tower, projected linearly.

    The picture is the mean of its patches unless the tower pools by itself; the text is the
    mean of its words. The text projection starts as the identity where the widths agree, so an
    untrained pair still ranks by the text tower's own similarity.
    """

    def __init__(self, image: Any, text: Any, dim: int, *, from_scratch: bool) -> None:
        super().__init__()
        self.image, self.text, self.dim = image, text, dim
        self.from_scratch = from_scratch
        self.image_projection = nn.Linear(_width(image.config), dim)  # the bias centres
        self.text_projection = nn.Linear(_width(text.config), dim, bias=False)
        nn.init.orthogonal_(self.text_projection.weight)
        if _width(text.config) == dim:
            nn.init.eye_(self.text_projection.weight)

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """See `Towers.encode_image`."""
        out = self.image(pixels.contiguous(memory_format=torch.channels_last))
        hidden = out.last_hidden_state
        if hidden.dim() == 4:  # a convolutional tower: (N, C, h, w)
            patches = self.image_projection(hidden.flatten(2).transpose(1, 2))
            grid = (hidden.shape[2], hidden.shape[3])
            return ImageEncoding(patches.mean(1), patches, grid)  # linear: the mean may come last
        pooled = getattr(out, "pooler_output", None)
        whole = hidden.mean(1) if pooled is None else pooled
        grid = self._grid(hidden.shape[1], pixels)
        patches = hidden[:, -grid[0] * grid[1] :]  # class and register tokens come first
        return ImageEncoding(self.image_projection(whole), self.image_projection(patches), grid)

    def _grid(self, tokens: int, pixels: Tensor) -> tuple[int, int]:
        """Rows and columns of a transformer's patches; some towers merge theirs, two by two."""
        side = self.image.config.patch_size
        while (grid := (pixels.shape[-2] // side, pixels.shape[-1] // side)) > (1, 1):
            if grid[0] * grid[1] <= tokens:
                break
            side *= 2
        return grid

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """See `Towers.encode_text`."""
        hidden = self.text(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        shares = (mask / mask.sum(1, keepdim=True)).unsqueeze(-1)
        words = self.text_projection(hidden)
        return TextEncoding((words * shares).sum(1), words, mask)

    def backbone(self) -> list[nn.Module]:
        """See `Towers.backbone`; a picture tower from scratch learns at the full rate."""
        return [self.text] if self.from_scratch else [self.image, self.text]

    def text_backbone(self) -> nn.Module:
        """See `Towers.text_backbone`."""
        text: nn.Module = self.text
        return text

    def freeze_blocks(self, blocks: int) -> None:
        """See `Towers.hold`."""
        if isinstance(self.image, efficientnet.LiteTower):
            self.image.freeze_blocks(blocks)
        else:
            super().freeze_blocks(blocks)


def _width(config: Any) -> int:
    sizes = getattr(config, "hidden_sizes", None)
    return int(sizes[-1] if sizes else config.hidden_size)


def _from_config(config: dict[str, Any]) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    if config["model_type"] == efficientnet.MODEL_TYPE:
        return efficientnet.LiteTower(config["width"], config["depth"])
    model: nn.Module = AutoModel.from_config(AutoConfig.for_model(**config))
    return model


def _composed(configs: dict[str, Any], dim: int) -> Towers:
    image, text = _from_config(configs["image"]), _from_config(configs["text"])
    from_scratch = "group_channels" in configs
    if from_scratch:
        _replace_batch_norm(image, configs["group_channels"])
    return ComposedTowers(image, text, dim, from_scratch=from_scratch)


def _replace_batch_norm(tower: nn.Module, group_channels: int) -> None:
    """Group norm (Wu and He 2018) for batch norm, in place.

    Frames and shop images are different worlds: the statistics of one batch of either fit
    neither at inference, and several processes would not equal one.
    """
    for name, part in tower.named_children():
        if isinstance(part, nn.BatchNorm2d):
            groups = max(1, part.num_features // group_channels)
            setattr(tower, name, nn.GroupNorm(groups, part.num_features))
        else:
            _replace_batch_norm(part, group_channels)


FAMILIES: dict[str, Callable[[dict[str, Any], int], Towers]] = {
    "clip": lambda configs, dim: ClipTowers(_from_config(configs["pair"])),
    "chinese_clip": lambda configs, dim: ClipTowers(_from_config(configs["pair"])),
    "siglip": lambda configs, dim: SiglipTowers(_from_config(configs["pair"])),
    "composed": _composed,
}


def build_towers(family: str, configs: dict[str, Any], dim: int) -> Towers:
    """Towers with random weights from `transformers` configs as plain dictionaries.

    configs: {"pair": config} for a pretrained pair, {"image": …, "text": …} for a composed one,
    whose picture tower, where it is from scratch, has its batch norms replaced by group norms of
    "group_channels" channels.
    """
    if family not in FAMILIES:
        raise CheckpointError(
            f"no towers of the family {family!r}", remedy=f"take one of {', '.join(FAMILIES)}"
        )
    return FAMILIES[family](configs, dim)
