"""`sgmn watch` of a live stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import typer

from sgmn.cli import console
from sgmn.cli.event_output import EventHandler
from sgmn.cli.screens import format_event, live_screen
from sgmn.cli.signals import stop_on_signal
from sgmn.cli.timeline_output import product_titles, warn_late_utterances, write_timeline
from sgmn.cli.transcript_source import DrainedSource, TranscriptSource, transcript_delay_s
from sgmn.cli.watch_options import WatchOptions
from sgmn.live.effort import is_sure, parse_effort
from sgmn.live.events import Event
from sgmn.live.frame_source import PacedSource
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import Session, SessionResult, WindowUpdate
from sgmn.live.windows import FRAME_RATE_HZ
from sgmn.media.address import parse_address
from sgmn.media.live_source import LiveSource, SourceSettings

WindowHandler = Callable[[WindowUpdate], None]


def watch_live(
    options: WatchOptions,
    recognizer: StreamRecognizer,
    transcript: TranscriptSource,
    send_event: EventHandler,
) -> tuple[SessionResult, str]:
    """Watch a stream until it ends or a signal arrives, then write its files.

    Returns the result and a line about the connection.
    """
    source = _open_source(options, recognizer, transcript)
    titles = product_titles(recognizer)
    with (
        source,
        transcript.follow(source) as live_transcript,
        _show_progress(options, titles, source) as (show_event, show_window),
    ):
        frames = DrainedSource(
            PacedSource(source) if options.realtime else source, live_transcript.drain
        )

        def on_event(event: Event) -> None:
            send_event(event)
            show_event(event)

        def on_window(update: WindowUpdate) -> None:
            source.set_sure(is_sure(update.belief))
            show_window(update)

        with stop_on_signal(frames.close):
            session = Session(recognizer, options.lag, transcript_delay_s(options))
            result = session.run(frames, live_transcript.utterances, on_event, on_window)
    warn_late_utterances(live_transcript.utterances, result.duration_s)
    result = replace(result, damage=(*result.damage, *transcript.damage))
    write_timeline(options, result.segments, titles)
    return result, _summary(result)


def _open_source(
    options: WatchOptions, recognizer: StreamRecognizer, transcript: TranscriptSource
) -> LiveSource:
    settings = SourceSettings.for_address(parse_address(options.source), options.attempts or None)
    return LiveSource(
        options.source,
        rate_hz=FRAME_RATE_HZ,
        max_side=recognizer.embedder.max_side,
        settings=settings,
        with_audio=transcript.recognizer is not None,
        may_skip=parse_effort(options.effort) == "adaptive",
    )


def _summary(result: SessionResult) -> str:
    return (
        f"{result.duration_s:.0f} s, {len(result.events)} events, "
        f"{result.dropped_frames} frames dropped, {result.reconnects} reconnects"
    )


@contextmanager
def _show_progress(
    options: WatchOptions, titles: Mapping[str, str], source: LiveSource
) -> Iterator[tuple[EventHandler, WindowHandler]]:
    """Show a live screen in a terminal; elsewhere print a line per event."""
    if console.err.is_terminal and (options.events_on_stdout or console.out.is_terminal):
        with live_screen(titles, source) as screen:
            yield screen.show_event, screen.show_window
    else:

        def print_event(event: Event) -> None:
            typer.echo(format_event(event, titles), err=options.events_on_stdout)

        yield print_event, lambda update: None
