"""The fonts of labels, all out of pip packages: nothing depends on what a system has."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from sgmn.errors import SgmnError

# package, file: each looks unlike the others from across a room
FACES = (
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
SMALL = ("font_source_sans_pro", "SourceSansPro-Semibold.ttf")


@cache
def font(face: tuple[str, str], size_px: int) -> ImageFont.FreeTypeFont:
    """One of FACES (or SMALL) at a size. Raises SgmnError when its package is missing."""
    return ImageFont.truetype(str(_file(*face)), size_px)


@cache
def _file(package: str, name: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SgmnError(
            f"making a world needs the package {package.replace('_', '-')}",
            remedy="run: pip install 'sgmn[synth]'",
        )
    return Path(spec.origin).parent / "files" / name
