"""The timeline of a video: what is on sale when, and how the presenter shows it.

Times are seconds from the start of the clip or stream. Products are indices into the products of
the video's plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PICKUP_S = 0.7  # time to pick a product up from under the table, and to put it back
HIDDEN_FRACTION = 0.35  # of PICKUP_S, while the table still hides the product
_KEYFRAME_INTERVAL_S = (1.2, 2.6)
_MIN_PRESENTATION_S = 2.5 * PICKUP_S + 0.5

Span = tuple[float, float]  # start and end in seconds


@dataclass(frozen=True, slots=True)
class Keyframe:
    """The rotation of a product at a time, in radians; 0 faces the camera."""

    time: float
    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Presentation:
    """One product in one hand from `start` to `end`, except while it stands on the table.

    `side` is the hand (1 or -1), `area` the fraction of the frame that the product fills, `aim`
    its position in the frame (x, y in 0..1) and `on_table` the span during which it stands on
    the table, if any. `phase` seeds the sway of the hand.
    """

    product: int
    start: float
    end: float
    side: int
    area: float
    aim: tuple[float, float]
    keyframes: tuple[Keyframe, ...]
    on_table: Span | None
    phase: float


@dataclass(frozen=True, slots=True)
class SaleSlot:
    """The product that is on sale from `start` to `end`; None while nothing is."""

    start: float
    end: float
    product: int | None


def plan_presentations(
    slot: SaleSlot,
    visible_fraction: float,
    others: Sequence[int],
    other_prob: float,
    area_range: tuple[float, float],
    rng: np.random.Generator,
) -> list[Presentation]:
    """Plan how the product of a slot is shown, and other products while it is away.

    Args:
        slot: The slot.
        visible_fraction: Fraction of the slot during which its product is visible, 0..1.
        others: Products to show in the gaps.
        other_prob: Chance that a gap shows one of `others`.
        area_range: Range of the fraction of the frame that a product fills.
        rng: Random numbers.
    """
    duration = slot.end - slot.start
    visible_s = visible_fraction * duration if slot.product is not None else 0.0
    count = max(1, min(int(rng.integers(1, 4)), int(visible_s // 4)))
    spans = _draw_spans(duration, visible_s, count, rng)
    area = float(np.exp(rng.uniform(*np.log(area_range))))
    side = int(rng.choice([-1, 1]))
    presentations = []
    if slot.product is not None:
        for span in spans:
            presentations.append(
                _draw_presentation(slot.product, slot.start, span, area, side, rng)
            )
    for gap in _gaps_between(spans if presentations else [], duration):
        if others and rng.random() < other_prob and gap[1] - gap[0] > _MIN_PRESENTATION_S:
            other = int(others[int(rng.integers(len(others)))])
            span = _draw_span_within(gap, rng)
            presentations.append(_draw_presentation(other, slot.start, span, area, -side, rng))
    return sorted(presentations, key=lambda presentation: presentation.start)


def _draw_spans(
    duration: float, visible_s: float, count: int, rng: np.random.Generator
) -> list[Span]:
    """Draw `count` spans in which a product is visible for `visible_s` seconds in total."""
    hidden_s = 2 * PICKUP_S * HIDDEN_FRACTION
    lengths = rng.dirichlet(np.full(count, 4.0)) * visible_s + hidden_s
    rest = duration - lengths.sum()
    if rest <= 0:
        return [(0.0, duration)]
    pauses = rng.dirichlet(np.full(count + 1, 1.5)) * rest
    starts = np.cumsum(pauses[:-1]) + np.concatenate([[0.0], np.cumsum(lengths[:-1])])
    return [(float(a), float(a + length)) for a, length in zip(starts, lengths, strict=True)]


def _gaps_between(spans: Sequence[Span], duration: float) -> list[Span]:
    edges = [0.0, *(edge for span in spans for edge in span), duration]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _draw_span_within(gap: Span, rng: np.random.Generator) -> Span:
    start, end = gap[0] + 0.25, gap[1] - 0.25
    length = min(end - start, float(rng.uniform(2.5, 6.0)))
    start += float(rng.uniform(0, end - start - length + 1e-9))
    return start, start + length


def _draw_presentation(
    product: int,
    slot_start: float,
    span: Span,
    area: float,
    side: int,
    rng: np.random.Generator,
) -> Presentation:
    start, end = slot_start + span[0], slot_start + span[1]
    in_hand_s = end - start - 2 * PICKUP_S
    on_table = None
    if in_hand_s > 5 and area < 0.2 and rng.random() < 0.45:  # a close-up stays in the hand
        table_start = start + PICKUP_S + in_hand_s * float(rng.uniform(0.3, 0.5))
        table_end = table_start + float(rng.uniform(1.5, 4.0))
        on_table = (table_start, min(table_end, end - PICKUP_S - 0.8))
    return Presentation(
        product=product,
        start=start,
        end=end,
        side=side,
        area=area * float(rng.uniform(0.8, 1.2)),
        aim=(0.5 + 0.12 * side + float(rng.uniform(-0.1, 0.1)), float(rng.uniform(0.45, 0.6))),
        keyframes=tuple(_draw_keyframes(start, end, rng)),
        on_table=on_table,
        phase=float(rng.uniform(0, 100)),
    )


def _draw_keyframes(start: float, end: float, rng: np.random.Generator) -> list[Keyframe]:
    """Draw rotations that mostly face the camera and sometimes turn to the side or the back."""
    time, keyframes = start, []
    while time < end + _KEYFRAME_INTERVAL_S[1]:
        kind, sign = rng.random(), rng.choice([-1, 1])
        if kind < 0.72:
            yaw = rng.normal(0, 0.4)
        else:
            yaw = sign * rng.uniform(0.9, 1.5 if kind < 0.9 else 3.1)
        pitch, roll = float(rng.normal(0.08, 0.16)), float(rng.normal(0, 0.14))
        keyframes.append(Keyframe(time, float(yaw), pitch, roll))
        time += float(rng.uniform(*_KEYFRAME_INTERVAL_S))
    return keyframes
