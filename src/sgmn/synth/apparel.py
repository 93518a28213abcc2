"""Families to wear: handbags, sneakers, caps, headphones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgmn.records import Picture
from sgmn.synth.cloth import badged, cloth, family
from sgmn.synth.colours import mixed
from sgmn.synth.mesh import RGB, Part, Solid, at, moved, plain, turned
from sgmn.synth.product import Article
from sgmn.synth.shapes import ellipsoid, lathe, sheet, shell, tube

Values = NDArray[np.floating]
_METALS: tuple[RGB, ...] = ((196, 198, 202), (200, 164, 92), (70, 70, 74), (176, 120, 84))


def bag(article: Article, detail: int) -> Solid:
    """A handbag with a flap, a clasp and a handle."""
    rng = article.draws()
    w, h, d = rng.uniform(0.11, 0.15), rng.uniform(0.15, 0.21), rng.uniform(0.04, 0.055)
    weave = cloth(article, rng, detail)
    front = badged(article, weave, int(rng.integers(64)), 0.2)
    rows = [(w * 0.9, d * 0.3, h), (w * 0.95, d * 0.7, 0.8 * h), (w, d, 0.3 * h), (w * 0.98, d, 0)]
    body = shell(rows, front, weave, power=0.45, shine=0.3)
    trim = plain(article.colour("strap"))
    flap = shell(
        [(w * 0.9, d * 0.33, h * 1.005), (w * 0.96, d * 0.8, 0.78 * h)], trim, trim, power=0.45
    )
    t, rise = np.linspace(0, np.pi, 20), rng.uniform(0.05, 0.12)
    path = np.stack([-0.55 * w * np.cos(t), 0.97 * h + rise * np.sin(t), 0 * t], axis=1)
    metal = plain(_METALS[rng.integers(len(_METALS))])
    clasp = ellipsoid((0, 0.78 * h, 0.82 * d), (0.012, 0.012, 0.006), metal, shine=0.9)
    return (*body, *flap, tube(path, 0.007, trim, shine=0.3), clasp)


def shoe(article: Article, detail: int) -> Solid:
    """A sneaker seen from its side: sole, upper, collar, laces and the emblem."""
    rng = article.draws()
    length, high = rng.uniform(0.22, 0.25), rng.uniform(0.085, 0.13)
    weave = cloth(article, rng, detail)
    wide = np.concatenate([weave, weave], axis=1)  # as long as a shoe, so that the badge is round
    flank = badged(article, wide, int(rng.integers(64)), 0.34)
    rubber, lining = plain(article.colour("sole")), plain((58, 54, 54))
    top = _instep(np.linspace(-0.5, 0.5, 25), high)
    upper = _upper(length, top, flank)
    hole = ellipsoid((-0.3 * length, high - 0.004, 0), (0.15 * length, 0.006, 0.024), lining)
    laces = [
        _lace(x * length, _instep(np.array([x]), high)[0], rubber)
        for x in np.linspace(-0.1, 0.2, 5)
    ]
    return (*upper, *_sole(length, rubber), hole, *laces)


def _instep(x: Values, high: float) -> Values:
    """Height of the upper along the shoe, heel -0.5 to toe 0.5."""
    knots = [-0.5, -0.46, -0.16, 0.0, 0.22, 0.38, 0.47, 0.5]
    shape = [0.75, 1.0, 1.0, 0.82, 0.5, 0.42, 0.3, 0.15]
    smooth = np.interp(np.linspace(-0.5, 0.5, 101), knots, shape)
    smooth = np.convolve(np.pad(smooth, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    return np.asarray(np.interp(x, np.linspace(-0.5, 0.5, 101), smooth) * high)


def _upper(length: float, top: Values, flank: Picture) -> Solid:
    x = np.linspace(-0.5, 0.5, len(top))
    wide = np.interp(
        x, [-0.5, -0.45, -0.2, 0.25, 0.42, 0.5], [0.012, 0.028, 0.031, 0.04, 0.031, 0.008]
    )
    t = np.linspace(0, 1, 10)[:, None]
    bulge = np.where(x < -0.1, 0.75, 0.0) * np.ones_like(t)  # the collar stays open, the toe closes
    z = wide * ((1 - t**2.2) * (1 - bulge * t) + 0.75 * bulge * t)
    y = 0.024 + (top - 0.024).clip(0.002) * np.sin(t * np.pi / 2)
    parts = []
    for side in (1.0, -1.0):
        points = np.stack([np.broadcast_to(x * length, z.shape), y, side * z], axis=-1)[::-1]
        parts.append(sheet(points, flank if side > 0 else flank[:, ::-1], shine=0.12))
    return tuple(parts)


def _lace(x: float, y: float, colour: Picture) -> Part:
    path = np.array(
        [(x - 0.006, y - 0.012, -0.02), (x, y + 0.003, 0), (x - 0.006, y - 0.012, 0.02)]
    )
    return tube(path, 0.0035, colour)


def _sole(length: float, colour: Picture) -> Solid:
    t = np.linspace(0, 2 * np.pi, 48)
    narrow = 0.036 + 0.008 * np.cos(t - 0.3)
    outline = np.stack([0.515 * length * np.cos(t), 0 * t, narrow * np.sin(t)], axis=1)
    upper = outline + np.array([0, 0.026, 0]) + np.outer(np.abs(np.cos(t)) ** 6, [0, 0.01, 0])
    wall = np.stack([upper, outline * [1, 1, 1.03]])
    lid = np.stack([outline * 0.01 + [0, 0.026, 0], upper])
    return sheet(wall, colour), sheet(lid, colour)


def cap(article: Article, detail: int) -> Solid:
    """A baseball cap with its emblem in front."""
    rng = article.draws()
    r, high = rng.uniform(0.085, 0.095), rng.uniform(0.09, 0.12)
    weave = cloth(article, rng, detail, 4)
    front = badged(article, weave, int(rng.integers(64)), 0.34)
    wrap = np.concatenate([weave, front, weave], axis=1)
    dome = ellipsoid((0, 0.012, 0), (r, high, r * 1.08), wrap, bottom=np.pi / 2, shine=0.05)
    t, s = np.linspace(-0.9, 0.9, 20), np.linspace(0, 1, 6)[:, None]
    reach = r * (1 + 0.75 * s * np.cos(t))
    points = np.stack(
        [reach * np.sin(t), 0.014 - 0.02 * s * np.sin(t) ** 2 + 0 * t, reach * np.cos(t)], -1
    )
    brim = sheet(points, plain(article.colour("brim")), shine=0.05)
    button = ellipsoid((0, high + 0.012, 0), (0.008, 0.005, 0.008), plain(article.colour("brim")))
    return dome, brim, button


def headphones(article: Article, detail: int) -> Solid:
    """Over-ear headphones that stand on their cups."""
    rng = article.draws()
    r, cup = rng.uniform(0.066, 0.075), rng.uniform(0.04, 0.048)
    t = np.linspace(-0.05, np.pi + 0.05, 26)
    path = np.stack([r * np.cos(t), cup + 1.35 * r * np.sin(t), 0 * t], axis=1)
    band = tube(path, 0.009, plain(article.colour("band")))
    shell_of = badged(article, cloth(article, rng, detail, 3), int(rng.integers(64)), 0.36)
    outer, pad = _disc(cup, shell_of), plain(mixed(article.colour("band"), (40, 40, 40), 0.5))
    foam = lathe(
        [(0, 0), (cup, 0), (cup * 1.02, -0.012), (cup * 0.9, -0.022), (0, -0.022)], pad, shine=0.02
    )
    parts: list[Part] = [band]
    for side in (1, -1):
        turn = turned(yaw=side * np.pi / 2) @ turned(pitch=np.pi / 2)
        parts += moved((*outer, foam), at((side * (r + 0.01), cup, 0), turn))
    return tuple(parts)


def _disc(radius: float, texture: Picture) -> Solid:
    angle, share = np.linspace(0, 2 * np.pi, 28), np.linspace(0, 1, 4)[:, None]
    x, z = radius * share * np.sin(angle), radius * share * np.cos(angle)
    points = np.stack([x, 0.014 - 0.008 * share**2 + 0 * x, z], axis=-1)
    uv = np.stack([0.5 + 0.5 * x / radius, 0.5 + 0.5 * z / radius], axis=-1)
    rim = lathe([(radius, 0.006), (radius, 0)], texture[:1, :1])
    return sheet(points, texture, uv=uv, shine=0.6), rim


FAMILIES = (
    family("bag", "Fashion", ("handbag", "shoulder bag", "tote"), "strap", bag),
    family("shoe", "Fashion", ("sneaker", "running shoe", "canvas shoe"), "sole", shoe),
    family("cap", "Fashion", ("baseball cap", "trucker cap", "sun cap"), "brim", cap),
    family(
        "headphones",
        "Electronics",
        ("headphones", "wireless headphones", "headset"),
        "band",
        headphones,
        varies=("colour", "emblem", "band"),
    ),
)
