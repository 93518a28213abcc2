"""Families for the home: mugs, lamps, pans, cushions, plush animals, notebooks."""

from __future__ import annotations

import numpy as np

from sgmn.records import Picture
from sgmn.synth.cloth import badged, cloth, family
from sgmn.synth.colours import mixed
from sgmn.synth.emblems import pattern
from sgmn.synth.mesh import Solid, Vector, at, moved, plain, turned
from sgmn.synth.product import Article
from sgmn.synth.shapes import cuboid, ellipsoid, lathe, sheet, tube

_Ball = tuple[Vector, Vector, Picture]  # middle, radii, texture


def mug(article: Article, detail: int) -> Solid:
    """A mug with its pattern around, the emblem in front and a handle."""
    rng = article.draws()
    h, r = rng.uniform(0.085, 0.11), rng.uniform(0.037, 0.045)
    foot = r * rng.uniform(0.72, 1.0)
    weave = cloth(article, rng, detail, 5)
    middle = badged(article, weave, int(rng.integers(64)))
    wrap = np.concatenate([weave, middle, weave], axis=1)
    wall = lathe([(r, h), (foot, 0.06 * h), (foot * 0.9, 0)], wrap, shine=0.6, gloss=60)
    inside = lathe(
        [(0, 0.1 * h), (0.9 * foot, 0.1 * h), (0.94 * r, h), (r, h)], plain((245, 243, 238))
    )
    bend = np.linspace(-0.45 * np.pi, 0.45 * np.pi, 14)
    path = np.stack(
        [0.85 * r + 0.7 * r * np.cos(bend), h / 2 + 0.32 * h * np.sin(bend), 0 * bend], 1
    )
    grip = tube(path, 0.006, plain(article.colour("handle")), shine=0.6)
    return wall, inside, grip


def lamp(article: Article, detail: int) -> Solid:
    """A table lamp: foot, stem, shade."""
    rng = article.draws()
    h, r = rng.uniform(0.28, 0.36), rng.uniform(0.085, 0.11)
    metal, foot = plain(article.colour("foot")), rng.uniform(0.05, 0.07)
    belly = rng.uniform(0.008, 0.04)
    stem = [
        (0.008, 0.75 * h),
        (0.008, 0.45 * h),
        (belly, 0.3 * h),
        (belly, 0.15 * h),
        (0.01, 0.05 * h),
    ]
    base = [(0.01, 0.05 * h), (foot, 0.03 * h), (foot, 0), (0, 0)]
    weave = cloth(article, rng, detail, 4)
    wrap = np.concatenate([weave, weave, weave], axis=1)
    cone = [(r * rng.uniform(0.55, 0.95), h), (r, 0.58 * h)]
    return (
        lathe(cone, wrap, shine=0.05),
        lathe(stem, metal, shine=0.8),
        lathe(base, metal, shine=0.8),
    )


def pan(article: Article, detail: int) -> Solid:
    """A frying pan or a pot, standing up for display, with the emblem on its floor."""
    rng = article.draws()
    r, deep = rng.uniform(0.1, 0.13), rng.uniform(0.03, 0.06)
    coat = plain(article.colour("colour"))
    floor = badged(
        article, pattern("plain", (58, 58, 62), (58, 58, 62), detail), int(rng.integers(64))
    )
    wall = lathe([(r, deep), (0.86 * r, 0.002), (0, 0)], coat, shine=0.5)
    inner = lathe([(0.99 * r, deep), (0.85 * r, 0.006)], plain((60, 60, 64)), shine=0.4)
    disc = sheet(
        np.array([[(-1, 0, -1), (1, 0, -1)], [(-1, 0, 1), (1, 0, 1)]]) * [0.6 * r, 0, 0.6 * r]
        + [0, 0.007, 0],
        floor,
    )
    plate = lathe([(0.85 * r, 0.0065), (0, 0.0065)], plain((58, 58, 62)))
    path = np.array([(0.95 * r, 0.8 * deep, 0), (1.4 * r, 1.1 * deep, 0), (2.2 * r, 1.2 * deep, 0)])
    grip = tube(path, [0.008, 0.011, 0.012], plain(article.colour("handle")))
    up = turned(pitch=np.radians(80))
    return moved((wall, inner, plate, disc, grip), at((-0.4 * r, r, 0), up))


def cushion(article: Article, detail: int) -> Solid:
    """A square cushion with piping."""
    rng = article.draws()
    half = rng.uniform(0.12, 0.16)
    weave = cloth(article, rng, 2 * detail, int(rng.integers(4, 9)))
    front = badged(article, weave, int(rng.integers(64)), 0.22)
    x = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 20))
    a, b = np.meshgrid(x, x[::-1])
    pull = 1 - 0.07 * (1 - np.abs(a * b) ** 2)
    z = 0.32 * half * ((1 - a**4) * (1 - b**4)) ** 0.5
    sides = [np.stack([s * a * pull * half, half + b * pull * half, s * z], -1) for s in (1, -1)]
    edge = np.concatenate([sides[0][0], sides[0][:, -1], sides[0][-1, ::-1], sides[0][::-1, 0]])
    keep = np.linalg.norm(np.diff(edge, axis=0), axis=1) > 1e-4
    piping = tube(edge[:-1][keep], 0.005, plain(article.colour("piping")))
    return sheet(sides[0], front, shine=0.03), sheet(sides[1], weave, shine=0.03), piping


