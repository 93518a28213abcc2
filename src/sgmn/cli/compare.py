"""`sgmn compare`: compare two evaluation reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgmn.cli.options import MarkdownOption, SeedOption


def compare(
    a: Annotated[
        Path, typer.Argument(metavar="REPORT_A", help="Report written by `sgmn evaluate --json`.")
    ],
    b: Annotated[Path, typer.Argument(metavar="REPORT_B", help="Report about the same clips.")],
    seed: SeedOption = 0,
    markdown: MarkdownOption = False,
) -> None:
    """Compare two evaluation reports clip by clip, with paired significance tests."""
    from sgmn.cli import console
    from sgmn.evaluation import comparison
    from sgmn.workflows import evaluation

    reports = evaluation.read_report(a), evaluation.read_report(b)
    result = comparison.compare_reports(*reports, seed)
    if markdown:
        typer.echo(result.markdown())
    else:
        console.out.print(result.table())
