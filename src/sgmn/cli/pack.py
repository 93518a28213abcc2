"""`sgmn pack`: pack a training run for another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sgmn.cli.options import options_from


@dataclass(frozen=True, slots=True)
class PackOptions:
    """The arguments of `sgmn pack`."""

    configs: Annotated[
        list[str],
        typer.Argument(metavar="CONFIG", help="Configs of `sgmn train`, one for each stage."),
    ]
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="ZIP file to write.")
    ]
    max_side: Annotated[
        int,
        typer.Option("--max-side", min=1, metavar="PIXELS", help="Longer side of an image."),
    ] = 224
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, metavar="N", help="WebP quality.")
    ] = 50
    frames: Annotated[
        int, typer.Option("--frames", min=1, metavar="N", help="Maximum number of frames per clip.")
    ] = 4
    images: Annotated[
        int,
        typer.Option("--images", min=0, metavar="N", help="Maximum number of images per product."),
    ] = 1
    max_mib: Annotated[
        float | None,
        typer.Option("--max-mib", metavar="MIB", help="Fail if the file is larger than this."),
    ] = None


@options_from(PackOptions)
def pack(options: PackOptions) -> None:
    """Pack a training run into one file that runs elsewhere without an installed sgmn.

    The file contains the source, the configs, the starting model, and the datasets with small
    images. On a machine with torch, transformers, Pillow and SciPy, run
    `python JOB.zip OUT --minutes LIST`; where sgmn is installed, `sgmn run-job` does the same.
    Each further config is a stage that starts from the result of the previous one.
    """
    from sgmn.cli import console
    from sgmn.workflows.job_data import MediaLimits
    from sgmn.workflows.job_pack import pack_job

    limits = MediaLimits(options.max_side, options.quality, options.frames, options.images)
    max_bytes = None if options.max_mib is None else int(options.max_mib * 2**20)
    with console.progress_bar() as bar:
        task = bar.add_task("packing", total=None)
        result = pack_job(
            options.configs,
            options.output,
            limits,
            max_bytes,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    parts = ", ".join(f"{name} {size / 2**20:.1f} MiB" for name, size in result.sizes.items())
    typer.echo(f"{options.output}: {result.total / 2**20:.1f} MiB ({parts})")
    minutes = ",".join("M" * len(options.configs))  # a placeholder for each stage
    typer.echo(f"run it with: python {options.output.name} OUTPUT --minutes {minutes}")
