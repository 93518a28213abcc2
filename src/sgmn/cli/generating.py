"""The verb of the generated world: synth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.synth.settings import WorldSettings


def synth(
    out: Annotated[Path, typer.Argument(help="The world's folder, or the sheet with --preview.")],
    shops: Annotated[int | None, typer.Option(help="How many, 1..600.")] = None,
    products: Annotated[int | None, typer.Option(help="Of each shop, 6..2000.")] = None,
    clips: Annotated[int | None, typer.Option(help="Of all shops together.")] = None,
    streams: Annotated[int | None, typer.Option(help="Of all shops together.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same files.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Shares of shops for train,val,test, such as 0.6,0.2,0.2.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Make this split alone: train, val or test.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with [world]: every knob of WorldSettings.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="One core each.")] = 1,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only a contact sheet, a PNG.")
    ] = False,
) -> None:
    """Make shops and livestreams in OUT/train, OUT/val and OUT/test; goes on where it stopped."""
    from sgmn.cli import console
    from sgmn.synth import world

    given = {"shops": shops, "products": products, "clips": clips, "streams": streams, "seed": seed}
    settings = _settings(config, given, split)
    if preview:
        world.preview(out, settings)
        typer.echo(str(out))
        return
    with console.bar() as bar:

        def progress(done: int, total: int, name: str) -> None:
            if not bar.task_ids:  # not before anything can be wrong with what was asked
                bar.add_task("making", total=total)
            bar.update(bar.task_ids[0], completed=done)

        counts = world.make(out, settings, processes, progress, only)
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()) + f" in {out}")


def _settings(
    config: Path | None, given: dict[str, int | None], split: str | None
) -> WorldSettings:
    """The settings of a file, changed by what the command line gives."""
    from sgmn.settings import from_tables, read_toml
    from sgmn.synth.settings import WorldSettings

    tables = {} if config is None else read_toml(config)
    (settings,) = from_tables({"world": WorldSettings}, tables, config)
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if split is not None:
        changes |= _shares(split)
    changed: WorldSettings = replace(settings, **changes)
    return changed


def _shares(split: str) -> dict[str, float]:
    try:
        train, val, test = map(float, split.split(","))
    except ValueError as error:
        remedy = "give three shares, such as 0.6,0.2,0.2"
        raise SgmnError(f"--split is {split!r}", remedy=remedy) from error
    return {"train": train, "val": val, "test": test}
