"""`sgmn synth`: generate shops and livestreams."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sgmn.cli.config_options import ListWorldConfigsOption
from sgmn.cli.options import options_from
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.synth.settings import WorldSettings


SETTINGS = ("shops", "products_per_shop", "clips", "streams", "seed")  # set by options alike


@dataclass(frozen=True, slots=True)
class SynthOptions:
    """The arguments of `sgmn synth`."""

    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="Folder to generate into; with --preview, an image to write."
        ),
    ]
    shops: Annotated[
        int | None, typer.Option("--shops", metavar="N", help="Number of shops, 1..600.")
    ] = None
    products_per_shop: Annotated[
        int | None,
        typer.Option("--products-per-shop", metavar="N", help="Products per shop, 6..2000."),
    ] = None
    clips: Annotated[
        int | None, typer.Option("--clips", metavar="N", help="Total number of clips.")
    ] = None
    streams: Annotated[
        int | None, typer.Option("--streams", metavar="N", help="Total number of streams.")
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Random seed; equal seeds give equal files."),
    ] = None
    split_ratios: Annotated[
        str | None,
        typer.Option(
            "--split-ratios",
            metavar="LIST",
            help="Shares of the shops in train, val and test, e.g. 0.6,0.2,0.2.",
        ),
    ] = None
    only_split: Annotated[
        str | None,
        typer.Option(
            "--only-split", metavar="NAME", help="Generate only this split: train, val or test."
        ),
    ] = None
    speech: Annotated[
        bool,
        typer.Option(
            "--speech",
            help="Speak the transcripts in the audio track of the videos, over music and noise. "
            "Requires the extra synth-speech and the program espeak-ng.",
        ),
    ] = False
    speech_snr: Annotated[
        float | None,
        typer.Option(
            "--speech-snr",
            metavar="DB",
            help="With --speech: level of the speech above music and noise, in decibels. "
            "Drawn from 10..25 for each video if omitted.",
        ),
    ] = None
    descriptions: Annotated[
        bool, typer.Option("--descriptions", help="Give products descriptions as shops write them.")
    ] = False
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="CONFIG",
            help="Settings: name of a packaged config (see --list), or a TOML file.",
        ),
    ] = None
    processes: Annotated[
        int, typer.Option("--processes", min=1, metavar="N", help="Processes, one CPU core each.")
    ] = 1
    preview: Annotated[
        bool, typer.Option("--preview", help="Write only an overview image (PNG).")
    ] = False
    list_configs: ListWorldConfigsOption = False


@options_from(SynthOptions)
def synth(options: SynthOptions) -> None:
    """Generate shops with products, clips and livestreams.

    Writes a dataset per split: OUTPUT/train, OUTPUT/val and OUTPUT/test.
    The same command continues an interrupted run.
    """
    settings = _settings(options)
    if options.preview:
        from sgmn.synth.preview import write_preview

        write_preview(options.output, settings)
        typer.echo(str(options.output))
    else:
        _generate(options, settings)


def _generate(options: SynthOptions, settings: WorldSettings) -> None:
    from sgmn.cli import console
    from sgmn.synth import world

    with console.progress_bar() as bar:

        def show_progress(done: int, total: int, name: str) -> None:
            if not bar.task_ids:  # an invalid request fails before a bar appears
                bar.add_task("generating", total=total)
            bar.update(bar.task_ids[0], completed=done)

        counts = world.generate_world(
            options.output, settings, options.processes, show_progress, options.only_split
        )
    summary = ", ".join(f"{count} {name}" for name, count in counts.items())
    typer.echo(f"{summary} in {options.output}")


def _settings(options: SynthOptions) -> WorldSettings:
    """Read the settings of the config and apply the options of the command line."""
    from sgmn.configs import resolve
    from sgmn.settings import parse_tables, read_toml
    from sgmn.synth.settings import WorldSettings

    path = None if options.config is None else resolve(options.config)
    tables = {} if path is None else read_toml(path)
    (settings,) = parse_tables({"world": WorldSettings}, tables, path)
    values = {name: getattr(options, name) for name in SETTINGS}
    changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if options.split_ratios is not None:
        changes |= _parse_ratios(options.split_ratios)
    changes |= _speech_changes(options)
    changes |= {"descriptions": True} if options.descriptions else {}
    changed: WorldSettings = replace(settings, **changes)
    return changed


def _speech_changes(options: SynthOptions) -> dict[str, Any]:
    """Return the settings of generated speech; the transcript is what is really spoken."""
    changes: dict[str, Any] = {}
    if options.speech:
        changes |= {"speech": True, "asr_error_level": 0.0}
    if options.speech_snr is not None:
        if not options.speech:
            raise SgmnError("--speech-snr requires --speech", remedy="add --speech")
        changes["speech_snr_db"] = (options.speech_snr, options.speech_snr)
    return changes


def _parse_ratios(text: str) -> dict[str, float]:
    try:
        train, val, test = map(float, text.split(","))
    except ValueError as error:
        remedy = "pass three shares, such as 0.6,0.2,0.2"
        raise SgmnError(f"--split-ratios is {text!r}", remedy=remedy) from error
    return {"train_ratio": train, "val_ratio": val, "test_ratio": test}
