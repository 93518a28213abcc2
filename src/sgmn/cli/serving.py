"""The verbs of the serving wing: index, watch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import IndexOption, ModelOption, ShopOption, UseOption
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.catalogue.feed import Feed

STANDARD = "-"  # output, for events


def index(
    catalogue: Annotated[
        Path | None, typer.Argument(help="A folder, .jsonl, .csv or .tsv, or pictures.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The index.")] = Path("index"),
    model: ModelOption = None,
    shop: ShopOption = None,
    remove: Annotated[str, typer.Option(help="Ids to remove, with commas between.")] = "",
    replace_all: Annotated[
        bool, typer.Option(help="Remove what the catalogue no longer lists.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Products that are encoded at once.")] = 32,
) -> None:
    """Make or update the index of a catalogue; unchanged products are not encoded again."""
    from sgmn.catalogue.index import Index
    from sgmn.cli import console
    from sgmn.workflows import opening

    if catalogue is None and not remove:
        raise SgmnError("no catalogue and nothing to remove", remedy="give CATALOGUE or --remove")
    used = opening.embedder(opening.model_of(output, model))
    if remove:
        gone = opening.opened(output, used).remove(_listed(remove), shop)
        typer.echo(f"{gone.count} removed" + "".join(f"\nunknown: {i}" for i in gone.unknown))
    if catalogue is None:
        return
    read = _fed(catalogue, shop or "", replace_all)
    target = Index.create_or_open(output, opening.stamp(used))
    with console.bar() as bar:
        task = bar.add_task("indexing", total=len(read.products))
        report = target.update(
            read.products,
            used.products,
            replace_missing=replace_all,
            batch=batch,
            max_side=used.max_side,
            progress=lambda keys: bar.advance(task, len(keys)),
        )
        bar.update(task, completed=len(read.products))
    for refused in report.refused:
        typer.echo(f"refused: {refused}", err=True)
    typer.echo(
        f"{report.added} added, {report.replaced} replaced, {report.unchanged} unchanged,"
        f" {report.removed} removed, {len(read.refused) + len(report.refused)} refused:"
        f" {target.count()} products in {output}"
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What `watch` is asked for; `attempts` of 0 means without end."""

    source: str
    index: Path
    transcript: str | None
    asr: str | None
    language: str | None
    wait: float | None
    model: str | None
    shop: str | None
    use: str
    output: Path | None
    vtt: Path | None
    page: Path | None
    truth: Path | None
    events: str | None
    webhook: str | None
    webhook_secret_env: str | None
    lag: float
    live: bool
    pace: bool
    attempts: int

    @property
    def events_path(self) -> Path | None:
        """The file of events, None for none or standard output."""
        return None if not self.events or self.is_spoken_for else Path(self.events)

    @property
    def tells(self) -> bool:
        """Whether anyone wants events."""
        return bool(self.events or self.webhook)

    @property
    def is_spoken_for(self) -> bool:
        """Whether standard output belongs to the events, so that all else goes elsewhere."""
        return self.events == STANDARD


def watch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A recording; or a running stream: rtmp://, https://….m3u8, rtsp://, udp://, "
            'tcp://, tcp-listen://, webcam:0, or "-" for MPEG-TS on standard input.',
        ),
    ],
    index: IndexOption,
    transcript: Annotated[
        str | None,
        typer.Option(
            "--transcript",
            "-t",
            help=".srt, .vtt, .json or .txt; of a running stream also one that grows: .jsonl, "
            'a named pipe, "-", or the http address of a playlist of WebVTT.',
        ),
    ] = None,
    asr: Annotated[
        str | None,
        typer.Option(help="A Whisper model, by name or folder, that hears what is said."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="What is spoken, such as en; guessed without.")
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(help="Seconds for which a window of a running stream waits for its words."),
    ] = None,
    model: ModelOption = None,
    shop: ShopOption = None,
    use: UseOption = "picture,words",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Timeline, JSON.")] = None,
    vtt: Annotated[Path | None, typer.Option(help="Chapters, WebVTT.")] = None,
    page: Annotated[
        Path | None,
        typer.Option("--html", help="A report with pictures of a recording, one HTML file."),
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="A JSON file with the true timeline.")] = None,
    events: Annotated[
        str | None, typer.Option(help="Events as they happen, JSON lines; - is standard output.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(help="An http(s) address that each event is posted to.")
    ] = None,
    webhook_secret_env: Annotated[
        str | None, typer.Option(help="The environment variable that holds the signing secret.")
    ] = None,
    lag: Annotated[
        float, typer.Option(help="Seconds for which an event may still be corrected.")
    ] = 6.0,
    live: Annotated[
        bool, typer.Option("--live", help="Watch a file as if it were a running stream.")
    ] = False,
    pace: Annotated[
        bool, typer.Option("--pace", help="With --live: in its own time, not at full speed.")
    ] = False,
    attempts: Annotated[
        int, typer.Option(min=0, help="Vain connections in a row that end a stream; 0 for never.")
    ] = 10,
) -> None:
    """Watch a recording or a running stream: which product is on sale, from when to when.

    A running stream ends when its sender does, or with Ctrl-C.
    """
    from sgmn.cli import watching

    asked = Asked(
        source=source,
        index=index,
        transcript=transcript,
        asr=asr,
        language=language,
        wait=wait,
        model=model,
        shop=shop,
        use=use,
        output=output,
        vtt=vtt,
        page=page,
        truth=truth,
        events=events,
        webhook=webhook,
        webhook_secret_env=webhook_secret_env,
        lag=lag,
        live=live,
        pace=pace,
        attempts=attempts,
    )
    watching.watch(asked)


def _fed(catalogue: Path, shop: str, replace_all: bool) -> Feed:
    """What a catalogue lists; its refused rows are named, and are no reason to remove products."""
    from sgmn.catalogue import feed

    read = feed.read(catalogue, shop)
    for refused in read.refused:
        typer.echo(f"refused: {refused}", err=True)
    if not read.products:
        raise SgmnError("has no product that could be taken", catalogue, "mend its rows")
    if replace_all and read.refused:
        raise SgmnError(
            f"{len(read.refused)} rows are refused, whose products would go: {read.refused[0]}",
            catalogue,
            "mend them, or leave out --replace-all",
        )
    return read


def _listed(ids: str) -> list[str]:
    return [part.strip() for part in ids.split(",") if part.strip()]
