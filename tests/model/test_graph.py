"""The clip graph passes messages through the whole clip, in order, and ignores padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from sgmn.model.graph import ClipGraph, build_layout, select_instances

CLIPS, FRAMES, PATCHES, DIM = 3, 10, 6, 16
TARGET = torch.linspace(-1, 1, DIM)
Clips = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def draw_clips(seed: int = 0) -> Clips:
    """Clip 0 is complete; 1 has seven frames with two patches fewer; 2 has no frames."""
    torch.manual_seed(seed)
    frame_mask = torch.ones(CLIPS, FRAMES).bool()
    patch_mask = torch.ones(CLIPS, FRAMES, PATCHES).bool()
    frame_mask[1, 7:], frame_mask[2], patch_mask[1, :, 4:] = False, False, False
    patch_mask &= frame_mask.unsqueeze(-1)
    frames = normalize(torch.randn(CLIPS, FRAMES, DIM), dim=-1) * frame_mask.unsqueeze(-1)
    patches = torch.randn(CLIPS, FRAMES, PATCHES, DIM) / DIM**0.5 * patch_mask.unsqueeze(-1)
    weights = torch.rand(CLIPS, FRAMES, PATCHES) * patch_mask
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)
    return frames, frame_mask, patches, weights, patch_mask


def build_graph(layers: int = 1, instances: int = 3, seed: int = 4) -> ClipGraph:
    """A graph with open gates whose parameters all differ from their initial values."""
    torch.manual_seed(seed)
    graph = ClipGraph(DIM, heads=4, layers=layers, instances=instances)
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return graph


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("layers", [1, 2])
def test_an_untrained_graph_is_the_identity(layers: int) -> None:
    assert_close(ClipGraph(DIM, layers=layers)(*draw_clips()), draw_clips()[0])


@pytest.mark.parametrize("layers", [1, 2])
def test_frames_have_length_one_and_are_zero_at_padding(layers: int) -> None:
    frames, frame_mask, *rest = draw_clips()
    output = build_graph(layers)(frames, frame_mask, *rest)
    assert_close(output.norm(dim=-1), frame_mask.float())
    assert not output[~frame_mask].any()
    assert (output - frames)[frame_mask].norm(dim=-1).min() > 0.01


@pytest.mark.parametrize("layers", [1, 2])
def test_padding_affects_neither_output_nor_gradient(layers: int) -> None:
    graph = build_graph(layers)
    frames, frame_mask, patches, weights, patch_mask = draw_clips()
    before = graph(frames, frame_mask, patches, weights, patch_mask)
    noisy_frames, noisy_patches, noisy_weights = (
        torch.where(mask, values, torch.full_like(values, 3.0)).requires_grad_()
        for values, mask in (
            (frames, frame_mask.unsqueeze(-1)),
            (patches, patch_mask.unsqueeze(-1)),
            (weights, patch_mask),
        )
    )
    output = graph(noisy_frames, frame_mask, noisy_patches, noisy_weights, patch_mask)
    assert_close(output, before)
    (output @ TARGET).sum().backward()
    for values, mask in (
        (noisy_frames, frame_mask),
        (noisy_patches, patch_mask),
        (noisy_weights, patch_mask),
    ):
        assert values.grad is not None and values.grad.isfinite().all()
        assert not values.grad[~mask].any()
        assert values.grad[0].any()


@pytest.mark.parametrize("layers", [1, 2])
def test_a_single_clip_equals_the_clip_in_a_batch(layers: int) -> None:
    graph, batched = build_graph(layers), build_graph(layers)(*draw_clips())
    for row, (length, patches) in enumerate([(10, 6), (7, 4)]):
        frames, frame_mask, *rest = (tensor[[row], :length] for tensor in draw_clips())
        single = graph(frames, frame_mask, *(tensor[:, :, :patches] for tensor in rest))
        assert_close(single, batched[[row], :length])


def test_clips_without_patches_have_finite_output() -> None:
    frames, frame_mask, *rest = draw_clips()
    output = build_graph()(frames, frame_mask, *(tensor[:, :, :0] for tensor in rest))
    assert_close(output.norm(dim=-1), frame_mask.float())


def test_a_still_video_has_bounded_gradients() -> None:
    frames, frame_mask, *rest = draw_clips()
    still = frames[:1, :1].repeat(1, FRAMES, 1).requires_grad_()
    output = build_graph()(still, frame_mask[:1], *(tensor[:1] for tensor in rest))
    (output @ TARGET).sum().backward()
    assert still.grad is not None and still.grad.abs().max() < 1e3


@pytest.mark.parametrize("layers", [1, 2])
def test_every_parameter_has_a_gradient(layers: int) -> None:
    graph = build_graph(layers)
    (graph(*draw_clips()) @ TARGET).square().sum().backward()
    for name, parameter in graph.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_closed_gates_have_a_gradient() -> None:
    graph = ClipGraph(DIM)
    (graph(*draw_clips()) @ TARGET).square().sum().backward()
    assert graph.last_layer.gate.grad is not None and graph.last_layer.gate.grad.all()


def test_patch_weights_have_a_gradient() -> None:
    frames, frame_mask, patches, weights, patch_mask = draw_clips()
    weights.requires_grad_()
    output = build_graph()(frames, frame_mask, patches, weights, patch_mask)
    (output @ TARGET).sum().backward()
    assert weights.grad is not None and weights.grad[0].any()


def test_a_frame_affects_another_nine_steps_away() -> None:
    graph, (frames, *rest) = build_graph(), draw_clips()
    changed = frames.clone()
    # The new frame is similar to frame 0, because attention ignores opposite vectors.
    changed[0, 9] = normalize(changed[0, 9] + changed[0, 0], dim=0)
    difference = graph(changed, *rest) - graph(frames, *rest)
    assert difference[0, 0].norm() > 0.01
    assert not difference[1].any()  # clips do not affect each other


def test_the_order_of_frames_matters() -> None:
    graph, clip = build_graph(), [tensor[:1] for tensor in draw_clips()]
    reversed_twice = graph(*(tensor.flip(1) for tensor in clip)).flip(1)
    assert (graph(*clip) - reversed_twice).norm(dim=-1).min() > 0.01


def test_the_distance_in_time_matters() -> None:
    """The same frame has another effect three frames away than seven frames away."""
    frames, frame_mask, patches, weights, patch_mask = (tensor[:1] for tensor in draw_clips())
    patch_mask = torch.zeros_like(patch_mask)
    frames = frames[:, :1].repeat(1, FRAMES, 1)
    near, far = frames.clone(), frames.clone()
    other = normalize(frames[:, 0] + 0.3 * normalize(torch.randn(1, DIM), dim=-1), dim=-1)
    near[:, 4], far[:, 8] = other, other
    graph = build_graph()
    near_output, far_output = (
        graph(clip, frame_mask, patches, weights, patch_mask)[0, 1] for clip in (near, far)
    )
    assert (near_output - far_output).norm() > 1e-4


def open_gate(kind: int) -> ClipGraph:
    """An untrained graph that passes messages of one kind of node."""
    graph = ClipGraph(DIM, instances=1)
    graph.last_layer.gate.data[:, kind] = 0.1
    return graph


def test_a_frame_is_connected_to_the_motion_that_starts_or_ends_there() -> None:
    """Differences are the nodes FRAMES to 2·FRAMES - 2."""
    _, adjacency, _ = build_layout(FRAMES, 1, torch.device("cpu"))
    for frame in range(FRAMES):
        senders = adjacency[frame, FRAMES : 2 * FRAMES - 1].nonzero()[:, 0].tolist()
        assert senders == [step for step in (frame - 1, frame) if 0 <= step < FRAMES - 1]


def test_only_motion_changes_the_frames_if_only_its_gate_is_open() -> None:
    graph, (frames, *rest) = open_gate(1), draw_clips()
    still = frames[:, :1].expand_as(frames) * rest[0].unsqueeze(-1)
    assert (graph(frames, *rest) - frames)[0].norm(dim=-1).max() > 0.01
    assert_close(graph(still, *rest), still)


def test_an_object_is_tracked_through_time() -> None:
    """A frame receives more from a later instance that is similar to its own than from others."""
    frames, frame_mask, patches, weights, patch_mask = (tensor[:1] for tensor in draw_clips())
    tracked, other = normalize(torch.randn(2, DIM), dim=-1)
    patch_mask[:, :, 1:] = False
    weights = patch_mask.float()
    patches = torch.zeros_like(patches)
    patches[0, :, 0] = other
    patches[0, [0, 9], 0] = tracked
    graph = open_gate(2)
    graph.last_layer.tracking_scale.data.fill_(4.0)
    graph.last_layer.cosine_logits.log_temperature.data.fill_(2.0)  # only tracking matters
    output = graph(frames, frame_mask, patches, weights, patch_mask)[0]
    direction = (tracked - other).expand(FRAMES, DIM)
    change = cosine_similarity(output - frames[0], direction, dim=-1)
    assert change[[0, 9]].min() > change[1:9].max() + 0.5


def test_instances_are_the_most_salient_patches() -> None:
    _, _, patches, weights, patch_mask = draw_clips()
    weights[1, 0, 5] = 9.0  # at padding
    instances, instance_mask = select_instances(patches, weights, patch_mask, 5)
    assert instance_mask.sum(-1)[0].eq(5).all() and instance_mask.sum(-1)[1, :7].eq(4).all()
    for clip, frame in [(0, 0), (0, 9), (1, 0), (1, 6)]:
        valid = [n for n in range(PATCHES) if patch_mask[clip, frame, n]]
        best = sorted(valid, key=lambda n: -float(weights[clip, frame, n]))[:5]
        selected = instances[clip, frame, instance_mask[clip, frame]]
        assert torch.equal(selected, patches[clip, frame, best])
    assert not instances[~instance_mask].any()
    fewer, _ = select_instances(patches, weights, patch_mask, 9)
    assert fewer.shape == (CLIPS, FRAMES, PATCHES, DIM)


def test_padding_does_not_change_the_choice_between_equal_weights() -> None:
    _, _, patches, _, _ = draw_clips()
    mask = torch.ones(CLIPS, FRAMES, PATCHES).bool()
    padded_patches = torch.cat([patches, torch.zeros(CLIPS, FRAMES, 40, DIM)], 2)
    padded_mask = torch.cat([mask, torch.zeros(CLIPS, FRAMES, 40).bool()], 2)
    expected, _ = select_instances(patches, mask / PATCHES, mask, 2)
    actual, _ = select_instances(padded_patches, padded_mask / PATCHES, padded_mask, 2)
    assert torch.equal(actual, expected)
