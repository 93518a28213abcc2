"""Text-guided attention: the words of a clip select the patches and frames to attend to.

Every head compares each word with each patch in its own subspace; a patch is salient if it matches
some word. The saliencies of the heads are averaged, so "blue" in one head and "mug" in another
select the blue mug. Two choices keep the attention maps faithful:

- All values share one distribution over the patches. With separate distributions and values per
  head, the heads learn to write the words into the frame vector instead of localizing.
- The gate is never negative, so attended content can only be added. A gate of either sign can
  learn to attend to everything else and subtract it.

Axes: B clips or products, T frames or views, N patches, L words, H heads, D dimensions.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgmn.model.localization import Localizer
from sgmn.model.tokens import ItemTokens

# Scale of gates and of vectors that start at zero: a gate has to move from 0 to about 1, while
# other weights move by hundredths.
GAIN_SCALE = 10.0


class GuidanceOutput(NamedTuple):
    """Guided frames and the attention weights.

    Attributes:
        frames: (B, T, D) guided frame vectors of length 1; zero at padding.
        frame_weights: (B, T) ω, sums to 1 over the frames of an item; 0 at padding.
        patch_weights: (B, T, N) α, sums to 1 over the patches of a frame; 0 at padding.
        frame_saliency: (B, T) how much each frame looks as if something is presented, whatever is
            said: the log-mean-exp of the saliency of its patches without the words. Unlike ω it
            does not depend on other frames. 0 at padding. It has no gradient.
        word_weights: (B, L) how much each word contributes to the attention, sums to 1; 0 at
            padding. For display only: it has no gradient.
        boxes: (B, T, 4) left, top, right and bottom of the product in each frame, as fractions of
            the canvas; may extend beyond it. The whole canvas without a localizer; 0 at padding.
    """

    frames: Tensor
    frame_weights: Tensor
    patch_weights: Tensor
    frame_saliency: Tensor
    word_weights: Tensor
    boxes: Tensor


class Guidance(nn.Module):
    """Attention α over patches and ω over frames, and frame vectors that include attended patches.

    f[t] = norm(c[t] + gate·value(Σ_n α[t,n]·P[t,n])). Query, key and value start as the identity,
    so α is meaningful from the first step if words and patches share a space. Gate and time gain
    start at 0, so an untrained guidance leaves f = c and ω uniform.

    Args:
        dim: The number D of dimensions.
        heads: Number of heads that compare words and patches.
        localize: Whether to add a localizer, which is learned from labeled boxes of clips.
    """

    def __init__(self, dim: int, heads: int = 4, localize: bool = True) -> None:
        super().__init__()
        self.cosine_logits, self.value = CosineLogits(dim, heads), identity_linear(dim)
        self.importance, self.prior = zero_linear(dim, heads), zero_linear(dim, 1)
        self.gate = nn.Parameter(torch.zeros(()))
        self.time_gain = nn.Parameter(torch.zeros(()))
        self.localizer = Localizer(dim) if localize else None

    def forward(self, tokens: ItemTokens) -> GuidanceOutput:
        """Guide clips or products. Items may lack words or frames."""
        mask = tokens.patch_mask & tokens.image_mask.unsqueeze(-1)
        logits = self.compute_logits(tokens)
        saliency = self.compute_saliency(logits, tokens)
        patch_weights = masked_softmax(saliency, mask)
        attended = torch.einsum("btn,btnd->btd", patch_weights, tokens.patches)
        strength = log_mean_exp(saliency, mask)
        frame_weights = self.compute_frame_weights(strength, attended, tokens)
        if self.localizer is None:
            boxes = whole_canvas_boxes(tokens.image_mask)
        else:
            boxes = self.localizer.predict_boxes(tokens, patch_weights, attended)
        return GuidanceOutput(
            self.guide_frames(tokens, attended),
            frame_weights,
            patch_weights,
            self.compute_frame_saliency(tokens, mask),
            self.compute_word_weights(logits, patch_weights, frame_weights, tokens),
            boxes,
        )

    def compute_saliency(self, logits: Tensor, tokens: ItemTokens) -> Tensor:
        """Saliency (B, T, N): matches with the words, if there are any, plus what is learned."""
        has_words = tokens.word_mask.any(1)[:, None, None]
        matches = logits.logsumexp(2).mean(1).masked_fill(~has_words, 0.0)
        return matches + self.score_appearance(tokens, tokens.text)

    def score_appearance(self, tokens: ItemTokens, text: Tensor) -> Tensor:
        """What is learned of presented products: (B, T, N), given transcripts as vectors (B, D)."""
        scores: Tensor = self.prior(tokens.patches).squeeze(-1)
        if self.localizer is not None:
            scores = scores + self.localizer.score_patches(tokens, text)
        return scores

    @torch.no_grad()
    def compute_frame_saliency(self, tokens: ItemTokens, mask: Tensor) -> Tensor:
        """Saliency (B, T) of the frames to someone who does not hear the words."""
        unheard = torch.zeros_like(tokens.text)
        return log_mean_exp(self.score_appearance(tokens, unheard), mask)

    def compute_logits(self, tokens: ItemTokens) -> Tensor:
        """Logits (B, H, L, T, N): similarity of word and patch plus log importance of the word."""
        words = functional.normalize(tokens.words, dim=-1)
        similarity: Tensor = self.cosine_logits(words, tokens.patches.flatten(1, 2))
        logits = similarity + self.log_importance(words, tokens.word_mask).unsqueeze(-1)
        return logits.reshape(*logits.shape[:3], *tokens.patches.shape[1:3])

    def log_importance(self, words: Tensor, mask: Tensor) -> Tensor:
        """Log importance (B, H, L) of each word; the importance sums to 1 over a clip's words."""
        logits: Tensor = self.importance(words).mT
        # A clip without words keeps finite logits: their result is masked later.
        padding = (~mask & mask.any(1, keepdim=True)).unsqueeze(1)
        return logits.masked_fill(padding, -torch.inf).log_softmax(-1)

    def compute_frame_weights(
        self, strength: Tensor, attended: Tensor, tokens: ItemTokens
    ) -> Tensor:
        """ω (B, T): a softmax over the strength of the frames (B, T), plus what is learned."""
        logits = straight_through_gate(strength, self.time_gain)
        if self.localizer is not None:
            logits = logits + self.localizer.score_frames(tokens, attended, strength)
        return masked_softmax(logits, tokens.image_mask)

    def guide_frames(self, tokens: ItemTokens, attended: Tensor) -> Tensor:
        """Add the attended content (B, T, D) to the frame vectors: (B, T, D)."""
        added = straight_through_gate(self.value(attended), GAIN_SCALE * self.gate)
        frames = functional.normalize(tokens.images + added, dim=-1)
        return frames.masked_fill(~tokens.image_mask.unsqueeze(-1), 0.0)

    @torch.no_grad()
    def compute_word_weights(
        self, logits: Tensor, patch_weights: Tensor, frame_weights: Tensor, tokens: ItemTokens
    ) -> Tensor:
        """Share (B, L) of each word in the attention; its importance for items without images."""
        attention = patch_weights * frame_weights.unsqueeze(-1)
        weights = torch.einsum("bltn,btn->bl", logits.softmax(2).mean(1), attention)
        words = functional.normalize(tokens.words, dim=-1)
        importance = self.log_importance(words, tokens.word_mask).exp().mean(1)
        weights = weights + (1 - attention.sum((1, 2))).unsqueeze(1) * importance
        return weights.masked_fill(~tokens.word_mask, 0.0)


