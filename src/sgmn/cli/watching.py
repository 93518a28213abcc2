"""What `sgmn watch` does: a recording or a running stream to a timeline, and to events."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

import typer

from sgmn import outputs
from sgmn.catalogue.index import Index
from sgmn.cli import console, listening
from sgmn.errors import SgmnError
from sgmn.live.chapters import chapters, timeline_json
from sgmn.live.events import Event, to_json
from sgmn.live.recognizer import RATE_HZ, Recognizer
from sgmn.live.session import Moment, Outcome, Paced, Session, events_of
from sgmn.live.webhook import Webhook
from sgmn.media import video
from sgmn.media.address import Address, parsed
from sgmn.media.live_source import LiveSource, SourceSettings
from sgmn.records import Segment, Utterance
from sgmn.report.html import html
from sgmn.workflows import evaluation, opening, report

if TYPE_CHECKING:
    from sgmn.cli.serving import Asked

Tell = Callable[[Event], None]


def watch(asked: Asked) -> None:
    """Watch, write what was asked for, and show the timeline."""
    address = parsed(asked.source)
    is_live = asked.live or address.is_live
    _refuse(asked, address, is_live)
    modalities = opening.modalities(asked.use)
    outputs.require_writable(asked.output, asked.vtt, asked.page, asked.events_path)
    with _outlet(asked) as tell:
        used = opening.embedder(opening.model_of(asked.index, asked.model))
        opened = opening.opened(asked.index, used)
        shelf = opening.Shelves(opened, modalities)[opening.only_shop(opened, asked.shop)]
        recognizer = Recognizer(used, shelf, use=modalities)
        length_s = 0.0 if address.is_live else video.duration(Path(asked.source))
        true = evaluation.read_truth(asked.truth) if asked.truth else ()
        if is_live:
            found, line = _running(asked, recognizer, listening.Ears.of(asked, length_s), tell)
        else:
            found, line = _recorded(asked, recognizer, opened, true, length_s, tell)
    _show(asked, found, line, true, _titles(recognizer))


def _refuse(asked: Asked, address: Address, is_live: bool) -> None:
    """What does not go together."""
    listening.require_fitting(asked, address, is_live)
    if asked.page is not None and is_live:
        remedy = "record the stream and watch the recording, or leave out --html"
        raise SgmnError("is watched live, and --html needs a recording", address.name, remedy)
    if asked.pace and (address.is_live or not asked.live):
        raise SgmnError("--pace is for a file with --live", address.name, "leave it out")
    if asked.webhook_secret_env and not asked.webhook:
        raise SgmnError("--webhook-secret-env has no --webhook", remedy="give --webhook URL")
    if not asked.lag >= 0:
        raise SgmnError(f"--lag is {asked.lag}", remedy="give seconds, 0 or more, such as 6")


def _titles(recognizer: Recognizer) -> dict[str, str]:
    return {product.product_id: product.title for product in recognizer.shelf.products}


@contextmanager
def _outlet(asked: Asked) -> Iterator[Tell]:
    """Where events go as they happen; at the end it is said what the webhook delivered."""
    hook = Webhook(asked.webhook, _secret(asked.webhook_secret_env)) if asked.webhook else None
    delivered = None
    with ExitStack() as stack:
        write: Callable[[str], None] | None = typer.echo if asked.is_spoken_for else None
        if asked.events_path is not None:
            file = stack.enter_context(asked.events_path.open("w", encoding="utf-8"))
            write = partial(_write_line, file)

        def tell(event: Event) -> None:
            content = to_json(event)
            if write is not None:
                write(json.dumps(content, ensure_ascii=False))
            if hook is not None:
                hook.send(content)

        try:
            yield tell
        finally:
            delivered = None if hook is None else hook.close()
    if delivered is not None:
        typer.echo(f"webhook: {delivered}", err=True)


def _secret(variable: str | None) -> str:
    if variable is None:
        return ""
    if not os.environ.get(variable):
        remedy = "export it, or leave out --webhook-secret-env"
        raise SgmnError("holds no secret", f"environment variable {variable}", remedy)
    return os.environ[variable]


def _write_line(file: TextIO, line: str) -> None:
    """At once. Raises SgmnError naming the file."""
    try:
        file.write(line + "\n")
        file.flush()
    except OSError as error:
        what = f"cannot be written any more ({error.strerror})"
        raise SgmnError(what, file.name, "make room for it") from error


def _recorded(
    asked: Asked,
    recognizer: Recognizer,
    index: Index,
    true: Sequence[Segment],
    length_s: float,
    tell: Tell,
) -> tuple[Outcome, str]:
    """Watch a recording; the events follow from all its windows. And a line about the work."""
    path, said = Path(asked.source), listening.of_recording(asked, length_s)
    with console.watching(_titles(recognizer), length_s) as shown:
        found = recognizer.watch(path, said, shown)
        seconds = shown.elapsed_s
    _write(asked, found.segments, _titles(recognizer))
    if asked.page is not None:
        page = report.page(path, found, recognizer, index, said, true, seconds=seconds)
        outputs.write_text(asked.page, html(page))
    events = tuple(events_of(found, recognizer.settings, asked.lag)) if asked.tells else ()
    for event in events:
        tell(event)
    line = f"{found.duration_s:.0f} s in {seconds:.1f} s: {found.duration_s / seconds:.1f}x"
    _say_late(said, found.duration_s)
    return Outcome(events, found.segments, found.duration_s, found.damage), line


def _say_late(said: Sequence[Utterance], end_s: float) -> None:
    """Name words that nothing was shown with."""
    late = sum(cue.start >= end_s for cue in said)
    if late:
        typer.echo(f"{late} of {len(said)} cues lie after the video's end", err=True)


def _running(
    asked: Asked, recognizer: Recognizer, ears: listening.Ears, tell: Tell
) -> tuple[Outcome, str]:
    """Watch a stream until it ends or a signal comes. And a line about how it went."""
    settings = SourceSettings.suited(parsed(asked.source), asked.attempts or None)
    side, hears = recognizer.embedder.max_side, ears.recogniser is not None
    source = LiveSource(
        asked.source, rate_hz=RATE_HZ, max_side=side, settings=settings, hears=hears
    )
    titles = _titles(recognizer)
    with (
        source,
        ears.open(source) as heard,
        _screen(asked, titles, source) as (on_event, on_moment),
    ):
        paced = listening.Finished(Paced(source) if asked.pace else source, heard.finish)

        def hear(event: Event) -> None:
            tell(event)
            on_event(event)

        with _ended_by_signals(paced.close):
            session = Session(recognizer, asked.lag, listening.wait_s(asked))
            found = session.run(paced, heard.said, hear, on_moment)
    _say_late(heard.said, found.duration_s)
    found = replace(found, damage=(*found.damage, *ears.damage))
    _write(asked, found.segments, titles)
    line = (
        f"{found.duration_s:.0f} s, {len(found.events)} events, {found.dropped} frames dropped, "
        f"{found.reconnects} reconnects"
    )
    return found, line


@contextmanager
def _screen(
    asked: Asked, titles: dict[str, str], source: LiveSource
) -> Iterator[tuple[Tell, Callable[[Moment], None]]]:
    """Who looks on: a live screen, or a line an event where there is no terminal."""
    if console.err.is_terminal and (asked.is_spoken_for or console.out.is_terminal):
        with console.running(titles, source) as shown:
            yield shown.tell, shown
    else:
        yield lambda event: _say(asked, console.event_line(event, titles)), lambda moment: None


@contextmanager
def _ended_by_signals(close: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM closes, a second one does what it did before."""

    def end(number: int, frame: FrameType | None) -> None:
        restore()
        close()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        restore()


def _write(asked: Asked, timeline: Sequence[Segment], titles: dict[str, str]) -> None:
    if asked.output is not None:
        content = json.dumps(timeline_json(timeline, titles), indent=1)
        outputs.write_text(asked.output, content + "\n")
    if asked.vtt is not None:
        outputs.write_text(asked.vtt, chapters(timeline, titles))


def _show(
    asked: Asked,
    found: Outcome,
    line: str,
    true: Sequence[Segment],
    titles: dict[str, str],
) -> None:
    for damage in found.damage:
        typer.echo(f"damaged: {damage}", err=True)
    shown_on = console.err if asked.is_spoken_for else console.out
    shown_on.print(console.timeline(found.segments, titles, true))
    _say(asked, line)
    if true:
        _say(asked, evaluation.agreement_line(true, found.segments))


def _say(asked: Asked, line: str) -> None:
    typer.echo(line, err=asked.is_spoken_for)
