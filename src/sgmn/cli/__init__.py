"""The command line: one function a verb. Each parses, calls the library and shows."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from sgmn import __version__
from sgmn.cli import explaining, generating, learning, serving
from sgmn.errors import SgmnError
from sgmn.memory import keep_large_blocks

app = typer.Typer(
    help="Livestreaming product retrieval: which product is being sold, moment by moment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")] = False,
    threads: Annotated[int, typer.Option(min=0, help="Threads that compute; 0 for all cores.")] = 0,
) -> None:
    """Options of every verb; `main` looks for --debug itself."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s")
    for name in ("httpx", "urllib3", "filelock"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if threads:
        import torch

        torch.set_num_threads(threads)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


for verb in (
    serving.index,
    serving.watch,
    explaining.explain,
    learning.check,
    learning.train,
    learning.ablate,
    learning.evaluate,
    learning.compare,
    generating.synth,
):
    app.command()(verb)


def main() -> None:
    """Run the command line: an answerable error is one line and status 2."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads starve us
    keep_large_blocks()
    if debug := "--debug" in sys.argv:  # wherever it stands, it is for the whole command
        sys.argv.remove("--debug")
        sys.argv.insert(1, "--debug")
    try:
        app()
    except (SgmnError, OSError) as error:
        if debug:
            raise
        sys.stderr.write(f"sgmn: {_line(error)}\n")
        sys.exit(2)


def _line(error: SgmnError | OSError) -> str:
    """An error in one line; the system's own say what and where, in the other order."""
    if isinstance(error, OSError) and error.strerror:
        error = SgmnError(error.strerror, error.filename, "check the path and its permissions")
    return " ".join(str(error).split())
