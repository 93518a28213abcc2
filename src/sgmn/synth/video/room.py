"""The room of a livestream: wall, shelves, table, and the products that stand there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import (
    RGB,
    Mesh,
    Solid,
    Vector,
    bounding_box,
    color_texture,
    rotation_matrix,
    transform,
    transform_matrix,
)
from sgmn.synth.graphics.shading import Lighting
from sgmn.synth.graphics.shapes import cuboid, grid_mesh
from sgmn.synth.products.colors import COLORS, mix_colors, readable_ink
from sgmn.synth.products.fonts import FONTS, load_font
from sgmn.synth.products.patterns import PATTERNS, pattern_texture
from sgmn.synth.video.presenter import Presenter, draw_presenter

# Object ids of a rendered scene. The product with index i has the id FIRST_PRODUCT_ID + i.
ROOM_ID, PRESENTER_ID, ARMS_ID, FIRST_PRODUCT_ID = 0, 1, 2, 10
_TABLE_Z = (-0.2, 0.62)  # rear and front edge in meters; z points towards the camera
_SHELF_Z = -1.02  # middle of the shelves
_SHELF_HEIGHTS = (0.02, 0.4, 0.78, 1.16)
_POSTER_TEXTS = ("LIVE", "SALE", "NEW IN", "HELLO", "TODAY", "-20 %", "FLASH", "DEALS", "VIP")
_WOOD_COLORS: tuple[RGB, ...] = (
    (190, 150, 108),
    (120, 84, 56),
    (226, 214, 196),
    (240, 240, 240),
    (70, 66, 66),
)


@dataclass(frozen=True, slots=True)
class Room:
    """The looks of a room and its presenter, and the lighting."""

    wall: ImageArray
    shelf: RGB
    table: ImageArray
    poster: ImageArray
    presenter: Presenter
    lighting: Lighting


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a product stands: the position of its base in meters and its yaw in radians."""

    position: Vector
    yaw: float


def draw_room(rng: np.random.Generator) -> Room:
    """Draw a room, a presenter and the lighting."""
    tints = [mix_colors(c, (236, 232, 226), rng.uniform(0.35, 0.85)) for c in COLORS.values()]
    first, second = (tints[i] for i in rng.choice(len(tints), 2, replace=False))
    pattern = list(PATTERNS)[rng.integers(len(PATTERNS))] if rng.random() < 0.5 else "plain"
    wood = _WOOD_COLORS[rng.integers(len(_WOOD_COLORS))]
    repeats = int(rng.integers(8, 28))
    return Room(
        wall=pattern_texture(pattern, first, mix_colors(first, second, 0.4), 1024, repeats),
        shelf=mix_colors(wood, (255, 255, 255), rng.uniform(0, 0.4)),
        table=_draw_wood(wood, rng),
        poster=_draw_poster(rng),
        presenter=draw_presenter(rng),
        lighting=_draw_lighting(rng),
    )


def _draw_lighting(rng: np.random.Generator) -> Lighting:
    """Draw a key light from the left or right, warm or cold, hard or soft."""
    side, strength = rng.choice([-1, 1]), rng.uniform(0.45, 0.95)
    warmth = rng.uniform(-1, 1)  # -1 is blue, 1 is orange
    balance = np.array([1 + 0.16 * warmth, 1 + 0.02 * warmth, 1 - 0.2 * warmth])
    tint = balance * (1 + rng.uniform(-0.05, 0.05, 3))
    sky = rng.uniform(0.28, 0.52) * tint
    return Lighting(
        key_direction=(
            float(side * rng.uniform(0.2, 0.9)),
            float(rng.uniform(0.7, 1.3)),
            float(rng.uniform(0.4, 1.2)),
        ),
        key_color=_to_vector(strength * tint),
        fill_direction=(float(-side * 0.7), 0.3, 0.7),
        fill_color=_to_vector(rng.uniform(0.05, 0.2) * tint * rng.uniform(0.85, 1.15, 3)),
        sky_color=_to_vector(sky),
        ground_color=_to_vector(sky * rng.uniform(0.45, 0.75)),
        flare=float(rng.uniform(0, 0.03)),
    )


def _to_vector(values: np.ndarray) -> Vector:
    r, g, b = (float(v) for v in values)
    return r, g, b


