import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sgmn.errors import SgmnError
from sgmn.evaluation.comparison import compare_reports
from sgmn.evaluation.ranking import RankedClip
from sgmn.evaluation.report import Report
from sgmn.evaluation.significance import paired_test


def make_report(
    ranks: Sequence[int | None], prefix: str = "c", shelf_size: int = 9, truth: str = "t"
) -> Report:
    queries = (
        RankedClip(f"{prefix}{i}", "s", r, (), (), (truth,), shelf_size, {"side": "ab"[i % 2]})
        for i, r in enumerate(ranks)
    )
    return Report(tuple(queries))


A: list[int | None] = [1, 2, None, 4, 9, 1, 3, 2]
B: list[int | None] = [1, 1, 1, 1, 1, 2, 1, 1]


def test_rows_are_paired_tests_of_hits_and_reciprocal_ranks():
    result = compare_reports(make_report(A), make_report(B), seed=3)
    hits = [np.array([float(r == 1) for r in ranks]) for ranks in (A, B)]
    reciprocal = [np.array([1 / r if r else 0.0 for r in ranks]) for ranks in (A, B)]
    assert result.overall.recall_1 == paired_test(hits[0], hits[1], seed=3)
    assert result.overall.mrr == paired_test(reciprocal[0], reciprocal[1], seed=3)
    assert result.overall.recall_1.p == pytest.approx(16 / 128)  # 6 gains, 1 loss
    assert [(r.value, r.count) for r in result.breakdown] == [("a", 4), ("b", 4)]
    assert result.breakdown[1].recall_1 == paired_test(hits[0][1::2], hits[1][1::2], seed=3)


def test_the_order_of_a_file_does_not_matter():
    reversed_report = Report(make_report(B).queries[::-1])
    assert compare_reports(make_report(A), reversed_report) == compare_reports(
        make_report(A), make_report(B)
    )


def test_other_clips_are_rejected_and_counted():
    other = Report(make_report(B).queries[:5] + make_report([1, 2], prefix="x").queries)
    with pytest.raises(SgmnError, match=r"3 clips are only in the first .* 2 only in the second"):
        compare_reports(make_report(A), other)


@pytest.mark.parametrize("other", [{"shelf_size": 10}, {"truth": "u"}])
def test_another_task_is_rejected(other: dict[str, Any]):
    with pytest.raises(SgmnError, match="8 of 8 clips have other true products or another shelf"):
        compare_reports(make_report(A), make_report(B, **other))


def test_tables_and_json():
    result = compare_reports(make_report(A), make_report(B))
    lines = result.markdown().splitlines()
    assert lines[2].startswith("| all | 8 | 25.0 | 87.5 | +62.5 (")
    assert "0.125" in lines[2]
    assert [column.header for column in result.table().columns][:3] == ["queries", "n", "R@1 a"]
    content = json.loads(json.dumps(result.as_dict()))
    assert content["overall"]["recall_1"]["difference"] == 0.625
