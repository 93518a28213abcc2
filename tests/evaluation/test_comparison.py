import json

import numpy as np
import pytest

from sgmn.errors import SgmnError
from sgmn.evaluation.comparison import compare
from sgmn.evaluation.ranking import Ranked
from sgmn.evaluation.report import Report
from sgmn.evaluation.significance import paired_test


def run(ranks, prefix="c", shelf_size=9, truth="t"):
    return Report(
        tuple(
            Ranked(
                f"{prefix}{i}", "s", r, (), (), (truth,), shelf_size, {"side": "ab"[i % 2 and 1]}
            )
            for i, r in enumerate(ranks)
        )
    )


A = [1, 2, None, 4, 9, 1, 3, 2]
B = [1, 1, 1, 1, 1, 2, 1, 1]


def test_overall_and_groups_are_paired_tests_of_the_values():
    result = compare(run(A), run(B), seed=3)
    hits = [np.array([float(r == 1) for r in ranks]) for ranks in (A, B)]
    reciprocal = [np.array([1 / r if r else 0.0 for r in ranks]) for ranks in (A, B)]
    assert result.overall.recall_1 == paired_test(*hits, seed=3)
    assert result.overall.mrr == paired_test(*reciprocal, seed=3)
    assert result.overall.recall_1.p == pytest.approx(16 / 128)  # 6 won, 1 lost
    assert [(r.value, r.count) for r in result.breakdown] == [("a", 4), ("b", 4)]
    assert result.breakdown[1].recall_1 == paired_test(hits[0][1::2], hits[1][1::2], seed=3)


def test_the_order_of_a_file_does_not_matter():
    turned = Report(run(B).queries[::-1])
    assert compare(run(A), turned) == compare(run(A), run(B))


def test_other_clips_are_refused_and_counted():
    fewer = Report(run(B).queries[:5] + run([1, 2], prefix="x").queries)
    with pytest.raises(SgmnError, match=r"3 clips are only in the first .* 2 only in the second"):
        compare(run(A), fewer)


@pytest.mark.parametrize("other", [{"shelf_size": 10}, {"truth": "u"}])
def test_another_task_is_refused(other):
    with pytest.raises(SgmnError, match="8 of 8 clips have other ground truths or another shelf"):
        compare(run(A), run(B, **other))


def test_tables_and_json():
    result = compare(run(A), run(B))
    lines = result.markdown().splitlines()
    assert lines[2].startswith("| all | 8 | 25.0 | 87.5 | +62.5 (")
    assert "0.125" in lines[2]
    assert [column.header for column in result.table().columns][:3] == ["queries", "n", "R@1 a"]
    content = json.loads(json.dumps(result.as_dict()))
    assert content["overall"]["recall_1"]["difference"] == 0.625
