"""Two embeddings to a score. Loss, evaluation, shelf and live all come here, and only here.

    S(i, j) = v·I + λ_m·match + λ_t·(a·h) + λ_x·(a·I + v·h)/2

v, a: the clip's picture and words; I, h: the product's picture and title; all of length 1.
A term whose modality is missing on either side drops out and the rest is renormalised, so a
silent clip or a product without a picture never meets a zero vector pretending to be content.

Axes: B clips, T frames a clip, S products, D width.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import log
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sgmn.model.tokens import Rows

Modality = Literal["picture", "words"]
MODALITIES: tuple[Modality, ...] = ("picture", "words")


@dataclass(frozen=True)
class ClipVectors(Rows):
    """Clips in the common space; vectors have length 1 wherever they count.

    frames: (B, T, D) one vector a frame, zero at padding.
    frame_weights: (B, T) >= 0, sums to 1 over the frames of a clip, exactly 0 at padding.
    picture, words: (B, D); has_picture, has_words: (B,) bool, False where there is none.
    """

    frames: Tensor
    frame_weights: Tensor
    picture: Tensor
    has_picture: Tensor
    words: Tensor
    has_words: Tensor

    def only(self, kept: Iterable[Modality]) -> ClipVectors:
        """The same clips with the other modalities taken for missing."""
        return replace(self, **_absent(kept, self.has_picture))


@dataclass(frozen=True)
class ProductVectors(Rows):
    """Products in the common space: picture and title words (S, D) with (S,) bool presence."""

    picture: Tensor
    has_picture: Tensor
    words: Tensor
    has_words: Tensor

    def only(self, kept: Iterable[Modality]) -> ProductVectors:
        """The same products with the other modalities taken for missing."""
        return replace(self, **_absent(kept, self.has_picture))


def _absent(kept: Iterable[Modality], like: Tensor) -> dict[str, Tensor]:
    kept = set(kept)
    return {f"has_{m}": torch.zeros_like(like) for m in MODALITIES if m not in kept}


class ScoreWeights(NamedTuple):
    """The weights λ >= 0 of the terms, the match temperature τ > 0 and the logit scale.

    Each is a scalar tensor of shape (); `picture` is 1 by definition of the score.
    """

    match: Tensor
    text: Tensor
    cross: Tensor
    match_temperature: Tensor
    logit_scale: Tensor


class Term(NamedTuple):
    """One term of the score: its weight (), values (B, S) and where it exists (B, S) bool."""

    weight: Tensor
    value: Tensor
    present: Tensor


def match(clips: ClipVectors, products: ProductVectors, temperature: Tensor) -> Tensor:
    """Frame-level matching (B, S): a soft maximum over time, cosine -1..1.

    match = Σ_t softmax_t(m[t]/τ + log ω[t])·m[t] with m[t] = frame t · product, in one GEMM;
    a product shown in two of ten frames is not averaged away.
    """
    similarity = torch.einsum("btd,sd->bts", clips.frames, products.picture)
    padding = (clips.frame_weights == 0).unsqueeze(-1)
    log_weights = clips.frame_weights.unsqueeze(-1).masked_fill(padding, 1.0).log()
    logits = (similarity / temperature + log_weights).masked_fill(padding, -torch.inf)
    # A clip without frames: any logits will do, as nothing of it is weighed or learnt from.
    logits = logits.masked_fill(~clips.has_picture[:, None, None], 0.0)
    shares = torch.softmax(logits, dim=1).masked_fill(padding, 0.0)
    return (shares * similarity).sum(1)


def terms(clips: ClipVectors, products: ProductVectors, weights: ScoreWeights) -> dict[str, Term]:
    """The terms of the score, by name; those of weight zero that nothing learns are left out."""
    seen, titled = clips.has_picture[:, None], products.has_words[None]
    spoken, shown = clips.has_words[:, None], products.has_picture[None]
    one = torch.ones_like(weights.text)
    found = {
        "picture": Term(one, clips.picture @ products.picture.T, seen & shown),
        "text": Term(weights.text, clips.words @ products.words.T, spoken & titled),
    }
    if _counts(weights.match):
        value = match(clips, products, weights.match_temperature)
        found["match"] = Term(weights.match, value, seen & shown)
    if _counts(weights.cross):
        half = weights.cross / 2
        found["said-shown"] = Term(half, clips.words @ products.picture.T, spoken & shown)
        found["seen-titled"] = Term(half, clips.picture @ products.words.T, seen & titled)
    return found


def _counts(weight: Tensor) -> bool:
    """Whether a term matters: it weighs something, or something may come to weigh."""
    return weight.requires_grad or bool(weight > 0)


def score(clips: ClipVectors, products: ProductVectors, weights: ScoreWeights) -> Tensor:
    """S (B, S): the one score; a pair with nothing to compare gets the lowest score there is."""
    found = terms(clips, products, weights).values()
    total = sum((term.weight for term in found), start=torch.zeros_like(weights.text))
    weighed = sum(term.weight * term.value * term.present for term in found)
    present = sum(term.weight * term.present for term in found)
    assert isinstance(weighed, Tensor) and isinstance(present, Tensor)
    comparable = present > 0
    rescaled = weighed * total / torch.where(comparable, present, torch.ones_like(present))
    return torch.where(comparable, rescaled, -total)


class ScoreHead(nn.Module):
    """The learned weights of the score. A fresh head is v·I + `text`·(a·h), nothing else."""

    def __init__(self, text: float = 0.5, match_temperature: float = 0.1, logit_scale: float = 20):
        super().__init__()
        self.match = nn.Parameter(torch.tensor(0.0))
        self.text = nn.Parameter(torch.tensor(float(text)))
        self.cross = nn.Parameter(torch.tensor(0.0))
        self.log_match_temperature = nn.Parameter(torch.tensor(log(match_temperature)))
        self.log_scale = nn.Parameter(torch.tensor(log(logit_scale)))

    def forward(self) -> ScoreWeights:
        """The weights as they stand."""
        return ScoreWeights(
            match=_non_negative(self.match),
            text=_non_negative(self.text),
            cross=_non_negative(self.cross),
            match_temperature=self.log_match_temperature.exp().clamp(0.01, 10.0),
            logit_scale=self.log_scale.exp().clamp(max=100.0),
        )


def _non_negative(weight: Tensor) -> Tensor:
    """max(weight, 0) whose gradient does not die at 0, where λ_m and λ_x begin."""
    return weight + (weight.clamp(min=0.0) - weight).detach()
