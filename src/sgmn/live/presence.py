"""Whether something is being presented at all, from how salient the frames of a window are.

Guidance knows what a presented product looks like, whatever is said; see
`GuidanceOutput.frame_saliency`. How salient frames are depends on the room, the light and the
goods, so what counts is how far a window falls below what is usual in its stream. So a pause of
many minutes becomes usual in the end, and then says nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgmn.live.windows import Window

if TYPE_CHECKING:
    from sgmn.live.evidence import TimelineSettings

START_WINDOWS = 5  # for how many windows `usual_saliency` counts at the start of a stream
MEMORY_WINDOWS = 150  # five minutes with the default hop
UNKNOWN = nan  # the saliency of a window without frames, or of a model without guidance


class PresenceFilter:
    """The evidence of each window of one stream that something is presented.

    It uses past windows only, so a recording and a running stream have the same evidence.
    """

    def __init__(self, settings: TimelineSettings) -> None:
        self._weight, self._drop = settings.presence_weight, settings.saliency_drop
        self._usual, self._count = settings.usual_saliency, START_WINDOWS

    def push(self, saliency: float) -> float:
        """Return the log-odds, in nats, that something is presented in the next window.

        They are `presence_weight`·(saliency - usual + `saliency_drop`). What is usual is the mean
        up to and including this window, with a start at `usual_saliency` and an exponential decay
        of older windows. An unknown saliency (nan) says nothing: 0.
        """
        if isnan(saliency):
            return 0.0
        self._count = min(self._count + 1, MEMORY_WINDOWS)
        self._usual += (saliency - self._usual) / self._count
        return self._weight * (saliency - self._usual + self._drop)

    def push_all(self, saliency: Iterable[float]) -> NDArray[np.float64]:
        """Return the log-odds (W,) of the next W windows, in order."""
        return np.array([self.push(float(value)) for value in saliency])


class ScoredWindow(NamedTuple):
    """A window of a stream and its evidence.

    Attributes:
        window: The window.
        logits: (S,) one per product.
        saliency: How salient its frames are, or `UNKNOWN`.
    """

    window: Window
    logits: NDArray[np.float64]
    saliency: float = UNKNOWN


def compute_presence(
    saliency: NDArray[np.floating[Any]] | None, settings: TimelineSettings
) -> NDArray[np.float64] | None:
    """Return the log-odds (W,) of the windows of a stream; None if their saliency is not known."""
    return None if saliency is None else PresenceFilter(settings).push_all(saliency)
