"""SGMN: a network that scores clips (frames and transcript) with products (images and title).

Untrained on a pretrained backbone, the network ranks like mean-pooled backbone retrieval with a
transcript-title score, because every part above the towers starts as an identity.

Axes: B clips, T frames, S products, N images, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.errors import SettingsError
from sgmn.model.glance import DETAIL, place_glances
from sgmn.model.inputs import Canvas, ImageInputs, ItemInputs, TextInputs
from sgmn.model.parts import Parts, PartsConfig
from sgmn.model.score_head import ScoreHead
from sgmn.model.scoring import LEARNED_TERMS, ClipVectors, ProductVectors, score
from sgmn.model.tokens import ImageTokens, ItemTokens, TextTokens, grid_positions
from sgmn.model.tower_families import build_towers
from sgmn.model.towers import ImageEncoding, TowerEncoder, Towers

Color = tuple[float, float, float]  # red, green, blue in 0..1
GRAY: Color = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that determines the architecture; stored with the weights.

    Attributes:
        family: Tower family, see `tower_families.build_towers`.
        towers: Tower configs, see `tower_families.build_towers`.
        dim: Dimensions of the common space.
        canvases: Image sizes (height, width) in pixels that the image tower accepts.
        fine_canvas: The canvas on which second glances and shop images are encoded once more for
            the patches that late interaction compares; None takes those of their own canvas.
        mean: Mean of the pixel values in 0..1.
        std: Standard deviation of the pixel values in 0..1.
        max_tokens: Maximum number of tokens in a piece of text.
        text_source: "minilm" if a Python package provides the text tower, else "".
        text_weight: Initial weight of the text term, see `score_head.ScoreHead`.
        match_temperature: Initial temperature, see `score_head.ScoreHead`.
        logit_scale: Initial logit scale, see `score_head.ScoreHead`.
        text_score_floor: Floor of the text term, a cosine; -1 for none. See `scoring.soft_floor`.
        late_score_floor: The same of late interaction.
        terms: Terms of the score besides the image term.
        parts: The parts between towers and score.
    """

    family: str
    towers: dict[str, Any]
    dim: int
    canvases: tuple[Canvas, ...] = ((224, 224),)
    fine_canvas: Canvas | None = None
    mean: Color = GRAY
    std: Color = GRAY
    max_tokens: int = 77
    text_source: str = ""
    text_weight: float = 0.5
    match_temperature: float = 0.1
    logit_scale: float = 20.0
    text_score_floor: float = -1.0
    late_score_floor: float = -1.0
    terms: tuple[str, ...] = LEARNED_TERMS
    parts: PartsConfig = field(default_factory=PartsConfig)

    @property
    def fill_color(self) -> tuple[int, int, int]:
        """The RGB color of padding: the mean color, which is zero after normalization."""
        red, green, blue = (round(255 * value) for value in self.mean)
        return red, green, blue


