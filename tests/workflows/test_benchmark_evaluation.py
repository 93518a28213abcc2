"""Look-alikes of the benchmarks: one command each to convert, to train and to evaluate."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sgmn.model import checkpoint
from tests.command import RunCommand
from tests.tools.scripts import import_tool

lookalikes = import_tool("benchmark_lookalikes")
TEST_CLIPS = 22


@pytest.fixture(scope="module")
def model_folder(tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    checkpoint.save(tiny(), folder)
    return folder


@pytest.fixture
def config(model_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(
        f'[model]\nsource = "{model_folder}"\nparts = ["instances"]\n'
        '[data]\nfolders = ["."]\nframes_per_clip = 3\n'
        "[train]\nsteps = 3\nbatch_size = 4\naccumulation_steps = 2\nworkers = 0\n"
        "[loss]\nmining = false\ntriplet = 0.0\npair = 0.0\n"
    )
    return path


def recall_at_1(report: dict[str, Any]) -> float:
    return float(report["overall"]["recall"]["1"]["value"])


@pytest.mark.slow
def test_lpr4m_is_converted_trained_on_and_evaluated(
    run: RunCommand, config: Path, tmp_path: Path
) -> None:
    look = lookalikes.write_lpr4m(tmp_path / "lpr4m", "tar", 30, 2, TEST_CLIPS)
    out, trained = tmp_path / "out", tmp_path / "run"
    result = run("import", "lpr4m", tmp_path / "lpr4m", out, "--processes", "1")
    assert result.status == 0, result.err
    assert f"train: rows: {look.expected['train']['rows']}" in result.out
    result = run("train", config, "--dataset", out / "train", "-o", trained)
    assert result.status == 0 and "Training finished (3 steps)" in result.out, result.err
    options = ("--protocol", "lpr4m", "--model", trained / "checkpoint")
    sizes = {"main": 12, "full": look.expected["test"]["gallery images"]}
    for gallery, size in sizes.items():
        path, trec = tmp_path / f"{gallery}.json", tmp_path / gallery
        result = run(
            *("evaluate", out, *options, "--gallery", gallery, "--json", path, "--trec", trec)
        )
        assert result.status == 0, result.err
        assert f"Gallery {gallery}: {size} items on 2 shelves." in " ".join(result.out.split())
        report = json.loads(path.read_text())
        assert report["gallery"] == {"name": gallery, "items": size, "shelves": 2}
        assert report["overall"]["count"] == TEST_CLIPS and report["ks"] == [1, 3, 5, 10]
        missing = look.expected["test"]["clips in missing.jsonl"]
        assert report["meta"]["missing"] == missing == report["overall"]["misses"]
        assert recall_of_files(trec) == pytest.approx(recall_at_1(report))
        attributes = {row["attribute"] for row in report["breakdown"]}
        assert attributes == {"scale", "visible", "products", "media"}


def recall_of_files(folder: Path) -> float:
    """R@1 over the queries of qrels.txt."""
    first = {}
    for line in (folder / "run.txt").read_text().splitlines():
        query, _, item, rank, _, _ = line.split()
        if rank == "1":
            first[query] = item
    truths = defaultdict(set)
    for line in (folder / "qrels.txt").read_text().splitlines():
        query, _, item, _ = line.split()
        truths[query].add(item)
    return sum(first.get(query) in own for query, own in truths.items()) / len(truths)


@pytest.mark.slow
def test_movingfashion_is_converted_trained_on_and_evaluated(
    run: RunCommand, config: Path, tmp_path: Path
) -> None:
    lookalikes.lookalike_movingfashion.write(tmp_path / "mf", 8, 8)
    out, trained = tmp_path / "out", tmp_path / "run"
    assert run("import", "movingfashion", tmp_path / "mf", out, "--processes", "1").status == 0
    result = run("train", config, "--dataset", out / "train", "-o", trained)
    assert result.status == 0 and "Training finished (3 steps)" in result.out, result.err
    options = ("--protocol", "movingfashion", "--model", trained / "checkpoint")
    for gallery, size in {"test": 7, "all": 15}.items():
        path, parquet = tmp_path / f"{gallery}.json", tmp_path / f"{gallery}.parquet"
        result = run(
            *("evaluate", out, *options, "--gallery", gallery, "--json", path),
            *("--predictions", parquet),
        )
        assert result.status == 0, result.err
        report = json.loads(path.read_text())
        assert report["gallery"] == {"name": gallery, "items": size, "shelves": 1}
        assert report["overall"]["count"] == 7 and report["overall"]["misses"] == 1
        assert report["ks"] == [1, 5, 10, 20]
        rows = pq.read_table(parquet).to_pylist()
        hits = [row["item_ids"][:1] and row["item_ids"][0] in row["true_item_ids"] for row in rows]
        assert sum(map(bool, hits)) / 7 == pytest.approx(recall_at_1(report))
        groups = {(row["attribute"], row["value"]) for row in report["breakdown"]}
        assert {("source", "hard"), ("source", "regular")} <= groups


def test_an_import_without_any_clip_is_reported(run: RunCommand, tmp_path: Path) -> None:
    lookalikes.write_lpr4m(tmp_path / "lpr4m", "files", 2, 1, 2)
    options = ("--processes", "1", "--subset", "live=none")
    result = run("import", "lpr4m", tmp_path / "lpr4m", tmp_path / "out", *options)
    assert result.status == 0
    assert "warning: no clip was imported; check --subset" in result.err


def test_the_protocol_of_another_benchmark_is_refused(run: RunCommand, tmp_path: Path) -> None:
    lookalikes.lookalike_movingfashion.write(tmp_path / "mf", 1, 2)
    out = tmp_path / "out"
    assert run("import", "movingfashion", tmp_path / "mf", out, "--processes", "1").status == 0
    result = run("evaluate", out, "--protocol", "lpr4m")
    assert result.status == 2
    message = "was written by `sgmn import movingfashion`; pass --protocol movingfashion"
    assert message in result.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--protocol", "lpr"), "'lpr' is not a protocol"),
        (("--protocol", "lpr4m", "--gallery", "all"), "lpr4m has no gallery 'all'"),
        (("--protocol", "lpr4m"), "has no test/clips.jsonl; pass the output folder"),
        (("--protocol", "lpr4m", "--index", "x"), "--index: cannot be combined with --protocol"),
        (("--protocol", "lpr4m", "--split", "x"), "--split: cannot be combined"),
        ((), "--index: is missing; pass --index FOLDER, or --protocol NAME"),
    ],
)
def test_impossible_options_are_refused(
    run: RunCommand, world: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run("evaluate", world, *arguments)
    assert result.status == 2 and message in result.err
