"""Rows of scores for the timeline: random ones, and ones with a known answer."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgmn.live.evidence import TimelineSettings

SHELF = ["a", "b", "c", "d", "e"]
STEADY = TimelineSettings(switch_cost=3.0, nothing_threshold=0.3)
Rows = NDArray[np.float64]

sizes = st.tuples(st.integers(1, 25), st.integers(1, 6), st.integers(0, 10_000))
timeline_settings = st.builds(
    TimelineSettings,
    switch_cost=st.sampled_from([0.0, 0.5, 3.0, inf]),
    nothing_threshold=st.sampled_from([0.0, 0.3, 0.8]),
    min_segment_s=st.sampled_from([0.0, 5.0]),
)


def random_rows(windows: int, products: int, seed: int) -> tuple[Rows, Rows, list[str]]:
    """Return times, scores and product ids."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.5, 3.0, windows))
    return times, rng.normal(0, 3.0, (windows, products)), [f"p{i}" for i in range(products)]


def planted_rows(
    products: Sequence[int | None], windows_each: int = 10, peak: float = 4.0
) -> tuple[Rows, Rows]:
    """Return times, 2 s apart, and scores in which each product stands out in turn; None: flat."""
    scores = np.random.default_rng(0).normal(0, 0.3, (windows_each * len(products), len(SHELF)))
    for place, product in enumerate(products):
        if product is not None:
            scores[place * windows_each : (place + 1) * windows_each, product] += peak
    return np.array([1.0 + 2.0 * i for i in range(len(scores))]), scores
