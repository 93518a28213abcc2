"""The output of the towers: clips and products as tokens in a common space.

Axes: B clips or products, T frames or views, N patches of an image, L words, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

_UNSET = torch.empty(0)


class TensorRows:
    """Base of dataclasses whose fields are tensors with a common first axis."""

    def __len__(self) -> int:
        first: Tensor = next(self._tensors())
        return len(first)

    def _tensors(self) -> Iterator[Tensor]:
        return (getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]

    def __getitem__(self, rows: slice | Tensor | list[int]) -> Self:
        """Select rows."""
        return self.map_tensors(lambda tensor: tensor[rows])

    def map_tensors(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply a function to every tensor."""
        return type(self)(*map(function, self._tensors()))

    def to(self, device: torch.device | str) -> Self:
        """Move all tensors to a device."""
        return self.map_tensors(lambda tensor: tensor.to(device))

    @classmethod
    def cat(cls, parts: Iterable[Self]) -> Self:
        """Concatenate rows. Shorter tensors are padded with zeros along the other axes."""
        columns = zip(*(part._tensors() for part in parts), strict=True)
        return cls(*map(_concatenate, columns))


def _concatenate(tensors: Sequence[Tensor]) -> Tensor:
    # An empty tensor does not know how wide the vectors are that it lacks.
    known = [tensor for tensor in tensors if tensor.numel()] or tensors
    sizes = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in known), strict=True)]
    return torch.cat([_pad(tensor, sizes) for tensor in tensors])


def _pad(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    if not tensor.numel():
        return tensor.new_zeros(len(tensor), *sizes)
    missing = [target - size for size, target in zip(tensor.shape[1:], sizes, strict=True)]
    if not any(missing):
        return tensor
    return functional.pad(tensor, [n for count in reversed(missing) for n in (0, count)])


@dataclass(frozen=True)
class ImageTokens(TensorRows):
    """N encoded images.

    Attributes:
        pooled: (N, D) one vector per image, of length 1.
        patches: (N, P, D) patch vectors, divided by the length of the pooled vector before
            normalization; zero at padding. P is 0 if no part of the network uses patches.
        patch_mask: (N, P) bool, False at padding.
        patch_positions: (N, P, 2) x and y of the patch centers, as fractions of the canvas; zero
            at padding.
        fine_patches: (N, F, C) the patches that late interaction compares, see `ImageEncoding`;
            zero at padding. F is 0 where it compares none.
    """

    pooled: Tensor
    patches: Tensor
    patch_mask: Tensor
    patch_positions: Tensor
    fine_patches: Tensor = _UNSET

    def __post_init__(self) -> None:
        if self.fine_patches is _UNSET:
            object.__setattr__(self, "fine_patches", self.patches[:, :0])

    def drop_fine_patches(self) -> ImageTokens:
        """Remove the fine patches: those of whole frames are not compared."""
        return replace(self, fine_patches=self.fine_patches[:, :0].clone())

    def drop_patches(self) -> ImageTokens:
        """Remove the coarse patches: nothing attends to those of second glances."""
        names = ("patches", "patch_mask", "patch_positions")
        return replace(self, **{name: getattr(self, name)[:, :0].clone() for name in names})


@dataclass(frozen=True)
class TextTokens(TensorRows):
    """N encoded texts.

    Attributes:
        pooled: (N, D) one vector per text, of length 1; zero for an empty text.
        has_text: (N,) bool, False for an empty text.
        words: (N, L, D) contextual word vectors; zero at padding. L is 0 if no part of the
            network uses words.
        word_mask: (N, L) bool, False at padding.
    """

    pooled: Tensor
    has_text: Tensor
    words: Tensor
    word_mask: Tensor


@dataclass(frozen=True)
class ItemTokens(TensorRows):
    """Encoded clips with frames and transcript, or products with views and title.

    Attributes:
        images: (B, T, D) one vector per image, of length 1; zero at padding.
        image_mask: (B, T) bool, False at padding; all False for an item without images.
        patches: (B, T, N, D) patch vectors, divided by the length of the image vector before
            normalization; zero at padding.
        patch_mask: (B, T, N) bool, False at padding; canvases differ in their number of patches.
        patch_positions: (B, T, N, 2) x and y of the patch centers, as fractions of the canvas;
            zero at padding.
        words: (B, L, D) contextual word vectors; zero at padding.
        word_mask: (B, L) bool, False at padding.
        text: (B, D) one vector per text, of length 1; zero without text.
        has_text: (B,) bool.
        glances: (B, K, D) one vector of length 1 per second glance, see `glance`; zero at padding.
            The glance at a product is its first image. K is 0 without the part "glance".
        glance_patches: (B, K, F, C) their fine patches; zero at padding.
        glance_frames: (B, K) long, the frame of each glance.
        glance_mask: (B, K) bool, False at padding.
    """

    images: Tensor
    image_mask: Tensor
    patches: Tensor
    patch_mask: Tensor
    patch_positions: Tensor
    words: Tensor
    word_mask: Tensor
    text: Tensor
    has_text: Tensor
    glances: Tensor = _UNSET
    glance_patches: Tensor = _UNSET
    glance_frames: Tensor = _UNSET
    glance_mask: Tensor = _UNSET

    def __post_init__(self) -> None:
        if self.glances is _UNSET:
            none = self.images[:, :0]
            object.__setattr__(self, "glances", none)
            object.__setattr__(self, "glance_patches", none.unsqueeze(2)[:, :, :0])
            object.__setattr__(self, "glance_frames", none[..., 0].long())
            object.__setattr__(self, "glance_mask", none[..., 0] > 0)

    @classmethod
    def assemble(
        cls, images: ImageTokens, owner: Tensor, position: Tensor, texts: TextTokens
    ) -> ItemTokens:
        """Build B items from N images and B texts.

        Args:
            images: The encoded images.
            owner: (N,) the item of each image.
            position: (N,) the position of each image within its item.
            texts: The encoded texts, one per item.

        Items with fine patches are products, whose first image takes the place of glances.
        """
        sizes = (len(texts), int(position.max()) + 1 if len(position) else 1)

        def scatter(rows: Tensor) -> Tensor:
            return rows.new_zeros(*sizes, *rows.shape[1:]).index_put((owner, position), rows)

        vectors, image_mask = scatter(images.pooled), scatter(torch.ones_like(owner) > 0)
        glances: tuple[Tensor, ...] = ()
        if images.fine_patches.shape[1]:
            fine = images.fine_patches.new_zeros(len(texts), *images.fine_patches.shape[1:])
            fine = fine.index_put((owner[position == 0],), images.fine_patches[position == 0])
            # Copies, because tensors that share memory cannot be stored.
            vector, mask = vectors[:, :1].clone(), image_mask[:, :1].clone()
            glances = vector, fine.unsqueeze(1), torch.zeros_like(mask).long(), mask
        return cls(
            vectors,
            image_mask,
            scatter(images.patches),
            scatter(images.patch_mask),
            scatter(images.patch_positions),
            texts.words,
            texts.word_mask,
            texts.pooled,
            texts.has_text,
            *glances,
        )


def grid_positions(grid: tuple[int, int]) -> Tensor:
    """The centers (P, 2) of the patches of a grid (rows, columns), row by row.

    >>> grid_positions((1, 2)).tolist()
    [[0.25, 0.5], [0.75, 0.5]]
    """
    rows, columns = ((torch.arange(count) + 0.5) / count for count in grid)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)
