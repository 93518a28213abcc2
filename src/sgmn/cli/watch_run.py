"""The run of `sgmn watch`: open model and index, watch the source, print the timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from sgmn import outputs
from sgmn.catalogue.index import Index
from sgmn.cli import console
from sgmn.cli.event_output import open_event_output
from sgmn.cli.timeline_output import product_titles
from sgmn.cli.timeline_table import timeline_table
from sgmn.cli.transcript_source import TranscriptSource
from sgmn.cli.watch_checks import require_compatible
from sgmn.cli.watch_live import watch_live
from sgmn.cli.watch_options import WatchOptions
from sgmn.cli.watch_recording import watch_recording
from sgmn.live.effort import parse_effort
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import SessionResult
from sgmn.media import video
from sgmn.media.address import parse_address
from sgmn.media.hardware import find_hardware
from sgmn.model.scoring import Modality
from sgmn.records import Segment
from sgmn.workflows import evaluation, loading


def run(options: WatchOptions) -> None:
    """Watch the source, write the requested files and print the timeline."""
    address = parse_address(options.source)
    is_live = options.live or address.is_live
    require_compatible(options, address, is_live)
    modalities = loading.parse_modalities(options.modalities)
    outputs.require_writable(
        options.output, options.vtt, options.srt, options.html, options.events_path
    )
    with open_event_output(options) as send_event:
        recognizer, index = _open_recognizer(options, modalities)
        duration_s = 0.0 if address.is_live else video.read_duration(Path(options.source))
        truth = evaluation.read_true_timeline(options.truth) if options.truth else ()
        if is_live:
            products = recognizer.shelf.products
            transcript = TranscriptSource.from_options(options, duration_s, products)
            result, summary = watch_live(options, recognizer, transcript, send_event)
        else:
            result, summary = watch_recording(
                options, recognizer, index, truth, duration_s, send_event
            )
    _print_result(options, result, summary, truth, product_titles(recognizer))


def _open_recognizer(
    options: WatchOptions, modalities: tuple[Modality, ...]
) -> tuple[StreamRecognizer, Index]:
    effort, search = parse_effort(options.effort), find_hardware(options.hwaccel)
    if search.note:
        typer.echo(f"note: {search.note}", err=True)
    index = Index.open(options.index, options.model, options.runtime)
    shelf = loading.ShelfCache(index, modalities)[loading.resolve_shop(index, options.shop)]
    timeline = loading.read_timeline_settings(options.timeline, index.embedder.model)
    recognizer = StreamRecognizer(
        index.embedder, shelf, timeline, modalities, effort=effort, hardware=search.decoder
    )
    return recognizer, index


def _print_result(
    options: WatchOptions,
    result: SessionResult,
    summary: str,
    truth: Sequence[Segment],
    titles: Mapping[str, str],
) -> None:
    for line in result.damage:
        typer.echo(f"warning: {line}", err=True)
    terminal = console.err if options.events_on_stdout else console.out
    terminal.print(timeline_table(result.segments, titles, truth))
    typer.echo(summary, err=options.events_on_stdout)
    if truth:
        agreement = evaluation.format_agreement(truth, result.segments)
        typer.echo(agreement, err=options.events_on_stdout)
