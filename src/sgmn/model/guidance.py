"""Text-guided attention: what is said points at where to look, and when.

Every head compares each word with each patch in a space of its own; a patch is salient when
some word answers it. The heads' saliencies add up, so that "blue" in one head and "mug" in
another mean the blue mug. Two choices keep the heat-map honest:

- One distribution over the patches serves all of the content. With one for each head, and
  values of their own, the heads learn to spell the words into the frame instead of pointing.
- The gate is never negative: what is pointed at can only be added. A gate of either sign may as
  well learn to point at everything else and subtract it.

Axes: B clips or products, T frames or views, N patches, L words, H heads, D width.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.tokens import ItemTokens

# A gate is one number that has to travel from 0 to about 1 while a weight moves by hundredths.
GAIN_SCALE = 10.0


class GuidanceOutput(NamedTuple):
    """Where to look, and what is seen there.

    frames: (B, T, D) guided frames of length 1; zero at padding.
    frame_weights: (B, T) ω, sums to 1 over a clip's frames, exactly 0 at padding.
    patch_weights: (B, T, N) α, sums to 1 over a frame's patches, exactly 0 at padding.
    word_weights: (B, L) each word's share in the pointing, sums to 1, exactly 0 at padding; for
        showing, without gradient.
    """

    frames: Tensor
    frame_weights: Tensor
    patch_weights: Tensor
    word_weights: Tensor


class Guidance(nn.Module):
    """α and ω from words and patches, and frames moved towards what α points at.

    f[t] = norm(c[t] + gate·content(Σ_n α[t,n]·P[t,n]). Query, key and content start as the
    identity: where words and patches share a space, α points from the first step, and a fresh
    gate and time gain of 0 leave f = c and ω uniform.
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        self.cosine_logits, self.value = CosineLogits(dim, heads), identity_linear(dim)
        self.importance, self.prior = zero_linear(dim, heads), zero_linear(dim, 1)
        self.gate = nn.Parameter(torch.zeros(()))
        self.time_gain = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: ItemTokens) -> GuidanceOutput:
        """Clips or products, of which any may lack words or frames."""
        mask = tokens.patch_mask & tokens.image_mask.unsqueeze(-1)
        answers = self.compute_logits(tokens)
        spoken = tokens.word_mask.any(1)[:, None, None]
        saliency = answers.logsumexp(2).mean(1).masked_fill(~spoken, 0.0)
        saliency = saliency + self.prior(tokens.patches).squeeze(-1)
        where = masked_softmax(saliency, mask)
        when = self.compute_frame_weights(saliency, mask, tokens.image_mask)
        frames = self.guide_frames(tokens, where)
        return GuidanceOutput(frames, when, where, self.compute_word_weights(answers, where, when, tokens))

    def compute_logits(self, tokens: ItemTokens) -> Tensor:
        """How each patch answers each word, with the word's importance: logits (B, H, L, T, N)."""
        words = functional.normalize(tokens.words, dim=-1)
        alike: Tensor = self.cosine_logits(words, tokens.patches.flatten(1, 2))
        found = alike + self.log_importance(words, tokens.word_mask).unsqueeze(-1)
        return found.reshape(*found.shape[:3], *tokens.patches.shape[1:3])

    def log_importance(self, words: Tensor, mask: Tensor) -> Tensor:
        """The log of each word's importance (B, H, L): a share of the clip's words."""
        logits: Tensor = self.importance(words).mT
        # A silent clip: any logits will do, as nothing of it is weighed or learnt from.
        padding = (~mask & mask.any(1, keepdim=True)).unsqueeze(1)
        return logits.masked_fill(padding, -torch.inf).log_softmax(-1)

    def compute_frame_weights(self, saliency: Tensor, mask: Tensor, present: Tensor) -> Tensor:
        """ω (B, T): how strongly a frame answers, as the log-mean-exp over its patches."""
        some = mask.any(-1)
        salient = saliency.masked_fill(~mask & some.unsqueeze(-1), -torch.inf)
        strength = salient.logsumexp(-1) - mask.sum(-1).clamp(min=1).log()
        strength = strength.masked_fill(~some, 0.0)
        return masked_softmax(straight_through_gate(strength, self.time_gain), present)

    def guide_frames(self, tokens: ItemTokens, where: Tensor) -> Tensor:
        """Frames (B, T, D) with what is pointed at added."""
        pointed = self.value(torch.einsum("btn,btnd->btd", where, tokens.patches))
        frames = functional.normalize(
            tokens.images + straight_through_gate(pointed, GAIN_SCALE * self.gate), dim=-1
        )
        return frames.masked_fill(~tokens.image_mask.unsqueeze(-1), 0.0)

    @torch.no_grad()
    def compute_word_weights(self, answers: Tensor, where: Tensor, when: Tensor, tokens: ItemTokens) -> Tensor:
        """Each word's share (B, L) in the pointing; its importance where there is no picture."""
        looked = where * when.unsqueeze(-1)
        shares = torch.einsum("bltn,btn->bl", answers.softmax(2).mean(1), looked)
        words = functional.normalize(tokens.words, dim=-1)
        important = self.log_importance(words, tokens.word_mask).exp().mean(1)
        shares = shares + (1 - looked.sum((1, 2))).unsqueeze(1) * important
        return shares.masked_fill(~tokens.word_mask, 0.0)


