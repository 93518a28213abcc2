"""`tools/train_builtin/compose_dataset.py`: clips and streams of photos, as a dataset on disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from sgmn.data import dataset
from sgmn.data.inspection import inspect_dataset
from sgmn.media import video
from sgmn.records import Segment
from tests.tools.scripts import import_tool

script = import_tool("compose_dataset", "train_builtin")


@pytest.fixture
def listed(world: Path, tmp_path: Path) -> Path:
    """The tiny world with enough products for a stream."""
    products = [json.loads(line) for line in (world / "products.jsonl").open()]
    more = [{**products[0], "product_id": f"p{number}"} for number in range(6, 10)]
    photos = [json.loads(line) for line in (world / "photos.jsonl").open()]
    photos += [{"path": photos[0]["path"], "product_id": row["product_id"]} for row in more]
    folder = tmp_path / "listed"
    for row in (*products, *more, *photos):
        key = "image" if "image" in row else "path"
        row[key] = str(world / row[key])
    dataset.write_jsonl(folder / "products.jsonl", [*products, *more])
    dataset.write_jsonl(folder / "photos.jsonl", photos)
    return folder


def test_composed_dataset_is_complete(
    listed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = [str(listed), str(listed), str(tmp_path / "out"), "--clips", "3", "--streams", "1"]
    words += ["--max-side", "32", "--talking-points"]
    monkeypatch.setattr(sys, "argv", ["compose_dataset.py", *words])
    script.main()
    assert inspect_dataset(tmp_path / "out", deep=True).errors == ()
    data = dataset.read_dataset(tmp_path / "out")
    assert len(data.products) == 10 and len(data.clips) == 3
    assert all(len(clip.frames) == 10 and clip.text and clip.product_ids for clip in data.clips)
    assert all(any(clip.boxes) and len(clip.boxes) == 10 for clip in data.clips)
    [stream] = data.streams
    end_s = stream.timeline[-1].end
    assert video.read_duration(stream.video) == pytest.approx(end_s)
    assert len({segment.product_id for segment in stream.timeline} - {None}) == 8
    assert stream.timeline[0].start == 0
    assert all(0 <= utterance.start < end_s for utterance in stream.transcript)


def test_each_photo_is_drawn_once_before_any_again() -> None:
    places = script.draw_places(3, 8, np.random.default_rng(0))
    assert len(places) == 8 and len({*places[6:]}) == 2
    assert sorted(places[:3]) == sorted(places[3:6]) == [0, 1, 2]


def test_segments_follow_one_another(listed: Path) -> None:
    options = script.argparse.Namespace(
        max_side=32, seed=1, talking_points=[], phrases=script.PHRASES
    )
    examples = script.Examples([dataset.read_dataset(listed)])
    timeline = script.StreamComposer(examples, options).plan_timeline()
    assert all(isinstance(segment, Segment) for segment in timeline)
    assert [s.start for s in timeline[1:]] == [s.end for s in timeline[:-1]]
