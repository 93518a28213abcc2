"""The published method: one vector for all patches, its score, and a graph only in training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from sgmn.model.network import SGMN
from sgmn.model.tokens import ItemTokens
from sgmn.training.ablation.baselines.published import PublishedObjective, PublishedParts
from sgmn.training.ablation.baselines.trainer import BASELINES, apply_baseline
from sgmn.training.config import LossConfig
from sgmn.training.data.token_edits import remove_frames, remove_text
from sgmn.training.training_step import TrainingStep
from tests.training.losses.batch import B, S, T, batch_of, random_tokens


@pytest.fixture
def network(tiny: Any) -> SGMN:
    """The published method with random weights in the places of its identities."""
    source = tiny().network
    network: SGMN = source.with_parts(source.config.parts, ("text",))
    network.towers.requires_grad_(False)
    apply_baseline(network, BASELINES["published"], 0)
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parts.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def parts_of(network: SGMN) -> PublishedParts:
    assert isinstance(network.parts, PublishedParts)
    return network.parts


def test_attention_over_one_text_token_adds_the_same_vector_to_every_patch(network: SGMN) -> None:
    """The part is the attention that the released code computes, and pooling commutes with it."""
    parts, tokens = parts_of(network), random_tokens(B, 32, 1)
    patches, text = tokens.patches.flatten(1, 2), tokens.text.unsqueeze(1)
    attention = nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        nn.init.normal_(attention.in_proj_bias)
        value = attention.in_proj_weight[64:], attention.in_proj_bias[64:]
        parts.value.weight.copy_(attention.out_proj.weight @ value[0])
        parts.value.bias.copy_(attention.out_proj.weight @ value[1] + attention.out_proj.bias)
        attended = attention(patches, text, text)[0]
        guided = parts.add_text(patches, tokens.patch_mask.flatten(1), tokens)
    added = guided - patches
    torch.testing.assert_close(added, attended)
    torch.testing.assert_close(added, added[:, :1].expand_as(added))
    assert added[0, 0].norm() > 0.1 and not torch.allclose(added[0], added[1])
    frames = tokens.patches.mean(2)
    pooled = parts.add_text(frames, tokens.image_mask, tokens)
    torch.testing.assert_close(pooled, guided.reshape(tokens.patches.shape).mean(2))


def test_scores_equal_the_formula(network: SGMN) -> None:
    """cos(clip, image) + 0.5·cos(transcript, title), with mean pooling, pair by pair."""
    parts, clips, products = parts_of(network), random_tokens(B, 32, 1), random_tokens(S, 32, 2)
    with torch.no_grad():
        nn.init.zeros_(parts.temporal.output.weight)  # this loop has no temporal block
        scores = network(clips, products)
        for i in range(B):
            for j in range(S):
                v, image = mean_of_frames(parts, clips, i), mean_of_frames(parts, products, j)
                said, title = parts.transcript(clips.text[i]), parts.title(products.text[j])
                expected = cosine_similarity(v, image, 0) + 0.5 * cosine_similarity(said, title, 0)
                torch.testing.assert_close(scores[i, j], expected)


def mean_of_frames(parts: PublishedParts, tokens: ItemTokens, row: int) -> Tensor:
    added = parts.value(tokens.text[row])
    return torch.stack([normalize(frame + added, dim=0) for frame in tokens.images[row]]).mean(0)


def test_missing_modalities_give_finite_scores(network: SGMN) -> None:
    clips, products = random_tokens(B, 32, 1), random_tokens(S, 32, 2)
    rows = torch.arange(B)
    clips = remove_text(clips, rows < 2)
    clips = remove_frames(clips, (rows == 2).unsqueeze(1).expand(B, T))
    products = remove_text(products, torch.arange(S) == 0)
    with torch.no_grad():
        assert network(clips, products).isfinite().all()
        clip = network.encode_clips(clips[:1])
        changed = replace(clips, text=torch.ones_like(clips.text))  # hidden by `has_text`
        torch.testing.assert_close(network.encode_clips(changed[:1]).image, clip.image)


def test_padding_does_not_change_a_clip(network: SGMN) -> None:
    clips = random_tokens(B, 32, 1)
    last = (torch.arange(T) == T - 1).expand(B, T)
    with torch.no_grad():
        masked = network.encode_clips(remove_frames(clips, last)).image
        torch.testing.assert_close(masked, network.encode_clips(cut_frames(clips)).image)
        assert not torch.allclose(masked, network.encode_clips(clips).image)


def cut_frames(tokens: ItemTokens) -> ItemTokens:
    names = ("images", "image_mask", "patches", "patch_mask", "patch_positions")
    return replace(tokens, **{name: getattr(tokens, name)[:, :-1] for name in names})


def test_edges_from_products_measure_evenness(network: SGMN) -> None:
    """√(1/T) for a clip whose frames all resemble the product equally, 1/T for a single frame."""
    images = torch.eye(32)[:2]
    with torch.no_grad():
        clips = network.encode_clips(random_tokens(1, 32, 1))
        products = network.encode_products(random_tokens(2, 32, 2))
    # Two frames show the first product, and the last one shows both.
    frames = torch.stack([images[0], images[0], normalize(images[0] + images[1], dim=0)])
    clips, products = replace(clips, frames=frames[None]), replace(products, image=images)
    edges = parts_of(network).instance_graph.compute_edges(clips, products)
    assert edges.shape == (3, 3)
    assert edges[0, 2].item() == pytest.approx(1 / T)
    assert edges[0, 1].item() == pytest.approx((2 + 0.5**0.5) / (2.5**0.5 * T))
    assert edges[1:, 0].tolist() == pytest.approx([T**-0.5] * 2)


def test_training_reaches_all_parts_and_no_tower(network: SGMN) -> None:
    network.train()
    objective = PublishedObjective(32, LossConfig(), torch.arange(S), torch.ones(S) > 0)
    result = TrainingStep(network, objective)(replace(batch_of(32), labels=None))
    assert {*result.losses} == {"score", "text", "triplet", "pair"}
    torch.autograd.backward(result.loss)
    gradients = {n: p.grad for n, p in network.named_parameters() if p.requires_grad}
    missing = [n for n, g in gradients.items() if g is None or not g.isfinite().all()]
    assert all(name.startswith("head.") for name in missing), missing
    for name in ("value", "temporal", "transcript", "title", "instance_graph"):
        found = [
            g for n, g in gradients.items() if n.startswith(f"parts.{name}.") and g is not None
        ]
        assert found and any(g.abs().max() > 0 for g in found), name
    assert not network.head.text.requires_grad and network.head.text == 0.5


def test_the_graph_does_not_rank(network: SGMN) -> None:
    clips, products = random_tokens(B, 32, 1), random_tokens(S, 32, 2)
    with torch.no_grad():
        before = network(clips, products)
        for parameter in parts_of(network).instance_graph.parameters():
            parameter.add_(1.0)
        torch.testing.assert_close(network(clips, products), before)
