"""`sgmn push`: publish a trained model on a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Checkpoint to publish.")],
    name: Annotated[str, typer.Argument(metavar="USER/MODEL", help="Name on the hub.")],
    license_id: Annotated[
        str | None, typer.Option("--license", metavar="ID", help="License, such as mit.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", help="Report of `sgmn evaluate --json` for the card."
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Create a private model.")] = False,
) -> None:
    """Publish a model with its card on the Hugging Face hub.

    `sgmn.load("USER/MODEL")` and `--model USER/MODEL` then load it. HF_TOKEN holds the token, and
    HF_ENDPOINT the address of another hub.
    """
    from sgmn.model import hub
    from sgmn.training.model_card import NAME, complete_card, read_report

    figures = None if report is None else read_report(report)
    card = folder / NAME
    if card.is_file():
        completed = complete_card(card.read_text(encoding="utf-8"), license_id, figures)
        card.write_text(completed, encoding="utf-8")
    typer.echo(hub.push(folder, name, private=private))
