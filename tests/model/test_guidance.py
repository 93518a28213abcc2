"""What is said must decide where to look; what is padding must decide nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import normalize

from sgmn.model.guidance import Guidance, GuidanceOutput, box_loss
from sgmn.model.tokens import ItemTokens

M = TypeVar("M", bound=nn.Module)
B, T, N, L, D = 4, 3, 6, 5, 32


def tokens(seed: int = 0) -> ItemTokens:
    """Clip 0 is full; 1 lacks a frame, two patches and two words; 2 is silent; 3 has no frames."""
    torch.manual_seed(seed)
    present, patch_mask = torch.ones(B, T).bool(), torch.ones(B, T, N).bool()
    word_mask = torch.ones(B, L).bool()
    present[1, 2], patch_mask[1, :, 4:], word_mask[1, 3:] = False, False, False
    word_mask[2], present[3] = False, False
    patch_mask &= present.unsqueeze(-1)
    whole = normalize(torch.randn(B, T, D), dim=-1) * present.unsqueeze(-1)
    patches = torch.randn(B, T, N, D) / D**0.5 * patch_mask.unsqueeze(-1)
    words = torch.randn(B, L, D) * word_mask.unsqueeze(-1)
    said = normalize(words.sum(1), dim=-1)
    return ItemTokens(whole, present, patches, patch_mask, words, word_mask, said, word_mask.any(1))


def moved(make: Callable[[], M], seed: int = 3) -> M:
    """A part as after training: nothing is at its start."""
    torch.manual_seed(seed)
    part = make()
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return part


def trained(seed: int = 5) -> Guidance:
    """As after training, the gates open."""
    guidance = moved(lambda: Guidance(D), seed)
    with torch.no_grad():
        guidance.gate.fill_(0.1)
        guidance.time_gain.fill_(0.5)
    return guidance


def close(found: GuidanceOutput, expected: GuidanceOutput) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_weights_are_shares_of_what_is_there() -> None:
    t = tokens()
    guided = trained()(t)
    pairs = (
        (guided.patch_weights, t.patch_mask),
        (guided.frame_weights, t.image_mask),
        (guided.word_weights[:3], t.word_mask[:3]),
    )
    for shares, mask in pairs:
        assert torch.equal(shares > 0, mask)
        expected = mask.any(-1).float()
        torch.testing.assert_close(shares.sum(-1), expected, atol=1e-5, rtol=0)


def test_another_transcript_looks_elsewhere() -> None:
    t = tokens()
    moved = trained()(replace(t, words=t.words.flip(0), word_mask=t.word_mask.flip(0)))
    was = trained()(t)
    assert (moved.patch_weights - was.patch_weights)[0].abs().max() > 0.05
    assert (moved.frame_weights - was.frame_weights)[0].abs().max() > 0.01
    assert (moved.frames - was.frames)[0].abs().max() > 0.01


def planted(seed: int, place: int) -> ItemTokens:
    """Random patches and words in one space; in every frame one patch shows one of the words."""
    t = tokens(seed)[[0]]
    t.patches[:, :, place] = normalize(t.words[:, :1] + 0.3 * torch.randn(1, T, D), dim=-1)
    return t


@pytest.mark.parametrize("place", range(N))
def test_a_patch_that_answers_the_words_is_looked_at(place: int) -> None:
    """In an aligned space, before any training; and the word that it answers did the pointing."""
    with torch.no_grad():
        guided = Guidance(D)(planted(place, place))
        assert guided.patch_weights[..., place].min() > 0.5
        assert guided.word_weights[0].argmax() == 0


def test_a_frame_that_answers_the_words_counts_more() -> None:
    t = planted(0, 2)
    t.patches[:, 1:, 2] = torch.randn(1, T - 1, D) / D**0.5
    guidance = Guidance(D)
    guidance.time_gain.data.fill_(0.5)
    assert guidance(t).frame_weights[0, 0] > 0.5


def test_fresh_is_mean_pooling() -> None:
    t = tokens()
    guided = Guidance(D)(t)
    torch.testing.assert_close(guided.frames, t.images, atol=1e-5, rtol=0)
    uniform = t.image_mask / t.image_mask.sum(1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(guided.frame_weights, uniform, atol=1e-5, rtol=0)


def loss(guided: GuidanceOutput, seed: int = 9) -> Tensor:
    """Some loss on the outputs that pool into a clip."""
    torch.manual_seed(seed)
    target = torch.randn(D).to(guided.frames)
    return ((guided.frames @ target) * guided.frame_weights).sum()


def test_everything_learns_from_the_start() -> None:
    """Gates that are shut learn, and so does what is behind them."""
    fresh = Guidance(D)
    loss(fresh(tokens())).backward()
    for name, parameter in fresh.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_open_gates_give_true_gradients() -> None:
    """Once a gate is open, what is behind it gets the gradient of the function itself."""
    guidance = trained().double()
    guidance.time_gain.data.fill_(1.2)
    t = tokens().map_tensors(lambda part: part.double() if part.is_floating_point() else part)
    weight = guidance.cosine_logits.query.weight
    loss(guidance(t)).backward()
    assert weight.grad is not None
    found = []
    for step in (1e-6, -2e-6):
        weight.data[3, 5] += step
        found.append(loss(guidance(t)).detach())
    slope = (found[0] - found[1]) / 2e-6
    torch.testing.assert_close(weight.grad[3, 5], slope, atol=1e-6, rtol=1e-4)


def test_a_gate_never_turns_pointing_round() -> None:
    shut, below = trained(), trained()
    shut.gate.data.fill_(0.0)
    below.gate.data.fill_(-0.5)
    shut.time_gain.data.fill_(0.0)
    below.time_gain.data.fill_(-0.5)
    close(below(tokens()), shut(tokens()))


def test_a_gate_below_zero_can_come_back() -> None:
    guidance = trained()
    guidance.gate.data.fill_(-0.5)
    guidance.time_gain.data.fill_(-0.5)
    loss(guidance(tokens())).backward()
    for gate in (guidance.gate, guidance.time_gain):
        assert gate.grad is not None and gate.grad != 0


def test_a_frame_counts_no_more_for_having_more_patches() -> None:
    t = tokens()[[0]]
    t.patches[:, 0, 3:] = t.patches[:, 0, :3]
    t.patches[:, 1] = t.patches[:, 0]
    t.patch_mask[:, 1, 3:] = False
    weights = trained()(t).frame_weights[0]
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=0)


def test_padding_changes_nothing_and_learns_nothing() -> None:
    t, guidance = tokens(), trained()
    before = guidance(t)
    noisy = replace(
        t,
        images=junk(t.images, t.image_mask),
        patches=junk(t.patches, t.patch_mask),
        words=junk(t.words, t.word_mask),
    )
    after = guidance(noisy)
    close(after, before)
    loss(after).backward()
    for values, mask in (
        (noisy.images, t.image_mask),
        (noisy.patches, t.patch_mask),
        (noisy.words, t.word_mask),
    ):
        assert values.grad is not None and values.grad.isfinite().all()
        assert torch.equal(values.grad[~mask], torch.zeros_like(values.grad[~mask]))
        assert values.grad[0].abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in guidance.parameters())


def junk(values: Tensor, mask: Tensor) -> Tensor:
    """The values with something at their padding."""
    return torch.where(mask.unsqueeze(-1), values, torch.full_like(values, 3.0)).requires_grad_()


def test_nothing_said_and_nothing_shown() -> None:
    guided = trained()(tokens())
    assert all(part.isfinite().all() for part in guided)
    assert torch.equal(guided.word_weights[2], torch.zeros(L))
    assert guided.patch_weights[2].std() > 0  # a silent clip still has a saliency
    assert not guided.frames[3].any() and not guided.frame_weights[3].any()
    assert guided.word_weights[3].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("axis", ["words", "patches"])
def test_no_word_or_patch_in_the_whole_batch(axis: str) -> None:
    t = tokens()
    if axis == "words":
        t = replace(t, words=t.words[:, :0], word_mask=t.word_mask[:, :0])
    else:
        t = replace(t, patches=t.patches[:, :, :0], patch_mask=t.patch_mask[:, :, :0])
    guidance = trained()
    guided = guidance(t)
    assert all(part.isfinite().all() for part in guided)
    torch.testing.assert_close(guided.frame_weights.sum(1), t.image_mask.any(1).float())
    loss(guided).backward()
    found = [p.grad for p in guidance.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in found)


def test_a_clip_alone_is_the_clip_in_a_batch() -> None:
    t, guidance = tokens(), trained()
    together = guidance(t)
    for row in range(B):
        one = t[[row]]
        patches, words = one.patch_mask.any((0, 1)), one.word_mask.any(0)
        bare = replace(
            one,
            patches=one.patches[:, :, patches],
            patch_mask=one.patch_mask[:, :, patches],
            words=one.words[:, words],
            word_mask=one.word_mask[:, words],
        )
        expected = GuidanceOutput(
            together.frames[[row]],
            together.frame_weights[[row]],
            together.patch_weights[[row]][..., patches],
            together.word_weights[[row]][:, words],
        )
        close(guidance(bare), expected)


def shopping(seed: int, clips: int) -> tuple[ItemTokens, Tensor, Tensor]:
    """Clips whose frames show six products each, of which the words name one.

    Words live in another space than pictures. Gives the tokens, the shelf, and each clip's
    product (clips,) with its place (clips, T) among the patches.
    """
    torch.manual_seed(0)
    shelf, named = normalize(torch.randn(2, 12, D), dim=-1)
    filler = normalize(torch.randn(20, D), dim=-1)
    torch.manual_seed(seed)
    shown = torch.rand(clips, 12).argsort(1)[:, None, :N].expand(clips, T, N)
    shown = shown.gather(2, torch.rand(clips, T, N).argsort(2))
    meant = shown[:, 0, torch.randint(N, ())]
    patches = normalize(shelf[shown] + 0.05 * torch.randn(clips, T, N, D), dim=-1)
    words = torch.cat([filler[torch.randint(20, (clips, L - 1))], named[meant].unsqueeze(1)], 1)
    mean = patches.mean(2)
    length = mean.norm(dim=-1, keepdim=True)
    there = torch.ones(clips, T, N).bool()
    said = normalize(words.sum(1), dim=-1)
    t = ItemTokens(
        mean / length,
        there[..., 0],
        patches / length.unsqueeze(-1),
        there,
        words,
        torch.ones(clips, L).bool(),
        said,
        there[:, 0, 0],
    )
    return (
        t,
        shelf,
        torch.stack(
            [meant.unsqueeze(1).expand(clips, T), (shown == meant[:, None, None]).float().argmax(2)]
        ),
    )


def on_target(guided: GuidanceOutput, place: Tensor) -> float:
    return guided.patch_weights.gather(2, place.unsqueeze(2)).mean().item()


def test_pointing_is_learnt_from_retrieval_alone() -> None:
    """Of words that mean nothing yet: a few dozen steps, no boxes, clips never seen."""
    guidance = Guidance(D)
    optimizer = torch.optim.Adam(guidance.parameters(), lr=0.01)
    unseen, _, (_, place) = shopping(1000, 64)
    assert on_target(guidance(unseen), place) < 0.3
    for step in range(60):
        t, shelf, (meant, _) = shopping(step + 1, 48)
        guided = guidance(t)
        clips = normalize((guided.frames * guided.frame_weights.unsqueeze(-1)).sum(1), dim=-1)
        cost = functional.cross_entropy(20 * clips @ shelf.T, meant[:, 0])
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    assert on_target(guidance(unseen), place) > 0.5


def test_box_loss_is_the_mean_over_frames_with_a_box() -> None:
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.0, 0.0, 0.0]]])
    inside = torch.tensor([[[True, True, False], [False, False, False], [True, False, False]]])
    expected = -torch.tensor(0.75).log()
    torch.testing.assert_close(box_loss(weights, inside), expected)
    inside[0, 1, 0] = True
    expected = -(torch.tensor(0.75).log() + torch.tensor(0.1).log()) / 2
    torch.testing.assert_close(box_loss(weights, inside), expected)


def test_box_loss_of_no_box_is_zero_with_a_graph() -> None:
    weights = torch.rand(2, 3, 4).requires_grad_()
    found = box_loss(weights, torch.zeros(2, 3, 4).bool())
    found.backward()
    assert found == 0 and weights.grad is not None and not weights.grad.any()


def test_box_loss_moves_attention_into_the_box() -> None:
    guidance, t = trained(), tokens()
    inside = torch.zeros(B, T, N).bool()
    inside[:, :, 1] = True
    inside &= t.patch_mask
    optimizer = torch.optim.Adam(guidance.parameters(), lr=0.02)
    before = box_loss(guidance(t).patch_weights, inside)
    for _ in range(15):
        optimizer.zero_grad()
        cost = box_loss(guidance(t).patch_weights, inside)
        cost.backward()
        optimizer.step()
    assert cost < 0.5 * before
