"""Colors of products, flavors, scents and labels."""

from __future__ import annotations

import numpy as np

from sgmn.synth.graphics.mesh import RGB

COLORS: dict[str, RGB] = {
    "red": (200, 38, 42),
    "orange": (236, 122, 28),
    "yellow": (242, 200, 40),
    "green": (48, 140, 70),
    "teal": (20, 140, 145),
    "sky blue": (110, 180, 225),
    "navy": (34, 50, 100),
    "purple": (118, 66, 150),
    "pink": (240, 150, 180),
    "brown": (115, 75, 45),
    "beige": (216, 192, 158),
    "white": (240, 240, 236),
    "grey": (135, 138, 142),
    "black": (38, 38, 42),
}

FLAVORS: dict[str, RGB] = {
    "vanilla": (240, 214, 130),
    "chocolate": (92, 56, 36),
    "strawberry": (226, 60, 84),
    "mint": (110, 205, 170),
    "blueberry": (70, 80, 165),
    "lemon": (246, 222, 50),
    "peach": (250, 166, 110),
    "coconut": (176, 214, 232),
    "matcha": (130, 165, 70),
    "cherry": (150, 20, 50),
    "lavender": (172, 142, 212),
    "caramel": (200, 130, 50),
}

SCENTS: dict[str, RGB] = {
    "aloe": (90, 170, 100),
    "rose": (232, 110, 145),
    "lavender": (160, 130, 205),
    "citrus": (250, 190, 50),
    "sea salt": (70, 150, 205),
    "sandalwood": (150, 105, 70),
    "charcoal": (70, 72, 78),
    "honey": (225, 160, 50),
    "green tea": (150, 185, 90),
    "cotton": (175, 205, 225),
}

# Background, ink and secondary color of a label; the accent comes from the product's attributes.
PALETTES: tuple[tuple[RGB, RGB, RGB], ...] = (
    ((246, 244, 238), (40, 44, 52), (206, 200, 188)),
    ((250, 236, 206), (92, 52, 28), (226, 196, 140)),
    ((28, 46, 74), (244, 240, 228), (66, 92, 130)),
    ((228, 240, 232), (24, 82, 60), (168, 206, 184)),
    ((64, 34, 48), (250, 226, 214), (112, 66, 84)),
    ((238, 226, 240), (84, 40, 104), (208, 184, 216)),
    ((36, 84, 70), (248, 244, 220), (80, 130, 112)),
    ((250, 250, 250), (188, 30, 44), (236, 210, 210)),
    ((222, 236, 246), (22, 60, 110), (172, 204, 228)),
    ((38, 38, 40), (240, 204, 110), (84, 84, 88)),
    ((244, 214, 196), (120, 44, 40), (230, 178, 152)),
    ((212, 66, 50), (255, 244, 226), (236, 120, 96)),
)


def brightness_difference(first: RGB, second: RGB) -> float:
    """Return how much two colors differ in brightness, 0..255."""
    weights = np.array([0.3, 0.59, 0.11])
    return float(abs((np.subtract(first, second) * weights).sum()))


def readable_ink(background: RGB) -> RGB:
    """Return black or white, whichever is easier to read on a background color."""
    return max(
        ((250, 250, 248), (30, 30, 34)), key=lambda ink: brightness_difference(ink, background)
    )


def mix_colors(first: RGB, second: RGB, weight: float) -> RGB:
    """Mix two colors: 0 is the first color, 1 the second."""
    r, g, b = (round(a + (c - a) * weight) for a, c in zip(first, second, strict=True))
    return r, g, b
