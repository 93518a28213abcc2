"""Explains a score: where the model attended, which words counted, and the terms of the score.

An explanation consists of the values that the score was computed from: the weights of the guided
attention, and the terms of the score, which add up to it.

Axes: one clip of T frames, S products of a shelf, N patches per image; h, w pixels of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch

from sgmn.errors import SgmnError
from sgmn.model.contributions import split_score
from sgmn.model.embedder import Embedder
from sgmn.model.guidance import GuidanceOutput
from sgmn.model.heatmap import Heatmap, project_to_image
from sgmn.model.inputs import choose_canvas, compute_placement
from sgmn.model.parts import Side
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights, compute_terms
from sgmn.model.tokens import ImageTokens, ItemTokens
from sgmn.model.word_spans import WordWeight, weigh_words
from sgmn.records import ClipContent, ImageArray, ProductContent

# Adjustments of a score besides its terms.
NOT_COMPARABLE, INTERACTION, FUSION = "no common modality", "other candidates", "pairwise score"


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Attention to one frame of a clip, or to one image of a product.

    Attributes:
        weight: ω, the weight of the image; the weights of all images of an item sum to 1.
        heatmap: (h, w) attention per pixel of the image, each patch spread evenly over its area.
            It sums to the attention on the image; the rest lies on the padding of the canvas.
            None if the model has no guidance.
    """

    weight: float
    heatmap: Heatmap | None


class TermContribution(NamedTuple):
    """A term of the score for one pair.

    Attributes:
        name: See `scoring.compute_terms`.
        weight: λ, times the reliability of the text for text terms.
        value: A cosine, -1..1.
        contribution: What the term adds to the score: weight times value, rescaled for missing
            terms; 0 if the term is missing.
        present: False if a modality is missing.
    """

    name: str
    weight: float
    value: float
    contribution: float
    present: bool


@dataclass(frozen=True, eq=False)
class ProductExplanation:
    """The score of the clip with one product.

    Attributes:
        index: Index of the product on the shelf.
        score: The sum of all contributions of `terms` and all values of `adjustments`.
        terms: The terms of the first pass.
        adjustments: Changes besides the terms, by name. INTERACTION is the change by the other
            candidates, or by ranking the product below them. FUSION is the score of the pairwise
            re-ranker. NOT_COMPARABLE is the lowest possible score.
        views: The attention to each image of the product.
        title: The words of the title with their weights.
        frame_similarities: Cosine of the product with each frame; empty without image.
    """

    index: int
    score: float
    terms: tuple[TermContribution, ...]
    adjustments: Mapping[str, float]
    views: tuple[AttentionMap, ...]
    title: tuple[WordWeight, ...]
    frame_similarities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """The attention of a clip, and its scores with some products.

    Attributes:
        frames: The attention to each frame.
        words: The words of the transcript with their weights.
        products: The explained products.
        has_guidance: False if the model has no guidance and all weights are uniform.
    """

    frames: tuple[AttentionMap, ...]
    words: tuple[WordWeight, ...]
    products: tuple[ProductExplanation, ...]
    has_guidance: bool


class _ItemAttention(NamedTuple):
    """The attention to the images and words of a clip or product."""

    images: tuple[AttentionMap, ...]
    words: tuple[WordWeight, ...]


@torch.inference_mode()
def explain(
    embedder: Embedder,
    clip: ClipContent,
    shelf: ProductVectors,
    products: Mapping[int, ProductContent],
) -> Explanation:
    """Explain the scores of a clip with some products of a shelf.

    Args:
        embedder: The model.
        clip: A clip with frames.
        shelf: All S products of the shelf, because candidates of the re-ranker affect each other.
        products: The products to explain, by their index on the shelf.

    Raises SgmnError for a clip without frames.
    """
    if not clip.frames:
        raise SgmnError("has no frame to explain", "the clip", "pass a clip with frames")
    frames = embedder.encode_frames(clip.frames)
    vectors = embedder.encode_windows([frames], [clip.text])
    attention = _compute_attention(embedder, "clips", clip.frames, frames.tokens, clip.text)
    explanations = []
    for index, content in products.items():
        encoded = embedder.encode_images(content.images)
        item = _compute_attention(embedder, "products", content.images, encoded, content.title)
        explanations.append(_explain_product(embedder.ranker, vectors, shelf, index, item))
    return Explanation(
        attention.images, attention.words, tuple(explanations), _has_guidance(embedder)
    )


@torch.inference_mode()
def compute_heatmap(embedder: Embedder, image: ImageArray, text: str) -> Heatmap | None:
    """Compute the heatmap of a frame (H, W, 3) with a transcript; see `AttentionMap`."""
    tokens = embedder.encode_frames([image]).tokens
    return _compute_attention(embedder, "clips", [image], tokens, text).images[0].heatmap


def _has_guidance(embedder: Embedder) -> bool:
    return bool(embedder.network.parts.guidance)


