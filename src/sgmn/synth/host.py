"""The host: a seated torso with a head, and two arms whose hands hold what is shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sgmn.synth.colours import COLOURS, mixed
from sgmn.synth.emblems import PATTERNS, pattern
from sgmn.synth.mesh import RGB, Part, Solid, at, joined, moved, plain
from sgmn.synth.shapes import capsule, ellipsoid, lathe, shell, tube

Points = NDArray[np.floating]

SKINS: tuple[RGB, ...] = (
    (244, 208, 180),
    (224, 178, 142),
    (190, 136, 98),
    (132, 86, 58),
    (92, 60, 42),
)
HAIRS: tuple[RGB, ...] = (
    (34, 26, 24),
    (78, 50, 32),
    (150, 104, 58),
    (205, 170, 110),
    (120, 52, 36),
)
PLACE = (0.0, 0.0, -0.42)  # metres; the table's rear edge is at z = -0.2
SHOULDER = 0.5  # metres above the table top
_UPPER, _FORE, _HALF = 0.29, 0.27, 0.19  # arm bones and half the shoulders' width in metres


@dataclass(frozen=True, slots=True)
class Look:
    """How a host looks: the same for a whole clip or stream."""

    skin: RGB
    hair: RGB
    shirt: RGB
    cloth: str
    long_sleeves: bool
    long_hair: bool


def look(rng: np.random.Generator) -> Look:
    """Draw a host."""
    names = list(COLOURS)
    return Look(
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIRS[rng.integers(len(HAIRS))],
        shirt=mixed(COLOURS[names[rng.integers(len(names))]], (128, 128, 128), 0.25),
        cloth=list(PATTERNS)[rng.integers(len(PATTERNS))] if rng.random() < 0.4 else "plain",
        long_sleeves=bool(rng.random() < 0.5),
        long_hair=bool(rng.random() < 0.5),
    )


def body(who: Look) -> Solid:
    """Torso, neck and head, where a host sits behind the table."""
    weave = pattern(who.cloth, who.shirt, mixed(who.shirt, (255, 255, 255), 0.5), 256, 6)
    wide, top = _HALF + 0.015, SHOULDER
    rows = [
        (0.07, 0.05, top + 0.06),
        (0.13, 0.08, top + 0.035),
        (wide, 0.1, top - 0.03),
        (wide * 0.95, 0.125, top - 0.18),
        (wide * 0.85, 0.12, top - 0.4),
        (wide * 0.9, 0.13, -0.3),
    ]
    torso = shell(rows, weave, weave, power=0.8, shine=0.03)
    return moved((*torso, *_head(who)), at(PLACE))


def _head(who: Look) -> Solid:
    skin, hair, y = plain(who.skin), plain(who.hair), SHOULDER + 0.21
    dark = plain((40, 30, 30))
    parts = [
        lathe([(0.045, y - 0.07), (0.05, y - 0.17)], skin, shine=0.05),
        ellipsoid((0, y, 0.0), (0.074, 0.105, 0.09), skin, shine=0.1),
        ellipsoid((0, y + 0.03, -0.018), (0.085, 0.1, 0.094), hair, shine=0.25),
        ellipsoid((0, y - 0.01, 0.09), (0.012, 0.024, 0.014), skin, shine=0.1),
        tube(
            _smile(y - 0.05),
            [0.002, 0.005, 0.006, 0.006, 0.006, 0.005, 0.002],
            plain((176, 84, 80)),
        ),
    ]
    for side in (-1, 1):
        parts.append(
            ellipsoid(
                (side * 0.03, y + 0.018, 0.0775), (0.013, 0.009, 0.008), plain((246, 246, 246))
            )
        )
        parts.append(ellipsoid((side * 0.03, y + 0.018, 0.0815), (0.006, 0.007, 0.005), dark))
        parts.append(
            capsule((side * 0.045, y + 0.038, 0.073), (side * 0.017, y + 0.038, 0.084), 0.004, hair)
        )
        if who.long_hair:
            parts.append(
                ellipsoid((side * 0.075, y - 0.08, -0.03), (0.03, 0.14, 0.05), hair, shine=0.25)
            )
    return tuple(parts)


def _smile(y: float) -> Points:
    x = np.linspace(-0.026, 0.026, 7)
    return np.stack([x, y + 14 * x**2, 0.0815 - 12 * x**2], axis=1)


def arm(who: Look, side: int, palm: Points, inward: Points, grip: float) -> Solid:
    """An arm that reaches `palm` (3,), whose hand opens towards `inward` (3,).

    `side` is 1 for the host's left, which the camera sees on its right, -1 for the other;
    `grip` is the half thickness in metres that the fingers close around.
    """
    shoulder = np.array(PLACE) + np.array([side * _HALF, SHOULDER - 0.03, 0.02])
    inward = inward / np.linalg.norm(inward)
    wrist = palm - 0.055 * inward + np.array([0, -0.045, -0.045])
    elbow = _elbow(shoulder, wrist, side)
    skin, sleeve = plain(who.skin), plain(who.shirt)
    upper = capsule(shoulder, elbow, 0.047, sleeve)
    middle = elbow + 0.72 * (wrist - elbow)
    fore = tube(np.stack([elbow, elbow + 0.3 * (wrist - elbow), wrist]), [0.04, 0.042, 0.026], skin)
    parts = [upper, fore, capsule(elbow, elbow + 0.01, 0.04, skin)]
    if who.long_sleeves:
        parts.append(tube(np.stack([elbow, middle]), [0.047, 0.04], sleeve))
        parts.append(capsule(elbow, elbow + 0.01, 0.046, sleeve))
    return (*parts, *_hand(who.skin, wrist, palm, inward, grip))


def _elbow(shoulder: Points, wrist: Points, side: int) -> Points:
    """Two bones between shoulder and wrist; an arm that is too short grows."""
    span = wrist - shoulder
    reach = max(float(np.linalg.norm(span)), 1e-3)
    stretch = max(1.0, reach / (0.98 * (_UPPER + _FORE)))
    upper, fore = stretch * _UPPER, stretch * _FORE
    along = (upper**2 - fore**2 + reach**2) / (2 * reach)
    off = np.sqrt(max(upper**2 - along**2, 0.0))
    down = np.array([side * 0.7, -1.0, -0.1])
    across = down - (down @ span) * span / reach**2
    return np.asarray(shoulder + along * span / reach + off * across / np.linalg.norm(across))


def _hand(skin: RGB, wrist: Points, palm: Points, inward: Points, grip: float) -> Solid:
    """Palm, four fingers that close behind the thing, and a thumb in front of it."""
    front = np.array([0.0, 0.0, 1.0]) - inward[2] * inward
    front = front / max(float(np.linalg.norm(front)), 1e-6)
    up = np.cross(front, inward)
    up = up if up[1] >= 0 or abs(up[1]) < 0.3 else -up
    basis = np.stack([inward, up, front], axis=1)
    fist = fingers(skin, round(min(grip, 0.045), 3)).moved(at(palm, basis))
    return fist, capsule(wrist, palm - 0.022 * inward - 0.01 * up, 0.027, plain(skin))


@lru_cache(maxsize=64)
def fingers(skin: RGB, grip: float) -> Part:
    """A hand whose palm is at the origin: x into the grip, y up the hand, z to the thumb.

    Kept, because its many small tubes are the same in most frames.
    """
    texture, deep = plain(skin), grip + 0.008
    parts = [capsule((-0.022, -0.022, 0), (-0.022, 0.026, 0), 0.024, texture)]
    for row in (-0.03, -0.01, 0.01, 0.03):
        bend, tip = (0, row, -deep), (0.05 - 0.25 * abs(row), row, -deep)
        parts.append(capsule((-0.022, row, -0.012), bend, 0.0095, texture))
        parts.append(capsule(bend, tip, 0.0088, texture))
    joint = (0, 0.018, deep)
    parts.append(capsule((-0.022, 0.012, 0.012), joint, 0.0115, texture))
    parts.append(capsule(joint, (0.032, 0.032, deep), 0.0105, texture))
    return joined(parts)
