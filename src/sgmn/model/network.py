"""SGMN: frames and words of clips, pictures and titles of products, to the one score.

A fresh network on a pretrained backbone *is* mean-pooled backbone retrieval with a
transcript-title score: every part above the towers starts as the identity, so training can only
be asked to improve on it. Axes: B clips, T frames, S products, N pictures, D width.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.errors import SettingsError
from sgmn.model.inputs import Canvas, ImageInputs, ItemInputs, TextInputs
from sgmn.model.parts import Parts, PartsConfig
from sgmn.model.scoring import LEARNED_TERMS, ClipVectors, ProductVectors, ScoreHead, score
from sgmn.model.tokens import ImageTokens, ItemTokens, TextTokens
from sgmn.model.towers import Towers, build_towers

Color = tuple[float, float, float]  # red, green, blue in 0..1
GRAY: Color = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class NetworkConfig:
    """All that shapes the network; it travels with the weights.

    family, towers: see `encoders.build`. canvases: (height, width) in pixels that the picture
    tower sees. mean, std: of pixel values in 0..1. max_tokens: of one piece of text.
    text_source: "minilm" when the text tower lies in a Python package, not in the checkpoint.
    text_weight, match_temperature, logit_scale: the score's start, see `scoring.ScoreHead`.
    text_score_floor: below which the text score flattens out, a cosine; -1 for no floor, see
    `scoring.soft_floor`.
    terms: of the score, besides the picture's. parts: what stands between towers and score.
    """

    family: str
    towers: dict[str, Any]
    dim: int
    canvases: tuple[Canvas, ...] = ((224, 224),)
    mean: Color = GRAY
    std: Color = GRAY
    max_tokens: int = 77
    text_source: str = ""
    text_weight: float = 0.5
    match_temperature: float = 0.1
    logit_scale: float = 20.0
    text_score_floor: float = -1.0
    terms: tuple[str, ...] = LEARNED_TERMS
    parts: PartsConfig = field(default_factory=PartsConfig)

    @property
    def fill_color(self) -> tuple[int, int, int]:
        """The mean colour, which pads a picture: zero once normalised."""
        red, green, blue = (round(255 * value) for value in self.mean)
        return red, green, blue


class SGMN(nn.Module):
    """The network of a config, with random weights until a checkpoint fills it."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig, towers: Towers | None = None) -> None:
        super().__init__()
        self.config = config
        self.towers = towers or build_towers(config.family, config.towers, config.dim)
        self.parts = Parts(self.towers.dim, config.parts)
        self.head = ScoreHead(
            config.text_weight,
            config.match_temperature,
            config.logit_scale,
            config.terms,
            config.text_score_floor,
        )
        self.register_buffer("mean", 255 * torch.tensor(config.mean)[:, None, None], False)
        self.register_buffer("std", 255 * torch.tensor(config.std)[:, None, None], False)
        self.text_is_frozen = False

    def forward(self, clips: ItemInputs, products: ItemInputs) -> Tensor:
        """The first pass's score S (B, S) of every clip with every product."""
        return score(self.encode_clips(clips), self.encode_products(products), self.head())

    def encode_images(self, pictures: ImageInputs) -> ImageTokens:
        """Pictures through their tower."""
        groups = [self._look(pixels) for _, pixels in pictures.groups]
        if not groups:
            none = torch.zeros(0, 0, self.towers.dim, device=self.device)
            return ImageTokens(none.sum(1), none, none[..., 0] > 0)
        order = torch.cat([rows for rows, _ in pictures.groups]).argsort()
        return ImageTokens.cat(groups)[order.to(self.device)]

    def _look(self, pixels: Tensor) -> ImageTokens:
        """Pictures (n, 3, H, W) of one canvas."""
        seen = self.towers.encode_image((pixels.to(self.device).float() - self.mean) / self.std)
        length = seen.pooled.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        patches = seen.patches if self.parts.needs_tokens else seen.patches[:, :0]
        mask = torch.ones(patches.shape[:2], dtype=torch.bool, device=self.device)
        return ImageTokens(seen.pooled / length, patches / length.unsqueeze(-1), mask)

    @torch.inference_mode()
    def patch_grid(self, canvas: Canvas) -> tuple[int, int]:
        """Rows and columns of the patches that the picture tower makes of a canvas."""
        return self.towers.encode_image(torch.zeros(1, 3, *canvas, device=self.device)).grid

    def encode_texts(self, texts: TextInputs) -> TextTokens:
        """Texts through their tower; the pieces of a long text count by their number of tokens."""
        said = torch.zeros(texts.count, self.towers.dim, device=self.device)
        owner, mask = texts.owner.to(self.device), texts.mask.to(self.device)
        present = torch.zeros(texts.count, dtype=torch.bool, device=self.device)
        if not len(owner):
            none = said.unsqueeze(1)[:, :0]
            return TextTokens(said, present, none, none[..., 0] > 0)
        heard = self.towers.encode_text(texts.ids.to(self.device), mask)
        alone = functional.normalize(heard.pooled, dim=-1) * mask.sum(1, keepdim=True)
        said = said.to(alone.dtype).index_add(0, owner, alone)
        keep = slice(None) if self.parts.needs_tokens else slice(0)
        words, kept = join_pieces(heard.words[:, keep], mask[:, keep], owner, texts.count)
        present = present.index_fill(0, owner, True)
        return TextTokens(functional.normalize(said, dim=-1), present, words, kept)

    def encode_tokens(self, inputs: ItemInputs | ItemTokens) -> ItemTokens:
        """Clips or products through the towers, unless they went through them before."""
        if isinstance(inputs, ItemTokens):
            return inputs.to(self.device)
        owner, place = inputs.owner.to(self.device), inputs.position.to(self.device)
        return ItemTokens.assemble(
            self.encode_images(inputs.images), owner, place, self.encode_texts(inputs.texts)
        )

    def encode_clips(self, inputs: ItemInputs | ItemTokens) -> ClipVectors:
        """Clips to vectors; a clip without frames or without words says so."""
        return self.parts.encode_clips(self.encode_tokens(inputs))

    def encode_products(self, inputs: ItemInputs | ItemTokens) -> ProductVectors:
        """Products to vectors."""
        return self.parts.encode_products(self.encode_tokens(inputs))

    def with_parts(self, parts: PartsConfig, terms: tuple[str, ...]) -> SGMN:
        """This network's towers, parts and score, with parts and terms added or left out.

        What is new is fresh: it changes no score before it has learnt. The towers are shared.
        """
        config = replace(self.config, parts=parts, terms=terms)
        changed = SGMN(config, self.towers).to(self.device)
        was, wanted = self.state_dict(), changed.state_dict()
        new = {f"head.{term}" for term in {*LEARNED_TERMS} - ({*terms} & {*self.config.terms})}
        kept = {
            name: was[name]
            for name, fresh in wanted.items()
            if name in was and name not in new and was[name].shape == fresh.shape
        }
        changed.load_state_dict(wanted | kept)
        return changed.freeze_text() if self.text_is_frozen else changed

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.text.device

    def freeze_text(self) -> Self:
        """Hold the text tower still: no gradient, no dropout; its projection goes on learning."""
        self.text_is_frozen = True
        self.towers.text_backbone().requires_grad_(False).eval()
        return self

    def train(self, mode: bool = True) -> Self:
        """As in torch, but a frozen text tower stays as it is in evaluation."""
        super().train(mode)
        if self.text_is_frozen:
            self.towers.text_backbone().eval()
        return self


def select_device(name: str) -> torch.device:
    """The device of a name; "auto" is the first GPU, or else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros((), device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch without CUDA
        reason = str(error).splitlines()[0]
        raise SettingsError(
            f"'device' {name!r} is not here ({reason})", remedy="take auto"
        ) from error
    return torch.device(name)


def join_pieces(words: Tensor, mask: Tensor, owner: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Words (M, L, D) of pieces, in order of their `owner` (M,), to one row a text (count, L', D).

    The mask comes in and out alongside; the valid words of a text follow one another.
    """
    whose = owner.unsqueeze(1).expand_as(mask)[mask]
    lengths = torch.bincount(whose, minlength=count)
    first = lengths.cumsum(0) - lengths
    place = torch.arange(len(whose), device=whose.device) - first[whose]
    size = (count, int(lengths.max()) if count else 0)
    rows = words.new_zeros(*size, words.shape[-1]).index_put((whose, place), words[mask])
    return rows, torch.arange(size[1], device=whose.device) < lengths.unsqueeze(1)
