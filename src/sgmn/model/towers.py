"""Image and text towers that encode into a common space, behind one interface.

    image tower: pixels (N, 3, H, W), normalized  -> ImageEncoding: (N, D), patches (N, P, D) and
                                                     fine patches (N, F, C)
    text tower:  ids (M, L), mask (M, L) bool     -> TextEncoding: (M, D) and words (M, L, D)

All vectors, including patches and words, are projected into the common space but not normalized
yet; only fine patches may have a space of their own. `tower_families` builds towers.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor, nn

from sgmn.errors import SettingsError


class ImageEncoding(NamedTuple):
    """N images in the common space.

    Attributes:
        pooled: (N, D) one vector per image.
        patches: (N, P, D) patch vectors, row by row.
        grid: The number of rows and columns of the patches.
        fine_patches: (N, F, C) the smallest patches that the tower offers, for late interaction;
            the same as `patches` unless it has smaller ones.
    """

    pooled: Tensor
    patches: Tensor
    grid: tuple[int, int]
    fine_patches: Tensor

    @classmethod
    def of_patches(cls, pooled: Tensor, patches: Tensor, grid: tuple[int, int]) -> ImageEncoding:
        """The encoding of a tower that has no finer patches."""
        return cls(pooled, patches, grid, patches)


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

    def encode_fine(self, pixels: Tensor) -> Tensor:
        """Encode normalized pixels (N, 3, H, W) as fine patches (N, F, C) alone."""

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextEncoding:
        """Encode token ids (M, L) with mask (M, L)."""


class Towers(nn.Module):
    """An image tower and a text tower with a common space of `dim` dimensions."""

    dim: int
    has_fine_patches = False  # whether late interaction compares patches of their own

    @property
    def fine_dim(self) -> int:
        """The number C of dimensions of fine patches."""
        return self.dim

    def encode_image(self, pixels: Tensor) -> ImageEncoding:
        """Encode normalized pixels (N, 3, H, W)."""
        raise NotImplementedError

    def encode_fine(self, pixels: Tensor) -> Tensor:
        """Encode normalized pixels (N, 3, H, W) as fine patches (N, F, C) alone."""
        return self.encode_image(pixels).fine_patches

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
