"""`--runtime`: commands that encode run the towers in another runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import RunCommand


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_an_index_of_one_runtime_is_watched_in_another(
    run: RunCommand,
    world: Path,
    model_folder: Path,
    video: Path,
    shared_index: Path,
    tmp_path: Path,
) -> None:
    index, timelines = tmp_path / "index", []
    assert run("index", world, "-o", index, "-m", model_folder, "--runtime", "onnx").status == 0
    for folder, runtime in ((shared_index, "torch"), (index, "openvino")):
        path = tmp_path / f"{runtime}.json"
        result = run("watch", video, "-i", folder, "--runtime", runtime, "-o", path)
        assert result.status == 0, result.err
        timelines.append(json.loads(path.read_text())["segments"])
    confidences = [[segment.pop("confidence") for segment in segments] for segments in timelines]
    assert confidences[0] == pytest.approx(confidences[1], abs=1e-3)
    assert timelines[0] == timelines[1] and timelines[0]


def test_a_report_names_the_runtime(
    run: RunCommand, world: Path, shared_index: Path, tmp_path: Path
) -> None:
    reports = {}
    for runtime in ("torch", "openvino"):
        path = tmp_path / f"{runtime}.json"
        result = run("evaluate", world, "-i", shared_index, "--runtime", runtime, "--json", path)
        assert result.status == 0, result.err
        reports[runtime] = json.loads(path.read_text())
    assert {report["meta"]["runtime"] for report in reports.values()} == {"torch", "openvino"}
    first, second = (report["overall"]["recall"] for report in reports.values())
    assert first == second


def test_an_unknown_runtime_is_one_line(run: RunCommand, video: Path, shared_index: Path) -> None:
    result = run("watch", video, "-i", shared_index, "--runtime", "tensorrt")
    assert result.status == 2 and result.err.count("\n") == 1
    assert "'runtime' is 'tensorrt'; choose from 'torch', 'openvino'" in result.err
