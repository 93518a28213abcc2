"""`sgmn evaluate` and `sgmn compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.command import RunCommand


def test_evaluate_and_compare(
    run: RunCommand, world: Path, shared_index: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for image in world.glob("p*.png"):
        shutil.copy(image, data)
    shutil.copy(world / "clips.jsonl", data)
    for name, modalities in (("a", "image"), ("b", "image,text")):
        output = tmp_path / f"{name}.json"
        result = run(
            *("evaluate", data, "-i", shared_index),
            *("--modalities", modalities, "--json", output),
        )
        assert result.status == 0, result.err
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["overall"]["count"] == 4 and len(report["queries"]) == 4
    assert report["queries"][3]["rank"] is None  # its product is not in the shop: a miss
    result = run("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert result.status == 0 and "R@1" in result.out
    markdown = run("compare", tmp_path / "a.json", tmp_path / "b.json", "--markdown")
    assert markdown.status == 0 and "R@1" in markdown.out and "|:--|" in markdown.out


def test_streams_are_compared_with_their_truth(
    run: RunCommand, stream: Path, shared_index: Path
) -> None:
    result = run("evaluate", stream, "-i", shared_index, "--markdown")
    assert result.status == 0 and "| s | 0.7 |" in result.out, result.out


def test_a_clip_that_cannot_be_read_is_a_miss(
    run: RunCommand, world: Path, shared_index: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(world, data)
    (data / "bad.mp4").write_bytes(b"not a video")
    rows = [
        {"clip_id": "bad", "video": "bad.mp4", "product_ids": ["p0"], "split": "x"},
        {"clip_id": "unlabeled", "frames": ["p1.png"], "split": "x"},
    ]
    with (data / "clips.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    report = tmp_path / "out" / "r.json"
    result = run("evaluate", data, "-i", shared_index, "--json", report)
    assert result.status == 0 and "warning: " in result.err and "bad.mp4" in result.err
    assert "1 clips or streams without labels" in result.err
    ranks = {q["clip_id"]: q["rank"] for q in json.loads(report.read_text())["queries"]}
    assert len(ranks) == 5 and ranks["bad"] is None and ranks["c0"] is not None
    result = run("evaluate", data, "-i", shared_index, "--json", report, "--split", "x")
    assert result.status == 0 and len(json.loads(report.read_text())["queries"]) == 1


def test_invalid_lines_are_skipped_only_on_request(
    run: RunCommand, world: Path, shared_index: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(world, data)
    with (data / "clips.jsonl").open("a") as file:
        file.write('{"clip_id": 3}\n')
    assert run("evaluate", data, "-i", shared_index).status == 2
    result = run("evaluate", data, "-i", shared_index, "--skip-invalid")
    assert result.status == 0 and "skipped: " in result.err and "clips.jsonl:5" in result.err


def test_check_reports_problems(run: RunCommand, world: Path) -> None:
    result = run("check", world)
    assert result.status == 2
    assert "gone" in result.out and "6 products in 1 shop, 4 clips" in result.out
