"""What happens in a livestream: what is sold when, what is in the host's hand, and how it moves.

Times are seconds from the start of the clip or stream; products are places in its cast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENTER_S = 0.7  # to pick a product up from under the table, and to put it back
_UNSEEN = 0.35  # share of ENTER_S in which the table still hides it
_TURN_S = (1.2, 2.6)


@dataclass(frozen=True, slots=True)
class Knot:
    """How a product is turned at a time: radians; 0 faces the camera."""

    time: float
    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Showing:
    """One product in one hand from `start` to `end`; on the table in between, if `down` is set.

    `share` is the area of the picture that it should fill, `aim` the place in the picture
    (x, y in 0..1) where it is held, `side` the hand (1 or -1), `phase` seeds the sway.
    """

    product: int
    start: float
    end: float
    side: int
    share: float
    aim: tuple[float, float]
    knots: tuple[Knot, ...]
    down: tuple[float, float] | None
    phase: float


@dataclass(frozen=True, slots=True)
class Sale:
    """From `start` to `end` the product is on sale; None means nothing is."""

    start: float
    end: float
    product: int | None


def showings(
    sale: Sale,
    visible: float,
    others: Sequence[int],
    compare: float,
    scale: tuple[float, float],
    rng: np.random.Generator,
) -> list[Showing]:
    """How a sale's product is shown for a share `visible` of its time, and others in between.

    With a chance of `compare` a gap in which the product is away shows one of `others`.
    """
    length = sale.end - sale.start
    wanted = visible * length if sale.product is not None else 0.0
    count = max(1, min(int(rng.integers(1, 4)), int(wanted // 4)))
    spans = _spans(length, wanted, count, rng)
    share = float(np.exp(rng.uniform(*np.log(scale))))
    side = int(rng.choice([-1, 1]))
    found = []
    if sale.product is not None:
        for span in spans:
            found.append(_showing(sale.product, sale.start, span, share, side, rng))
    for gap in _gaps(spans if found else [], length):
        if others and rng.random() < compare and gap[1] - gap[0] > 2.5 * ENTER_S + 0.5:
            other = int(others[int(rng.integers(len(others)))])
            cut = _trimmed(gap, rng)
            found.append(_showing(other, sale.start, cut, share, -side, rng))
    return sorted(found, key=lambda showing: showing.start)


def _spans(
    length: float, wanted: float, count: int, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """`count` spans that are visible for `wanted` seconds altogether, spread over the length."""
    hidden = 2 * ENTER_S * _UNSEEN
    parts = rng.dirichlet(np.full(count, 4.0)) * wanted + hidden
    rest = length - parts.sum()
    if rest <= 0:
        return [(0.0, length)]
    pauses = rng.dirichlet(np.full(count + 1, 1.5)) * rest
    starts = np.cumsum(pauses[:-1]) + np.concatenate([[0.0], np.cumsum(parts[:-1])])
    return [(float(a), float(a + part)) for a, part in zip(starts, parts, strict=True)]


def _gaps(spans: Sequence[tuple[float, float]], length: float) -> list[tuple[float, float]]:
    edges = [0.0, *(edge for span in spans for edge in span), length]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _trimmed(gap: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    start, end = gap[0] + 0.25, gap[1] - 0.25
    length = min(end - start, float(rng.uniform(2.5, 6.0)))
    start += float(rng.uniform(0, end - start - length + 1e-9))
    return start, start + length


def _showing(
    product: int,
    zero: float,
    span: tuple[float, float],
    share: float,
    side: int,
    rng: np.random.Generator,
) -> Showing:
    start, end = zero + span[0], zero + span[1]
    held = end - start - 2 * ENTER_S
    down = None
    if held > 5 and share < 0.2 and rng.random() < 0.45:  # close-ups stay in the hand
        first = start + ENTER_S + held * float(rng.uniform(0.3, 0.5))
        down = (first, min(first + float(rng.uniform(1.5, 4.0)), end - ENTER_S - 0.8))
    return Showing(
        product=product,
        start=start,
        end=end,
        side=side,
        share=share * float(rng.uniform(0.8, 1.2)),
        aim=(0.5 + 0.12 * side + float(rng.uniform(-0.1, 0.1)), float(rng.uniform(0.45, 0.6))),
        knots=tuple(_knots(start, end, rng)),
        down=down,
        phase=float(rng.uniform(0, 100)),
    )


def _knots(start: float, end: float, rng: np.random.Generator) -> list[Knot]:
    """Turns: mostly the front from somewhat aside, now and then the side or the back."""
    time, knots = start, []
    while time < end + _TURN_S[1]:
        kind, way = rng.random(), rng.choice([-1, 1])
        yaw = (
            rng.normal(0, 0.4)
            if kind < 0.72
            else way * rng.uniform(0.9, 1.5 if kind < 0.9 else 3.1)
        )
        knots.append(
            Knot(time, float(yaw), float(rng.normal(0.08, 0.16)), float(rng.normal(0, 0.14)))
        )
        time += float(rng.uniform(*_TURN_S))
    return knots


def smooth(share: float | NDArray[np.floating]) -> float:
    """0 before 0, 1 after 1, and an easy start and stop between."""
    x = float(np.clip(share, 0, 1))
    return x * x * (3 - 2 * x)


def turn(showing: Showing, time: float) -> tuple[float, float, float]:
    """Yaw, pitch and roll in radians at a time."""
    knots = showing.knots
    later = next((i for i, knot in enumerate(knots) if knot.time > time), len(knots) - 1)
    after, before = knots[later], knots[max(later - 1, 0)]
    span = max(after.time - before.time, 1e-6)
    w = smooth((time - before.time) / span * 1.4 - 0.2)  # a short rest at each end
    sway = 0.05 * np.sin(1.7 * time + showing.phase)
    return (
        before.yaw + w * (after.yaw - before.yaw) + float(sway),
        before.pitch + w * (after.pitch - before.pitch),
        before.roll + w * (after.roll - before.roll) + 0.5 * float(sway),
    )


def lifted(showing: Showing, time: float) -> float:
    """0 while the product is under the table, 1 while it is up."""
    return smooth((time - showing.start) / ENTER_S) * smooth((showing.end - time) / ENTER_S)


def set_down(showing: Showing, time: float) -> float:
    """0 while the product is in the air, 1 while it stands on the table."""
    if showing.down is None:
        return 0.0
    first, last = showing.down
    return smooth((time - first) / 0.7 + 1) * smooth((last - time) / 0.7 + 1)


def gripped(showing: Showing, time: float) -> float:
    """1 while the hand is at the product, 0 while it is away."""
    near = smooth((time - showing.start) / 0.5 + 1) * smooth((showing.end - time) / 0.5 + 1)
    if showing.down is None:
        return near
    first, last = showing.down
    away = smooth((time - first) / 0.5) * smooth((last - time) / 0.5)
    return near * (1 - away)
