"""A ray tracer: color, depth and object of each pixel of a scene.

Embree finds the triangles; NumPy looks up textures, normals and light. Embree needs no display,
no OpenGL and no system package (see docs/decisions).
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
from sgmn.synth.graphics.camera import Camera, Rays
from sgmn.synth.graphics.mesh import Floats, Mesh
from sgmn.synth.graphics.shading import BYTE_TO_LINEAR, Lighting, normalize, row_dots, shade

Ints = NDArray[np.int64]
FAR = np.float32(1e6)  # depth of a ray that hits nothing, in meters
_EDGE_STEP = 0.05  # brightness difference (0..1) of neighboring pixels at a visible edge


@dataclass(frozen=True, slots=True)
class View:
    """What rays see, each (H, W, …). A ray that hits nothing has object id -1 and depth FAR."""

    color: Floats  # (H, W, 3), linear light; 0 where nothing is hit
    depth: Floats  # (H, W), meters along the ray
    object_ids: NDArray[np.int16]  # (H, W)
    key_visibility: Floats  # (H, W), 0 in the shadow of the key light, 1 in full light


class Scene:
    """Objects to render: pairs of an object id (0..32767) and the meshes of the object."""

    def __init__(self, objects: Iterable[tuple[int, Sequence[Mesh]]]) -> None:
        pairs = [(object_id, mesh) for object_id, meshes in objects for mesh in meshes]
        meshes = [mesh for _, mesh in pairs]
        counts = [len(mesh.faces) for mesh in meshes]
        self._object_ids = np.repeat(np.array([i for i, _ in pairs], np.int16), counts)
        highlight = np.array([(mesh.specular, mesh.shininess) for mesh in meshes], np.float32)
        self._highlight = np.repeat(highlight, counts, axis=0)
        corners = [np.hstack([mesh.normals, mesh.uv])[mesh.faces] for mesh in meshes]
        self._corners = np.concatenate(corners)  # (F, 3, 5): normal and texture coordinates
        self._store_textures(meshes, counts)
        triangles = np.concatenate([mesh.vertices[mesh.faces] for mesh in meshes])
        self._embree = _build_embree_scene(np.ascontiguousarray(triangles, np.float32))

    def _store_textures(self, meshes: Sequence[Mesh], counts: Sequence[int]) -> None:
        """Concatenate all textures into one array of texels, with a lookup row per face."""
        unique = {id(mesh.texture): mesh.texture for mesh in meshes}
        sizes = [texture.shape[0] * texture.shape[1] for texture in unique.values()]
        offset = dict(zip(unique, np.cumsum([0, *sizes[:-1]]), strict=True))
        self._texels = np.concatenate([texture.reshape(-1, 3) for texture in unique.values()])
        lookup = [(offset[id(m.texture)], m.texture.shape[1], m.texture.shape[0]) for m in meshes]
        self._texture_lookup = np.repeat(np.array(lookup, np.int64), counts, axis=0)

    def render(self, rays: Rays, lighting: Lighting, search_step: int = 0) -> View:
        """Render what the rays see, with shadows.

        With `search_step` above 0, a coarse grid of rays with this step is cast first, and only
        the rays near its hits are rendered. This is faster for objects that leave most of the
        image empty.
        """
        shape = rays.directions.shape[:2]
        directions = rays.directions.reshape(-1, 3)
        cast = (
            self._rays_near_hits(rays, search_step) if search_step else np.arange(len(directions))
        )
        hits = self.intersect(rays.origin, directions[cast])
        is_hit = np.flatnonzero(hits.face >= 0)
        index, hits = cast[is_hit], hits.select(is_hit)
        color = np.zeros((len(directions), 3), np.float32)
        key_visibility = np.ones(len(directions), np.float32)
        depth, object_ids = np.full(len(directions), FAR), np.full(len(directions), -1, np.int16)
        depth[index], object_ids[index] = hits.depth, self._object_ids[hits.face]
        color[index], key_visibility[index] = self._shade_hits(
            hits, rays.origin, directions[index], lighting
        )
        return View(
            color.reshape(*shape, 3),
            depth.reshape(shape),
            object_ids.reshape(shape),
            key_visibility.reshape(shape),
        )

    def render_antialiased(self, camera: Camera, lighting: Lighting) -> View:
        """Render what the camera sees, with four samples per pixel along visible edges."""
        view = self.render(camera.rays(), lighting)
        y, x = np.nonzero(_edge_pixels(np.sqrt(np.clip(view.color, 0, 1))))
        sample_x = np.array([0.25, 0.75, 0.25, 0.75], np.float32) + x[:, None]
        sample_y = np.array([0.25, 0.25, 0.75, 0.75], np.float32) + y[:, None]
        rays = camera.rays_through(sample_x.astype(np.float32), sample_y.astype(np.float32))
        view.color[y, x] = self.render(rays, lighting).color.mean(axis=1)
        return view

    def _rays_near_hits(self, rays: Rays, step: int) -> Ints:
        height, width = rays.directions.shape[:2]
        coarse = rays.directions[::step, ::step]
        hit = self.is_occluded(rays.origin, coarse.reshape(-1, 3)).reshape(coarse.shape[:2])
        dilated = ndimage.maximum_filter(hit, size=3)
        fine = np.repeat(np.repeat(dilated, step, axis=0), step, axis=1)[:height, :width]
        return np.flatnonzero(fine)

    def _shade_hits(
        self, hits: Hits, origin: Floats, view_directions: Floats, lighting: Lighting
    ) -> tuple[Floats, Floats]:
        """Return color (N, 3) and visibility of the key light (N,)."""
        values = hits.interpolate(self._corners)
        normals = np.ascontiguousarray(values[:, :3])
        normals /= np.sqrt(row_dots(normals, normals))[:, None] + 1e-9
        is_back_side = row_dots(normals, view_directions) > 0
        normals *= np.where(is_back_side, np.float32(-1), np.float32(1))[:, None]
        points = origin + view_directions * hits.depth[:, None] + normals * np.float32(2e-3)
        key_visibility = 1 - self.shadow_mask(points, lighting)
        albedo = self._sample_albedo(hits.face, values[:, 3], values[:, 4])
        highlight = self._highlight[hits.face]
        color = shade(albedo, normals, view_directions, highlight, key_visibility, lighting)
        return color, key_visibility

    def _sample_albedo(self, face: NDArray[np.int32], u: Floats, v: Floats) -> Floats:
        offset, width, height = self._texture_lookup[face].T
        column = np.clip((u * width).astype(np.int64), 0, width - 1)
        row = np.clip((v * height).astype(np.int64), 0, height - 1)
        return np.asarray(BYTE_TO_LINEAR[self._texels[offset + row * width + column]], np.float32)

    def shadow_mask(self, points: Floats, lighting: Lighting) -> Floats:
        """Return 1.0 for each point (N, 3) that this scene hides from the key light, else 0."""
        directions = np.broadcast_to(normalize(lighting.key_direction), points.shape)
        return self.is_occluded(points, directions).astype(np.float32)

    def is_occluded(self, origins: Floats, directions: Floats) -> NDArray[np.bool_]:
        """Return whether each ray (N, 3) hits anything."""
        ends = np.ascontiguousarray(directions, np.float32)
        starts = np.ascontiguousarray(np.broadcast_to(origins, ends.shape), np.float32)
        return np.asarray(self._embree.run(starts, ends, query="OCCLUDED") >= 0)

    def intersect(self, origins: Floats, directions: Floats) -> Hits:
        """Return the nearest triangle along each ray (N, 3)."""
        ends = np.ascontiguousarray(directions, np.float32)
        starts = np.ascontiguousarray(np.broadcast_to(origins, ends.shape), np.float32)
        result = self._embree.run(starts, ends, output=1)
        return Hits(result["primID"], result["u"], result["v"], result["tfar"])


def _edge_pixels(color: Floats) -> NDArray[np.bool_]:
    """Return which pixels (H, W) differ visibly from a neighbor."""
    edges = np.zeros(color.shape[:2], np.bool_)
    across = np.abs(np.diff(color, axis=1)).max(axis=2) > _EDGE_STEP
    down = np.abs(np.diff(color, axis=0)).max(axis=2) > _EDGE_STEP
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    edges[1:] |= down
    edges[:-1] |= down
    return edges


@dataclass(frozen=True, slots=True)
class Hits:
    """Per ray: the triangle (-1 for none), the position on it and the distance in meters."""

    face: NDArray[np.int32]
    u: Floats
    v: Floats
    depth: Floats

    def select(self, index: Ints) -> Hits:
        """Return only the rays of `index`."""
        return Hits(self.face[index], self.u[index], self.v[index], self.depth[index])

    def interpolate(self, corners: Floats) -> Floats:
        """Interpolate values (F, 3, C) at the triangle corners to the hit points: (N, C)."""
        weights = np.stack([1 - self.u - self.v, self.u, self.v], axis=1)
        return np.asarray(
            np.einsum("ij,ijk->ik", weights, np.take(corners, self.face, axis=0)), np.float32
        )


def _build_embree_scene(triangles: Floats) -> Any:
    try:
        mesh_construction = import_module("embreex.mesh_construction")
        rtcore_scene = import_module("embreex.rtcore_scene")
    except ImportError as error:
        raise SgmnError(
            "generating videos requires the package embreex",
            remedy="run: pip install 'sgmn[synth]'",
        ) from error
    scene = rtcore_scene.EmbreeScene()
    mesh_construction.TriangleMesh(scene, triangles)
    return scene
