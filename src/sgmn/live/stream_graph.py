"""The graph of a whole stream: neighboring windows and candidate products exchange information.

A single window may show the product badly while its neighbors show the same product well. Each
window and its best products interact with the windows before it and, in a recording, with those
after it, through the model's own interaction layer. Axes: N windows of a group, S products of the
shelf, K candidates, D width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from sgmn.errors import SettingsError
from sgmn.model.ranker import CANDIDATE_MARGIN, Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors, score


class _ScoredWindow(NamedTuple):
    """The vectors (1, …) of a window, and its scores (S,) before and after pairwise re-ranking."""

    clip: ClipVectors
    first_pass: Tensor
    alone: Tensor


@dataclass(frozen=True)
class StreamGraph:
    """Scores each window together with its neighbors.

    A ranker without the part "interaction" scores each window alone.

    Attributes:
        ranker: Scores clips against products.
        windows_before: How many earlier windows influence a window.
        windows_after: How many later windows influence a window; 0 for running streams.

    Raises:
        SettingsError: One of the numbers is negative.
    """

    ranker: Ranker
    windows_before: int = 15
    windows_after: int = 0

    def __post_init__(self) -> None:
        if self.windows_before < 0 or self.windows_after < 0:
            message = f"windows_before is {self.windows_before}, windows_after {self.windows_after}"
            raise SettingsError(message, "stream graph", "pass 0 or more windows")

    @torch.inference_mode()
    def scores(self, windows: Iterable[ClipVectors], products: ProductVectors) -> Iterator[Tensor]:
        """Yield the scores (S,) of each window (1, …), in order, `windows_after` windows later.

        Memory holds `windows_before` + 1 + `windows_after` windows.
        """
        group: deque[_ScoredWindow] = deque(maxlen=self.windows_before + 1 + self.windows_after)
        next_index = 0  # position in the group of the next window to yield
        for window in windows:
            next_index -= len(group) == group.maxlen
            group.append(self._score_alone(window, products))
            if len(group) - next_index > self.windows_after:
                yield self._score_in_group(list(group), next_index, products)
                next_index += 1
        while next_index < len(group):
            first = max(0, next_index - self.windows_before)
            yield self._score_in_group(list(group)[first:], next_index - first, products)
            next_index += 1

    @property
    def is_active(self) -> bool:
        """Whether neighbors influence the scores."""
        parts = self.ranker.parts
        return (
            parts is not None
            and parts.interaction is not None
            and self.windows_before + self.windows_after > 0
        )

    def _score_alone(self, window: ClipVectors, products: ProductVectors) -> _ScoredWindow:
        alone = self.ranker.score(window, products)[0]
        first_pass = alone
        if self.is_active:
            first_pass = self.ranker.first_pass.score(window, products)[0]
        return _ScoredWindow(window, first_pass, alone)

    def _score_in_group(
        self, group: list[_ScoredWindow], index: int, products: ProductVectors
    ) -> Tensor:
        """Return the scores (S,) of the window at an index of its group."""
        clip, first_pass, alone = group[index]
        parts = self.ranker.parts
        if parts is None or parts.interaction is None or len(group) == 1:
            return alone
        candidate_count = min(parts.config.candidates, len(first_pass))
        candidates = first_pass.topk(candidate_count).indices
        candidate_vectors = products[candidates]
        clip_images, product_images = parts.interaction(
            torch.cat([member.clip.image for member in group])[None],
            torch.cat([member.clip.has_image for member in group])[None],
            candidate_vectors.image[None],
            candidate_vectors.has_image[None],
            torch.stack([member.first_pass[candidates] for member in group])[None],
        )
        second_pass = score(
            replace(clip, image=clip_images[0, [index]]),
            replace(candidate_vectors, image=product_images[0]),
            self.ranker.weights,
        )
        rescored = second_pass[0] + self._pairwise_change(clip, products, candidates)
        return _replace_candidates(first_pass, candidates, rescored)

    def _pairwise_change(
        self, clip: ClipVectors, products: ProductVectors, candidates: Tensor
    ) -> Tensor | float:
        """Return what the pairwise re-ranker adds to the candidates (K,).

        Neighbors do not influence it.
        """
        parts = self.ranker.parts
        if parts is None or parts.fusion is None:
            return 0.0
        side = parts.fusion.prepare_clips(clip.tokens, clip.token_mask)
        return parts.fusion.score_candidates(side, products.latents, candidates[None])[0]


def _replace_candidates(first_pass: Tensor, candidates: Tensor, rescored: Tensor) -> Tensor:
    """Return the scores with new ones for the candidates, which stay above all other products."""
    others = first_pass.index_fill(0, candidates, -torch.inf)
    excess = float(others.max() - rescored.min())
    lowered = first_pass - (excess + CANDIDATE_MARGIN if excess > 0 else 0.0)
    return lowered.index_copy(0, candidates, rescored)
