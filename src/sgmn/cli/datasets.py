"""Dataset reading shared by several commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sgmn.data.dataset import Dataset
    from sgmn.data.tables import DatasetTables
    from sgmn.row_issues import RowIssue


def read_dataset(folder: Path, skip_invalid: bool) -> Dataset:
    """Read a dataset; with `skip_invalid`, print and skip invalid lines instead of failing."""
    from sgmn.data import dataset

    data = dataset.read_dataset(folder, skip_invalid=skip_invalid)
    _print_rejected(folder, data.rejected_rows)
    return data


def read_tables(folder: Path, skip_invalid: bool) -> DatasetTables:
    """Open a large dataset as `read_dataset` does a small one."""
    from sgmn.data import tables

    data = tables.open_tables(folder, skip_invalid=skip_invalid)
    _print_rejected(folder, data.rejected_rows)
    return data


def _print_rejected(folder: Path, issues: Sequence[RowIssue]) -> None:
    for issue in issues:
        typer.echo(f"skipped: {issue}", err=True)
    if issues:
        typer.echo(f"{len(issues)} lines of {folder} skipped", err=True)
