"""Chapters and JSON of a timeline."""

import json

from sgmn.live.chapters import format_chapters, timeline_to_json
from sgmn.records import Segment

TIMELINE = (
    Segment(0.0, 20.5, "p1", 0.9, "p2"),
    Segment(20.5, 30.0, None, 0.6, "p2"),
    Segment(30.0, 3661.25, "p2", 0.8, None),
)
TITLES = {"p1": "Lime,\n\n fresh --> green"}


def test_chapters_are_the_products_on_sale() -> None:
    lines = format_chapters(TIMELINE, TITLES).splitlines()
    assert lines[0] == "WEBVTT"
    times = [i for i, line in enumerate(lines) if "-->" in line]
    assert [lines[i] for i in times] == [
        "00:00:00.000 --> 00:00:20.500",
        "00:00:30.000 --> 01:01:01.250",
    ]
    assert [lines[i + 1] for i in times] == ["Lime, fresh --&gt; green", "p2"]


def test_without_products_there_are_no_chapters() -> None:
    text = format_chapters([Segment(0, 9, None)], {})
    assert text.startswith("WEBVTT") and "-->" not in text


def test_json_contains_all_fields() -> None:
    content = json.loads(json.dumps(timeline_to_json(TIMELINE, TITLES)))
    assert content["version"] == 1
    assert content["segments"][1] == {
        "start": 20.5,
        "end": 30.0,
        "product_id": None,
        "title": None,
        "confidence": 0.6,
        "runner_up": "p2",
    }
    assert [s["title"] for s in content["segments"]] == ["Lime, fresh --> green", None, "p2"]
