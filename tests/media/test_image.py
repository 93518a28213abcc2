"""Images are read upright, on white, in 8 bits; broken files are refused."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgmn.errors import MediaError
from sgmn.media import image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def draw_quarters(width=40, height=24):
    """Red, green, blue and white quarters, which look different under every transformation."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = RED, GREEN
    rgb[height // 2 :, : width // 2], rgb[height // 2 :, width // 2 :] = BLUE, WHITE
    return rgb


def is_close(pixels, expected, within=12):
    return pixels.shape == expected.shape and np.abs(pixels.astype(int) - expected).max() <= within


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif", "a.tiff", "a.ppm", "a.webp", "a.jpg"])
def test_common_formats_are_read(tmp_path, name):
    options: dict[str, Any] = {}
    if name == "a.jpg":
        options = {"quality": 100, "subsampling": 0}
    options = {"lossless": True} if name == "a.webp" else options
    Image.fromarray(draw_quarters()).save(tmp_path / name, **options)
    pixels = image.read_image(tmp_path / name)
    assert pixels.dtype == np.uint8 and pixels.flags.c_contiguous and pixels.flags.writeable
    assert is_close(pixels, draw_quarters(), 4)


# By hand: how the stored image must be transformed for each of the eight EXIF orientations.
TRANSFORMS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", TRANSFORMS)
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(draw_quarters()).save(path, exif=exif, quality=100, lossless=True)
    upright = TRANSFORMS[orientation](draw_quarters())
    at = [(5, 5), (5, -5), (-5, 5), (-5, -5)]
    pixels = image.read_image(path)
    assert pixels.shape == upright.shape
    assert all(is_close(pixels[y, x], upright[y, x], 30) for y, x in at)
    small = image.read_image(path, max_side=20)
    assert small.shape == (*(n // 2 for n in upright.shape[:2]), 3)


def half_transparent(mode):
    """Left half opaque mid gray, right half fully transparent black."""
    image = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    image.paste((100, 100, 100, 255), (0, 0, 4, 4))
    return image.convert(mode) if mode != "RGBA" else image


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_transparency_becomes_white(tmp_path, mode, suffix):
    path = tmp_path / f"a.{suffix}"
    half_transparent(mode).save(path)
    pixels = image.read_image(path)
    assert (pixels[:, :4] == 100).all() and (pixels[:, 4:] == 255).all()


def test_partial_transparency_is_blended_with_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert is_close(image.read_image(tmp_path / "a.png"), np.full((4, 4, 3), 127), 1)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_color_is_white(tmp_path, mode):
    drawn = Image.fromarray(np.array([[0, 100]], np.uint8))
    drawn = drawn if mode == "L" else drawn.convert(mode)
    hidden = (0, 0, 0) if mode == "RGB" else drawn.getpixel((0, 0))
    drawn.save(tmp_path / "a.png", transparency=hidden)
    assert image.read_image(tmp_path / "a.png").tolist() == [[[255] * 3, [100] * 3]]


@pytest.mark.parametrize(("mode", "value", "gray"), [("1", 1, 255), ("1", 0, 0), ("L", 77, 77)])
def test_gray_and_bits(tmp_path, mode, value, gray):
    Image.new(mode, (4, 4), value).save(tmp_path / "a.png")
    assert (image.read_image(tmp_path / "a.png") == gray).all()


def test_a_palette_is_resized_in_color(tmp_path):
    Image.fromarray(draw_quarters(64, 64)).convert("P", palette=Image.Palette.ADAPTIVE).save(
        tmp_path / "a.png"
    )
    pixels = image.read_image(tmp_path / "a.png", max_side=16)
    assert is_close(pixels[2, 2], np.array(RED), 8) and is_close(pixels[-3, 2], np.array(BLUE), 8)


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name):
    deep = np.array([[0, 257, 25700, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    assert image.read_image(tmp_path / name)[0, :, 0].tolist() == [0, 1, 100, 255]


def test_sixteen_bit_pgm_is_scaled(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">2H", 0, 51400))
    assert image.read_image(tmp_path / "a.ppm")[0, :, 0].tolist() == [0, 200]


def test_a_transparent_sixteen_bit_gray_is_white(tmp_path):
    raw = zlib.compress(b"\0" + struct.pack(">2H", 12850, 25700))
    write_png(tmp_path / "a.png", (2, 1, 16, 0), {b"tRNS": struct.pack(">H", 12850)}, raw)
    assert image.read_image(tmp_path / "a.png")[0, :, 0].tolist() == [255, 100]


def test_sixteen_bit_color_keeps_its_colors(tmp_path):
    raw = zlib.compress(b"\0" + struct.pack(">3H", 65535, 32896, 0))
    write_png(tmp_path / "a.png", (1, 1, 16, 2), {}, raw)
    assert is_close(image.read_image(tmp_path / "a.png")[0, 0], np.array([255, 128, 0]), 1)


def write_png(path, header, chunks, raw):
    width, height, depth, color = header
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = {b"IHDR": head, **chunks, b"IDAT": raw, b"IEND": b""}
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
            for k, d in parts.items()
        )
    )


def test_32_bit_gray_is_refused(tmp_path):
    Image.fromarray(np.array([[0.1, 0.9]], np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(MediaError, match=r"a\.tiff.*no known range"):
        image.read_image(tmp_path / "a.tiff")


@pytest.mark.parametrize("name", ["a.jpg", "a.tiff"])
def test_cmyk_is_not_inverted(tmp_path, name):
    for rgb in (RED, WHITE, (0, 0, 0)):
        Image.new("RGB", (16, 16), rgb).convert("CMYK").save(tmp_path / name)
        assert is_close(image.read_image(tmp_path / name), np.full((16, 16, 3), rgb), 6)


def test_an_animation_yields_its_first_frame(tmp_path):
    first, second = (Image.new("RGB", (8, 8), color) for color in (RED, BLUE))
    for name in ("a.gif", "a.webp", "a.png"):
        first.save(tmp_path / name, save_all=True, append_images=[second])
        assert is_close(image.read_image(tmp_path / name)[4, 4], np.array(RED), 10)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("max_side", [16, 100, 333])
def test_max_side_bounds_the_longer_side(tmp_path, suffix, max_side):
    ramp = np.tile(np.linspace(0, 255, 1200).astype(np.uint8)[None, :, None], (600, 1, 3))
    Image.fromarray(ramp).save(tmp_path / f"a.{suffix}", quality=95)
    pixels = image.read_image(tmp_path / f"a.{suffix}", max_side)
    assert pixels.shape in {(max_side // 2, max_side, 3), (-(-max_side // 2), max_side, 3)}
    means = ramp[0, :, 0].astype(float)
    expected = [
        means[int(i * 1200 / max_side) : int((i + 1) * 1200 / max_side)].mean()
        for i in range(max_side)
    ]
    assert np.abs(pixels[max_side // 4, :, 0] - np.array(expected)).max() < 6


def test_nothing_is_enlarged(tmp_path):
    Image.fromarray(draw_quarters()).save(tmp_path / "a.png")
    assert image.read_image(tmp_path / "a.png", 1000).shape == (24, 40, 3)


def test_a_very_long_image_keeps_a_pixel(tmp_path):
    Image.new("RGB", (2000, 2), RED).save(tmp_path / "a.jpg")
    assert image.read_image(tmp_path / "a.jpg", 100).shape == (1, 100, 3)


def test_an_invalid_max_side_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        image.read_image(tmp_path / "a.png", 0)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tiff"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_image_is_refused(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    Image.fromarray(noise).save(whole)
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    assert image.read_image(whole).shape == (64, 64, 3)
    with pytest.raises(MediaError, match=f"cut.{suffix}"):
        image.read_image(cut)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    path = tmp_path / "bomb.png"
    write_png(path, (9000, 9000, 8, 2), {}, zlib.compress(b"tiny"))
    with pytest.raises(MediaError, match="9000x9000, 81 megapixels; the maximum is 64"):
        image.read_image(path)
    write_png(path, (60_000, 60_000, 8, 2), {}, zlib.compress(b"tiny"))
    with pytest.raises(MediaError, match=r"bomb\.png"):
        image.read_image(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.jpg", "does not exist"),
        ("folder", "is a folder"),
        ("empty.jpg", "is empty"),
        ("text.jpg", "is not a readable image"),
        ("eps.jpg", "is not a readable image"),
        ("null\0byte.jpg", "cannot be opened"),
    ],
)
def test_unreadable_files_are_refused_by_name(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not an image at all")
    Image.new("RGB", (8, 8)).save(tmp_path / "eps.jpg", format="EPS")  # would start Ghostscript
    with pytest.raises(MediaError, match=message) as raised:
        image.read_image(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value) and raised.value.remedy


def test_global_settings_of_pillow_are_unchanged(tmp_path):
    from PIL import ImageFile

    Image.fromarray(draw_quarters()).save(tmp_path / "a.png")
    before = Image.MAX_IMAGE_PIXELS
    image.read_image(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS and ImageFile.LOAD_TRUNCATED_IMAGES is False
