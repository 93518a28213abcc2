"""Windows of one stream that influence each other: earlier ones, later ones, and candidates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.errors import SettingsError
from sgmn.live.stream_graph import StreamGraph
from sgmn.model.parts import Parts, PartsConfig
from sgmn.model.ranker import Ranker
from sgmn.model.score_head import ScoreHead
from sgmn.model.scoring import ClipVectors, ProductVectors

W, T, S, D = 12, 3, 9, 16


def build_ranker(
    *part_names: str, gate: float = 0.0, product_gate: float = 0.02, candidates: int = 5
) -> Ranker:
    """Return a ranker whose interaction has these gates: between clips, and to products."""
    torch.manual_seed(2)
    parts = Parts(D, PartsConfig(part_names, candidates=candidates)).eval()
    if parts.interaction is not None:
        with torch.no_grad():
            parts.interaction.gate[:, 0, 0] = gate
            parts.interaction.log_similarity_scale.fill_(0.0)  # also weigh less similar windows
            parts.interaction.cosine_logits.log_temperature.fill_(0.0)
            parts.interaction.gate[:, 1, 0] = product_gate if gate else 0.0
    weights = type(ScoreHead()())(*(value.detach() for value in ScoreHead()()))
    return Ranker(weights, parts if parts.has_reranker else None)


def random_windows(seed: int = 0) -> ClipVectors:
    torch.manual_seed(seed)
    frames = normalize(torch.randn(W, T, D), dim=-1)
    shares, present = torch.full((W, T), 1 / T), torch.ones(W).bool()
    words = normalize(torch.randn(W, D), dim=1)
    return ClipVectors(frames, shares, normalize(frames.mean(1), dim=1), present, words, present)


def random_products() -> ProductVectors:
    torch.manual_seed(1)
    vectors, present = normalize(torch.randn(2, S, D), dim=-1), torch.ones(S).bool()
    return ProductVectors(vectors[0], present, vectors[1], present)


def one_by_one(clips: ClipVectors) -> Iterator[ClipVectors]:
    return (clips[[row]] for row in range(len(clips)))


def graph_scores(
    ranker: Ranker, clips: ClipVectors, windows_before: int = 4, windows_after: int = 0
) -> Tensor:
    graph = StreamGraph(ranker, windows_before, windows_after)
    return torch.stack(list(graph.scores(one_by_one(clips), random_products())))


@pytest.mark.parametrize(
    ("windows_before", "windows_after"), [(0, 0), (4, 0), (4, 4), (0, 3), (20, 20)]
)
def test_without_a_trained_graph_each_window_is_scored_alone(
    windows_before: int, windows_after: int
) -> None:
    for ranker in (build_ranker(), build_ranker("interaction")):
        alone = ranker.score(random_windows(), random_products())
        torch.testing.assert_close(
            graph_scores(ranker, random_windows(), windows_before, windows_after),
            alone,
            atol=1e-5,
            rtol=0,
        )


def test_a_group_of_one_window_is_scored_alone() -> None:
    ranker = build_ranker("interaction", gate=0.05)
    alone = ranker.score(random_windows(), random_products())
    torch.testing.assert_close(
        graph_scores(ranker, random_windows(), 0, 0), alone, atol=1e-5, rtol=0
    )


def test_a_running_stream_uses_past_windows_only() -> None:
    ranker, clips, other = (
        build_ranker("interaction", gate=0.05),
        random_windows(),
        random_windows(5),
    )
    mixed = ClipVectors.cat([clips[slice(0, 7)], other[slice(7, W)]])
    one, two = graph_scores(ranker, clips), graph_scores(ranker, mixed)
    assert torch.equal(one[:7], two[:7])
    assert not torch.allclose(one[7:], two[7:], atol=1e-3)


def test_a_recording_uses_later_windows_within_reach() -> None:
    ranker, clips, other = (
        build_ranker("interaction", gate=0.05),
        random_windows(),
        random_windows(5),
    )
    mixed = ClipVectors.cat([clips[slice(0, 7)], other[slice(7, W)]])
    one, two = graph_scores(ranker, clips, 4, 3), graph_scores(ranker, mixed, 4, 3)
    assert torch.equal(one[:4], two[:4])
    assert not torch.allclose(one[4:7], two[4:7], atol=1e-4)


def test_memory_holds_only_the_windows_that_still_count() -> None:
    """Windows come one at a time and their scores follow `windows_after` windows later."""
    ranker, read_count = build_ranker("interaction", gate=0.05), 0

    def counted() -> Iterator[ClipVectors]:
        nonlocal read_count
        for window in one_by_one(random_windows()):
            read_count += 1
            yield window

    lags = [
        read_count - scored
        for scored, _ in enumerate(StreamGraph(ranker, 2, 3).scores(counted(), random_products()))
    ]
    assert lags[: W - 3] == [4] * (W - 3) and lags[W - 3 :] == [3, 2, 1]


def test_clear_neighbors_help_a_noisy_window() -> None:
    """Eleven windows show product 0 clearly, the sixth is mostly noise."""
    image, noise = random_products().image[0], normalize(torch.randn(W, T, D), dim=-1)
    clear = torch.full((W, 1, 1), 0.8)
    clear[6] = 0.2
    frames = normalize(clear * image + (1 - clear) * noise, dim=-1)
    shares, present = torch.full((W, T), 1 / T), torch.ones(W).bool()
    clips = ClipVectors(
        frames, shares, normalize(frames.mean(1), dim=1), present, frames[:, 0], ~present
    )
    ranker = build_ranker("interaction", gate=1.0, product_gate=0.0)
    leads = [
        lead_of_first(scores[6])
        for scores in (ranker.score(clips, random_products()), graph_scores(ranker, clips))
    ]
    assert leads[1] > leads[0] + 0.05


def lead_of_first(scores: Tensor) -> float:
    return float(scores[0] - scores[1:].max())


def test_candidates_stay_above_all_other_products() -> None:
    ranker = build_ranker("interaction", gate=-0.2, candidates=3)
    scores, first_pass = (
        graph_scores(ranker, random_windows()),
        ranker.first_pass.score(random_windows(), random_products()),
    )
    for row, before in zip(scores, first_pass, strict=True):
        best = before.topk(3).indices
        others = torch.ones(S).bool().index_fill(0, best, False)
        assert row[best].min() > row[others].max()
        assert torch.equal(row[others].argsort(), before[others].argsort())


def test_a_negative_number_of_windows_is_rejected() -> None:
    with pytest.raises(SettingsError, match="windows_before is -1"):
        StreamGraph(build_ranker(), -1)
