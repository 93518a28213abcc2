"""`sgmn serve`: the HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgmn.errors import SgmnError

HostOption = Annotated[
    str | None,
    typer.Option("--host", metavar="ADDRESS", help="Address to listen on. Default: 127.0.0.1."),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", min=0, max=65535, metavar="N", help="Port to listen on (0: any). Default: 8080."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Folder for the database, the indexes and the frames. Default: sgmn-data.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings in TOML; see docs/how-to/service.md."),
]
ServedRuntimeOption = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help="What runs the image and text towers on the CPU; see docs/how-to/runtimes.md. "
        "Default: torch.",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Where streams are watched: local (this machine), or ray (the nodes of a Ray "
        "cluster; see --address). Default: local.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Ray cluster for --engine ray: HOST:PORT of its head node, or auto for the cluster "
        "of this machine. Default: RAY_ADDRESS; without it, a cluster of this machine is started.",
    ),
]


def serve(
    host: HostOption = None,
    port: PortOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    runtime: ServedRuntimeOption = None,
    engine: EngineOption = None,
    address: AddressOption = None,
) -> None:
    """Serve the HTTP API for catalogues, streams and events of many shops.

    Settings come from these options, from environment variables (SGMN_PORT, …) and from a file.
    The first start prints an admin key.
    """
    try:
        from sgmn.service.server import serve as run
        from sgmn.service.settings import read_settings
    except ModuleNotFoundError as error:
        message = f"needs {error.name}, which is not installed"
        raise SgmnError(message, "sgmn serve", 'pip install "sgmn[serve]"') from error
    settings = read_settings(
        config,
        host=host,
        port=port,
        data=data,
        runtime=runtime,
        engine=engine,
        ray_address=address,
    )
    run(settings, typer.echo)
