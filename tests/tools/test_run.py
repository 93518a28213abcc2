"""`tools/train_builtin/run.py`: its stages and their configs fit together."""

from __future__ import annotations

from itertools import pairwise

from sgmn.training.config_file import read_config
from sgmn.workflows.job_pack import require_same_data
from tests.tools.scripts import TOOLS, import_tool

run = import_tool("run", "train_builtin")
CONFIGS = TOOLS / "train_builtin" / "configs"


def test_each_cpu_stage_starts_from_the_previous_one() -> None:
    assert read_config(CONFIGS / f"{run.CPU_STAGES[0]}.toml").model.source == "lite1"
    for previous, stage in pairwise(run.CPU_STAGES):
        result = "calibrated" if previous in run.SCORES else "checkpoint"
        result = run.CHANGES[stage][1] if stage in run.CHANGES else result
        source = read_config(CONFIGS / f"{stage}.toml").model.source
        assert source == run.start_of(stage) == f"{run.CPU_RUN}/{previous}/{result}"


def test_the_last_stages_get_the_settings_of_the_timeline() -> None:
    assert run.CPU_STAGES[-1] in run.SCORES and run.STAGES[-1] in run.SCORES
    assert (run.STAGES[-1], run.CPU_STAGES[-1]) == run.FINAL_STAGES
    assert all(stage in run.SCORES for stage in run.SHARES)


def test_gpu_stages_can_be_packed_together() -> None:
    require_same_data([CONFIGS / "gpu" / f"{stage}.toml" for stage in run.STAGES])
    assert len(run.STAGE_MINUTES.split(",")) == len(run.STAGES)


def test_files_of_the_recipe_exist() -> None:
    for name in (
        "split.py",
        "average.py",
        *(script for script, _ in run.CHANGES.values()),
        "set_score.py",
        "compose_dataset.py",
        "timeline.toml",
    ):
        assert (TOOLS / "train_builtin" / name).is_file()
    configs = [CONFIGS / f"{stage}.toml" for stage in run.CPU_STAGES]
    for path in configs:
        data = read_config(path).data
        assert all(file.is_file() for file in data.talking_points)
        assert data.phrases is None or data.phrases.is_file()
