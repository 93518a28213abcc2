"""The moving part of a scene at a time: the host's arms, and the product in the hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmn.synth import host, mesh, storyboard
from sgmn.synth.mesh import Solid
from sgmn.synth.render import Camera
from sgmn.synth.room import ARMS, FIRST
from sgmn.synth.storyboard import Showing

Point = NDArray[np.floating]
_NEAR_M, _FAR_M = 0.5, 1.25  # how near to the camera and how far a product is held
_DOWN_Z = 0.12  # where on the table it is put down
_UNDER_Z = -0.27


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a product is: its middle in metres, and its rotation (3, 3)."""

    middle: Point
    rotation: mesh.Floats


class Action:
    """Moves the arms and the products of the showings; the camera decides the distances."""

    def __init__(
        self,
        who: host.Look,
        solids: Mapping[int, Solid],
        showings: Sequence[Showing],
        camera: Camera,
    ) -> None:
        self.who, self.showings, self.camera = who, showings, camera
        self._solids = {showing.product: _centred(solids[showing.product]) for showing in showings}
        self._held = [self._hold(showing) for showing in showings]

    def things(self, time: float) -> list[tuple[int, Solid]]:
        """The arms and what they show, each with its owner's number."""
        busy: dict[int, tuple[Point, Point, float]] = {}
        found: list[tuple[int, Solid]] = []
        for place, showing in enumerate(self.showings):
            near = storyboard.gripped(showing, time)
            shown = showing.start <= time <= showing.end
            if not shown and near == 0:
                continue
            pose = self.pose(place, time)
            solid = mesh.moved(self._solids[showing.product], mesh.at(pose.middle, pose.rotation))
            if shown:
                found.append((FIRST + showing.product, solid))
            busy[showing.side] = self._grip(solid, showing.side, near, time)
        for side in (-1, 1):
            palm, inward, thick = busy.get(side) or self._idle(side, time)
            found.append((ARMS, host.arm(self.who, side, palm, inward, thick)))
        return found

    def speed(self, time: float) -> Point:
        """How fast the product in the picture moves, in pixels a second (2,); 0 without one."""
        step = 0.02
        for place, showing in enumerate(self.showings):
            if showing.start <= time <= showing.end:
                ends = np.stack([self.pose(place, t).middle for t in (time, time + step)])
                seen = self.camera.pixels(ends.astype(np.float32))[:, :2]
                return np.asarray((seen[1] - seen[0]) / step)
        return np.zeros(2)

    def pose(self, place: int, time: float) -> Pose:
        """Where the product of showing number `place` is at a time."""
        showing = self.showings[place]
        half = self._half(showing)
        yaw, pitch, roll = storyboard.turn(showing, time)
        down, up = storyboard.set_down(showing, time), storyboard.lifted(showing, time)
        sway = 0.012 * np.sin(time * np.array([0.9, 1.3, 0.7]) + showing.phase)
        table = np.array([0.06 * showing.side, half[1] + 0.001, _DOWN_Z])
        high = (1 - down) * (self._held[place] + sway) + down * table
        under = np.array([0.12 * showing.side, -half[1] - 0.12, _UNDER_Z])
        way = np.array([up, up, up**2.5])  # up first, then forward over the edge of the table
        upright = 1 - down
        rotation = mesh.turned(yaw, pitch * upright, roll * upright)
        return Pose(under + way * (high - under), rotation)

    def _half(self, showing: Showing) -> Point:
        low, high = mesh.bounds(self._solids[showing.product])
        return np.asarray((high - low) / 2)

    def _hold(self, showing: Showing) -> Point:
        """The place before the camera at which the product fills its share of the picture."""
        half, camera = self._half(showing), self.camera
        aspect = camera.size[0] / camera.size[1]
        far = camera.focal * 2 * float(np.sqrt(half[0] * half[1] / (showing.share * aspect)))
        wide = camera.focal * 2 * half[0] / (0.95 * aspect)  # the whole of it stays in the picture
        far = float(np.clip(max(far, wide), _NEAR_M, _FAR_M))
        x, y = showing.aim
        ray = np.array([(x - 0.5) * aspect / camera.focal, (0.5 - y) / camera.focal, 1.0])
        middle = np.array(camera.eye) + far * (ray @ camera.axes())
        middle[1] = max(middle[1], half[1] + 0.03)
        return np.asarray(middle)

    def _grip(
        self, solid: Solid, side: int, near: float, time: float
    ) -> tuple[Point, Point, float]:
        low, high = mesh.bounds(solid)
        level = low[1] + 0.42 * (high[1] - low[1])
        band = _slice(solid, level)
        edge = band[:, 0].max() if side > 0 else band[:, 0].min()
        reach = np.array([edge, level, float(band[:, 2].mean())])
        palm, inward, _ = self._idle(side, time)
        thick = float(np.clip(np.ptp(band[:, 2]) / 2, 0.008, 0.05))
        return (
            palm + near * (reach - palm),
            (1 - near) * inward + near * np.array([-side, 0.0, 0.0]),
            thick,
        )

    def _idle(self, side: int, time: float) -> tuple[Point, Point, float]:
        """An empty hand that talks along."""
        beat = np.sin(1.9 * time + 2.1 * side) * np.sin(0.37 * time + side)
        lift = 0.1 * max(0.0, float(beat))
        palm = np.array([side * (0.23 - 0.3 * lift), 0.05 + lift, -0.1 + 0.4 * lift])
        return palm, np.array([-side * 0.9, 0.25 + 2 * lift, 0.3]), 0.03


def _centred(solid: Solid) -> Solid:
    low, high = mesh.bounds(solid)
    return mesh.moved(solid, mesh.at(-(low + high) / 2))


def _slice(solid: Solid, level: float) -> Point:
    """Where a horizontal plane cuts a solid: points (N, 3); the middle if it misses."""
    found = [np.mean([part.points.mean(axis=0) for part in solid], axis=0)[None]]
    for part in solid:
        starts, ends = part.points[part.faces], part.points[np.roll(part.faces, 1, axis=1)]
        below, above = starts[..., 1] - level, ends[..., 1] - level
        cut = below * above < 0
        share = (below[cut] / (below[cut] - above[cut]))[:, None]
        found.append(starts[cut] + share * (ends[cut] - starts[cut]))
    points = np.concatenate(found)
    return points[1:] if len(points) > 1 else points
