"""The score of clips and products. Training, evaluation, index search and live use share it.

    S(i, j) = v·I + λ_m·match + λ_n·instances + λ_g·glance + λ_l·soft_floor(late)
              + λ_t·soft_floor(a·h) + λ_x·(a·I + v·h)/2

v and a are the image and text vector of a clip, I and h the image and title vector of a product,
all of length 1. `match` is a soft maximum over the frames, `instances` one over their patches,
`glance` one over the second glances, and `late` compares the patches of these one by one.
`soft_floor` keeps a·h from falling far below a floor, so that text cannot outweigh the frames, and
`late`, so that patches which resemble nothing do not decide. If a
modality is missing on either side, its terms are left out and the others are rescaled, so a
zero vector never counts as content. The text terms of a clip are weighted by the reliability of
its text.

Axes: B clips, T frames per clip, N patches per frame, S products, D dimensions; L tokens per clip
and R latents per product for the re-ranker, 0 if the model has none. Leading axes are allowed:
(G, B, …) with (G, S, …) are G groups of clips, each with products of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sgmn.model.late_interaction import find_best_cosines
from sgmn.model.soft_maximum import soft_max_cosine, soft_maximum
from sgmn.model.tokens import TensorRows

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "text")
FLOOR_SHARPNESS = 12.0  # β of `soft_floor`, in logits per cosine; fitted on held-out transcripts
LEARNED_TERMS = ("match", "instances", "text", "cross")
GLANCE_TERMS = ("glance", "late")  # they need the part "glance"
TERMS = (*LEARNED_TERMS, *GLANCE_TERMS)
_UNSET = torch.empty(0)


@dataclass(frozen=True)
class ClipVectors(TensorRows):
    """B clips in the common space. Vectors have length 1.

    Attributes:
        frames: (B, T, D) one vector per frame, zero at padding.
        frame_weights: (B, T) ω >= 0, sums to 1 over the frames of a clip, 0 at padding.
        image: (B, D) one vector per clip, from its frames.
        has_image: (B,) bool, False for a clip without frames.
        text: (B, D) one vector per clip, from its transcript.
        has_text: (B,) bool, False for a clip without transcript.
        tokens: (B, L, D) tokens for the re-ranker.
        token_mask: (B, L) bool, False at padding.
        instances: (B, T·N, D) the patches of all frames; empty without the instance term.
        instance_weights: (B, T·N), sums to 1 over the patches of a clip, 0 at padding.
        text_reliability: (B,) factor >= 0 of the text terms; 1 unless the model estimates it.
        glances: (B, K, D) one vector per second glance; K is 0 without the part "glance".
        glance_weights: (B, K), sums to 1 over the glances of a clip, 0 at padding.
        glance_patches: (B, K, M, W) directions of their patches.
        late_reliability: (B,) factor >= 0 of the late term.
        saliency: (B,) of the frames, for the timeline; nan without guidance, 0 without frames.
    """

    frames: Tensor
    frame_weights: Tensor
    image: Tensor
    has_image: Tensor
    text: Tensor
    has_text: Tensor
    tokens: Tensor = _UNSET
    token_mask: Tensor = _UNSET
    instances: Tensor = _UNSET
    instance_weights: Tensor = _UNSET
    text_reliability: Tensor = _UNSET
    glances: Tensor = _UNSET
    glance_weights: Tensor = _UNSET
    glance_patches: Tensor = _UNSET
    late_reliability: Tensor = _UNSET
    saliency: Tensor = _UNSET

    def __post_init__(self) -> None:
        no_rows, no_weights = self.frames[..., :0, :], self.frame_weights[..., :0]
        if self.tokens is _UNSET:
            object.__setattr__(self, "tokens", no_rows)
            object.__setattr__(self, "token_mask", no_weights > 0)
        if self.instances is _UNSET:
            object.__setattr__(self, "instances", no_rows)
            object.__setattr__(self, "instance_weights", no_weights)
        if self.text_reliability is _UNSET:
            object.__setattr__(self, "text_reliability", torch.ones_like(self.image[..., 0]))
        if self.saliency is _UNSET:
            object.__setattr__(self, "saliency", torch.full_like(self.image[..., 0], torch.nan))
        if self.glances is _UNSET:
            object.__setattr__(self, "glances", no_rows)
            object.__setattr__(self, "glance_weights", no_weights)
            object.__setattr__(self, "glance_patches", no_rows.unsqueeze(-2)[..., :0, :])
            object.__setattr__(self, "late_reliability", torch.ones_like(self.image[..., 0]))

    def select_modalities(self, modalities: Iterable[Modality]) -> ClipVectors:
        """Mark the other modalities as missing, and disable the re-ranker unless all remain.

        The text may have guided the image vectors. To exclude it completely, encode the clips
        without text; see `ClipContent.select_modalities`.
        """
        modalities = set(modalities)
        token_mask = self.token_mask & (modalities == set(MODALITIES))
        missing = _mark_missing(modalities, self.has_image)
        return replace(self, token_mask=token_mask, **missing)


@dataclass(frozen=True)
class ProductVectors(TensorRows):
    """S products in the common space. Vectors have length 1.

    Attributes:
        image: (S, D) one vector per product, from its images.
        has_image: (S,) bool, False for a product without images.
        text: (S, D) one vector per product, from its title.
        has_text: (S,) bool, False for a product without title.
        latents: (S, R, D) latent tokens for the re-ranker.
        patches: (S, P, W) directions of the patches of the main image, times weights that sum to
            1; see `late_interaction.Glance`. Empty unless the model has that part.
    """

    image: Tensor
    has_image: Tensor
    text: Tensor
    has_text: Tensor
    latents: Tensor = _UNSET
    patches: Tensor = _UNSET

    def __post_init__(self) -> None:
        for name in ("latents", "patches"):
            if getattr(self, name) is _UNSET:
                object.__setattr__(self, name, self.image.unsqueeze(-2)[..., :0, :])

    def select_modalities(self, modalities: Iterable[Modality]) -> ProductVectors:
        """Mark the other modalities as missing."""
        return replace(self, **_mark_missing(set(modalities), self.has_image))


def _mark_missing(modalities: set[Modality], like: Tensor) -> dict[str, Tensor]:
    return {f"has_{m}": torch.zeros_like(like) for m in MODALITIES if m not in modalities}


class ScoreWeights(NamedTuple):
    """The parameters of the score, each a tensor of shape (). The image term has weight 1.

    Attributes:
        match: Weight λ_m >= 0.
        text: Weight λ_t >= 0.
        cross: Weight λ_x >= 0.
        match_temperature: Temperature τ > 0 of the maximum over frames, a cosine.
        logit_scale: Factor from scores to logits.
        instances: Weight λ_n >= 0.
        instance_temperature: Temperature τ > 0 of the maximum over patches, a cosine.
        text_score_floor: Floor of the text term, a cosine; -1 for none. See `soft_floor`.
        glance: Weight λ_g >= 0.
        late: Weight λ_l >= 0.
        late_score_floor: Floor of late interaction, as that of the text term.
    """

    match: Tensor
    text: Tensor
    cross: Tensor
    match_temperature: Tensor
    logit_scale: Tensor
    instances: Tensor = torch.tensor(0.0)
    instance_temperature: Tensor = torch.tensor(0.1)
    text_score_floor: Tensor = torch.tensor(-1.0)
    glance: Tensor = torch.tensor(0.0)
    late: Tensor = torch.tensor(0.0)
    late_score_floor: Tensor = torch.tensor(-1.0)


class Term(NamedTuple):
    """One term of the score.

    Attributes:
        weight: () the weight λ.
        value: (B, S) a cosine, or a soft maximum of cosines.
        presence: (B, S) factor of the weight: 0 if a modality is missing, else the reliability
            of the clip's text for text terms, that of its glances for "late", and 1 for others.
    """

    weight: Tensor
    value: Tensor
    presence: Tensor


def match_score(clips: ClipVectors, products: ProductVectors, temperature: Tensor) -> Tensor:
    """Frame matching (B, S): a soft maximum over the frames, a cosine.

    match = Σ_t softmax_t(m[t]/τ + log ω[t])·m[t] with m[t] = frame t · product. A product that
    is visible in two of ten frames is not averaged away.
    """
    return soft_max_cosine(clips.frames, clips.frame_weights, products.image, temperature)


def instance_score(clips: ClipVectors, products: ProductVectors, temperature: Tensor) -> Tensor:
    """Instance matching (B, S): `match_score` over the patches, with ω[t]·α[t,n] for ω[t].

    A product in a corner of a cluttered frame is not averaged away, and patches that guidance
    attends to have more weight.
    """
    return soft_max_cosine(clips.instances, clips.instance_weights, products.image, temperature)


def late_score(clips: ClipVectors, products: ProductVectors, temperature: Tensor) -> Tensor:
    """Late interaction (B, S): each patch of a product finds its best match in a glance.

    The weighted mean of these cosines is taken over the patches of the product, and a soft maximum
    over the glances, as in `match_score`.
    """
    if not clips.glance_patches.shape[-2] or not products.patches.shape[-2]:
        return torch.zeros_like(clips.image @ products.image.mT)  # nothing was seen
    similarity = find_best_cosines(clips.glance_patches, products.patches).sum(-1)
    return soft_maximum(similarity, clips.glance_weights, temperature)


def soft_floor(cosines: Tensor, floor: Tensor) -> Tensor:
    """Raise cosines (B, S) that lie below the floor f:

        f + log(1 + exp(β·(cosine - f)))/β

    At β logits per cosine, this is the likelihood of a transcript that is about the product or,
    at fixed odds, about anything else; likewise of patches that show it or anything else. A mention
    of another product therefore lowers the score of the true one only by a limited amount. A floor
    of -1 changes nothing.
    """
    raised = floor + functional.softplus(FLOOR_SHARPNESS * (cosines - floor)) / FLOOR_SHARPNESS
    return torch.where(floor > -1, raised, cosines)


def compute_terms(
    clips: ClipVectors, products: ProductVectors, weights: ScoreWeights
) -> dict[str, Term]:
    """Compute the terms of the score by name, without terms of a constant weight of 0.

    The two cross terms are "text-image" (a·I) and "image-text" (v·h): the clip's side comes first.
    """
    clip_image, product_image = clips.has_image[..., None], products.has_image[..., None, :]
    clip_text, product_text = clips.has_text[..., None], products.has_text[..., None, :]
    reliability = clip_text * clips.text_reliability.unsqueeze(-1)
    both_images, one = clip_image & product_image, torch.ones_like(weights.text)
    terms = {"image": Term(one, clips.image @ products.image.mT, both_images)}
    if _is_active(weights.text):
        value = soft_floor(clips.text @ products.text.mT, weights.text_score_floor)
        terms["text"] = Term(weights.text, value, reliability * product_text)
    if _is_active(weights.match):
        value = match_score(clips, products, weights.match_temperature)
        terms["match"] = Term(weights.match, value, both_images)
    if _is_active(weights.instances) and clips.instances.shape[-2]:
        value = instance_score(clips, products, weights.instance_temperature)
        terms["instances"] = Term(weights.instances, value, both_images)
    if clips.glances.shape[-2] and _is_active(weights.glance):
        vectors, temperature = clips.glances, weights.instance_temperature
        value = soft_max_cosine(vectors, clips.glance_weights, products.image, temperature)
        terms["glance"] = Term(weights.glance, value, both_images)
    if clips.glance_patches.shape[-3] and _is_active(weights.late):
        value = late_score(clips, products, weights.instance_temperature)
        value = soft_floor(value, weights.late_score_floor)
        reliability_of_glances = both_images * clips.late_reliability.unsqueeze(-1)
        terms["late"] = Term(weights.late, value, reliability_of_glances)
    if _is_active(weights.cross):
        half = weights.cross / 2
        value = clips.text @ products.image.mT
        terms["text-image"] = Term(half, value, reliability * product_image)
        value = clips.image @ products.text.mT
        terms["image-text"] = Term(half, value, clip_image & product_text)
    return terms


def _is_active(weight: Tensor) -> bool:
    """Whether a weight is positive or can become positive in training."""
    return weight.requires_grad or bool(weight > 0)


def score(clips: ClipVectors, products: ProductVectors, weights: ScoreWeights) -> Tensor:
    """Score every clip with every product (B, S); higher is better.

    A pair without a common modality gets the lowest possible score.
    """
    return combine_terms(compute_terms(clips, products, weights).values())


def combine_terms(terms: Collection[Term]) -> Tensor:
    """Combine terms into the score (B, S): their mean by λ·presence, times the sum of all λ.

    A pair for which no term is present gets the lowest possible score.
    """
    total = reduce(torch.add, [term.weight for term in terms])
    weighted_sum = reduce(torch.add, [term.weight * term.value * term.presence for term in terms])
    present = reduce(torch.add, [term.weight * term.presence for term in terms])
    is_comparable = present > 0
    denominator = torch.where(is_comparable, present, torch.ones_like(present))
    return torch.where(is_comparable, weighted_sum * total / denominator, -total)
