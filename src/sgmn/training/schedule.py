"""The learning rate over a run."""

from __future__ import annotations

from math import cos, pi


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate at a step: a linear rise, then half a cosine down to 0.

    >>> [round(warmup_cosine(step, 10, 0.2), 2) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    rising = round(steps * warmup)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + cos(pi * (step - rising) / max(1, steps - rising)))
