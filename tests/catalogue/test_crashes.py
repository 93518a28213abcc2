"""Killed, raced and read while writing: nothing acknowledged is lost, nothing comes twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from sgmn.catalogue.index import Index
from tests.catalogue.fakes import STAMP, FakeEmbed, titled, vector

ROOT = Path(__file__).parents[2]
# Seconds from "started" to the kill: the first strikes while the table is being created, some
# between or inside the writing of batches.
KILLS_S = (0.0, 0.02, 0.3, 0.7, 1.1)


def writer(folder: Path, count: int, batch: int) -> subprocess.Popen[str]:
    """A writer that has imported everything and waits for its line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.catalogue.writer", str(folder), str(count), str(batch)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def start(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "started\n"


def acknowledged(process: subprocess.Popen[str]) -> set[str]:
    """Every id that the writer reported before it ended."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    assert "done" not in lines, "killed too late to tell anything"
    return {product_id for line in lines if line.endswith("]") for product_id in json.loads(line)}


def read_for(folder: Path, seconds: float) -> None:
    """A reader beside the writer: never an error, never fewer rows than before."""
    end, before = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        if not (folder / "products.lance" / "_versions").exists():
            continue
        index = Index.open(folder, STAMP)
        now = len(index.product_keys())
        hits = index.search(vector(b"q").numpy(), k=3, shop_id="s", column="words")
        assert now >= before and len(hits) >= min(now, 3)
        before = now


def test_sigkill_loses_nothing_that_was_reported(tmp_path: Path):
    folder, told = tmp_path / "index", set[str]()
    jitter = random.Random(7)
    for pause in KILLS_S:
        with writer(folder, 4000, 4) as process:
            start(process)
            read_for(folder, pause + jitter.uniform(0, 0.05))
            process.kill()
            told |= acknowledged(process)
        index = Index.create_or_open(folder, STAMP)
        held = [product_id for _, product_id in index.product_keys()]
        assert told <= set(held)
        assert len(held) == len(set(held))
    assert len(told) > 20
    rerun(index, 400)


def rerun(index: Index, count: int) -> None:
    """An update after the kills: completes, then finds nothing left to do."""
    index.update(titled(count, "s"), FakeEmbed(), batch=100, replace_missing=True)
    again = FakeEmbed()
    report = index.update(titled(count, "s"), again)
    assert again.titles == [] and report.unchanged == index.count() == count


def test_two_processes_that_add_the_same_products_leave_one_row_each(tmp_path: Path):
    folder = tmp_path / "index"
    first, second = (writer(folder, 120, 10) for _ in range(2))
    with first, second:
        start(first)
        start(second)
        outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert all(output.endswith("done\n") for output in outputs)
    held = [product_id for _, product_id in Index.open(folder, STAMP).product_keys()]
    assert sorted(held) == sorted(p.product_id for p in titled(120))
