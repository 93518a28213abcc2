"""The vectors of clips from a cluster are those of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_embed import read_rows
from tests.command import RunCommand


@pytest.mark.slow
def test_the_command_writes_the_same_table_on_a_cluster(
    cluster: Any, run: RunCommand, world: Path, model_folder: Path, tmp_path: Path
) -> None:
    for engine in ("local", "ray"):
        arguments = (world, "-o", tmp_path / engine, "-m", model_folder, "--engine", engine)
        assert run("embed", *arguments).status == 0
    assert read_rows(tmp_path / "ray") == read_rows(tmp_path / "local") != []
