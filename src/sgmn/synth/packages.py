"""Families with a printed label: cartons, bottles, jars, tubes, cans, boxes, pouches, pumps."""

from __future__ import annotations

import numpy as np

from sgmn.records import Picture
from sgmn.synth import labels
from sgmn.synth.colours import FLAVOURS, SCENTS, mixed
from sgmn.synth.emblems import EMBLEMS
from sgmn.synth.labels import Label
from sgmn.synth.mesh import RGB, Part, Solid, plain
from sgmn.synth.product import Article, Family, growth, label
from sgmn.synth.shapes import cuboid, lathe, sheet, shell, tube

_ML = ("250 ml", "500 ml", "1 l")
_CREAM = ("50 ml", "75 ml", "125 ml")
_GRAMS = ("150 g", "300 g", "500 g")
_CAPS = ("red", "orange", "yellow", "green", "sky blue", "navy", "purple", "pink", "white", "black")
_FLAVOURS, _SCENTS, _EMBLEMS = tuple(FLAVOURS), tuple(SCENTS), tuple(EMBLEMS)


def _panel(design: Label, wide: float, high: float, detail: int) -> Picture:
    return labels.front(design, max(8, round(detail * wide / high)), detail)


def carton(article: Article, detail: int) -> Solid:
    """A gable-top carton with a screw cap on its slope."""
    rng = article.draws()
    design = label(article, "flavour", rng)
    w, h = rng.uniform(0.07, 0.085), rng.uniform(0.15, 0.19) * growth(article, _ML)
    face, rear = _panel(design, w, h, detail), labels.back(design, detail // 2, detail)
    flank = labels.side(design, detail // 2, detail)
    roof = plain(design.accent if rng.random() < 0.5 else design.second)
    body = cuboid((w, h, w), face, rear, flank, roof)
    return (*body, *_gable(w, h, roof), _screw(article.colour("cap"), (0, h + 0.3 * w, 0.27 * w)))


def _gable(w: float, h: float, roof: Picture) -> Solid:
    a, ridge = w / 2, h + 0.55 * w
    slopes = [((-a, ridge, 0), (a, ridge, 0), (-a, h, s * a), (a, h, s * a)) for s in (1, -1)]
    crest = ((-a, ridge + 0.2 * w, 0), (a, ridge + 0.2 * w, 0), (-a, ridge, 0), (a, ridge, 0))
    ends = [((s * a, ridge, 0), (s * a, ridge, 0), (s * a, h, -a), (s * a, h, a)) for s in (1, -1)]
    quads = [*slopes, crest, *ends]
    return tuple(sheet(np.array([q[:2], q[2:]]), roof, normals=_flat(q)) for q in quads)


def _flat(quad: tuple[tuple[float, ...], ...]) -> np.ndarray:
    a, _, c, d = (np.array(corner, float) for corner in quad)
    normal = np.cross(d - c, a - c)
    return np.broadcast_to(normal / np.linalg.norm(normal), (2, 2, 3))


def _screw(colour: RGB, place: tuple[float, float, float], r: float = 0.016) -> Part:
    cap = lathe([(0, 0.022), (r, 0.022), (r, 0), (0, 0)], plain(colour), segments=20)
    turn = np.array([[1, 0, 0], [0, 0.67, 0.74], [0, -0.74, 0.67]], np.float32)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3], matrix[:3, 3] = turn.T, place
    return cap.moved(matrix)


def bottle(article: Article, detail: int) -> Solid:
    """A bottle with a wrapped label; what shows of the body has the flavour's tint."""
    rng = article.draws()
    design = label(article, "flavour", rng)
    h, r = rng.uniform(0.2, 0.27) * growth(article, _ML), rng.uniform(0.03, 0.042)
    neck, shoulder = r * rng.uniform(0.35, 0.5), rng.uniform(0.62, 0.74)
    glass = plain(mixed(design.accent, (255, 255, 255), 0.25))
    waist = shoulder - 0.06
    curve = [(neck, 0.9), (neck * 1.15, 0.84), (r * 0.8, shoulder + 0.06), (r * 0.98, shoulder)]
    top = lathe([(x, y * h) for x, y in [*curve, (r, waist)]], glass, shine=0.7, gloss=80)
    wrap = labels.around(design, round(detail * 2.6), detail)
    middle = lathe([(r, waist * h), (r, 0.1 * h)], wrap, shine=0.35)
    foot = lathe([(r, 0.1 * h), (r, 0.03 * h), (r * 0.85, 0), (0, 0)], glass, shine=0.7, gloss=80)
    lid = [(0, h), (neck * 1.2, h), (neck * 1.2, 0.89 * h), (neck, 0.89 * h)]
    return top, middle, foot, lathe(lid, plain(article.colour("cap")), segments=24)


def jar(article: Article, detail: int) -> Solid:
    """A wide glass with a lid; the filling shows above and below the label."""
    rng = article.draws()
    design = label(article, "flavour", rng)
    h, r = rng.uniform(0.09, 0.13) * growth(article, _GRAMS), rng.uniform(0.04, 0.05)
    filling = plain(mixed(design.accent, (70, 30, 20), 0.25))
    glass = [(r * 0.86, 0.84 * h), (r, 0.74 * h), (r, 0.05 * h), (r * 0.85, 0), (0, 0)]
    wrap = labels.around(design, round(detail * 3.2), detail)
    paper = lathe([(r * 1.01, 0.7 * h), (r * 1.01, 0.12 * h)], wrap, shine=0.1)
    lid = [(0, h), (0.88 * r, h), (0.92 * r, 0.97 * h), (0.92 * r, 0.83 * h), (0.8 * r, 0.83 * h)]
    top = lathe(lid, plain(article.colour("cap")), shine=0.6)
    return lathe(glass, filling, shine=0.8, gloss=90), paper, top


def tub(article: Article, detail: int) -> Solid:
    """A can with metal rims."""
    rng = article.draws()
    design = label(article, "flavour", rng)
    h, r = rng.uniform(0.11, 0.15) * growth(article, _ML), rng.uniform(0.03, 0.036)
    metal = plain((190, 192, 196))
    body = lathe(
        [(r, 0.94 * h), (r, 0.06 * h)],
        labels.around(design, round(detail * 2.4), detail),
        shine=0.7,
        gloss=60,
    )
    top = [(0, 0.985 * h), (0.78 * r, 0.985 * h), (0.8 * r, h), (0.86 * r, h), (r, 0.94 * h)]
    foot = [(r, 0.06 * h), (0.85 * r, 0), (0, 0)]
    ring = lathe([(0.3 * r, h), (0.1 * r, h)], plain(article.colour("cap")), segments=16)
    return body, lathe(top, metal, shine=0.9, gloss=50), lathe(foot, metal, shine=0.9), ring


def squeeze(article: Article, detail: int) -> Solid:
    """A tube that stands on its cap, flat at its upper end."""
    rng = article.draws()
    design = label(article, "scent", rng)
    h, r = rng.uniform(0.13, 0.17) * growth(article, _CREAM), rng.uniform(0.022, 0.028)
    foot = 0.17 * h
    steps = np.linspace(1, 0, 12)
    rows = [
        (r * (1 + 0.35 * s), max(r * (1 - s**1.5), 0.0015), foot + s * (h - foot)) for s in steps
    ]
    body = shell(
        rows,
        _panel(design, 2.4 * r, h - foot, detail),
        labels.back(design, detail // 2, detail),
        shine=0.45,
    )
    cap = [(0.75 * r, foot), (0.95 * r, foot), (0.9 * r, 0), (0, 0)]
    return (*body, lathe(cap, plain(article.colour("cap")), segments=28))


def box(article: Article, detail: int) -> Solid:
    """A folding box."""
    rng = article.draws()
    design = label(article, "flavour", rng)
    h = rng.uniform(0.16, 0.24) * growth(article, _GRAMS)
    w, d = h * rng.uniform(0.55, 0.8), rng.uniform(0.045, 0.07)
    face = _panel(design, w, h, detail)
    return cuboid(
        (w, h, d),
        face,
        labels.back(design, face.shape[1], detail),
        labels.side(design, max(24, detail // 4), detail),
        plain(design.accent),
    )


def pouch(article: Article, detail: int) -> Solid:
    """A stand-up pouch with a clip across its upper end."""
    rng = article.draws()
    design = label(article, "flavour", rng)
    h = rng.uniform(0.17, 0.22) * growth(article, _GRAMS)
    w, d = h * rng.uniform(0.32, 0.38), h * 0.16
    rows = [
        (w, 0.002, h),
        (w, 0.003, 0.92 * h),
        (w * 0.985, 0.45 * d, 0.7 * h),
        (w * 0.97, 0.8 * d, 0.4 * h),
        (w * 0.97, d, 0.1 * h),
        (w * 0.93, d, 0),
    ]
    body = shell(
        rows,
        _panel(design, 2 * w, h, detail),
        labels.back(design, detail // 2, detail),
        power=0.75,
        shine=0.35,
    )
    clip = np.array([(-w * 1.02, 0.93 * h, 0), (w * 1.02, 0.93 * h, 0)])
    return (*body, tube(clip, 0.006, plain(article.colour("clip"))))


def pump(article: Article, detail: int) -> Solid:
    """A dispenser: a flat body, a collar and a spout."""
    rng = article.draws()
    design = label(article, "scent", rng)
    h, r = rng.uniform(0.13, 0.16) * growth(article, _ML), rng.uniform(0.03, 0.036)
    deep = r * rng.uniform(0.6, 1.0)
    power, paint = rng.uniform(0.5, 1.0), plain(design.ground)
    slope = [(0.4 * r, 0.4 * r, h), (0.85 * r, 0.9 * deep, 0.96 * h), (r, deep, 0.9 * h)]
    wall = [(r, deep, 0.9 * h), (r, deep, 0.02 * h), (0.96 * r, 0.96 * deep, 0)]
    body = (
        *shell(slope, paint, paint, power=power, shine=0.5),
        *shell(
            wall,
            _panel(design, 2 * r, 0.9 * h, detail),
            labels.back(design, detail // 2, detail),
            power=power,
            shine=0.5,
        ),
    )
    head = plain(article.colour("cap"))
    collar = lathe([(0, h + 0.022), (0.42 * r, h + 0.022), (0.42 * r, h)], head, segments=20)
    stem = lathe([(0, h + 0.05), (0.006, h + 0.05), (0.006, h + 0.02)], head, segments=10)
    path = np.array([(0.004, h + 0.055, 0), (0.02, h + 0.055, 0), (0.045, h + 0.045, 0)])
    return (*body, collar, stem, tube(path, [0.009, 0.008, 0.005], head))


FAMILIES = (
    Family(
        "carton",
        "Drinks",
        ("oat drink", "whole milk", "fruit juice", "soy drink", "iced tea"),
        {"flavour": _FLAVOURS, "cap": _CAPS, "size": _ML, "emblem": _EMBLEMS},
        ("flavour", "cap", "size", "emblem"),
        carton,
    ),
    Family(
        "bottle",
        "Drinks",
        ("smoothie", "syrup", "sparkling water", "lemonade", "cold brew"),
        {"flavour": _FLAVOURS, "cap": _CAPS, "size": _ML, "emblem": _EMBLEMS},
        ("flavour", "cap", "size", "emblem"),
        bottle,
    ),
    Family(
        "jar",
        "Food",
        ("jam", "nut butter", "spread", "honey", "chutney"),
        {"flavour": _FLAVOURS, "cap": _CAPS, "size": _GRAMS, "emblem": _EMBLEMS},
        ("flavour", "cap", "size", "emblem"),
        jar,
    ),
    Family(
        "can",
        "Drinks",
        ("soda", "energy drink", "tonic", "iced coffee"),
        {"flavour": _FLAVOURS, "cap": _CAPS, "size": _ML, "emblem": _EMBLEMS},
        ("flavour", "emblem", "size"),
        tub,
    ),
    Family(
        "tube",
        "Beauty",
        ("hand cream", "toothpaste", "face wash", "hair mask", "sun cream"),
        {"scent": _SCENTS, "cap": _CAPS, "size": _CREAM, "emblem": _EMBLEMS},
        ("scent", "cap", "size", "emblem"),
        squeeze,
    ),
    Family(
        "box",
        "Food",
        ("cereal", "tea bags", "cookies", "granola", "crackers", "pancake mix"),
        {"flavour": _FLAVOURS, "size": _GRAMS, "emblem": _EMBLEMS},
        ("flavour", "size", "emblem"),
        box,
    ),
    Family(
        "pouch",
        "Food",
        ("coffee beans", "trail mix", "protein powder", "gummies", "rice"),
        {"flavour": _FLAVOURS, "clip": _CAPS, "size": _GRAMS, "emblem": _EMBLEMS},
        ("flavour", "clip", "size", "emblem"),
        pouch,
    ),
    Family(
        "pump",
        "Beauty",
        ("hand soap", "shampoo", "body lotion", "shower gel"),
        {"scent": _SCENTS, "cap": _CAPS, "size": _ML, "emblem": _EMBLEMS},
        ("scent", "cap", "size", "emblem"),
        pump,
    ),
)
