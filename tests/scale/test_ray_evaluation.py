"""An evaluation on a cluster gives the report of one machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import shared_index as shared_index  # a fixture
from tests.command import RunCommand


@pytest.mark.slow
def test_the_command_gives_the_same_reports_on_a_cluster(
    cluster: Any, run: RunCommand, world: Path, stream: Path, shared_index: Path, tmp_path: Path
) -> None:
    dataset = tmp_path / "dataset"
    shutil.copytree(world, dataset)
    shutil.copytree(stream / "streams", dataset / "streams")
    (dataset / "p1-0.png").write_bytes(b"no image")  # reported as damage
    reports = {}
    for engine in ("local", "ray"):
        path = tmp_path / f"{engine}.json"
        result = run("evaluate", dataset, "-i", shared_index, "--json", path, "--engine", engine)
        assert result.status == 0 and "p1-0.png" in result.err
        streams = path.with_stem(f"{engine}-streams")
        reports[engine] = (json.loads(path.read_text()), json.loads(streams.read_text()))
    assert reports["ray"] == reports["local"]


def test_a_protocol_is_evaluated_in_one_process(run: RunCommand, world: Path) -> None:
    result = run("evaluate", world, "--protocol", "lpr4m", "--engine", "ray")
    assert result.status == 2 and "--engine: cannot be combined with --protocol" in result.err