def _compute_attention(
    embedder: Embedder, side: Side, images: Sequence[ImageArray], encoded: ImageTokens, text: str
) -> _ItemAttention:
    tokens = embedder.build_tokens([encoded], [text]).to(embedder.network.device)
    guidance = embedder.network.parts.guide(tokens, side)
    weights = guidance.frame_weights[0].tolist()[: len(images)]
    token_weights = _compute_token_weights(embedder, side, tokens, guidance)
    words = weigh_words(text, embedder.preprocessor, token_weights)
    if not _has_guidance(embedder):
        return _ItemAttention(tuple(AttentionMap(weight, None) for weight in weights), words)
    patch_weights = guidance.patch_weights[0].double().cpu().numpy()
    heatmaps = _build_heatmaps(embedder, images, patch_weights[: len(images)])
    return _ItemAttention(tuple(map(AttentionMap, weights, heatmaps)), words)


def _compute_token_weights(
    embedder: Embedder, side: Side, tokens: ItemTokens, guidance: GuidanceOutput
) -> list[float] | None:
    """The weight of each text token: in the text vector if it is pooled, else in the attention."""
    parts = embedder.network.parts
    if side == "clips" and parts.text_pooling is not None:
        context = parts.contextualize(tokens)
        weights = parts.text_pooling.compute_weights(context.words, context.word_mask)
        return list(weights[0].tolist())
    return guidance.word_weights[0].tolist() if _has_guidance(embedder) else None


def _build_heatmaps(
    embedder: Embedder, images: Sequence[ImageArray], patch_weights: Heatmap
) -> list[Heatmap]:
    """Turn the patch weights (T, N) of images into heatmaps."""
    canvases = [choose_canvas(image, embedder.preprocessor.canvases) for image in images]
    grids = {canvas: embedder.network.patch_grid(canvas) for canvas in set(canvases)}
    heatmaps = []
    for image, canvas, weights in zip(images, canvases, patch_weights, strict=True):
        cells = weights[: prod(grids[canvas])].reshape(grids[canvas])
        placement = compute_placement(image.shape, canvas)
        heatmaps.append(project_to_image(cells, canvas, placement, image.shape))
    return heatmaps


def _explain_product(
    ranker: Ranker,
    clips: ClipVectors,
    shelf: ProductVectors,
    index: int,
    attention: _ItemAttention,
) -> ProductExplanation:
    product = shelf[[index]]
    score = float(ranker.score(clips, shelf)[0, index])
    is_candidate = _is_candidate(ranker, clips, shelf, index)
    pass_weights = ranker.weights if is_candidate else ranker.first_pass_weights
    terms = _compute_contributions(pass_weights, clips, product)
    similarities = (clips.frames[0] @ product.image[0]).tolist() if product.has_image else []
    return ProductExplanation(
        index,
        score,
        terms,
        _compute_adjustments(ranker, clips, shelf, index, score, terms),
        attention.images,
        attention.words,
        tuple(similarities),
    )


def _is_candidate(ranker: Ranker, clips: ClipVectors, shelf: ProductVectors, index: int) -> bool:
    """Whether the second pass scores a product."""
    if ranker.parts is None:
        return False
    first_pass = ranker.first_pass.score(clips, shelf)[0]
    count = min(ranker.parts.config.candidates, len(first_pass))
    return index in first_pass.topk(count).indices


def _compute_contributions(
    weights: ScoreWeights, clips: ClipVectors, product: ProductVectors
) -> tuple[TermContribution, ...]:
    """The terms of one pair, rescaled as in `scoring.combine_terms`."""
    terms = compute_terms(clips, product, weights)
    contributions = []
    for name, contribution in split_score(terms).items():
        weight, value, presence = (float(number) for number in terms[name])
        added, weight = float(contribution), weight * (presence or 1.0)
        contributions.append(TermContribution(name, weight, value, added, presence > 0))
    return tuple(contributions)


def _compute_adjustments(
    ranker: Ranker,
    clips: ClipVectors,
    shelf: ProductVectors,
    index: int,
    score: float,
    terms: Sequence[TermContribution],
) -> dict[str, float]:
    """The adjustments of `ProductExplanation`."""
    explained = sum(term.contribution for term in terms)
    adjustments = {}
    if not any(term.present for term in terms):
        explained = float(ranker.first_pass.score(clips, shelf)[0, index])
        adjustments[NOT_COMPARABLE] = explained
    if ranker.parts is None:
        return adjustments
    remainder, parts = score - explained, ranker.parts
    is_candidate = _is_candidate(ranker, clips, shelf, index)
    if parts.fusion is not None and is_candidate:
        memory = parts.fusion.prepare_clips(clips.tokens, clips.token_mask)
        pair = torch.tensor([[index]])
        fused = float(parts.fusion.score_candidates(memory, shelf.latents, pair))
        adjustments[FUSION] = fused
        remainder -= fused
    if parts.interaction is not None or not is_candidate:
        adjustments[INTERACTION] = remainder
    return adjustments
