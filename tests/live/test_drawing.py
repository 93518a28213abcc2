"""Drawn explanations: maps light what they point at, bars are as long as they say, films play."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sgmn.live import drawing
from sgmn.live.drawing import Listing, Scene, added, counted_most, heat_colours, heated
from sgmn.model.explanation import Comparison, Contribution, Explanation, Gaze, Heat, Word

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 30), (30, 30, 200)


def plain(colour: tuple[int, int, int], height: int = 64, width: int = 36) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def corner(height: int = 64, width: int = 36) -> Heat:
    """All attention on the last quarter of a quarter."""
    heat = np.zeros((height, width))
    heat[3 * height // 4 :, 3 * width // 4 :] = 1.0
    return heat / heat.sum()


def comparison(place: int, score: float, views: int = 1) -> Comparison:
    terms = (
        Contribution("picture", 1.0, score - 0.1, score - 0.1, True),
        Contribution("match", 0.5, 0.0, 0.0, False),
    )
    gazes = tuple(Gaze(1 / views, corner(40, 40)) for _ in range(views))
    title = (Word("red", 0.9), Word("mug", 0.1))
    return Comparison(place, score, terms, {"as a pair": 0.1}, gazes, title, (0.4, 0.2, 0.1))


def scene(shares: tuple[float, ...] = (0.2, 0.5, 0.3), products: int = 2) -> Scene:
    colours = [(RED, GREEN, BLUE)[place % 3] for place in range(len(shares))]
    words = tuple(Word(text, share) for text, share in (("this", 0.1), ("mug", 0.9)))
    compared = [replace(comparison(n, 0.8 - 0.3 * n), frames=shares) for n in range(products)]
    return Scene(
        "clip.mp4",
        tuple(2.0 * place for place in range(len(shares))),
        2.0 * len(shares),
        tuple(plain(colour) for colour in colours),
        Explanation(tuple(Gaze(s, corner()) for s in shares), words, tuple(compared), True),
        tuple(Listing(f"p{n}", f"red mug {n}", (plain(RED, 40, 40),)) for n in range(products)),
    )


def alike(drawn: Scene) -> Scene:
    """The same by a model without guidance."""
    frames = tuple(Gaze(gaze.share, None) for gaze in drawn.explanation.frames)
    explanation = replace(drawn.explanation, frames=frames, guided=False)
    return replace(drawn, explanation=explanation)


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


def test_frames_are_drawn_in_order_with_bars_of_their_shares() -> None:
    shown = np.asarray(drawing.picture(alike(scene())), np.int64)
    lefts = [int(np.nonzero((shown == colour).all(-1))[1].min()) for colour in (RED, GREEN, BLUE)]
    assert lefts == sorted(lefts)
    bars = (shown == drawing.BARS[0]).all(-1)
    row = bars[np.nonzero(bars.any(1))[0][0]]
    edges = [*lefts, drawing.WIDTH]
    lengths = [row[a:b].sum() for a, b in pairwise(edges)]
    assert np.array(lengths) / sum(lengths) == pytest.approx([0.2, 0.5, 0.3], abs=0.01)


def test_terms_that_dropped_out_are_told_apart() -> None:
    assert added(comparison(0, 0.8)) == {
        "picture": pytest.approx(0.7),
        "frame by frame": None,
        "as a pair": 0.1,
        "score": 0.8,
    }


def odd_scenes() -> dict[str, Scene]:
    base = scene()
    silent = replace(base.explanation, words=())
    long = tuple(Word(f"word{n}", 1 / 400) for n in range(400))
    one_word = (Word("x" * 500, 1.0),)
    bare = replace(comparison(0, -0.5), views=(), title=(), frames=())
    unseen = replace(base.explanation, comparisons=(bare, bare))
    dull = replace(comparison(0, 0.0), terms=(), changes={}, frames=())
    wide = tuple(plain(RED, 36, 640) for _ in range(3))
    return {
        "one frame, one product": scene((1.0,), 1),
        "many frames": scene(tuple(np.full(30, 1 / 30))),
        "frames of no weight": scene((0.0, 0.0)),
        "silent": replace(base, explanation=silent),
        "a long speech": replace(base, explanation=replace(base.explanation, words=long)),
        "a long word": replace(base, explanation=replace(base.explanation, words=one_word)),
        "no picture": replace(
            base, explanation=unseen, listings=(Listing("p0", ""), Listing("p1", ""))
        ),
        "nothing to compare": replace(
            base, explanation=replace(base.explanation, comparisons=(dull, dull))
        ),
        "other scripts": replace(
            base, name="红茶.mp4", listings=(Listing("p0", "Crème 红茶"), Listing("茶", "é"))
        ),
        "a long name": replace(base, name="clip" * 200),
        "wide frames": replace(base, frames=wide),
        "unguided": alike(base),
    }


@pytest.mark.parametrize("name", list(odd_scenes()))
def test_odd_scenes_are_drawn(name: str) -> None:
    found = odd_scenes()[name]
    image = drawing.picture(found)
    assert image.width == drawing.WIDTH and 400 < image.height < 2000
    margin = np.asarray(image)[:, -drawing.MARGIN // 2 :]
    assert (margin == 255).all()  # nothing runs over the edge
    moment, lasts_s = next(iter(drawing.film(found)))
    assert moment.size == drawing.FILM and lasts_s > 0


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


def test_a_model_that_looks_at_everything_alike_says_so() -> None:
    """Where the scale would stand, there are words instead."""
    guided, unguided = drawing.picture(scene()), drawing.picture(alike(scene()))
    hottest = tuple(np.asarray(guided)[-drawing.MARGIN - 8].max(0))
    foot = np.asarray(unguided)[-drawing.MARGIN - 20 :].astype(int)
    assert hottest == (255, 255, 255)
    assert (foot < 200).any() and (np.ptp(foot, axis=-1) < 16).all()


def test_a_film_shows_each_frame_for_its_time(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    drawing.write(alike(scene()), path)
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
    with av.open(path) as film:
        assert film.streams.video[0].codec_context.name == "h264"
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]
    assert frames[-1][0] == pytest.approx(6.0, abs=0.3)
    for time, rgb in frames:
        assert rgb.shape == (720, 1280, 3)
        shown = (RED, GREEN, BLUE)[int(time // 2)]
        assert np.abs(rgb[360, 200].astype(int) - shown).max() < 25, time


def test_a_film_that_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(OSError, match=r"out\.mp4"):
        drawing.write(alike(scene((1.0,), 1)), tmp_path / "out.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_a_picture_is_written(tmp_path: Path) -> None:
    drawing.write(scene(), tmp_path / "out.PNG")
    with Image.open(tmp_path / "out.PNG") as image:
        assert image.format == "PNG" and image.width == drawing.WIDTH