def _draw_wood(color: RGB, rng: np.random.Generator) -> ImageArray:
    planks = np.repeat(rng.normal(0, 6, 8), 32)[:, None]
    grain = np.repeat(rng.normal(0, 3, (128, 8)), 32, axis=1).repeat(2, axis=0)
    tone = (planks + grain + rng.normal(0, 2, (256, 256)))[..., None]
    return np.clip(np.array(color) + tone, 0, 255).astype(np.uint8)


def _draw_poster(rng: np.random.Generator) -> ImageArray:
    colors = list(COLORS.values())
    background = colors[rng.integers(len(colors))]
    image = Image.new("RGB", (320, 200), background)
    canvas = ImageDraw.Draw(image)
    for _ in range(14):
        x, y, r = rng.uniform(0, 320), rng.uniform(0, 200), rng.uniform(4, 30)
        fill = mix_colors(background, (255, 255, 255), rng.uniform(0.1, 0.4))
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    text = str(rng.choice(_POSTER_TEXTS))
    font = load_font(FONTS[rng.integers(len(FONTS))], 84)
    canvas.text((160, 100), text, fill=readable_ink(background), font=font, anchor="mm")
    return np.asarray(image)


def build_room(room: Room) -> Solid:
    """Build wall, poster, shelves and table."""
    shelf = color_texture(room.shelf)
    meshes: list[Mesh] = [_build_wall(room.wall, (-2.6, 2.6), (-1.0, 2.4), -1.22)]
    meshes.append(_build_wall(room.poster, (-0.4, 0.4), (0.84, 1.12), -1.2))
    for height in _SHELF_HEIGHTS:
        board = cuboid((2.4, 0.02, 0.22), shelf, shelf, shelf, shelf)
        meshes += transform(board, transform_matrix((0, height - 0.02, _SHELF_Z)))
    depth = _TABLE_Z[1] - _TABLE_Z[0]
    top = cuboid((2.2, 0.04, depth), room.table, room.table, room.table, room.table, specular=0.2)
    meshes += transform(top, transform_matrix((0, -0.04, sum(_TABLE_Z) / 2)))
    return tuple(meshes)


def _build_wall(
    image: ImageArray, x: tuple[float, float], y: tuple[float, float], z: float
) -> Mesh:
    corners = [[(x[0], y[1], z), (x[1], y[1], z)], [(x[0], y[0], z), (x[1], y[0], z)]]
    return grid_mesh(np.array(corners, float), image, specular=0.02)


def place_products(
    solids: Sequence[Solid], table_count: int, rng: np.random.Generator
) -> list[Placement | None]:
    """Find a placement for each solid without overlaps.

    The first `table_count` solids stand on the table, the others on the shelves. A solid that
    does not fit has the placement None.
    """
    space = _FreeSpace(rng)
    return [space.place(solid, on_table=i < table_count) for i, solid in enumerate(solids)]


class _FreeSpace:
    """The rows on the table and on the shelves, with the free x position of each."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        shelves = [(y, side * 0.2, side) for y in _SHELF_HEIGHTS[:3] for side in (-1, 1)]
        self._shelf_rows = [shelves[i] for i in rng.permutation(len(shelves))]
        self._table_rows = [(z, side * 0.16, side) for z in (0.02, 0.24) for side in (-1, 1)]

    def place(self, solid: Solid, *, on_table: bool) -> Placement | None:
        low, high = bounding_box(solid)
        width = float(np.hypot(*(high - low)[[0, 2]]))
        rows, limit = (self._table_rows, 0.42) if on_table else (self._shelf_rows, 0.72)
        free = [i for i, (_, x, _) in enumerate(rows) if abs(x) + width < limit]
        if not free or (not on_table and high[1] > 0.35):
            return None
        chosen = free[0] if on_table else min(free, key=lambda i: abs(rows[i][1]))
        level, x, side = rows[chosen]
        rows[chosen] = (level, x + side * (width + 0.015), side)
        center_x = x + side * width / 2
        position = (center_x, 0.0, level) if on_table else (center_x, level, _SHELF_Z)
        return Placement(position, float(self._rng.uniform(-0.5, 0.5)))


def place_solid(solid: Solid, placement: Placement) -> Solid:
    """Move a solid to its placement."""
    rotation = rotation_matrix(placement.yaw)
    return transform(solid, transform_matrix(placement.position, rotation))
