"""Read an image file as upright 8-bit RGB on white; a truncated file is an error.

Pillow is imported when the first image is read or written: videos need none.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgmn import tar_member
from sgmn.errors import MediaError, error_reason
from sgmn.records import ImageArray

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000
JPEG_QUALITY = 80
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".avif")

# A fixed list, because Pillow's other readers are old and one of them (EPS) starts a program.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_REMEDY = "save it again as JPEG, PNG or WebP"
_EXIF_ORIENTATION = 0x0112
_TRANSPOSITIONS = {  # names in `Image.Transpose`
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# What Pillow's readers raise on damaged files, see also `_pillow_errors`; there is no common base
# class.
_READER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# How much larger than `max_side` an image stays before the last, high-quality resize. From 480
# to 160 pixels, 1.5 takes a third of the time of 2, and differs by 0.3 of 255 on average.
_REDUCING_GAP = 1.5


def read_image(path: Path, max_side: int | None = None) -> ImageArray:
    """Read an image as uint8 RGB, (H, W, 3), rotated upright as its EXIF orientation says.

    Transparency becomes white, 16-bit gray is scaled to 8 bits, and an animation yields its
    first frame.

    Args:
        path: The image file, or a file inside a tar shard, see `sgmn.tar_member`.
        max_side: Maximum length of the longer side, in pixels. The aspect ratio is kept, and
            nothing is enlarged.

    Raises:
        MediaError: For a missing, damaged, truncated or unknown file, for an image above
            MAX_PIXELS, and for 32-bit gray, whose range is unknown.
    """
    path = Path(path)
    if max_side is not None and max_side < 1:
        raise ValueError(f"max_side is {max_side}; pass a number of pixels of at least 1")
    from PIL import Image, UnidentifiedImageError

    source = _open_source(path)
    try:
        with Image.open(source, formats=_FORMATS) as image:
            _require_size(image, path)
            return _decode(image, max_side)
    except UnidentifiedImageError:
        raise MediaError("is not a readable image", path, _REMEDY) from None
    except _pillow_errors() as error:
        reason = str(error).strip() or type(error).__name__
        raise MediaError(f"cannot be read ({reason})", path, _REMEDY) from error


def encode_jpeg(image: ImageArray) -> bytes:
    """Return an image (H, W, 3) as a JPEG file of quality JPEG_QUALITY."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def read_size(path: Path) -> tuple[int, int]:
    """Return the width and height of an image in pixels, from its header alone.

    Raises MediaError for a missing or unknown file.
    """
    from PIL import Image

    source = _open_source(path)
    try:
        with Image.open(source, formats=_FORMATS) as image:
            return image.size
    except _pillow_errors() as error:
        raise MediaError("is not a readable image", path, _REMEDY) from error


def _open_source(path: Path) -> Path | BytesIO:
    """Return what Pillow opens: the path of a file, or the bytes of a member of a tar shard."""
    member = tar_member.parse_path(path)
    if member is None:
        _require_file(path)
        return path
    try:
        return BytesIO(member.read())
    except OSError as error:
        remedy = "restore the tar file, or import the dataset again"
        raise MediaError(f"cannot be read ({error_reason(error)})", path, remedy) from error


def _pillow_errors() -> tuple[type[Exception], ...]:
    from PIL import Image

    return (*_READER_ERRORS, Image.DecompressionBombError, Image.DecompressionBombWarning)


def _require_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise MediaError("is a folder", path, "pass an image file")
        if path.stat().st_size == 0:
            raise MediaError("is empty", path, "download or export the image again")
    except FileNotFoundError:
        raise MediaError("does not exist", path, "check the path of the image") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise MediaError(
            f"cannot be opened ({error_reason(error)})", path, "check the path"
        ) from error


def _require_size(image: Image.Image, path: Path) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise MediaError(
            f"is {image.width}x{image.height}, {pixels / 1e6:.0f} megapixels; "
            f"the maximum is {MAX_PIXELS / 1e6:.0f}",
            path,
            "scale it down",
        )


def _decode(image: Image.Image, max_side: int | None) -> ImageArray:
    from PIL.Image import Resampling, Transpose

    if max_side is not None:
        # JPEG can decode at 1/2, 1/4 or 1/8 of its size, which saves most of the work.
        scale = _REDUCING_GAP * max_side / max(image.size)
        if scale < 1:
            image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    transposition = _TRANSPOSITIONS.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    rgb = _convert_to_rgb(image)
    if max_side is not None and max(rgb.size) > max_side:
        size = (max_side, max_side)
        rgb.thumbnail(size, Resampling.BICUBIC, reducing_gap=_REDUCING_GAP)
    if transposition is not None:
        rgb = rgb.transpose(Transpose[transposition])
    return np.array(rgb, dtype=np.uint8)


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return _scale_16_bit_gray(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _scale_16_bit_gray(image: Image.Image) -> Image.Image:
    """Scale 16-bit gray to 8 bits; Pillow's own conversion clips it to nearly all white."""
    from PIL import Image

    gray = np.asarray(image)
    if image.mode == "F" or gray.min() < 0 or gray.max() > 65535:
        raise ValueError(f"32-bit gray, mode {image.mode}, has no known range")
    scaled = np.rint(gray.astype(np.float32) / 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        scaled[gray == transparent] = 255
    return Image.fromarray(scaled)
