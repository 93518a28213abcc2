import json

import pytest

from sgmn.errors import SgmnError
from sgmn.evaluation.stream_report import StreamReport, StreamResult
from sgmn.records import Segment

LONG = StreamResult(
    "long",
    truth=(Segment(0, 60, "a"), Segment(60, 90, "b")),
    prediction=(Segment(0, 66, "a"), Segment(66, 90, "b")),
)
SHORT = StreamResult("short", truth=(Segment(0, 10, "a"),), prediction=(), duration_s=20.0)


def test_overall_figures_weight_seconds_and_segments():
    overall = StreamReport((LONG, SHORT)).overall
    assert overall.time.accuracy == pytest.approx((84 + 10) / (90 + 20))
    assert overall.segments.recall == 2 / 3
    assert overall.segments.precision == 1
    assert overall.delay.mean_s == 3
    assert overall.delay.missed == 1


def test_each_stream_has_a_row():
    long, short = StreamReport((LONG, SHORT)).rows
    assert long.time.accuracy == pytest.approx(84 / 90)
    assert (short.segments.f1, short.delay.mean_s, short.delay.missed) == (0, None, 1)


def test_the_required_overlap_can_be_set():
    report = StreamReport((LONG,), iou=0.85)
    assert report.overall.segments.matched == 1
    assert "IoU 0.85" in report.markdown()


def test_tables_and_json():
    report = StreamReport((LONG, SHORT), meta={"model": "x"})
    lines = report.markdown().splitlines()
    assert lines[2] == "| all | 1.8 | 85.5 | 100.0 | 66.7 | 80.0 | 3.0 | 1 |"
    assert lines[4] == "| short | 0.3 | 50.0 | 0.0 | 0.0 | 0.0 | - | 1 |"
    assert report.table().row_count == 3
    content = json.loads(report.to_json())
    assert content["meta"] == {"model": "x"}
    assert content["streams"][1]["mean_delay_s"] is None
    assert content["results"][0]["prediction"][1]["product_id"] == "b"


def test_a_report_needs_streams():
    with pytest.raises(SgmnError, match="no streams"):
        StreamReport(())
