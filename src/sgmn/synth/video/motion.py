"""The motion of a presented product over time."""

from __future__ import annotations

import numpy as np

from sgmn.synth.plan.timeline import PICKUP_S, Presentation

_PUT_DOWN_S = 0.7
_HAND_MOVE_S = 0.5  # time for the hand to reach or leave the product


def smoothstep(x: float) -> float:
    """Interpolate from 0 at x <= 0 to 1 at x >= 1, with zero slope at both ends."""
    x = float(np.clip(x, 0, 1))
    return x * x * (3 - 2 * x)


def rotation_at(presentation: Presentation, time: float) -> tuple[float, float, float]:
    """Return yaw, pitch and roll of the product at a time, in radians."""
    keyframes = presentation.keyframes
    last = len(keyframes) - 1
    index = next((i for i, keyframe in enumerate(keyframes) if keyframe.time > time), last)
    after, before = keyframes[index], keyframes[max(index - 1, 0)]
    interval = max(after.time - before.time, 1e-6)
    # The factor makes the product rest for a moment at each keyframe.
    weight = smoothstep((time - before.time) / interval * 1.4 - 0.2)
    sway = 0.05 * np.sin(1.7 * time + presentation.phase)
    return (
        before.yaw + weight * (after.yaw - before.yaw) + float(sway),
        before.pitch + weight * (after.pitch - before.pitch),
        before.roll + weight * (after.roll - before.roll) + 0.5 * float(sway),
    )


def lift_fraction(presentation: Presentation, time: float) -> float:
    """Return 0 while the product is under the table and 1 while it is up."""
    rise = smoothstep((time - presentation.start) / PICKUP_S)
    return rise * smoothstep((presentation.end - time) / PICKUP_S)


def table_fraction(presentation: Presentation, time: float) -> float:
    """Return 0 while the product is in the air and 1 while it stands on the table."""
    if presentation.on_table is None:
        return 0.0
    start, end = presentation.on_table
    return smoothstep((time - start) / _PUT_DOWN_S + 1) * smoothstep((end - time) / _PUT_DOWN_S + 1)


def grip_fraction(presentation: Presentation, time: float) -> float:
    """Return 1 while the hand holds the product and 0 while the hand is away."""
    reach = smoothstep((time - presentation.start) / _HAND_MOVE_S + 1)
    reach *= smoothstep((presentation.end - time) / _HAND_MOVE_S + 1)
    if presentation.on_table is None:
        return reach
    start, end = presentation.on_table
    away = smoothstep((time - start) / _HAND_MOVE_S) * smoothstep((end - time) / _HAND_MOVE_S)
    return reach * (1 - away)
