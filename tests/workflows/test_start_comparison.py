"""A trained model is kept only if it is better than its start."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.evaluation.significance import paired_test
from sgmn.model import checkpoint
from sgmn.workflows.start_comparison import (
    WORSE,
    StartComparison,
    compare_with_start,
    keep_start,
)
from tests.command import RunCommand


def compare(before: list[float], after: list[float], mrr: list[float]) -> StartComparison:
    """A comparison of hits before and after; reciprocal ranks of 0.5 before."""
    half = np.full(len(mrr), 0.5)
    return StartComparison(
        len(before),
        paired_test(np.array(before), np.array(after)),
        paired_test(half, np.array(mrr)),
        (),
    )


@pytest.mark.parametrize(
    ("after", "mrr", "better"),
    [
        ([1.0, 1.0], [0.4, 0.4], True),
        ([0.0, 1.0], [0.5, 0.6], True),
        ([0.0, 1.0], [0.5, 0.5], False),
        ([0.0, 0.0], [0.9, 0.9], False),
    ],
)
def test_more_correct_clips_decide_then_the_reciprocal_rank(
    after: list[float], mrr: list[float], better: bool
) -> None:
    assert compare([0.0, 1.0], after, mrr).is_better is better


def test_a_model_equals_itself_and_damage_is_named_once(
    tiny: Callable[[], Any], world: Path
) -> None:
    data = read_dataset(world)
    clips = [replace(data.clips[0], video=Path("gone.mp4"), frames=()), *data.clips[1:]]
    calls: list[tuple[int, int]] = []
    result = compare_with_start(
        tiny(), tiny(), clips, data.products, lambda done, total: calls.append((done, total))
    )
    assert result.recall_1.difference == 0 and result.recall_1.p == 1 and not result.is_better
    assert result.count == sum(bool(clip.product_ids) for clip in clips)
    assert len(result.damage) == 1 and "gone.mp4" in result.damage[0]
    assert calls[-1][0] == calls[-1][1]


def test_the_start_takes_the_place_of_a_worse_model(
    tiny: Callable[[], Any], tmp_path: Path
) -> None:
    start, trained = tiny(), tiny()
    with torch.no_grad():
        trained.network.head.match.fill_(0.3)
    checkpoint.save(trained, tmp_path / "checkpoint")
    for _ in range(2):  # a run that is resumed after its end compares again
        worse = keep_start(tmp_path, start)
        assert checkpoint.load(tmp_path / "checkpoint").fingerprint() == start.fingerprint()
    assert worse.is_dir()


@pytest.fixture
def config(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> Path:
    """A run of two steps on a dataset; it starts from the model in the folder "start"."""
    checkpoint.save(tiny(), tmp_path / "start")
    path = tmp_path / "run.toml"
    path.write_text(
        f'[model]\nsource = "{tmp_path / "start"}"\n[data]\nfolders = ["{world}"]\n'
        "frames_per_clip = 2\n[train]\nsteps = 2\nbatch_size = 4\nworkers = 0\n"
        "keep_better = true\n"
    )
    return path


def test_the_command_says_what_it_keeps(
    run: RunCommand, config: Path, world: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(world, tmp_path / "data")
    clips = [json.loads(line) for line in (data / "clips.jsonl").read_text().splitlines()]
    held_out = [json.dumps({**clip, "split": "val"}) for clip in clips]
    (data / "clips.jsonl").write_text("\n".join(held_out))
    ended = run("train", config, "-o", tmp_path / "run", "--dataset", data)
    assert ended.status == 0, ended.err
    kept = checkpoint.load(tmp_path / "run" / "checkpoint").fingerprint()
    is_start = kept == checkpoint.load(tmp_path / "start").fingerprint()
    assert f"{len(clips)} held-out clips: R@1" in ended.out
    assert ("Training did not improve" in ended.out) is is_start
    assert (tmp_path / "run" / WORSE).exists() is is_start


def test_without_held_out_clips_there_is_a_warning(
    run: RunCommand, config: Path, tmp_path: Path
) -> None:
    ended = run("train", config, "-o", tmp_path / "run")
    assert ended.status == 0, ended.err
    assert 'no labeled clip has "split": "val"' in ended.err
