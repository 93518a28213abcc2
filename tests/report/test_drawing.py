"""What drawings share: maps light what they point at, words stay that weighed most."""

from __future__ import annotations

import numpy as np

from sgmn.model.explanation import Gaze
from sgmn.model.word_spans import Word
from sgmn.report import drawing
from sgmn.report.drawing import counted_most, heat_colours, heated
from tests.live.scenes import GREEN, corner, plain


def cielab(colours: np.ndarray) -> np.ndarray:
    """sRGB (..., 3) in 0..255 to CIELAB under D65, where equal steps look equal."""
    share = colours / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = light @ np.array(to_xyz).T / [0.9505, 1.0, 1.089]
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def test_equal_steps_of_heat_look_equal_and_lighter() -> None:
    lab = cielab(heat_colours(np.linspace(0, 1, 65)))
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 1.3 * steps.min()
    assert (np.diff(lab[:, 0]) > 0).all()


def test_a_map_lights_what_it_points_at() -> None:
    """Whatever its resolution, and whether the picture is dark or white."""
    for colour in ((40, 40, 40), (255, 255, 255)):
        for size in ((64, 36), (16, 8), (640, 360)):
            shown = np.asarray(heated(plain(colour), corner(*size), (180, 320)), np.float64)
            hot, cold = shown[300:, 160:].mean((0, 1)), shown[:200].mean((0, 1))
            assert np.linalg.norm(cielab(hot) - cielab(cold)) > 30
            assert np.ptp(shown[:200], axis=(0, 1)).max() <= 1  # and nothing else


def test_an_even_look_tints_nothing_and_no_look_changes_nothing() -> None:
    even = np.full((64, 36), 1 / (64 * 36))
    shown = np.asarray(heated(plain(GREEN), even, (36, 64)), np.float64)
    np.testing.assert_allclose(shown / shown.max(), plain(GREEN) / 160, atol=0.02)
    untouched = np.asarray(heated(plain(GREEN), None, (36, 64)))
    assert np.array_equal(untouched, plain(GREEN))


def test_a_map_is_on_one_scale_for_all_pictures() -> None:
    """A look at a smaller share of the attention is not made as hot as a look at all of it."""
    sharp, faint = corner(), 0.2 * corner() + 0.8 / (64 * 36)
    hot, warm = (heated(plain((0, 0, 0)), heat, (36, 64)).getpixel((33, 60)) for heat in
                 (sharp, faint))  # fmt: skip
    assert sum(hot) > sum(warm) > 0


def test_those_that_counted_most_stay_in_order_of_time() -> None:
    gazes = [Gaze(share, None) for share in (0.1, 0.3, 0.05, 0.25, 0.3)]
    assert counted_most(gazes, 3) == [1, 3, 4]
    assert counted_most(gazes, 9) == [0, 1, 2, 3, 4]


def test_of_too_many_words_those_that_weighed_stay() -> None:
    """The last of 400 words is drawn, as dark as can be, because it weighed most."""
    words = tuple(Word(f"word{n}", (0.5 if n == 399 else 0.5 / 399)) for n in range(400))
    written: list[str] = []

    class Noting(drawing.Sheet):
        def text(self, at: tuple[int, int], text: str, *rest: object) -> None:
            written.append(text)
            super().text(at, text, *rest)

    sheet = Noting(600, 400)
    assert sheet.words(words, (0, 0, 600, 100), 20) <= 100
    assert written[-2:] == ["word399", "…"] and 20 < len(written) < 200
    image = np.asarray(sheet.image)
    assert (image[100:] == 255).all() and image.min() < 40
