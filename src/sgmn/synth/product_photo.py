"""Pictures for the shop: white ground, even light, one standard view and a few others."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from sgmn.records import Picture
from sgmn.synth import mesh
from sgmn.synth.light import Light, developed
from sgmn.synth.mesh import Solid
from sgmn.synth.render import Camera, Rays, Scene

LIGHT = Light(
    key_from=(0.4, 0.9, 0.7),
    key=(0.5, 0.5, 0.5),
    fill=(0.2, 0.2, 0.2),
    above=(0.6, 0.6, 0.6),
    below=(0.42, 0.42, 0.42),
)
VIEWS = ((-0.28, 0.22), (0.5, 0.1), (np.pi - 0.4, 0.2), (0.05, 0.5))  # yaw, pitch; standard first
_LENS = 2.6  # a long lens, as shops use: little perspective


def picture(solid: Solid, side: int, view: int = 0) -> Picture:
    """One view of a solid, `side` by `side` pixels; `view` counts VIEWS from 0."""
    yaw, pitch = VIEWS[view % len(VIEWS)]
    turned = mesh.moved(solid, mesh.at((0, 0, 0), mesh.turned(yaw)))
    scene = Scene([(0, turned)])
    rays = camera(turned, pitch, side).rays(0.5)
    seen = scene.view(rays, LIGHT, cell=6)
    ground = 1 - 0.35 * np.repeat(np.repeat(_shadow(scene, rays), 2, axis=0), 2, axis=1)
    linear = np.where((seen.owner < 0)[..., None], ground[..., None], seen.colour)
    return developed(linear.reshape(side, 2, side, 2, 3).mean(axis=(1, 3)))


def _shadow(scene: Scene, rays: Rays) -> mesh.Floats:
    """The soft shadow (H, W), 0..1, on a white ground at y = 0 that nothing else shows."""
    ways = rays.ways[::2, ::2]
    fall = np.maximum(-ways[..., 1], 1e-3)
    points = rays.eye + ways * (rays.eye[1] / fall)[..., None]
    dark = scene.shadow(points.reshape(-1, 3), LIGHT).reshape(fall.shape)
    image = Image.fromarray(np.asarray(dark * 255, np.uint8))
    soft = image.filter(ImageFilter.GaussianBlur(fall.shape[0] / 30))
    return np.asarray(soft, np.float32) / np.float32(255)


def camera(solid: Solid, pitch: float, side: int) -> Camera:
    """A camera from which a solid fills the picture, looking down by `pitch` radians."""
    low, high = mesh.bounds(solid)
    middle = (low + high) / 2
    size = max(float(np.linalg.norm((high - low)[[0, 2]])) * 0.92, float(high[1] - low[1]))
    far = 1.22 * size * _LENS
    eye = middle + far * np.array([0, np.sin(pitch), np.cos(pitch)])
    return Camera(tuple(eye.tolist()), tuple(middle.tolist()), _LENS, (side, side))
