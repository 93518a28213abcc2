"""Why a clip got its product: where the model looked, what it heard, what the score is made of.

Everything here is what the score was computed from, not a guess about it: the weights are those
of the guided attention, and the terms are those of the one score and add up to it.

Axes: one clip of T frames, S products of a shelf, N patches a picture; h, w a picture's pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch

from sgmn.errors import SgmnError
from sgmn.model.embedder import Embedder
from sgmn.model.guidance import GuidanceOutput
from sgmn.model.heatmap import Heatmap, project_to_image
from sgmn.model.inputs import choose_canvas, compute_placement
from sgmn.model.parts import Side
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors, compute_terms
from sgmn.model.tokens import ImageTokens, ItemTokens
from sgmn.model.word_spans import WordWeight, weigh_words
from sgmn.records import ClipContent, ImageArray, ProductContent

# What a score has beside its terms.
NOT_COMPARABLE, INTERACTION, PAIR = "nothing to compare", "beside the others", "as a pair"


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """How a frame, or a view of a product, was looked at.

    share: ω, its weight among the frames or views; they sum to 1. heat: (h, w) in the picture's
    own pixels, each patch's weight spread evenly over its area; sums to the share of the
    attention that lay on the picture, as the rest lay on its padding. None without guidance.
    """

    weight: float
    heatmap: Heatmap | None


class TermContribution(NamedTuple):
    """A term of the score: its weight λ, its value (a cosine, -1..1) and what it adds.

    `adds` is λ·value, scaled up for the terms that dropped out; 0 for one that did.
    """

    name: str
    weight: float
    value: float
    adds: float
    present: bool


@dataclass(frozen=True, eq=False)
class ProductExplanation:
    """The clip held against the product at `place` on the shelf.

    score: the sum of what `terms` add and of `changes`, which are OTHERS and PAIR, what the
    second look changed by seeing the other candidates (or by keeping the product below them)
    and by comparing clip and product token by token, and NOTHING, the lowest score there is.
    views: one a picture. title: its words. frames: (T,) cosines of the product with each frame
    alone, none for a product without a picture.
    """

    place: int
    score: float
    terms: tuple[TermContribution, ...]
    changes: Mapping[str, float]
    views: tuple[AttentionMap, ...]
    title: tuple[WordWeight, ...]
    frames: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """A clip's frames and words with what they weighed, and the products it was held against.

    guided: False where the model has no guidance, and so looks at everything alike.
    """

    frames: tuple[AttentionMap, ...]
    words: tuple[WordWeight, ...]
    comparisons: tuple[ProductExplanation, ...]
    guided: bool


@torch.inference_mode()
def explain(
    embedder: Embedder,
    clip: ClipContent,
    shelf: ProductVectors,
    shown: Mapping[int, ProductContent],
) -> Explanation:
    """Explain the scores of a clip with some products of a shelf (S).

    `shown` are these products by their place on the shelf, such as the best and the runner-up.
    The whole shelf is wanted, as candidates are scored again beside each other. Raises SgmnError
    for a clip without frames.
    """
    if not clip.frames:
        raise SgmnError("has no frame to explain", "the clip", "give one that shows something")
    looks = embedder.encode_images(clip.frames)
    clips = embedder.encode_windows([looks], [clip.text])
    frames, said = _looked(embedder, "clips", clip.frames, looks, clip.text)
    found = {}
    for place, content in shown.items():
        seen = embedder.encode_images(content.images)
        found[place] = _looked(embedder, "products", content.images, seen, content.title)
    compared = tuple(_compared(embedder.ranker, clips, shelf, at, *found[at]) for at in shown)
    return Explanation(frames, said, compared, _is_guided(embedder))


@torch.inference_mode()
def compute_heatmap(embedder: Embedder, picture: ImageArray, said: str) -> Heatmap | None:
    """Where a frame (H, W, 3) is looked at while `said` is said, as `AttentionMap.heat` has it."""
    gazes, _ = _looked(embedder, "clips", [picture], embedder.encode_images([picture]), said)
    return gazes[0].heatmap


def _is_guided(embedder: Embedder) -> bool:
    return bool(embedder.network.parts.guidance)


def _looked(
    embedder: Embedder, side: Side, pictures: Sequence[ImageArray], looks: ImageTokens, text: str
) -> tuple[tuple[AttentionMap, ...], tuple[WordWeight, ...]]:
    """How the pictures and words of one clip or product were looked at and heard."""
    tokens = embedder.build_tokens([looks], [text]).to(embedder.network.device)
    guided = embedder.network.parts.guide(tokens, side)
    shares = guided.frame_weights[0].tolist()
    heard = weigh_words(text, embedder.preprocessor, _weighed(embedder, side, tokens, guided))
    if not _is_guided(embedder):
        return tuple(AttentionMap(share, None) for share in shares[: len(pictures)]), heard
    patches = guided.patch_weights[0].double().cpu().numpy()
    heats = _heats(embedder, pictures, patches[: len(pictures)])
    return tuple(map(AttentionMap, shares[: len(pictures)], heats)), heard


def _weighed(
    embedder: Embedder, side: Side, tokens: ItemTokens, guided: GuidanceOutput
) -> list[float] | None:
    """What each token counts: of a transcript for the score, else for where to look."""
    parts = embedder.network.parts
    if side == "clips" and parts.text_pooling is not None:
        read = parts.contextualize(tokens)
        found: list[float] = parts.text_pooling.shares(read.words, read.word_mask)[0].tolist()
        return found
    return guided.word_weights[0].tolist() if _is_guided(embedder) else None


def _heats(embedder: Embedder, pictures: Sequence[ImageArray], patches: Heatmap) -> list[Heatmap]:
    """The patch weights (T, N) of each picture as a map of it."""
    canvases = [choose_canvas(picture, embedder.preprocessor.canvases) for picture in pictures]
    grids = {canvas: embedder.network.patch_grid(canvas) for canvas in set(canvases)}
    found = []
    for picture, canvas, weights in zip(pictures, canvases, patches, strict=True):
        cells = weights[: prod(grids[canvas])].reshape(grids[canvas])
        found.append(project_to_image(cells, canvas, compute_placement(picture.shape, canvas), picture.shape))
    return found


def _compared(
    ranker: Ranker,
    clips: ClipVectors,
    shelf: ProductVectors,
    place: int,
    views: tuple[AttentionMap, ...],
    title: tuple[WordWeight, ...],
) -> ProductExplanation:
    """One clip and the product at a place of the shelf."""
    product = shelf[[place]]
    score = float(ranker.score(clips, shelf)[0, place])
    alone = (clips.frames[0] @ product.image[0]).tolist() if product.has_image else []
    return ProductExplanation(
        place,
        score,
        _terms(ranker, clips, product),
        _changes(ranker, clips, shelf, place, score),
        views,
        title,
        tuple(alone),
    )


def _terms(ranker: Ranker, clips: ClipVectors, product: ProductVectors) -> tuple[TermContribution, ...]:
    """The terms of the first pass for one pair, rescaled as `scoring.score` does.

    The weight of a term is with how much the words tell, where it is the words'.
    """
    found = compute_terms(clips, product, ranker.weights)
    there = sum(float(term.weight * term.present) for term in found.values())
    scale = sum(float(term.weight) for term in found.values()) / there if there else 0.0
    return tuple(
        TermContribution(
            name,
            float(term.weight) * (far or 1.0),
            float(term.value),
            scale * float(term.weight) * far * float(term.value),
            far > 0,
        )
        for name, term in found.items()
        for far in [float(term.present)]
    )


def _changes(
    ranker: Ranker, clips: ClipVectors, shelf: ProductVectors, place: int, score: float
) -> dict[str, float]:
    """What a score has beside its terms; see `Comparison`."""
    first = ranker.first_pass.score(clips, shelf)[0]
    comparable = any(term.present for term in _terms(ranker, clips, shelf[[place]]))
    changes = {} if comparable else {NOT_COMPARABLE: float(first[place])}
    if ranker.parts is None:
        return changes
    rest, parts = score - float(first[place]), ranker.parts
    again = place in first.topk(min(parts.config.candidates, len(first))).indices
    if parts.fusion is not None and again:
        side = parts.fusion.prepare_clips(clips.tokens, clips.token_mask)
        changes[PAIR] = float(parts.fusion.score_candidates(side, shelf.latents, torch.tensor([[place]])))
        rest -= changes[PAIR]
    if parts.interaction is not None or not again:
        changes[INTERACTION] = rest
    return changes
