"""The one score against its formula written as loops, also where something is missing."""

from __future__ import annotations

from itertools import product as pairs

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.scoring import (
    ClipVectors,
    ProductVectors,
    ScoreHead,
    ScoreWeights,
    instance_score,
    match_score,
    score,
)

B, T, N, S, D = 5, 4, 3, 6, 8


def clips(seed: int = 0) -> ClipVectors:
    torch.manual_seed(seed)
    weights = torch.rand(B, T)
    weights[1, 2:] = 0  # padding
    weights = weights / weights.sum(1, keepdim=True)
    frames = normalize(torch.randn(B, T, D), dim=-1) * (weights > 0).unsqueeze(-1)
    vectors = normalize(torch.randn(2, B, D), dim=-1)
    spoken = torch.tensor([True, True, False, True, False])
    patches, places = normalize(torch.randn(B, T * N, D), dim=-1), torch.rand(B, T, N)
    places = (places / places.sum(-1, keepdim=True) * weights.unsqueeze(-1)).flatten(1)
    return ClipVectors(
        frames,
        weights,
        vectors[0],
        torch.ones(B, dtype=torch.bool),
        vectors[1],
        spoken,
        instances=patches * (places > 0).unsqueeze(-1),
        instance_weights=places,
    )


def products(seed: int = 1) -> ProductVectors:
    torch.manual_seed(seed)
    vectors = normalize(torch.randn(2, S, D), dim=-1)
    shown = torch.tensor([True, True, True, False, True, True])
    titled = torch.tensor([True, False, True, True, True, True])
    return ProductVectors(vectors[0], shown, vectors[1], titled)


def weights(
    match: float = 0.7, text: float = 0.5, cross: float = 0.3, floor: float = 0.1
) -> ScoreWeights:
    return ScoreWeights(*map(torch.tensor, (match, text, cross, 0.2, 20.0, 0.4, 0.15, floor)))


def by_loop(c: ClipVectors, p: ProductVectors, w: ScoreWeights) -> Tensor:
    """The formula of the module's docstring, a pair and a term at a time."""
    total = 1 + w.match + w.instances + w.text + w.cross
    out = torch.zeros(len(c), len(p))
    for i, j in pairs(range(len(c)), range(len(p))):
        found: list[tuple[Tensor, Tensor]] = []
        if c.has_image[i] and p.has_image[j]:
            found.append((torch.tensor(1.0), c.image[i] @ p.image[j]))
            for weight, rows, shares, temperature in (
                (w.match, c.frames, c.frame_weights, w.match_temperature),
                (w.instances, c.instances, c.instance_weights, w.instance_temperature),
            ):
                there = [u for u in range(rows.shape[1]) if shares[i, u] > 0]
                m = torch.stack([rows[i, u] @ p.image[j] for u in there])
                soft = torch.softmax(m / temperature + shares[i, there].log(), 0)
                found.append((weight, (soft * m).sum()))
        if c.has_text[i] and p.has_text[j]:
            likelihood = (12 * c.text[i] @ p.text[j]).exp() + (12 * w.text_score_floor).exp()
            found.append((w.text, likelihood.log() / 12))
        if c.has_text[i] and p.has_image[j]:
            found.append((w.cross / 2, c.text[i] @ p.image[j]))
        if c.has_image[i] and p.has_text[j]:
            found.append((w.cross / 2, c.image[i] @ p.text[j]))
        weighed = sum(weight * value for weight, value in found)
        out[i, j] = total * weighed / sum(weight for weight, _ in found)
    return out


def test_score_equals_its_formula() -> None:
    expected = by_loop(clips(), products(), weights())
    torch.testing.assert_close(score(clips(), products(), weights()), expected, atol=1e-5, rtol=0)


def test_a_fresh_head_is_picture_and_half_of_text() -> None:
    c, p = clips(), products()
    c.has_text[:], p.has_text[:], p.has_image[:] = True, True, True
    expected = c.image @ p.image.T + 0.5 * c.text @ p.text.T
    torch.testing.assert_close(score(c, p, ScoreHead()()), expected, atol=1e-6, rtol=0)


def test_words_vouch_for_a_product_but_never_veto_one() -> None:
    """However far a title is from what was said, it loses no more than to the floor."""
    c, p = clips(), products()
    c.text[:] = p.text[0]
    p.text[1], p.text[2] = -p.text[0], normalize(p.text[2] - 0.2 * p.text[0], dim=0)
    p.has_text[:], c.has_text[:] = True, True
    cosines = (c.text @ p.text.T)[0, :3]
    for floor, lowest in ((-1.0, float(cosines.min())), (0.5, 0.5)):
        with_words, without = (
            score(c, p, weights(cross=0.0, text=text, floor=floor))[0, :3] for text in (0.5, 0.0)
        )
        torch.testing.assert_close(
            (with_words - without) / 0.5,
            cosines.clamp(min=lowest),
            atol=0.06 if floor > -1 else 1e-5,  # log(2) / 12 where they meet
            rtol=0,
        )


def test_missing_words_are_not_zero_words() -> None:
    """A silent clip ranks as one whose words were never there, whatever stands in their place."""
    c, p = clips(), products()
    before = score(c, p, weights())
    c.text[~c.has_text] = 1e3
    p.text[~p.has_text] = -1e3
    torch.testing.assert_close(score(c, p, weights()), before)


