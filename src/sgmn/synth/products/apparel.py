"""Product families to wear: handbags, sneakers, caps and headphones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgmn.records import ImageArray
from sgmn.synth.graphics.mesh import (
    RGB,
    Mesh,
    Solid,
    color_texture,
    rotation_matrix,
    transform,
    transform_matrix,
)
from sgmn.synth.graphics.shapes import ellipsoid, grid_mesh, lathe, loft, tube
from sgmn.synth.products.colors import mix_colors
from sgmn.synth.products.fabric import add_badge, fabric_family, fabric_texture
from sgmn.synth.products.spec import ProductSpec

Values = NDArray[np.floating]
_METALS: tuple[RGB, ...] = ((196, 198, 202), (200, 164, 92), (70, 70, 74), (176, 120, 84))


def build_bag(product: ProductSpec, texture_px: int) -> Solid:
    """Build a handbag with a flap, a clasp and a handle."""
    rng = product.design_rng()
    w, h, d = rng.uniform(0.11, 0.15), rng.uniform(0.15, 0.21), rng.uniform(0.04, 0.055)
    fabric = fabric_texture(product, rng, texture_px)
    front = add_badge(product, fabric, int(rng.integers(64)), 0.2)
    rows = [(w * 0.9, d * 0.3, h), (w * 0.95, d * 0.7, 0.8 * h), (w, d, 0.3 * h), (w * 0.98, d, 0)]
    body = loft(rows, front, fabric, power=0.45, specular=0.3)
    trim = color_texture(product.color("strap"))
    flap = loft(
        [(w * 0.9, d * 0.33, h * 1.005), (w * 0.96, d * 0.8, 0.78 * h)], trim, trim, power=0.45
    )
    t, rise = np.linspace(0, np.pi, 20), rng.uniform(0.05, 0.12)
    path = np.stack([-0.55 * w * np.cos(t), 0.97 * h + rise * np.sin(t), 0 * t], axis=1)
    metal = color_texture(_METALS[rng.integers(len(_METALS))])
    clasp = ellipsoid((0, 0.78 * h, 0.82 * d), (0.012, 0.012, 0.006), metal, specular=0.9)
    return (*body, *flap, tube(path, 0.007, trim, specular=0.3), clasp)


def build_shoe(product: ProductSpec, texture_px: int) -> Solid:
    """Build a sneaker in side view: sole, upper, collar, laces and the emblem."""
    rng = product.design_rng()
    length, height = rng.uniform(0.22, 0.25), rng.uniform(0.085, 0.13)
    fabric = fabric_texture(product, rng, texture_px)
    wide = np.concatenate([fabric, fabric], axis=1)  # as long as the shoe: the badge stays round
    side_texture = add_badge(product, wide, int(rng.integers(64)), 0.34)
    rubber, lining = color_texture(product.color("sole")), color_texture((58, 54, 54))
    top = _instep_height(np.linspace(-0.5, 0.5, 25), height)
    upper = _build_upper(length, top, side_texture)
    hole = ellipsoid((-0.3 * length, height - 0.004, 0), (0.15 * length, 0.006, 0.024), lining)
    laces = [
        _build_lace(x * length, _instep_height(np.array([x]), height)[0], rubber)
        for x in np.linspace(-0.1, 0.2, 5)
    ]
    return (*upper, *_build_sole(length, rubber), hole, *laces)


def _instep_height(x: Values, height: float) -> Values:
    """Return the height of the upper at positions from -0.5 (heel) to 0.5 (toe)."""
    knots = [-0.5, -0.46, -0.16, 0.0, 0.22, 0.38, 0.47, 0.5]
    shape = [0.75, 1.0, 1.0, 0.82, 0.5, 0.42, 0.3, 0.15]
    smooth = np.interp(np.linspace(-0.5, 0.5, 101), knots, shape)
    smooth = np.convolve(np.pad(smooth, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    return np.asarray(np.interp(x, np.linspace(-0.5, 0.5, 101), smooth) * height)


def _build_upper(length: float, top: Values, side_texture: ImageArray) -> Solid:
    x = np.linspace(-0.5, 0.5, len(top))
    width = np.interp(
        x, [-0.5, -0.45, -0.2, 0.25, 0.42, 0.5], [0.012, 0.028, 0.031, 0.04, 0.031, 0.008]
    )
    t = np.linspace(0, 1, 10)[:, None]
    bulge = np.where(x < -0.1, 0.75, 0.0) * np.ones_like(t)  # the collar stays open, the toe closes
    z = width * ((1 - t**2.2) * (1 - bulge * t) + 0.75 * bulge * t)
    y = 0.024 + (top - 0.024).clip(0.002) * np.sin(t * np.pi / 2)
    meshes = []
    for side in (1.0, -1.0):
        points = np.stack([np.broadcast_to(x * length, z.shape), y, side * z], axis=-1)[::-1]
        meshes.append(
            grid_mesh(points, side_texture if side > 0 else side_texture[:, ::-1], specular=0.12)
        )
    return tuple(meshes)


def _build_lace(x: float, y: float, color: ImageArray) -> Mesh:
    path = np.array(
        [(x - 0.006, y - 0.012, -0.02), (x, y + 0.003, 0), (x - 0.006, y - 0.012, 0.02)]
    )
    return tube(path, 0.0035, color)


def _build_sole(length: float, color: ImageArray) -> Solid:
    t = np.linspace(0, 2 * np.pi, 48)
    narrow = 0.036 + 0.008 * np.cos(t - 0.3)
    outline = np.stack([0.515 * length * np.cos(t), 0 * t, narrow * np.sin(t)], axis=1)
    upper = outline + np.array([0, 0.026, 0]) + np.outer(np.abs(np.cos(t)) ** 6, [0, 0.01, 0])
    wall = np.stack([upper, outline * [1, 1, 1.03]])
    lid = np.stack([outline * 0.01 + [0, 0.026, 0], upper])
    return grid_mesh(wall, color), grid_mesh(lid, color)


def build_cap(product: ProductSpec, texture_px: int) -> Solid:
    """Build a baseball cap with its emblem in front."""
    rng = product.design_rng()
    r, height = rng.uniform(0.085, 0.095), rng.uniform(0.09, 0.12)
    fabric = fabric_texture(product, rng, texture_px, 4)
    front = add_badge(product, fabric, int(rng.integers(64)), 0.34)
    wrap = np.concatenate([fabric, front, fabric], axis=1)
    dome = ellipsoid((0, 0.012, 0), (r, height, r * 1.08), wrap, bottom=np.pi / 2, specular=0.05)
    t, s = np.linspace(-0.9, 0.9, 20), np.linspace(0, 1, 6)[:, None]
    reach = r * (1 + 0.75 * s * np.cos(t))
    points = np.stack(
        [reach * np.sin(t), 0.014 - 0.02 * s * np.sin(t) ** 2 + 0 * t, reach * np.cos(t)], -1
    )
    brim = grid_mesh(points, color_texture(product.color("brim")), specular=0.05)
    button = ellipsoid(
        (0, height + 0.012, 0), (0.008, 0.005, 0.008), color_texture(product.color("brim"))
    )
    return dome, brim, button


def build_headphones(product: ProductSpec, texture_px: int) -> Solid:
    """Build over-ear headphones that stand on their cups."""
    rng = product.design_rng()
    r, cup = rng.uniform(0.066, 0.075), rng.uniform(0.04, 0.048)
    t = np.linspace(-0.05, np.pi + 0.05, 26)
    path = np.stack([r * np.cos(t), cup + 1.35 * r * np.sin(t), 0 * t], axis=1)
    band = tube(path, 0.009, color_texture(product.color("band")))
    cup_texture = add_badge(
        product, fabric_texture(product, rng, texture_px, 3), int(rng.integers(64)), 0.36
    )
    outer, pad = (
        _build_disc(cup, cup_texture),
        color_texture(mix_colors(product.color("band"), (40, 40, 40), 0.5)),
    )
    foam = lathe(
        [(0, 0), (cup, 0), (cup * 1.02, -0.012), (cup * 0.9, -0.022), (0, -0.022)],
        pad,
        specular=0.02,
    )
    meshes: list[Mesh] = [band]
    for side in (1, -1):
        rotation = rotation_matrix(yaw=side * np.pi / 2) @ rotation_matrix(pitch=np.pi / 2)
        meshes += transform((*outer, foam), transform_matrix((side * (r + 0.01), cup, 0), rotation))
    return tuple(meshes)


def _build_disc(radius: float, texture: ImageArray) -> Solid:
    angle, fraction = np.linspace(0, 2 * np.pi, 28), np.linspace(0, 1, 4)[:, None]
    x, z = radius * fraction * np.sin(angle), radius * fraction * np.cos(angle)
    points = np.stack([x, 0.014 - 0.008 * fraction**2 + 0 * x, z], axis=-1)
    uv = np.stack([0.5 + 0.5 * x / radius, 0.5 + 0.5 * z / radius], axis=-1)
    rim = lathe([(radius, 0.006), (radius, 0)], texture[:1, :1])
    return grid_mesh(points, texture, uv=uv, specular=0.6), rim


FAMILIES = (
    fabric_family("bag", "Fashion", ("handbag", "shoulder bag", "tote"), "strap", build_bag),
    fabric_family(
        "shoe", "Fashion", ("sneaker", "running shoe", "canvas shoe"), "sole", build_shoe
    ),
    fabric_family("cap", "Fashion", ("baseball cap", "trucker cap", "sun cap"), "brim", build_cap),
    fabric_family(
        "headphones",
        "Electronics",
        ("headphones", "wireless headphones", "headset"),
        "band",
        build_headphones,
        varies=("colour", "emblem", "band"),
    ),
)
