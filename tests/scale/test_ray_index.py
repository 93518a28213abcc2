"""An index that is built on a Ray cluster is that of one machine, also if a node is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import TableUpdate, UpdateOptions
from sgmn.records import Product
from sgmn.scale.ray_engine import RayEngine
from tests.catalogue.conftest import product_with_image as product_with_image  # a fixture
from tests.catalogue.fakes import STAMP, FakeEncoder
from tests.command import RunCommand
from tests.scale.jobs import SlowRows, Squares
from tests.scale.processes import find_workers
from tests.scale.rows import read_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def kill_node_with_task(node: Any, begin: threading.Event) -> int:
    """Kill a node as a power cut would, raylet and workers, while one of them has a task."""
    begin.wait(300)
    deadline = time.monotonic() + 300
    while not (workers := find_workers(node, "ray::run_item")):
        assert time.monotonic() < deadline, "the node has no task"
    for process in (node.all_processes["raylet"][0].process.pid, *workers):
        os.kill(process, signal.SIGKILL)
    return len(workers)


def test_a_node_that_is_killed_loses_and_repeats_no_row(
    cluster: Any, ray_engine: RayEngine, product_with_image: Any, tmp_path: Path
) -> None:
    products = [product_with_image(f"p{i}", (i, 9, 99), shop_id=f"s{i % 3}") for i in range(120)]
    products.append(products[0])  # rejected: listed twice
    (tmp_path / "p7.png").write_bytes(b"no image")  # rejected: cannot be read
    local = ProductTable.create_or_open(tmp_path / "local", STAMP)
    expected = local.update(products, FakeEncoder(), UpdateOptions(batch_size=4))
    table = ProductTable.create_or_open(tmp_path / "ray", STAMP)
    node = cluster.list_all_nodes()[-1]
    while not find_workers(node):
        deque(ray_engine.map(Squares(0.05), range(10)), 0)
    begin = threading.Event()

    def listed() -> Iterator[Product]:
        for number, product in enumerate(products):
            if number == 40:
                begin.set()
            yield product

    build_rows = partial(ray_engine.map, SlowRows(0.2))
    options = UpdateOptions(batch_size=4)
    with ThreadPoolExecutor(1) as thread:
        killed = thread.submit(kill_node_with_task, node, begin)
        report = TableUpdate(table, build_rows, options).run(listed())
        assert killed.done() and killed.result() == 1, "the node was not killed in the middle"
    cluster.remove_node(node, allow_graceful=False)
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    assert read_rows(table) == read_rows(local) and len(read_rows(table)) == 119
    assert (report.added, sorted(map(str, report.rejected_rows))) == (
        expected.added,
        sorted(map(str, expected.rejected_rows)),
    )
    again = TableUpdate(table, build_rows, options).run(products)
    assert (again.added, again.replaced, again.unchanged) == (0, 0, 119)


def test_the_command_builds_the_same_index_on_a_cluster(
    cluster: Any, run: RunCommand, world: Path, model_folder: Path, tmp_path: Path
) -> None:
    for engine in ("local", "ray"):
        arguments = ("index", world, "-o", tmp_path / engine, "-m", model_folder)
        result = run(*arguments, "--engine", engine, "--batch-size", 2)
        assert "6 added, 0 replaced" in result.out, result.err
    local, remote = (ProductTable.open(tmp_path / engine) for engine in ("local", "ray"))
    assert read_rows(local) == read_rows(remote)
