"""The test set of LPR4M: galleries without numbered views, boxes in pixels, media in folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sgmn.data.dataset import Dataset, read_dataset
from sgmn.data.importers.media_finder import MediaFinder
from sgmn.data.importers.media_index import IndexedImage
from sgmn.errors import RecordError
from sgmn.workflows.import_benchmark import BenchmarkImportSettings
from sgmn.workflows.import_lpr4m import import_lpr4m
from tests.tools.scripts import import_tool

media = import_tool("lookalike_media")
LIVE = "7b601b02-2c63-11ee-bb6d-b8cef60c2fd0"
VIDEO = f"{LIVE}-1000-5000"
IMAGES = [f"fff8b484-2eeb-11ee-b7bb-77cb20e634d{digit}" for digit in "abc"]


def write_source(root: Path, boxes: dict[str, Any], titles: tuple[str, ...] = ()) -> Path:
    """One live with three images and one clip of two frames that were resized from 540 x 960."""
    sidecar = json.dumps({"original_width": 540, "original_height": 960})
    for at in (1, 2):
        add_image(root / "query" / VIDEO / f"{VIDEO}-{at:04}.jpg")
        (root / "query" / VIDEO / f"{VIDEO}-{at:04}.json").write_text(sidecar)
    for image_id in IMAGES:
        add_image(root / "gallery" / LIVE / f"{image_id}.jpg")
    for name, value in (
        ("test_videoid_to_gtimage_1.json", {VIDEO: [IMAGES[1]]}),
        ("test_liveid_to_gallery_1.json", {LIVE: IMAGES}),
        ("test_frameid2gtbox_1_2.json", boxes),
    ):
        (root / name).write_text(json.dumps(value))
    lines = "".join(f"{image_id}\tred milk\n" for image_id in titles)
    (root / "test_image_title_9.txt").write_text(lines)
    return root


def add_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(media.encode_image((200, 30, 30), 0))


def run_import(source: Path, tmp_path: Path) -> Dataset:
    import_lpr4m(source, tmp_path / "out", BenchmarkImportSettings(processes=1))
    return read_dataset(tmp_path / "out" / "test")


def test_images_with_a_title_are_the_main_views_of_a_gallery_without_numbers(
    tmp_path: Path,
) -> None:
    source = write_source(tmp_path / "source", {}, titles=(IMAGES[0], IMAGES[2]))
    products = run_import(source, tmp_path).products
    mains = [p.product_id for p in products if p.extra.get("main", True)]
    assert [p.product_id for p in products] == IMAGES and mains == [IMAGES[0], IMAGES[2]]


def test_all_images_are_main_views_without_titles(tmp_path: Path) -> None:
    products = run_import(write_source(tmp_path / "source", {}), tmp_path).products
    assert len(products) == 3 and all(p.extra.get("main", True) for p in products)


@pytest.mark.parametrize(
    "box", [[135, 240, 405, 480], [[135, 240, 405, 480]], [[135, 240, 405, 480], [0, 0, 0, 0]]]
)
def test_pixels_of_test_frames_are_divided_by_the_original_size(tmp_path: Path, box: Any) -> None:
    """The frame 0003 is annotated, but not on disk: it counts in the buckets only."""
    boxes = {f"{VIDEO}-0001": box, f"{VIDEO}-0003": [[0, 0, 540, 960]]}
    (clip,) = run_import(write_source(tmp_path / "source", boxes), tmp_path).clips
    assert clip.boxes == (((0.25, 0.25, 0.75, 0.5),), ())
    # The areas are 0.125, 0 and 1; two of three frames have a box.
    assert clip.attributes == {"scale": "medium", "visible": "medium", "products": "few"}


def test_boxes_beyond_a_test_frame_are_clipped_and_counted(tmp_path: Path) -> None:
    boxes = {f"{VIDEO}-0001": [[-60, 240, 270, 480], [0, 0, 540, 962]]}  # 2 pixels are rounding
    (clip,) = run_import(write_source(tmp_path / "source", boxes), tmp_path).clips
    assert clip.boxes == (((0.0, 0.25, 0.5, 0.5), (0.0, 0.0, 1.0, 1.0)), ())
    [issue] = (tmp_path / "out" / "test" / "issues.jsonl").read_text().splitlines()
    assert json.loads(issue)["kind"] == "clips with boxes beyond frames"
    assert json.loads(issue)["message"].startswith("1 boxes leave")


def test_an_invalid_box_of_a_test_frame_is_named(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", {f"{VIDEO}-0001": [[1, 2, 3]]})
    with pytest.raises(RecordError, match=rf"{VIDEO}-0001: has the box \[1, 2, 3\]"):
        run_import(source, tmp_path)


def test_the_original_size_is_that_of_a_sidecar_or_else_of_the_image(tmp_path: Path) -> None:
    finder = MediaFinder(tmp_path, None)
    add_image(tmp_path / "a.jpg")
    assert finder.original_size(IndexedImage(tmp_path / "a.jpg", (9, 9))) == (9, 9)
    assert finder.original_size(IndexedImage(tmp_path / "a.jpg", None)) == (36, 64)
    (tmp_path / "a.json").write_text('{"original_width": "540", "original_height": 960}')
    assert finder.original_size(IndexedImage(tmp_path / "a.jpg", None)) == (540, 960)
    assert finder.original_size(IndexedImage(tmp_path / "none.jpg", None)) is None
