"""Listing photos: a white background, even light, and up to four standard views."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from sgmn.records import ImageArray
from sgmn.synth.graphics import mesh
from sgmn.synth.graphics.camera import Camera, Rays
from sgmn.synth.graphics.mesh import Solid
from sgmn.synth.graphics.renderer import Scene
from sgmn.synth.graphics.shading import Lighting, linear_to_bytes

PHOTO_LIGHTING = Lighting(
    key_direction=(0.4, 0.9, 0.7),
    key_color=(0.5, 0.5, 0.5),
    fill_color=(0.2, 0.2, 0.2),
    sky_color=(0.6, 0.6, 0.6),
    ground_color=(0.42, 0.42, 0.42),
)
VIEWS = ((-0.28, 0.22), (0.5, 0.1), (np.pi - 0.4, 0.2), (0.05, 0.5))  # yaw and pitch in radians
_FOCAL_LENGTH = 2.6  # in image heights; a long lens with little perspective, as shops use


def render_photo(solid: Solid, size_px: int, view: int = 0) -> ImageArray:
    """Render one of VIEWS of a solid, `size_px` by `size_px` pixels; view 0 is the main one."""
    yaw, pitch = VIEWS[view % len(VIEWS)]
    rotation = mesh.rotation_matrix(yaw)
    rotated = mesh.transform(solid, mesh.transform_matrix((0, 0, 0), rotation))
    scene = Scene([(0, rotated)])
    rays = photo_camera(rotated, pitch, size_px).rays(0.5)  # four samples per pixel
    rendered = scene.render(rays, PHOTO_LIGHTING, search_step=6)
    shadow = _ground_shadow(scene, rays)
    ground = 1 - 0.35 * np.repeat(np.repeat(shadow, 2, axis=0), 2, axis=1)
    is_ground = (rendered.object_ids < 0)[..., None]
    linear = np.where(is_ground, ground[..., None], rendered.color)
    return linear_to_bytes(linear.reshape(size_px, 2, size_px, 2, 3).mean(axis=(1, 3)))


def _ground_shadow(scene: Scene, rays: Rays) -> mesh.Floats:
    """Return the soft shadow (H, W), 0..1, on an invisible ground at y = 0."""
    directions = rays.directions[::2, ::2]
    descent = np.maximum(-directions[..., 1], 1e-3)
    points = rays.origin + directions * (rays.origin[1] / descent)[..., None]
    mask = scene.shadow_mask(points.reshape(-1, 3), PHOTO_LIGHTING).reshape(descent.shape)
    image = Image.fromarray(np.asarray(mask * 255, np.uint8))
    blurred = image.filter(ImageFilter.GaussianBlur(descent.shape[0] / 30))
    return np.asarray(blurred, np.float32) / np.float32(255)


def photo_camera(solid: Solid, pitch: float, size_px: int) -> Camera:
    """Return a camera that looks down by `pitch` radians and whose image the solid fills."""
    low, high = mesh.bounding_box(solid)
    center = (low + high) / 2
    size = max(float(np.linalg.norm((high - low)[[0, 2]])) * 0.92, float(high[1] - low[1]))
    distance = 1.22 * size * _FOCAL_LENGTH
    eye = center + distance * np.array([0, np.sin(pitch), np.cos(pitch)])
    eye_position, target = tuple(eye.tolist()), tuple(center.tolist())
    return Camera(eye_position, target, _FOCAL_LENGTH, (size_px, size_px))
