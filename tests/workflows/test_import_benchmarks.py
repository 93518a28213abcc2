"""Look-alikes of LPR4M and MovingFashion are imported with the counts that their writers know."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sgmn.data.dataset import Dataset, read_dataset
from sgmn.data.importers.lpr4m import parse_training_row
from sgmn.data.importers.subset import Subset, parse_subset
from sgmn.data.inspection import inspect_dataset
from sgmn.errors import RecordError, SettingsError
from sgmn.media.content_loader import load_clip_content
from sgmn.workflows import import_lpr4m as lpr4m
from sgmn.workflows.import_benchmark import BenchmarkImportSettings
from sgmn.workflows.import_lpr4m import import_lpr4m
from sgmn.workflows.import_movingfashion import import_movingfashion
from tests.tools.scripts import import_tool

lookalikes = import_tool("benchmark_lookalikes")
CLIPS = 60
ONE_PROCESS = BenchmarkImportSettings(processes=1)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A look-alike of LPR4M for each way to store media, and one of MovingFashion."""
    folder = tmp_path_factory.mktemp("sources")
    for media in ("files", "tar", "folders"):
        lookalikes.write_lpr4m(folder / media, media, CLIPS, 2, 22)
    lookalikes.lookalike_movingfashion.write(folder / "movingfashion", 20, 15)
    return {path.name: path for path in folder.iterdir()}


def expected(source: Path) -> dict[str, Counter[str]]:
    values = json.loads((source / "expected.json").read_text())
    return {split: +Counter(counts) for split, counts in values.items()}


def clip_ids(data: Dataset) -> set[str]:
    return {clip.clip_id for clip in data.clips}


@pytest.mark.parametrize("media", ["files", "tar", "folders"])
def test_lpr4m_is_counted_and_passes_the_check(
    sources: dict[str, Path], media: str, tmp_path: Path
) -> None:
    report = import_lpr4m(sources[media], tmp_path, ONE_PROCESS)
    assert dict(report.counts) == expected(sources[media])
    for split in ("train", "test"):
        assert inspect_dataset(tmp_path / split, deep=True).errors == ()
    train, test = (read_dataset(tmp_path / split) for split in ("train", "test"))
    assert {len(clip.frames) for clip in train.clips} <= set(range(1, 11))
    boxes = {box for clip in train.clips for frame in clip.boxes for box in frame}
    assert boxes == {(0.25, 0.25, 0.75, 0.5)}  # from pixels and shares alike
    assert all(clip.shop_id == clip.clip_id.rsplit("-", 2)[0] for clip in test.clips)
    assert {clip.attributes["visible"] for clip in test.clips} == {"medium"}  # 8 of 12 frames
    assert load_clip_content(test.clips[0]).frames[0].shape == (64, 36, 3)
    steps: list[str] = []
    repeat = import_lpr4m(
        sources[media], tmp_path, ONE_PROCESS, lambda step, *_: steps.append(step)
    )
    assert repeat == report and steps == []  # nothing to do


