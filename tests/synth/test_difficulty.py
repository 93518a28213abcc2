"""Difficulty buckets against values computed by hand."""

from __future__ import annotations

from sgmn.synth.difficulty import measure_difficulty


def test_buckets_follow_lpr4m() -> None:
    half, tiny = (0.0, 0.0, 1.0, 0.5), (0.0, 0.0, 0.1, 0.1)
    values = measure_difficulty([{0: half, 1: tiny}, {1: tiny}, {0: half}, {}], {0})
    assert values["area"] == 0.5
    assert (values["scale"], values["visible"], values["products"]) == ("large", "medium", "few")
    assert (values["visible_share"], values["boxes"]) == (0.5, 1.0)
    assert measure_difficulty([{}], {0})["visible"] == "short"
