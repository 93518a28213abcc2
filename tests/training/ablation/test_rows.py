"""Each row of an ablation adds or leaves out one thing."""

from __future__ import annotations

import pytest

from sgmn.errors import SettingsError
from sgmn.model.parts import DEFAULT_PARTS
from sgmn.model.scoring import LEARNED_TERMS
from sgmn.training.ablation.baselines.trainer import BASELINES
from sgmn.training.ablation.rows import all_rows, comparison_rows, select_rows


def test_each_row_differs_from_its_reference_in_one_thing() -> None:
    rows = {row.name: row for row in all_rows()}
    assert not rows["backbone alone"].parts and not rows["backbone alone"].terms
    full = rows["+ fusion"]
    assert set(full.parts) == set(DEFAULT_PARTS)
    assert set(full.terms) == set(LEARNED_TERMS) and full.mining
    for row in rows.values():
        if row.reference and not row.baseline:
            reference = rows[row.reference]
            changed = [
                set(row.parts) != set(reference.parts),
                set(row.terms) != set(reference.terms),
                row.mining != reference.mining,
            ]
            part_and_term = row.name.endswith("instance matching")
            assert sum(changed) == 1 + part_and_term, row.name
    left_out = [row for row in rows.values() if row.name.startswith("−")]
    assert len(left_out) == 9 and all(row.reference == "+ fusion" for row in left_out)
    assert len({row.slug for row in rows.values()}) == len(rows)


def test_published_methods_are_compared_with_the_full_model() -> None:
    rows = select_rows(["SGMN as published", "RICE-style instance contrast"])
    assert [row.baseline for row in rows] == ["instance contrast", "published"]
    assert all(row.reference == "+ fusion" and not row.parts for row in rows)
    assert [row.baseline for row in all_rows() if row.baseline] == list(BASELINES)


def test_comparisons_have_the_model_that_looks_twice_as_reference() -> None:
    rows = comparison_rows()
    assert [row.baseline for row in rows] == [*BASELINES, "", "", ""]
    assert [row.looks_twice for row in rows] == [False] * 5 + [True] * 2
    assert [row.mining for row in rows[-2:]] == [True, False]
    assert {row.reference for row in rows[:-1]} == {rows[-1].name} and not rows[-1].reference
    assert select_rows([rows[-1].name], rows) == rows[-1:]


def test_unknown_rows_are_refused() -> None:
    with pytest.raises(SettingsError, match="no row is named 'hard mining'"):
        select_rows(["hard mining"])
    assert [row.name for row in select_rows(["+ fusion"])] == ["+ fusion"]
