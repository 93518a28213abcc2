"""The localizer: neutral before training, and aware of positions."""

from __future__ import annotations

from dataclasses import replace

import torch

from sgmn.model.guidance import Guidance
from sgmn.model.localization import Localizer
from sgmn.model.tokens import ItemTokens, grid_positions
from tests.model.guidance_cases import CLIPS, DIM, FRAMES, PATCHES, draw_tokens


def build_localizer() -> Localizer:
    """A localizer whose parameters all differ from their initial values."""
    torch.manual_seed(3)
    localizer = Localizer(DIM)
    with torch.no_grad():
        for parameter in localizer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return localizer


def attend_to(patch: int) -> torch.Tensor:
    """Attention (B, T, N) to one patch."""
    return (
        torch.nn.functional.one_hot(torch.tensor(patch), PATCHES).float().expand(CLIPS, FRAMES, -1)
    )


def test_an_untrained_localizer_changes_no_attention() -> None:
    """Not even in the last bit: weights from before there was a localizer answer as they did."""
    torch.manual_seed(0)
    with_localizer = Guidance(DIM)
    without = Guidance(DIM, localize=False)
    state = without.state_dict()
    for guidance in (with_localizer, without):
        guidance.load_state_dict({name: value + 0.1 for name, value in state.items()}, strict=False)
    tokens = draw_tokens()
    for actual, expected in zip(with_localizer(tokens)[:4], without(tokens)[:4], strict=True):
        assert torch.equal(actual, expected)
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0]) * tokens.image_mask.unsqueeze(-1)
    assert torch.equal(without(tokens).boxes, whole)


def test_the_same_patch_elsewhere_has_another_score() -> None:
    localizer, tokens = build_localizer(), draw_tokens()
    tokens.patches[:] = tokens.patches[:, :, :1]
    scores = localizer.score_patches(tokens, tokens.text)
    assert scores[0].std(-1).min() > 1e-3
    nowhere = replace(tokens, patch_positions=torch.zeros_like(tokens.patch_positions))
    assert localizer.score_patches(nowhere, tokens.text)[0].std(-1).max() < 1e-5


def test_the_transcript_changes_scores_of_patches_and_frames() -> None:
    localizer, tokens = build_localizer(), draw_tokens()
    other = replace(tokens, text=tokens.text.flip(0))
    attended, strength = tokens.patches.mean(2), torch.zeros(CLIPS, FRAMES)
    for change in (
        localizer.score_patches(tokens, tokens.text) - localizer.score_patches(tokens, other.text),
        localizer.score_frames(tokens, attended, strength)
        - localizer.score_frames(other, attended, strength),
    ):
        assert change[0].abs().max() > 1e-3


def test_untrained_boxes_surround_the_attention() -> None:
    tokens = draw_tokens()
    positions = grid_positions((2, PATCHES // 2))
    for patch in range(PATCHES):
        boxes = Localizer(DIM).predict_boxes(tokens, attend_to(patch), tokens.patches[:, :, patch])
        left, top, right, bottom = boxes[0, 0].tolist()
        assert left < positions[patch, 0] < right and top < positions[patch, 1] < bottom
        assert right - left < 0.1 and bottom - top < 0.1
        assert not boxes[~tokens.image_mask].any()
    uniform = torch.full((CLIPS, FRAMES, PATCHES), 1 / PATCHES)
    left, top, right, bottom = (
        Localizer(DIM).predict_boxes(tokens, uniform, tokens.images)[0, 0].tolist()
    )
    assert 0.7 < right - left < 1 and 0.7 < bottom - top < 1.6


def test_items_without_text_patches_or_frames_have_finite_scores() -> None:
    localizer, tokens = build_localizer(), draw_tokens()
    empty: ItemTokens = replace(
        tokens,
        patches=tokens.patches[:, :, :0],
        patch_mask=tokens.patch_mask[:, :, :0],
        patch_positions=tokens.patch_positions[:, :, :0],
    )
    for case in (tokens, empty):
        weights = case.patch_mask.float()
        attended = torch.einsum("btn,btnd->btd", weights, case.patches)
        assert localizer.score_patches(case, case.text).isfinite().all()
        assert localizer.score_frames(case, attended, torch.zeros(CLIPS, FRAMES)).isfinite().all()
        assert localizer.predict_boxes(case, weights, attended).isfinite().all()
