"""The presenter of a livestream: a seated body, and two arms whose hands hold products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sgmn.synth.graphics.mesh import (
    RGB,
    Mesh,
    Solid,
    color_texture,
    merge_meshes,
    transform,
    transform_matrix,
)
from sgmn.synth.graphics.shapes import capsule, ellipsoid, lathe, loft, tube
from sgmn.synth.products.colors import COLORS, mix_colors
from sgmn.synth.products.patterns import PATTERNS, pattern_texture

Points = NDArray[np.floating]

SKIN_COLORS: tuple[RGB, ...] = (
    (244, 208, 180),
    (224, 178, 142),
    (190, 136, 98),
    (132, 86, 58),
    (92, 60, 42),
)
HAIR_COLORS: tuple[RGB, ...] = (
    (34, 26, 24),
    (78, 50, 32),
    (150, 104, 58),
    (205, 170, 110),
    (120, 52, 36),
)
BODY_POSITION = (0.0, 0.0, -0.42)  # meters; the rear edge of the table is at z = -0.2
SHOULDER_HEIGHT = 0.5  # meters above the table top
_UPPER_ARM, _FOREARM, _HALF_SHOULDER_WIDTH = 0.29, 0.27, 0.19  # meters


@dataclass(frozen=True, slots=True)
class Presenter:
    """The looks of a presenter, which stay the same for a whole clip or stream."""

    skin: RGB
    hair: RGB
    shirt: RGB
    shirt_pattern: str
    long_sleeves: bool
    long_hair: bool


def draw_presenter(rng: np.random.Generator) -> Presenter:
    """Draw the looks of a presenter."""
    names = list(COLORS)
    return Presenter(
        skin=SKIN_COLORS[rng.integers(len(SKIN_COLORS))],
        hair=HAIR_COLORS[rng.integers(len(HAIR_COLORS))],
        shirt=mix_colors(COLORS[names[rng.integers(len(names))]], (128, 128, 128), 0.25),
        shirt_pattern=_draw_shirt_pattern(rng),
        long_sleeves=bool(rng.random() < 0.5),
        long_hair=bool(rng.random() < 0.5),
    )


def _draw_shirt_pattern(rng: np.random.Generator) -> str:
    return list(PATTERNS)[rng.integers(len(PATTERNS))] if rng.random() < 0.4 else "plain"


def build_body(presenter: Presenter) -> Solid:
    """Build torso, neck and head, seated behind the table."""
    second_color = mix_colors(presenter.shirt, (255, 255, 255), 0.5)
    fabric = pattern_texture(presenter.shirt_pattern, presenter.shirt, second_color, 256, 6)
    half_width, top = _HALF_SHOULDER_WIDTH + 0.015, SHOULDER_HEIGHT
    rows = [
        (0.07, 0.05, top + 0.06),
        (0.13, 0.08, top + 0.035),
        (half_width, 0.1, top - 0.03),
        (half_width * 0.95, 0.125, top - 0.18),
        (half_width * 0.85, 0.12, top - 0.4),
        (half_width * 0.9, 0.13, -0.3),
    ]
    torso = loft(rows, fabric, fabric, power=0.8, specular=0.03)
    return transform((*torso, *_build_head(presenter)), transform_matrix(BODY_POSITION))


def _build_head(presenter: Presenter) -> Solid:
    skin, hair = color_texture(presenter.skin), color_texture(presenter.hair)
    y = SHOULDER_HEIGHT + 0.21
    lip_radii = [0.002, 0.005, 0.006, 0.006, 0.006, 0.005, 0.002]
    meshes = [
        lathe([(0.045, y - 0.07), (0.05, y - 0.17)], skin, specular=0.05),  # neck
        ellipsoid((0, y, 0.0), (0.074, 0.105, 0.09), skin, specular=0.1),
        ellipsoid((0, y + 0.03, -0.018), (0.085, 0.1, 0.094), hair, specular=0.25),
        ellipsoid((0, y - 0.01, 0.09), (0.012, 0.024, 0.014), skin, specular=0.1),  # nose
        tube(_mouth_path(y - 0.05), lip_radii, color_texture((176, 84, 80))),
    ]
    white, pupil = color_texture((246, 246, 246)), color_texture((40, 30, 30))
    for side in (-1, 1):
        meshes.append(ellipsoid((side * 0.03, y + 0.018, 0.0775), (0.013, 0.009, 0.008), white))
        meshes.append(ellipsoid((side * 0.03, y + 0.018, 0.0815), (0.006, 0.007, 0.005), pupil))
        brow_ends = (side * 0.045, y + 0.038, 0.073), (side * 0.017, y + 0.038, 0.084)
        meshes.append(capsule(*brow_ends, 0.004, hair))
        if presenter.long_hair:
            center, radii = (side * 0.075, y - 0.08, -0.03), (0.03, 0.14, 0.05)
            meshes.append(ellipsoid(center, radii, hair, specular=0.25))
    return tuple(meshes)


def _mouth_path(y: float) -> Points:
    x = np.linspace(-0.026, 0.026, 7)
    return np.stack([x, y + 14 * x**2, 0.0815 - 12 * x**2], axis=1)


def build_arm(
    presenter: Presenter, side: int, palm: Points, inward: Points, grip_radius: float
) -> Solid:
    """Build an arm whose palm is at `palm` (3,) and opens towards `inward` (3,).

    `side` is 1 for the presenter's left arm, which is on the right in the image, and -1 for the
    other. The fingers close around half a thickness of `grip_radius` meters.
    """
    shoulder_offset = np.array([side * _HALF_SHOULDER_WIDTH, SHOULDER_HEIGHT - 0.03, 0.02])
    shoulder = np.array(BODY_POSITION) + shoulder_offset
    inward = inward / np.linalg.norm(inward)
    wrist = palm - 0.055 * inward + np.array([0, -0.045, -0.045])
    elbow = _elbow_position(shoulder, wrist, side)
    skin, sleeve = color_texture(presenter.skin), color_texture(presenter.shirt)
    upper_arm = capsule(shoulder, elbow, 0.047, sleeve)
    forearm_path = np.stack([elbow, elbow + 0.3 * (wrist - elbow), wrist])
    forearm = tube(forearm_path, [0.04, 0.042, 0.026], skin)
    meshes = [upper_arm, forearm, capsule(elbow, elbow + 0.01, 0.04, skin)]
    if presenter.long_sleeves:
        sleeve_end = elbow + 0.72 * (wrist - elbow)
        meshes.append(tube(np.stack([elbow, sleeve_end]), [0.047, 0.04], sleeve))
        meshes.append(capsule(elbow, elbow + 0.01, 0.046, sleeve))
    return (*meshes, *_build_hand(presenter.skin, wrist, palm, inward, grip_radius))


def _elbow_position(shoulder: Points, wrist: Points, side: int) -> Points:
    """Return the elbow between two bones; the bones are stretched if the arm is too short."""
    span = wrist - shoulder
    reach = max(float(np.linalg.norm(span)), 1e-3)
    stretch = max(1.0, reach / (0.98 * (_UPPER_ARM + _FOREARM)))
    upper_arm, forearm = stretch * _UPPER_ARM, stretch * _FOREARM
    along = (upper_arm**2 - forearm**2 + reach**2) / (2 * reach)
    offset = np.sqrt(max(upper_arm**2 - along**2, 0.0))
    down = np.array([side * 0.7, -1.0, -0.1])
    across = down - (down @ span) * span / reach**2
    return np.asarray(shoulder + along * span / reach + offset * across / np.linalg.norm(across))


def _build_hand(
    skin: RGB, wrist: Points, palm: Points, inward: Points, grip_radius: float
) -> Solid:
    """Build a palm, four fingers that close behind the product and a thumb in front of it."""
    front = np.array([0.0, 0.0, 1.0]) - inward[2] * inward
    front = front / max(float(np.linalg.norm(front)), 1e-6)
    up = np.cross(front, inward)
    up = up if up[1] >= 0 or abs(up[1]) < 0.3 else -up
    rotation = np.stack([inward, up, front], axis=1)
    fingers = _build_fingers(skin, round(min(grip_radius, 0.045), 3))
    fingers = fingers.transform(transform_matrix(palm, rotation))
    palm_end = palm - 0.022 * inward - 0.01 * up
    return fingers, capsule(wrist, palm_end, 0.027, color_texture(skin))


@lru_cache(maxsize=64)
def _build_fingers(skin: RGB, grip_radius: float) -> Mesh:
    """Build palm and fingers at the origin: x into the grip, y up the hand, z to the thumb.

    The result is cached because most frames use the same hand, which has many small tubes.
    """
    texture, depth = color_texture(skin), grip_radius + 0.008
    meshes = [capsule((-0.022, -0.022, 0), (-0.022, 0.026, 0), 0.024, texture)]
    for y in (-0.03, -0.01, 0.01, 0.03):
        joint, tip = (0, y, -depth), (0.05 - 0.25 * abs(y), y, -depth)
        meshes.append(capsule((-0.022, y, -0.012), joint, 0.0095, texture))
        meshes.append(capsule(joint, tip, 0.0088, texture))
    thumb_joint = (0, 0.018, depth)
    meshes.append(capsule((-0.022, 0.012, 0.012), thumb_joint, 0.0115, texture))
    meshes.append(capsule(thumb_joint, (0.032, 0.032, depth), 0.0105, texture))
    return merge_meshes(meshes)
