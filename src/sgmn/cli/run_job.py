"""`sgmn run-job`: run a packed training job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run_job(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="File written by `sgmn pack`.")],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Folder of the run; continued if it exists.")
    ],
    minutes: Annotated[
        str,
        typer.Option(
            "--minutes", metavar="LIST", help="Time limit of each stage in minutes, e.g. 4,12,6,2."
        ),
    ],
) -> None:
    """Run a packed training job, or the rest of an interrupted one.

    Without sgmn, on a machine with torch, transformers, Pillow and SciPy, run
    `python PACK OUTPUT --minutes LIST`.
    """
    from threading import Event

    from sgmn.cli.signals import stop_on_signal
    from sgmn.workflows import job_run

    stop_event = Event()
    with stop_on_signal(stop_event.set):
        job_run.run_job(pack, output, job_run.parse_minutes(minutes), typer.echo, stop_event)
