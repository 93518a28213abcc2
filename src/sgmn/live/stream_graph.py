"""The graph of a whole stream: neighbouring windows and the shelf's candidates see each other.

A window alone may show the product badly; those around it may show the same one well. Each
window and its best products meet the windows before it and, where the stream has ended, those
after it, by the model's own interaction of instances. Axes: N windows of a group, S products of
the shelf, K candidates, D width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from sgmn.errors import SettingsError
from sgmn.model.ranker import GAP, Ranker
from sgmn.model.scoring import ClipVectors, ProductVectors, score


class _Seen(NamedTuple):
    """One window: its vectors (1, …), its scores (S,) of the first pass, and alone."""

    clip: ClipVectors
    first: Tensor
    alone: Tensor


@dataclass(frozen=True)
class StreamGraph:
    """Scores windows together with `back` windows before each and `ahead` after it.

    With `ahead` 0 it is for running streams. A ranker without the part "interaction" scores
    each window alone, whatever is around it.
    """

    ranker: Ranker
    back: int = 15
    ahead: int = 0

    def __post_init__(self) -> None:
        if self.back < 0 or self.ahead < 0:
            what = f"back is {self.back}, ahead {self.ahead}"
            raise SettingsError(what, "the graph of a stream", "give 0 or more windows")

    @torch.inference_mode()
    def scores(self, windows: Iterable[ClipVectors], products: ProductVectors) -> Iterator[Tensor]:
        """The scores (S,) of each window (1, …), in order, `ahead` windows later.

        What is kept is the `back` + `ahead` + 1 windows that still matter.
        """
        held: deque[_Seen] = deque(maxlen=self.back + 1 + self.ahead)
        behind = 0  # windows of those held that had their turn
        for window in windows:
            behind -= len(held) == held.maxlen
            held.append(self._seen(window, products))
            if len(held) - behind > self.ahead:
                yield self._together(list(held), behind, products)
                behind += 1
        while behind < len(held):
            first = max(0, behind - self.back)
            yield self._together(list(held)[first:], behind - first, products)
            behind += 1

    @property
    def is_any(self) -> bool:
        """Whether neighbours change anything."""
        parts = self.ranker.parts
        return parts is not None and parts.interaction is not None and self.back + self.ahead > 0

    def _seen(self, window: ClipVectors, products: ProductVectors) -> _Seen:
        alone = self.ranker.scores(window, products)[0]
        first = self.ranker.first_pass.scores(window, products)[0] if self.is_any else alone
        return _Seen(window, first, alone)

    def _together(self, group: list[_Seen], place: int, products: ProductVectors) -> Tensor:
        """The scores (S,) of the window at a place of its group."""
        clip, first, alone = group[place]
        parts = self.ranker.parts
        if parts is None or parts.interaction is None or len(group) == 1:
            return alone
        best = first.topk(min(parts.config.candidates, len(first))).indices
        few = products[best]
        seen, shown = parts.interaction(
            torch.cat([one.clip.picture for one in group])[None],
            torch.cat([one.clip.has_picture for one in group])[None],
            few.picture[None],
            few.has_picture[None],
            torch.stack([one.first[best] for one in group])[None],
        )
        again = score(
            replace(clip, picture=seen[0, [place]]),
            replace(few, picture=shown[0]),
            self.ranker.weights,
        )
        return _with_candidates(first, best, again[0] + self._pairs(clip, products, best))

    def _pairs(self, clip: ClipVectors, products: ProductVectors, best: Tensor) -> Tensor | float:
        """What the re-ranker adds to the candidates (K,), which no neighbour changes."""
        parts = self.ranker.parts
        if parts is None or parts.fusion is None:
            return 0.0
        side = parts.fusion.clips(clip.tokens, clip.token_mask)
        return parts.fusion.chosen(side, products.latents, best[None])[0]


def _with_candidates(first: Tensor, best: Tensor, again: Tensor) -> Tensor:
    """The scores with those of the candidates anew; no other product gets above them."""
    others = first.index_fill(0, best, -torch.inf)
    above = float(others.max() - again.min())
    lowered = first - (above + GAP if above > 0 else 0.0)
    return lowered.index_copy(0, best, again)