class SGMN(nn.Module):
    """The network of a config, with random weights.

    Args:
        config: The architecture.
        towers: Existing towers to share; None builds new ones.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig, towers: Towers | None = None) -> None:
        super().__init__()
        self.config = config
        self.towers = towers or build_towers(config.family, config.towers, config.dim)
        self.parts = Parts(self.towers.dim, config.parts, self.towers.fine_dim)
        self.head = ScoreHead(
            config.text_weight,
            config.match_temperature,
            config.logit_scale,
            config.terms,
            config.text_score_floor,
            config.late_score_floor,
        )
        self.register_buffer("mean", 255 * torch.tensor(config.mean)[:, None, None], False)
        self.register_buffer("std", 255 * torch.tensor(config.std)[:, None, None], False)
        self.text_is_frozen = False

    def forward(self, clips: ItemInputs, products: ItemInputs) -> Tensor:
        """Score every clip with every product (B, S), without the re-ranker."""
        return score(self.encode_clips(clips), self.encode_products(products), self.head())

    def encode_images(self, images: ImageInputs, towers: TowerEncoder | None = None) -> ImageTokens:
        """Encode images with the image tower, or with its export in another runtime."""
        towers = towers or self.towers
        closer = images.closer or [None] * len(images.groups)
        groups = [
            self._encode_pixels(pixels, closer_pixels, towers)
            for (_, pixels), closer_pixels in zip(images.groups, closer, strict=True)
        ]
        if not groups:
            patches = torch.zeros(0, 0, self.towers.dim, device=self.device)
            fine = torch.zeros(0, 0, self.towers.fine_dim, device=self.device)
            mask, positions = patches[..., 0] > 0, patches[..., :2]
            return ImageTokens(patches.sum(1), patches, mask, positions, fine)
        order = torch.cat([rows for rows, _ in images.groups]).argsort()
        return ImageTokens.cat(groups)[order.to(self.device)]

    def _encode_pixels(
        self, pixels: Tensor, closer: Tensor | None, towers: TowerEncoder
    ) -> ImageTokens:
        """Encode pixels (n, 3, H, W) of one canvas; `closer` are those on the fine canvas."""
        encoding = towers.encode_image(self._normalize(pixels))
        length = encoding.pooled.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        patches = encoding.patches if self.parts.needs_tokens else encoding.patches[:, :0]
        mask = torch.ones(patches.shape[:2], dtype=torch.bool, device=self.device)
        positions = grid_positions(encoding.grid).to(self.device)[: patches.shape[1]]
        positions = positions.expand(len(patches), -1, -1)
        fine = self._find_fine_patches(encoding, closer, towers)
        patches, fine = (rows / length.unsqueeze(-1) for rows in (patches, fine))
        return ImageTokens(encoding.pooled / length, patches, mask, positions, fine)

    def _normalize(self, pixels: Tensor) -> Tensor:
        return (pixels.to(self.device).float() - self.mean) / self.std

    def _find_fine_patches(
        self, encoding: ImageEncoding, closer: Tensor | None, towers: TowerEncoder
    ) -> Tensor:
        if self.parts.glance is None:
            return encoding.patches[:, :0]
        if self.config.fine_canvas is None:
            return encoding.fine_patches
        if closer is None:  # frames: only their second glances are compared
            return encoding.fine_patches[:, :0]
        return towers.encode_fine(self._normalize(closer))

    @property
    def max_side(self) -> int:
        """The longer side in pixels beyond which a larger image makes no difference."""
        side = max(max(canvas) for canvas in self.config.canvases)
        return side if self.parts.glance is None else DETAIL * side

    @torch.inference_mode()
    def patch_grid(self, canvas: Canvas) -> tuple[int, int]:
        """The number of rows and columns of patches that the image tower makes of a canvas."""
        return self.towers.encode_image(torch.zeros(1, 3, *canvas, device=self.device)).grid

    def encode_texts(self, texts: TextInputs, towers: TowerEncoder | None = None) -> TextTokens:
        """Encode texts. The pieces of a long text are weighted by their number of tokens."""
        total = torch.zeros(texts.count, self.towers.dim, device=self.device)
        owner, mask = texts.owner.to(self.device), texts.mask.to(self.device)
        has_text = torch.zeros(texts.count, dtype=torch.bool, device=self.device)
        if not len(owner):
            words = total.unsqueeze(1)[:, :0]
            return TextTokens(total, has_text, words, words[..., 0] > 0)
        encoding = (towers or self.towers).encode_text(texts.ids.to(self.device), mask)
        pieces = functional.normalize(encoding.pooled, dim=-1) * mask.sum(1, keepdim=True)
        total = total.to(pieces.dtype).index_add(0, owner, pieces)
        columns = slice(None) if self.parts.needs_tokens else slice(0)
        words, word_mask = join_pieces(
            encoding.words[:, columns], mask[:, columns], owner, texts.count
        )
        has_text = has_text.index_fill(0, owner, True)
        return TextTokens(functional.normalize(total, dim=-1), has_text, words, word_mask)

    def encode_product_tokens(self, inputs: ItemInputs | ItemTokens) -> ItemTokens:
        """Encode products with the towers; tokens are only moved to the device."""
        if isinstance(inputs, ItemTokens):
            return inputs.to(self.device)
        return self._assemble(inputs, self.encode_images(inputs.images))

    def _assemble(self, inputs: ItemInputs, images: ImageTokens) -> ItemTokens:
        owner, position = inputs.owner.to(self.device), inputs.position.to(self.device)
        return ItemTokens.assemble(images, owner, position, self.encode_texts(inputs.texts))

    def encode_clip_tokens(self, inputs: ItemInputs | ItemTokens) -> ItemTokens:
        """Encode clips and their glances with the towers; tokens are only moved to the device."""
        if isinstance(inputs, ItemTokens):
            return inputs.to(self.device)
        tokens = self._assemble(inputs, self.encode_images(inputs.images).drop_fine_patches())
        if inputs.glances is None or not inputs.glances.images.count:
            return tokens
        regions = self.encode_images(inputs.glances.images)
        frames, mask = inputs.glances.frames.to(self.device), inputs.glances.mask.to(self.device)
        return place_glances(tokens, regions, frames, mask)

    def encode_clips(self, inputs: ItemInputs | ItemTokens) -> ClipVectors:
        """Encode clips. The masks of the result mark clips without frames or text."""
        return self.parts.encode_clips(self.encode_clip_tokens(inputs))

    def encode_products(self, inputs: ItemInputs | ItemTokens) -> ProductVectors:
        """Encode products. The masks of the result mark products without images or title."""
        return self.parts.encode_products(self.encode_product_tokens(inputs))

    def with_parts(self, parts: PartsConfig, terms: tuple[str, ...]) -> SGMN:
        """Return a network with other parts and terms; it shares the towers.

        Parts and terms that both networks have keep their weights. New ones are untrained and do
        not change the score.
        """
        network = SGMN(replace(self.config, parts=parts, terms=terms), self.towers).to(self.device)
        source, target = self.state_dict(), network.state_dict()
        kept_terms = {*terms} & {*self.config.terms}
        new_terms = {f"head.{term}" for term in {*LEARNED_TERMS} - kept_terms}
        reused = {
            name: source[name]
            for name, tensor in target.items()
            if name in source and name not in new_terms and source[name].shape == tensor.shape
        }
        network.load_state_dict(target | reused)
        return network.freeze_text() if self.text_is_frozen else network

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.head.text.device

    def freeze_text(self) -> Self:
        """Freeze the text tower and disable its dropout; its projection remains trainable."""
        self.text_is_frozen = True
        self.towers.text_backbone().requires_grad_(False).eval()
        return self

    def train(self, mode: bool = True) -> Self:
        """See `nn.Module.train`; a frozen text tower stays in evaluation mode."""
        super().train(mode)
        if self.text_is_frozen:
            self.towers.text_backbone().eval()
        return self


def select_device(name: str) -> torch.device:
    """Return a device by name; "auto" is the first GPU if there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros((), device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch without CUDA
        reason = str(error).splitlines()[0]
        raise SettingsError(
            f"'device' is {name!r}, which is not available ({reason})", remedy="use 'auto'"
        ) from error
    return torch.device(name)


def join_pieces(words: Tensor, mask: Tensor, owner: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Join the words of text pieces into one row per text.

    Args:
        words: (M, L, D) the words of M pieces.
        mask: (M, L) bool.
        owner: (M,) the text of each piece, in ascending order.
        count: The number of texts.

    Returns:
        Words (count, L', D) without gaps, and their mask (count, L').
    """
    text_of_word = owner.unsqueeze(1).expand_as(mask)[mask]
    lengths = torch.bincount(text_of_word, minlength=count)
    starts = lengths.cumsum(0) - lengths
    position = torch.arange(len(text_of_word), device=mask.device) - starts[text_of_word]
    size = (count, int(lengths.max()) if count else 0)
    rows = words.new_zeros(*size, words.shape[-1])
    rows = rows.index_put((text_of_word, position), words[mask])
    return rows, torch.arange(size[1], device=mask.device) < lengths.unsqueeze(1)