def test_frames_of_a_clip_are_sorted_with_their_boxes(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    import_lpr4m(sources["folders"], tmp_path, BenchmarkImportSettings(Subset(), 0, 1))
    for clip in read_dataset(tmp_path / "train").clips:
        names = [path.stem for path in clip.frames]
        assert names == sorted(names)
        for name, frame in zip(names, clip.boxes, strict=True) if clip.boxes else ():
            assert bool(frame) == (int(name[-4:]) % 5 != 4)


def test_a_killed_import_continues_to_the_same_dataset(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process kills itself after the third part; a fourth part is left unfinished."""
    script = (
        "import os, signal, sys\n"
        "from sgmn.workflows import import_lpr4m as m\n"
        "from sgmn.workflows.import_benchmark import BenchmarkImportSettings\n"
        "m.RANGE_BYTES = 8_000\n"
        "def stop(step, done, total):\n"
        "    if step == 'converting train' and done == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "m.import_lpr4m(sys.argv[1], sys.argv[2], BenchmarkImportSettings(processes=1), stop)\n"
    )
    source, output = sources["tar"], tmp_path / "killed"
    killed = subprocess.run([sys.executable, "-c", script, source, output], check=False)
    assert killed.returncode == -9
    parts = output / ".import" / "parts"
    assert len(list(parts.glob("*.counts.json"))) == 3 and not (output / "train").exists()
    (parts / "train-000003.clips").write_bytes(b'"half a')
    monkeypatch.setattr(lpr4m, "RANGE_BYTES", 8_000)
    finished = parts / "train-000000.clips"
    before = finished.stat().st_mtime_ns
    steps: list[tuple[str, int, int]] = []

    def remember(step: str, done: int, total: int) -> None:
        assert not finished.exists() or finished.stat().st_mtime_ns == before
        steps.append((step, done, total))

    report = import_lpr4m(source, output, ONE_PROCESS, remember)
    whole = import_lpr4m(source, tmp_path / "whole", ONE_PROCESS)
    assert dict(report.counts) == dict(whole.counts) == expected(source)
    assert steps[0][:2] == ("converting train", 3)
    for name in ("train/clips", "train/products", "test/clips", "test/missing", "test/products"):
        names = (tmp_path / run / f"{name}.jsonl" for run in ("killed", "whole"))
        assert len({path.read_bytes() for path in names}) == 1


@pytest.mark.slow
def test_several_processes_write_the_same(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lpr4m, "RANGE_BYTES", 20_000)
    for processes in (1, 2):
        settings = BenchmarkImportSettings(processes=processes)
        import_lpr4m(sources["tar"], tmp_path / str(processes), settings)
    clips = {(tmp_path / name / "train/clips.jsonl").read_bytes() for name in ("1", "2")}
    assert len(clips) == 1


def test_a_subset_by_live_category_or_count(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lpr4m, "RANGE_BYTES", 8_000)  # several parts
    source = sources["folders"]
    import_lpr4m(source, tmp_path / "all", ONE_PROCESS)
    everything = {s: read_dataset(tmp_path / "all" / s) for s in ("train", "test")}
    live = everything["test"].clips[0].shop_id
    reports = {}
    for name, texts in {
        "live": [f"live={live}"],
        "category": ["category=category 01", "category=category 02"],
        "count": ["count=7"],
    }.items():
        settings = BenchmarkImportSettings(parse_subset(texts), processes=1)
        reports[name] = import_lpr4m(source, tmp_path / name, settings)
    files = source.glob("training_videoinfo_full_part_*.txt")
    categories = [parse_training_row(line, "").category for f in files for line in f.open()]
    outside = sum(name not in ("category 01", "category 02") for name in categories)
    assert 0 < outside == reports["category"].counts["train"]["rows outside the subset"]
    [truths] = source.glob("test_videoid_to_gtimage_*.json")
    others = sum(not video.startswith(live) for video in json.loads(truths.read_text()))
    assert 0 < others == reports["live"].counts["test"]["test clips outside the subset"]
    test = read_dataset(tmp_path / "live" / "test")
    assert clip_ids(test) == {
        clip.clip_id for clip in everything["test"].clips if clip.shop_id == live
    }
    assert {product.shop_id for product in test.products} == {live}
    train = read_dataset(tmp_path / "category" / "train")
    assert clip_ids(train) == {
        clip.clip_id
        for clip in everything["train"].clips
        if clip.attributes["category"] in ("category 01", "category 02")
    }
    first = read_dataset(tmp_path / "count" / "train").clips
    assert [c.clip_id for c in first] == [c.clip_id for c in everything["train"].clips[:7]]
    assert len(read_dataset(tmp_path / "count" / "test").products) == 12  # galleries stay whole


@pytest.mark.parametrize("text", ["live", "live=", "count=0", "count=-1", "shop=3"])
def test_an_unknown_subset_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not a subset; pass live=ID"):
        parse_subset([text])


def test_movingfashion_is_counted_and_passes_the_check(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    source = sources["movingfashion"]
    report = import_movingfashion(source, tmp_path, ONE_PROCESS)
    assert dict(report.counts) == expected(source)
    for split in ("train", "test"):
        assert inspect_dataset(tmp_path / split, deep=True).errors == ()
    test = read_dataset(tmp_path / "test")
    shared = next(clip for clip in test.clips if len(clip.product_ids) == 2)
    assert shared.product_ids == ("1004", "1005")
    assert all(not clip.transcript for clip in test.clips)
    boxes = {frame for clip in test.clips for frame in clip.boxes}
    assert boxes == {((0.25, 0.25, 0.75, 0.75),)}
    assert {len(clip.boxes) for clip in test.clips} == {0, 4}  # two sets a second
    missing = [json.loads(line) for line in (tmp_path / "test/missing.jsonl").open()]
    assert [row["clip_id"] for row in missing] == ["test-2-0"]


def test_damaged_text_and_boxes_beyond_frames_are_counted(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    source = Path(shutil.copytree(sources["folders"], tmp_path / "lpr4m"))
    path = source / "training_videoinfo_full_part_01.txt"
    path.write_bytes(path.read_bytes().replace(b"\tcategory ", b"\t\xff ", 1))
    report = import_lpr4m(source, tmp_path / "clips", ONE_PROCESS)
    assert report.counts["train"]["rows with invalid UTF-8"] == 1
    source = Path(shutil.copytree(sources["movingfashion"], tmp_path / "movingfashion"))
    products = json.loads((source / "test.json").read_text())
    products["1003"]["tracklets"][0] = {"0": [-30.0, 0.0, 20.0, 20.0]}
    (source / "test.json").write_text(json.dumps(products))
    report = import_movingfashion(source, tmp_path / "videos", ONE_PROCESS)
    assert report.counts["test"]["videos with boxes beyond frames"] == 1


def test_another_folder_or_other_settings_are_refused(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SettingsError, match="not an empty folder"):
        import_lpr4m(sources["folders"], tmp_path, ONE_PROCESS)
    import_movingfashion(sources["movingfashion"], tmp_path / "out", ONE_PROCESS)
    settings = BenchmarkImportSettings(Subset(count=3), processes=1)
    with pytest.raises(SettingsError, match=r"other settings \(subset\)"):
        import_movingfashion(sources["movingfashion"], tmp_path / "out", settings)
    lives = BenchmarkImportSettings(Subset(lives=("x",)), processes=1)
    with pytest.raises(SettingsError, match="neither lives nor categories"):
        import_movingfashion(sources["movingfashion"], tmp_path / "new", lives)
    with pytest.raises(RecordError, match=r"holds no training_videoinfo_\*"):
        import_lpr4m(sources["movingfashion"], tmp_path / "new", ONE_PROCESS)
    with pytest.raises(RecordError, match=r"neither train\.json nor test\.json"):
        import_movingfashion(sources["tar"], tmp_path / "new", ONE_PROCESS)
    assert not (tmp_path / "new").exists()


def test_a_row_with_an_unknown_number_of_columns_stops_the_import(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    source = Path(shutil.copytree(sources["folders"], tmp_path / "source"))
    path = source / "training_videoinfo_full_part_01.txt"
    good = path.read_bytes()
    path.write_bytes(good + b"a\tb\tc\n")
    with pytest.raises(RecordError, match=rf"part_01\.txt@{len(good)}: has 3 columns: 'a\\tb\\tc'"):
        import_lpr4m(source, tmp_path / "out", ONE_PROCESS)
