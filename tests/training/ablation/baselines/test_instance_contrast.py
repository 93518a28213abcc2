"""RICE-style instance contrast: which patches are compared, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from sgmn.model.network import SGMN
from sgmn.training.ablation.baselines.instance_contrast import (
    PATCHES_PER_FRAME,
    InstanceContrastObjective,
    patch_score,
    select_attended_patches,
)
from sgmn.training.ablation.baselines.trainer import BASELINES, apply_baseline
from sgmn.training.config import LossConfig
from sgmn.training.data.token_edits import remove_text
from sgmn.training.training_step import TrainingStep
from tests.training.losses.batch import B, S, T, batch_of, random_tokens


@pytest.fixture
def network(tiny: Any) -> SGMN:
    source = tiny().network
    network: SGMN = source.with_parts(source.config.parts, ("text",))
    network.towers.requires_grad_(False)
    apply_baseline(network, BASELINES["instance contrast"], 0)
    return network


def test_the_patches_closest_to_the_transcript_are_attended() -> None:
    tokens = random_tokens(2, 32, 1)
    patches = tokens.patches.repeat(1, 1, 3, 1)  # 12 patches a frame
    patches[:, :, 7] = 0.5 * tokens.text.unsqueeze(1)
    tokens = replace(tokens, patches=patches, patch_mask=tokens.patch_mask.repeat(1, 1, 3))
    attended, mask = select_attended_patches(tokens)
    assert attended.shape == (2, T * PATCHES_PER_FRAME, 32) and mask.all()
    torch.testing.assert_close(attended[:, ::PATCHES_PER_FRAME], patches[:, :, 7])
    silent = remove_text(tokens, torch.tensor([True, False]))
    other = select_attended_patches(silent)[0]
    assert not torch.allclose(other[0], attended[0])
    torch.testing.assert_close(other[1], attended[1])


def test_patch_scores_equal_a_loop(network: SGMN) -> None:
    network.train()
    clip_tokens, product_tokens = random_tokens(B, 32, 1), random_tokens(S, 32, 2)
    hidden = product_tokens.patch_mask.clone()
    hidden[:, :, -1] = False  # padding must not win where all cosines are negative
    patches = product_tokens.patches * hidden.unsqueeze(-1)
    product_tokens = replace(product_tokens, patches=patches, patch_mask=hidden)
    with torch.no_grad():
        clips = network.encode_clips(clip_tokens)
        products = network.encode_products(product_tokens)
        scores = patch_score(clips, products)
    lowest = 1.0
    for i in range(B):
        for j in range(S):
            best = [
                max(float(cosine_similarity(row, q, 0)) for q in patches[j, 0, :-1])
                for row in clip_tokens.patches[i].flatten(0, 1)  # 4 a frame: all are attended
            ]
            assert scores[i, j].item() == pytest.approx(sum(best) / len(best), abs=1e-3)
            lowest = min(lowest, *best)
    assert lowest < -0.05  # where padding, whose cosine is 0, would have won


def test_ranking_uses_pooled_vectors_only(network: SGMN) -> None:
    network.eval()
    clips, products = random_tokens(B, 32, 1), random_tokens(S, 32, 2)
    with torch.no_grad():
        scores = network(clips, products)
        assert network.encode_clips(clips).instances.shape[1] == 0
    v, images = (normalize(t.images.mean(1), dim=-1) for t in (clips, products))
    torch.testing.assert_close(scores, v @ images.T + 0.5 * clips.text @ products.text.T)


def test_patches_train_the_projection(network: SGMN) -> None:
    network.train()
    objective = InstanceContrastObjective(32, LossConfig(), torch.arange(S), torch.ones(S) > 0)
    batch = replace(batch_of(32), labels=None)
    result = TrainingStep(network, objective)(batch)
    assert {*result.losses} == {"score", "patches"} and result.losses["patches"] > 0
    before = result.losses["patches"]
    optimizer = torch.optim.SGD(network.parts.parameters(), lr=0.05)
    for _ in range(10):
        optimizer.zero_grad()
        result = TrainingStep(network, objective)(batch)
        torch.autograd.backward(result.loss)
        optimizer.step()
    assert result.losses["patches"] < before
