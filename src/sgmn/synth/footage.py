"""Frames of a livestream with the boxes of every product: a still plate, and what moves over it.

The plate (room, host's body, products at rest) is rendered once, with smooth edges. Each
frame renders only the arms and the product in the hand, sets them before and behind the plate
by depth, lets their shadow fall on it, blurs what moves, and shakes the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sgmn.records import Box, Picture
from sgmn.synth import host, mesh, room
from sgmn.synth.action import Action
from sgmn.synth.light import developed
from sgmn.synth.mesh import Solid
from sgmn.synth.overlay import Overlay
from sgmn.synth.render import Camera, Scene, View, Window
from sgmn.synth.room import FIRST, HOST, ROOM, Rest, Stage
from sgmn.synth.storyboard import Showing

Owners = NDArray[np.int32]
_NOBODY = 1  # an owner that is no product; what the rays miss
_SHADE = 0.42  # what a shadow of the moving things takes from the plate
_CELL = 4  # pixels between the rays that look where the moving things are
_COARSE = 3  # pixels a sample of that shadow
SEEN = 2e-4  # share of the picture's pixels from which a product counts as visible


@dataclass(frozen=True, slots=True)
class Set:
    """All that a film is made of. Products are numbered by their place in the cast.

    `solids` has whatever is shown or rests, `rests` where some of them stand all the time.
    `shake` is in pixels at 960 lines, `shutter_s` how long a frame is exposed.
    """

    stage: Stage
    camera: Camera
    solids: Mapping[int, Solid]
    rests: Mapping[int, Rest]
    showings: Sequence[Showing]
    overlay: Overlay | None
    shake: float
    shutter_s: float
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture at a time; `boxes` by place in the cast, None where nobody asked for them."""

    time: float
    picture: Picture
    boxes: Mapping[int, Box] | None


