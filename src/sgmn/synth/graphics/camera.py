"""A pinhole camera and the rays that it casts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgmn.synth.graphics.mesh import Floats, Vector
from sgmn.synth.graphics.shading import normalize

Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera at `eye` that looks at `target`, both in meters.

    `focal_length` is in image heights, `size` is the image's width and height in pixels.
    """

    eye: Vector
    target: Vector
    focal_length: float
    size: tuple[int, int]

    def axes(self) -> Floats:
        """Return the right, up and forward axes as the rows of a (3, 3) rotation."""
        forward = normalize(tuple(np.subtract(self.target, self.eye)))
        right = normalize(tuple(np.cross(forward, (0.0, 1.0, 0.0))))
        return np.stack([right, np.cross(right, forward), forward]).astype(np.float32)

    def rays(self, step: float = 1.0) -> Rays:
        """Return a ray every `step` pixels: 1 casts one per pixel, 0.5 casts four."""
        xs = np.arange(step / 2, self.size[0], step, dtype=np.float32)
        ys = np.arange(step / 2, self.size[1], step, dtype=np.float32)
        return self.rays_through(*np.meshgrid(xs, ys))

    def rays_through(self, x: Floats, y: Floats) -> Rays:
        """Return the rays through image positions (H, W), in pixels."""
        focal_px = np.float32(self.focal_length * self.size[1])
        local = np.empty((*x.shape, 3), np.float32)
        local[..., 0] = (x - self.size[0] / 2) / focal_px
        local[..., 1] = (self.size[1] / 2 - y) / focal_px
        local[..., 2] = 1
        local /= np.sqrt(np.einsum("ijk,ijk->ij", local, local))[..., None]
        return Rays(np.asarray(self.eye, np.float32), local @ self.axes())

    def project(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Project points (N, 3) to (N, 3): x and y in pixels, depth in meters."""
        local = (points - np.asarray(self.eye, np.float32)) @ self.axes().T
        depth = np.maximum(local[:, 2], 1e-3)
        scale = self.focal_length * self.size[1] / depth
        x = self.size[0] / 2 + local[:, 0] * scale
        return np.stack([x, self.size[1] / 2 - local[:, 1] * scale, local[:, 2]], axis=1)


@dataclass(frozen=True, slots=True)
class Rays:
    """Rays from one origin (3,) along unit `directions` (H, W, 3)."""

    origin: Floats
    directions: Floats

    def crop(self, window: Window) -> Rays:
        """Return only the rays inside a window, whose unit is the step of these rays."""
        left, top, right, bottom = window
        return Rays(self.origin, self.directions[top:bottom, left:right])

    def points_at(self, depth: Floats) -> Floats:
        """Return the points (H, W, 3) at a depth (H, W) along each ray, in meters."""
        return np.asarray(self.origin + self.directions * depth[..., None], np.float32)
