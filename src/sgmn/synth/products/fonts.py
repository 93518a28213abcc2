"""Fonts from pip packages, so that generated images do not depend on the system's fonts."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from sgmn.errors import SgmnError

# Package and file of fonts that look different even in a small image.
FONTS = (
    ("font_manrope", "Manrope-ExtraBold.ttf"),
    ("font_manrope", "Manrope-Light.ttf"),
    ("font_source_sans_pro", "SourceSansPro-BlackIt.ttf"),
    ("font_source_serif_pro", "SourceSerifPro-Black.ttf"),
    ("font_source_serif_pro", "SourceSerifPro-It.ttf"),
    ("font_caladea", "Caladea-Bold.ttf"),
    ("font_fredoka_one", "FredokaOne-Regular.ttf"),
    ("font_amatic_sc", "AmaticSC-Bold.ttf"),
    ("font_intuitive", "Intuitive.ttf"),
)
SMALL_PRINT_FONT = ("font_source_sans_pro", "SourceSansPro-Semibold.ttf")


@cache
def load_font(font: tuple[str, str], size_px: int) -> ImageFont.FreeTypeFont:
    """Load one of FONTS, or SMALL_PRINT_FONT, at a size.

    Raises:
        SgmnError: The package of the font is not installed.
    """
    return ImageFont.truetype(str(_find_font_file(*font)), size_px)


@cache
def _find_font_file(package: str, name: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SgmnError(
            f"generating images requires the package {package.replace('_', '-')}",
            remedy="run: pip install 'sgmn[synth]'",
        )
    return Path(spec.origin).parent / "files" / name
