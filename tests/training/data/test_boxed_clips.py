"""Loaded clips keep the boxes of the frames that were drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from PIL import Image

from sgmn.data.dataset import read_dataset
from sgmn.training.config import DataConfig
from sgmn.training.data.boxes import FrameBoxes
from sgmn.training.data.example_loader import ExampleLoader
from tests.training.painting import CORNERS, TRAIN, box_mask, bright_patches, examples_of, paint


def test_frames_keep_their_own_boxes_when_some_are_dropped(world: Path) -> None:
    data = read_dataset(world)
    clip = replace(data.clips[0], boxes=CORNERS)
    train = replace(TRAIN, max_dropped_frames_fraction=0.9)
    settings = DataConfig((world,), frames_per_clip=3)
    loader = ExampleLoader(examples_of(data, (clip,)), settings, train, 32)
    images = [np.asarray(Image.open(path).convert("RGB")) for path in clip.frames]
    counts = set()
    for seed in range(40):
        content, _, boxes, *_ = loader.load_labeled_clip(clip, 0.0, np.random.default_rng(seed))
        positions = [
            next(n for n, image in enumerate(images) if np.array_equal(image, frame))
            for frame in content.frames
        ]
        assert boxes == tuple(CORNERS[position] for position in positions)
        counts.add(len(positions))
    assert counts == {1, 2, 3}


def write_video(path: Path) -> tuple[FrameBoxes, ...]:
    """Write 5 s of a white square that moves down; returns its boxes at 2 Hz."""
    tops = [n / 60 for n in range(31)]  # the square is 0.4 high
    with av.open(path, "w") as video:
        track = video.add_stream("libx264", rate=6)
        track.width, track.height, track.pix_fmt = 36, 60, "yuv420p"
        for top in tops[:30]:
            image = paint((60, 36), ((0.25, top, 0.75, top + 0.4),))
            video.mux(track.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        video.mux(track.encode())
    return tuple(((0.25, tops[3 * n], 0.75, tops[3 * n] + 0.4),) for n in range(10))


def test_boxes_follow_a_moving_object_in_a_video(world: Path, tmp_path: Path) -> None:
    """From any start on, the patches inside are the bright ones of the frame that was drawn."""
    data, all_boxes = read_dataset(world), write_video(tmp_path / "v.mp4")
    for start in (0.0, 2.0):
        boxes = all_boxes[round(2 * start) :]
        clip = replace(
            data.clips[0], frames=(), video=tmp_path / "v.mp4", start=start, end=5.0, boxes=boxes
        )
        settings = DataConfig((world,), frames_per_clip=3, frame_rate_hz=2.0)
        train = replace(TRAIN, max_dropped_frames_fraction=0.0)
        loader = ExampleLoader(examples_of(data, (clip,)), settings, train, 60)
        content, _, drawn, *_ = loader.load_labeled_clip(clip, 0.0, np.random.default_rng(1))
        assert len(set(drawn)) == 3
        mask = box_mask([list(content.frames)], [list(drawn)])[0]
        for frame, inside in zip(content.frames, mask, strict=True):
            bright = bright_patches(frame)
            assert (bright & inside).sum() >= 0.8 * (bright | inside).sum() > 0
