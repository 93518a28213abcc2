"""Run `sgmn watch` in its own process, note when events appear, and check them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep, time
from typing import NamedTuple

from sgmn.live.events import Event, segments_from_events
from sgmn.records import Segment

POLL_INTERVAL_S = 0.05
SUMMARY = re.compile(r"(\d+) events, (\d+) frames dropped, (\d+) reconnects")


class EventLine(NamedTuple):
    """A line of the events file, and the wall-clock time at which it was read."""

    line: str
    seen_s: float


class Run(NamedTuple):
    """The result of a process; `status` is None if it had to be killed."""

    status: int | None
    wall_s: float
    lines: list[EventLine]
    out: str
    err: str

    @property
    def counts(self) -> tuple[int, int, int] | None:
        """Events, dropped frames and reconnects, from the summary that it prints."""
        match = SUMMARY.search(" ".join(self.out.split()))
        return (int(match[1]), int(match[2]), int(match[3])) if match else None


def run_watch(command: list[str], folder: Path, limit_s: float) -> Run:
    """Run a command and note when each event is written; after `limit_s` it dumps its stacks."""
    paths = folder / "watch.out", folder / "watch.err"
    events = folder / "events.jsonl"
    events.write_text("")
    (folder / "timeline.json").unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "COLUMNS": "120"}
    start_s = monotonic()
    with paths[0].open("wb") as out, paths[1].open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        try:
            lines = list(_follow_events(process, events, start_s + limit_s))
        finally:
            is_hung = process.poll() is None
            if is_hung:
                process.send_signal(signal.SIGABRT)
            status = process.wait()
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    return Run(None if is_hung else status, monotonic() - start_s, lines, *texts)


def _follow_events(
    process: subprocess.Popen[bytes], path: Path, until_s: float
) -> Iterator[EventLine]:
    """Each line of a file as it is written, while the process runs and once after that."""
    rest, has_ended = "", False
    with path.open(encoding="utf-8") as file:
        while not has_ended and monotonic() < until_s:
            has_ended = process.poll() is not None
            *lines, rest = (rest + file.read()).split("\n")
            seen_s = time()
            yield from (EventLine(line, seen_s) for line in lines)
            sleep(POLL_INTERVAL_S)


def check_events(events: Sequence[Event], folder: Path) -> dict[str, bool]:
    """Check what docs/events.md promises."""
    if not events:
        return {}
    corrected = {event.found_s for event in events if event.kind == "corrected"}
    changes = [event for event in events if event.kind != "corrected"]
    final = sorted(_final_events(events), key=lambda event: event.time_s)
    timeline = _read_timeline(folder / "timeline.json")
    return {
        "ids count from 1": [event.id for event in events] == list(range(1, len(events) + 1)),
        "found in order": all(a.found_s <= b.found_s for a, b in pairwise(events)),
        "times decrease only with a correction": all(
            a.time_s <= b.time_s or b.found_s in corrected for a, b in pairwise(changes)
        ),
        "each event ends the previous product": final[0].before is None
        and all(a.product_id == b.before for a, b in pairwise(final)),
        "the last event is the end": events[-1].kind == "ended"
        and events[-1] == final[-1]
        and events[-1].time_s == events[-1].found_s,
        "the timeline follows from the events": segments_from_events(events) == timeline,
    }


def _read_timeline(path: Path) -> tuple[Segment, ...]:
    names = ("start", "end", "product_id", "confidence", "runner_up")
    rows = json.loads(path.read_text())["segments"] if path.exists() else ()
    return tuple(Segment(*(row[name] for name in names)) for row in rows)


def _final_events(events: Sequence[Event]) -> Iterator[Event]:
    """Each event that was not retracted, in its last correction."""
    for event in events:
        if event.kind != "corrected":
            versions = [one for one in events if event.id in (one.id, one.corrects)]
            if not versions[-1].is_retraction:
                yield versions[-1]
