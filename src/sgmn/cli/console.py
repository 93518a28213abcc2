"""What the terminal shows while something runs."""

from __future__ import annotations

import logging
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, time
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sgmn.report.formatting import clock

if TYPE_CHECKING:
    from sgmn.live.events import Event
    from sgmn.live.session import Moment
    from sgmn.live.timeline import Belief
    from sgmn.media.live_source import LiveSource
    from sgmn.records import Segment
    from sgmn.training import trainer

T = TypeVar("T")
# Tables keep their shape in a file or pipe; a terminal knows its own width.
out = Console(width=None if sys.stdout.isatty() else 140)
err = Console(stderr=True)
ROWS = 12  # of the live table
EVENTS = 5  # that a running stream shows


def bar(*extra: str) -> Progress:
    """A progress bar on standard error, with further fields at its end."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        *(TextColumn(field) for field in extra),
        console=err,
    )


def counted(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """The items, with a bar that counts them."""
    with bar() as shown:
        task = shown.add_task(description, total=total)
        for item in items:
            yield item
            shown.advance(task)


class TrainingBar:
    """Loss, share right, rate and samples a second of a run; the figures are smoothed a little."""

    def __init__(self, shown: Progress, steps: int) -> None:
        self.shown = shown
        self.task = shown.add_task("training", total=steps, figures="")
        self.losses: deque[float] = deque(maxlen=20)

    def __call__(self, progress: trainer.Progress) -> None:
        """Show a step."""
        self.losses.append(progress.loss)
        loss = sum(self.losses) / len(self.losses)
        figures = (
            f"loss {loss:.3f}  right {progress.right:.0%}  lr {progress.lr:.1e}"
            f"  {progress.samples_per_s:.0f} clips/s"
        )
        self.shown.update(self.task, completed=progress.step, figures=figures)


@contextmanager
def training(steps: int) -> Iterator[TrainingBar]:
    """A bar for a training run."""
    with bar("{task.fields[figures]}") as shown:
        yield TrainingBar(shown, steps)


class WatchScreen:
    """The last moments of a stream, how far it has come and how fast."""

    def __init__(self, titles: Mapping[str, str], duration_s: float) -> None:
        self.titles, self.duration_s = titles, duration_s
        self.began = monotonic()
        self.moments: deque[Belief] = deque(maxlen=ROWS)

    def __call__(self, belief: Belief) -> None:
        """Show a moment."""
        self.moments.append(belief)

    def __rich__(self) -> Group:
        table = Table(expand=True)  # of fixed widths, so that nothing jumps while it runs
        table.add_column("time", width=7)
        table.add_column("product", ratio=1, no_wrap=True)
        table.add_column("confidence", width=10)
        table.add_column("runner-up", ratio=1, no_wrap=True)
        for belief in self.moments:
            table.add_row(
                clock(belief.time_s),
                self.name(belief.product_id),
                f"{belief.confidence:.0%}",
                self.name(belief.runner_up) if belief.runner_up else "",
            )
        return Group(table, self._progress())

    def _progress(self) -> str:
        now = self.moments[-1].time_s if self.moments else 0.0
        speed = now / max(self.elapsed_s, 1e-9)
        share = f" of {clock(self.duration_s)}" if self.duration_s else ""
        return f"{clock(now)}{share}  {speed:.1f}x real time"

    @property
    def elapsed_s(self) -> float:
        """Seconds since the screen was opened."""
        return monotonic() - self.began

    def name(self, product_id: str | None) -> str:
        """A product as a person knows it."""
        if product_id is None:
            return "[dim]nothing on sale[/dim]"
        return escape(self.titles.get(product_id) or product_id)


@contextmanager
def watching(titles: Mapping[str, str], duration_s: float) -> Iterator[WatchScreen]:
    """A live table on standard error while a stream is watched."""
    screen = WatchScreen(titles, duration_s)
    with Live(screen, console=err, refresh_per_second=4, transient=True):
        yield screen


def event_line(event: Event, titles: Mapping[str, str]) -> str:
    """An event to read: from when on, its number, what happened, to what, how sure."""
    what: str = event.kind
    if event.corrects is not None:
        what = f"{'takes back' if event.retracts else 'corrects'} {event.corrects}"
    is_over = event.kind == "ended" or event.retracts
    product_id = event.before if is_over else event.product_id
    name = "nothing on sale" if product_id is None else titles.get(product_id) or product_id
    share = "" if is_over else f"  {event.confidence:.0%}"
    return f"{clock(event.time_s):>7}  {event.id:>4}  {what:<13}  {' '.join(name.split())}{share}"


class LiveScreen:
    """A stream that is running: its state, how far behind we are, what is on sale, last events."""

    def __init__(self, titles: Mapping[str, str], source: LiveSource) -> None:
        self.titles, self.source = titles, source
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.newest: Moment | None = None
        self.pace: deque[tuple[float, int]] = deque([(monotonic(), 0)], maxlen=16)

    def __call__(self, moment: Moment) -> None:
        """Show a moment."""
        self.newest = moment
        self.pace.append((monotonic(), moment.frames))

    def tell(self, event: Event) -> None:
        """Show an event."""
        self.events.append(event)

    def __rich__(self) -> Group:
        lines = [escape(event_line(event, self.titles)) for event in self.events]
        return Group(self._state(), self._now(), *lines)

    def _state(self) -> str:
        source, newest = self.source, self.newest
        from_s, frames = self.pace[0]
        rate = (self.pace[-1][1] - frames) / max(monotonic() - from_s, 1e-9)
        state = "finishing" if source.state == "ended" else source.state  # frames still wait
        late = "" if newest is None else f"{max(0.0, time() - newest.wall_s):.1f} s behind  "
        return (
            f"[bold]{escape(source.name)}[/bold]  {state}  {late}{rate:.1f} frames/s  "
            f"{source.dropped} dropped  {source.reconnects} reconnects"
        )

    def _now(self) -> str:
        if self.newest is None:
            return "[dim]no window yet[/dim]"
        belief = self.newest.belief
        name = WatchScreen(self.titles, 0.0).name(belief.product_id)
        return f"{clock(belief.time_s):>7}  {name}  {belief.confidence:.0%}"


@contextmanager
def running(titles: Mapping[str, str], source: LiveSource) -> Iterator[LiveScreen]:
    """A live screen on standard error while a running stream is watched; logs go above it."""
    screen = LiveScreen(titles, source)
    logs = [h for h in logging.root.handlers if isinstance(h, logging.StreamHandler)]
    before = [handler.stream for handler in logs]
    with Live(screen, console=err, refresh_per_second=4, transient=True):
        for handler in logs:
            handler.setStream(sys.stderr)  # which Rich has made its own
        try:
            yield screen
        finally:
            for handler, stream in zip(logs, before, strict=True):
                handler.setStream(stream)


def timeline(
    found: Sequence[Segment], titles: Mapping[str, str], truth: Sequence[Segment] = ()
) -> Table:
    """A timeline to read; with a truth, what was really on sale for most of each segment."""
    table = Table("from", "to", "product", "confidence", "runner-up", *(["truth"] if truth else []))
    name = WatchScreen(titles, 0.0).name
    for segment in found:
        row = [
            clock(segment.start),
            clock(segment.end),
            name(segment.product_id),
            f"{segment.confidence:.0%}",
            name(segment.runner_up) if segment.runner_up else "",
        ]
        table.add_row(*row, *([_beside(segment, truth, name)] if truth else []))
    return table


def _beside(segment: Segment, truth: Sequence[Segment], name: Callable[[str | None], str]) -> str:
    """The product that the truth has for most of a segment, and whether it was found."""
    shared: Counter[str | None] = Counter()
    for true in truth:
        both = min(segment.end, true.end) - max(segment.start, true.start)
        shared[true.product_id] += max(0.0, both)  # type: ignore[assignment]
    [(product_id, _)] = shared.most_common(1)
    mark = "[green]✓[/green]" if product_id == segment.product_id else "[red]✗[/red]"
    return f"{mark} {name(product_id)}"
