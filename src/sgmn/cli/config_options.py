"""Options of commands that read a config: its name or path, and the list of packaged configs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer


def _config_printer(table: str) -> Callable[[bool], None]:
    """Return a callback that prints the packaged configs with a table and exits."""

    def print_configs(requested: bool) -> None:
        if not requested:
            return
        from sgmn.configs import packaged_configs

        configs = packaged_configs(table)
        width = max(map(len, configs))
        for name, description in configs.items():
            typer.echo(f"{name:<{width}}  {description}")
        raise typer.Exit

    return print_configs


ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG", help="Name of a packaged config (see --list), or path of a TOML file."
    ),
]
TrainOnOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--dataset",
        metavar="FOLDER",
        help="Train on this dataset instead of those in the config. May be repeated.",
    ),
]
ChangeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="TABLE.KEY=VALUE",
        help="Use this value instead of that of the config, such as train.steps=50 or "
        "model.source=FOLDER. May be repeated.",
    ),
]
ListRunConfigsOption = Annotated[
    bool,
    typer.Option(
        "--list",
        is_eager=True,
        callback=_config_printer("train"),
        help="List the packaged configs and exit.",
    ),
]
ListWorldConfigsOption = Annotated[
    bool,
    typer.Option(
        "--list",
        is_eager=True,
        callback=_config_printer("world"),
        help="List the packaged configs and exit.",
    ),
]
