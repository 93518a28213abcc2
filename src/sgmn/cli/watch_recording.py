"""`sgmn watch` of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sgmn import outputs
from sgmn.catalogue.index import Index
from sgmn.cli.event_output import EventHandler
from sgmn.cli.screens import recording_screen
from sgmn.cli.timeline_output import product_titles, warn_late_utterances, write_timeline
from sgmn.cli.transcript_source import read_transcript, write_subtitles
from sgmn.cli.watch_options import WatchOptions
from sgmn.live.events import Event
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.session import SessionResult, events_from_result
from sgmn.records import Segment


def watch_recording(
    options: WatchOptions,
    recognizer: StreamRecognizer,
    index: Index,
    truth: Sequence[Segment],
    duration_s: float,
    send_event: EventHandler,
) -> tuple[SessionResult, str]:
    """Watch a whole recording, then write its files and send its events.

    Returns the result and a line about the speed.
    """
    path = Path(options.source)
    utterances = read_transcript(options, duration_s, recognizer.shelf.products)
    write_subtitles(options, utterances)
    titles = product_titles(recognizer)
    with recording_screen(titles, duration_s) as screen:
        result = recognizer.watch(path, utterances, screen)
        elapsed_s = screen.elapsed_s
    write_timeline(options, result.segments, titles)
    if options.html is not None:
        from sgmn.report.html import render_html  # needs a template engine
        from sgmn.workflows import report

        content = report.build_watch_report(
            path, result, recognizer, index, utterances, truth, elapsed_s=elapsed_s
        )
        outputs.write_text(options.html, render_html(content))
    events: tuple[Event, ...] = ()
    if options.has_event_output:
        events = tuple(events_from_result(result, recognizer.settings, options.lag))
    for event in events:
        send_event(event)
    warn_late_utterances(utterances, result.duration_s)
    speed = result.duration_s / elapsed_s
    summary = f"{result.duration_s:.0f} s in {elapsed_s:.1f} s: {speed:.1f}x real time"
    if str(result.decoding):
        summary += f"\n{result.decoding}"
    return SessionResult(events, result.segments, result.duration_s, result.damage), summary