def test_only_drops_the_other_modality() -> None:
    c, p = clips(), products()
    silent = score(c.select_modalities(["image"]), p, weights(cross=0.0))
    no_titles = score(c, p.select_modalities(["image"]), weights(cross=0.0))
    torch.testing.assert_close(silent, no_titles)
    blind = score(c.select_modalities(["text"]), p.select_modalities(["text"]), weights(floor=-1.0))
    both = c.has_text[:, None] & p.has_text[None]
    expected = (1 + 0.7 + 0.4 + 0.5 + 0.3) * (c.text @ p.text.T)
    torch.testing.assert_close(blind[both], expected[both], atol=1e-5, rtol=0)


def test_nothing_to_compare_is_the_lowest_score() -> None:
    scores = score(
        clips().select_modalities(["text"]),
        products().select_modalities(["image"]),
        weights(cross=0.0),
    )
    lowest = torch.full((B, S), -(1 + 0.7 + 0.4 + 0.5))
    torch.testing.assert_close(scores, lowest, atol=1e-6, rtol=0)


def test_scores_follow_a_permuted_shelf() -> None:
    order = torch.randperm(S)
    torch.testing.assert_close(
        score(clips(), products()[order], weights()),
        score(clips(), products(), weights())[:, order],
    )


@pytest.mark.parametrize("shown", range(1, 11))
def test_a_product_in_some_of_ten_frames_is_found(shown: int) -> None:
    """On a common background, the true pair's mean rank stays <= 2 of 64, however few frames."""
    torch.manual_seed(shown)
    shelf = normalize(torch.randn(64, 32), dim=-1)
    background = normalize(torch.randn(32), dim=-1)
    frames = background.expand(64, 10, 32).clone()
    frames[:, :shown] = shelf[:, None]
    frames = normalize(frames + 0.05 * torch.randn_like(frames), dim=-1)
    there = torch.ones(64, dtype=torch.bool)
    c = ClipVectors(frames, torch.full((64, 10), 0.1), frames[:, 0], there, frames[:, 0], ~there)
    p = ProductVectors(shelf, there, shelf, ~there)
    found = match_score(c, p, torch.tensor(0.05))
    ranks = (found > found.diagonal()[:, None]).sum(1) + 1
    assert ranks.float().mean() <= 2


@pytest.mark.parametrize("patches", [1, 3])
def test_a_product_in_some_of_many_patches_is_found(patches: int) -> None:
    """The frames' own vectors drown it in a common background; the patches still show it."""
    torch.manual_seed(patches)
    shelf, background = (normalize(torch.randn(n, 32), dim=-1) for n in (64, 1))
    rows = background.expand(64, 10 * 16, 32) + 0.1 * torch.randn(64, 10 * 16, 32)
    rows[:, 37 : 37 + patches] = shelf[:, None]
    rows, there = normalize(rows, dim=-1), torch.ones(64, dtype=torch.bool)
    frames = normalize(rows.view(64, 10, 16, 32).mean(2), dim=-1)
    shares = torch.full((64, 160), 1 / 160)
    c = ClipVectors(frames, torch.full((64, 10), 0.1), frames[:, 0], there, frames[:, 0], ~there,
                    instances=rows, instance_weights=shares)  # fmt: skip
    p = ProductVectors(shelf, there, shelf, ~there)
    found = instance_score(c, p, torch.tensor(0.05))
    assert ((found > found.diagonal()[:, None]).sum(1) + 1).float().mean() <= 1.5
    drowned = match_score(c, p, torch.tensor(0.05))
    assert ((drowned > drowned.diagonal()[:, None]).sum(1) + 1).float().mean() > 5


def test_weights_at_zero_still_learn_and_never_turn_negative() -> None:
    head = ScoreHead()
    c, p = clips(), products()
    score(c, p, head()).square().sum().backward()
    assert head.match.grad is not None and head.match.grad != 0
    assert head.cross.grad is not None and head.cross.grad != 0
    assert head.instances.grad is not None and head.instances.grad != 0
    with torch.no_grad():
        head.match.fill_(-3.0)
    assert head().match == 0


def test_padding_does_not_reach_the_score_or_its_gradient() -> None:
    c, p = clips(), products()
    frames = c.frames.clone().requires_grad_()
    padded = ClipVectors(frames, c.frame_weights, c.image, c.has_image, c.text, c.has_text)
    score(padded, p, weights()).sum().backward()
    assert frames.grad is not None
    assert torch.equal(frames.grad[1, 2:], torch.zeros(2, D))
    assert frames.grad[1, :2].abs().min() > 0


def test_a_clip_without_frames_spoils_no_gradient() -> None:
    c, p = clips(), products()
    frames, temperature = c.frames.clone().requires_grad_(), torch.tensor(0.2, requires_grad=True)
    shares, seen = c.frame_weights.clone(), c.has_image.clone()
    shares[0], seen[0] = 0, False
    blind = ClipVectors(frames, shares, c.image, seen, c.text, c.has_text)
    found = score(blind, p, weights()._replace(match_temperature=temperature))
    assert found.isfinite().all()
    found.sum().backward()
    assert frames.grad is not None and frames.grad.isfinite().all()
    assert temperature.grad is not None and temperature.grad.isfinite()
    assert torch.equal(frames.grad[0], torch.zeros(T, D))


def test_rows_and_parts() -> None:
    c = clips()
    again = ClipVectors.cat([c[0:2], c[[2, 3, 4]]])
    assert len(again) == B
    torch.testing.assert_close(again.frames, c.frames)
