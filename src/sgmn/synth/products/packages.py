"""Product families with a printed label: cartons, bottles, jars, cans, tubes, boxes and others."""

from __future__ import annotations

import numpy as np

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import RGB, Mesh, Solid, Vector, color_texture
from sgmn.synth.graphics.shapes import cuboid, grid_mesh, lathe, loft, tube
from sgmn.synth.products import label_panels
from sgmn.synth.products.colors import FLAVORS, SCENTS, mix_colors
from sgmn.synth.products.emblems import EMBLEMS
from sgmn.synth.products.labels import Label
from sgmn.synth.products.spec import Family, ProductSpec, design_label, size_factor

_VOLUMES = ("250 ml", "500 ml", "1 l")
_TUBE_VOLUMES = ("50 ml", "75 ml", "125 ml")
_WEIGHTS = ("150 g", "300 g", "500 g")
_CAP_COLORS = (
    "red",
    "orange",
    "yellow",
    "green",
    "sky blue",
    "navy",
    "purple",
    "pink",
    "white",
    "black",
)
_FLAVORS, _SCENTS, _EMBLEMS = tuple(FLAVORS), tuple(SCENTS), tuple(EMBLEMS)


def _front_panel(label: Label, width: float, height: float, texture_px: int) -> ImageArray:
    return label_panels.draw_front(label, max(8, round(texture_px * width / height)), texture_px)


