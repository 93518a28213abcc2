"""Scores the windows of a recording by its key frames, and again by all frames where in doubt.

The recording is read once for its key frames. A block of windows is scored by them; then those in
doubt are scored again by all frames of their span, which are decoded from the last key frame before
it. So memory holds one block, and windows come out in order. A window that is scored again
has the frames, and so the evidence, that it has when everything is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import islice
from math import floor

import numpy as np
from numpy.typing import NDArray

from sgmn.live.decoder import LogProbs
from sgmn.live.effort import MAX_SPACING_S, choose_windows, find_doubt
from sgmn.live.evidence import TimelineSettings, compute_evidence
from sgmn.live.presence import PresenceFilter, ScoredWindow
from sgmn.live.state_runs import find_runs
from sgmn.live.windows import Window

BLOCK_WINDOWS = 60  # two minutes with the default hop
CONTEXT_WINDOWS = 15  # around a block, so that its edges are as sure as its middle

Rescore = Callable[[Sequence[Sequence[Window]]], Iterable[Sequence[ScoredWindow]]]


@dataclass
class AdaptiveScoring:
    """Decides for which windows of a recording all frames are decoded.

    Attributes:
        settings: Timeline settings.
        rescore: Scores runs of neighboring windows again, by all their frames.
        dense_count: Number of windows so far that have been scored by all frames.
        window_count: Number of windows so far.
    """

    settings: TimelineSettings
    rescore: Rescore
    dense_count: int = 0
    window_count: int = 0

    def __post_init__(self) -> None:
        self._presence = PresenceFilter(self.settings)
        self._before = list[LogProbs]()  # evidence of the last windows

    def improve(self, windows: Iterable[ScoredWindow]) -> Iterator[ScoredWindow]:
        """Yield the windows of a recording, scored by key frames, with their final scores."""
        windows = iter(windows)
        pending = list(islice(windows, BLOCK_WINDOWS + CONTEXT_WINDOWS))
        while pending:
            block = self._improve_block(pending)
            yield from block
            evidence = self._compute_evidence(block, self._presence)
            self._before = [*self._before, *evidence][-CONTEXT_WINDOWS:]
            pending = [*pending[BLOCK_WINDOWS:], *islice(windows, BLOCK_WINDOWS)]

    def _improve_block(self, pending: Sequence[ScoredWindow]) -> list[ScoredWindow]:
        """Return the first block of the pending windows with its final scores."""
        block = list(pending[:BLOCK_WINDOWS])
        chosen = self._choose(pending)[: len(block)]
        runs = [slice(*run) for run in find_runs(chosen.astype(np.int64)) if chosen[run[0]]]
        scored = self.rescore([[one.window for one in block[run]] for run in runs])
        for run, windows in zip(runs, scored, strict=True):
            block[run] = windows
        self.dense_count += int(chosen.sum())
        self.window_count += len(block)
        return block

    def _choose(self, pending: Sequence[ScoredWindow]) -> NDArray[np.bool_]:
        evidence = self._compute_evidence(pending, copy(self._presence))
        rows = np.array([*self._before, *evidence])
        doubt = find_doubt(rows, self.settings.switch_cost)
        required = np.array([has_few_frames(one.window) for one in pending])
        return choose_windows(doubt[len(self._before) :], required, self.settings)

    def _compute_evidence(
        self, windows: Sequence[ScoredWindow], presence: PresenceFilter
    ) -> LogProbs:
        """Return the log-likelihoods (W, S + 1) of the next windows of a presence filter."""
        logits = np.array([one.logits for one in windows])
        odds = presence.push_all(one.saliency for one in windows)
        return compute_evidence(logits, self.settings, odds)


def has_few_frames(window: Window) -> bool:
    """Whether key frames are too sparse in this part of the recording."""
    return len(window.frames) < floor((window.end_s - window.start_s) / MAX_SPACING_S)


def assign_frames(windows: Sequence[Window], times_s: Iterable[float]) -> Iterator[Window]:
    """Yield neighboring windows with the numbers of the frames that fall into them.

    Args:
        windows: The windows, in order.
        times_s: Times of the frames, in order; consumed as windows need them. All frames from the
            end of the last window on belong to it.
    """
    times, seen = iter(times_s), list[float]()
    for window in windows[:-1]:
        while not seen or seen[-1] < window.end_s:
            time_s = next(times, None)
            if time_s is None:
                break
            seen.append(time_s)
        start, stop = np.searchsorted(seen, [window.start_s, window.end_s])
        yield replace(window, frames=range(int(start), int(stop)))
    seen.extend(times)
    start = int(np.searchsorted(seen, windows[-1].start_s))
    yield replace(windows[-1], frames=range(start, len(seen)))
