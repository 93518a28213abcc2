"""Reference pictures of pages: taken, stored and compared.

They are stored at half size, so that the smoothing of letters and lines, which differs between
versions of Chromium and of fonts, hardly counts. What varies from run to run is covered.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageFilter

FOLDER = Path(__file__).parent / "references"
OUTPUT = Path(__file__).parents[3] / "build" / "references"
CONDITIONS_FILE = FOLDER / "taken-with.json"
STYLE = ".alerts, .note { display: none; }"
QUALITY = 70  # of WebP
BLUR_PX = 1.0
MAX_CHANNEL_DIFFERENCE = 40  # of 255, after the blur
MAX_SHARE = 0.01  # of pixels that differ by more


def take(page: Any, masked: list[str]) -> Image.Image:
    """The visible part of a page at half size; what the selectors in `masked` find is covered.

    Notes that come and go while a session runs are left out.
    """
    covers = [page.locator(selector) for selector in masked]
    data = page.screenshot(mask=covers, mask_color="#808080", style=STYLE)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)


def store(name: str, image: Image.Image) -> None:
    """Store a picture as the reference."""
    FOLDER.mkdir(exist_ok=True)
    image.save(FOLDER / f"{name}.webp", quality=QUALITY, method=6)


def note_conditions(conditions: dict[str, Any]) -> None:
    """Note with what the references have been taken."""
    CONDITIONS_FILE.write_text(json.dumps(conditions) + "\n")


def read_conditions() -> Any:
    """Return with what the references have been taken."""
    return json.loads(CONDITIONS_FILE.read_text())


def compare(name: str, image: Image.Image) -> str | None:
    """None if a picture looks like its reference, else what is wrong.

    Then the picture and the differences are in `build/references`.
    """
    path = FOLDER / f"{name}.webp"
    if not path.exists():
        return f"{name}: there is no reference"
    with Image.open(path) as stored:
        reference = stored.convert("RGB")
    if reference.size != image.size:
        return f"{name}: is {image.size}, the reference {reference.size}"
    blurred = [one.filter(ImageFilter.GaussianBlur(BLUR_PX)) for one in (image, reference)]
    difference = np.asarray(ImageChops.difference(blurred[0], blurred[1])).max(axis=2)
    share = float((difference > MAX_CHANNEL_DIFFERENCE).mean())
    if share <= MAX_SHARE:
        return None
    OUTPUT.mkdir(parents=True, exist_ok=True)
    image.save(OUTPUT / f"{name}.png")
    is_different = (difference > MAX_CHANNEL_DIFFERENCE).astype(np.uint8) * 255
    Image.fromarray(is_different).save(OUTPUT / f"{name}-difference.png")
    return f"{name}: {share:.1%} of the pixels differ, see {OUTPUT}/{name}-difference.png"
