"""Parts as programs without Python: exported once, they say what they say here, for any sizes."""

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
from sgmn.model.scoring import ProductVectors, ScoreHead, score
from sgmn.model.tokens import ItemTokens

D, HEADS = 16, 2


def trained(part: nn.Module) -> nn.Module:
    """As after training: nothing is at its start, and the gates are open."""
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return part.eval()


def tokens(count: int, frames: int, patches: int, words: int) -> tuple[Tensor, ...]:
    """The fields of `ItemTokens`; item 0 is silent and of one frame, the last shows nothing."""
    present = torch.ones(count, frames, dtype=torch.bool)
    present[0, 1:], present[-1] = False, False
    shown = present.unsqueeze(-1).repeat(1, 1, patches)
    shown[:, :, -1] = False
    spoken = torch.ones(count, words, dtype=torch.bool)
    spoken[0] = False
    said = normalize(torch.randn(count, D), dim=-1) * spoken[:, :1]
    return (
        normalize(torch.randn(count, frames, D), dim=-1) * present.unsqueeze(-1),
        present,
        torch.randn(count, frames, patches, D) / D**0.5 * shown.unsqueeze(-1),
        shown,
        torch.randn(count, words, D) * spoken.unsqueeze(-1),
        spoken,
        said,
        spoken.any(1),
    )


def products(count: int) -> tuple[Tensor, ...]:
    """Picture, whether there is one, title, whether there is one; the first has no picture."""
    there = torch.ones(count, dtype=torch.bool)
    pictured = there & (torch.arange(count) > 0)
    picture, title = normalize(torch.randn(2, count, D), dim=-1)
    return picture * pictured.unsqueeze(1), pictured, title, there


class FirstPass(nn.Module):
    """Tokens of clips and vectors of products to scores, and to where was looked."""

    def __init__(self) -> None:
        super().__init__()
        self.guidance, self.head = Guidance(D, HEADS), ScoreHead()
        # A graph module has a `graph` of its own: what is exported must name none at its top.
        self.clip_graph = ClipGraph(D, HEADS, layers=2, instances=3)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        clips, shelf = ItemTokens(*given[:8]), ProductVectors(*given[8:])
        seen = self.guidance(clips)
        frames = self.clip_graph(
            seen.frames, clips.image_mask, clips.patches, seen.patch_weights, clips.patch_mask
        )
        found = pool_frames(frames, seen.frame_weights, clips.text, clips.has_text)
        return score(found, shelf, self.head()), *seen[1:]


class Pairs(nn.Module):
    """What clips read and products to the scores of all pairs, and of some."""

    def __init__(self) -> None:
        super().__init__()
        self.fusion = Fusion(D, 1, latents=4)

    def forward(self, read: Tensor, mask: Tensor, places: Tensor, *shop: Tensor) -> Any:
        side = self.fusion.prepare_clips(read, mask)
        shelf = self.fusion.prepare_products(self.fusion.encode_products(ItemTokens(*shop)))
        return self.fusion(side, shelf), self.fusion.score_candidates(side, shelf, places)


def outcome(part: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        found: tuple[Tensor, ...] = part(*given)
    return found


def same(part: nn.Module, shown: tuple[Tensor, ...], others: list[Any], sizes: Any) -> None:
    """Exported from `shown`, the part says the same of it and of others of other sizes."""
    program = export(part, shown, dynamic_shapes=sizes, strict=False).module()
    for given in (shown, *others):
        expected, found = outcome(part, given), outcome(program, given)
        assert all(one.isfinite().all() for one in expected)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    # Its lines of debugging, which pytest would gather, take longer than the export.
    monkeypatch.setattr(logging.getLogger("torch.__trace"), "disabled", True)


def test_guidance_clip_graph_and_score() -> None:
    """Any number of clips, words and products; of frames and patches from a few on."""
    b, words, s = (Dim(name) for name in ("clips", "words", "products"))
    t, n = Dim("frames", min=3), Dim("patches", min=4)  # more than the graph takes of a frame
    of_clips = ({0: b, 1: t},) * 2 + ({0: b, 1: t, 2: n},) * 2 + ({0: b, 1: words},) * 2
    sizes = ((*of_clips, {0: b}, {0: b}, *({0: s},) * 4),)
    part = trained(FirstPass())
    with torch.no_grad():
        part.head.match.fill_(0.4)
        part.head.cross.fill_(0.3)
    others = [(*tokens(5, 6, 9, 8), *products(9)), (*tokens(2, 3, 5, 2), *products(3))]
    same(part, (*tokens(3, 4, 6, 5), *products(7)), others, sizes)


def group(groups: int, clips: int, products: int) -> tuple[Tensor, ...]:
    seen, shown = (normalize(torch.randn(groups, n, D), dim=-1) for n in (clips, products))
    there, listed = (torch.rand(groups, n) > 0.3 for n in (clips, products))
    return seen, there, shown, listed, torch.randn(groups, clips, products)


def test_interaction() -> None:
    """Any number of groups, of windows and of candidates."""
    g, w, s = Dim("groups"), Dim("windows", min=3), Dim("candidates", min=3)
    sizes = ({0: g, 1: w}, {0: g, 1: w}, {0: g, 1: s}, {0: g, 1: s}, {0: g, 1: w, 2: s})
    part = trained(Interaction(D, HEADS, neighbors=3))
    same(part, group(2, 4, 5), [group(3, 6, 7), group(5, 3, 3)], sizes)


def read(clips: int, candidates: int, shop: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What clips read; the first reads nothing."""
    mask = torch.rand(clips, 9) > 0.3
    mask[0] = False
    places = torch.randint(len(shop[0]), (clips, candidates))
    return torch.randn(clips, 9, D) * mask.unsqueeze(-1), mask, places, *shop


def test_fusion() -> None:
    """Any number of clips and products, each with each and with chosen candidates."""
    b, s = Dim("clips"), Dim("products")
    sizes = ({0: b}, {0: b}, {0: b}, ({0: s},) * 8)
    given = [read(b, 3, tokens(s, 2, 6, 5)) for b, s in ((3, 7), (5, 4), (2, 40))]
    same(trained(Pairs()), given[0], given[1:], sizes)
