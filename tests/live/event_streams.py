"""Streams of scores for the event decoder, and what its tests compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgmn.live.event_decoder import EventDecoder
from sgmn.live.events import Event
from sgmn.live.evidence import TimelineSettings
from sgmn.records import Segment

SHELF = ["a", "b", "c"]
SETTINGS = TimelineSettings(switch_cost=2.0, nothing_threshold=0.0, window_s=2.0, hop_s=2.0)
Span = tuple[float, float, str | None]

sizes = st.tuples(st.integers(1, 20), st.integers(1, 5), st.integers(0, 10_000))
timeline_settings = st.builds(
    TimelineSettings,
    switch_cost=st.sampled_from([0.0, 0.3, 1.0, 3.0, inf]),
    nothing_threshold=st.sampled_from([0.0, 0.1, 0.5]),
    window_s=st.just(2.5),
    min_segment_s=st.sampled_from([0.0, 3.0]),
    presence_weight=st.sampled_from([0.0, 1.5, 4.0]),
)
lags_s = st.sampled_from([0.0, 1.0, 2.5, 6.0, 11.0])
tails_s = st.sampled_from([0.0, 0.7, 9.0])  # from the last window to the end of the stream


def random_stream(
    windows: int, products: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Return times, scores and product ids; windows are uneven and a product lasts for a few."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.5, 3.0, windows))
    dwells = np.repeat(rng.integers(0, products + 1, windows), rng.integers(1, 6, windows))
    scores = rng.normal(0, 2.0, (windows, products))
    scores[np.arange(windows), np.minimum(dwells[:windows], products - 1)] += 3.0
    return times, scores, [f"p{i}" for i in range(products)]


def window_times(count: int) -> NDArray[np.float64]:
    """Return the centers of windows with a hop of 2 s: 1, 3, 5 … s."""
    return np.array([1.0 + 2.0 * i for i in range(count)])


def sharp_logits(*names: str) -> NDArray[np.float64]:
    """Return one window per name, with 9 nats more for that product than for the others."""
    return np.array([[9.0 * (name == product) for product in SHELF] for name in names])


def preference_for_b(*nats: float) -> NDArray[np.float64]:
    """Return windows (W, 3) that prefer b to a by so many nats each, and never c."""
    return np.array([[0.0, gain, -40.0] for gain in nats])


def allowed_lag_s(lag_s: float, settings: TimelineSettings) -> float:
    """Return the lag, or the shortest one that the settings allow."""
    shortest_s = settings.min_segment_s + settings.hop_s if settings.min_segment_s else 0.0
    return max(lag_s, shortest_s)


def decode_stream(
    decoder: EventDecoder, times: Iterable[float], scores: Any, end_s: float
) -> list[tuple[Event, ...]]:
    """Return the events of each window and, last, those of the end."""
    per_window = [decoder.push(time, row) for time, row in zip(times, scores, strict=True)]
    return [*per_window, decoder.end(end_s)]


def flatten(per_window: Iterable[Sequence[Event]]) -> list[Event]:
    return [event for events in per_window for event in events]


def spans_of(timeline: Iterable[Segment]) -> list[Span]:
    return [(segment.start, segment.end, segment.product_id) for segment in timeline]
