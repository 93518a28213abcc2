"""`sgmn import`: a public dataset is imported, indexed and evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgmn.data.dataset import read_dataset
from sgmn.media import video
from tests.command import RunCommand
from tests.grocery import make_checkout


@pytest.mark.slow
def test_grocery_is_imported_indexed_and_evaluated(
    run: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    checkout, output = make_checkout(tmp_path / "checkout"), tmp_path / "out"
    counts = ("--clips", 2, "--streams", 1, "--seed", 1)
    ended = run("import", "grocery", checkout, output, *counts)
    assert ended.status == 0, ended.err
    assert "4 products, 12 photos, 2 clips and 1 streams in" in ended.out
    assert "missing photos: 1\n" in ended.out and "missing descriptions: 1\n" in ended.out
    assert "warning: " in ended.err and "Plum_099.jpg does not exist" in ended.err
    assert run("check", output / "val").status == 0
    check_stream(output / "val")
    index, report = tmp_path / "index", tmp_path / "report.json"
    assert run("index", output / "catalogue", "-o", index, "-m", model_folder).status == 0
    ended = run("evaluate", output / "val", "-i", index, "--json", report)
    assert ended.status == 0, ended.err
    assert json.loads(report.read_text())["overall"]["count"] == 2
    streams = json.loads((tmp_path / "report-streams.json").read_text())
    assert 0 <= streams["overall"]["accuracy"] <= 1


def check_stream(dataset: Path) -> None:
    """The stream sells each of the four products for 20 seconds."""
    [stream] = read_dataset(dataset).streams
    assert [(s.start, s.end) for s in stream.timeline] == [(t, t + 20) for t in range(0, 80, 20)]
    assert {s.product_id for s in stream.timeline} == {f"p00{number}" for number in range(4)}
    assert video.read_duration(stream.video) == pytest.approx(80.0)
    assert 60 < stream.transcript[-1].start < stream.transcript[-1].end <= 80


def test_a_folder_that_is_no_checkout_is_refused(run: RunCommand, tmp_path: Path) -> None:
    ended = run("import", "grocery", tmp_path, tmp_path / "out")
    assert ended.status == 2 and "is not a checkout of the Grocery Store Dataset" in ended.err
    assert "classes.csv" in ended.err and not (tmp_path / "out").exists()