class CosineLogits(nn.Module):
    """Cosine similarities in H subspaces, divided by a learned temperature.

    The subspaces start as slices of the D dimensions.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = identity_linear(dim), identity_linear(dim)
        self.log_temperature = nn.Parameter(torch.full((heads,), log(0.1)))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Logits (B, H, V, U) of rows (B, V, D) and (B, U, D)."""
        queries = soft_normalize(split_heads(self.query(queries), self.heads))
        keys = soft_normalize(split_heads(self.key(keys), self.heads))
        temperature = self.log_temperature.exp().clamp(0.01, 10.0)
        return queries / temperature[:, None, None] @ keys.mT


def log_mean_exp(saliency: Tensor, mask: Tensor) -> Tensor:
    """Log-mean-exp (B, T) over the patches (B, T, N) of each frame; 0 for frames without any."""
    has_patches = mask.any(-1)
    masked = saliency.masked_fill(~mask & has_patches.unsqueeze(-1), -torch.inf)
    mean = masked.logsumexp(-1) - mask.sum(-1).clamp(min=1).log()
    return mean.masked_fill(~has_patches, 0.0)


def whole_canvas_boxes(image_mask: Tensor) -> Tensor:
    """Boxes (B, T, 4) of the whole canvas; 0 at padding."""
    box = torch.tensor([0.0, 0.0, 1.0, 1.0], device=image_mask.device)
    return image_mask.unsqueeze(-1) * box


def straight_through_gate(value: Tensor, gate: Tensor) -> Tensor:
    """Compute max(gate, 0)·value with gradients that do not vanish at a closed gate.

    The gate gets the gradient of an unclamped gate, and the value that of a gate of at least 1.
    Attention can therefore learn where to look before its gate opens.
    """
    gate = gate + (gate.clamp(min=0.0) - gate).detach()
    missing = (1.0 - gate.detach()).clamp(min=0.0)
    return gate * value + missing * (value - value.detach())


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where the mask is True; 0 elsewhere and in empty rows."""
    has_any = mask.any(-1, keepdim=True)
    weights = logits.masked_fill(~mask & has_any, -torch.inf).softmax(-1)
    return weights.masked_fill(~mask, 0.0)


def split_heads(rows: Tensor, heads: int) -> Tensor:
    """Reshape rows (..., V, D) to heads (..., H, V, D/H)."""
    return rows.reshape(*rows.shape[:-1], heads, rows.shape[-1] // heads).transpose(-2, -3)


def soft_normalize(rows: Tensor) -> Tensor:
    """Normalize rows to length 1. Rows near zero stay short, so their gradient stays bounded."""
    return rows * (rows.square().sum(-1, keepdim=True) + 1e-4).rsqrt()


def identity_linear(dim: int) -> nn.Linear:
    """A linear layer (D to D) without bias that starts as the identity."""
    layer = nn.Linear(dim, dim, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def zero_linear(dim: int, out: int) -> nn.Linear:
    """A linear layer without bias that starts at zero."""
    layer = nn.Linear(dim, out, bias=False)
    nn.init.zeros_(layer.weight)
    return layer
