"""The parts can be exported with dynamic sizes (torch.export), and give the same results."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export
from torch.nn.functional import normalize

from sgmn.model.fusion import Fusion
from sgmn.model.graph import ClipGraph
from sgmn.model.guidance import Guidance
from sgmn.model.interaction import Interaction
from sgmn.model.parts import pool_frames
from sgmn.model.score_head import ScoreHead
from sgmn.model.scoring import ProductVectors, score
from sgmn.model.tokens import ItemTokens

# Tracing takes twice as long with coverage, which other tests of the parts measure.
pytestmark = pytest.mark.no_cover
DIM, HEADS = 16, 2
Inputs = tuple[Tensor, ...]


def randomize(module: nn.Module) -> nn.Module:
    """Change all parameters, which also opens the gates."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module.eval()


def draw_tokens(count: int, frames: int, patches: int, words: int) -> Inputs:
    """The fields of `ItemTokens`; item 0 has one frame and no text, the last has no frames."""
    image_mask = torch.ones(count, frames, dtype=torch.bool)
    image_mask[0, 1:], image_mask[-1] = False, False
    patch_mask = image_mask.unsqueeze(-1).repeat(1, 1, patches)
    patch_mask[:, :, -1] = False
    word_mask = torch.ones(count, words, dtype=torch.bool)
    word_mask[0] = False
    text = normalize(torch.randn(count, DIM), dim=-1) * word_mask[:, :1]
    return (
        normalize(torch.randn(count, frames, DIM), dim=-1) * image_mask.unsqueeze(-1),
        image_mask,
        torch.randn(count, frames, patches, DIM) / DIM**0.5 * patch_mask.unsqueeze(-1),
        patch_mask,
        torch.rand(count, frames, patches, 2) * patch_mask.unsqueeze(-1),
        torch.randn(count, words, DIM) * word_mask.unsqueeze(-1),
        word_mask,
        text,
        word_mask.any(1),
    )


def draw_products(count: int) -> Inputs:
    """The fields of `ProductVectors` except latents; product 0 has no image."""
    has_text = torch.ones(count, dtype=torch.bool)
    has_image = has_text & (torch.arange(count) > 0)
    image, text = normalize(torch.randn(2, count, DIM), dim=-1)
    return image * has_image.unsqueeze(1), has_image, text, has_text


class FirstPass(nn.Module):
    """Maps clip tokens and product vectors to scores and attention weights."""

    def __init__(self) -> None:
        super().__init__()
        self.guidance, self.head = Guidance(DIM, HEADS), ScoreHead()
        # A torch.fx.GraphModule has an attribute `graph`, so no submodule can have this name.
        self.clip_graph = ClipGraph(DIM, HEADS, layers=2, instances=3)

    def forward(self, *tensors: Tensor) -> Inputs:
        tokens, products = ItemTokens(*tensors[:9]), ProductVectors(*tensors[9:])
        guidance = self.guidance(tokens)
        frames = self.clip_graph(
            guidance.frames,
            tokens.image_mask,
            tokens.patches,
            guidance.patch_weights,
            tokens.patch_mask,
        )
        clips = pool_frames(frames, guidance.frame_weights, tokens.text, tokens.has_text)
        return score(clips, products, self.head()), *guidance[1:]


class PairwiseScores(nn.Module):
    """Maps the tokens of clips and products to the scores of all pairs and of candidates."""

    def __init__(self) -> None:
        super().__init__()
        self.fusion = Fusion(DIM, 1, latents=4)

    def forward(self, tokens: Tensor, mask: Tensor, candidates: Tensor, *products: Tensor) -> Any:
        memory = self.fusion.prepare_clips(tokens, mask)
        latents = self.fusion.encode_products(ItemTokens(*products))
        queries = self.fusion.prepare_products(latents)
        all_pairs = self.fusion(memory, queries)
        return all_pairs, self.fusion.score_candidates(memory, queries, candidates)


def run(module: nn.Module, inputs: Inputs) -> Inputs:
    with torch.no_grad():
        outputs: Inputs = module(*inputs)
    return outputs


def check_export(module: nn.Module, inputs: list[Inputs], sizes: Any) -> None:
    """Export a module with the first inputs, and compare it on all of them."""
    program = export(module, inputs[0], dynamic_shapes=sizes, strict=False).module()
    for tensors in inputs:
        expected, actual = run(module, tensors), run(program, tensors)
        assert all(tensor.isfinite().all() for tensor in expected)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.fixture(autouse=True)
def _disable_trace_log(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    # pytest collects its debug lines, which takes longer than the export itself.
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)


def test_guidance_clip_graph_and_score() -> None:
    """Any number of clips, words and products; a minimum of frames and patches."""
    clips, words, products = (Dim(name) for name in ("clips", "words", "products"))
    # More patches than the graph selects per frame.
    frames, patches = Dim("frames", min=3), Dim("patches", min=4)
    image_sizes = ({0: clips, 1: frames},) * 2
    patch_sizes = ({0: clips, 1: frames, 2: patches},) * 3
    text_sizes = ({0: clips, 1: words},) * 2 + ({0: clips},) * 2
    sizes = ((*image_sizes, *patch_sizes, *text_sizes, *({0: products},) * 4),)
    first_pass = FirstPass()
    randomize(first_pass)
    with torch.no_grad():
        first_pass.head.match.fill_(0.4)
        first_pass.head.cross.fill_(0.3)
    inputs = [
        (*draw_tokens(3, 4, 6, 5), *draw_products(7)),
        (*draw_tokens(5, 6, 9, 8), *draw_products(9)),
        (*draw_tokens(2, 3, 5, 2), *draw_products(3)),
    ]
    check_export(first_pass, inputs, sizes)


def draw_groups(groups: int, clips: int, products: int) -> Inputs:
    clip_vectors, product_vectors = (
        normalize(torch.randn(groups, count, DIM), dim=-1) for count in (clips, products)
    )
    clip_mask, product_mask = (torch.rand(groups, count) > 0.3 for count in (clips, products))
    relevance = torch.randn(groups, clips, products)
    return clip_vectors, clip_mask, product_vectors, product_mask, relevance


def test_interaction() -> None:
    """Any number of groups, clips and products."""
    groups, clips, products = Dim("groups"), Dim("clips", min=3), Dim("products", min=3)
    clip_sizes, product_sizes = ({0: groups, 1: clips},) * 2, ({0: groups, 1: products},) * 2
    sizes = (*clip_sizes, *product_sizes, {0: groups, 1: clips, 2: products})
    interaction = randomize(Interaction(DIM, HEADS, neighbors=3))
    inputs = [draw_groups(2, 4, 5), draw_groups(3, 6, 7), draw_groups(5, 3, 3)]
    check_export(interaction, inputs, sizes)


def draw_pairs(clips: int, candidates: int, products: int) -> Inputs:
    """Tokens, mask and candidates of clips, of which clip 0 is empty, and product tokens."""
    product_tokens = draw_tokens(products, 2, 6, 5)
    mask = torch.rand(clips, 9) > 0.3
    mask[0] = False
    indices = torch.randint(products, (clips, candidates))
    return torch.randn(clips, 9, DIM) * mask.unsqueeze(-1), mask, indices, *product_tokens


def test_fusion() -> None:
    """Any number of clips and products, for all pairs and for candidates."""
    clips, products = Dim("clips"), Dim("products")
    sizes = ({0: clips}, {0: clips}, {0: clips}, ({0: products},) * 9)
    inputs = [draw_pairs(count, 3, shelf) for count, shelf in ((3, 7), (5, 4), (2, 40))]
    check_export(randomize(PairwiseScores()), inputs, sizes)
