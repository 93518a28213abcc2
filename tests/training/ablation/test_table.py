"""Metrics are means over the seeds; tests are over clips."""

from __future__ import annotations

from pathlib import Path

from sgmn.training.ablation.rows import all_rows
from sgmn.training.ablation.table import Ranks, build_table, table_to_markdown, write_table

CLIPS = [f"c{n}" for n in range(20)]


def test_metrics_are_means_over_seeds_and_tests_over_clips() -> None:
    worse: Ranks = {"val": dict.fromkeys(CLIPS, 2)}
    better: Ranks = {"val": dict.fromkeys(CLIPS, 1)}
    missed: Ranks = {"val": dict.fromkeys(CLIPS)}
    ranks = {"backbone alone": [worse, worse], "+ text score": [better, missed]}
    first, second = build_table(ranks, all_rows()[:2])
    assert (first.recall, second.recall, second.gain) == (0, 50, 50)
    assert second.mrr == 0.5 and second.p < 0.001 and second.clips == 20 and second.seeds == 2
    text = table_to_markdown([first, second])
    assert "| + text score | 50.0 (50.0–50.0) | 0.500 | backbone alone | +50.0" in text


def test_the_table_is_written(tmp_path: Path) -> None:
    ranks: Ranks = {"world": dict.fromkeys(CLIPS, 1)}
    write_table(build_table({"backbone alone": [ranks]}, all_rows()), tmp_path)
    assert "backbone alone" in (tmp_path / "table.md").read_text()
    assert '"recall": 100.0' in (tmp_path / "table.json").read_text()
