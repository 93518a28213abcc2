"""Text-guided attention follows the words, and padding has no effect."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.guidance import Guidance, GuidanceOutput
from sgmn.model.parts import Parts, PartsConfig
from sgmn.model.tokens import ItemTokens
from tests.model.guidance_cases import (
    CLIPS,
    DIM,
    FRAMES,
    PATCHES,
    WORDS,
    assert_close,
    build_guidance,
    compute_loss,
    draw_tokens,
)


def test_weights_sum_to_one_and_are_zero_at_padding() -> None:
    tokens = draw_tokens()
    output = build_guidance()(tokens)
    pairs = (
        (output.patch_weights, tokens.patch_mask),
        (output.frame_weights, tokens.image_mask),
        (output.word_weights[:3], tokens.word_mask[:3]),
    )
    for weights, mask in pairs:
        assert torch.equal(weights > 0, mask)
        expected = mask.any(-1).float()
        torch.testing.assert_close(weights.sum(-1), expected, atol=1e-5, rtol=0)


def test_another_transcript_changes_the_attention() -> None:
    tokens = draw_tokens()
    other_text = replace(tokens, words=tokens.words.flip(0), word_mask=tokens.word_mask.flip(0))
    before, after = build_guidance()(tokens), build_guidance()(other_text)
    assert (after.patch_weights - before.patch_weights)[0].abs().max() > 0.05
    assert (after.frame_weights - before.frame_weights)[0].abs().max() > 0.01
    assert (after.frames - before.frames)[0].abs().max() > 0.01


def draw_matching_patch(seed: int, patch: int) -> ItemTokens:
    """Draw a clip in which one patch of every frame matches one of the words."""
    tokens = draw_tokens(seed)[[0]]
    noise = 0.3 * torch.randn(1, FRAMES, DIM)
    tokens.patches[:, :, patch] = normalize(tokens.words[:, :1] + noise, dim=-1)
    return tokens


@pytest.mark.parametrize("patch", range(PATCHES))
def test_a_patch_that_matches_a_word_gets_attention(patch: int) -> None:
    """Holds without training if words and patches share a space; the matching word leads."""
    with torch.no_grad():
        output = Guidance(DIM)(draw_matching_patch(patch, patch))
        assert output.patch_weights[..., patch].min() > 0.5
        assert output.word_weights[0].argmax() == 0


def test_a_frame_that_matches_the_words_has_more_weight() -> None:
    tokens = draw_matching_patch(0, 2)
    tokens.patches[:, 1:, 2] = torch.randn(1, FRAMES - 1, DIM) / DIM**0.5
    guidance = Guidance(DIM)
    guidance.time_gain.data.fill_(0.5)
    assert guidance(tokens).frame_weights[0, 0] > 0.5


def test_saliency_does_not_hear_the_words_or_see_other_frames() -> None:
    tokens, guidance = draw_tokens(), build_guidance()
    saliency = guidance(tokens).frame_saliency
    others = replace(tokens, words=tokens.words.flip(0), text=tokens.text.flip(0))
    torch.testing.assert_close(guidance(others).frame_saliency, saliency)
    tokens.patches[:, 1:] = torch.randn_like(tokens.patches[:, 1:])
    changed = guidance(tokens).frame_saliency
    torch.testing.assert_close(changed[:, 0], saliency[:, 0])
    assert (changed - saliency)[0, 1:].abs().min() > 1e-3 and not changed.requires_grad


def test_saliency_by_hand() -> None:
    tokens, guidance = draw_tokens()[[0]], Guidance(DIM, localize=False)
    guidance.prior.weight.data[:] = torch.randn(1, DIM)
    expected = (tokens.patches @ guidance.prior.weight[0]).exp().mean(-1).log()
    torch.testing.assert_close(guidance(tokens).frame_saliency, expected.detach())


def test_saliency_of_a_clip_is_the_mean_over_its_frames() -> None:
    tokens = draw_tokens()
    parts = Parts(DIM, PartsConfig(("guidance",)))
    parts.load_state_dict({name: torch.randn_like(row) for name, row in parts.state_dict().items()})
    clips = parts.encode_clips(tokens)
    output, counts = parts.guide(tokens, "clips"), tokens.image_mask.sum(1).clamp(min=1)
    assert output.frame_saliency[tokens.image_mask].std() > 0.1
    torch.testing.assert_close(clips.saliency, output.frame_saliency.sum(1) / counts)
    assert Parts(DIM, PartsConfig()).encode_clips(tokens).saliency.isnan().all()


def test_more_patches_do_not_give_a_frame_more_weight() -> None:
    tokens = draw_tokens()[[0]]
    tokens.images[:, 1] = tokens.images[:, 0]
    tokens.patches[:, 0, 3:] = tokens.patches[:, 0, :3]
    tokens.patches[:, 1] = tokens.patches[:, 0]
    tokens.patch_positions[:, :, 3:] = tokens.patch_positions[:, :, :3]
    tokens.patch_mask[:, 1, 3:] = False
    weights = build_guidance()(tokens).frame_weights[0]
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=0)


def test_untrained_guidance_is_mean_pooling() -> None:
    tokens = draw_tokens()
    output = Guidance(DIM)(tokens)
    torch.testing.assert_close(output.frames, tokens.images, atol=1e-5, rtol=0)
    uniform = tokens.image_mask / tokens.image_mask.sum(1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(output.frame_weights, uniform, atol=1e-5, rtol=0)


def fill_padding(values: Tensor, mask: Tensor) -> Tensor:
    """The values with a constant at their padding."""
    return torch.where(mask.unsqueeze(-1), values, torch.full_like(values, 3.0)).requires_grad_()


def test_padding_affects_neither_output_nor_gradient() -> None:
    tokens, guidance = draw_tokens(), build_guidance()
    noisy = replace(
        tokens,
        images=fill_padding(tokens.images, tokens.image_mask),
        patches=fill_padding(tokens.patches, tokens.patch_mask),
        patch_positions=fill_padding(tokens.patch_positions, tokens.patch_mask),
        words=fill_padding(tokens.words, tokens.word_mask),
    )
    output = guidance(noisy)
    assert_close(output, guidance(tokens))
    compute_loss(output).backward()
    for values, mask in (
        (noisy.images, tokens.image_mask),
        (noisy.patches, tokens.patch_mask),
        (noisy.patch_positions, tokens.patch_mask),
        (noisy.words, tokens.word_mask),
    ):
        assert values.grad is not None and values.grad.isfinite().all()
        assert torch.equal(values.grad[~mask], torch.zeros_like(values.grad[~mask]))
        assert values.grad[0].abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() for p in guidance.parameters())


def test_clips_without_text_or_frames_have_finite_output() -> None:
    output = build_guidance()(draw_tokens())
    assert all(tensor.isfinite().all() for tensor in output)
    assert torch.equal(output.word_weights[2], torch.zeros(WORDS))
    assert output.patch_weights[2].std() > 0  # a clip without text still has a saliency
    assert not output.frames[3].any() and not output.frame_weights[3].any()
    assert output.word_weights[3].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("axis", ["words", "patches"])
def test_a_batch_without_words_or_patches_has_finite_gradients(axis: str) -> None:
    tokens = draw_tokens()
    if axis == "words":
        tokens = replace(tokens, words=tokens.words[:, :0], word_mask=tokens.word_mask[:, :0])
    else:
        tokens = replace(
            tokens,
            patches=tokens.patches[:, :, :0],
            patch_mask=tokens.patch_mask[:, :, :0],
            patch_positions=tokens.patch_positions[:, :, :0],
        )
    guidance = build_guidance()
    output = guidance(tokens)
    assert all(tensor.isfinite().all() for tensor in output)
    torch.testing.assert_close(output.frame_weights.sum(1), tokens.image_mask.any(1).float())
    compute_loss(output).backward()
    gradients = [p.grad for p in guidance.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)


def test_a_single_clip_equals_the_clip_in_a_batch() -> None:
    tokens, guidance = draw_tokens(), build_guidance()
    batched = guidance(tokens)
    for row in range(CLIPS):
        clip = tokens[[row]]
        patches, words = clip.patch_mask.any((0, 1)), clip.word_mask.any(0)
        single = replace(
            clip,
            patches=clip.patches[:, :, patches],
            patch_mask=clip.patch_mask[:, :, patches],
            patch_positions=clip.patch_positions[:, :, patches],
            words=clip.words[:, words],
            word_mask=clip.word_mask[:, words],
        )
        expected = GuidanceOutput(
            batched.frames[[row]],
            batched.frame_weights[[row]],
            batched.patch_weights[[row]][..., patches],
            batched.frame_saliency[[row]],
            batched.word_weights[[row]][:, words],
            batched.boxes[[row]],
        )
        assert_close(guidance(single), expected)
