"""`tools/curves.py`: buckets of clips, and R@1 on smaller shelves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sgmn.errors import SgmnError
from sgmn.evaluation.report import Report
from tests.tools.scripts import import_tool
from tests.workflows.indexing import ranked_clip

curves = import_tool("curves")


def test_every_clip_is_in_one_bucket() -> None:
    values = [0, 2.9, 3, 8, 9, 400, None, -1]
    attributes: list[dict[str, Any]] = [
        {} if value is None else {"distractors": value} for value in values
    ]
    queries = [ranked_clip(f"c{i}", 1 + i % 2, **own) for i, own in enumerate(attributes)]
    reports = {"r": Report(tuple(queries))}
    name = curves.choose_attribute(reports, "distractors")
    buckets = curves.group_by_attribute(reports, name)["r"]
    assert {label: len(hits) for label, hits in buckets.items()} == {
        "0 to 3": 3,
        "3 to 6": 1,
        "6 to 9": 1,
        "from 9": 2,
        "(none)": 1,
    }
    assert list(buckets) == ["0 to 3", "3 to 6", "6 to 9", "from 9", "(none)"]
    assert buckets["0 to 3"].mean() == pytest.approx(1 / 3)


def test_named_buckets_ascend() -> None:
    names = ["long", "short", "medium", "short"]
    report = Report(tuple(ranked_clip(f"c{i}", 1, visible=name) for i, name in enumerate(names)))
    assert curves.choose_attribute({"r": report}, "visibility") == "visible"
    buckets = curves.group_by_attribute({"r": report}, "visible")["r"]
    assert list(buckets) == ["short", "medium", "long"]


def test_finest_attribute_of_all_reports_is_chosen() -> None:
    fine = Report((ranked_clip("c", 1, area=0.1, scale="small"),))
    coarse = Report((ranked_clip("c", 1, scale="large"),))
    assert curves.choose_attribute({"a": fine}, "scale") == "area"
    assert curves.choose_attribute({"a": fine, "b": coarse}, "scale") == "scale"
    with pytest.raises(SgmnError, match="scale"):
        curves.choose_attribute({"r": Report((ranked_clip("c", 1),))}, "scale")


def test_shelf_sizes_are_those_that_all_shelves_have() -> None:
    reports = {
        "a": Report((ranked_clip("c", 3, 30),)),
        "b": Report((ranked_clip("c", None, 100),)),
    }
    buckets = curves.group_by_shelf_size(reports)
    assert list(buckets["a"]) == ["2", "5", "10", "20", "30"] == list(buckets["b"])
    assert buckets["a"]["30"].tolist() == [0] and buckets["b"]["2"].tolist() == [0]
    assert buckets["a"]["2"].tolist() == pytest.approx([1 - 2 / 29])


def test_script_prints_a_table_and_writes_a_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report, plot = tmp_path / "a.json", tmp_path / "a.svg"
    report.write_text(Report(tuple(ranked_clip(f"c{i}", 1 + i, 5) for i in range(3))).to_json())
    words = [str(report), f"other={report}", "--by", "shelf", "--plot", str(plot)]
    monkeypatch.setattr(sys, "argv", ["curves.py", *words])
    curves.main()
    assert "| products on the shelf | clips | a | other |" in capsys.readouterr().out
    assert "R@1 by shelf" in plot.read_text()
