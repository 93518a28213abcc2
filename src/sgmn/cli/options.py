"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="A checkpoint folder, a backbone's folder or hub name, or 'small'."
    ),
]
IndexOption = Annotated[Path, typer.Option("--index", "-i", help="The index of a catalogue.")]
ShopOption = Annotated[str | None, typer.Option("--shop", help="The shop, if there are several.")]
SkipOption = Annotated[
    bool, typer.Option("--skip-bad", help="Skip malformed lines; they are named and counted.")
]
UseOption = Annotated[
    str, typer.Option("--use", help="What counts: picture, words, or picture,words.")
]
