"""The configs that ship are read as they are, and the recipe for own pairs runs as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sgmn.settings import from_tables, read_toml
from sgmn.synth.settings import WorldSettings
from sgmn.training import config as configs
from tests.command import Run

FOLDER = Path(__file__).parents[1] / "src" / "sgmn" / "configs"


@pytest.fixture
def folder() -> Path:
    if not FOLDER.is_dir():
        pytest.skip("configs/ is not part of a source distribution")
    return FOLDER


def test_every_config_is_read(folder: Path) -> None:
    found = [
        *folder.glob("*.toml"),
        *folder.parents[2].glob("tools/train_builtin/configs/**/*.toml"),
    ]
    assert len(found) > 8
    for path in found:
        if "world" in read_toml(path):
            from_tables({"world": WorldSettings}, read_toml(path), path)
        else:
            assert configs.read(path).data.folders


@pytest.mark.parametrize("source", ["builtin", "clip"])
def test_own_pairs_are_learnt_indexed_and_evaluated(
    run: Run,
    folder: Path,
    world: Path,
    backbone: Callable[[str], Path],
    tmp_path: Path,
    source: str,
) -> None:
    text = (folder / "own-pairs.toml").read_text(encoding="utf-8")
    named = source if source == "builtin" else str(backbone(source))
    for before, after in (
        ('source = "builtin"', f'source = "{named}"'),
        ('"../my-shop"', f'"{world}"'),
        ("steps = 400", "steps = 2\nthreads = 1"),
    ):
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    mine, index = tmp_path / "mine", tmp_path / "index"
    ended = run("train", tmp_path / "mine.toml", "-o", mine)
    assert ended.status == 0 and "finished at step 2" in ended.out, ended.err
    assert run("index", world, "-o", index, "--model", mine / "checkpoint").status == 0
    ended = run("evaluate", world, "-i", index)
    assert ended.status == 0 and "R@1" in ended.out
