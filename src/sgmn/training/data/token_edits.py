"""Remove or replace the text and the frames of encoded clips.

Axes: B clips, T frames.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from sgmn.model.tokens import ItemTokens


def without_images(tokens: ItemTokens) -> ItemTokens:
    """Remove the frames of tokens; the text, and what it makes a second glance see, stays."""
    return replace(
        tokens,
        images=tokens.images[:, :0],
        image_mask=tokens.image_mask[:, :0],
        patches=tokens.patches[:, :0],
        patch_mask=tokens.patch_mask[:, :0],
        patch_positions=tokens.patch_positions[:, :0],
    )


def replace_text(tokens: ItemTokens, texts: ItemTokens) -> ItemTokens:
    """Replace the text of tokens, and their second glances, by those of others, row by row."""
    return replace(
        tokens,
        words=texts.words,
        word_mask=texts.word_mask,
        text=texts.text,
        has_text=texts.has_text,
        glances=texts.glances,
        glance_patches=texts.glance_patches,
        glance_frames=texts.glance_frames,
        glance_mask=texts.glance_mask,
    )


def remove_text(tokens: ItemTokens, rows: Tensor) -> ItemTokens:
    """Remove the text of some rows (B,) bool."""
    kept = ~rows
    return replace(
        tokens,
        words=tokens.words * kept[:, None, None],
        word_mask=tokens.word_mask & kept[:, None],
        text=tokens.text * kept[:, None],
        has_text=tokens.has_text & kept,
    )


def remove_frames(tokens: ItemTokens, frames: Tensor) -> ItemTokens:
    """Remove some frames (B, T) bool."""
    kept = ~frames
    return replace(
        tokens,
        images=tokens.images * kept[:, :, None],
        image_mask=tokens.image_mask & kept,
        patches=tokens.patches * kept[:, :, None, None],
        patch_mask=tokens.patch_mask & kept[:, :, None],
        patch_positions=tokens.patch_positions * kept[:, :, None, None],
        glance_mask=tokens.glance_mask & kept.gather(1, tokens.glance_frames),
    )
