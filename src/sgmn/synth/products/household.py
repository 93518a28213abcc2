"""Product families for the home: mugs, lamps, pans, cushions, plush animals and notebooks."""

from __future__ import annotations

import numpy as np

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import (
    Solid,
    Vector,
    color_texture,
    rotation_matrix,
    transform,
    transform_matrix,
)
from sgmn.synth.graphics.shapes import cuboid, ellipsoid, grid_mesh, lathe, tube
from sgmn.synth.products.colors import mix_colors
from sgmn.synth.products.fabric import add_badge, fabric_family, fabric_texture
from sgmn.synth.products.patterns import pattern_texture
from sgmn.synth.products.spec import ProductSpec

_Ball = tuple[Vector, Vector, ImageArray]  # center, radii, texture


def build_mug(product: ProductSpec, texture_px: int) -> Solid:
    """Build a mug with a pattern around it, the emblem in front and a handle."""
    rng = product.design_rng()
    h, r = rng.uniform(0.085, 0.11), rng.uniform(0.037, 0.045)
    foot = r * rng.uniform(0.72, 1.0)
    fabric = fabric_texture(product, rng, texture_px, 5)
    front = add_badge(product, fabric, int(rng.integers(64)))
    wrap = np.concatenate([fabric, front, fabric], axis=1)
    wall = lathe([(r, h), (foot, 0.06 * h), (foot * 0.9, 0)], wrap, specular=0.6, shininess=60)
    inside = lathe(
        [(0, 0.1 * h), (0.9 * foot, 0.1 * h), (0.94 * r, h), (r, h)], color_texture((245, 243, 238))
    )
    bend = np.linspace(-0.45 * np.pi, 0.45 * np.pi, 14)
    path = np.stack(
        [0.85 * r + 0.7 * r * np.cos(bend), h / 2 + 0.32 * h * np.sin(bend), 0 * bend], 1
    )
    grip = tube(path, 0.006, color_texture(product.color("handle")), specular=0.6)
    return wall, inside, grip


def build_lamp(product: ProductSpec, texture_px: int) -> Solid:
    """Build a table lamp: foot, stem and shade."""
    rng = product.design_rng()
    h, r = rng.uniform(0.28, 0.36), rng.uniform(0.085, 0.11)
    metal, foot = color_texture(product.color("foot")), rng.uniform(0.05, 0.07)
    belly = rng.uniform(0.008, 0.04)
    stem = [
        (0.008, 0.75 * h),
        (0.008, 0.45 * h),
        (belly, 0.3 * h),
        (belly, 0.15 * h),
        (0.01, 0.05 * h),
    ]
    base = [(0.01, 0.05 * h), (foot, 0.03 * h), (foot, 0), (0, 0)]
    fabric = fabric_texture(product, rng, texture_px, 4)
    wrap = np.concatenate([fabric, fabric, fabric], axis=1)
    cone = [(r * rng.uniform(0.55, 0.95), h), (r, 0.58 * h)]
    return (
        lathe(cone, wrap, specular=0.05),
        lathe(stem, metal, specular=0.8),
        lathe(base, metal, specular=0.8),
    )


def build_pan(product: ProductSpec, texture_px: int) -> Solid:
    """Build a frying pan or a pot that stands upright, with the emblem on its bottom."""
    rng = product.design_rng()
    r, depth = rng.uniform(0.1, 0.13), rng.uniform(0.03, 0.06)
    coating = color_texture(product.color("colour"))
    floor = add_badge(
        product,
        pattern_texture("plain", (58, 58, 62), (58, 58, 62), texture_px),
        int(rng.integers(64)),
    )
    wall = lathe([(r, depth), (0.86 * r, 0.002), (0, 0)], coating, specular=0.5)
    inner = lathe([(0.99 * r, depth), (0.85 * r, 0.006)], color_texture((60, 60, 64)), specular=0.4)
    disc = grid_mesh(
        np.array([[(-1, 0, -1), (1, 0, -1)], [(-1, 0, 1), (1, 0, 1)]]) * [0.6 * r, 0, 0.6 * r]
        + [0, 0.007, 0],
        floor,
    )
    plate = lathe([(0.85 * r, 0.0065), (0, 0.0065)], color_texture((58, 58, 62)))
    path = np.array(
        [(0.95 * r, 0.8 * depth, 0), (1.4 * r, 1.1 * depth, 0), (2.2 * r, 1.2 * depth, 0)]
    )
    grip = tube(path, [0.008, 0.011, 0.012], color_texture(product.color("handle")))
    upright = rotation_matrix(pitch=np.radians(80))
    return transform((wall, inner, plate, disc, grip), transform_matrix((-0.4 * r, r, 0), upright))


