"""Two embeddings to a score. Loss, evaluation, shelf and live all come here, and only here.

    S(i, j) = v·I + λ_m·match + λ_n·instances + λ_t·vouched(a·h) + λ_x·(a·I + v·h)/2

match is the best of the frames, instances the best of their patches, each a soft maximum;
vouched is a·h that never falls far below a floor, so that words cannot veto what is seen.
v, a: the clip's picture and words; I, h: the product's picture and title; all of length 1.
A term whose modality is missing on either side drops out and the rest is renormalised, so a
silent clip or a product without a picture never meets a zero vector pretending to be content.
In between, the terms of a clip's words count as much as the words tell.

Axes: B clips, T frames a clip, N patches a frame, S products, D width; R tokens a product and L a
clip for the re-ranker, 0 where the model has none. Further axes may lead: (G, B, …) with
(G, S, …) are G groups of clips, each with products of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from math import log
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.tokens import TensorRows

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "text")
NONE = torch.empty(0)
FLOOR_SHARPNESS = 12.0  # β of `soft_floor`: logits a cosine at which held-back transcripts are calibrated
LEARNED_TERMS = ("match", "instances", "text", "cross")


@dataclass(frozen=True)
class ClipVectors(TensorRows):
    """Clips in the common space; vectors have length 1 wherever they count.

    frames: (B, T, D) one vector a frame, zero at padding.
    frame_weights: (B, T) >= 0, sums to 1 over the frames of a clip, exactly 0 at padding.
    image, text: (B, D); has_image, has_text: (B,) bool, False where there is none.
    tokens: (B, L, D) what the re-ranker reads; token_mask: (B, L) bool.
    instances: (B, T·N, D) the patches of the frames, of length 1, and their weights (B, T·N),
    which sum to 1 over the patches of a clip, exactly 0 at padding; none where they do not count.
    text_reliability: (B,) how much the words tell, >= 0; 1 unless something has judged them.
    """

    frames: Tensor
    frame_weights: Tensor
    image: Tensor
    has_image: Tensor
    text: Tensor
    has_text: Tensor
    tokens: Tensor = NONE
    token_mask: Tensor = NONE
    instances: Tensor = NONE
    instance_weights: Tensor = NONE
    text_reliability: Tensor = NONE

    def __post_init__(self) -> None:
        none, no = self.frames[..., :0, :], self.frame_weights[..., :0]  # axes of length 0
        if self.tokens is NONE:
            object.__setattr__(self, "tokens", none)
            object.__setattr__(self, "token_mask", no > 0)
        if self.instances is NONE:
            object.__setattr__(self, "instances", none)
            object.__setattr__(self, "instance_weights", no)
        if self.text_reliability is NONE:
            object.__setattr__(self, "text_reliability", torch.ones_like(self.image[..., 0]))

    def select_modalities(self, kept: Iterable[Modality]) -> ClipVectors:
        """The same clips with the other modalities taken for missing, and nothing to re-rank by.

        What is seen may have been guided by what is said: to leave out the words altogether,
        leave them out of what is encoded.
        """
        kept = set(kept)
        mask = self.token_mask & (kept == set(MODALITIES))
        return replace(self, token_mask=mask, **_absent(kept, self.has_image))


@dataclass(frozen=True)
class ProductVectors(TensorRows):
    """Products in the common space: picture and title words (S, D) with (S,) bool presence.

    latents: (S, R, D) what the re-ranker asks with.
    """

    image: Tensor
    has_image: Tensor
    text: Tensor
    has_text: Tensor
    latents: Tensor = NONE

    def __post_init__(self) -> None:
        if self.latents is NONE:
            object.__setattr__(self, "latents", self.image.unsqueeze(-2)[..., :0, :])

    def select_modalities(self, kept: Iterable[Modality]) -> ProductVectors:
        """The same products with the other modalities taken for missing."""
        return replace(self, **_absent(set(kept), self.has_image))


def _absent(kept: set[Modality], like: Tensor) -> dict[str, Tensor]:
    return {f"has_{m}": torch.zeros_like(like) for m in MODALITIES if m not in kept}


class ScoreWeights(NamedTuple):
    """The weights λ >= 0 of the terms, the temperatures τ > 0 of their maxima, the logit scale.

    Each is a scalar tensor of shape (); `picture` is 1 by definition of the score. floor: see
    `soft_floor`; a cosine, -1 for none.
    """

    match: Tensor
    text: Tensor
    cross: Tensor
    match_temperature: Tensor
    logit_scale: Tensor
    instances: Tensor = torch.tensor(0.0)
    instance_temperature: Tensor = torch.tensor(0.1)
    text_score_floor: Tensor = torch.tensor(-1.0)


class Term(NamedTuple):
    """One term of the score: its weight (), values (B, S) and how far it counts (B, S).

    `present` is 0 where the term does not exist, 1 where it does, or how much the words tell.
    """

    weight: Tensor
    value: Tensor
    present: Tensor


def match_score(clips: ClipVectors, products: ProductVectors, temperature: Tensor) -> Tensor:
    """Frame-level matching (B, S): a soft maximum over time, cosine -1..1.

    match = Σ_t softmax_t(m[t]/τ + log ω[t])·m[t] with m[t] = frame t · product, in one GEMM;
    a product shown in two of ten frames is not averaged away.
    """
    return soft_max_cosine(clips.frames, clips.frame_weights, products.image, temperature)


def instance_score(clips: ClipVectors, products: ProductVectors, temperature: Tensor) -> Tensor:
    """The same over the patches of all frames, with ω[t]·α[t, n] for ω[t].

    A product in a corner of a cluttered frame is not averaged away either, and where the words
    point counts for more.
    """
    return soft_max_cosine(clips.instances, clips.instance_weights, products.image, temperature)


def soft_floor(cosines: Tensor, floor: Tensor) -> Tensor:
    """Cosines (B, S) of transcripts with titles that do not fall below the floor f, softly:

        f + log(1 + exp(β·(cosine - f)))/β

    At logits of β a cosine, this is the likelihood of a transcript that is about the product, or,
    at some fixed odds, about anything at all: the words of another product cost the true one no
    more than that. A floor of -1, where cosines end, changes nothing.
    """
    raised = floor + functional.softplus(FLOOR_SHARPNESS * (cosines - floor)) / FLOOR_SHARPNESS
    return torch.where(floor > -1, raised, cosines)


def soft_max_cosine(rows: Tensor, weights: Tensor, pictures: Tensor, temperature: Tensor) -> Tensor:
    """Of the cosines of rows (…, B, U, D) with pictures (…, S, D): (…, B, S); see `match`."""
    similarity = torch.einsum("...bud,...sd->...bus", rows, pictures)
    padding = (weights == 0).unsqueeze(-1)
    log_weights = weights.unsqueeze(-1).masked_fill(padding, 1.0).log()
    logits = (similarity / temperature + log_weights).masked_fill(padding, -torch.inf)
    # A clip with nothing: any logits will do, as nothing of it is weighed or learnt from.
    logits = logits.masked_fill(padding.all(-2, keepdim=True), 0.0)
    shares = torch.softmax(logits, dim=-2).masked_fill(padding, 0.0)
    return (shares * similarity).sum(-2)


def compute_terms(clips: ClipVectors, products: ProductVectors, weights: ScoreWeights) -> dict[str, Term]:
    """The terms of the score, by name; those of weight zero that nothing learns are left out."""
    seen, titled = clips.has_image[..., None], products.has_text[..., None, :]
    spoken, shown = clips.has_text[..., None], products.has_image[..., None, :]
    one, told = torch.ones_like(weights.text), spoken * clips.text_reliability.unsqueeze(-1)
    found = {"image": Term(one, clips.image @ products.image.mT, seen & shown)}
    if _counts(weights.text):
        value = soft_floor(clips.text @ products.text.mT, weights.text_score_floor)
        found["text"] = Term(weights.text, value, told * titled)
    if _counts(weights.match):
        value = match_score(clips, products, weights.match_temperature)
        found["match"] = Term(weights.match, value, seen & shown)
    if _counts(weights.instances) and clips.instances.shape[-2]:
        value = instance_score(clips, products, weights.instance_temperature)
        found["instances"] = Term(weights.instances, value, seen & shown)
    if _counts(weights.cross):
        half = weights.cross / 2
        found["said-shown"] = Term(half, clips.text @ products.image.mT, told * shown)
        found["seen-titled"] = Term(half, clips.image @ products.text.mT, seen & titled)
    return found


def _counts(weight: Tensor) -> bool:
    """Whether a term matters: it weighs something, or something may come to weigh."""
    return weight.requires_grad or bool(weight > 0)


def score(clips: ClipVectors, products: ProductVectors, weights: ScoreWeights) -> Tensor:
    """S (B, S): the one score; a pair with nothing to compare gets the lowest score there is."""
    return combine_terms(compute_terms(clips, products, weights).values())


def combine_terms(terms: Collection[Term]) -> Tensor:
    """The mean of terms (B, S) by weight and presence, times the sum of the weights.

    A pair for which no term is present gets the lowest score there is.
    """
    total = reduce(torch.add, [term.weight for term in terms])
    weighed = sum(term.weight * term.value * term.present for term in terms)
    present = sum(term.weight * term.present for term in terms)
    assert isinstance(weighed, Tensor) and isinstance(present, Tensor)
    comparable = present > 0
    rescaled = weighed * total / torch.where(comparable, present, torch.ones_like(present))
    return torch.where(comparable, rescaled, -total)


class ScoreHead(nn.Module):
    """The learned weights of the score. A fresh head is v·I + `text`·(a·h), nothing else.

    `kept` names the terms besides the picture's that there are at all; the others stay at zero.
    floor: see `soft_floor`; it is chosen on held-back clips, not learnt: clips whose words are right
    ask for none.
    """

    def __init__(
        self,
        text: float = 0.5,
        match_temperature: float = 0.1,
        logit_scale: float = 20,
        kept: Iterable[str] = LEARNED_TERMS,
        floor: float = -1.0,
    ) -> None:
        super().__init__()
        self.register_buffer("floor", torch.tensor(floor), persistent=False)
        starts = {"match": 0.0, "instances": 0.0, "text": float(text), "cross": 0.0}
        for name in LEARNED_TERMS:
            start = torch.tensor(starts[name] if name in kept else 0.0)
            setattr(self, name, nn.Parameter(start, requires_grad=name in kept))
        self.log_match_temperature = nn.Parameter(torch.tensor(log(match_temperature)))
        self.log_instance_temperature = nn.Parameter(torch.tensor(log(match_temperature)))
        self.log_logit_scale = nn.Parameter(torch.tensor(log(logit_scale)))

    match: Tensor
    instances: Tensor
    text: Tensor
    cross: Tensor
    floor: Tensor

    def forward(self) -> ScoreWeights:
        """The weights as they stand."""
        return ScoreWeights(
            match=_non_negative(self.match),
            text=_non_negative(self.text),
            cross=_non_negative(self.cross),
            match_temperature=self.log_match_temperature.exp().clamp(0.01, 10.0),
            logit_scale=self.log_logit_scale.exp().clamp(max=100.0),
            instances=_non_negative(self.instances),
            instance_temperature=self.log_instance_temperature.exp().clamp(0.01, 10.0),
            text_score_floor=self.floor,
        )


def _non_negative(weight: Tensor) -> Tensor:
    """max(weight, 0) whose gradient does not die at 0, where λ_m, λ_n and λ_x begin."""
    return weight + (weight.clamp(min=0.0) - weight).detach()