class CosineLogits(nn.Module):
    """Cosines of rows in H spaces, over a learned temperature; the spaces start as slices of D."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = identity_linear(dim), identity_linear(dim)
        self.log_temperature = nn.Parameter(torch.full((heads,), log(0.1)))

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Logits (B, H, V, U) of rows (B, V, D) and (B, U, D)."""
        queries = soft_normalize(split_heads(self.query(asking), self.heads))
        keys = soft_normalize(split_heads(self.key(asked), self.heads))
        temperature = self.log_temperature.exp().clamp(0.01, 10.0)
        return queries / temperature[:, None, None] @ keys.mT


def box_loss(patch_weights: Tensor, inside: Tensor) -> Tensor:
    """How little of α (B, T, N) lies `inside` (B, T, N) bool the box: a scalar >= 0.

    The mean over frames that have a box of -log Σ_inside α; 0 when none has.
    """
    boxed = inside.any(-1) & (patch_weights.sum(-1) > 0)
    share = (patch_weights * inside).sum(-1).clamp(min=1e-20).masked_fill(~boxed, 1.0)
    return -share.log().sum() / boxed.sum().clamp(min=1)


def straight_through_gate(value: Tensor, gate: Tensor) -> Tensor:
    """max(gate, 0)·value, whose gradients do not die while the gate is shut.

    The gate learns as if it could be negative, and the value as if the gate were open to 1 at
    least: so attention learns to point where that would help, before its gate opens.
    """
    gate = gate + (gate.clamp(min=0.0) - gate).detach()
    lack = (1.0 - gate.detach()).clamp(min=0.0)
    return gate * value + lack * (value - value.detach())


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where the mask holds; exactly 0 elsewhere and in empty rows."""
    some = mask.any(-1, keepdim=True)
    shares = logits.masked_fill(~mask & some, -torch.inf).softmax(-1)
    return shares.masked_fill(~mask, 0.0)


def split_heads(rows: Tensor, heads: int) -> Tensor:
    """Rows (..., V, D) to heads (..., H, V, D/H)."""
    return rows.reshape(*rows.shape[:-1], heads, rows.shape[-1] // heads).transpose(-2, -3)


def soft_normalize(rows: Tensor) -> Tensor:
    """Rows at length 1, but near zero (a still video's differences) no steep gradient."""
    return rows * (rows.square().sum(-1, keepdim=True) + 1e-4).rsqrt()


def identity_linear(dim: int) -> nn.Linear:
    """A linear map (D to D) that starts as the identity."""
    layer = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def zero_linear(dim: int, out: int) -> nn.Linear:
    """A linear map that starts at zero."""
    layer = nn.Linear(dim, out, bias=False)
    nn.init.zeros_(layer.weight)
    return layer
