"""Kills, races and concurrent reads: no reported row is lost, and no row appears twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from tests.catalogue.fakes import STAMP, FakeEncoder, products_with_title, random_vector

ROOT = Path(__file__).parents[2]
# Seconds from "started" to the kill: the first hits the creation of the table, the others hit
# between or during the writes of batches.
KILL_DELAYS_S = (0.0, 0.02, 0.3, 0.7, 1.1)


def start_process(
    folder: Path, count: int, batch_size: int, *category: str
) -> subprocess.Popen[str]:
    """A writer that has imported everything and waits for a line on its input."""
    arguments = [str(folder), str(count), str(batch_size), *category]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.catalogue.writer", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def start_writing(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    assert process.stdout.readline() == "started\n"


def read_reported_ids(process: subprocess.Popen[str]) -> set[str]:
    """Every id that the writer reported before it ended."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    assert "done" not in lines, "the writer was killed too late for this test"
    return {product_id for line in lines if line.endswith("]") for product_id in json.loads(line)}


def read_repeatedly(folder: Path, seconds: float) -> None:
    """Read while the writer writes: never an error, never fewer rows than before."""
    end, previous_count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        if not (folder / "products.lance" / "_versions").exists():
            continue
        table = ProductTable.open(folder, STAMP)
        count = len(table.product_keys())
        hits = table.search(random_vector(b"q").numpy(), k=3, shop_id="s", modality="text")
        assert count >= previous_count and len(hits) >= min(count, 3)
        previous_count = count


@pytest.mark.slow
def test_a_killed_writer_loses_no_reported_row(tmp_path: Path):
    folder, reported_ids = tmp_path / "index", set[str]()
    jitter = random.Random(7)
    for delay_s in KILL_DELAYS_S:
        with start_process(folder, 4000, 4) as process:
            start_writing(process)
            read_repeatedly(folder, delay_s + jitter.uniform(0, 0.05))
            process.kill()
            reported_ids |= read_reported_ids(process)
        table = ProductTable.create_or_open(folder, STAMP)
        stored_ids = [product_id for _, product_id in table.product_keys()]
        assert reported_ids <= set(stored_ids)
        assert len(stored_ids) == len(set(stored_ids))
    with start_process(folder, 4000, 4) as process:  # once more, however slow the machine is
        start_writing(process)
        assert process.stdout is not None
        while len(reported_ids) <= 20:
            reported_ids |= set(json.loads(process.stdout.readline()))
        process.kill()
        reported_ids |= read_reported_ids(process)
    table = ProductTable.create_or_open(folder, STAMP)
    assert reported_ids <= {product_id for _, product_id in table.product_keys()}
    assert_update_completes(table, 400)


def assert_update_completes(table: ProductTable, count: int) -> None:
    """An update after the kills completes, and another one finds nothing to do."""
    products = products_with_title(count, "s")
    table.update(products, FakeEncoder(), UpdateOptions(batch_size=100, sync=True))
    encoder = FakeEncoder()
    report = table.update(products, encoder)
    assert encoder.titles == [] and report.unchanged == table.count() == count


@pytest.mark.slow
def test_two_processes_that_add_the_same_products_leave_one_row_each(tmp_path: Path):
    folder = tmp_path / "index"
    first, second = (start_process(folder, 120, 10) for _ in range(2))
    with first, second:
        start_writing(first)
        start_writing(second)
        outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert all(output.endswith("done\n") for output in outputs)
    stored_ids = [product_id for _, product_id in ProductTable.open(folder, STAMP).product_keys()]
    assert sorted(stored_ids) == sorted(p.product_id for p in products_with_title(120))


@pytest.mark.slow
def test_a_killed_sync_loses_no_listed_product(tmp_path: Path):
    """300 of 400 products change, the others are removed; a kill leaves each old or new."""
    folder = tmp_path / "index"
    table = ProductTable.create_or_open(folder, STAMP)
    table.update(products_with_title(400, "s"), FakeEncoder(), UpdateOptions(batch_size=400))
    listed = {product.key for product in products_with_title(300, "s")}
    with start_process(folder, 300, 4, "new") as process:
        start_writing(process)
        time.sleep(0.3)
        process.kill()
        reported_ids = read_reported_ids(process)
    products = {product.key: product for product in table.products()}
    assert listed <= products.keys()
    assert all(products["s", product_id].category == "new" for product_id in reported_ids)
    new = [replace(product, category="new") for product in products_with_title(300, "s")]
    table.update(new, FakeEncoder(), UpdateOptions(batch_size=100, sync=True))
    products = {product.key: product for product in table.products()}
    assert products.keys() == listed and {p.category for p in products.values()} == {"new"}
