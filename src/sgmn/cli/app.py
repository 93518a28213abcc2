"""The `sgmn` application: its commands, global options and error messages."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from sgmn import __version__
from sgmn.cli import (
    ablate,
    backup,
    calibrate,
    check,
    compare,
    doctor,
    embed,
    evaluate,
    explain,
    export,
    import_,
    index,
    leave_out,
    pack,
    push,
    robustness,
    run_job,
    search,
    serve,
    synth,
    train,
    transcribe,
    watch,
)
from sgmn.cli.options import Command, Group, help_text
from sgmn.errors import SgmnError
from sgmn.memory import retain_freed_memory

LIBRARY_LOGGERS = ("httpx", "urllib3", "filelock")
PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Serve a shop": (
        index.index,
        search.search,
        watch.watch,
        transcribe.transcribe,
        embed.embed,
        explain.explain,
        serve.serve,
    ),
    "Evaluate": (
        evaluate.evaluate,
        compare.compare,
        robustness.robustness,
        leave_out.leave_out,
        calibrate.calibrate,
    ),
    "Train": (
        check.check,
        train.train,
        ablate.ablate,
        pack.pack,
        push.push,
        export.export,
        run_job.run_job,
        synth.synth,
    ),
    "Installation": (doctor.doctor, backup.backup, backup.restore),
}

app = typer.Typer(
    cls=Group,
    help="Livestreaming product retrieval: which product is being sold, moment by moment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"sgmn {__version__}")
        raise typer.Exit


@app.callback()
def set_global_options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show debug messages, and tracebacks of errors.")
    ] = False,
    threads: Annotated[
        int,
        typer.Option("--threads", min=0, metavar="N", help="CPU threads to use (0: all cores)."),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Apply the options that all commands share."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s")
    for name in LIBRARY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    if threads:
        import torch

        torch.set_num_threads(threads)


for panel, commands in PANELS.items():
    for command in commands:
        app.command(cls=Command, help=help_text(command), rich_help_panel=panel)(command)
app.add_typer(import_.app, name="import", rich_help_panel="Train")


def main() -> None:
    """Run the command line. Prints expected errors as one line and exits with status 2."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Must be set before torch is imported. Spinning OpenMP threads would slow down decoding.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    retain_freed_memory()
    if debug := "--debug" in sys.argv:  # accepted anywhere on the command line
        sys.argv.remove("--debug")
        sys.argv.insert(1, "--debug")
    try:
        app()
    except (SgmnError, OSError) as error:
        if debug:
            raise
        sys.stderr.write(f"sgmn: {_format_error(error)}\n")
        sys.exit(2)


def _format_error(error: SgmnError | OSError) -> str:
    """Return an error as one line, `where: what; remedy` for operating system errors too."""
    if isinstance(error, OSError) and error.strerror:
        error = SgmnError(error.strerror, error.filename, "check the path and its permissions")
    return " ".join(str(error).split())
