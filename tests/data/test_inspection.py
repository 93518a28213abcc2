from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sgmn.data.inspection import Counts, inspect
from sgmn.errors import RecordError


def video(path: Path, seconds: int) -> None:
    """A grey H.264 video of 4 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("h264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(seconds * 4):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


@pytest.fixture
def good(tmp_path: Path) -> dict[str, list]:
    """The rows of a dataset without fault, whose media are on disk."""
    for name in ("p1.png", "p2.png", "photo.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    video(tmp_path / "v.mp4", 4)
    video(tmp_path / "streams" / "s.mp4", 2)
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


def findings(folder: Path, rows: dict[str, list], deep: bool = False) -> list[str]:
    for name in ("products", "clips", "photos"):
        text = "\n".join(json.dumps(row) for row in rows[name])
        (folder / f"{name}.jsonl").write_text(text)
    stream = {"video": "s.mp4", "timeline": rows["timeline"]}
    (folder / "streams" / "s.json").write_text(json.dumps(stream))
    return [str(finding) for finding in inspect(folder, deep=deep).findings]


def test_a_good_dataset_has_no_findings_and_right_counts(tmp_path: Path, good):
    assert findings(tmp_path, good, deep=True) == []
    assert inspect(tmp_path).counts == Counts(2, 1, 2, 1, 1, 1, 0.5)


@pytest.mark.parametrize("deep", [False, True])
def test_a_name_too_long_for_the_disk_is_found(tmp_path: Path, good, deep: bool):
    good["products"][0]["image"] = good["clips"][0]["video"] = "x" * 300
    found = findings(tmp_path, good, deep)
    assert [line.split(":")[1] for line in found] == [" product 'p1'", " clip 'c1'"]
    assert all("cannot be looked up (File name too long)" in line for line in found)


def faults() -> list[tuple[str, str, dict, str]]:
    """A part, a change to its first row, and what has to be found."""
    return [
        ("clips", {"start": "x"}, "error: .*clips.jsonl:1: 'start' is 'x'"),
        ("clips", {"video": "gone.mp4"}, "error: clip 'c1': .*gone.mp4 does not exist"),
        ("clips", {"video": None, "frames": ["f.jpg"]}, "error: clip 'c1': .*f.jpg does not exist"),
        ("products", {"image": "gone.png"}, "error: product 'p1': .*gone.png does not exist"),
        ("products", {"images": ["more.png"]}, "error: product 'p1': .*more.png does not exist"),
        ("photos", {"path": "gone.png"}, "error: photo of 'p1': .*gone.png does not exist"),
        ("clips", {"product_ids": ["p1", "px"]}, "error: clip 'c1': product 'px' is not in"),
        ("photos", {"product_id": "px"}, "error: photo .*: product 'px' is not in"),
        ("timeline", {"product_id": "px"}, "error: stream 's': product 'px' is not in"),
        ("clips", {"start": 2, "end": 2}, "error: clip 'c1': lasts no time"),
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


@pytest.mark.parametrize(("part", "change", "found"), faults())
def test_each_fault_is_found(tmp_path: Path, good, part: str, change: dict, found: str):
    import re

    good[part][0] |= change
    lines = findings(tmp_path, good)
    assert any(re.match(found, line) for line in lines), lines


def test_overlapping_timelines_and_empty_ones_are_found(tmp_path: Path, good):
    good["timeline"] = [
        {"start": 5, "end": 9, "product_id": "p2"},
        {"start": 0, "end": 6, "product_id": "p1"},
    ]
    (line,) = findings(tmp_path, good)
    assert line == "error: stream 's': 'p1' until 6.0 s overlaps 'p2' from 5.0 s"
    good["timeline"] = []
    (line,) = findings(tmp_path, good)
    assert line.startswith("warning: stream 's': has no timeline")


def test_deep_opens_pictures_and_videos_once_each(tmp_path: Path, good):
    (tmp_path / "p1.png").write_bytes(b"no picture")
    assert findings(tmp_path, good) == []
    (line,) = findings(tmp_path, good, deep=True)
    assert line.startswith("error: product 'p1': ") and "p1.png" in line
    (tmp_path / "v.mp4").write_bytes(b"no video")
    lines = findings(tmp_path, good, deep=True)
    assert len(lines) == 2 and "v.mp4" in lines[1]


def test_deep_compares_clips_with_their_videos_length(tmp_path: Path, good):
    good["clips"][0] |= {"start": 5}
    good["clips"][1] |= {"end": 6}
    lines = findings(tmp_path, good, deep=True)
    assert [line.split("(")[0] for line in lines] == [
        "error: clip 'c1': starts at 5.0 s, and its video ends at 4.00 s",
        "warning: clip 'c2': ends at 6.0 s, and its video at 4.00 s",
    ]


def test_clips_alone_are_not_measured_against_absent_products(tmp_path: Path, good):
    good["products"] = []
    assert findings(tmp_path, good) == []


def test_what_is_no_dataset_is_refused(tmp_path: Path):
    with pytest.raises(RecordError, match="is no dataset"):
        inspect(tmp_path)
