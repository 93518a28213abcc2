"""An index that is built on a Ray cluster is that of one machine, also if a node is killed."""

from __future__ import annotations

import os
import signal
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import TableUpdate, UpdateOptions, UpdateProgress
from sgmn.scale.ray_engine import RayEngine
from tests.catalogue.conftest import product_with_image as product_with_image  # a fixture
from tests.catalogue.fakes import STAMP, FakeEncoder
from tests.command import RunCommand
from tests.scale.jobs import SlowRows, Squares
from tests.scale.rows import read_rows

pytestmark = pytest.mark.slow


def kill_node(node: Any) -> None:
    """Kill a node as a power cut would: its raylet and its workers, all at once."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    processes = [raylet, *raylet.children(recursive=True)]
    assert any("ray::run_item" in process.cmdline() for process in processes), "it has no task"
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=10)


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
    deque(ray_engine.map(Squares(), [1] * 50), 0)  # starts a worker on each node
    killed_at: list[int] = []

    def kill_in_the_middle(progress: UpdateProgress) -> None:
        if progress.done >= 40 and not killed_at:
            killed_at.append(progress.done)
            kill_node(node)

    build_rows = partial(ray_engine.map, SlowRows(0.2))
    options = UpdateOptions(batch_size=4)
    report = TableUpdate(table, build_rows, options, kill_in_the_middle).run(products)
    cluster.remove_node(node, allow_graceful=False)
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    assert killed_at and killed_at[0] < 100
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
