"""SGMN: frames and words of clips, pictures and titles of products, to the one score.

A fresh network on a pretrained backbone *is* mean-pooled backbone retrieval with a
transcript-title score: every part above the towers starts as the identity, so training can only
be asked to improve on it. Axes: B clips, T frames, S products, N pictures, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.errors import SettingsError
from sgmn.model.encoders import build
from sgmn.model.inputs import Canvas, Inputs, Pictures, Texts
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreHead, score

Colour = tuple[float, float, float]  # red, green, blue in 0..1
GREY: Colour = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class NetworkConfig:
    """All that shapes the network; it travels with the weights.

    family, towers: see `encoders.build`. canvases: (height, width) in pixels that the picture
    tower sees. mean, std: of pixel values in 0..1. max_tokens: of one piece of text.
    text_source: "minilm" when the text tower lies in a Python package, not in the checkpoint.
    text_weight, match_temperature, logit_scale: the score's start, see `scoring.ScoreHead`.
    """

    family: str
    towers: dict[str, Any]
    dim: int
    canvases: tuple[Canvas, ...] = ((224, 224),)
    mean: Colour = GREY
    std: Colour = GREY
    max_tokens: int = 77
    text_source: str = ""
    text_weight: float = 0.5
    match_temperature: float = 0.1
    logit_scale: float = 20.0

    @property
    def fill(self) -> tuple[int, int, int]:
        """The mean colour, which pads a picture: zero once normalised."""
        red, green, blue = (round(255 * value) for value in self.mean)
        return red, green, blue


class SGMN(nn.Module):
    """The network of a config, with random weights until a checkpoint fills it."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.towers = build(config.family, config.towers, config.dim)
        self.head = ScoreHead(config.text_weight, config.match_temperature, config.logit_scale)
        self.register_buffer("mean", 255 * torch.tensor(config.mean)[:, None, None], False)
        self.register_buffer("std", 255 * torch.tensor(config.std)[:, None, None], False)
        self.text_is_frozen = False

    def forward(self, clips: Inputs, products: Inputs) -> Tensor:
        """The score S (B, S) of every clip with every product."""
        return score(self.clips(clips), self.products(products), self.head())

    def see(self, pictures: Pictures) -> Tensor:
        """Pictures to vectors of length 1 (N, D)."""
        seen = torch.zeros(pictures.count, self.towers.dim, device=self.device)
        for rows, pixels in pictures.groups:
            normalised = (pixels.to(self.device).float() - self.mean) / self.std
            whole = self.towers.see(normalised).whole
            seen = seen.to(whole.dtype).index_copy(0, rows.to(self.device), whole)
        return functional.normalize(seen, dim=-1)

    def say(self, texts: Texts) -> tuple[Tensor, Tensor]:
        """Texts to vectors of length 1 (N, D), zero and False in (N,) for a text without words.

        The pieces of a long text count by their number of tokens.
        """
        said = torch.zeros(texts.count, self.towers.dim, device=self.device)
        owner = texts.owner.to(self.device)
        present = torch.zeros(texts.count, dtype=torch.bool, device=self.device)
        if not len(owner):
            return said, present
        mask = texts.mask.to(self.device)
        whole = self.towers.say(texts.ids.to(self.device), mask).whole
        alone = functional.normalize(whole, dim=-1) * mask.sum(1, keepdim=True)
        said = said.to(alone.dtype).index_add(0, owner, alone)
        return functional.normalize(said, dim=-1), present.index_fill(0, owner, True)

    def clips(self, inputs: Inputs) -> ClipVectors:
        """Clips to vectors; a clip without frames or without words says so."""
        frames, weights = _rows(self.see(inputs.pictures), inputs)
        return pool(frames, weights, *self.say(inputs.texts))

    def products(self, inputs: Inputs) -> ProductVectors:
        """Products to vectors; several views count alike."""
        views, weights = _rows(self.see(inputs.pictures), inputs)
        words, has_words = self.say(inputs.texts)
        return ProductVectors(_mean(views, weights), weights.sum(1) > 0, words, has_words)

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


def chosen_device(name: str) -> torch.device:
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


def pool(frames: Tensor, weights: Tensor, words: Tensor, has_words: Tensor) -> ClipVectors:
    """Frame vectors (B, T, D) and their weights (B, T) to clips: v = norm(Σ ω[t]·norm(z[t]))."""
    return ClipVectors(
        frames, weights, _mean(frames, weights), weights.sum(1) > 0, words, has_words
    )


def _mean(rows: Tensor, weights: Tensor) -> Tensor:
    return functional.normalize((rows * weights.unsqueeze(-1)).sum(1), dim=-1)


def _rows(flat: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Pictures (N, D) to their items (B, T, D) with equal weights (B, T) that sum to 1."""
    owner, place = inputs.owner.to(flat.device), inputs.place.to(flat.device)
    length = int(inputs.place.max()) + 1 if len(inputs.place) else 1
    rows = flat.new_zeros(inputs.count, length, flat.shape[-1]).index_put((owner, place), flat)
    present = flat.new_zeros(inputs.count, length).index_put((owner, place), flat.new_ones(()))
    return rows, present / present.sum(1, keepdim=True).clamp(min=1)
