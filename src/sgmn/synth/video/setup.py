"""Everything that a planned video is rendered from: solids, room, camera and effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sgmn.synth.graphics.camera import Camera
from sgmn.synth.graphics.mesh import Solid
from sgmn.synth.plan.timeline import Presentation
from sgmn.synth.plan.videos import VideoPlan
from sgmn.synth.products.catalog import build_solid
from sgmn.synth.settings import WorldSettings
from sgmn.synth.video.chat_overlay import ChatOverlay
from sgmn.synth.video.room import Placement, Room, draw_room, place_products
from sgmn.synth.video.writer import VideoWriter

_TABLE_DISTRACTORS = 3  # on the table; the others stand on the shelves


@dataclass(frozen=True, slots=True)
class VideoSetup:
    """What a video is rendered from.

    `solids` holds the products that appear and `placements` those that stand in the scene, by
    index into the products of the plan. `camera_shake_px` refers to a frame of 960 lines;
    `exposure_s` is the exposure time of a frame.
    """

    room: Room
    camera: Camera
    solids: Mapping[int, Solid]
    placements: Mapping[int, Placement]
    presentations: Sequence[Presentation]
    overlay: ChatOverlay | None
    camera_shake_px: float
    exposure_s: float
    seed: tuple[int, ...]


def build_setup(plan: VideoPlan, settings: WorldSettings) -> VideoSetup:
    """Build solids, room, camera and effects of a planned video."""
    rng = np.random.default_rng((*plan.seed, 1))
    room = draw_room(rng)
    solids = _build_solids(plan, settings)
    distractors = [solids[i] for i in plan.distractors]
    placements = place_products(distractors, _TABLE_DISTRACTORS, rng)
    largest_area = max((p.area for p in plan.presentations), default=0.1)
    overlay = ChatOverlay((*plan.seed, 2), int(rng.integers(20, 20_000)))
    return VideoSetup(
        room=room,
        camera=_draw_camera(largest_area, settings.frame_size, rng),
        solids=solids,
        placements={
            i: p for i, p in zip(plan.distractors, placements, strict=True) if p is not None
        },
        presentations=plan.presentations,
        overlay=overlay if rng.random() < settings.chat_overlay_prob else None,
        camera_shake_px=float(rng.uniform(*settings.camera_shake_px)),
        exposure_s=float(rng.uniform(0.01, 0.05)),
        seed=(*plan.seed, 3),
    )


def _build_solids(plan: VideoPlan, settings: WorldSettings) -> dict[int, Solid]:
    """Build the products that appear; distractors, which are farther away, have less detail."""
    texture_px = min(512, settings.frame_size[1] // 2)
    presented = sorted({presentation.product for presentation in plan.presentations})
    solids = {i: build_solid(plan.products[i], texture_px) for i in presented}
    return solids | {i: build_solid(plan.products[i], texture_px // 2) for i in plan.distractors}


def _draw_camera(largest_area: float, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    """Draw a camera; large products need a longer lens, or the arms would have to stretch."""
    zoom = float(np.clip(1.05 + 1.9 * (largest_area - 0.06), 1.0, 2.1))
    focal_length = zoom * float(rng.uniform(0.95, 1.1))
    eye = (
        float(rng.uniform(-0.22, 0.22)),
        float(rng.uniform(0.38, 0.66)),
        float(rng.uniform(1.2, 1.4)),
    )
    target = (float(rng.uniform(-0.03, 0.03)), float(rng.uniform(0.24, 0.32)), -0.1)
    return Camera(eye, target, focal_length, size)


def build_writer(plan: VideoPlan, settings: WorldSettings) -> VideoWriter:
    """Return the writer of a planned video, with its quality and sensor noise."""
    rng = np.random.default_rng((*plan.seed, 4))
    crf = int(rng.integers(settings.crf[0], settings.crf[1] + 1))
    noise = float(rng.uniform(*settings.sensor_noise))
    return VideoWriter(settings.frame_size, settings.fps, crf, noise, (*plan.seed, 5))
