"""The moving objects of a video at a given time: the presenter's arms and the products in hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmn.synth.graphics import mesh
from sgmn.synth.graphics.camera import Camera
from sgmn.synth.graphics.mesh import Solid
from sgmn.synth.plan.timeline import Presentation
from sgmn.synth.video import motion
from sgmn.synth.video.presenter import Presenter, build_arm
from sgmn.synth.video.room import ARMS_ID, FIRST_PRODUCT_ID

Point = NDArray[np.floating]  # (3,) or (N, 3), in meters
_MIN_DISTANCE_M, _MAX_DISTANCE_M = 0.5, 1.25  # between the camera and a product in hand
_TABLE_Z = 0.12  # where on the table a product is put down
_UNDER_TABLE_Z = -0.27


@dataclass(frozen=True, slots=True)
class Pose:
    """The center of a product in meters (3,) and its rotation (3, 3)."""

    center: Point
    rotation: mesh.Floats


@dataclass(frozen=True, slots=True)
class HandPose:
    """The palm in meters (3,), the direction in which it opens (3,) and half the grip's width."""

    palm: Point
    inward: Point
    grip_radius: float


class Animation:
    """Arms and products of a video's presentations, as seen by its camera."""

    def __init__(
        self,
        presenter: Presenter,
        solids: Mapping[int, Solid],
        presentations: Sequence[Presentation],
        camera: Camera,
    ) -> None:
        self._presenter, self._presentations, self._camera = presenter, presentations, camera
        self._solids = {p.product: _center_solid(solids[p.product]) for p in presentations}
        self._raised_centers = [self._raised_center(p) for p in presentations]

    def objects_at(self, time: float) -> list[tuple[int, Solid]]:
        """Return object ids and solids of the arms and of the products in hand."""
        hands: dict[int, HandPose] = {}
        objects: list[tuple[int, Solid]] = []
        for number, presentation in enumerate(self._presentations):
            grip = motion.grip_fraction(presentation, time)
            is_visible = presentation.start <= time <= presentation.end
            if not is_visible and grip == 0:
                continue
            pose = self.pose(number, time)
            matrix = mesh.transform_matrix(pose.center, pose.rotation)
            solid = mesh.transform(self._solids[presentation.product], matrix)
            if is_visible:
                objects.append((FIRST_PRODUCT_ID + presentation.product, solid))
            hands[presentation.side] = _gripping_hand(solid, presentation.side, grip, time)
        for side in (-1, 1):
            hand = hands.get(side) or _idle_hand(side, time)
            arm = build_arm(self._presenter, side, hand.palm, hand.inward, hand.grip_radius)
            objects.append((ARMS_ID, arm))
        return objects

    def image_velocity(self, time: float) -> Point:
        """Return the velocity (2,) of the product in hand, in pixels per second; 0 without one."""
        step_s = 0.02
        for number, presentation in enumerate(self._presentations):
            if presentation.start <= time <= presentation.end:
                centers = np.stack([self.pose(number, t).center for t in (time, time + step_s)])
                pixels = self._camera.project(centers.astype(np.float32))[:, :2]
                return np.asarray((pixels[1] - pixels[0]) / step_s)
        return np.zeros(2)

    def pose(self, number: int, time: float) -> Pose:
        """Return the pose of the product of presentation `number` at a time."""
        presentation = self._presentations[number]
        half = self._half_size(presentation)
        yaw, pitch, roll = motion.rotation_at(presentation, time)
        on_table = motion.table_fraction(presentation, time)
        lift = motion.lift_fraction(presentation, time)
        sway = 0.012 * np.sin(time * np.array([0.9, 1.3, 0.7]) + presentation.phase)
        table = np.array([0.06 * presentation.side, half[1] + 0.001, _TABLE_Z])
        up = (1 - on_table) * (self._raised_centers[number] + sway) + on_table * table
        under_table = np.array([0.12 * presentation.side, -half[1] - 0.12, _UNDER_TABLE_Z])
        # The product first moves up and then forward, over the edge of the table.
        progress = np.array([lift, lift, lift**2.5])
        in_air = 1 - on_table
        rotation = mesh.rotation_matrix(yaw, pitch * in_air, roll * in_air)
        return Pose(under_table + progress * (up - under_table), rotation)

    def _half_size(self, presentation: Presentation) -> Point:
        low, high = mesh.bounding_box(self._solids[presentation.product])
        return np.asarray((high - low) / 2)

    def _raised_center(self, presentation: Presentation) -> Point:
        """Return the center at which a product fills its fraction of the frame."""
        half, camera = self._half_size(presentation), self._camera
        aspect = camera.size[0] / camera.size[1]
        size = float(np.sqrt(half[0] * half[1] / (presentation.area * aspect)))
        distance = camera.focal_length * 2 * size
        fit_distance = camera.focal_length * 2 * half[0] / (0.95 * aspect)
        distance = max(distance, fit_distance)  # the whole width stays in the frame
        distance = float(np.clip(distance, _MIN_DISTANCE_M, _MAX_DISTANCE_M))
        x, y = presentation.aim
        focal_length = camera.focal_length
        ray = np.array([(x - 0.5) * aspect / focal_length, (0.5 - y) / focal_length, 1.0])
        center = np.array(camera.eye) + distance * (ray @ camera.axes())
        center[1] = max(center[1], half[1] + 0.03)
        return np.asarray(center)


def _gripping_hand(solid: Solid, side: int, grip: float, time: float) -> HandPose:
    """Return the hand on its way to the edge of a solid; `grip` is 0 (away) to 1 (there)."""
    low, high = mesh.bounding_box(solid)
    level = low[1] + 0.42 * (high[1] - low[1])
    outline = _cross_section(solid, level)
    edge = outline[:, 0].max() if side > 0 else outline[:, 0].min()
    target = np.array([edge, level, float(outline[:, 2].mean())])
    idle = _idle_hand(side, time)
    return HandPose(
        palm=idle.palm + grip * (target - idle.palm),
        inward=(1 - grip) * idle.inward + grip * np.array([-side, 0.0, 0.0]),
        grip_radius=float(np.clip(np.ptp(outline[:, 2]) / 2, 0.008, 0.05)),
    )


def _idle_hand(side: int, time: float) -> HandPose:
    """Return an empty hand that gestures."""
    beat = np.sin(1.9 * time + 2.1 * side) * np.sin(0.37 * time + side)
    lift = 0.1 * max(0.0, float(beat))
    palm = np.array([side * (0.23 - 0.3 * lift), 0.05 + lift, -0.1 + 0.4 * lift])
    return HandPose(palm, np.array([-side * 0.9, 0.25 + 2 * lift, 0.3]), 0.03)


def _center_solid(solid: Solid) -> Solid:
    low, high = mesh.bounding_box(solid)
    return mesh.transform(solid, mesh.transform_matrix(-(low + high) / 2))


def _cross_section(solid: Solid, level: float) -> Point:
    """Return points (N, 3) where a horizontal plane cuts a solid; its center if it misses."""
    centers = [part.vertices.mean(axis=0) for part in solid]
    sections = [np.mean(centers, axis=0)[None]]
    for part in solid:
        starts, ends = part.vertices[part.faces], part.vertices[np.roll(part.faces, 1, axis=1)]
        start_height, end_height = starts[..., 1] - level, ends[..., 1] - level
        is_cut = start_height * end_height < 0
        fraction = (start_height[is_cut] / (start_height[is_cut] - end_height[is_cut]))[:, None]
        sections.append(starts[is_cut] + fraction * (ends[is_cut] - starts[is_cut]))
    points = np.concatenate(sections)
    return points[1:] if len(points) > 1 else points
