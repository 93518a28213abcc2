"""Rays into a scene: what each pixel sees, how bright it is and whose it is.

Embree finds the triangles; textures, normals and light are looked up here with NumPy.
Embree needs no display, no GL and no system package (see docs/decisions).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgmn.errors import SgmnError
from sgmn.synth.light import LINEAR, Light, dots, shaded, unit
from sgmn.synth.mesh import Floats, Part, Vector

Ints = NDArray[np.int64]
Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels
FAR = np.float32(1e6)
_STEP = 0.05  # of brightness 0..1


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

    def rays(self, step: float = 1.0) -> Rays:
        """A ray through the middle of every pixel, or of every `step` pixels (0.5: four each)."""
        xs = np.arange(step / 2, self.size[0], step, dtype=np.float32)
        ys = np.arange(step / 2, self.size[1], step, dtype=np.float32)
        return self.through(*np.meshgrid(xs, ys))

    def through(self, x: Floats, y: Floats) -> Rays:
        """Rays through places in the picture, in pixels, each (H, W)."""
        focal = np.float32(self.focal * self.size[1])
        flat = np.empty((*x.shape, 3), np.float32)
        flat[..., 0] = (x - self.size[0] / 2) / focal
        flat[..., 1] = (self.size[1] / 2 - y) / focal
        flat[..., 2] = 1
        flat /= np.sqrt(np.einsum("ijk,ijk->ij", flat, flat))[..., None]
        return Rays(np.asarray(self.eye, np.float32), flat @ self.axes())

    def pixels(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Where points (N, 3) are seen: (N, 3) of x, y in pixels and metres ahead."""
        seen = (points - np.asarray(self.eye, np.float32)) @ self.axes().T
        ahead = np.maximum(seen[:, 2], 1e-3)
        scale = self.focal * self.size[1] / ahead
        x = self.size[0] / 2 + seen[:, 0] * scale
        return np.stack([x, self.size[1] / 2 - seen[:, 1] * scale, seen[:, 2]], axis=1)


