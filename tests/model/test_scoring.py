"""The score equals its formula, computed with loops, also if modalities are missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import product as pairs

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.score_head import ScoreHead
from sgmn.model.scoring import (
    ClipVectors,
    ProductVectors,
    ScoreWeights,
    instance_score,
    match_score,
    score,
)
from tests.model.score_cases import (
    CLIPS,
    DIM,
    FRAMES,
    PRODUCTS,
    draw_clips,
    draw_products,
)


def build_weights(
    match: float = 0.7, text: float = 0.5, cross: float = 0.3, text_score_floor: float = 0.1
) -> ScoreWeights:
    values = (match, text, cross, 0.2, 20.0, 0.4, 0.15, text_score_floor)
    return ScoreWeights(*map(torch.tensor, values))


def soft_maximum(rows: Tensor, weights: Tensor, image: Tensor, temperature: Tensor) -> Tensor:
    """The soft maximum of one clip and one product."""
    valid = [row for row in range(len(rows)) if weights[row] > 0]
    cosines = torch.stack([rows[row] @ image for row in valid])
    attention = torch.softmax(cosines / temperature + weights[valid].log(), 0)
    return (attention * cosines).sum()


def score_one_pair(
    clips: ClipVectors, products: ProductVectors, weights: ScoreWeights, i: int, j: int
) -> Tensor:
    """The formula in the docstring of the module, for one pair."""
    terms: list[tuple[Tensor, Tensor]] = []
    image, title = products.image[j], products.text[j]
    if clips.has_image[i] and products.has_image[j]:
        frames, frame_weights = clips.frames[i], clips.frame_weights[i]
        match = soft_maximum(frames, frame_weights, image, weights.match_temperature)
        patches, patch_weights = clips.instances[i], clips.instance_weights[i]
        instances = soft_maximum(patches, patch_weights, image, weights.instance_temperature)
        terms.append((torch.tensor(1.0), clips.image[i] @ image))
        terms.append((weights.match, match))
        terms.append((weights.instances, instances))
    if clips.has_text[i] and products.has_text[j]:
        likelihood = (12 * clips.text[i] @ title).exp() + (12 * weights.text_score_floor).exp()
        terms.append((weights.text, likelihood.log() / 12))
    if clips.has_text[i] and products.has_image[j]:
        terms.append((weights.cross / 2, clips.text[i] @ image))
    if clips.has_image[i] and products.has_text[j]:
        terms.append((weights.cross / 2, clips.image[i] @ title))
    total = 1 + weights.match + weights.instances + weights.text + weights.cross
    present = torch.stack([weight for weight, _ in terms]).sum()
    return total * torch.stack([weight * value for weight, value in terms]).sum() / present


def test_score_equals_its_formula() -> None:
    clips, products, weights = draw_clips(), draw_products(), build_weights()
    expected = torch.zeros(CLIPS, PRODUCTS)
    for i, j in pairs(range(CLIPS), range(PRODUCTS)):
        expected[i, j] = score_one_pair(clips, products, weights, i, j)
    torch.testing.assert_close(score(clips, products, weights), expected, atol=1e-5, rtol=0)


def test_an_untrained_head_adds_image_and_half_of_text() -> None:
    clips, products = draw_clips(), draw_products()
    clips.has_text[:], products.has_text[:], products.has_image[:] = True, True, True
    expected = clips.image @ products.image.T + 0.5 * clips.text @ products.text.T
    actual = score(clips, products, ScoreHead()())
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("floor", [-1.0, 0.5])
def test_text_below_the_floor_counts_as_the_floor(floor: float) -> None:
    clips, products = draw_clips(), draw_products()
    title = products.text[0].clone()
    clips.text[:] = title
    products.text[1] = -title
    products.text[2] = normalize(products.text[2] - 0.2 * title, dim=0)
    products.has_text[:], clips.has_text[:] = True, True
    cosines = (clips.text @ products.text.T)[0, :3]
    with_text, without_text = (
        score(clips, products, build_weights(cross=0.0, text=text, text_score_floor=floor))[0, :3]
        for text in (0.5, 0.0)
    )
    has_floor = floor > -1
    expected = cosines.clamp(min=floor if has_floor else float(cosines.min()))
    tolerance = 0.06 if has_floor else 1e-5  # log(2) / 12 at the floor
    torch.testing.assert_close((with_text - without_text) / 0.5, expected, atol=tolerance, rtol=0)


def test_missing_text_does_not_count_as_zero() -> None:
    """The vector of a missing text has no effect, whatever its value is."""
    clips, products = draw_clips(), draw_products()
    before = score(clips, products, build_weights())
    clips.text[~clips.has_text] = 1e3
    products.text[~products.has_text] = -1e3
    torch.testing.assert_close(score(clips, products, build_weights()), before)


def test_select_modalities_drops_the_terms_of_others() -> None:
    clips, products = draw_clips(), draw_products()
    weights = build_weights(cross=0.0)
    no_transcripts = score(clips.select_modalities(["image"]), products, weights)
    no_titles = score(clips, products.select_modalities(["image"]), weights)
    torch.testing.assert_close(no_transcripts, no_titles)
    text_only = score(
        clips.select_modalities(["text"]),
        products.select_modalities(["text"]),
        build_weights(text_score_floor=-1.0),
    )
    both = clips.has_text[:, None] & products.has_text[None]
    expected = (1 + 0.7 + 0.4 + 0.5 + 0.3) * (clips.text @ products.text.T)
    torch.testing.assert_close(text_only[both], expected[both], atol=1e-5, rtol=0)


def test_a_pair_without_common_modality_gets_the_lowest_score() -> None:
    clips = draw_clips().select_modalities(["text"])
    products = draw_products().select_modalities(["image"])
    lowest = torch.full((CLIPS, PRODUCTS), -(1 + 0.7 + 0.4 + 0.5))
    actual = score(clips, products, build_weights(cross=0.0))
    torch.testing.assert_close(actual, lowest, atol=1e-6, rtol=0)


def test_scores_follow_the_order_of_products() -> None:
    order = torch.randperm(PRODUCTS)
    torch.testing.assert_close(
        score(draw_clips(), draw_products()[order], build_weights()),
        score(draw_clips(), draw_products(), build_weights())[:, order],
    )


def compute_ranks(scores: Tensor) -> Tensor:
    """The rank of each diagonal entry within its row, from 1."""
    return ((scores > scores.diagonal()[:, None]).sum(1) + 1).float()


def image_vectors(frames: Tensor, **instances: Tensor) -> ClipVectors:
    """Clips without text whose frames (B, 10, D) have the same weight."""
    mask = torch.ones(len(frames), dtype=torch.bool)
    weights = torch.full(frames.shape[:2], 0.1)
    image = frames[:, 0]
    return ClipVectors(frames, weights, image, mask, image, ~mask, **instances)


def image_products(images: Tensor) -> ProductVectors:
    mask = torch.ones(len(images), dtype=torch.bool)
    return ProductVectors(images, mask, images, ~mask)


@pytest.mark.parametrize("visible", range(1, 11))
def test_match_finds_a_product_in_some_of_ten_frames(visible: int) -> None:
    """The mean rank of the true product is at most 2 of 64, on a common background."""
    torch.manual_seed(visible)
    shelf = normalize(torch.randn(64, 32), dim=-1)
    background = normalize(torch.randn(32), dim=-1)
    frames = background.expand(64, 10, 32).clone()
    frames[:, :visible] = shelf[:, None]
    frames = normalize(frames + 0.05 * torch.randn_like(frames), dim=-1)
    scores = match_score(image_vectors(frames), image_products(shelf), torch.tensor(0.05))
    assert compute_ranks(scores).mean() <= 2


@pytest.mark.parametrize("visible", [1, 3])
def test_instances_find_a_product_in_some_of_many_patches(visible: int) -> None:
    """The background dominates the frame vectors, but not the patches."""
    torch.manual_seed(visible)
    shelf, background = (normalize(torch.randn(n, 32), dim=-1) for n in (64, 1))
    patches = background.expand(64, 10 * 16, 32) + 0.1 * torch.randn(64, 10 * 16, 32)
    patches[:, 37 : 37 + visible] = shelf[:, None]
    patches = normalize(patches, dim=-1)
    frames = normalize(patches.view(64, 10, 16, 32).mean(2), dim=-1)
    weights = torch.full((64, 160), 1 / 160)
    clips = image_vectors(frames, instances=patches, instance_weights=weights)
    products, temperature = image_products(shelf), torch.tensor(0.05)
    assert compute_ranks(instance_score(clips, products, temperature)).mean() <= 1.5
    assert compute_ranks(match_score(clips, products, temperature)).mean() > 5


def test_weights_at_zero_have_a_gradient_and_are_never_negative() -> None:
    head = ScoreHead()
    score(draw_clips(), draw_products(), head()).square().sum().backward()
    for weight in (head.match, head.cross, head.instances):
        assert weight.grad is not None and weight.grad != 0
    with torch.no_grad():
        head.match.fill_(-3.0)
    assert head().match == 0


def test_padding_has_no_gradient() -> None:
    frames = draw_clips().frames.clone().requires_grad_()
    clips = replace(draw_clips(), frames=frames)
    score(clips, draw_products(), build_weights()).sum().backward()
    assert frames.grad is not None
    assert torch.equal(frames.grad[1, 2:], torch.zeros(2, DIM))
    assert frames.grad[1, :2].abs().min() > 0


def test_a_clip_without_frames_has_finite_scores_and_gradients() -> None:
    clips = draw_clips()
    frames = clips.frames.clone().requires_grad_()
    frame_weights, has_image = clips.frame_weights.clone(), clips.has_image.clone()
    frame_weights[0], has_image[0] = 0, False
    clips = ClipVectors(frames, frame_weights, clips.image, has_image, clips.text, clips.has_text)
    temperature = torch.tensor(0.2, requires_grad=True)
    weights = build_weights()._replace(match_temperature=temperature)
    scores = score(clips, draw_products(), weights)
    assert scores.isfinite().all()
    scores.sum().backward()
    assert frames.grad is not None and frames.grad.isfinite().all()
    assert temperature.grad is not None and temperature.grad.isfinite()
    assert torch.equal(frames.grad[0], torch.zeros(FRAMES, DIM))


def test_selected_rows_can_be_concatenated() -> None:
    clips = draw_clips()
    joined = ClipVectors.cat([clips[0:2], clips[[2, 3, 4]]])
    assert len(joined) == CLIPS
    torch.testing.assert_close(joined.frames, clips.frames)
