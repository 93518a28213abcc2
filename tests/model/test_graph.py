"""A frame must hear from its whole clip, in order, and from nothing that is not there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from sgmn.model.graph import ClipGraph, build_layout, select_instances

B, T, N, D = 3, 10, 6, 16
Clips = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def clips(seed: int = 0) -> Clips:
    """Clip 0 is full; 1 has seven frames, and two patches fewer in each; 2 has no frames."""
    torch.manual_seed(seed)
    present, mask = torch.ones(B, T).bool(), torch.ones(B, T, N).bool()
    present[1, 7:], present[2], mask[1, :, 4:] = False, False, False
    mask &= present.unsqueeze(-1)
    frames = normalize(torch.randn(B, T, D), dim=-1) * present.unsqueeze(-1)
    patches = torch.randn(B, T, N, D) / D**0.5 * mask.unsqueeze(-1)
    weights = torch.rand(B, T, N) * mask
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)
    return frames, present, patches, weights, mask


def trained(layers: int = 1, instances: int = 3, seed: int = 4) -> ClipGraph:
    """As after training: nothing is at its start, and the gates are open."""
    torch.manual_seed(seed)
    graph = ClipGraph(D, heads=4, layers=layers, instances=instances)
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return graph


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layers", [1, 2])
def test_fresh_is_the_identity(layers: int) -> None:
    close(ClipGraph(D, layers=layers)(*clips()), clips()[0])


@pytest.mark.parametrize("layers", [1, 2])
def test_frames_of_length_one_and_zero_at_padding(layers: int) -> None:
    frames, present, *rest = clips()
    found = trained(layers)(frames, present, *rest)
    close(found.norm(dim=-1), present.float())
    assert not found[~present].any()
    assert (found - frames)[present].norm(dim=-1).min() > 0.01


@pytest.mark.parametrize("layers", [1, 2])
def test_padding_changes_nothing_and_learns_nothing(layers: int) -> None:
    graph = trained(layers)
    frames, present, patches, weights, mask = clips()
    before = graph(frames, present, patches, weights, mask)
    values = [
        torch.where(there, part, torch.full_like(part, 3.0)).requires_grad_()
        for part, there in (
            (frames, present.unsqueeze(-1)),
            (patches, mask.unsqueeze(-1)),
            (weights, mask),
        )
    ]
    found = graph(values[0], present, values[1], values[2], mask)
    close(found, before)
    (found @ torch.linspace(-1, 1, D)).sum().backward()
    for part, there in zip(values, (present, mask, mask), strict=True):
        assert part.grad is not None and part.grad.isfinite().all()
        assert not part.grad[~there].any()
        assert part.grad[0].any()


@pytest.mark.parametrize("layers", [1, 2])
def test_a_clip_alone_is_the_clip_in_a_batch(layers: int) -> None:
    graph, together = trained(layers), trained(layers)(*clips())
    for row, (length, patches) in enumerate([(10, 6), (7, 4)]):
        frames, present, *rest = (part[[row], :length] for part in clips())
        alone = graph(frames, present, *(part[:, :, :patches] for part in rest))
        close(alone, together[[row], :length])


def test_no_patches_at_all() -> None:
    frames, present, *rest = clips()
    found = trained()(frames, present, *(part[:, :, :0] for part in rest))
    close(found.norm(dim=-1), present.float())


def test_a_still_video_has_finite_gradients() -> None:
    frames, present, *rest = clips()
    still = frames[:1, :1].repeat(1, T, 1).requires_grad_()
    found = trained()(still, present[:1], *(part[:1] for part in rest))
    (found @ torch.linspace(-1, 1, D)).sum().backward()
    assert still.grad is not None and still.grad.abs().max() < 1e3


@pytest.mark.parametrize("layers", [1, 2])
def test_everything_learns(layers: int) -> None:
    graph = trained(layers)
    (graph(*clips()) @ torch.linspace(-1, 1, D)).square().sum().backward()
    for name, parameter in graph.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_fresh_gates_learn() -> None:
    graph = ClipGraph(D)
    (graph(*clips()) @ torch.linspace(-1, 1, D)).square().sum().backward()
    assert graph.last_layer.gate.grad is not None and graph.last_layer.gate.grad.all()


def test_salience_learns() -> None:
    """The weights of the patches get a gradient through the instances."""
    frames, present, patches, weights, mask = clips()
    weights.requires_grad_()
    (trained()(frames, present, patches, weights, mask) @ torch.linspace(-1, 1, D)).sum().backward()
    assert weights.grad is not None and weights.grad[0].any()


def test_a_frame_hears_one_nine_steps_away() -> None:
    graph, (frames, *rest) = trained(), clips()
    other = frames.clone()
    other[0, 9] = normalize(other[0, 9] + other[0, 0], dim=0)  # the opposite is not listened to
    moved = graph(other, *rest) - graph(frames, *rest)
    assert moved[0, 0].norm() > 0.01
    assert not moved[1].any()  # clips do not hear each other


def test_order_matters() -> None:
    """Played backwards, a clip is not merely its frames backwards."""
    graph, whole = trained(), [part[:1] for part in clips()]
    back = graph(*(part.flip(1) for part in whole)).flip(1)
    assert (graph(*whole) - back).norm(dim=-1).min() > 0.01


def test_the_distance_in_time_matters() -> None:
    """The same content two frames away and nine frames away is not heard alike."""
    frames, present, patches, weights, mask = (part[:1] for part in clips())
    mask = torch.zeros_like(mask)
    frames = frames[:, :1].repeat(1, T, 1)
    near, far = frames.clone(), frames.clone()
    turned = normalize(frames[:, 0] + 0.3 * normalize(torch.randn(1, D), dim=-1), dim=-1)
    near[:, 4], far[:, 8] = turned, turned
    graph = trained()
    heard = [graph(some, present, patches, weights, mask)[0, 1] for some in (near, far)]
    assert (heard[0] - heard[1]).norm() > 1e-4


def hearing(kind: int) -> ClipGraph:
    """Fresh, but listening to one kind of node."""
    graph = ClipGraph(D, instances=1)
    graph.last_layer.gate.data[:, kind] = 0.1
    return graph


def test_a_frame_hears_the_motion_that_starts_or_ends_there() -> None:
    """And no other motion: differences are the nodes T to 2T - 2."""
    _, linked, _ = build_layout(T, 1, torch.device("cpu"))
    for frame in range(T):
        heard = linked[frame, T : 2 * T - 1].nonzero()[:, 0].tolist()
        assert heard == [step for step in (frame - 1, frame) if 0 <= step < T - 1]
    graph, (frames, *rest) = hearing(1), clips()
    still = frames[:, :1].expand_as(frames) * rest[0].unsqueeze(-1)
    assert (graph(frames, *rest) - frames)[0].norm(dim=-1).max() > 0.01
    close(graph(still, *rest), still)  # nothing moves, so there is nothing to hear


def test_a_thing_is_followed_through_time() -> None:
    """A frame hears more of a later instance that is like its own than of one that is not."""
    frames, present, patches, weights, mask = (part[:1] for part in clips())
    thing, elsewhere = normalize(torch.randn(2, D), dim=-1)
    mask[:, :, 1:] = False
    weights = mask.float()
    patches = torch.zeros_like(patches)
    patches[0, :, 0] = elsewhere
    patches[0, [0, 9], 0] = thing
    graph = hearing(2)
    graph.last_layer.tracking_scale.data.fill_(4.0)
    graph.last_layer.cosine_logits.log_temperature.data.fill_(2.0)  # by likeness of things alone
    found = graph(frames, present, patches, weights, mask)[0]
    pull = cosine_similarity(found - frames[0], (thing - elsewhere).expand(T, D), dim=-1)
    assert pull[[0, 9]].min() > pull[1:9].max() + 0.5


def test_instances_are_the_most_salient_patches() -> None:
    _, _, patches, weights, mask = clips()
    weights[1, 0, 5] = 9.0  # at padding
    found, there = select_instances(patches, weights, mask, 5)
    assert there.sum(-1)[0].eq(5).all() and there.sum(-1)[1, :7].eq(4).all()
    for b, t in [(0, 0), (0, 9), (1, 0), (1, 6)]:
        valid = [n for n in range(N) if mask[b, t, n]]
        best = sorted(valid, key=lambda n: -float(weights[b, t, n]))[:5]
        assert torch.equal(found[b, t, there[b, t]], patches[b, t, best])
    assert not found[~there].any()
    few, _ = select_instances(patches, weights, mask, 9)
    assert few.shape == (B, T, N, D)


def test_equal_weights_choose_alike_whatever_the_padding() -> None:
    _, _, patches, _, _ = clips()
    mask = torch.ones(B, T, N).bool()
    padded = torch.cat([patches, torch.zeros(B, T, 40, D)], 2)
    longer = torch.cat([mask, torch.zeros(B, T, 40).bool()], 2)
    alone, _ = select_instances(patches, mask / N, mask, 2)
    together, _ = select_instances(padded, longer / N, longer, 2)
    assert torch.equal(alone, together)
