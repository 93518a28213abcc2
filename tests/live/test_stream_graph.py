"""Windows of one stream that see each other: what comes later, and what is only around."""

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
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreHead

W, T, S, D = 12, 3, 9, 16


def ranker(*kept: str, gate: float = 0.0, products: float = 0.02, candidates: int = 5) -> Ranker:
    """With an interaction as open as `gate` between clips, and as `products` from clips to them."""
    torch.manual_seed(2)
    parts = Parts(D, PartsConfig(kept, candidates=candidates)).eval()
    if parts.interaction is not None:
        with torch.no_grad():
            parts.interaction.gate[:, 0, 0] = gate
            parts.interaction.log_similarity_scale.fill_(0.0)  # hear those that are less alike, too
            parts.interaction.cosine_logits.log_temperature.fill_(0.0)
            parts.interaction.gate[:, 1, 0] = products if gate else 0.0
    weights = type(ScoreHead()())(*(value.detach() for value in ScoreHead()()))
    return Ranker(weights, parts if parts.has_second else None)


def windows(seed: int = 0) -> ClipVectors:
    torch.manual_seed(seed)
    frames = normalize(torch.randn(W, T, D), dim=-1)
    shares, there = torch.full((W, T), 1 / T), torch.ones(W).bool()
    words = normalize(torch.randn(W, D), dim=1)
    return ClipVectors(frames, shares, normalize(frames.mean(1), dim=1), there, words, there)


def products() -> ProductVectors:
    torch.manual_seed(1)
    vectors, there = normalize(torch.randn(2, S, D), dim=-1), torch.ones(S).bool()
    return ProductVectors(vectors[0], there, vectors[1], there)


def one_by_one(clips: ClipVectors) -> Iterator[ClipVectors]:
    return (clips[[place]] for place in range(len(clips)))


def rows(used: Ranker, clips: ClipVectors, back: int = 4, ahead: int = 0) -> Tensor:
    return torch.stack(list(StreamGraph(used, back, ahead).scores(one_by_one(clips), products())))


@pytest.mark.parametrize(("back", "ahead"), [(0, 0), (4, 0), (4, 4), (0, 3), (20, 20)])
def test_an_untrained_graph_and_none_are_windows_alone(back: int, ahead: int) -> None:
    for used in (ranker(), ranker("interaction")):
        alone = used.score(windows(), products())
        torch.testing.assert_close(rows(used, windows(), back, ahead), alone, atol=1e-5, rtol=0)


def test_a_group_of_one_is_a_window_alone() -> None:
    used = ranker("interaction", gate=0.05)
    alone = used.score(windows(), products())
    torch.testing.assert_close(rows(used, windows(), 0, 0), alone, atol=1e-5, rtol=0)


def test_a_running_stream_knows_its_past_only() -> None:
    used, clips, other = ranker("interaction", gate=0.05), windows(), windows(5)
    mixed = ClipVectors.cat([clips[slice(0, 7)], other[slice(7, W)]])
    one, two = rows(used, clips), rows(used, mixed)
    assert torch.equal(one[:7], two[:7])
    assert not torch.allclose(one[7:], two[7:], atol=1e-3)


def test_a_recording_knows_what_comes_and_no_further_than_it_reaches() -> None:
    used, clips, other = ranker("interaction", gate=0.05), windows(), windows(5)
    mixed = ClipVectors.cat([clips[slice(0, 7)], other[slice(7, W)]])
    one, two = rows(used, clips, 4, 3), rows(used, mixed, 4, 3)
    assert torch.equal(one[:4], two[:4])
    assert not torch.allclose(one[4:7], two[4:7], atol=1e-4)


def test_nothing_is_held_that_no_longer_matters() -> None:
    """Windows come one at a time and their scores follow `ahead` later."""
    used, given = ranker("interaction", gate=0.05), 0

    def counted() -> Iterator[ClipVectors]:
        nonlocal given
        for one in one_by_one(windows()):
            given += 1
            yield one

    lags = [
        given - found
        for found, _ in enumerate(StreamGraph(used, 2, 3).scores(counted(), products()))
    ]
    assert lags[: W - 3] == [4] * (W - 3) and lags[W - 3 :] == [3, 2, 1]


def test_neighbours_that_show_it_well_help_the_one_that_does_not() -> None:
    """Eleven windows show product 0 clearly, the sixth is mostly noise."""
    shown, noise = products().image[0], normalize(torch.randn(W, T, D), dim=-1)
    clear = torch.full((W, 1, 1), 0.8)
    clear[6] = 0.2
    frames = normalize(clear * shown + (1 - clear) * noise, dim=-1)
    shares, there = torch.full((W, T), 1 / T), torch.ones(W).bool()
    clips = ClipVectors(
        frames, shares, normalize(frames.mean(1), dim=1), there, frames[:, 0], ~there
    )
    used = ranker("interaction", gate=1.0, products=0.0)
    lead = [_lead(found[6]) for found in (used.score(clips, products()), rows(used, clips))]
    assert lead[1] > lead[0] + 0.05


def _lead(scores: Tensor) -> float:
    return float(scores[0] - scores[1:].max())


def test_candidates_stay_above_the_others() -> None:
    used = ranker("interaction", gate=-0.2, candidates=3)
    found, first = rows(used, windows()), used.first_pass.score(windows(), products())
    for row, before in zip(found, first, strict=True):
        best = before.topk(3).indices
        others = torch.ones(S).bool().index_fill(0, best, False)
        assert row[best].min() > row[others].max()
        assert torch.equal(row[others].argsort(), before[others].argsort())


def test_a_reach_below_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="windows_before is -1"):
        StreamGraph(ranker(), -1)
