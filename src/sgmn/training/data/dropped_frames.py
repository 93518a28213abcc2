"""Draws which frames of a clip are dropped in training."""

from __future__ import annotations

import numpy as np

from sgmn.training.config import TrainConfig

TAILS = 10  # the end of a clip is 0, 1/10, …, 9/10 of its frames


def sample_dropped_frames(count: int, train: TrainConfig, rng: np.random.Generator) -> range:
    """Draw the positions of the frames that a clip of `count` frames loses; one frame stays.

    They are the end of the clip if `drop_tail_prob` is set, otherwise a span anywhere in it.
    """
    if train.drop_tail_prob:
        tail = int(rng.integers(TAILS)) if rng.random() < train.drop_tail_prob else 0
        length = _limit(tail * count // TAILS, count)
        return range(count - length, count)
    length = _limit(int(rng.uniform(0, train.max_dropped_frames_fraction) * count), count)
    start = int(rng.integers(count - length + 1))
    return range(start, start + length)


def _limit(length: int, count: int) -> int:
    return max(0, min(length, count - 1))
