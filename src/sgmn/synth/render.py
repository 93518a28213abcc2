"""Rays into a scene: what each pixel sees, how bright it is and whose it is.

Embree finds the triangles; textures, normals and light are looked up here with NumPy.
Embree needs no display, no GL and no system package (see docs/decisions).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.synth.light import LINEAR, Light, shaded, unit
from sgmn.synth.mesh import Floats, Part, Vector

Ints = NDArray[np.int64]
Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels
FAR = np.float32(1e6)


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole at `eye` that looks at `target`; `focal` is in heights of the picture."""

    eye: Vector
    target: Vector
    focal: float
    size: tuple[int, int]  # width, height in pixels

    def axes(self) -> Floats:
        """Right, up and ahead as the rows of a (3, 3) rotation."""
        ahead = unit(tuple(np.subtract(self.target, self.eye)))
        right = unit(tuple(np.cross(ahead, (0.0, 1.0, 0.0))))
        return np.stack([right, np.cross(right, ahead), ahead]).astype(np.float32)

    def rays(self, window: Window, step: float = 1.0) -> tuple[Floats, int, int]:
        """Unit directions (H·W, 3) through a window's pixels, every `step` pixels; W and H."""
        left, top, right, bottom = window
        xs = np.arange(left + step / 2, right, step, dtype=np.float32) - self.size[0] / 2
        ys = np.arange(top + step / 2, bottom, step, dtype=np.float32) - self.size[1] / 2
        focal = self.focal * self.size[1]
        flat = np.empty((len(ys), len(xs), 3), np.float32)
        flat[..., 0], flat[..., 1], flat[..., 2] = xs / focal, -ys[:, None] / focal, 1
        flat /= np.sqrt((flat * flat).sum(axis=2, keepdims=True))
        return (flat @ self.axes()).reshape(-1, 3), len(xs), len(ys)

    def pixels(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Where points (N, 3) are seen: (N, 3) of x, y in pixels and metres ahead."""
        seen = (points - np.float32(self.eye)) @ self.axes().T
        ahead = np.maximum(seen[:, 2], 1e-3)
        scale = self.focal * self.size[1] / ahead
        x = self.size[0] / 2 + seen[:, 0] * scale
        return np.stack([x, self.size[1] / 2 - seen[:, 1] * scale, seen[:, 2]], axis=1)

    def whole(self) -> Window:
        """The window of the whole picture."""
        return 0, 0, *self.size


@dataclass(frozen=True, slots=True)
class View:
    """What a window of rays sees, each (H, W, …); `owner` is -1 and `depth` FAR for nothing."""

    colour: Floats  # (H, W, 3) linear light, 0 for nothing
    depth: Floats  # (H, W) metres along the ray
    owner: NDArray[np.int16]  # (H, W) number of the thing seen
    lit: Floats  # (H, W) 0..1, how much of the key light arrives


class Scene:
    """Things to look at: each a list of parts with a number of its own, the owner (0..32767)."""

    def __init__(self, things: Iterable[tuple[int, Sequence[Part]]]) -> None:
        owned = [(owner, part) for owner, parts in things for part in parts]
        parts = [part for _, part in owned]
        counts = [len(part.faces) for part in parts]
        self.owner = np.repeat(np.array([o for o, _ in owned], np.int16), counts)
        shine = np.array([(part.shine, part.gloss) for part in parts], np.float32)
        self.shine = np.repeat(shine, counts, axis=0)
        self.normals = np.concatenate([part.normals[part.faces] for part in parts])
        self.uv = np.concatenate([part.uv[part.faces] for part in parts])
        self._textures(parts, counts)
        corners = np.concatenate([part.points[part.faces] for part in parts])
        self._embree = _embree(np.ascontiguousarray(corners, np.float32))

    def _textures(self, parts: Sequence[Part], counts: Sequence[int]) -> None:
        unique = {id(part.texture): part.texture for part in parts}
        sizes = [texture.shape[0] * texture.shape[1] for texture in unique.values()]
        first = dict(zip(unique, np.cumsum([0, *sizes[:-1]]), strict=True))
        self.texels = np.concatenate([texture.reshape(-1, 3) for texture in unique.values()])
        place = [(first[id(p.texture)], p.texture.shape[1], p.texture.shape[0]) for p in parts]
        self.texture = np.repeat(np.array(place, np.int64), counts, axis=0)

    def view(
        self, camera: Camera, light: Light, window: Window | None = None, step: float = 1.0
    ) -> View:
        """What the camera sees through a window (all of it by default), shadows included."""
        views, wide, high = camera.rays(window or camera.whole(), step)
        eye = np.broadcast_to(np.float32(camera.eye), views.shape)
        seen = self.hits(eye, views)
        hit = np.flatnonzero(seen.face >= 0)
        colour, lit = np.zeros((len(views), 3), np.float32), np.ones(len(views), np.float32)
        depth, owner = np.full(len(views), FAR), np.full(len(views), -1, np.int16)
        depth[hit], owner[hit] = seen.depth[hit], self.owner[seen.face[hit]]
        colour[hit], lit[hit] = self._surface(seen.taken(hit), eye[hit], views[hit], light)
        shape = (high, wide)
        return View(
            colour.reshape(*shape, 3), depth.reshape(shape), owner.reshape(shape), lit.reshape(shape)
        )

    def _surface(
        self, seen: Hits, eye: Floats, views: Floats, light: Light
    ) -> tuple[Floats, Floats]:
        normals = seen.blend(self.normals)
        normals /= np.sqrt((normals * normals).sum(axis=1, keepdims=True)) + 1e-9
        normals *= np.where((normals * views).sum(axis=1, keepdims=True) > 0, -1, 1)
        points = eye + views * seen.depth[:, None] + normals * np.float32(2e-3)
        lit = 1 - self.shadow(points, light)
        albedo = self._albedo(seen)
        return shaded(albedo, normals, views, self.shine[seen.face], lit, light), lit

    def _albedo(self, seen: Hits) -> Floats:
        uv = seen.blend(self.uv)
        first, wide, high = self.texture[seen.face].T
        column = np.clip((uv[:, 0] * wide).astype(np.int64), 0, wide - 1)
        row = np.clip((uv[:, 1] * high).astype(np.int64), 0, high - 1)
        return LINEAR[self.texels[first + row * wide + column]]

    def shadow(self, points: Floats, light: Light) -> Floats:
        """1.0 for each of the points (N, 3) that this scene hides from the key light, or 0."""
        towards = np.broadcast_to(unit(light.key_from), points.shape)
        return self.hits(points, towards).face >= 0  # type: ignore[return-value]

    def hits(self, origins: Floats, directions: Floats) -> Hits:
        """The nearest triangle along each ray (N, 3)."""
        found = self._embree.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            output=1,
        )
        return Hits(found["primID"], found["u"], found["v"], found["tfar"])


@dataclass(frozen=True, slots=True)
class Hits:
    """Per ray the triangle (-1 for none), the place on it and the distance in metres."""

    face: NDArray[np.int32]
    u: Floats
    v: Floats
    depth: Floats

    def taken(self, index: Ints) -> Hits:
        """Only the rays of `index`."""
        return Hits(self.face[index], self.u[index], self.v[index], self.depth[index])

    def blend(self, corners: Floats) -> Floats:
        """A value given at each corner (F, 3, C), at the places hit: (N, C)."""
        at = corners[self.face]
        first = (1 - self.u - self.v)[:, None]
        mixed = first * at[:, 0] + self.u[:, None] * at[:, 1] + self.v[:, None] * at[:, 2]
        return np.asarray(mixed, np.float32)


def _embree(corners: Floats) -> Any:
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise SgmnError(
            "making a world needs the package embreex", remedy="run: pip install 'sgmn[synth]'"
        ) from error
    scene = EmbreeScene()
    TriangleMesh(scene, corners)
    return scene
