"""Frames of a video with the boxes of all products.

The background (room, presenter's body, standing products) is rendered once, with antialiasing.
Each frame renders only the arms and the products in hand, composes them with the background by
depth, adds their shadow and motion blur, and then shakes the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sgmn.records import Box, ImageArray
from sgmn.synth.graphics.camera import Camera, Window
from sgmn.synth.graphics.mesh import Solid
from sgmn.synth.graphics.renderer import Scene, View
from sgmn.synth.graphics.shading import linear_to_bytes
from sgmn.synth.video.animation import Animation
from sgmn.synth.video.presenter import build_body
from sgmn.synth.video.room import FIRST_PRODUCT_ID, PRESENTER_ID, ROOM_ID, build_room, place_solid
from sgmn.synth.video.setup import VideoSetup

ObjectIds = NDArray[np.int32]  # (H, W)
MIN_VISIBLE_FRACTION = 2e-4  # of the frame's pixels, for a product to count as visible
_BACKGROUND_ID = 1  # given to rays that hit nothing; any id below FIRST_PRODUCT_ID would do
_SHADOW_STRENGTH = 0.42  # fraction of the light that a shadow of moving objects removes
_SEARCH_STEP_PX = 4  # between the rays that search for moving objects
_SHADOW_STEP_PX = 3  # between the samples of their shadow


@dataclass(frozen=True, slots=True)
class Frame:
    """An image at a time; `boxes` by product index, None if they were not requested."""

    time: float
    image: ImageArray
    boxes: Mapping[int, Box] | None


class FrameRenderer:
    """Renders the frames of a video."""

    def __init__(self, setup: VideoSetup) -> None:
        self._setup = setup
        self._lighting = setup.room.lighting
        self._rays = setup.camera.rays()
        self._animation = Animation(
            setup.room.presenter, setup.solids, setup.presentations, setup.camera
        )
        background = self._render_background()
        self._background = linear_to_bytes(background.color)
        self._depth, self._key_visibility = background.depth, background.key_visibility
        is_empty = background.object_ids < 0
        self._object_ids = np.where(is_empty, _BACKGROUND_ID, background.object_ids).astype(
            np.int32
        )
        self._points = self._rays.points_at(np.minimum(self._depth, 50))
        rng = np.random.default_rng(setup.seed)
        self._shake_rates = rng.uniform(0.8, 6.5, (3, 4))
        self._shake_phases = rng.uniform(0, 6.3, (3, 4))

    def render_frames(self, count: int, fps: float, boxes_every: int = 1) -> Iterator[Frame]:
        """Render `count` frames; every `boxes_every`-th, from the first on, has boxes."""
        for number in range(count):
            yield self.render_frame(number / fps, boxes=number % boxes_every == 0)

    def render_frame(self, time: float, *, boxes: bool = True) -> Frame:
        """Render the frame at a time in seconds."""
        image, object_ids = self._background.copy(), self._object_ids.copy()
        self._draw_moving_objects(image, object_ids, time)
        shaken = self._shake(image, time, Image.Resampling.BILINEAR)
        product_boxes = None
        if boxes:
            shaken_ids = self._shake(object_ids, time, Image.Resampling.NEAREST)
            product_boxes = find_boxes(shaken_ids)
        if self._setup.overlay is not None:
            self._setup.overlay.draw(shaken, time)
        return Frame(time, shaken, product_boxes)

    def _render_background(self) -> View:
        setup = self._setup
        objects: list[tuple[int, Solid]] = [
            (ROOM_ID, build_room(setup.room)),
            (PRESENTER_ID, build_body(setup.room.presenter)),
        ]
        for index, placement in setup.placements.items():
            objects.append((FIRST_PRODUCT_ID + index, place_solid(setup.solids[index], placement)))
        return Scene(objects).render_antialiased(setup.camera, self._lighting)

    def _draw_moving_objects(self, image: ImageArray, object_ids: ObjectIds, time: float) -> None:
        """Draw arms and products in hand over the background, in place."""
        objects = self._animation.objects_at(time)
        window = _window_of(objects, self._setup.camera)
        if window is None:
            return
        scene = Scene(objects)
        self._draw_shadow(image, scene, window)
        left, top, right, bottom = window
        region = np.s_[top:bottom, left:right]
        view = scene.render(self._rays.crop(window), self._lighting, search_step=_SEARCH_STEP_PX)
        is_front = view.depth < self._depth[region]
        object_ids[region] = np.where(is_front, view.object_ids, object_ids[region])
        travel = self._animation.image_velocity(time) * self._setup.exposure_s
        image[region] = _compose(image[region], view, is_front, travel)

    def _draw_shadow(self, image: ImageArray, scene: Scene, window: Window) -> None:
        left, top, right, bottom = self._shadow_window(window)
        points = self._points[top:bottom:_SHADOW_STEP_PX, left:right:_SHADOW_STEP_PX]
        mask = scene.shadow_mask(points.reshape(-1, 3) + 0, self._lighting)
        if not mask.any():
            return
        coarse = Image.fromarray((mask.reshape(points.shape[:2]) * 255).astype(np.uint8))
        size = (right - left, bottom - top)
        shadow = np.asarray(coarse.resize(size, Image.Resampling.BILINEAR), np.float32)
        region = np.s_[top:bottom, left:right]
        brightness = 1 - _SHADOW_STRENGTH / 255 * shadow * self._key_visibility[region]
        image[region] = (image[region] * brightness[..., None]).astype(np.uint8)

    def _shadow_window(self, window: Window) -> Window:
        """Return the window with a margin into which shadows may fall."""
        width, height = self._setup.camera.size
        margin = height // 10
        left, top, right, bottom = window
        return (
            max(left - margin, 0),
            max(top - margin // 2, 0),
            min(right + margin, width),
            min(bottom + margin, height),
        )

    def _shake(
        self, image: ImageArray | ObjectIds, time: float, resampling: Image.Resampling
    ) -> NDArray[Any]:
        """Shift, rotate and zoom an image by the camera shake of a time."""
        shake_px = self._setup.camera_shake_px
        if shake_px == 0:
            return np.array(image)
        width, height = self._setup.camera.size
        swing = np.sin(self._shake_rates * time + self._shake_phases).mean(axis=1) * shake_px
        x, y = swing[:2] * height / 960
        # The zoom hides the borders that the shift and the rotation would uncover.
        angle, zoom = swing[2] / 480, 1 / (1 + (2.2 * shake_px + 2) / 480)
        cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
        center = np.array([width / 2, height / 2])
        shift = center - np.array([[cos, sin], [-sin, cos]]) @ center + (x, y)
        matrix = (cos, sin, shift[0], -sin, cos, shift[1])
        source = Image.fromarray(image)
        return np.array(
            source.transform((width, height), Image.Transform.AFFINE, matrix, resampling)
        )


def _window_of(objects: Sequence[tuple[int, Solid]], camera: Camera) -> Window | None:
    """Return the part of the frame in which objects are visible, None if they are not."""
    vertices = np.concatenate([part.vertices for _, solid in objects for part in solid])
    pixels = camera.project(vertices)
    pixels = pixels[pixels[:, 2] > 0.05]
    if not len(pixels):
        return None
    margin = camera.size[1] // 60
    left, top = np.maximum(pixels[:, :2].min(axis=0) - margin, 0).astype(int)
    right, bottom = np.minimum(pixels[:, :2].max(axis=0) + margin, camera.size).astype(int)
    if right - left < 2 or bottom - top < 2:
        return None
    return int(left), int(top), int(right), int(bottom)


def _compose(
    background: ImageArray,
    view: View,
    is_front: NDArray[np.bool_],
    travel: NDArray[np.floating],
) -> ImageArray:
    """Draw a view over the background where it is in front, blurred along `travel` (x, y px)."""
    color = linear_to_bytes(view.color)
    samples = int(min(np.hypot(*travel) / 2.5, 8))
    if samples < 2:
        return np.where(is_front[..., None], color, background)
    coverage = np.zeros(is_front.shape, np.float32)
    total = np.zeros(color.shape, np.float32)
    layer = np.where(is_front[..., None], color, 0)
    for fraction in np.linspace(-0.5, 0.5, samples):
        x, y = (round(float(v)) for v in travel * fraction)
        coverage += np.roll(is_front, (y, x), axis=(0, 1))
        total += np.roll(layer, (y, x), axis=(0, 1))
    coverage /= samples
    return np.asarray(total / samples + (1 - coverage)[..., None] * background, np.uint8)


def find_boxes(object_ids: ObjectIds) -> dict[int, Box]:
    """Return the box of each product that is visible enough, by product index."""
    height, width = object_ids.shape
    counts = np.bincount(object_ids.ravel(), minlength=FIRST_PRODUCT_ID)
    min_pixels = max(4, int(MIN_VISIBLE_FRACTION * object_ids.size))
    boxes: dict[int, Box] = {}
    for object_id, slices in enumerate(ndimage.find_objects(object_ids), start=1):
        if slices is None or object_id < FIRST_PRODUCT_ID or counts[object_id] < min_pixels:
            continue
        rows, columns = slices
        boxes[object_id - FIRST_PRODUCT_ID] = (
            round(columns.start / width, 4),
            round(rows.start / height, 4),
            round(columns.stop / width, 4),
            round(rows.stop / height, 4),
        )
    return boxes