def build_carton(product: ProductSpec, texture_px: int) -> Solid:
    """Build a gable-top carton with a screw cap on its slope."""
    rng = product.design_rng()
    label = design_label(product, "flavour", rng)
    w, h = rng.uniform(0.07, 0.085), rng.uniform(0.15, 0.19) * size_factor(product, _VOLUMES)
    front, back = (
        _front_panel(label, w, h, texture_px),
        label_panels.draw_back(label, texture_px // 2, texture_px),
    )
    side = label_panels.draw_side(label, texture_px // 2, texture_px)
    roof = color_texture(label.accent if rng.random() < 0.5 else label.secondary)
    body = cuboid((w, h, w), front, back, side, roof)
    return (
        *body,
        *_build_gable(w, h, roof),
        _build_screw_cap(product.color("cap"), (0, h + 0.3 * w, 0.27 * w)),
    )


def _build_gable(w: float, h: float, roof: ImageArray) -> Solid:
    a, ridge = w / 2, h + 0.55 * w
    slopes = [((-a, ridge, 0), (a, ridge, 0), (-a, h, s * a), (a, h, s * a)) for s in (1, -1)]
    crest = ((-a, ridge + 0.2 * w, 0), (a, ridge + 0.2 * w, 0), (-a, ridge, 0), (a, ridge, 0))
    ends = [((s * a, ridge, 0), (s * a, ridge, 0), (s * a, h, -a), (s * a, h, a)) for s in (1, -1)]
    quads = [*slopes, crest, *ends]
    return tuple(grid_mesh(np.array([q[:2], q[2:]]), roof, normals=_flat_normals(q)) for q in quads)


def _flat_normals(quad: tuple[tuple[float, ...], ...]) -> np.ndarray:
    a, _, c, d = (np.array(corner, float) for corner in quad)
    normal = np.cross(d - c, a - c)
    return np.broadcast_to(normal / np.linalg.norm(normal), (2, 2, 3))


def _build_screw_cap(color: RGB, position: Vector, r: float = 0.016) -> Mesh:
    cap = lathe([(0, 0.022), (r, 0.022), (r, 0), (0, 0)], color_texture(color), segments=20)
    rotation = np.array([[1, 0, 0], [0, 0.67, 0.74], [0, -0.74, 0.67]], np.float32)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3], matrix[:3, 3] = rotation.T, position
    return cap.transform(matrix)


def build_bottle(product: ProductSpec, texture_px: int) -> Solid:
    """Build a bottle with a wraparound label; the bare glass has the tint of the flavor."""
    rng = product.design_rng()
    label = design_label(product, "flavour", rng)
    h, r = rng.uniform(0.2, 0.27) * size_factor(product, _VOLUMES), rng.uniform(0.03, 0.042)
    neck, shoulder = r * rng.uniform(0.35, 0.5), rng.uniform(0.62, 0.74)
    glass = color_texture(mix_colors(label.accent, (255, 255, 255), 0.25))
    waist = shoulder - 0.06
    curve = [(neck, 0.9), (neck * 1.15, 0.84), (r * 0.8, shoulder + 0.06), (r * 0.98, shoulder)]
    top = lathe([(x, y * h) for x, y in [*curve, (r, waist)]], glass, specular=0.7, shininess=80)
    wrap = label_panels.draw_wraparound(label, round(texture_px * 2.6), texture_px)
    middle = lathe([(r, waist * h), (r, 0.1 * h)], wrap, specular=0.35)
    foot = lathe(
        [(r, 0.1 * h), (r, 0.03 * h), (r * 0.85, 0), (0, 0)], glass, specular=0.7, shininess=80
    )
    lid = [(0, h), (neck * 1.2, h), (neck * 1.2, 0.89 * h), (neck, 0.89 * h)]
    return top, middle, foot, lathe(lid, color_texture(product.color("cap")), segments=24)


def build_jar(product: ProductSpec, texture_px: int) -> Solid:
    """Build a wide jar with a lid; the filling is visible above and below the label."""
    rng = product.design_rng()
    label = design_label(product, "flavour", rng)
    h, r = rng.uniform(0.09, 0.13) * size_factor(product, _WEIGHTS), rng.uniform(0.04, 0.05)
    filling = color_texture(mix_colors(label.accent, (70, 30, 20), 0.25))
    glass = [(r * 0.86, 0.84 * h), (r, 0.74 * h), (r, 0.05 * h), (r * 0.85, 0), (0, 0)]
    wrap = label_panels.draw_wraparound(label, round(texture_px * 3.2), texture_px)
    paper = lathe([(r * 1.01, 0.7 * h), (r * 1.01, 0.12 * h)], wrap, specular=0.1)
    lid = [(0, h), (0.88 * r, h), (0.92 * r, 0.97 * h), (0.92 * r, 0.83 * h), (0.8 * r, 0.83 * h)]
    top = lathe(lid, color_texture(product.color("cap")), specular=0.6)
    return lathe(glass, filling, specular=0.8, shininess=90), paper, top


def build_can(product: ProductSpec, texture_px: int) -> Solid:
    """Build a drink can with metal rims."""
    rng = product.design_rng()
    label = design_label(product, "flavour", rng)
    h, r = rng.uniform(0.11, 0.15) * size_factor(product, _VOLUMES), rng.uniform(0.03, 0.036)
    metal = color_texture((190, 192, 196))
    body = lathe(
        [(r, 0.94 * h), (r, 0.06 * h)],
        label_panels.draw_wraparound(label, round(texture_px * 2.4), texture_px),
        specular=0.7,
        shininess=60,
    )
    top = [(0, 0.985 * h), (0.78 * r, 0.985 * h), (0.8 * r, h), (0.86 * r, h), (r, 0.94 * h)]
    foot = [(r, 0.06 * h), (0.85 * r, 0), (0, 0)]
    ring = lathe([(0.3 * r, h), (0.1 * r, h)], color_texture(product.color("cap")), segments=16)
    return (
        body,
        lathe(top, metal, specular=0.9, shininess=50),
        lathe(foot, metal, specular=0.9),
        ring,
    )


def build_tube(product: ProductSpec, texture_px: int) -> Solid:
    """Build a squeeze tube that stands on its cap and is flat at its upper end."""
    rng = product.design_rng()
    label = design_label(product, "scent", rng)
    h, r = rng.uniform(0.13, 0.17) * size_factor(product, _TUBE_VOLUMES), rng.uniform(0.022, 0.028)
    foot = 0.17 * h
    steps = np.linspace(1, 0, 12)
    rows = [
        (r * (1 + 0.35 * s), max(r * (1 - s**1.5), 0.0015), foot + s * (h - foot)) for s in steps
    ]
    body = loft(
        rows,
        _front_panel(label, 2.4 * r, h - foot, texture_px),
        label_panels.draw_back(label, texture_px // 2, texture_px),
        specular=0.45,
    )
    cap = [(0.75 * r, foot), (0.95 * r, foot), (0.9 * r, 0), (0, 0)]
    return (*body, lathe(cap, color_texture(product.color("cap")), segments=28))


def build_box(product: ProductSpec, texture_px: int) -> Solid:
    """Build a folding box."""
    rng = product.design_rng()
    label = design_label(product, "flavour", rng)
    h = rng.uniform(0.16, 0.24) * size_factor(product, _WEIGHTS)
    w, d = h * rng.uniform(0.55, 0.8), rng.uniform(0.045, 0.07)
    front = _front_panel(label, w, h, texture_px)
    return cuboid(
        (w, h, d),
        front,
        label_panels.draw_back(label, front.shape[1], texture_px),
        label_panels.draw_side(label, max(24, texture_px // 4), texture_px),
        color_texture(label.accent),
    )


def build_pouch(product: ProductSpec, texture_px: int) -> Solid:
    """Build a stand-up pouch with a clip across its upper end."""
    rng = product.design_rng()
    label = design_label(product, "flavour", rng)
    h = rng.uniform(0.17, 0.22) * size_factor(product, _WEIGHTS)
    w, d = h * rng.uniform(0.32, 0.38), h * 0.16
    rows = [
        (w, 0.002, h),
        (w, 0.003, 0.92 * h),
        (w * 0.985, 0.45 * d, 0.7 * h),
        (w * 0.97, 0.8 * d, 0.4 * h),
        (w * 0.97, d, 0.1 * h),
        (w * 0.93, d, 0),
    ]
    body = loft(
        rows,
        _front_panel(label, 2 * w, h, texture_px),
        label_panels.draw_back(label, texture_px // 2, texture_px),
        power=0.75,
        specular=0.35,
    )
    clip = np.array([(-w * 1.02, 0.93 * h, 0), (w * 1.02, 0.93 * h, 0)])
    return (*body, tube(clip, 0.006, color_texture(product.color("clip"))))


def build_pump(product: ProductSpec, texture_px: int) -> Solid:
    """Build a pump dispenser: a flat body, a collar and a spout."""
    rng = product.design_rng()
    label = design_label(product, "scent", rng)
    h, r = rng.uniform(0.13, 0.16) * size_factor(product, _VOLUMES), rng.uniform(0.03, 0.036)
    depth = r * rng.uniform(0.6, 1.0)
    power, paint = rng.uniform(0.5, 1.0), color_texture(label.background)
    slope = [(0.4 * r, 0.4 * r, h), (0.85 * r, 0.9 * depth, 0.96 * h), (r, depth, 0.9 * h)]
    wall = [(r, depth, 0.9 * h), (r, depth, 0.02 * h), (0.96 * r, 0.96 * depth, 0)]
    body = (
        *loft(slope, paint, paint, power=power, specular=0.5),
        *loft(
            wall,
            _front_panel(label, 2 * r, 0.9 * h, texture_px),
            label_panels.draw_back(label, texture_px // 2, texture_px),
            power=power,
            specular=0.5,
        ),
    )
    head = color_texture(product.color("cap"))
    collar = lathe([(0, h + 0.022), (0.42 * r, h + 0.022), (0.42 * r, h)], head, segments=20)
    stem = lathe([(0, h + 0.05), (0.006, h + 0.05), (0.006, h + 0.02)], head, segments=10)
    path = np.array([(0.004, h + 0.055, 0), (0.02, h + 0.055, 0), (0.045, h + 0.045, 0)])
    return (*body, collar, stem, tube(path, [0.009, 0.008, 0.005], head))


FAMILIES = (
    Family(
        "carton",
        "Drinks",
        ("oat drink", "whole milk", "fruit juice", "soy drink", "iced tea"),
        {"flavour": _FLAVORS, "cap": _CAP_COLORS, "size": _VOLUMES, "emblem": _EMBLEMS},
        ("flavour", "cap", "size", "emblem"),
        build_carton,
    ),
    Family(
        "bottle",
        "Drinks",
        ("smoothie", "syrup", "sparkling water", "lemonade", "cold brew"),
        {"flavour": _FLAVORS, "cap": _CAP_COLORS, "size": _VOLUMES, "emblem": _EMBLEMS},
        ("flavour", "cap", "size", "emblem"),
        build_bottle,
    ),
    Family(
        "jar",
        "Food",
        ("jam", "nut butter", "spread", "honey", "chutney"),
        {"flavour": _FLAVORS, "cap": _CAP_COLORS, "size": _WEIGHTS, "emblem": _EMBLEMS},
        ("flavour", "cap", "size", "emblem"),
        build_jar,
    ),
    Family(
        "can",
        "Drinks",
        ("soda", "energy drink", "tonic", "iced coffee"),
        {"flavour": _FLAVORS, "cap": _CAP_COLORS, "size": _VOLUMES, "emblem": _EMBLEMS},
        ("flavour", "emblem", "size"),
        build_can,
    ),
    Family(
        "tube",
        "Beauty",
        ("hand cream", "toothpaste", "face wash", "hair mask", "sun cream"),
        {"scent": _SCENTS, "cap": _CAP_COLORS, "size": _TUBE_VOLUMES, "emblem": _EMBLEMS},
        ("scent", "cap", "size", "emblem"),
        build_tube,
    ),
    Family(
        "box",
        "Food",
        ("cereal", "tea bags", "cookies", "granola", "crackers", "pancake mix"),
        {"flavour": _FLAVORS, "size": _WEIGHTS, "emblem": _EMBLEMS},
        ("flavour", "size", "emblem"),
        build_box,
    ),
    Family(
        "pouch",
        "Food",
        ("coffee beans", "trail mix", "protein powder", "gummies", "rice"),
        {"flavour": _FLAVORS, "clip": _CAP_COLORS, "size": _WEIGHTS, "emblem": _EMBLEMS},
        ("flavour", "clip", "size", "emblem"),
        build_pouch,
    ),
    Family(
        "pump",
        "Beauty",
        ("hand soap", "shampoo", "body lotion", "shower gel"),
        {"scent": _SCENTS, "cap": _CAP_COLORS, "size": _VOLUMES, "emblem": _EMBLEMS},
        ("scent", "cap", "size", "emblem"),
        build_pump,
    ),
)
