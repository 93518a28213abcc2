"""Where a livestream is made: wall, shelves, table, the host, and products at rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sgmn.records import Picture
from sgmn.synth import host
from sgmn.synth.colours import COLOURS, mixed, readable
from sgmn.synth.emblems import PATTERNS, pattern
from sgmn.synth.fonts import FACES, font
from sgmn.synth.light import Light
from sgmn.synth.mesh import RGB, Part, Solid, Vector, at, bounds, moved, plain, turned
from sgmn.synth.shapes import cuboid, sheet

ROOM, HOST, ARMS, FIRST = 0, 1, 2, 10  # numbers of owners; products count from FIRST
EDGE = (-0.2, 0.62)  # where the table begins and ends, metres towards the camera
SHELF_Z = -1.02  # the middle of the boards
_BOARDS = (0.02, 0.4, 0.78, 1.16)
_WORDS = ("LIVE", "SALE", "NEW IN", "HELLO", "TODAY", "-20 %", "FLASH", "DEALS", "VIP")


@dataclass(frozen=True, slots=True)
class Stage:
    """The looks of a room and its host, and the light."""

    wall: Picture
    board: RGB
    table: Picture
    poster: Picture
    who: host.Look
    light: Light


@dataclass(frozen=True, slots=True)
class Rest:
    """A place where a product stands: its foot in metres, and how it is turned (radians)."""

    place: Vector
    yaw: float


def drawn(rng: np.random.Generator) -> Stage:
    """Draw a room, a host and a light."""
    tints = [mixed(c, (236, 232, 226), rng.uniform(0.35, 0.85)) for c in COLOURS.values()]
    wall, other = (tints[i] for i in rng.choice(len(tints), 2, replace=False))
    paper = list(PATTERNS)[rng.integers(len(PATTERNS))] if rng.random() < 0.5 else "plain"
    woods = ((190, 150, 108), (120, 84, 56), (226, 214, 196), (240, 240, 240), (70, 66, 66))
    wood = woods[rng.integers(len(woods))]
    return Stage(
        wall=pattern(paper, wall, mixed(wall, other, 0.4), 1024, int(rng.integers(8, 28))),
        board=mixed(wood, (255, 255, 255), rng.uniform(0, 0.4)),
        table=_wood(wood, rng),
        poster=_poster(rng),
        who=host.look(rng),
        light=_light(rng),
    )


def _light(rng: np.random.Generator) -> Light:
    """A lamp from the left or right, warm or cold, hard or soft."""
    side, strength = rng.choice([-1, 1]), rng.uniform(0.45, 0.95)
    warm = rng.uniform(-1, 1)  # -1 blue to 1 orange
    balance = np.array([1 + 0.16 * warm, 1 + 0.02 * warm, 1 - 0.2 * warm])
    tint = balance * (1 + rng.uniform(-0.05, 0.05, 3))
    sky = rng.uniform(0.28, 0.52) * tint
    return Light(
        key_from=(
            float(side * rng.uniform(0.2, 0.9)),
            float(rng.uniform(0.7, 1.3)),
            float(rng.uniform(0.4, 1.2)),
        ),
        key=_triple(strength * tint),
        fill_from=(float(-side * 0.7), 0.3, 0.7),
        fill=_triple(rng.uniform(0.05, 0.2) * tint * rng.uniform(0.85, 1.15, 3)),
        above=_triple(sky),
        below=_triple(sky * rng.uniform(0.45, 0.75)),
        veil=float(rng.uniform(0, 0.03)),
    )


def _triple(values: np.ndarray) -> Vector:
    r, g, b = (float(v) for v in values)
    return r, g, b


def _wood(colour: RGB, rng: np.random.Generator) -> Picture:
    planks = np.repeat(rng.normal(0, 6, 8), 32)[:, None]
    grain = np.repeat(rng.normal(0, 3, (128, 8)), 32, axis=1).repeat(2, axis=0)
    tone = (planks + grain + rng.normal(0, 2, (256, 256)))[..., None]
    return np.clip(np.array(colour) + tone, 0, 255).astype(np.uint8)


def _poster(rng: np.random.Generator) -> Picture:
    names = list(COLOURS.values())
    ground = names[rng.integers(len(names))]
    image = Image.new("RGB", (320, 200), ground)
    canvas = ImageDraw.Draw(image)
    for _ in range(14):
        x, y, r = rng.uniform(0, 320), rng.uniform(0, 200), rng.uniform(4, 30)
        canvas.ellipse(
            (x - r, y - r, x + r, y + r), fill=mixed(ground, (255, 255, 255), rng.uniform(0.1, 0.4))
        )
    word = str(rng.choice(_WORDS))
    face = FACES[rng.integers(len(FACES))]
    canvas.text((160, 100), word, fill=readable(ground), font=font(face, 84), anchor="mm")
    return np.asarray(image)


def room(stage: Stage) -> Solid:
    """Wall, poster, boards and table."""
    board = plain(stage.board)
    parts: list[Part] = [_upright(stage.wall, (-2.6, 2.6), (-1.0, 2.4), -1.22)]
    parts.append(_upright(stage.poster, (-0.4, 0.4), (0.84, 1.12), -1.2))
    for high in _BOARDS:
        parts += moved(
            cuboid((2.4, 0.02, 0.22), board, board, board, board), at((0, high - 0.02, SHELF_Z))
        )
    deep = EDGE[1] - EDGE[0]
    top = cuboid((2.2, 0.04, deep), stage.table, stage.table, stage.table, stage.table, shine=0.2)
    parts += moved(top, at((0, -0.04, sum(EDGE) / 2)))
    return tuple(parts)


def _upright(picture: Picture, x: tuple[float, float], y: tuple[float, float], z: float) -> Part:
    corners = [[(x[0], y[1], z), (x[1], y[1], z)], [(x[0], y[0], z), (x[1], y[0], z)]]
    return sheet(np.array(corners, float), picture, shine=0.02)


def rests(solids: Sequence[Solid], table: int, rng: np.random.Generator) -> list[Rest | None]:
    """A place for each solid that touches no other: `table` of them in front, the others behind.

    None for those that find no room.
    """
    slots = _Slots(rng)
    return [slots.place(solid, on_table=i < table) for i, solid in enumerate(solids)]


class _Slots:
    """What is still free on the table's two sides and on the boards."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        starts = [(y, side * 0.2, side) for y in _BOARDS[:3] for side in (-1, 1)]
        self.boards = [starts[i] for i in rng.permutation(len(starts))]
        self.table = [(z, side * 0.16, side) for z in (0.02, 0.24) for side in (-1, 1)]

    def place(self, solid: Solid, *, on_table: bool) -> Rest | None:
        low, high = bounds(solid)
        wide = float(np.hypot(*(high - low)[[0, 2]]))
        rows, limit = (self.table, 0.42) if on_table else (self.boards, 0.72)
        fits = [i for i, (_, x, _) in enumerate(rows) if abs(x) + wide < limit]
        if not fits or (not on_table and high[1] > 0.35):
            return None
        pick = fits[0] if on_table else min(fits, key=lambda i: abs(rows[i][1]))
        level, x, side = rows[pick]
        rows[pick] = (level, x + side * (wide + 0.015), side)
        where = (
            (x + side * wide / 2, 0.0, level) if on_table else (x + side * wide / 2, level, SHELF_Z)
        )
        return Rest(where, float(self.rng.uniform(-0.5, 0.5)))


def standing(solid: Solid, rest: Rest) -> Solid:
    """A solid at its place."""
    return moved(solid, at(rest.place, turned(rest.yaw)))