def build_cushion(product: ProductSpec, texture_px: int) -> Solid:
    """Build a square cushion with piping."""
    rng = product.design_rng()
    half = rng.uniform(0.12, 0.16)
    fabric = fabric_texture(product, rng, 2 * texture_px, int(rng.integers(4, 9)))
    front = add_badge(product, fabric, int(rng.integers(64)), 0.22)
    x = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 20))
    a, b = np.meshgrid(x, x[::-1])
    pull = 1 - 0.07 * (1 - np.abs(a * b) ** 2)
    z = 0.32 * half * ((1 - a**4) * (1 - b**4)) ** 0.5
    sides = [np.stack([s * a * pull * half, half + b * pull * half, s * z], -1) for s in (1, -1)]
    edge = np.concatenate([sides[0][0], sides[0][:, -1], sides[0][-1, ::-1], sides[0][::-1, 0]])
    is_distinct = np.linalg.norm(np.diff(edge, axis=0), axis=1) > 1e-4
    piping = tube(edge[:-1][is_distinct], 0.005, color_texture(product.color("piping")))
    return (
        grid_mesh(sides[0], front, specular=0.03),
        grid_mesh(sides[1], fabric, specular=0.03),
        piping,
    )


def build_plush(product: ProductSpec, texture_px: int) -> Solid:
    """Build a sitting bear, rabbit or cat; the animals differ in their ears."""
    rng = product.design_rng()
    s = rng.uniform(0.9, 1.2)
    fur = fabric_texture(product, rng, texture_px, 5)
    light = color_texture(mix_colors(product.color("colour"), (255, 250, 240), 0.65))
    dark, scarf = color_texture((28, 24, 24)), color_texture(product.color("scarf"))
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
            *_ear_balls(product["kind"], side, fur, light),
        ]
    meshes = [ellipsoid(c, radii, t, segments=20, specular=0.02) for c, radii, t in balls]
    ring = np.linspace(0, 2 * np.pi, 24)
    neck = np.stack([0.042 * np.sin(ring), 0.128 + 0 * ring, 0.038 * np.cos(ring)], axis=1)
    return transform((*meshes, tube(neck, 0.009, scarf)), transform_matrix((0, 0, 0), scale=s))


def _ear_balls(kind: str, side: int, fur: ImageArray, light: ImageArray) -> list[_Ball]:
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


def build_notebook(product: ProductSpec, texture_px: int) -> Solid:
    """Build a hardcover notebook with an elastic band."""
    rng = product.design_rng()
    w, h, d = rng.uniform(0.12, 0.15), rng.uniform(0.18, 0.22), rng.uniform(0.015, 0.035)
    fabric = fabric_texture(product, rng, texture_px, int(rng.integers(3, 7)))
    cover = add_badge(
        product,
        np.concatenate([fabric, fabric])[: int(fabric.shape[1] * h / w)],
        int(rng.integers(64)),
        0.3,
    )
    paper = color_texture((240, 234, 218))
    covers = [*cuboid((w, h, 0.003), cover, fabric, fabric, fabric)]
    front, rear = (
        transform(covers, transform_matrix((0, 0, d / 2))),
        transform(covers, transform_matrix((0, 0, -d / 2))),
    )
    pages = cuboid((0.95 * w, 0.97 * h, d), paper, paper, paper, paper, base=0.015 * h)
    strap = color_texture(product.color("band"))
    band = cuboid((0.008, h * 1.004, d + 0.008), strap, strap, strap, strap)
    return (*front, *rear, *pages, *transform(band, transform_matrix((0.38 * w, 0, 0))))


FAMILIES = (
    fabric_family("mug", "Kitchen", ("mug", "coffee cup", "tea mug"), "handle", build_mug),
    fabric_family(
        "lamp",
        "Home",
        ("table lamp", "bedside lamp", "desk lamp"),
        "foot",
        build_lamp,
        varies=("colour", "pattern", "foot"),
    ),
    fabric_family(
        "pan",
        "Kitchen",
        ("frying pan", "saucepan", "wok"),
        "handle",
        build_pan,
        varies=("colour", "handle", "emblem"),
    ),
    fabric_family(
        "cushion", "Home", ("cushion", "throw pillow", "sofa cushion"), "piping", build_cushion
    ),
    fabric_family(
        "plush",
        "Toys",
        ("plush bear", "plush rabbit", "plush cat"),
        "scarf",
        build_plush,
        varies=("colour", "pattern", "scarf"),
    ),
    fabric_family("book", "Stationery", ("notebook", "journal", "planner"), "band", build_notebook),
)