class Film:
    """The frames of a set, one after the other."""

    def __init__(self, made: Set) -> None:
        self._made = made
        self._rays = made.camera.rays()
        self._action = Action(made.stage.who, made.solids, made.showings, made.camera)
        self._plate, self._depth, self._owner, self._lit = self._still()
        self._points = self._rays.points(np.minimum(self._depth, 50))
        rng = np.random.default_rng(made.seed)
        self._rates, self._phases = rng.uniform(0.8, 6.5, (3, 4)), rng.uniform(0, 6.3, (3, 4))

    def frames(self, count: int, fps: float, boxes_every: int = 1) -> Iterator[Frame]:
        """`count` frames at `fps`; every `boxes_every`-th with boxes, the first included."""
        for number in range(count):
            yield self.frame(number / fps, boxes=number % boxes_every == 0)

    def frame(self, time: float, *, boxes: bool = True) -> Frame:
        """The frame at a time in seconds."""
        picture, owner = self._plate.copy(), self._owner.copy()
        self._act(picture, owner, time)
        shaken = self._shaken(picture, time, Image.Resampling.BILINEAR)
        found = None
        if boxes:
            seen = self._shaken(owner, time, Image.Resampling.NEAREST)
            found = boxes_of(seen)
        if self._made.overlay is not None:
            self._made.overlay.draw(shaken, time)
        return Frame(time, shaken, found)

    def _still(self) -> tuple[Picture, mesh.Floats, Owners, mesh.Floats]:
        made = self._made
        things: list[tuple[int, Solid]] = [
            (ROOM, room.room(made.stage)),
            (HOST, host.body(made.stage.who)),
        ]
        for place, rest in made.rests.items():
            things.append((FIRST + place, room.standing(made.solids[place], rest)))
        seen = Scene(things).fine(made.camera, made.stage.light)
        owner = np.where(seen.owner < 0, _NOBODY, seen.owner).astype(np.int32)
        return developed(seen.colour), seen.depth, owner, seen.lit

    def _act(self, picture: Picture, owner: Owners, time: float) -> None:
        """Set what moves into the plate, in place."""
        things = self._action.things(time)
        window = _window(things, self._made.camera)
        if window is None:
            return
        scene = Scene(things)
        self._shade(picture, scene, window)
        left, top, right, bottom = window
        here = np.s_[top:bottom, left:right]
        seen = scene.view(self._rays.cut(window), self._made.stage.light, cell=_CELL)
        front = seen.depth < self._depth[here]
        owner[here] = np.where(front, seen.owner, owner[here])
        travel = self._action.speed(time) * self._made.shutter_s
        picture[here] = _laid(picture[here], seen, front, travel)

    def _shade(self, picture: Picture, scene: Scene, window: Window) -> None:
        left, top, right, bottom = self._around(window)
        points = self._points[top:bottom:_COARSE, left:right:_COARSE]
        dark = scene.shadow(points.reshape(-1, 3) + 0, self._made.stage.light)
        if not dark.any():
            return
        small = Image.fromarray((dark.reshape(points.shape[:2]) * 255).astype(np.uint8))
        size = (right - left, bottom - top)
        soft = np.asarray(small.resize(size, Image.Resampling.BILINEAR), np.float32)
        here = np.s_[top:bottom, left:right]
        keep = 1 - _SHADE / 255 * soft * self._lit[here]
        picture[here] = (picture[here] * keep[..., None]).astype(np.uint8)

    def _around(self, window: Window) -> Window:
        wide, high = self._made.camera.size
        margin = high // 10
        left, top, right, bottom = window
        return (
            max(left - margin, 0),
            max(top - margin // 2, 0),
            min(right + margin, wide),
            min(bottom + margin, high),
        )

    def _shaken(self, image: Picture | Owners, time: float, way: Image.Resampling) -> NDArray[Any]:
        if self._made.shake == 0:
            return np.array(image)
        wide, high = self._made.camera.size
        swing = np.sin(self._rates * time + self._phases).mean(axis=1) * self._made.shake
        x, y = swing[:2] * high / 960
        turn, zoom = swing[2] / 480, 1 / (1 + (2.2 * self._made.shake + 2) / 480)
        cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
        middle = np.array([wide / 2, high / 2])
        a, b = cos, sin
        shift = middle - np.array([[a, b], [-b, a]]) @ middle + (x, y)
        matrix = (a, b, shift[0], -b, a, shift[1])
        moved = Image.fromarray(image).transform((wide, high), Image.Transform.AFFINE, matrix, way)
        return np.array(moved)


def _window(things: Sequence[tuple[int, Solid]], camera: Camera) -> Window | None:
    """The part of the picture that things can be seen in, None for none of it."""
    points = np.concatenate([part.points for _, solid in things for part in solid])
    seen = camera.pixels(points)
    seen = seen[seen[:, 2] > 0.05]
    if not len(seen):
        return None
    margin = camera.size[1] // 60
    left, top = np.maximum(seen[:, :2].min(axis=0) - margin, 0).astype(int)
    right, bottom = np.minimum(seen[:, :2].max(axis=0) + margin, camera.size).astype(int)
    if right - left < 2 or bottom - top < 2:
        return None
    return int(left), int(top), int(right), int(bottom)


def _laid(
    under: Picture, seen: View, front: NDArray[np.bool_], travel: NDArray[np.floating]
) -> Picture:
    """A view laid over a picture where it is in front, smeared along `travel` (x, y pixels)."""
    colour = developed(seen.colour)
    taps = int(min(np.hypot(*travel) / 2.5, 8))
    if taps < 2:
        return np.where(front[..., None], colour, under)
    cover = np.zeros(front.shape, np.float32)
    total = np.zeros(colour.shape, np.float32)
    layer = np.where(front[..., None], colour, 0)
    for share in np.linspace(-0.5, 0.5, taps):
        x, y = (round(float(v)) for v in travel * share)
        cover += np.roll(front, (y, x), axis=(0, 1))
        total += np.roll(layer, (y, x), axis=(0, 1))
    cover /= taps
    return np.asarray(total / taps + (1 - cover)[..., None] * under, np.uint8)


def boxes_of(owner: Owners) -> dict[int, Box]:
    """The box of each product of which enough is seen, by place in the cast."""
    high, wide = owner.shape
    counts = np.bincount(owner.ravel(), minlength=FIRST)
    least = max(4, int(SEEN * owner.size))
    found: dict[int, Box] = {}
    for number, place in enumerate(ndimage.find_objects(owner), start=1):
        if place is None or number < FIRST or counts[number] < least:
            continue
        rows, columns = place
        found[number - FIRST] = (
            round(columns.start / wide, 4),
            round(rows.start / high, 4),
            round(columns.stop / wide, 4),
            round(rows.stop / high, 4),
        )
    return found
