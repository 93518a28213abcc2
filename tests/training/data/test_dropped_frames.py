"""Frames that a clip loses in training."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sgmn.training.config import TrainConfig
from sgmn.training.data.dropped_frames import sample_dropped_frames

DRAWS = 4000


def draw(train: TrainConfig, count: int, rng: np.random.Generator) -> list[range]:
    return [sample_dropped_frames(count, train, rng) for _ in range(DRAWS)]


def test_half_of_the_clips_lose_their_end_as_in_lpr4m(rng: np.random.Generator) -> None:
    """A tail of 0, 1 … 9 of ten frames, each equally likely, with probability 0.5."""
    dropped = draw(TrainConfig(drop_tail_prob=0.5), 10, rng)
    assert all(span.stop == 10 for span in dropped)
    lengths = Counter(len(span) for span in dropped)
    assert sorted(lengths) == list(range(10))
    assert lengths[0] / DRAWS == pytest.approx(0.55, abs=0.03)
    for length in range(1, 10):
        assert lengths[length] / DRAWS == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("tail", [0.0, 1.0])
def test_a_frame_stays(count: int, tail: float, rng: np.random.Generator) -> None:
    train = TrainConfig(drop_tail_prob=tail, max_dropped_frames_fraction=1.0)
    lengths = {len(span) for span in draw(train, count, rng)}
    assert lengths == set(range(max(1, count)))


def test_a_span_lies_anywhere(rng: np.random.Generator) -> None:
    train = replace(TrainConfig(), max_dropped_frames_fraction=0.6)
    spans = {(span.start, span.stop) for span in draw(train, 5, rng)}
    wanted = {(start, start + n) for n in (1, 2) for start in range(6 - n)}
    assert {span for span in spans if span[0] < span[1]} == wanted
