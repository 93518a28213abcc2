"""What holds for every world on disk."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sgmn.data.inspection import inspect
from sgmn.errors import SettingsError
from sgmn.media import container, video
from sgmn.records import Utterance
from sgmn.synth.world import WorldSettings, make, preview
from tests.synth.conftest import SETTINGS, World

SPLITS = ("train", "val", "test")


def digests(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file() and ".synth" not in p.parts)
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("split", SPLITS)
def test_a_deep_inspection_finds_no_error(world: World, split: str) -> None:
    found = inspect(world.root / split, deep=True)
    assert not found.errors
    assert found.counts.products == 9
    assert found.counts.clips == 2


def test_no_product_brand_or_picture_is_in_two_splits(world: World) -> None:
    for kind in ("product_id", "shop_id", "title"):
        sets = [{getattr(p, kind) for p in world.splits[name].products} for name in SPLITS]
        assert sum(map(len, sets)) == len(set.union(*sets)), kind
    brands = [{p.attributes["brand"] for p in world.splits[name].products} for name in SPLITS]
    assert sum(map(len, brands)) == len(set.union(*brands))
    pictures = [
        {
            hashlib.sha256(p.image.read_bytes()).digest()
            for p in world.splits[name].products
            if p.image
        }
        for name in SPLITS
    ]
    assert sum(map(len, pictures)) == len(set.union(*pictures)) >= 20


def test_each_clip_names_products_of_its_own_shop(world: World) -> None:
    for data in world.splits.values():
        known = {product.key for product in data.products}
        for clip in data.clips:
            assert clip.product_ids
            assert {(clip.shop_id, i) for i in clip.product_ids} <= known
            assert clip.split == data.root.name


def test_every_box_lies_inside_the_frame_and_has_an_area(world: World) -> None:
    boxes = [
        box
        for data in world.splits.values()
        for row in (*data.clips, *data.streams)
        for shown in row.extra["shown"]
        for box in shown["boxes"].values()
    ]
    assert len(boxes) > 100
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


def test_boxes_of_the_products_meant_are_those_shown(world: World) -> None:
    for data in world.splits.values():
        for clip in data.clips:
            shown = [frame["boxes"] for frame in clip.extra["shown"]]
            assert len(shown) == len(clip.boxes)
            for boxes, frame in zip(clip.boxes, shown, strict=True):
                meant = [tuple(frame[i]) for i in frame if i in clip.product_ids]
                assert sorted(boxes) == sorted(meant)


def test_the_product_meant_is_visible_for_the_share_wanted(world: World) -> None:
    clips = [clip for data in world.splits.values() for clip in data.clips]
    assert len(clips) == 6
    for clip in clips:
        share = sum(bool(boxes) for boxes in clip.boxes) / len(clip.boxes)
        assert share == pytest.approx(clip.extra["visible_wanted"], abs=0.1)
        assert share == pytest.approx(clip.attributes["visible_share"], abs=1e-3)


def assert_in_order(cues: tuple[Utterance, ...], end: float) -> None:
    assert cues
    assert cues[0].start >= 0
    assert cues[-1].end <= end
    assert all(before.end <= after.start for before, after in pairwise(cues))
    assert all(cue.end > cue.start and cue.text for cue in cues)


def test_cues_are_in_order_and_within_the_clip(world: World) -> None:
    for data in world.splits.values():
        for clip in data.clips:
            assert clip.end is not None
            assert_in_order(clip.transcript, clip.end)


def test_timelines_cover_the_stream_without_overlap(world: World) -> None:
    streams = [stream for data in world.splits.values() for stream in data.streams]
    assert len(streams) == 1
    for stream in streams:
        assert stream.timeline[0].start == 0
        assert all(before.end == after.start for before, after in pairwise(stream.timeline))
        length = container.duration(stream.video)
        assert stream.timeline[-1].end == pytest.approx(length, abs=0.01)
        assert_in_order(stream.transcript, stream.timeline[-1].end)
        ids = [span.product_id for span in stream.timeline]
        assert None in ids
        assert len(set(ids)) >= 3


def test_a_stream_shows_only_what_is_on_sale_of_what_it_sells(world: World) -> None:
    (stream,) = (stream for data in world.splits.values() for stream in data.streams)
    sold = {span.product_id for span in stream.timeline} - {None}
    for shown in stream.extra["shown"]:
        now = next(s.product_id for s in stream.timeline if s.start <= shown["time"] < s.end)
        assert set(shown["boxes"]) & sold <= {now}


def test_videos_have_the_size_rate_and_length_that_were_set(world: World) -> None:
    clip = world.splits["train"].clips[0]
    frames = list(video.frames(clip.video, rate_hz=4.0))
    assert frames[0].rgb.shape == (128, 72, 3)
    assert clip.end is not None
    assert len(frames) == round(clip.end * 4)


def test_the_same_seed_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    make(tmp_path, SETTINGS)
    assert digests(tmp_path) == digests(world.root)


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    small = replace(SETTINGS, shops=1, products=6, clips=0, streams=0, train=1.0, val=0.0, test=0.0)
    for seed in (1, 2):
        make(tmp_path / str(seed), replace(small, seed=seed))
    one, two = (
        {hashlib.sha256(p.read_bytes()).digest() for p in (tmp_path / s).rglob("*.jpg")}
        for s in "12"
    )
    assert len(one) >= 6
    assert not one & two


def test_processes_change_nothing(tmp_path: Path) -> None:
    small = replace(SETTINGS, shops=1, products=6, clips=1, streams=0, train=1.0, val=0.0, test=0.0)
    for processes in (1, 2):
        make(tmp_path / str(processes), small, processes=processes)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_resuming_leaves_finished_files_and_makes_the_missing_one(tmp_path: Path) -> None:
    small = replace(SETTINGS, shops=1, products=6, clips=2, streams=0, train=1.0, val=0.0, test=0.0)
    make(tmp_path, small)
    whole = digests(tmp_path)
    lost = sorted((tmp_path / "train" / "videos").iterdir())[0]
    lost.unlink()
    kept = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*") if p.suffix in (".mp4", ".jpg")}
    seen: list[tuple[int, int]] = []
    make(tmp_path, small, progress=lambda done, total, _: seen.append((done, total)))
    assert digests(tmp_path) == whole
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert seen == [(i, 8) for i in range(1, 9)]


def test_a_world_may_grow_but_not_change(tmp_path: Path) -> None:
    small = replace(SETTINGS, shops=1, products=6, clips=1, streams=0, train=1.0, val=0.0, test=0.0)
    make(tmp_path, small)
    first = (tmp_path / "train" / "clips.jsonl").read_bytes()
    make(tmp_path, replace(small, clips=2))
    grown = (tmp_path / "train" / "clips.jsonl").read_bytes()
    assert grown.startswith(first)
    assert grown.count(b"\n") == 2
    with pytest.raises(SettingsError, match="'seed'"):
        make(tmp_path, replace(small, clips=2, seed=8))


def test_one_split_alone_is_as_it_is_in_the_whole_world(world: World, tmp_path: Path) -> None:
    assert make(tmp_path, SETTINGS, only="val") == {"clips": 2, "products": 9}
    assert {path.name for path in tmp_path.iterdir()} == {".synth", "val"}
    whole = {name: digest for name, digest in digests(world.root).items() if name[:4] == "val/"}
    assert digests(tmp_path) == whole
    with pytest.raises(SettingsError, match="take one of train, val, test"):
        make(tmp_path, SETTINGS, only="vla")


def test_a_preview_shows_products_and_frames(tmp_path: Path) -> None:
    path = tmp_path / "sheets" / "preview.png"
    preview(path, SETTINGS)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[0] > 600
    assert sheet.shape[1] >= 1000
    top, bottom = sheet[: len(sheet) // 3], sheet[-len(sheet) // 4 :]
    assert (top == 255).all(axis=2).mean() > 0.3  # pictures on white
    assert (bottom == 255).all(axis=2).mean() < 0.3  # frames of a room


def test_sound_runs_along_when_it_is_wanted(tmp_path: Path) -> None:
    small = replace(SETTINGS, shops=1, products=6, clips=1, streams=0, train=1.0, val=0.0, test=0.0)
    make(tmp_path, replace(small, audio=True))
    (path,) = (tmp_path / "train" / "videos").iterdir()
    with av.open(path) as opened:
        (track,) = opened.streams.audio
        length = float(track.duration * track.time_base)
        picture = opened.streams.video[0]
        assert length == pytest.approx(float(picture.duration * picture.time_base), abs=0.2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", (71, 128)),
        ("fps", 1),
        ("visible", (0.9, 0.2)),
        ("scale", (0.0, 0.2)),
        ("shops", 0),
        ("train", 0.9),
        ("naming", 0.95),
        ("distractors", (0, 99)),
        ("boxes_hz", 0),
    ],
)
def test_impossible_settings_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name if name not in ("naming", "train") else "add up"):
        replace(WorldSettings(), **{name: value})  # type: ignore[arg-type]


def test_every_wanted_split_has_a_shop() -> None:
    assert sorted(WorldSettings(shops=3).splits) == ["test", "train", "val"]
    splits = WorldSettings(shops=10).splits
    assert [splits.count(name) for name in SPLITS] == [6, 2, 2]


def test_settings_are_kept_beside_the_world(world: World) -> None:
    held = json.loads((world.root / ".synth" / "settings.json").read_text())
    assert held["seed"] == 7
    assert held["size"] == [72, 128]


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from multiprocessing import get_context\n"
        "from sgmn.background import follow_parent\n"
        "if __name__ == '__main__':\n"
        "    wait = lambda: (follow_parent(), time.sleep(60))\n"
        "    child = get_context('fork').Process(target=wait)\n"
        "    child.start()\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        run.kill()
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the worker lives on")
