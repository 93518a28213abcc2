"""Runs of equal states in a decoded path, and the removal of runs that are too short."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from sgmn.live.decoder import LogProbs


def find_runs(path: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the first step, and the step after the last one, of each run of one state.

    >>> find_runs(np.array([7, 7, 2]))
    [(0, 2), (2, 3)]
    """
    starts = np.flatnonzero(np.diff(path)) + 1
    return list(pairwise([0, *(int(start) for start in starts), len(path)]))


def merge_short_runs(
    path: NDArray[np.int64],
    log_probs: LogProbs,
    edges_s: NDArray[np.float64],
    min_segment_s: float,
    is_first_fixed: bool = False,
) -> NDArray[np.int64]:
    """Return the path with every run shorter than `min_segment_s` merged into a neighbor.

    The shortest run goes first, to the neighbor whose state explains its steps better.

    Args:
        path: (W,) states.
        log_probs: (W, K) evidence of the steps.
        edges_s: (W + 1,) seconds between which each step counts.
        min_segment_s: The shortest run that stays.
        is_first_fixed: Never change the first run, however short it is.
    """
    path = path.copy()
    while len(runs := find_runs(path)) > 1:
        lengths_s = [edges_s[stop] - edges_s[start] for start, stop in runs]
        if is_first_fixed:
            lengths_s[0] = inf
        shortest = int(np.argmin(lengths_s))
        if lengths_s[shortest] >= min_segment_s:
            break
        start, stop = runs[shortest]
        neighbors = [path[i] for i in (start - 1, stop) if 0 <= i < len(path)]
        path[start:stop] = max(neighbors, key=lambda state: log_probs[start:stop, state].sum())
    return path
