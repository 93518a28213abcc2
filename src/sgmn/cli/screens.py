"""Live displays of `sgmn watch` on standard error, and one-line descriptions of events."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from sgmn.cli.console import err
from sgmn.cli.timeline_table import NO_PRODUCT, format_product
from sgmn.report.formatting import format_time

if TYPE_CHECKING:
    from sgmn.live.events import Event
    from sgmn.live.session import WindowUpdate
    from sgmn.live.timeline import Belief
    from sgmn.media.live_source import LiveSource

TABLE_ROWS = 12
RECENT_EVENTS = 5
RATE_WINDOWS = 16  # over which the frame rate is averaged
REFRESH_HZ = 4.0


class RecordingScreen:
    """Table of the latest windows of a recording, with progress and speed."""

    def __init__(self, titles: Mapping[str, str], duration_s: float) -> None:
        self.titles, self.duration_s = titles, duration_s
        self.started_s = monotonic()
        self.beliefs: deque[Belief] = deque(maxlen=TABLE_ROWS)

    def __call__(self, belief: Belief) -> None:
        """Show a window."""
        self.beliefs.append(belief)

    def __rich__(self) -> Group:
        table = Table(expand=True)  # fixed column widths, so that the table does not jump
        table.add_column("time", width=7)
        table.add_column("product", ratio=1, no_wrap=True)
        table.add_column("confidence", width=10)
        table.add_column("runner-up", ratio=1, no_wrap=True)
        for belief in self.beliefs:
            table.add_row(
                format_time(belief.time_s),
                format_product(belief.product_id, self.titles),
                f"{belief.confidence:.0%}",
                format_product(belief.runner_up, self.titles) if belief.runner_up else "",
            )
        return Group(table, self._progress())

    def _progress(self) -> str:
        time_s = self.beliefs[-1].time_s if self.beliefs else 0.0
        speed = time_s / max(self.elapsed_s, 1e-9)
        total = f" of {format_time(self.duration_s)}" if self.duration_s else ""
        return f"{format_time(time_s)}{total}  {speed:.1f}x real time"

    @property
    def elapsed_s(self) -> float:
        """Seconds since the screen was created."""
        return monotonic() - self.started_s


@contextmanager
def recording_screen(titles: Mapping[str, str], duration_s: float) -> Iterator[RecordingScreen]:
    """Show a RecordingScreen on standard error."""
    screen = RecordingScreen(titles, duration_s)
    with Live(screen, console=err, refresh_per_second=REFRESH_HZ, transient=True):
        yield screen


def format_event(event: Event, titles: Mapping[str, str]) -> str:
    """Describe an event in one line: time, number, kind, product and confidence."""
    kind: str = event.kind
    if event.corrects is not None:
        kind = f"{'retracts' if event.is_retraction else 'corrects'} {event.corrects}"
    is_over = event.kind == "ended" or event.is_retraction
    product_id = event.before if is_over else event.product_id
    name = NO_PRODUCT if product_id is None else titles.get(product_id) or product_id
    confidence = "" if is_over else f"  {event.confidence:.0%}"
    title = " ".join(name.split())
    return f"{format_time(event.time_s):>7}  {event.id:>4}  {kind:<13}  {title}{confidence}"


class LiveScreen:
    """State of a live stream: connection, delay, current product and the latest events."""

    def __init__(self, titles: Mapping[str, str], source: LiveSource) -> None:
        self.titles, self.source = titles, source
        self.events: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self.latest: WindowUpdate | None = None
        self.frame_counts: deque[tuple[float, int]] = deque([(monotonic(), 0)], RATE_WINDOWS)

    def show_window(self, update: WindowUpdate) -> None:
        """Show the latest window."""
        self.latest = update
        self.frame_counts.append((monotonic(), update.frame_count))

    def show_event(self, event: Event) -> None:
        """Show an event."""
        self.events.append(event)

    def __rich__(self) -> Group:
        lines = [escape(format_event(event, self.titles)) for event in self.events]
        return Group(self._connection(), self._current_product(), *lines)

    def _connection(self) -> str:
        source, latest = self.source, self.latest
        start_s, start_count = self.frame_counts[0]
        frame_count = self.frame_counts[-1][1] - start_count
        rate_hz = frame_count / max(monotonic() - start_s, 1e-9)
        # The source ends before its last frames are processed.
        state = "finishing" if source.state == "ended" else source.state
        delay = "" if latest is None else f"{max(0.0, time() - latest.wall_s):.1f} s behind  "
        return (
            f"[bold]{escape(source.name)}[/bold]  {state}  {delay}{rate_hz:.1f} frames/s  "
            f"{source.dropped_frames} dropped  {source.reconnects} reconnects"
        )

    def _current_product(self) -> str:
        if self.latest is None:
            return "[dim]no window yet[/dim]"
        belief = self.latest.belief
        name = format_product(belief.product_id, self.titles)
        return f"{format_time(belief.time_s):>7}  {name}  {belief.confidence:.0%}"


@contextmanager
def live_screen(titles: Mapping[str, str], source: LiveSource) -> Iterator[LiveScreen]:
    """Show a LiveScreen on standard error; log lines appear above it."""
    screen = LiveScreen(titles, source)
    handlers = [h for h in logging.root.handlers if isinstance(h, logging.StreamHandler)]
    previous = [handler.stream for handler in handlers]
    with Live(screen, console=err, refresh_per_second=REFRESH_HZ, transient=True):
        for handler in handlers:
            handler.setStream(sys.stderr)  # Rich has replaced it
        try:
            yield screen
        finally:
            for handler, stream in zip(handlers, previous, strict=True):
                handler.setStream(stream)
