"""SEAM-style attention over frames: what a frame gathers, and what padding does not change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from sgmn.model.network import SGMN
from sgmn.training.ablation.baselines.temporal_attention import (
    NonLocalBlock,
    TemporalAttentionParts,
)
from sgmn.training.ablation.baselines.trainer import BASELINES, apply_baseline
from sgmn.training.data.token_edits import remove_frames
from tests.training.losses.batch import B, S, T, random_tokens


@pytest.fixture
def network(tiny: Any) -> SGMN:
    source = tiny().network
    network: SGMN = source.with_parts(source.config.parts, ("text",))
    apply_baseline(network, BASELINES["temporal attention"], 0)
    return network.eval()


def randomize(module: torch.nn.Module) -> None:
    torch.manual_seed(3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)


def test_the_block_equals_a_loop() -> None:
    block, frames = NonLocalBlock(8), torch.randn(2, 5, 8)
    randomize(block)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    frames = frames * mask.unsqueeze(-1)
    with torch.no_grad():
        result = block(frames, mask)
        for clip, count in enumerate((5, 3)):
            for t in range(count):
                query = block.query(frames[clip, t])
                logits = [query @ block.key(frames[clip, s]) / 2 for s in range(count)]
                weights = torch.stack(logits).softmax(0)
                values = [w * block.value(frames[clip, s]) for s, w in enumerate(weights)]
                expected = frames[clip, t] + block.output(torch.stack(values).sum(0))
                torch.testing.assert_close(result[clip, t], expected)
    assert not result[1, 3:].any()


def test_untrained_it_pools_the_mean(network: SGMN) -> None:
    clips, products = random_tokens(B, 32, 1), random_tokens(S, 32, 2)
    with torch.no_grad():
        scores = network(clips, products)
    v, images = (normalize(t.images.mean(1), dim=-1) for t in (clips, products))
    torch.testing.assert_close(scores, v @ images.T + 0.5 * clips.text @ products.text.T)


def test_frames_have_learned_weights_and_padding_has_none(network: SGMN) -> None:
    assert isinstance(network.parts, TemporalAttentionParts)
    randomize(network.parts)
    clips = random_tokens(B, 32, 1)
    missing = torch.zeros(B, T, dtype=torch.bool)
    missing[:, -1] = True
    shortened = remove_frames(clips, missing)
    shorter = replace(clips, images=clips.images[:, :-1], image_mask=clips.image_mask[:, :-1])
    with torch.no_grad():
        whole, padded = network.encode_clips(clips), network.encode_clips(shortened)
        expected = network.parts.encode_clips(shorter)
    assert whole.frame_weights.std(1).min() > 1e-3
    torch.testing.assert_close(padded.image, expected.image)
    torch.testing.assert_close(padded.frame_weights[:, :-1], expected.frame_weights)
