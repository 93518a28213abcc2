"""Dataset reading shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sgmn.data.dataset import Dataset


def read_dataset(folder: Path, skip_invalid: bool) -> Dataset:
    """Read a dataset; with `skip_invalid`, print and skip invalid lines instead of failing."""
    from sgmn.data import dataset

    data = dataset.read_dataset(folder, skip_invalid=skip_invalid)
    for issue in data.rejected_rows:
        typer.echo(f"skipped: {issue}", err=True)
    if data.rejected_rows:
        typer.echo(f"{len(data.rejected_rows)} lines of {folder} skipped", err=True)
    return data
