"""`tools/console_loop.py`: which sales a timeline names right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgmn.client import Segment
from tests.tools.scripts import import_tool

script = import_tool("console_loop")


def segment(start: float, end: float, product_id: str | None) -> Segment:
    return Segment(start, end, product_id, None, 0.9, None, False, None, None)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], None),
        ([segment(0, 10, "a"), segment(10, 30, "b")], "b"),
        ([segment(0, 14, "a"), segment(14, 16, "b"), segment(16, 30, "a")], "a"),
        ([segment(0, 17, None), segment(17, 30, "a")], None),
        ([segment(0, 10, "a"), segment(20, 30, "b")], None),
    ],
)
def test_most_of_a_sale_counts(found: list[Segment], expected: str | None) -> None:
    assert script.named(script.Sale(10.0, 20.0, "a"), found) == expected


def test_sales_are_read_from_the_truth(tmp_path: Path) -> None:
    timeline = [
        {"start": 0.0, "end": 4.5, "product_id": None},
        {"start": 4.5, "end": 10.5, "product_id": "a"},
    ]
    (tmp_path / "one.json").write_text(json.dumps({"timeline": timeline}))
    assert script.read_sales(tmp_path / "one.mp4") == [script.Sale(4.5, 10.5, "a")]


def test_shares_are_of_all_segments() -> None:
    assert script.total([(1, 4), (2, 2)]) == {"right": 3, "segments": 6, "recall_1": 0.5}