@dataclass(frozen=True, slots=True)
class Rays:
    """Rays from one eye (3,) along unit `ways` (H, W, 3)."""

    eye: Floats
    ways: Floats

    def cut(self, window: Window) -> Rays:
        """Only the rays through a window, in steps of these rays."""
        left, top, right, bottom = window
        return Rays(self.eye, self.ways[top:bottom, left:right])

    def points(self, depth: Floats) -> Floats:
        """The points (H, W, 3) at a depth (H, W) along each ray."""
        return np.asarray(self.eye + self.ways * depth[..., None], np.float32)


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
        corners = [np.hstack([part.normals, part.uv])[part.faces] for part in parts]
        self.corners = np.concatenate(corners)  # (F, 3, 5): normal and place in the texture
        self._textures(parts, counts)
        points = np.concatenate([part.points[part.faces] for part in parts])
        self._embree = _embree(np.ascontiguousarray(points, np.float32))

    def _textures(self, parts: Sequence[Part], counts: Sequence[int]) -> None:
        unique = {id(part.texture): part.texture for part in parts}
        sizes = [texture.shape[0] * texture.shape[1] for texture in unique.values()]
        first = dict(zip(unique, np.cumsum([0, *sizes[:-1]]), strict=True))
        self.texels = np.concatenate([texture.reshape(-1, 3) for texture in unique.values()])
        place = [(first[id(p.texture)], p.texture.shape[1], p.texture.shape[0]) for p in parts]
        self.texture = np.repeat(np.array(place, np.int64), counts, axis=0)

    def view(self, rays: Rays, light: Light, cell: int = 0) -> View:
        """What is seen along the rays, shadows included.

        With `cell`, rays are cast only near those of a coarse grid of so many steps that hit
        something: quicker for things that leave most of the picture empty.
        """
        shape = rays.ways.shape[:2]
        ways = rays.ways.reshape(-1, 3)
        cast = self._near(rays, cell) if cell else np.arange(len(ways))
        seen = self.hits(rays.eye, ways[cast])
        met = np.flatnonzero(seen.face >= 0)
        hit, seen = cast[met], seen.taken(met)
        colour, lit = np.zeros((len(ways), 3), np.float32), np.ones(len(ways), np.float32)
        depth, owner = np.full(len(ways), FAR), np.full(len(ways), -1, np.int16)
        depth[hit], owner[hit] = seen.depth, self.owner[seen.face]
        colour[hit], lit[hit] = self._surface(seen, rays.eye, ways[hit], light)
        return View(
            colour.reshape(*shape, 3),
            depth.reshape(shape),
            owner.reshape(shape),
            lit.reshape(shape),
        )

    def fine(self, camera: Camera, light: Light) -> View:
        """What the camera sees, with four samples in each pixel where the picture is rough."""
        seen = self.view(camera.rays(), light)
        y, x = np.nonzero(_rough(np.sqrt(np.clip(seen.colour, 0, 1))))
        across = np.array([0.25, 0.75, 0.25, 0.75], np.float32) + x[:, None]
        down = np.array([0.25, 0.25, 0.75, 0.75], np.float32) + y[:, None]
        rays = camera.through(across.astype(np.float32), down.astype(np.float32))
        seen.colour[y, x] = self.view(rays, light).colour.mean(axis=1)
        return seen

    def _near(self, rays: Rays, cell: int) -> Ints:
        high, wide = rays.ways.shape[:2]
        coarse = rays.ways[::cell, ::cell]
        found = self.hidden(rays.eye, coarse.reshape(-1, 3)).reshape(coarse.shape[:2])
        wider = ndimage.maximum_filter(found, size=3)
        fine = np.repeat(np.repeat(wider, cell, axis=0), cell, axis=1)[:high, :wide]
        return np.flatnonzero(fine)

    def _surface(
        self, seen: Hits, eye: Floats, views: Floats, light: Light
    ) -> tuple[Floats, Floats]:
        blend = seen.blend(self.corners)
        normals = np.ascontiguousarray(blend[:, :3])
        normals /= np.sqrt(dots(normals, normals))[:, None] + 1e-9
        normals *= np.where(dots(normals, views) > 0, np.float32(-1), np.float32(1))[:, None]
        points = eye + views * seen.depth[:, None] + normals * np.float32(2e-3)
        lit = 1 - self.shadow(points, light)
        albedo = self._albedo(seen.face, blend[:, 3], blend[:, 4])
        return shaded(albedo, normals, views, self.shine[seen.face], lit, light), lit

    def _albedo(self, face: NDArray[np.int32], u: Floats, v: Floats) -> Floats:
        first, wide, high = self.texture[face].T
        column = np.clip((u * wide).astype(np.int64), 0, wide - 1)
        row = np.clip((v * high).astype(np.int64), 0, high - 1)
        return np.asarray(LINEAR[self.texels[first + row * wide + column]], np.float32)

    def shadow(self, points: Floats, light: Light) -> Floats:
        """1.0 for each of the points (N, 3) that this scene hides from the key light, or 0."""
        towards = np.broadcast_to(unit(light.key_from), points.shape)
        return self.hidden(points, towards).astype(np.float32)

    def hidden(self, origins: Floats, directions: Floats) -> NDArray[np.bool_]:
        """Whether anything at all lies along each ray (N, 3)."""
        ways = np.ascontiguousarray(directions, np.float32)
        starts = np.ascontiguousarray(np.broadcast_to(origins, ways.shape), np.float32)
        return np.asarray(self._embree.run(starts, ways, query="OCCLUDED") >= 0)

    def hits(self, origins: Floats, directions: Floats) -> Hits:
        """The nearest triangle along each ray (N, 3)."""
        ways = np.ascontiguousarray(directions, np.float32)
        starts = np.ascontiguousarray(np.broadcast_to(origins, ways.shape), np.float32)
        found = self._embree.run(starts, ways, output=1)
        return Hits(found["primID"], found["u"], found["v"], found["tfar"])


def _rough(colour: Floats) -> NDArray[np.bool_]:
    """Pixels (H, W) that differ from a neighbour by more than a step that the eye sees."""
    found = np.zeros(colour.shape[:2], np.bool_)
    across = np.abs(np.diff(colour, axis=1)).max(axis=2) > _STEP
    down = np.abs(np.diff(colour, axis=0)).max(axis=2) > _STEP
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found


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
        weights = np.stack([1 - self.u - self.v, self.u, self.v], axis=1)
        at = np.take(corners, self.face, axis=0)
        return np.asarray(np.einsum("ij,ijk->ik", weights, at), np.float32)


def _embree(corners: Floats) -> Any:
    try:
        meshes = import_module("embreex.mesh_construction")
        scenes = import_module("embreex.rtcore_scene")
    except ImportError as error:
        raise SgmnError(
            "making a world needs the package embreex", remedy="run: pip install 'sgmn[synth]'"
        ) from error
    scene = scenes.EmbreeScene()
    meshes.TriangleMesh(scene, corners)
    return scene
