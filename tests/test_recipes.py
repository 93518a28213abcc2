"""Every config is valid, and the recipe for own pairs works as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sgmn.configs import FOLDER, resolve
from sgmn.settings import parse_tables, read_toml
from sgmn.synth.settings import WorldSettings
from sgmn.training.config_file import read_config
from tests.command import RunCommand

TOOLS = Path(__file__).parents[1] / "tools" / "train_builtin" / "configs"


@pytest.mark.parametrize("path", [*FOLDER.glob("*.toml"), *TOOLS.rglob("*.toml")], ids=str)
def test_every_config_is_valid(path: Path) -> None:
    if "world" in read_toml(path):
        parse_tables({"world": WorldSettings}, read_toml(path), path)
    else:
        assert read_config(path).data.folders


@pytest.mark.slow
@pytest.mark.parametrize("source", ["builtin", "clip"])
def test_own_pairs_are_trained_indexed_and_evaluated(
    run: RunCommand,
    world: Path,
    backbone: Callable[[str], Path],
    tmp_path: Path,
    source: str,
) -> None:
    text = resolve("own-pairs").read_text(encoding="utf-8")
    model = source if source == "builtin" else str(backbone(source))
    changes = [
        ('source = "builtin"', f'source = "{model}"'),
        ("\nsteps = 200", "\nsteps = 2\nthreads = 1"),
    ]
    if source != "builtin":  # as its comments say
        changes += [(', "glance"]', "]"), ("trainable_parts = [", "# trainable_parts = [")]
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    mine, index = tmp_path / "mine", tmp_path / "index"
    ended = run("train", tmp_path / "mine.toml", "--dataset", world, "-o", mine)
    assert ended.status == 0 and "finished (2 steps)" in ended.out, ended.err
    assert run("index", world, "-o", index, "--model", mine / "checkpoint").status == 0
    ended = run("evaluate", world, "-i", index)
    assert ended.status == 0 and "R@1" in ended.out