def plush(article: Article, detail: int) -> Solid:
    """A sitting animal: a bear, a rabbit or a cat, told by its ears."""
    rng = article.draws()
    s = rng.uniform(0.9, 1.2)
    fur = cloth(article, rng, detail, 5)
    light = plain(mixed(article.colour("colour"), (255, 250, 240), 0.65))
    dark, scarf = plain((28, 24, 24)), plain(article.colour("scarf"))
    balls: list[_Ball] = [
        ((0, 0.07, 0), (0.06, 0.07, 0.05), fur),
        ((0, 0.065, 0.022), (0.04, 0.048, 0.035), light),
        ((0, 0.165, 0.005), (0.052, 0.046, 0.046), fur),
        ((0, 0.152, 0.042), (0.022, 0.017, 0.018), light),
        ((0, 0.158, 0.06), (0.007, 0.005, 0.005), dark),
    ]
    for side in (-1, 1):
        balls += [
            ((side * 0.02, 0.176, 0.045), (0.006, 0.007, 0.005), dark),
            ((side * 0.058, 0.09, 0.02), (0.02, 0.042, 0.02), fur),
            ((side * 0.04, 0.02, 0.045), (0.024, 0.022, 0.042), fur),
            *_ears(article["kind"], side, fur, light),
        ]
    parts = [ellipsoid(m, size, t, segments=20, shine=0.02) for m, size, t in balls]
    ring = np.linspace(0, 2 * np.pi, 24)
    neck = np.stack([0.042 * np.sin(ring), 0.128 + 0 * ring, 0.038 * np.cos(ring)], axis=1)
    return moved((*parts, tube(neck, 0.009, scarf)), at((0, 0, 0), scale=s))


def _ears(kind: str, side: int, fur: Picture, light: Picture) -> list[_Ball]:
    if "rabbit" in kind:
        return [
            ((side * 0.024, 0.245, 0), (0.014, 0.055, 0.009), fur),
            ((side * 0.024, 0.245, 0.006), (0.008, 0.042, 0.006), light),
        ]
    if "cat" in kind:
        return [((side * 0.034, 0.205, 0), (0.014, 0.026, 0.008), fur)]
    return [
        ((side * 0.042, 0.2, 0), (0.02, 0.02, 0.011), fur),
        ((side * 0.042, 0.2, 0.008), (0.011, 0.011, 0.006), light),
    ]


def book(article: Article, detail: int) -> Solid:
    """A hardcover notebook with a ribbon."""
    rng = article.draws()
    w, h, d = rng.uniform(0.12, 0.15), rng.uniform(0.18, 0.22), rng.uniform(0.015, 0.035)
    weave = cloth(article, rng, detail, int(rng.integers(3, 7)))
    face = badged(
        article,
        np.concatenate([weave, weave])[: int(weave.shape[1] * h / w)],
        int(rng.integers(64)),
        0.3,
    )
    paper = plain((240, 234, 218))
    covers = [*cuboid((w, h, 0.003), face, weave, weave, weave)]
    front, rear = moved(covers, at((0, 0, d / 2))), moved(covers, at((0, 0, -d / 2)))
    pages = cuboid((0.95 * w, 0.97 * h, d), paper, paper, paper, paper, base=0.015 * h)
    strap = plain(article.colour("band"))
    band = cuboid((0.008, h * 1.004, d + 0.008), strap, strap, strap, strap)
    return (*front, *rear, *pages, *moved(band, at((0.38 * w, 0, 0))))


FAMILIES = (
    family("mug", "Kitchen", ("mug", "coffee cup", "tea mug"), "handle", mug),
    family(
        "lamp",
        "Home",
        ("table lamp", "bedside lamp", "desk lamp"),
        "foot",
        lamp,
        varies=("colour", "pattern", "foot"),
    ),
    family(
        "pan",
        "Kitchen",
        ("frying pan", "saucepan", "wok"),
        "handle",
        pan,
        varies=("colour", "handle", "emblem"),
    ),
    family("cushion", "Home", ("cushion", "throw pillow", "sofa cushion"), "piping", cushion),
    family(
        "plush",
        "Toys",
        ("plush bear", "plush rabbit", "plush cat"),
        "scarf",
        plush,
        varies=("colour", "pattern", "scarf"),
    ),
    family("book", "Stationery", ("notebook", "journal", "planner"), "band", book),
)
