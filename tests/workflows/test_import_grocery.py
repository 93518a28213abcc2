"""A checkout of the Grocery Store Dataset becomes a catalogue, photos and clips."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sgmn.data.dataset import Dataset, read_dataset
from sgmn.data.inspection import inspect_dataset
from sgmn.errors import SettingsError
from sgmn.media import video
from sgmn.workflows.import_grocery import (
    UNREADABLE_PHOTOS,
    GroceryImport,
    GroceryImportSettings,
    import_grocery,
)
from tests.grocery import CLASSES, PHOTOS_PER_CLASS, make_checkout

SETTINGS = GroceryImportSettings(clips=5, streams=0, seed=3)
PHOTOS = len(CLASSES) * PHOTOS_PER_CLASS


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, int, int]]:
    """The progress that the import has reported."""
    return []


@pytest.fixture(scope="module")
def report(
    checkout: Path,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int, int]],
) -> tuple[GroceryImport, Path]:
    """The report of an import, and its folder."""
    folder = tmp_path_factory.mktemp("import") / "out"
    return import_grocery(checkout, folder, SETTINGS, lambda *step: steps.append(step)), folder


@pytest.fixture
def output(report: tuple[GroceryImport, Path], tmp_path: Path) -> Path:
    """A copy of the folder, which a test may change."""
    return Path(shutil.copytree(report[1], tmp_path / "out"))


def validation_set(report: tuple[GroceryImport, Path]) -> Dataset:
    return read_dataset(report[1] / "val")


def test_the_import_passes_the_check(report: tuple[GroceryImport, Path]) -> None:
    result, folder = report
    for part in ("catalogue", "val", "."):
        assert inspect_dataset(folder / part, deep=True).findings == ()
    assert (result.products, result.photos, result.clips, result.streams) == (4, PHOTOS, 5, 0)
    assert sorted(issue.kind for issue in result.issues) == [
        "corrected description paths",
        "missing descriptions",
        "missing photos",
    ]


def test_products_and_photos_are_those_of_the_checkout(
    report: tuple[GroceryImport, Path], checkout: Path
) -> None:
    products = read_dataset(report[1] / "catalogue").products
    assert [(p.product_id, p.title, p.category) for p in products] == [
        ("p000", "Red Apple", "Apple"),
        ("p001", "Green Apple", "Apple"),
        ("p002", "Blue Oat Milk", "Oat Milk"),
        ("p003", "Plum", "Plum"),
    ]
    photos = read_dataset(report[1]).photos
    assert [photo.product_id for photo in photos] == [
        product.product_id for product in products for _ in range(PHOTOS_PER_CLASS)
    ]
    listed = (checkout / "dataset" / "train.txt").read_text().splitlines()
    for photo, line in zip(photos, listed, strict=False):
        source = checkout / "dataset" / line.split(",")[0]
        assert photo.path.read_bytes() == source.read_bytes()


def test_clips_have_video_boxes_and_attributes(report: tuple[GroceryImport, Path]) -> None:
    clips = validation_set(report).clips
    assert [clip.clip_id for clip in clips] == [f"c{number:04}" for number in range(5)]
    assert len({clip.product_ids for clip in clips[:4]}) == 4  # each product once before any again
    for clip in clips:
        assert clip.video is not None
        frames = [*video.read_frames(clip.video)]
        assert len(frames) == 10 and frames[0].rgb.shape == (512, 288, 3)
        assert video.read_duration(clip.video) == pytest.approx(10.0)
        assert set(clip.attributes) == {"scale", "visible", "products"} and clip.text
        instead = clip.extra["held_instead"]
        assert len(clip.boxes) == len(instead) == 20
        assert all(bool(own) != bool(other) for own, other in zip(clip.boxes, instead, strict=True))
        start, end = clip.extra["visible_span"]
        own = [place / 2 for place, boxes in enumerate(clip.boxes) if boxes]
        assert start <= own[0] and own[-1] < end


def test_descriptions_are_spoken(report: tuple[GroceryImport, Path]) -> None:
    text = " ".join(clip.text for clip in validation_set(report).clips)
    assert any(word in text for word in ("baking", "weeks", "oats")) and "svenska" not in text


def test_progress_counts_each_step(
    report: tuple[GroceryImport, Path], steps: list[tuple[str, int, int]]
) -> None:
    finished = [(step, total) for step, done, total in steps if done == total]
    assert finished == [
        ("checking train photos", PHOTOS),
        ("checking val photos", PHOTOS),
        ("checking test photos", PHOTOS),
        ("copying photos", PHOTOS),
        ("composing clips", 5),
    ]


def test_the_same_seed_gives_the_same_files(
    report: tuple[GroceryImport, Path], checkout: Path, tmp_path: Path
) -> None:
    for seed in (SETTINGS.seed, 4):
        settings = GroceryImportSettings(clips=2, streams=0, seed=seed)
        import_grocery(checkout, tmp_path / str(seed), settings)
        first, second = report[1] / "val", tmp_path / str(seed) / "val"
        rows = (second / "clips.jsonl").read_bytes()
        same_rows = (first / "clips.jsonl").read_bytes().startswith(rows)
        name = "videos/c0001.mp4"
        same_video = (first / name).read_bytes() == (second / name).read_bytes()
        assert same_rows == same_video == (seed == SETTINGS.seed)


def test_an_interrupted_import_continues(checkout: Path, output: Path) -> None:
    clips = (output / "val" / "clips.jsonl").read_bytes()
    videos = sorted((output / "val" / "videos").iterdir())
    content, times = videos[1].read_bytes(), [path.stat().st_mtime_ns for path in videos]
    videos[1].unlink()
    (output / "val" / "clips.jsonl").unlink()
    import_grocery(checkout, output, SETTINGS)
    assert (output / "val" / "clips.jsonl").read_bytes() == clips
    assert videos[1].read_bytes() == content
    unchanged = [path.stat().st_mtime_ns == time for path, time in zip(videos, times, strict=True)]
    assert unchanged == [True, False, True, True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (GroceryImportSettings(5, 0, 4), r"was imported with seed 3, not 4; use --seed 3 or"),
        (GroceryImportSettings(2, 0, 3), r"was imported with clips 5, not 2; use --clips 5 or"),
    ],
)
def test_a_folder_of_another_import_is_refused(
    checkout: Path, output: Path, settings: GroceryImportSettings, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        import_grocery(checkout, output, settings)


def test_other_folders_and_other_checkouts_are_refused(
    checkout: Path, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file.txt").touch()
    with pytest.raises(SettingsError, match="full: is not an empty folder; choose another"):
        import_grocery(checkout, tmp_path / "full", SETTINGS)
    other = make_checkout(tmp_path / "other")
    (other / "dataset" / "val.txt").write_text("val/Plum/Plum/Plum_010.jpg\n")
    with pytest.raises(SettingsError, match="was imported from a checkout with other files"):
        import_grocery(other, output, SETTINGS)
    with pytest.raises(SettingsError, match=r"val\.txt: lists photos of 1 products, .* --clips 0"):
        import_grocery(other, tmp_path / "new", SETTINGS)


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    root = make_checkout(tmp_path) / "dataset"
    icon = root / "iconic-images-and-descriptions/Plum/Plum/Plum_Iconic.jpg"
    for path in (root / "train/Plum/Plum/Plum_000.jpg", icon):
        path.write_bytes(path.read_bytes()[:200])
    result = import_grocery(tmp_path, tmp_path / "out", GroceryImportSettings(0, 0))
    unreadable = [str(issue) for issue in result.issues if issue.kind == UNREADABLE_PHOTOS]
    assert result.photos == PHOTOS - 1 and len(unreadable) == 2
    assert "train.txt:10: " in unreadable[0] and "Plum_000.jpg: cannot be read" in unreadable[0]
    plum = read_dataset(tmp_path / "out" / "catalogue").products[3]
    assert plum.image is None and plum.title == "Plum"
    assert not (tmp_path / "out" / "val").exists()


def test_the_extra_for_synthesis_is_not_needed() -> None:
    code = (
        "import json, sys\nimport sgmn.workflows.import_grocery\nprint(json.dumps([*sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = json.loads(run.stdout)
    assert "sgmn.synth.video.writer" in modules
    assert not [name for name in modules if name.startswith(("embreex", "font"))]
