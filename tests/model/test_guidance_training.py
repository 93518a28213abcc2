"""Text-guided attention learns: through closed gates and from retrieval alone."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import normalize

from sgmn.model.guidance import Guidance, GuidanceOutput
from sgmn.model.tokens import ItemTokens, grid_positions
from tests.model.guidance_cases import (
    DIM,
    FRAMES,
    PATCHES,
    WORDS,
    assert_close,
    build_guidance,
    compute_loss,
    draw_tokens,
)

LAST_LAYERS = ("localizer.patch_score.4", "localizer.frame_score.2", "localizer.box.2")


def test_every_parameter_of_an_untrained_guidance_has_a_gradient() -> None:
    """Closed gates have a gradient, and so have the parameters behind them.

    The last layers of the localizer start at zero: those before them follow after one step.
    """
    torch.manual_seed(0)
    guidance = Guidance(DIM)
    optimizer = torch.optim.SGD(guidance.parameters(), lr=0.1)
    compute_loss(guidance(draw_tokens())).backward()
    for name, parameter in guidance.named_parameters():
        is_hidden = name.startswith("localizer.") and not name.startswith(LAST_LAYERS)
        assert is_hidden or has_gradient(parameter), name
    optimizer.step()
    optimizer.zero_grad()
    compute_loss(guidance(draw_tokens())).backward()
    for name, parameter in guidance.named_parameters():
        assert has_gradient(parameter), name


def has_gradient(parameter: Tensor) -> bool:
    return parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)


def test_open_gates_give_true_gradients() -> None:
    """Once a gate is open, the parameters behind it get the gradient of the function itself."""
    guidance = build_guidance().double()
    guidance.time_gain.data.fill_(1.2)
    tokens = draw_tokens().map_tensors(lambda t: t.double() if t.is_floating_point() else t)
    weight = guidance.cosine_logits.query.weight
    compute_loss(guidance(tokens)).backward()
    assert weight.grad is not None
    losses = []
    for step in (1e-6, -2e-6):
        weight.data[3, 5] += step
        losses.append(compute_loss(guidance(tokens)).detach())
    slope = (losses[0] - losses[1]) / 2e-6
    torch.testing.assert_close(weight.grad[3, 5], slope, atol=1e-6, rtol=1e-4)


def test_a_negative_gate_acts_as_a_closed_gate() -> None:
    closed, negative = build_guidance(), build_guidance()
    closed.gate.data.fill_(0.0)
    negative.gate.data.fill_(-0.5)
    closed.time_gain.data.fill_(0.0)
    negative.time_gain.data.fill_(-0.5)
    assert_close(negative(draw_tokens()), closed(draw_tokens()))


def test_a_negative_gate_has_a_gradient() -> None:
    guidance = build_guidance()
    guidance.gate.data.fill_(-0.5)
    guidance.time_gain.data.fill_(-0.5)
    compute_loss(guidance(draw_tokens())).backward()
    for gate in (guidance.gate, guidance.time_gain):
        assert gate.grad is not None and gate.grad != 0


class Retrieval(NamedTuple):
    """Clips and the products that their frames show.

    Attributes:
        tokens: The clips.
        shelf: (12, D) product vectors.
        product: (B,) the product that the words of each clip name.
        patch: (B, T) the patch that shows this product.
    """

    tokens: ItemTokens
    shelf: Tensor
    product: Tensor
    patch: Tensor


def draw_retrieval(seed: int, clips: int) -> Retrieval:
    """Draw clips whose frames show six products each, one of which the words name.

    The words are in another space than the images.
    """
    torch.manual_seed(0)
    shelf, names = normalize(torch.randn(2, 12, DIM), dim=-1)
    fillers = normalize(torch.randn(20, DIM), dim=-1)
    torch.manual_seed(seed)
    visible = torch.rand(clips, 12).argsort(1)[:, None, :PATCHES].expand(clips, FRAMES, PATCHES)
    visible = visible.gather(2, torch.rand(clips, FRAMES, PATCHES).argsort(2))
    product = visible[:, 0, torch.randint(PATCHES, ())]
    noise = 0.05 * torch.randn(clips, FRAMES, PATCHES, DIM)
    patches = normalize(shelf[visible] + noise, dim=-1)
    chatter = fillers[torch.randint(20, (clips, WORDS - 1))]
    words = torch.cat([chatter, names[product].unsqueeze(1)], 1)
    tokens = build_complete_tokens(patches, words)
    patch = (visible == product[:, None, None]).float().argmax(2)
    return Retrieval(tokens, shelf, product, patch)


def build_complete_tokens(patches: Tensor, words: Tensor) -> ItemTokens:
    """Clips without padding; a frame is the mean of its patches."""
    clips = len(words)
    mean = patches.mean(2)
    length = mean.norm(dim=-1, keepdim=True)
    return ItemTokens(
        images=mean / length,
        image_mask=torch.ones(clips, FRAMES).bool(),
        patches=patches / length.unsqueeze(-1),
        patch_mask=torch.ones(clips, FRAMES, PATCHES).bool(),
        patch_positions=grid_positions((2, PATCHES // 2)).expand(clips, FRAMES, -1, -1),
        words=words,
        word_mask=torch.ones(clips, WORDS).bool(),
        text=normalize(words.sum(1), dim=-1),
        has_text=torch.ones(clips).bool(),
    )


def mean_attention(output: GuidanceOutput, patch: Tensor) -> float:
    """The mean weight of one patch per frame."""
    return output.patch_weights.gather(2, patch.unsqueeze(2)).mean().item()


def test_attention_is_learned_from_retrieval_alone() -> None:
    """Words have no meaning at first. A few dozen steps without boxes suffice for new clips."""
    guidance = Guidance(DIM)
    optimizer = torch.optim.Adam(guidance.parameters(), lr=0.01)
    held_out = draw_retrieval(1000, 64)
    assert mean_attention(guidance(held_out.tokens), held_out.patch) < 0.3
    for step in range(60):
        batch = draw_retrieval(step + 1, 48)
        output = guidance(batch.tokens)
        pooled = (output.frames * output.frame_weights.unsqueeze(-1)).sum(1)
        logits = 20 * normalize(pooled, dim=-1) @ batch.shelf.T
        optimizer.zero_grad()
        functional.cross_entropy(logits, batch.product).backward()
        optimizer.step()
    assert mean_attention(guidance(held_out.tokens), held_out.patch) > 0.5
