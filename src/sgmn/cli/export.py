"""`sgmn export`: the towers of a model as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgmn.errors import SgmnError


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Model: 'builtin', or a checkpoint folder.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder to create.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantize the image tower to int8. Needs --pictures.")
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures",
            metavar="FOLDER",
            help="Pictures that calibrate int8, such as frames of your streams and photos of your "
            "products.",
        ),
    ] = None,
) -> None:
    """Export the image tower and the text tower of a model as ONNX files.

    The files accept any batch size, and export.json describes them. With --int8, a fifth of the
    pictures is held out to measure how much int8 changes the vectors. Pass the folder to --runtime
    to use it in other commands.
    """
    from sgmn.model import checkpoint
    from sgmn.workflows.export import export_model

    if int8 != (pictures is not None):
        missing, given = ("--pictures", "--int8") if int8 else ("--int8", "--pictures")
        raise SgmnError(f"needs {missing}", given, "pass both, or neither")
    exported, cost = export_model(checkpoint.load(model), output, pictures)
    canvases = ", ".join(f"{item.height}x{item.width}" for item in exported.canvases)
    typer.echo(f"{output}: image tower ({canvases}) and text tower, {exported.dim} dimensions")
    if cost is not None:
        typer.echo(
            f"int8: calibrated on {cost.calibrated} pictures; on {cost.measured} others, median "
            f"cosine to float32 {cost.median_cosine:.4f}, least {cost.min_cosine:.4f}, "
            f"same nearest picture {cost.same_nearest:.1%}"
        )
