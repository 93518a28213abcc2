"""Decoded content of clips and products."""

import numpy as np
import pytest
from PIL import Image

from sgmn.errors import MediaError
from sgmn.media import content_loader
from sgmn.records import Clip, Product, Utterance
from tests.media.footage import draw_frame, frame_times, read_frame_number, write_video


def test_clip_content_is_its_selected_frames_and_all_its_text(tmp_path):
    path = write_video(tmp_path / "a.mp4", frame_times(4))
    transcript = (Utterance(0, 1, "this lime "), Utterance(1, 2, " "), Utterance(2, 9, "is fresh"))
    content = content_loader.load_clip_content(
        Clip("c", video=path, transcript=transcript), max_frames=2, max_side=32
    )
    assert [read_frame_number(rgb) for rgb in content.frames] == [0, 20]
    assert {rgb.shape for rgb in content.frames} == {(24, 32, 3)}
    assert content.text == "this lime is fresh"


def test_rate_and_damage_are_passed_on(tmp_path):
    path = write_video(tmp_path / "whole.mkv", frame_times(6), with_noise=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    damage: list[str] = []
    content = content_loader.load_clip_content(Clip("c", video=path), rate_hz=2.0, damage=damage)
    assert [read_frame_number(rgb) for rgb in content.frames[:3]] == [0, 5, 10]
    assert len(damage) == 1


def test_product_content_is_all_images_and_the_title(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray(draw_frame(i)).save(path)
    product = Product("p", title="Lime", image=paths[2], images=(paths[0], paths[1]))
    content = content_loader.load_product_content(product, max_side=32)
    assert [read_frame_number(rgb) for rgb in content.images] == [2, 0, 1]
    assert content.title == "Lime" and np.array(content.images).shape == (3, 24, 32, 3)


def test_a_product_may_have_only_a_title():
    assert content_loader.load_product_content(Product("p", title="Lime")).images == ()


def test_an_unreadable_image_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"none\.png: does not exist"):
        content_loader.load_product_content(Product("p", image=tmp_path / "none.png"))
