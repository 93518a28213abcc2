"""Frames of clips and of image folders."""

from pathlib import Path

import pytest
from PIL import Image

from sgmn.errors import MediaError
from sgmn.media import clips, video
from sgmn.records import Clip
from tests.media.footage import (
    draw_frame,
    read_frame_number,
    read_numbers,
)


def write_images(folder, names):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        Image.fromarray(draw_frame(i)).save(folder / name)
    return folder


def test_images_of_a_folder_are_frames_in_natural_order(tmp_path):
    names = [f"frame{i}.png" for i in range(12)]
    folder = write_images(tmp_path / "shots", names)
    (folder / "notes.txt").write_text("not an image")
    (folder / "._frame0.png").write_text("what a Mac leaves behind")
    assert read_numbers(folder) == [(i, float(i)) for i in range(12)]
    assert read_numbers(folder, rate_hz=2.0, start_s=1.0, end_s=2.5) == [
        (2, 1.0),
        (3, 1.5),
        (4, 2.0),
    ]


def test_an_unreadable_image_of_a_folder_is_named(tmp_path):
    folder = write_images(tmp_path / "shots", ["a.png", "b.png"])
    (folder / "b.png").write_text("broken")
    with pytest.raises(MediaError, match=r"b\.png"):
        list(video.read_frames(folder))


def test_the_duration_of_a_folder_is_that_of_its_images(tmp_path):
    folder = write_images(tmp_path / "shots", ["a.png", "b.png", "c.png"])
    (folder / "notes.txt").write_text("not an image")
    assert video.read_duration(folder) == 3.0
    assert video.read_duration(folder, rate_hz=2.0) == 1.5
    (tmp_path / "none").mkdir()
    with pytest.raises(MediaError, match="folder without images"):
        video.read_duration(tmp_path / "none")
    with pytest.raises(ValueError, match="rate_hz"):
        video.read_duration(folder, rate_hz=0.0)


def test_frames_of_a_video_clip_are_selected_from_its_span(video_path):
    clip = Clip("c", video=video_path, start=2.0, end=11.0)
    numbers = [read_frame_number(rgb) for rgb in clips.read_clip_frames(clip, max_frames=4)]
    assert numbers == [[20, 30, 40, 50, 60, 70, 80, 90, 100][i] for i in (0, 2, 4, 6)]


def test_only_the_selected_images_of_a_clip_are_read(tmp_path):
    folder = write_images(tmp_path / "shots", [f"{i}.png" for i in range(5)])
    paths = [folder / f"{i}.png" for i in range(5)]
    paths[1] = Path("never-read.png")
    numbers = clips.read_clip_frames(Clip("c", frames=tuple(paths)), max_frames=2)
    assert [read_frame_number(rgb) for rgb in numbers] == [0, 2]


def test_an_unreadable_clip_is_named(tmp_path, video_path):
    for clip in (
        Clip("lost", video=tmp_path / "none.mp4"),
        Clip("lost", frames=(tmp_path / "none.png",)),
        Clip("lost", video=video_path, start=90.0),
    ):
        with pytest.raises(MediaError, match=r"^clip 'lost': .*(none|plain)") as raised:
            clips.read_clip_frames(clip)
        assert raised.value.remedy
