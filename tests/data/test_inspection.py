from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sgmn.data.inspection import DatasetCounts, inspect_dataset
from sgmn.errors import RecordError

Rows = dict[str, list[dict[str, Any]]]


def write_gray_video(path: Path, duration_s: int) -> None:
    """A gray H.264 video of 4 frames per second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("h264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(duration_s * 4):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


@pytest.fixture
def valid_rows(tmp_path: Path) -> Rows:
    """The rows of a valid dataset, whose media files are on disk."""
    for name in ("p1.png", "p2.png", "photo.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    write_gray_video(tmp_path / "v.mp4", 4)
    write_gray_video(tmp_path / "streams" / "s.mp4", 2)
    return {
        "products": [{"product_id": p, "title": p, "image": f"{p}.png"} for p in ("p1", "p2")],
        "clips": [
            {"clip_id": "c1", "video": "v.mp4", "product_ids": ["p1"]},
            {
                "clip_id": "c2",
                "video": "v.mp4",
                "product_ids": ["p2"],
                "start": 1,
                "end": 3,
                "transcript": [{"start": 1, "end": 2, "text": "hi"}],
            },
        ],
        "photos": [{"path": "photo.png", "product_id": "p1"}],
        "timeline": [{"start": 0, "end": 1800, "product_id": "p1"}],
    }


def find(folder: Path, rows: Rows, deep: bool = False) -> list[str]:
    for name in ("products", "clips", "photos"):
        text = "\n".join(json.dumps(row) for row in rows[name])
        (folder / f"{name}.jsonl").write_text(text)
    stream = {"video": "s.mp4", "timeline": rows["timeline"]}
    (folder / "streams" / "s.json").write_text(json.dumps(stream))
    return [str(finding) for finding in inspect_dataset(folder, deep=deep).findings]


def test_a_valid_dataset_has_no_findings_and_correct_counts(tmp_path: Path, valid_rows: Rows):
    assert find(tmp_path, valid_rows, deep=True) == []
    assert inspect_dataset(tmp_path).counts == DatasetCounts(2, 1, 2, 1, 1, 1, 0.5)


@pytest.mark.parametrize("deep", [False, True])
def test_a_file_name_that_is_too_long_is_reported(tmp_path: Path, valid_rows: Rows, deep: bool):
    valid_rows["products"][0]["image"] = valid_rows["clips"][0]["video"] = "x" * 300
    lines = find(tmp_path, valid_rows, deep)
    assert [line.split(":")[1] for line in lines] == [" product 'p1'", " clip 'c1'"]
    assert all("cannot be accessed (File name too long)" in line for line in lines)


# A part, a change to its first row, and the finding to expect.
FAULTS: list[tuple[str, dict[str, object], str]] = [
    ("clips", {"start": "x"}, "error: .*clips.jsonl:1: 'start' is 'x'"),
    ("clips", {"video": "gone.mp4"}, "error: clip 'c1': .*gone.mp4 does not exist"),
    ("clips", {"video": None, "frames": ["f.jpg"]}, "error: clip 'c1': .*f.jpg does not exist"),
    ("products", {"image": "gone.png"}, "error: product 'p1': .*gone.png does not exist"),
    ("products", {"images": ["more.png"]}, "error: product 'p1': .*more.png does not exist"),
    ("photos", {"path": "gone.png"}, "error: photo of 'p1': .*gone.png does not exist"),
    ("clips", {"product_ids": ["p1", "px"]}, "error: clip 'c1': product 'px' is not in"),
    ("photos", {"product_id": "px"}, "error: photo .*: product 'px' is not in"),
    ("timeline", {"product_id": "px"}, "error: stream 's': product 'px' is not in"),
    ("clips", {"start": 2, "end": 2}, "error: clip 'c1': has no duration"),
    ("clips", {"product_ids": []}, "warning: clip 'c1': names no product"),
    (
        "clips",
        {"start": 1, "transcript": [{"start": 0, "end": 0.2, "text": "hi"}]},
        "warning: clip 'c1': 1 of 1 utterances lie outside 1.0 to its end",
    ),
    (
        "clips",
        {"end": 2, "transcript": [{"start": 3, "end": 4, "text": "hi"}]},
        "warning: clip 'c1': 1 of 1 utterances lie outside 0.0 to 2.0 s",
    ),
    ("clips", {"product_ids": ["p2"]}, "warning: products.jsonl: 1 of 2 products .*: p1$"),
]


@pytest.mark.parametrize(("part", "change", "finding"), FAULTS)
def test_each_fault_is_reported(
    tmp_path: Path, valid_rows: Rows, part: str, change: dict[str, object], finding: str
):
    valid_rows[part][0] |= change
    lines = find(tmp_path, valid_rows)
    assert any(re.match(finding, line) for line in lines), lines


def test_overlapping_and_empty_timelines_are_reported(tmp_path: Path, valid_rows: Rows):
    valid_rows["timeline"] = [
        {"start": 5, "end": 9, "product_id": "p2"},
        {"start": 0, "end": 6, "product_id": "p1"},
    ]
    (line,) = find(tmp_path, valid_rows)
    assert line == "error: stream 's': 'p1' until 6.0 s overlaps 'p2' from 5.0 s"
    valid_rows["timeline"] = []
    (line,) = find(tmp_path, valid_rows)
    assert line.startswith("warning: stream 's': has no timeline")


def test_a_deep_inspection_opens_each_image_and_video_once(tmp_path: Path, valid_rows: Rows):
    (tmp_path / "p1.png").write_bytes(b"not an image")
    assert find(tmp_path, valid_rows) == []
    (line,) = find(tmp_path, valid_rows, deep=True)
    assert line.startswith("error: product 'p1': ") and "p1.png" in line
    (tmp_path / "v.mp4").write_bytes(b"not a video")
    lines = find(tmp_path, valid_rows, deep=True)
    assert len(lines) == 2 and "v.mp4" in lines[1]


def test_a_deep_inspection_compares_clips_with_the_duration_of_their_video(
    tmp_path: Path, valid_rows: Rows
):
    valid_rows["clips"][0] |= {"start": 5}
    valid_rows["clips"][1] |= {"end": 6}
    lines = find(tmp_path, valid_rows, deep=True)
    assert [line.split("(")[0] for line in lines] == [
        "error: clip 'c1': starts at 5.0 s, but its video ends at 4.00 s",
        "warning: clip 'c2': ends at 6.0 s, but its video at 4.00 s",
    ]


def test_product_ids_are_not_checked_without_products(tmp_path: Path, valid_rows: Rows):
    valid_rows["products"] = []
    assert find(tmp_path, valid_rows) == []


def test_a_folder_that_is_not_a_dataset_is_an_error(tmp_path: Path):
    with pytest.raises(RecordError, match="is not a dataset"):
        inspect_dataset(tmp_path)
