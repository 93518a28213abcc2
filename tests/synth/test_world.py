"""Generating a world: reproducible, resumable, and refused where settings differ."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import av
import pytest

from sgmn.errors import SettingsError
from sgmn.synth.world import generate_world
from tests.synth.conftest import SETTINGS, World, one_shop


def file_digests(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file() and ".synth" not in p.parts)
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    generate_world(tmp_path, SETTINGS)
    assert file_digests(tmp_path) == file_digests(world.root)


def test_another_seed_gives_other_images(tmp_path: Path) -> None:
    for seed in (1, 2):
        generate_world(tmp_path / str(seed), one_shop(clips=0, seed=seed))
    first, second = (
        {hashlib.sha256(p.read_bytes()).digest() for p in (tmp_path / seed).rglob("*.jpg")}
        for seed in "12"
    )
    assert len(first) >= 6
    assert not first & second


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    for processes in (1, 2):
        generate_world(tmp_path / str(processes), one_shop(), processes=processes)
    assert file_digests(tmp_path / "1") == file_digests(tmp_path / "2")


def test_a_resumed_run_generates_only_missing_files(tmp_path: Path) -> None:
    settings = one_shop(clips=2)
    generate_world(tmp_path, settings)
    digests = file_digests(tmp_path)
    sorted((tmp_path / "train" / "videos").iterdir())[0].unlink()
    media = [p for p in tmp_path.rglob("*.*") if p.suffix in (".mp4", ".jpg")]
    times = {path: path.stat().st_mtime_ns for path in media}
    reports: list[tuple[int, int]] = []
    generate_world(
        tmp_path, settings, progress=lambda done, total, _: reports.append((done, total))
    )
    assert file_digests(tmp_path) == digests
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert reports == [(i, 8) for i in range(1, 9)]


def test_a_world_may_grow_but_not_change(tmp_path: Path) -> None:
    generate_world(tmp_path, one_shop())
    rows = (tmp_path / "train" / "clips.jsonl").read_bytes()
    generate_world(tmp_path, one_shop(clips=2))
    more_rows = (tmp_path / "train" / "clips.jsonl").read_bytes()
    assert more_rows.startswith(rows)
    assert more_rows.count(b"\n") == 2
    with pytest.raises(SettingsError, match="'seed' 7, not 8"):
        generate_world(tmp_path, one_shop(clips=2, seed=8))


def test_settings_are_stored_in_the_world(world: World) -> None:
    values = json.loads((world.root / ".synth" / "settings.json").read_text())
    assert values["format"] == "sgmn.world/2"
    assert values["seed"] == 7
    assert values["frame_size"] == [72, 128]


def test_a_world_of_another_version_is_refused(tmp_path: Path) -> None:
    old = {"shops": 1, "products": 6, "clips": 1, "seed": 7}
    (tmp_path / ".synth").mkdir()
    (tmp_path / ".synth" / "settings.json").write_text(json.dumps(old))
    with pytest.raises(SettingsError, match="another version of sgmn; choose another folder"):
        generate_world(tmp_path, one_shop())
    assert json.loads((tmp_path / ".synth" / "settings.json").read_text()) == old


def test_a_single_split_equals_that_of_the_whole_world(world: World, tmp_path: Path) -> None:
    assert generate_world(tmp_path, SETTINGS, only_split="val") == {"clips": 2, "products": 9}
    assert {path.name for path in tmp_path.iterdir()} == {".synth", "val"}
    expected = {k: v for k, v in file_digests(world.root).items() if k.startswith("val/")}
    assert file_digests(tmp_path) == expected
    with pytest.raises(SettingsError, match="choose from train, val, test"):
        generate_world(tmp_path, SETTINGS, only_split="vla")


def test_the_audio_track_is_as_long_as_the_video(tmp_path: Path) -> None:
    generate_world(tmp_path, one_shop(audio=True))
    (path,) = (tmp_path / "train" / "videos").iterdir()
    with av.open(path) as container:
        (audio,) = container.streams.audio
        video = container.streams.video[0]
        assert audio.duration is not None and audio.time_base is not None
        assert video.duration is not None and video.time_base is not None
        audio_s = float(audio.duration * audio.time_base)
        assert audio_s == pytest.approx(float(video.duration * video.time_base), abs=0.2)


def test_a_world_without_audio_has_no_audio_track(world: World) -> None:
    clip = world.splits["train"].clips[0]
    assert clip.video is not None
    with av.open(clip.video) as container:
        assert not container.streams.audio


def test_clips_may_be_replaced_by_streams_only(tmp_path: Path) -> None:
    settings = replace(one_shop(clips=0, streams=1), stream_duration_s=(10, 10))
    assert generate_world(tmp_path, settings) == {"streams": 1, "products": 6}
    assert (tmp_path / "train" / "clips.jsonl").read_text() == ""
