"""Frames are upright, have square pixels and a bounded size."""

import gc
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import pytest

from sgmn.media import video
from sgmn.media.rgb_conversion import UprightConverter
from tests.media.footage import (
    HEIGHT,
    WIDTH,
    frame_times,
    read_frame_number,
    read_numbers,
    write_video,
)


def test_max_side_bounds_the_longer_side_and_nothing_is_enlarged(video_path):
    assert next(video.read_frames(video_path, max_side=32)).rgb.shape == (24, 32, 3)
    assert next(video.read_frames(video_path, max_side=500)).rgb.shape == (HEIGHT, WIDTH, 3)
    assert read_numbers(video_path, max_side=32) == read_numbers(video_path)


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_the_display_matrix_is_applied(tmp_path, degrees, is_mirrored):
    path = write_video(
        tmp_path / "rotated.mp4", frame_times(0.3), rotation=degrees, is_mirrored=is_mirrored
    )
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        stored, angle = frame.to_ndarray(format="rgb24"), frame.rotation
        data = cast(Any, frame.side_data)["DISPLAYMATRIX"] if degrees or is_mirrored else None
    displayed = next(video.read_frames(path)).rgb
    assert displayed.shape == ((WIDTH, HEIGHT, 3) if degrees % 180 else (HEIGHT, WIDTH, 3))
    if data is not None:
        matrix = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2] // 65536
        assert np.array_equal(displayed, transform_pixels(stored, matrix))
    if not is_mirrored:
        assert np.array_equal(displayed, np.rot90(stored, angle // 90))


def transform_pixels(stored, matrix):
    """Transform each pixel separately: displayed (x, y) = stored (x, y) times matrix, shifted."""
    height, width = stored.shape[:2]
    positions = {(x, y): np.array([x, y]) @ matrix for y in range(height) for x in range(width)}
    low = np.min(list(positions.values()), axis=0)
    columns, rows = np.max(list(positions.values()), axis=0) - low + 1
    displayed = np.zeros((rows, columns, 3), np.uint8)
    for (x, y), position in positions.items():
        column, row = position - low
        displayed[row, column] = stored[y, x]
    return displayed


def test_max_side_applies_after_rotation(tmp_path):
    path = write_video(tmp_path / "portrait.mp4", frame_times(0.3), rotation=90)
    assert next(video.read_frames(path, max_side=32)).rgb.shape == (32, 24, 3)


def test_non_square_pixels_are_stretched(tmp_path):
    path = write_video(tmp_path / "wide.mp4", frame_times(0.3), pixel_aspect=Fraction(3, 2))
    frame = next(video.read_frames(path))
    assert frame.rgb.shape == (48, 96, 3) and read_frame_number(frame.rgb) == 0


def test_converted_frames_are_freed_at_once(video_path):
    converter = UprightConverter()
    gc.collect()
    gc.disable()
    try:
        with av.open(video_path) as container:
            for frame in container.decode(video=0):
                converter.convert(frame)
        del frame
        kept = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert kept <= 1  # whose display matrix was read
