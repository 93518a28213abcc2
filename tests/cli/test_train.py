"""`sgmn train` and `sgmn ablate`: configs by name or path, datasets from the command line."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sgmn.cli.console import TrainingBar
from tests.command import RunCommand

if TYPE_CHECKING:
    from sgmn.training.trainer import StepReport


@pytest.fixture
def config(world: Path, model_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(
        f'[model]\nsource = "{model_folder}"\n[data]\nfolders = ["{world}"]\nframes_per_clip = 2\n'
        "[train]\nsteps = 2\nbatch_size = 4\nworkers = 0\n"
    )
    return path


def test_a_trained_model_is_indexed_and_watched(
    run: RunCommand, config: Path, world: Path, video: Path, tmp_path: Path
) -> None:
    result = run("train", config, "-o", tmp_path / "run")
    assert result.status == 0, result.err
    assert "27 examples of 6 products" in result.out
    assert "Training finished (2 steps)" in result.out
    checkpoint = tmp_path / "run" / "checkpoint"
    assert run("index", world, "-o", tmp_path / "index", "-m", checkpoint).status == 0
    assert run("watch", video, "-i", tmp_path / "index").status == 0
    again = run("train", config, "-o", tmp_path / "run")
    assert again.status == 2 and "--resume" in again.err
    resumed = run("train", config, "-o", tmp_path / "run", "--resume")
    assert resumed.status == 0 and "Resuming at step 2." in resumed.out


def test_a_dataset_replaces_those_of_the_config(
    run: RunCommand, config: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(config.read_text().replace(str(world), "nowhere"))
    assert run("train", config, "-o", tmp_path / "a").status == 2
    monkeypatch.chdir(world.parent)
    result = run("train", config, "-o", tmp_path / "b", "--dataset", world.name)
    assert result.status == 0 and "27 examples of 6 products" in result.out, result.err


@pytest.mark.parametrize("command", ["train", "ablate"])
def test_packaged_configs_are_listed(command: str, run: RunCommand) -> None:
    result = run(command, "--list")
    assert result.status == 0
    names = [line.split()[0] for line in result.out.splitlines()]
    assert "own-pairs" in names and "ablation" in names and "demo" not in names


@pytest.mark.parametrize("command", ["train", "ablate"])
def test_a_packaged_config_needs_no_path(command: str, run: RunCommand, tmp_path: Path) -> None:
    """The config is found; what fails is the dataset that the command line names."""
    evaluated = ("--evaluate-on", tmp_path / "none") if command == "ablate" else ()
    result = run(
        command, "own-pairs", "--dataset", tmp_path / "none", "-o", tmp_path / "run", *evaluated
    )
    assert result.status == 2 and str(tmp_path / "none") in result.err
    unknown = run(command, "no-such-config", "-o", tmp_path / "other", *evaluated)
    assert unknown.status == 2 and "own-pairs" in unknown.err


def test_an_ablation_trains_and_evaluates_a_row(
    run: RunCommand, config: Path, world: Path, tmp_path: Path
) -> None:
    arguments = ("ablate", config, "-o", tmp_path / "ablation", "--evaluate-on", world)
    clips = (world / "clips.jsonl").read_text()
    assert '"gone"' in clips  # a clip whose product is not on the shelf counts as a miss
    result = run(*arguments, "--row", "backbone alone", "--seeds", 1)
    assert result.status == 0, result.err
    assert "backbone alone, seed 0" in result.out and "R@1" in result.out
    again = run(*arguments, "--row", "backbone alone", "--seeds", 1)
    assert again.status == 0 and "R@1" in again.out


def test_baselines_are_compared_on_a_sheet(
    run: RunCommand, config: Path, world: Path, tmp_path: Path
) -> None:
    """Of the clips on which they disagree; runs that are complete are not repeated."""
    out, sheet = tmp_path / "out", tmp_path / "new" / "sheet.html"
    arguments = ("ablate", config, "-o", out, "--evaluate-on", world, "--baselines", "--seeds", 1)
    rows = ("--row", "+ fusion", "--row", "zero-shot backbone", "--sheet", sheet)
    result = run(*arguments, *rows)
    assert result.status == 0, result.err
    assert "zero-shot backbone, seed 0" in result.out and "+ fusion, seed 0" in result.out
    for slug, is_right in (("zero-shot-backbone", False), ("plus-fusion", True)):
        put_truth(out / "runs" / slug / "0" / "answers.json", first=is_right)
    assert run(*arguments, *rows).status == 0
    page = sheet.read_text()
    assert "world0: clips on which 2 methods disagree" in page
    assert "Colors show where <b>+ fusion</b> looks." in page  # the other one has no checkpoint
    assert page.count("<section>") == 3 and page.count("<tr><th>") == 6
    assert page.count('<img class="true"') == 6


def put_truth(path: Path, *, first: bool) -> None:
    """Move the true product of each clip to the first place of the answers or to the second."""
    answers = json.loads(path.read_text())
    for clips in answers.values():
        for clip, found in clips.items():
            others = [product for product in found if product != f"p{clip[1:]}"][:4]
            truth = [f"p{clip[1:]}"]
            clips[clip] = truth + others if first else others[:1] + truth + others[1:]
    path.write_text(json.dumps(answers))


def test_training_stops_at_a_signal_and_resumes(
    run: RunCommand, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal arrives after the first step, and the run is saved."""
    config.write_text(config.read_text().replace("steps = 2", "steps = 50"))
    handler = signal.getsignal(signal.SIGTERM)
    show = TrainingBar.__call__

    def interrupt(self: TrainingBar, report: StepReport) -> None:
        show(self, report)
        if report.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingBar, "__call__", interrupt)
        stopped = run("train", config, "-o", tmp_path / "run")
    assert stopped.status == 0 and "Training stopped at step" in stopped.out, stopped.err
    assert signal.getsignal(signal.SIGTERM) is handler
    resumed = run("train", config, "-o", tmp_path / "run", "--resume")
    assert resumed.status == 0 and "Training finished (50 steps)" in resumed.out
