"""Jobs in several processes give what one process gives, also after a process was killed."""

from __future__ import annotations

import os
import signal
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import TableUpdate, UpdateOptions, UpdateProgress
from sgmn.errors import MediaError, SettingsError, SgmnError
from sgmn.scale.engines import open_engine
from sgmn.scale.process_engine import ProcessEngine
from tests.catalogue.fakes import STAMP, FakeEncoder, products_with_title
from tests.command import RunCommand
from tests.scale.jobs import SlowRows, Squares


def read_rows(table: ProductTable) -> list[dict[str, Any]]:
    """All columns of all rows, ordered by id."""
    rows: list[dict[str, Any]] = table._table.to_arrow().sort_by("id").to_pylist()
    return rows


def test_results_come_in_order_and_errors_of_the_job_as_they_are():
    results = []
    with pytest.raises(MediaError, match="unlucky"):
        for result in ProcessEngine(2).map(Squares(), [*range(12), 13, 14]):
            results.append(result)
    assert [square for square, _ in results] == [n * n for n in range(12)]
    assert os.getpid() not in {process for _, process in results}


def test_a_killed_worker_is_one_error_and_the_next_run_writes_every_row_once(tmp_path: Path):
    products = products_with_title(60, "s")
    options = UpdateOptions(batch_size=4)
    table = ProductTable.create_or_open(tmp_path / "parallel", STAMP)

    def kill_in_the_middle(progress: UpdateProgress) -> None:
        if progress.done == 12:
            for process in active_children():
                os.kill(process.pid or 0, signal.SIGKILL)

    build_rows = partial(ProcessEngine(2).map, SlowRows(0.05))
    with pytest.raises(SgmnError, match=r"worker process: ended unexpectedly.*--processes"):
        TableUpdate(table, build_rows, options, kill_in_the_middle).run(products)
    written = table.count()
    assert 12 <= written < 60
    report = TableUpdate(table, build_rows, options).run(products)
    assert (report.unchanged, report.added) == (written, 60 - written)
    serial = ProductTable.create_or_open(tmp_path / "serial", STAMP)
    serial.update(products, FakeEncoder(), options)
    assert read_rows(table) == read_rows(serial)


def test_processes_belong_to_the_local_engine():
    with open_engine("local", processes=3) as engine:
        assert isinstance(engine, ProcessEngine) and engine.processes == 3
    with (
        pytest.raises(SettingsError, match="--processes: needs --engine local"),
        open_engine("ray", processes=2),
    ):
        pass


def test_index_in_two_processes_equals_one(
    run: RunCommand, world: Path, model_folder: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for processes, folder in enumerate(folders, start=1):
        arguments = ("-m", model_folder, "--batch-size", 2, "--processes", processes)
        result = run("index", world, "-o", folder, *arguments)
        assert result.status == 0 and "6 added" in result.out, result.err
    one, two = (read_rows(ProductTable.open(folder)) for folder in folders)
    assert len(one) == 6 and one == two
